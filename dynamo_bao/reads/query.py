"""Queries of one partition: checked when they are created, then sent page by page."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, TypedDict, Unpack

from dynamo_bao.dynamodb.expressions.conditions import EMPTY, Condition, all_of, is_empty
from dynamo_bao.dynamodb.expressions.parser import condition_from
from dynamo_bao.dynamodb.expressions.renderer import Placeholders, render_condition
from dynamo_bao.dynamodb.items import ReplyItem, as_dict_item
from dynamo_bao.dynamodb.layout import PK, SK, index_key_names
from dynamo_bao.dynamodb.service import QUERY, Item
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import QueryError, suggestion
from dynamo_bao.mapping.key_schema import IndexSchema, Shape
from dynamo_bao.mapping.row_types import row_type_for
from dynamo_bao.reads.cursors import sign_cursor, verify_cursor
from dynamo_bao.reads.key_conditions import key_condition, partition_text, split_condition
from dynamo_bao.runtime.records import evolve, frozen
from dynamo_bao.session.hydration import InvalidRow, LoadedRow, hydrate, instances_from_rows
from dynamo_bao.session.partitions import ModelSpot, Partition, RememberedQuery
from dynamo_bao.session.scope import active_session, resolve_scope, resolve_scope_of
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance, ModelMapper, Status, state_of
from dynamo_bao.session.tenancy import tenant_for

DIRECTIONS = ("ASC", "DESC")
USUAL_PAGE = 100
"""About so many items are expected in a page without a limit."""


class QueryOptions(TypedDict, total=False):
    """The options of a query.

    Attributes:
        limit: the maximum number of matches.
        page_size: the number of items that DynamoDB evaluates for one page.
        direction: ``"ASC"`` or ``"DESC"``, in the order of the sort key.
        filter: a condition on the items. Items that do not match are read and paid for, but not returned.
        count_only: whether the query only counts the matches.
        consistent_read: whether reads are strongly consistent; only for the primary key, not for indexes.
        start_key: the `last_evaluated_key` of an earlier result of the same query; the query starts after it.
        load_related: True to load the targets of all relation fields with each page, or a list of relation fields,
            also nested as in ``"user_id.org_id"``.
        related_fields: the same list, for use with ``load_related=True``.
        related_only: a relation field; the result has its targets instead of the rows.
        bypass_cache: whether the query is sent even if the batch context has the result of the same query.

    Example:
        >>> options: QueryOptions = {"limit": 10, "direction": "DESC"}
        >>> users = User.query_by_status("active", **options)
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
        mapper: the repository of the model.
        shape: the index or the primary key.
        session, tenant: the session and the tenant of the query.
        partition: the index (None for the primary key), and the text of the partition key.
        parameters: the request without its start key.
        limit: the maximum number of matches; None for all.
        start: the key from a cursor, after which the query starts.
        related: the relations that are loaded with the matches; None for all.
        related_only: the relation field whose targets are the result.
        bypass_cache: whether the session's cached result of the same query is ignored.
        sort_condition, options: the arguments of the call.
        parent: returns the instance whose relation or method runs the query, while it exists; None without one.
    """

    mapper: ModelMapper
    shape: Shape
    session: Session | None
    tenant: str | None
    partition: Partition
    parameters: Mapping[str, Any]
    limit: int | None
    start: Item | None
    related: tuple[str, ...] | None
    related_only: str | None
    bypass_cache: bool
    sort_condition: Any
    options: QueryOptions
    parent: Callable[[], Any] | None

    @classmethod
    def of(
        cls,
        mapper: ModelMapper,
        shape: Shape,
        value: object,
        sort_condition: Any = None,
        *,
        through: Any = None,
        **options: Unpack[QueryOptions],
    ) -> Query:
        """Checks the arguments of a query, and creates it.

        Args:
            shape: the index or the primary key.
            value: the value of the partition key field.
            sort_condition: a condition on the sort key field: a value, a dict or an expression.
            through: the instance whose method runs the query; its session and its tenant are used.
            **options: see `QueryOptions`.

        Raises:
            QueryError: for any invalid argument.
        """
        session, tenant = _session_and_tenant(mapper, shape.name, through)
        partition = partition_text(mapper, shape, tenant, value)
        parent = None if through is None else weakref.ref(through)
        return cls._in(mapper, shape, session, tenant, partition, sort_condition, options, parent)

    @classmethod
    def of_parent(
        cls,
        mapper: ModelMapper,
        shape: Shape,
        parent: Instance,
        session: Session,
        **options: Unpack[QueryOptions],
    ) -> Query:
        """A query for an instance, in a session, for the tenant of the instance; for the current one if it is new."""
        state = state_of(parent)
        tenant, value = state.tenant, state.primary_id or parent
        if state.mapper is None:
            tenant = tenant_for(mapper.database, shape.name)
        text = partition_text(mapper, shape, tenant, value)
        return cls._in(mapper, shape, session, tenant, text, None, options, weakref.ref(parent))

    @classmethod
    def _in(
        cls,
        mapper: ModelMapper,
        shape: Shape,
        session: Session | None,
        tenant: str | None,
        text: str,
        sort_condition: object,
        options: QueryOptions,
        parent: Callable[[], object] | None,
    ) -> Query:
        """A query of the partition with a text."""
        if options:
            _require_options(mapper, shape, options)
        parameters = _parameters(mapper, shape, text, sort_condition, options)
        partition = (parameters.get("IndexName"), text)
        arguments = (sort_condition, options, parent)
        if not options:
            return cls(
                mapper, shape, session, tenant, partition, parameters, None, None, (), None, False, *arguments
            )
        start_key = options.get("start_key")
        start = None
        if start_key is not None:
            start = verify_cursor(
                start_key, _purpose(mapper, tenant, parameters), mapper.database.cursor_secret
            )
        return cls(
            mapper,
            shape,
            session,
            tenant,
            partition,
            parameters,
            options.get("limit"),
            None if start is None else {attribute: {"S": text} for attribute, text in start.items()},
            _relations(mapper, options),
            options.get("related_only"),
            bool(options.get("bypass_cache")),
            *arguments,
        )

    def narrowed(self, condition: Mapping[str, object] | Condition | None, options: QueryOptions) -> Query:
        """This query with a further condition, and with other options.

        The part of the condition that is about the sort key becomes a key condition.

        Raises:
            QueryError: for any invalid argument.
        """
        mapper, shape, strict = self.mapper, self.shape, self.mapper.database.strict_filters
        sort_condition, further = self.sort_condition, condition_from(condition, strict)
        if sort_condition is None:
            sort_condition, further = split_condition(shape, further)
        filters = (self.options.get("filter"), options.get("filter"))
        item_filter = all_of((further, *(condition_from(part, strict) for part in filters)))
        merged: QueryOptions = {**self.options, **options}
        merged.pop("filter", None)
        if not is_empty(item_filter):
            merged["filter"] = item_filter
        parent = self.parent_now()
        if parent is None:
            session, tenant = self.session_now(), self.tenant
        else:
            session, tenant = _session_and_tenant(mapper, self.name, parent)
        text = self.partition[1]
        return Query._in(mapper, shape, session, tenant, text, sort_condition, merged, self.parent)

    def of_peer(self, peer: Instance) -> Query:
        """The same query for another stored instance of the parent's model."""
        text = partition_text(self.mapper, self.shape, self.tenant, state_of(peer).primary_id)
        values = {**self.parameters["ExpressionAttributeValues"], _PARTITION_VALUE: {"S": text}}
        parameters = {**self.parameters, "ExpressionAttributeValues": values}
        partition = (self.partition[0], text)
        return evolve(self, partition=partition, parameters=parameters, parent=weakref.ref(peer))

    @property
    def name(self) -> str:
        """The index's name in the model."""
        return self.shape.name

    @property
    def is_narrowed(self) -> bool:
        """Whether the query has a condition or an option."""
        return self.sort_condition is not None or any(option != "related_only" for option in self.options)

    @property
    def kind(self) -> Hashable:
        """What this query has in common with the same query of other partitions."""
        parameters = self.parameters
        filtered, values = parameters.get("FilterExpression"), parameters["ExpressionAttributeValues"]
        further_values = None
        if len(values) > 1:
            further_values = repr({**values, _PARTITION_VALUE: None})
        return (
            self.mapper,
            self.name,
            self.limit,
            self.related,
            self.related_only,
            None if self.start is None else repr(self.start),
            parameters["KeyConditionExpression"],
            further_values,
            filtered and (filtered, repr(parameters["ExpressionAttributeNames"])),
            *map(parameters.get, _READ_OPTIONS),
        )

    def remembered(self, session: Session) -> RememberedQuery:
        """The session's entry for this query: same model, arguments, consistency and tenant."""
        mapper, only = self.mapper, self.related_only
        targets = None if only is None else _model_ref(mapper._target_repository(only))
        return session._partitions.query(self.kind, _model_ref(mapper), self.partition, targets)

    def cursor(self, key: Item) -> str:
        """The cursor that continues this query after the row with these key attributes."""
        payload = {attribute: value["S"] for attribute, value in key.items()}
        cursor_context = _purpose(self.mapper, self.tenant, self.parameters)
        return sign_cursor(payload, cursor_context, self.mapper.database.cursor_secret)

    def row_key(self, row: ReplyItem) -> Item:
        """The key attributes of a row, in the form of a start key."""
        index = self.parameters.get("IndexName")
        names = (PK, SK) if index is None else (PK, SK, *index_key_names(index))
        item = as_dict_item(row)
        return {name: item[name] for name in names}

    @property
    def about(self) -> str:
        """The model and the index, for traces."""
        return f"{self.mapper.schema.name}.{self.name}"

    def request(self, start: Item | None) -> Request:
        """The request of the page after `start`."""
        parameters = dict(self.parameters)
        if start is not None:
            parameters["ExclusiveStartKey"] = start
        return Request(
            QUERY, parameters, rows=row_type_for(parameters.get("Limit", USUAL_PAGE), self.mapper.schema)
        )

    def session_now(self) -> Session | None:
        """The session for the next page: the query's own session while it is open, else the current one."""
        return active_session(self.session, self.mapper.database, self.mapper.schema.name, "query", self.name)

    def parent_now(self) -> Instance | None:
        """The instance whose relation or method runs the query; None without one, or if it no longer exists."""
        return None if self.parent is None else self.parent()

    def instances(self, items: Sequence[ReplyItem], session: Session | None) -> list[LoadedRow]:
        """The items of one page as instances: cached ones of the session, new ones, or `InvalidRow` objects."""
        mapper, tenant = self.mapper, self.tenant
        rows = instances_from_rows(mapper, tenant, items)
        if session is None:
            return rows
        if session._instances.has_deletions:
            rows = [row for row in rows if not self._is_deleted(row, session)]
        return [row if type(row) is InvalidRow else self._canonical(row, session) for row in rows]

    def _is_deleted(self, row: LoadedRow, session: Session) -> bool:
        """Whether the session deleted the item of a row."""
        key = None if type(row) is InvalidRow else state_of(row).key
        return key is not None and session._instances.has_deleted(self.mapper, key)

    def _canonical(self, instance: Instance, session: Session) -> Instance:
        """The session's instance for a row, loaded from it if it is pending."""
        row = state_of(instance)
        assert row.key is not None and row.raw_item is not None and not isinstance(row.raw_item, bytes)
        cached = session._instances.get(self.mapper, row.key)
        if cached is None:
            session._instances.track_weakly(instance)
            return instance
        state = state_of(cached)
        if state.status in (Status.PENDING, Status.MISSING) and not state.wants_consistent:
            hydrate(cached, row.raw_item)
            session._instances.discard_pending(cached)
        return cached


