"""Pending lookups, and the plan of the requests that answer them.

A plan is a pure value: the same lookups always give the same requests in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from attrs import frozen

from dynamo_bao.database import Database
from dynamo_bao.keys import Key
from dynamo_bao.session.identity import ItemKey
from dynamo_bao.transport.batches import Batch, TableKey
from dynamo_bao.transport.messages import Transport
from dynamo_bao.wire import MAX_BATCH_GET_KEYS


class Wanted(NamedTuple):
    """One key to read: where, and how."""

    database: Database
    key: Key
    consistent: bool


@frozen
class PlannedBatch:
    """One request to come, and through which database it travels."""

    database: Database
    batch: Batch

    @property
    def transport(self) -> Transport:
        """The client that carries it."""
        return self.database.transport


def plan_reads(wanted: Iterable[Wanted]) -> tuple[PlannedBatch, ...]:
    """The fewest batches for the wanted keys: ``ceil(n / 100)`` per client and consistency.

    Keys wanted both ways are read once, consistently. The order is that of the lookups.
    """
    clients: dict[int, Database] = {}
    keys: dict[tuple[int, TableKey], bool] = {}
    last: Database | None = None
    for database, key, consistent in wanted:
        if database is not last:  # most lookups of a round are of one database
            last, client, table = database, id(database.transport), database.table_name
            clients[client] = database
        spot = client, (table, key)
        if consistent or spot not in keys:
            keys[spot] = consistent
    groups: dict[tuple[int, bool], list[TableKey]] = {}
    for (client, table_key), consistent in keys.items():
        group = groups.get((client, consistent))
        if group is None:
            group = groups[client, consistent] = []
        group.append(table_key)
    return tuple(
        PlannedBatch(clients[client], Batch(tuple(members[start : start + MAX_BATCH_GET_KEYS]), consistent))
        for (client, consistent), members in groups.items()
        for start in range(0, len(members), MAX_BATCH_GET_KEYS)
    )


class Lookups:
    """The lookups of one session that nobody has looked at yet, in the order they were made."""

    def __init__(self) -> None:
        self._pending: dict[ItemKey, Any] = {}

    def add(self, key: ItemKey, instance: Any) -> None:
        """Registers `instance`, which is pending, for the next round."""
        self._pending.setdefault(key, instance)

    def discard(self, key: ItemKey) -> None:
        """Forgets a lookup that was answered otherwise."""
        self._pending.pop(key, None)

    def take(self) -> dict[ItemKey, Any]:
        """All pending lookups, which are then no longer pending here."""
        taken, self._pending = self._pending, {}
        return taken

    def put_back(self, lookups: dict[ItemKey, Any]) -> None:
        """Makes lookups that went unanswered pending again, ahead of those made since."""
        self._pending = {**lookups, **self._pending}

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, key: ItemKey) -> bool:
        return key in self._pending
