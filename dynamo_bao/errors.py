"""Every error dynamo_bao raises on its own.

::

    BaoError
    ├── ConfigurationError (ValueError)      a wrong model definition or setting
    │   └── ModelFileError                   … in a YAML model file, with its line
    ├── ValidationError (ValueError)         values a field refuses; lists all of them
    │   └── UnknownFieldError (TypeError)    a field the model does not have
    ├── QueryError (ValueError)              a condition, filter, cursor or index that cannot be
    ├── ItemNotFoundError                    an item that is not stored
    ├── ConditionalError                     a write refused by its condition; nothing written
    │   ├── UniqueConstraintError            a unique value that another item holds
    │   └── VersionConflictError             a save over a newer version
    ├── TransactionError                     a cancelled transaction, with a reason per operation
    │   └── TransactionTooLargeError (ValueError)
    ├── BatchContextError (RuntimeError)     wrong use of the batch context
    │   ├── BatchContextRequiredError        strict mode, outside any context
    │   ├── ConcurrencyError                 a session used by something that does not own it
    │   ├── LazyLoadError                    an implicit load where fetch="raise"
    │   └── BudgetExceededError              one request too many for a budget
    ├── BatchIncompleteError                 keys DynamoDB left unprocessed, also when asked again
    ├── CommitError                          a commit that was written in part
    │   └── UncommittedChangesError          a block left with work that was never committed
    ├── TenantError
    │   ├── TenantRequiredError (RuntimeError)
    │   └── TenantMismatchError (ValueError)
    ├── DataFormatError                      a stored item or a reply that cannot be believed
    ├── ServiceError                         DynamoDB refused the request
    │   └── ThrottledError                   … because of throughput
    └── WriteOutcomeUnknownError             a write whose reply was lost and that cannot be repeated

What botocore raises on its own (no region, no credentials, no connection, no reply in time) is raised as an error
that is both a `BaoError` and of botocore's class, so that either ``except`` works. These classes are here too, by
botocore's names (`ALSO_BOTOCORES`): ``dynamo_bao.errors.NoRegionError``. Where an error was caused by one of
botocore's, that one is its ``__cause__``.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


def _rebuild(cls: type[BaoError], state: dict[str, Any], args: tuple[object, ...]) -> BaoError:
    error: BaoError = copyreg.__newobj__(cls)  # type: ignore[attr-defined]
    error.args = args
    error.__dict__.update(state)
    return error


class BaoError(Exception):
    """The root of every error of this library; pickles with all its attributes."""

    def __reduce__(self) -> tuple[Callable[..., BaoError], tuple[object, ...]]:
        return _rebuild, (type(self), dict(self.__dict__), self.args)


class ConfigurationError(BaoError, ValueError):
    """A model definition or a setting that cannot work; raised before any request."""

    def __init__(self, message: str, *, model: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.field = field


class ModelFileError(ConfigurationError):
    """A YAML model file that cannot be read as models.

    Attributes:
        file: the file's path, as it was given.
        line: the line, from 1; None where the fault is not one line's.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        model: str | None = None,
        field: str | None = None,
    ) -> None:
        place = file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {message}", model=model, field=field)
        self.file = file
        self.line = line


class ConfigurationWarning(UserWarning):
    """A setting or a model definition that works, but is probably not what was meant."""


class ModelFileWarning(UserWarning):
    """Something in a YAML model file that works, but is probably not what was meant."""


class ValidationError(BaoError, ValueError):
    """One or several values that their fields refuse.

    Attributes:
        field: the first wrong field's name (None where the fault is not one field's).
        value: that field's value.
        errors: every wrong field's own `ValidationError`, this one included where it stands alone.
    """

    def __init__(
        self,
        message: str,
        field: str | None = None,
        value: object = None,
        errors: Sequence[ValidationError] = (),
    ) -> None:
        super().__init__(message)
        self.field = field
        self.value = value
        self.errors: tuple[ValidationError, ...] = tuple(errors)

    @classmethod
    def of(cls, model: str, errors: Sequence[ValidationError]) -> ValidationError:
        """All of a model's wrong fields in one error; a single one is returned as it is."""
        if len(errors) == 1:
            return errors[0]
        first = errors[0]
        listed = "; ".join(str(error) for error in errors)
        return cls(f"{model}: {len(errors)} fields are wrong: {listed}", first.field, first.value, errors)


class UnknownFieldError(ValidationError, TypeError):
    """A field name that the model does not declare."""


