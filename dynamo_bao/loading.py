"""Loading relations that were asked for: all targets of many instances in one round per level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dynamo_bao.context import BatchContext
from dynamo_bao.fields.text import RelatedField
from dynamo_bao.instances import Status, remember_related, remembered_related, state_of
from dynamo_bao.session.session import Session


def relation_names(instance: Any) -> list[str]:
    """The relation fields of an instance's model."""
    home = state_of(instance).home
    assert home is not None
    return [field.name for field in home.schema.fields.values() if isinstance(field, RelatedField)]


def load_relations(instances: Sequence[Any], paths: Iterable[str] | None, session: Session | None) -> None:
    """Loads the targets of relation fields, and has the instances remember them.

    Args:
        instances: of one model, loaded.
        paths: relation fields, also nested as in ``"user_id.org_id"``; all direct ones where it is None.
        session: where the targets belong; None loads them outside any, still in one batch per level.
    """
    if not instances:
        return
    levels: dict[str, list[str]] = {}
    for path in relation_names(instances[0]) if paths is None else paths:
        head, _, rest = path.partition(".")
        levels.setdefault(head, []).extend([rest] if rest else [])
    if session is not None:
        found = _look_up(instances, levels, session)
        session.flush()
    else:
        with BatchContext() as own:
            found = _look_up(instances, levels, own)
            own.flush()
    for field, further in levels.items():
        targets = [target for target in found[field] if state_of(target).status is Status.LOADED]
        if further:
            load_relations(targets, further, session)


def _look_up(instances: Sequence[Any], fields: Iterable[str], session: Session) -> dict[str, list[Any]]:
    """The targets by field, each once; those not known yet are pending in `session` afterwards."""
    found: dict[str, list[Any]] = {}
    for field in fields:
        targets: dict[int, Any] = {}
        for instance in instances:
            target = _target(instance, field, session)
            if target is not None:
                targets[id(target)] = target
        found[field] = list(targets.values())
    return found


def _target(instance: Any, field: str, session: Session) -> Any:
    known = remembered_related(instance, field)
    if known is not None and state_of(known).status is not Status.PENDING:
        return known
    home = state_of(instance).home
    assert home is not None
    where = home.related_target(instance, field)
    if where is None:
        return None
    target = session.lookup(*where, counted=known is None)
    state_of(target).origin = None  # its load was asked for
    remember_related(instance, field, target)
    return target
