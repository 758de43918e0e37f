"""Walking through the iteration index of a model: several buckets at once, page by page."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import Factory, define, frozen

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import ITER_INDEX, ITER_PK, ITER_SK, PK, SK
from dynamo_bao.dynamodb.service import QUERY, Item
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.errors import (
    ConfigurationError,
    DataFormatError,
    QueryError,
    ServiceError,
    cause_of,
)
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.session.context import BatchContext
from dynamo_bao.session.hydration import InvalidRow
from dynamo_bao.session.lazy import require_present
from dynamo_bao.session.requests import deadline_of, round_of
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import ModelMapper, Status, state_of


@frozen
class Page:
    """One page of one bucket.

    Attributes:
        rows: its entries, which hold keys only.
        count: how many there are, where only their number was asked for too.
        end: where the bucket goes on after them; None at its end.
        looked_at: how many entries were looked at for them, of which a filter leaves some.
        read_units: what it cost.
    """

    bucket: int
    rows: Sequence[Item]
    count: int
    end: Item | None
    looked_at: int = 0
    read_units: float = 0.0


@define
class BucketReader:
    """Reads an index of iteration keys, several buckets at once, and knows how far it has come.

    Only pages that were handed out count: those that an error or the end of the program cut off are read
    again. Requests travel on threads; everything else happens in the caller's.
    """

    mapper: ModelMapper
    session: Session | None
    tenant: str | None
    buckets: Sequence[int]
    at_once: int
    parameters: Mapping[str, Any]
    page_size: Callable[[int], int] | None = None
    """How many entries the next page of a bucket has; as many as `parameters` say by default."""
    _open: dict[int, Item | None] = Factory(dict)
    _opened: int = 0

    @classmethod
    def of(
        cls,
        mapper: ModelMapper,
        session: Session | None,
        tenant: str | None,
        buckets: Sequence[int],
        at_once: int,
        parameters: Mapping[str, Any],
    ) -> BucketReader:
        """A walk from the start; `parameters` are added to each query."""
        shared = {
            "TableName": mapper.database.table_name,
            "IndexName": ITER_INDEX,
            "KeyConditionExpression": "#bucket = :bucket",
            "ReturnConsumedCapacity": "TOTAL",
            **parameters,
        }
        names = {"#bucket": ITER_PK, **parameters.get("ExpressionAttributeNames", {})}
        shared["ExpressionAttributeNames"] = names
        return cls(mapper, session, tenant, buckets, at_once, shared)

    @property
    def done(self) -> bool:
        """Whether every bucket was read to its end, and handed out."""
        return not self._open and self._opened >= len(self.buckets)

    def at_its_end(self, pages: Sequence[Page]) -> bool:
        """Whether nothing is left to read once `pages` are handed out."""
        ended = {page.bucket for page in pages if page.end is None}
        return self._opened >= len(self.buckets) and ended >= set(self._open)

    def position(self) -> dict[str, Any]:
        """How far the walk has come, as plain values."""
        names = (PK, SK, ITER_SK)
        spots = {
            b: None if key is None else [key[name]["S"] for name in names] for b, key in self._open.items()
        }
        return {"open": sorted(spots.items()), "opened": self._opened}

    def resume(self, position: object) -> None:
        """Goes on from a `position`.

        Raises:
            QueryError: for a position that no walk through these buckets has.
        """
        match position:
            case {"opened": int(opened), "open": list(spots)} if 0 <= opened <= len(self.buckets) and all(
                map(self._is_valid_position, spots)
            ):
                self._opened = opened
                self._open = {
                    bucket: None if spot is None else self._key(bucket, *spot) for bucket, spot in spots
                }
            case _:
                raise QueryError(
                    f"{self.mapper.schema.name}: the cursor says no place in these buckets; use one that this library "
                    f"gave, as it is."
                )

    def _is_valid_position(self, entry: object) -> bool:
        match entry:
            case [int(bucket), None] | [int(bucket), [str(), str(), str()]]:
                return bucket in self.buckets
        return False

    def _key(self, bucket: int, pk: str, sk: str, primary_id: str) -> Item:
        partition = self.mapper.schema.iteration_partition(self.tenant, bucket)
        return {**Key(pk, sk).as_item(), ITER_PK: {"S": partition}, ITER_SK: {"S": primary_id}}

    def acknowledge(self, bucket: int, end: Item | None) -> None:
        """Goes on in `bucket` after the key attributes of `end`, or never again where it is None."""
        if end is None:
            del self._open[bucket]
        else:
            self._open[bucket] = {name: end[name] for name in (PK, SK, ITER_PK, ITER_SK)}

    def read(self, resting: Container[int] = ()) -> list[Page]:
        """The next page of as many buckets as are read at once, in one round of requests; `resting` ones wait."""
        if self.session is not None:
            self.session._check()
        active = [bucket for bucket in self._open if bucket not in resting]
        while len(active) < self.at_once and self._opened < len(self.buckets):
            active.append(self.buckets[self._opened])
            self._open[active[-1]] = None
            self._opened += 1
        chosen = [(bucket, self._open[bucket]) for bucket in active[: self.at_once]]
        if not chosen:
            return []
        calls = [partial(self._send, bucket, start) for bucket, start in chosen]
        with round_of(self.session, self.mapper.database, "iteration") as opened:
            replies = self.mapper.database.pool.run(calls, self.at_once)
            opened.sent_at_once(len(calls), self.at_once)
            for reply, (bucket, _) in zip(replies, chosen, strict=True):
                opened.add(self.mapper.database, reply, [f"{self.mapper.schema.name}, bucket {bucket}"])
        return [_page(bucket, reply) for (bucket, _), reply in zip(chosen, replies, strict=True)]

    def _send(self, bucket: int, start: Item | None) -> Reply:
        partition = self.mapper.schema.iteration_partition(self.tenant, bucket)
        values = {**self.parameters.get("ExpressionAttributeValues", {}), ":bucket": {"S": partition}}
        parameters = {**self.parameters, "ExpressionAttributeValues": values}
        if self.page_size is not None:
            parameters["Limit"] = self.page_size(bucket)
        if start is not None:
            parameters["ExclusiveStartKey"] = start
        database = self.mapper.database
        deadline = deadline_of(self.session, database)
        try:
            return database.transport.send(Request(QUERY, parameters), deadline=deadline)
        except ServiceError as error:
            if not _is_missing_index(error):
                raise
            raise ConfigurationError(
                f"Index {parameters['IndexName']!r} is missing on table {database.table_name!r}. "
                f"Run 'bao update-table' to add it.",
                model=self.mapper.schema.name,
            ) from cause_of(error)

    def load(self, rows: Sequence[Item]) -> list[Any]:
        """The instances for entries of the index, in their order; None for items that are gone.

        For an entry of no item of the model there is an `InvalidRow`.
        """
        identities = identities_in(self.mapper.schema, self.tenant, rows)
        if self.session is not None:
            return load_weakly(self.mapper, self.tenant, identities, self.session)
        with BatchContext() as own:
            return load_weakly(self.mapper, self.tenant, identities, own)


def _page(bucket: int, reply: Reply) -> Page:
    body = reply.body
    rows, count = body.get("Items", ()), body.get("Count", 0)
    looked_at = body.get("ScannedCount", count)
    return Page(bucket, rows, count, body.get("LastEvaluatedKey"), looked_at, reply.capacity.read)


def _is_missing_index(error: ServiceError) -> bool:
    """Whether DynamoDB refused a query because its index is not there; each engine says so in its own words."""
    told = str(error.__cause__ or error).lower()
    if error.code == "ResourceNotFoundException":
        return "index" in told
    return error.code == "ValidationException" and "does not have the specified index" in told


def identities_in(schema: Schema, tenant: str | None, rows: Sequence[Item]) -> list[Identity | InvalidRow]:
    """Which items entries of the index stand for, by their table keys; an `InvalidRow` for one that is no item's."""
    found: list[Identity | InvalidRow] = []
    for row in rows:
        try:
            found.append(schema.identity_of(tenant, row))
        except DataFormatError as error:
            found.append(InvalidRow(error))
    return found


