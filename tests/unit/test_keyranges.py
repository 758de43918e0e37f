"""The range of a query's sort key, of which every item of its reply must be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dynamo_bao.dynamodb.transport.key_ranges import KeyRange, key_range

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
    of_table = "p" if names[0] == "_pk" else "t"
    rows = [_row(of_table, sk, "p", sk) for sk in "bcd"]
    assert span.holds_each_once(rows) and span.holds(rows)
    assert not span.holds_each_once([*rows, rows[0]])
    assert not span.holds_each_once([*rows, _row("q", "c", "q", "c")])
    assert not span.holds_each_once([*rows, SimpleNamespace(_pk=None, _sk=None, _gsi1_pk=None)])
    assert not span.holds_each_once([{"_pk": {"S": "p"}, "_sk": {"S": "b"}}])
    assert span.holds_each_once([*rows, _row(of_table, "e", "p", "e")]) is (sorted_by is None)


NAMES = {"#p": "_pk", "#s": "_sk"}
VALUES = {":p": {"S": "p"}, ":a": {"S": "a"}, ":b": {"S": "b"}, ":n": {"N": "1"}}
FORMS = {
    "#p = :p": KeyRange("_pk", "p"),
    "(#p = :p AND #s = :a)": KeyRange("_pk", "p", "_sk", "=", ("a",)),
    "#p = :p AND #s <= :a": KeyRange("_pk", "p", "_sk", "<=", ("a",)),
    "#p = :p AND (#s > :a)": KeyRange("_pk", "p", "_sk", ">", ("a",)),
    "(#p = :p AND (#s BETWEEN :a AND :b))": KeyRange("_pk", "p", "_sk", "between", ("a", "b")),
    "#p = :p AND begins_with(#s, :a)": KeyRange("_pk", "p", "_sk", "begins_with", ("a",)),
    "_pk = :p AND _sk < :b": KeyRange("_pk", "p", "_sk", "<", ("b",)),
    # what cannot be told
    "": None,
    "#p > :p": None,
    "#p = :n": None,
    "#p = :gone": None,
    "#p = :p AND #s = :n": None,
    "#p = :p AND #s BETWEEN :a AND :n": None,
    "#p = :p AND #s <> :a": None,
    "#p = :p AND #s = :a AND #s = :b": None,
    "#p = :p AND size(#s) = :a": None,
}


@pytest.mark.parametrize("expression", FORMS)
def test_the_range_is_read_from_the_request(expression: str) -> None:
    """With and without placeholders and parentheses; none where it is not of texts, or of another form."""
    parameters = {
        "KeyConditionExpression": expression,
        "ExpressionAttributeNames": NAMES,
        "ExpressionAttributeValues": VALUES,
    }
    assert key_range(parameters) == FORMS[expression]
    assert key_range({"KeyConditionExpression": expression}) is None


@pytest.mark.parametrize(
    "item",
    [{}, {"pk": {"S": "p"}}, {"pk": {"N": "1"}, "sk": {"S": "b"}}, {"pk": {"S": "p"}, "sk": {"N": "1"}}],
)
def test_an_item_without_its_keys_as_texts_is_in_no_range(item: dict[str, dict[str, str]]) -> None:
    """Beside items that are in it too."""
    good = {"pk": {"S": "p"}, "sk": {"S": "b"}}
    asked = KeyRange("pk", "p", "sk", "=", ("b",))
    assert asked.holds([good])
    assert not asked.holds([item])
    assert not asked.holds([good, item])


def test_the_partition_is_looked_at_in_every_item() -> None:
    """Also where there is no condition on the sort key."""
    asked = KeyRange("pk", "p")
    assert asked.holds([{"pk": {"S": "p"}}, {"pk": {"S": "p"}}])
    assert not asked.holds([{"pk": {"S": "p"}}, {"pk": {"S": "q"}}])
    assert not asked.holds([{"pk": {"S": "q"}}])
