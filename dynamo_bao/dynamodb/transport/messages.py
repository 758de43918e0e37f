"""The requests, replies, errors and protocols between the library and its transports."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from operator import itemgetter
from typing import Any, Protocol

from dynamo_bao.dynamodb.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.dynamodb.items import as_dict_item, as_dict_members
from dynamo_bao.dynamodb.keys import new_namedtuple
from dynamo_bao.dynamodb.service import BATCH_GET_ITEM, BATCH_WRITE_ITEM, READ_OPERATIONS, Item
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.runtime.records import Factory, define, evolve, field, frozen

MAX_THROTTLED_CALLS = 10
"""The default number of calls of a process that may wait because of throttling, for each table and index."""


class Deadline(float):
    """The time after which a call is not retried, in seconds of the transport's clock.

    Attributes:
        max_throttled_calls: the most calls of this process that may wait because of throttling, for each table and
            index; infinite for no limit.
    """

    __slots__ = ("max_throttled_calls",)
    max_throttled_calls: float

    def __new__(cls, at: float, max_throttled_calls: float) -> Deadline:
        deadline = super().__new__(cls, at)
        deadline.max_throttled_calls = max_throttled_calls
        return deadline

    @staticmethod
    def throttled_calls(deadline: float) -> float:
        """The `max_throttled_calls` of a deadline; the default for a plain number."""
        return deadline.max_throttled_calls if isinstance(deadline, Deadline) else MAX_THROTTLED_CALLS


@frozen
class Clock:
    """The clock of the library: the time, and a way to wait. Tests use their own.

    Attributes:
        now: returns the time in seconds, from any start.
        sleep: waits for a number of seconds.

    Example:
        >>> waits = []
        >>> clock = Clock(now=lambda: sum(waits), sleep=waits.append)
        >>> transport = FaultInjectingTransport(embedded_transport().wire, [throttled()], clock=clock)
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


class RowParser(Protocol):
    """Parses the items of a reply into rows (`dynamo_bao.dynamodb.rows.RowType`)."""

    def parsed(self, body: bytes, operation: str) -> dict[str, object] | None:
        """The body of a reply with its items as rows; None if it holds anything that rows cannot hold."""
        ...


