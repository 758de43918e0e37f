"""The waits between the attempts of one call: full jitter, never past the deadline.

Full jitter is the scheme of the AWS Architecture Blog, "Exponential Backoff And Jitter": a random wait
between nothing and an exponentially growing bound.
"""

from __future__ import annotations

from typing import Final

from dynamo_bao.dynamodb.transport.bulkhead import Place, throttled_calls
from dynamo_bao.dynamodb.transport.messages import Clock, Deadline

BASE_SECONDS: Final = 0.025
MAX_SECONDS: Final = 1.0


MAX_EXTRA_SECONDS: Final = 5.0
"""The most seconds that DynamoDB's wish adds to a wait, as in the AWS SDKs."""


class Backoff:
    """The attempts of one call, and the waits between them.

    The bulkhead counts a call that waits because of throttling until it ends. A Backoff is a context manager that ends
    the count.

    Args:
        clock: the clock that gives the time and waits.
        deadline: the time that no wait may pass, in seconds of the clock; see `Deadline`.

    Attributes:
        attempts: the number of attempts that have begun; 1 from the start.
        waited: the seconds of all waits so far.
        crowded: whether the last wait was refused because too many calls wait already.
    """

    def __init__(self, clock: Clock, deadline: float) -> None:
        self._clock = clock
        self._deadline = deadline
        self._waits = 0
        self._places: tuple[Place, ...] = ()
        self.attempts: int = 1
        self.waited: float = 0.0
        self.crowded: bool = False

    def __enter__(self) -> Backoff:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def wait(
        self, max_attempts: int, places: tuple[Place, ...] = (), at_least: float | None = None
    ) -> float | None:
        """Waits before another attempt.

        Args:
            max_attempts: the most attempts in all.
            places: the throttled tables and indexes, if throttling is the reason for the wait.
            at_least: the seconds that DynamoDB asks to wait; None if it does not say.

        Returns:
            The seconds of the wait; None, without waiting, if no further attempt is allowed.
        """
        if self.attempts >= max_attempts:
            return None
        # Imported here: most programs never have to wait.
        import random

        seconds = random.uniform(0, min(MAX_SECONDS, BASE_SECONDS * 2**self._waits))
        if at_least is not None:
            seconds = max(seconds, min(at_least, seconds + MAX_EXTRA_SECONDS))
        if self._clock.now() + seconds > self._deadline:
            return None
        if not self._enter(places):
            self.crowded = True
            return None
        self._clock.sleep(seconds)
        self._waits += 1
        self.attempts += 1
        self.waited += seconds
        return seconds

    def begin_again(self) -> bool:
        """Resets the waits after an attempt with progress; returns whether the deadline allows another attempt."""
        self._leave()
        self._waits, self.attempts = 0, 2
        return bool(self._clock.now() < self._deadline)

    def _enter(self, places: tuple[Place, ...]) -> bool:
        if places == self._places:
            return True
        self._leave()
        self._places = places
        return throttled_calls.enter(self, places, Deadline.throttled_calls(self._deadline))

    def _leave(self) -> None:
        if self._places:
            throttled_calls.leave(self, self._places)
            self._places = ()
