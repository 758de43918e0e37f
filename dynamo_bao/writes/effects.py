"""The effects of changes: the item, and the values of its fields, as they are after a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo_bao.dynamodb.document_diff import edited
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import DataFormatError, message_of
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import StoredItem, form_of
from dynamo_bao.writes.document_changes import Parts, left_by
from dynamo_bao.writes.plans import RELATIVE_KINDS, CounterDelta, SetDelta


def applied(
    schema: Schema, stored: Item | None, changes: Mapping[str, object], loaded: StoredItem | None = None
) -> Item | None:
    """The item after changes, computed from the loaded item; None if it cannot be known.

    Args:
        loaded: what was loaded. Relative changes need it.
    """
    if stored is None or (loaded is None and any(map(is_relative, changes.values()))):
        return None
    item, fields = dict(stored), schema.fields
    for name, change in changes.items():
        field = fields[name]
        if type(change) not in RELATIVE_KINDS:
            after = None if change is None else field.to_dynamo(change)
        elif type(change) is Parts:
            after = _document_after(schema, field, change, item.get(field.attribute))
        else:
            assert loaded is not None  # relative changes need it
            value = absolute(field, change, loaded.values.get(name))
            after = None if value is None else field.to_dynamo(value)
        if after is None:
            item.pop(field.attribute, None)
        else:
            item[field.attribute] = after
    return item


def _document_after(
    schema: Schema, field: Field, change: Parts, before: AttributeValue | None
) -> AttributeValue | None:
    try:
        return left_by(change, before)
    except (ValueError, LookupError) as error:
        raise DataFormatError(
            f"{schema.name}: a part of {field.name} cannot be changed: {message_of(error)}. "
            f"Give the field whole, or correct the item.",
            model=schema.name,
            field=field.name,
        ) from None


def is_relative(change: Any) -> bool:
    """Whether the result of a change depends on the stored value."""
    return isinstance(change, (CounterDelta, SetDelta)) or (isinstance(change, Parts) and change.is_relative)


def absolute(field: Field, change: Any, before: Any) -> object:
    """The value of a field after a change.

    Args:
        change: the new value, or a relative change.
        before: the value before the change.
    """
    if isinstance(change, CounterDelta):
        return (before or 0) + change.amount
    if isinstance(change, SetDelta):
        return (set(before or ()) | change.added) - change.removed
    if isinstance(change, Parts):
        form = edited(form_of(field, before), change.edits)
        return None if form is None else field.from_dynamo(form)
    return change
