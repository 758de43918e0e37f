"""The queries of one session whose results were not used yet."""

from __future__ import annotations

import weakref
from typing import Protocol

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.runtime.records import Factory, define


class PendingQuery(Protocol):
    """A query that waits for a page, which was not requested yet."""

    @property
    def _database(self) -> Database:
        """The table of the query."""
        ...

    @property
    def _label(self) -> str:
        """The model and the index, for the trace."""
        ...

    @property
    def _remedy(self) -> str:
        """What would avoid that such queries are sent one at a time; empty for the usual advice."""
        ...

    @property
    def _continues(self) -> bool:
        """Whether it starts at a cursor, so that it could not be sent together with the query before it."""
        ...

    def _next_request(self) -> Request:
        """The request of its next page."""
        ...

    def _receive(self, outcome: Reply | Exception) -> None:
        """Stores the reply to that request, or its error."""
        ...


@define(eq=False)
class Queries:
    """Pending queries in the order of their creation, held weakly."""

    _pending: dict[int, weakref.ref[PendingQuery]] = Factory(dict)

    def add(self, query: PendingQuery) -> None:
        """Registers a query for the next round."""
        self._pending[id(query)] = weakref.ref(query)

    def discard(self, query: PendingQuery) -> None:
        """Keeps a query out of the next rounds; it runs when its own result is used."""
        self._pending.pop(id(query), None)

    def pop_pending(self, first_query: PendingQuery, limit: int) -> list[PendingQuery]:
        """Removes and returns `first_query` and the oldest other queries, at most `limit` in all."""
        self._pending.pop(id(first_query), None)
        queries = [first_query]
        for number, ref in list(self._pending.items()):
            if len(queries) >= limit:
                break
            del self._pending[number]
            query = ref()
            if query is not None:
                queries.append(query)
        return queries

    def clear(self) -> None:
        """Removes all queries."""
        self._pending.clear()

    def __len__(self) -> int:
        return sum(ref() is not None for ref in self._pending.values())
