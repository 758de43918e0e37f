"""What a session's queries have fetched, by the partition it came from, until the session writes to that partition.

Queries subscribe here to the partitions they ask; writes report those they can have changed. Neither knows the other.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Hashable, Iterable
from typing import Any, NamedTuple

from attrs import Factory, define, field

from dynamo_bao.dynamodb.transport.messages import Reply

MOST_ROWS = 10_000
"""How many rows a session keeps by default for queries whose results nobody holds any more."""
MOST_QUERIES = 1000
"""How many queries a session remembers."""
EVICTION_CANDIDATES = 8
"""How many of the oldest queries are looked at for one whose result nobody holds, when there are too many."""

ModelSpot = tuple[str, str]
"""A model of a table: the table's name, and the model's prefix."""
Partition = tuple[str | None, str]
"""A partition of one model: the index, None for the table itself, and the text of the partition key."""


class Touched(NamedTuple):
    """What a write can have changed.

    Attributes:
        model: whose item was written.
        partitions: the partitions that the item was in, or is in now.
        indexes: the indexes of which it is not known in which partitions the item was.
        comes_or_goes: whether the item came into being, or is gone.
    """

    model: ModelSpot
    partitions: Collection[Partition]
    indexes: Collection[str]
    comes_or_goes: bool


@define(eq=False)
class RememberedQuery:
    """What one query has fetched.

    Attributes:
        key: what tells it from every other query.
        model, partition: what it asks.
        targets: the model that its result consists of, where that is another one.
        replies: the replies so far, a page each, in order.
        rows: how many rows they have.
        is_current: whether the next same query has the same result.
    """

    key: Hashable
    model: ModelSpot
    partition: Partition
    targets: ModelSpot | None
    replies: list[Reply] = Factory(list)
    rows: int = 0
    is_current: bool = True
    _result: weakref.ref[Any] | None = field(default=None, init=False)

    @property
    def result(self) -> Any:
        """The result that somebody holds; None where nobody does."""
        return None if self._result is None else self._result()

    @result.setter
    def result(self, result: Any) -> None:
        self._result = weakref.ref(result)


class Partitions:
    """The partitions that a session has queried, and what it fetched from them.

    A result is known while somebody holds it. Its rows are kept beyond that, those of the queries asked last, so that
    the same query needs no request; instances are not kept by them.

    Args:
        most_rows: how many rows are kept at most.
    """

    def __init__(self, most_rows: int | None = None) -> None:
        self._most_rows = MOST_ROWS if most_rows is None else most_rows
        self._rows = 0
        self._queries: dict[Hashable, RememberedQuery] = {}
        self._asked: dict[ModelSpot, dict[Partition, dict[Hashable, RememberedQuery]]] = {}
        self._reached: dict[ModelSpot, dict[Hashable, RememberedQuery]] = {}

    def __len__(self) -> int:
        return len(self._queries)

    def query(
        self, key: Hashable, model: ModelSpot, partition: Partition, targets: ModelSpot | None
    ) -> RememberedQuery:
        """What is remembered of a query, which is now the one asked last; see `RememberedQuery`."""
        known = self._queries.pop(key, None)
        if known is None:
            known = RememberedQuery(key, model, partition, targets)
            self._asked.setdefault(model, {}).setdefault(partition, {})[key] = known
            if targets is not None:
                self._reached.setdefault(targets, {})[key] = known
        self._queries[key] = known
        if len(self._queries) > MOST_QUERIES:
            self._let_one_go()
        return known

    def fetched(self, query: RememberedQuery, reply: Reply) -> None:
        """Keeps the reply with the next page of a query, where there is room for it."""
        if not query.is_current:
            return
        rows = len(reply.parsed.get("Items", ())) or 1
        query.replies.append(reply)
        query.rows += rows
        self._rows += rows
        for other in list(self._queries.values()) if self._rows > self._most_rows else ():
            self._let_rows_go(other)
            if self._rows <= self._most_rows:
                break

    def touch(self, touched: Touched) -> None:
        """Forgets the queries of which a write can have changed the result; results in hand stay as they are."""
        model, partitions, indexes, comes_or_goes = touched
        asked = self._asked.get(model, {})
        changed = [asked.get(partition, {}) for partition in partitions]
        if indexes:
            changed += [queries for partition, queries in asked.items() if partition[0] in indexes]
        if comes_or_goes:
            changed.append(self._reached.get(model, {}))
        self._forget([query for queries in changed for query in queries.values()])

    def clear(self) -> None:
        """Forgets every query."""
        self._forget(list(self._queries.values()))

    def _forget(self, queries: Iterable[RememberedQuery]) -> None:
        for query in queries:
            if not query.is_current:
                continue
            query.is_current = False
            self._let_rows_go(query)
            del self._queries[query.key]
            _take_out(self._asked[query.model], query.partition, query.key)
            if not self._asked[query.model]:
                del self._asked[query.model]
            if query.targets is not None:
                _take_out(self._reached, query.targets, query.key)

    def _let_rows_go(self, query: RememberedQuery) -> None:
        self._rows -= query.rows
        query.replies, query.rows = [], 0

    def _let_one_go(self) -> None:
        for query in list(self._queries.values())[:EVICTION_CANDIDATES]:
            if query.result is None:
                self._forget([query])
                return
            self._queries[query.key] = self._queries.pop(
                query.key
            )  # behind the others, to be tried again later


def _take_out(queries: dict[Any, dict[Hashable, RememberedQuery]], spot: Any, key: Hashable) -> None:
    del queries[spot][key]
    if not queries[spot]:
        del queries[spot]
