"""Queries of one partition of an index: checked at the call, then sent page by page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, TypedDict

from attrs import frozen

from dynamo_bao._compat import Unpack
from dynamo_bao.dynamodb.expressions.conditions import AllOf, Condition, all_of
from dynamo_bao.dynamodb.expressions.parser import condition_from
from dynamo_bao.dynamodb.expressions.renderer import Placeholders, render_condition
from dynamo_bao.dynamodb.items import Stored, as_dict_item
from dynamo_bao.dynamodb.layout import PK, SK, index_key_names
from dynamo_bao.dynamodb.service import QUERY, Item
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import QueryError, suggestion
from dynamo_bao.mapping.key_schema import IndexSchema, PrimaryKeySchema
from dynamo_bao.mapping.row_types import row_type
from dynamo_bao.reads.cursors import sign_cursor, verify_cursor
from dynamo_bao.reads.key_conditions import key_condition
from dynamo_bao.session.hydration import InvalidRow, hydrate, instances_from_rows
from dynamo_bao.session.partitions import ModelSpot, Partition, RememberedQuery
from dynamo_bao.session.scope import active_session, resolve_scope, resolve_scope_of
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import ModelMapper, Status, state_of

DIRECTIONS = ("ASC", "DESC")


class QueryOptions(TypedDict, total=False):
    """How a query is answered.

    Attributes:
        limit: how many matches are wanted in all.
        page_size: how many items DynamoDB looks at for one page.
        direction: ``"ASC"`` or ``"DESC"``, in the order of the sort key.
        filter: what else must hold of an item; filtered items are read and paid for.
        count_only: whether only the number of matches is wanted.
        consistent_read: only for the primary key, secondary indexes cannot.
        start_key: where to go on, the `last_evaluated_key` of an earlier result of the same query.
        load_related: True to load the targets of all relation fields with each page, or a list of those wanted,
            also nested as in ``"user_id.org_id"``.
        related_fields: the list, for those who say ``load_related=True`` beside it.
        related_only: a relation field whose targets are the result, instead of the rows themselves.
        bypass_cache: whether DynamoDB is asked although the batch context has the result of the same query.
    """

    limit: int | None
    page_size: int | None
    direction: str
    filter: Mapping[str, object] | Condition | None
    count_only: bool
    consistent_read: bool
    start_key: str | None
    load_related: bool | Sequence[str]
    related_fields: Sequence[str] | None
    related_only: str | None
    bypass_cache: bool


@frozen(eq=False)
class Query:
    """A checked query, ready to be sent page by page.

    Attributes:
        mapper: the repository asked.
        name: the index's name in the model.
        session, tenant: where and for whom it runs.
        partition: the index, None for the primary key, and the text of the partition key that is asked.
        parameters: the request without its start key.
        limit: how many matches are wanted in all, None for every one.
        start: where it begins, from a cursor.
        related: which relations of the matches are loaded with them; None for all.
        related_only: the relation field whose targets are the result.
        bypass_cache: whether the session's result of the same query is passed by.
    """

    mapper: ModelMapper
    name: str
    session: Session | None
    tenant: str | None
    partition: Partition
    parameters: Mapping[str, Any]
    limit: int | None
    start: Item | None
    related: tuple[str, ...] | None
    related_only: str | None
    bypass_cache: bool

    @classmethod
    def of(
        cls,
        mapper: ModelMapper,
        shape: IndexSchema | PrimaryKeySchema,
        value: object,
        sort_condition: Any = None,
        *,
        through: Any = None,
        **options: Unpack[QueryOptions],
    ) -> Query:
        """Checks and freezes a query; everything that can be wrong with it is told here.

        Args:
            shape: what is queried.
            value: the partition key field's value.
            sort_condition: a value or a dict on the sort key field.
            through: the instance whose method asks, in whose session and for whose tenant it runs.
            **options: see `QueryOptions`.
        """
        name = shape.name or "primary_key"
        session, tenant = _session_and_tenant(mapper, name, through)
        for option in options:
            if option not in QueryOptions.__annotations__:
                hint = suggestion(option, QueryOptions.__annotations__)
                raise QueryError(f"A query has no option {option!r}.{hint}", index=name)
        limit, page_size = options.get("limit"), options.get("page_size")
        direction, consistent_read = options.get("direction", "ASC"), options.get("consistent_read", False)
        for what, number in (("limit", limit), ("page_size", page_size)):
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
                raise QueryError(
                    f"{what}={number!r}; give a whole number of at least 1, or leave it out.", index=name
                )
        for what in ("count_only", "consistent_read", "bypass_cache"):
            if not isinstance(options.get(what, False), (bool, NoneType)):
                raise QueryError(f"{what}={options.get(what)!r:.200}; give True or False.", index=name)
        if direction not in DIRECTIONS:
            raise QueryError(f"direction={direction!r}; use 'ASC' or 'DESC'.", index=name)
        if consistent_read and isinstance(shape, IndexSchema):
            raise QueryError(f"{name} is a secondary index, which cannot be read consistently.", index=name)
        parameters, partition = _parameters(mapper, shape, tenant, value, sort_condition, options)
        start_key = options.get("start_key")
        start = None
        if start_key is not None:
            start = verify_cursor(
                start_key, _purpose(mapper, tenant, parameters), mapper.database.cursor_secret
            )
        return cls(
            mapper,
            name,
            session,
            tenant,
            (parameters.get("IndexName"), partition),
            parameters,
            limit,
            None if start is None else {attribute: {"S": text} for attribute, text in start.items()},
            _relations(mapper, options),
            options.get("related_only"),
            bool(options.get("bypass_cache")),
        )

    def remembered(self, session: Session) -> RememberedQuery:
        """What a session remembers of this query: of the same model, arguments, consistency and tenant."""
        mapper, only, asked = self.mapper, self.related_only, self.parameters
        start = None if self.start is None else repr(self.start)
        filtered = asked.get("FilterExpression")
        key = (
            mapper,
            self.name,
            self.limit,
            self.related,
            only,
            start,
            asked["KeyConditionExpression"],
            repr(asked["ExpressionAttributeValues"]),
            filtered and (filtered, repr(asked["ExpressionAttributeNames"])),
            *map(asked.get, _MANNER),
        )
        targets = None if only is None else _spot(mapper._target_repository(only))
        return session._partitions.query(key, _spot(mapper), self.partition, targets)

    def cursor(self, key: Item) -> str:
        """The cursor that continues this query after the row with these key attributes."""
        payload = {attribute: value["S"] for attribute, value in key.items()}
        cursor_context = _purpose(self.mapper, self.tenant, self.parameters)
        return sign_cursor(payload, cursor_context, self.mapper.database.cursor_secret)

    def row_key(self, row: Stored) -> Item:
        """The key attributes of a row, as DynamoDB wants them to continue after it."""
        index = self.parameters.get("IndexName")
        names = (PK, SK) if index is None else (PK, SK, *index_key_names(index))
        item = as_dict_item(row)
        return {name: item[name] for name in names}

    @property
    def about(self) -> str:
        """What is asked, for traces: the model and the index."""
        return f"{self.mapper.schema.name}.{self.name}"

    def request(self, start: Item | None) -> Request:
        """The request of the page that begins after `start`."""
        if start is None:
            return Request(QUERY, dict(self.parameters), rows=row_type(self.mapper.schema))
        return Request(
            QUERY, {**self.parameters, "ExclusiveStartKey": start}, rows=row_type(self.mapper.schema)
        )

    def session_now(self) -> Session | None:
        """Where pages are fetched now: the session of the call while it is open, else the current one."""
        return active_session(self.session, self.mapper.database, self.mapper.schema.name, "query", self.name)

    def instances(self, items: Sequence[Stored], session: Session | None) -> list[Any]:
        """The items of one page as instances: those the session has, or new ones, or each an `InvalidRow`."""
        mapper, tenant = self.mapper, self.tenant
        found = instances_from_rows(mapper, tenant, items)
        if session is None:
            return found
        own = [row if type(row) is InvalidRow else self._own(row, session) for row in found]
        return [instance for instance in own if instance is not None]

    def _own(self, instance: Any, session: Session) -> Any:
        """The session's own instance for a row; a pending one takes the row in. None where it has deleted it."""
        row = state_of(instance)
        assert row.key is not None and row.raw_item is not None
        known = session._instance_for(self.mapper, row.key)
        if known is None:
            session._track_weakly(instance)
            return instance
        if session._has_deleted(self.mapper, row.key):
            return None
        state = state_of(known)
        if state.status in (Status.PENDING, Status.MISSING) and not state.wants_consistent:
            hydrate(known, row.raw_item)
            session._discard_pending(known)
        return known


