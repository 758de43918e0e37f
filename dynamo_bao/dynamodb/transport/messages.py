"""What passes between the library and a transport."""

from __future__ import annotations

import enum
import time
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from attrs import Factory, define, evolve, field, frozen

from dynamo_bao.dynamodb.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.dynamodb.items import Stored, as_dict_item, as_dict_members
from dynamo_bao.dynamodb.service import BATCH_GET_ITEM, BATCH_WRITE_ITEM, READ_OPERATIONS

MAX_THROTTLED_CALLS = 10
"""How many calls of a process wait because of throttling, for each table and index, if nothing else is said."""


class Deadline(float):
    """When a call stops being retried, in seconds of the transport's clock; a number, and how it may wait until then.

    Attributes:
        max_throttled_calls: how many calls of this process may wait because of throttling, for each table and
            index; infinite for any number.
    """

    __slots__ = ("max_throttled_calls",)
    max_throttled_calls: float

    def __new__(cls, at: float, max_throttled_calls: float) -> Deadline:
        deadline = super().__new__(cls, at)
        deadline.max_throttled_calls = max_throttled_calls
        return deadline

    @staticmethod
    def throttled_calls(deadline: float) -> float:
        """What a deadline says of `max_throttled_calls`; ten for a plain number."""
        return deadline.max_throttled_calls if isinstance(deadline, Deadline) else MAX_THROTTLED_CALLS


@frozen
class Clock:
    """Time as the library uses it; tests put in one of their own."""

    now: Any = time.monotonic
    sleep: Any = time.sleep


class RowParser(Protocol):
    """Parses a reply of many items into rows (`dynamo_bao.dynamodb.rows.RowType`)."""

    def parsed(self, body: bytes, operation: str) -> dict[str, Any] | None:
        """The body of a reply with its items as rows; None where not everything in it is as it should be."""
        ...


@define
class Request:
    """One DynamoDB request. Changed by `parameters` only; to freeze it would triple its cost.

    Attributes:
        operation: the API operation, such as ``"BatchGetItem"``.
        written: its parameters, of which keys and items of a batch may be JSON already; `parameters` has none.
        repeatable: whether sending it again does no harm where it is not known whether it was carried out.
        rows: into what rows whoever asks would have the items of the reply parsed; they may still be dicts.
        keys: of a batch, by table, the keys it asks for or writes, where whoever asks has them at hand.
    """

    operation: str
    written: dict[str, Any] = field(alias="parameters")
    repeatable: bool = field(default=Factory(lambda self: self.operation in READ_OPERATIONS, takes_self=True))
    rows: RowParser | None = field(default=None, eq=False, repr=False)
    keys: Mapping[str, Collection[tuple[str, str]]] | None = field(default=None, eq=False, repr=False)

    @property
    def parameters(self) -> dict[str, Any]:
        """Its parameters with typed values; binaries are `bytes`. From here on they are what is sent."""
        if self.operation in _PLAIN_REQUESTS:
            self.written = _PLAIN_REQUESTS[self.operation](self.written)
        return self.written


@define(eq=False)
class Reply:
    """One answer that was checked and is to be believed. Never changed; to freeze it would triple its cost.

    Attributes:
        request: what it answers.
        parsed: the answer's members, of which items may be rows; `body` has none.
        capacity: capacity units consumed, over all tables of the request.
        attempts: how many requests went over the wire for it, 1 without retries.
        seconds: how long it took, waits between attempts included.
        waited: how many of these seconds were waits between attempts.
        started: when the first attempt was made, in the seconds of the transport's clock.
        repeated: whether it was sent for what an earlier reply of the same batch left unprocessed.
        throttlings: the attempts before it that DynamoDB refused because of its throughput.
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
        """This reply, as one to what an earlier reply left unprocessed; itself if there was none.

        Args:
            waited: how many seconds were waited before it; None if it is the first.
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
        """The answer's members, with typed values."""
        if self.request.rows is not None:
            self.parsed = _plain_reply(self.parsed)
        return self.parsed


