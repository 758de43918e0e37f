"""Short ways agree with the general ones: compiled constructors and storing, and expressions of known shapes."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from dynamo_bao import (
    BinaryField,
    BooleanField,
    CounterField,
    DateTimeField,
    DecimalField,
    EnumField,
    FloatField,
    IntegerField,
    JsonField,
    ListField,
    MapField,
    Model,
    NestedField,
    NumberSetField,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    UlidField,
    UnknownFieldError,
    UuidField,
    ValidationError,
)
from dynamo_bao.dynamodb.expressions.conditions import Compare, Condition
from dynamo_bao.dynamodb.expressions.paths import Attribute
from dynamo_bao.dynamodb.expressions.updates import Update
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.writes.actions import NOT_STORED, STORED, Action, _rendered, free_or_owned
from tests.support.values import DOCUMENTS, SCALARS, TEXTS, VALUES, Box, Colour, types_of


class Even(StringField):
    """A field that accepts in its own way."""

    def validate(self, value: str) -> None:
        super().validate(value)
        if len(value) % 2:
            raise ValueError("is odd")


class Whole(Model, prefix="w"):
    """Fields of every kind, under names that compiled code has uses for too."""

    whole_id: Any = UlidField(auto_assign=True)
    str: Any = StringField()
    type: Any = StringField(default="plain", max_length=8)
    others: Any = Even(default=None)
    self_: Any = RelatedField("Whole", default=None)
    state: Any = IntegerField(default=None, minimum=-4)
    len: Any = CounterField(default=3)
    float: Any = FloatField(default=None)
    rounded: Any = FloatField(precision=2, default=None)
    int: Any = DecimalField(default=None)
    bool: Any = BooleanField(default=None)
    bytes: Any = BinaryField(default=None)
    moment: Any = DateTimeField(default=None)
    code: Any = UuidField(default=None)
    colour: Any = EnumField(Colour, default=Colour.RED)
    set: Any = StringSetField(max_member_count=3)
    numbers: Any = NumberSetField()
    map: Any = MapField(default=None)
    list: Any = ListField(default=lambda: [1])
    json: Any = JsonField(default=None)
    nested: Any = NestedField(Box, default=None)

    primary_key = PrimaryKey("whole_id")


SCHEMA = schema_of(Whole)
ODD = st.sampled_from(
    ["\ud800", type("Text", (str,), {})("text"), True, {"a"}, {"a", 1}, {"\ud800"}, frozenset("a"), None]
)
GIVEN = st.dictionaries(
    st.sampled_from(sorted(SCHEMA.fields)),
    SCALARS | DOCUMENTS | TEXTS | ODD | st.one_of(*VALUES.values()),
    max_size=6,
)


def held(name: str, value: Any) -> Any:
    """What an instance holds of a value that its constructor is given."""
    field = SCHEMA.fields[name]
    try:
        if value is None:
            return None if field.nullable else field.accept(None)
        return field.normalise(value)
    except ValueError:
        return value


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types; NaN is itself."""
    return types_of(one) == types_of(other) and (repr(one) == repr(other) or one == other)


@settings(max_examples=400, deadline=None)
@given(GIVEN, TEXTS)
def test_a_constructor_holds_what_its_fields_make_of_the_values(values: dict[str, Any], text: str) -> None:
    """Whatever is given, in whatever form."""
    values = {"str": text, **values}
    made = vars(Whole(**values))
    for name, field in SCHEMA.fields.items():
        if name in values:
            assert same(made[name], held(name, values[name]))
            assert name != "set" or values[name] != {"a"} or made[name] is not values[name]
        elif name != "whole_id":
            assert same(made[name], field.default_value())


@settings(max_examples=400, deadline=None)
@given(GIVEN, TEXTS)
def test_storing_is_accepting_and_encoding(values: dict[str, Any], text: str) -> None:
    """In one go it gives the same item and the same values, or nothing at all."""
    now = {**vars(Whole(str=text)), **values}
    before = dict(now)
    stored = SCHEMA.store(now)
    try:
        accepted = SCHEMA.accept_all({**before})
    except ValidationError:
        assert stored is None
        assert now.keys() == before.keys() and all(now[name] is before[name] for name in now)
        return
    if stored is not None:
        assert (stored.pop(PK), stored.pop(SK)) == (None, None)
        assert stored == SCHEMA.encode(accepted)
        assert all(same(now[name], value) for name, value in accepted.items())


def test_values_as_they_mostly_are_are_stored_in_one_go() -> None:
    """The short way is the usual one."""
    moment = datetime(2020, 1, 1, tzinfo=timezone.utc)
    made = Whole(str="Gödel", set={"a", "ä"}, moment=moment, map={"a": (1, 2)}, self_="w", bytes=b"1")
    assert SCHEMA.store(vars(made)) is not None


