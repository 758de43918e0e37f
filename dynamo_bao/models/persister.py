"""The write side of sessions: the objects of a unit of work go through the repositories of their models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from dynamo_bao.models.late import write_side
from dynamo_bao.models.registry import repository_of
from dynamo_bao.models.repository_writes import RepositoryWrites
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance, ModelMapper
from dynamo_bao.session.unit_of_work import PendingWrite


class RepositoryPersister:
    """Checks and writes the objects of a unit of work; see `Persister`."""

    def pending_writes(
        self,
        session: Session,
        instances: Sequence[Instance],
        *,
        deletes: bool = False,
        overwrite: bool = False,
    ) -> list[PendingWrite]:
        """The entries of a unit of work for objects that the next commit saves or deletes.

        Raises:
            TypeError: for an object that is not a model instance.
            BaoError: if an object cannot be written.
        """
        entries: list[PendingWrite] = []
        for model, members in groupby(instances, type):
            if not issubclass(model, Instance):
                raise TypeError(f"add() and delete() take model instances, not {model.__name__}.")
            entries += write_side.register_objects(
                repository_of(model), session, members, deletes=deletes, overwrite=overwrite
            )
        return entries

    def commit(self, session: Session, entries: Sequence[PendingWrite], *, atomic: bool) -> None:
        """Writes entries of a unit of work. Written ones leave it, and the others stay."""
        write_side.commit(session, entries, _changes_of, atomic=atomic)


def _changes_of(session: Session, entries: Sequence[PendingWrite]) -> list[write_side.Change | None]:
    """The changes of entries at the commit, after the hooks before them; None if nothing changed."""
    changes: list[write_side.Change | None] = []
    for mapper, mapper_entries in groupby(entries, attrgetter("mapper")):
        changes += _repository(mapper)._changes_for(session, mapper_entries)
    return changes


def _repository(mapper: ModelMapper) -> RepositoryWrites[Instance]:
    assert isinstance(mapper, RepositoryWrites)
    return mapper
