"""From a class body to a schema: what is inferred, what is inherited, and what is refused with a mend."""

from __future__ import annotations

import enum
import functools
import gc
import sys
import textwrap
import types
import typing
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, ClassVar
from unittest import mock

import attrs
import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    BinaryField,
    BooleanField,
    ConfigurationError,
    CounterField,
    DateTimeField,
    DecimalField,
    EnumField,
    FloatField,
    Index,
    IntegerField,
    JsonField,
    ListField,
    MapField,
    Model,
    ModifiedDateField,
    NestedField,
    NumberSetField,
    PrimaryKey,
    QueryError,
    StringField,
    StringSetField,
    TtlField,
    UlidField,
    UniqueConstraint,
    UuidField,
    ValidationError,
    VersionField,
)
from dynamo_bao.mapping.definition import camel_case
from dynamo_bao.models.class_builder import schema_of


def define(body: dict[str, Any], annotations: dict[str, Any] | None = None, **options: Any) -> type[Any]:
    """A model class `Order` with a key field `order_id`, and what else the test is about."""
    namespace = {"primary_key": PrimaryKey("order_id"), "__module__": __name__, **body}
    namespace["__qualname__"] = "define.<locals>.Order"
    namespace["__annotations__"] = {"order_id": str, **(annotations or {})}
    return types.new_class("Order", (Model,), {"prefix": "o", **options}, lambda ns: ns.update(namespace))


