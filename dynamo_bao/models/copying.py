"""What instances hold, making them as copies of others, and telling them apart."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from dynamo_bao.errors import ValidationError
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.snapshots import Handed
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.registry import repository_of
from dynamo_bao.session.hydration import new_loaded
from dynamo_bao.session.peer_groups import PeerGroup
from dynamo_bao.session.state import Status, give_values, is_new_set, new_state, state_of


def values_of(instance: Any) -> dict[str, Any]:
    """The field values an instance has now, by field name."""
    values = instance.__dict__
    return {name: values[name] for name in schema_of(type(instance)).fields if name in values}


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


def parts_of(instance: Any, group: PeerGroup | None) -> tuple[Any, ...]:
    """What `rebuild` makes a copy of an instance from.

    Args:
        group: the copies that the copy arrives together with.
    """
    state = state_of(instance)
    return (
        instance.__bao_model__,
        state.status is Status.LOADED,
        state.tenant,
        state.stored,
        dict(values_of(instance)),
        state.handed,
        tuple(name for name in schema_of(type(instance)).set_names if is_new_set(instance, name)),
        group,
    )


def rebuild(
    model: type[Any],
    stored: bool,
    tenant: str | None,
    item: Any,
    values: dict[str, Any],
    handed: Handed | None = None,
    new_sets: Sequence[str] = (),
    group: PeerGroup | None = None,
) -> Any:
    """A detached instance with the same stored item and the same local values.

    Args:
        handed: what was handed out besides what the item says.
        new_sets: the fields whose sets are not those that were loaded.
        group: the copies of the instances it arrived together with, which it joins.
    """
    if not stored:
        instance = object.__new__(model)
        give_values(instance, {STATE: new_state(None, Status.TRANSIENT, tenant, None, None, None)})
        instance.__dict__.update(copy.deepcopy(values))
        return instance
    repository = repository_of(model)
    schema = repository.schema
    instance = new_loaded(repository, schema.identity(tenant, values), tenant, item)
    instance.__dict__.update(copy.deepcopy(values))
    state = state_of(instance)
    state.handed = handed
    if group is not None:
        group.add(instance)
        state.group = group
    if schema.sets_of is not None:
        loaded = {
            name: None if name in new_sets else instance.__dict__.get(name) for name in schema.set_names
        }
        state.sets = schema.sets_of(loaded)
    return instance
