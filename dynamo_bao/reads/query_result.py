"""The result of a query: a lazy sequence that fetches further pages as they are needed.

Inside a session the first page waits too: the first look at one result fetches those of all pending ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Generic, TypeVar, overload

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.items import ReplyItem
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.errors import ItemNotFoundError, QueryError
from dynamo_bao.fields.json_forms import JsonForm, json_form
from dynamo_bao.reads.eager_loading import EagerLoad, load_relations
from dynamo_bao.reads.query import Query
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.session.hydration import InvalidRow, reached
from dynamo_bao.session.partitions import RememberedQuery
from dynamo_bao.session.peers import make_peers, remembered_related
from dynamo_bao.session.requests import send
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Status, state_of

M = TypeVar("M")


class QueryResult(Generic[M]):
    """The matches of a query: a lazy sequence that fetches further pages as they are needed.

    Iteration goes through all matches (or `limit` of them). ``len`` and `items` fetch all matches; an index fetches
    the pages up to it; `pages` streams. In a batch context, no request is sent before the first use of a result. The
    first use then fetches the first pages of all pending queries, and all pending lookups, at the same time. The same
    query in the same context returns this object again, until the context writes to the query's partition.

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
        self._is_pending = query.session is not None
        self._reply: Reply | None = None
        self._failure: Exception | None = None
        self._is_done = False
        self._count = 0
        self._has_invalid_rows = False
        self._scanned = 0
        self._capacity = Capacity()
        if query.session is None:
            self._fetch()
        elif remembered is None or not remembered.replies:
            query.session._loader.queries.add(self)

    # --- fetching --------------------------------------------------------------------------------

    @property
    def _database(self) -> Database:
        """The table of the query."""
        return self._query.mapper.database

    @property
    def _label(self) -> str:
        """The model and the index, for traces."""
        return self._query.about

    def _first_request(self) -> Request:
        """The request of the first page."""
        return self._query.request(self._start)

    def _receive(self, outcome: Reply | Exception) -> None:
        """Stores the reply with a page, or the error of its request."""
        self._is_pending = False
        if isinstance(outcome, Reply):
            self._reply = outcome
        else:
            self._failure = outcome

    def _begin(self) -> None:
        """Fetches the first page, together with the first pages of all other pending queries."""
        if self._is_pending:
            session = self._query.session_now()
            if session is not None and session is self._query.session and self._cached_reply() is None:
                load_pages(session._loader.flush_queries(self), session)
            else:
                self._fetch()
        self._raise_failure()

    def _fetch(self) -> None:
        """Fetches the next page, and marks the end after the last one."""
        session = self._query.session_now()
        reply = self._cached_reply()
        if reply is None:
            request = self._query.request(self._start)
            kind = "pages" if self._page_ends else "queries"
            reply = send(session, self._database, kind, [self._label], request)
        self._receive(reply)
        load_pages([self], session)
        self._raise_failure()

    def _cached_reply(self) -> Reply | None:
        """The reply with the next page, if the session has it from the same query; else None."""
        replies = () if self._remembered is None else self._remembered.replies
        page = len(self._page_ends)
        return replies[page] if page < len(replies) else None

    def _remember(self, reply: Reply) -> None:
        """Caches the reply with the last page, for the same query of the session."""
        query, session = self._remembered, self._query.session
        if query is not None and session is not None and len(query.replies) == len(self._page_ends) - 1:
            session._partitions.add_reply(query, reply)

    def _raise_failure(self) -> None:
        """Raises the stored error once. The next use requests the same page again."""
        failure, self._failure = self._failure, None
        if failure is not None:
            self._is_pending = self._query.session is not None and self._start is self._query.start
            raise failure

    def _rows_wanted(self) -> Sequence[ReplyItem]:
        """The rows of the received page, up to the limit."""
        assert self._reply is not None
        rows: Sequence[ReplyItem] = self._reply.parsed.get("Items", [])
        limit = self._query.limit
        return rows if limit is None else rows[: limit - self._count]

    def _append_page(self, page: Sequence[Any]) -> None:
        """Adds the instances of the received page, and moves to the next page."""
        assert self._reply is not None
        body, rows, limit = self._reply.parsed, self._rows_wanted(), self._query.limit
        self._items += page
        self._has_invalid_rows = self._has_invalid_rows or InvalidRow in map(type, page)
        self._page_ends.append(len(self._items))
        self._remember(self._reply)
        self._capacity = self._capacity.plus(self._reply.capacity)
        self._scanned += body.get("ScannedCount", 0)
        room = None if limit is None else limit - self._count
        self._count += body.get("Count", 0) if room is None else min(body.get("Count", 0), room)
        self._start = body.get("LastEvaluatedKey")
        if len(rows) < len(body.get("Items", [])):
            self._start = self._query.row_key(rows[-1])
        self._is_done = self._start is None or self._count == limit
        self._reply = None

    # --- looking ---------------------------------------------------------------------------------

    @property
    def capacity(self) -> Capacity:
        """The capacity units that the pages fetched so far consumed."""
        self._begin()
        return self._capacity

    @property
    def scanned_count(self) -> int:
        """The number of items that DynamoDB evaluated for the pages fetched so far."""
        self._begin()
        return self._scanned

    @property
    def last_evaluated_key(self) -> str | None:
        """The cursor after the last match; None if there are no further matches. Fetches all matches first."""
        self._fetch_all()
        return None if self._start is None else self._query.cursor(self._start)

    def pages(self) -> Iterator[list[M]]:
        """Iterates over the matches page by page. Each page is fetched when it is needed; empty pages are left out.

        Raises:
            DataFormatError: after a page with a row whose key is not a key of the model. Iteration can continue.

        Example:
            >>> for page in User.query_by_status("active", page_size=50).pages():
            ...     print(len(page))
        """
        return map(reached, self._pages())

    def _pages(self) -> Iterator[Any]:
        self._begin()
        start = number = 0
        while True:
            while number < len(self._page_ends):
                page, start = self._items[start : self._page_ends[number]], self._page_ends[number]
                number += 1
                invalid = [row for row in page if type(row) is InvalidRow]
                if invalid:
                    page = [row for row in page if type(row) is not InvalidRow]
                if page:
                    yield page
                yield from invalid
            if self._is_done:
                return
            self._fetch()

    def all(self) -> list[M]:
        """Fetches all matches.

        Returns:
            A new list.

        Raises:
            DataFormatError: for a row whose key is not a key of the model. Iteration skips such a row after the error.

        Example:
            >>> users = User.query_by_status("active").all()
        """
        self._fetch_all()
        return list(map(reached, self._items)) if self._has_invalid_rows else self._items.copy()

    def _fetch_all(self) -> None:
        self._begin()
        while not self._is_done:
            self._fetch()

    @property
    def items(self) -> list[M]:
        """All matches, in a new list; the same as `all()`."""
        return self.all()

    @property
    def count(self) -> int:
        """The number of matches on all pages. Fetches all pages."""
        self._fetch_all()
        return self._count

    def first(self) -> M | None:
        """The first match.

        Returns:
            The instance; None without a match.

        Example:
            >>> newest = User.query_by_status("active", direction="DESC", limit=1).first()
        """
        return next(iter(self), None)

    def one(self) -> M:
        """The only match.

        Raises:
            ItemNotFoundError: if there is no match.
            QueryError: if there are several matches.

        Example:
            >>> user = User.query_by_status("active", filter={"name": "Ada"}).one()
        """
        matches = list(islice(self, 2))
        if not matches:
            raise ItemNotFoundError(f"{self._query.mapper.schema.name}: the query has no match.")
        if len(matches) > 1:
            raise QueryError(f"{self._query.mapper.schema.name}: the query has several matches, not one.")
        return matches[0]

    def __iter__(self) -> Iterator[M]:
        # A row that raises ends a generator, but not a `chain`.
        return chain.from_iterable(map(self._reached, self._received_chunks()))

    def _reached(self, page: list[Any]) -> Iterable[M]:
        return map(reached, page) if self._has_invalid_rows else page

    def _received_chunks(self) -> Iterator[list[Any]]:
        """The matches fetched so far, then those of each further page."""
        self._begin()
        position = 0
        while True:
            while position < len(self._items):
                chunk = self._items[position:]
                position += len(chunk)
                yield chunk
            if self._is_done:
                return
            self._fetch()

    def __len__(self) -> int:
        self._fetch_all()
        return len(self._items)

    def __bool__(self) -> bool:
        return any(self._received_chunks()) or self._count > 0

    @overload
    def __getitem__(self, index: int) -> M: ...

    @overload
    def __getitem__(self, index: slice) -> list[M]: ...

    def __getitem__(self, index: int | slice) -> M | list[M]:
        count = _count_for(index)
        self._begin()
        while not self._is_done and (count is None or len(self._items) < count):
            self._fetch()
        matches: Any = self._items[index]
        return list(map(reached, matches)) if isinstance(index, slice) else reached(matches)

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[M]]]:
        return list, (self.all(),)

    def __bao_json_form__(self) -> JsonForm:
        return list(map(json_form, self))

    def __repr__(self) -> str:
        state = "pending" if self._is_pending else "all" if self._is_done else "more to come"
        return f"<QueryResult of {self._query.mapper.schema.name}: {len(self._items)} fetched, {state}>"


