"""HTTP/1.1 connections to one host, kept open between requests.

A request is one write of bytes that were put together beforehand, and a reply is read as it arrives: there is
nothing between the library and the socket. A connection that has been idle is looked at before it is used again,
so that one the server has closed meanwhile is not taken for a lost reply.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

LONGEST_HEAD: Final = 65536
RECEIVED_AT_ONCE: Final = 65536
LOOK_AFTER_SECONDS: Final = 0.25
"""How long a connection may have been idle without being looked at before it is used again."""
LONGEST_IDLE_SECONDS: Final = 60.0
IDLE_CONNECTIONS: Final = 64


class NotConnected(Exception):
    """No connection could be made, so that nothing was sent; the cause says why."""


class ReplyLost(Exception):
    """A request was sent, and no whole reply came back; the cause says why."""


class HttpReply(NamedTuple):
    """One reply: its status, its headers by lower-case name, and its whole body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Origin(NamedTuple):
    """Where a server is.

    Attributes:
        host, port: of its socket.
        tls: whether the connection is encrypted.
        name: as the ``Host`` header has it.
    """

    host: str
    port: int
    tls: bool
    name: str

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of a URL."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        host, standard = parts.hostname or "", 443 if tls else 80
        shown = f"[{host}]" if ":" in host else host
        port = parts.port or standard
        return cls(host, port, tls, shown if port == standard else f"{shown}:{port}")

    @property
    def url(self) -> str:
        """The URL of its root."""
        return f"{'https' if self.tls else 'http'}://{self.name}/"


class Moment(NamedTuple):
    """A time by two clocks, as one of them stands still while a virtual machine is frozen, and one can be set."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> Moment:
        """This moment."""
        return cls(time.monotonic(), time.time())

    def since(self, earlier: Moment) -> float:
        """The seconds from `earlier` to here, by the clock that says more."""
        return max(self.monotonic - earlier.monotonic, self.wall - earlier.wall)


class Connection:
    """One open socket.

    Args:
        connected: the socket, encrypted where it has to be.
    """

    __slots__ = ("_sock", "idle_since")

    def __init__(self, connected: socket.socket) -> None:
        self._sock = connected
        self.idle_since = Moment(0.0, 0.0)

    def exchange(self, request: bytes, ends: float, patience: float) -> tuple[HttpReply, bool]:
        """Sends a request; returns its reply, and whether the connection may be used again.

        Args:
            request: the whole request.
            ends: when the reply must be there, in seconds of `time.monotonic`.
            patience: for how many seconds at most nothing may arrive.
        """
        self._wait_at_most(ends, patience)
        self._sock.sendall(request)
        return _Reading(self._sock, lambda: self._wait_at_most(ends, patience)).reply()

    def _wait_at_most(self, ends: float, patience: float) -> None:
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the reply did not arrive in time")
        self._sock.settimeout(min(left, patience))

    def was_dropped(self, now: Moment) -> bool:
        """Whether the server has closed the connection while nobody used it, or may have after so long."""
        idle = now.since(self.idle_since)
        if idle < LOOK_AFTER_SECONDS:
            return False
        return idle > LONGEST_IDLE_SECONDS or _readable(self._sock)

    def close(self) -> None:
        """Closes the socket."""
        self._sock.close()


class _Reading:
    """One reply on its way in."""

    def __init__(self, sock: socket.socket, before_each: Callable[[], None]) -> None:
        self._receive = sock.recv
        self._before_each = before_each
        self._held = b""

    def reply(self) -> tuple[HttpReply, bool]:
        status, version, headers = self._head()
        while 100 <= status < 200:
            status, version, headers = self._head()
        body, ended = self._body(status, headers)
        connection = headers.get("connection", "").lower()
        reusable = ended and connection != "close" and (version == "HTTP/1.1" or connection == "keep-alive")
        if headers.get("content-encoding", "identity").lower() == "gzip":
            body = zlib.decompress(body, zlib.MAX_WBITS | 16)
        return HttpReply(status, headers, body), reusable and not self._held

    def _more(self) -> bytes:
        data = self._receive(RECEIVED_AT_ONCE)
        if not data:
            raise ConnectionResetError("the server closed the connection before the reply had ended")
        self._before_each()
        return data

    def _head(self) -> tuple[int, str, dict[str, str]]:
        held = self._held or self._more()
        while (end := held.find(b"\r\n\r\n")) < 0:
            if len(held) > LONGEST_HEAD:
                raise ValueError("the reply's head has no end")
            held += self._more()
        self._held = held[end + 4 :]
        first, *lines = held[:end].decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError("the reply is not HTTP/1")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(rest[:3]), version, headers

    def _body(self, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
        """The body, and whether its end was marked, so that another reply may follow."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks(), True
        length = headers.get("content-length")
        if length is not None:
            return self._exactly(int(length)), True
        if status in (204, 304):
            return b"", True
        return self._rest(), False

    def _exactly(self, length: int) -> bytes:
        held = self._held
        if len(held) < length:
            parts, missing = [held], length - len(held)
            while missing > 0:
                data = self._more()
                parts.append(data)
                missing -= len(data)
            held = b"".join(parts)
        self._held = held[length:]
        return held[:length]

    def _chunks(self) -> bytes:
        parts = []
        while (size := int(self._line().partition(b";")[0], 16)) > 0:
            parts.append(self._exactly(size))
            self._exactly(2)
        while self._line():
            pass
        return b"".join(parts)

    def _line(self) -> bytes:
        held = self._held
        while (end := held.find(b"\r\n")) < 0:
            if len(held) > LONGEST_HEAD:
                raise ValueError("a line of the reply has no end")
            held += self._more()
        self._held = held[end + 2 :]
        return held[:end]

    def _rest(self) -> bytes:
        parts = [self._held]
        while data := self._receive(RECEIVED_AT_ONCE):
            self._before_each()
            parts.append(data)
        self._held = b""
        return b"".join(parts)


