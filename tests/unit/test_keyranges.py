"""The range of a query's sort key, of which every item of its reply must be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dynamo_bao.transport.keyranges import KeyRange

RANGES = [
    ("=", ("b",), ["b"], ["a", "c"]),
    ("<", ("b",), ["a", "az"], ["b", "c"]),
    ("<=", ("b",), ["a", "b"], ["ba", "c"]),
    (">", ("b",), ["ba", "c"], ["a", "b"]),
    (">=", ("b",), ["b", "c"], ["a", "az"]),
    ("between", ("b", "d"), ["b", "c", "d"], ["a", "da"]),
    ("begins_with", ("b",), ["b", "bz", "b\U0001f600"], ["a", "c"]),
]


@pytest.mark.parametrize(("operator", "operands", "inside", "outside"), RANGES)
def test_one_key_outside_of_the_range_is_seen_wherever_it_stands(
    operator: str, operands: tuple[str, ...], inside: list[str], outside: list[str]
) -> None:
    """The pages are in either order, and a damaged one in none."""
    asked = KeyRange("pk", "p", "sk", operator, operands)

    def holds(texts: list[str]) -> bool:
        return asked.holds([{"pk": {"S": "p"}, "sk": {"S": text}} for text in texts])

    assert holds(inside)
    for text in outside:
        for place in range(len(inside) + 1):
            assert not holds([*inside[:place], text, *inside[place:]])


def _row(pk: str, sk: str, partition: str, sort: str) -> Any:
    texts = {"_pk": pk, "_sk": sk, "_gsi1_pk": partition, "_gsi1_sk": sort}
    return SimpleNamespace(**{name: SimpleNamespace(S=text) for name, text in texts.items()})


@pytest.mark.parametrize(
    ("names", "sorted_by"),
    [(("_pk", "_sk"), None), (("_pk", "_sk"), "_sk"), (("_gsi1_pk", "_gsi1_sk"), "_gsi1_sk")],
)
def test_rows_are_looked_at_once_for_partition_range_and_doubles(
    names: tuple[str, str], sorted_by: str | None
) -> None:
    """What is held each once is held, and no row is there twice; what is not is looked at more closely."""
    span = KeyRange(names[0], "p", sorted_by, "between" if sorted_by else "", ("b", "d") if sorted_by else ())
    rows = [_row("p", sk, "p", sk) for sk in "bcd"]
    assert span.holds_each_once(rows) and span.holds(rows)
    assert not span.holds_each_once([*rows, rows[0]])
    assert not span.holds_each_once([*rows, _row("q", "c", "q", "c")])
    assert not span.holds_each_once([*rows, SimpleNamespace(_pk=None, _sk=None, _gsi1_pk=None)])
    assert not span.holds_each_once([{"_pk": {"S": "p"}, "_sk": {"S": "b"}}])
    assert span.holds_each_once([*rows, _row("p", "e", "p", "e")]) is (sorted_by is None)
