"""When to try again: full jitter between attempts, and never past the deadline.

Full jitter is the scheme of the AWS Architecture Blog, "Exponential Backoff And Jitter": a random wait
between nothing and an exponentially growing bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tenacity import RetryCallState, Retrying, retry_if_exception, retry_if_result
from tenacity.wait import wait_random_exponential

from dynamo_bao.transport.messages import Clock

BASE_SECONDS: Final = 0.025
LONGEST_SECONDS: Final = 1.0
MAX_ATTEMPTS: Final = 10
MAX_CONNECT_ATTEMPTS: Final = 4

_jitter = wait_random_exponential(multiplier=BASE_SECONDS, max=LONGEST_SECONDS)


def _past(clock: Clock, deadline: float) -> Callable[[RetryCallState], bool]:
    return lambda state: bool(clock.now() + state.upcoming_sleep > deadline)


def repeat_on_error(clock: Clock, deadline: float, allowed: Callable[[BaseException], int]) -> Retrying:
    """Calls again after an error, until the deadline.

    Args:
        allowed: how many attempts an error may have in all; 0 or 1 for none but the first.
    """

    def stop(state: RetryCallState) -> bool:
        assert state.outcome is not None
        error = state.outcome.exception()
        return error is not None and state.attempt_number >= allowed(error)

    past = _past(clock, deadline)
    return Retrying(
        wait=_jitter,
        stop=lambda state: stop(state) or past(state),
        retry=retry_if_exception(lambda error: allowed(error) > 1),
        sleep=clock.sleep,
        reraise=True,
    )


def repeat_while(clock: Clock, deadline: float, wanted: Callable[[Any], bool]) -> Retrying:
    """Calls again while the result is `wanted`, until the deadline; then the last result is returned."""
    return Retrying(
        wait=_jitter,
        stop=_past(clock, deadline),
        retry=retry_if_result(wanted),
        sleep=clock.sleep,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome is not None else None,
    )
