"""Going through all items of a model: page by page of the iteration index, one batch of items for each page."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import Factory, define, frozen

from dynamo_bao.context import BatchContext
from dynamo_bao.cursors import seal, unseal
from dynamo_bao.errors import ConfigurationError, DataFormatError, QueryError, ServiceError, ValidationError
from dynamo_bao.expressions.conditions import AllOf, AnyOf, Condition, Negation
from dynamo_bao.expressions.dicts import condition_from
from dynamo_bao.expressions.render import Placeholders, render_condition
from dynamo_bao.instances import Home, PeerGroup, Status, require_present, state_of
from dynamo_bao.keys import Key
from dynamo_bao.schema import Identity, Schema
from dynamo_bao.scope import enter
from dynamo_bao.searchtext import ITER_SEARCH_INDEX
from dynamo_bao.session.pool import Pool
from dynamo_bao.session.session import Session
from dynamo_bao.transport.messages import Reply, Request
from dynamo_bao.wire import ITER_INDEX, ITER_PK, ITER_SK, PK, QUERY, SEARCH_TEXT, SK, Item

FilterLike = Mapping[str, object] | Condition | Callable[[Any], object] | None
"""What must hold of an item: a condition for the index, or a function of the instance."""

# --- what users call ----------------------------------------------------------------------------------


def iterate_all(
    home: Home,
    batch_size: int = 100,
    filter: FilterLike = None,
    *,
    parallel: int = 1,
    start_key: str | None = None,
    keys_only: bool = False,
) -> Iteration:
    """All items of an iterable model, as batches.

    A batch costs one page of the iteration index and one ``BatchGetItem``. Items deleted meanwhile are left
    out, those created meanwhile may be. Inside a batch context the instances are the session's, which forgets
    those that nobody holds any more, so that memory does not grow with the number of items.

    Args:
        batch_size: how many entries of the index a batch comes from; a filter leaves fewer.
        filter: what must hold of an item: a condition on ``_searchText``, the only thing that the index
            knows of an item, or a function of the instance, called here after the item was read (and paid for).
        parallel: how many buckets are read at once.
        start_key: where to go on, the `last_evaluated_key` of an earlier iteration with the same arguments.
        keys_only: whether batches are lists of primary ids, for which no items are read.

    Raises:
        ConfigurationError: for a model that is not iterable.
        QueryError: for a wrong argument.
    """
    return _iteration(home, "iterate_all", None, batch_size, filter, parallel, start_key, keys_only)


def iterate_bucket(
    home: Home,
    bucket: int,
    batch_size: int = 100,
    filter: FilterLike = None,
    *,
    start_key: str | None = None,
    keys_only: bool = False,
) -> Iteration:
    """The items of one iteration bucket, as batches in the order of their primary ids; see `iterate_all`."""
    return _iteration(home, "iterate_bucket", bucket, batch_size, filter, 1, start_key, keys_only)


def count(home: Home) -> int:
    """How many items of an iterable model there are, counted by the iteration index without reading them."""
    session, tenant = enter(home.database, home.schema.name, "count")
    at_once = home.database.max_concurrency
    walk = Walk.of(home, session, tenant, buckets_of(home, "count", None), at_once, {"Select": "COUNT"})
    total = 0
    while not walk.done:
        for page in walk.read():
            total += page.count
            walk.handed_out(page.bucket, page.end)
    return total


def _iteration(
    home: Home,
    operation: str,
    bucket: int | None,
    batch_size: int,
    filter: FilterLike,
    parallel: int,
    start_key: str | None,
    keys_only: bool,
) -> Iteration:
    schema = home.schema
    session, tenant = enter(home.database, schema.name, operation, bucket)
    buckets = buckets_of(home, operation, bucket)
    check_whole(batch_size, "batch_size")
    check_whole(parallel, "parallel")
    parameters: dict[str, Any] = {"Limit": batch_size}
    wanted = None
    if callable(filter):
        wanted = filter
        if keys_only:
            raise QueryError(
                f"{schema.name}.{operation}: keys_only=True reads no items that a function could judge."
            )
    else:
        parameters.update(index_filter(schema, operation, condition_from(filter)))
    asked = json.dumps({**parameters, "Limit": None}, sort_keys=True, default=bytes.hex)
    purpose = (operation, schema.name, tenant or "", repr(buckets), asked)
    walk = Walk.of(home, session, tenant, buckets, parallel, parameters)
    if start_key is not None:
        walk.go_to(unseal(start_key, purpose, home.database.cursor_secret))
    return Iteration(walk, wanted, keys_only, purpose)


class Iteration:
    """The batches of an iteration. An iterator: each batch is fetched when it is asked for, and then forgotten.

    An error leaves it where it was, so that asking again tries again.

    Example:
        >>> for batch in Post.iterate_all():
        ...     for post in batch:
        ...         print(post.title)
    """

    def __init__(
        self, walk: Walk, wanted: Callable[[Any], object] | None, keys_only: bool, purpose: tuple[str, ...]
    ) -> None:
        self._walk = walk
        self._wanted = wanted
        self._keys_only = keys_only
        self._purpose = purpose
        self._ready: deque[tuple[Page, list[Any]]] = deque()

    @property
    def last_evaluated_key(self) -> str | None:
        """A text with which another iteration goes on after the last batch handed out; None at the end."""
        if self._walk.done:
            return None
        return seal(self._walk.position(), self._purpose, self._walk.home.database.cursor_secret)

    def __iter__(self) -> Iterator[list[Any]]:
        return self

    def __next__(self) -> list[Any]:
        while not self._walk.done:
            if not self._ready:
                self._fetch()
            page, batch = self._ready.popleft()
            self._walk.handed_out(page.bucket, page.end)
            if batch:
                return batch
        raise StopIteration

    def _fetch(self) -> None:
        pages = self._walk.read()
        if self._keys_only:
            self._ready.extend((page, [row[ITER_SK]["S"] for row in page.rows]) for page in pages)
            return
        loaded = iter(self._walk.load([row for page in pages for row in page.rows]))
        for page in pages:
            found = [one for one in (next(loaded) for _ in page.rows) if one is not None]
            make_peers(found)
            batch = found if self._wanted is None else [one for one in found if self._wanted(one)]
            self._ready.append((page, batch))

    def __repr__(self) -> str:
        state = "at the end" if self._walk.done else "more to come"
        return f"<Iteration of {self._walk.home.schema.name}: {state}>"


# --- checks -----------------------------------------------------------------------------------------------


def buckets_of(home: Home, operation: str, bucket: int | None) -> tuple[int, ...]:
    """The buckets to read: one, or all of them.

    Raises:
        ConfigurationError: for a model that is not iterable.
        QueryError: for a bucket it does not have.
    """
    schema = home.schema
    if not schema.iterable:
        raise ConfigurationError(
            f"Model {schema.name} is not configured as iterable, as {operation}() needs it. Define it with "
            f"iterable=True, and save the items it has with force_reindex=True.",
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


def check_whole(value: object, name: str) -> None:
    """Raises `QueryError` unless `value` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise QueryError(f"{name}={value!r}; give a whole number of at least 1.")


