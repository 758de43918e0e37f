"""Pending lookups, and the plan of the requests that answer them.

A plan is a pure value: the same lookups always give the same requests in the same order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Generic, TypeVar

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import MAX_BATCH_GET_KEYS
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.batch_get import Batch, TableKey
from dynamo_bao.dynamodb.transport.messages import Transport
from dynamo_bao.mapping.row_types import row_type_for
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.runtime.records import Factory, define, field, frozen
from dynamo_bao.session.identity_map import ItemKey, key_of
from dynamo_bao.session.state import Instance, ModelMapper, state_of

Caller = TypeVar("Caller")

PendingKeys = tuple[Database, bool, Mapping[Key, Caller], Schema | None]
"""Keys to read: ``(database, consistent, {key: caller}, schema)``. A caller, usually an instance, needs the item.

With a schema the items are rows, if possible. Without one they are dicts.
"""
Requesters = dict[str, Mapping[Key, Caller]]
"""By table, the keys to read, each with its caller."""


@frozen
class PlannedBatch(Generic[Caller]):
    """One planned request, and the database that sends it.

    Attributes:
        callers: the keys of the batch with their callers.
        duplicates: further callers of the same keys.
    """

    database: Database
    batch: Batch
    callers: Requesters[Caller] = field(factory=dict, eq=False, repr=False)
    duplicates: Mapping[TableKey, list[Caller]] = field(factory=dict, eq=False, repr=False)

    @property
    def transport(self) -> Transport:
        """The client that sends it."""
        return self.database.transport


@define(eq=False)
class _TableRequest(Generic[Caller]):
    """The keys to read through one client, each with its callers."""

    database: Database
    eventually: dict[str, dict[Key, Caller]] = field(factory=dict)
    consistently: dict[str, dict[Key, Caller]] = field(factory=dict)
    duplicates: dict[TableKey, list[Caller]] = field(factory=dict)
    schemas: dict[Schema | None, None] = field(factory=dict)

    def add(self, table: str, consistent: bool, callers: Mapping[Key, Caller]) -> None:
        """Adds keys of a table. A repeated key is read once, consistently if any caller needs that."""
        eventual_keys, strict_keys = self.eventually.get(table), self.consistently.get(table)
        if not eventual_keys and not strict_keys:  # the usual case
            (self.consistently if consistent else self.eventually)[table] = dict(callers)
            return
        eventual_keys, strict_keys = (
            self.eventually.setdefault(table, {}),
            self.consistently.setdefault(table, {}),
        )
        for key, caller in callers.items():
            if key not in eventual_keys and key not in strict_keys:
                (strict_keys if consistent else eventual_keys)[key] = caller
                continue
            self.duplicates.setdefault((table, key), []).append(caller)
            if consistent and key in eventual_keys:
                strict_keys[key] = eventual_keys.pop(key)

    def batches(self) -> Iterator[PlannedBatch[Caller]]:
        """The requests for them, of at most 100 keys."""
        models = [schema for schema in self.schemas if schema is not None]
        count = sum(
            len(callers) for keys in (self.eventually, self.consistently) for callers in keys.values()
        )
        are_known = len(models) == len(self.schemas)
        rows = row_type_for(count, *sorted(models, key=id)) if are_known else None
        for consistent, callers in ((False, self.eventually), (True, self.consistently)):
            for part in _batches_of_100(callers):
                yield PlannedBatch(self.database, Batch(part, consistent, rows), part, self.duplicates)


def plan_reads(pending: Iterable[PendingKeys[Caller]]) -> tuple[PlannedBatch[Caller], ...]:
    """The fewest batches for some keys: ``ceil(n / 100)`` per client and consistency.

    A key that is needed in both ways is read once, consistently. The order of the keys stays, table by table.
    """
    lookups = list(pending)
    if len(lookups) == 1 and 0 < len(lookups[0][2]) <= MAX_BATCH_GET_KEYS:  # the usual case
        return (_only_batch(*lookups[0]),)
    clients: dict[int, _TableRequest[Caller]] = {}
    for database, consistent, callers, schema in lookups:
        request = clients.setdefault(id(database.transport), _TableRequest(database))
        request.schemas[schema] = None
        request.add(database.table_name, consistent, callers)
    return tuple(planned for request in clients.values() for planned in request.batches())


def _only_batch(
    database: Database, consistent: bool, callers: Mapping[Key, Caller], schema: Schema | None
) -> PlannedBatch[Caller]:
    keys = {database.table_name: callers}
    rows = None if schema is None else row_type_for(len(callers), schema)
    return PlannedBatch(database, Batch(keys, consistent, rows), keys)


def _batches_of_100(callers: Mapping[str, Mapping[Key, Caller]]) -> Iterator[Requesters[Caller]]:
    """The keys in parts of 100, the limit of one request. The last part may have fewer."""
    part: Requesters[Caller] = {table: keys for table, keys in callers.items() if keys}
    count = sum(map(len, part.values()))
    if 0 < count <= MAX_BATCH_GET_KEYS:
        yield part
        return
    entries = ((table, key, caller) for table, keys in part.items() for key, caller in keys.items())
    for _ in range(0, count, MAX_BATCH_GET_KEYS):
        chunk: dict[str, dict[Key, Caller]] = {}
        for table, key, caller in islice(entries, MAX_BATCH_GET_KEYS):
            chunk.setdefault(table, {})[key] = caller
        yield dict(chunk)


@define(eq=False)
class Lookups:
    """The unresolved lookups of one session, in the order in which they were made.

    Attributes:
        eventual: by repository and key, the instances that an eventually consistent read can load.
        strict: those that need a consistent read.
    """

    eventual: defaultdict[ModelMapper, dict[Key, Instance]] = Factory(lambda: defaultdict(dict))
    strict: dict[ModelMapper, dict[Key, Instance]] = Factory(dict)

    def add(self, key: ItemKey, instance: Instance) -> None:
        """Registers a pending instance for the next round."""
        mapper, table_key = key
        if state_of(instance).wants_consistent:
            self.eventual[mapper].pop(table_key, None)
            self.strict.setdefault(mapper, {}).setdefault(table_key, instance)
        elif table_key not in self.strict.get(mapper, ()):
            self.eventual[mapper].setdefault(table_key, instance)

    def discard(self, key: ItemKey) -> None:
        """Forgets a lookup that was resolved otherwise."""
        mapper, table_key = key
        for lookups in (self.eventual, self.strict):
            if mapper in lookups:
                lookups[mapper].pop(table_key, None)

    def instances_of(self, mapper: ModelMapper) -> list[Instance]:
        """The pending instances of a model."""
        return [*self.eventual.get(mapper, {}).values(), *self.strict.get(mapper, {}).values()]

    def pop_pending(self) -> list[PendingKeys[Instance]]:
        """Removes and returns all pending lookups."""
        pending = [(False, self.eventual), (True, self.strict)]
        self.eventual, self.strict = defaultdict(dict), {}
        return [
            (mapper.database, consistent, instances, mapper.schema)
            for consistent, lookups in pending
            for mapper, instances in lookups.items()
            if instances
        ]

    def clear(self) -> None:
        """Forgets all of them."""
        self.eventual.clear()
        self.strict.clear()

    def put_back(self, instances: Iterable[Instance]) -> None:
        """Makes unanswered lookups pending again, ahead of newer ones."""
        newer_instances = [
            instance for _, _, callers, _ in self.pop_pending() for instance in callers.values()
        ]
        for instance in (*instances, *newer_instances):
            self.add(key_of(instance), instance)

    def __len__(self) -> int:
        return sum(len(keys) for lookups in (self.eventual, self.strict) for keys in lookups.values())
