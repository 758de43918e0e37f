"""The compiled decoder and encoder of a model."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from dynamo_bao import (
    BooleanField,
    CounterField,
    DateTimeField,
    FloatField,
    IntegerField,
    JsonField,
    ListField,
    Model,
    PrimaryKey,
    StringField,
    StringSetField,
    TtlField,
    UuidField,
)
from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.class_builder import schema_of

UTC = timezone.utc


def schema() -> Schema:
    class Thing(Model, prefix="t"):
        thing_id: str
        name: str | None = StringField(default=None, attribute="n")
        size: int = IntegerField(default=7)
        ratio: float = FloatField(default=0.5)
        price: Decimal | None = None
        active: bool = BooleanField(default=True)
        made: datetime | None = DateTimeField(default=None)
        tags: set[str] = StringSetField()
        views: int = CounterField(default=3)
        parts: list[Any] = ListField(default=[])
        extra: Any = JsonField(default=None)
        code: Any = UuidField(default=None)
        ttl: datetime | None = TtlField(default=None)
        primary_key = PrimaryKey("thing_id")

    return schema_of(Thing)


def decoded(item: dict[str, Any]) -> dict[str, Any]:
    return schema().values_of(item, {"thing_id": "t-1"})


def test_absent_attributes_read_as_defaults() -> None:
    """An attribute that is not stored reads as the default, an empty set, or None."""
    found = decoded({"thing_id": {"S": "t-1"}})
    assert found == {
        "thing_id": "t-1",
        "name": None,
        "size": 7,
        "ratio": 0.5,
        "price": None,
        "active": True,
        "made": None,
        "tags": set(),
        "views": 3,
        "parts": [],
        "extra": None,
        "code": None,
        "ttl": None,
    }


def test_mutable_defaults_are_made_for_each_item() -> None:
    """No two decoded items share a list or a set."""
    compiled = schema()
    one, other = (compiled.values_of({}, {"thing_id": name}) for name in "ab")
    assert one["parts"] == other["parts"] == []
    assert one["parts"] is not other["parts"]
    assert one["tags"] is not other["tags"]


def test_a_required_field_that_is_absent_reads_as_none() -> None:
    """An item written without a required attribute can still be read."""

    class Strict(Model, prefix="s"):
        strict_id: str
        name: str
        primary_key = PrimaryKey("strict_id")

    found = schema_of(Strict).values_of({"strict_id": {"S": "x"}}, {"strict_id": "x"})
    assert found == {"strict_id": "x", "name": None}


@pytest.mark.rule(40)
def test_key_fields_come_from_the_key() -> None:
    """What the item says of them in attributes does not matter."""
    for stored in ({}, {"thing_id": {"S": "other"}}, {"thing_id": {"N": "5"}}, {"thing_id": {"NULL": True}}):
        assert decoded(stored)["thing_id"] == "t-1"


def test_unknown_attributes_and_the_table_s_own_are_ignored() -> None:
    """Attributes of other programs, or of a later version, do no harm and are no fields."""
    found = decoded(
        {"thing_id": {"S": "a"}, "later": {"S": "x"}, "_gsi1_pk": {"S": "y"}, "name": {"S": "not n"}}
    )
    assert "later" not in found
    assert "_gsi1_pk" not in found
    assert found["name"] is None  # it is stored as n


def test_fields_are_stored_under_their_attribute() -> None:
    """The stored name is the attribute's; None and empty sets are not stored at all."""
    values = {**decoded({}), "thing_id": "t-1", "name": "Ann", "tags": set()}
    assert schema().encode(values) == {
        "thing_id": {"S": "t-1"},
        "n": {"S": "Ann"},
        "size": {"N": "7"},
        "ratio": {"N": "0.5"},
        "active": {"BOOL": True},
        "views": {"N": "3"},
        "parts": {"L": []},
    }


def test_what_is_encoded_decodes_to_the_same() -> None:
    """All kinds together, through the compiled functions."""
    values = {
        "thing_id": "t-1",
        "name": "",
        "size": -5,
        "ratio": 1e100,
        "price": Decimal("1.10"),
        "active": False,
        "made": datetime(1, 1, 1, tzinfo=UTC),
        "tags": {"x", "y"},
        "views": 0,
        "parts": [1, "two", None],
        "extra": {"a": None},
        "code": None,
        "ttl": datetime(2030, 1, 1, tzinfo=UTC),
    }
    assert decoded(schema().encode(values)) == values


