"""Models as types of pydantic: what bodies may hold, and the JSON schemas of bodies and answers."""

from __future__ import annotations

import dataclasses
import enum
import json
import re
import subprocess
import sys
import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import attrs
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from dynamo_bao import (
    BinaryField,
    ConfigurationError,
    CounterField,
    CreateDateField,
    DateTimeField,
    DecimalField,
    FloatField,
    IntegerField,
    JsonField,
    ListField,
    MapField,
    Model,
    ModifiedDateField,
    NumberSetField,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    TtlField,
    UlidField,
    UuidField,
    VersionField,
)
from dynamo_bao.fields.base import Field
from tests.support.models import Comment, Org, Post, User


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


@attrs.define
class Address:
    """Where somebody lives."""

    city: str
    since: date | None = None
    tags: set[str] = attrs.Factory(set)


@dataclasses.dataclass
class Branch:
    """A class that contains itself."""

    name: str
    branches: list[Branch] = dataclasses.field(default_factory=list)


class Slug(StringField):
    """A kind of field of the application's own."""

    def validate(self, value: str) -> None:
        super().validate(value)
        if " " in value:
            raise ValueError("has spaces")


class Shelf(Model, prefix="py"):
    """A shelf of things.

    With every kind of field.
    """

    shelf_id: str = UlidField(auto_assign=True)
    name: str = StringField(min_length=1, max_length=20, doc="What people call it.")
    code: str = StringField(pattern=r"[a-z]+\d", default="a1")
    odd: str = StringField(pattern=r"(?i)[a-z]+", default="a")
    slug: str = Slug(default="x")
    kind: str = StringField(choices=["wood", "steel"], default="wood")
    mood: Literal["good", "bad"] = "good"
    stock: int = IntegerField(minimum=0, maximum=9, default=0)
    views: int = CounterField()
    ratio: float = FloatField(default=0.5)
    price: Decimal = DecimalField(default=Decimal("1.50"))
    flag: bool = False
    raw: bytes = BinaryField(default=b"\xfb")
    at: datetime | None = DateTimeField(default=None)
    day: date | None = None
    hour: time | None = None
    lasts: timedelta | None = None
    token: uuid.UUID | None = UuidField(default=None)
    colour: Colour = Colour.RED
    level: Level | None = None
    tags: set[str] = StringSetField(max_member_count=3, max_string_length=5)
    numbers: set[Any] = NumberSetField()
    days: frozenset[date] = frozenset()
    lines: list[Address] = ListField(default=list)
    pair: tuple[int, str] | None = ListField(default=None)
    fees: dict[str, Decimal] = MapField(default=dict)
    either: list[int | Address] = ListField(default=list)
    amounts: list[int | Decimal] = ListField(default=list)
    anything: dict[str, Any] = MapField(default=dict)
    parts: list[Any] = ListField(default=list)
    json: Any = JsonField(default=None)
    home: Address | None = None
    root: Branch | None = None
    owner_id: str | None = RelatedField("User", default=None)
    role: str = StringField(read_only=True)
    ttl: datetime | None = TtlField()
    created_at: datetime = CreateDateField()
    modified_at: datetime = ModifiedDateField()
    version: str = VersionField()

    primary_key = PrimaryKey("shelf_id")


@dataclasses.dataclass
class Untold:
    name: str


class Told(Model, prefix="to"):
    told_id: str
    part: Untold

    primary_key = PrimaryKey("told_id")