@define
class Request:
    """One DynamoDB request. Only `parameters` changes it; a frozen class would take three times as long to make.

    Attributes:
        operation: the API operation, such as ``"BatchGetItem"``.
        written: the parameters; the keys and items of a batch may be JSON already, unlike in `parameters`.
        repeatable: whether it can be sent again after a lost reply, when its outcome is not known.
        rows: parses the items of the reply into rows; None for dicts. The items may be dicts in any case.
        keys: for a batch, the keys that it reads or writes, by table; None if its sender does not have them.
        tables: for a transaction, the names of its tables; None if its sender does not have them.
        started: what its first attempt has sent already; None for a request that was not sent.
        expected: for an update, the item that it most likely returns; None if that is not known. An equal item needs no
            further check, and is replaced by this one.
        parameters: the parameters as dicts, in DynamoDB's typed JSON.

    Example:
        >>> request = Request("ListTables", {})
    """

    operation: str
    written: dict[str, Any] = field(alias="parameters")
    repeatable: bool = field(default=Factory(lambda self: self.operation in READ_OPERATIONS, takes_self=True))
    rows: RowParser | None = field(default=None, eq=False, repr=False)
    keys: Mapping[str, Collection[tuple[str, str]]] | None = field(default=None, eq=False, repr=False)
    tables: tuple[str, ...] | None = field(default=None, eq=False, repr=False)
    started: Any = field(default=None, eq=False, repr=False)
    expected: Item | None = field(default=None, eq=False, repr=False)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as dicts of typed values; binaries are `bytes`. Replaces JSON in `written` by dicts."""
        if self.operation in _PLAIN_REQUESTS:
            self.written = _PLAIN_REQUESTS[self.operation](self.written)
        return self.written


@define(eq=False)
class Reply:
    """One reply that was checked. Only `body` changes it; a frozen class would take three times as long to make.

    Attributes:
        request: the request that it answers.
        parsed: the members of the reply; items may be rows, unlike in `body`.
        capacity: the consumed capacity units, over all tables of the request.
        attempts: the number of attempts, 1 without retries.
        seconds: the duration in seconds, with the waits between attempts.
        waited: the seconds of these waits.
        started: the time of the first attempt, in seconds of the transport's clock.
        repeated: whether the request repeats the part of a batch that an earlier reply left unprocessed.
        throttlings: the attempts before it that DynamoDB throttled.
        body: the members of the reply, with items as dicts in DynamoDB's typed JSON.

    Example:
        >>> reply = transport.send(request, deadline=transport.clock.now() + 10)
        >>> reply.body["Item"]
    """

    request: Request
    parsed: dict[str, Any] = field(alias="body")
    capacity: Capacity = NOTHING_CONSUMED
    attempts: int = 1
    seconds: float = 0.0
    waited: float = 0.0
    started: float = 0.0
    repeated: bool = False
    throttlings: tuple[Throttling, ...] = ()

    def after(self, waited: float | None) -> Reply:
        """This reply, marked as the reply to a repeated part of a batch.

        Args:
            waited: the seconds of the wait before its request; None if that was the first request of the batch.

        Returns:
            A marked copy; the reply itself if `waited` is None.
        """
        if waited is None:
            return self
        return evolve(
            self,
            seconds=self.seconds + waited,
            waited=self.waited + waited,
            started=self.started - waited,
            repeated=True,
        )

    @property
    def body(self) -> dict[str, Any]:
        """The members of the reply as dicts of typed values."""
        if self.request.rows is not None:
            self.parsed = _plain_reply(self.parsed)
        return self.parsed


class RequestOutcome(enum.Enum):
    """The outcome of a request after a failed attempt."""

    REFUSED = "refused"
    """DynamoDB refused it for the moment, as in throttling: it was certainly not executed."""
    NOT_SENT = "not sent"
    """It did not reach DynamoDB: it was certainly not executed."""
    UNKNOWN = "unknown"
    """The reply was lost or damaged: the request may have been executed."""


@frozen
class Throttling:
    """One attempt that DynamoDB throttled.

    Attributes:
        table, index: what was throttled; the index is None if it was the table itself.
        reasons: DynamoDB's reasons, such as ``TableReadKeyRangeThroughputExceeded``; empty if it gave none.
        retry_after: the seconds that DynamoDB asks to wait before the next attempt; None if it does not say.
    """

    table: str | None
    index: str | None = None
    reasons: tuple[str, ...] = ()
    retry_after: float | None = None


class AttemptFailed(Exception):
    """One failed attempt after which another attempt may succeed.

    Attributes:
        error: the error to raise if there is no further attempt.
        outcome: the outcome of the request.
        retry_after: the seconds that DynamoDB asks to wait before the next attempt; None if it does not say.
    """

    def __init__(self, error: Exception, outcome: RequestOutcome, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.outcome = outcome
        self.retry_after = retry_after


_OUTCOME = "_dynamo_bao_outcome"


def with_outcome(error: Exception, outcome: RequestOutcome) -> Exception:
    """Marks an error, of any class, with the outcome of its request, and returns it."""
    setattr(error, _OUTCOME, outcome)
    return error


def outcome_of(error: Exception) -> RequestOutcome | None:
    """The outcome of the request that ended with an error, over all attempts; None if it is not known.

    >>> outcome_of(with_outcome(OSError("no route"), RequestOutcome.NOT_SENT))
    <RequestOutcome.NOT_SENT: 'not sent'>
    """
    outcome: RequestOutcome | None = getattr(error, _OUTCOME, None)
    return outcome


@frozen
class Attempts:
    """The attempts of one request.

    Attributes:
        count: the number of attempts, 1 without retries.
        waited: the seconds of the waits between them.
        throttlings: the attempts that DynamoDB throttled.
    """

    count: int = 1
    waited: float = 0.0
    throttlings: tuple[Throttling, ...] = ()


_ATTEMPTS = "_dynamo_bao_attempts"


def with_attempts(error: Exception, attempts: Attempts) -> Exception:
    """Marks an error with the attempts of its request, and returns it."""
    setattr(error, _ATTEMPTS, attempts)
    return error


def _attempts_of(error: Exception) -> Attempts:
    attempts: Attempts = getattr(error, _ATTEMPTS, Attempts())
    return attempts


class FailedRequest(NamedTuple):
    """A request that ended with an error.

    Attributes:
        request: the request.
        error: the error of the last attempt.
        started: the time of the first attempt, in seconds of the transport's clock.
        repeated: whether the request repeats the part of a batch that an earlier reply left unprocessed.
        waited_before: the seconds of the wait before such a request.
    """

    request: Request
    error: Exception
    started: float
    repeated: bool = False
    waited_before: float = 0.0

    def after(self, waited: float | None) -> FailedRequest:
        """This request, marked as one that repeats a part of a batch; see `Reply.after`."""
        if waited is None:
            return self
        return self._replace(started=self.started - waited, repeated=True, waited_before=waited)

    @property
    def attempts(self) -> int:
        """The number of attempts."""
        return _attempts_of(self.error).count

    @property
    def waited(self) -> float:
        """The seconds of all waits, also of the wait before the first attempt."""
        return self.waited_before + _attempts_of(self.error).waited

    @property
    def throttlings(self) -> tuple[Throttling, ...]:
        """The attempts that DynamoDB throttled."""
        return _attempts_of(self.error).throttlings


class RequestSender(Protocol):
    """Makes single attempts. The transport above it decides whether to repeat them."""

    def attempt(self, request: Request, seconds: float) -> dict[str, object]:
        """Sends a request once and returns the body of its reply, checked, with typed values.

        Args:
            request: the request to send.
            seconds: the most seconds that the attempt may take, as far as the sender can limit that.

        Raises:
            AttemptFailed: if another attempt may succeed.
            BaoError: the error that DynamoDB answered, if no other attempt can succeed.
            Exception: an error of botocore that is not about a reply.
        """
        ...

    def close(self) -> None:
        """Closes the connections; may be called twice."""
        ...


class Transport(Protocol):
    """Carries requests to DynamoDB, one method for all of its operations.

    Example:
        >>> class Counting:
        ...     def __init__(self, inner):
        ...         self.inner, self.clock, self.count = inner, inner.clock, 0
        ...
        ...     def send(self, request, *, deadline):
        ...         self.count += 1
        ...         return self.inner.send(request, deadline=deadline)
        ...
        ...     def close(self):
        ...         self.inner.close()
        >>> manager = init_models(models=[User], transport=Counting(embedded_transport()))
    """

    def send(self, request: Request, *, deadline: float) -> Reply:
        """Sends one request, with as many attempts as necessary, and returns its reply.

        Args:
            request: the request to send.
            deadline: the time after which it is not retried, in seconds of `clock`.

        Returns:
            The reply, after its checks.

        Raises:
            BaoError: the error that DynamoDB answered.
            Exception: an error of botocore, such as no network or no credentials; `outcome_of` returns the outcome
                of the request, if it is known.
        """
        ...

    @property
    def clock(self) -> Clock:
        """The clock of the deadlines."""
        ...

    def close(self) -> None:
        """Closes the connections; may be called twice."""
        ...


def capacity_of(operation: str, body: dict[str, Any]) -> Capacity:
    """The capacity units that a reply's ``ConsumedCapacity`` reports."""
    reported = body.get("ConsumedCapacity")
    if not reported:
        return NOTHING_CONSUMED
    if isinstance(reported, list):
        total = sum([float(entry.get("CapacityUnits", 0.0)) for entry in reported])
    else:
        total = float(reported.get("CapacityUnits", 0.0))
    capacity: Capacity = new_namedtuple(
        Capacity, (total, 0.0) if operation in READ_OPERATIONS else (0.0, total)
    )
    return capacity


