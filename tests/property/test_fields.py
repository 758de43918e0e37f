"""W8: any accepted value, stored and loaded, is equal and of the same type."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
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
    StringField,
    StringSetField,
    TtlField,
    UuidField,
    ValidationError,
)
from dynamo_bao.classes import schema_of
from dynamo_bao.codec import same_stored
from dynamo_bao.fields.base import Field
from dynamo_bao.numbers import number_fault

QUICK = settings(max_examples=200, deadline=None)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Box:
    width: int
    label: str | None = None
    parts: list[float] = attrs.Factory(list)


def bound(field: Any, name: str = "f") -> Field:
    declared: Field = field
    return declared.bound(name, "M", name)


def fields() -> dict[str, Field]:
    return {
        "string": bound(StringField()),
        "integer": bound(IntegerField()),
        "counter": bound(CounterField()),
        "float": bound(FloatField()),
        "rounded": bound(FloatField(precision=2)),
        "decimal": bound(DecimalField()),
        "boolean": bound(BooleanField()),
        "binary": bound(BinaryField()),
        "moment": bound(DateTimeField()),
        "ttl": bound(TtlField(), "ttl"),
        "uuid": bound(UuidField()),
        "colour": bound(EnumField(Colour)),
        "level": bound(EnumField(Level)),
        "texts": bound(StringSetField()),
        "numbers": bound(NumberSetField()),
        "map": bound(MapField()),
        "list": bound(ListField()),
        "json": bound(JsonField()),
        "nested": bound(NestedField(Box)),
    }


FIELDS = fields()
TEXTS = st.text(max_size=20)
ANY_TEXT = st.text(st.characters(), max_size=20)  # lone surrogates too
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.one_of(
    st.datetimes(),
    st.datetimes(timezones=OFFSETS),
    st.datetimes(timezones=OFFSETS).map(datetime.isoformat),
    st.integers(-62_135_596_800_000, 253_402_300_799_999),
)
NUMBERS = st.one_of(
    st.integers(-(10**39), 10**39),
    st.integers(-5, 5),
    st.floats(),
    st.decimals(),
    st.decimals(-1000, 1000, places=2),
)
COMPARABLE = st.one_of(
    st.integers(-(10**39), 10**39), st.floats(allow_nan=False), st.decimals(allow_nan=False)
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, ANY_TEXT, st.binary(max_size=10))
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
JSONS = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), ANY_TEXT
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
).filter(lambda value: value is not None)
BOXES = st.builds(
    Box, width=st.integers(-(10**39), 10**39), label=st.none() | ANY_TEXT, parts=st.lists(st.floats())
)

VALUES: dict[str, Any] = {
    "string": ANY_TEXT,
    "integer": NUMBERS,
    "counter": st.integers(-(10**39), 10**39),
    "float": st.floats() | st.integers(-(10**20), 10**20),
    "rounded": st.floats(-1e20, 1e20),
    "decimal": st.decimals() | st.integers(-(10**39), 10**39),
    "boolean": st.booleans(),
    "binary": st.binary(max_size=30) | st.binary(max_size=30).map(bytearray),
    "moment": MOMENTS,
    "ttl": MOMENTS,
    "uuid": st.uuids() | st.uuids().map(str),
    "colour": st.sampled_from([*Colour, "red"]),
    "level": st.sampled_from([*Level, 2]),
    "texts": st.frozensets(ANY_TEXT, max_size=5),
    "numbers": st.frozensets(COMPARABLE, max_size=5),
    "map": st.dictionaries(ANY_TEXT, DOCUMENTS, max_size=4),
    "list": st.lists(DOCUMENTS, max_size=4),
    "json": JSONS,
    "nested": BOXES,
}


def accepted(field: Field, value: Any) -> tuple[Any, ValidationError | None]:
    """What the field makes of a value: the value it holds, or the error."""
    try:
        return field.accept(value), None
    except ValidationError as error:
        return None, error


def types_of(value: Any) -> Any:
    """The types of a value and of everything in it."""
    if isinstance(value, dict):
        return {name: types_of(part) for name, part in value.items()}
    if isinstance(value, list):
        return [types_of(part) for part in value]
    if isinstance(value, set):
        return {(part, type(part)) for part in value}
    return type(value)


def canonical(stored: Any) -> Any:
    """A typed value as DynamoDB gives it back: text must be Unicode, numbers are normalised, sets unordered."""
    if stored is None:
        return None
    ((code, content),) = stored.items()
    if code == "S":
        content.encode()
        return {"S": content}
    if code == "N":
        assert number_fault(Decimal(content)) is None
        number = Decimal(content)
        text = format(number, "f") if number else "0"
        return {"N": text.rstrip("0").rstrip(".") if "." in text else text}
    if code == "NS":
        assert len({Decimal(n) for n in content}) == len(content)
        return {"NS": [canonical({"N": n})["N"] for n in reversed(content)]}
    if code == "SS":
        assert len(set(content)) == len(content)
        for member in content:
            member.encode()
        return {"SS": list(reversed(content))}
    if code == "L":
        return {"L": [canonical(part) for part in content]}
    if code == "M":
        for name in content:
            name.encode()
        return {"M": {name: canonical(part) for name, part in content.items()}}
    return stored


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_w8_what_is_accepted_comes_back_equal_and_of_the_same_type(given_value: tuple[str, Any]) -> None:
    """Whatever `accept` takes can be stored, and is loaded as it is held; the rest is a `ValidationError`."""
    kind, value = given_value
    field = FIELDS[kind]
    held, error = accepted(field, value)
    if error is not None:
        assert error.field == field.name
        return
    assert field.accept(held) == held  # accepting again changes nothing
    stored = field.to_dynamo(held)
    returned = canonical(stored)
    assert same_stored(stored, returned)
    found = field.absent() if returned is None else field.from_dynamo(returned)
    assert found == held
    assert types_of(found) == types_of(held)


def model() -> Any:
    class Everything(Model, prefix="e"):
        key: str
        number: int | None = None
        price: Decimal | None = None
        ratio: float | None = None
        moment: datetime | None = None
        code: uuid.UUID | None = None
        colour: Colour | None = None
        blob: bytes | None = None
        ok: bool | None = None
        texts: set[str] = StringSetField()
        document: dict[str, Any] | None = None
        primary_key = PrimaryKey("key")

    return schema_of(Everything)


SCHEMA = model()
NAMES = {
    "number": VALUES["counter"],
    "price": VALUES["decimal"],
    "ratio": VALUES["float"],
    "moment": VALUES["moment"],
    "code": VALUES["uuid"],
    "colour": VALUES["colour"],
    "blob": VALUES["binary"],
    "ok": st.booleans(),
    "document": st.dictionaries(TEXTS, st.booleans() | TEXTS, max_size=3),
}


@settings(max_examples=120, deadline=None)
@given(st.fixed_dictionaries({"key": TEXTS}, optional=NAMES))
def test_w8_a_whole_item_comes_back_through_the_compiled_codec(given_values: dict[str, Any]) -> None:
    """The compiled encoder and decoder agree with each other, field by field."""
    try:
        values = SCHEMA.accept_all(given_values)
    except ValidationError:
        return
    item = {name: canonical(value) for name, value in SCHEMA.encode(values).items()}
    found: dict[str, Any] = {}
    SCHEMA.decode(item, found)
    assert found == values
    assert types_of(found) == types_of(values)


@QUICK
@given(st.sampled_from(sorted(FIELDS)), SCALARS | DOCUMENTS)
def test_any_value_at_all_is_accepted_or_refused_with_a_validation_error(kind: str, value: Any) -> None:
    """No value makes a field raise anything else."""
    field = FIELDS[kind]
    _, error = accepted(field, value)
    if error is not None:
        assert error.field == field.name
        str(error).encode()
