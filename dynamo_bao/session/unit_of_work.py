"""The unit of work: objects that the next commit writes or deletes, in the order of the calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import is_, itemgetter
from typing import Any
from weakref import ref

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.errors import UncommittedChangesError
from dynamo_bao.runtime.late_libraries import logging
from dynamo_bao.runtime.logs import late_logger, log_fields
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.runtime.records import Factory, define, frozen
from dynamo_bao.session.state import Instance, ModelMapper

log: logging.Logger = late_logger("dynamo_bao.session")


class PendingWrite(NamedTuple):
    """One object of a unit of work.

    Attributes:
        instance: the object.
        mapper, tenant: the repository and the tenant of the write.
        deletes: whether the object is deleted instead of saved.
        overwrite: whether a new object may replace a stored item.
        key, primary_id: the key of a new object when it was added; None and "" for a stored object.
    """

    instance: Instance
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


instance_of: Callable[[PendingWrite], Instance] = itemgetter(0)  # faster than by name
"""The object of an entry."""


def _numbers(entries: Iterable[PendingWrite]) -> Iterable[int]:
    """The numbers by which a unit of work knows entries: the ids of their objects."""
    return map(id, map(instance_of, entries))


@frozen
class CommitFigures:
    """The outcome of a commit; see `Session.last_commit`.

    Attributes:
        done: the objects that were written.
        not_done: the objects that were not written; they stay in the session.
        unknown: the objects whose outcome is unknown; they stay in the session too.

    Example:
        >>> session.commit()
        >>> print(len(session.last_commit.done), "objects were written")
    """

    done: tuple[Any, ...] = ()
    not_done: tuple[Any, ...] = ()
    unknown: tuple[Any, ...] = ()

    def by_reference(self) -> Callable[[], CommitFigures]:
        """A function that returns these figures. If all objects were written, it holds them weakly.

        Returns:
            The function. It takes no arguments.
        """
        if self.not_done or self.unknown:
            return lambda: self
        references = list(map(ref, self.done))
        return lambda: CommitFigures(
            tuple(
                [instance for instance in (reference() for reference in references) if instance is not None]
            )
        )


@define(eq=False)
class UnitOfWork:
    """The uncommitted entries of one session, one for each object, and the outcome of its last commit."""

    _entries: dict[int, PendingWrite] = Factory(dict)
    _figures: Callable[[], CommitFigures] | None = None

    def add(self, entries: Sequence[PendingWrite]) -> None:
        """Adds entries. The last entry of an object counts."""
        own_entries = self._entries
        for entry in entries:
            own_entries[id(instance_of(entry))] = entry

    def of(self, instance: Instance) -> PendingWrite | None:
        """The entry of an object, or None."""
        return self._entries.get(id(instance))

    def drop(self, entries: Sequence[PendingWrite]) -> None:
        """Removes entries that were written or withdrawn."""
        if len(entries) == len(self._entries) and all(map(is_, self._entries.values(), entries)):
            self._entries.clear()  # the usual case
            return
        for number in _numbers(entries):
            self._entries.pop(number, None)

    def all(self) -> list[PendingWrite]:
        """Every entry, in order."""
        return list(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    # --- the outcome of the last commit ------------------------------------------------------------

    @property
    def last_commit(self) -> CommitFigures | None:
        """The outcome of the last commit so far; None before the first one."""
        return None if self._figures is None else self._figures()

    def report(self, figures: Callable[[], CommitFigures]) -> None:
        """Sets the function that `last_commit` calls for its value."""
        self._figures = figures

    def forget_written(self, entries: Sequence[PendingWrite], figures: CommitFigures) -> None:
        """Removes written entries, and records the outcome of their commit."""
        self.drop(entries)
        self.report(figures.by_reference())

    def require_committed(self, error: BaseException | None) -> None:
        """Reports entries that were neither committed nor rolled back, and removes them. The session is closed.

        Args:
            error: the exception that ends the block. With one, the report is a log line; else it is an exception.

        Raises:
            UncommittedChangesError: if there are such entries, and no `error`.
        """
        entries = self.all()
        if not entries:
            return
        self.drop(entries)
        text = (
            f"{len(entries)} objects were added or deleted and never committed; nothing of them is written. "
        )
        if error is not None:
            tables = [entry.mapper.database.table_name for entry in entries]
            fields = log_fields("commit", tables, len(entries))
            log.warning("%sThe block was left with %r.", text, error, extra=fields)
            return
        raise UncommittedChangesError(
            text + "Call session.commit() before the block ends, or session.rollback() to drop them.",
            not_done=[entry.instance for entry in entries],
        )
