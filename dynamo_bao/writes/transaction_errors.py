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
    error_texts = [f"{name}: {error}" for name, error in zip(names, errors, strict=True) if error is not None]
    message = "The transaction was cancelled; nothing of it was written. " + " | ".join(error_texts)
    first = next((error for error in errors if error is not None), None)
    kind = next((joint for single, joint in _KINDS if isinstance(first, single)), TransactionError)
    failed = kind(message, [None if error is None else str(error) for error in errors], errors)
    if first is not None:
        failed.__dict__.update(
            {name: value for name, value in vars(first).items() if name not in vars(failed)}
        )
    return failed
