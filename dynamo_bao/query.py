"""Queries of one partition of an index, and their results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypedDict, TypeVar, overload

from attrs import frozen

from dynamo_bao.capacity import Capacity
from dynamo_bao.checkers import Unpack
from dynamo_bao.errors import ItemNotFoundError, QueryError, ValidationError, suggestion
from dynamo_bao.expressions.conditions import (
    Attribute,
    BeginsWith,
    Between,
    Compare,
    Condition,
    all_of,
)
from dynamo_bao.expressions.dicts import condition_from
from dynamo_bao.expressions.render import Placeholders, render_condition
from dynamo_bao.instances import Home, PeerGroup, Status, fill, new_loaded, state_of
from dynamo_bao.schema import Identity, IndexShape, Part, PrimaryShape
from dynamo_bao.scope import enter
from dynamo_bao.session.session import Session
from dynamo_bao.transport.messages import Request
from dynamo_bao.wire import PK, QUERY, SK, Item

M = TypeVar("M")

DIRECTIONS = ("ASC", "DESC")
_SORT_OPERATORS = frozenset(("=", "<", "<=", ">", ">="))


class QueryOptions(TypedDict, total=False):
    """How a query is answered.

    Attributes:
        limit: how many matches are wanted in all.
        page_size: how many items DynamoDB looks at for one page.
        direction: ``"ASC"`` or ``"DESC"``, in the order of the sort key.
        filter: what else must hold of an item; filtered items are read and paid for.
        count_only: whether only the number of matches is wanted.
        consistent_read: only for the primary key, secondary indexes cannot.
    """

    limit: int | None
    page_size: int | None
    direction: str
    filter: Mapping[str, object] | Condition | None
    count_only: bool
    consistent_read: bool


@frozen
class Query:
    """A checked query, ready to be sent page by page.

    Attributes:
        home: the repository asked.
        session, tenant: where and for whom it runs.
        parameters: the request without its start key.
        limit: how many matches are wanted in all, None for every one.
    """

    home: Home
    session: Session | None
    tenant: str | None
    parameters: Mapping[str, Any]
    limit: int | None

    @classmethod
    def of(
        cls,
        home: Home,
        shape: IndexShape | PrimaryShape,
        value: object,
        sort_condition: Any = None,
        **options: Unpack[QueryOptions],
    ) -> Query:
        """Checks and freezes a query; everything that can be wrong with it is told here.

        Args:
            shape: what is queried.
            value: the partition key field's value.
            sort_condition: a value or a dict on the sort key field.
            **options: see `QueryOptions`.
        """
        name = shape.name or "primary_key"
        session, tenant = enter(home.database, home.schema.name, "query", name)
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
        if direction not in DIRECTIONS:
            raise QueryError(f"direction={direction!r}; use 'ASC' or 'DESC'.", index=name)
        if consistent_read and isinstance(shape, IndexShape):
            raise QueryError(f"{name} is a secondary index, which cannot be read consistently.", index=name)
        placeholders = Placeholders()
        condition = _key_condition(home, shape, tenant, value, sort_condition, name)
        parameters: dict[str, Any] = {
            "TableName": home.database.table_name,
            "KeyConditionExpression": render_condition(condition, placeholders, home.schema),
            "ReturnConsumedCapacity": "TOTAL",
        }
        filtered = render_condition(condition_from(options.get("filter")), placeholders, home.schema)
        placeholders.into(parameters)
        for member, given in (
            ("IndexName", shape.id if isinstance(shape, IndexShape) else None),
            ("FilterExpression", filtered or None),
            ("Limit", page_size or (limit if not filtered else None)),
            ("ConsistentRead", consistent_read or None),
            ("ScanIndexForward", False if direction == "DESC" else None),
            ("Select", "COUNT" if options.get("count_only") else None),
        ):
            if given is not None:
                parameters[member] = given
        return cls(home, session, tenant, parameters, limit)

    def page(self, start: Item | None) -> dict[str, Any]:
        """One page's reply body."""
        parameters = dict(self.parameters)
        if start is not None:
            parameters["ExclusiveStartKey"] = start
        if self.session is not None:
            self.session.check()
        seconds = self.session.deadline if self.session is not None else None
        deadline = self.home.database.deadline_from_now(seconds)
        reply = self.home.database.transport.send(Request(QUERY, parameters), deadline=deadline)
        if self.session is not None:
            self.session.record_round(reply)
        return {**reply.body, "_capacity": reply.capacity}

    def instances(self, items: Sequence[Item]) -> list[Any]:
        """The items of one page as instances: those the session has, or new ones; peers of each other."""
        found = [one for one in (self._instance(item) for item in items) if one is not None]
        group = PeerGroup(found)
        for instance in found:
            state_of(instance).group = group
        return found

    def _instance(self, item: Item) -> Any:
        schema = self.home.schema
        values: dict[str, Any] = {}
        schema.decode_into(item, values, item[PK]["S"])
        identity = schema.identity(self.tenant, values)
        known = self.session.known(self.home, identity) if self.session is not None else None
        if known is None:
            instance = new_loaded(self.home, identity, self.tenant, item)
            if self.session is not None:
                self.session.see(instance)
            return instance
        return self._resolved(known, identity, item)

    def _resolved(self, known: Any, identity: Identity, item: Item) -> Any:
        """The session's own instance for a row: filled if it was pending, left out if it was deleted here."""
        assert self.session is not None
        if self.session.has_deleted(self.home, identity):
            return None
        state = state_of(known)
        if state.status in (Status.PENDING, Status.MISSING) and not state.wants_consistent:
            fill(known, item)
            self.session.answered(known)
        return known


