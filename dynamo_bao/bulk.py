"""A commit of nothing but new objects that are put without looking: the shortest way there is.

What is usual for other changes, an object for each that knows how to plan, merge, show and undo it, is here made
only where something of the commit was not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from dynamo_bao.changes import Creation
from dynamo_bao.codec import STATE
from dynamo_bao.database import Database
from dynamo_bao.expressions.conditions import EMPTY
from dynamo_bao.filling import absorb_own
from dynamo_bao.hooks import has_hooks
from dynamo_bao.identities import Identity
from dynamo_bao.instances import Home, State, Status, values_in
from dynamo_bao.items import Stored
from dynamo_bao.schema import Schema
from dynamo_bao.session.session import Session
from dynamo_bao.session.work import Entry
from dynamo_bao.transport.batches import TableKey
from dynamo_bao.writes.plans import Subject

_TRANSIENT = Status.TRANSIENT  # read often


class Bulk(NamedTuple):
    """The entries of a unit of work, each with its item as it travels.

    Attributes:
        database: where they are written.
        puts: of each entry the table and key, and the item.
    """

    session: Session
    database: Database
    entries: Sequence[Entry]
    puts: Sequence[tuple[TableKey, Stored]]

    @classmethod
    def of(cls, session: Session, entries: Sequence[Entry]) -> Bulk | None:
        """What is written for these entries; None where one of them is anything but such an object, or not simple."""
        puts, database = list[tuple[TableKey, Stored]](), entries[0].home.database
        for home, some in groupby(entries, attrgetter("home")):
            if home.database is not database or not _is_simple(home):
                return None
            schema, own, table = home.schema, session.own_objects(home), database.table_name
            single = schema.single if len(schema.key_names) == 1 else None
            for instance, _, tenant, deletes, overwrite, identity in some:
                values = values_in(instance)
                state: State = values[STATE]
                if deletes or identity is None or state.status is not _TRANSIENT:
                    return None
                same_key = values[single] is identity.values[single] if single else identity.of(values)
                if own.get(identity.key) is not instance or not same_key:
                    return None
                if not (overwrite or is_made_here(schema, state, identity)):
                    return None
                text = schema.spell(values)
                if text is None:
                    return None
                puts.append(((table, identity.key), schema.spelled(text, tenant, identity, values)))
        return cls(session, database, entries, puts)

    def settle(self) -> None:
        """All of it is stored: the objects are known to be."""
        for (instance, home, tenant, _, _, identity), (_, item) in zip(self.entries, self.puts, strict=True):
            assert identity is not None
            absorb_own(instance, home, tenant, self.session, identity, item)
        self.session.committed(self.entries)

    def changes(self) -> list[Creation]:
        """The same as changes, of which each may have had its own outcome."""
        return [self._change(entry, item) for entry, (_, item) in zip(self.entries, self.puts, strict=True)]

    def _change(self, entry: Entry, item: Stored) -> Creation:
        instance, home, tenant, _, _, identity = entry
        assert identity is not None
        subject, values = Subject(home.schema, tenant, identity), dict[str, Any](values_in(instance))
        change = Creation(home, self.session, subject, instance, EMPTY, values, item, by_save=True)
        change.overwrite = entry.overwrite
        return change


def is_made_here(schema: Schema, state: State, identity: Identity) -> bool:
    """Whether no other item can have the key, and nothing else has to be looked at when a new object is stored."""
    if schema.constraints or schema.versioned or not state.generated:
        return False
    return any(identity.values.get(name) == value for name, value in state.generated.items())


def _is_simple(home: Home) -> bool:
    """Whether nothing is done for objects of a model beside their being written."""
    return home.schema.text_keys is not None and not has_hooks(home.model)