def index_filter(schema: Schema, operation: str, condition: Condition) -> dict[str, Any]:
    """The parameters of a query that has the search index evaluate `condition`; none for the empty one.

    Raises:
        QueryError: for a condition on what that index does not know.
    """
    foreign = sorted(_names(condition) - ({SEARCH_TEXT} if schema.search is not None else set()))
    if foreign:
        raise QueryError(
            f"{schema.name}.{operation}: the index does not know {', '.join(foreign)}, so that it cannot filter by "
            f"it; give a function instead, such as filter=lambda item: item.{foreign[0]} == ….",
            field=foreign[0],
        )
    placeholders, parameters = Placeholders(), dict[str, Any]()
    text = render_condition(condition, placeholders, schema)
    if text:
        parameters.update(IndexName=ITER_SEARCH_INDEX, FilterExpression=text)
        placeholders.into(parameters)
    return parameters


def _names(condition: Condition) -> set[str]:
    """The fields and attributes that a condition is about."""
    if isinstance(condition, (AllOf, AnyOf)):
        return {name for part in condition.parts for name in _names(part)}
    if isinstance(condition, Negation):
        return _names(condition.part)
    path: Any = getattr(condition, "path", None)
    return {path if isinstance(path, str) else path.name}


# --- reading the index --------------------------------------------------------------------------------------


