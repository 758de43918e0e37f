"""Making instances: from a constructor's arguments, and as copies of others; and telling them apart."""

from __future__ import annotations

import copy
from typing import Any

from attrs import NOTHING

from dynamo_bao.classes import schema_of
from dynamo_bao.codec import STATE
from dynamo_bao.errors import UnknownFieldError, ValidationError, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.instances import State, Status, give_values, new_loaded, state_of
from dynamo_bao.registry import repository_of
from dynamo_bao.schema import Schema


def values_of(instance: Any) -> dict[str, Any]:
    """The field values an instance has now, by field name."""
    values = instance.__dict__
    return {name: values[name] for name in schema_of(type(instance)).fields if name in values}


def fill_in(schema: Schema, values: dict[str, Any]) -> dict[str, Any]:
    """Completes the constructor's values in place, and converts what fields accept in other forms.

    Returns:
        The key fields that were given an id made here.

    Raises:
        UnknownFieldError: for a name that is no field.
        ValidationError: naming every required field that has no value.
    """
    if not values.keys() <= schema.fields.keys():
        name = next(name for name in values if name not in schema.fields)
        hint = suggestion(name, schema.fields)
        raise UnknownFieldError(f"{schema.name} has no field {name!r}.{hint}", name, values[name])
    generated = {} if len(values) == len(schema.fields) else _add_initial(schema, values)
    for name in schema.unsure(values):
        values[name] = _converted(schema.fields[name], values[name])
    return generated


def _add_initial(schema: Schema, values: dict[str, Any]) -> dict[str, Any]:
    """Gives the fields without a value the one they begin with; returns the key fields that got an id made here."""
    missing: list[ValidationError] = []
    generated: dict[str, Any] = {}
    for name, field in schema.fields.items():
        if name in values:
            continue
        value = values[name] = field.initial()
        if value is NOTHING:
            missing.append(field.error("is required; give it a value", None))
        if name in schema.key_names and getattr(field, "auto_assign", False):
            generated[name] = value
    if missing:
        raise ValidationError.of(schema.name, missing)
    return generated


def _converted(field: Field, value: Any) -> Any:
    """A value in the form the field holds it; what cannot be is left for the save to refuse."""
    if value is None:
        return None
    try:
        return field.normalise(value)
    except ValueError:
        return value


def check_key_assignment(instance: Any, name: str, value: Any) -> None:
    """Refuses to change a key field of an instance that is stored."""
    state = state_of(instance)
    if state.status is Status.TRANSIENT or instance.__dict__.get(name) == value:
        return
    schema = schema_of(type(instance))
    raise ValidationError(
        f"{schema.name}.{name} is part of the key of a stored item and cannot be changed; create() a new item "
        f"and delete() this one.",
        name,
        value,
    )


def comparable(instance: Any) -> Any:
    """What equality goes by: tenant and key; None where there is no key yet."""
    state = state_of(instance)
    if state.key is not None:
        return state.key
    try:
        return schema_of(type(instance)).identity(state.tenant, instance.__dict__).key
    except ValidationError:
        return None


def parts_of(instance: Any) -> tuple[Any, ...]:
    """What `rebuild` makes a copy of an instance from."""
    state = state_of(instance)
    return (
        instance.__bao_model__,
        state.status is Status.LOADED,
        state.tenant,
        state.stored,
        dict(values_of(instance)),
    )


def rebuild(model: type[Any], stored: bool, tenant: str | None, item: Any, values: dict[str, Any]) -> Any:
    """A detached instance with the same stored item and the same local values."""
    if not stored:
        instance = object.__new__(model)
        give_values(instance, {STATE: State(None, Status.TRANSIENT, tenant)})
    else:
        repository = repository_of(model)
        instance = new_loaded(repository, repository.schema.identity(tenant, values), tenant, item)
    instance.__dict__.update(copy.deepcopy(values))
    return instance
