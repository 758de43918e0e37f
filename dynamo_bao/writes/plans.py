"""Plans of writes: pure functions from what is known of an item to the actions that change it.

What a plan assumes about the stored item stands in its conditions; where an assumption proves wrong, the
write fails, nothing is written, and a new plan is made from the item as it really is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from attrs import Factory, define, evolve, frozen

from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.expressions.conditions import (
    Attribute,
    Compare,
    Condition,
    Exists,
    Negation,
    all_of,
)
from dynamo_bao.dynamodb.expressions.updates import Update
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import DERIVED, SEARCH_TEXT
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import DataFormatError
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.numeric import CounterField
from dynamo_bao.fields.sets import SetField
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.key_schema import IndexSchema, KeyComponent, UniqueConstraintSchema
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.writes.actions import NO_ATTRIBUTE, NOT_STORED, STORED, Action, WritePlan, check_update_size
from dynamo_bao.writes.document_changes import MAX_PATHS, Parts, PartsPlan, is_long


class ItemRef(NamedTuple):
    """The item a plan is about."""

    schema: Schema
    tenant: str | None
    identity: Identity


@define
class _PlanBuilder:
    """A plan in the making."""

    update: Update = Factory(Update)
    conditions: list[Condition] = Factory(list)
    guards: list[Action] = Factory(list)
    claims: list[tuple[str, Any] | None] = Factory(list)
    exact: bool = False

    def assume(self, field: Field, before: AttributeValue | None) -> None:
        """Conditions the write on the stored value of a field being `before`."""
        attribute = Attribute(str(field.attribute))
        self.conditions.append(
            Negation(Exists(attribute)) if before is None else Compare(attribute, "=", before)
        )


# --- create -----------------------------------------------------------------------------------------


def plan_create(
    subject: ItemRef, values: Mapping[str, Any], condition: Condition, item: Item | None = None
) -> WritePlan:
    """Puts a new item, and the guards of its unique values; an item with the key must not exist.

    Args:
        item: the item of the values, where it was made already.
    """
    schema = subject.schema
    if item is None:
        item = schema.item(subject.tenant, subject.identity, values)
    draft = _PlanBuilder()
    for constraint in schema.constraints.values():
        stored = item.get(str(constraint.field.attribute))
        if stored is not None:
            _claim(draft, subject, constraint, stored, values[constraint.field.name])
    put = Action("Put", subject.identity.key, all_of((NOT_STORED, condition)), item=item)
    return _finished(draft, put)


def _finished(draft: _PlanBuilder, main: Action, *, main_first: bool = False) -> WritePlan:
    if main_first:
        return WritePlan((main, *draft.guards), 0, (None, *draft.claims))
    return WritePlan((*draft.guards, main), len(draft.guards), (*draft.claims, None), draft.exact)


# --- guards of unique values --------------------------------------------------------------------------


def _owned(subject: ItemRef) -> Condition:
    return all_of(
        (
            Compare(Attribute("relatedId"), "=", {"S": subject.identity.primary_id}),
            Compare(Attribute("relatedModel"), "=", {"S": subject.schema.name}),
        )
    )


def _claim(
    draft: _PlanBuilder,
    subject: ItemRef,
    constraint: UniqueConstraintSchema,
    stored: AttributeValue,
    value: Any,
) -> None:
    """Takes a unique value, which must be free or this item's already."""
    key = constraint.guard_key(subject.tenant, stored)
    item: Item = {
        **key.as_item(),
        "uniqueValue": {"S": key.pk},
        "relatedId": {"S": subject.identity.primary_id},
        "relatedModel": {"S": subject.schema.name},
    }
    if subject.tenant is not None:
        item["_gsi_test_id"] = {"S": subject.tenant}
    draft.guards.append(Action("Put", key, NOT_STORED | _owned(subject), item=item))
    draft.claims.append((constraint.field.name, value))


def _free(
    draft: _PlanBuilder, subject: ItemRef, constraint: UniqueConstraintSchema, stored: AttributeValue | None
) -> None:
    """Gives back the unique value that is stored, if there is one; that its guard is gone already does no harm."""
    key = constraint.guard_of(subject.tenant, stored)
    if key is None:
        return
    draft.guards.append(Action("Delete", key, NOT_STORED | _owned(subject)))
    draft.claims.append(None)


# --- update -----------------------------------------------------------------------------------------


@frozen
class CounterDelta:
    """A change of a counter, relative to whatever is stored."""

    amount: int


@frozen
class SetDelta:
    """Members added to and taken out of a stored set."""

    added: frozenset[Any]
    removed: frozenset[Any]


