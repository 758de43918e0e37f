"""An HTTP server for tests. A script of steps says what it answers, and when."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.support.patience import PATIENCE


class ReceivedRequest(NamedTuple):
    """One request that arrived.

    Attributes:
        head: its lines, the request line first.
        body: its body.
        connection: the number of the connection it came on, from 1.
    """

    head: list[str]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        """One header; None if it is missing."""
        values = [
            line.split(": ", 1)[1] for line in self.head[1:] if line.lower().startswith(f"{name.lower()}: ")
        ]
        return values[0] if values else None

    @property
    def operation(self) -> str:
        """The operation that was asked for."""
        return (self.header("X-Amz-Target") or "").rsplit(".", 1)[-1]


Script = Callable[["Served", ReceivedRequest], None]
"""A function that answers one request through its connection."""


class Served:
    """One connection of the server.

    Attributes:
        number: which connection it is, from 1.
        stopped: set when the server ends.
        refused: for scripts that refuse a connection's first request.
    """

    def __init__(self, sock: socket.socket, number: int, stopped: threading.Event) -> None:
        self._sock = sock
        self._buffer = b""
        self.number = number
        self.stopped = stopped
        self.refused = False

    def send(self, data: bytes) -> None:
        """Sends bytes."""
        self._sock.sendall(data)

    def close(self) -> None:
        """Ends the connection."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def drop(self) -> None:
        """Ends the connection from another thread. Its own thread closes it, so its file number is not reused."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def stall(self) -> None:
        """Sends nothing more until the client gives up, or the test ends."""
        with contextlib.suppress(OSError):
            self._sock.settimeout(0.01)
            while not self.stopped.is_set():
                try:
                    if not self._sock.recv(1):
                        return
                except TimeoutError:
                    continue

    def drip(self, data: bytes, seconds: float = 0.01) -> None:
        """Sends a byte at a time, over and over again, until the client gives up or the test ends."""
        with contextlib.suppress(OSError):
            while not self.stopped.wait(seconds):
                self._sock.sendall(data[:1])
                data = data[1:] + data[:1]

    def asked(self) -> ReceivedRequest | None:
        """The next request; None after the last one."""
        with contextlib.suppress(OSError):
            while b"\r\n\r\n" not in self._buffer:
                if not self._receive_or_fail():
                    return None
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            request = ReceivedRequest(head.decode("latin-1").split("\r\n"), b"", self.number)
            length = int(request.header("Content-Length") or 0)
            while len(self._buffer) < length:
                if not self._receive_or_fail():
                    return None
            body, self._buffer = self._buffer[:length], self._buffer[length:]
            return request._replace(body=body)
        return None

    def _receive_or_fail(self) -> bool:
        data = self._sock.recv(65536)
        self._buffer += data
        return bool(data)


class HttpServer:
    """A server on a free port of loopback.

    Args:
        script: answers each request.
        tls: how it encrypts; None where it does not.

    Attributes:
        script: answers the requests to come.
        asked: all requests, in the order they arrived.
        connections: how many were accepted.
        hold: whether new connections are accepted and never read.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._open: list[Served] = []
        self._threads: list[threading.Thread] = []
        self.asked: list[ReceivedRequest] = []
        self.connections = 0
        self.hold = False
        self.port: int = self._listening.getsockname()[1]
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listening.accept()
                with self._lock:
                    self.connections += 1
                    self._start(self._serve, sock, self.connections)

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            served = Served(sock, number, self._stopped)
            with self._lock:
                self._open.append(served)
            if self.hold:
                self._stopped.wait()
            while (request := served.asked()) is not None:
                with self._lock:
                    self.asked.append(request)
                self.script(served, request)
        sock.close()

    def url(self, host: str = "127.0.0.1") -> str:
        """Its URL, with the given host name."""
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}"

    def drop_connections(self) -> None:
        """Closes all connections, as servers do with idle clients."""
        with self._lock:
            dropped, self._open = self._open, []
        for served in dropped:
            served.drop()

    def close(self) -> None:
        """Stops it; all of its threads have ended then."""
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join(PATIENCE)


@contextlib.contextmanager
def http_server(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[HttpServer]:
    """A server that runs while the block does."""
    server = HttpServer(script, tls)
    try:
        yield server
    finally:
        server.close()