ADAPTER = TypeAdapter(Shelf)
OWN = {"shelf_id", "role", "created_at", "modified_at", "version"}
"""The fields that no body sets."""
BODY: dict[str, Any] = {
    "name": "Oak",
    "code": "b2",
    "slug": "oak",
    "kind": "steel",
    "mood": "bad",
    "stock": 3,
    "views": 4,
    "ratio": 2,
    "price": "12.50",
    "flag": True,
    "raw": "-_8=",
    "at": "2026-01-31T12:00:00.250+01:00",
    "day": "2026-01-31",
    "hour": "14:30:00",
    "lasts": "P1DT2H",
    "token": "00000000-0000-0000-0000-000000000005",
    "colour": "blue",
    "level": 1,
    "tags": ["b", "a", "a"],
    "numbers": [2, "0.12345678901234567"],
    "days": ["2026-01-31"],
    "lines": [{"city": "Rome", "since": "2026-01-31", "tags": ["x"]}, {"city": "Oslo"}],
    "pair": [1, "a"],
    "fees": {"toll": 2.5, "tax": "0.10"},
    "either": [1, {"city": "Rome"}],
    "amounts": [1, "2.5"],
    "anything": {"a": [1, None]},
    "parts": [True],
    "json": {"b": 1.5},
    "home": {"city": "Rome"},
    "root": {"name": "a", "branches": [{"name": "b"}]},
    "owner_id": "ada",
    "ttl": "2036-01-31T12:00:00Z",
}
HELD: dict[str, Any] = {
    "ratio": 2.0,
    "price": Decimal("12.50"),
    "raw": b"\xfb\xff",
    "at": datetime.fromisoformat("2026-01-31T11:00:00.250000+00:00"),
    "day": date(2026, 1, 31),
    "hour": time(14, 30),
    "lasts": timedelta(days=1, hours=2),
    "token": uuid.UUID(int=5),
    "colour": Colour.BLUE,
    "level": Level.LOW,
    "tags": {"a", "b"},
    "numbers": {2, Decimal("0.12345678901234567")},
    "days": frozenset((date(2026, 1, 31),)),
    "lines": [Address("Rome", date(2026, 1, 31), {"x"}), Address("Oslo")],
    "pair": (1, "a"),
    "fees": {"toll": Decimal("2.5"), "tax": Decimal("0.10")},
    "either": [1, Address("Rome")],
    "amounts": [1, Decimal("2.5")],
    "home": Address("Rome"),
    "root": Branch("a", [Branch("b")]),
    "ttl": datetime.fromisoformat("2036-01-31T12:00:00+00:00"),
}


def errors(adapter: TypeAdapter[Any], body: Any) -> list[tuple[Any, ...]]:
    """What pydantic says about a body: the places, kinds and texts."""
    with pytest.raises(ValidationError) as caught:
        adapter.validate_json(json.dumps(body))
    return [(error["loc"], error["type"], error["msg"]) for error in caught.value.errors()]


# --- bodies ----------------------------------------------------------------------------------------------


def test_a_body_becomes_a_new_instance() -> None:
    """Of the model, unsaved; every kind of field reads its JSON form."""
    shelf = ADAPTER.validate_json(json.dumps(BODY))
    assert type(shelf) is Shelf and shelf.has_changes()
    values = shelf.to_dict()
    assert {name: values[name] for name in BODY} == {**BODY, **HELD}
    assert type(values["ratio"]) is float and type(values["days"]) is frozenset


def test_an_answer_is_a_body_again() -> None:
    """But for the fields that no body sets."""
    shelf = ADAPTER.validate_json(json.dumps(BODY))
    shelf.role = "staff"
    again = ADAPTER.validate_json(ADAPTER.dump_json(shelf))
    values, others = shelf.to_dict(), again.to_dict()
    assert {name for name in values if values[name] != others[name]} <= OWN


def test_python_values_are_taken_too() -> None:
    """As `validate_python` gets them; so are nested objects."""
    values = {**BODY, **HELD}
    accepted = ADAPTER.validate_python(values).to_dict()
    assert {name: accepted[name] for name in values} == values


def test_defaults_are_those_of_the_model() -> None:
    """For what a body leaves out."""
    shelf = ADAPTER.validate_python({"name": "Oak"})
    assert (shelf.price, shelf.tags, shelf.lines, shelf.home) == (Decimal("1.50"), set(), [], None)


