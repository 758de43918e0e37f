"""HTTP/1.1 connections to one host, kept open between requests.

A request is one write of bytes that were put together beforehand, and a reply is read as it arrives: there is
nothing between the library and the socket. A connection is looked at before it is used again, so that one the
server has closed meanwhile is not taken for a lost reply, and what nobody asked for not for an answer.
"""

from __future__ import annotations

import select
import socket
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

LONGEST_HEAD: Final = 65536
RECEIVED_AT_ONCE: Final = 65536
LONGEST_IDLE_SECONDS: Final = 60.0
IDLE_CONNECTIONS: Final = 64
_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


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


class Connection:
    """One open socket.

    Args:
        connected: the socket, encrypted where it has to be.
    """

    __slots__ = ("_arrived", "_monotonic", "_sock", "_wall")

    def __init__(self, connected: socket.socket) -> None:
        self._sock = connected
        self._arrived = _arrivals(connected)
        self.rest()

    def exchange(self, request: bytes, ends: float, patience: float) -> tuple[HttpReply, bool]:
        """Sends a request; returns its reply, and whether the connection may be used again.

        Args:
            request: the whole request.
            ends: when the reply must be there, in seconds of `time.monotonic`.
            patience: for how many seconds at most nothing may arrive.
        """
        self.wait_at_most(ends, patience)
        self._sock.sendall(request)
        return _Reading(self, ends, patience).reply()

    def wait_at_most(self, ends: float, patience: float) -> None:
        """Has what is done next fail where it takes longer than that; see `exchange`."""
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the reply did not arrive in time")
        self._sock.settimeout(min(left, patience))

    def receive(self) -> bytes:
        """What arrives next; nothing at the end."""
        return self._sock.recv(RECEIVED_AT_ONCE)

    def rest(self) -> None:
        """Notes that nobody uses the connection from now on.

        By two clocks, as one of them stands still while a virtual machine is frozen, and the other can be set.
        """
        self._monotonic, self._wall = time.monotonic(), time.time()

    def was_dropped(self) -> bool:
        """Whether the server has closed the connection while nobody used it, or may have after so long.

        Anything that arrives while nothing is asked for counts as the end, also if it looks like a reply.
        """
        idle = max(time.monotonic() - self._monotonic, time.time() - self._wall)
        return idle > LONGEST_IDLE_SECONDS or bool(self._arrived())

    def close(self) -> None:
        """Closes the socket."""
        self._sock.close()


class _Reading:
    """One reply on its way in.

    Args:
        connection: where it arrives; the first of it is waited for already.
        ends, patience: see `Connection.exchange`.
    """

    def __init__(self, connection: Connection, ends: float, patience: float) -> None:
        self._connection = connection
        self._ends = ends
        self._patience = patience
        self._held = b""
        self._begun = False

    def reply(self) -> tuple[HttpReply, bool]:
        status, version, headers = self._head()
        while 100 <= status < 200:
            status, version, headers = self._head()
        body, ended = self._body(status, headers)
        wishes = headers.get("connection", "").lower()
        reusable = ended and "close" not in wishes and (version == "HTTP/1.1" or "keep-alive" in wishes)
        if headers.get("content-encoding", "identity").lower() == "gzip":
            body = zlib.decompress(body, zlib.MAX_WBITS | 16)
        return HttpReply(status, headers, body), reusable and not self._held

    def _arriving(self) -> bytes:
        if self._begun:
            self._connection.wait_at_most(self._ends, self._patience)
        self._begun = True
        return self._connection.receive()

    def _more(self) -> bytes:
        data = self._arriving()
        if not data:
            raise ConnectionResetError("the server closed the connection before the reply had ended")
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
        parts = [line.partition(":") for line in lines]
        headers = {name.lower(): value.strip() for name, _, value in parts}
        return _number(rest[:3], 100), version, headers

    def _body(self, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
        """The body, and whether its end was marked, so that another reply may follow."""
        encoding = headers.get("transfer-encoding")
        if encoding is not None:
            if encoding.lower() != "chunked":
                raise ValueError("the reply was transferred in an encoding that nobody asked for")
            return self._chunks(), True
        length = headers.get("content-length")
        if length is not None:
            return self._exactly(_number(length)), True
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
        while (size := _number(self._line().partition(b";")[0].strip().decode("latin-1"), base=16)) > 0:
            parts.append(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                raise ValueError("a chunk of the reply is not as long as it says")
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
        while data := self._arriving():
            parts.append(data)
        self._held = b""
        return b"".join(parts)


def _number(text: str, least: int = 0, base: int = 10) -> int:
    """A number as HTTP writes it: digits and nothing else, where `int` takes signs, spaces and underscores."""
    if not _DIGITS.issuperset(text) or (value := int(text, base)) < least:
        raise ValueError(f"the reply has {text!r} where a number has to be")
    return value


def _arrivals(sock: socket.socket) -> Callable[[], object]:
    """A function that says whether something has arrived on a socket: on an idle one, its end."""
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        return partial(poller.poll, 0)
    return lambda: select.select([sock], [], [], 0)[0]


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
            connection.rest()
            self._idle.append(connection)
            if self._closed:  # meanwhile, by another thread, which did not see this one
                self.close()
        else:
            connection.close()
        return reply

    def _waiting(self) -> Connection | None:
        """A connection that is open and unused, the one used last first."""
        while (connection := self._popped()) is not None:
            if not connection.was_dropped():
                return connection
            connection.close()
        return None

    def _popped(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:  # none waits, or another thread was faster
            return None

    def _connected(self, ends: float) -> Connection:
        """A new connection; making it takes at most what is left, over all addresses of the host."""
        ends = min(ends, time.monotonic() + self._connect_seconds)
        if self.origin.tls and self._context is None:
            self._context = self._tls()
        try:
            sock = self._reached(ends)
        except OSError as error:
            raise NotConnected(str(error)) from error
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return Connection(self._encrypted(sock, ends))
        except OSError as error:
            sock.close()
            raise NotConnected(str(error)) from error
        except BaseException:
            sock.close()
            raise

    def _reached(self, ends: float) -> socket.socket:
        """A socket that is connected to the first address of the host that answers.

        An address that does not answer may use up half of what is left, and the last one all of it.
        """
        host = self.origin.host
        # A name that is ASCII needs no codec for names of other alphabets, which would be imported for it.
        found = socket.getaddrinfo(
            host.encode() if host.isascii() else host, self.origin.port, type=socket.SOCK_STREAM
        )
        failure = OSError("the host has no address")
        for number, (family, kind, protocol, _, address) in enumerate(found, 1):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(_left(ends) / (1 if number == len(found) else 2))
                sock.connect(address)
                return sock
            except BaseException as error:
                sock.close()
                if not isinstance(error, OSError):
                    raise
                failure = error
        raise failure

    def _encrypted(self, sock: socket.socket, ends: float) -> socket.socket:
        if self._context is None:
            return sock
        sock.settimeout(_left(ends))
        return self._context.wrap_socket(sock, server_hostname=self.origin.host)

    def close(self) -> None:
        """Closes the connections that wait; those in use are closed when their replies are there."""
        self._closed = True
        while (connection := self._popped()) is not None:
            connection.close()


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("no time was left to connect")
    return left
