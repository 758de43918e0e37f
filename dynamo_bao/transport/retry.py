"""When to try again: full jitter between attempts, never past the deadline, and never what could do harm.

Full jitter is the scheme of the AWS Architecture Blog, "Exponential Backoff And Jitter": a random wait
between nothing and an exponentially growing bound.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, Final

from dynamo_bao.errors import WriteOutcomeUnknownError
from dynamo_bao.transport.messages import (
    AttemptFailed,
    Clock,
    Outcome,
    Reply,
    Request,
    Wire,
    capacity_of,
    with_outcome,
)
from dynamo_bao.transport.outcomes import ConditionFailed, TransactionCancelled

BASE_SECONDS: Final = 0.025
LONGEST_SECONDS: Final = 1.0
SHORTEST_SECONDS: Final = 0.05
"""How long an attempt is given at least, also where the deadline has passed before the first."""
ATTEMPTS: Final = {Outcome.REFUSED: 10, Outcome.NOT_SENT: 4, Outcome.UNKNOWN: 4}
"""How many attempts a request may have in all, by what became of the last."""


def _retrying(clock: Clock, deadline: float, **options: Any) -> Any:
    """A tenacity controller with our waits and clock, which stops before a wait would pass the deadline."""
    # Imported here: nothing of it is needed before the first request.
    from tenacity import Retrying
    from tenacity.wait import wait_random_exponential

    given_stop = options.pop("stop", None)

    def stop(state: Any) -> bool:
        past = clock.now() + state.upcoming_sleep > deadline
        return past or (given_stop is not None and given_stop(state))

    wait = wait_random_exponential(multiplier=BASE_SECONDS, max=LONGEST_SECONDS)
    return Retrying(wait=wait, stop=stop, sleep=clock.sleep, **options)


def repeat_while(
    clock: Clock, deadline: float, call: Callable[[], Any], wanted: Callable[[Any], bool]
) -> Any:
    """Calls again while the result is `wanted`, until the deadline; then the last result is returned."""
    first = call()
    if not wanted(first):  # as nearly always
        return first
    from tenacity import retry_if_result

    results = chain((first,), iter(call, _NEVER))
    return _retrying(
        clock,
        deadline,
        retry=retry_if_result(wanted),
        retry_error_callback=lambda state: state.outcome.result(),
    )(lambda: next(results))


_NEVER = object()


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
            try:
                body, waited = sending.once(), 0.0
            except Exception as error:
                if sending.allowed(error) <= 1:
                    raise
                body, waited = self._send_again(sending, error)
        except AttemptFailed as failed:
            raise sending.told(failed.error, failed.outcome) from failed.error.__cause__
        except Exception as error:
            sending.told(error, None)
            raise
        capacity = capacity_of(request.operation, body)
        return Reply(request, body, capacity, sending.attempts, self._clock.now() - started, waited, started)

    def _send_again(self, sending: _Sending, error: Exception) -> tuple[dict[str, Any], float]:
        """Goes on after a first attempt that failed in a way that another may not; the body, and seconds waited.

        Most requests never come here, and so never pay for the machinery of retries.
        """
        from tenacity import retry_if_exception

        sending.failure = error
        retrying = _retrying(
            self._clock,
            sending.deadline,
            stop=lambda state: state.attempt_number >= sending.allowed(state.outcome.exception()),
            retry=retry_if_exception(lambda error: sending.allowed(error) > 1),
            reraise=True,
        )
        body = retrying(sending.again)
        return body, retrying.statistics.get("idle_for", 0.0)


class _Sending:
    """One request on its way, over all of its attempts.

    Attributes:
        deadline: when to stop, in seconds of the clock.
        attempts: how many were made.
        failure: how an attempt ended that is still to be told.
    """

    def __init__(self, wire: Wire, request: Request, clock: Clock, deadline: float) -> None:
        self._wire = wire
        self._request = request
        self._clock = clock
        self._unknown = False
        self.deadline = deadline
        self.attempts = 0
        self.failure: Exception | None = None

    def again(self) -> dict[str, Any]:
        """Makes an attempt, after telling of the one that failed before."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        return self.once()

    def once(self) -> dict[str, Any]:
        """Makes an attempt."""
        self.attempts += 1
        try:
            return self._wire.attempt(self._request, max(self.deadline - self._clock.now(), SHORTEST_SECONDS))
        except (ConditionFailed, TransactionCancelled) as refused:
            refused.repeated = self._unknown
            raise
        except AttemptFailed as failed:
            if failed.outcome is Outcome.UNKNOWN:
                self._unknown = True
                if not self._request.repeatable:
                    raise _unknown_outcome(self._request.operation) from failed.error
            raise

    def told(self, error: Exception, outcome: Outcome | None) -> Exception:
        """An error with what became of the request: after one lost reply nobody knows, whatever came then."""
        last = Outcome.UNKNOWN if self._unknown else outcome
        return error if last is None else with_outcome(error, last)

    def allowed(self, error: BaseException | None) -> int:
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