class QueryError(BaoError, ValueError):
    """A condition, filter, cursor or index name that cannot be used; raised before any request."""

    def __init__(self, message: str, *, index: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.field = field


class ItemNotFoundError(BaoError):
    """An item that is not stored. Templates render it as empty, as Django's own do."""

    silent_variable_failure = True

    def __init__(self, message: str, *, model: str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.key = key


class ConditionalError(BaoError):
    """A write whose condition did not hold; nothing was written.

    Attributes:
        model, key: what was to be written.
        operation: ``"create"``, ``"save"``, ``"update"`` or ``"delete"``.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str | None = None,
        key: str | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(message)
        self.model = model
        self.key = key
        self.operation = operation


class UniqueConstraintError(ConditionalError):
    """A unique value that another item holds already."""

    def __init__(
        self, field: str, value: object, *, model: str | None = None, key: str | None = None
    ) -> None:
        what = f"{field} must be unique, and its value is taken"
        if model is not None:
            what = f"{model}: {field} must be unique, and its value belongs to another {model}"
        super().__init__(
            f"{what}; nothing was written. Choose another value or change the item that holds it.",
            model=model,
            key=key,
            operation="save",
        )
        self.field = field
        self.value = value


class VersionConflictError(ConditionalError):
    """A save or delete of an instance that is older than what is stored; ``refresh()`` and try again."""


class TransactionError(BaoError):
    """A transaction that DynamoDB cancelled; nothing of it was written.

    Attributes:
        reasons: one `str` or None per operation, in the order of the transaction.
        errors: what stood in the way of each operation, as the exception that it alone would have raised;
            None for those that were fine.
        objects: the instance each operation was about; None where it was only a key.

    Where the first of `errors` is a `UniqueConstraintError`, `VersionConflictError`, `ConditionalError` or
    `ItemNotFoundError`, the transaction's error is one of that kind too.
    """

    def __init__(
        self,
        message: str,
        reasons: Sequence[str | None] = (),
        errors: Sequence[BaoError | None] = (),
    ) -> None:
        BaoError.__init__(self, message)
        self.reasons = tuple(reasons)
        self.errors = tuple(errors)
        self.objects: tuple[Any, ...] = ()


class TransactionTooLargeError(TransactionError, ValueError):
    """More actions than one ``TransactWriteItems`` takes; refused before anything was sent."""


class BatchContextError(BaoError, RuntimeError):
    """Wrong use of the batch context."""


class BatchContextRequiredError(BatchContextError):
    """Strict mode: an operation outside any batch context."""


class ConcurrencyError(BatchContextError):
    """A session, or an instance of one, used by something that does not own it."""


class LazyLoadError(BatchContextError):
    """An implicit related load in a session that was opened with ``fetch="raise"``."""

    def __init__(self, message: str, *, model: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.field = field


class BudgetExceededError(BatchContextError):
    """One request more than the budget allows; it was not sent."""


class NaiveDatetimeWarning(UserWarning):
    """A datetime without a time zone was taken for UTC."""


class BatchContextWarning(UserWarning):
    """An operation outside any batch context, where the policy is `WarnOutside`."""


class SeveralManagersWarning(BatchContextWarning):
    """A second manager was opened for a model, and neither is bound to a context with `Manager.activate`."""


class BatchIncompleteError(BaoError):
    """Keys that DynamoDB left unprocessed, also when it was asked again. They are not known to be missing.

    It is asked again until the deadline, or until ten requests in a row made no progress.

    Attributes:
        keys: the keys left, as ``(model, primary id)``.
    """

    def __init__(self, message: str, keys: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


class CommitError(BaoError):
    """A commit that was written in part.

    Attributes:
        done, not_done, unknown: the objects concerned; what was not done stays pending.
    """

    def __init__(
        self,
        message: str,
        *,
        done: Sequence[object] = (),
        not_done: Sequence[object] = (),
        unknown: Sequence[object] = (),
    ) -> None:
        super().__init__(message)
        self.done = tuple(done)
        self.not_done = tuple(not_done)
        self.unknown = tuple(unknown)


class UncommittedChangesError(CommitError):
    """A block was left while added or deleted objects were never committed nor rolled back."""


class TenantError(BaoError):
    """Wrong use of tenants."""


class TenantRequiredError(TenantError, RuntimeError):
    """Tenancy is enabled and no tenant is set."""


class TenantMismatchError(TenantError, ValueError):
    """An instance, id or cursor of one tenant used under another."""


class DataFormatError(BaoError):
    """A stored item that its model cannot read, or a reply that is not what DynamoDB sends."""

    def __init__(
        self,
        message: str,
        *,
        model: str | None = None,
        key: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message)
        self.model = model
        self.key = key
        self.field = field


class ServiceError(BaoError):
    """DynamoDB refused a request.

    Attributes:
        code: the service's error code, such as ``ResourceNotFoundException``.
        operation: the API operation, such as ``BatchGetItem``.
    """

    def __init__(self, message: str, *, code: str | None = None, operation: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.operation = operation


class ThrottledError(ServiceError):
    """Throughput was exceeded, and still was after every retry that the deadline and `max_throttled_calls` allowed.

    Attributes:
        table, index: what was throttled; the index is None where it was the table itself.
        reason: DynamoDB's first reason, such as ``TableReadKeyRangeThroughputExceeded``; None if it gave none.
        reasons: all of its reasons.
        retry_after: after how many seconds DynamoDB asks to try again; None if it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        operation: str | None = None,
        table: str | None = None,
        index: str | None = None,
        reasons: Sequence[str] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code, operation=operation)
        self.table = table
        self.index = index
        self.reasons = tuple(reasons)
        self.reason = self.reasons[0] if self.reasons else None
        self.retry_after = retry_after


class WriteOutcomeUnknownError(BaoError):
    """The reply to a write was lost, and repeating that write could apply it twice.

    ``refresh()`` the instance to see what is stored, then decide.
    """

    def __init__(self, message: str, *, model: str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.key = key


ALSO_BOTOCORES: Mapping[str, type[BaoError]] = {
    **dict.fromkeys(("NoRegionError", "InvalidRegionError", "UnknownEndpointError"), ConfigurationError),
    **dict.fromkeys(("ProfileNotFound", "ConfigNotFound", "ConfigParseError"), ConfigurationError),
    **dict.fromkeys(("InvalidConfigError", "InfiniteLoopConfigError"), ConfigurationError),
    **dict.fromkeys(("InvalidProxiesConfigError", "UnknownCredentialError"), ConfigurationError),
    **dict.fromkeys(("NoCredentialsError", "PartialCredentialsError"), ConfigurationError),
    **dict.fromkeys(("CredentialRetrievalError", "MetadataRetrievalError", "NoAuthTokenError"), BaoError),
    **dict.fromkeys(("TokenRetrievalError", "RefreshWithMFAUnsupportedError"), BaoError),
    **dict.fromkeys(("SSOError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"), BaoError),
    **dict.fromkeys(("LoginError", "LoginTokenLoadError", "LoginRefreshRequired"), BaoError),
    **dict.fromkeys(("LoginInsufficientPermissions", "LoginAuthorizationCodeError"), BaoError),
    **dict.fromkeys(("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"), BaoError),
    **dict.fromkeys(("SSLError", "HTTPClientError", "ConnectionClosedError"), BaoError),
    **dict.fromkeys(("ReadTimeoutError", "ResponseStreamingError"), BaoError),
}
"""By the names of botocore's classes, which class of this library such an error is too."""


def __getattr__(name: str) -> Any:
    """The classes of `ALSO_BOTOCORES`, which are made when they are first needed: botocore is imported for them."""
    if name in ALSO_BOTOCORES:
        import importlib

        return importlib.import_module("dynamo_bao.dynamodb.transport.botocore").class_of_both(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def about(error: Exception, subject: str, model: str | None = None, key: str | None = None) -> Exception:
    """The same error, with what was asked before its text; itself where it says so already, or is anybody else's.

    Args:
        error: what a request ended with.
        subject: what was asked, such as ``"User 'ada'"``.
        model, key: the same in parts.
    """
    names_nothing = isinstance(error, DataFormatError) and error.model is None
    if not names_nothing and not (isinstance(error, BaoError) and hasattr(error, "kwargs")):
        return error
    if "subject" in error.__dict__:
        return error
    named = type(error).__new__(type(error))
    named.args = (f"{subject}: {error}",)
    named.__dict__.update(error.__dict__, subject=subject, model=model or subject.split(" ")[0].split(".")[0])
    if key is not None:
        named.__dict__["key"] = key
    named.__cause__ = cause_of(error)
    return named


def cause_of(error: BaseException) -> BaseException:
    """What stands behind an error, for ``raise … from``: botocore's where there is one, else the error itself."""
    return error if error.__cause__ is None else error.__cause__


def suggestion(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for a misspelt name, or the names there are, or nothing."""
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" There is: {', '.join(names)}." if names else ""


def reject_unknown(given: Mapping[str, object], known: Iterable[str], what: str) -> None:
    """Raises `ConfigurationError` for the first key of `given` that is not in `_instance_for`."""
    names = list(known)
    for name in given:
        if name not in names:
            raise ConfigurationError(f"Unknown {what} {name!r}.{suggestion(name, names)}")
