"""Conditions against a plain evaluator, and X3: only placeholders in their text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from dynamo_bao import Model, PrimaryKey, QueryError, StringSetField
from dynamo_bao.dynamodb.expressions.conditions import (
    EMPTY,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Exists,
    Negation,
    all_of,
    any_of,
    is_empty,
)
from dynamo_bao.dynamodb.expressions.parser import condition_from
from dynamo_bao.dynamodb.expressions.paths import Attribute
from dynamo_bao.dynamodb.expressions.renderer import Placeholders, render_condition

QUICK = settings(max_examples=150, deadline=None)


def model() -> type[Any]:
    class Thing(Model, prefix="t"):
        thing_id: str
        name: str
        size: int
        tags: set[str] = StringSetField()
        data: dict[str, Any]
        primary_key = PrimaryKey("thing_id")

    return Thing


THING = model()
SCHEMA = THING.__bao_schema__
PATHS = THING.fields

# --- a plain evaluator -------------------------------------------------------------------------------


def holds(condition: Condition, item: dict[str, int]) -> bool:
    """What a condition says of an item of numbers, in plain Python."""
    if isinstance(condition, AllOf):
        return all(holds(part, item) for part in condition.parts)
    if isinstance(condition, AnyOf):
        return any(holds(part, item) for part in condition.parts)
    if isinstance(condition, Negation):
        return not holds(condition.part, item)
    if isinstance(condition, Exists):
        return condition.path in item
    assert isinstance(condition, Compare)
    value, other = item.get(str(condition.path)), condition.value
    assert isinstance(other, int)
    if value is None:
        return False
    return {"=": value == other, "<": value < other, ">=": value >= other}[condition.operator]


LEAVES = st.one_of(
    st.builds(Compare, st.sampled_from("abc"), st.sampled_from(["=", "<", ">="]), st.integers(0, 3)),
    st.builds(Exists, st.sampled_from("abc")),
)
# Trees as data: ("leaf", condition), ("and" | "or", [trees]), ("not", tree).
TREES = st.recursive(
    LEAVES.map(lambda leaf: ("leaf", leaf)),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("not"), inner),
    ),
    max_leaves=8,
)
ITEMS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3))


def build(tree: Any) -> Condition:
    """The condition of a tree, made with the operators."""
    kind, inside = tree
    if kind == "leaf":
        return inside  # type: ignore[no-any-return]
    if kind == "not":
        return ~build(inside)
    built = [build(part) for part in inside]
    result = built[0]
    for part in built[1:]:
        result = result & part if kind == "and" else result | part
    return result


def meaning(tree: Any, item: dict[str, int]) -> bool:
    """What a tree says of an item, without any condition."""
    kind, inside = tree
    if kind == "leaf":
        return holds(inside, item)
    if kind == "not":
        return not meaning(inside, item)
    parts = [meaning(part, item) for part in inside]
    return all(parts) if kind == "and" else any(parts)


@QUICK
@given(TREES, ITEMS)
def test_operators_mean_what_they_say(tree: Any, item: dict[str, int]) -> None:
    """``&``, ``|`` and ``~`` build the condition that plain Python evaluates alike."""
    assert holds(build(tree), item) == meaning(tree, item)


@QUICK
@given(st.lists(TREES.map(build), max_size=4), ITEMS)
def test_flattening_does_not_change_the_meaning(parts: list[Condition], item: dict[str, int]) -> None:
    """`all_of` and `any_of` hold where all or any of their parts do, and nest no equal groups."""
    both = all_of(parts)
    assert holds(both, item) == all(holds(part, item) for part in parts)
    if parts:
        assert holds(any_of(parts), item) == any(holds(part, item) for part in parts)
    for group in (both, any_of(parts)):
        if isinstance(group, (AllOf, AnyOf)):
            assert not any(type(part) is type(group) for part in group.parts)


@QUICK
@given(TREES.map(build), TREES.map(build), TREES.map(build))
def test_grouping_makes_no_difference(a: Condition, b: Condition, c: Condition) -> None:
    """Both operators are associative, with the empty condition neutral for one and absorbing for the other."""
    assert (a & b) & c == a & (b & c)
    assert (a | b) | c == a | (b | c)
    assert a & EMPTY == EMPTY & a == a
    assert is_empty(a | EMPTY)
    assert ~~a == a


class Names:
    """A resolver that takes every field as it is."""

    def attribute(self, path: Any) -> Attribute:
        return Attribute(path)

    def operand(self, path: Any, value: Any, operator: str) -> dict[str, Any]:
        return {"N": str(value)}


TOKEN = re.compile(r"\s*(AND|OR|NOT|attribute_exists|#n\d+|:v\d+|>=|[()=<])")


class Reader:
    """Evaluates an expression's text by DynamoDB's rules: NOT before AND before OR."""

    def __init__(
        self, text: str, names: dict[str, str], values: dict[str, Any], item: dict[str, int]
    ) -> None:
        self.tokens = TOKEN.findall(text)
        assert "".join(self.tokens) == text.replace(" ", "")
        self.names, self.values, self.item = names, values, item

    def take(self) -> str:
        return self.tokens.pop(0)  # type: ignore[no-any-return]

    def either(self) -> bool:
        result = self.both()
        while self.tokens[:1] == ["OR"]:
            self.take()
            result = self.both() or result
        return result

    def both(self) -> bool:
        result = self.one()
        while self.tokens[:1] == ["AND"]:
            self.take()
            result = self.one() and result
        return result

    def one(self) -> bool:
        token = self.take()
        if token == "NOT":
            return not self.one()
        if token == "(":
            result = self.either()
            assert self.take() == ")"
            return result
        if token == "attribute_exists":
            assert self.take() == "("
            name = self.names[self.take()]
            assert self.take() == ")"
            return name in self.item
        operator, value = self.take(), int(self.values[self.take()]["N"])
        found = self.item.get(self.names[token])
        if found is None:
            return False
        return {"=": found == value, "<": found < value, ">=": found >= value}[operator]


@QUICK
@given(TREES, ITEMS)
def test_the_text_means_what_the_condition_means(tree: Any, item: dict[str, int]) -> None:
    """Rendered and read again by DynamoDB's precedence, a condition says the same."""
    placeholders, request = Placeholders(), dict[str, Any]()
    text = render_condition(build(tree), placeholders, Names())
    placeholders.into(request)
    reader = Reader(
        text, request["ExpressionAttributeNames"], request.get("ExpressionAttributeValues", {}), item
    )
    assert reader.either() == meaning(tree, item)
    assert not reader.tokens