def _require_options(mapper: ModelMapper, shape: Shape, options: QueryOptions) -> None:
    """Raises `QueryError` for an option that no query has, or that is invalid by itself."""
    name = shape.name
    for option in options:
        if option not in QueryOptions.__annotations__:
            if option in mapper.schema.fields:
                hint = f" It is a field: give filter={mapper.schema.name}.fields.{option} == …"
            else:
                hint = suggestion(option, QueryOptions.__annotations__)
            raise QueryError(f"A query has no option {option!r}.{hint}", index=name)
    for option, number in (("limit", options.get("limit")), ("page_size", options.get("page_size"))):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise QueryError(
                f"{option}={number!r}; give a whole number of at least 1, or leave it out.", index=name
            )
    for option in ("count_only", "consistent_read", "bypass_cache"):
        if not isinstance(options.get(option, False), (bool, NoneType)):
            raise QueryError(f"{option}={options.get(option)!r:.200}; give True or False.", index=name)
    direction = options.get("direction", "ASC")
    if direction not in DIRECTIONS:
        raise QueryError(f"direction={direction!r}; use 'ASC' or 'DESC'.", index=name)
    if options.get("consistent_read") and isinstance(shape, IndexSchema):
        raise QueryError(
            f"{name} is a secondary index, which cannot be read consistently. Leave consistent_read out.",
            index=name,
        )


