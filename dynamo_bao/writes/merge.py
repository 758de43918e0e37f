"""Merges changes of the same item into one, because a transaction can write each item only once."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

from dynamo_bao.dynamodb.document_diff import edited
from dynamo_bao.dynamodb.expressions.conditions import all_of, is_empty
from dynamo_bao.errors import ItemNotFoundError, QueryError
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.snapshots import StoredItem, form_of
from dynamo_bao.writes.actions import WritePlan
from dynamo_bao.writes.changes import Change, ConditionCheck, CreateChange, DeleteChange, SaveChange
from dynamo_bao.writes.document_changes import Parts
from dynamo_bao.writes.effects import absolute
from dynamo_bao.writes.plans import CounterDelta, SetDelta, plan_create, plan_delete, plan_replace

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
    earlier = changes_by_item.get(change.item_ref)
    combined_change = change if earlier is None else merged(earlier, change)
    changes_by_item.pop(change.item_ref, None)
    if combined_change is not None:
        changes_by_item[change.item_ref] = combined_change


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
        fields, before = first.subject.schema.fields, first.values
        changed = {
            name: absolute(fields[name], change, before.get(name)) for name, change in second.changes.items()
        }
        return first.with_values({**before, **changed})
    assert isinstance(first, SaveChange)
    return _saved(first, second)


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
    combined_change.assumed = {**second.assumed, **first.assumed}
    return combined_change


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
        earlier = combined_change.changes.get(name)
        combined_change.changes[name] = (
            _after(fields[name], earlier, change) if name in combined_change.changes else change
        )
    changed_attributes = {fields[name].attribute for name in first.changes}
    later = {name: value for name, value in second.assumed.items() if name not in changed_attributes}
    combined_change.assumed = {**later, **first.assumed}
    return combined_change


def _after(field: Field, first: object, second: object) -> object:
    """The change of a field that has the effect of two changes, one after the other."""
    if isinstance(first, CounterDelta) and isinstance(second, CounterDelta):
        return CounterDelta(first.amount + second.amount)
    if isinstance(first, SetDelta) and isinstance(second, SetDelta):
        return SetDelta(
            (first.added - second.removed) | second.added, (first.removed - second.added) | second.removed
        )
    if isinstance(second, Parts):
        if isinstance(first, Parts):
            return first.then(second)
        form = edited(form_of(field, first), second.edits)
        return None if form is None else field.from_dynamo(form)
    return absolute(field, second, first)
