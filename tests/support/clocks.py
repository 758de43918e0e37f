"""Time that passes only when somebody waits."""

from __future__ import annotations

import threading

from dynamo_bao.testing import Clock


class FakeTime:
    """A clock whose sleeps take no time; `slept` holds the waits asked for."""

    def __init__(self) -> None:
        self._now = 0.0
        self._lock = threading.Lock()
        self.slept: list[float] = []
        self.clock = Clock(now=self.now, sleep=self.sleep)

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            self.slept.append(seconds)


class OwnTimes(threading.local):
    """A clock with a separate time for each thread. It moves only when that thread waits."""

    def __init__(self) -> None:
        self._now = 0.0
        self.clock = Clock(now=self.now, sleep=self.sleep)

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
