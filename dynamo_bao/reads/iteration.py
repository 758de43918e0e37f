"""Iteration over all items of a model: one batch of items for each page of its iteration index."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypedDict, TypeVar

from dynamo_bao.dynamodb.expressions.conditions import AllOf, AnyOf, Condition, Negation
from dynamo_bao.dynamodb.expressions.parser import condition_from
from dynamo_bao.dynamodb.expressions.paths import Attribute, path_text
from dynamo_bao.dynamodb.expressions.renderer import Placeholders, render_condition
from dynamo_bao.dynamodb.layout import ITER_INDEX, ITER_SEARCH_INDEX, SEARCH_TEXT
from dynamo_bao.dynamodb.transport.rate_limit import UnitRate, checked_rate
from dynamo_bao.errors import ConfigurationError, QueryError
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.reads.bucket_reader import BucketReader, Page, primary_id_of
from dynamo_bao.reads.cursors import sign_cursor, verify_cursor
from dynamo_bao.session.hydration import InvalidRow, reached
from dynamo_bao.session.peers import make_peers
from dynamo_bao.session.scope import resolve_scope
from dynamo_bao.session.state import ModelMapper

B = TypeVar("B")

FilterLike = Mapping[str, object] | Condition | Callable[[Any], object] | None
"""A filter of items: a condition for the index, or a function of the instance."""


class IterationOptions(TypedDict, total=False):
    """Further arguments of `iterate_all`, which explains them."""

    parallel: int
    start_key: str | None
    max_read_units: float | None


# --- what users call ----------------------------------------------------------------------------------


def iterate_all(
    mapper: ModelMapper,
    batch_size: int = 100,
    filter: FilterLike = None,
    *,
    parallel: int = 1,
    start_key: str | None = None,
    keys_only: bool = False,
    max_read_units: float | None = None,
) -> Iteration[Any]:
    """All items of an iterable model, as batches.

    A batch costs one page of the iteration index and one ``BatchGetItem``. Items that are deleted during the
    iteration are left out; items that are created during it may be left out. In a batch context the instances belong
    to the session. It drops them when the program no longer uses them, so memory does not grow with the number of
    items.

    Args:
        batch_size: how many entries of the index one batch covers; a filter leaves fewer items.
        filter: a condition on ``_searchText``, the only attribute of an item that the index has; or a function of the
            instance, which is called after the item was read and paid for.
        parallel: how many buckets are read at the same time.
        start_key: the `last_evaluated_key` of an earlier iteration with the same arguments; this one continues there.
        keys_only: whether batches are lists of primary ids; no items are read then.
        max_read_units: the most read units to consume in a second, on average; None for no limit. A batch waits until
            those before it have had their time.

    Returns:
        An iterator over lists of instances, or of primary ids.

    Raises:
        ConfigurationError: for a model that is not iterable.
        QueryError: for a wrong argument.
    """
    rate = _rate_of(mapper, max_read_units)
    return _iteration(mapper, "iterate_all", None, batch_size, filter, parallel, start_key, keys_only, rate)


def iterate_bucket(
    mapper: ModelMapper,
    bucket: int,
    batch_size: int = 100,
    filter: FilterLike = None,
    *,
    start_key: str | None = None,
    keys_only: bool = False,
    max_read_units: float | None = None,
) -> Iteration[Any]:
    """The items of one iteration bucket, as batches in the order of their primary ids; see `iterate_all`."""
    rate = _rate_of(mapper, max_read_units)
    return _iteration(mapper, "iterate_bucket", bucket, batch_size, filter, 1, start_key, keys_only, rate)


def _rate_of(mapper: ModelMapper, max_read_units: float | None) -> UnitRate | None:
    units = checked_rate(max_read_units, "max_read_units", QueryError)
    return None if units is None else UnitRate(units, mapper.database.transport.clock)


def count(mapper: ModelMapper) -> int:
    """The number of items of an iterable model. The iteration index is counted; no items are read."""
    session, tenant = resolve_scope(mapper.database, mapper.schema.name, "count")
    at_once = mapper.database.max_concurrency
    reader = BucketReader.of(
        mapper, session, tenant, buckets_of(mapper, "count", None), at_once, {"Select": "COUNT"}
    )
    total = 0
    while not reader.is_done:
        for page in reader.read():
            total += page.count
            reader.acknowledge(page.bucket, page.end)
    return total


def _iteration(
    mapper: ModelMapper,
    operation: str,
    bucket: int | None,
    batch_size: int,
    filter: FilterLike,
    parallel: int,
    start_key: str | None,
    keys_only: bool,
    rate: UnitRate | None,
) -> Iteration[Any]:
    schema = mapper.schema
    session, tenant = resolve_scope(mapper.database, schema.name, operation, bucket)
    buckets = buckets_of(mapper, operation, bucket)
    require_positive_int(batch_size, "batch_size")
    require_positive_int(parallel, "parallel")
    parameters: dict[str, Any] = {"Limit": batch_size}
    predicate = None
    if callable(filter):
        predicate = filter
        if keys_only:
            raise QueryError(
                f"{schema.name}.{operation}: keys_only=True reads no items, so filter= cannot be a function."
            )
    else:
        parameters.update(
            index_filter(schema, operation, condition_from(filter, mapper.database.strict_filters))
        )
    arguments = json.dumps({**parameters, "Limit": None}, sort_keys=True, default=bytes.hex)
    cursor_context = (operation, schema.name, tenant or "", repr(buckets), arguments)
    reader = BucketReader.of(mapper, session, tenant, buckets, parallel, parameters)
    if start_key is not None:
        reader.resume(verify_cursor(start_key, cursor_context, mapper.database.cursor_secret))
    return Iteration(reader, predicate, keys_only, cursor_context, rate)


class Iteration(Generic[B]):
    """An iterator over batches. It fetches each batch when the program needs it, and does not keep it.

    After an error, the next call tries the same batch again. An entry of the index whose key is not a key of the
    model raises `DataFormatError` after its batch; the next call continues after it.

    Example:
        >>> for batch in Post.iterate_all():
        ...     for post in batch:
        ...         print(post.title)
    """

    def __init__(
        self,
        reader: BucketReader,
        predicate: Callable[[Any], object] | None,
        keys_only: bool,
        cursor_context: tuple[str, ...],
        rate: UnitRate | None = None,
    ) -> None:
        self._reader = reader
        self._predicate = predicate
        self._keys_only = keys_only
        self._cursor_context = cursor_context
        self._rate = rate
        self._ready: deque[tuple[Page, list[B], list[InvalidRow]]] = deque()
        self._invalid_rows: deque[InvalidRow] = deque()

    @property
    def last_evaluated_key(self) -> str | None:
        """The cursor for `start_key`, with which another iteration continues after the last batch; None at the end."""
        if self._reader.is_done:
            return None
        return sign_cursor(
            self._reader.position(), self._cursor_context, self._reader.mapper.database.cursor_secret
        )

    def __iter__(self) -> Iterator[list[B]]:
        return self

    def __next__(self) -> list[B]:
        while self._invalid_rows or not self._reader.is_done:
            if self._invalid_rows:
                reached(self._invalid_rows.popleft())
            if not self._ready:
                self._fetch_in_turn()
            page, batch, invalid = self._ready.popleft()
            self._invalid_rows.extend(invalid)
            self._reader.acknowledge(page.bucket, page.end)
            if batch:
                return batch
        raise StopIteration

    def _fetch_in_turn(self) -> None:
        """Fetches the next batches, when the limit of read units allows it."""
        rate = self._rate
        if rate is None:
            self._fetch()
            return
        units_before, reserved = self._reader.read_units, rate.wait("batch", 1.0)
        try:
            self._fetch()
        finally:
            rate.settle("batch", reserved, self._reader.read_units - units_before)

    def _fetch(self) -> None:
        pages = self._reader.read()
        if self._keys_only:
            ids: Sequence[Any] = [list(map(primary_id_of, page.rows)) for page in pages]
            self._ready.extend((page, batch, []) for page, batch in zip(pages, ids, strict=True))
            return
        instances = iter(self._reader.load([row for page in pages for row in page.rows]))
        for page in pages:
            rows = [next(instances) for _ in page.rows]
            invalid = [row for row in rows if type(row) is InvalidRow]
            batch = [row for row in rows if row is not None and type(row) is not InvalidRow]
            make_peers(batch)
            if self._predicate is not None:
                batch = [instance for instance in batch if self._predicate(instance)]
            self._ready.append((page, batch, invalid))

    def __repr__(self) -> str:
        state = "at the end" if self._reader.is_done else "more to come"
        return f"<Iteration of {self._reader.mapper.schema.name}: {state}>"


# --- checks -----------------------------------------------------------------------------------------------


def buckets_of(mapper: ModelMapper, operation: str, bucket: int | None) -> tuple[int, ...]:
    """The buckets to read: one, or all of them.

    Raises:
        ConfigurationError: for a model that is not iterable.
        QueryError: for a bucket that the model does not have.
    """
    schema = mapper.schema
    if not schema.iterable:
        raise ConfigurationError(
            f"Model {schema.name} is not configured as iterable, which {operation}() requires. Define it with "
            f"iterable=True, and run 'bao reindex {schema.name}' if it has items.",
            model=schema.name,
        )
    if bucket is None:
        return tuple(range(schema.buckets))
    if isinstance(bucket, bool) or not isinstance(bucket, int) or not 0 <= bucket < schema.buckets:
        raise QueryError(
            f"Invalid bucket number {bucket!r} of {schema.name}. Must be 0-{schema.buckets - 1}.",
            index=ITER_INDEX,
        )
    return (bucket,)


def require_positive_int(value: object, name: str) -> None:
    """Raises `QueryError` unless `value` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise QueryError(f"{name}={value!r}; give a whole number of at least 1.")


def index_filter(schema: Schema, operation: str, condition: Condition) -> dict[str, Any]:
    """The query parameters with which the search index evaluates `condition`; empty for the empty condition.

    Raises:
        QueryError: for a condition on attributes that the index does not have.
    """
    foreign = sorted(_names(condition) - ({SEARCH_TEXT} if schema.search is not None else set()))
    if foreign:
        raise QueryError(
            f"{schema.name}.{operation}: the index does not know {', '.join(foreign)}, and cannot filter by it. "
            f"Give a function instead, such as filter=lambda item: item.{foreign[0]} == ….",
            field=foreign[0],
        )
    placeholders, parameters = Placeholders(), dict[str, Any]()
    text = render_condition(condition, placeholders, schema)
    if text:
        parameters.update(IndexName=ITER_SEARCH_INDEX, FilterExpression=text)
        placeholders.into(parameters)
    return parameters


def _names(condition: Condition) -> set[str]:
    """The fields and attributes in a condition."""
    if isinstance(condition, (AllOf, AnyOf)):
        return {name for part in condition.parts for name in _names(part)}
    if isinstance(condition, Negation):
        return _names(condition.part)
    path: Any = getattr(condition, "path", None)
    return {path.name if isinstance(path, Attribute) else path_text(path)}