def _readable(sock: socket.socket) -> bool:
    """Whether something has arrived on a socket: on an idle one, its end."""
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        return bool(poller.poll(0))
    return bool(select.select([sock], [], [], 0)[0])


class Connections:
    """The connections to one origin; as many as are in use at once, and those that wait to be used again.

    Args:
        origin: where the server is.
        tls: makes the context of encrypted connections, at the first of them.
        connect_seconds: how long making a connection may take.
        read_seconds: for how long at most nothing may arrive.
    """

    def __init__(
        self, origin: Origin, tls: Callable[[], ssl.SSLContext], connect_seconds: float, read_seconds: float
    ) -> None:
        self.origin = origin
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._idle: list[Connection] = []
        self._closed = False

    def exchange(self, request: bytes, seconds: float) -> HttpReply:
        """Sends a request and returns its reply.

        Args:
            request: the whole request, head and body.
            seconds: how long that may take at most.

        Raises:
            NotConnected: where no connection could be made.
            ReplyLost: where no whole reply came back.
        """
        ends = time.monotonic() + seconds
        connection = self._waiting() or self._connected(ends)
        try:
            reply, reusable = connection.exchange(request, ends, self._read_seconds)
        except (OSError, ValueError, zlib.error) as error:
            connection.close()
            raise ReplyLost(str(error)) from error
        except BaseException:
            connection.close()
            raise
        if reusable and not self._closed and len(self._idle) < IDLE_CONNECTIONS:
            connection.idle_since = Moment.now()
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def _waiting(self) -> Connection | None:
        """A connection that is open and unused, the one used last first."""
        now = Moment.now()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if not connection.was_dropped(now):
                return connection
            connection.close()
        return None

    def _connected(self, ends: float) -> Connection:
        origin, seconds = self.origin, min(self._connect_seconds, ends - time.monotonic())
        if seconds <= 0:
            raise NotConnected("no time was left to connect") from TimeoutError("no time was left to connect")
        try:
            sock = socket.create_connection((origin.host, origin.port), seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return Connection(self._encrypted(sock) if origin.tls else sock)
        except OSError as error:
            raise NotConnected(str(error)) from error

    def _encrypted(self, sock: socket.socket) -> socket.socket:
        if self._context is None:
            self._context = self._tls()
        try:
            return self._context.wrap_socket(sock, server_hostname=self.origin.host)
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        """Closes the connections that wait; those in use are closed when their replies are there."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
