"""Which field a bare annotation means."""

from __future__ import annotations

import enum
import typing
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.fields.base import UNIONS, Field, plain_class
from dynamo_bao.fields.documents import ListField, MapField, NestedField, NumberSetField, StringSetField
from dynamo_bao.fields.moments import DateTimeField
from dynamo_bao.fields.numeric import BooleanField, DecimalField, FloatField, IntegerField
from dynamo_bao.fields.text import BinaryField, EnumField, StringField, UuidField

_SCALARS: dict[Any, type[Field]] = {
    str: StringField,
    bool: BooleanField,
    int: IntegerField,
    float: FloatField,
    Decimal: DecimalField,
    bytes: BinaryField,
    datetime: DateTimeField,
    uuid.UUID: UuidField,
    dict: MapField,
    list: ListField,
}


def without_none(annotation: Any) -> tuple[Any, bool]:
    """An annotation without its ``| None``, and whether it had one.

    >>> without_none(int | None)
    (<class 'int'>, True)
    """
    if typing.get_origin(annotation) in UNIONS:
        members = [part for part in typing.get_args(annotation) if part is not type(None)]
        optional = len(members) < len(typing.get_args(annotation))
        return (members[0] if len(members) == 1 else Any), optional
    return annotation, False


def field_for(annotation: Any, model: str, name: str, **options: Any) -> Field:
    """The field that a bare annotation (without None) means.

    Raises:
        ConfigurationError: where no field holds such values.
    """
    if typing.get_origin(annotation) is typing.Literal:
        choices = typing.get_args(annotation)
        if all(isinstance(choice, str) for choice in choices):
            return StringField(choices=choices, **options)
    for kind_of_set in (StringSetField, NumberSetField):
        if plain_class(annotation) in (set, frozenset) and kind_of_set().fits(annotation):
            return kind_of_set(**options) if options else kind_of_set(required=True)
    kind = _SCALARS.get(plain_class(annotation))
    if kind is not None:
        return kind(**options)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return EnumField(annotation, **options)
    if isinstance(annotation, type) and attrs.has(annotation):
        return NestedField(annotation, **options)
    shown = getattr(annotation, "__name__", None) or str(annotation)
    raise ConfigurationError(
        f"{model}.{name}: no field holds a {shown}; declare one, as in `{name}: {shown} = JsonField()`, "
        f"or annotate it as ClassVar if it is not a field.",
        model=model,
        field=name,
    )
