"""Pending lookups, and the plan of the requests that answer them.

A plan is a pure value: the same lookups always give the same requests in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from attrs import define, field, frozen

from dynamo_bao.database import Database
from dynamo_bao.instances import state_of
from dynamo_bao.keys import Key
from dynamo_bao.session.identity import ItemKey
from dynamo_bao.transport.batches import Batch, TableKey
from dynamo_bao.transport.messages import Transport
from dynamo_bao.wire import MAX_BATCH_GET_KEYS

Wanted = tuple[Database, Key, bool, Any]
"""One key to read: where, how (whether consistently), and for whom."""
Callers = dict[str, dict[Key, Any]]
"""By table, the keys to read there, each with the one who wants it."""


@frozen
class PlannedBatch:
    """One request to come, and through which database it travels.

    Attributes:
        callers: who wants the keys of the batch.
        others: who else wants some of them.
    """

    database: Database
    batch: Batch
    callers: Callers = field(factory=dict, eq=False, repr=False)
    others: Mapping[TableKey, list[Any]] = field(factory=dict, eq=False, repr=False)

    @property
    def transport(self) -> Transport:
        """The client that carries it."""
        return self.database.transport


@define
class _Sought:
    """The keys that are wanted at one client, each with those who want it."""

    database: Database
    eventually: Callers = field(factory=dict)
    consistently: Callers = field(factory=dict)
    others: dict[TableKey, list[Any]] = field(factory=dict)

    def add(self, table: str, key: Key, consistent: bool, caller: Any) -> None:
        """Notes a key that is wanted consistently, or was wanted before."""
        plain, strict = self.eventually.setdefault(table, {}), self.consistently.setdefault(table, {})
        if key in plain or key in strict:
            self.others.setdefault((table, key), []).append(caller)
            if consistent and key in plain:
                strict[key] = plain.pop(key)
        else:
            (strict if consistent else plain)[key] = caller

    def batches(self) -> Iterator[PlannedBatch]:
        """The requests for them, of at most 100 keys."""
        for consistent, callers in ((False, self.eventually), (True, self.consistently)):
            for part in _hundreds(callers):
                yield PlannedBatch(self.database, Batch(part, consistent), part, self.others)


def plan_reads(wanted: Iterable[Wanted]) -> tuple[PlannedBatch, ...]:
    """The fewest batches for the wanted keys: ``ceil(n / 100)`` per client and consistency.

    Keys wanted both ways are read once, consistently. The order is that of the lookups, table by table.
    """
    clients: dict[int, _Sought] = {}
    last: Database | None = None
    for database, key, consistent, caller in wanted:
        if database is not last:  # most lookups of a round are of one database
            last, table = database, database.table_name
            sought = clients.setdefault(id(database.transport), _Sought(database))
            plain = sought.eventually.setdefault(table, {})
        if consistent or key in plain or sought.consistently:
            sought.add(table, key, consistent, caller)
        else:
            plain[key] = caller
    return tuple(planned for sought in clients.values() for planned in sought.batches())


def _hundreds(callers: Callers) -> Iterator[Callers]:
    """The keys in parts of 100, as many as one request may have; fewer in the last."""
    count = sum(map(len, callers.values()))
    if count <= MAX_BATCH_GET_KEYS:
        part = {table: keys for table, keys in callers.items() if keys}
        if part:
            yield part
        return
    every = ((table, key, caller) for table, keys in callers.items() for key, caller in keys.items())
    for _ in range(0, count, MAX_BATCH_GET_KEYS):
        part = {}
        for table, key, caller in islice(every, MAX_BATCH_GET_KEYS):
            part.setdefault(table, {})[key] = caller
        yield part


class Lookups:
    """The lookups of one session that nobody has looked at yet, in the order they were made.

    Attributes:
        pending: the instances by key.
        strict: the keys that are to be read consistently.
    """

    def __init__(self) -> None:
        self.pending: dict[ItemKey, Any] = {}
        self.strict: set[ItemKey] = set()

    def add(self, key: ItemKey, instance: Any) -> None:
        """Registers `instance`, which is pending, for the next round."""
        self.pending.setdefault(key, instance)
        if state_of(instance).wants_consistent:
            self.strict.add(key)

    def discard(self, key: ItemKey) -> None:
        """Forgets a lookup that was answered otherwise."""
        self.pending.pop(key, None)
        self.strict.discard(key)

    def take(self) -> list[Wanted]:
        """All pending lookups as keys to read for their instances; they are then no longer pending here."""
        taken, strict, self.pending, self.strict = self.pending, self.strict, {}, set()
        if strict:
            return [(key[0].database, key[1], key in strict, instance) for key, instance in taken.items()]
        return [(key[0].database, key[1], False, instance) for key, instance in taken.items()]

    def put_back(self, instances: Iterable[Any]) -> None:
        """Makes lookups that went unanswered pending again, ahead of those made since."""
        since, self.pending = self.pending, {}
        for instance in instances:
            state = state_of(instance)
            assert state.home is not None and state.key is not None
            self.add((state.home, state.key), instance)
        self.pending |= since

    def __len__(self) -> int:
        return len(self.pending)

    def __contains__(self, key: ItemKey) -> bool:
        return key in self.pending
