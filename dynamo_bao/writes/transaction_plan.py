"""Several writes as one transaction: one action per item and per guard of a unique value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, evolve, field, frozen

from dynamo_bao.dynamodb.expressions.conditions import all_of
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import MAX_TRANSACTION_ACTIONS, MAX_TRANSACTION_BYTES
from dynamo_bao.errors import BaoError, TransactionError, TransactionTooLargeError
from dynamo_bao.writes.actions import Action, item_bytes
from dynamo_bao.writes.executor import Refusal, Write
from dynamo_bao.writes.transaction_errors import transaction_failed


@frozen
class Origin:
    """Where an action comes from: the number of a write, and of the action in its plan."""

    write: int
    action: int


@define
class Member:
    """One action of the transaction, and the planned actions it stands for."""

    action: Action
    origins: list[Origin] = field(factory=list)


@frozen
class Together:
    """The transaction that carries out the present plans of some writes.

    Attributes:
        writes: the writes, in program order.
        members: the actions, each on another item or guard.
    """

    writes: tuple[Write, ...]
    members: tuple[Member, ...]

    def request(self, token: str) -> dict[str, Any]:
        """The parameters of its ``TransactWriteItems``."""
        members = []
        for member in self.members:
            write = self.writes[member.origins[0].write]
            action = member.action.parameters(write.database.table_name, write.subject.schema)
            members.append({member.action.kind: action})
        return {
            "TransactItems": members,
            "ClientRequestToken": token,
            "ReturnConsumedCapacity": "TOTAL",
        }

    def refusals(self, refusal: Refusal) -> dict[int, Refusal]:
        """The refusal of the transaction as one of each write concerned, by the write's number."""
        found: dict[int, tuple[list[str | None], list[Any]]] = {}
        for member, reason, item in zip(self.members, refusal.reasons, refusal.items, strict=True):
            for origin in member.origins if reason is not None else ():
                size = len(self.writes[origin.write].plan.actions)
                reasons, items = found.setdefault(origin.write, ([None] * size, [None] * size))
                reasons[origin.action], items[origin.action] = reason, item
        return {
            number: Refusal(tuple(reasons), tuple(items), refusal.repeated, refusal.cause)
            for number, (reasons, items) in found.items()
        }


def together(writes: Sequence[Write]) -> Together:
    """Combines the present plans of writes; nothing is sent.

    Raises:
        UniqueConstraintError: where two of them claim one unique value.
        TransactionTooLargeError: for more than 100 actions or 4 MB.
        TransactionError: for writes to several clients, which no transaction can join.
    """
    if len({id(write.database.transport) for write in writes}) > 1:
        names = ", ".join(sorted({write.subject.schema.name for write in writes}))
        raise TransactionError(
            f"One transaction goes to one client; {names} belong to managers with several. Use one per manager."
        )
    members: dict[tuple[str, Key], Member] = {}
    for number, write in enumerate(writes):
        for place, action in enumerate(write.plan.actions):
            spot = (write.database.table_name, action.key)
            member = members.get(spot)
            if member is None:
                member = members[spot] = Member(action)
            else:
                if member.action.kind == action.kind == "Put":
                    claim = write.plan.constraints[place] or ("key", None)
                    raise failed(writes, {number: write.taken(claim)})
                member.action = _merged(member.action, action)
            member.origins.append(Origin(number, place))
    combined = Together(tuple(writes), tuple(members.values()))
    _check_size(combined)
    return combined


def _merged(first: Action, second: Action) -> Action:
    """One action for two on the same item: a check joins a write, and a value freed and taken is taken."""
    if "ConditionCheck" in (first.kind, second.kind):
        write, check = (second, first) if first.kind == "ConditionCheck" else (first, second)
        return evolve(write, condition=all_of((write.condition, check.condition)))
    taking = first if first.kind == "Put" else second
    return evolve(taking, condition=first.condition | second.condition)


def _check_size(combined: Together) -> None:
    actions = [member.action for member in combined.members]
    if len(actions) > MAX_TRANSACTION_ACTIONS:
        raise TransactionTooLargeError(
            f"The transaction has {len(actions)} actions (items, checks and guards of unique values); DynamoDB takes "
            f"{MAX_TRANSACTION_ACTIONS}. Nothing was sent. Write in several transactions, or with session.commit()."
        )
    size = sum(item_bytes(_content(action)) for action in actions)
    if size > MAX_TRANSACTION_BYTES:
        raise TransactionTooLargeError(
            f"The transaction has {size} bytes; DynamoDB takes {MAX_TRANSACTION_BYTES}. Nothing was sent. Write in "
            f"several transactions, or with session.commit()."
        )


def _content(action: Action) -> dict[str, Any]:
    if action.item is not None:
        return action.item
    return {} if action.update is None else {**action.update.set_, **action.update.add}


def failed(writes: Sequence[Write], errors: dict[int, BaoError]) -> TransactionError:
    """The error for writes of which some cannot be done, by their numbers."""
    names = [f"{write.operation} {write.item}" for write in writes]
    return transaction_failed(names, [errors.get(number) for number in range(len(writes))])
