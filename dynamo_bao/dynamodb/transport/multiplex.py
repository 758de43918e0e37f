"""Several requests from one thread: they are sent over open connections, before it waits for the first reply.

Threads that each wait for one reply would take turns for the interpreter at every step. So threads only make the
attempts that cannot be made like this, and all second attempts.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable, Sequence
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
        """Reads the reply, and checks it if nothing is to be sent again. `answer` then returns or raises the outcome.

        Returns:
            Whether it is a success that passed the check.
        """
        try:
            self._reply = self._connections.exchange_on(self._connection, None, *self._arguments[1:])
            if self._reply.status == _SUCCESS or self.is_condition_failure:
                self._answer = self._answer_of(request, self._reply)
        except Exception as error:
            if is_foreign(error):
                raise
            self._failure = error
        return self._answer is not None

    @property
    def is_condition_failure(self) -> bool:
        """Whether the reply says that the condition of a write failed."""
        return self._reply is not None and _CONDITION_FAILED in self._reply.body

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
Start = Callable[[Request, float], StartedExchange | None]
"""Sends a request without waiting for its reply, which must be there by a deadline. Returns None if it was not sent."""
_SUCCESS = 200
_CONDITION_FAILED = b"ConditionalCheckFailed"
"""In the body of a reply that refuses a write because of its own condition."""


def starter_of(transport: Transport, number: int) -> Start | None:
    """The function of a transport that sends requests without waiting. None if it has none, or not for this number.

    Args:
        transport: the transport.
        number: how many requests wait for their replies at the same time.
    """
    find_starter = getattr(transport, "starter", None)
    if find_starter is None or not hasattr(select, "poll"):
        return None
    start: Start | None = find_starter(number)
    return start


def answered(
    start: Start,
    requests: Iterable[Request],
    calls: Sequence[Callable[[], T]],
    at_once: int,
    deadline: Callable[[], float],
    on_start: Callable[[int], object] = int,
) -> dict[int, T]:
    """Sends requests, and calls the sender of each one whose reply is a success.

    An attempt that failed keeps its connection until its sender reads the reply, unless only a condition failed. If no
    connection is left, no further request is sent: the service may be short of capacity, and senders wait between
    their attempts.

    Args:
        start: sends a request; the first attempt of its sender then only reads the reply.
        requests: the first request of each sender, in order. Each is taken when it can be sent.
        calls: the senders.
        at_once: how many requests wait for their replies at the same time.
        deadline: called for each request; the time when its reply must be there, in seconds of the transport's clock.
        on_start: called with the number of a request before it is sent.

    Returns:
        The results by the numbers of the calls. The other calls are still to be made.
    """
    results: dict[int, T] = {}
    waiting: dict[int, tuple[int, Request, StartedExchange]] = {}
    unsent, poller = enumerate(requests), select.poll()
    try:
        while True:
            while len(waiting) < at_once and (next_request := next(unsent, None)) is not None:
                number, request = next_request
                on_start(number)
                exchange = start(request, deadline())
                if exchange is None:
                    unsent = enumerate(())
                elif (file := exchange.fileno()) >= 0:
                    waiting[file] = number, request, exchange
                    poller.register(file, select.POLLIN)
            if not waiting:
                return results
            for file in _ready(poller, waiting):
                number, request, exchange = waiting[file]
                poller.unregister(file)
                is_success = exchange.receive(request)
                del waiting[file]
                if is_success:
                    results[number] = calls[number]()
    finally:
        for _, _, exchange in waiting.values():  # an exception ends all of them
            exchange.close()


def _ready(poller: select.poll, waiting: dict[int, tuple[int, Request, StartedExchange]]) -> list[int]:
    """The exchanges on which something arrives. If nothing does, those whose time is over, which are given up."""
    _, _, oldest = next(iter(waiting.values()))  # those after it have at least as much time
    events = poller.poll(max(0.0, oldest.end_time - time.monotonic()) * 1000)
    if events:
        return [file for file, _ in events]
    current_time = time.monotonic()
    late_files = [file for file, (_, _, exchange) in waiting.items() if exchange.end_time <= current_time]
    for file in late_files:
        waiting[file][2].give_up()
    return late_files
