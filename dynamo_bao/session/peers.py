"""What instances know of each other: those they arrived together with, and the targets of their relations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dynamo_bao.session.state import PeerGroup, state_of


def make_peers(instances: Iterable[Any], is_page: bool = True) -> None:
    """Has the instances of each model, of those that arrived together, remember each other weakly.

    Only those of models with relations, which are what peers are for.

    Args:
        is_page: see `PeerGroup`; False where the program named each of them.
    """
    by_mapper: dict[int, list[Any]] = {}
    for instance in instances:
        mapper = state_of(instance).mapper
        if mapper is not None and mapper.schema.has_relations:
            by_mapper.setdefault(id(mapper), []).append(instance)
    for members in by_mapper.values():
        group = PeerGroup(members, is_page)
        for member in members:
            state_of(member).group = group


def remember_related(instance: Any, field: str, target: Any) -> None:
    """Keeps the target of a relation, for as long as the relation points to it."""
    state = state_of(instance)
    if state.related is None:
        state.related = {}
    state.related[field] = (instance.__dict__.get(field), target)


def remembered_related(instance: Any, field: str) -> Any:
    """The target of a relation that was reached before, None where it now points elsewhere."""
    remembered = (state_of(instance).related or {}).get(field)
    if remembered is None or remembered[0] != instance.__dict__.get(field):
        return None
    return remembered[1]


def forget_related(instance: Any, field: str | None = None) -> None:
    """Forgets the target of a relation, or of all of them."""
    state = state_of(instance)
    if field is None:
        state.related = None
    elif state.related is not None:
        state.related.pop(field, None)