def _session_and_tenant(mapper: ModelMapper, name: str, through: Any) -> tuple[Session | None, str | None]:
    """The session and tenant of a query: those of the instance it is asked through, else the current ones."""
    if through is None or state_of(through).mapper is None:
        return resolve_scope(mapper.database, mapper.schema.name, "query", name)
    return resolve_scope_of(through, "query"), state_of(through).tenant


def _parameters(
    mapper: ModelMapper,
    shape: IndexSchema | PrimaryKeySchema,
    tenant: str | None,
    value: object,
    sort_condition: Any,
    options: QueryOptions,
) -> tuple[dict[str, Any], str]:
    """The request of a query, without where it starts, and the text of the partition key that it asks for."""
    placeholders = Placeholders()
    condition, extra = key_condition(mapper, shape, tenant, value, sort_condition)
    parameters: dict[str, Any] = {
        "TableName": mapper.database.table_name,
        "KeyConditionExpression": render_condition(condition, placeholders, mapper.schema),
        "ReturnConsumedCapacity": "TOTAL",
    }
    wanted = all_of((condition_from(options.get("filter"), mapper.database.strict_filters), extra))
    filtered = render_condition(wanted, placeholders, mapper.schema)
    placeholders.into(parameters)
    first: Any = condition.parts[0] if isinstance(condition, AllOf) else condition
    limit = None if filtered else options.get("limit")
    for member, given in (
        ("IndexName", shape.id if isinstance(shape, IndexSchema) else None),
        ("FilterExpression", filtered or None),
        ("Limit", options.get("page_size") or limit),
        ("ConsistentRead", options.get("consistent_read") or None),
        ("ScanIndexForward", False if options.get("direction") == "DESC" else None),
        ("Select", "COUNT" if options.get("count_only") else None),
    ):
        if given is not None:
            parameters[member] = given
    return parameters, first.value["S"]


