"""Searching the text of a model's items.

The search index gives the items whose search text may match. Each item is then read, and its fields are compared
with the terms. A late index or an object that was loaded long ago therefore gives no wrong match.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Generic, TypedDict, TypeVar, overload

from dynamo_bao.dynamodb.expressions.conditions import Condition, Contains, all_of, any_of
from dynamo_bao.dynamodb.expressions.parser import condition_from
from dynamo_bao.dynamodb.expressions.paths import Attribute
from dynamo_bao.dynamodb.items import ReplyItem
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import SEARCH_TEXT
from dynamo_bao.errors import ConfigurationError, QueryError
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.search_text import SearchConfig
from dynamo_bao.reads.bucket_reader import BucketReader, Page, identities_in, load_weakly
from dynamo_bao.reads.cursors import sign_cursor, verify_cursor
from dynamo_bao.reads.iteration import FilterLike, buckets_of, index_filter, require_positive_int
from dynamo_bao.reads.list_answers import ListAnswer
from dynamo_bao.reads.search_cost import SearchCost
from dynamo_bao.reads.search_terms import OPERATORS, Term, terms_of
from dynamo_bao.runtime.records import asdict, frozen
from dynamo_bao.session.context import BatchContext
from dynamo_bao.session.hydration import InvalidRow, reached
from dynamo_bao.session.lazy import require_present
from dynamo_bao.session.peers import make_peers
from dynamo_bao.session.scope import current_transaction, operation_in, resolve_scope
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance, ModelMapper, Status, state_of, unload

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
"""The `batch_size` that begins small and grows."""
_PURPOSE = ("search",)
FIRST_PAGE = 100
"""How many entries the first request to a bucket evaluates."""
GROWTH = 10
"""The factor by which each further request evaluates more entries."""
MAX_PAGE_SIZE = 20_000
"""The largest page: so many entries exceed a megabyte, at which DynamoDB ends a page."""


class SearchResult(ListAnswer, Generic[T]):
    """The matches of a search: a sequence.

    Attributes:
        cursor: the cursor with which the same search continues; None if there are no more matches.

    Example:
        >>> matches = Post.search_all(["batch"], limit=10)
        >>> rest = Post.search_all(["batch"], limit=10, cursor=matches.cursor)
    """

    def __init__(self, items: Sequence[T], cursor: str | None) -> None:
        self._items = list(items)
        self.cursor = cursor

    @property
    def items(self) -> list[T]:
        """The matches.

        Raises:
            DataFormatError: for a row whose key is not a key of the model. Iteration skips such a row after the error.
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
        matches: Any = self._items[index]
        return list(map(reached, matches)) if isinstance(index, slice) else reached(matches)

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
    """Searches the items of a searchable and iterable model whose search fields contain terms.

    DynamoDB evaluates the index entry of every item of the model, and charges for it. Each match is then read.

    Args:
        terms: words or phrases; `tokenize_search_query` makes them from a typed text.
        operator: ``"$and"`` for items with all terms, ``"$or"`` for items with any term.
        limit: the maximum number of matches; None for all.
        cursor: the `cursor` of an earlier result of the same search; this search continues there.
        batch_size: how many entries of the index one request evaluates; ``"growing"`` begins with 100 and grows with
            each request, up to the megabyte that one reply can have.
        max_queries_per_bucket: after how many requests to a bucket the search returns the matches so far.
        parallel: how many buckets are read at the same time.
        filter: a further condition or function, as for `iterate_all`.
        allow_scan: whether the search may evaluate 100,000 entries of the index or more.

    Returns:
        The matches, with a cursor if there may be more.

    Raises:
        ConfigurationError: for a model that is not searchable or not iterable.
        QueryError: for invalid terms or options, for a cursor of another search, or for an index of 100,000 entries
            or more without `allow_scan`.
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
        session, tenant: the session and the tenant of the search.
        buckets: the buckets that it reads.
        parameters: the parameters of its queries, with the filter for the index.
        has_terms: returns whether an instance that was read has the terms.
        item_filter: returns whether an instance passes the filter; None without a function as the filter.
        checksum: a checksum of all arguments of the search; cursors are bound to it.
    """

    mapper: ModelMapper
    session: Session | None
    tenant: str | None
    buckets: tuple[int, ...]
    parameters: dict[str, Any]
    has_terms: Callable[[Any], bool]
    item_filter: Callable[[Any], object] | None
    checksum: str

    @classmethod
    def of(
        cls,
        mapper: ModelMapper,
        operation: str,
        bucket: int | None,
        texts: Sequence[str],
        operator: str,
        filter: FilterLike,
    ) -> _Search:
        schema = mapper.schema
        session, tenant = resolve_scope(mapper.database, schema.name, operation, bucket)
        config = _config(schema, operation)
        buckets = buckets_of(mapper, operation, bucket)
        terms = _checked_terms(schema, texts, operator, config)
        condition = _condition(terms, operator)
        if not callable(filter):
            condition = all_of((condition, condition_from(filter, mapper.database.strict_filters)))
        parameters = index_filter(schema, operation, condition)
        combine = all if operator == "$and" else any

        def has_terms(instance: Instance) -> bool:
            if _is_ahead(instance):  # the index has found the item as it is stored
                return True
            field_texts = schema.field_texts(state_of(instance).dict_item() or {})
            return combine(term.found_in(field_texts) for term in terms)

        arguments = json.dumps([operator, asdict(config), parameters], sort_keys=True, default=bytes.hex)
        checksum = hashlib.blake2b(arguments.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()
        item_filter = filter if callable(filter) else None
        return cls(mapper, session, tenant, buckets, parameters, has_terms, item_filter, checksum)

    def run(
        self,
        limit: float | None,
        cursor: str | None,
        batch_size: int | str,
        max_queries: int,
        parallel: int,
        allow_scan: bool,
    ) -> SearchResult[Any]:
        room = _checked_limit(limit)
        checked = {"batch_size": batch_size, "parallel": parallel, "max_queries_per_bucket": max_queries}
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
        while not reader.is_done and len(items) < room:
            pages = reader.read({bucket for bucket, number in queries.items() if number >= max_queries})
            if not pages:
                break
            queries.update(page.bucket for page in pages)
            cost.add(pages, is_last=reader.is_last_page(pages))
            items += self._take(reader, pages, room - len(items))
        make_peers(item for item in items if type(item) is not InvalidRow)
        return SearchResult(items, None if reader.is_done else self._cursor(reader))

    def _take(self, reader: BucketReader, pages: Sequence[Page], room: float) -> list[object]:
        """The matches in the rows of some pages. After `room` matches, further rows are left for the next search."""
        rows = [row for page in pages for row in page.rows]
        matches: list[object] = []
        row_count = 0
        while row_count < len(rows) and len(matches) < room:
            chunk = rows[row_count : row_count + int(min(room - len(matches), len(rows)))]
            matches += self._matches(chunk)
            row_count += len(chunk)
        for page in pages:
            page_row_count, row_count = min(row_count, len(page.rows)), max(row_count - len(page.rows), 0)
            if page_row_count == len(page.rows):
                reader.acknowledge(page.bucket, page.end)
            elif page_row_count:
                reader.acknowledge(page.bucket, page.rows[page_row_count - 1])
        return matches

    def _matches(self, rows: Sequence[ReplyItem]) -> list[object]:
        identities = identities_in(self.mapper.schema, self.tenant, rows)
        if self.session is not None:
            with operation_in(self.session):
                return self._matching(identities, self.session)
        with BatchContext() as temporary_session:
            return self._matching(identities, temporary_session)

    def _matching(self, identities: Sequence[Identity | InvalidRow], session: Session) -> list[Any]:
        """The instances that match. One that may be older than the index is first read again, consistently.

        It lacks a term, or the filter refuses it, and the session had it already.
        """
        known_keys = self._known_keys(identities, session)
        instances = load_weakly(self.mapper, self.tenant, identities, session)
        pairs: list[tuple[Any, Any]] = [
            (identity, instance)
            for identity, instance in zip(identities, instances, strict=True)
            if instance is not None
        ]
        refused: set[int] = set()
        stale: list[Any] = []
        for identity, instance in pairs:
            if identity is instance:  # an `InvalidRow`
                continue
            has_terms = self.has_terms(instance)
            if has_terms and self._passes(instance):
                continue
            refused.add(id(instance))
            if not _is_ahead(instance) and (identity.key in known_keys or not has_terms):
                stale.append(instance)
                unload(instance, consistent=True, keep_changes=True)
                session._instances.expire(self.mapper, identity)
        self._load_again(stale, session)
        refused.difference_update(id(instance) for instance in stale if self._matches_now(instance))
        return [instance for _, instance in pairs if id(instance) not in refused]

    def _known_keys(self, identities: Sequence[Identity | InvalidRow], session: Session) -> set[Key]:
        """The keys that the session has instances for, if there is a filter that could see old values."""
        keys = [
            identity.key
            for identity in identities
            if self.item_filter is not None and not isinstance(identity, InvalidRow)
        ]
        return {key for key in keys if session._instances.get(self.mapper, key) is not None}

    def _passes(self, instance: Instance) -> bool:
        return self.item_filter is None or bool(self.item_filter(instance))

    def _load_again(self, stale: Sequence[Instance], session: Session) -> None:
        if stale:
            session._loader.flush("iteration")
        for instance in stale:
            if state_of(instance).status is Status.FAILED:
                require_present(state_of(instance))

    def _matches_now(self, instance: Instance) -> bool:
        is_loaded = state_of(instance).status is Status.LOADED
        return is_loaded and self.has_terms(instance) and self._passes(instance)

    # --- cursors ---------------------------------------------------------------------------------

    def _cursor(self, reader: BucketReader) -> str:
        payload = {**self._bound_to(), "at": reader.position()}
        return sign_cursor(payload, _PURPOSE, self.mapper.database.cursor_secret)

    def _bound_to(self) -> dict[str, object]:
        return {
            "model": self.mapper.schema.name,
            "tenant": self.tenant,
            "scope": list(self.buckets),
            "query": self.checksum,
        }

    def _position(self, cursor: str) -> object:
        payload = verify_cursor(cursor, _PURPOSE, self.mapper.database.cursor_secret)
        for name, owner_text in (
            ("model", "another model"),
            ("tenant", "another tenant"),
            ("scope", "other buckets (scope mismatch)"),
            ("query", "a different query"),
        ):
            if payload.get(name, ...) != self._bound_to()[name]:
                raise QueryError(
                    f"{self.mapper.schema.name}: the cursor belongs to {owner_text}. Use it with the same search, or "
                    f"start again without a cursor."
                )
        return payload.get("at")


def _is_ahead(instance: Instance) -> bool:
    """Whether an instance has values that are not stored yet: it is new, or an open transaction has changed it."""
    if state_of(instance).status is Status.TRANSIENT:
        return True
    transaction = current_transaction()
    return transaction is not None and transaction._has_changed(instance)


def _page_size(batch_size: int | str, queries: Mapping[int, int], bucket: int) -> int:
    """How many entries the next request to a bucket evaluates."""
    if isinstance(batch_size, int):
        return batch_size
    return int(min(FIRST_PAGE * GROWTH ** queries[bucket], MAX_PAGE_SIZE))


def _config(schema: Schema, operation: str) -> SearchConfig:
    if schema.search is None:
        raise ConfigurationError(
            f"Model {schema.name} is not configured as searchable, which {operation}() requires. Define it with "
            f"searchable=['<field>', …], and run 'bao reindex {schema.name}' if it has items.",
            model=schema.name,
        )
    return schema.search


def _checked_terms(schema: Schema, texts: Sequence[str], operator: str, config: SearchConfig) -> list[Term]:
    if operator not in OPERATORS:
        raise QueryError(f"{schema.name}: operator={operator!r}; use one of {', '.join(OPERATORS)}.")
    if isinstance(texts, str) or not isinstance(texts, (list, tuple)):
        raise QueryError(
            f"{schema.name}: terms is a list of texts, not {type(texts).__name__}; "
            f"tokenize_search_query(text) makes one."
        )
    for text in texts:
        if not isinstance(text, str):
            raise QueryError(f"{schema.name}: a search term is a text, not {type(text).__name__}.")
    terms = terms_of(texts, config)
    if not terms:
        raise QueryError(
            f"{schema.name}: a search requires at least one non-empty term with {config.min_term_length} or more "
            f"letters or digits."
        )
    return terms


def _condition(terms: Sequence[Term], operator: str) -> Condition:
    """The condition that the stored text of every match meets."""
    text = Attribute(SEARCH_TEXT)
    parts = [
        any_of(all_of(Contains(text, {"S": part}) for part in form) for form in term.required_parts)
        for term in terms
    ]
    return all_of(parts) if operator == "$and" else any_of(parts)


def _checked_limit(limit: float | None) -> float:
    if limit is None or limit == math.inf:
        return math.inf
    require_positive_int(limit, "limit")
    return limit
