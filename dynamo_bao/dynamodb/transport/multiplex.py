"""Several requests from one thread: they are sent over open connections, before it waits for the first reply.

Threads that each wait for one reply would take turns for the interpreter at every step. So threads only make the
attempts that cannot be made like this, and all second attempts.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from dynamo_bao.dynamodb.transport.http import (
    REQUEST_TIMEOUT,
    Connection,
    Connections,
    HttpReply,
    ReplyLost,
)
from dynamo_bao.dynamodb.transport.messages import Request, Transport


class StartedExchange:
    """A request that was sent, and whose reply is still to be read.

    Args:
        connections, connection: where it was sent.
        request, end_time, max_body_bytes: see `Connections.lease`.
        failure: the error of sending it.
    """

    __slots__ = ("_arguments", "_connection", "_connections", "_failure", "_reply")

    def __init__(
        self,
        connections: Connections,
        connection: Connection,
        request: bytes,
        end_time: float,
        max_body_bytes: int,
        failure: Exception | None,
    ) -> None:
        self._connections = connections
        self._connection = connection
        self._arguments = request, end_time, max_body_bytes
        self._failure = failure
        self._reply: HttpReply | None = None

    def fileno(self) -> int:
        """The file descriptor on which the reply arrives; -1 if the request could not be sent."""
        return self._connection.fileno()

    @property
    def end_time(self) -> float:
        """The time when it must be over, in seconds of `time.monotonic`."""
        return self._arguments[1]

    def close(self) -> None:
        """Closes its connection, so that the reply is lost."""
        self._connection.close()

    def receive(self) -> int:
        """Reads the reply, and returns its status; 0 if that failed. `reply` then returns or raises the outcome."""
        try:
            self._reply = self._connections.exchange_on(self._connection, None, *self._arguments[1:])
        except ReplyLost as error:
            self._failure = error
            return 0
        return self._reply.status

    def reply(self) -> HttpReply:
        """The reply; see `Connections.lease`."""
        if self._reply is None and self._failure is None:
            self.receive()
        if self._failure is not None:
            raise self._failure
        assert self._reply is not None
        if self._reply.status != REQUEST_TIMEOUT:
            return self._reply
        self._reply.settle(False)
        return self._connections.renewed(*self._arguments)


T = TypeVar("T")
Start = Callable[[Request], "StartedExchange | None"]
"""Sends a request without waiting for its reply. Returns None if it was not sent."""
_SUCCESS = 200


def starter_of(transport: Transport, number: int, deadline: float) -> Start | None:
    """The function of a transport that sends requests without waiting. None if it has none, or not for this number.

    Args:
        transport: the transport.
        number: how many requests wait for their replies at the same time.
        deadline: the time when the replies must be there, in seconds of the transport's clock.
    """
    find_starter = getattr(transport, "starter", None)
    if find_starter is None or not hasattr(select, "poll"):
        return None
    start: Start | None = find_starter(number, deadline)
    return start


def answered(
    start: Start,
    requests: Sequence[Request],
    calls: Sequence[Callable[[], T]],
    at_once: int,
    on_start: Callable[[int], object],
) -> dict[int, T]:
    """Sends requests, and calls the sender of each one whose reply reports a success.

    Args:
        start: sends a request; the first attempt of its sender then only reads the reply.
        requests: the first request of each sender.
        calls: the senders.
        at_once: how many requests wait for their replies at the same time.
        on_start: called with the number of a request before it is sent.

    Returns:
        The results by the numbers of the calls. The other calls are still to be made.
    """
    results: dict[int, T] = {}
    waiting: dict[int, tuple[int, StartedExchange]] = {}
    numbers, poller = deque(range(len(calls))), select.poll()
    try:
        while True:
            while numbers and len(waiting) < at_once:
                number = numbers.popleft()
                on_start(number)
                exchange = start(requests[number])
                if exchange is not None and exchange.fileno() >= 0:
                    waiting[exchange.fileno()] = number, exchange
                    poller.register(exchange, select.POLLIN)
            if not waiting:
                return results
            for file in _readable(poller, waiting):
                number, exchange = waiting[file]
                poller.unregister(file)
                status = exchange.receive()
                del waiting[file]
                if status == _SUCCESS:
                    results[number] = calls[number]()
    finally:
        for _, exchange in waiting.values():  # an exception ends all of them
            exchange.close()


def _readable(poller: select.poll, waiting: dict[int, tuple[int, StartedExchange]]) -> list[int]:
    """The exchanges on which something arrives. All of them if nothing arrives in time, which ends them."""
    end_time = min(exchange.end_time for _, exchange in waiting.values())
    events = poller.poll(max(0.0, end_time - time.monotonic()) * 1000)
    return [file for file, _ in events] or list(waiting)