def test_wrong_arguments_are_told_as_before_any_of_them_was_looked_at() -> None:
    """Names that are no field first, then everything that is missing."""
    with pytest.raises(UnknownFieldError, match="Did you mean 'state'"):
        Whole(stat=1)
    with pytest.raises(ValidationError, match="str is required"):
        Whole()
    with pytest.raises(TypeError, match="positional"):
        Whole("text")


def test_a_class_below_a_model_has_a_constructor_of_its_own() -> None:
    """Also where its own ``__init__`` goes through that of the class above."""

    class Below(Whole, prefix="bl"):
        more: Any = StringField(default="?")
        made_of: Any = StringField(default=None)
        primary_key = PrimaryKey("whole_id")

        def __init__(self, **values: Any) -> None:
            super().__init__(**values, made_of="x")

    for _ in range(2):
        Whole(str="a")
        below: Any = Below(str="a", more="b")
        assert (below.more, below.made_of, below.type) == ("b", "x", "plain")
        assert not hasattr(Whole(str="a"), "more")


class Shouted(StringField):
    """A field that holds values in its own form."""

    def normalise(self, value: Any) -> str:
        return super().normalise(value).upper()


class Formed(Model, prefix="fo"):
    """Values that are held in another form than they are given in, although they are of the right types."""

    formed_id: str
    name: Any = Shouted()
    share: float = FloatField(precision=2)

    primary_key = PrimaryKey("formed_id")


def test_a_constructor_asks_fields_that_hold_values_in_a_form_of_their_own() -> None:
    """Also for values that look as if they were held as they are."""
    made = Formed(formed_id="1", name="Ada", share=0.126)
    assert (made.name, made.share) == ("ADA", 0.13)


class Plain(Model, prefix="pl"):
    """A model of which values alone tell how large an item is."""

    plain_id: str
    text: str
    more: str | None = None
    labels: set[str] = StringSetField()

    primary_key = PrimaryKey("plain_id")


@pytest.mark.parametrize(
    "values",
    [
        {"text": "a" * 410_000},
        {"text": "ä" * 205_000},
        {"text": "", "more": "𝄞" * 102_500},
        {"text": "", "labels": {"a" * 410_000}},
    ],
    ids=["ascii", "two bytes", "four bytes", "set"],
)
def test_an_item_that_may_be_too_large_goes_the_careful_way(values: dict[str, Any]) -> None:
    """Which measures it; the short way never stores one that is over the limit."""
    made = Plain(plain_id="1", **values)
    assert schema_of(Plain).store(vars(made)) is None
    assert schema_of(Whole).store(vars(Whole(str="a" * 410_000))) is None
    assert schema_of(Plain).store(vars(Plain(plain_id="1", text="ä" * 10_000))) is not None


# --- expressions ---------------------------------------------------------------------------------------

STORED_VALUES = st.sampled_from([{"S": "x"}, {"N": "1"}, {"SS": ["a"]}, {"NULL": True}])
ATTRIBUTES = st.dictionaries(st.sampled_from("abcd"), STORED_VALUES, max_size=3)
NAMES = st.lists(st.sampled_from("efgh"), unique=True, max_size=2).map(dict.fromkeys)


@given(
    st.sampled_from([STORED, NOT_STORED]),
    st.tuples(ATTRIBUTES, NAMES, ATTRIBUTES, ATTRIBUTES),
    st.dictionaries(st.sampled_from("abij"), st.none() | STORED_VALUES, max_size=3),
)
def test_expressions_of_a_known_shape_are_those_that_are_rendered(
    condition: Condition, changes: tuple[Any, ...], assumed: dict[str, Any]
) -> None:
    """Also the second time, when only the values are new."""
    action = Action("Update", Key("p", "s"), condition, update=Update(*changes), assumed=assumed)
    rendered = _rendered(Update(*changes), condition, assumed, no_resolver())
    assert action.expressions(no_resolver()) == action.expressions(no_resolver()) == rendered


@given(st.text(max_size=3), st.text(max_size=3))
def test_the_expressions_of_a_guard_are_those_that_are_rendered(primary_id: str, model: str) -> None:
    """A guard that was planned again has another condition, and is rendered."""
    guard = free_or_owned(primary_id, model)
    action = Action("Delete", Key("p", "s"), guard.condition, guard=guard)
    assert action.expressions(no_resolver()) == _rendered(Update(), guard.condition, {}, no_resolver())
    other_condition = guard.condition | Compare(Attribute("relatedId"), "=", {"S": "gone"})
    replanned = evolve(action, condition=other_condition)
    assert replanned.expressions(no_resolver()) == _rendered(Update(), other_condition, {}, no_resolver())


def no_resolver() -> Any:
    """No resolver, because all conditions name attributes."""
    return None
