"""Limits of this program's own: how many capacity units a second some requests consume at most."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from dynamo_bao.dynamodb.service import (
    BATCH_GET_ITEM,
    BATCH_WRITE_ITEM,
    READ_OPERATIONS,
    TRANSACT_WRITE_ITEMS,
)
from dynamo_bao.dynamodb.transport.messages import Clock, Deadline, Reply, Request, Transport
from dynamo_bao.errors import BaoError, ConfigurationError
from dynamo_bao.runtime.records import define, field

CREDIT_SECONDS: Final = 1.0
"""How much time without requests can be made up for: a limit of 500 units allows at most 500 at once, after a pause."""


@define(eq=False)
class UnitRate:
    """A limit of capacity units per second, for requests of one or several threads.

    A request waits until the units of all earlier ones have had their time. As its own cost is only known when its
    reply comes, the cost of the last request of the same kind is reserved for it.

    Args:
        per_second: the units per second.
        clock: the clock of the waits.

    Example:
        >>> rate = UnitRate(500, Clock())
        >>> reserved = rate.wait("PutItem", 1)
        >>> rate.settle("PutItem", reserved, 2)
    """

    per_second: float
    clock: Clock
    _free_at: float | None = field(default=None, init=False)
    """When all units of earlier requests have had their time; None before the first request."""
    _costs: dict[str, float] = field(factory=dict, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False)

    def wait(self, kind: str, guess: float) -> float:
        """Waits until a request can be sent, and reserves units for it.

        Args:
            kind: the kind of request.
            guess: its cost, if none of its kind has been sent before.

        Returns:
            The units that were reserved, for `settle`.
        """
        with self._lock:
            now = self.clock.now()
            cost = self._costs.get(kind, guess)
            start = now if self._free_at is None else max(self._free_at, now - CREDIT_SECONDS)
            self._free_at = start + cost / self.per_second
        while start > now:
            self.clock.sleep(start - now)
            now = self.clock.now()
        return cost

    def settle(self, kind: str, reserved: float, units: float | None) -> None:
        """Replaces the reserved units of a request by what it consumed.

        Args:
            kind: the kind of request.
            reserved: what `wait` returned.
            units: the units that it consumed; None if no reply tells, so that the reservation stays.
        """
        if units is None:
            return
        with self._lock:
            if self._free_at is not None:
                self._free_at += (units - reserved) / self.per_second
            self._costs[kind] = units


class _PausableTime:
    """The time without the pauses in which at least one thread waits.

    Args:
        clock: the clock of the time with the pauses.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._waiting_threads = 0
        self._paused_at = 0.0
        self._paused_seconds = 0.0

    def now(self) -> float:
        """The time in seconds."""
        with self._lock:
            now = self._clock.now()
            pause = now - self._paused_at if self._waiting_threads else 0.0
            return now - pause - self._paused_seconds

    @contextmanager
    def pause(self) -> Iterator[None]:
        """A block in which the time stands still."""
        with self._lock:
            if not self._waiting_threads:
                self._paused_at = self._clock.now()
            self._waiting_threads += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting_threads -= 1
                if not self._waiting_threads:
                    self._paused_seconds += self._clock.now() - self._paused_at


class RateLimitedTransport:
    """A transport that keeps requests within limits of capacity units per second.

    The time of its clock stands still while a request waits for its units, so no wait counts for a deadline.

    Args:
        transport: sends the requests.
        reads: the limit of requests that read; None for no limit.
        writes: the limit of requests that write; None for no limit.
    """

    def __init__(self, transport: Transport, reads: UnitRate | None, writes: UnitRate | None) -> None:
        self._transport = transport
        self._reads = reads
        self._writes = writes
        self._time = _PausableTime(transport.clock)
        self._clock = Clock(self._time.now, transport.clock.sleep)

    @property
    def clock(self) -> Clock:
        """The clock of the deadlines."""
        return self._clock

    @property
    def wire(self) -> Any:
        """What makes single attempts; None if the transport does not tell."""
        return getattr(self._transport, "wire", None)

    def close(self) -> None:
        self._transport.close()

    def send(self, request: Request, *, deadline: float) -> Reply:
        """Sends a request when the limit allows it. The wait does not count for the deadline."""
        is_read = request.operation in READ_OPERATIONS
        rate = self._reads if is_read else self._writes
        if rate is None:
            return self._transport.send(request, deadline=self._inner_deadline(deadline))
        with self._time.pause():
            reserved = rate.wait(request.operation, _guess(request))
        units: float | None = None
        try:
            reply = self._transport.send(request, deadline=self._inner_deadline(deadline))
            if "ConsumedCapacity" in reply.parsed:
                units = reply.capacity.read if is_read else reply.capacity.write
        finally:
            rate.settle(request.operation, reserved, units)
        return reply

    def _inner_deadline(self, deadline: float) -> float:
        """A deadline by the clock of the transport that sends."""
        seconds = self._transport.clock.now() - self._clock.now()
        if not isinstance(deadline, Deadline):
            return deadline + seconds
        return Deadline(deadline + seconds, deadline.max_throttled_calls)


def _guess(request: Request) -> float:
    """The units that a request consumes, if its items are small."""
    if request.operation == TRANSACT_WRITE_ITEMS:
        return 2.0 * len(request.written["TransactItems"])
    if request.operation in (BATCH_GET_ITEM, BATCH_WRITE_ITEM):
        count = sum(map(len, (request.keys or {}).values()))
        return count / 2 if request.operation == BATCH_GET_ITEM else float(count)
    return 1.0


def checked_rate(value: object, name: str, error: type[BaoError] = ConfigurationError) -> float | None:
    """The units per second of an argument; None for no limit.

    Args:
        value: the argument.
        name: its name, for the error.
        error: the class of the error.

    Raises:
        BaoError: for anything but a positive number and None.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is None or (is_number and 0 < value < math.inf):  # type: ignore[operator]
        return value  # type: ignore[return-value]
    raise error(f"{name}={value!r}; give a positive number of units per second, or None.")
