"""Which field an annotation means: of a model, and of what is inside a document."""

from __future__ import annotations

import enum
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.fields.base import UNIONS, Field, class_of_annotation
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
"""The kind for each class of values; those of containers are added where they are made."""
KINDS_INSIDE: Final[dict[Any, type[Field]]] = {datetime: MomentTextField}
"""Those that have another form inside a document."""
Choice = Callable[[Any, bool], Callable[..., Field] | None]
CHOICES: Final[list[Choice]] = []
"""Functions that tell what makes the field for an annotation, and for whether it is inside a document."""


def without_none(annotation: Any) -> tuple[Any, bool]:
    """An annotation without its ``| None``, and whether it had one.

    >>> without_none(int | None)
    (<class 'int'>, True)
    """
    if typing.get_origin(annotation) in UNIONS:
        members = [part for part in typing.get_args(annotation) if part is not type(None)]
        optional = len(members) < len(typing.get_args(annotation))
        return (typing.Union[tuple(members)] if members else None), optional
    return annotation, False


def resolved(annotation: Any, module: dict[str, Any], local: Mapping[str, Any]) -> Any:
    """An annotation of a class body, its texts evaluated: ``"list[Item]"``, ``list["Item"]``.

    Raises:
        NameError: where a text names something that is not defined.
    """
    if isinstance(annotation, str):
        annotation = eval(annotation, module, local)  # noqa: S307  # the class body's own annotation
    if not typing.get_args(annotation):
        return annotation
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    return typing.get_type_hints(holder, module, dict(local), include_extras=True)["value"]


def is_union(annotation: Any) -> bool:
    """Whether an annotation is one of several types."""
    return typing.get_origin(annotation) in UNIONS


def shown(annotation: Any) -> str:
    """An annotation as a program writes it.

    >>> shown(list[Decimal | None])
    'list[Decimal | None]'
    """
    if annotation in (None, type(None)):
        return "None"
    if isinstance(annotation, list):  # the parameters of a Callable
        return f"[{', '.join(map(shown, annotation))}]"
    parts, kind = typing.get_args(annotation), typing.get_origin(annotation)
    if kind in UNIONS:
        return " | ".join(map(shown, parts))
    if isinstance(kind, type):
        return f"{kind.__name__}[{', '.join(map(shown, parts))}]"
    if isinstance(annotation, type):
        return annotation.__name__
    return "…" if annotation is Ellipsis else str(annotation).replace("typing.", "")


def field_for(annotation: Any, model: str, name: str, **options: Any) -> Field:
    """The field that a bare annotation (without None) means.

    Raises:
        ConfigurationError: where no field holds such values.
    """
    made = _made(annotation, False, options)
    if made is not None:
        return made
    raise ConfigurationError(f"{model}.{name}: {_refusal(annotation, name)}", model=model, field=name)


def field_inside(annotation: Any, scope: Mapping[str, Any], numbers: str) -> Field:
    """The field of a part of a document, by its annotation.

    Args:
        annotation: what the part is.
        scope: names for annotations that are texts.
        numbers: what numbers become where no annotation says it.

    Raises:
        ConfigurationError: where no field holds such values, as the end of a sentence about the part.
        NameError: where the annotation names something that is not defined.
    """
    annotation, optional = without_none(annotation)
    made = _made(annotation, True, {})
    if made is None:
        raise ConfigurationError(_refusal_inside(annotation))
    part = made.with_annotation(annotation, scope)
    part.is_part, part.numbers = True, numbers
    return part.bind("", "", "", nullable=optional)


def _made(annotation: Any, inside: bool, options: dict[str, Any]) -> Field | None:
    kind = class_of_annotation(annotation)
    make: Callable[..., Field] | None = (inside and KINDS_INSIDE.get(kind)) or KINDS.get(kind)
    choices = iter((_literal, _enumeration, *CHOICES))
    while make is None and (choice := next(choices, None)) is not None:
        make = choice(annotation, inside)
    return None if make is None else make(**options)


def _literal(annotation: Any, inside: bool) -> Callable[..., Field] | None:
    if typing.get_origin(annotation) is not typing.Literal:
        return None
    choices = typing.get_args(annotation)
    for kind, field in ((str, StringField), (int, IntegerField)):
        if all(type(choice) is kind for choice in choices):
            return partial(field, choices=choices)
    return None


def _enumeration(annotation: Any, inside: bool) -> Callable[..., Field] | None:
    is_one = isinstance(annotation, type) and issubclass(annotation, enum.Enum)
    return partial(EnumField, annotation) if is_one else None


def _refusal(annotation: Any, name: str) -> str:
    if is_union(annotation):
        options = [shown(part) for part in typing.get_args(annotation)]
        fields = ", ".join(f"{name}_{number}: {text} | None = None" for number, text in enumerate(options, 1))
        return (
            f"no field holds a {' | '.join(options)}, as it has one type; declare a field for each of them ({fields}), "
            f"or {name}: Any = JsonField() for what JSON has."
        )
    return (
        f"no field holds a {shown(annotation)}; declare one of your own, class MyField(Field): … and "
        f"{name}: {shown(annotation)} = MyField(), or {name}: Any = JsonField() for what JSON has, or annotate it as "
        f"ClassVar if it is not a field."
    )


def union_refusal(annotation: Any) -> str:
    """Why a part of a document cannot be one of these types, and what can be done."""
    return (
        f"{shown(annotation)} cannot be told apart when it is read; make it one type, or a class with a member for "
        f"each of them that may be None."
    )


def _refusal_inside(annotation: Any) -> str:
    return (
        f"a {shown(annotation)} cannot be stored in a document; use a type that can (str, int, Decimal, datetime, a "
        f"list, a dict, an attrs class …), or Any for what JSON has."
    )
