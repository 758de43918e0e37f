"""Limits of capacity units per second: kept over time, from the first second, by one thread and by several."""

from __future__ import annotations

import heapq
import random
import threading
from itertools import count
from typing import Any

import pytest

from dynamo_bao import ConfigurationError
from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.transport.messages import Clock, Deadline, Reply, Request
from dynamo_bao.dynamodb.transport.rate_limit import RateLimitedTransport, UnitRate, checked_rate

SECONDS = 20.0


class ThreadsTime:
    """A clock of several threads. Time passes when all of them wait, up to the first wait that ends."""

    def __init__(self, threads: int) -> None:
        self._now, self._running, self._numbers = 0.0, threads, count()
        self._changed = threading.Condition()
        self._waits: list[tuple[float, int]] = []
        self.clock = Clock(now=lambda: self._now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        with self._changed:
            wait = (self._now + seconds, next(self._numbers))
            heapq.heappush(self._waits, wait)
            self._pause(1)
            self._changed.wait_for(lambda: wait not in self._waits)

    def leave(self) -> None:
        """Ends the part of a thread."""
        with self._changed:
            self._pause(1)

    def _pause(self, threads: int) -> None:
        self._running -= threads
        if not self._running and self._waits:
            self._now, _ = heapq.heappop(self._waits)
            self._running = 1
            self._changed.notify_all()


class Service:
    """Answers requests after some time, with the units that the request names in its parameters."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.consumed: list[tuple[float, float]] = []
        self.deadlines: list[float] = []

    def send(self, request: Request, *, deadline: float) -> Reply:
        parameters = request.written
        self.deadlines.append(deadline)
        self.consumed.append((self.clock.now(), parameters["units"]))
        self.clock.sleep(parameters["seconds"])
        units = parameters["units"]
        is_read = request.operation == "Query"
        body = {"ConsumedCapacity": {"CapacityUnits": units}} if parameters["tells"] else {}
        return Reply(request, body, Capacity(units, 0) if is_read else Capacity(0, units))

    def close(self) -> None:
        """Nothing is open."""


def put(units: float, seconds: float = 0.0, tells: bool = True, operation: str = "PutItem") -> Request:
    parameters: dict[str, Any] = {"units": units, "seconds": seconds, "tells": tells}
    return Request(operation, parameters)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_stream_keeps_its_rate_from_the_first_second(threads: int) -> None:
    """500 units a second, of requests that differ in cost and duration, over 20 seconds and in each second."""
    time = ThreadsTime(threads)
    service = Service(time.clock)
    transport = RateLimitedTransport(service, None, UnitRate(500, time.clock))

    def work(seed: int) -> None:
        chance = random.Random(seed)
        while time.clock.now() < SECONDS:
            transport.send(put(chance.randint(1, 40), chance.uniform(0.001, 0.02)), deadline=1e9)
        time.leave()

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    total = sum(units for at, units in service.consumed if at < SECONDS)
    assert total == pytest.approx(500 * SECONDS, rel=0.05)
    for second in range(int(SECONDS)):
        assert sum(units for at, units in service.consumed if second <= at < second + 1) <= 500 + 40 * (
            threads + 1
        )


def test_a_pause_is_made_up_for_by_one_second_at_most() -> None:
    """After ten seconds without requests, 500 units go at once, and no more."""
    time = ThreadsTime(1)
    service = Service(time.clock)
    transport = RateLimitedTransport(service, None, UnitRate(500, time.clock))
    transport.send(put(10), deadline=1e9)
    time.sleep(10)
    start_time = time.clock.now()
    while time.clock.now() == start_time:
        transport.send(put(10), deadline=1e9)
    at_once = sum(units for at, units in service.consumed if at == start_time)
    assert 490 <= at_once <= 520


def test_reads_and_writes_have_limits_of_their_own() -> None:
    """A limit of reads does not slow writes, and the other way round."""
    time = ThreadsTime(1)
    service = Service(time.clock)
    transport = RateLimitedTransport(service, UnitRate(10, time.clock), None)
    for _ in range(5):
        transport.send(put(1000), deadline=1e9)
    assert time.clock.now() == 0
    for _ in range(3):
        transport.send(put(20, operation="Query"), deadline=1e9)
    assert time.clock.now() == pytest.approx(4)


def test_replies_that_tell_no_capacity_count_as_small_items() -> None:
    """An engine that reports nothing is limited too."""
    time = ThreadsTime(1)
    transport = RateLimitedTransport(Service(time.clock), None, UnitRate(1, time.clock))
    for _ in range(6):
        transport.send(put(0, tells=False), deadline=1e9)
    assert time.clock.now() == pytest.approx(5)


@pytest.mark.parametrize("deadline", [3.0, Deadline(3.0, 7)])
def test_a_wait_for_the_limit_is_no_part_of_the_deadline(deadline: float) -> None:
    """A request that waited ten seconds has as long as one that did not wait."""
    time = ThreadsTime(1)
    service = Service(time.clock)
    transport = RateLimitedTransport(service, None, UnitRate(10, time.clock))
    for _ in range(2):
        transport.send(put(100), deadline=deadline)
    assert service.deadlines == pytest.approx([3, 13])
    assert all(type(later) is type(deadline) for later in service.deadlines[1:])
    assert Deadline.throttled_calls(service.deadlines[1]) == Deadline.throttled_calls(deadline)


@pytest.mark.parametrize("value", [0, -1, True, "500", float("inf"), float("nan")])
def test_a_rate_is_a_positive_number(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"max_write_units=.*; give a positive number"):
        checked_rate(value, "max_write_units")


def test_time_stands_still_while_a_request_waits_for_its_units() -> None:
    """So a call of several requests is not late because of the limit."""
    time = ThreadsTime(1)
    transport = RateLimitedTransport(Service(time.clock), None, UnitRate(10, time.clock))
    begin = transport.clock.now()
    for _ in range(3):
        transport.send(put(100, seconds=0.5), deadline=begin + 3)
    assert time.clock.now() > 19
    assert transport.clock.now() == pytest.approx(begin + 1.5)
