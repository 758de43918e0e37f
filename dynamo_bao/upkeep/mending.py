"""Mending what is wrong with stored items, each on condition that it is still wrong in the way it was seen to be."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial

from attrs import evolve, frozen

from dynamo_bao.errors import ConditionalError, ItemNotFoundError, TransactionError
from dynamo_bao.expressions.conditions import EMPTY, all_of
from dynamo_bao.keys import Key
from dynamo_bao.sending import send
from dynamo_bao.transport.messages import Request, returned_item
from dynamo_bao.transport.outcomes import ConditionFailed, TransactionCancelled
from dynamo_bao.upkeep.inspection import Guard, Stored, as_seen
from dynamo_bao.wire import GET_ITEM, Item
from dynamo_bao.writes.actions import Action, WritePlan, request_for
from dynamo_bao.writes.execute import Write
from dynamo_bao.writes.plans import Known, plan_update
from dynamo_bao.writing import sender


@frozen
class Wrongful:
    """A guard that names somebody it should not, and the proof that it should not; None where it needs none."""

    guard: Item
    proof: Action | None = None


class ChangedMeanwhile(Exception):
    """What was to be mended is not any more as it was seen."""


def rewrite(stored: Stored, claims: Mapping[Key, Wrongful | None]) -> None:
    """Writes an item's index keys, iteration keys and search text anew from its fields, and guards that it lacks.

    Args:
        claims: the keys of these guards, each with the one that is in its place, where one is.

    Raises:
        ConditionalError: where a unique value is rightfully another item's.
        ChangedMeanwhile: where the item is gone, or a guard or its owner has changed.
    """
    database, subject = stored.home.database, stored.subject
    plan_from = partial(_plan, stored, claims)
    write = Write(database, subject, "reindex", plan_from, sender(None, database, subject))
    try:
        write.run(stored.known)
    except (ItemNotFoundError, TransactionError) as error:
        raise ChangedMeanwhile from error
    except ConditionalError as error:
        if any(claims.values()):
            raise ChangedMeanwhile from error
        raise


def _plan(stored: Stored, claims: Mapping[Key, Wrongful | None], known: Known | None) -> WritePlan:
    plan = plan_update(stored.subject, {}, known or stored.known, EMPTY, reindex=True)
    actions: list[Action] = []
    constraints: list[tuple[str, object] | None] = []
    proofs: list[Action] = []
    for number, action in enumerate(plan.actions[: plan.main]):
        if action.key not in claims:
            continue
        wrongful = claims[action.key]
        if wrongful is not None:
            action = evolve(action, condition=as_seen(wrongful.guard))
            proofs += [wrongful.proof] if wrongful.proof is not None else []
        actions.append(action)
        constraints.append(plan.constraints[number])
    proofs = _joined(proofs)
    constraints += [None] * (1 + len(proofs))
    return WritePlan((*actions, plan.main_action, *proofs), len(actions), tuple(constraints))


def _joined(proofs: Sequence[Action]) -> list[Action]:
    """One check for each item: a transaction takes no two on the same."""
    found: dict[Key, Action] = {}
    for proof in proofs:
        earlier = found.get(proof.key)
        both = (
            proof
            if earlier is None
            else evolve(proof, condition=all_of((earlier.condition, proof.condition)))
        )
        found[proof.key] = both
    return list(found.values())


def release(guard: Guard, owner: Item | None) -> None:
    """Deletes a guard that guards nothing.

    Args:
        owner: the item it names, as it was read; None where it is not stored.

    Raises:
        ChangedMeanwhile: where the guard or its owner is not any more as it was read.
    """
    database, proof = guard.home.database, guard.proof(owner)
    delete = Action("Delete", guard.key, as_seen(guard.item))
    plan = WritePlan((delete,) if proof is None else (delete, proof))
    token = str(uuid.uuid4())
    operation, parameters = request_for(plan, database.table_name, guard.home.schema, token)
    about = [f"{guard.home.schema.name} guard {guard.key.pk!r}"]
    try:
        send(None, database, Request(operation, parameters, True), "write", about)
    except (ConditionFailed, TransactionCancelled) as error:
        if not (error.repeated and _is_gone(guard)):
            raise ChangedMeanwhile from error


def _is_gone(guard: Guard) -> bool:
    database = guard.home.database
    parameters = {"TableName": database.table_name, "Key": guard.key.as_item(), "ConsistentRead": True}
    return returned_item(send(None, database, Request(GET_ITEM, parameters), "read").body, "Item") is None