def test_a_body_cannot_set_what_is_read_only() -> None:
    """Ids that fill themselves, dates, versions and `read_only=True` are ignored, whatever they hold."""
    evil = {"shelf_id": 3, "role": "admin", "created_at": [], "modified_at": "x", "version": {"$ne": ""}}
    shelf = ADAPTER.validate_python({"name": "Oak", **evil})
    assert shelf.role is None
    assert all(re.fullmatch(ULID["pattern"], text) for text in (shelf.shelf_id, shelf.version))
    assert all(isinstance(moment, datetime) for moment in (shelf.created_at, shelf.modified_at))
    shelf.role = "staff"
    assert shelf.role == "staff"


def test_unknown_names_are_refused() -> None:
    """Also those of relations and methods."""
    for name in ("nme", "owner", "save", "_private", "__class__"):
        assert errors(ADAPTER, {"name": "Oak", name: 1}) == [
            ((name,), "extra_forbidden", "Extra inputs are not permitted")
        ]


@pytest.mark.parametrize(
    ("body", "place", "text"),
    [
        ({"name": 3}, "name", "Shelf.name takes str, not int"),
        ({"name": None}, "name", "Shelf.name is required and cannot be None; give a value, or declare it `| None`"),
        ({"name": {"$gt": ""}}, "name", "Shelf.name takes str, not dict"),
        ({"name": "x" * 21}, "name", "Shelf.name has 21 characters, at most 20 are allowed"),
        ({"slug": "a b"}, "slug", "Shelf.slug has spaces"),
        ({"kind": "gold"}, "kind", "Shelf.kind is not one of 'wood', 'steel'"),
        ({"stock": 10}, "stock", "Shelf.stock is more than 9"),
        ({"stock": "1"}, "stock", "Shelf.stock takes int, not str"),
        ({"price": "much"}, "price", "Shelf.price is not the text of a number"),
        ({"price": "NaN"}, "price", None),
        ({"raw": "???"}, "raw", "Shelf.raw is not base64"),
        ({"raw": "YQ"}, "raw", "Shelf.raw is not base64"),
        ({"at": "soon"}, "at", "Shelf.at is not an ISO 8601 text or milliseconds within the years 1 to 9999"),
        ({"colour": "pink"}, "colour", "Shelf.colour is not a member of Colour"),
        ({"tags": "abc"}, "tags", "Shelf.tags takes a set, not str"),
        ({"tags": ["longer"]}, "tags", "Shelf.tags has a member longer than 5 characters"),
        ({"numbers": ["x"]}, "numbers", "Shelf.numbers (a member) is not the text of a number"),
        ({"home": {"cty": "Rome"}}, "home", "Shelf.home.cty is not a member of Address. Did you mean 'city'?"),
        ({"home": {}}, "home", "Shelf.home.city is required"),
        ({"home": {"city": "Rome", "since": "x"}}, "home", "Shelf.home.since is not the text of a date, as 2026-01-31"),
        ({"home": {"city": None}}, "home", None),
        ({"home": "Rome"}, "home", "Shelf.home takes Address, not str"),
        ({"lines": [{"city": "a"}, {"city": 1}]}, "lines", "Shelf.lines[1].city takes str, not int"),
        ({"lines": {}}, "lines", "Shelf.lines takes list, not dict"),
        ({"pair": [1]}, "pair", "Shelf.pair has 1 elements, not 2"),
        ({"fees": {"toll": "x"}}, "fees", "Shelf.fees.toll is not the text of a number"),
        ({"either": ["x"]}, "either", "Shelf.either[0] is no int | Address"),
        ({"anything": {"": 1}}, "anything", None),
        ({"root": {"name": "a", "branches": [{"nme": "b"}]}}, "root", None),
    ],
    ids=str,
)  # fmt: skip
def test_values_that_fields_refuse(body: dict[str, Any], place: str, text: str | None) -> None:
    """The error is at the field, and its text is that of the library, which names the part; all errors come at once."""
    ((location, kind, message),) = errors(ADAPTER, {"name": "Oak", **body})
    assert (location, kind) == ((place,), "bao_value")
    assert message == text if text else message.startswith(f"Shelf.{place}")
    both = errors(ADAPTER, {"name": "Oak", "flag": 0, **body})
    assert {loc for loc, _, _ in both} == {(place,), ("flag",)}


