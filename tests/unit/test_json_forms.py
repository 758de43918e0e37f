"""The JSON form of each kind of value, and what has none."""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest

from dynamo_bao import (
    ConfigurationError,
    JsonField,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    ValidationError,
    VersionField,
)
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.json_forms import json_form, json_text
from dynamo_bao.models.class_builder import schema_of


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


@attrs.define
class Address:
    city: str
    since: date | None = None
    _code: int = 3
    label: str = attrs.field(init=False, default="not stored")


@dataclasses.dataclass
class Line:
    price: Decimal
    addresses: list[Address]


class Name(str):
    """A text with a class of its own."""

    def __str__(self) -> str:
        return "something else"


EAST = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, None),
        (True, True),
        (10**30, 10**30),
        (0.5, 0.5),
        (Decimal("12.50"), "12.50"),
        (datetime(2026, 1, 31, 12, tzinfo=timezone.utc), "2026-01-31T12:00:00Z"),
        (datetime(2026, 1, 31, 12, 0, 0, 250000, EAST), "2026-01-31T10:00:00.250000Z"),
        (datetime(2026, 1, 31, 12), "2026-01-31T12:00:00Z"),
        (date(2026, 1, 31), "2026-01-31"),
        (time(14, 30), "14:30:00"),
        (timedelta(days=1, hours=2, minutes=30), "P1DT2H30M"),
        (timedelta(milliseconds=-250), "-PT0.25S"),
        (timedelta(days=3), "P3D"),
        (timedelta(0), "PT0S"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (b"\xfb\xff", "+/8="),
        (bytearray(b"a"), "YQ=="),
        (Colour.RED, "red"),
        (Size.SMALL, 1),
        (Name("Ada"), "Ada"),
        ({"b", "a"}, ["a", "b"]),
        (frozenset((Decimal(10), 9, 1.5)), [1.5, 9, "10"]),
        ({(2, "b"), (1, "a")}, [[1, "a"], [2, "b"]]),
        ({Colour.RED}, ["red"]),
        ({frozenset((2,)), frozenset((1, 3))}, [[1, 3], [2]]),
        ((1, [b"a"]), [1, ["YQ=="]]),
        ({"a": {"b": Decimal(1)}}, {"a": {"b": "1"}}),
        (Address("Rome"), {"city": "Rome", "since": None, "_code": 3}),
        (
            Line(Decimal("1.0"), [Address("Rome", date(2026, 1, 31))]),
            {"price": "1.0", "addresses": [{"city": "Rome", "since": "2026-01-31", "_code": 3}]},
        ),
    ],
)
def test_every_kind_of_value_has_one_form(value: Any, form: Any) -> None:
    """The table of the module, at any depth. The form goes through JSON unchanged."""
    assert json_form(value) == form and type(json_form(value)) is type(form)
    assert json.loads(json_text(json_form(value))) == form


def test_a_value_of_another_class_has_no_form() -> None:
    """The error says what to do."""
    with pytest.raises(TypeError, match="object has no JSON form; a field of your own can define it"):
        json_form({"a": [object()]})


@pytest.mark.parametrize("value", [float("nan"), [1, {"a": float("-inf")}]])
def test_what_json_does_not_have_is_named(value: Any) -> None:
    """A JSON text that another program has stored may hold it, and so may a value that is not saved yet."""

    class Sample(Model, prefix="sa"):
        sample_id: str
        data: Any = JsonField(default=None)
        primary_key = PrimaryKey("sample_id")

    sample = Sample(sample_id="1")
    sample.data = value
    with pytest.raises(ValidationError, match=r"Sample\.data holds NaN or infinity.*to_dict") as caught:
        sample.to_json()
    assert caught.value.field == "data"


def test_a_field_of_ones_own_defines_its_form() -> None:
    """By `to_json` and `from_json`, for values that are in no table."""

    class Point:
        def __init__(self, x: int) -> None:
            self.x = x

    class PointField(Field):
        def to_json(self, value: Any) -> Any:
            return {"x": value.x}

        def from_json(self, form: Any) -> Any:
            return Point(form["x"])

    class Place(Model, prefix="jp"):
        place_id: str
        point: Point = PointField()

        primary_key = PrimaryKey("place_id")

    assert Place(place_id="1", point=Point(3)).to_json() == '{"place_id":"1","point":{"x":3}}'
    assert PointField().from_json({"x": 4}).x == 4


def test_which_fields_are_read_only() -> None:
    """Ids that fill themselves and versions are; `read_only` decides for any field."""

    class Read(Model, prefix="jr"):
        read_id: str = UlidField(auto_assign=True)
        other_id: str = UlidField()
        token: str = UlidField(auto_assign=True, read_only=False)
        role: str = StringField(default="user", read_only=True)
        version: str = VersionField()

        primary_key = PrimaryKey("read_id")

    read_only = {name: field.is_read_only for name, field in schema_of(Read).fields.items()}
    assert read_only == {"read_id": True, "other_id": False, "token": False, "role": True, "version": True}


def test_a_wrong_read_only_is_refused() -> None:
    """At the class statement, as other options are."""
    wrong: Any = "no"
    with pytest.raises(ConfigurationError, match=r"Wrong\.name: read_only='no'; give True or False\."):

        class Wrong(Model, prefix="jw"):
            wrong_id: str
            name: str = StringField(read_only=wrong)

            primary_key = PrimaryKey("wrong_id")
