"""The compiled functions of a model: when they ask its fields, what they make of odd values, and their source."""

from __future__ import annotations

import enum
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

import pytest

from dynamo_bao import (
    BinaryField,
    BooleanField,
    CounterField,
    DateField,
    DateTimeField,
    DecimalField,
    FloatField,
    IntegerField,
    JsonField,
    ListField,
    Model,
    PrimaryKey,
    StringField,
    StringSetField,
    TtlField,
    UlidField,
    UuidField,
    ValidationError,
)
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.mapping.codec import is_same
from dynamo_bao.mapping.compiler import compiled, source_of
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import LoadedSnapshot, form_of, loaded_value
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.constructor import constructor_of
from tests.property.test_rows import only_row
from tests.support.values import Colour

UTC = timezone.utc
METHODS = {"accept", "normalise", "validate", "to_dynamo", "from_dynamo", "default_value", "missing_value"}
KEYS = {PK: {"S": "x#1"}, SK: {"S": "x"}}
KNOWN = {"thing_id": "1"}


def model(**fields: Any) -> Any:
    """A new model, of which nothing is compiled yet."""
    body: dict[str, Any] = {"__module__": __name__, "thing_id": StringField(), **fields}
    body |= {"__annotations__": {"thing_id": str, **dict.fromkeys(fields, Any)}}
    body |= {"primary_key": PrimaryKey("thing_id")}
    return type("Thing", (Model,), body, prefix="x")


