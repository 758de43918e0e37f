"""The unit of work: objects to be written or deleted at the next commit, in the order they were named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from dynamo_bao.instances import Home
from dynamo_bao.keys import Key


class Entry(NamedTuple):
    """One object of a unit of work.

    Attributes:
        instance: the object.
        home, tenant: where it is written, and for whom.
        deletes: whether it is deleted and not saved.
        overwrite: whether a new one may replace an item that is stored.
        key, primary_id: which item a new one was when it was added; None for one that was stored then.
    """

    instance: Any
    home: Home
    tenant: str | None
    deletes: bool = False
    overwrite: bool = False
    key: Key | None = None
    primary_id: str = ""

    @property
    def is_new(self) -> bool:
        """Whether the object was not stored when it was added."""
        return self.key is not None


class Work:
    """The entries of one session that are not committed yet; one for each object."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}

    def add(self, entries: Iterable[Entry]) -> None:
        """Notes entries; what was asked last of an object counts."""
        known = self._entries
        for entry in entries:
            known[id(entry.instance)] = entry

    def of(self, instance: Any) -> Entry | None:
        """The entry of an object, None where it has none."""
        return self._entries.get(id(instance))

    def drop(self, entries: Iterable[Entry]) -> None:
        """Forgets entries, because they are written or withdrawn."""
        known = self._entries
        for entry in entries:
            known.pop(id(entry.instance), None)

    def all(self) -> list[Entry]:
        """Every entry, in order."""
        return list(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)