def plan_update(
    subject: ItemRef,
    changes: Mapping[str, Any],
    known: StoredItem | None,
    condition: Condition,
    *,
    reindex: bool = False,
) -> WritePlan:
    """Changes fields of an item that must exist.

    Args:
        changes: by field name the new (accepted) value, None to remove it, or a `CounterDelta`, `SetDelta` or `Parts`.
        known: the item as it was read, if it was.
        condition: what else must hold.
        reindex: whether all index and iteration keys, and the guards, are written anew; needs `_instance_for`.
    """
    if not any(map(_is_parts, changes.values())):
        return _plan_update(subject, changes, known, condition, reindex, MAX_PATHS)
    for most in _FEWER_PATHS:
        plan = _plan_update(subject, changes, known, condition, reindex, most)
        if not plan.main_action.is_long(subject.schema):
            return plan
    return _plan_update(subject, changes, known, condition, reindex, 1)


_FEWER_PATHS = (MAX_PATHS, 40, 15, 5)
"""How many paths are tried, one number after the other, until the expressions are short enough."""


def _plan_update(
    subject: ItemRef,
    changes: Mapping[str, Any],
    known: StoredItem | None,
    condition: Condition,
    reindex: bool,
    most: int,
) -> WritePlan:
    """`plan_update` with so many paths into documents at most, where it is known what is stored."""
    schema, draft = subject.schema, _PlanBuilder()
    draft.conditions += [STORED, condition]
    _check_counters(subject, changes, known)
    changes = _with_indexed_counters(draft, schema, changes, known)
    _put_fields(draft, subject, changes, known, most)
    current = {**known.values, **changes} if reindex and known is not None else changes
    for index in schema.indexes.values():
        _put_index(draft, subject, index, current, known)
    if reindex and known is not None:
        _put_other_keys(draft, subject, changes, known)
    _put_search_text(draft, schema, changes, known, reindex)
    if known is not None:
        _put_constraints(draft, subject, changes, known, reindex)
    if draft.update.is_empty():
        draft.update.remove[NO_ATTRIBUTE] = None
    before = known.item if known is not None else subject.identity.key.as_item()
    check_update_size(schema.name, subject.identity.primary_id, before, draft.update)
    main = Action("Update", subject.identity.key, all_of(draft.conditions), update=draft.update)
    return _finished(draft, main)


def _check_counters(subject: ItemRef, changes: Mapping[str, Any], known: StoredItem | None) -> None:
    """Raises `DataFormatError` for an addition to what is no whole number."""
    for name, value in changes.items():
        if isinstance(value, CounterDelta) and known is not None and name not in known.values:
            stored = known.item[str(subject.schema.fields[name].attribute)]
            raise subject.schema.unreadable(subject.identity.primary_id, name, stored)


