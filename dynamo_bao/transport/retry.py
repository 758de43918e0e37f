"""When to try again: after a wait, within the deadline, and never where it could do harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

from dynamo_bao.errors import WriteOutcomeUnknownError
from dynamo_bao.transport.backoff import Backoff
from dynamo_bao.transport.messages import (
    AttemptFailed,
    Clock,
    Outcome,
    Reply,
    Request,
    Wire,
    capacity_of,
    with_attempts,
    with_outcome,
)
from dynamo_bao.transport.outcomes import ConditionFailed, TransactionCancelled

ATTEMPTS: Final = {Outcome.REFUSED: 10, Outcome.NOT_SENT: 4, Outcome.UNKNOWN: 4}
"""How many attempts a request may have in all, by what became of the last."""
UNPROCESSED_ATTEMPTS: Final = ATTEMPTS[Outcome.REFUSED]
"""How many requests in a row may leave the same keys or writes of a batch unprocessed."""


def repeat_unprocessed(
    clock: Clock, deadline: float, count: int, send: Callable[[float | None], int]
) -> None:
    """Sends the members of a batch, and those that DynamoDB leaves unprocessed again.

    After a reply with progress the next request follows at once: DynamoDB leaves members unprocessed too where
    its reply is full. After a reply without progress there is a wait, which grows each time. It ends at the
    deadline, and when ten requests in a row made no progress.

    Args:
        count: how many members there are.
        send: sends what is left, and returns how many members are unprocessed. It is given the seconds that
            were waited before; None the first time.
    """
    unprocessed = send(None)
    if not unprocessed:  # as nearly always
        return
    backoff = Backoff(clock, deadline)
    while unprocessed:
        waited: float | None = 0.0
        if unprocessed < count:
            if not backoff.begin_again():
                return
        else:
            waited = backoff.wait(UNPROCESSED_ATTEMPTS)
            if waited is None:
                return
        count, unprocessed = unprocessed, send(waited)


class RetryingTransport:
    """A transport over a wire: repeats failed attempts where that is safe and the deadline allows.

    Args:
        wire: makes single attempts.
        clock: for deadlines and waits.
    """

    def __init__(self, wire: Wire, clock: Clock | None = None) -> None:
        self.wire = wire
        self._clock = clock or Clock()

    @property
    def clock(self) -> Clock:
        return self._clock

    def close(self) -> None:
        self.wire.close()

    def send(self, request: Request, *, deadline: float) -> Reply:
        started = self._clock.now()
        sending = _Sending(self.wire, request, self._clock, deadline)
        try:
            body = sending.attempt()
        except Exception as error:
            failure = error
        else:
            seconds = self._clock.now() - started
            return Reply(request, body, capacity_of(request.operation, body), 1, seconds, 0.0, started)
        backoff = Backoff(self._clock, deadline)
        try:
            body = sending.attempt_again(failure, backoff)
        finally:
            del failure  # it refers to this frame
        capacity, seconds = capacity_of(request.operation, body), self._clock.now() - started
        return Reply(request, body, capacity, backoff.attempts, seconds, backoff.waited, started)


class _Sending:
    """One request on its way, over all of its attempts.

    Args:
        deadline: when to stop, in seconds of the clock.
    """

    def __init__(self, wire: Wire, request: Request, clock: Clock, deadline: float) -> None:
        self._wire = wire
        self._request = request
        self._clock = clock
        self._deadline = deadline
        self._unknown = False

    def attempt(self) -> dict[str, Any]:
        """Makes one attempt."""
        try:
            seconds = max(self._deadline - self._clock.now(), 0.0)
            return self._wire.attempt(self._request, seconds)
        except (ConditionFailed, TransactionCancelled) as refused:
            refused.repeated = self._unknown
            raise
        except AttemptFailed as failed:
            if failed.outcome is Outcome.UNKNOWN:
                self._unknown = True
                if not self._request.repeatable:
                    raise _unknown_outcome(self._request.operation) from failed.error
            raise

    def attempt_again(self, error: Exception, backoff: Backoff) -> dict[str, Any]:
        """Makes further attempts after one that failed; raises if there may be none, or if the last one failed."""
        while backoff.wait(_attempts_after(error)) is not None:
            try:
                return self.attempt()
            except Exception as latest:
                error = latest
        try:
            self._raise(error, backoff)
        finally:
            del error  # its traceback refers to this frame

    def _raise(self, error: Exception, backoff: Backoff) -> NoReturn:
        """Raises the last error, which says what became of the request; after one lost reply nobody knows."""
        last, outcome = error, None
        if isinstance(error, AttemptFailed):
            last, outcome = error.error, error.outcome
        if self._unknown:
            outcome = Outcome.UNKNOWN
        if outcome is not None:
            with_outcome(last, outcome)
        with_attempts(last, backoff.attempts, backoff.waited)
        if last is error:
            raise last
        raise last from last.__cause__


def _attempts_after(error: Exception) -> int:
    """How many attempts there may be in all after `error`."""
    if isinstance(error, AttemptFailed):
        return ATTEMPTS[error.outcome]
    if isinstance(error, TransactionCancelled) and error.is_transient:
        return ATTEMPTS[Outcome.REFUSED]
    return 0


def _unknown_outcome(operation: str) -> WriteOutcomeUnknownError:
    return WriteOutcomeUnknownError(
        f"{operation}: the reply was lost, and sending it again could apply it twice. "
        f"refresh() the instance to see what is stored, then decide."
    )