# --- X3 ----------------------------------------------------------------------------------------------

MARKS = [
    "#n0",
    ":v0",
    " OR ",
    "a = :v0",
    ")",
    "(",
    "size(x)",
    "data",
    "[0]",
    ".",
    "'",
    '"',
    ";",
    "attribute_exists(_pk)",
    "\x00",
    "é",
]
HOSTILE = st.one_of(
    st.text(max_size=12), st.lists(st.sampled_from(MARKS), min_size=1, max_size=5).map("".join)
)
FIELD_NAMES = st.one_of(
    st.sampled_from(["name", "size", "tags", "data"]), HOSTILE, HOSTILE.map(lambda text: f"data.{text}")
)
OPERATORS = st.one_of(
    st.sampled_from(
        [
            "$eq",
            "$ne",
            "$gt",
            "$in",
            "$between",
            "$begins_with",
            "$contains",
            "$exists",
            "$size",
            "$type",
            "$not",
        ]
    ),
    HOSTILE,
)
OPERANDS = st.recursive(
    st.one_of(HOSTILE, st.integers(), st.booleans(), st.none(), st.floats(), st.binary(max_size=4)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(OPERATORS, inner, max_size=2),
    max_leaves=4,
)
ENTRIES = st.dictionaries(
    FIELD_NAMES, st.one_of(OPERANDS, st.dictionaries(OPERATORS, OPERANDS, min_size=1, max_size=2)), max_size=2
)
CONDITIONS = st.one_of(
    ENTRIES,
    st.tuples(st.sampled_from(["$and", "$or", "$not", "$x"]), st.lists(ENTRIES, max_size=2) | ENTRIES).map(
        lambda pair: dict([pair])
    ),
)
SAFE = re.compile(
    r"(?:\s|[(),=]|<>|<=|>=|<|>|AND|OR|NOT|IN|BETWEEN|begins_with|contains|attribute_exists|attribute_type|size"
    r"|#n\d+|:v\d+|\.(?=#n)|\[\d+\])*\Z"
)


@settings(max_examples=250, deadline=None)
@given(CONDITIONS)
@pytest.mark.promise("X3")
def test_hostile_names_operators_and_values_never_appear_in_the_text(condition: dict[str, Any]) -> None:
    """Whatever is given is refused with a `QueryError`, or travels as placeholders alone."""
    placeholders, request = Placeholders(), dict[str, Any]()
    try:
        text = render_condition(condition_from(condition), placeholders, SCHEMA)
    except QueryError as error:
        str(error).encode("utf-8", "surrogatepass")
        return
    assert SAFE.match(text), text
    placeholders.into(request)
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    assert set(re.findall(r"#n\d+", text)) == set(names)
    assert set(re.findall(r":v\d+", text)) == set(values)
    assert all(isinstance(value, dict) and len(value) == 1 for value in values.values())


@QUICK
@given(HOSTILE, HOSTILE)
@pytest.mark.promise("X3")
def test_hostile_inner_paths_and_values_travel_as_placeholders(inner: str, value: str) -> None:
    """What is inside a map may have any name, which is never written into the text."""
    placeholders, request = Placeholders(), dict[str, Any]()
    condition = PATHS.data[inner].contains(value) & (PATHS.data[inner] == value)
    try:
        text = render_condition(condition, placeholders, SCHEMA)
    except QueryError:
        return
    assert SAFE.match(text), text
    placeholders.into(request)
    assert list(request["ExpressionAttributeValues"].values()) == [{"S": value}, {"S": value}]
    assert "data" in request["ExpressionAttributeNames"].values()
