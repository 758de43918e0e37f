"""The operations that are measured, for any contender; each reads every field of every object it gets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

from benchmarks.contenders.base import Contender, reader
from benchmarks.items import FIELDS, ITEMS, PAGE, item_id, team, untyped, values

ROWS = {
    "batch_get": "batch get of 100 → objects",
    "get": "get → object",
    "query": "query page of 100 → objects",
    "put": "put",
    "batch_write": "batch write of 25",
    "lookups": "1,000 lookups",
    "nested_batch_get": "batch get of 100, with maps and lists",
    "nested_get": "get, with maps and lists",
    "nested_query": "query page of 100, with maps and lists",
    "nested_put": "put, with maps and lists",
}
"""What is measured, and what to call it."""

WRITTEN = 25


def operations(contender: Contender) -> dict[str, Callable[[], Any]]:
    """The operations by row, over different keys and values from call to call."""
    made = _of_kind(contender, "plain")
    nested = _of_kind(contender, "nested")
    del nested["batch_write"], nested["lookups"]
    return {**made, **{f"nested_{row}": call for row, call in nested.items()}}


def _of_kind(contender: Contender, kind: str) -> dict[str, Callable[[], Any]]:
    read = reader(kind, contender.attributes)
    keys = [item_id(number) for number in range(ITEMS)]
    key, start = cycle(keys[:PAGE]), cycle(range(0, ITEMS, PAGE))
    given = [contender.given(values(kind, number)) for number in range(WRITTEN)]
    one = cycle(given)

    def batch_get() -> Any:
        first = next(start)
        return contender.batch_get(kind, keys[first : first + PAGE], read)

    return {
        "batch_get": batch_get,
        "get": lambda: contender.get(kind, next(key), read),
        "query": lambda: contender.query(kind, team(next(start)), read),
        "put": lambda: contender.put(kind, next(one)),
        "batch_write": lambda: contender.batch_put(kind, given),
        "lookups": lambda: contender.batch_get(kind, keys, read),
    }


class Wrong(Exception):
    """A contender returned, or stored, something else than it should have."""


def verify(contender: Contender, written: Callable[[], dict[str, Any]]) -> None:
    """Holds every field of every object that a contender reads against what is stored, and what it writes.

    Args:
        written: the body of the last write that the server got.
    """
    for kind in FIELDS:
        _verify_reads(contender, kind)
        numbers = range(WRITTEN)
        contender.put(kind, contender.given(values(kind, 7)))
        _same_items(contender, kind, [_put_item(written())], [7])
        contender.batch_put(kind, [contender.given(values(kind, number)) for number in numbers])
        _same_items(contender, kind, _batch_items(written()), numbers)


def _verify_reads(contender: Contender, kind: str) -> None:
    read = reader(kind, contender.attributes)
    keys = [item_id(number) for number in range(ITEMS)]
    _same(contender, kind, [contender.get(kind, keys[7], read)], [7])
    _same(contender, kind, contender.batch_get(kind, keys[:PAGE], read), range(PAGE))
    _same(contender, kind, contender.query(kind, team(2 * PAGE), read), range(2 * PAGE, 3 * PAGE))
    if kind == "plain":
        _same(contender, kind, contender.batch_get(kind, keys, read), range(ITEMS))


def _same(contender: Contender, kind: str, found: list[Any], numbers: Any) -> None:
    _equal([contender.plain(kind, one) for one in found], [values(kind, number) for number in numbers])


def _equal(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    by_id = {one["item_id"]: one for one in found}
    if len(found) != len(wanted) or len(by_id) != len(found):
        raise Wrong(f"{len(found)} objects ({len(by_id)} different ones) instead of {len(wanted)}")
    for expected in wanted:
        got = by_id.get(expected["item_id"])
        if got is None or any(got[name] != value for name, value in expected.items()):
            raise Wrong(f"{got} instead of {expected}")


def _put_item(sent: dict[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = sent["Item"]
    return item


def _batch_items(sent: dict[str, Any]) -> list[dict[str, Any]]:
    ((_, puts),) = sent["RequestItems"].items()
    return [put["PutRequest"]["Item"] for put in puts]


def _same_items(contender: Contender, kind: str, sent: list[dict[str, Any]], numbers: Any) -> None:
    found: list[dict[str, Any]] = [{name: untyped(item[name]) for name in FIELDS[kind]} for item in sent]
    if contender.sets_are_lists:
        for item in found:
            item["tags"] = set(item["tags"])
    _equal(found, [values(kind, number) for number in numbers])
