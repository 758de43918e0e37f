"""Links between instances: peers that were loaded together, and the targets of relations."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from dynamo_bao.mapping.codec import STATE
from dynamo_bao.session.state import Instance, ModelMapper, PeerGroup, State, instance_dict, state_of


def make_peers(instances: Iterable[Instance], is_page: bool = True) -> None:
    """Makes the instances of each model peers of each other. Models without relations need no peers.

    Args:
        instances: instances that were loaded together.
        is_page: see `PeerGroup`; False if the program named the key of each instance.
    """
    groups: dict[ModelMapper | None, tuple[list[Instance], list[State]]] = {}
    mapper: ModelMapper | None = None  # of the previous instance, as most rounds are of one model
    members, states = groups.setdefault(mapper, ([], []))
    for instance in instances:
        state = instance_dict(instance)[STATE]
        if state.mapper is not mapper:
            mapper = state.mapper
            members, states = groups.setdefault(mapper, ([], []))
        members.append(instance)
        states.append(state)
    for mapper, (members, states) in groups.items():
        if mapper is not None and mapper.schema.has_relations:
            group = PeerGroup(members, is_page)
            for state in states:
                if state.group is not None:
                    group.follow(state.group)
                state.group = group


def remember_related(instance: Instance, field: str, target: Instance) -> None:
    """Stores the target of a relation, with the value of the relation field."""
    _related_of(instance)[field] = (instance.__dict__.get(field), target)


def remembered_related(instance: Instance, field: str) -> Instance | None:
    """The stored target of a relation; None if the field has another value now."""
    remembered = (state_of(instance).related or {}).get(field)
    if remembered is None or remembered[0] != instance.__dict__.get(field):
        return None
    target: Instance = remembered[1]
    return target


def remember_items(instance: Instance, key: Hashable, result: object) -> None:
    """Stores the result of a query for an instance.

    Args:
        key: the relation to many, or the kind of the query. It is not a text, as relation fields are.
        result: the result; None if only the fact that there was one is stored.
    """
    _related_of(instance)[key] = (None, result)


def remembered_items(instance: Instance, key: Hashable) -> Any:
    """The stored result of a query for an instance, or None."""
    return (state_of(instance).related or {}).get(key, (None, None))[1]


def has_items(instance: Instance, key: Hashable) -> bool:
    """Whether a result of a query was stored for an instance."""
    return key in (state_of(instance).related or ())


def forget_items(instance: Instance) -> None:
    """Drops the stored results of queries. The targets of relation fields stay."""
    state = state_of(instance)
    if state.related is not None:
        state.related = {field: entry for field, entry in state.related.items() if isinstance(field, str)}


def forget_related(instance: Instance, field: str | None = None) -> None:
    """Drops the stored target of one relation field, or all that is stored for an instance."""
    state = state_of(instance)
    if field is None:
        state.related = None
    elif state.related is not None:
        state.related.pop(field, None)


def _related_of(instance: Instance) -> dict[Hashable, tuple[object, Any]]:
    state = state_of(instance)
    if state.related is None:
        state.related = {}
    return state.related
