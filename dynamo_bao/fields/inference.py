"""Chooses the field for an annotation, in a model or inside a document."""

from __future__ import annotations

import enum
import types
import typing
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.fields.base import UNIONS, Field, class_of_annotation, plain_annotation
from dynamo_bao.fields.calendar import DateField, DurationField, TimeField
from dynamo_bao.fields.datetimes import DateTimeField, MomentTextField
from dynamo_bao.fields.numeric import DecimalField, FloatField, IntegerField
from dynamo_bao.fields.scalars import BinaryField, BooleanField, EnumField
from dynamo_bao.fields.text import StringField, UuidField

KINDS: Final[dict[Any, type[Field]]] = {
    str: StringField,
    bool: BooleanField,
    int: IntegerField,
    float: FloatField,
    Decimal: DecimalField,
    bytes: BinaryField,
    datetime: DateTimeField,
    date: DateField,
    time: TimeField,
    timedelta: DurationField,
    uuid.UUID: UuidField,
}
"""The field class for each class of values. The modules of containers add theirs."""
KINDS_INSIDE: Final[dict[Any, type[Field]]] = {datetime: MomentTextField}
"""The field classes of values that are stored differently inside a document."""
Choice = Callable[[Any, bool], Callable[..., Field] | None]
CHOICES: Final[list[Choice]] = []
"""Functions of an annotation and whether it is inside a document. Each returns a field factory or None."""


def without_none(annotation: object) -> tuple[Any, bool]:
    """A plain annotation without its ``| None``, and whether it had one.

    >>> without_none(int | None)
    (<class 'int'>, True)
    """
    alternatives = list(_alternatives(annotation))
    types_of_values = [part for part in alternatives if part not in (None, type(None))]
    optional = len(types_of_values) < len(alternatives)
    if len(types_of_values) > 1:
        return typing.Union[tuple(types_of_values)], optional
    return next(iter(types_of_values), None), optional


def _alternatives(annotation: object) -> Iterator[Any]:
    """The types of a union, also one inside another. Any other annotation is its only one."""
    annotation = plain_annotation(annotation)
    kind, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if kind in UNIONS:
        for part in parts:
            yield from _alternatives(part)
    elif kind is typing.Literal and None in parts and len(parts) > 1:
        yield typing.Literal[tuple(part for part in parts if part is not None)]
        yield None
    else:
        yield annotation


def resolved(annotation: object, module: dict[str, Any], local: Mapping[str, Any]) -> Any:
    """An annotation of a class body, with its strings evaluated: ``"list[Item]"``, ``list["Item"]``, and both with the
    quotes that ``from __future__ import annotations`` adds.

    Raises:
        NameError: if a string names something that is not defined.
    """
    while isinstance(annotation, str):
        annotation = eval(annotation, module, local)  # noqa: S307  # the class body's own annotation
    if not typing.get_args(annotation):
        return annotation
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    return typing.get_type_hints(holder, module, dict(local), include_extras=True)["value"]


def is_union(annotation: object) -> bool:
    """Whether an annotation is one of several types."""
    return typing.get_origin(annotation) in UNIONS


def type_text(annotation: object) -> str:
    """An annotation as source text.

    >>> type_text(list[Decimal | None])
    'list[Decimal | None]'
    """
    if annotation in (None, type(None)):
        return "None"
    if isinstance(annotation, list):  # the parameters of a Callable
        return f"[{', '.join(map(type_text, annotation))}]"
    parts, kind = typing.get_args(annotation), typing.get_origin(annotation)
    if kind in UNIONS:
        return " | ".join(map(type_text, parts))
    if isinstance(kind, type):
        return f"{kind.__name__}[{', '.join(map(type_text, parts))}]"
    if isinstance(annotation, type):
        return annotation.__name__
    return "…" if annotation is Ellipsis else str(annotation).replace("typing.", "")


def field_for(annotation: object, model: str, name: str, **options: Any) -> Field:
    """The field for an annotation (without None) that has no explicit field.

    Raises:
        ConfigurationError: if no field can hold such values.
    """
    field = _create_field(annotation, False, options)
    if field is not None:
        return field
    raise ConfigurationError(
        f"{model}.{name}: {_unsupported_text(annotation, name)}", model=model, field=name
    )


def field_inside(annotation: object, scope: Mapping[str, object], numbers: str) -> Field:
    """The field of a part of a document, by its annotation.

    Args:
        annotation: the type of the part.
        scope: the names to evaluate annotations that are strings.
        numbers: the type of numbers without an annotation.

    Raises:
        ConfigurationError: if no field can hold such values. Its text is the end of a sentence about the part.
        NameError: if the annotation names something that is not defined.
    """
    annotation, optional = without_none(annotation)
    field = _create_field(annotation, True, {})
    if field is None:
        raise ConfigurationError(_unsupported_part_text(annotation))
    part = field.with_annotation(annotation, scope)
    part.is_part, part.numbers = True, numbers
    return part.bind("", "", "", nullable=optional)


def _create_field(annotation: object, inside: bool, options: dict[str, Any]) -> Field | None:
    value_class = class_of_annotation(annotation)
    field_class: Callable[..., Field] | None = (inside and KINDS_INSIDE.get(value_class)) or KINDS.get(
        value_class
    )
    choices = iter((_literal, _enumeration, *CHOICES))
    while field_class is None and (choice := next(choices, None)) is not None:
        field_class = choice(annotation, inside)
    return None if field_class is None else field_class(**options)


def _literal(annotation: object, inside: bool) -> Callable[..., Field] | None:
    if typing.get_origin(annotation) is not typing.Literal:
        return None
    choices = typing.get_args(annotation)
    for kind, field in ((str, StringField), (int, IntegerField)):
        if all(type(choice) is kind for choice in choices):
            return partial(field, choices=choices)
    return None


def _enumeration(annotation: object, inside: bool) -> Callable[..., Field] | None:
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return partial(EnumField, annotation)
    return None


def _unsupported_text(annotation: object, name: str) -> str:
    if is_union(annotation):
        options = [type_text(part) for part in typing.get_args(annotation)]
        fields = ", ".join(f"{name}_{number}: {text} | None = None" for number, text in enumerate(options, 1))
        return (
            f"no field holds a {' | '.join(options)}, as it has one type; declare a field for each of them ({fields}), "
            f"or {name}: Any = JsonField() for what JSON has."
        )
    return (
        f"no field holds a {type_text(annotation)}; declare one of your own, class MyField(Field): … and "
        f"{name}: {type_text(annotation)} = MyField(), or {name}: Any = JsonField() for what JSON has, or annotate it "
        f"as ClassVar if it is not a field."
    )


def ambiguous_union_text(annotation: object) -> str:
    """The error text for a union of types that cannot be distinguished in a document."""
    return (
        f"{type_text(annotation)} cannot be told apart when it is read; make it one type, or a class with a member for "
        f"each of them that may be None."
    )


def _unsupported_part_text(annotation: object) -> str:
    return (
        f"a {type_text(annotation)} cannot be stored in a document; use a type that can (str, int, Decimal, datetime, "
        f"a list, a dict, an attrs class …), or Any for what JSON has."
    )
