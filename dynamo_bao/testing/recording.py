"""A transport that records its requests."""

from __future__ import annotations

import threading
from typing import Any

from dynamo_bao.dynamodb.transport.messages import Clock, Reply, Request, Transport


class RecordingTransport:
    """Passes requests on to another transport, and records them.

    Args:
        inner: the transport that sends the requests.

    Attributes:
        requests: all requests, in the order of sending.
        wire: the wire of the transport below, so that ``manager.client`` works.

    Example:
        >>> transport = RecordingTransport(embedded_transport())
        >>> manager = init_models(transport=transport)
        >>> transport.count("BatchGetItem")
        0
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self._lock = threading.RLock()
        self.requests: list[Request] = []
        self.wire: Any = getattr(inner, "wire", None)

    @property
    def clock(self) -> Clock:
        """The clock of the other transport."""
        return self._inner.clock

    def send(self, request: Request, *, deadline: float) -> Reply:
        # A copy, because the request refers to the instances that wait for its reply.
        """Records a request, and sends it through the other transport.

        Args:
            request: the request to send.
            deadline: the time after which it is not retried, in seconds of `clock`.

        Returns:
            The reply.
        """
        record = Request(request.operation, request.written, request.repeatable)
        with self._lock:
            self.requests.append(record)
        return self._inner.send(request, deadline=deadline)

    def count(self, operation: str | None = None) -> int:
        """The number of requests.

        Args:
            operation: an operation, such as ``"Query"``; None for all.

        Returns:
            The number.

        Example:
            >>> recording.count("BatchGetItem")
            0
        """
        return sum(operation in (None, request.operation) for request in self.requests)

    def clear(self) -> None:
        """Drops the recorded requests.

        Example:
            >>> recording.clear()
        """
        with self._lock:
            self.requests.clear()

    def close(self) -> None:
        """Closes the other transport."""
        self._inner.close()