def _put_fields(
    draft: _PlanBuilder, subject: ItemRef, changes: Mapping[str, Any], known: StoredItem | None, most: int
) -> None:
    """Changes the fields' own attributes."""
    documents = list(filter(_is_parts, changes.values()))
    paths = sum(map(_edits_of, documents)) if documents else 0
    share = paths if paths <= most else max(1, most // len(documents))
    for name, value in changes.items():
        field = subject.schema.fields[name]
        if isinstance(value, CounterDelta):
            _put_delta(draft, field, value, known)
        elif isinstance(value, SetDelta):
            _put_members(draft, field, value, known)
        elif isinstance(value, Parts):
            _put_parts(draft, subject, field, value, None if known is None else known.item, share)
        else:
            draft.update.put(str(field.attribute), None if value is None else field.to_dynamo(value))


def _is_parts(value: Any) -> bool:
    return isinstance(value, Parts)


def _edits_of(parts: Parts) -> int:
    return len(parts.edits)


def _put_parts(
    draft: _PlanBuilder, subject: ItemRef, field: Field, parts: Parts, item: Item | None, most: int
) -> None:
    """Changes parts of a document, with at most so many paths."""
    model, key = subject.schema.name, subject.identity.primary_id
    try:
        PartsPlan(str(field.attribute), parts, item, most).into(draft.update, draft.conditions)
    except ValueError as error:
        raise DataFormatError(
            f"{model} {key}: a part of {field.name} cannot be changed: {error}; nothing was written. Give the field "
            f"whole, or correct the item.",
            model=model,
            key=key,
            field=field.name,
        ) from None


def _with_indexed_counters(
    draft: _PlanBuilder, schema: Schema, changes: Mapping[str, Any], known: StoredItem | None
) -> Mapping[str, Any]:
    """The changes with counters that are index keys as values, if they are still what was read.

    A key text cannot be added to, so such a counter is set, and planned again where somebody else was faster.
    """
    deltas = {name for name in indexed_names(schema) if isinstance(changes.get(name), CounterDelta)}
    if not deltas:
        return changes
    assert known is not None  # `needs_source` says so
    for name in deltas:
        draft.assume(schema.fields[name], known.item.get(str(schema.fields[name].attribute)))
    return {
        name: known.values[name] + value.amount if name in deltas else value
        for name, value in changes.items()
    }


def needs_source(schema: Schema, changes: Mapping[str, Any]) -> bool:
    """Whether a change by key must read the item first: for its unique values, search text or index keys."""
    return (
        any(constraint.field.name in changes for constraint in schema.constraints.values())
        or any(isinstance(changes.get(name), CounterDelta) for name in indexed_names(schema))
        or needs_search_sources(schema, changes)
        or is_long(changes)
    )


def _put_delta(draft: _PlanBuilder, field: Field, delta: CounterDelta, known: StoredItem | None) -> None:
    """Adds to a counter; one that is absent starts from its default."""
    attribute, start = str(field.attribute), field.missing_value() or 0
    if known is not None and attribute not in known.item and start:
        draft.update.put(attribute, {"N": str(start + delta.amount)})
        draft.assume(field, None)
        return
    if start:
        draft.conditions.append(Exists(Attribute(attribute)))
    draft.update.add[attribute] = {"N": str(delta.amount)}
    draft.exact = draft.exact or getattr(field, "exact", False)


def _put_members(draft: _PlanBuilder, field: Field, members: SetDelta, known: StoredItem | None) -> None:
    """Adds to or takes from a set; both together replace the set that was read, if it still is that one."""
    attribute = str(field.attribute)
    if members.added and members.removed:
        assert known is not None  # only an instance that was loaded has both
        before = known.values.get(field.name) or set()
        merged = (before | members.added) - members.removed
        draft.update.put(attribute, field.to_dynamo(merged))
        draft.assume(field, known.item.get(attribute))
    elif members.added:
        draft.update.add[attribute] = field.to_dynamo(members.added) or {}
    elif members.removed:
        draft.update.delete[attribute] = field.to_dynamo(members.removed) or {}


def _put_index(
    draft: _PlanBuilder,
    subject: ItemRef,
    index: IndexSchema,
    current: Mapping[str, Any],
    known: StoredItem | None,
) -> None:
    """Keeps an index's two key attributes true to their fields.

    Each of them depends on one field, so a change of one part writes that part only, on condition that the
    other is there (or is not, where the item is in no index). A part that becomes None removes both.
    """
    touched = [part for part in index.parts if part.field is not None and part.field.name in current]
    if not touched:
        return
    if any(part.text(current) is None for part in touched):
        draft.update.remove.update(dict.fromkeys((index.pk_name, index.sk_name)))
        return
    other = next((part for part in index.parts if part.field is not None and part not in touched), None)
    if other is None:
        draft.update.set_.update(index.keys(subject.tenant, current))
    else:
        _put_half(draft, subject, index, touched[0], other, current, known)


def _put_half(
    draft: _PlanBuilder,
    subject: ItemRef,
    index: IndexSchema,
    touched: KeyComponent,
    other: KeyComponent,
    changes: Mapping[str, Any],
    known: StoredItem | None,
) -> None:
    assert other.field is not None
    other_name = index.sk_name if other is index.sort else index.pk_name
    if known is not None and other_name not in known.item:
        draft.assume(other.field, known.item.get(str(other.field.attribute)))
        draft.update.set_.update(index.keys(subject.tenant, {**known.values, **changes}))
        return
    draft.conditions.append(Exists(Attribute(other_name)))
    text = touched.text(changes)
    assert text is not None
    if touched is index.partition:
        draft.update.set_[index.pk_name] = {"S": index.pk_text(subject.tenant, text)}
    else:
        draft.update.set_[index.sk_name] = {"S": index.sk_text(text)}


def _put_other_keys(
    draft: _PlanBuilder, subject: ItemRef, changes: Mapping[str, Any], known: StoredItem
) -> None:
    """Keys that no change of a field touches: of iteration, of the prefix alone, and those the model has no more.

    The values that keys are made of must still be those that were read.
    """
    schema = subject.schema
    for name in sorted(indexed_names(schema) - changes.keys()):
        draft.assume(schema.fields[name], known.item.get(str(schema.fields[name].attribute)))
    for index in schema.indexes.values():
        if all(part.field is None for part in index.parts):
            draft.update.set_.update(index.keys(subject.tenant, {}))
    if schema.iterable:
        draft.update.set_.update(schema.iteration_keys(subject.tenant, subject.identity.primary_id))
    gone = (known.item.keys() & DERIVED) - schema.derived_names
    draft.update.remove.update(dict.fromkeys(sorted(gone)))


def _put_search_text(
    draft: _PlanBuilder, schema: Schema, changes: Mapping[str, Any], known: StoredItem | None, reindex: bool
) -> None:
    """Keeps the search text true to its fields, on condition that those not changed here are as they were read."""
    names = schema.search.fields if schema.search is not None else ()
    touched = [name for name in names if name in changes]
    if not touched and not (reindex and names):
        return
    sources: Item = {}
    for name in names:
        field = schema.fields[name]
        if name in touched:
            value = changes[name]
            stored = None if value is None else field.to_dynamo(value)
        else:
            if known is None:
                raise AssertionError(f"{schema.name}: the search text needs {name!r}; read the item first")
            stored = known.item.get(str(field.attribute))
            draft.assume(field, stored)
        if stored is not None:
            sources[str(field.attribute)] = stored
    text = schema.search_text(sources)
    draft.update.put(SEARCH_TEXT, {"S": text} if text else None)


def _put_constraints(
    draft: _PlanBuilder, subject: ItemRef, changes: Mapping[str, Any], known: StoredItem, reindex: bool
) -> None:
    for constraint in subject.schema.constraints.values():
        field = constraint.field
        before = known.item.get(str(field.attribute))
        if field.name not in changes:
            if reindex and before is not None and constraint.guard_of(subject.tenant, before) is not None:
                _claim(draft, subject, constraint, before, known.values.get(field.name))
                draft.assume(field, before)
            continue
        value = changes[field.name]
        after = None if value is None else field.to_dynamo(value)
        draft.assume(field, before)  # the same value too, which may not be the one stored any more
        if same_stored(before, after):
            continue
        _free(draft, subject, constraint, before)
        if after is not None:
            _claim(draft, subject, constraint, after, value)


# --- delete -----------------------------------------------------------------------------------------


def plan_delete(subject: ItemRef, known: StoredItem | None, condition: Condition) -> WritePlan:
    """Deletes an item that must exist, and the guards of the unique values it is known to have."""
    draft = _PlanBuilder()
    draft.conditions += [STORED, condition]
    if known is not None:
        for constraint in subject.schema.constraints.values():
            before = known.item.get(str(constraint.field.attribute))
            draft.assume(constraint.field, before)
            _free(draft, subject, constraint, before)
    return _finished(draft, Action("Delete", subject.identity.key, all_of(draft.conditions)), main_first=True)


def plan_replace(gone: WritePlan, made: WritePlan) -> WritePlan:
    """Puts a new item in the place of a stored one, and takes and frees guards as both plans do.

    Args:
        gone: the plan of deleting the stored one.
        made: the plan of creating the new one.
    """
    main = evolve(made.main_action, condition=gone.main_action.condition)
    guards: dict[Key, tuple[Action, tuple[str, Any] | None]] = {}
    for plan in (gone, made):
        for number, action in enumerate(plan.actions):
            if number == plan.main:
                continue
            freed = guards.get(action.key)
            if freed is not None:
                action = evolve(action, condition=freed[0].condition | action.condition)
            guards[action.key] = (action, plan.constraints[number])
    actions = (main, *(action for action, _ in guards.values()))
    return WritePlan(actions, 0, (None, *(claim for _, claim in guards.values())))


# --- what a plan needs ------------------------------------------------------------------------------


def indexed_names(schema: Schema) -> frozenset[str]:
    """The fields that some index depends on."""
    parts = (part for index in schema.indexes.values() for part in index.parts)
    return frozenset(part.field.name for part in parts if part.field is not None)


def needs_known(schema: Schema, names: Iterable[str]) -> bool:
    """Whether changing these fields needs the item as it is stored: unique, versioned, counter, set, searched."""
    names = set(names)
    if needs_search_sources(schema, names):
        return True
    unique = {constraint.field.name for constraint in schema.constraints.values()}
    return schema.versioned or any(
        name in unique or isinstance(schema.fields[name], (CounterField, SetField)) for name in names
    )


def needs_search_sources(schema: Schema, names: Iterable[str]) -> bool:
    """Whether changing these fields needs other fields as they are stored, to make the search text anew."""
    sources = set(schema.search.fields) if schema.search is not None else set()
    return bool(sources.intersection(names)) and not sources.issubset(names)