# --- reading the items ----------------------------------------------------------------------------------------


def load_weakly(
    mapper: ModelMapper, tenant: str | None, identities: Sequence[Identity | InvalidRow], session: Session
) -> list[Any]:
    """The session's instances, loaded with everything else that is pending; new ones are not kept by it.

    An `InvalidRow` stays in its place.
    """
    known = [one for one in identities if not isinstance(one, InvalidRow)]
    loaded = iter(_load_weakly(mapper, tenant, known, session))
    return [one if isinstance(one, InvalidRow) else next(loaded) for one in identities]


def _load_weakly(
    mapper: ModelMapper, tenant: str | None, identities: Sequence[Identity], session: Session
) -> list[Any]:
    new: list[tuple[Identity, Any]] = []
    found: list[Any] = []
    for identity in identities:
        known = session._instance_for(mapper, identity.key)
        if session._has_deleted(mapper, identity.key):
            known = None
        elif known is None:
            known = session._lookup(mapper, identity, tenant, counted=False)
            new.append((identity, known))
        elif state_of(known).status is Status.MISSING:
            session._expire(mapper, identity)  # the index knows better
        elif state_of(known).status is Status.FAILED:
            session._lookup(mapper, identity, tenant, counted=False)
        found.append(known)
    try:
        session.flush("iteration")
    finally:
        for identity, instance in new:
            session._evict(mapper, identity)
            if state_of(instance).status is Status.LOADED:
                session._track_weakly(instance)
    return [_present(instance, session) for instance in found]


def _present(instance: Any, session: Session) -> Any:
    if instance is None:
        return None
    if state_of(instance).status is Status.PENDING:
        session._load(instance)
    if state_of(instance).status is Status.FAILED:
        require_present(state_of(instance))
    return instance if state_of(instance).status is Status.LOADED else None