def result_of(query: Query) -> QueryResult[Any]:
    """The result of a query: the cached one of its session, or a new one."""
    session = query.session
    if session is None or query.bypass_cache:
        return QueryResult(query)
    remembered = query.remembered(session)
    result: QueryResult[Any] | None = remembered.result
    if result is None:
        remembered.result = result = QueryResult(query, remembered)
    return result


def _count_for(index: int | slice) -> int | None:
    """The number of matches that an index needs; None for all, as for negative indexes."""
    if isinstance(index, slice):
        from_the_front = min(index.start or 0, index.stop or 0, index.step or 1) >= 0
        return index.stop if from_the_front else None
    return index + 1 if index >= 0 else None


# --- pages of replies -------------------------------------------------------------------------------------


def load_pages(results: Iterable[Any], session: Session | None) -> None:
    """Turns the received pages of some results into instances, and loads the requested relations.

    Rows of the same index that came together are peers, like the rows of one page.
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
        query_kind = (id(query.mapper), query.name, query.related, query.related_only)
        pages.setdefault(query_kind, []).append((result, page))
    members = [member for group in pages.values() for member in group]
    try:
        load_relations([load for group in pages.values() for load in _eager_loads(group)], session)
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
    """Makes the rows of similar queries peers, and yields the relations to load for them."""
    query = group[0][0]._query
    rows = [row for _, page in group for row in page if type(row) is not InvalidRow]
    if query.mapper.schema.has_relations:
        make_peers(rows)
    if query.related != ():
        yield EagerLoad(rows, query.related)
    if query.related_only is not None:
        yield EagerLoad(rows, [query.related_only])


def _targets(rows: Sequence[Any], field: str) -> list[Any]:
    """The stored targets of a relation of some rows; an `InvalidRow` stays in the list."""
    targets = [row if type(row) is InvalidRow else remembered_related(row, field) for row in rows]
    return [
        target
        for target in targets
        if target is not None and (type(target) is InvalidRow or state_of(target).status is Status.LOADED)
    ]
