"""The result of a query: a lazy sequence that fetches further pages as they are needed.

Inside a session the first page waits too: the first look at one result fetches those of all pending ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain, islice
from typing import Any, Generic, TypeVar, Unpack, overload

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.expressions.conditions import Condition
from dynamo_bao.dynamodb.items import ReplyItem
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.errors import ItemNotFoundError, LazyLoadError, QueryError
from dynamo_bao.mapping.declarations import HasManyDeclaration
from dynamo_bao.reads.eager_loading import load_pages
from dynamo_bao.reads.list_answers import ListAnswer
from dynamo_bao.reads.prefetch import is_shared, peer_queries, register_parents
from dynamo_bao.reads.query import Query, QueryOptions
from dynamo_bao.runtime.process import ForkSafeLock
from dynamo_bao.session.hydration import InvalidRow, LoadedRow, reached
from dynamo_bao.session.partitions import Prefetch, RememberedQuery
from dynamo_bao.session.peers import remember_items
from dynamo_bao.session.query_kinds import PrefetchFigures, QueryKind
from dynamo_bao.session.requests import send
from dynamo_bao.session.scope import UNSHARED, operation_in
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance

M = TypeVar("M")


class QueryResult(ListAnswer, Generic[M]):
    """The matches of a query: a lazy sequence that fetches further pages as they are needed.

    Iteration goes through all matches (or `limit` of them). ``len`` and `items` fetch all matches; an index fetches
    the pages up to it; `pages` streams. In a batch context, no request is sent before the first use of a result. The
    first use then fetches the first pages of all pending queries, and all pending lookups, at the same time. The same
    query in the same context returns this object again, until the context writes to the query's partition.

    Example:
        >>> for post in user.query_posts():
        ...     print(post.title)
    """

    _lock: ForkSafeLock | None = None

    def __init__(
        self,
        query: Query,
        remembered: RememberedQuery | None = None,
        relation: HasManyDeclaration | None = None,
    ) -> None:
        self._query = query
        self._remembered = remembered
        self._relation = relation
        self._is_explicit = relation is None
        self._is_used = False
        self._failure: Exception | None = None
        self._reset()
        self._is_pending = query.session is not None or relation is not None
        if not self._is_pending:
            self._fetch_page()
        elif query.session is not None and self._may_run_with_others(query.session):
            query.session._loader.queries.add(self)

    def _may_run_with_others(self, session: Session) -> bool:
        """Whether the first page may be requested when another result is used."""
        return self._cached_reply() is None and (self._is_explicit or session.settings.fetch != "raise")

    def _reset(self) -> None:
        self._items: list[Any] = []
        self._page_ends: list[int] = []
        self._start: Item | None = self._query.start
        self._reply: Reply | None = None
        self._is_pending = True
        self._is_done = False
        self._count = 0
        self._has_invalid_rows = False
        self._scanned = 0
        self._capacity = Capacity()

    # --- fetching --------------------------------------------------------------------------------

    @property
    def _database(self) -> Database:
        """The table of the query."""
        return self._query.mapper.database

    @property
    def _label(self) -> str:
        """The model and the index, for traces."""
        return self._query.about

    @property
    def _continues(self) -> bool:
        """Whether it starts at a cursor, so that it could not be sent together with the query before it."""
        return self._query.start is not None and not self._page_ends

    @property
    def _remedy(self) -> str:
        """What would avoid that such queries are sent one at a time, for the N+1 warning."""
        kind = self._kind
        obstacle = "" if kind is None else kind.obstacle
        if obstacle:
            return (
                f"Queries of {self._label} are no longer fetched for several instances, because {obstacle}."
            )
        if self._relation is not None:
            return f"Load them with their parents: load_related=[{self._relation.name!r}]."
        return ""

    def _next_request(self) -> Request:
        """The request of the next page."""
        if not self._is_used:
            self._remember_anew()
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
        if self._is_pending or not self._is_used:
            with operation_in(self._query.session):
                self._begin_once()
        self._raise_failure()

    def _begin_once(self) -> None:
        if not self._is_used:
            self._note_use()
        if not self._is_pending:  # it was fetched by another thread meanwhile, or for another result
            return
        session = self._query.session_now()
        if session is not None and session is self._query.session and self._cached_reply() is None:
            self._fetch_with_others(session)
        else:
            self._fetch(len(self._page_ends))

    def _fetch_with_others(self, session: Session) -> None:
        """Fetches the first page in one round with all pending queries, and with those of peers."""
        kind = self._kind
        register_parents(self._query, session)
        peers = [] if kind is None else peer_queries(self._query, kind, session)
        results = [(peer, result_of(query)) for peer, query in peers]
        queries = session._loader.flush_queries(self)
        cause = session._rounds.last_cause
        load_pages(queries, session)
        if not results or kind is None:
            return
        figures = session._partitions.kinds.figures_of(cause, self._label)
        for peer, result in results:
            if result._failure is not None:
                result._forget_unused()
                kind.obstacle = "a request for one of the others failed"
            elif not result._is_pending:
                remember_items(peer, kind, result)
                if self._relation is not None:
                    result._hold_at(peer, self._relation)
                result._note_prefetch(session, kind, figures)

    def _note_prefetch(self, session: Session, kind: QueryKind, figures: PrefetchFigures) -> None:
        """Records that the first page was fetched in advance."""
        assert self._remembered is not None
        self._remembered.prefetch = Prefetch(kind, figures)
        figures.count += 1
        figures.unused += 1
        session.stats.prefetched += 1
        session.stats.prefetched_unused += 1

    def _fetch(self, page: int) -> None:
        """Fetches a page, unless another thread has fetched it meanwhile.

        Args:
            page: the number of pages before it.
        """
        with operation_in(self._query.session), self._turn():
            if len(self._page_ends) == page and not self._is_done:
                self._fetch_page()

    def _turn(self) -> AbstractContextManager[None]:
        """A block that one thread at a time runs. An open context is used by one at a time anyway."""
        session = self._query.session
        if session is not None and session.is_open:
            return UNSHARED
        lock: ForkSafeLock | None = self._lock
        return vars(self).setdefault("_lock", ForkSafeLock()) if lock is None else lock

    def _fetch_page(self) -> None:
        session = self._query.session_now()
        reply = self._cached_reply()
        if reply is None:
            request = self._query.request(self._start)
            kind = "pages" if self._page_ends or self._continues else "queries"
            # A long result is not N+1. So only its second page counts.
            remedy = self._remedy if len(self._page_ends) == 1 and self._query.parent is not None else ""
            reply = send(session, self._database, kind, [self._label], request, remedy=remedy)
        self._receive(reply)
        load_pages([self], session)
        self._raise_failure()

    def _needs_request(self) -> bool:
        """Whether a further page must be requested. Cached pages are added first."""
        while not self._is_done and self._failure is None:
            reply = self._cached_reply()
            if reply is None:
                return True
            self._receive(reply)
            load_pages([self], self._query.session)
        return False

    # --- use -------------------------------------------------------------------------------------

    @property
    def _kind(self) -> QueryKind | None:
        """What the session knows of this query for other instances; None if it is not shared with others."""
        session, remembered = self._query.session, self._remembered
        if session is None or remembered is None or not is_shared(self._query):
            return None
        return session._partitions.kinds.get(remembered.kind)

    def _note_use(self) -> None:
        """Records the first use of the result.

        Raises:
            LazyLoadError: if the result of a relation would be fetched, and the context refuses implicit loads.
        """
        session, relation = self._query.session, self._relation
        is_open = session is not None and session.is_open
        if session is not None and is_open:
            session._partitions.hear()
            if self._remembered is not None and not self._remembered.is_current:
                self._forget_unused()
                self._remember_anew()
        if relation is not None and not self._is_explicit:
            self._require_fetched(relation)
        if session is not None and is_open:
            self._note_use_of_kind(session)
        self._is_used = True
        parent = self._query.parent_now()
        if session is not None and relation is not None and parent is not None:
            self._hold_at(parent, relation)

    def _hold_at(self, parent: Instance, relation: HasManyDeclaration) -> None:
        """Stores the result at its instance, if it is all of a relation."""
        if not self._query.is_narrowed:
            remember_items(parent, relation, self)

    def _is_current_in(self, session: Session) -> bool:
        """Whether the same query in a session has this result."""
        session._partitions.hear()
        remembered = self._remembered
        return self._query.session is session and remembered is not None and remembered.is_current

    def _remember_anew(self) -> None:
        """Becomes the result of the query's current entry, if the session has forgotten the former one.

        What is fetched for the result from now on is dropped with that entry.
        """
        session, remembered = self._query.session, self._remembered
        if session is None or session.is_closed or remembered is None or remembered.is_current:
            return
        self._remembered = self._query.remembered(session)
        if self._remembered.result is None:
            self._remembered.result = self

    def _require_fetched(self, relation: HasManyDeclaration) -> None:
        if not self._is_pending or self._cached_reply() is not None:
            return
        session = self._query.session_now()
        if session is None or session.settings.fetch != "raise":
            return
        raise LazyLoadError(
            f"{relation.owner}.{relation.name} is not loaded, and the context was opened with fetch='raise', which "
            f"refuses implicit loads. Load it first: load_related=[{relation.name!r}], or query explicitly.",
            model=relation.owner,
            field=relation.name,
        )

    def _note_use_of_kind(self, session: Session) -> None:
        """Records for peers that the query was looked at for its partition."""
        kind, remembered = self._kind, self._remembered
        if kind is None or remembered is None:
            return
        kind.note_look(self._query.partition)
        parent = self._query.parent_now()
        if parent is not None:
            remember_items(parent, kind, None)
        if remembered.prefetch is not None:
            remembered.prefetch.figures.unused -= 1
            session.stats.prefetched_unused -= 1
            remembered.prefetch = None

    def _forget_unused(self) -> None:
        """Forgets what was fetched, if it was not used yet. The first use fetches it again."""
        if not self._is_used:
            self._failure = None
            self._reset()

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

    def _append_page(self, page: Sequence[LoadedRow]) -> None:
        """Adds the instances of the received page, and moves to the next page."""
        assert self._reply is not None
        body, rows, limit = self._reply.parsed, self._rows_wanted(), self._query.limit
        # In an order in which other threads can read it.
        self._has_invalid_rows = self._has_invalid_rows or InvalidRow in map(type, page)
        self._items += page
        self._page_ends.append(len(self._items))
        if len(self._page_ends) == 1 and self._kind is not None:
            self._kind.note_answer(self._reply, "Limit" in self._query.parameters)
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
        """The cursor after the last match; None if there are no further matches. Fetches all matches first.

        Raises:
            QueryError: for `count_only` with a `limit`, which does not read the keys of its matches.
        """
        if "Select" in self._query.parameters and self._query.limit is not None:
            raise QueryError(
                f"{self._query.mapper.schema.name}: count_only with a limit has no cursor, because its matches are not "
                f"read. Leave count_only out, or ask for the cursor of the query without it."
            )
        self._fetch_all()
        return None if self._start is None else self._query.cursor(self._start)

    def pages(self) -> Iterator[list[M]]:
        """Iterates over the matches page by page. Each page is fetched when it is needed; empty pages are left out.

        Returns:
            An iterator over lists of matches.

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
            page_count, is_done = len(self._page_ends), self._is_done
            while number < len(self._page_ends):
                page, start = self._items[start : self._page_ends[number]], self._page_ends[number]
                number += 1
                invalid = [row for row in page if type(row) is InvalidRow]
                if invalid:
                    page = [row for row in page if type(row) is not InvalidRow]
                if page:
                    yield page
                yield from invalid
            if is_done:
                return
            self._fetch(page_count)

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
            self._fetch(len(self._page_ends))

    @property
    def items(self) -> list[M]:
        """All matches, in a new list; the same as `all()`."""
        return self.all()

    @property
    def count(self) -> int:
        """The number of matches on all pages. Fetches all pages."""
        self._fetch_all()
        return self._count

    def where(
        self, condition: Mapping[str, object] | Condition | None = None, /, **options: Unpack[QueryOptions]
    ) -> QueryResult[M]:
        """The matches of the same query with a further condition, and with other options.

        A condition on the sort key of the index limits what is read. The rest of the condition is a filter.

        Args:
            condition: a condition as a dict or an expression.
            **options: as `Model.query_by_index` takes them.

        Returns:
            A new result. No request is sent before its first use in a batch context.

        Raises:
            QueryError: if an option or the condition does not fit the index.

        Example:
            >>> user.posts.where({"created_at": {"$gt": moment}}, limit=5, direction="DESC")
        """
        result = result_of(self._query.narrowed(condition, options), self._relation)
        if self._query.session is not None and not self._is_used:
            # Who narrows a result rarely uses the whole one too.
            self._query.session._loader.queries.discard(self)
        return result

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

        Returns:
            The match.

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

    def _received_chunks(self) -> Iterator[list[object]]:
        """The matches fetched so far, then those of each further page."""
        self._begin()
        position = 0
        while True:
            page_count, is_done = len(self._page_ends), self._is_done
            while position < len(self._items):
                chunk = self._items[position:]
                position += len(chunk)
                yield chunk
            if is_done:
                return
            self._fetch(page_count)

    def __len__(self) -> int:
        self._fetch_all()
        return len(self._items)

    def __bool__(self) -> bool:
        counts_only = "Select" in self._query.parameters  # then there are no items
        return any(self._received_chunks()) or (counts_only and self._count > 0)

    @overload
    def __getitem__(self, index: int) -> M: ...

    @overload
    def __getitem__(self, index: slice) -> list[M]: ...

    def __getitem__(self, index: int | slice) -> M | list[M]:
        count = _count_for(index)
        self._begin()
        while not self._is_done and (count is None or len(self._items) < count):
            self._fetch(len(self._page_ends))
        matches: Any = self._items[index]
        return list(map(reached, matches)) if isinstance(index, slice) else reached(matches)

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[M]]]:
        return list, (self.all(),)

    def __repr__(self) -> str:
        state = "pending" if self._is_pending else "all" if self._is_done else "more to come"
        return f"<QueryResult of {self._query.mapper.schema.name}: {len(self._items)} fetched, {state}>"


def result_of(query: Query, relation: HasManyDeclaration | None = None) -> QueryResult[Any]:
    """The result of a query: the cached one of its session, or a new one.

    Args:
        relation: the relation that is read; None for an explicit query.
    """
    session = query.session
    if session is None or query.bypass_cache:
        return QueryResult(query, None, relation)
    with operation_in(session):
        remembered = query.remembered(session)
        result: QueryResult[Any] | None = remembered.result
        if result is None:
            remembered.result = result = QueryResult(query, remembered, relation)
        elif relation is None:
            result._is_explicit = True
        elif result._relation is None:
            result._relation = relation
    return result


def _count_for(index: int | slice) -> int | None:
    """The number of matches that an index needs; None for all, as for negative indexes."""
    if isinstance(index, slice):
        from_the_front = min(index.start or 0, index.stop or 0, index.step or 1) >= 0
        return index.stop if from_the_front else None
    return index + 1 if index >= 0 else None