def test_what_is_no_object_is_refused() -> None:
    """A list, a text, nothing, an instance of another model."""
    for body in ([], "x", None, 3):
        ((place, kind, _),) = errors(ADAPTER, body)
        assert (place, kind) == ((), "dict_type")
    with pytest.raises(ValidationError, match="dict_type"):
        ADAPTER.validate_python(Post())


def test_a_model_among_other_types_is_named_in_the_places_of_errors() -> None:
    """By its name, and not by what the library is made of, because such places are sent to clients."""
    body: dict[str, object] = {"org_id": "1", "name": 3}
    for several in (Org | int, dict[str, Org] | Org, list[Org] | Org):
        places = [place for place, kind, _ in errors(TypeAdapter(several), body) if kind == "bao_value"]
        assert places == [("function-wrap[Org()]", "name")]
    with pytest.raises(ValidationError, match=r"error for nullable\[function-wrap\[Org\(\)\]\]\n"):
        TypeAdapter(Org | None).validate_python(body)


def test_errors_show_the_model_and_nothing_of_the_library() -> None:
    """As the title of an error, and as a place in a union of models, which FastAPI sends to clients."""
    for both in (ADAPTER, TypeAdapter(Shelf | User)):
        with pytest.raises(ValidationError) as caught:
            both.validate_python({"nme": "x"})
        assert caught.value.title in (
            "function-wrap[Shelf()]",
            "union[function-wrap[Shelf()],function-wrap[User()]]",
        )
        places = {place for error in caught.value.errors() for place in error["loc"]}
        assert places <= {
            "function-wrap[Shelf()]",
            "function-wrap[User()]",
            *Shelf.fields.__dir__(),
            "nme",
            "email",
        }


def test_required_fields_are_named() -> None:
    """As pydantic names them."""
    assert errors(ADAPTER, {}) == [(("name",), "missing", "Field required")]


def test_the_key_of_a_body_is_checked() -> None:
    """It is refused here, and not when the instance is saved."""
    ((place, kind, text),) = errors(TypeAdapter(Org), {"org_id": "", "name": "x"})
    assert (place, kind) == ((), "bao_value") and "a key cannot be empty" in text
    assert errors(TypeAdapter(Comment), {"post_id": "x" * 3000, "number": 1, "text": "x"})


def test_deep_bodies_are_refused() -> None:
    """However deep: a class that contains itself, and anything else."""
    branch: Any = {"name": "leaf"}
    parts: Any = []
    for _ in range(3000):
        branch, parts = {"name": "b", "branches": [branch]}, [parts]
    for body in ({"root": branch}, {"parts": parts}, {"json": parts}):
        with pytest.raises(ValidationError, match=r"nested too deeply|nested deeper|is not JSON"):
            ADAPTER.validate_python({"name": "Oak", **body})


def test_a_field_of_ones_own_reads_its_json() -> None:
    """By `from_json`; without a table of its own it can be anything in the JSON schema."""

    class PointField(Field):
        def to_json(self, value: Any) -> Any:
            return {"x": value}

        def from_json(self, form: Any) -> Any:
            if not isinstance(form, dict):
                raise ValueError("takes an object")
            return form["x"]

    class Place(Model, prefix="pl"):
        place_id: str
        point: int = PointField()

        primary_key = PrimaryKey("place_id")

    adapter = TypeAdapter(Place)
    assert adapter.validate_python({"place_id": "1", "point": {"x": 3}}).point == 3
    assert errors(adapter, {"place_id": "1", "point": 3}) == [
        (("point",), "bao_value", "Place.point takes an object")
    ]
    assert adapter.json_schema()["properties"]["point"] == {"title": "Point"}
    assert adapter.dump_python(Place(place_id="1", point=4), mode="json") == {
        "place_id": "1",
        "point": {"x": 4},
    }