def test_falsy_values_are_stored_and_read() -> None:
    """Zero, the empty text and False are values, not absence."""
    values = {
        **decoded({}),
        "thing_id": "t-1",
        "name": "",
        "size": 0,
        "ratio": 0.0,
        "active": False,
        "views": 0,
    }
    found = decoded(schema().encode(values))
    assert (found["name"], found["size"], found["ratio"], found["active"], found["views"]) == (
        "",
        0,
        0.0,
        False,
        0,
    )


@pytest.mark.parametrize(
    ("item", "name", "value"),
    [
        ({"size": {"N": "1E100"}}, "size", 10**100),
        ({"size": {"N": "5.0"}}, "size", 5),
        ({"ratio": {"N": "1E100"}}, "ratio", 1e100),
        ({"price": {"N": "1E100"}}, "price", Decimal("1E100")),
        ({"views": {"N": "1E+2"}}, "views", 100),
        ({"parts": {"L": [{"N": "1E100"}]}}, "parts", [10**100]),
        (
            {"made": {"N": "1.735689599999E+12"}},
            "made",
            datetime(2024, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
        ),
    ],
)
def test_numbers_are_read_in_any_notation(item: dict[str, Any], name: str, value: object) -> None:
    """``1E100`` is a valid number of DynamoDB's, and readable."""
    found = decoded(item)[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("item", "field", "attribute"),
    [
        ({"n": {"N": "5"}}, "name", "n"),
        ({"size": {"S": "secret-4711"}}, "size", "size"),
        ({"size": {"N": "1.5"}}, "size", "size"),
        ({"made": {"S": "2025-01-01"}}, "made", "made"),
        ({"made": {"N": "999999999999999999"}}, "made", "made"),
        ({"made": {"N": "1.5"}}, "made", "made"),
        ({"active": {"NULL": True}}, "active", "active"),
        ({"tags": {"L": []}}, "tags", "tags"),
        ({"parts": {"M": {}}}, "parts", "parts"),
        ({"extra": {"S": "{secret-4711"}}, "extra", "extra"),
        ({"code": {"S": "secret-4711"}}, "code", "code"),
    ],
)
@pytest.mark.rule(40)
def test_a_bad_attribute_is_left_out_and_named(item: dict[str, Any], field: str, attribute: str) -> None:
    """The others are read; the error names model, key, field and attribute, and does not show the stored value."""
    found = decoded({"ratio": {"N": "2"}, **item})
    assert field not in found and found["ratio"] == 2.0
    error = schema().unreadable("t-1", field, item[attribute])
    assert (error.model, error.key, error.field) == ("Thing", "t-1", field)
    for part in ("Thing", "t-1", repr(field), repr(attribute)):
        assert part in str(error)
    assert "secret" not in str(error)
    assert error.__cause__ is not None
    assert not isinstance(error, (AttributeError, LookupError))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, None),
        ({"N": "1"}, {"N": "1.0"}),
        ({"N": "100"}, {"N": "1E+2"}),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
        ({"NS": ["1", "2"]}, {"NS": ["2.0", "1"]}),
        ({"BS": [b"a", b"b"]}, {"BS": [b"b", b"a"]}),
        ({"L": [{"N": "1"}]}, {"L": [{"N": "1.0"}]}),
        ({"M": {"a": {"SS": ["x", "y"]}}}, {"M": {"a": {"SS": ["y", "x"]}}}),
        ({"S": "1"}, {"S": "1"}),
        ({"NULL": True}, {"NULL": True}),
    ],
)
def test_equal_stored_values(one: Any, other: Any) -> None:
    """Sets have no order and numbers go by value, at any depth."""
    assert same_stored(one, other)
    assert same_stored(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, {"S": ""}),
        ({"S": "1"}, {"N": "1"}),
        ({"S": "1"}, {"S": "1.0"}),
        ({"N": "1"}, {"N": "1.0000000000000000000000000000000000001"}),
        ({"SS": ["a"]}, {"SS": ["a", "b"]}),
        ({"NS": ["1"]}, {"NS": ["2"]}),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}),
        ({"L": [{"S": "a"}]}, {"L": [{"S": "a"}, {"S": "a"}]}),
        ({"M": {"a": {"N": "1"}}}, {"M": {"b": {"N": "1"}}}),
        ({"M": {"a": {"N": "1"}}}, {"M": {}}),
        ({"BOOL": True}, {"BOOL": False}),
        ({"B": b"a"}, {"B": b"b"}),
        ({"M": {}}, {"L": []}),
    ],
)
def test_different_stored_values(one: Any, other: Any) -> None:
    """Another type, member, order of a list, or digit is another value."""
    assert not same_stored(one, other)
    assert not same_stored(other, one)
