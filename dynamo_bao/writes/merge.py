"""Merges changes of the same item into one, because a transaction can write each item only once."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

from dynamo_bao.dynamodb.document_diff import ANY_VALUE
from dynamo_bao.dynamodb.expressions.conditions import all_of, is_empty
from dynamo_bao.errors import DataFormatError, ItemNotFoundError, QueryError, message_of
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.writes.actions import Assumed, WritePlan
from dynamo_bao.writes.changes import Change, ConditionCheck, CreateChange, DeleteChange, SaveChange
from dynamo_bao.writes.document_changes import Parts
from dynamo_bao.writes.effects import absolute, created_values
from dynamo_bao.writes.item_size import check_item_size
from dynamo_bao.writes.plans import (
    RELATIVE_KINDS,
    CounterDelta,
    ItemRef,
    SetDelta,
    plan_create,
    plan_delete,
    plan_replace,
)

C = TypeVar("C", bound=Change)


class ReplaceChange(CreateChange):
    """A new item that replaces an item which the same transaction deletes."""

    operation = "save"
    deletion: DeleteChange

    def plan_from(self, stored_item: StoredItem | None) -> WritePlan:
        creation_plan = plan_create(self.subject, self.values, self.condition, self.item)
        deletion = self.deletion
        deletion_plan = plan_delete(self.subject, stored_item, deletion.condition, deletion.assumed)
        return plan_replace(deletion_plan, creation_plan)


def combined(changes: Iterable[Change]) -> list[Change]:
    """One change for each item. Changes that cancel each other are left out."""
    changes_by_item: dict[object, Change] = {}
    for change in changes:
        combine(changes_by_item, change)
    return list(changes_by_item.values())


def combine(changes_by_item: dict[object, Change], change: Change) -> None:
    """Adds a change to a mapping with one change for each item.

    Args:
        changes_by_item: the changes by `Change.item_ref`. An item has none if its changes cancel each other.

    Raises:
        BaoError: as `merged` raises it. The mapping stays as it was.
    """
    item_ref = change.item_ref
    if item_ref not in changes_by_item:
        changes_by_item[item_ref] = change
        return
    combined_change = merged(changes_by_item[item_ref], change)
    del changes_by_item[item_ref]
    if combined_change is not None:
        changes_by_item[item_ref] = combined_change


def merged(first: Change, second: Change) -> Change | None:
    """Merges two changes of one item into one change. Returns None if they cancel each other.

    Conditions are about what is stored before the transaction, so all of them must hold there.

    Raises:
        QueryError: for a condition on an item that the transaction creates.
        ItemNotFoundError: for a change of an item that was deleted before it.
        ConditionalError: for a new item in the place of one that is only changed.
    """
    if isinstance(first, CreateChange) and not is_empty(second.condition):
        raise QueryError(
            f"{first.subject} is created by this transaction, so a condition on it cannot be checked. Leave it out."
        )
    if isinstance(second, ConditionCheck):
        return _with_condition(first, second)
    if isinstance(first, ConditionCheck):
        return _with_condition(second, first)
    if isinstance(second, DeleteChange):
        return _deleted(first, second)
    if isinstance(second, CreateChange):
        return _replaced(first, second)
    assert isinstance(second, SaveChange)
    if isinstance(first, DeleteChange):
        raise ItemNotFoundError(
            f"{first.subject} was deleted through another object before this save; nothing was sent. create() it again "
            f"if it should exist.",
            **first.subject.names,
        )
    if isinstance(first, CreateChange):
        fields, before = (
            first.subject.schema.fields,
            created_values(first.subject.schema, first.values, first.item),
        )
        changed = {
            name: _changed_value(first.subject, fields[name], change, before.get(name))
            for name, change in second.changes.items()
        }
        creation, (schema, _, identity) = first.with_values({**before, **changed}), first.subject
        check_item_size(schema.name, identity.primary_id, creation.item)
        return creation
    assert isinstance(first, SaveChange)
    return _saved(first, second)


def _changed_value(subject: ItemRef, field: Field, change: object, before: object) -> object:
    try:
        return absolute(field, change, before)
    except ValueError as error:
        raise _cannot_follow(subject, field, error) from error


def _cannot_follow(subject: ItemRef, field: Field, error: ValueError) -> DataFormatError:
    """The error for a change that cannot be made after an earlier one of the same field."""
    return DataFormatError(
        f"{subject}: a part of {field.name} cannot be changed: {message_of(error)}. Give the field whole.",
        **subject.names,
        field=field.name,
    )


def _with_condition(change: C, requirement: Change) -> C:
    combined_change = copy.copy(change)
    combined_change.condition = all_of((change.condition, requirement.condition))
    return combined_change


def _deleted(first: Change, second: DeleteChange) -> Change | None:
    if isinstance(first, ReplaceChange):
        return first.deletion
    if isinstance(first, CreateChange):
        return None
    combined_change = _with_condition(second, first)
    combined_change.stored_item = first.stored_item
    combined_change.assumed = _assumed_before(first, second)
    return combined_change


def _assumed_before(first: Change, second: Change) -> Assumed:
    """What two changes assume to be stored before both. The second one may assume what the first one stores."""
    fields, changes = first.subject.schema.fields, first.changes if isinstance(first, SaveChange) else ()
    changed_attributes = {fields[name].attribute for name in changes}
    later = {name: value for name, value in second.assumed.items() if name not in changed_attributes}
    return {**later, **first.assumed}


def _replaced(first: Change, second: CreateChange) -> Change:
    if not isinstance(first, DeleteChange):
        raise first.subject.exists_already(
            "it is also written through another object; nothing was sent. Change only one of the two objects."
        )
    replacement = copy.copy(second)
    replacement.__class__ = ReplaceChange
    replacing: Any = replacement
    replacing.stored_item, replacing.deletion = first.stored_item, first
    return replacement


def _saved(first: SaveChange, second: SaveChange) -> SaveChange:
    combined_change = copy.copy(first)
    combined_change.condition = all_of((first.condition, second.condition))
    combined_change.reindex = first.reindex or second.reindex
    combined_change.changes = dict(first.changes)
    combined_change.is_plain = first.is_plain and second.is_plain
    fields = first.subject.schema.fields
    for name, change in second.changes.items():
        if name in first.changes:
            change = _after(first, fields[name], first.changes[name], change)
        combined_change.changes[name] = change
    combined_change.assumed = _assumed_before(first, second)
    return combined_change


def _after(change: SaveChange, field: Field, first: object, second: object) -> object:
    """The change of a field that has the effect of two changes, one after the other.

    Args:
        change: the change of the item that `first` belongs to.
    """
    if isinstance(first, CounterDelta) and isinstance(second, CounterDelta):
        return CounterDelta(first.amount + second.amount)
    if isinstance(first, SetDelta) and isinstance(second, SetDelta):
        return SetDelta(
            (first.added - second.removed) | second.added, (first.removed - second.added) | second.removed
        )
    if isinstance(first, Parts) and isinstance(second, Parts):
        item = None if change.stored_item is None else change.stored_item.item
        try:
            return first.then(second, ANY_VALUE if item is None else item.get(field.attribute))
        except QueryError as error:
            text = f"{change.subject}: {field.name}: {message_of(error)}"
            raise QueryError(text, field=field.name) from error
        except ValueError as error:
            raise _cannot_follow(change.subject, field, error) from error
    if RELATIVE_KINDS.issuperset((type(first), type(second))):
        return _filled(change.subject, field, first, second)
    return _changed_value(change.subject, field, second, first)


def _filled(subject: ItemRef, field: Field, first: object, second: object) -> object:
    """The change of a counter or a set that is both added to and filled with `IfMissing`.

    Raises:
        QueryError: if only the stored value can say what both do.
    """
    if isinstance(first, CounterDelta) or (isinstance(first, SetDelta) and first.added):
        return first  # it leaves a value, so IfMissing has no effect
    raise QueryError(
        f"{subject}: {field.name}: IfMissing and an addition or removal cannot be one change. Give the value, or use "
        f"two transactions.",
        field=field.name,
    )
