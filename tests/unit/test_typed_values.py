"""Values of the embedded engine as it compares them: with their types, whatever form they are stored in."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from dynamo_bao.dynamodb.transport.embedded_comparisons import _contains, _in_order, size_of, typed_value


def stored(code: str, value: Any) -> Any:
    """A value as moto holds it."""
    return SimpleNamespace(type=code, value=value)


VALUES: dict[str, tuple[str, Any, Any]] = {
    "text": ("S", "é", "é"),
    "number": ("N", "1.0", Decimal(1)),
    "flag": ("BOOL", True, True),
    "none": ("NULL", True, True),
    "bytes": ("B", b"x", b"x"),
    "bytes as text": ("B", "eA==", b"x"),
    "texts": ("SS", ["b", "a"], frozenset((("S", "a"), ("S", "b")))),
    "numbers": ("NS", ["1.0", "2"], frozenset((("N", Decimal(1)), ("N", Decimal(2))))),
    "binaries": ("BS", ["eA=="], frozenset((("B", b"x"),))),
    "list": ("L", [{"N": "1"}, stored("S", "a")], (("N", Decimal(1)), ("S", "a"))),
    "map": ("M", {"a": {"L": [{"N": "1"}]}}, {"a": ("L", (("N", Decimal(1)),))}),
    "no members": ("L", [], ()),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_compared_with_its_type(name: str) -> None:
    """Equal ones are equal in any notation, at any depth; none equals one of another type."""
    code, value, compared = VALUES[name]
    assert typed_value(code, value) == (code, compared)
    assert [typed_value(other, given) == (code, compared) for other, given, _ in VALUES.values()].count(
        True
    ) == (2 if name.startswith("bytes") else 1)


@pytest.mark.parametrize(
    ("code", "value", "size"),
    [
        *(("S", "é", 1), ("B", b"xy", 2), ("SS", ["a", "b"], 2), ("L", [{"S": "a"}], 1), ("M", {}, 0)),
        *(("N", "5", None), ("BOOL", True, None), ("NULL", True, None)),
    ],
)
def test_sizes(code: str, value: Any, size: int | None) -> None:
    """Of letters, bytes and members; numbers and flags have none, and neither has what is absent."""
    assert size_of(typed_value(code, value)) == size
    assert size_of(None) is None


@pytest.mark.parametrize(
    ("symbol", "inside"),
    [
        ("<", [False, False, True]),
        ("<=", [False, True, True]),
        (">", [True, False, False]),
        (">=", [True, True, False]),
    ],
)
def test_only_texts_numbers_and_bytes_have_an_order(symbol: str, inside: list[bool]) -> None:
    """Each among themselves."""
    for low, middle, high in ((("N", 1), ("N", 2), ("N", 10)), (("S", "a"), ("S", "b"), ("S", "c"))):
        assert [_in_order(symbol, middle, other) for other in (low, middle, high)] == inside
    for odd in (("S", "5"), ("BOOL", True), None):
        assert not _in_order(symbol, ("N", 2), odd) and not _in_order(symbol, odd, ("N", 2))
    assert not _in_order(symbol, ("BOOL", True), ("BOOL", True))


def test_what_contains_what() -> None:
    """A text a text, a set or a list a member; nothing contains, or is contained, by what is absent."""
    texts, numbers = typed_value("SS", ["a"]), typed_value("L", [{"N": "1"}, {"S": "b"}])
    assert _contains(("S", "abc"), ("S", "b")) and _contains(("B", b"abc"), ("B", b"b"))
    assert not _contains(("S", "a1"), ("N", Decimal(1))) and not _contains(("S", "abc"), ("S", "x"))
    assert _contains(texts, ("S", "a")) and not _contains(texts, ("B", b"a"))
    assert _contains(numbers, ("N", Decimal(1))) and _contains(numbers, ("S", "b"))
    assert not _contains(numbers, ("S", "1"))
    assert not _contains(("N", Decimal(1)), ("N", Decimal(1))) and not _contains(
        typed_value("M", {}), ("S", "a")
    )
    assert not _contains(None, ("S", "a")) and not _contains(texts, None)
