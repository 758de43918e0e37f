"""Carrying out several writes as one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from dynamo_bao._foreign_errors import is_foreign
from dynamo_bao.dynamodb.service import TRANSACT_WRITE_ITEMS
from dynamo_bao.dynamodb.transport.error_mapping import TransactionCancelled
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import BaoError, WriteOutcomeUnknownError, cause_of
from dynamo_bao.writes.executor import ADDED_PERHAPS, Refusal, Send, Write, must_not_be_repeated
from dynamo_bao.writes.transaction_plan import Together, failed, together


def run_together(writes: Sequence[Write], send: Send) -> None:
    """Carries out the present plans of `writes` all or none, planning again where an assumption proved wrong.

    Args:
        writes: begun ones, each of another item.

    Raises:
        TransactionError: with what stood in the way of each write; nothing was written.
        WriteOutcomeUnknownError: where no reply came, and doing it again could add to a counter twice; or where
            further attempts were cancelled for other reasons than conditions.
    """
    deadline = writes[0].deadline_from_now()
    while True:
        combined = together(writes)
        request = Request(TRANSACT_WRITE_ITEMS, combined.request(str(uuid.uuid4())), True)
        try:
            send(request, deadline)
            return
        except TransactionCancelled as failure:
            refusal = Refusal(failure.reasons, failure.items, failure.repeated, failure)
        except Exception as error:
            if not is_foreign(error) and must_not_be_repeated(error, writes):
                raise WriteOutcomeUnknownError(
                    f"The transaction of {_named(writes)}: {ADDED_PERHAPS}"
                ) from error
            raise
        if refusal.repeated and _are_done(writes, deadline):
            return
        _replan(combined, refusal, deadline)


def _named(writes: Sequence[Write]) -> str:
    return ", ".join(write.item for write in writes)


def _are_done(writes: Sequence[Write], deadline: float) -> bool:
    """Whether what is stored tells that all of `writes` were carried out; conditions alone leave nothing behind."""
    changing = [write for write in writes if write.plan.main_action.kind != "ConditionCheck"]
    return bool(changing) and all(write.is_done(deadline) for write in changing)


def _replan(combined: Together, refusal: Refusal, deadline: float) -> None:
    """Has every refused write plan again; tells of all those that cannot."""
    errors: dict[int, BaoError] = {}
    refusals = combined.refusals(refusal)
    for number, refused in refusals.items():
        try:
            combined.writes[number].replan(refused, deadline)
        except WriteOutcomeUnknownError:
            raise
        except BaoError as error:
            errors[number] = error
    if errors or not refusals:
        raise failed(combined.writes, errors) from cause_of(refusal.cause)
