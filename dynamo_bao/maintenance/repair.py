"""Mending what is wrong with stored items, each on condition that it is still wrong in the way it was seen to be."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial

from attrs import evolve

from dynamo_bao.dynamodb.expressions.conditions import EMPTY
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import GET_ITEM, Item
from dynamo_bao.dynamodb.transport.error_mapping import ConditionFailed, TransactionCancelled
from dynamo_bao.dynamodb.transport.messages import Request, returned_item
from dynamo_bao.errors import ItemNotFoundError, TransactionError
from dynamo_bao.maintenance.item_check import ExaminedItem, Guard, as_seen
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.session.requests import send
from dynamo_bao.writes.actions import Action, WritePlan, request_for
from dynamo_bao.writes.change_factory import sender
from dynamo_bao.writes.executor import WriteExecution
from dynamo_bao.writes.plans import plan_update


class ChangedMeanwhile(Exception):
    """What was to be mended is not any more as it was seen."""


def rewrite(stored: ExaminedItem, claims: Mapping[Key, Item | None]) -> None:
    """Writes an item's index keys, iteration keys and search text anew from its fields, and guards that it lacks.

    A guard that names an owner who is gone or has another value is taken over, as any save would.

    Args:
        claims: the keys of the guards it lacks, each with one that is in its place though no save would take it over:
            one that names the item under another model's name, or nobody.

    Raises:
        ConditionalError: where a unique value is rightfully another item's.
        ChangedMeanwhile: where the item is gone, or such a guard has changed.
    """
    database, subject = stored.mapper.database, stored.subject
    plan_from = partial(_plan, stored, claims)
    write = WriteExecution(database, subject, "reindex", plan_from, sender(None, database, subject))
    try:
        write.run(stored.loaded)
    except (ItemNotFoundError, TransactionError) as error:
        raise ChangedMeanwhile from error


def _plan(stored: ExaminedItem, claims: Mapping[Key, Item | None], reread: StoredItem | None) -> WritePlan:
    plan = plan_update(stored.subject, {}, reread or stored.loaded, EMPTY, reindex=True)
    numbers = [number for number, action in enumerate(plan.actions[: plan.main]) if action.key in claims]
    guards = [_claimed(plan.actions[number], claims) for number in numbers]
    constraints = (*(plan.constraints[number] for number in numbers), None)
    return WritePlan((*guards, plan.main_action), len(guards), constraints)


def _claimed(action: Action, claims: Mapping[Key, Item | None]) -> Action:
    current = claims[action.key]
    return action if current is None else evolve(action, condition=action.condition | as_seen(current))


def release(guard: Guard, owner: Item | None) -> None:
    """Deletes a guard that guards nothing.

    Args:
        owner: the item it names, as it was read; None where it is not stored.

    Raises:
        ChangedMeanwhile: where the guard or its owner is not any more as it was read.
    """
    database, proof = guard.mapper.database, guard.proof(owner)
    delete = Action("Delete", guard.key, as_seen(guard.item))
    plan = WritePlan((delete,) if proof is None else (delete, proof))
    token = str(uuid.uuid4())
    operation, parameters = request_for(plan, database.table_name, guard.mapper.schema, token)
    about = [f"{guard.mapper.schema.name} guard {guard.key.pk!r}"]
    try:
        send(None, database, Request(operation, parameters, True), "write", about)
    except (ConditionFailed, TransactionCancelled) as error:
        if not (error.repeated and _is_gone(guard)):
            raise ChangedMeanwhile from error


def _is_gone(guard: Guard) -> bool:
    database = guard.mapper.database
    parameters = {
        "TableName": database.table_name,
        "Key": guard.key.as_item(),
        "ConsistentRead": True,
        "ReturnConsumedCapacity": "TOTAL",  # without it a reply that holds no item says nothing
    }
    return returned_item(send(None, database, Request(GET_ITEM, parameters), "read").body, "Item") is None
