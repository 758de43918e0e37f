"""Carrying out planned writes: retries that are safe, and errors that say what happened to which item."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

from attrs import frozen

from dynamo_bao.database import Database
from dynamo_bao.errors import (
    BaoError,
    ConditionalError,
    ItemNotFoundError,
    TransactionError,
    UniqueConstraintError,
    WriteOutcomeUnknownError,
)
from dynamo_bao.keys import Key
from dynamo_bao.transport.messages import Reply, Request, returned_item
from dynamo_bao.transport.outcomes import ConditionFailed, TransactionCancelled
from dynamo_bao.wire import GET_ITEM, Item
from dynamo_bao.writes.actions import WritePlan, request_for
from dynamo_bao.writes.plans import Known, Subject

log = logging.getLogger("dynamo_bao.writes")

Send = Callable[[Request, float], Reply]
"""Sends a request by a deadline, and counts it."""


@frozen
class Write:
    """One write on its way.

    Attributes:
        database: where to.
        subject: the item.
        operation: ``"create"``, ``"save"``, ``"update"`` or ``"delete"``, for errors.
        send: carries requests.
    """

    database: Database
    subject: Subject
    operation: str
    send: Send

    def run(self, plan_from: Callable[[Known | None], WritePlan], known: Known | None) -> Item | None:
        """Plans and carries out, planning again from the stored item where an assumption proved wrong.

        Returns:
            The item as DynamoDB returned it: after an update what is stored now, after a delete what was;
            None after a create or a transaction.

        Raises:
            ItemNotFoundError: an item that must exist does not.
            ConditionalError: a condition did not hold.
            UniqueConstraintError: a unique value is another item's.
            WriteOutcomeUnknownError: the reply was lost, and the write cannot be repeated safely.
        """
        deadline = self.database.deadline_from_now()
        plan = plan_from(known)
        token, tried_again = str(uuid.uuid4()), False
        cause: BaoError
        while True:
            try:
                return self._send(plan, deadline, token)
            except ConditionFailed as failure:
                stored, repeated, cause = failure.item, failure.repeated, failure
            except TransactionCancelled as failure:
                if self._only_claims_failed(plan, failure):
                    plan, token = self._over_dead_owners(plan, failure, deadline), str(uuid.uuid4())
                    continue
                stored, repeated, cause = failure.items[plan.main], failure.repeated, failure
            not_returned = stored is None
            if not_returned and (repeated or self.operation != "create"):
                stored = self._read(deadline)
            if repeated and plan.main_action.already_done(stored):
                return stored if self.operation in ("save", "update") else None
            if self.operation == "create":
                raise self._exists() from cause
            if stored is None:
                raise self._missing() from cause
            again = plan_from(Known.read(self.subject.schema, self.subject.identity.primary_id, stored))
            if again == plan and not_returned and not tried_again:
                tried_again = True  # the item may have come into being between the write and the read
                continue
            if again == plan or self.database.transport.clock.now() > deadline:
                raise self._refused() from cause
            plan, token = again, str(uuid.uuid4())

    def read_known(self) -> Known:
        """The item as it is stored, read consistently; `ItemNotFoundError` where it is not."""
        stored = self._read(self.database.deadline_from_now())
        if stored is None:
            raise self._missing()
        return Known.read(self.subject.schema, self.subject.identity.primary_id, stored)

    def _send(self, plan: WritePlan, deadline: float, token: str) -> Item | None:
        operation, parameters = request_for(plan, self.database.table_name, self.subject.schema, token)
        repeatable = plan.is_transaction or plan.main_action.repeats_safely()
        try:
            reply = self.send(Request(operation, parameters, repeatable), deadline)
        except WriteOutcomeUnknownError as error:
            raise WriteOutcomeUnknownError(
                f"{self._item} {self.operation}: {error}", **self._names
            ) from error
        return returned_item(reply.body, "Attributes")

    def _only_claims_failed(self, plan: WritePlan, failure: TransactionCancelled) -> bool:
        """Whether the item itself was fine and unique values were refused; raises for other reasons."""
        failed = [number for number, reason in enumerate(failure.reasons) if reason is not None]
        if not failed or any(failure.reasons[number] != "ConditionalCheckFailed" for number in failed):
            raise TransactionError(f"{self._item} {self.operation}: {failure}", failure.reasons) from failure
        return plan.main not in failed and any(plan.constraints[number] is not None for number in failed)

    def _over_dead_owners(self, plan: WritePlan, failure: TransactionCancelled, deadline: float) -> WritePlan:
        """The plan with every refused unique value taken over from an owner that is gone.

        Raises:
            UniqueConstraintError: for a value whose owner lives.
        """
        for number, reason in enumerate(failure.reasons):
            claim = plan.constraints[number] if number < len(plan.constraints) else None
            if reason is None or claim is None:
                continue
            guard = failure.items[number] or self._read(deadline, plan.actions[number].key)
            owner = (guard or {}).get("relatedId", {}).get("S")
            if owner is not None:
                key = self.subject.schema.identify(self.subject.tenant, owner).key
                if number in plan.taken_over or self._read(deadline, key) is not None:
                    raise UniqueConstraintError(claim[0], claim[1], **self._names) from failure
                plan = plan.taking_over(number, owner, key)
        return plan

    def _read(self, deadline: float, key: Key | None = None) -> Item | None:
        """A stored item (the subject's own by default), read consistently."""
        parameters = {
            "TableName": self.database.table_name,
            "Key": (key or self.subject.identity.key).as_item(),
            "ConsistentRead": True,
            "ReturnConsumedCapacity": "TOTAL",
        }
        reply = self.send(Request(GET_ITEM, parameters), deadline)
        return returned_item(reply.body, "Item")

    @property
    def _item(self) -> str:
        return f"{self.subject.schema.name} {self.subject.identity.primary_id!r}"

    @property
    def _names(self) -> dict[str, Any]:
        return {"model": self.subject.schema.name, "key": self.subject.identity.primary_id}

    def _exists(self) -> BaoError:
        return ConditionalError(
            f"{self._item}: Condition check failed: an item with this key exists already; nothing was written. "
            f"find() it, or create one with another key.",
            operation=self.operation,
            **self._names,
        )

    def _missing(self) -> BaoError:
        return ItemNotFoundError(
            f"{self._item}: nothing to {self.operation}, the item is not stored (deleted meanwhile?); "
            f"nothing was written. create() it anew if it should exist.",
            **self._names,
        )

    def _refused(self) -> BaoError:
        what = "Delete condition not met" if self.operation == "delete" else "Condition check failed"
        return ConditionalError(
            f"{self._item} {self.operation}: {what}; nothing was written. refresh() shows what is stored.",
            operation=self.operation,
            **self._names,
        )
