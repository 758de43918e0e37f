"""The result of a query: a lazy sequence that fetches further pages as they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar, overload

from dynamo_bao.capacity import Capacity
from dynamo_bao.errors import ItemNotFoundError, QueryError
from dynamo_bao.query import Query
from dynamo_bao.wire import Item

M = TypeVar("M")


class QueryResult(Generic[M]):
    """The matches of a query: a lazy sequence that fetches further pages as they are needed.

    Iterating goes through all matches (or `limit` of them). ``len``, indexing and `items` fetch all of
    them; `pages` streams.

    Example:
        >>> for post in user.query_posts():
        ...     print(post.title)
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self._items: list[M] = []
        self._start: Item | None = query.start
        self._done = False
        self._count = 0
        self.scanned_count = 0
        self.capacity = Capacity()

    def _fetch(self) -> list[M]:
        """The next page's instances; marks the end where there is no further page."""
        body = self._query.page(self._start)
        self.capacity = self.capacity.plus(body["_capacity"])
        self.scanned_count += body.get("ScannedCount", 0)
        rows, limit = body.get("Items", []), self._query.limit
        room = None if limit is None else limit - self._count
        taken = rows if room is None else rows[:room]
        self._count += body.get("Count", 0) if room is None else min(body.get("Count", 0), room)
        page: list[M] = self._query.instances(taken)
        self._items += page
        self._start = body.get("LastEvaluatedKey")
        if len(taken) < len(rows):
            self._start = self._query.row_key(taken[-1])
        self._done = self._start is None or self._count == limit
        return page

    @property
    def last_evaluated_key(self) -> str | None:
        """The cursor that continues after the last match, None after the very last; fetches what is missing."""
        self.all()
        return None if self._start is None else self._query.cursor(self._start)

    def pages(self) -> Iterator[list[M]]:
        """The pages not fetched yet, one request each; empty ones are left out."""
        while not self._done:
            page = self._fetch()
            if page:
                yield page

    def all(self) -> list[M]:
        """Every match."""
        for _ in self.pages():
            pass
        return self._items

    @property
    def items(self) -> list[M]:
        """Every match."""
        return self.all()

    @property
    def count(self) -> int:
        """How many matches there are, over all pages."""
        self.all()
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
        matches = self.all()
        if not matches:
            raise ItemNotFoundError(f"{self._query.home.schema.name}: the query has no match.")
        if len(matches) > 1:
            raise QueryError(
                f"{self._query.home.schema.name}: the query has {len(matches)} matches, not one."
            )
        return matches[0]

    def __iter__(self) -> Iterator[M]:
        position = 0
        while True:
            while position < len(self._items):
                yield self._items[position]
                position += 1
            if self._done:
                return
            self._fetch()

    def __len__(self) -> int:
        return len(self.all())

    def __bool__(self) -> bool:
        return self.first() is not None or self._count > 0

    @overload
    def __getitem__(self, index: int) -> M: ...

    @overload
    def __getitem__(self, index: slice) -> list[M]: ...

    def __getitem__(self, index: int | slice) -> M | list[M]:
        return self.all()[index]

    def __repr__(self) -> str:
        state = "all" if self._done else "more to come"
        return f"<QueryResult of {self._query.home.schema.name}: {len(self._items)} fetched, {state}>"
