"""Reads the iteration index of a model: several buckets at once, page by page."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any

from dynamo_bao.dynamodb.items import ReplyItem, as_dict_item, key_texts_of
from dynamo_bao.dynamodb.keys import Key, new_namedtuple
from dynamo_bao.dynamodb.layout import ITER_INDEX, ITER_PK, ITER_SK, PK, SK
from dynamo_bao.dynamodb.service import QUERY, Item
from dynamo_bao.dynamodb.transport.messages import Reply, Request, RowParser
from dynamo_bao.errors import (
    ConfigurationError,
    DataFormatError,
    QueryError,
    ServiceError,
    cause_of,
)
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.row_types import iteration_row_type
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.runtime.records import Factory, define, frozen
from dynamo_bao.session.context import BatchContext
from dynamo_bao.session.hydration import InvalidRow
from dynamo_bao.session.lazy import require_present
from dynamo_bao.session.requests import deadline_of, round_of
from dynamo_bao.session.scope import operation_in
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance, ModelMapper, Status, is_there, state_of


@frozen
class Page:
    """One page of one bucket.

    Attributes:
        bucket: the number of the bucket.
        rows: its entries, which have keys only.
        count: the number of its entries, also if the query asked only for the number.
        end: the key after which the bucket continues; None at its end.
        scanned_count: the number of entries before the filter.
        read_units: the read units that it consumed.
    """

    bucket: int
    rows: Sequence[ReplyItem]
    count: int
    end: Item | None
    scanned_count: int = 0
    read_units: float = 0.0


@define
class BucketReader:
    """Reads an index of iteration keys, several buckets at once, and keeps the position.

    The position moves only when `acknowledge` is called. Pages that were not acknowledged are read again. Requests run
    in other threads; everything else runs in the caller's thread.

    Args:
        mapper: the repository of the model.
        session: the session that counts the requests, or None.
        tenant: the tenant of the items.
        buckets: the numbers of the buckets to read.
        at_once: the number of buckets that are read at the same time.
        parameters: the parameters of each query.
        page_size: returns the size of the next page of a bucket; by default, `parameters` has it.

    Attributes:
        read_units: the read units that were consumed so far, also for the items of `load`.
    """

    mapper: ModelMapper
    session: Session | None
    tenant: str | None
    buckets: Sequence[int]
    at_once: int
    parameters: Mapping[str, Any]
    page_size: Callable[[int], int] | None = None
    read_units: float = 0.0
    _open_buckets: dict[int, Item | None] = Factory(dict)
    _opened_count: int = 0
    _rows: RowParser | None = Factory(lambda self: self._row_parser(), takes_self=True)

    def _row_parser(self) -> RowParser | None:
        """Parses entries of the index; None if they are only counted."""
        return None if self.parameters.get("Select") == "COUNT" else iteration_row_type()

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
        """A reader at the start of the buckets. `parameters` are added to each query."""
        all_parameters = {
            "TableName": mapper.database.table_name,
            "IndexName": ITER_INDEX,
            "KeyConditionExpression": "#bucket = :bucket",
            "ReturnConsumedCapacity": "TOTAL",
            **parameters,
        }
        names = {"#bucket": ITER_PK, **parameters.get("ExpressionAttributeNames", {})}
        all_parameters["ExpressionAttributeNames"] = names
        return cls(mapper, session, tenant, buckets, at_once, all_parameters)

    @property
    def is_done(self) -> bool:
        """Whether every bucket was read and acknowledged to its end."""
        return not self._open_buckets and self._opened_count >= len(self.buckets)

    def is_last_page(self, pages: Sequence[Page]) -> bool:
        """Whether the reader is done once `pages` are acknowledged."""
        finished_buckets = {page.bucket for page in pages if page.end is None}
        return self._opened_count >= len(self.buckets) and finished_buckets >= set(self._open_buckets)

    def position(self) -> dict[str, Any]:
        """The position, as plain values."""
        names = (PK, SK, ITER_SK)
        positions = {
            bucket: None if key is None else [key[name]["S"] for name in names]
            for bucket, key in self._open_buckets.items()
        }
        return {"open": sorted(positions.items()), "opened": self._opened_count}

    def resume(self, position: object) -> None:
        """Continues at a `position`.

        Raises:
            QueryError: if the value is not a position in these buckets.
        """
        match position:
            case {"opened": int(opened_count), "open": list(positions)} if 0 <= opened_count <= len(
                self.buckets
            ) and all(map(self._is_valid_position, positions)):
                self._opened_count = opened_count
                self._open_buckets = {
                    bucket: None if start is None else self._key(bucket, *start)
                    for bucket, start in positions
                }
            case _:
                raise QueryError(
                    f"{self.mapper.schema.name}: the cursor is not a position in these buckets; use a cursor of this "
                    f"library, without changes."
                )

    def _is_valid_position(self, entry: object) -> bool:
        match entry:
            case [int(bucket), None] | [int(bucket), [str(), str(), str()]]:
                return bucket in self.buckets
        return False

    def _key(self, bucket: int, pk: str, sk: str, primary_id: str) -> Item:
        partition = self.mapper.schema.iteration_partition(self.tenant, bucket)
        return {**Key(pk, sk).as_item(), ITER_PK: {"S": partition}, ITER_SK: {"S": primary_id}}

    def acknowledge(self, bucket: int, end: ReplyItem | None) -> None:
        """Continues in `bucket` after the key attributes of `end`. With None, the bucket is done."""
        if end is None:
            del self._open_buckets[bucket]
        else:
            item = as_dict_item(end)
            self._open_buckets[bucket] = {name: item[name] for name in (PK, SK, ITER_PK, ITER_SK)}

    def read(self, paused: Container[int] = ()) -> list[Page]:
        """The next pages, one for each bucket that is read now, in one round. `paused` buckets are not read."""
        if self.session is not None:
            self.session._ownership.check()
        active = [bucket for bucket in self._open_buckets if bucket not in paused]
        while len(active) < self.at_once and self._opened_count < len(self.buckets):
            active.append(self.buckets[self._opened_count])
            self._open_buckets[active[-1]] = None
            self._opened_count += 1
        selection = [(bucket, self._open_buckets[bucket]) for bucket in active[: self.at_once]]
        if not selection:
            return []
        calls = [partial(self._send, bucket, start) for bucket, start in selection]
        with (
            operation_in(self.session),
            round_of(self.session, self.mapper.database, "iteration") as current_round,
        ):
            replies = self.mapper.database.pool.run(calls, self.at_once)
            current_round.sent_at_once(len(calls), self.at_once)
            for reply, (bucket, _) in zip(replies, selection, strict=True):
                self.read_units += reply.capacity.read
                current_round.add(
                    self.mapper.database, reply, [f"{self.mapper.schema.name}, bucket {bucket}"]
                )
        return [_page(bucket, reply) for (bucket, _), reply in zip(selection, replies, strict=True)]

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
            return database.transport.send(Request(QUERY, parameters, rows=self._rows), deadline=deadline)
        except ServiceError as error:
            if not _is_missing_index(error):
                raise
            raise ConfigurationError(
                f"Index {parameters['IndexName']!r} is missing on table {database.table_name!r}. "
                f"Run 'bao update-table' to add it.",
                model=self.mapper.schema.name,
            ) from cause_of(error)

    def load(self, rows: Sequence[ReplyItem]) -> list[Any]:
        """The instances for entries of the index, in their order. None if the item no longer exists.

        If the key of an entry is not a key of the model, there is an `InvalidRow` in its place.
        """
        identities = identities_in(self.mapper.schema, self.tenant, rows)
        if self.session is not None:
            return self._load(identities, self.session)
        with BatchContext() as temporary_session:
            return self._load(identities, temporary_session)

    def _load(self, identities: Sequence[Identity | InvalidRow], session: Session) -> list[Any]:
        units_before = session.stats.read_capacity
        try:
            return load_weakly(self.mapper, self.tenant, identities, session)
        finally:
            self.read_units += session.stats.read_capacity - units_before


def _page(bucket: int, reply: Reply) -> Page:
    body = reply.parsed
    rows, count = body.get("Items", ()), body.get("Count", 0)
    scanned_count = body.get("ScannedCount", count)
    return Page(bucket, rows, count, body.get("LastEvaluatedKey"), scanned_count, reply.capacity.read)


def primary_id_of(row: ReplyItem) -> str:
    """The primary id in an entry of the index."""
    entry: Any = row
    text: str = entry[ITER_SK]["S"] if isinstance(row, dict) else entry._iter_sk.S
    return text


def _is_missing_index(error: ServiceError) -> bool:
    """Whether DynamoDB refused a query because its index does not exist. Each engine has its own text for it."""
    text = str(error.__cause__ or error).lower()
    if error.code == "ResourceNotFoundException":
        return "index" in text
    return error.code == "ValidationException" and "does not have the specified index" in text


def identities_in(
    schema: Schema, tenant: str | None, rows: Sequence[ReplyItem]
) -> list[Identity | InvalidRow]:
    """The identities of the items for entries of the index. An `InvalidRow` if the key is not one of the model."""
    identities: list[Identity | InvalidRow] = []
    identity_at = schema.keys.of_table_key[tenant]
    for row in rows:
        parts = identity_at(*key_texts_of(row))
        if parts is not None:  # as nearly always
            identities.append(new_namedtuple(Identity, parts))
            continue
        try:
            identities.append(schema.keys.from_item(tenant, row))
        except DataFormatError as error:
            identities.append(InvalidRow(error))
    return identities


# --- reading the items ----------------------------------------------------------------------------------------


def load_weakly(
    mapper: ModelMapper, tenant: str | None, identities: Sequence[Identity | InvalidRow], session: Session
) -> list[Any]:
    """The session's instances, loaded together with all pending lookups. The session holds new ones only weakly.

    An `InvalidRow` stays in its place.
    """
    valid_identities = [identity for identity in identities if not isinstance(identity, InvalidRow)]
    with operation_in(session):
        instances = iter(_load_weakly(mapper, tenant, valid_identities, session))
    return [identity if isinstance(identity, InvalidRow) else next(instances) for identity in identities]


def _load_weakly(
    mapper: ModelMapper, tenant: str | None, identities: Sequence[Identity], session: Session
) -> list[object]:
    session_instances, instances_by_key = session._instances, dict[Key, Instance | None]()
    new_identities: list[Identity] = []
    for identity in identities:
        if identity.key in instances_by_key or session_instances.has_deleted(mapper, identity.key):
            continue
        instance = session_instances.get(mapper, identity.key)
        instances_by_key[identity.key] = instance
        if instance is None:
            new_identities.append(identity)
        elif state_of(instance).status is Status.MISSING:
            session_instances.expire(mapper, identity)  # the index shows that the item exists
        elif state_of(instance).status is Status.FAILED:
            session_instances.lookup(mapper, identity, tenant, counted=False)
    new_instances = session_instances.lookup_new(mapper, new_identities, tenant)
    instances_by_key.update(new_instances)
    try:
        session._loader.flush("iteration")
    finally:
        for identity in new_identities:
            if state_of(new_instances[identity.key]).status is not Status.LOADED:
                session_instances.evict(mapper, identity)
    return [_present(instances_by_key.get(identity.key), session) for identity in identities]


def _present(instance: Instance | None, session: Session) -> Instance | None:
    if instance is None:
        return None
    if state_of(instance).status is not Status.LOADED:
        if state_of(instance).status is Status.PENDING:
            session._loader.load(instance)
        if state_of(instance).status is Status.FAILED:
            require_present(state_of(instance))
    return instance if is_there(instance) else None
