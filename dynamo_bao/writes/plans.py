"""Plans of writes: pure functions that return the actions for a change of an item.

The conditions of a plan state its assumptions about the stored item. If one is wrong, the write fails, nothing is
written, and the change is planned again from the stored item.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.expressions.conditions import (
    EMPTY,
    Condition,
    Contains,
    Exists,
    Negation,
    all_of,
    any_of,
    equality,
)
from dynamo_bao.dynamodb.expressions.paths import attribute_of
from dynamo_bao.dynamodb.expressions.updates import Update
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import DERIVED, SEARCH_TEXT
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import ConditionalError, DataFormatError, ValidationError, message_of
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.numeric import CounterField
from dynamo_bao.fields.sets import SetField, stored_members_of
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.key_schema import IndexSchema, KeyComponent, UniqueConstraintSchema
from dynamo_bao.mapping.schema import Schema, is_readable
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.runtime.foreign_errors import require_data_error
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.runtime.records import evolve, frozen
from dynamo_bao.writes.actions import (
    NO_ATTRIBUTE,
    NOT_STORED,
    NOTHING_ASSUMED,
    STORED,
    Action,
    Assumed,
    WritePlan,
    check_update_size,
    free_or_owned,
)
from dynamo_bao.writes.document_changes import MAX_PATHS, Parts, PartsPlan, is_long, left_by


class ItemRef(NamedTuple):
    """The item of a plan. Its text has the model and the key, for errors and traces."""

    schema: Schema
    tenant: str | None
    identity: Identity

    def __str__(self) -> str:
        return f"{self.schema.name} {self.identity.primary_id!r}"

    @property
    def names(self) -> dict[str, str]:
        """The model and the key, as arguments of errors."""
        return {"model": self.schema.name, "key": self.identity.primary_id}

    def exists_already(self, reason: str) -> ConditionalError:
        """The error for a new item whose key another item has."""
        return ConditionalError(f"{self} exists already: {reason}", operation="create", **self.names)


class _PlanBuilder:
    """Collects the parts of a plan."""

    __slots__ = ("claims", "conditions", "exact", "guards", "update")

    def __init__(self, condition: Condition = EMPTY) -> None:
        self.update = Update()
        self.conditions = [STORED] if condition is EMPTY else [STORED, condition]
        self.guards: list[Action] = []
        self.claims: list[tuple[str, object] | None] = []
        self.exact = False

    def assume(self, field: Field, before: AttributeValue | None) -> None:
        """Conditions the write on the stored value of a field being `before`."""
        self.conditions.append(equality(attribute_of(field.attribute), before))

    @property
    def condition(self) -> Condition:
        """All conditions of the write of the item."""
        return self.conditions[0] if len(self.conditions) == 1 else all_of(self.conditions)


# --- create -----------------------------------------------------------------------------------------


def plan_create(
    subject: ItemRef, values: Mapping[str, object], condition: Condition, item: Item | None = None
) -> WritePlan:
    """Puts a new item, and the guards of its unique values. An item with the key must not exist.

    Args:
        item: the item of the values, if it is built already.
    """
    schema = subject.schema
    if item is None:
        item = schema.item(subject.tenant, subject.identity, values)
    draft = _PlanBuilder()
    for constraint in schema.constraints.values():
        stored = item.get(constraint.field.attribute)
        if stored is not None:
            _claim(draft, subject, constraint, stored, values[constraint.field.name])
    new = NOT_STORED if condition is EMPTY else NOT_STORED & condition
    put = Action("Put", subject.identity.key, new, item=item)
    return _finished(draft, put)


def _finished(draft: _PlanBuilder, main: Action, *, main_first: bool = False) -> WritePlan:
    if not draft.guards:
        return WritePlan((main,), 0, (None,), draft.exact)
    if main_first:
        return WritePlan((main, *draft.guards), 0, (None, *draft.claims))
    return WritePlan((*draft.guards, main), len(draft.guards), (*draft.claims, None), draft.exact)


# --- guards of unique values --------------------------------------------------------------------------


def _claim(
    draft: _PlanBuilder,
    subject: ItemRef,
    constraint: UniqueConstraintSchema,
    stored: AttributeValue,
    value: Any,
) -> None:
    """Claims a unique value. It must be free, or belong to this item."""
    key = constraint.guard_key(subject.tenant, stored)
    item: Item = {
        **key.as_item(),
        "uniqueValue": {"S": key.pk},
        "relatedId": {"S": subject.identity.primary_id},
        "relatedModel": {"S": subject.schema.name},
    }
    if subject.tenant is not None:
        item["_gsi_test_id"] = {"S": subject.tenant}
    guard = free_or_owned(subject.identity.primary_id, subject.schema.name)
    draft.guards.append(Action("Put", key, guard.condition, item=item, guard=guard))
    draft.claims.append((constraint.field.name, value))


def _free(
    draft: _PlanBuilder, subject: ItemRef, constraint: UniqueConstraintSchema, stored: AttributeValue | None
) -> None:
    """Releases the stored unique value, if there is one. It does not matter if its guard is missing."""
    key = constraint.guard_of(subject.tenant, stored)
    if key is None:
        return
    guard = free_or_owned(subject.identity.primary_id, subject.schema.name)
    draft.guards.append(Action("Delete", key, guard.condition, guard=guard))
    draft.claims.append(None)


# --- update -----------------------------------------------------------------------------------------


@frozen
class CounterDelta:
    """A change of a counter, relative to the stored number."""

    amount: int

    @classmethod
    def by(cls, field: Field, amount: object) -> CounterDelta:
        """The change of a counter by an amount of the program. None is no amount, also for optional counters.

        Raises:
            ValidationError: if it is not a whole number.
        """
        if amount is None:
            raise field.error(
                "needs an amount to add, as in views=1; to remove the value, update it to None", None
            )
        return cls(field.accept(amount))

    def after(self, field: Field, before: int | None) -> int:
        """The number after the change. A counter without a value starts from its default, or from 0."""
        return (_start_of(field) if before is None else before) + self.amount


def _start_of(field: Field) -> int:
    return field.missing_value() or 0


@frozen
class SetDelta:
    """Members to add to a stored set, and members to remove from it."""

    added: frozenset[Any]
    removed: frozenset[Any]


RELATIVE_KINDS = frozenset((CounterDelta, SetDelta, Parts))
"""The kinds of changes that can be relative."""


def plan_update(
    subject: ItemRef,
    changes: Mapping[str, object],
    stored_item: StoredItem | None,
    condition: Condition,
    assumed: Assumed = NOTHING_ASSUMED,
    *,
    reindex: bool = False,
) -> WritePlan:
    """Changes fields of an item that must exist.

    Args:
        changes: by field name the new (validated) value, None to remove it, or a `CounterDelta`, `SetDelta` or
            `Parts`.
        stored_item: the item as it was read, or None if it was not.
        condition, assumed: what else must hold of the stored item.
        reindex: whether all index and iteration keys and all guards are written again. It needs `stored_item`.
    """
    plan = _plan_update(subject, changes, stored_item, condition, assumed, reindex, MAX_PATHS)
    update = plan.actions[plan.main].update
    if update is None or not update.parts:
        return plan
    for max_paths in _FEWER_PATHS:
        if not plan.main_action.is_long(subject.schema):
            break
        plan = _plan_update(subject, changes, stored_item, condition, assumed, reindex, max_paths)
    return plan


_FEWER_PATHS = (40, 15, 5, 1)
"""Numbers of paths to try, one after the other, until the expressions are short enough."""


def _plan_update(
    subject: ItemRef,
    changes: Mapping[str, object],
    stored_item: StoredItem | None,
    condition: Condition,
    assumed: Assumed,
    reindex: bool,
    max_paths: int,
) -> WritePlan:
    """`plan_update` with at most `max_paths` paths into documents, if the stored item is known."""
    schema, draft = subject.schema, _PlanBuilder(condition)
    is_source = reindex or not schema.source_names.isdisjoint(changes)
    if is_source:
        changes = _with_indexed_counters(draft, subject, changes, stored_item)
    _put_fields(draft, subject, changes, stored_item, max_paths)
    if is_source:
        _put_derived(draft, subject, changes, stored_item, reindex)
    update, key = draft.update, subject.identity.key
    if not update.set_ and update.is_empty():
        update.remove[NO_ATTRIBUTE] = None
    before = stored_item.item if stored_item is not None else key.as_item()
    check_update_size(schema.name, subject.identity.primary_id, before, update)
    return _finished(draft, Action("Update", key, draft.condition, None, update, assumed))


def _put_derived(
    draft: _PlanBuilder,
    subject: ItemRef,
    changes: Mapping[str, object],
    stored_item: StoredItem | None,
    reindex: bool,
) -> None:
    """Changes the attributes and the guards that follow from the changed fields; with `reindex`, all of them."""
    schema = subject.schema
    current = {**stored_item.values, **changes} if reindex and stored_item is not None else changes
    for index in schema.indexes.values():
        if not index.field_names.isdisjoint(current):
            _put_index(draft, subject, index, current, stored_item)
    if reindex and stored_item is not None:
        _put_other_keys(draft, subject, changes, stored_item)
    _put_search_text(draft, schema, changes, stored_item, reindex)
    if stored_item is not None:
        _put_constraints(draft, subject, changes, stored_item, reindex)


def _require_counter(subject: ItemRef, name: str, stored_item: StoredItem | None) -> None:
    """Raises `DataFormatError` if the stored value of a counter is not a whole number."""
    if stored_item is not None and name not in stored_item.values:
        stored = stored_item.item[subject.schema.fields[name].attribute]
        raise subject.schema.unreadable(subject.identity.primary_id, name, stored)


def _put_fields(
    draft: _PlanBuilder,
    subject: ItemRef,
    changes: Mapping[str, Any],
    stored_item: StoredItem | None,
    max_paths: int,
) -> None:
    """Changes the attributes of the fields themselves."""
    fields, update = subject.schema.fields, draft.update
    for name, value in changes.items():
        field, kind = fields[name], type(value)
        if kind not in RELATIVE_KINDS:
            stored = None if value is None else field.to_dynamo(value)
            if stored is None:
                update.remove[field.attribute] = None
            else:
                update.set_[field.attribute] = stored
        elif kind is CounterDelta:
            _require_counter(subject, name, stored_item)
            _put_delta(draft, field, value, stored_item)
        elif kind is SetDelta:
            _put_members(draft, field, value, stored_item)
        else:
            item = None if stored_item is None else stored_item.item
            _put_parts(draft, subject, field, value, item, _share_of_paths(changes, max_paths))


def _share_of_paths(changes: Mapping[str, object], max_paths: int) -> int:
    """How many paths each changed document may have, if all of them together may have `max_paths`."""
    numbers = [len(value.edits) for value in changes.values() if type(value) is Parts]
    return sum(numbers) if sum(numbers) <= max_paths else max(1, max_paths // len(numbers))


def _put_parts(
    draft: _PlanBuilder, subject: ItemRef, field: Field, parts: Parts, item: Item | None, max_paths: int
) -> None:
    """Changes parts of a document, with at most `max_paths` paths."""
    model, key = subject.schema.name, subject.identity.primary_id
    try:
        PartsPlan(field.attribute, parts, item, max_paths).into(draft.update, draft.conditions)
        after = None
        if parts.checks_result and item is not None:
            after = left_by(parts, item.get(field.attribute))
    except ValueError as error:
        raise DataFormatError(
            f"{model} {key}: a part of {field.name} cannot be changed: {message_of(error)}; nothing was "
            f"written. Give the field whole, or correct the item.",
            model=model,
            key=key,
            field=field.name,
        ) from None
    if after is not None:
        _check_result(subject, field, item or {}, after)


def _check_result(subject: ItemRef, field: Field, item: Item, after: AttributeValue) -> None:
    """Raises `ValidationError` for a document that could not be read any more after a change of its parts."""
    try:
        field.from_dynamo(after)
    except Exception as error:
        require_data_error(error)
        if not is_readable(field, item.get(field.attribute)):
            return  # it could not be read before either
        name = f"{subject.schema.name}.{field.name}"
        raise ValidationError(
            f"{name}: the change would leave a value that its classes refuse: {message_of(error)}", field.name
        ) from error


def _with_indexed_counters(
    draft: _PlanBuilder, subject: ItemRef, changes: Mapping[str, Any], stored_item: StoredItem | None
) -> Mapping[str, object]:
    """The changes, with new values instead of deltas for counters that are index keys or unique.

    DynamoDB cannot add to the text of a key. So the plan sets such a counter, on condition that it is still the one
    that was read.
    """
    schema = subject.schema
    names = schema.indexed_names | schema.unique_names
    deltas = {name for name in names if isinstance(changes.get(name), CounterDelta)}
    if not deltas:
        return changes
    assert stored_item is not None  # `needs_source` says so
    for name in deltas:
        _require_counter(subject, name, stored_item)
        draft.assume(schema.fields[name], stored_item.item.get(schema.fields[name].attribute))
    return {
        name: value.after(schema.fields[name], stored_item.values[name]) if name in deltas else value
        for name, value in changes.items()
    }


def needs_source(schema: Schema, changes: Mapping[str, object]) -> bool:
    """Whether a change by key must read the item first.

    Its unique values, search text and index keys may follow from other fields, and a class may check its members.
    """
    if not schema.source_names.isdisjoint(changes) and (
        not schema.unique_names.isdisjoint(changes)
        or any(isinstance(changes.get(name), CounterDelta) for name in schema.indexed_names)
        or needs_search_sources(schema, changes)
    ):
        return True
    if any(type(change) is Parts and change.checks_result for change in changes.values()):
        return True
    return is_long(changes) or any(
        type(change) is SetDelta and len(_unsure_members(schema.fields[name], change)) > _MAX_UNSURE_MEMBERS
        for name, change in changes.items()
    )


def _put_delta(
    draft: _PlanBuilder, field: Field, delta: CounterDelta, stored_item: StoredItem | None
) -> None:
    """Adds to a counter. DynamoDB can neither start from a default nor add to NULL, so such a counter is set."""
    attribute, start = field.attribute, _start_of(field)
    is_missing = stored_item is not None and attribute not in stored_item.item
    if (is_missing and start) or _is_null(stored_item, field):
        draft.update.put(attribute, {"N": str(start + delta.amount)})
        draft.assume(field, None if is_missing else {"NULL": True})
        return
    if start:
        draft.conditions.append(Exists(attribute_of(attribute)))
    draft.update.add[attribute] = {"N": str(delta.amount)}
    draft.exact = draft.exact or getattr(field, "exact", False)


def _is_null(stored_item: StoredItem | None, field: Field) -> bool:
    """Whether an optional field is stored as NULL, to which DynamoDB adds nothing."""
    return field.nullable and stored_item is not None and "NULL" in stored_item.item.get(field.attribute, ())


def _put_members(
    draft: _PlanBuilder, field: Field, members: SetDelta, stored_item: StoredItem | None
) -> None:
    """Adds members to a set, or removes members.

    One update cannot do both, or add to NULL. So the plan then replaces the set, on condition that it is the one that
    was read. Members that another program may have written otherwise are removed on condition that they are stored in
    the usual form. If they are not, the next plan has their stored form.
    """
    attribute = field.attribute
    if (members.added and members.removed) or _is_null(stored_item, field):
        assert stored_item is not None  # only a loaded instance can have both
        before = stored_item.values.get(field.name) or set()
        merged = (before | members.added) - members.removed
        draft.update.put(attribute, _as_stored(field, merged, stored_item))
        draft.assume(field, stored_item.item.get(attribute))
    elif members.added:
        draft.update.add[attribute] = field.to_dynamo(members.added) or {}
    elif members.removed:
        draft.update.delete[attribute] = _as_stored(field, members.removed, stored_item) or {}
        unsure = _unsure_members(field, members) if stored_item is None else ()
        if unsure:
            target = attribute_of(attribute)
            contained = all_of(Contains(target, member) for member in unsure)
            draft.conditions.append(any_of((Negation(Exists(target)), contained)))


_MAX_UNSURE_MEMBERS = 50
"""The most members that a condition checks. To remove more of them by key, the item is read first."""


def _unsure_members(field: Field, members: SetDelta) -> list[AttributeValue]:
    """The usual stored forms of removed members that another program may have written otherwise."""
    if not (isinstance(field, SetField) and field.may_be_written_otherwise):
        return []
    return stored_members_of(field.to_dynamo(members.removed) or {"NULL": True})


def _as_stored(field: Field, members: Any, stored_item: StoredItem | None) -> AttributeValue | None:
    """The stored form of a set, with the members that are stored already as they are stored."""
    form = field.to_dynamo(members)
    stored = None if stored_item is None else stored_item.item.get(field.attribute)
    if form is None or stored is None or not (isinstance(field, SetField) and is_readable(field, stored)):
        return form
    return field.with_stored_members(form, stored)


def _put_index(
    draft: _PlanBuilder,
    subject: ItemRef,
    index: IndexSchema,
    current: Mapping[str, object],
    stored_item: StoredItem | None,
) -> None:
    """Updates the two key attributes of an index for its fields.

    Each attribute depends on one field. So a change of one field writes one attribute, on condition that the other
    exists, or that its field has no value. A field that becomes None removes both.
    """
    changed_parts = [part for part in index.parts if part.field is not None and part.field.name in current]
    if any(part.text(current) is None for part in changed_parts):
        draft.update.remove.update(dict.fromkeys((index.pk_name, index.sk_name)))
        return
    other_part = next(
        (part for part in index.parts if part.field is not None and part not in changed_parts), None
    )
    if other_part is None:
        draft.update.set_.update(index.keys(subject.tenant, current))
    else:
        _put_half(draft, subject, index, changed_parts[0], other_part, current, stored_item)


def _put_half(
    draft: _PlanBuilder,
    subject: ItemRef,
    index: IndexSchema,
    changed_part: KeyComponent,
    other_part: KeyComponent,
    changes: Mapping[str, object],
    stored_item: StoredItem | None,
) -> None:
    assert other_part.field is not None
    other_name = index.sk_name if other_part is index.sort else index.pk_name
    if stored_item is not None and other_name not in stored_item.item:
        draft.assume(other_part.field, stored_item.item.get(other_part.field.attribute))
        draft.update.set_.update(index.keys(subject.tenant, {**stored_item.values, **changes}))
        return
    draft.conditions.append(Exists(attribute_of(other_name)))
    text = changed_part.text(changes)
    assert text is not None
    if changed_part is index.partition:
        draft.update.set_[index.pk_name] = {"S": index.pk_text(subject.tenant, text)}
    else:
        draft.update.set_[index.sk_name] = {"S": index.sk_text(text)}


def _put_other_keys(
    draft: _PlanBuilder, subject: ItemRef, changes: Mapping[str, object], stored_item: StoredItem
) -> None:
    """Writes the keys that do not depend on changed fields, and removes those of former indexes.

    The values in the keys must still be those that were read.
    """
    schema = subject.schema
    for name in sorted(schema.indexed_names - changes.keys()):
        draft.assume(schema.fields[name], stored_item.item.get(schema.fields[name].attribute))
    for index in schema.indexes.values():
        if all(part.field is None for part in index.parts):
            draft.update.set_.update(index.keys(subject.tenant, {}))
    if schema.iterable:
        draft.update.set_.update(schema.iteration_keys(subject.tenant, subject.identity.primary_id))
    unused = (stored_item.item.keys() & DERIVED) - schema.derived_names
    draft.update.remove.update(dict.fromkeys(sorted(unused)))


def _put_search_text(
    draft: _PlanBuilder,
    schema: Schema,
    changes: Mapping[str, object],
    stored_item: StoredItem | None,
    reindex: bool,
) -> None:
    """Updates the search text, on condition that its other fields are still as they were read."""
    names = schema.search.fields if schema.search is not None else ()
    changed_names = [name for name in names if name in changes]
    if not changed_names and not (reindex and names):
        return
    sources: Item = {}
    for name in names:
        field = schema.fields[name]
        if name in changed_names:
            value = changes[name]
            stored = None if value is None else field.to_dynamo(value)
        else:
            if stored_item is None:
                raise AssertionError(f"{schema.name}: the search text needs {name!r}; read the item first")
            stored = stored_item.item.get(field.attribute)
            draft.assume(field, stored)
        if stored is not None:
            sources[field.attribute] = stored
    text = schema.search_text(sources)
    draft.update.put(SEARCH_TEXT, {"S": text} if text else None)


def _put_constraints(
    draft: _PlanBuilder,
    subject: ItemRef,
    changes: Mapping[str, object],
    stored_item: StoredItem,
    reindex: bool,
) -> None:
    for constraint in subject.schema.constraints.values():
        field = constraint.field
        before = stored_item.item.get(field.attribute)
        if field.name not in changes:
            if reindex and before is not None and constraint.guard_of(subject.tenant, before) is not None:
                _claim(draft, subject, constraint, before, stored_item.values.get(field.name))
                draft.assume(field, before)
            continue
        value = changes[field.name]
        after = None if value is None else field.to_dynamo(value)
        draft.assume(field, before)  # also for an equal value: the stored one may have changed
        if same_stored(before, after):
            continue
        guard = None if after is None else constraint.guard_key(subject.tenant, after)
        if guard is None or guard != constraint.guard_of(subject.tenant, before):  # else one guard for both
            _free(draft, subject, constraint, before)
        if after is not None:
            _claim(draft, subject, constraint, after, value)


# --- delete -----------------------------------------------------------------------------------------


def plan_delete(
    subject: ItemRef,
    stored_item: StoredItem | None,
    condition: Condition,
    assumed: Assumed = NOTHING_ASSUMED,
) -> WritePlan:
    """Deletes an item that must exist, and the guards of its unique values as far as the item is known."""
    draft = _PlanBuilder(condition)
    if stored_item is not None:
        for constraint in subject.schema.constraints.values():
            before = stored_item.item.get(constraint.field.attribute)
            draft.assume(constraint.field, before)
            _free(draft, subject, constraint, before)
    delete = Action("Delete", subject.identity.key, draft.condition, assumed=assumed)
    return _finished(draft, delete, main_first=True)


def plan_replace(deletion: WritePlan, creation: WritePlan) -> WritePlan:
    """Replaces a stored item by a new one, and claims and releases guards as both plans do.

    Args:
        deletion: the plan that deletes the stored item.
        creation: the plan that creates the new one.
    """
    deleting = deletion.main_action
    main = evolve(creation.main_action, condition=deleting.condition, assumed=deleting.assumed)
    guards: dict[Key, tuple[Action, tuple[str, object] | None]] = {}
    for plan in (deletion, creation):
        for number, action in enumerate(plan.actions):
            if number == plan.main:
                continue
            release = guards.get(action.key)
            if release is not None:
                action = evolve(action, condition=release[0].condition | action.condition)
            guards[action.key] = (action, plan.constraints[number])
    actions = (main, *(action for action, _ in guards.values()))
    return WritePlan(actions, 0, (None, *(claim for _, claim in guards.values())))


# --- the needs of a plan ------------------------------------------------------------------------------


def needs_known(schema: Schema, names: Collection[str]) -> bool:
    """Whether changing these fields needs the stored item: for unique, versioned, counter, set or search fields."""
    return (
        schema.version_field is not None
        or needs_search_sources(schema, names)
        or not schema.unique_names.isdisjoint(names)
        or any(isinstance(schema.fields[name], (CounterField, SetField)) for name in names)
    )


def needs_search_sources(schema: Schema, names: Collection[str]) -> bool:
    """Whether the search text after changing these fields needs the stored values of others."""
    return not schema.search_names.isdisjoint(names) and not schema.search_names.issubset(names)
