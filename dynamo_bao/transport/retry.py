"""When to try again: full jitter between attempts, never past the deadline, and never what could do harm.

Full jitter is the scheme of the AWS Architecture Blog, "Exponential Backoff And Jitter": a random wait
between nothing and an exponentially growing bound.
"""

from __future__ import annotations

from collections.abc import Callable
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
)
from dynamo_bao.transport.outcomes import ConditionFailed, TransactionCancelled

BASE_SECONDS: Final = 0.025
LONGEST_SECONDS: Final = 1.0
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
    from tenacity import retry_if_result

    return _retrying(
        clock,
        deadline,
        retry=retry_if_result(wanted),
        retry_error_callback=lambda state: state.outcome.result(),
    )(call)


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
        from tenacity import retry_if_exception

        started = self._clock.now()
        sending = _Sending(self.wire, request)
        retrying = _retrying(
            self._clock,
            deadline,
            stop=lambda state: state.attempt_number >= sending.allowed(state.outcome.exception()),
            retry=retry_if_exception(lambda error: sending.allowed(error) > 1),
            reraise=True,
        )
        try:
            body = retrying(sending.once)
        except AttemptFailed as failed:
            raise failed.error from failed.error.__cause__
        return Reply(
            request,
            body,
            capacity_of(request.operation, body),
            sending.attempts,
            self._clock.now() - started,
            retrying.statistics.get("idle_for", 0.0),
            started,
        )


class _Sending:
    """One request on its way, over all of its attempts."""

    def __init__(self, wire: Wire, request: Request) -> None:
        self._wire = wire
        self._request = request
        self._unknown = False
        self.attempts = 0

    def once(self) -> dict[str, Any]:
        self.attempts += 1
        try:
            return self._wire.attempt(self._request)
        except (ConditionFailed, TransactionCancelled) as refused:
            refused.repeated = self._unknown
            raise
        except AttemptFailed as failed:
            if failed.outcome is Outcome.UNKNOWN:
                self._unknown = True
                if not self._request.repeatable:
                    raise _unknown_outcome(self._request.operation) from failed.error
            raise

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