# --- wrong definitions ------------------------------------------------------------------------------

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "unknown field in the primary key": (
        lambda: define({"primary_key": PrimaryKey("order_ids")}),
        r"'order_ids' in its PrimaryKey.*Did you mean 'order_id'",
    ),
    "unknown sort field in the primary key": (
        lambda: define({"primary_key": PrimaryKey("order_id", "mad_at")}, {"made_at": str}),
        r"'mad_at'.*Did you mean 'made_at'",
    ),
    "unknown field in an index": (
        lambda: define({"by_x": Index("colour", id="gsi1")}, {"color": str}),
        r"'colour' in its Index by_x.*Did you mean 'color'",
    ),
    "unknown field in a constraint": (
        lambda: define({"unique_x": UniqueConstraint("emial", id="uc1")}, {"email": str}),
        r"'emial' in its constraint 'unique_x'.*Did you mean 'email'",
    ),
    "no primary key": (
        lambda: define({"primary_key": None}),
        r"no primary key; add primary_key = PrimaryKey",
    ),
    "a primary key without fields": (
        lambda: define({"primary_key": PrimaryKey(MODEL_PREFIX, MODEL_PREFIX)}),
        r"without any field; name one",
    ),
    "an unknown index id": (
        lambda: define({"by_x": Index("order_id", id="gsi6")}),
        r"index 'by_x' with id 'gsi6'; use one of gsi1.*gsi5",
    ),
    "an index id used twice": (
        lambda: define({"by_x": Index("order_id", id="gsi1"), "by_y": Index("order_id", id="gsi1")}),
        r"'gsi1' for both 'by_x' and 'by_y'; give each its own",
    ),
    "an unknown constraint id": (
        lambda: define({"unique_x": UniqueConstraint("order_id", id="uc4")}),
        r"constraint 'unique_x' with id 'uc4'; use one of uc1, uc2, uc3",
    ),
    "a constraint id that is no text": (
        lambda: define({"unique_x": UniqueConstraint("order_id", id=typing.cast(Any, 1))}),
        r"constraint 'unique_x' with id 1; use one of uc1, uc2, uc3",
    ),
    "a constraint id used twice": (
        lambda: define(
            {"u": UniqueConstraint("order_id", id="uc1"), "v": UniqueConstraint("email", id="uc1")},
            {"email": str},
        ),
        r"'uc1' twice; give each its own",
    ),
    "a prefix that is too long": (lambda: define({}, prefix="order"), r"prefix='order'.*1 to 4 characters"),
    "an empty prefix": (lambda: define({}, prefix=""), r"prefix=''.*1 to 4 characters"),
    "a prefix with the key's own marks": (lambda: define({}, prefix="o#"), r"prefix='o#'"),
    "a nullable partition key": (
        lambda: define({"primary_key": PrimaryKey("code")}, {"code": str | None}),
        r"key field 'code', which may be None; a key needs a value",
    ),
    "a nullable sort key": (
        lambda: define(
            {"primary_key": PrimaryKey("order_id", "code"), "code": StringField(default=None)}, {"code": str}
        ),
        r"'code', which may be None",
    ),
    "one field in both parts of the key": (
        lambda: define({"primary_key": PrimaryKey("order_id", "order_id")}),
        r"'order_id' in both parts of its primary key; leave out the second",
    ),
    "a version as key": (
        lambda: define(
            {"primary_key": PrimaryKey("order_id", "version"), "version": VersionField()}, {"version": str}
        ),
        r"'version', a VersionField, which every save renews",
    ),
    "a date of changes as key": (
        lambda: define({"primary_key": PrimaryKey("at"), "at": ModifiedDateField()}, {"at": datetime}),
        r"'at', a ModifiedDateField, which every save renews; a key keeps its value\. Use a CreateDateField",
    ),
    "a second primary key": (
        lambda: define({"by_code": PrimaryKey("code")}, {"code": str}),
        r"another primary key in 'by_code'; write by_code = primary_key.*by_code = Index",
    ),
    "a set as key": (
        lambda: define({"by_tags": Index("tags", id="gsi1")}, {"tags": set[str]}),
        r"'tags' in its Index by_tags; a StringSetField cannot be a key",
    ),
    "binary as key": (
        lambda: define({"primary_key": PrimaryKey("blob")}, {"blob": bytes}),
        r"'blob' in its PrimaryKey.*BinaryField cannot be a key",
    ),
    "a map as key": (
        lambda: define({"by_x": Index("order_id", "data", id="gsi1")}, {"data": dict}),
        r"'data' in its Index by_x; a MapField cannot be a key",
    ),
    "a list as unique value": (
        lambda: define({"unique_x": UniqueConstraint("parts", id="uc1")}, {"parts": list}),
        r"'parts' in its constraint 'unique_x'; a ListField cannot be a key",
    ),
    "an annotation of another type": (
        lambda: define({"age": IntegerField()}, {"age": str}),
        r"Order\.age: IntegerField does not hold str; change the annotation or the field\. It holds int\.",
    ),
    "an int annotation of a boolean": (
        lambda: define({"ok": BooleanField()}, {"ok": int}),
        r"Order\.ok: BooleanField does not hold int",
    ),
    "a bool annotation of an integer": (
        lambda: define({"ok": IntegerField()}, {"ok": bool}),
        r"Order\.ok: IntegerField does not hold bool",
    ),
    "a set annotation of a text": (
        lambda: define({"tags": StringField()}, {"tags": set[str]}),
        r"Order\.tags: StringField does not hold set",
    ),
    "numbers in a set of texts": (
        lambda: define({"tags": StringSetField()}, {"tags": set[int]}),
        r"Order\.tags: StringSetField",
    ),
    "a text as a set": (
        lambda: define({"tags": StringSetField()}, {"tags": str}),
        r"Order\.tags: StringSetField does not hold str",
    ),
    "another enumeration": (
        lambda: define({"c": EnumField(Colour)}, {"c": Shape}),
        r"Order\.c: EnumField does not hold Shape",
    ),
    "an enumeration that is none": (lambda: define({"c": EnumField()}, {"c": int}), r"Order\.c: "),
    "an enumeration nobody names": (lambda: define({"c": EnumField()}), r"Order\.c: .*needs its enumeration"),
    "an enumeration of mixed values": (
        lambda: define({}, {"c": Mixed}),
        r"Order\.c: .*values, which must be all str or all int",
    ),
    "a nested class that is none": (lambda: define({"c": NestedField()}, {"c": int}), r"Order\.c: "),
    "a nested class nobody names": (lambda: define({"c": NestedField()}), r"Order\.c: "),
    "an annotation without a field": (
        lambda: define({}, {"c": complex}),
        r"Order\.c: no field holds a complex; declare one.*JsonField.*ClassVar",
    ),
    "a set of what no set holds": (lambda: define({}, {"c": set[complex]}), r"Order\.c: "),
    "a set of lists": (lambda: define({}, {"c": set[list[int]]}), r"Order\.c: no field holds a"),
    "a union": (lambda: define({}, {"c": typing.Union[int, str]}), r"Order\.c: no field holds a"),
    "a generic annotation that is no class": (
        lambda: define({"c": IntegerField()}, {"c": typing.Literal["a"]}),
        r"Order\.c: ",
    ),
    "a name that hides a method": (
        lambda: define({}, {"save": str}),
        r"Order\.save: the name would hide Model\.save; call the field save_.*attribute=\"save\"",
    ),
    "a name that hides a method, of another kind": (
        lambda: define({"count": IntegerField()}, {"count": int}),
        r"count_: … = IntegerField\(attribute=\"count\"\)",
    ),
    "a name that hides the field paths": (lambda: define({}, {"fields": str}), r"Order\.fields: .*fields_"),
    "a name that hides the key": (
        lambda: define({"primary_key": StringField()}, {"primary_key": str}),
        r"Order\.primary_key: .*primary_key_",
    ),
    "a name with an underscore": (
        lambda: define({}, {"_secret": str}),
        r"Order\._secret: a field name cannot start with _; rename it.*secret",
    ),
    "a stored name with an underscore": (
        lambda: define({"c": StringField(attribute="_pk")}, {"c": str}),
        r"Order\.c: the stored name '_pk' cannot start with _",
    ),
    "a stored name with a mark of the keys": (
        lambda: define({"c": StringField(attribute="a:b")}, {"c": str}),
        r"Order\.c: the stored name 'a:b'",
    ),
    "two fields stored under one attribute": (
        lambda: define({"c": StringField(attribute="d")}, {"c": str, "d": str}),
        r"Order\.d: is stored as 'd', and so is c; give it another name",
    ),
    "two fields that are one in camel case": (
        lambda: define({}, {"user_id": str, "userId": str}, attribute_style="camel"),
        r"Order\.userId: is stored as 'userId', and so is user_id",
    ),
    "a TTL of another name": (
        lambda: define({"expires": TtlField()}, {"expires": datetime}),
        r"Order\.expires: a TtlField must be named ttl",
    ),
    "an unknown class option": (
        lambda: define({}, iterabel=True),
        r"Order: no class option 'iterabel'.*'iterable'",
    ),
    "an unknown key format": (
        lambda: define({}, key_format="js"),
        r"Order: key_format='js'; use one of 'native'",
    ),
    "an unknown attribute style": (
        lambda: define({}, attribute_style="snake"),
        r"Order: attribute_style='snake'; use one of 'as_is', 'camel'",
    ),
    "an unknown table type": (lambda: define({}, table_type="x"), r"Order: table_type='x'; use one of"),
    "iterable that is no bool": (
        lambda: define({}, iterable="yes"),
        r"Order: iterable='yes'; use True or False",
    ),
    "a field without parentheses": (
        lambda: define({"a": StringField}, {"a": str}),
        r"Order\.a: StringField is the class of a field; write StringField\(\)",
    ),
    "a stored name of the model that is no text": (
        lambda: define({}, name=3),
        r"Order: name=3; give the stored name",
    ),
    "an empty stored name of the model": (
        lambda: define({}, name=""),
        r"Order: name=''; give the stored name",
    ),
    "no buckets": (
        lambda: define({}, iteration_buckets=0),
        r"iteration_buckets=0; use a whole number from 1 to 1000",
    ),
    "too many buckets": (lambda: define({}, iteration_buckets=1001), r"iteration_buckets=1001"),
    "buckets that are no number": (lambda: define({}, iteration_buckets=True), r"iteration_buckets=True"),
}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Shape(enum.Enum):
    ROUND = 1
    FLAT = 2


