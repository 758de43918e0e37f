"""The execution of planned writes. It retries what is safe to retry, and its errors say what happened to which item."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.expressions.conditions import Compare
from dynamo_bao.dynamodb.expressions.paths import Attribute
from dynamo_bao.dynamodb.expressions.updates import Update
from dynamo_bao.dynamodb.items import ReplyItem
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import GET_ITEM, Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.error_mapping import (
    ConditionFailed,
    TransactionCancelled,
    may_have_succeeded,
)
from dynamo_bao.dynamodb.transport.messages import (
    Reply,
    Request,
    RequestOutcome,
    RowParser,
    with_outcome,
)
from dynamo_bao.errors import (
    BaoError,
    ConditionalError,
    ItemNotFoundError,
    ServiceError,
    TransactionError,
    UniqueConstraintError,
    ValidationError,
    WriteOutcomeUnknownError,
    cause_of,
    message_of,
)
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.records import define, field, frozen
from dynamo_bao.writes.actions import WritePlan, new_token, request_alone, request_for, sum_attributes
from dynamo_bao.writes.item_size import is_size_refusal, is_sum_refusal, too_large
from dynamo_bao.writes.plans import ItemRef

Send = Callable[[Request, float], Reply]
"""Sends a request by a deadline, and counts it."""


VERSIONS = "_dynamo_bao_versions"
"""The attribute of a condition's error with the stored version. The change reads it, and removes it."""
ADDED_PERHAPS = (
    "no reply came to any attempt, and doing it again could count or append twice. "
    "refresh() the instance to see what is stored, then decide."
)


@frozen
class ConditionFailure:
    """The reason why DynamoDB refused a plan.

    Attributes:
        reasons: one code for each action of the plan, None for an action without an error.
        texts: DynamoDB's text for each reason, where it gave one.
        items: the stored item per action, where DynamoDB returned it.
        repeated: whether an earlier attempt may have been done.
        cause: the error for DynamoDB's reply.
    """

    reasons: tuple[str | None, ...]
    texts: tuple[str | None, ...]
    items: tuple[Item | None, ...]
    repeated: bool
    cause: BaoError

    @classmethod
    def of(cls, failure: ConditionFailed | TransactionCancelled) -> ConditionFailure:
        """The reason that an error of the transport gives."""
        if isinstance(failure, ConditionFailed):
            return cls(("ConditionalCheckFailed",), (None,), (failure.item,), failure.repeated, failure)
        return cls(failure.reasons, failure.texts, failure.items, failure.repeated, failure)


def _unknown_item(_: Update) -> None:
    return None


