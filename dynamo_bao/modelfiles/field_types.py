"""The field types that a model file can name, and the options of each."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from dynamo_bao.fields.base import Field, FieldOptions
from dynamo_bao.fields.calendar import DateField, DurationField, TimeField
from dynamo_bao.fields.containers import ListField, MapField
from dynamo_bao.fields.datetimes import CreateDateField, DateTimeField, ModifiedDateField, TtlField
from dynamo_bao.fields.documents import JsonField
from dynamo_bao.fields.numeric import CounterField, DecimalField, FloatField, IntegerField
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.fields.scalars import BinaryField, BooleanField
from dynamo_bao.fields.sets import BinarySetField, NumberSetField, StringSetField
from dynamo_bao.fields.text import StringField, UlidField, UuidField, VersionField
from dynamo_bao.runtime.records import Factory, frozen

Check = Callable[[Any], bool]
"""Returns whether an option accepts a value."""


def is_flag(value: object) -> bool:
    """Whether a value is true or false."""
    return isinstance(value, bool)


def is_integer(value: object) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_size(value: Any) -> bool:
    """Whether a value is a whole number of at least 0."""
    return is_integer(value) and value >= 0


def is_text(value: object) -> bool:
    """Whether a value is a string."""
    return isinstance(value, str)


def is_texts(value: object) -> bool:
    """Whether a value is a non-empty list of strings."""
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


def is_number_rule(value: object) -> bool:
    """Whether a value is one of the number rules of documents."""
    return value in ("auto", "decimal")


def is_anything(value: object) -> bool:
    """Always true: the field checks the value itself."""
    return True


VALUE_DESCRIPTIONS: Final[Mapping[Check, str]] = {
    is_flag: "true or false",
    is_integer: "a whole number",
    is_size: "a whole number of at least 0",
    is_text: "a text",
    is_texts: "a list of texts",
    is_number_rule: "auto or decimal",
    is_anything: "a value",
}
"""What each check accepts, in words."""


@frozen
class Annotation:
    """The type of a field's values, as source text and as an object.

    Attributes:
        text: the source text, such as ``set[str]``.
        type: the type object.
        imports: the names that the source text uses, each with its module.
    """

    text: str
    type: Any
    imports: Mapping[str, str] = Factory(dict)


TEXT = Annotation("str", str)
WHOLE = Annotation("int", int)
MOMENT = Annotation("datetime", datetime, {"datetime": "datetime"})
ANY_ANNOTATION = Annotation("Any", Any, {"Any": "typing"})


ALL_TAKE: Final = frozenset(FieldOptions.__annotations__)
"""The arguments of every field."""


@frozen
class FieldType:
    """One type of field.

    Attributes:
        name: its name in a file.
        field: its class.
        annotation: the type of its values.
        options: its own options by Python name, each with its check. `ALL_TAKE` is not among them.
        takes: the members of `ALL_TAKE` that its constructor accepts.
        has_default: whether a file can set its default.
        fills_itself: whether it is never None: it fills itself, or a value is always required.
        starts_empty: whether it may be omitted without a default; only ``required=True`` forbids that.
        is_set: whether it is a set. A set is never None.
        keeps_default: whether a default makes it never None, as JavaScript stores the default instead.
        module: the module that source code imports it from; None if it cannot be imported.
        file: the file that defines a type of the user.
    """

    name: str
    field: type[Field]
    annotation: Annotation
    options: Mapping[str, Check] = Factory(dict)
    takes: frozenset[str] = ALL_TAKE
    has_default: bool = True
    fills_itself: bool = False
    starts_empty: bool = False
    is_set: bool = False
    keeps_default: bool = False
    module: str | None = "dynamo_bao"
    file: str | None = None


def _kind(
    field: type[Field], annotation: Annotation, options: Mapping[str, Check] | None = None, **marks: Any
) -> FieldType:
    return FieldType(field.__name__, field, annotation, options or {}, **marks)


_SET: Final[dict[str, object]] = {"is_set": True, "starts_empty": True}
_NUMBER_RULE: Final = {"numbers": is_number_rule}
_FILLED: Final[dict[str, Any]] = {"has_default": False, "fills_itself": True}
_TEXTS = Annotation("set[str]", set[str])
_NUMBERS = Annotation("set[int | float | Decimal]", set[int | float | Decimal], {"Decimal": "decimal"})

BUILT_IN: Final[Mapping[str, FieldType]] = {
    kind.name: kind
    for kind in (
        _kind(StringField, TEXT, {"max_length": is_size, "min_length": is_size, "choices": is_texts}),
        _kind(UlidField, TEXT, {"auto_assign": is_flag}, **_FILLED),
        _kind(UuidField, Annotation("UUID", uuid.UUID, {"UUID": "uuid"}), {"auto_assign": is_flag}),
        _kind(VersionField, TEXT, takes=ALL_TAKE - {"required", "default", "read_only"}, **_FILLED),
        _kind(RelatedField, TEXT, {"model": is_text}, has_default=False),
        _kind(BinaryField, Annotation("bytes", bytes), has_default=False),
        _kind(BooleanField, Annotation("bool", bool), keeps_default=True),
        _kind(IntegerField, WHOLE, {"minimum": is_integer, "maximum": is_integer}, keeps_default=True),
        _kind(CounterField, WHOLE, {"exact": is_flag}, takes=ALL_TAKE - {"required"}, fills_itself=True),
        _kind(FloatField, Annotation("float", float), {"precision": is_size}, keeps_default=True),
        _kind(DecimalField, Annotation("Decimal", Decimal, {"Decimal": "decimal"}), keeps_default=True),
        _kind(DateTimeField, MOMENT),
        _kind(DateField, Annotation("date", date, {"date": "datetime"})),
        _kind(TimeField, Annotation("time", time, {"time": "datetime"})),
        _kind(DurationField, Annotation("timedelta", timedelta, {"timedelta": "datetime"})),
        _kind(CreateDateField, MOMENT, **_FILLED),
        _kind(ModifiedDateField, MOMENT, **_FILLED),
        _kind(TtlField, MOMENT, has_default=False, starts_empty=True),
        _kind(StringSetField, _TEXTS, {"max_string_length": is_size, "max_member_count": is_size}, **_SET),
        _kind(NumberSetField, _NUMBERS, {"max_member_count": is_size}, **_SET),
        _kind(BinarySetField, Annotation("set[bytes]", set[bytes]), {"max_member_count": is_size}, **_SET),
        _kind(MapField, Annotation("dict[str, Any]", dict[str, Any], {"Any": "typing"}), _NUMBER_RULE),
        _kind(ListField, Annotation("list[Any]", list[Any], {"Any": "typing"}), _NUMBER_RULE),
        _kind(JsonField, ANY_ANNOTATION),
    )
}
"""The field types of the library by name. `EnumField` and `NestedField` are absent, as they need a class of the
program. `SetField` is absent, as it needs an annotation."""


def built_in_base(field: type[Field]) -> FieldType | None:
    """The library's field type that a user's class extends; None if it extends only `Field`."""
    matches = (BUILT_IN.get(base.__name__) for base in field.__mro__)
    return next((kind for kind in matches if kind is not None and issubclass(field, kind.field)), None)