def asked(action: Callable[[], Any]) -> list[str]:
    """Which methods of fields are called by an action, at its second time."""
    found: list[str] = []

    def see(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_name in METHODS:
            found.append(frame.f_code.co_name)

    action()
    before = sys.getprofile()
    sys.setprofile(see)
    try:
        action()
    finally:
        sys.setprofile(before)
    return found


def read_both_ways(schema: Schema, item: dict[str, Any], known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The values of an item: of a dict, and of a row."""
    yield schema.decode(item, None, known)
    yield schema.decode_row(only_row(schema, item), None, known)


USUAL: dict[str, tuple[Any, Any]] = {
    "string": (StringField, "a"),
    "integer": (IntegerField, 5),
    "counter": (CounterField, 3),
    "float": (FloatField, 0.5),
    "boolean": (BooleanField, True),
    "binary": (BinaryField, b"1"),
    "moment": (DateTimeField, datetime(2020, 1, 1, tzinfo=UTC)),
    "ttl": (TtlField, datetime(2020, 1, 1, tzinfo=UTC)),
    "date": (DateField, date(2020, 1, 1)),
    "uuid": (UuidField, uuid.UUID(int=1)),
    "ulid": (UlidField, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    "texts": (StringSetField, {"a"}),
}
"""Kinds whose usual values no compiled function asks a field about, each with such a value."""


def test_a_model_of_key_fields_only_has_no_changes() -> None:
    """Its comparison compares nothing."""
    schema = schema_of(model())
    assert schema.differing({"thing_id": "1"}, KEYS) == {}


@pytest.mark.parametrize("options", [{}, {"default": None}], ids=["required", "optional"])
@pytest.mark.parametrize("kind", USUAL)
def test_no_field_is_asked_about_usual_values(kind: str, options: dict[str, Any]) -> None:
    """Neither by the constructor, nor by a save, nor by a read: calls of methods are most of what those cost."""
    make, value = USUAL[kind]
    thing = model(**{kind: make(**options)})
    schema = schema_of(thing)
    values = dict(vars(thing(thing_id="1", **{kind: value})))
    item = {**schema.encode(values), **KEYS}
    row = only_row(schema, item)
    assert asked(lambda: thing(thing_id="1", **{kind: value})) == []
    assert asked(lambda: schema.store(dict(values))) == []
    assert asked(lambda: schema.encode(values)) == []
    assert asked(lambda: schema.decode(item, None, KNOWN)) == []
    assert asked(lambda: schema.decode_row(row, None, KNOWN)) == []
    assert asked(lambda: schema.accept_all(values)) == []
    assert asked(lambda: schema.differing(values, item)) == []
    assert schema.store(dict(values)) is not None
    assert not schema.encode({**values, kind: None}).keys() - {"thing_id"}
    for found in read_both_ways(schema, item, KNOWN):
        assert found[kind] == value
    assert getattr(thing(thing_id="1", **{kind: None}), kind) in (None, set())


CHANGED: dict[str, Any] = {
    "string": "b",
    "integer": 6,
    "float": 1.5,
    "boolean": False,
    "binary": b"2",
    "date": date(2020, 1, 2),
    "uuid": uuid.UUID(int=2),
}
"""Other usual values of kinds whose changes are saved whole."""


@pytest.mark.parametrize("options", [{}, {"default": None}], ids=["required", "optional"])
@pytest.mark.parametrize("kind", CHANGED)
def test_no_field_is_asked_about_a_usual_change(kind: str, options: dict[str, Any]) -> None:
    """A save knows from the comparison that the field accepts the new value as it is."""
    make, value = USUAL[kind]
    schema = schema_of(model(**{kind: make(**options)}))
    item = {**schema.encode({"thing_id": "1", kind: value}), **KEYS}
    for new_value in (CHANGED[kind], *([None] if options else [])):
        loaded = LoadedSnapshot(schema, KNOWN, item, None)
        change = partial(loaded.changed, {"thing_id": "1", kind: new_value})
        assert asked(change) == []
        assert change() == [kind]
        assert loaded.accepted == {kind: new_value}


OF_ANY_KIND = [
    *(value for _, value in USUAL.values()),
    None,
    True,
    1,
    5.0,
    Decimal(5),
    "",
    b"",
    set(),
    ["a"],
    {},
]


@pytest.mark.parametrize("kind", [*USUAL, "doubled", "list"])
def test_a_comparison_says_what_comparing_decoded_values_says(kind: str) -> None:
    """Of every kind, with values of all kinds. It says nothing without a value, or with one that a field cannot read.

    A set is always named: whether it has changed needs a look at its members.
    """
    make, value = {**USUAL, "doubled": (Doubled, 4), "list": (ListField, ["a", 1])}[kind]
    schema = schema_of(model(**{kind: make(default=None)}))
    field, item = schema.fields[kind], {**KEYS, **schema.encode({"thing_id": "1", kind: value})}
    for stored in (item, {**KEYS, "thing_id": {"S": "1"}}):
        for current in (*OF_ANY_KIND, value):
            decoded = loaded_value(field, stored)
            expected = {} if is_same(current, decoded) else {kind: decoded}
            accepted: dict[str, object] = {}
            assert schema.differing({"thing_id": "1", kind: current}, stored, accepted) == expected, current
            if accepted:
                assert accepted == {kind: current} and expected
                assert is_same(field.accept(current), current)
                assert form_of(field, current) != form_of(field, decoded)
        assert schema.differing({"thing_id": "1"}, stored) is None
    assert schema.differing({"thing_id": "1", kind: value}, item) == (
        {} if kind != "texts" else {kind: value}
    )
    assert schema.differing({"thing_id": "1", kind: value}, {**KEYS, kind: {"M": {"a": {"X": 1}}}}) is None


class Doubled(IntegerField):
    """A kind that reads and writes in its own way."""

    def to_dynamo(self, value: int) -> Any:
        return {"N": str(2 * value)}

    def from_dynamo(self, stored: Any) -> int:
        return int(stored["N"]) // 2


class Shouted(StringField):
    """A kind that accepts in its own way, anything at all."""

    def normalise(self, value: Any) -> str:
        return str(value).upper()

    def validate(self, value: str) -> None:
        if value == "NO":
            raise ValueError("is no")


@pytest.mark.parametrize("options", [{}, {"default": None}], ids=["required", "optional"])
def test_kinds_of_one_s_own_are_always_asked(options: dict[str, Any]) -> None:
    """Their values are what their methods make of them, by every way."""
    thing = model(size=Doubled(**options), name=Shouted(**options))
    schema = schema_of(thing)
    made = thing(thing_id="1", size=4, name="ada")
    assert (made.size, made.name) == (4, "ADA")
    values = {**vars(made), "name": "bea"}  # as it is after an assignment
    item = {"thing_id": {"S": "1"}, "size": {"N": "8"}, "name": {"S": "BEA"}}
    assert schema.store(values) == {PK: None, SK: None, **item}
    assert values["name"] == "BEA"
    assert schema.encode(values) == item
    for found in read_both_ways(schema, {**item, **KEYS}, KNOWN):
        assert (found["size"], found["name"]) == (4, "BEA")
    with pytest.raises(ValidationError, match="is no"):
        schema.accept_all({**values, "name": "no"})
    refused = {**values, "name": "no"}
    assert schema.store(refused) is None
    assert refused["name"] == "no"


def test_a_required_value_is_missed_before_its_field_is_asked() -> None:
    """Also where the field would take anything for a value."""
    thing = model(name=Shouted(), parts=ListField(), extra=JsonField())
    with pytest.raises(ValidationError, match=r"3 fields are wrong: .*name is required.*parts.*extra"):
        thing(thing_id="1")


class Turn(enum.Enum):
    LEFT = "left"

    def __call__(self) -> str:
        return "right"


def test_first_values_are_constants_or_made_for_each() -> None:
    """A constant is the same for all and asks nobody; what a function makes is made for each."""
    numbers = count()
    constants = {
        "text": StringField(default="a"),
        "size": IntegerField(default=0),
        "price": DecimalField(default=Decimal(2)),
        "active": BooleanField(default=False),
        "nothing": StringField(default=None),
    }
    thing = model(
        **constants,
        number=IntegerField(default=lambda: next(numbers)),
        parts=ListField(default=[1]),
        turn=StringField(default=Turn.LEFT),
    )
    made = [thing(thing_id="1") for _ in range(3)]
    assert [one.number for one in made] == [0, 1, 2]
    assert made[0].parts == made[1].parts == [1] and made[0].parts is not made[1].parts
    assert {one.turn for one in made} == {"right"}
    assert (made[0].text, made[0].size, made[0].price, made[0].active, made[0].nothing) == (
        *("a", 0, 2, False),
        None,
    )
    constant = model(**constants)
    assert asked(lambda: constant(thing_id="1")) == []


def test_a_constructor_is_compiled_once() -> None:
    """Also that of a model with an ``__init__`` of its own, which calls it."""

    class Named(model(name=StringField()), prefix="xn"):  # type: ignore[misc]
        primary_key = PrimaryKey("thing_id")

        def __init__(self, **values: Any) -> None:
            super().__init__(**values, name="a")

    for kind in (model(), Named):
        kind(thing_id="1")
        assert constructor_of(kind) is constructor_of(kind)
    assert Named(thing_id="1").name == "a"


# --- keys -----------------------------------------------------------------------------------------


class Rough(FloatField):
    """A number of whose value a key has the whole part only."""

    def to_key(self, value: float) -> str:
        return str(int(value))

    def from_key(self, text: str) -> float:
        return float(int(text))


def keyed(field: Any, name: str, **options: Any) -> Schema:
    """The schema of a model with this field as its key."""
    body = {"__module__": __name__, "__annotations__": {name: Any}, name: field}
    return schema_of(
        type("Keyed", (Model,), {**body, "primary_key": PrimaryKey(name)}, prefix="x", **options)
    )


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        ({"N": "4.5"}, 4.5),
        (None, 4.0),
        ({"N": "5.5"}, 4.0),  # of another key
        ({"N": "none"}, 4.0),
    ],
    ids=["exact", "absent", "of another key", "unreadable"],
)
def test_the_attribute_says_a_key_s_value_where_it_agrees_with_the_key(stored: Any, value: float) -> None:
    """For a kind whose key text says less than its value; else the key says it, which is what found the item."""
    schema = keyed(Rough(), "weight")
    item = KEYS if stored is None else {**KEYS, "weight": stored}
    for found in read_both_ways(schema, item, {"weight": 4.0}):
        assert found["weight"] == value


def test_a_moment_whose_key_is_shared_with_javascript_is_as_exact_as_its_attribute() -> None:
    """The shared format's key has a thousandth of its seconds."""
    schema = keyed(TtlField(required=True), "ttl", key_format="dynamo-bao")
    exact = datetime(2020, 1, 1, 0, 0, 7, tzinfo=UTC)
    part = schema.primary.partition
    known = {"ttl": part.value(part.to_text(exact))}
    assert known["ttl"] != exact
    for found in read_both_ways(schema, {**KEYS, **schema.encode({"ttl": exact})}, known):
        assert found["ttl"] == exact
    native = keyed(TtlField(required=True), "ttl")
    for found in read_both_ways(
        native, {**KEYS, **native.encode({"ttl": exact})}, {"ttl": exact + timedelta(1)}
    ):
        assert found["ttl"] == exact + timedelta(1)


# --- what cannot be read, and what is too large ----------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "code"),
    [({"S": "x"}, "S"), ({"M": {"a": {"N": "1"}}}, "M"), ({"S": "x", "N": "1"}, "S/N"), ("x", "str")],
    ids=["text", "map", "two types", "no value at all"],
)
def test_an_unreadable_attribute_is_named_with_its_type(stored: Any, code: str) -> None:
    """The type says what wrote it; its value is nobody's business."""
    schema = schema_of(model(size=IntegerField()))
    error = schema.unreadable("1", "size", stored)
    assert str(error).startswith(
        f"Thing '1': the stored attribute 'size' of type {code} is not what IntegerField 'size' reads ("
    )
    assert (error.model, error.key, error.field) == ("Thing", "1", "size")
    assert "x" not in str(error.__cause__) or isinstance(error.__cause__, (KeyError, TypeError, ValueError))


def test_an_optional_null_is_none_and_another_null_is_unreadable() -> None:
    """Other programs store NULL where this library stores nothing."""
    schema = schema_of(
        model(size=IntegerField(default=None), age=IntegerField(), name=StringField(default="a"))
    )
    item = {**KEYS, "size": {"NULL": True}, "age": {"NULL": True}, "name": {"N": "1"}}
    state = type("State", (), {"bad": None})()
    found = schema.decode(item, state, KNOWN)
    assert found["size"] is None
    assert not found.keys() & {"age", "name"}
    assert state.bad == {"age": {"NULL": True}, "name": {"N": "1"}}


@pytest.mark.parametrize("name", ["text", "perhaps", "labels"])
def test_the_length_of_an_item_counts_every_value(name: str) -> None:
    """None has no length. What may be over DynamoDB's 400 kB is left to the way that measures."""
    thing = model(
        text=StringField(), perhaps=StringField(default=None), labels=StringSetField(), size=IntegerField()
    )
    schema = schema_of(thing)
    small = dict(vars(thing(thing_id="1", text="", size=1)))
    stored = schema.store(dict(small))
    assert stored is not None and not stored.keys() & {"perhaps", "labels"}
    large: Any = {"a" * 110_000} if name == "labels" else "a" * 110_000
    assert schema.store({**small, name: large}) is None
    usual: Any = {"a" * 80_000} if name == "labels" else "a" * 80_000
    assert schema.store({**small, name: usual}) is not None


# --- source ---------------------------------------------------------------------------------------


def test_a_traceback_shows_the_source_of_a_compiled_function() -> None:
    """Of the one that ran, also where two have the same name, as models of two tests may."""
    functions = [
        compiled(f"def run(n):\n    return {number} / n", "part of Thing", {})["run"] for number in (1, 2, 1)
    ]
    for number, function in zip((1, 2, 1), functions, strict=True):
        assert source_of(function) == f"def run(n):\n    return {number} / n"
        with pytest.raises(ZeroDivisionError) as caught:
            function(0)
        assert f"return {number} / n" in "".join(traceback.format_exception(caught.value))
    files = [function.__code__.co_filename for function in functions]
    assert files == [
        "<dynamo_bao part of Thing>",
        "<dynamo_bao part of Thing (2)>",
        "<dynamo_bao part of Thing>",
    ]


def test_a_schema_has_the_source_of_its_functions() -> None:
    """Under the names of the functions; another name is an error."""
    schema = schema_of(model(colour=StringField(default=Colour.RED.value)))
    assert "colour" in schema.source("decode")
    with pytest.raises(ValueError, match="other"):
        schema.source("other")
