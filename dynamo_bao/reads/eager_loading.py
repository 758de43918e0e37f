"""Loading relations that were asked for: all targets of many instances in one round per level."""

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
    """Relations that are asked for.

    Attributes:
        instances: of one model, loaded.
        paths: relation fields, also nested as in ``"user_id.org_id"``; all direct ones where it is None.
    """

    instances: Sequence[Any]
    paths: Iterable[str] | None

    def levels(self) -> dict[str, list[str]]:
        """By relation field, what is wanted of its targets in turn."""
        levels: dict[str, list[str]] = {}
        for path in relation_names(self.instances[0]) if self.paths is None else self.paths:
            head, _, rest = path.partition(".")
            levels.setdefault(head, []).extend([rest] if rest else [])
        return levels


def load_relations(
    wishes: Iterable[EagerLoad], session: Session | None, kind: str | None = "further"
) -> None:
    """Loads the targets of relation fields, and has the instances remember them; one round for each level of all.

    Args:
        session: where the targets belong; None loads them outside any, still in one round per level.
        kind: what the first round is for the trace; None where the program asks for it by itself.
    """
    asked = [wish for wish in wishes if wish.instances]
    while asked:
        if session is not None:
            asked = _load_level(asked, session, kind)
        else:
            with BatchContext() as own:
                asked = _load_level(asked, own, kind)
        kind = "further"


def _load_level(wishes: Sequence[EagerLoad], session: Session, kind: str | None) -> list[EagerLoad]:
    """Loads the direct targets that are wished for, and returns what is wished of them."""
    found = [
        (levels, _look_up(wish.instances, levels, session)) for wish in wishes for levels in (wish.levels(),)
    ]
    session.flush(kind)
    further = []
    for levels, targets in found:
        for field, paths in levels.items():
            loaded = [one for one in targets[field] if state_of(one).status is Status.LOADED]
            if paths and loaded:
                further.append(EagerLoad(loaded, paths))
    return further


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
    mapper = state_of(instance).mapper
    assert mapper is not None
    try:
        where = mapper._related_target(instance, field)
    except DataFormatError:  # told when the relation is looked at
        return None
    if where is None:
        return None
    target = session._lookup(*where, counted=known is None)
    state_of(target).origin = None  # its load was asked for
    remember_related(instance, field, target)
    return target
