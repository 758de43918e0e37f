"""Values of every kind of field, as Hypothesis strategies: those a field accepts and those it refuses."""

from __future__ import annotations

import dataclasses
import enum
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
from hypothesis import strategies as st

from dynamo_bao import (
    BinaryField,
    BooleanField,
    CounterField,
    DateField,
    DateTimeField,
    DecimalField,
    DurationField,
    EnumField,
    FloatField,
    IntegerField,
    JsonField,
    ListField,
    MapField,
    NestedField,
    NumberSetField,
    SetField,
    StringField,
    StringSetField,
    TimeField,
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


@dataclasses.dataclass
class Line:
    """A dataclass with a member of nearly every kind."""

    price: Decimal
    count: int
    due: date
    at: datetime
    token: uuid.UUID
    lasts: timedelta
    colour: Colour
    notes: list[str]
    parts: dict[str, Box]
    labels: set[str]
    sizes: frozenset[Decimal]
    days: set[date]
    pair: tuple[int, str] = (0, "")
    either: int | str | Box | None = None
    ratio: float | int = 0
    blob: bytes = b""
    rest: Any = None
    lines: list[Line] = dataclasses.field(default_factory=list)


def bound(field: Any, name: str = "f", annotation: Any = Any) -> Field:
    declared: Field = field
    return declared.with_annotation(annotation, {}).bind(name, "M", name)


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
        "date": bound(DateField()),
        "time": bound(TimeField()),
        "duration": bound(DurationField()),
        "exact": bound(MapField(numbers="decimal")),
        "prices": bound(MapField(), annotation=dict[str, Decimal]),
        "counts": bound(ListField(), annotation=list[int | None]),
        "words": bound(ListField(), annotation=list[str]),
        "boxes": bound(ListField(), annotation=list[Box]),
        "pairs": bound(ListField(), annotation=list[tuple[str, float]]),
        "blobs": bound(SetField(), annotation=set[bytes]),
        "days": bound(SetField(), annotation=frozenset[date]),
        "amounts": bound(NumberSetField(), annotation=set[Decimal]),
        "flags": bound(SetField(), annotation=set[bool]),
        "points": bound(SetField(), annotation=set[tuple[int, int]]),
        "line": bound(NestedField(Line)),
    }


FIELDS = fields()
TEXTS = st.text(max_size=20)
ANY_TEXT = st.text(st.characters(), max_size=20)  # lone surrogates too
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.one_of(
    st.datetimes(timezones=st.just(timezone.utc)),
    st.datetimes(timezones=OFFSETS),
    st.datetimes(timezones=OFFSETS).map(datetime.isoformat),
    st.integers(-62_135_596_800_000, 253_402_300_799_999),
)
DURATIONS = st.timedeltas()
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
MEMBERS = st.one_of(st.booleans(), st.integers(-5, 5), st.decimals(-5, 5), ANY_TEXT, st.binary(max_size=3))
SETS = st.one_of(
    st.sets(MEMBERS, max_size=4),
    st.frozensets(ANY_TEXT, max_size=4),
    st.sets(st.integers(-5, 5) | st.decimals(-5, 5), max_size=4),
    st.sets(st.binary(max_size=3), max_size=4),
)
DOCUMENTS = st.recursive(
    SCALARS | SETS,
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

LINES = st.builds(
    Line,
    price=st.decimals() | st.integers(-5, 5),
    count=st.integers(-(10**39), 10**39),
    due=st.dates(),
    at=st.datetimes(timezones=OFFSETS),
    token=st.uuids() | st.uuids().map(str),
    lasts=DURATIONS,
    colour=st.sampled_from([*Colour, "red"]),
    notes=st.lists(ANY_TEXT, max_size=2) | st.tuples(TEXTS),
    parts=st.dictionaries(ANY_TEXT, BOXES, max_size=2),
    labels=st.frozensets(ANY_TEXT, max_size=3),
    sizes=st.frozensets(st.decimals(-100, 100) | st.integers(), max_size=3),
    days=st.sets(st.dates(), max_size=3),
    pair=st.tuples(st.integers(-5, 5), TEXTS),
    either=st.none() | st.integers(-5, 5) | TEXTS | BOXES,
    ratio=st.floats(-5, 5) | st.integers(-5, 5),
    blob=st.binary(max_size=5) | st.binary(max_size=5).map(bytearray),
    rest=DOCUMENTS,
)


def with_lines(line: Line, others: list[Line]) -> Line:
    return dataclasses.replace(line, lines=others)


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
    "date": st.dates() | st.dates().map(date.isoformat),
    "time": st.times() | st.times().map(time.isoformat),
    "duration": DURATIONS,
    "exact": st.dictionaries(ANY_TEXT, DOCUMENTS, max_size=4),
    "prices": st.dictionaries(ANY_TEXT, st.decimals() | st.integers(-5, 5), max_size=4),
    "counts": st.lists(st.none() | NUMBERS, max_size=4),
    "words": st.lists(ANY_TEXT, max_size=4),
    "boxes": st.lists(BOXES, max_size=2),
    "pairs": st.lists(st.tuples(ANY_TEXT, st.floats() | st.integers(-5, 5)), max_size=3),
    "blobs": st.frozensets(st.binary(max_size=5), max_size=4),
    "days": st.frozensets(st.dates(), max_size=4),
    "amounts": st.frozensets(st.decimals(allow_nan=False) | st.integers(-5, 5), max_size=4),
    "flags": st.frozensets(st.booleans()),
    "points": st.frozensets(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=3),
    "line": LINES | st.builds(with_lines, LINES, st.lists(LINES, max_size=2)),
}


def types_of(value: Any) -> Any:
    """The types of a value and of everything in it."""
    if isinstance(value, dict):
        return {name: types_of(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [types_of(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return type(value), {(part, type(part)) for part in value}
    if attrs.has(type(value)):
        return type(value), {
            name: types_of(part) for name, part in attrs.asdict(value, recurse=False).items()
        }
    if dataclasses.is_dataclass(value):
        return type(value), {
            each.name: types_of(getattr(value, each.name)) for each in dataclasses.fields(value)
        }
    return type(value)
