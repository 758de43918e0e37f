"""The measured operations, for any contender. Each reads every field of every object that it gets."""

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
"""The measured operations, with their titles."""
START = "import + client + first call"
"""The title of a start, which is measured in a new process."""

WRITE_COUNT = 25


def operations(contender: Contender) -> dict[str, Callable[[], Any]]:
    """The operations by row. Each call uses other keys and values."""
    calls = _of_kind(contender, "plain")
    nested = _of_kind(contender, "nested")
    del nested["batch_write"], nested["lookups"]
    return {**calls, **{f"nested_{row}": call for row, call in nested.items()}}


def _of_kind(contender: Contender, kind: str) -> dict[str, Callable[[], Any]]:
    read = reader(kind, contender.attributes)
    keys = [item_id(number) for number in range(ITEMS)]
    key, start = cycle(keys[:PAGE]), cycle(range(0, ITEMS, PAGE))
    arguments = [contender.put_argument(values(kind, number)) for number in range(WRITE_COUNT)]
    argument = cycle(arguments)

    def batch_get() -> Any:
        offset = next(start)
        return contender.batch_get(kind, keys[offset : offset + PAGE], read)

    return {
        "batch_get": batch_get,
        "get": lambda: contender.get(kind, next(key), read),
        "query": lambda: contender.query(kind, team(next(start)), read),
        "put": lambda: contender.put(kind, next(argument)),
        "batch_write": lambda: contender.batch_put(kind, arguments),
        "lookups": lambda: contender.lookups(kind, keys, read),
    }


class Wrong(Exception):
    """A contender returned or stored a wrong value."""


def verify(contender: Contender, last_write: Callable[[], dict[str, Any]]) -> None:
    """Compares every field of every object that a contender reads or writes with the expected value.

    Args:
        last_write: returns the body of the last write that the server got.
    """
    for kind in FIELDS:
        _verify_reads(contender, kind)
        numbers = range(WRITE_COUNT)
        contender.put(kind, contender.put_argument(values(kind, 7)))
        _require_same_items(contender, kind, [_put_item(last_write())], [7])
        contender.batch_put(kind, [contender.put_argument(values(kind, number)) for number in numbers])
        _require_same_items(contender, kind, _batch_items(last_write()), numbers)


def _verify_reads(contender: Contender, kind: str) -> None:
    read = reader(kind, contender.attributes)
    keys = [item_id(number) for number in range(ITEMS)]
    _require_same_objects(contender, kind, [contender.get(kind, keys[7], read)], [7])
    _require_same_objects(contender, kind, contender.batch_get(kind, keys[:PAGE], read), range(PAGE))
    _require_same_objects(
        contender, kind, contender.query(kind, team(2 * PAGE), read), range(2 * PAGE, 3 * PAGE)
    )
    if kind == "plain":
        _require_same_objects(contender, kind, contender.batch_get(kind, keys, read), range(ITEMS))


def _require_same_objects(contender: Contender, kind: str, objects: list[Any], numbers: Any) -> None:
    _require_equal(
        [contender.field_values(kind, instance) for instance in objects],
        [values(kind, number) for number in numbers],
    )


def _require_equal(objects: list[dict[str, Any]], expected_objects: list[dict[str, Any]]) -> None:
    by_id = {values["item_id"]: values for values in objects}
    if len(objects) != len(expected_objects) or len(by_id) != len(objects):
        raise Wrong(
            f"{len(objects)} objects ({len(by_id)} different ones) instead of {len(expected_objects)}"
        )
    for expected_values in expected_objects:
        actual = by_id.get(expected_values["item_id"])
        if actual is None or any(actual[name] != value for name, value in expected_values.items()):
            raise Wrong(f"{actual} instead of {expected_values}")


def _put_item(request: dict[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = request["Item"]
    return item


def _batch_items(request: dict[str, Any]) -> list[dict[str, Any]]:
    ((_, puts),) = request["RequestItems"].items()
    return [put["PutRequest"]["Item"] for put in puts]


def _require_same_items(contender: Contender, kind: str, items: list[dict[str, Any]], numbers: Any) -> None:
    objects: list[dict[str, Any]] = [{name: untyped(item[name]) for name in FIELDS[kind]} for item in items]
    if contender.sets_are_lists:
        for item in objects:
            item["tags"] = set(item["tags"])
    _require_equal(objects, [values(kind, number) for number in numbers])
