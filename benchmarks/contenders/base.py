"""The operations of every contender. A key is an id, and a ``kind`` of items is ``"plain"`` or ``"nested"``.

After a read, the contender calls `read` with the list of objects. This function reads every field of each. It is part
of the measured time, and is called inside the contender's context.
"""

from __future__ import annotations

from benchmarks.items import FIELDS, PAGE, TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    ReadFields = Callable[[list[Any]], None]


class Contender:
    """One way to talk to DynamoDB, connected to `url`."""

    attributes = True
    """Whether fields are attributes of the objects, and not members of dicts."""
    sets_are_lists = False
    """Whether sets of strings may be stored as lists."""

    def __init__(self, url: str) -> None:
        raise NotImplementedError

    def get(self, kind: str, key: str, read: ReadFields) -> Any:
        """The object with an id."""
        raise NotImplementedError

    def batch_get(self, kind: str, keys: list[str], read: ReadFields) -> list[Any]:
        """The objects with these ids, in any order."""
        raise NotImplementedError

    def lookups(self, kind: str, keys: list[str], read: ReadFields) -> list[Any]:
        """The objects with these ids, each asked for by itself if the library batches such calls."""
        return self.batch_get(kind, keys, read)

    def query(self, kind: str, team: str, read: ReadFields) -> list[Any]:
        """The objects of a team."""
        raise NotImplementedError

    def put_argument(self, values: dict[str, Any]) -> Any:
        """Field values in the form that `put` takes; not part of what is measured."""
        return values

    def put(self, kind: str, values: Any) -> None:
        """Makes a new object from the values, and stores it."""
        raise NotImplementedError

    def batch_put(self, kind: str, all_values: list[Any]) -> None:
        """Makes new objects, and stores them in one request; at most 25."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes connections. It is needed only if the process continues."""

    def batch_get_body(self, keys: list[str]) -> bytes:
        """The body of the ``BatchGetItem`` for these ids, to get the same items as parsed JSON."""
        key_list = ", ".join(f'{{"item_id": {{"S": "{key}"}}}}' for key in keys)
        return f'{{"RequestItems": {{"{TABLES["plain"]}": {{"Keys": [{key_list}]}}}}}}'.encode()

    def field_values(self, kind: str, instance: Any) -> dict[str, Any]:
        """The field values of an object, to compare with what is stored."""
        return {name: getattr(instance, name) for name in FIELDS[kind]}


def reader(kind: str, attributes: bool) -> ReadFields:
    """A function that reads every field of the objects in a list, without a function call for each."""
    look = "one.{}" if attributes else 'one["{}"]'
    looks = "; ".join(look.format(name) for name in FIELDS[kind])
    names: dict[str, Any] = {}
    exec(f"def read(found):\n    for one in found:\n        {looks}", names)  # our own text
    read: ReadFields = names["read"]
    return read


def hundreds(keys: list[str]) -> Iterator[list[str]]:
    """The keys in lists of 100, the limit of one request."""
    for start in range(0, len(keys), PAGE):
        yield keys[start : start + PAGE]
