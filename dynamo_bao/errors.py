"""Every error dynamo_bao raises on its own.

::

    BaoError
    ├── ConfigurationError (ValueError)      a wrong model definition or setting
    │   └── ModelFileError                   … in a YAML model file, with its line
    ├── ValidationError (ValueError)         values that a field refuses; lists all of them
    │   └── UnknownFieldError (TypeError)    a field that the model does not have
    ├── QueryError (ValueError)              a condition, filter, cursor or index that cannot be used
    ├── ItemNotFoundError                    an item that is not stored
    ├── ConditionalError                     a write refused by its condition; nothing written
    │   ├── UniqueConstraintError            a unique value that another item holds
    │   └── VersionConflictError             a save over a newer version
    ├── TransactionError                     a cancelled transaction, with a reason per operation
    │   └── TransactionTooLargeError (ValueError)
    ├── BatchContextError (RuntimeError)     wrong use of the batch context
    │   ├── BatchContextRequiredError        strict mode, outside any context
    │   ├── ConcurrencyError                 a session used by something that does not own it
    │   ├── LazyLoadError                    an implicit load in a session with fetch="raise"
    │   └── BudgetExceededError              one request too many for a budget
    ├── BatchIncompleteError                 keys that DynamoDB left unprocessed after all retries
    ├── CommitError                          a commit that was written in part
    │   └── UncommittedChangesError          a block that ended with changes that were never committed
    ├── TenantError
    │   ├── TenantRequiredError (RuntimeError)
    │   └── TenantMismatchError (ValueError)
    ├── DataFormatError                      a stored item or a reply that cannot be read
    ├── ServiceError                         DynamoDB refused the request
    │   ├── TableNotFoundError (ConfigurationError)
    │   └── ThrottledError                   … because of throughput
    └── WriteOutcomeUnknownError             a write whose reply was lost and that cannot be repeated

Some errors come from botocore: no region, no credentials, no connection, no reply in time. Each of them is raised as
a class that is both a `BaoError` and botocore's class, so either ``except`` works. This module has these classes too,
by botocore's names (`ALSO_BOTOCORES`): ``dynamo_bao.errors.NoRegionError``. If an error of botocore caused another
error, it is that error's ``__cause__``.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

# The warnings can be imported from here as well.
from dynamo_bao.runtime.warning_types import (
    BatchContextWarning as BatchContextWarning,
    ConfigurationWarning as ConfigurationWarning,
    ModelFileWarning as ModelFileWarning,
    NaiveDatetimeWarning as NaiveDatetimeWarning,
    SeveralManagersWarning as SeveralManagersWarning,
)


def _rebuild(cls: type[BaoError], state: Mapping[str, object], args: tuple[object, ...]) -> BaoError:
    error: BaoError = copyreg.__newobj__(cls)  # type: ignore[attr-defined]
    error.args = args
    error.__dict__.update(state)
    return error


class BaoError(Exception):
    """The root of every error of this library; pickles with all its attributes.

    Attributes:
        error_code: the code of this kind of error, such as ``"BAO-3001"``. The page "Errors" of the reference has a
            section for each code.
        message: the text without the code.

    Example:
        >>> try:
        ...     user.save()
        ... except BaoError as error:
        ...     print(error.error_code, error.message)
    """

    error_code: ClassVar[str] = "BAO-1000"

    @property
    def message(self) -> str:
        """The text without the code, for instance to show it to somebody who does not know this library."""
        return super().__str__()

    def __str__(self) -> str:
        message = self.message
        return f"{message} [{self.error_code}]" if message else ""

    def __reduce__(self) -> tuple[Callable[..., BaoError], tuple[object, ...]]:
        return _rebuild, (type(self), dict(self.__dict__), self.args)


class ConfigurationError(BaoError, ValueError):
    """A model definition or a setting that cannot work; raised before any request.

    Example:
        >>> init_models(models=["User"])      # ConfigurationError: a name is no model
    """

    error_code = "BAO-1001"

    def __init__(self, message: str, *, model: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.field = field


class ModelFileError(ConfigurationError):
    """A YAML model file that cannot be read as models.

    Attributes:
        file: the path of the file, as the caller wrote it.
        line: the number of the line, from 1; None if the fault is not on one line.

    Example:
        >>> load_models("modells.yaml")      # ModelFileError: there is no such file
    """

    error_code = "BAO-1002"

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        model: str | None = None,
        field: str | None = None,
    ) -> None:
        location = file if line is None else f"{file}:{line}"
        super().__init__(f"{location}: {message}", model=model, field=field)
        self.file = file
        self.line = line


class ValidationError(BaoError, ValueError):
    """One or several values that their fields refuse.

    Attributes:
        field: the name of the first wrong field; None if the fault is not about one field.
        value: the value of that field.
        errors: one `ValidationError` for each wrong field, if several fields are wrong.

    Example:
        >>> User.create(name="Ada", age="many")      # ValidationError: age is no number
    """

    error_code = "BAO-2001"

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
        """One error for all wrong fields of a model.

        Args:
            model: the name of the model.
            errors: at least one error, each about one field; a single error is returned unchanged.

        Returns:
            The error. Its `errors` has the others.
        """
        if len(errors) == 1:
            return errors[0]
        first = errors[0]
        listed = "; ".join(message_of(error) for error in errors)
        return cls(f"{model}: {len(errors)} fields are wrong: {listed}", first.field, first.value, errors)


class UnknownFieldError(ValidationError, TypeError):
    """A field name that the model does not declare.

    Example:
        >>> User.create(nmae="Ada")      # UnknownFieldError: the text names the field that is meant
    """

    error_code = "BAO-2002"


class QueryError(BaoError, ValueError):
    """A condition, filter, cursor or index name that cannot be used. Raised before any request.

    Attributes:
        index: the index that was queried, if the fault is about one.
        field: the field that the fault is about, if it is about one.

    Example:
        >>> list(User.query_by_status("active", filter={"nmae": "Ada"}))      # QueryError: there is no field nmae
    """

    error_code = "BAO-2003"

    def __init__(self, message: str, *, index: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.index = index
        self.field = field


class ItemNotFoundError(BaoError):
    """An item that is not stored. Django's templates render it as an empty text.

    Attributes:
        model, key: the model and the key of the item.

    Example:
        >>> User.find_or_raise("43")      # ItemNotFoundError
    """

    error_code = "BAO-3001"

    silent_variable_failure = True

    def __init__(self, message: str, *, model: str | None = None, key: str | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.key = key


class ConditionalError(BaoError):
    """A write whose condition did not hold; nothing was written.

    Attributes:
        model, key: the model and the key of the item.
        operation: ``"create"``, ``"save"``, ``"update"`` or ``"delete"``.

    Example:
        >>> user.save(condition={"status": "closed"})      # ConditionalError: it is active
    """

    error_code = "BAO-4001"

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
    """A unique value that another item has already.

    Attributes:
        field, value: the unique field and the value.

    Example:
        >>> User.create(name="Ada", email="ada@example.com")
        >>> User.create(name="Eve", email="ada@example.com")      # UniqueConstraintError: it is taken
    """

    error_code = "BAO-4002"

    def __init__(
        self, field: str, value: object, *, model: str | None = None, key: str | None = None
    ) -> None:
        fault = f"{field} must be unique, and its value is taken"
        if model is not None:
            fault = f"{model}: {field} must be unique, and its value belongs to another {model}"
        super().__init__(
            f"{fault}; nothing was written. Choose another value or change the item that holds it.",
            model=model,
            key=key,
            operation="save",
        )
        self.field = field
        self.value = value


class VersionConflictError(ConditionalError):
    """A save or delete of an instance that is older than the stored item; ``refresh()`` it and try again.

    Example:
        >>> try:
        ...     user.save()
        ... except VersionConflictError:
        ...     user.refresh()
    """

    error_code = "BAO-4003"


class TransactionError(BaoError):
    """A transaction that DynamoDB cancelled; nothing of it was written.

    Attributes:
        reasons: one `str` or None per operation, in the order of the transaction.
        errors: one exception per operation: the one that the operation would have raised by itself; None if the
            operation was fine.
        objects: one instance per operation; None if the operation was about a key only.

    If the first of `errors` is a `UniqueConstraintError`, `VersionConflictError`, `ConditionalError` or
    `ItemNotFoundError`, then the transaction's error is an error of that kind too.

    Example:
        >>> try:
        ...     with transaction():
        ...         account.save()
        ... except TransactionError as error:
        ...     print(error.reasons)
    """

    error_code = "BAO-4004"

    def __init__(
        self,
        message: str,
        reasons: Sequence[str | None] = (),
        errors: Sequence[BaoError | None] = (),
    ) -> None:
        BaoError.__init__(self, message)
        self.reasons: tuple[str | None, ...] = tuple(reasons)
        self.errors: tuple[BaoError | None, ...] = tuple(errors)
        self.objects: tuple[Any, ...] = ()


class TransactionTooLargeError(TransactionError, ValueError):
    """More actions than one ``TransactWriteItems`` takes. Raised before any request.

    Example:
        >>> with transaction():
        ...     for number in range(101):
        ...         User.create(name=f"User {number}")      # TransactionTooLargeError: 100 actions are the most
    """

    error_code = "BAO-4005"


class BatchContextError(BaoError, RuntimeError):
    """Wrong use of the batch context.

    Example:
        >>> with run_with_batch_context() as session:
        ...     users = [User.find(id) for id in ids]
        >>> session.flush()      # BatchContextError: the session is closed
    """

    error_code = "BAO-5001"


class BatchContextRequiredError(BatchContextError):
    """Strict mode: an operation outside any batch context.

    Example:
        >>> with init_models(models=[User], policy=RequireContext()):
        ...     User.find("42").name      # BatchContextRequiredError: open a context first
    """

    error_code = "BAO-5002"


class ConcurrencyError(BatchContextError):
    """A session, or one of its instances, that was used by a thread or task that does not own it.

    Example:
        >>> with run_with_batch_context(), ThreadPoolExecutor() as pool:
        ...     user = User.find("42")
        ...     pool.submit(lambda: user.name).result()      # ConcurrencyError: the thread needs a session
    """

    error_code = "BAO-5003"


class LazyLoadError(BatchContextError):
    """An implicit load of a relation in a session that was opened with ``fetch="raise"``.

    Attributes:
        model, field: the relation that would have been loaded.

    Example:
        >>> with run_with_batch_context(fetch="raise"):
        ...     for post in user.query_posts(load_related=["user"]):      # without load_related, post.user is an error
        ...         print(post.user.name)
    """

    error_code = "BAO-5004"

    def __init__(self, message: str, *, model: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.model = model
        self.field = field


class BudgetExceededError(BatchContextError):
    """One request more than the budget allows. The request was not sent.

    Example:
        >>> with session.budget(round_trips=0):
        ...     User.create(name="Eve")      # BudgetExceededError: this is a request
    """

    error_code = "BAO-5005"


class BatchIncompleteError(BaoError):
    """Keys that DynamoDB left unprocessed after all retries. It is not known whether their items exist.

    The keys are requested again until the deadline, or until ten requests in a row made no progress.

    Attributes:
        keys: the unprocessed keys, as ``(model, primary id)``.

    Example:
        >>> try:
        ...     names = [user.name for user in users]
        ... except BatchIncompleteError as error:
        ...     print(len(error.keys), "users were not read")
    """

    error_code = "BAO-3003"

    def __init__(self, message: str, keys: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.keys: tuple[tuple[str, str], ...] = tuple(keys)


class CommitError(BaoError):
    """A commit that was written in part.

    Attributes:
        done: the objects that were written or deleted.
        not_done: the objects that were not; they stay pending.
        unknown: the objects whose outcome is not known; they stay pending.

    Example:
        >>> try:
        ...     session.commit()
        ... except CommitError as error:
        ...     print(len(error.not_done), "objects are still pending")
    """

    error_code = "BAO-4006"

    def __init__(
        self,
        message: str,
        *,
        done: Sequence[object] = (),
        not_done: Sequence[object] = (),
        unknown: Sequence[object] = (),
    ) -> None:
        super().__init__(message)
        self.done: tuple[Any, ...] = tuple(done)
        self.not_done: tuple[Any, ...] = tuple(not_done)
        self.unknown: tuple[Any, ...] = tuple(unknown)


class UncommittedChangesError(CommitError):
    """A block ended with added or deleted objects that were neither committed nor rolled back.

    Example:
        >>> with run_with_batch_context() as session:
        ...     session.add(user)
        ...     session.commit()      # without this line, the end of the block raises UncommittedChangesError
    """

    error_code = "BAO-4007"


class TenantError(BaoError):
    """Wrong use of tenants.

    Example:
        >>> TenantContext.run_with_tenant("acme#1")      # TenantError: no tenant id has this character
    """

    error_code = "BAO-6001"


class TenantRequiredError(TenantError, RuntimeError):
    """Tenancy is enabled and no tenant is set.

    Example:
        >>> User.create(name="Ada")      # TenantRequiredError, if the models have tenants and none is set
    """

    error_code = "BAO-6002"


class TenantMismatchError(TenantError, ValueError):
    """An instance, id or cursor of one tenant that was used under another tenant.

    Example:
        >>> with TenantContext.run_with_tenant("acme"):
        ...     user = User.create(name="Ada")
        >>> with TenantContext.run_with_tenant("globex"):
        ...     user.save()      # TenantMismatchError: load it under this tenant
    """

    error_code = "BAO-6003"


class DataFormatError(BaoError):
    """A stored item that its model cannot read, or a reply that DynamoDB would not send.

    Attributes:
        model, key, field: the model, the key and the field that cannot be read, as far as they are known.

    Example:
        >>> try:
        ...     user.name
        ... except DataFormatError as error:
        ...     print(error.model, error.key, error.field)
    """

    error_code = "BAO-3002"

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

    Example:
        >>> try:
        ...     User.create(name="Ada")
        ... except ServiceError as error:
        ...     print(error.operation, error.code)
    """

    error_code = "BAO-7001"

    def __init__(self, message: str, *, code: str | None = None, operation: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.operation = operation


class TableNotFoundError(ServiceError, ConfigurationError):
    """The table, or an index of it, does not exist at this region and endpoint.

    Example:
        >>> try:
        ...     User.find("42").exists()
        ... except TableNotFoundError:
        ...     manager.create_table()
    """

    error_code = "BAO-1003"


class ThrottledError(ServiceError):
    """DynamoDB throttled a request, and every retry that the deadline and `max_throttled_calls` allowed.

    Attributes:
        table, index: what was throttled; the index is None if it was the table itself.
        reason: the first reason that DynamoDB gave, such as ``TableReadKeyRangeThroughputExceeded``; None if it
            gave no reason.
        reasons: all of these reasons.
        retry_after: how many seconds DynamoDB asks to wait before the next attempt; None if it does not say.

    Example:
        >>> try:
        ...     user.save()
        ... except ThrottledError as error:
        ...     print(error.table, error.reason, error.retry_after)
    """

    error_code = "BAO-7002"

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
        self.reasons: tuple[str, ...] = tuple(reasons)
        self.reason: str | None = self.reasons[0] if self.reasons else None
        self.retry_after = retry_after


class WriteOutcomeUnknownError(BaoError):
    """The reply to a write was lost, and a repetition could apply the write twice.

    ``refresh()`` the instance to see what is stored, then decide.

    Attributes:
        model, key: the model and the key of the item.

    Example:
        >>> try:
        ...     user.save()
        ... except WriteOutcomeUnknownError:
        ...     user.refresh()
    """

    error_code = "BAO-4008"

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
"""For each class of botocore, by its name, the class of this library that such an error also has."""


def __getattr__(name: str) -> Any:
    """The classes of `ALSO_BOTOCORES`. Each is made at its first use, because it needs botocore."""
    if name in ALSO_BOTOCORES:
        import importlib

        return importlib.import_module("dynamo_bao.dynamodb.transport.botocore").common_class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def message_of(error: BaseException) -> str:
    """The text of an error for use in the text of another one: without its code, if it is one of this library's."""
    return error.message if isinstance(error, BaoError) else str(error)


def cause_of(error: BaseException) -> BaseException:
    """The cause of an error, for ``raise … from``: its ``__cause__``, or the error itself if it has no cause."""
    return error if error.__cause__ is None else error.__cause__


def suggestion(name: str, available: Iterable[str]) -> str:
    """A hint for an unknown name, with a space in front of it.

    Args:
        name: the unknown name.
        available: the names that exist.

    Returns:
        ``Did you mean 'x'?`` if a name is similar, else the names that exist; empty if there are no names.
    """
    import difflib

    names = sorted(available)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Available: {', '.join(names)}." if names else ""


def reject_unknown(values: Mapping[str, object], available: Iterable[str], label: str) -> None:
    """Raises `ConfigurationError` for the first unknown key.

    Args:
        values: the mapping whose keys are checked.
        available: the keys that exist.
        label: what a key is, for the error, such as ``"section in dynamo_bao.toml"``.
    """
    names = list(available)
    for name in values:
        if name not in names:
            raise ConfigurationError(f"Unknown {label} {name!r}.{suggestion(name, names)}")