def tables_of(request: Request) -> tuple[str, ...]:
    """The names of the tables of a request."""
    if request.tables is not None:
        return request.tables
    parameters = request.written
    if "TableName" in parameters:
        return (parameters["TableName"],)
    if "RequestItems" in parameters:
        return tuple(parameters["RequestItems"])
    members = chain.from_iterable(map(dict.values, parameters.get("TransactItems", ())))
    return tuple(dict.fromkeys(map(itemgetter("TableName"), members)))


def names_an_arn(request: Request) -> bool:
    """Whether a request names a table by an ARN; the account of that ARN may have a separate endpoint.

    >>> names_an_arn(Request("Scan", {"TableName": "arn:aws:dynamodb:eu-west-1:123456789012:table/t"}))
    True
    """
    name = request.written.get("TableName")
    if name is None:
        return any(other.startswith("arn:") for other in tables_of(request) if isinstance(other, str))
    return isinstance(name, str) and name.startswith("arn:")


def _plain_batch_get(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a ``BatchGetItem`` with dicts in place of JSON; unchanged if they hold no JSON."""
    request_items = parameters["RequestItems"]
    if all(type(entry["Keys"]) is list for entry in request_items.values()):
        return parameters
    plain = {
        table: {**entry, "Keys": as_dict_members(entry["Keys"])} for table, entry in request_items.items()
    }
    return {**parameters, "RequestItems": plain}


def _plain_batch_write(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a ``BatchWriteItem`` with dicts in place of JSON; unchanged if they hold no JSON."""
    request_items = parameters["RequestItems"]
    if all(type(members) is list for members in request_items.values()):
        return parameters
    plain = {table: as_dict_members(members) for table, members in request_items.items()}
    return {**parameters, "RequestItems": plain}


_PLAIN_REQUESTS = {BATCH_GET_ITEM: _plain_batch_get, BATCH_WRITE_ITEM: _plain_batch_write}


def _plain_reply(body: dict[str, Any]) -> dict[str, Any]:
    """The body of a reply with dicts in place of rows."""
    plain = dict(body)
    for member in ("Item", "Attributes"):
        if member in body:
            plain[member] = as_dict_item(body[member])
    if "Items" in body:
        plain["Items"] = list(map(as_dict_item, body["Items"]))
    if "Responses" in body:
        plain["Responses"] = {
            table: list(map(as_dict_item, items)) for table, items in body["Responses"].items()
        }
    return plain
