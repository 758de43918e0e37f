"""The unit of work: objects that the next commit writes or deletes, in the order of the calls."""

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
        mapper, tenant: the repository and the tenant of the write.
        deletes: whether the object is deleted instead of saved.
        overwrite: whether a new object may replace a stored item.
        key, primary_id: the key of a new object when it was added; None and "" for a stored object.
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
    """The outcome of a commit; see `Session.last_commit`.

    Attributes:
        done: the objects that were written.
        not_done: the objects that were not written; they stay in the session.
        unknown: the objects whose outcome is unknown; they stay in the session too.
    """

    done: tuple[Any, ...] = ()
    not_done: tuple[Any, ...] = ()
    unknown: tuple[Any, ...] = ()

    def by_reference(self) -> Callable[[], CommitFigures]:
        """A function that returns these figures. If all objects were written, it holds them weakly."""
        if self.not_done or self.unknown:
            return lambda: self
        references = [ref(instance) for instance in self.done]
        return lambda: CommitFigures(
            tuple(
                [instance for instance in (reference() for reference in references) if instance is not None]
            )
        )


class UnitOfWork:
    """The uncommitted entries of one session, one for each object."""

    def __init__(self) -> None:
        self._entries: dict[int, PendingWrite] = {}

    def add(self, entries: Iterable[PendingWrite]) -> None:
        """Adds entries. The last entry of an object counts."""
        for entry in entries:
            self._entries[id(entry.instance)] = entry

    def of(self, instance: Any) -> PendingWrite | None:
        """The entry of an object, or None."""
        return self._entries.get(id(instance))

    def drop(self, entries: Iterable[PendingWrite]) -> None:
        """Removes entries that were written or withdrawn."""
        for entry in entries:
            self._entries.pop(id(entry.instance), None)

    def all(self) -> list[PendingWrite]:
        """Every entry, in order."""
        return list(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)
