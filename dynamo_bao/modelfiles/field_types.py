"""The kinds of fields a model file can name, and what it can tell each of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from attrs import Factory, frozen

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

Check = Callable[[Any], bool]
"""Whether an option takes a value."""


def is_flag(value: Any) -> bool:
    """Whether a value is true or false."""
    return isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_size(value: Any) -> bool:
    """Whether a value is a whole number of at least 0."""
    return is_integer(value) and value >= 0


def is_text(value: Any) -> bool:
    """Whether a value is a text."""
    return isinstance(value, str)


def is_texts(value: Any) -> bool:
    """Whether a value is a list of texts, at least one."""
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


def is_number_rule(value: Any) -> bool:
    """Whether a value is a rule for the numbers of documents."""
    return value in ("auto", "decimal")


def is_anything(value: Any) -> bool:
    """True: the field itself decides."""
    return True


WANTED: Final[Mapping[Check, str]] = {
    is_flag: "true or false",
    is_integer: "a whole number",
    is_size: "a whole number of at least 0",
    is_text: "a text",
    is_texts: "a list of texts",
    is_number_rule: "auto or decimal",
    is_anything: "a value",
}
"""What each check asks for, in words."""


@frozen
class Annotation:
    """The type of a field's values, as text for source code and as itself.

    Attributes:
        text: as it is written, ``set[str]``.
        type: what that means.
        imports: the names it needs, with their modules.
    """

    text: str
    type: Any
    imports: Mapping[str, str] = Factory(dict)


TEXT = Annotation("str", str)
WHOLE = Annotation("int", int)
MOMENT = Annotation("datetime", datetime, {"datetime": "datetime"})
ANYTHING = Annotation("Any", Any, {"Any": "typing"})


ALL_TAKE: Final = frozenset(FieldOptions.__annotations__)
"""The arguments that all fields have."""


@frozen
class FieldType:
    """One kind of field.

    Attributes:
        name: as a file calls it.
        field: its class.
        annotation: the type of its values.
        options: what a file can tell it, besides what it can tell every kind, by Python name.
        takes: which of the arguments that all fields have its constructor takes.
        has_default: whether a file can give it a default.
        fills_itself: whether it is never None, because it fills itself or always has to be given.
        starts_empty: whether it may be left out without a default, and ``required=True`` has to be said.
        is_set: whether it is a set, which is never None.
        keeps_default: whether one with a default is never None either, as JavaScript stores the default instead.
        module: where source code imports it from; None where there is no such name.
        file: where a kind of the user's own was found.
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


_SET: Final[dict[str, Any]] = {"is_set": True, "starts_empty": True}
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
        _kind(VersionField, TEXT, takes=ALL_TAKE - {"required", "default"}, **_FILLED),
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
        _kind(JsonField, ANYTHING),
    )
}
"""Those of the library, by name. `EnumField` and `NestedField` need a class of the program, and are not among them,
nor is `SetField`, which needs an annotation."""


def built_in_base(field: type[Field]) -> FieldType | None:
    """The kind of the library that a class of the user's own extends; None where it starts from `Field`."""
    known = (BUILT_IN.get(base.__name__) for base in field.__mro__)
    return next((kind for kind in known if kind is not None and issubclass(field, kind.field)), None)
