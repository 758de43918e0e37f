"""Maps DynamoDB's error codes to the library's errors, and says which of them allow another attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dynamo_bao.dynamodb.service import Item
from dynamo_bao.dynamodb.transport.messages import RequestOutcome, Throttling, outcome_of
from dynamo_bao.errors import (
    BaoError,
    ConditionalError,
    ServiceError,
    TableNotFoundError,
    ThrottledError,
    TransactionError,
    WriteOutcomeUnknownError,
)

THROTTLING: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "Throttling",
    }
)
"""Refused before anything was done: another attempt is always safe."""

CONTENDED: Final = frozenset({"TransactionConflictException", "ReplicatedWriteConflictException"})
"""Refused because of another write of the same item: another attempt is safe."""

TRANSIENT: Final = frozenset(
    {"InternalServerError", "InternalServerErrorException", "TransactionInProgressException"}
)
"""Failed inside DynamoDB: it is not known whether the request was executed."""

THROTTLING_REASONS: Final = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})
"""Reasons of a cancelled transaction that mean throttling."""

TRANSIENT_REASONS: Final = frozenset({"TransactionConflict", *THROTTLING_REASONS})
"""Reasons of a cancelled transaction after which another attempt may succeed."""

REMEDIES: Final[Mapping[str, str]] = {
    "AccessDeniedException": "The credentials may not do this; check the IAM policy for the table and its indexes.",
    "ExpiredTokenException": "The credentials have expired; renew them.",
    "UnrecognizedClientException": "The credentials are not known; check the access key and the region.",
    "InvalidSignatureException": "The signature was refused; check the secret key and the machine's clock.",
    "ItemCollectionSizeLimitExceededException": "An item collection may not exceed 10 GB.",
    "LimitExceededException": "Too many table operations at once; try again later.",
    "ResourceInUseException": "The table exists already or is being changed; wait until it is ACTIVE.",
    "IdempotentParameterMismatchException": "A client request token was used for two different transactions.",
    "ReplicatedWriteConflictException": "Another region wrote the item at the same time; try again.",
    "TransactionConflictException": "A transaction was writing the item at the same time; try again.",
    "DuplicateItemException": "The item exists already.",
    "PolicyNotFoundException": "The table has no resource policy.",
    "InvalidEndpointException": "The endpoint does not serve this account; check endpoint_url.",
    "ValidationException": "",
    "SerializationException": "",
}
"""Codes that become a `ServiceError`, each with the remedy. Codes that are not listed have no remedy."""


class ConditionFailed(ConditionalError):
    """The condition of a single write did not hold. The planner of the write turns it into the error for users.

    Attributes:
        item: the stored item, if DynamoDB returned it.
        repeated: whether an earlier attempt of the same write may have been executed.
    """

    def __init__(self, message: str, item: Item | None) -> None:
        super().__init__(message)
        self.item = item
        self.repeated = False


class TransactionCancelled(TransactionError):
    """A cancelled transaction.

    Attributes:
        reasons: one code per action; None if the action was fine.
        items: the stored item per action, if DynamoDB returned it.
        texts: DynamoDB's text for each reason, if it gave one.
        repeated: whether an earlier attempt of the same transaction may have been executed.
        retry_after: the seconds that DynamoDB asks to wait before the next attempt; None if it does not say.
    """

    def __init__(
        self,
        message: str,
        reasons: Sequence[str | None],
        items: Sequence[Item | None],
        retry_after: float | None = None,
        texts: Sequence[str | None] = (),
    ) -> None:
        super().__init__(message, reasons)
        self.items: tuple[Item | None, ...] = tuple(items)
        self.texts: tuple[str | None, ...] = tuple(texts) or (None,) * len(reasons)
        self.repeated = False
        self.retry_after = retry_after

    @property
    def is_transient(self) -> bool:
        """Whether every reason is a conflict or throttling, so that another attempt may succeed."""
        codes = {reason for reason in self.reasons if reason is not None}
        return bool(codes) and codes <= TRANSIENT_REASONS


def may_have_succeeded(error: Exception) -> bool:
    """Whether a write that ended with an error may have been executed.

    >>> may_have_succeeded(ConditionFailed("no", None)), may_have_succeeded(ConnectionResetError())
    (False, True)
    """
    outcome = outcome_of(error)
    if outcome is not None:
        return outcome is RequestOutcome.UNKNOWN
    if isinstance(error, ServiceError):
        return error.code in TRANSIENT
    return isinstance(error, WriteOutcomeUnknownError) or not isinstance(error, BaoError)


def map_service_error(
    code: str,
    message: str,
    operation: str,
    response: Mapping[str, Any],
    table: str,
    index: str | None = None,
) -> BaoError:
    """The library's error for an error reply of DynamoDB.

    Args:
        code, message: the code and the message of the reply.
        operation: the API operation.
        response: the whole reply, which may hold an item and reasons.
        table: the table or tables of the request, for the message.
        index: the index of the request, if it has one.
    """
    if code == "ConditionalCheckFailedException":
        return ConditionFailed(f"{operation}: the condition did not hold.", response.get("Item") or None)
    if code == "TransactionCanceledException":
        return _cancelled(operation, response)
    if code in ("ResourceNotFoundException", "TableNotFoundException"):
        return TableNotFoundError(
            f"{operation}: table {table} (or the index asked for) does not exist at this region and endpoint. "
            f"Create it with manager.create_table(), or correct table_name, region or endpoint_url.",
            code=code,
            operation=operation,
        )
    if code in THROTTLING:
        return throttled_error(code, operation, throttling_in(response, table, index))
    advice = REMEDIES.get(code, "")
    return ServiceError(
        f"{operation} on table {table}: {code}: {message} {advice}".strip(), code=code, operation=operation
    )


def throttled_error(code: str, operation: str, throttling: Throttling, remark: str = "") -> ThrottledError:
    """The error for a request that was throttled.

    Args:
        code: DynamoDB's error code.
        operation: the API operation.
        throttling: what was throttled, and why.
        remark: a further sentence for the text, with a space at its end.
    """
    resource = f"table {throttling.table}"
    if throttling.index is not None:
        resource = f"index {throttling.index} of {resource}"
    return ThrottledError(
        f"{operation} on {resource} was throttled ({', '.join(throttling.reasons) or code}). {remark}"
        f"Raise the capacity, spread the load over more keys, or give a longer deadline.",
        code=code,
        operation=operation,
        table=throttling.table,
        index=throttling.index,
        reasons=throttling.reasons,
        retry_after=throttling.retry_after,
    )


def throttling_in(response: Mapping[str, object], table: str, index: str | None = None) -> Throttling:
    """The table, the index and the reasons of a throttled request, from its error reply.

    Args:
        response: the whole reply, in botocore's form.
        table, index: those of the request, for a reply that does not name them.
    """
    listed = response.get("ThrottlingReasons") or response.get("throttlingReasons")
    reasons: list[str] = []
    for entry in listed if isinstance(listed, list) else ():
        reason, resource = (
            (entry.get("reason"), entry.get("resource")) if isinstance(entry, dict) else (None, None)
        )
        if isinstance(reason, str):
            reasons.append(reason)
        if isinstance(resource, str) and ":table/" in resource:
            table, _, part = resource.partition(":table/")[2].partition("/")
            index = part.removeprefix("index/") if part.startswith("index/") else None
    return Throttling(table, index, tuple(dict.fromkeys(reasons)), retry_after_in(response))


def retry_after_in(response: Mapping[str, Any]) -> float | None:
    """The seconds that an error reply asks to wait before the next attempt; None if it does not say.

    >>> retry_after_in({"ResponseMetadata": {"HTTPHeaders": {"x-amz-retry-after": "1500"}}})
    1.5
    """
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    text = str(headers.get("x-amz-retry-after", "")).strip()
    return int(text) / 1000 if text.isascii() and text.isdigit() and len(text) < 10 else None


def _cancelled(operation: str, response: Mapping[str, Any]) -> TransactionCancelled:
    reasons = response.get("CancellationReasons") or []
    codes = [None if reason.get("Code") in (None, "None") else str(reason["Code"]) for reason in reasons]
    listed = ", ".join(f"{number}: {code}" for number, code in enumerate(codes) if code)
    return TransactionCancelled(
        f"{operation}: the transaction was cancelled ({listed or 'no reason given'}); nothing was written.",
        codes,
        [reason.get("Item") or None for reason in reasons],
        retry_after_in(response),
        [reason.get("Message") or None for reason in reasons],
    )