def _session_and_tenant(mapper: ModelMapper, name: str, through: Any) -> tuple[Session | None, str | None]:
    """The session and the tenant of a query: those of the instance that runs it, or the current ones."""
    state = None if through is None else state_of(through)
    if state is None or state.mapper is None:
        return resolve_scope(mapper.database, mapper.schema.name, "query", name)
    return resolve_scope_of(state, "query"), state.tenant


def _parameters(
    mapper: ModelMapper, shape: Shape, partition: str, sort_condition: object, options: QueryOptions
) -> dict[str, Any]:
    """The request of a query without its start key. The value of the partition key is `_PARTITION_VALUE`."""
    placeholders = Placeholders()
    condition, extra = key_condition(mapper, shape, partition, sort_condition)
    parameters: dict[str, Any] = {
        "TableName": mapper.database.table_name,
        "KeyConditionExpression": render_condition(condition, placeholders, mapper.schema),
        "ReturnConsumedCapacity": "TOTAL",
    }
    if isinstance(shape, IndexSchema):
        parameters["IndexName"] = shape.id
    if not options and extra is EMPTY:
        placeholders.into(parameters)
        return parameters
    item_filter = all_of((condition_from(options.get("filter"), mapper.database.strict_filters), extra))
    filtered = render_condition(item_filter, placeholders, mapper.schema)
    placeholders.into(parameters)
    limit = None if filtered else options.get("limit")
    for member, argument in (
        ("FilterExpression", filtered or None),
        ("Limit", options.get("page_size") or limit),
        ("ConsistentRead", options.get("consistent_read") or None),
        ("ScanIndexForward", False if options.get("direction") == "DESC" else None),
        ("Select", "COUNT" if options.get("count_only") else None),
    ):
        if argument is not None:
            parameters[member] = argument
    return parameters


