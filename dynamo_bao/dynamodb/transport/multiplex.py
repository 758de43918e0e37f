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

from dynamo_bao.dynamodb.transport.http import REQUEST_TIMEOUT, Connection, Connections, HttpReply
from dynamo_bao.dynamodb.transport.messages import Request, Transport
from dynamo_bao.runtime.foreign_errors import is_foreign


class StartedExchange:
    """A request that was sent, and whose reply is still to be read.

    Args:
        connections, connection: where it was sent.
        data, end_time, max_body_bytes: the request; see `Connections.lease`.
        failure: the error of sending it.
        answer_of: checks the reply to a request, and returns its members.
    """

    __slots__ = (
        "_answer",
        "_answer_of",
        "_arguments",
        "_connection",
        "_connections",
        "_failure",
        "_reply",
        "end_time",
    )

    def __init__(
        self,
        connections: Connections,
        connection: Connection,
        data: bytes,
        end_time: float,
        max_body_bytes: int,
        failure: Exception | None,
        answer_of: Callable[[Request, HttpReply], dict[str, object]],
    ) -> None:
        self._connections = connections
        self._connection = connection
        self._arguments = data, end_time, max_body_bytes
        self._failure = failure
        self._answer_of = answer_of
        self._reply: HttpReply | None = None
        self._answer: dict[str, object] | None = None
        self.end_time: float = min(end_time, time.monotonic() + connections.read_seconds)

    def fileno(self) -> int:
        """The file descriptor on which the reply arrives; -1 if the request could not be sent."""
        return self._connection.fileno()

    def close(self) -> None:
        """Closes its connection, so that the reply is lost."""
        self._connection.close()

    def give_up(self) -> None:
        """Has `receive` fail at once, because no reply came until `end_time`."""
        data, _, max_body_bytes = self._arguments
        self._arguments = data, self.end_time, max_body_bytes

    def receive(self, request: Request) -> bool:
        """Reads the reply, and checks it if it reports a success. `answer` then returns or raises the outcome.

        Returns:
            Whether it is a success that passed the check.
        """
        try:
            self._reply = self._connections.exchange_on(self._connection, None, *self._arguments[1:])
            if self._reply.status == _SUCCESS:
                self._answer = self._answer_of(request, self._reply)
        except Exception as error:
            if is_foreign(error):
                raise
            self._failure = error
        return self._answer is not None

    def answer(self, request: Request) -> dict[str, object]:
        """The members of the checked reply.

        Raises:
            NotConnected, ReplyLost: see `Connections.lease`.
            Exception: the error of the check, or the one that the reply reports.
        """
        if self._reply is None and self._failure is None:
            self.receive(request)
        if self._failure is not None:
            raise self._failure
        if self._answer is not None:
            return self._answer
        assert self._reply is not None
        if self._reply.status != REQUEST_TIMEOUT:
            return self._answer_of(request, self._reply)
        self._reply.settle(False)
        return self._answer_of(request, self._connections.renewed(*self._arguments))


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
    """Sends requests, and calls the sender of each one whose reply is a success.

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
            for file in _ready(poller, waiting):
                number, exchange = waiting[file]
                poller.unregister(file)
                is_success = exchange.receive(requests[number])
                del waiting[file]
                if is_success:
                    results[number] = calls[number]()
    finally:
        for _, exchange in waiting.values():  # an exception ends all of them
            exchange.close()


def _ready(poller: select.poll, waiting: dict[int, tuple[int, StartedExchange]]) -> list[int]:
    """The exchanges on which something arrives. If nothing does, those whose time is over, which are given up."""
    end_time = min(exchange.end_time for _, exchange in waiting.values())
    events = poller.poll(max(0.0, end_time - time.monotonic()) * 1000)
    if events:
        return [file for file, _ in events]
    current_time = time.monotonic()
    late_files = [file for file, (_, exchange) in waiting.items() if exchange.end_time <= current_time]
    for file in late_files:
        waiting[file][1].give_up()
    return late_files
