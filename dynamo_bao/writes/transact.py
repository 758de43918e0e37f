"""The execution of several writes as one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from dynamo_bao.dynamodb.expressions.conditions import all_of
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import (
    MAX_ITEM_BYTES,
    MAX_TRANSACTION_ACTIONS,
    MAX_TRANSACTION_BYTES,
    TRANSACT_WRITE_ITEMS,
    Item,
)
from dynamo_bao.dynamodb.transport.error_mapping import TransactionCancelled
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import (
    BaoError,
    TransactionError,
    TransactionTooLargeError,
    WriteOutcomeUnknownError,
    cause_of,
)
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.records import evolve, frozen
from dynamo_bao.writes.actions import Action, WritePlan, new_token
from dynamo_bao.writes.changes import Change
from dynamo_bao.writes.executor import (
    ADDED_PERHAPS,
    ConditionFailure,
    Send,
    WriteExecution,
    is_unsafe_to_retry,
)
from dynamo_bao.writes.item_size import item_bytes
from dynamo_bao.writes.transaction_errors import transaction_failed

TableKey = tuple[str, Key]
"""A table, and the key of an item or guard in it."""


class TransactionWrites:
    """The writes of a transaction, with their current plans. Few of them are ever planned again.

    Args:
        changes: one change for each item, in program order.
        execution_of: makes the execution of a change, which plans it again.

    Attributes:
        plans: the current plan of each change.
    """

    def __init__(self, changes: Sequence[Change], execution_of: Callable[[Change], WriteExecution]) -> None:
        self.changes = changes
        self.plans: list[WritePlan] = [change.plan_again(change.stored_item) for change in changes]
        self._execution_of = execution_of
        self._executions: dict[int, WriteExecution] = {}

    def execution(self, number: int) -> WriteExecution:
        """The execution of a write, with its current plan."""
        execution = self._executions.get(number)
        if execution is None:
            execution = self._executions[number] = self._execution_of(self.changes[number])
            execution.plan = self.plans[number]
        return execution

    def replan(self, number: int, refusal: ConditionFailure, deadline: float) -> None:
        """Plans a write again; see `WriteExecution.replan`."""
        execution = self.execution(number)
        execution.replan(refusal, deadline)
        self.plans[number] = execution.plan

    def error(self, errors: dict[int, BaoError]) -> TransactionError:
        """The error of the transaction, from the errors of its writes by their numbers."""
        names = [change.label for change in self.changes]
        return transaction_failed(names, [errors.get(number) for number in range(len(names))])

    def __str__(self) -> str:
        return ", ".join(str(change.subject) for change in self.changes)


@frozen
class TransactionPlan:
    """The transaction for the current plans of several writes.

    Attributes:
        writes: the writes.
        actions: the actions, each on another item or guard, with the schema of its write. One action may stand for
            actions of several writes; the schema is that of the first.
    """

    writes: TransactionWrites
    actions: dict[TableKey, tuple[Action, Schema]]

    def request(self) -> Request:
        """A new ``TransactWriteItems``."""
        members: list[dict[str, object]] = []
        tables: dict[str, None] = {}
        for (table, _), (action, schema) in self.actions.items():
            members.append({action.kind: action.parameters(table, schema)})
            tables[table] = None
        parameters = {
            "TransactItems": members,
            "ClientRequestToken": new_token(),
            "ReturnConsumedCapacity": "TOTAL",
        }
        return Request(TRANSACT_WRITE_ITEMS, parameters, True, tables=tuple(tables))

    def refusals(self, refusal: ConditionFailure) -> dict[int, ConditionFailure]:
        """The refusals by the number of their write."""
        members = zip(refusal.reasons, refusal.texts, refusal.items, strict=True)
        answers = dict(zip(self.actions, members, strict=True))
        refusals: dict[int, ConditionFailure] = {}
        for number, plan in enumerate(self.writes.plans):
            table = self.writes.changes[number].table_key[0]
            reasons, texts, items = zip(*[answers[table, action.key] for action in plan.actions], strict=True)
            if any(reason is not None for reason in reasons):
                refusals[number] = ConditionFailure(reasons, texts, items, refusal.repeated, refusal.cause)
        return refusals


_TRANSPORT = attrgetter("mapper.database.transport")


def plan_transaction(writes: TransactionWrites) -> TransactionPlan:
    """Combines the current plans of writes. Sends nothing.

    Raises:
        UniqueConstraintError: where two of them claim one unique value.
        TransactionTooLargeError: for more than 100 actions or 4 MB.
        TransactionError: for writes to several clients, which no transaction can join.
    """
    changes = writes.changes
    if len(set(map(id, map(_TRANSPORT, changes)))) > 1:
        names = ", ".join(sorted({change.subject.schema.name for change in changes}))
        raise TransactionError(
            f"One transaction goes to one client; {names} belong to managers with several. Use one per manager."
        )
    actions: dict[TableKey, tuple[Action, Schema]] = {}
    for number, plan in enumerate(writes.plans):
        change = changes[number]
        table = change.table_key[0]
        for action in plan.actions:
            table_key = table, action.key
            if table_key not in actions:
                actions[table_key] = action, change.subject.schema
                continue
            earlier, schema = actions[table_key]
            if earlier.kind == action.kind == "Put":
                claim = plan.constraints[plan.actions.index(action)] or ("key", None)
                raise writes.error({number: writes.execution(number).taken(claim)})
            actions[table_key] = _merged(earlier, action), schema
    combined = TransactionPlan(writes, actions)
    _check_size(combined)
    return combined


def _merged(first: Action, second: Action) -> Action:
    """One action for two actions on the same item.

    A check becomes a condition of the write. A unique value that one write frees and another takes is taken.
    """
    if "ConditionCheck" in (first.kind, second.kind):
        write, check = (second, first) if first.kind == "ConditionCheck" else (first, second)
        return evolve(write, condition=all_of((write.condition, check.condition)))
    taking = first if first.kind == "Put" else second
    return evolve(taking, condition=first.condition | second.condition)


def translated_failure(
    error: TransactionError, changes: Sequence[Change], objects: Iterable[Any]
) -> TransactionError:
    """The error of a transaction, with the errors of its writes translated by their changes.

    Args:
        error: the error. It has the error of each write.
        changes: the changes, one for each item.
        objects: the objects that the error names, one for each change.
    """
    errors = [
        None if reason is None else change.translate_error(reason)
        for change, reason in zip(changes, error.errors, strict=True)
    ]
    translated = transaction_failed([change.label for change in changes], errors)
    translated.objects = tuple(objects)
    return translated


def _check_size(combined: TransactionPlan) -> None:
    if len(combined.actions) * MAX_ITEM_BYTES <= MAX_TRANSACTION_BYTES:  # an item is never larger
        return
    actions = [action for action, _ in combined.actions.values()]
    if len(actions) > MAX_TRANSACTION_ACTIONS:
        raise TransactionTooLargeError(
            f"The transaction has {len(actions)} actions (items, checks and guards of unique values); DynamoDB takes "
            f"{MAX_TRANSACTION_ACTIONS}. Nothing was sent. Write in several transactions, or with session.commit(), "
            f"which needs one only for objects that hand on unique values; commit fewer of those at once."
        )
    size = sum(item_bytes(_content(action)) for action in actions)
    if size > MAX_TRANSACTION_BYTES:
        raise TransactionTooLargeError(
            f"The transaction has {size} bytes; DynamoDB takes {MAX_TRANSACTION_BYTES}. Nothing was sent. Write in "
            f"several transactions, or with session.commit()."
        )


def _content(action: Action) -> Item:
    if action.item is not None:
        return action.item
    return {} if action.update is None else {**action.update.set_, **action.update.add}


def run_transaction(
    changes: Sequence[Change], execution_of: Callable[[Change], WriteExecution], send: Send
) -> None:
    """Writes changes, all or none. If an assumption is wrong, its change is planned again.

    Args:
        changes: one change for each item, in program order.
        execution_of: makes the execution of a change, which plans it again.
        send: sends the transaction.

    Raises:
        TransactionError: with what stood in the way of each write; nothing was written.
        WriteOutcomeUnknownError: where no reply came, and doing it again could add to a counter twice; or where
            further attempts were cancelled for other reasons than conditions.
    """
    writes = TransactionWrites(changes, execution_of)
    deadline = writes.execution(0).deadline_from_now()
    while True:
        combined = plan_transaction(writes)
        try:
            send(combined.request(), deadline)
            return
        except TransactionCancelled as failure:
            refusal = ConditionFailure.of(failure)
        except Exception as error:
            if not is_foreign(error) and is_unsafe_to_retry(error, writes.plans):
                raise WriteOutcomeUnknownError(f"The transaction of {writes}: {ADDED_PERHAPS}") from error
            raise
        if refusal.repeated and _are_done(writes, deadline):
            return
        _replan(combined, refusal, deadline)


def _are_done(writes: TransactionWrites, deadline: float) -> bool:
    """Whether the stored items show that all writes were done. Condition checks store nothing, so they show nothing."""
    changing = [
        number for number, plan in enumerate(writes.plans) if plan.main_action.kind != "ConditionCheck"
    ]
    return bool(changing) and all(writes.execution(number).is_done(deadline) for number in changing)


def _replan(combined: TransactionPlan, refusal: ConditionFailure, deadline: float) -> None:
    """Plans every refused write again. Raises one error for all writes that cannot be planned again."""
    errors: dict[int, BaoError] = {}
    refusals = combined.refusals(refusal)
    for number, refused in refusals.items():
        try:
            combined.writes.replan(number, refused, deadline)
        except WriteOutcomeUnknownError:
            raise
        except BaoError as error:
            errors[number] = error
    if errors or not refusals:
        raise combined.writes.error(errors) from cause_of(refusal.cause)