def _model_ref(mapper: ModelMapper) -> ModelSpot:
    return mapper.database.table_name, mapper.schema.prefix


def _relations(mapper: ModelMapper, options: QueryOptions) -> tuple[str, ...] | None:
    """The relations to load with the matches; None for all relation fields. Raises if a name is not a relation."""
    paths = relations_of(mapper, options.get("load_related", False))
    named = relation_paths(mapper, "related_fields", options.get("related_fields"))
    require_relations(mapper, named)
    only = options.get("related_only")
    if only is not None and not isinstance(only, str):
        raise _no_relation(mapper, "related_only", only, 'the name of one relation field, such as "user_id"')
    if only is not None:
        mapper._target_repository(only)
    return named or paths if paths is None else (*paths, *named)


def relations_of(mapper: ModelMapper, load_related: bool | Sequence[str] | None) -> tuple[str, ...] | None:
    """The relations in the option `load_related`; None for all relation fields. Raises if a name is not a relation."""
    if load_related is None or isinstance(load_related, bool):
        return None if load_related else ()
    if isinstance(load_related, str):
        raise _no_relation(
            mapper, "load_related", load_related, f"True, or a list of relations: [{load_related!r}]"
        )
    paths = relation_paths(mapper, "load_related", load_related)
    require_relations(mapper, paths)
    return paths


def require_relations(mapper: ModelMapper, paths: Iterable[str]) -> None:
    """Raises `ConfigurationError` unless each path leads over relations."""
    for path in paths:
        target = mapper
        for name in path.split("."):
            target = target._relation(name).target


def relation_paths(mapper: ModelMapper, option: str, argument: object) -> tuple[str, ...]:
    """The relation fields in an option: one name, or several."""
    if argument is None:
        return ()
    if isinstance(argument, str):
        return (argument,)
    remedy = 'a list of relations, such as ["user_id", "user_id.org_id"]'
    if isinstance(argument, Mapping) or not isinstance(argument, Iterable):
        raise _no_relation(mapper, option, argument, remedy)
    names = tuple(argument)
    if not all(isinstance(name, str) for name in names):
        raise _no_relation(mapper, option, argument, remedy)
    return names


def _no_relation(mapper: ModelMapper, option: str, argument: object, remedy: str) -> QueryError:
    return QueryError(f"{mapper.schema.name}: {option}={argument!r:.200}; give {remedy}.")


_PARTITION_VALUE = ":v0"
"""The placeholder of the partition key, which is the first one of a query."""
_READ_OPTIONS = ("Limit", "ConsistentRead", "ScanIndexForward", "Select")
"""The parameters that change how a query is answered, but not its partition."""
_NOT_THE_QUERY = frozenset(("Limit", "Select", "ReturnConsumedCapacity", "ConsistentRead"))


def _purpose(mapper: ModelMapper, tenant: str | None, parameters: Mapping[str, object]) -> tuple[str, ...]:
    """What the cursors of a query are bound to: its model, tenant, conditions and order."""
    query_parameters = {name: value for name, value in parameters.items() if name not in _NOT_THE_QUERY}
    return (
        "query",
        mapper.schema.name,
        tenant or "",
        json.dumps(query_parameters, sort_keys=True, default=bytes.hex),
    )