class Mixed(enum.Enum):
    A = "a"
    B = 2


@attrs.frozen
class Address:
    city: str


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_definition_is_refused_at_class_creation(case: str) -> None:
    """Each mistake is a `ConfigurationError` that names the model, the field, and the mend."""
    make, message = WRONG[case]
    with pytest.raises(ConfigurationError, match=message) as caught:
        make()
    assert "Order" in str(caught.value)
    assert caught.value.model in ("Order", None)


@pytest.mark.parametrize(
    "case",
    ["an annotation of another type", "a name that hides a method", "a TTL of another name", "a union"],
)
def test_a_field_s_definition_error_carries_its_name(case: str) -> None:
    """Model and field are attributes of the error, not only part of its text."""
    make, _ = WRONG[case]
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.model == "Order"
    assert caught.value.field in ("age", "save", "expires", "c")


@pytest.mark.parametrize("buckets", [1, 1000])
def test_the_bounds_of_the_buckets_are_accepted(buckets: int) -> None:
    """1 and 1000 buckets are the ends of the range."""
    assert schema_of(define({}, iteration_buckets=buckets)).buckets == buckets


def test_a_plain_annotated_base_is_refused() -> None:
    """Its annotations would silently be no fields; the error says how to make it a base."""

    class Stamps:
        made_at: str

    with pytest.raises(
        ConfigurationError, match=r"base Stamps .* is not a Model.*class Stamps\(Model\)"
    ) as caught:

        class Order(Stamps, Model, prefix="o"):
            order_id: str
            primary_key = PrimaryKey("order_id")

    assert caught.value.model == "Order"


def test_a_plain_base_with_field_objects_is_refused() -> None:
    """Field objects of a plain class would silently be no fields either."""

    class Stamps:
        made_at = StringField()

    with pytest.raises(ConfigurationError, match="Stamps"):

        class Order(Stamps, Model, prefix="o"):
            order_id: str
            primary_key = PrimaryKey("order_id")


def test_a_plain_base_without_fields_is_welcome() -> None:
    """A mixin of methods, and of class variables, has nothing that could be taken for a field."""

    class Shouting:
        MARK: ClassVar[str] = "!"

        def shout(self) -> str:
            return self.order_id.upper() + self.MARK  # type: ignore[attr-defined, no-any-return]

    class Order(Shouting, Model, prefix="o"):
        order_id: str
        primary_key = PrimaryKey("order_id")

    assert Order(order_id="a").shout() == "A!"


@pytest.mark.parametrize("field", ["float", "decimal"])
def test_a_fraction_that_orders_is_refused_in_the_shared_format(field: str) -> None:
    """JavaScript's texts of fractions sort wrongly, so they cannot be sort keys there; the native ones can."""
    annotations = {"f": {"float": float, "decimal": Decimal}[field]}
    body: dict[str, Any] = {"by_f": Index("order_id", "f", id="gsi1")}
    assert define(body, annotations)
    with pytest.raises(ConfigurationError, match=r"f.*native"):
        define(body, annotations, key_format="dynamo-bao")


# --- what is inferred --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (str, StringField),
        (int, IntegerField),
        (float, FloatField),
        (bool, BooleanField),
        (bytes, BinaryField),
        (Decimal, DecimalField),
        (datetime, DateTimeField),
        (uuid.UUID, UuidField),
        (dict, MapField),
        (dict[str, int], MapField),
        (list, ListField),
        (list[str], ListField),
        (set[str], StringSetField),
        (set, StringSetField),
        (frozenset[str], StringSetField),
        (set[int], NumberSetField),
        (set[float], NumberSetField),
        (set[Decimal], NumberSetField),
        (set[typing.Union[int, Decimal]], NumberSetField),
        (Colour, EnumField),
        (Shape, EnumField),
        (Address, NestedField),
    ],
)
def test_a_bare_annotation_picks_the_field(annotation: Any, kind: Any) -> None:
    """The type of the annotation says the kind; without a default the field is required."""
    field = schema_of(define({}, {"x": annotation})).fields["x"]
    assert type(field) is kind
    assert not field.nullable
    optional = schema_of(define({"x": None}, {"x": annotation | None})).fields["x"]
    assert type(optional) is kind
    assert optional.nullable


Name = typing.NewType("Name", str)
Nick = typing.NewType("Nick", Name)
Tags = typing.NewType("Tags", set[str])


