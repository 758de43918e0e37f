"""The effects of changes: the item, and the values of its fields, as they are after a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo_bao.dynamodb.document_diff import edited
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import DataFormatError, message_of
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.codec import ABSENT, STATE
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import (
    BLIND,
    HandedOutValue,
    LoadedSnapshot,
    StoredItem,
    form_of,
    is_stored_as,
)
from dynamo_bao.session.state import LOADED, Instance, State, instance_dict, is_new_set, keep_handed
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


def value_before(field: Field, loaded: LoadedSnapshot) -> Any:
    """The value of a counter or a set that the program got, and to which its changes are relative."""
    handed = loaded.handed_out(field.name)
    if handed.blind:
        return loaded.values[field.name]
    return field.missing_value() if handed.form is None else field.from_dynamo(handed.form)


def changed_since(
    instance: Instance, loaded: StoredItem | None, changes: Mapping[str, object], expected: Item | None
) -> dict[str, HandedOutValue]:
    """The fields that the program has changed while a save was under way, with the values that it had before.

    Args:
        instance: the saved instance.
        loaded: what it was loaded from when the save began; None if it was not.
        changes: the changes of the save.
        expected: the item that was computed before the save was sent; None if it was not.
    """
    values = instance_dict(instance)
    state: State = values[STATE]
    if not isinstance(loaded, LoadedSnapshot) or state.status is not LOADED:
        names = state.assigned or ()
        return {name: BLIND for name in names if values.get(name) is not changes.get(name, ABSENT)}
    assert state.mapper is not None
    fields = state.mapper.schema.fields
    since = keep_handed(instance, [name for name in loaded.changed(values) if name not in changes])
    for name, change in changes.items():
        field = fields[name]
        if field.auto_update:
            continue  # the save made the value
        if type(change) is Parts:
            written = change.after
        elif expected is not None:
            written = expected.get(field.attribute)
        else:
            before = value_before(field, loaded) if type(change) in RELATIVE_KINDS else None
            written = form_of(field, absolute(field, change, before))
        if not is_stored_as(field, values.get(name), written):
            since[name] = BLIND if is_new_set(instance, name) else HandedOutValue(written, written)
    return since


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
