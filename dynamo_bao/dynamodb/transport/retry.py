"""Retries: after a wait, within the deadline, and only if a repetition is safe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from dynamo_bao.dynamodb.service import READ_OPERATIONS
from dynamo_bao.dynamodb.transport.backoff import Backoff
from dynamo_bao.dynamodb.transport.bulkhead import Place
from dynamo_bao.dynamodb.transport.error_mapping import (
    THROTTLING_REASONS,
    ConditionFailed,
    TransactionCancelled,
    throttled_error,
)
from dynamo_bao.dynamodb.transport.messages import (
    AttemptFailed,
    Attempts,
    Clock,
    Deadline,
    Reply,
    Request,
    RequestOutcome,
    RequestSender,
    Throttling,
    capacity_of,
    tables_of,
    with_attempts,
    with_outcome,
)
from dynamo_bao.dynamodb.transport.multiplex import Start
from dynamo_bao.errors import ServiceError, ThrottledError, WriteOutcomeUnknownError, cause_of, message_of
from dynamo_bao.runtime.foreign_errors import is_foreign

ATTEMPTS: Final = {RequestOutcome.REFUSED: 10, RequestOutcome.NOT_SENT: 4, RequestOutcome.UNKNOWN: 4}
"""The most attempts of a request, by the outcome of the last attempt."""
UNPROCESSED_ATTEMPTS: Final = ATTEMPTS[RequestOutcome.REFUSED]
"""The most requests in a row that may leave the same keys or writes of a batch unprocessed."""


def repeat_unprocessed(
    clock: Clock, deadline: float, count: int, send: Callable[[float | None], Sequence[str]]
) -> ThrottledError | None:
    """Sends the members of a batch, and repeats those that DynamoDB leaves unprocessed.

    After a reply with progress the next request follows at once, because DynamoDB also leaves members unprocessed if
    its reply is full. After a reply without progress it waits, longer each time. It ends at the deadline, or when ten
    requests in a row made no progress.

    Args:
        clock: the clock of the waits.
        deadline: the time after which nothing is repeated, in seconds of the clock.
        count: the number of members.
        send: sends the remaining members, and returns one table name for each unprocessed member. Its argument is the
            seconds of the wait before; None the first time.

    Returns:
        An error if the remaining members were not sent because too many calls wait for their tables already.
    """
    unprocessed = send(None)
    if not unprocessed:  # as nearly always
        return None
    with Backoff(clock, deadline) as backoff:
        while unprocessed:
            waited: float | None = 0.0
            if len(unprocessed) < count:
                if not backoff.begin_again():
                    return None
            else:
                places = tuple((table, None) for table in dict.fromkeys(unprocessed))
                waited = backoff.wait(UNPROCESSED_ATTEMPTS, places)
                if waited is None:
                    break
            count, unprocessed = len(unprocessed), send(waited)
    if not backoff.crowded:
        return None
    return throttled_error(
        "UnprocessedKeys", "The batch", Throttling(unprocessed[0]), _crowded_text(deadline)
    )


class RetryingTransport:
    """A transport that repeats failed attempts if that is safe and the deadline allows it.

    Args:
        wire: makes single attempts.
        clock: the clock of deadlines and waits; None for the system's clock.
    """

    def __init__(self, wire: RequestSender, clock: Clock | None = None) -> None:
        self.wire = wire
        self.clock: Clock = clock or Clock()

    def close(self) -> None:
        self.wire.close()

    def starter(self, number: int) -> Start | None:
        """A function that sends requests without waiting, if that is possible for a number of requests at once.

        `send` then only reads the reply to the first attempt of such a request.

        Args:
            number: how many requests wait for their replies at the same time.
        """
        find_starter = getattr(self.wire, "starter", None)
        start: Start | None = None if find_starter is None else find_starter(number, self.clock)
        return start

    def send(self, request: Request, *, deadline: float) -> Reply:
        start_time = self.clock.now()
        try:
            body = self.wire.attempt(request, max(deadline - start_time, 0.0))
        except Exception as error:
            if is_foreign(error):
                raise
            failure = error
        else:
            seconds = self.clock.now() - start_time
            return Reply(request, body, capacity_of(request.operation, body), 1, seconds, 0.0, start_time)
        sending = _Sending(self.wire, request, self.clock, deadline)
        with Backoff(self.clock, deadline) as backoff:
            try:
                body = sending.attempt_again(failure, backoff)
            finally:
                del failure  # it refers to this frame
        capacity, seconds = capacity_of(request.operation, body), self.clock.now() - start_time
        attempts = sending.attempts(backoff)
        return Reply(
            request,
            body,
            capacity,
            attempts.count,
            seconds,
            attempts.waited,
            start_time,
            False,
            attempts.throttlings,
        )


class _Sending:
    """The attempts of one request, after its first one has failed.

    Args:
        wire: makes single attempts.
        request: the request.
        clock: the clock of the deadline.
        deadline: the time after which it is not retried, in seconds of the clock.
    """

    def __init__(self, wire: RequestSender, request: Request, clock: Clock, deadline: float) -> None:
        self._wire = wire
        self._request = request
        self._clock = clock
        self._deadline = deadline
        self._unknown = False
        self._throttlings: list[Throttling] = []

    def attempts(self, backoff: Backoff) -> Attempts:
        """The attempts that were made."""
        return Attempts(backoff.attempts, backoff.waited, tuple(self._throttlings))

    def attempt_again(self, error: Exception, backoff: Backoff) -> dict[str, object]:
        """Makes further attempts after a failed one; raises its error if no further attempt is allowed."""
        error = self._noted(error)
        while self._wait(error, backoff):
            try:
                return self._wire.attempt(self._request, max(self._deadline - self._clock.now(), 0.0))
            except Exception as latest_error:
                if is_foreign(latest_error):
                    raise
                error = self._noted(latest_error)
        try:
            self._raise(error, backoff)
        finally:
            del error  # its traceback refers to this frame

    def _noted(self, error: Exception) -> Exception:
        """Notes what a failed attempt may have done. Returns its error, or the one that forbids to repeat it."""
        if isinstance(error, (ConditionFailed, TransactionCancelled)):
            error.repeated = self._unknown
        elif isinstance(error, AttemptFailed) and error.outcome is RequestOutcome.UNKNOWN:
            self._unknown = True
            if not self._request.repeatable:
                return _unknown_outcome(self._request.operation, error.error)
        return error

    def _wait(self, error: Exception, backoff: Backoff) -> bool:
        """Waits after a failed attempt; returns False if no further attempt is allowed."""
        throttling = _throttling_of(error, self._request)
        places: tuple[Place, ...] = ()
        if throttling is not None:
            self._throttlings.append(throttling)
            places = ((throttling.table or "", throttling.index),)
        at_least: float | None = getattr(error, "retry_after", None)
        return backoff.wait(_attempts_after(error), places, at_least) is not None

    def _raise(self, error: Exception, backoff: Backoff) -> NoReturn:
        """Raises the last error, marked with the outcome of the request; after a lost reply that is not known."""
        last_error, outcome = error, None
        if isinstance(error, AttemptFailed):
            last_error, outcome = error.error, error.outcome
            if backoff.crowded and isinstance(last_error, ThrottledError):
                last_error = _with_remark(last_error, self._throttlings[-1], _crowded_text(self._deadline))
        if self._unknown:
            outcome = RequestOutcome.UNKNOWN
        if outcome is RequestOutcome.UNKNOWN and self._request.operation not in READ_OPERATIONS:
            last_error = _unread(self._request.operation, last_error)
        if outcome is not None:
            with_outcome(last_error, outcome)
        with_attempts(last_error, self.attempts(backoff))
        if last_error is error:
            raise last_error
        raise last_error from last_error.__cause__


def _throttling_of(error: Exception, request: Request) -> Throttling | None:
    """What was throttled, if an attempt failed because of that; without names in the error, those of the request."""
    if isinstance(error, TransactionCancelled):
        throttled_actions = [
            (reason, next(iter(action.values()))["TableName"])
            for reason, action in zip(error.reasons, request.written.get("TransactItems", ()), strict=False)
            if reason in THROTTLING_REASONS
        ]
        reasons = tuple(dict.fromkeys(reason for reason, _ in throttled_actions if reason is not None))
        return (
            Throttling(throttled_actions[0][1], None, reasons, error.retry_after)
            if throttled_actions
            else None
        )
    if not (isinstance(error, AttemptFailed) and isinstance(error.error, ThrottledError)):
        return None
    throttling_error = error.error
    if throttling_error.table is None:
        return Throttling(
            ", ".join(tables_of(request)),
            request.written.get("IndexName"),
            throttling_error.reasons,
            throttling_error.retry_after,
        )
    return Throttling(
        throttling_error.table, throttling_error.index, throttling_error.reasons, throttling_error.retry_after
    )


def _crowded_text(deadline: float) -> str:
    max_calls = Deadline.throttled_calls(deadline)
    return (
        f"It was not sent again, because {max_calls} other calls of this process already wait for the same table or "
        f"index (max_throttled_calls; a job that may wait sets it to 'unlimited'). "
    )


def _with_remark(error: ThrottledError, throttling: Throttling, remark: str) -> ThrottledError:
    error_with_remark = throttled_error(str(error.code), str(error.operation), throttling, remark)
    error_with_remark.__cause__ = error.__cause__
    return error_with_remark


def _attempts_after(error: Exception) -> int:
    """The most attempts of a request after `error`."""
    if isinstance(error, AttemptFailed):
        return ATTEMPTS[error.outcome]
    if isinstance(error, TransactionCancelled) and error.is_transient:
        return ATTEMPTS[RequestOutcome.REFUSED]
    return 0


def _unread(operation: str, error: Exception) -> Exception:
    """The error of a write after a lost or damaged reply, if its repetition got no answer.

    An error that DynamoDB reports about the item or the request is returned unchanged.
    """
    is_validation_error = isinstance(error, ServiceError) and error.code == "ValidationException"
    if is_validation_error or isinstance(
        error, (ConditionFailed, TransactionCancelled, WriteOutcomeUnknownError)
    ):
        return error
    unknown = WriteOutcomeUnknownError(
        f"{operation}: no reply to it could be read, so it is not known whether it was carried out "
        f"({message_of(error)}) refresh() the instance to see what is stored, then decide."
    )
    unknown.__cause__ = cause_of(error)
    return unknown


def _unknown_outcome(operation: str, error: Exception) -> WriteOutcomeUnknownError:
    unknown = WriteOutcomeUnknownError(
        f"{operation}: the reply was lost, and sending it again could apply it twice. "
        f"refresh() the instance to see what is stored, then decide."
    )
    unknown.__cause__ = error
    return unknown
