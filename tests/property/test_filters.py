"""Filters on engines: what a query gives is what plain Python picks from the same data."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, strategies as st

from dynamo_bao import (
    Index,
    Manager,
    MapField,
    Model,
    PrimaryKey,
    StringField,
    StringSetField,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.expressions.conditions import Condition
from tests.support.examples import many


class Row(Model, prefix="rw"):
    row_id: str = StringField()
    shelf: str = StringField(default="one")
    name: str | None = StringField(default=None)
    size: int | None = None
    price: Decimal | None = None
    done: bool | None = None
    tags: set[str] = StringSetField()
    data: dict[str, Any] | None = MapField(default=None)

    primary_key = PrimaryKey("row_id")
    by_shelf = Index("shelf", "row_id", id="gsi1")


NAMES = ("a", "ab", "abc", "b", "ba", "é", "Ω")
TAGS = ("a", "b", "x y")
PRICES = (Decimal("-1.5"), Decimal(0), Decimal("2.50"), Decimal("1e20"))
SIZES = (-3, 0, 2, 10)
ROWS = [
    {
        "row_id": f"{number:02}",
        "name": (*NAMES, None)[number % 8],
        "size": (*SIZES, None)[number % 5],
        "price": (*PRICES, None)[number % 3 * 2 % 5],
        "done": (True, False, None)[number % 3],
        "tags": {tag for place, tag in enumerate(TAGS) if number >> place & 1},
        "data": ({"k": number % 4, "in": {"t": NAMES[number % 7]}}, {"k": "text"}, None)[number % 7 % 3],
    }
    for number in range(48)
]


@pytest.fixture
def stored(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """The rows, on a table of the engine."""
    with init_models(models=[Row], table_name=ready_table, **connection) as manager:
        with run_with_batch_context() as session:
            session.add(*(Row(**values) for values in ROWS), overwrite=True)
            session.commit()
        yield manager


# --- what a filter means --------------------------------------------------------------------------------


@frozen
class Asked:
    """A filter as a dict, as an expression, and as plain Python."""

    as_dict: dict[str, Any]
    as_expression: Condition
    holds: Callable[[dict[str, Any]], bool]

    def __repr__(self) -> str:
        return repr(self.as_dict)


def value_at(row: dict[str, Any], path: str) -> Any:
    """The value at a path; None where there is none. An empty set is not stored, and so absent."""
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return None if value == set() else value


def same_kind(one: Any, other: Any) -> bool:
    """Whether DynamoDB compares two values: it orders nothing across types."""
    numbers = (int, Decimal)
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool)
    return (isinstance(one, numbers) and isinstance(other, numbers)) or type(one) is type(other)


ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "$eq": operator.eq,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def ordered(value: Any) -> Any:
    """Texts are ordered by their bytes."""
    return value.encode() if isinstance(value, str) else value


def path_of(path: str) -> Any:
    """``User.fields`` of a path."""
    found: Any = Row.fields
    for name in path.split("."):
        found = found[name] if isinstance(found, type(Row.fields.data)) else getattr(found, name)
    return found


def comparison(path: str, name: str, operand: Any) -> Asked:
    def holds(row: dict[str, Any]) -> bool:
        value = value_at(row, path)
        return same_kind(value, operand) and bool(ORDERS[name](ordered(value), ordered(operand)))

    return Asked({path: {name: operand}}, ORDERS[name](path_of(path), operand), holds)


def other_than(path: str, operand: Any) -> Asked:
    """$ne holds for an absent attribute too."""
    return Asked(
        {path: {"$ne": operand}},
        path_of(path) != operand,
        lambda row: value_at(row, path) != operand,
    )


def between(path: str, low: Any, high: Any) -> Asked:
    low, high = sorted((low, high), key=ordered)

    def holds(row: dict[str, Any]) -> bool:
        value = value_at(row, path)
        return same_kind(value, low) and ordered(low) <= ordered(value) <= ordered(high)

    return Asked({path: {"$between": [low, high]}}, path_of(path).between(low, high), holds)


def one_of(path: str, operands: list[Any]) -> Asked:
    return Asked(
        {path: {"$in": operands}}, path_of(path).is_in(operands), lambda row: value_at(row, path) in operands
    )


def begins(path: str, start: str) -> Asked:
    def holds(row: dict[str, Any]) -> bool:
        value = value_at(row, path)
        return isinstance(value, str) and value.startswith(start)

    return Asked({path: {"$begins_with": start}}, path_of(path).begins_with(start), holds)


def containing(path: str, part: str) -> Asked:
    def holds(row: dict[str, Any]) -> bool:
        value = value_at(row, path)
        return isinstance(value, (str, set)) and part in value

    return Asked({path: {"$contains": part}}, path_of(path).contains(part), holds)


def existing(path: str, wanted: bool) -> Asked:
    expression = path_of(path).exists()
    return Asked(
        {path: {"$exists": wanted}},
        expression if wanted else ~expression,
        lambda row: (value_at(row, path) is not None) is wanted,
    )


def sized(path: str, name: str, operand: int) -> Asked:
    def holds(row: dict[str, Any]) -> bool:
        value = value_at(row, path)
        return isinstance(value, (str, set)) and bool(ORDERS[name](len(value), operand))

    return Asked({path: {"$size": {name: operand}}}, path_of(path).size({name: operand}), holds)


def combined(kind: str, parts: list[Asked]) -> Asked:
    expression = parts[0].as_expression
    for part in parts[1:]:
        expression = expression & part.as_expression if kind == "$and" else expression | part.as_expression
    every = all if kind == "$and" else any
    return Asked(
        {kind: [part.as_dict for part in parts]},
        expression,
        lambda row: every(part.holds(row) for part in parts),
    )


def negated(part: Asked) -> Asked:
    return Asked({"$not": part.as_dict}, ~part.as_expression, lambda row: not part.holds(row))


# --- which filters are tried ------------------------------------------------------------------------------

OPERANDS: dict[str, Any] = {
    "name": st.sampled_from((*NAMES, "c")),
    "size": st.sampled_from((*SIZES, 7)),
    "price": st.sampled_from((*PRICES, Decimal("2.5"))),
    "done": st.booleans(),
    "data.k": st.integers(0, 4) | st.just("text"),
    "data.in.t": st.sampled_from(NAMES),
}
COMPARED = st.sampled_from(["name", "size", "price", "data.in.t"])
PATHS = st.sampled_from([*OPERANDS, "tags"])
LEAVES = st.one_of(
    COMPARED.flatmap(
        lambda path: st.builds(comparison, st.just(path), st.sampled_from(list(ORDERS)), OPERANDS[path])
    ),
    st.sampled_from(list(OPERANDS)).flatmap(
        lambda path: st.builds(other_than, st.just(path), OPERANDS[path])
    ),
    COMPARED.flatmap(lambda path: st.builds(between, st.just(path), OPERANDS[path], OPERANDS[path])),
    st.sampled_from(list(OPERANDS)).flatmap(
        lambda path: st.builds(one_of, st.just(path), st.lists(OPERANDS[path], min_size=1, max_size=4))
    ),
    st.builds(begins, st.sampled_from(["name", "data.in.t"]), st.sampled_from(["a", "ab", "é", "z"])),
    st.builds(containing, st.sampled_from(["name", "tags", "data.in.t"]), st.sampled_from([*TAGS, "z"])),
    st.builds(existing, PATHS, st.booleans()),
    st.builds(sized, st.sampled_from(["name", "tags"]), st.sampled_from(list(ORDERS)), st.integers(0, 3)),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(combined, st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3)),
        st.builds(negated, inner),
    ),
    max_leaves=6,
)


def found(condition: Any) -> list[str]:
    return [row.row_id for row in Row.by_shelf.query("one", filter=condition)]


def test_filters_mean_what_they_say(stored: Manager, request: pytest.FixtureRequest) -> None:
    """Each filter, as a dict and as an expression, gives the rows that plain Python picks, in order."""
    tried = 0

    @many(100)
    @given(FILTERS)
    def run(asked: Asked) -> None:
        nonlocal tried
        tried += 1
        expected = [row["row_id"] for row in ROWS if asked.holds(row)]
        assert found(asked.as_dict) == expected
        assert found(asked.as_expression) == expected

    run()
    print(f"\n{request.node.callspec.params['engine']}: {tried:,} filters, 0 differences")