@frozen
class Page:
    """One page of one bucket.

    Attributes:
        rows: its entries, which hold keys only.
        count: how many there are, where only their number was asked for too.
        end: where the bucket goes on after them; None at its end.
    """

    bucket: int
    rows: Sequence[Item]
    count: int
    end: Item | None


@define
class Walk:
    """Reads an index of iteration keys, several buckets at once, and knows how far it has come.

    Only pages that were handed out count: those that an error or the end of the program cut off are read
    again. Requests travel on threads; everything else happens in the caller's.
    """

    home: Home
    session: Session | None
    tenant: str | None
    buckets: Sequence[int]
    at_once: int
    parameters: Mapping[str, Any]
    _open: dict[int, Item | None] = Factory(dict)
    _opened: int = 0
    _pool: Pool = Factory(Pool)

    @classmethod
    def of(
        cls,
        home: Home,
        session: Session | None,
        tenant: str | None,
        buckets: Sequence[int],
        at_once: int,
        parameters: Mapping[str, Any],
    ) -> Walk:
        """A walk from the start; `parameters` are added to each query."""
        shared = {
            "TableName": home.database.table_name,
            "IndexName": ITER_INDEX,
            "KeyConditionExpression": "#bucket = :bucket",
            "ReturnConsumedCapacity": "TOTAL",
            **parameters,
        }
        names = {"#bucket": ITER_PK, **parameters.get("ExpressionAttributeNames", {})}
        shared["ExpressionAttributeNames"] = names
        return cls(home, session, tenant, buckets, at_once, shared)

    @property
    def done(self) -> bool:
        """Whether every bucket was read to its end, and handed out."""
        return not self._open and self._opened >= len(self.buckets)

    def position(self) -> dict[str, Any]:
        """How far the walk has come, as plain values."""
        names = (PK, SK, ITER_SK)
        spots = {
            b: None if key is None else [key[name]["S"] for name in names] for b, key in self._open.items()
        }
        return {"open": sorted(spots.items()), "opened": self._opened}

    def go_to(self, position: Mapping[str, Any]) -> None:
        """Goes on from a `position`."""
        self._opened = position["opened"]
        self._open = {
            bucket: None if spot is None else self._key(bucket, *spot) for bucket, spot in position["open"]
        }

    def _key(self, bucket: int, pk: str, sk: str, primary_id: str) -> Item:
        partition = self.home.schema.iteration_partition(self.tenant, bucket)
        return {**Key(pk, sk).as_item(), ITER_PK: {"S": partition}, ITER_SK: {"S": primary_id}}

    def handed_out(self, bucket: int, end: Item | None) -> None:
        """Goes on in `bucket` after the key attributes of `end`, or never again where it is None."""
        if end is None:
            del self._open[bucket]
        else:
            self._open[bucket] = {name: end[name] for name in (PK, SK, ITER_PK, ITER_SK)}

    def read(self, resting: Container[int] = ()) -> list[Page]:
        """The next page of as many buckets as are read at once, in one round of requests; `resting` ones wait."""
        if self.session is not None:
            self.session.check()
        active = [bucket for bucket in self._open if bucket not in resting]
        while len(active) < self.at_once and self._opened < len(self.buckets):
            active.append(self.buckets[self._opened])
            self._open[active[-1]] = None
            self._opened += 1
        chosen = [(bucket, self._open[bucket]) for bucket in active[: self.at_once]]
        calls = [partial(self._send, bucket, start) for bucket, start in chosen]
        replies = list(self._pool.run(calls, self.at_once))
        if self.session is not None:
            self.session.stats.round_trips += 1
            for reply in replies:
                self.session.record(reply)
        return [
            Page(bucket, body.get("Items", ()), body.get("Count", 0), body.get("LastEvaluatedKey"))
            for (bucket, _), body in zip(chosen, (reply.body for reply in replies), strict=True)
        ]

    def _send(self, bucket: int, start: Item | None) -> Reply:
        partition = self.home.schema.iteration_partition(self.tenant, bucket)
        values = {**self.parameters.get("ExpressionAttributeValues", {}), ":bucket": {"S": partition}}
        parameters = {**self.parameters, "ExpressionAttributeValues": values}
        if start is not None:
            parameters["ExclusiveStartKey"] = start
        database = self.home.database
        deadline = database.deadline_from_now(self.session.deadline if self.session is not None else None)
        try:
            return database.transport.send(Request(QUERY, parameters), deadline=deadline)
        except ServiceError as error:
            if not _is_missing_index(error):
                raise
            raise ConfigurationError(
                f"Index {parameters['IndexName']!r} is missing on table {database.table_name!r}. "
                f"Run 'bao update-table' to add it.",
                model=self.home.schema.name,
            ) from error

    def load(self, rows: Sequence[Item]) -> list[Any]:
        """The instances for entries of the index, in their order; None for items that are gone."""
        identities = [identity_of(self.home.schema, self.tenant, row) for row in rows]
        if self.session is not None:
            return load_weakly(self.home, self.tenant, identities, self.session)
        with BatchContext() as own:
            return load_weakly(self.home, self.tenant, identities, own)


