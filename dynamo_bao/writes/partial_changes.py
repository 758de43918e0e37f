"""Reads the changes of an update by key: fields and paths with values become changes that can be planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from dynamo_bao.dynamodb.document_diff import Edit
from dynamo_bao.dynamodb.expressions.paths import PathLike, Steps, path_text, steps_of
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
from dynamo_bao.errors import QueryError, UnknownFieldError, ValidationError, message_of, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.containers import ListField, UnionField, has_fixed_length
from dynamo_bao.fields.documents import AnythingField
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.fields.numeric import CounterField, DecimalField, FloatField, IntegerField, NumberField
from dynamo_bao.fields.sets import SetField
from dynamo_bao.fields.text import VersionField
from dynamo_bao.mapping.schema import Schema, check_steps, part_of
from dynamo_bao.mapping.snapshots import form_of
from dynamo_bao.writes.document_changes import FieldShape, Parts
from dynamo_bao.writes.plans import CounterDelta, SetDelta

_NUMBERS = (IntegerField, FloatField, DecimalField, NumberField)
_ANY_FIELD = AnythingField().bind("", "", "")


def accepted_changes(schema: Schema, changes: Mapping[Any, Any]) -> dict[str, object]:
    """The changes by field name: validated values, None to remove one, `CounterDelta`, `SetDelta` or `Parts`.

    Args:
        changes: by field name, path or `FieldPath` the new value or a `ChangeValue`.

    Raises:
        UnknownFieldError: for a name that is not a field.
        ValidationError: for a key field, or for values that fields refuse. It names all of these.
        QueryError: for a path that leads nowhere, a value object of the wrong kind, or two changes of the same part.
    """
    paths = [_checked_steps(schema, key) for key in changes]
    if len(paths) > 1:
        _check_apart(schema, paths)
    values: dict[str, Any] = {}
    deltas: dict[str, Any] = {}
    edits: dict[str, list[Edit]] = {}
    for steps, value in zip(paths, changes.values(), strict=True):
        name = str(steps[0])
        if len(steps) > 1:
            edit = _edit_inside(schema, schema.fields[name], steps[1:], value)
            edits.setdefault(name, []).append(edit)
        elif isinstance(value, ChangeValue):
            deltas[name] = _changed_field(schema, schema.fields[name], value)
        elif isinstance(value, CounterDelta):
            deltas[name] = value
        else:
            values[name] = value
    accepted = schema.accept_all(values, values) if values else {}
    accepted.update(deltas)
    for name, group in edits.items():
        field = schema.fields[name]
        runs_code = any(_runs_code(field, edit.steps) for edit in group)
        accepted[name] = Parts(tuple(group), FieldShape(field), checks_result=runs_code)
    return accepted


def _checked_steps(schema: Schema, key: object) -> Steps:
    """The steps of a path to a part that can be changed."""
    path = key.steps if isinstance(key, PathLike) else key
    steps = (path,) if isinstance(path, str) and path in schema.fields else steps_of(path)
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
    """Raises `QueryError` for two changes of the same part, or for one change inside another."""
    checked: list[Steps] = []
    for steps in sorted(paths, key=len):
        other = next((outer for outer in checked if outer == steps[: len(outer)]), None)
        if other is not None:
            same = "twice" if other == steps else f"and {path_text(steps)} inside it"
            raise QueryError(
                f"{schema.name}: {path_text(other)} is changed {same}; give each part once.",
                field=str(steps[0]),
            )
        checked.append(steps)


# --- fields -----------------------------------------------------------------------------------------------


def _changed_field(schema: Schema, field: Field, change: ChangeValue) -> Any:
    """The change of a whole field by a value object."""
    if isinstance(change, Remove):
        return _removed(field)
    _check_plain(schema, field, change)
    if isinstance(change, (AddMembers, DropMembers)):
        if not isinstance(field, SetField):
            raise _misplaced(schema, (field.name,), change, "set fields only")
        if not field.is_native:
            remedy = "load the object, change its set and save it"
            raise _misplaced(schema, (field.name,), change, f"sets of texts, numbers or bytes; {remedy}")
        members = frozenset(field.accept(set(change.members)))
        return (
            SetDelta(members, frozenset())
            if isinstance(change, AddMembers)
            else SetDelta(frozenset(), members)
        )
    if isinstance(change, Increment) and isinstance(field, CounterField):
        return CounterDelta.by(field, change.amount)
    edit = _edit(schema, (field.name,), field, change)
    return Parts((edit,), FieldShape(field))


def _removed(field: Field) -> None:
    """None, which removes a value. Raises ValidationError if the field requires one."""
    if not (field.nullable or field.missing_value() is not None):
        field.accept(None)


def _check_plain(schema: Schema, field: Field, change: ChangeValue) -> None:
    """Raises `QueryError` for a value object on a field whose value is also in other attributes or items."""
    if field.name in schema.source_names or isinstance(field, VersionField):
        hint = " increment() can add to a counter of an index." if isinstance(field, CounterField) else ""
        raise QueryError(
            f"{schema.name}.{field.name}: {type(change).__name__} cannot be used for unique, versioned, searchable or "
            f"indexed fields; give a plain value, or Remove().{hint}",
            field=field.name,
        )


# --- parts of documents ----------------------------------------------------------------------------------


def _edit_inside(schema: Schema, owner: Field, inner: Steps, value: Any) -> Edit:
    """The edit of a part of a document by a value or a value object."""
    check_steps(owner, inner)
    part, path = part_of(owner, inner), (owner.name, *inner)
    if isinstance(value, Remove):
        _check_removable(schema, owner, inner)
    if isinstance(value, (AddMembers, DropMembers)):
        targets = "fields that are sets, not for sets inside of documents; load the object, change its set and save it"
        raise _misplaced(schema, path, value, targets)
    fields: list[Field | None] = [part]
    if part is None:
        fields = [*_fields_of_part(owner, inner)] or [None]
    faults = []
    for field in fields:
        try:
            if isinstance(value, ChangeValue):
                return _edit(schema, path, field, value)
            return Edit(inner, "set", _stored(schema, path, field, value))
        except (QueryError, ValidationError) as error:
            faults.append(error)
    raise faults[0]


def _fields_of_part(owner: Field, inner: Steps) -> list[Field]:
    """The fields that a part has in the classes of a union, which are not known before the item is read.

    Args:
        owner: the field of the document.
        inner: the steps to the part.

    Returns:
        One field for each class that has the part; none if the part may hold anything.
    """
    fields = [owner]
    for step in inner:
        parts: list[Field] = []
        for option in (option for field in fields for option in _options_of(field)):
            with suppress(QueryError):  # of a class without such a part
                part = option.inside(step)
                if part is None:
                    return []
                parts.append(part)
        fields = parts
    return fields


def _options_of(field: Field) -> Iterable[Field]:
    return field.options if isinstance(field, UnionField) else (field,)


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
    if part is not None and (not isinstance(part, (ListField, AnythingField)) or has_fixed_length(part)):
        raise _misplaced(schema, path, change, "lists only")
    inner = None if part is None or isinstance(part, AnythingField) else part.inside(0)
    members = [
        _stored(schema, (*path, position), inner, value) for position, value in enumerate(change.values)
    ]
    return Edit(steps, "append" if isinstance(change, Append) else "prepend", {"L": members})


def _amount(schema: Schema, path: Steps, part: Field | None, amount: object) -> AttributeValue:
    """The stored form of an amount to add. It need not be inside the bounds of the field."""
    is_whole = isinstance(amount, int) and not isinstance(amount, bool)
    if not (is_whole or isinstance(amount, (float, Decimal))) or isinstance(amount, bool):
        raise ValidationError(
            f"{schema.name}.{path_text(path)}: Increment takes a number.", path_text(path), amount
        )
    if isinstance(part, IntegerField) and not is_whole:
        raise ValidationError(
            f"{schema.name}.{path_text(path)}: Increment takes an int here.", path_text(path), amount
        )
    return _stored(schema, path, None, amount)


def _stored(schema: Schema, path: Steps, part: Field | None, value: Any) -> AttributeValue:
    """The stored form of a value for a part of a document."""
    field = _ANY_FIELD if part is None else part
    if field.name == path[0] and len(path) == 1:
        form = form_of(field, field.accept(value))
        if form is None:
            raise QueryError(
                f"{schema.name}.{field.name}: {value!r} is stored as no attribute, so it cannot be set only if the "
                f"field is missing. Leave the change out.",
                field=field.name,
            )
        return form
    try:
        return field.store_part(field.accept(value))
    except ValueError as error:
        text = getattr(error, "why", None) or message_of(error).lstrip(". ")
        raise ValidationError(f"{schema.name}.{path_text(path)} {text}", path_text(path), value) from error


def _check_removable(schema: Schema, owner: Field, inner: Steps) -> None:
    """Raises `ValidationError` for the removal of a member that its object requires."""
    around = owner if len(inner) == 1 else part_of(owner, inner[:-1])
    member = around.members.get(str(inner[-1])) if isinstance(around, NestedField) else None
    if (member is not None and member.is_required) or has_fixed_length(around):
        path = path_text((owner.name, *inner))
        raise ValidationError(f"{schema.name}.{path} is needed and cannot be removed; give it a value.", path)


def _runs_code(owner: Field, steps: Steps) -> bool:
    """Whether a part is inside an object whose class checks or converts its members."""
    field: Field | None = owner
    for step in steps:
        if field is None or isinstance(field, AnythingField):
            return False
        if isinstance(field, NestedField) and field.runs_code:
            return True
        field = field.inside(step)
    return False


def _misplaced(schema: Schema, path: Steps, change: ChangeValue, valid_targets: str) -> QueryError:
    return QueryError(
        f"{schema.name}.{path_text(path)}: {type(change).__name__} is for {valid_targets}.",
        field=str(path[0]),
    )
