"""The unit of work: objects to be written or deleted at the next commit, in the order they were named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import ref

from attrs import frozen

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.session.state import ModelMapper


class PendingWrite(NamedTuple):
    """One object of a unit of work.

    Attributes:
        instance: the object.
        mapper, tenant: where it is written, and for whom.
        deletes: whether it is deleted and not saved.
        overwrite: whether a new one may replace an item that is stored.
        key, primary_id: which item a new one was when it was added; None for one that was stored then.
    """

    instance: Any
    mapper: ModelMapper
    tenant: str | None
    deletes: bool = False
    overwrite: bool = False
    key: Key | None = None
    primary_id: str = ""

    @property
    def is_new(self) -> bool:
        """Whether the object was not stored when it was added."""
        return self.key is not None


@frozen
class CommitFigures:
    """What became of the objects of one commit; see `Session.last_commit`.

    Attributes:
        done: the objects that are written.
        not_done: those that are not; they stay in the session.
        unknown: those of which nobody knows; they stay in the session too.
    """

    done: tuple[Any, ...] = ()
    not_done: tuple[Any, ...] = ()
    unknown: tuple[Any, ...] = ()

    def by_reference(self) -> Callable[[], CommitFigures]:
        """A function that gives these figures; where all is written, only with the objects still in use then."""
        if self.not_done or self.unknown:
            return lambda: self
        alive = [ref(instance) for instance in self.done]
        return lambda: CommitFigures(tuple([one for one in (get() for get in alive) if one is not None]))


class UnitOfWork:
    """The entries of one session that are not committed yet; one for each object."""

    def __init__(self) -> None:
        self._entries: dict[int, PendingWrite] = {}

    def add(self, entries: Iterable[PendingWrite]) -> None:
        """Notes entries; what was asked last of an object counts."""
        known = self._entries
        for entry in entries:
            known[id(entry.instance)] = entry

    def of(self, instance: Any) -> PendingWrite | None:
        """The entry of an object, None where it has none."""
        return self._entries.get(id(instance))

    def drop(self, entries: Iterable[PendingWrite]) -> None:
        """Forgets entries, because they are written or withdrawn."""
        known = self._entries
        for entry in entries:
            known.pop(id(entry.instance), None)

    def all(self) -> list[PendingWrite]:
        """Every entry, in order."""
        return list(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)
