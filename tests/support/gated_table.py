"""A table behind a server that answers no write before several of them have arrived."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dynamo_bao.dynamodb.transport.messages import Clock
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from tests.support.dynamo_server import lean_wire
from tests.support.http_server import HttpServer
from tests.support.patience import PATIENCE


class GatedTable:
    """The base of tables that count the writes that arrive. Those of a later attempt do not wait.

    Args:
        together: how many writes have to wait for their replies at the same time.

    Attributes:
        on_wait: called instead of waiting before a second attempt.
    """

    def __init__(self, together: int) -> None:
        self.together = together
        self.on_wait: Callable[[], object] = list
        self._arrived = threading.Condition()
        self._count = 0

    def close_gate(self) -> None:
        """Has the next writes wait for each other again."""
        self._count = 0

    def arrive(self) -> None:
        """Counts a write. Returns when it may be answered."""
        with self._arrived:
            self._count += 1
            self._arrived.notify_all()
        if self._count <= self.together:
            assert self.wait_for(self.together)

    def wait_for(self, count: int) -> bool:
        """Waits until a number of writes has arrived since the gate was closed. Returns whether they came."""
        with self._arrived:
            return self._arrived.wait_for(lambda: self._count >= count, PATIENCE)

    def transport(self, server: HttpServer, read_timeout: float | None = None) -> RetryingTransport:
        """A transport to the server of the table. It does not wait before a second attempt."""
        wire = lean_wire(server.url(), read_timeout=read_timeout)
        return RetryingTransport(wire, Clock(sleep=lambda _: self.on_wait()))
