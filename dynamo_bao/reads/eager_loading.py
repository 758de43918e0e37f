"""Eager loading of relations: all targets of many instances, in one round per level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

from dynamo_bao.errors import DataFormatError
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.session.context import BatchContext
from dynamo_bao.session.peers import remember_related, remembered_related
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Status, state_of


def relation_names(instance: Any) -> list[str]:
    """The relation fields of an instance's model."""
    mapper = state_of(instance).mapper
    assert mapper is not None
    return [field.name for field in mapper.schema.fields.values() if isinstance(field, RelatedField)]


@frozen(eq=False)
class EagerLoad:
    """A request to load relations.

    Attributes:
        instances: loaded instances of one model.
        paths: relation fields, also nested as in ``"user_id.org_id"``; None for all direct relations.
    """

    instances: Sequence[Any]
    paths: Iterable[str] | None

    def levels(self) -> dict[str, list[str]]:
        """By relation field, the paths to load from its targets."""
        levels: dict[str, list[str]] = {}
        for path in relation_names(self.instances[0]) if self.paths is None else self.paths:
            head, _, inner_path = path.partition(".")
            levels.setdefault(head, []).extend([inner_path] if inner_path else [])
        return levels


def load_relations(loads: Iterable[EagerLoad], session: Session | None, kind: str | None = "further") -> None:
    """Loads the targets of relation fields, and stores them at the instances; one round for each level.

    Args:
        loads: the relations to load.
        session: the session of the targets; None to load them outside any session, also in one round per level.
        kind: the kind of the first round in the trace; None if the program calls for it directly.
    """
    level = [load for load in loads if load.instances]
    while level:
        if session is not None:
            level = _load_level(level, session, kind)
        else:
            with BatchContext() as temporary_session:
                level = _load_level(level, temporary_session, kind)
        kind = "further"


def _load_level(loads: Sequence[EagerLoad], session: Session, kind: str | None) -> list[EagerLoad]:
    """Loads the direct targets, and returns the loads of the next level."""
    lookups = [
        (levels, _look_up(load.instances, levels, session)) for load in loads for levels in (load.levels(),)
    ]
    session._loader.flush(kind)
    next_loads = []
    for levels, targets in lookups:
        for field, paths in levels.items():
            loaded_targets = [target for target in targets[field] if state_of(target).status is Status.LOADED]
            if paths and loaded_targets:
                next_loads.append(EagerLoad(loaded_targets, paths))
    return next_loads


def _look_up(instances: Sequence[Any], fields: Iterable[str], session: Session) -> dict[str, list[Any]]:
    """The targets by field, each once. Targets that are not cached are then pending in `session`."""
    targets_by_field: dict[str, list[Any]] = {}
    for field in fields:
        targets: dict[int, Any] = {}
        for instance in instances:
            target = _target(instance, field, session)
            if target is not None:
                targets[id(target)] = target
        targets_by_field[field] = list(targets.values())
    return targets_by_field


def _target(instance: Any, field: str, session: Session) -> Any:
    cached = remembered_related(instance, field)
    if cached is not None and state_of(cached).status is not Status.PENDING:
        return cached
    mapper = state_of(instance).mapper
    assert mapper is not None
    try:
        reference = mapper._related_target(instance, field)
    except DataFormatError:  # raised when the relation itself is read
        return None
    if reference is None:
        return None
    target = session._instances.lookup(*reference, counted=cached is None)
    state_of(target).origin = None  # this load is explicit
    remember_related(instance, field, target)
    return target
