"""The waits between the attempts of one call: full jitter, never past the deadline.

Full jitter is the scheme of the AWS Architecture Blog, "Exponential Backoff And Jitter": a random wait
between nothing and an exponentially growing bound.
"""

from __future__ import annotations

import random
from typing import Final

from dynamo_bao.transport.messages import Clock

BASE_SECONDS: Final = 0.025
LONGEST_SECONDS: Final = 1.0


class Backoff:
    """The attempts of one call, and the waits between them.

    Args:
        clock: tells the time and waits.
        deadline: the time, in seconds of the clock, that no wait may pass.

    Attributes:
        attempts: how many attempts were begun; the first one is counted from the start.
        waited: how many seconds were waited so far.
    """

    def __init__(self, clock: Clock, deadline: float) -> None:
        self._clock = clock
        self._deadline = deadline
        self._waits = 0
        self.attempts = 1
        self.waited = 0.0

    def wait(self, most_attempts: int) -> float | None:
        """Waits before another attempt; returns for how many seconds.

        Args:
            most_attempts: how many attempts there may be in all.

        Returns:
            None, without waiting, if there may be no further attempt.
        """
        if self.attempts >= most_attempts:
            return None
        seconds = random.uniform(0, min(LONGEST_SECONDS, BASE_SECONDS * 2**self._waits))
        if self._clock.now() + seconds > self._deadline:
            return None
        self._clock.sleep(seconds)
        self._waits += 1
        self.attempts += 1
        self.waited += seconds
        return seconds

    def begin_again(self) -> bool:
        """Allows another attempt at once, because the last one made progress; False if the deadline has passed."""
        self._waits, self.attempts = 0, 2
        return bool(self._clock.now() < self._deadline)
