"""The query results of a session by partition. A write of the session to a partition drops its results.

Queries register their partitions here, and writes report the partitions they may have changed.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable
from functools import partial
from typing import Any, TypeVar

from dynamo_bao.dynamodb.items import key_texts_of
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.transport.messages import Reply
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.runtime.records import Factory, define, field
from dynamo_bao.session.query_kinds import PrefetchFigures, QueryKind, QueryKinds

MAX_ROWS = 10_000
"""How many rows a session caches by default for queries whose results the program no longer holds."""
MAX_QUERIES = 1000
"""How many queries a session remembers."""
EVICTION_CANDIDATES = 8
"""How many of the oldest queries are tried for eviction; queries whose result is in use stay."""

ModelSpot = tuple[str, str]
"""A model of a table: the table's name, and the model's prefix."""
Partition = tuple[str | None, str]
"""A partition of one model: the index, None for the table itself, and the text of the partition key."""


class Touched(NamedTuple):
    """The query results that a write may have changed.

    Attributes:
        model: the model of the item.
        partitions: the partitions of the item before and after the write.
        indexes: the indexes whose earlier partition of the item is unknown.
        comes_or_goes: whether the item was created or deleted.
        item: the key of an item that results of other partitions may show too, because they are older than another
            program's write; None if no result can.
    """

    model: ModelSpot
    partitions: Collection[Partition]
    indexes: Collection[str]
    comes_or_goes: bool
    item: Key | None = None


class Prefetch(NamedTuple):
    """A query that was fetched in advance, for the peer of an instance whose query was looked at."""

    kind: QueryKind
    figures: PrefetchFigures


@define(eq=False)
class RememberedQuery:
    """The cached replies of one query.

    Attributes:
        kind: what the query has in common with the same query of other partitions.
        model, partition: the model and the partition of the query.
        targets: the model of the instances in the result, if it is another one.
        replies: the replies so far, one for each page, in order.
        rows: the number of rows in them.
        is_current: whether the cached replies are still valid.
        prefetch: set while the query was fetched in advance and not used yet.
    """

    kind: Hashable
    model: ModelSpot
    partition: Partition
    targets: ModelSpot | None
    replies: list[Reply] = Factory(list)
    rows: int = 0
    is_current: bool = True
    prefetch: Prefetch | None = None
    _result: weakref.ref[Any] | None = field(default=None, init=False)
    _keys: set[tuple[str, str]] = field(default=Factory(set), init=False)
    _pages_with_keys: int = field(default=0, init=False)
    _has_other_rows: bool = field(default=False, init=False)

    @property
    def key(self) -> tuple[Hashable, Partition]:
        """The identity of the query."""
        return self.kind, self.partition

    @property
    def result(self) -> Any:
        """The result object, if the program still holds it; else None."""
        return None if self._result is None else self._result()

    @result.setter
    def result(self, result: Any) -> None:
        self._result = weakref.ref(result)

    def add_reply(self, reply: Reply) -> None:
        """Caches the reply with the next page."""
        self._has_other_rows = False
        self.replies.append(reply)

    def drop_replies(self) -> None:
        """Drops the cached replies. The result object keeps its rows."""
        self._has_other_rows = self._has_other_rows or bool(self.replies)
        self.replies, self.rows = [], 0
        self._keys, self._pages_with_keys = set(), 0

    def may_show(self, item: Key) -> bool:
        """Whether an item can be in the result: it is in a cached reply, or there are rows that are not cached."""
        if self._pages_with_keys < len(self.replies):
            self._note_keys()
        return self._has_other_rows or item in self._keys

    def _note_keys(self) -> None:
        for reply in self.replies[self._pages_with_keys :]:
            if "Items" in reply.parsed:
                self._keys.update(map(key_texts_of, reply.parsed["Items"]))
            else:  # it only counts
                self._has_other_rows = True
        self._pages_with_keys = len(self.replies)


Spot = TypeVar("Spot", bound=Hashable)


@define(eq=False)
class Partitions:
    """The partitions that a session has queried, with the cached replies.

    A result object is cached while the program holds it. The rows of the latest queries stay longer, so that the same
    query needs no request. They do not hold instances.

    Args:
        max_rows: the maximum number of cached rows; None for `MAX_ROWS`.

    Attributes:
        kinds: what is known of queries that instances share.
        queries: the queries by their identity, the latest last.
    """

    _max_rows: int | None = None
    _rows: int = 0
    kinds: QueryKinds = Factory(QueryKinds)
    queries: dict[Hashable, RememberedQuery] = Factory(dict)
    _by_partition: dict[ModelSpot, dict[Partition, dict[Hashable, RememberedQuery]]] = Factory(dict)
    _by_target: dict[ModelSpot, dict[Hashable, RememberedQuery]] = Factory(dict)
    _reports: deque[Callable[[], object]] = Factory(deque)

    def __len__(self) -> int:
        return len(self.queries)

    def query(
        self,
        kind: Hashable,
        model: ModelSpot,
        partition: Partition,
        targets: ModelSpot | None,
    ) -> RememberedQuery:
        """The entry of a query, which becomes the latest one."""
        if self._reports:
            self.hear()
        key = (kind, partition)
        entry = self.queries.pop(key, None)
        if entry is None:
            entry = RememberedQuery(kind, model, partition, targets)
            self._by_partition.setdefault(model, {}).setdefault(partition, {})[key] = entry
            if targets is not None:
                self._by_target.setdefault(targets, {})[key] = entry
        self.queries[key] = entry
        if len(self.queries) > MAX_QUERIES:
            self._evict_one()
        return entry

    def add_reply(self, query: RememberedQuery, reply: Reply) -> None:
        """Caches the reply with the next page of a query, within the limit of rows."""
        if not query.is_current:
            return
        rows = len(reply.parsed.get("Items", ())) or 1
        query.add_reply(reply)
        query.rows += rows
        self._rows += rows
        max_rows = MAX_ROWS if self._max_rows is None else self._max_rows
        for cached_query in list(self.queries.values()) if self._rows > max_rows else ():
            self._drop_rows(cached_query)
            if self._rows <= max_rows:
                break

    def touch(self, touched: Touched) -> None:
        """Drops the queries whose results a write may have changed.

        Result objects that were used stay as they are. Others forget what was fetched for them.
        """
        model, partitions, indexes, comes_or_goes, item = touched
        queries_by_partition = self._by_partition.get(model, {})
        query_groups = [queries_by_partition.get(partition, {}) for partition in partitions]
        if indexes:
            query_groups += [
                queries for partition, queries in queries_by_partition.items() if partition[0] in indexes
            ]
        if comes_or_goes:
            query_groups.append(self._by_target.get(model, {}))
        queries = [query for queries in query_groups for query in queries.values()]
        if item is not None:
            for partition_queries in queries_by_partition.values():
                queries += [query for query in partition_queries.values() if query.may_show(item)]
        self._forget(queries)
        _drop_unused(queries, "a write dropped results that were fetched in advance and not used yet")

    def report(self, reaction: Callable[[], object]) -> None:
        """Reports a write by code that does not own the session. The owner reacts before its next look at a query."""
        self._reports.append(reaction)

    def hear(self) -> None:
        """Reacts to the reported writes."""
        while self._reports:
            self._reports.popleft()()

    def clear(self) -> None:
        """Drops all queries. Result objects that were not used forget what was fetched for them."""
        queries = self.close()
        _drop_unused(queries, "refresh() or the like dropped results that were fetched in advance")

    def close(self) -> list[RememberedQuery]:
        """Drops all queries. Result objects stay as they are."""
        if not self.queries:
            return []
        queries, self.queries = list(self.queries.values()), {}
        self._by_partition, self._by_target = {}, {}
        for query in queries:
            query.is_current = False
            self._drop_rows(query)
        return queries

    def _forget(self, queries: Iterable[RememberedQuery]) -> None:
        for query in queries:
            if not query.is_current:
                continue
            query.is_current = False
            self._drop_rows(query)
            del self.queries[query.key]
            _remove(self._by_partition[query.model], query.partition, query.key)
            if not self._by_partition[query.model]:
                del self._by_partition[query.model]
            if query.targets is not None:
                _remove(self._by_target, query.targets, query.key)

    def _drop_rows(self, query: RememberedQuery) -> None:
        self._rows -= query.rows
        query.drop_replies()

    def _evict_one(self) -> None:
        for query in list(self.queries.values())[:EVICTION_CANDIDATES]:
            if query.result is None:
                self._forget([query])
                return
            self.queries[query.key] = self.queries.pop(query.key)  # moved to the end, to be tried again later


class DistantPartitions:
    """The partitions of a session that the running code does not own, as a listener to writes."""

    __slots__ = ("_partitions",)

    def __init__(self, partitions: Partitions) -> None:
        self._partitions = partitions

    def touch(self, touched: Touched) -> None:
        """Has the owner drop the queries whose results a write may have changed."""
        self._partitions.report(partial(self._partitions.touch, touched))

    def clear(self) -> None:
        """Has the owner drop all queries."""
        self._partitions.report(self._partitions.clear)


def _drop_unused(queries: Iterable[RememberedQuery], obstacle: str) -> None:
    """Empties the results of forgotten queries that were not used.

    Args:
        obstacle: why queries of their kinds are not fetched in advance again.
    """
    for query in queries:
        if query.prefetch is not None:
            query.prefetch.kind.obstacle, query.prefetch = obstacle, None
        result = query.result
        if result is not None:
            result._forget_unused()


def _remove(queries: dict[Spot, dict[Hashable, RememberedQuery]], ref: Spot, key: Hashable) -> None:
    del queries[ref][key]
    if not queries[ref]:
        del queries[ref]
