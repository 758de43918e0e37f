"""Values of every kind of field, as Hypothesis strategies: those a field accepts and those it refuses."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta, timezone
from typing import Any

import attrs
from hypothesis import strategies as st

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
    NestedField,
    NumberSetField,
    StringField,
    StringSetField,
    TtlField,
    UuidField,
)
from dynamo_bao.fields.base import Field


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


def types_of(value: Any) -> Any:
    """The types of a value and of everything in it."""
    if isinstance(value, dict):
        return {name: types_of(part) for name, part in value.items()}
    if isinstance(value, list):
        return [types_of(part) for part in value]
    if isinstance(value, set):
        return {(part, type(part)) for part in value}
    return type(value)
