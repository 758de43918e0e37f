"""Changes by key as callers give them: fields and paths with values, turned into what is planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from dynamo_bao.dynamodb.document_diff import Edit
from dynamo_bao.dynamodb.expressions.paths import PathLike, Steps, shown, steps_of
from dynamo_bao.dynamodb.expressions.update_values import (
    AddMembers,
    Append,
    ChangeValue,
    DropMembers,
    IfMissing,
    Increment,
    Prepend,
    Remove,
)
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import QueryError, UnknownFieldError, ValidationError, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.containers import ListField
from dynamo_bao.fields.documents import AnythingField
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.fields.numeric import CounterField, DecimalField, FloatField, IntegerField, NumberField
from dynamo_bao.fields.sets import SetField
from dynamo_bao.fields.text import VersionField
from dynamo_bao.mapping.schema import Schema, part_of
from dynamo_bao.writes.document_changes import FieldShape, Parts
from dynamo_bao.writes.plans import CounterDelta, SetDelta, indexed_names

_NUMBERS = (IntegerField, FloatField, DecimalField, NumberField)
_ANYTHING = AnythingField().bind("", "", "")


def accepted_changes(schema: Schema, given: Mapping[Any, Any]) -> dict[str, Any]:
    """Changes by field name: accepted values, None for what is removed, `CounterDelta`, `SetDelta` or `Parts`.

    Args:
        given: by field name, path, or `FieldPath` the new value or a `ChangeValue`.

    Raises:
        UnknownFieldError: for a name that is no field.
        ValidationError: for a key field, or values that fields refuse; all of these are told.
        QueryError: for a path that leads nowhere, a value object that does not go there, or two changes of which one
            is inside the other.
    """
    steps = [_checked_steps(schema, key) for key in given]
    if len(steps) > 1:
        _check_apart(schema, steps)
    whole: dict[str, Any] = {}
    found: dict[str, Any] = {}
    edits: dict[str, list[Edit]] = {}
    for (name, *inner), value in zip(steps, given.values(), strict=True):
        field = schema.fields[str(name)]
        if inner:
            edits.setdefault(field.name, []).append(_edit_inside(schema, field, tuple(inner), value))
        elif isinstance(value, ChangeValue):
            found[field.name] = _changed_field(schema, field, value)
        elif isinstance(value, CounterDelta):
            found[field.name] = value
        else:
            whole[field.name] = value
    parts = {name: Parts(tuple(some), FieldShape(schema.fields[name])) for name, some in edits.items()}
    return {**schema.accept_all(whole, list(whole)), **found, **parts}


def _checked_steps(schema: Schema, key: object) -> Steps:
    """The steps of a path to something that can be changed."""
    given = key.steps if isinstance(key, PathLike) else key
    steps = (given,) if isinstance(given, str) and given in schema.fields else steps_of(given)
    name = str(steps[0])
    if name not in schema.fields:
        raise UnknownFieldError(
            f"{schema.name} has no field {name!r}.{suggestion(name, schema.fields)}", name
        )
    if name in schema.key_names:
        raise ValidationError(
            f"{schema.name}.{name} is part of the key and cannot be changed; create() a new item, delete() this one.",
            name,
        )
    return steps


def _check_apart(schema: Schema, paths: Iterable[Steps]) -> None:
    """Refuses two changes of the same part, or of which one is inside the other."""
    known: list[Steps] = []
    for steps in sorted(paths, key=len):
        other = next((one for one in known if one == steps[: len(one)]), None)
        if other is not None:
            same = "twice" if other == steps else f"and {shown(steps)} inside it"
            raise QueryError(
                f"{schema.name}: {shown(other)} is changed {same}; give each part once.", field=str(steps[0])
            )
        known.append(steps)


# --- fields -----------------------------------------------------------------------------------------------


def _changed_field(schema: Schema, field: Field, change: ChangeValue) -> Any:
    """What a value object does to a whole field."""
    if isinstance(change, Remove):
        return _removed(field)
    _check_plain(schema, field, change)
    if isinstance(change, (AddMembers, DropMembers)):
        if not isinstance(field, SetField):
            raise _misplaced(schema, (field.name,), change, "set fields only")
        members = frozenset(field.accept(set(change.members)))
        return (
            SetDelta(members, frozenset())
            if isinstance(change, AddMembers)
            else SetDelta(frozenset(), members)
        )
    if isinstance(change, Increment) and isinstance(field, CounterField):
        return CounterDelta(field.accept(change.amount))
    edit = _edit(schema, (field.name,), field, change)
    return Parts((edit,), FieldShape(field))


def _removed(field: Field) -> None:
    """None, for a field that can do without a value."""
    if not (field.nullable or field.missing_value() is not None):
        field.accept(None)


def _check_plain(schema: Schema, field: Field, change: ChangeValue) -> None:
    """Refuses a value object for a field that other attributes or items are made of."""
    sources = set(schema.search.fields) if schema.search is not None else set()
    unique = {constraint.field.name for constraint in schema.constraints.values()}
    if field.name in sources | unique | indexed_names(schema) or isinstance(field, VersionField):
        hint = " increment() can add to a counter of an index." if isinstance(field, CounterField) else ""
        raise QueryError(
            f"{schema.name}.{field.name}: {type(change).__name__} cannot be used for unique, versioned, searchable or "
            f"indexed fields; give a plain value, or Remove().{hint}",
            field=field.name,
        )


# --- parts of documents ----------------------------------------------------------------------------------


def _edit_inside(schema: Schema, owner: Field, inner: Steps, value: Any) -> Edit:
    """What a value, or a value object, does to a part of a document."""
    for step in inner:
        is_position = isinstance(step, int) and not isinstance(step, bool) and step >= 0
        if not (is_position or (isinstance(step, str) and step)):
            raise QueryError(
                f"{schema.name}.{owner.name}: {step!r} is no name or position.", field=owner.name
            )
    part, path = part_of(owner, inner), (owner.name, *inner)
    if isinstance(value, Remove):
        _check_removable(schema, owner, inner)
    if isinstance(value, (AddMembers, DropMembers)):
        raise _misplaced(schema, path, value, "fields that are sets, not for sets inside of documents")
    if isinstance(value, ChangeValue):
        return _edit(schema, path, part, value)
    return Edit(inner, "set", _stored(schema, path, part, value))


def _edit(schema: Schema, path: Steps, part: Field | None, change: ChangeValue) -> Edit:
    steps = path[1:]
    if isinstance(change, Remove):
        return Edit(steps, "remove")
    if isinstance(change, IfMissing):
        return Edit(steps, "if_missing", _stored(schema, path, part, change.value))
    if isinstance(change, Increment):
        if part is not None and not isinstance(part, (*_NUMBERS, AnythingField)):
            raise _misplaced(schema, path, change, "numbers only")
        return Edit(steps, "increment", _amount(schema, path, part, change.amount))
    assert isinstance(change, (Append, Prepend))
    if part is not None and (
        not isinstance(part, (ListField, AnythingField)) or getattr(part, "places", None) is not None
    ):
        raise _misplaced(schema, path, change, "lists only")
    inner = None if part is None or isinstance(part, AnythingField) else part.inside(0)
    members = [_stored(schema, (*path, place), inner, value) for place, value in enumerate(change.values)]
    return Edit(steps, "append" if isinstance(change, Append) else "prepend", {"L": members})


def _amount(schema: Schema, path: Steps, part: Field | None, amount: object) -> AttributeValue:
    """The stored form of what is added to a number, which need not keep to the bounds of the sum."""
    is_whole = isinstance(amount, int) and not isinstance(amount, bool)
    if not (is_whole or isinstance(amount, (float, Decimal))) or isinstance(amount, bool):
        raise ValidationError(f"{schema.name}.{shown(path)}: Increment takes a number.", shown(path), amount)
    if isinstance(part, IntegerField) and not is_whole:
        raise ValidationError(
            f"{schema.name}.{shown(path)}: Increment takes an int here.", shown(path), amount
        )
    return _stored(schema, path, None, amount)


def _stored(schema: Schema, path: Steps, part: Field | None, value: Any) -> AttributeValue:
    """The stored form of a value for a part of a document."""
    field = _ANYTHING if part is None else part
    if field.name == path[0] and len(path) == 1:
        return field.store_part(field.accept(value))
    try:
        return field.store_part(field.accept(value))
    except ValueError as error:
        text = getattr(error, "why", None) or str(error).lstrip(". ")
        raise ValidationError(f"{schema.name}.{shown(path)} {text}", shown(path), value) from error


def _check_removable(schema: Schema, owner: Field, inner: Steps) -> None:
    """Refuses to take a member out of an object that could not be read without it."""
    around = owner if len(inner) == 1 else part_of(owner, inner[:-1])
    member = around.members.get(str(inner[-1])) if isinstance(around, NestedField) else None
    if (
        member is not None
        and member.is_needed
        and not (member.field.nullable or isinstance(member.field, SetField))
    ):
        path = shown((owner.name, *inner))
        raise ValidationError(f"{schema.name}.{path} is needed and cannot be removed; give it a value.", path)


def _misplaced(schema: Schema, path: Steps, change: ChangeValue, where: str) -> QueryError:
    return QueryError(
        f"{schema.name}.{shown(path)}: {type(change).__name__} is for {where}.", field=str(path[0])
    )
