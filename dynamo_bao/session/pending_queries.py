"""Queries of one session that nobody has looked at yet."""

from __future__ import annotations

import weakref
from typing import Protocol

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Reply, Request


class PendingQuery(Protocol):
    """A query whose first page was not asked for yet."""

    @property
    def _database(self) -> Database:
        """Where it is sent to."""
        ...

    @property
    def _label(self) -> str:
        """What it asks, for the trace: the model and the index."""
        ...

    def _first_request(self) -> Request:
        """The request of its first page."""
        ...

    def _receive(self, outcome: Reply | Exception) -> None:
        """Takes the reply to that request, or the error it ended with."""
        ...


class Queries:
    """Pending queries in the order they were made, for as long as somebody holds them."""

    def __init__(self) -> None:
        self._pending: dict[int, weakref.ref[PendingQuery]] = {}

    def add(self, query: PendingQuery) -> None:
        """Registers a query for the next round."""
        self._pending[id(query)] = weakref.ref(query)

    def pop_pending(self, first: PendingQuery, limit: int) -> list[PendingQuery]:
        """`first` and the oldest others, at most `limit` in all, which are then no longer pending here."""
        self._pending.pop(id(first), None)
        taken = [first]
        for number, ref in list(self._pending.items()):
            if len(taken) >= limit:
                break
            del self._pending[number]
            query = ref()
            if query is not None:
                taken.append(query)
        return taken

    def clear(self) -> None:
        """Forgets all of them."""
        self._pending.clear()

    def __len__(self) -> int:
        return sum(ref() is not None for ref in self._pending.values())
