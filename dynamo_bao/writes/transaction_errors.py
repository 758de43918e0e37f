"""The error of a transaction that was cancelled: of the kind that its first failed write would have raised."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo_bao.errors import (
    BaoError,
    ConditionalError,
    ItemNotFoundError,
    TransactionError,
    UniqueConstraintError,
    VersionConflictError,
    message_of,
)


class ConditionalTransactionError(TransactionError, ConditionalError):
    """A transaction in which a condition did not hold."""


class UniqueTransactionError(TransactionError, UniqueConstraintError):
    """A transaction in which a unique value was another item's."""


class VersionTransactionError(TransactionError, VersionConflictError):
    """A transaction in which a version was not the stored one."""


class MissingTransactionError(TransactionError, ItemNotFoundError):
    """A transaction in which an item was not stored."""


_KINDS: tuple[tuple[type[BaoError], type[TransactionError]], ...] = (
    (UniqueConstraintError, UniqueTransactionError),
    (VersionConflictError, VersionTransactionError),
    (ConditionalError, ConditionalTransactionError),
    (ItemNotFoundError, MissingTransactionError),
)


def transaction_failed(names: Sequence[str], errors: Sequence[BaoError | None]) -> TransactionError:
    """The error of a transaction of which nothing was written.

    Args:
        names: what each of its writes was: the operation, model and key.
        errors: the error of each, or None.
    """
    reasons = [None if error is None else message_of(error) for error in errors]
    error_texts = [
        _labelled(name, reason) for name, reason in zip(names, reasons, strict=True) if reason is not None
    ]
    message = "The transaction was cancelled; nothing of it was written. " + " | ".join(error_texts)
    first = next((error for error in errors if error is not None), None)
    kind = next((joint for single, joint in _KINDS if isinstance(first, single)), TransactionError)
    failed = kind(message, reasons, errors)
    if first is not None:
        failed.__dict__.update(
            {name: value for name, value in vars(first).items() if name not in vars(failed)}
        )
    return failed


def _labelled(name: str, reason: str) -> str:
    """A reason after the name of its write. Most reasons begin with the model and key, which are not said twice."""
    operation, _, subject = name.partition(" ")
    return f"{name}: {reason.removeprefix(subject).removeprefix(f' {operation}').removeprefix(': ')}"
