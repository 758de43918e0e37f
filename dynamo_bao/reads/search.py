"""Searching the text of a model's items.

The search index is asked for the items whose search text may match; each is then read, and its fields are
looked at themselves, so that neither a late index nor an object loaded long ago gives a wrong match.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Generic, TypedDict, TypeVar, overload

from attrs import asdict, frozen

from dynamo_bao.dynamodb.expressions.conditions import Attribute, Condition, Contains, all_of, any_of
from dynamo_bao.dynamodb.expressions.parser import condition_from
from dynamo_bao.dynamodb.layout import SEARCH_TEXT
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.errors import ConfigurationError, QueryError
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.search_text import SearchConfig
from dynamo_bao.reads.bucket_reader import BucketReader, Page, identities_in, load_weakly
from dynamo_bao.reads.cursors import sign_cursor, verify_cursor
from dynamo_bao.reads.iteration import FilterLike, buckets_of, index_filter, require_positive_int
from dynamo_bao.reads.search_cost import SearchCost
from dynamo_bao.reads.search_terms import OPERATORS, Term, terms_of
from dynamo_bao.session.context import BatchContext
from dynamo_bao.session.hydration import InvalidRow, reached
from dynamo_bao.session.lazy import require_present
from dynamo_bao.session.peers import make_peers
from dynamo_bao.session.scope import resolve_scope
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import ModelMapper, Status, state_of, unload

T = TypeVar("T")


class SearchOptions(TypedDict, total=False):
    """Further arguments of a search, which `search_all` explains."""

    batch_size: int | str
    allow_scan: bool
    max_queries_per_bucket: int
    filter: FilterLike


class SearchAllOptions(SearchOptions, total=False):
    """Further arguments of a search of all buckets."""

    parallel: int


GROWING: Final = "growing"
"""A `batch_size` that begins small and grows."""
_PURPOSE = ("search",)
FIRST_PAGE = 100
"""How many entries the first request to a bucket looks at."""
GROWTH = 10
"""How many times as many each further request looks at."""
LARGEST_PAGE = 20_000
"""Entries that are more than a megabyte in any case, where DynamoDB ends a page by itself."""


class SearchResult(Generic[T]):
    """What a search found: a sequence.

    Attributes:
        cursor: a text with which the same search goes on after them; None where there are no more.
    """

    def __init__(self, items: Sequence[T], cursor: str | None) -> None:
        self._items = list(items)
        self.cursor = cursor

    @property
    def items(self) -> list[T]:
        """The matches.

        Raises:
            DataFormatError: where one has a key that is none of the model's; iterating goes on after it.
        """
        return list(self)

    def __iter__(self) -> Iterator[T]:
        return map(reached, self._items)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        found: Any = self._items[index]
        return list(map(reached, found)) if isinstance(index, slice) else reached(found)

    def __repr__(self) -> str:
        return f"<SearchResult: {len(self._items)} items, {'more to come' if self.cursor else 'all'}>"


def search_all(
    mapper: ModelMapper,
    terms: Sequence[str],
    operator: str = "$and",
    limit: float | None = 100,
    cursor: str | None = None,
    *,
    batch_size: int | str = GROWING,
    max_queries_per_bucket: int = 50,
    parallel: int = 4,
    filter: FilterLike = None,
    allow_scan: bool = False,
) -> SearchResult[Any]:
    """The items of a searchable and iterable model whose search fields contain terms.

    Every item of the model is looked at by the index, and paid for as an entry of it; each match is then read.

    Args:
        terms: words or phrases; `tokenize_search_query` makes them from what somebody typed.
        operator: ``"$and"`` for items with all terms, ``"$or"`` for items with any.
        limit: how many matches are wanted at most; None for all.
        cursor: where to go on, the `cursor` of an earlier result of the same search.
        batch_size: how many entries of the index are looked at per request; ``"growing"`` is 100 at first, and more
            with each request, up to the megabyte that one reply holds.
        max_queries_per_bucket: after how many requests to a bucket the search returns with what it has.
        parallel: how many buckets are read at once.
        filter: what else must hold, as for `iterate_all`.
        allow_scan: whether it may go through 100,000 entries of the index or more.

    Raises:
        ConfigurationError: for a model that is not searchable or not iterable.
        QueryError: for wrong terms or options, a cursor of another search, or an index of 100,000 entries or more
            without `allow_scan`.
    """
    search = _Search.of(mapper, "search_all", None, terms, operator, filter)
    return search.run(limit, cursor, batch_size, max_queries_per_bucket, parallel, allow_scan)


def search_bucket(
    mapper: ModelMapper,
    bucket: int,
    terms: Sequence[str],
    operator: str = "$and",
    limit: float | None = 100,
    cursor: str | None = None,
    *,
    batch_size: int | str = GROWING,
    max_queries_per_bucket: int = 50,
    filter: FilterLike = None,
    allow_scan: bool = False,
) -> SearchResult[Any]:
    """The matches in one iteration bucket; see `search_all`."""
    search = _Search.of(mapper, "search_bucket", bucket, terms, operator, filter)
    return search.run(limit, cursor, batch_size, max_queries_per_bucket, 1, allow_scan)


@frozen
class _Search:
    """A checked search.

    Attributes:
        session, tenant: where and for whom it runs.
        buckets: what it goes through.
        parameters: what its queries have the index evaluate.
        wanted: what must hold of an instance that was read.
        asked: a checksum of everything that makes it this search and no other.
    """

    mapper: ModelMapper
    session: Session | None
    tenant: str | None
    buckets: tuple[int, ...]
    parameters: dict[str, Any]
    wanted: Callable[[Any], object]
    asked: str

    @classmethod
    def of(
        cls,
        mapper: ModelMapper,
        operation: str,
        bucket: int | None,
        given: Sequence[str],
        operator: str,
        filter: FilterLike,
    ) -> _Search:
        schema = mapper.schema
        session, tenant = resolve_scope(mapper.database, schema.name, operation, bucket)
        config = _config(schema, operation)
        buckets = buckets_of(mapper, operation, bucket)
        terms = _checked_terms(schema, given, operator, config)
        condition = _condition(terms, operator)
        if not callable(filter):
            condition = all_of((condition, condition_from(filter, mapper.database.strict_filters)))
        parameters = index_filter(schema, operation, condition)
        every = all if operator == "$and" else any

        def wanted(instance: Any) -> object:
            texts = schema.field_texts(state_of(instance).stored or {})
            found = every(term.found_in(texts) for term in terms)
            return found and (not callable(filter) or filter(instance))

        asked = json.dumps([operator, asdict(config), parameters], sort_keys=True, default=bytes.hex)
        checksum = hashlib.blake2b(asked.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()
        return cls(mapper, session, tenant, buckets, parameters, wanted, checksum)

    def run(
        self,
        limit: float | None,
        cursor: str | None,
        batch_size: int | str,
        most_queries: int,
        parallel: int,
        allow_scan: bool,
    ) -> SearchResult[Any]:
        room = _checked_limit(limit)
        checked = {"batch_size": batch_size, "parallel": parallel, "max_queries_per_bucket": most_queries}
        for name, value in checked.items():
            if value != GROWING or name != "batch_size":
                require_positive_int(value, name)
        queries: Counter[int] = Counter()
        reader = BucketReader.of(
            self.mapper, self.session, self.tenant, self.buckets, parallel, self.parameters
        )
        reader.page_size = partial(_page_size, batch_size, queries)
        cost = SearchCost(self.mapper.database, self.mapper.schema.name, allow_scan)
        if cursor is not None:
            reader.resume(self._position(cursor))
        items: list[Any] = []
        while not reader.done and len(items) < room:
            pages = reader.read({bucket for bucket, number in queries.items() if number >= most_queries})
            if not pages:
                break
            queries.update(page.bucket for page in pages)
            cost.add(pages, finished=reader.at_its_end(pages))
            items += self._take(reader, pages, room - len(items))
        make_peers(one for one in items if type(one) is not InvalidRow)
        return SearchResult(items, None if reader.done else self._cursor(reader))

    def _take(self, reader: BucketReader, pages: Sequence[Page], room: float) -> list[Any]:
        """The matches among the rows of some pages; rows beyond `room` matches are left for the next time."""
        rows = [row for page in pages for row in page.rows]
        found: list[Any] = []
        done = 0
        while done < len(rows) and len(found) < room:
            chunk = rows[done : done + int(min(room - len(found), len(rows)))]
            found += self._matches(chunk)
            done += len(chunk)
        for page in pages:
            taken, done = min(done, len(page.rows)), max(done - len(page.rows), 0)
            if taken == len(page.rows):
                reader.acknowledge(page.bucket, page.end)
            elif taken:
                reader.acknowledge(page.bucket, page.rows[taken - 1])
        return found

    def _matches(self, rows: Sequence[Item]) -> list[Any]:
        identities = identities_in(self.mapper.schema, self.tenant, rows)
        if self.session is not None:
            return self._matching(identities, self.session)
        with BatchContext() as own:
            return self._matching(identities, own)

    def _matching(self, identities: Sequence[Identity | InvalidRow], session: Session) -> list[Any]:
        """The instances that match; one that does not is read again, consistently, before it is left out.

        It may have been loaded before the change that the index has seen already.
        """
        loaded = load_weakly(self.mapper, self.tenant, identities, session)
        pairs: list[tuple[Any, Any]] = [
            (identity, one) for identity, one in zip(identities, loaded, strict=True) if one is not None
        ]
        stale = [(identity, one) for identity, one in pairs if identity is not one and not self.wanted(one)]
        for identity, instance in stale:
            unload(instance, consistent=True, keep_changes=True)
            session._expire(self.mapper, identity)
        if not stale:
            return [instance for _, instance in pairs]
        session.flush("iteration")
        for _, instance in stale:
            if state_of(instance).status is Status.FAILED:
                require_present(instance)
        left_out = {
            id(one) for _, one in stale if state_of(one).status is not Status.LOADED or not self.wanted(one)
        }
        return [instance for _, instance in pairs if id(instance) not in left_out]

    # --- cursors ---------------------------------------------------------------------------------

    def _cursor(self, reader: BucketReader) -> str:
        payload = {**self._bound_to(), "at": reader.position()}
        return sign_cursor(payload, _PURPOSE, self.mapper.database.cursor_secret)

    def _bound_to(self) -> dict[str, Any]:
        return {
            "model": self.mapper.schema.name,
            "tenant": self.tenant,
            "scope": list(self.buckets),
            "query": self.asked,
        }

    def _position(self, cursor: str) -> object:
        payload = verify_cursor(cursor, _PURPOSE, self.mapper.database.cursor_secret)
        for name, what in (
            ("model", "another model"),
            ("tenant", "another tenant"),
            ("scope", "other buckets (scope mismatch)"),
            ("query", "a different query"),
        ):
            if payload.get(name, ...) != self._bound_to()[name]:
                raise QueryError(
                    f"{self.mapper.schema.name}: the cursor belongs to {what}; go on with the call it came from, or "
                    f"start anew without it."
                )
        return payload.get("at")


def _page_size(batch_size: int | str, queries: Mapping[int, int], bucket: int) -> int:
    """How many entries the next request to a bucket looks at."""
    if isinstance(batch_size, int):
        return batch_size
    return int(min(FIRST_PAGE * GROWTH ** queries[bucket], LARGEST_PAGE))


def _config(schema: Schema, operation: str) -> SearchConfig:
    if schema.search is None:
        raise ConfigurationError(
            f"Model {schema.name} is not configured as searchable, as {operation}() needs it. Define it with "
            f'searchable=["<field>", …], and save the items it has with force_reindex=True.',
            model=schema.name,
        )
    return schema.search


def _checked_terms(schema: Schema, given: Sequence[str], operator: str, config: SearchConfig) -> list[Term]:
    if operator not in OPERATORS:
        raise QueryError(f"{schema.name}: operator={operator!r}; use one of {', '.join(OPERATORS)}.")
    if isinstance(given, str) or not isinstance(given, (list, tuple)):
        raise QueryError(
            f"{schema.name}: terms is a list of texts, not {type(given).__name__}; "
            f"tokenize_search_query(text) makes one."
        )
    for term in given:
        if not isinstance(term, str):
            raise QueryError(f"{schema.name}: a search term is a text, not {type(term).__name__}.")
    terms = terms_of(given, config)
    if not terms:
        raise QueryError(
            f"{schema.name}: a search requires at least one non-empty term, of {config.min_term_length} or more "
            f"letters or digits."
        )
    return terms


def _condition(terms: Sequence[Term], operator: str) -> Condition:
    """What the stored text of every match contains."""
    text = Attribute(SEARCH_TEXT)
    parts = [
        any_of(all_of(Contains(text, {"S": part}) for part in asked) for asked in term.asked)
        for term in terms
    ]
    return all_of(parts) if operator == "$and" else any_of(parts)


def _checked_limit(limit: float | None) -> float:
    if limit is None or limit == math.inf:
        return math.inf
    require_positive_int(limit, "limit")
    return limit
