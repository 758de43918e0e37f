"""One hot key at twice its limit, beside other traffic: the work that a process still completes, on a simulated clock.

The simulation is seeded and has many threads, of which one runs at a time. A thread that waits hands over to the next
one. The library's own transport sends; only the service is simulated. ``python -m benchmarks.overload`` prints the
figures.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from dynamo_bao.dynamodb.transport.messages import AttemptFailed, Clock, Request, RequestOutcome
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from dynamo_bao.errors import ThrottledError

REQUEST_SECONDS = 0.005
"""The duration of an attempt, also of a throttled one."""
PAUSE_SECONDS = 1.0
"""The pause of a client after an error, like that of a person who presses a button again."""
HOT, OTHER = "hot", "other"


class Threads:
    """Threads on a clock that moves only when they wait.

    Attributes:
        now: the time, in seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, threading.Semaphore]] = []
        self._numbers = itertools.count()
        self._local = threading.local()
        self._all_done = threading.Semaphore(0)
        self.clock = Clock(now=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        """Lets the other threads run until `seconds` have passed."""
        turn: threading.Semaphore = self._local.turn
        self._wait(seconds, turn)
        self._hand_on()
        turn.acquire()

    def run(self, works: list[Callable[[], None]]) -> None:
        """Runs functions, each in its own thread, until all have ended."""
        for work in works:
            turn = threading.Semaphore(0)
            threading.Thread(target=self._begin, args=(work, turn), daemon=True).start()
            self._wait(0.0, turn)
        self._hand_on()
        self._all_done.acquire()

    def _begin(self, work: Callable[[], None], turn: threading.Semaphore) -> None:
        self._local.turn = turn
        turn.acquire()
        try:
            work()
        finally:
            self._hand_on()

    def _wait(self, seconds: float, turn: threading.Semaphore) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._numbers), turn))

    def _hand_on(self) -> None:
        if not self._queue:
            self._all_done.release()
            return
        self.now, _, turn = heapq.heappop(self._queue)
        turn.release()


class Partition:
    """A sender to a service that limits the requests per second for its hot key.

    Attributes:
        attempts: the number of attempts for the hot key.
    """

    def __init__(self, threads: Threads, rate: float) -> None:
        self._threads = threads
        self._rate = rate
        self._tokens, self._filled = rate, 0.0
        self.attempts = 0

    def attempt(self, request: Request, seconds: float) -> dict[str, Any]:
        self._threads.sleep(REQUEST_SECONDS)
        if request.parameters["Key"] != HOT:
            return {}
        self.attempts += 1
        now = self._threads.now
        self._tokens = min(self._rate, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 1:
            error = ThrottledError("throttled", code="ThrottlingException", operation="GetItem")
            raise AttemptFailed(error, RequestOutcome.REFUSED)
        self._tokens -= 1
        return {}

    def close(self) -> None:
        pass


class Figures(NamedTuple):
    """The figures of a simulation.

    Attributes:
        other: the share of the other traffic that was answered within its second.
        attempts: the attempts for each success of the hot key.
        held: the median seconds that a call of the hot key held its thread.
        recovery: the seconds after the overload in which calls still wait or fail because of it.
    """

    other: float
    attempts: float
    held: float
    recovery: float


class Call(NamedTuple):
    """One call: its key, the times when it was due, began and ended, and whether it was answered."""

    key: str
    due: float
    begun: float
    ended: float
    answered: bool


def open_loop(
    *, rate: float = 100.0, other: float = 200.0, threads: int = 50, seconds: float = 60.0, seed: int = 7
) -> Figures:
    """Calls that do not wait for earlier calls. Those for the hot key come at twice its limit, then at half of it.

    Args:
        rate: the requests per second that the hot key takes.
        other: the calls per second for other keys.
        threads: the number of threads of the process.
        seconds: the duration of the overload. The simulation continues for half of it.
    """
    chance = random.Random(seed)
    random.seed(seed)
    due: list[tuple[float, str]] = []
    for key, pace, begin, end in (
        (HOT, 2 * rate, 0.0, seconds),
        (HOT, rate / 2, seconds, 1.5 * seconds),
        (OTHER, other, 0.0, 1.5 * seconds),
    ):
        at = begin
        while (at := at + chance.expovariate(pace)) < end:
            due.append((at, key))
    due.sort()
    return _simulated(iter(due), rate, threads, seconds)


def closed_loop(*, clients: int = 200, rate: float = 100.0, seconds: float = 30.0, seed: int = 7) -> Figures:
    """Clients that call for the hot key again after each answer, or a second after an error."""
    random.seed(seed)
    at = itertools.count()
    endless = ((next(at) * 0.0, HOT) for _ in itertools.count())
    return _simulated(endless, rate, clients, seconds, until=seconds)


def _simulated(due: Any, rate: float, count: int, seconds: float, until: float = float("inf")) -> Figures:
    threads = Threads()
    wire = Partition(threads, rate)
    transport, calls = RetryingTransport(wire, threads.clock), list[Call]()

    def work() -> None:
        while threads.now < until and (next_call := next(due, None)) is not None:
            at, key = next_call
            threads.sleep(max(0.0, at - threads.now))
            start_time = threads.now
            try:
                transport.send(Request("GetItem", {"TableName": "t", "Key": key}), deadline=start_time + 10.0)
                answered = True
            except ThrottledError:
                answered = False
            calls.append(Call(key, at, start_time, threads.now, answered))
            if not answered and until < float("inf"):
                threads.sleep(PAUSE_SECONDS)

    threads.run([work] * count)
    hot = [call for call in calls if call.key == HOT]
    other_calls = [call for call in calls if call.key == OTHER]
    durations = sorted(call.ended - call.begun for call in hot)
    late = [
        call.ended - seconds
        for call in calls
        if call.due > seconds and (not call.answered or call.ended - call.due > 0.1)
    ]
    return Figures(
        sum(call.answered and call.ended - call.due < 1.0 for call in other_calls) / max(len(other_calls), 1),
        wire.attempts / max(sum(call.answered for call in hot), 1),
        durations[len(durations) // 2],
        max(late, default=0.0),
    )


def main() -> None:
    """Prints the figures."""
    for name, figures in (("open loop", open_loop()), ("200 clients", closed_loop())):
        print(
            f"{name}: other traffic {figures.other:.1%}, {figures.attempts:.1f} attempts per success, "
            f"{figures.held:.2f} s held by a call of the hot key (median), {figures.recovery:.1f} s to recover"
        )


if __name__ == "__main__":
    main()