@define
class WriteExecution:
    """The execution of one write.

    Attributes:
        database: the table.
        subject: the item.
        operation: ``"create"``, ``"save"``, ``"update"``, ``"delete"`` or ``"require"``, for errors.
        plan_from: makes the plan. Its argument is the item as it was read; None if it was not.
        send: sends requests.
        seconds: how long the write may take; None for the setting of the database.
        max_throttled_calls: how many calls may wait because of throttling; None for the setting of the database.
        rows: parses the item that an update returns into a row; None for a dict.
        expected_item: returns the item that an update most likely returns; None if that is not known.
        plan: the current plan. `begin` makes the first one.
        is_unanswered: whether a request without a reply must not be sent again.
    """

    database: Database
    subject: ItemRef
    operation: str
    plan_from: Callable[[StoredItem | None], WritePlan]
    send: Send
    seconds: float | None = None
    max_throttled_calls: float | None = None
    rows: RowParser | None = None
    expected_item: Callable[[Update], Item | None] = _unknown_item
    plan: WritePlan = field(init=False)
    is_unanswered: bool = field(default=False, init=False)
    _asked_again: bool = field(default=False, init=False)
    _prepared: Request | None = field(default=None, init=False)

    def begin(self, stored_item: StoredItem | None) -> None:
        """Makes the first plan."""
        self.plan = self.plan_from(stored_item)

    def prepare(self, stored_item: StoredItem | None) -> Request:
        """Makes the first plan, and its request, which `run` sends."""
        self.plan = self.plan_from(stored_item)
        request = self._prepared = self._request()
        return request

    def resume(self, request: Request) -> None:
        """Makes the first plan. Its request was sent already, and `run` begins with reading the reply."""
        self.begin(None)
        self._prepared = request

    def run(self, stored_item: StoredItem | None) -> ReplyItem | None:
        """Plans and sends the write. If an assumption is wrong, it plans again from the stored item.

        Returns:
            The item as DynamoDB returned it: after an update what is stored now, after a delete what was;
            None after a create or a transaction.

        Raises:
            ItemNotFoundError: an item that must exist does not.
            ConditionalError: a condition did not hold.
            UniqueConstraintError: a unique value is another item's.
            WriteOutcomeUnknownError: the reply was lost, and the write cannot be repeated safely.
        """
        deadline = self.database.deadline_from_now(self.seconds, self.max_throttled_calls)
        if self._prepared is None:
            self.begin(stored_item)
        while True:
            try:
                return self._send(deadline)
            except (ConditionFailed, TransactionCancelled) as failure:
                refusal = ConditionFailure.of(failure)
            if refusal.repeated and not self._item_was_fine(refusal):
                stored = self._stored(refusal, deadline)
                if self.plan.main_action.is_satisfied_by(stored):
                    return stored if self.operation in ("save", "update") else None
            self.replan(refusal, deadline)

    def deadline_from_now(self) -> float:
        """The deadline of a write that starts now, in seconds of the transport's clock."""
        return self.database.deadline_from_now(self.seconds, self.max_throttled_calls)

    def replan(self, refusal: ConditionFailure, deadline: float) -> None:
        """Makes another plan from the stored item. Raises if that plan cannot succeed either."""
        if self._item_was_fine(refusal):
            self.plan = self._around_guards(refusal, deadline)
            return
        if self.operation == "create":
            raise self._exists() from cause_of(refusal.cause)
        stored = self._stored(refusal, deadline)
        if stored is None:
            raise self.missing() from cause_of(refusal.cause)
        next_plan = self.plan_from(StoredItem.read(self.subject.schema, self.subject.identity, stored))
        if next_plan == self.plan and refusal.items[self.plan.main] is None and not self._asked_again:
            self._asked_again = True  # the item may have been created between the write and the read
            return
        if next_plan == self.plan or self._is_late(deadline):
            raise self._refused(stored) from cause_of(refusal.cause)
        self.plan = next_plan

    def is_done(self, deadline: float) -> bool:
        """Whether the stored item is the one that the plan would store."""
        return self.plan.main_action.is_satisfied_by(self._read(deadline, doubted=True))

    def _stored(self, refusal: ConditionFailure, deadline: float) -> Item | None:
        returned = refusal.items[self.plan.main]
        return self._read(deadline, doubted=refusal.repeated) if returned is None else returned

    def read_known(self) -> StoredItem:
        """The stored item, read consistently.

        Raises:
            ItemNotFoundError: if the item is not stored.
        """
        stored = self._read(self.deadline_from_now())
        if stored is None:
            raise self.missing()
        return StoredItem.read(self.subject.schema, self.subject.identity, stored)

    def _request(self) -> Request:
        """A new request for the current plan."""
        plan, table, schema = self.plan, self.database.table_name, self.subject.schema
        if plan.is_transaction:
            return Request(*request_for(plan, table, schema, new_token()), repeatable=True)
        action = plan.actions[0]
        operation, parameters = request_alone(action, table, schema)
        repeatable = action.is_idempotent()
        expected_item = None if action.update is None else self.expected_item(action.update)
        return Request(operation, parameters, repeatable, self.rows, expected=expected_item)

    def _send(self, deadline: float) -> ReplyItem | None:
        request, self._prepared = self._prepared or self._request(), None
        self.is_unanswered = not request.repeatable
        try:
            reply = self.send(request, deadline)
        except WriteOutcomeUnknownError as error:
            unknown = WriteOutcomeUnknownError(
                f"{self.subject} {self.operation}: {message_of(error)}", **self.subject.names
            )
            raise unknown from cause_of(error)
        except Exception as error:
            if isinstance(error, ServiceError) and error.code == "ValidationException":
                stored = self._explain(error, message_of(error))
                if stored is not None and self._plan_from_read(stored, deadline):
                    return self._send(deadline)
            if not is_foreign(error) and is_unsafe_to_retry(error, [self.plan]):
                raise WriteOutcomeUnknownError(
                    f"{self.subject} {self.operation}: {ADDED_PERHAPS}", **self.subject.names
                ) from error
            raise
        self.is_unanswered = False
        return reply.parsed.get("Attributes") or None

    def unanswered(self) -> WriteOutcomeUnknownError:
        """The error for a write that was interrupted before its reply came, so that it may be stored."""
        return WriteOutcomeUnknownError(
            f"{self.subject} {self.operation}: the write was interrupted, and {ADDED_PERHAPS}",
            **self.subject.names,
        )

    def _plan_from_read(self, stored: Item, deadline: float) -> bool:
        """Whether a stored item that was read leads to another plan, which is then the current one."""
        next_plan = self.plan_from(StoredItem.read(self.subject.schema, self.subject.identity, stored))
        if next_plan == self.plan or self._is_late(deadline):
            return False
        self.plan = next_plan
        return True

    def _explain(self, refusal: BaoError, *texts: str | None) -> Item | None:
        """Raises the error of a write that DynamoDB holds to be invalid because of what is stored.

        Args:
            refusal: the error for DynamoDB's reply.
            texts: DynamoDB's texts for the refusal.

        Returns:
            The stored item, if something is added to stored values and these are not the fault.

        Raises:
            ValidationError: if the item would be too large, or a sum in it.
            DataFormatError: if something is added to a stored value of another type.
        """
        schema, identity = self.subject.schema, self.subject.identity
        if any(map(is_size_refusal, texts)):
            finding = "would become too large with what is stored"
            raise too_large(schema.name, identity.primary_id, finding) from refusal
        update = self.plan.main_action.update
        if update is not None and any(map(is_sum_refusal, texts)):
            names = [schema.attributes.get(attribute, attribute) for attribute in sum_attributes(update)]
            raise ValidationError(
                f"{self.subject}: a sum in {', '.join(names)} would have more than 38 digits, or be outside of "
                f"DynamoDB's range of numbers; nothing was written. Add less, or set the number.",
                names[0] if len(names) == 1 else None,
            ) from refusal
        attributes = () if update is None else (*update.add, *update.delete)
        stored = self._read(self.deadline_from_now()) if attributes else None
        if stored is None:
            return None
        values = schema.values_of(stored, identity.values)
        for attribute in attributes:
            name = schema.attributes.get(attribute)
            if name is not None and name not in values:
                raise schema.unreadable(identity.primary_id, name, stored[attribute]) from refusal
        return stored

    def _item_was_fine(self, refusal: ConditionFailure) -> bool:
        """Whether only guards of unique values failed. Raises for other reasons than conditions."""
        failed = [number for number, reason in enumerate(refusal.reasons) if reason is not None]
        if not failed or any(refusal.reasons[number] != "ConditionalCheckFailed" for number in failed):
            if "ValidationError" in refusal.reasons:
                self._explain(refusal.cause, *refusal.texts)
            raise self._cancelled(refusal) from cause_of(refusal.cause)
        return self.plan.main not in failed

    def _around_guards(self, refusal: ConditionFailure, deadline: float) -> WritePlan:
        """The plan without the failed guards: it takes values over from owners that no longer exist.

        Raises:
            UniqueConstraintError: for a value that its owner has.
        """
        plan = self.plan
        for number, reason in enumerate(refusal.reasons):
            if reason is None:
                continue
            if plan.claim(number) is not None:
                plan = self._over_dead_owner(plan, number, refusal, deadline)
            elif plan.releases(number):
                plan = plan.without_release(number)
            else:
                return self._from_the_start(refusal, deadline)  # the guard has changed since it was read
        return plan

    def _over_dead_owner(
        self, plan: WritePlan, number: int, refusal: ConditionFailure, deadline: float
    ) -> WritePlan:
        """The plan that takes a unique value from an owner that no longer exists, or that now has another value."""
        claim = plan.claim(number)
        assert claim is not None
        field = self.subject.schema.fields[claim[0]]
        attribute, stored = field.attribute, field.to_dynamo(claim[1])
        guard = refusal.items[number] or self._read(deadline, plan.actions[number].key)
        owner = (guard or {}).get("relatedId", {}).get("S")
        key = None if owner is None else self.subject.schema.keys.from_key(self.subject.tenant, owner).key
        holder = None if key is None else self._read(deadline, key)
        if self._is_late(deadline) or same_stored((holder or {}).get(attribute), stored):
            raise self.taken(claim) from cause_of(refusal.cause)
        if owner is None or key is None:
            return plan  # free by now
        return plan.take_over(number, owner, key, Compare(Attribute(attribute), "=", stored))

    def _from_the_start(self, refusal: ConditionFailure, deadline: float) -> WritePlan:
        if self._is_late(deadline):
            raise self._refused() from cause_of(refusal.cause)
        return self.plan_from(None if self.operation == "create" else self.read_known())

    def _is_late(self, deadline: float) -> bool:
        now: float = self.database.transport.clock.now()
        return now > deadline

    def taken(self, claim: tuple[str, object]) -> UniqueConstraintError:
        """The error for a unique value that belongs to another item.

        Args:
            claim: the field of the constraint, and the value.
        """
        error = UniqueConstraintError(claim[0], claim[1], **self.subject.names)
        error.operation = self.operation
        return error

    def _read(self, deadline: float, key: Key | None = None, *, doubted: bool = False) -> Item | None:
        """A stored item (the subject's own by default), read consistently.

        Args:
            doubted: whether the write may have been carried out, which an error tells instead of its own outcome.
        """
        parameters = {
            "TableName": self.database.table_name,
            "Key": (key or self.subject.identity.key).as_item(),
            "ConsistentRead": True,
            "ReturnConsumedCapacity": "TOTAL",
        }
        try:
            reply = self.send(Request(GET_ITEM, parameters), deadline)
        except Exception as error:
            if not is_foreign(error):
                with_outcome(error, RequestOutcome.UNKNOWN if doubted else RequestOutcome.REFUSED)
            raise
        item: Item | None = reply.body.get("Item") or None
        return item

    def _exists(self) -> BaoError:
        return ConditionalError(
            f"{self.subject}: Condition check failed: an item with this key exists already; nothing was written. "
            f"find() it, or create one with another key.",
            operation=self.operation,
            **self.subject.names,
        )

    def missing(self) -> BaoError:
        """The error for an item that must be stored and is not."""
        return ItemNotFoundError(
            f"{self.subject}: nothing to {self.operation}, the item is not stored (deleted meanwhile?); "
            f"nothing was written. create() it again if it should exist.",
            **self.subject.names,
        )

    def _cancelled(self, refusal: ConditionFailure) -> BaoError:
        """The error for a transaction that was cancelled, but not because of a condition."""
        if not refusal.repeated:
            return TransactionError(f"{self.subject} {self.operation}: {refusal.cause}", refusal.reasons)
        reasons = ", ".join(sorted({reason for reason in refusal.reasons if reason is not None}))
        return WriteOutcomeUnknownError(
            f"{self.subject} {self.operation}: a reply was lost, and further attempts were cancelled ({reasons}). "
            f"find() it again to see what is stored, then decide.",
            **self.subject.names,
        )

    def _refused(self, stored: Item | None = None) -> BaoError:
        """The error for a condition that did not hold.

        Args:
            stored: the item that is stored, if that is known; of it the error keeps the versions, to be told apart.
        """
        summary = "Delete condition not met" if self.operation == "delete" else "Condition check failed"
        error = ConditionalError(
            f"{self.subject} {self.operation}: {summary}; nothing was written. refresh() shows what is stored.",
            operation=self.operation,
            **self.subject.names,
        )
        version_field = self.subject.schema.version_field
        if stored is not None and version_field is not None:
            name = version_field.attribute
            error.__dict__[VERSIONS] = {name: stored[name]} if name in stored else {}
        return error


def is_unsafe_to_retry(error: Exception, plans: Sequence[WritePlan]) -> bool:
    """Whether plans whose request ended with an error may be done, so that doing them again could count twice."""
    if isinstance(error, (ConditionFailed, TransactionCancelled)) or not may_have_succeeded(error):
        return False
    return not all(plan.main_action.is_idempotent() for plan in plans)