def _spot(mapper: ModelMapper) -> ModelSpot:
    return mapper.database.table_name, mapper.schema.prefix


def _relations(mapper: ModelMapper, options: QueryOptions) -> tuple[str, ...] | None:
    """The relations to load with the matches, None for all; every field named is checked to be one."""
    asked = options.get("load_related", False)
    asked = False if asked is None else asked
    if isinstance(asked, str):
        raise _no_relation(mapper, "load_related", asked, f"True, or a list of relation fields: [{asked!r}]")
    named = () if isinstance(asked, bool) else relation_paths(mapper, "load_related", asked)
    named += relation_paths(mapper, "related_fields", options.get("related_fields"))
    only = options.get("related_only")
    if only is not None and not isinstance(only, str):
        raise _no_relation(mapper, "related_only", only, 'the name of one relation field, such as "user_id"')
    for path in (*named, *([only] if only is not None else [])):
        spot = mapper
        for field in path.split("."):
            spot = spot._target_repository(field)
    return named or (None if asked is True else ())


def relation_paths(mapper: ModelMapper, option: str, given: Any) -> tuple[str, ...]:
    """The relation fields that an option names: one, or several of them."""
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    wanted = 'a list of relation fields, such as ["user_id", "user_id.org_id"]'
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise _no_relation(mapper, option, given, wanted)
    names = tuple(given)
    if not all(isinstance(name, str) for name in names):
        raise _no_relation(mapper, option, given, wanted)
    return names


def _no_relation(mapper: ModelMapper, option: str, given: object, wanted: str) -> QueryError:
    return QueryError(f"{mapper.schema.name}: {option}={given!r:.200}; give {wanted}.")


_MANNER = ("Limit", "ConsistentRead", "ScanIndexForward", "Select")
"""The parameters that say how a query is answered."""
_NOT_THE_QUERY = frozenset(("Limit", "Select", "ReturnConsumedCapacity", "ConsistentRead"))


def _purpose(mapper: ModelMapper, tenant: str | None, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """What a query's cursors are bound to: the model, the tenant, and what is asked in which order."""
    asked = {name: value for name, value in parameters.items() if name not in _NOT_THE_QUERY}
    return "query", mapper.schema.name, tenant or "", json.dumps(asked, sort_keys=True, default=bytes.hex)
