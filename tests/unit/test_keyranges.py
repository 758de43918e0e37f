"""The range of a query's sort key, of which every item of its reply must be."""

from __future__ import annotations

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
