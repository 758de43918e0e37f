"""The effects of changes: the item, and the values of its fields, as they are after a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.items import ReplyItem, as_dict_item
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import DataFormatError, message_of
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.codec import ABSENT, SCALARS, STATE, loaded_value
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import (
    BLIND,
    HandedOutValue,
    LoadedSnapshot,
    StoredItem,
    form_of,
    is_stored_as,
)
from dynamo_bao.session.hydration import is_read_otherwise
from dynamo_bao.session.state import (
    LOADED,
    Instance,
    State,
    changed_names,
    instance_dict,
    is_new_set,
    keep_handed,
)
from dynamo_bao.writes.document_changes import Parts, left_by
from dynamo_bao.writes.plans import RELATIVE_KINDS, CounterDelta, ItemRef, SetDelta


def applied(
    subject: ItemRef, stored: Item | None, changes: Mapping[str, object], loaded: StoredItem | None = None
) -> Item | None:
    """The item after changes, computed from the loaded item; None if it cannot be known.

    Args:
        loaded: what was loaded. Relative changes need it.
    """
    if stored is None or (loaded is None and any(map(is_uncertain, changes.values()))):
        return None
    item, fields = dict(stored), subject.schema.fields
    for name, change in changes.items():
        field = fields[name]
        if type(change) not in RELATIVE_KINDS:
            after = None if change is None else field.to_dynamo(change)
        elif type(change) is Parts:
            after = _document_after(subject, field, change, item.get(field.attribute))
        else:
            assert loaded is not None  # relative changes need it
            value = absolute(field, change, loaded.values.get(name))
            after = None if value is None else field.to_dynamo(value)
        if after is None:
            item.pop(field.attribute, None)
        else:
            item[field.attribute] = after
    return item


def created_values(schema: Schema, values: Mapping[str, object], item: Item) -> dict[str, object]:
    """The values that a new item stores. What the program has changed in place since then does not count.

    Args:
        values: the values of the instance when its item was made. Its lists, maps and sets are the program's.
        item: the new item.
    """
    created = {name: values.get(name) for name in schema.fields}
    for name, field in schema.fields.items():
        if type(created[name]) not in SCALARS:
            stored = loaded_value(field, item)
            created[name] = created[name] if stored is ABSENT else stored
    return created


def value_before(field: Field, loaded: LoadedSnapshot) -> Any:
    """The value of a counter or a set that the program got, and to which its changes are relative."""
    handed = loaded.handed_out(field.name)
    if handed.blind:
        return loaded.values[field.name]
    return field.missing_value() if handed.form is None else field.from_dynamo(handed.form)


def is_overtaken(instance: Instance, loaded: StoredItem | None) -> bool:
    """Whether another write has updated an instance since a save of it began. Nobody knows which of them is newer."""
    state: State = instance_dict(instance)[STATE]
    return state.raw_item is not (None if loaded is None else loaded.item)


def changed_otherwise(
    instance: Instance, loaded: StoredItem | None, changes: Mapping[str, object], expected: Item | None
) -> list[str]:
    """The changed fields, without those whose value a save has written. The arguments are those of `merge_plan`."""
    values, names = instance_dict(instance), changed_names(instance)
    if not isinstance(loaded, LoadedSnapshot):
        return [name for name in names if values.get(name) is not changes.get(name, ABSENT)]
    state: State = values[STATE]
    assert state.mapper is not None
    fields = state.mapper.schema.fields
    return [
        name
        for name in names
        if name not in changes
        or not is_stored_as(
            fields[name], values.get(name), _written(fields[name], changes[name], loaded, expected)
        )
    ]


def merge_plan(
    instance: Instance,
    loaded: StoredItem | None,
    changes: Mapping[str, object],
    expected: Item | None,
    stored: ReplyItem,
) -> tuple[dict[str, HandedOutValue], list[str] | None]:
    """What the result of a save changes in its instance. What the program has changed since the save began stays.

    Args:
        loaded: what the instance was loaded from when the save began; None if it was not.
        changes: the changes of the save.
        expected: the item that was computed before the save was sent; None if it was not.
        stored: the item after the save.

    Returns:
        The fields that keep their value, with the value that the program had before; and the fields that get the stored
        value, None for all that differ.
    """
    values = instance_dict(instance)
    state: State = values[STATE]
    if not isinstance(loaded, LoadedSnapshot) or state.status is not LOADED:
        names = state.assigned or ()
        return {name: BLIND for name in names if values.get(name) is not changes.get(name, ABSENT)}, None
    assert state.mapper is not None
    schema, item = state.mapper.schema, as_dict_item(stored)
    local = {
        name: BLIND
        for name in schema.set_names
        if values.get(name) is not changes.get(name, ABSENT) and is_new_set(instance, name)
    }
    differing = [
        name
        for name, field in schema.changeable.items()
        if name not in changes
        and (name in loaded.handed_names or item.get(field.attribute) != loaded.item.get(field.attribute))
    ]
    if differing:
        local.update(keep_handed(instance, set(loaded.changed(values)).intersection(differing)))
    for name in changes.keys() - local.keys():
        field, value = schema.fields[name], values.get(name, ABSENT)
        written = _written(field, changes[name], loaded, expected)
        if field.auto_update:  # the save made the value
            differing.append(name)
        elif same_stored(item.get(field.attribute), written):
            if name in schema.document_names and is_read_otherwise(
                field, value, loaded_value(field, item), written
            ):
                differing.append(name)
        elif is_stored_as(field, value, written):
            differing.append(name)
        else:
            local[name] = HandedOutValue(written, written)
    return local, [name for name in differing if name not in local]


def _written(
    field: Field, change: Any, loaded: LoadedSnapshot, expected: Item | None
) -> AttributeValue | None:
    """The form of the value that the program had when the save began."""
    if type(change) is Parts:
        return change.after
    if expected is not None:
        return expected.get(field.attribute)
    before = value_before(field, loaded) if type(change) in RELATIVE_KINDS else None
    return form_of(field, absolute(field, change, before))


def _document_after(
    subject: ItemRef, field: Field, change: Parts, before: AttributeValue | None
) -> AttributeValue | None:
    try:
        return left_by(change, before)
    except (ValueError, LookupError) as error:
        raise DataFormatError(
            f"{subject}: a part of {field.name} cannot be changed: {message_of(error)}. "
            f"Give the field whole, or correct the item.",
            **subject.names,
            field=field.name,
        ) from None


def is_uncertain(change: Any) -> bool:
    """Whether only DynamoDB knows the result of a change that no condition fixes."""
    return isinstance(change, (CounterDelta, SetDelta)) or (isinstance(change, Parts) and change.is_uncertain)


def absolute(field: Field, change: Any, before: Any) -> object:
    """The value of a field after a change.

    Args:
        change: the new value, or a relative change.
        before: the value before the change.
    """
    if isinstance(change, CounterDelta):
        return change.after(field, before)
    if isinstance(change, SetDelta):
        return (set(before or ()) | change.added) - change.removed
    if isinstance(change, Parts):
        form = left_by(change, form_of(field, before))
        return None if form is None else field.from_dynamo(form)
    return change
