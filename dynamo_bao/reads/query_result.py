"""The result of a query: a lazy sequence that fetches further pages as they are needed.

Inside a session the first page waits too: the first look at one result fetches those of all pending ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Generic, TypeVar, overload

from dynamo_bao._foreign_errors import is_foreign
from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.items import Stored
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.errors import ItemNotFoundError, QueryError
from dynamo_bao.reads.eager_loading import EagerLoad, load_relations
from dynamo_bao.reads.query import Query
from dynamo_bao.session.hydration import InvalidRow, reached
from dynamo_bao.session.partitions import RememberedQuery
from dynamo_bao.session.peers import make_peers, remembered_related
from dynamo_bao.session.requests import send
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Status, state_of

M = TypeVar("M")


class QueryResult(Generic[M]):
    """The matches of a query: a lazy sequence that fetches further pages as they are needed.

    Iterating goes through all matches (or `limit` of them). ``len`` and `items` fetch all of them, an index
    what it needs; `pages` streams. Inside a batch context nothing is asked before the first look; that look fetches
    the first pages of all pending queries, and the pending lookups, at the same time. The same query of the same
    context is this result until the context writes to its partition.

    Example:
        >>> for post in user.query_posts():
        ...     print(post.title)
    """

    def __init__(self, query: Query, remembered: RememberedQuery | None = None) -> None:
        self._query = query
        self._remembered = remembered
        self._items: list[Any] = []
        self._page_ends: list[int] = []
        self._start: Item | None = query.start
        self._waiting = query.session is not None
        self._reply: Reply | None = None
        self._failure: Exception | None = None
        self._done = False
        self._count = 0
        self._unknown = False
        self._scanned = 0
        self._capacity = Capacity()
        if query.session is None:
            self._fetch()
        elif remembered is None or not remembered.replies:
            query.session._defer(self)

    # --- fetching --------------------------------------------------------------------------------

    @property
    def _database(self) -> Database:
        """Where the query is sent to."""
        return self._query.mapper.database

    @property
    def _label(self) -> str:
        """What is asked, for traces."""
        return self._query.about

    def _first_request(self) -> Request:
        """The request of the first page."""
        return self._query.request(self._start)

    def _receive(self, outcome: Reply | Exception) -> None:
        """Takes the reply to the request of a page, or the error it ended with, until somebody looks."""
        self._waiting = False
        if isinstance(outcome, Reply):
            self._reply = outcome
        else:
            self._failure = outcome

    def _begin(self) -> None:
        """Has the first page there, and with it that of every other pending query."""
        if self._waiting:
            session = self._query.session_now()
            if session is not None and session is self._query.session and self._earlier_reply() is None:
                load_pages(session._flush_queries(self), session)
            else:
                self._fetch()
        self._raise_failure()

    def _fetch(self) -> None:
        """Fetches the next page; marks the end where there is no further one."""
        session = self._query.session_now()
        reply = self._earlier_reply()
        if reply is None:
            request = self._query.request(self._start)
            kind = "pages" if self._page_ends else "queries"
            reply = send(session, self._database, request, kind, [self._label])
        self._receive(reply)
        load_pages([self], session)
        self._raise_failure()

    def _earlier_reply(self) -> Reply | None:
        """The next page, where the session has fetched it for the same query before."""
        replies = () if self._remembered is None else self._remembered.replies
        page = len(self._page_ends)
        return replies[page] if page < len(replies) else None

    def _remember(self, reply: Reply) -> None:
        """Keeps the reply with the page that was taken in last for the same query of the session."""
        query, session = self._remembered, self._query.session
        if query is not None and session is not None and len(query.replies) == len(self._page_ends) - 1:
            session._partitions.fetched(query, reply)

    def _raise_failure(self) -> None:
        """Tells an error once; after that the same page is asked for again."""
        failure, self._failure = self._failure, None
        if failure is not None:
            self._waiting = self._query.session is not None and self._start is self._query.start
            raise failure

    def _rows_wanted(self) -> Sequence[Stored]:
        """The rows of the page that arrived, as many of them as are wanted."""
        assert self._reply is not None
        rows: Sequence[Stored] = self._reply.parsed.get("Items", [])
        limit = self._query.limit
        return rows if limit is None else rows[: limit - self._count]

    def _append_page(self, page: Sequence[Any]) -> None:
        """Goes on to the next page, after `page` was made of the rows of this one."""
        assert self._reply is not None
        body, rows, limit = self._reply.parsed, self._rows_wanted(), self._query.limit
        self._items += page
        self._unknown = self._unknown or InvalidRow in map(type, page)
        self._page_ends.append(len(self._items))
        self._remember(self._reply)
        self._capacity = self._capacity.plus(self._reply.capacity)
        self._scanned += body.get("ScannedCount", 0)
        room = None if limit is None else limit - self._count
        self._count += body.get("Count", 0) if room is None else min(body.get("Count", 0), room)
        self._start = body.get("LastEvaluatedKey")
        if len(rows) < len(body.get("Items", [])):
            self._start = self._query.row_key(rows[-1])
        self._done = self._start is None or self._count == limit
        self._reply = None

    # --- looking ---------------------------------------------------------------------------------

    @property
    def capacity(self) -> Capacity:
        """The capacity units that the pages fetched so far consumed."""
        self._begin()
        return self._capacity

    @property
    def scanned_count(self) -> int:
        """How many items DynamoDB looked at for the pages fetched so far."""
        self._begin()
        return self._scanned

    @property
    def last_evaluated_key(self) -> str | None:
        """The cursor that continues after the last match, None after the very last; fetches what is missing."""
        self._fetch_all()
        return None if self._start is None else self._query.cursor(self._start)

    def pages(self) -> Iterator[list[M]]:
        """Every match, by the page it came in, each fetched as it is asked for; empty pages are left out.

        A row whose key is none of the model's raises `DataFormatError` after its page; the next page can be asked
        for after that.
        """
        return map(reached, self._pages())

    def _pages(self) -> Iterator[Any]:
        self._begin()
        begun = number = 0
        while True:
            while number < len(self._page_ends):
                page, begun = self._items[begun : self._page_ends[number]], self._page_ends[number]
                number += 1
                unknown = [row for row in page if type(row) is InvalidRow]
                if unknown:
                    page = [row for row in page if type(row) is not InvalidRow]
                if page:
                    yield page
                yield from unknown
            if self._done:
                return
            self._fetch()

    def all(self) -> list[M]:
        """Every match, in a list of the caller's own.

        Raises:
            DataFormatError: where one has a key that is none of the model's; iterating goes on after it.
        """
        self._fetch_all()
        return list(map(reached, self._items)) if self._unknown else self._items.copy()

    def _fetch_all(self) -> None:
        self._begin()
        while not self._done:
            self._fetch()

    @property
    def items(self) -> list[M]:
        """Every match; see `all`."""
        return self.all()

    @property
    def count(self) -> int:
        """How many matches there are, over all pages."""
        self._fetch_all()
        return self._count

    def first(self) -> M | None:
        """The first match, or None."""
        return next(iter(self), None)

    def one(self) -> M:
        """The only match.

        Raises:
            ItemNotFoundError: where there is none.
            QueryError: where there are several.
        """
        matches = list(islice(self, 2))
        if not matches:
            raise ItemNotFoundError(f"{self._query.mapper.schema.name}: the query has no match.")
        if len(matches) > 1:
            raise QueryError(f"{self._query.mapper.schema.name}: the query has several matches, not one.")
        return matches[0]

    def __iter__(self) -> Iterator[M]:
        # A row that raises does not end a `chain`, as it would a generator.
        return chain.from_iterable(map(self._reached, self._arrivals()))

    def _reached(self, page: list[Any]) -> Iterable[M]:
        return map(reached, page) if self._unknown else page

    def _arrivals(self) -> Iterator[list[Any]]:
        """The rows that are here, then those of further pages as they arrive."""
        self._begin()
        position = 0
        while True:
            while position < len(self._items):
                arrived = self._items[position:]
                position += len(arrived)
                yield arrived
            if self._done:
                return
            self._fetch()

    def __len__(self) -> int:
        self._fetch_all()
        return len(self._items)

    def __bool__(self) -> bool:
        return any(self._arrivals()) or self._count > 0

    @overload
    def __getitem__(self, index: int) -> M: ...

    @overload
    def __getitem__(self, index: slice) -> list[M]: ...

    def __getitem__(self, index: int | slice) -> M | list[M]:
        needed = _needed(index)
        self._begin()
        while not self._done and (needed is None or len(self._items) < needed):
            self._fetch()
        matches: Any = self._items[index]
        return list(map(reached, matches)) if isinstance(index, slice) else reached(matches)

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[M]]]:
        return list, (self.all(),)

    def __repr__(self) -> str:
        state = "pending" if self._waiting else "all" if self._done else "more to come"
        return f"<QueryResult of {self._query.mapper.schema.name}: {len(self._items)} fetched, {state}>"


def result_of(query: Query) -> QueryResult[Any]:
    """The result of a query: the one that its session has of the same query, or a new one."""
    session = query.session
    if session is None or query.bypass_cache:
        return QueryResult(query)
    remembered = query.remembered(session)
    result: QueryResult[Any] | None = remembered.result
    if result is None:
        remembered.result = result = QueryResult(query, remembered)
    return result


def _needed(index: int | slice) -> int | None:
    """How many matches an index needs; None for all of them, as where it counts from the end."""
    if isinstance(index, slice):
        from_the_front = min(index.start or 0, index.stop or 0, index.step or 1) >= 0
        return index.stop if from_the_front else None
    return index + 1 if index >= 0 else None


# --- taking in what arrived ----------------------------------------------------------------------------


def load_pages(results: Iterable[Any], session: Session | None) -> None:
    """Makes instances of the pages that arrived for some results, with the relations they were asked for.

    Rows that arrived together by the same index are peers, as those of one page are.
    """
    pages: dict[tuple[Any, ...], list[tuple[QueryResult[Any], list[Any]]]] = {}
    for result in results:
        if result._reply is None:
            continue
        query = result._query
        try:
            page = query.instances(result._rows_wanted(), session)
        except Exception as error:
            if is_foreign(error):
                raise
            result._reply = None
            result._receive(error)
            continue
        asked = (id(query.mapper), query.name, query.related, query.related_only)
        pages.setdefault(asked, []).append((result, page))
    members = [member for group in pages.values() for member in group]
    try:
        load_relations([wish for group in pages.values() for wish in _eager_loads(group)], session)
    except Exception as error:
        if is_foreign(error):
            raise
        for result, _ in members:
            result._reply = None
            result._receive(error)
        return
    for result, page in members:
        only = result._query.related_only
        result._append_page(page if only is None else _targets(page, only))


def _eager_loads(group: Sequence[tuple[QueryResult[Any], list[Any]]]) -> Iterator[EagerLoad]:
    """Makes the rows of pages that were asked for alike peers, and says which relations they are to have."""
    query = group[0][0]._query
    rows = [row for _, page in group for row in page if type(row) is not InvalidRow]
    if query.mapper.schema.has_relations:
        make_peers(rows)
    if query.related != ():
        yield EagerLoad(rows, query.related)
    if query.related_only is not None:
        yield EagerLoad(rows, [query.related_only])


def _targets(rows: Sequence[Any], field: str) -> list[Any]:
    """What a relation of some rows points to, without what is not stored; an `InvalidRow` stays one."""
    targets = [row if type(row) is InvalidRow else remembered_related(row, field) for row in rows]
    return [
        one
        for one in targets
        if one is not None and (type(one) is InvalidRow or state_of(one).status is Status.LOADED)
    ]
