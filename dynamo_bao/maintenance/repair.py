"""Repairs stored items, on condition that the fault is still the one that was seen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from dynamo_bao.dynamodb.expressions.conditions import EMPTY
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import GET_ITEM, Item
from dynamo_bao.dynamodb.transport.error_mapping import ConditionFailed, TransactionCancelled
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import ItemNotFoundError, TransactionError
from dynamo_bao.maintenance.item_check import ExaminedItem, Guard, as_seen
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.runtime.records import evolve
from dynamo_bao.session.requests import send
from dynamo_bao.writes.actions import Action, WritePlan, new_token, request_for
from dynamo_bao.writes.change_factory import sender
from dynamo_bao.writes.executor import WriteExecution
from dynamo_bao.writes.plans import plan_update


class ChangedMeanwhile(Exception):
    """The item or guard changed since it was read, so it was not repaired."""


def rewrite(stored: ExaminedItem, claims: Mapping[Key, Item | None]) -> None:
    """Rewrites an item's index keys, iteration keys and search text from its fields, and writes missing guards.

    A guard is replaced if its owner is missing or has another value, as in any save.

    Args:
        claims: the keys of the guards to write. The value is the stored guard to replace, if a save would not replace
            it because it names no owner, or the item under another model's name; else None.

    Raises:
        ConditionalError: if a unique value belongs to another item.
        ChangedMeanwhile: if the item was deleted, or such a guard changed.
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
    """Deletes a guard that protects no value.

    Args:
        owner: the item that it names, as it was read; None if it is not stored.

    Raises:
        ChangedMeanwhile: if the guard or its owner changed since it was read.
    """
    database, proof = guard.mapper.database, guard.proof(owner)
    delete = Action("Delete", guard.key, as_seen(guard.item))
    plan = WritePlan((delete,) if proof is None else (delete, proof))
    token = new_token()
    operation, parameters = request_for(plan, database.table_name, guard.mapper.schema, token)
    about = [f"{guard.mapper.schema.name} guard {guard.key.pk!r}"]
    try:
        send(None, database, "write", about, Request(operation, parameters, True))
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
    return not send(None, database, "read", (), Request(GET_ITEM, parameters)).body.get("Item")
