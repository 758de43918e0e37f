"""Finds and repairs attributes that fields cannot read, and defaults that items of an older model lack."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

from dynamo_bao.dynamodb.expressions.conditions import Condition, all_of, equality
from dynamo_bao.dynamodb.expressions.paths import Attribute
from dynamo_bao.dynamodb.numbers import number_text
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import ConditionalError, ItemNotFoundError, TransactionError, UniqueConstraintError
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.documents import from_document
from dynamo_bao.maintenance.item_check import ExaminedItem
from dynamo_bao.maintenance.progress import Finding
from dynamo_bao.maintenance.repair import ChangedMeanwhile
from dynamo_bao.mapping.codec import unreadable
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.session.state import ModelMapper
from dynamo_bao.writes.change_factory import sender
from dynamo_bao.writes.executor import WriteExecution
from dynamo_bao.writes.plans import ItemRef, plan_update

_FIX = "bao doctor --fix"
_BY_HAND = "Assign {field} a value and save, or correct the field's kind."


def attribute_findings(stored: ExaminedItem) -> list[Finding]:
    """The attributes of an item that their fields cannot read, one finding for each."""
    changes = readings(stored)
    return [
        stored.finding(
            "attribute",
            f"has a bad attribute: {unreadable(stored.mapper.schema.name, stored.key, field, value)}",
            mend=_FIX if field.name in changes else _BY_HAND.format(field=field.name),
            mendable=field.name in changes,
        )
        for field, value in _bad(stored)
    ]


def _bad(stored: ExaminedItem) -> Iterator[tuple[Field, AttributeValue]]:
    for name, value in stored.bad.items():
        yield stored.mapper.schema.fields[name], value


def readings(stored: ExaminedItem) -> dict[str, Any]:
    """The values that bad attributes of an item express in another type, by field name, if they are certain.

    A NULL that the field does not accept means None: the attribute can be removed, if the field then reads its default
    or None.
    """
    values: dict[str, Any] = {}
    for field, value in _bad(stored):
        if "NULL" in value:
            if field.nullable or field.missing_value() is not None:
                values[field.name] = None
            continue
        with suppress(StopIteration):
            values[field.name] = next(_read(field, from_document(value)))
    return values


def _read(field: Field, plain: object) -> Iterator[Any]:
    """The values that a field accepts for a plain value, or for the same value in another type."""
    for candidate in (plain, *_other_forms(plain)):
        with suppress(Exception):  # a field's own conversions may raise anything
            value = field.accept(candidate)
            attribute = field.to_dynamo(value)
            if attribute is not None and not _is_another_number(plain, attribute):
                yield field.from_dynamo(attribute)


def _is_another_number(plain: object, attribute: AttributeValue) -> bool:
    """Whether a text is stored as a number that has not all of its digits."""
    return isinstance(plain, str) and "N" in attribute and Decimal(attribute["N"]) != Decimal(plain)


def _other_forms(plain: object) -> Iterator[Any]:
    """The value in other types: the number in a text, the text of a number, the content of a JSON text."""
    if isinstance(plain, str):
        with suppress(ArithmeticError, ValueError):
            number = Decimal(plain)
            if number_text(number) == plain:
                whole = number == number.to_integral_value()
                yield int(number) if whole else number
                if Decimal(repr(float(number))) == number:
                    yield float(number)
        with suppress(ValueError):
            parsed = json.loads(plain, parse_float=_exact_float)
            if isinstance(parsed, (dict, list)):
                yield parsed
    elif isinstance(plain, (int, float, Decimal)) and not isinstance(plain, bool):
        yield number_text(Decimal(repr(plain)) if isinstance(plain, float) else Decimal(plain))


def _exact_float(text: str) -> float:
    """The number of a JSON text. Raises ValueError if a float does not have all of its digits."""
    number = float(text)
    if Decimal(repr(number)) != Decimal(text):
        raise ValueError(f"{text} has more digits than a float")
    return number


# --- defaults that items lack -------------------------------------------------------------------------------


def lacking_defaults(schema: Schema, item: Item) -> dict[str, Any]:
    """The defaults that an item reads because it lacks the attribute, by field name."""
    absent = {
        field.name: field.missing_value()
        for field in schema.fields.values()
        if field.attribute not in item and field.name not in schema.key_names
    }
    return {
        name: value
        for name, value in absent.items()
        if value is not None and schema.fields[name].to_dynamo(value) is not None
    }


# --- writing ----------------------------------------------------------------------------------------------------


def write_fields(
    mapper: ModelMapper, subject: ItemRef, loaded: StoredItem, changes: Mapping[str, object]
) -> None:
    """Writes values of an item's fields, with their index keys and guards, if their stored values are unchanged.

    Raises:
        UniqueConstraintError: if a unique value belongs to another item.
        ChangedMeanwhile: if the item was deleted, or its values changed.
    """
    condition = all_of(_as_read(mapper.schema.fields[name], loaded.item) for name in changes)
    plan_from = partial(_plan, subject, loaded, changes, condition)
    write = WriteExecution(
        mapper.database, subject, "save", plan_from, sender(None, mapper.database, subject)
    )
    try:
        write.run(loaded)
    except UniqueConstraintError:
        raise
    except (ConditionalError, ItemNotFoundError, TransactionError) as error:
        raise ChangedMeanwhile from error


def _plan(
    subject: ItemRef,
    loaded: StoredItem,
    changes: Mapping[str, object],
    condition: Condition,
    reread: StoredItem | None,
) -> Any:
    return plan_update(subject, changes, reread or loaded, condition)


def _as_read(field: Field, item: Item) -> Condition:
    attribute = field.attribute
    return equality(Attribute(attribute), item.get(attribute))
