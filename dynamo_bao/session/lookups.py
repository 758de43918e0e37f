"""Pending lookups, and the plan of the requests that answer them.

A plan is a pure value: the same lookups always give the same requests in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from attrs import field, frozen

from dynamo_bao.database import Database
from dynamo_bao.keys import Key
from dynamo_bao.session.identity import ItemKey
from dynamo_bao.transport.batches import Batch, TableKey
from dynamo_bao.transport.messages import Transport
from dynamo_bao.wire import MAX_BATCH_GET_KEYS


class Wanted(NamedTuple):
    """One key to read: where, how, and for whom."""

    database: Database
    key: Key
    consistent: bool
    caller: Any = None


@frozen
class PlannedBatch:
    """One request to come, and through which database it travels.

    Attributes:
        callers: for each key of the batch, those who want it.
    """

    database: Database
    batch: Batch
    callers: tuple[Sequence[Any], ...] = field(default=(), eq=False, repr=False)

    @property
    def transport(self) -> Transport:
        """The client that carries it."""
        return self.database.transport


class _Sought:
    """The keys that are wanted at one client, each with those who want it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.eventually: dict[TableKey, list[Any]] = {}
        self.consistently: dict[TableKey, list[Any]] = {}


def plan_reads(wanted: Iterable[Wanted]) -> tuple[PlannedBatch, ...]:
    """The fewest batches for the wanted keys: ``ceil(n / 100)`` per client and consistency.

    Keys wanted both ways are read once, consistently. The order is that of the lookups.
    """
    clients: dict[int, _Sought] = {}
    last: Database | None = None
    sought: _Sought | None = None
    for database, key, consistent, caller in wanted:
        if sought is None or database is not last:  # most lookups of a round are of one database
            last, sought = database, clients.setdefault(id(database.transport), _Sought(database))
        plain, strict = sought.eventually, sought.consistently
        table_key = database.table_name, key
        if consistent:
            strict.setdefault(table_key, plain.pop(table_key, [])).append(caller)
        elif table_key in strict:
            strict[table_key].append(caller)
        elif table_key in plain:
            plain[table_key].append(caller)
        else:
            plain[table_key] = [caller]
    return tuple(
        planned
        for sought in clients.values()
        for consistent, keys in ((False, sought.eventually), (True, sought.consistently))
        for planned in _batches(sought.database, keys, consistent)
    )


def _batches(database: Database, keys: dict[TableKey, list[Any]], consistent: bool) -> Iterator[PlannedBatch]:
    wanted, callers = tuple(keys), tuple(keys.values())
    for start in range(0, len(wanted), MAX_BATCH_GET_KEYS):
        part = slice(start, start + MAX_BATCH_GET_KEYS)
        yield PlannedBatch(database, Batch(wanted[part], consistent), callers[part])


class Lookups:
    """The lookups of one session that nobody has looked at yet, in the order they were made.

    Attributes:
        pending: the instances by key.
    """

    def __init__(self) -> None:
        self.pending: dict[ItemKey, Any] = {}

    def add(self, key: ItemKey, instance: Any) -> None:
        """Registers `instance`, which is pending, for the next round."""
        self.pending.setdefault(key, instance)

    def discard(self, key: ItemKey) -> None:
        """Forgets a lookup that was answered otherwise."""
        self.pending.pop(key, None)

    def take(self) -> dict[ItemKey, Any]:
        """All pending lookups, which are then no longer pending here."""
        taken, self.pending = self.pending, {}
        return taken

    def put_back(self, lookups: dict[ItemKey, Any]) -> None:
        """Makes lookups that went unanswered pending again, ahead of those made since."""
        self.pending = {**lookups, **self.pending}

    def __len__(self) -> int:
        return len(self.pending)

    def __contains__(self, key: ItemKey) -> bool:
        return key in self.pending