def test_only_instances_of_the_model_are_written() -> None:
    """pydantic warns of anything else, as of a wrong value of its own types."""
    with pytest.warns(UserWarning, match="Expected User, not Post"):
        TypeAdapter(User).dump_python(Post())


def test_a_base_without_a_prefix_is_no_type() -> None:
    """It has no items."""

    class Base(Model):
        name: str

    with pytest.raises(ConfigurationError, match="Base has no prefix"):
        TypeAdapter(Base)
    assert not hasattr(Base, "__pydantic_serializer__") and hasattr(User, "__pydantic_serializer__")
    assert not hasattr(Model, "__pydantic_serializer__")


# --- JSON schemas ------------------------------------------------------------------------------------------


ULID = {"type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
TEXT = {"type": "string"}
MOMENT = {"type": "string", "format": "date-time"}
NULL = {"type": "null"}
DECIMAL = {"type": "string", "format": "decimal"}
NUMBER = {"anyOf": [{"type": "number"}, DECIMAL]}
DAY = {"type": "string", "format": "date"}
WHOLE = {"type": "integer"}
ADDRESS = {"$ref": "#/$defs/Address"}
INPUT: dict[str, Any] = {
    "shelf_id": {**ULID, "readOnly": True},
    "name": {**TEXT, "minLength": 1, "maxLength": 20, "description": "What people call it."},
    "code": {**TEXT, "pattern": r"^(?:[a-z]+\d)$", "default": "a1"},
    "odd": {**TEXT, "default": "a"},
    "slug": {**TEXT, "default": "x"},
    "kind": {**TEXT, "enum": ["wood", "steel"], "default": "wood"},
    "mood": {**TEXT, "enum": ["good", "bad"], "default": "good"},
    "stock": {**WHOLE, "minimum": 0, "maximum": 9, "default": 0},
    "views": {**WHOLE, "default": 0},
    "ratio": {"type": "number", "default": 0.5},
    "price": {**NUMBER, "default": "1.50"},
    "flag": {"type": "boolean", "default": False},
    "raw": {**TEXT, "contentEncoding": "base64", "default": "+w=="},
    "at": {"anyOf": [MOMENT, NULL], "default": None},
    "day": {"anyOf": [DAY, NULL], "default": None},
    "hour": {"anyOf": [{**TEXT, "format": "time"}, NULL], "default": None},
    "lasts": {"anyOf": [{**TEXT, "format": "duration"}, NULL], "default": None},
    "token": {"anyOf": [{**TEXT, "format": "uuid"}, NULL], "default": None},
    "colour": {**TEXT, "enum": ["red", "blue"], "default": "red"},
    "level": {"anyOf": [{**WHOLE, "enum": [1]}, NULL], "default": None},
    "tags": {"type": "array", "items": {**TEXT, "maxLength": 5}, "uniqueItems": True, "maxItems": 3},
    "numbers": {"type": "array", "items": NUMBER, "uniqueItems": True},
    "days": {"type": "array", "items": DAY, "uniqueItems": True, "default": []},
    "lines": {"type": "array", "items": ADDRESS},
    "pair": {
        "anyOf": [{"type": "array", "prefixItems": [WHOLE, TEXT], "minItems": 2, "maxItems": 2}, NULL],
        "default": None,
    },
    "fees": {"type": "object", "additionalProperties": NUMBER},
    "either": {"type": "array", "items": {"anyOf": [WHOLE, ADDRESS]}},
    "amounts": {"type": "array", "items": NUMBER},
    "anything": {"type": "object", "additionalProperties": True},
    "parts": {"type": "array", "items": {}},
    "json": {"default": None},
    "home": {"anyOf": [ADDRESS, NULL], "default": None},
    "root": {"anyOf": [{"$ref": "#/$defs/Branch"}, NULL], "default": None},
    "owner_id": {"anyOf": [TEXT, NULL], "default": None},
    "role": {**TEXT, "readOnly": True},
    "ttl": {"anyOf": [MOMENT, NULL]},
    "created_at": {**MOMENT, "readOnly": True},
    "modified_at": {**MOMENT, "readOnly": True},
    "version": {**ULID, "readOnly": True},
}


def without_titles(schema: Any) -> Any:
    """A JSON schema without the titles that pydantic makes of names."""
    if isinstance(schema, dict):
        return {name: without_titles(part) for name, part in schema.items() if name != "title"}
    return list(map(without_titles, schema)) if isinstance(schema, list) else schema


def test_the_schema_of_a_body() -> None:
    """Fields with their meaning, rules and defaults. What a body cannot set is read-only; no other name is allowed."""
    schema = ADAPTER.json_schema()
    assert (
        schema["title"] == "Shelf"
        and schema["description"] == "A shelf of things.\n\nWith every kind of field."
    )
    assert schema["required"] == ["name"] and schema["additionalProperties"] is False
    assert without_titles(schema["properties"]) == INPUT
    assert without_titles(schema["$defs"]["Address"]) == {
        "type": "object",
        "description": "Where somebody lives.",
        "properties": {
            "city": TEXT,
            "since": {"anyOf": [DAY, NULL]},
            "tags": {"type": "array", "items": TEXT, "uniqueItems": True},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    assert schema["$defs"]["Address"]["title"] == "Address"
    assert "description" not in TypeAdapter(Told).json_schema()["$defs"]["Untold"]


def test_the_schema_of_an_answer() -> None:
    """All fields are there, without defaults; a Decimal is a text."""
    schema = ADAPTER.json_schema(mode="serialization")
    assert schema["required"] == list(INPUT) and "additionalProperties" not in schema
    expected = {
        name: {key: value for key, value in one.items() if key != "default"} for name, one in INPUT.items()
    }
    expected["price"] = DECIMAL
    expected["fees"] = {"type": "object", "additionalProperties": DECIMAL}
    assert without_titles(schema["properties"]) == without_titles(expected)
    assert schema["$defs"]["Address"]["required"] == ["city", "since", "tags"]
    assert "branches" in schema["$defs"]["Branch"]["properties"]


def test_schemas_of_several_models() -> None:
    """Inside other types, each is one definition; those of bodies and answers differ by name where both are needed."""

    class Page(BaseModel):
        users: list[User]
        author: User | None = None
        shelf: Shelf

    for mode in ("validation", "serialization"):
        schema = Page.model_json_schema(mode=mode)  # type: ignore[arg-type]
        assert set(schema["$defs"]) == {"User", "Shelf", "Address", "Branch"}
        assert schema["properties"]["users"]["items"] == {"$ref": "#/$defs/User"}
    _, both = TypeAdapter.json_schemas(
        [
            ("in", "validation", ADAPTER),
            ("out", "serialization", ADAPTER),
            ("user", "validation", TypeAdapter(User)),
        ]
    )
    assert {"Shelf-Input", "Shelf-Output", "User", "Address-Input", "Address-Output"} <= set(both["$defs"])


def test_the_pattern_of_an_id_is_that_of_its_values() -> None:
    """An id that was just made fits the schema."""
    assert re.search(ULID["pattern"], Shelf(name="x", role="y").shelf_id)


def test_no_program_pays_for_pydantic() -> None:
    """Neither the library nor a model imports it, before pydantic asks for a model's schema."""
    code = """
import sys
from dynamo_bao import Model, PrimaryKey
class User(Model, prefix="u"):
    user_id: str
    primary_key = PrimaryKey("user_id")
User(user_id="1").to_json()
print(sorted(name for name in sys.modules if name.startswith("pydantic")))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