class RequestOutcome(enum.Enum):
    """What became of a request whose attempt failed."""

    REFUSED = "refused"
    """DynamoDB refused it for now (throttling): certainly not carried out."""
    NOT_SENT = "not sent"
    """It did not reach DynamoDB: certainly not carried out."""
    UNKNOWN = "unknown"
    """The reply was lost or damaged: it may have been carried out."""


@frozen
class Throttling:
    """One attempt that DynamoDB refused because of its throughput.

    Attributes:
        table, index: what was throttled; the index is None where it was the table itself.
        reasons: DynamoDB's reasons, such as ``TableReadKeyRangeThroughputExceeded``; none if it gave none.
        retry_after: after how many seconds DynamoDB asks to try again; None if it does not say.
    """

    table: str | None
    index: str | None = None
    reasons: tuple[str, ...] = ()
    retry_after: float | None = None


class AttemptFailed(Exception):
    """One attempt that failed in a way that another may not.

    Attributes:
        error: what to raise if there is no further attempt.
        outcome: what became of the request.
        retry_after: after how many seconds DynamoDB asks to try again; None if it does not say.
    """

    def __init__(self, error: Exception, outcome: RequestOutcome, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.outcome = outcome
        self.retry_after = retry_after


_OUTCOME = "_dynamo_bao_outcome"


def with_outcome(error: Exception, outcome: RequestOutcome) -> Exception:
    """An error that says from now on what became of the request it ended; it may be anybody's."""
    setattr(error, _OUTCOME, outcome)
    return error


def outcome_of(error: Exception) -> RequestOutcome | None:
    """What an error says became of its request, over all attempts; None where it says nothing.

    >>> outcome_of(with_outcome(OSError("no route"), RequestOutcome.NOT_SENT))
    <Outcome.NOT_SENT: 'not sent'>
    """
    outcome: RequestOutcome | None = getattr(error, _OUTCOME, None)
    return outcome


@frozen
class Attempts:
    """The attempts that a request had.

    Attributes:
        count: how many requests went over the wire, 1 without retries.
        waited: how many seconds were waits between them.
        throttlings: those that DynamoDB refused because of its throughput.
    """

    count: int = 1
    waited: float = 0.0
    throttlings: tuple[Throttling, ...] = ()


_ATTEMPTS = "_dynamo_bao_attempts"


def with_attempts(error: Exception, attempts: Attempts) -> Exception:
    """An error that says from now on what attempts its request had."""
    setattr(error, _ATTEMPTS, attempts)
    return error


def _attempts_of(error: Exception) -> Attempts:
    attempts: Attempts = getattr(error, _ATTEMPTS, Attempts())
    return attempts


class FailedRequest(NamedTuple):
    """A request that ended with an error.

    Attributes:
        error: what the last attempt ended with.
        started: when the first attempt was made, in the seconds of the transport's clock.
        repeated: whether it was sent for what an earlier reply of the same batch left unprocessed.
        waited_before: how many seconds were waited before it for that reason.
    """

    request: Request
    error: Exception
    started: float
    repeated: bool = False
    waited_before: float = 0.0

    def after(self, waited: float | None) -> FailedRequest:
        """This request, as one for what an earlier reply left unprocessed; see `Reply.after`."""
        if waited is None:
            return self
        return self._replace(started=self.started - waited, repeated=True, waited_before=waited)

    @property
    def attempts(self) -> int:
        """How many requests went over the wire."""
        return _attempts_of(self.error).count

    @property
    def waited(self) -> float:
        """How many seconds were waits, those before the first attempt included."""
        return self.waited_before + _attempts_of(self.error).waited

    @property
    def throttlings(self) -> tuple[Throttling, ...]:
        """The attempts that DynamoDB refused because of its throughput."""
        return _attempts_of(self.error).throttlings


class RequestSender(Protocol):
    """Makes single attempts; what is above it decides whether to repeat them."""

    def attempt(self, request: Request, seconds: float) -> dict[str, Any]:
        """Sends a request once and returns the body of its reply, checked, with typed values.

        Args:
            request: what to send.
            seconds: how long that may take at most, as far as the wire can see to it.

        Raises:
            AttemptFailed: where another attempt may succeed.
            BaoError: what DynamoDB answered, mapped, where none will.
            Exception: what botocore raises on its own.
        """
        ...

    def close(self) -> None:
        """Gives back connections; may be called twice."""
        ...


class Transport(Protocol):
    """Carries requests to DynamoDB, one method for all of its operations."""

    def send(self, request: Request, *, deadline: float) -> Reply:
        """Sends one request, as often as it takes, and returns its reply.

        Args:
            request: what to send.
            deadline: when to stop retrying, in the seconds of `clock`.

        Raises:
            BaoError: what DynamoDB answered, mapped.
            Exception: what botocore raises on its own (no network, no credentials); `outcome_of` tells what became
                of the request, where that is known.
        """
        ...

    @property
    def clock(self) -> Clock:
        """The clock that deadlines are told in."""
        ...

    def close(self) -> None:
        """Gives back connections; may be called twice."""
        ...


def capacity_of(operation: str, body: dict[str, Any]) -> Capacity:
    """The capacity units that a reply's ``ConsumedCapacity`` reports."""
    reported = body.get("ConsumedCapacity")
    if not reported:
        return NOTHING_CONSUMED
    if isinstance(reported, list):
        total = sum(float(entry.get("CapacityUnits", 0.0)) for entry in reported)
    else:
        total = float(reported.get("CapacityUnits", 0.0))
    return Capacity(read=total) if operation in READ_OPERATIONS else Capacity(write=total)


def tables_of(request: Request) -> tuple[str, ...]:
    """The tables that a request is about."""
    parameters = request.written
    if "TableName" in parameters:
        return (parameters["TableName"],)
    if "RequestItems" in parameters:
        return tuple(parameters["RequestItems"])
    members = (part for action in parameters.get("TransactItems", ()) for part in action.values())
    return tuple(dict.fromkeys(part["TableName"] for part in members))


def names_an_arn(request: Request) -> bool:
    """Whether a table is named by an ARN, whose account may have an endpoint of its own.

    >>> names_an_arn(Request("Scan", {"TableName": "arn:aws:dynamodb:eu-west-1:123456789012:table/t"}))
    True
    """
    name = request.written.get("TableName")
    if name is None:
        return any(other.startswith("arn:") for other in tables_of(request) if isinstance(other, str))
    return isinstance(name, str) and name.startswith("arn:")


def _plain_batch_get(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a ``BatchGetItem`` without JSON in them; themselves where there is none."""
    asked = parameters["RequestItems"]
    if all(type(entry["Keys"]) is list for entry in asked.values()):
        return parameters
    plain = {table: {**entry, "Keys": as_dict_members(entry["Keys"])} for table, entry in asked.items()}
    return {**parameters, "RequestItems": plain}


def _plain_batch_write(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a ``BatchWriteItem`` without JSON in them; themselves where there is none."""
    asked = parameters["RequestItems"]
    if all(type(members) is list for members in asked.values()):
        return parameters
    plain = {table: as_dict_members(members) for table, members in asked.items()}
    return {**parameters, "RequestItems": plain}


_PLAIN_REQUESTS = {BATCH_GET_ITEM: _plain_batch_get, BATCH_WRITE_ITEM: _plain_batch_write}


def _plain_reply(body: dict[str, Any]) -> dict[str, Any]:
    """The body of a reply whose items may be rows, with dicts in their places."""
    plain = dict(body)
    for member in ("Item", "Attributes"):
        if member in body:
            plain[member] = as_dict_item(body[member])
    if "Items" in body:
        plain["Items"] = list(map(as_dict_item, body["Items"]))
    if "Responses" in body:
        plain["Responses"] = {
            table: list(map(as_dict_item, found)) for table, found in body["Responses"].items()
        }
    return plain


def returned_item(body: dict[str, Any], member: str) -> Stored | None:
    """An item member of a reply, which may be a row; None where it is absent or empty."""
    return body.get(member) or None