def _key_condition(
    home: Home,
    shape: IndexShape | PrimaryShape,
    tenant: str | None,
    value: object,
    sort_condition: Any,
    name: str,
) -> Condition:
    text = _part_text(shape.partition, value, name)
    if isinstance(shape, IndexShape):
        partition = Compare(Attribute(shape.pk_name), "=", {"S": shape.pk_text(tenant, text)})
        attribute = Attribute(shape.sk_name)
    else:
        partition = Compare(Attribute(PK), "=", {"S": home.schema.partition_key(tenant, text)})
        attribute = Attribute(SK)
    if sort_condition is None:
        return partition
    if shape.sort.field is None:
        raise QueryError(f"{name} has no sort key field to put a condition on.", index=name)
    field = shape.sort.field.name
    if not isinstance(sort_condition, (Mapping, Condition)):
        sort_condition = {field: sort_condition}
    given = condition_from(sort_condition)
    return all_of((partition, _sort_condition(given, shape.sort, attribute, name)))


def _sort_condition(given: Condition, part: Part, attribute: Attribute, name: str) -> Condition:
    """A condition on the sort key field as one on the sort key attribute, with key texts."""
    assert part.field is not None
    field = part.field.name
    path = getattr(given, "path", field)
    if path != field:
        raise QueryError(f"{path!r} is not the sort key for index {name!r}; that is {field!r}.", index=name)
    if isinstance(given, Compare) and given.operator in _SORT_OPERATORS:
        return Compare(attribute, given.operator, {"S": _part_text(part, given.value, name)})
    if isinstance(given, Between):
        low, high = _part_text(part, given.low, name), _part_text(part, given.high, name)
        return Between(attribute, {"S": low}, {"S": high})
    if isinstance(given, BeginsWith):
        text = given.value if isinstance(given.value, str) else _part_text(part, given.value, name)
        return BeginsWith(attribute, {"S": text})
    raise QueryError(
        f"Unsupported sort key operator on {field!r}; use one of $eq, $gt, $gte, $lt, $lte, $between, $begins_with.",
        index=name,
        field=field,
    )


def _part_text(part: Part, value: object, name: str) -> str:
    if part.field is None:
        return part.prefix
    if value is None:
        raise QueryError(
            f"{name} needs a value for {part.field.name!r}, not None.", index=name, field=part.field.name
        )
    try:
        return part.to_text(part.field.accept(value))
    except ValidationError as error:
        raise QueryError(str(error), index=name, field=part.field.name) from error


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
        self._start: Item | None = None
        self._done = False
        self._count = 0
        self.scanned_count = 0
        self.capacity = Capacity()

    def _fetch(self) -> list[M]:
        """The next page's instances; marks the end where there is no further page."""
        body = self._query.page(self._start)
        self.capacity = self.capacity.plus(body["_capacity"])
        self.scanned_count += body.get("ScannedCount", 0)
        rows = body.get("Items", [])
        room = None if self._query.limit is None else self._query.limit - self._count
        self._count += min(body.get("Count", 0), room) if room is not None else body.get("Count", 0)
        page: list[M] = self._query.instances(rows[:room] if room is not None else rows)
        self._items += page
        self._start = body.get("LastEvaluatedKey")
        limit = self._query.limit
        self._done = self._start is None or (limit is not None and self._count >= limit)
        return page

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
        return self.first() is not None

    @overload
    def __getitem__(self, index: int) -> M: ...

    @overload
    def __getitem__(self, index: slice) -> list[M]: ...

    def __getitem__(self, index: int | slice) -> M | list[M]:
        return self.all()[index]

    def __repr__(self) -> str:
        state = "all" if self._done else "more to come"
        return f"<QueryResult of {self._query.home.schema.name}: {len(self._items)} fetched, {state}>"
