"""Pending lookups, and the plan of the requests that answer them.

A plan is a pure value: the same lookups always give the same requests in the same order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from attrs import define, field, frozen

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import MAX_BATCH_GET_KEYS
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.batch_get import Batch, TableKey
from dynamo_bao.dynamodb.transport.messages import Transport
from dynamo_bao.mapping.row_types import row_type
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.session.identity_map import ItemKey
from dynamo_bao.session.state import ModelMapper, state_of

PendingKeys = tuple[Database, bool, Mapping[Key, Any], Schema | None]
"""Keys to read: where, how (whether consistently), each with the one who wants it, and of which model's items.

Without a model the items come as dicts, with one as rows, if possible.
"""
Requesters = dict[str, Mapping[Key, Any]]
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
    callers: Requesters = field(factory=dict, eq=False, repr=False)
    others: Mapping[TableKey, list[Any]] = field(factory=dict, eq=False, repr=False)

    @property
    def transport(self) -> Transport:
        """The client that carries it."""
        return self.database.transport


@define(eq=False)
class _TableRequest:
    """The keys that are wanted at one client, each with those who want it."""

    database: Database
    eventually: dict[str, dict[Key, Any]] = field(factory=dict)
    consistently: dict[str, dict[Key, Any]] = field(factory=dict)
    others: dict[TableKey, list[Any]] = field(factory=dict)
    schemas: dict[Schema | None, None] = field(factory=dict)

    def add(self, table: str, consistent: bool, callers: Mapping[Key, Any]) -> None:
        """Notes keys of a table. One that is wanted again is read once, consistently if anybody wants that."""
        plain, strict = self.eventually.get(table), self.consistently.get(table)
        if not plain and not strict:  # as nearly always
            (self.consistently if consistent else self.eventually)[table] = dict(callers)
            return
        plain, strict = self.eventually.setdefault(table, {}), self.consistently.setdefault(table, {})
        for key, caller in callers.items():
            if key not in plain and key not in strict:
                (strict if consistent else plain)[key] = caller
                continue
            self.others.setdefault((table, key), []).append(caller)
            if consistent and key in plain:
                strict[key] = plain.pop(key)

    def batches(self) -> Iterator[PlannedBatch]:
        """The requests for them, of at most 100 keys."""
        models = [schema for schema in self.schemas if schema is not None]
        rows = row_type(*sorted(models, key=id)) if len(models) == len(self.schemas) else None
        for consistent, callers in ((False, self.eventually), (True, self.consistently)):
            for part in _batches_of_100(callers):
                yield PlannedBatch(self.database, Batch(part, consistent, rows), part, self.others)


def plan_reads(wanted: Iterable[PendingKeys]) -> tuple[PlannedBatch, ...]:
    """The fewest batches for the wanted keys: ``ceil(n / 100)`` per client and consistency.

    Keys wanted both ways are read once, consistently. The order is the one they are given in, table by table.
    """
    lookups = list(wanted)
    if len(lookups) == 1 and 0 < len(lookups[0][2]) <= MAX_BATCH_GET_KEYS:  # as mostly
        return (_only_batch(*lookups[0]),)
    clients: dict[int, _TableRequest] = {}
    for database, consistent, callers, schema in lookups:
        sought = clients.setdefault(id(database.transport), _TableRequest(database))
        sought.schemas[schema] = None
        sought.add(database.table_name, consistent, callers)
    return tuple(planned for sought in clients.values() for planned in sought.batches())


def _only_batch(
    database: Database, consistent: bool, callers: Mapping[Key, Any], schema: Schema | None
) -> PlannedBatch:
    keys = {database.table_name: callers}
    rows = None if schema is None else row_type(schema)
    return PlannedBatch(database, Batch(keys, consistent, rows), keys)


def _batches_of_100(callers: Mapping[str, Mapping[Key, Any]]) -> Iterator[Requesters]:
    """The keys in parts of 100, as many as one request may have; fewer in the last."""
    part: Requesters = {table: keys for table, keys in callers.items() if keys}
    count = sum(map(len, part.values()))
    if 0 < count <= MAX_BATCH_GET_KEYS:
        yield part
        return
    every = ((table, key, caller) for table, keys in part.items() for key, caller in keys.items())
    for _ in range(0, count, MAX_BATCH_GET_KEYS):
        some: dict[str, dict[Key, Any]] = {}
        for table, key, caller in islice(every, MAX_BATCH_GET_KEYS):
            some.setdefault(table, {})[key] = caller
        yield dict(some)


class Lookups:
    """The lookups of one session that nobody has looked at yet, in the order they were made.

    Attributes:
        eventual: by home and key, the instances that any read will do for.
        strict: those that are to be read consistently.
    """

    def __init__(self) -> None:
        self.eventual: defaultdict[ModelMapper, dict[Key, Any]] = defaultdict(dict)
        self.strict: defaultdict[ModelMapper, dict[Key, Any]] = defaultdict(dict)

    def add(self, key: ItemKey, instance: Any) -> None:
        """Registers `instance`, which is pending, for the next round."""
        mapper, table_key = key
        if state_of(instance).wants_consistent:
            self.eventual[mapper].pop(table_key, None)
            self.strict[mapper].setdefault(table_key, instance)
        elif table_key not in self.strict[mapper]:
            self.eventual[mapper].setdefault(table_key, instance)

    def discard(self, key: ItemKey) -> None:
        """Forgets a lookup that was answered otherwise."""
        mapper, table_key = key
        for lookups in (self.eventual, self.strict):
            if mapper in lookups:
                lookups[mapper].pop(table_key, None)

    def pop_pending(self) -> list[PendingKeys]:
        """All pending lookups, for the plan; they are then no longer pending here."""
        taken = [(False, self.eventual), (True, self.strict)]
        self.eventual, self.strict = defaultdict(dict), defaultdict(dict)
        return [
            (mapper.database, consistent, instances, mapper.schema)
            for consistent, lookups in taken
            for mapper, instances in lookups.items()
            if instances
        ]

    def clear(self) -> None:
        """Forgets all of them."""
        self.eventual.clear()
        self.strict.clear()

    def put_back(self, instances: Iterable[Any]) -> None:
        """Makes lookups that went unanswered pending again, ahead of those made since."""
        since = self.pop_pending()
        for instance in (*instances, *(one for _, _, callers, _ in since for one in callers.values())):
            state = state_of(instance)
            assert state.mapper is not None and state.key is not None
            self.add((state.mapper, state.key), instance)

    def __len__(self) -> int:
        return sum(len(keys) for lookups in (self.eventual, self.strict) for keys in lookups.values())