@attrs.define
class Wrapped:
    """Members whose annotations have something around the type."""

    nick: typing.Annotated[Nick | None, "a note"] = None
    tags: Tags = attrs.Factory(set)


WRAPPED: dict[str, tuple[Any, Any]] = {
    "list": (typing.Annotated[list[int], "a note"], [1]),
    "set": (typing.Annotated[set[str], "a note"], {"a"}),
    "frozenset": (typing.Annotated[frozenset[int], "a note"], frozenset({1})),
    "dict": (typing.Annotated[dict[str, int], "a note"], {"a": 1}),
    "tuple": (typing.Annotated[tuple[int, str], "a note"], (1, "a")),
    "enumeration": (typing.Annotated[Colour, "a note"], Colour.RED),
    "choices": (typing.Annotated[typing.Literal["a", "b"], "a note"], "a"),
    "nested class": (typing.Annotated[Address, "a note"], Address("Rome")),
    "members": (Wrapped, Wrapped(Nick(Name("Al")), Tags({"a"}))),
    "new type": (Tags, Tags({"a"})),
    "new type of a new type": (Nick, Nick(Name("Al"))),
    "list of new types": (list[Nick], ["Al"]),
    "set of new types": (set[Nick], {"Al"}),
    "union inside": (list[typing.Annotated[int, "a note"] | float], [1, 2.5]),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_what_is_around_a_type_does_not_matter(case: str) -> None:
    """`Annotated` and `NewType` say something to readers and checkers. The field is that of the type."""
    annotation, value = WRAPPED[case]
    model = define({}, {"x": annotation})
    schema = schema_of(model)
    stored = schema.encode({"order_id": "a", "x": value})
    assert schema.fields["x"].from_dynamo(stored["x"]) == model(order_id="a", x=value).x == value
    assert not schema.fields["x"].nullable
    with pytest.raises(ValidationError, match=r"Order\.x"):
        schema.accept_all({"order_id": "a", "x": object()})


@pytest.mark.parametrize(
    "annotation",
    [
        typing.Annotated[str | None, "a note"],
        typing.Annotated[typing.Annotated[str, "a note"] | None, "another"],
        typing.Literal["a", None],
        typing.Literal["a", None] | None,
    ],
)
def test_none_inside_of_an_annotation_makes_the_field_optional(annotation: Any) -> None:
    """Also in what `Annotated` describes, and among the choices of a `Literal`."""
    model = define({}, {"x": annotation, "parts": list[annotation]})
    assert model(order_id="a", x=None, parts=["a", None]).parts == ["a", None]
    assert model(order_id="a", x="a", parts=[]).x == "a"
    assert schema_of(model).fields["x"].nullable


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is that of Python 3.12")
def test_an_alias_is_its_type() -> None:
    """An alias by the ``type`` statement, also one with parameters."""
    names: dict[str, Any] = {}
    exec("type Prices = dict[str, int] | None\ntype Several[T] = list[T]", names)
    model = define({}, {"prices": names["Prices"], "several": names["Several"][str]})
    fields = schema_of(model).fields
    assert type(fields["prices"]) is MapField and fields["prices"].nullable
    assert model(order_id="a", prices={"a": 1}, several=["b"]).several == ["b"]
    with pytest.raises(ValidationError, match=r"several\[0\]"):
        schema_of(model).accept_all({"order_id": "a", "prices": None, "several": [1]})


@pytest.mark.parametrize("annotation", [str, int, dict, list, set[str], set[int], Colour, Address, datetime])
def test_a_bare_annotation_is_required(annotation: Any) -> None:
    """A field of a bare annotation needs a value, sets too; the error names it."""
    with pytest.raises(ValidationError, match=r"Order\.x") as caught:
        define({}, {"x": annotation})(order_id="a")
    assert caught.value.field == "x"


def test_a_declared_set_starts_empty() -> None:
    """``= StringSetField()`` needs no value."""
    assert define({"x": StringSetField()}, {"x": set[str]})(order_id="a").x == set()


def test_required_restates_and_overrides() -> None:
    """``required=True`` needs a value even of a set; ``required=False`` lets it be None."""
    with pytest.raises(ValidationError):
        define({"x": StringSetField(required=True)}, {"x": set[str]})(order_id="a")
    with pytest.raises(ValidationError):
        define({"x": StringField(required=True)}, {"x": str | None})(order_id="a")
    assert define({"x": StringField(required=False)}, {"x": str})(order_id="a").x is None


def test_all_missing_fields_are_named_together() -> None:
    """The constructor tells every required field that has no value."""
    with pytest.raises(ValidationError, match=r"(?s)order_id.*name") as caught:
        define({}, {"name": str, "nick": str | None})()
    assert [error.field for error in caught.value.errors] == ["order_id", "name"]


def test_plain_defaults_and_factories() -> None:
    """A plain value behind the annotation is the default; mutable ones are copied for each instance."""
    model = define({"size": 7, "parts": [1], "made": list}, {"size": int, "parts": list, "made": list})
    one, other = model(order_id="a"), model(order_id="b")
    assert (one.size, one.parts, one.made) == (7, [1], [])
    assert one.parts is not other.parts
    assert one.made is not other.made
    one.parts.append(2)
    assert model(order_id="c").parts == [1]


def test_class_variables_are_no_fields() -> None:
    """What is annotated as `ClassVar` stays a class attribute."""
    model = define({"LIMIT": 5, "NAME": "x"}, {"LIMIT": ClassVar[int], "NAME": "ClassVar[str]"})
    assert list(schema_of(model).fields) == ["order_id"]
    assert model.LIMIT == 5


def test_a_field_without_annotation_is_a_field() -> None:
    """A field object alone declares one; an unannotated plain value does not."""
    model = define({"name": StringField(default="x"), "other": 5})
    assert list(schema_of(model).fields) == ["order_id", "name"]
    assert model(order_id="a").name == "x"


def test_reading_a_field_from_the_class_finds_no_field_object() -> None:
    """Field objects leave the class, so that reading a loaded field is a plain attribute read."""
    model = define({"name": StringField(default="x")}, {"name": str})
    assert "name" not in vars(model)


def test_attributes_and_styles() -> None:
    """``attribute=`` names the stored attribute; camel style makes JavaScript's names of the rest."""
    model = define(
        {"kept": StringField(attribute="other_name")},
        {"user_id": str, "kept": str, "a_b_c": int, "plain": str},
        attribute_style="camel",
    )
    assert {name: field.attribute for name, field in schema_of(model).fields.items()} == {
        "order_id": "orderId",
        "user_id": "userId",
        "kept": "other_name",
        "a_b_c": "aBC",
        "plain": "plain",
    }
    assert camel_case("count_") == "count"


def test_the_model_s_name_and_options() -> None:
    """``name=`` is the stored name; the schema has the options that matter for keys."""
    schema = schema_of(define({}, name="Bestellung", iterable=True, iteration_buckets=3))
    assert (schema.name, schema.prefix, schema.iterable, schema.buckets) == ("Bestellung", "o", True, 3)


def test_an_index_id_may_have_the_stored_underscore() -> None:
    """``_uc1`` is what the table has, and means ``uc1``."""
    schema = schema_of(define({"u": UniqueConstraint("order_id", id="_uc2")}))
    assert schema.constraints["u"].id == "uc2"


def test_a_second_name_of_the_primary_key_is_its_query_name() -> None:
    """``posts_for_tag = primary_key`` gives the primary key a name for queries."""

    class Tagged(Model, prefix="t"):
        tag: str
        post: str
        primary_key = PrimaryKey("tag", "post")
        posts_for_tag = primary_key

    assert schema_of(Tagged).primary.name == "posts_for_tag"
    assert hasattr(Tagged, "query_posts_for_tag")


# --- inheritance -----------------------------------------------------------------------------------


def test_fields_keys_and_options_are_inherited() -> None:
    """Mixins and abstract bases give their fields, keys, indexes and options; a subclass may replace them."""

    class Stamped(Model):
        made_by: str = StringField(default="nobody")

    class Base(Model, key_format="dynamo-bao", attribute_style="camel", iterable=True):
        item_id: str
        status: str = StringField(default="new")
        primary_key = PrimaryKey("item_id")
        by_status = Index("status", id="gsi1")

    class Order(Stamped, Base, prefix="o"):
        size: int = 1
        status: str = StringField(default="open")

    class Invoice(Base, prefix="i", key_format="native", iterable=False):
        by_status = Index("item_id", id="gsi2")

    order, invoice = schema_of(Order), schema_of(Invoice)
    assert set(order.fields) == {"made_by", "item_id", "status", "size"}
    assert Order(item_id="a").status == "open"
    assert Invoice(item_id="a").status == "new"
    assert order.fields["item_id"].attribute == "itemId"
    assert order.fields["status"].model == "Order"
    assert order.iterable
    assert not invoice.iterable
    assert order.indexes["by_status"].id == "gsi1"
    assert {shape.id for shape in invoice.indexes.values()} == {"gsi2"}
    with pytest.raises(ValidationError):
        order.keys.from_key(None, {"item_id": 5})


@pytest.mark.parametrize(
    "value", ["closed", None, lambda order: "closed", functools.cached_property(lambda order: "closed")]
)
def test_a_field_is_not_replaced_by_what_is_no_field(value: Any) -> None:
    """A new default without an annotation changes no field in Python's data classes. Here it is refused, as it would be
    without effect. A property is one that instances show."""

    class Base(Model):
        item_id: str
        status: str = "new"
        primary_key = PrimaryKey("item_id")

    with pytest.raises(ConfigurationError, match=r"Closed\.status: .*inherited field.*status: … = …"):
        type("Closed", (Base,), {"status": value}, prefix="c")
    fixed = type("Fixed", (Base,), {"status": property(lambda order: "fixed")}, prefix="f")
    assert fixed(item_id="a").status == "fixed"
    declared = type("Declared", (Base,), {"status": StringField(default="closed")}, prefix="d")
    assert declared(item_id="a").status == "closed"


def test_what_a_subclass_binds_replaces_a_key_of_its_base() -> None:
    """None takes an index or a constraint away, as it does with any other attribute in Python."""

    class Base(Model):
        item_id: str
        status: str = "new"
        code: str = ""
        primary_key = PrimaryKey("item_id")
        by_status = Index("status", id="gsi1")
        unique_code = UniqueConstraint("code", id="uc1")

    class Order(Base, prefix="o"):
        by_status = None
        unique_code = None
        by_code = Index("code", id="gsi1")

    schema = schema_of(Order)
    assert [shape.id for shape in schema.indexes.values()] == ["gsi1"]
    assert list(schema.indexes) == ["by_code"]
    assert schema.constraints == {}
    assert not hasattr(Order, "query_by_status")
    assert not hasattr(Order, "find_by_code")


def test_the_nearest_of_several_bases_declares_a_field() -> None:
    """Python's order of bases holds for fields too, also where two bases have one base in common."""

    class Base(Model):
        item_id: str
        status: str = "new"
        primary_key = PrimaryKey("item_id")

    class Open(Base):
        status: str = "open"

    class Sized(Base):
        size: int = 1

    class Order(Sized, Open, prefix="o"):
        pass

    assert Order(item_id="a").status == "open"
    assert list(schema_of(Order).fields) == ["item_id", "status", "size"]
    assert [field.name for field in attrs.fields(Order)] == ["item_id", "status", "size"]


def test_the_name_is_not_inherited() -> None:
    """A subclass goes by its own name."""

    class First(Model, prefix="f", name="Erste"):
        first_id: str
        primary_key = PrimaryKey("first_id")

    class Second(First, prefix="s"):
        pass

    assert (schema_of(First).name, schema_of(Second).name) == ("Erste", "Second")
    assert schema_of(Second).keys.from_key(None, "x").key.pk == "s#x"


def test_an_abstract_base_is_no_model() -> None:
    """Without a prefix there is nothing to construct or to store."""

    class Base(Model):
        item_id: str
        primary_key = PrimaryKey("item_id")

    with pytest.raises(ConfigurationError, match="Base has no prefix"):
        Base(item_id="a")
    with pytest.raises(ConfigurationError, match="Model has no prefix"):
        Model()


def test_bases_share_no_field_objects_with_their_models() -> None:
    """One declaration gives each model a field of its own."""

    class Base(Model):
        item_id: str
        colour: Colour = EnumField()
        primary_key = PrimaryKey("item_id")

    class One(Base, prefix="a"):
        pass

    class Two(Base, prefix="b"):
        pass

    one, two = schema_of(One).fields["colour"], schema_of(Two).fields["colour"]
    assert (one.model, two.model) == ("One", "Two")
    assert one is not two


# --- textual annotations ---------------------------------------------------------------------------


def test_types_local_to_a_function_are_found_for_textual_annotations() -> None:
    """With ``from __future__ import annotations`` a local enumeration or nested class is understood."""

    class Size(enum.Enum):
        SMALL = "s"

    @attrs.frozen
    class Box:
        width: int

    class Parcel(Model, prefix="p"):
        parcel_id: str
        size: Size
        box: Box | None = None
        declared: Size = EnumField()
        primary_key = PrimaryKey("parcel_id")

    fields = schema_of(Parcel).fields
    assert (type(fields["size"]), type(fields["box"])) == (EnumField, NestedField)
    assert fields["size"].accept("s") is Size.SMALL
    assert fields["declared"].accept("s") is Size.SMALL
    assert fields["box"].nullable


def test_types_of_the_class_body_are_found_for_textual_annotations() -> None:
    """A model may define the enumerations and nested classes of its fields itself, as is usual in Django."""
    Kind = int  # what the class body defines hides it

    class Parcel(Model, prefix="p"):
        class Kind(enum.Enum):
            LETTER = "l"

        @attrs.frozen
        class Size:
            width: int

        Names = list[str]

        parcel_id: str
        kind: Kind = Kind.LETTER
        kinds: list[Kind] = ListField(default=list)
        size: Size | None = None
        names: Names
        # Fields are no types, so these names mean what they mean around the class.
        datetime: datetime | None = None
        Decimal = DecimalField(default=None)
        price: Decimal | None = None
        primary_key = PrimaryKey("parcel_id")

    parcel = Parcel(parcel_id="a", kind="l", size=Parcel.Size(3), names=["b"], price=Decimal(1))
    assert Kind is int
    assert (parcel.kind, parcel.size.width, parcel.datetime) == (Parcel.Kind.LETTER, 3, None)
    fields = schema_of(Parcel).fields
    assert type(fields["names"]) is ListField
    assert (type(fields["datetime"]), type(fields["price"])) == (DateTimeField, DecimalField)


@pytest.mark.parametrize(
    "annotation",
    [
        "ClassVar",
        "ClassVar[int]",
        "typing.ClassVar[int]",
        "t.ClassVar[int]",
        "OfClass[int]",
        "'ClassVar[int]'",
    ],
)
def test_class_variables_in_textual_annotations_are_no_fields(module: Any, annotation: str) -> None:
    """Under whatever name `ClassVar` was imported."""
    program = f"""
        from __future__ import annotations
        import typing, typing as t
        from typing import ClassVar, ClassVar as OfClass
        from dynamo_bao import Model, PrimaryKey
        class Parcel(Model, prefix="zzp"):
            parcel_id: str
            limit: {annotation} = 3
            primary_key = PrimaryKey("parcel_id")
        """
    exec(textwrap.dedent(program), vars(module))
    assert list(schema_of(module.Parcel).fields) == ["parcel_id"]
    assert module.Parcel.limit == 3


def test_a_type_whose_name_begins_like_class_variables_is_a_type(module: Any) -> None:
    """It is no field's type here, and the error says so."""
    program = """
        from __future__ import annotations
        from dynamo_bao import Model, PrimaryKey
        class ClassVariant: pass
        class Parcel(Model, prefix="zzp"):
            parcel_id: str
            variant: ClassVariant
            primary_key = PrimaryKey("parcel_id")
        """
    with pytest.raises(ConfigurationError, match=r"Parcel\.variant: no field holds a ClassVariant"):
        exec(textwrap.dedent(program), vars(module))


LATER = """
from __future__ import annotations
from dynamo_bao import EnumField, Index, Model, PrimaryKey, RelatedField, UniqueConstraint
import enum

class Parcel(Model, prefix="zzp"):
    parcel_id: str
    size: Size
    declared: Size = EnumField()
    primary_key = PrimaryKey("parcel_id")
"""

SIZE = """
class Size(enum.Enum):
    SMALL = "s"
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty module; the models it defines are gone afterwards."""
    made = types.ModuleType("forward_references")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    yield made
    vars(made).clear()
    gc.collect()


def test_a_field_that_needs_no_annotation_may_have_one_that_only_checkers_know() -> None:
    """Many programs import types under TYPE_CHECKING only. The field object says what the field holds."""
    schema = schema_of(define({"city": StringField()}, {"city": "NameOfACity"}))
    assert type(schema.fields["city"]) is StringField
    assert schema.accept_all({"order_id": "a", "city": "Rome"})["city"] == "Rome"


def test_a_forward_reference_is_resolved_at_first_use(module: Any) -> None:
    """A model may name a type that its module defines further down."""
    exec(LATER, vars(module))
    exec(SIZE, vars(module))
    parcel = module.Parcel(parcel_id="a", size="s", declared="s")
    assert parcel.size is module.Size.SMALL
    assert parcel.declared is module.Size.SMALL


UNQUOTED = """
from dynamo_bao import IntegerField, Model, PrimaryKey
import enum
import typing

class Parcel(Model, prefix="zzq"):
    class Label(enum.Enum):
        FRAGILE = "f"

    places: typing.ClassVar[dict[str, Parcel]] = {}
    parcel_id: str
    size: Size
    smaller: list[Size] | None
    label: Label
    quoted: "Size"
    weight: Grams = IntegerField()
    primary_key = PrimaryKey("parcel_id")
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="before Python 3.14, such a name must be in quotes")
def test_a_forward_reference_needs_no_quotes(module: Any) -> None:
    """Names that are defined already, the class's own too, keep their meaning; checkers' own names do not matter."""
    exec(compile(UNQUOTED, "parcels.py", "exec", dont_inherit=True), vars(module))
    exec(SIZE, vars(module))
    parcel = module.Parcel(parcel_id="a", size="s", smaller=["s"], label="f", quoted="s", weight=1)
    small = module.Size.SMALL
    assert (parcel.size, parcel.smaller, parcel.quoted) == (small, [small], small)
    assert parcel.label is module.Parcel.Label.FRAGILE
    assert module.Parcel.places == {}


def test_a_quoted_annotation_may_be_textual_too() -> None:
    """This module has ``from __future__ import annotations``, which makes texts of them all."""

    class Parcel(Model, prefix="p"):
        parcel_id: "str"  # noqa: UP037
        made: "datetime | None" = None  # noqa: UP037
        colours: "list['Colour']" = ListField(default=list)  # noqa: UP037
        primary_key = PrimaryKey("parcel_id")

    fields = schema_of(Parcel).fields
    assert [type(field) for field in fields.values()] == [StringField, DateTimeField, ListField]
    assert Parcel(parcel_id="a", colours=["red"]).colours == [Colour.RED]


REGISTRY = """
from __future__ import annotations
import enum
from dynamo_bao import Model, PrimaryKey

models = []

class Base(Model):
    item_id: str
    primary_key = PrimaryKey("item_id")

    def __init_subclass__(cls, *, kind: str, **options: object) -> None:
        super().__init_subclass__(**options)
        models.append((kind, cls))

class Order(Base, prefix="zzo", kind="order"):
    pass

class Late(Base, prefix="zzl", kind="late"):
    size: Size | None = None
"""


def test_a_base_is_told_of_each_model_once(module: Any) -> None:
    """Its own ``__init_subclass__`` may take arguments, and register the models, also one that names a later type."""
    exec(REGISTRY, vars(module))
    exec(SIZE, vars(module))
    assert module.Late(item_id="a", size="s").size is module.Size.SMALL
    assert module.models == [("order", module.Order), ("late", module.Late)]


def test_what_a_model_gets_is_there_before_later_types(module: Any) -> None:
    """Its field paths are those of the model, not of its base; a query or a find of a value is a first use."""
    exec(LATER, vars(module))
    exec(
        """
class Box(Parcel, prefix="zzb"):
    code: str = ""
    sender_id: str | None = RelatedField("Box", default=None)
    contents = primary_key = PrimaryKey("parcel_id", "code")
    by_size = Index("size", id="gsi1")
    unique_code = UniqueConstraint("code", id="uc1")
""",
        vars(module),
    )
    box = module.Box
    with pytest.raises(ConfigurationError, match="Box is not connected to a table yet"):
        box.query_by_size("s")
    with pytest.raises(ConfigurationError, match=r"(Parcel|Box)\.(size|declared).*Size"):
        box.fields.size
    exec(SIZE, vars(module))
    assert str(box.fields.code) == "<FieldPath code>"
    assert {"query_by_size", "query_contents", "find_by_code", "sender", "get_sender"} <= {*vars(box)}
    assert not hasattr(Model, "fields")


def test_a_reference_that_is_never_defined_is_a_definition_error_at_first_use(module: Any) -> None:
    """Defining the model is fine; using it raises `ConfigurationError` with model, field and name."""
    exec(LATER, vars(module))
    with pytest.raises(ConfigurationError, match=r"Parcel\.(size|declared).*Size"):
        module.Parcel(parcel_id="a", size="s", declared="s")


def test_a_class_local_to_a_function_replaces_the_earlier_one() -> None:
    """Defining it again, as tests and notebooks do, is no error."""

    def make() -> type[Model]:
        class Again(Model, prefix="a"):
            again_id: str
            primary_key = PrimaryKey("again_id")

        return Again

    first, second = make(), make()
    assert first is not second
    assert schema_of(first).name == schema_of(second).name


def test_every_part_of_a_key_may_be_the_prefix() -> None:
    """`MODEL_PREFIX` stands for either part, of the primary key and of indexes."""

    class Country(Model, prefix="c"):
        code: str
        views: int = CounterField()
        made: str = UlidField(auto_assign=True)
        primary_key = PrimaryKey(MODEL_PREFIX, "code")
        every = Index(MODEL_PREFIX, "made", id="gsi1")
        by_code = Index("code", MODEL_PREFIX, id="gsi2")
        data: dict[str, Any] = MapField(default=dict)
        anything: Any = JsonField(default=None)
        lists: list[Any] = ListField(default=list)

    schema = schema_of(Country)
    assert schema.key_names == ("code",)
    assert schema.primary.partition.field is None
    assert schema.indexes["by_code"].sort.field is None
    assert repr(MODEL_PREFIX) == "MODEL_PREFIX"


@pytest.mark.parametrize(("key_format", "kept"), [("native", True), ("dynamo-bao", False)])
@pytest.mark.parametrize("number", [2**53, -(2**53)])
def test_whole_numbers_that_javascript_reads_otherwise(key_format: str, kept: bool, number: int) -> None:
    """A shared model refuses them as values, as defaults too; its own format takes them."""

    class Kind(enum.IntEnum):
        ONE = 1
        MOST = 2**53 - 1
        OTHER = number

    class Tally(Model, prefix="ta", key_format=key_format):
        tally_id: str
        amount: int = 2**53 - 1
        seen: int = CounterField()
        kind: Kind = Kind.ONE
        primary_key = PrimaryKey("tally_id")

    fields = schema_of(Tally).fields
    for name in ("amount", "seen", "kind"):
        assert fields[name].accept(2**53 - 1) == 2**53 - 1
        values = {"tally_id": "t", "amount": 1, "seen": 1, "kind": Kind.ONE, name: number}
        if kept:
            assert schema_of(Tally).accept_all(values) == values
            continue
        with pytest.raises(ValidationError, match=r"2\^53 - 1.*dynamo-bao.*native"):
            schema_of(Tally).accept_all(values)
    if not kept:
        with pytest.raises(ConfigurationError, match=r"Order\.amount: its default"):
            define({"amount": number}, {"order_id": str, "amount": int}, key_format=key_format)


def test_a_codec_is_compiled_once_and_when_it_is_used() -> None:
    """What is taken from a schema before its first use works on, and its first use makes it quick for all others."""
    schema = schema_of(define({}, {"age": int}))
    early = schema.encode
    assert early({"order_id": "a", "age": 3}) == {"order_id": {"S": "a"}, "age": {"N": "3"}}
    quick = schema.encode
    assert quick is not early
    assert early({"order_id": "b", "age": 4}) == quick({"order_id": "b", "age": 4})
    assert schema.encode is quick


def test_a_model_is_an_attrs_class() -> None:
    """attrs knows a model's fields, in the order of their declaration, those of its bases first."""
    base = define({}, {"age": int})
    more = types.new_class(
        "More", (base,), {"prefix": "mo"}, lambda ns: ns.update(__annotations__={"city": str})
    )
    assert attrs.has(more)
    assert [field.name for field in attrs.fields(more)] == ["order_id", "age", "city"]
    assert [field.name for field in attrs.fields(base)] == ["order_id", "age"]
    assert attrs.fields(more).city.kw_only
    assert not attrs.has(Model)


def test_attrs_leaves_assignment_as_it_is() -> None:
    """Its functions read the fields of a model. Assignment still converts, and refuses names that are no fields."""
    model = define({}, {"moment": datetime})
    order = model(order_id="a", moment="2026-01-31T12:00:00Z")
    assert attrs.evolve(order, order_id="b").order_id == "b"
    assert attrs.asdict(order)["order_id"] == "a"
    order.moment = "2026-02-01T12:00:00Z"
    assert order.moment == datetime(2026, 2, 1, 12, tzinfo=timezone.utc)
    with pytest.raises(AttributeError, match="Did you mean 'moment'"):
        order.momnet = None


def test_a_model_with_its_own_assignment_is_an_attrs_class() -> None:
    """attrs and the class do not compete for it."""

    def assign(order: Any, name: str, value: object) -> None:
        Model.__setattr__(order, name, value * 2)

    model = define({"__setattr__": assign}, {"age": int})
    assert [field.name for field in attrs.fields(model)] == ["order_id", "age"]
    order = model(order_id="a", age=3)
    order.age = 4
    assert order.age == 8


def test_a_model_can_be_mocked() -> None:
    """`unittest.mock` asks whatever it finds for private names, `Model.fields` too."""
    model = define({}, {"age": int})
    mocked = mock.create_autospec(model)
    mocked.find.return_value = model(order_id="a", age=3)
    assert mocked.find("a").age == 3
    with pytest.raises(TypeError):
        mocked.find("a", "b")
    assert isinstance(mock.Mock(spec=model), model)
    assert not hasattr(model.fields, "_is_coroutine")
    with pytest.raises(QueryError, match="Did you mean 'age'"):
        model.fields.agee