def _is_missing_index(error: ServiceError) -> bool:
    known = error.code in ("ValidationException", "ResourceNotFoundException")
    return known and "index" in str(error.__cause__ or error).lower()


def identity_of(schema: Schema, tenant: str | None, row: Item) -> Identity:
    """Which item an entry of the index stands for; its table key is taken from the entry as it is."""
    primary_id = row[ITER_SK]["S"]
    try:
        values = schema.identify(tenant, primary_id).values
    except ValidationError as error:
        raise DataFormatError(
            f"{schema.name} {primary_id!r}: the iteration index holds what is no id of the model: {error} "
            f"Correct or delete the item.",
            model=schema.name,
            key=primary_id,
        ) from error
    return Identity(Key(row[PK]["S"], row[SK]["S"]), primary_id, values)


# --- reading the items ----------------------------------------------------------------------------------------


def load_weakly(
    home: Home, tenant: str | None, identities: Sequence[Identity], session: Session
) -> list[Any]:
    """The session's instances, loaded with everything else that is pending; new ones are not kept by it."""
    new: list[tuple[Identity, Any]] = []
    found: list[Any] = []
    for identity in identities:
        known = session.known(home, identity)
        if session.has_deleted(home, identity):
            known = None
        elif known is None:
            known = session.lookup(home, identity, tenant, counted=False)
            new.append((identity, known))
        elif state_of(known).status is Status.MISSING:
            session.expire(home, identity)  # the index knows better
        elif state_of(known).status is Status.FAILED:
            session.lookup(home, identity, tenant, counted=False)
        found.append(known)
    try:
        session.flush()
    finally:
        for identity, instance in new:
            session.forget(home, identity)
            if state_of(instance).status is Status.LOADED:
                session.see(instance)
    return [_present(instance, session) for instance in found]


def _present(instance: Any, session: Session) -> Any:
    if instance is None:
        return None
    if state_of(instance).status is Status.PENDING:
        session.load(instance)
    if state_of(instance).status is Status.FAILED:
        require_present(instance)
    return instance if state_of(instance).status is Status.LOADED else None


def make_peers(batch: Sequence[Any]) -> None:
    """Has the instances of one batch remember each other, weakly."""
    group = PeerGroup(batch)
    for instance in batch:
        state_of(instance).group = group
