"""HTTP/1.1 connections to one host, kept open between requests.

A request is one write of prepared bytes, and a reply is read as it arrives: there is no layer between the library and
the socket. A connection is tested before it is used again. So a connection that the server has closed meanwhile is not
taken for a lost reply, and unexpected bytes are not taken for a reply. The caller says whether it accepts the reply
before the connection is used again.

One budget of seconds covers an exchange from its first step to its last: resolving the host's name, connecting,
the TLS handshake, sending and receiving.
"""

from __future__ import annotations

import select
import socket
import threading
import time
import weakref
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from dynamo_bao.runtime.foreign_errors import is_foreign

if TYPE_CHECKING:
    import ssl

LONGEST_HEAD: Final = 65536
RECEIVED_AT_ONCE: Final = 65536
LONGEST_IDLE_SECONDS: Final = 60.0
LONGEST_OPEN_SECONDS: Final = 300.0
"""The age at which a connection is replaced, so that a server that has moved is found again."""
LONGEST_BODY: Final = 128_000_000
"""The most bytes of a body, unless the caller sets another limit."""
REQUEST_TIMEOUT: Final = 408
"""The status that servers send on a connection that was idle for too long; they executed no request of it."""
_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


class NotConnected(Exception):
    """No connection could be made, so nothing was sent. The cause says why."""


class ReplyLost(Exception):
    """A request was sent, and no complete reply arrived. The cause says why."""


class HttpReply(NamedTuple):
    """One reply: its status, its headers by lower-case name, and its complete body.

    Attributes:
        reason: the text beside the status of an error reply; empty for other replies.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    reason: str = ""

    def settle(self, believed: bool) -> None:
        """Says whether the reply is an answer to the request; if not, its connection is closed."""

    @property
    def is_alone(self) -> bool:
        """Whether no bytes followed it. If some did, it may be a late reply to an earlier request."""
        return True


class LeasedReply(HttpReply):
    """A reply whose connection is not used again before `settle` is called."""

    lease: tuple[Connections, Connection] | None
    followed: bool

    @property
    def is_alone(self) -> bool:
        return not self.followed

    def settle(self, believed: bool) -> None:
        lease, self.lease = self.lease, None
        if lease is not None:
            connections, connection = lease
            if believed:
                connections.give_back(connection)
            else:
                connection.close()


class HttpOrigin(NamedTuple):
    """Where a server is.

    Attributes:
        host, port: of its socket.
        tls: whether the connection is encrypted.
        name: the value of the ``Host`` header.
    """

    host: str
    port: int
    tls: bool
    name: str

    @classmethod
    def of(cls, url: str) -> HttpOrigin:
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
    """One open socket. The socket is closed when the connection is closed or collected.

    Args:
        connected: the connected socket, encrypted if the origin is.
    """

    __slots__ = ("__weakref__", "_arrived", "_monotonic", "_opened", "_sock", "_wall")

    def __init__(self, connected: socket.socket) -> None:
        # An exception of a signal's handler may drop the connection at any instruction, before `close`.
        weakref.finalize(self, connected.close).atexit = False
        self._sock = connected
        self._arrived = _arrivals(connected)
        self._opened = time.monotonic()
        self.mark_idle()

    def exchange(
        self, request: bytes, ends: float, patience: float, longest: int = LONGEST_BODY
    ) -> tuple[HttpReply, bool]:
        """Sends a request; returns its reply, and whether the connection may be used again.

        Args:
            request: the whole request.
            ends: the time when the reply must be complete, in seconds of `time.monotonic`.
            patience: the most seconds in which nothing arrives.
            longest: the most bytes of the reply's body, compressed or not.
        """
        self._send(request, ends, patience)
        return _ResponseReader(self, ends, patience, longest).reply()

    def _send(self, data: bytes, ends: float, patience: float) -> None:
        """Sends all of it, piece by piece where the server is slow to take it, with a limit over all pieces."""
        self.wait_at_most(ends, patience)
        sent = self._sock.send(data)
        if sent < len(data):
            rest = memoryview(data)[sent:]
            while rest:
                self.wait_at_most(ends, patience)
                rest = rest[self._sock.send(rest) :]

    def wait_at_most(self, ends: float, patience: float) -> None:
        """Sets the time limit of the next step; see `exchange`."""
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the reply did not arrive in time")
        self._sock.settimeout(min(left, patience))

    def receive(self) -> bytes:
        """The next bytes; empty at the end."""
        return self._sock.recv(RECEIVED_AT_ONCE)

    def mark_idle(self) -> None:
        """Records that nobody uses the connection from now on.

        Two clocks are used: one stands still while a virtual machine is frozen, and the other can be set.
        """
        self._monotonic, self._wall = time.monotonic(), time.time()

    def is_stale(self) -> bool:
        """Whether the server has closed the idle connection, or may have done so after that time.

        All bytes that arrive without a request count as the end, even if they look like a reply.
        """
        return self.is_old() or bool(self._arrived())

    def is_old(self) -> bool:
        """Whether the connection was idle for too long, or was opened too long ago."""
        now = time.monotonic()
        idle = max(now - self._monotonic, time.time() - self._wall)
        return idle > LONGEST_IDLE_SECONDS or now - self._opened > LONGEST_OPEN_SECONDS

    @property
    def last_heard(self) -> float:
        """The time of the last reply on the connection, in seconds of `time.monotonic`."""
        return self._monotonic

    @property
    def tls_session(self) -> ssl.SSLSession | None:
        """The TLS session that another connection to the server can resume; None without encryption."""
        return getattr(self._sock, "session", None)

    def close(self) -> None:
        """Closes the socket."""
        self._sock.close()


class _ResponseReader:
    """Reads one reply.

    Args:
        connection: the connection of the reply.
        ends, patience, longest: see `Connection.exchange`.
    """

    def __init__(self, connection: Connection, ends: float, patience: float, longest: int) -> None:
        self._connection = connection
        self._ends = ends
        self._patience = patience
        self._longest = longest
        self._buffer = b""

    def reply(self) -> tuple[HttpReply, bool]:
        status, version, reason, headers = self._head()
        while 100 <= status < 200:
            status, version, reason, headers = self._head()
        body, ended = self._body(status, headers)
        wishes = headers.get("connection", "").lower()
        reusable = ended and "close" not in wishes and (version == "HTTP/1.1" or "keep-alive" in wishes)
        encoding = headers.get("content-encoding")
        if encoding is not None and encoding.lower() != "identity":
            body = self._decoded(encoding.lower(), headers, body)
        shown = reason.strip() if status >= 300 else ""
        reply, held = LeasedReply(status, headers, body, shown), self._buffer
        reply.followed = held != b"" and held.strip() != b""
        return reply, reusable and held == b""

    def _receive_or_fail(self) -> bytes:
        data = self._receive()
        if not data:
            raise ConnectionResetError("the server closed the connection before the reply had ended")
        return data

    def _receive(self) -> bytes:
        self._connection.wait_at_most(self._ends, self._patience)
        return self._connection.receive()

    def _head(self) -> tuple[int, str, str, dict[str, str]]:
        held = self._buffer or self._receive_or_fail()
        while (end := _end_of_head(held)) < 0:
            if len(held) > LONGEST_HEAD:
                raise ValueError("the reply's head has no end")
            held += self._receive_or_fail()
        self._buffer = held[end + (2 if held[end + 1] == _LF else 3) :]
        first, *lines = held[:end].decode("latin-1").split("\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError("the reply is not HTTP/1")
        parts = [line.partition(":") for line in lines]
        headers = {name.lower(): value.strip() for name, _, value in parts}
        return _number(rest[:3], 100), version, rest[3:], headers

    def _body(self, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
        """The body as it was sent, and whether its end was marked, so that the connection can be used again."""
        encoding = headers.get("transfer-encoding")
        if encoding is not None:
            if encoding.lower() != "chunked":
                raise ValueError("the reply was transferred in an encoding that nobody asked for")
            return self._chunks(), True
        length = headers.get("content-length")
        if length is not None:
            size = _number(length)
            return self._exactly(size if size <= self._longest else self._bounded(size)), True
        if status in (204, 304):
            return b"", True
        return self._rest(), False

    def _bounded(self, size: int) -> int:
        if size > self._longest:
            raise ValueError(f"the reply is longer than the {self._longest} bytes its operation can return")
        return size

    def _decoded(self, encoding: str, headers: dict[str, str], sent: bytes) -> bytes:
        """Decompresses a body. The checksum is that of the compressed bytes."""
        if encoding != "gzip":
            raise ValueError(f"the reply has the content encoding {encoding[:20]!r}, which nobody asked for")
        checksum = headers.get("x-amz-crc32")
        if checksum is not None and str(zlib.crc32(sent)) != checksum:
            raise ValueError("the reply's CRC-32 is not the one its header says")
        inflating = zlib.decompressobj(zlib.MAX_WBITS | 16)
        body = inflating.decompress(sent, self._longest + 1)
        self._bounded(len(body))
        if not inflating.eof or inflating.unused_data:
            raise ValueError("the compressed reply does not end where it should")
        return body

    def _exactly(self, length: int) -> bytes:
        held = self._buffer
        if len(held) < length:
            parts, missing = [held], length - len(held)
            while missing > 0:
                data = self._receive_or_fail()
                parts.append(data)
                missing -= len(data)
            held = b"".join(parts)
        self._buffer = held[length:]
        return held[:length]

    def _chunks(self) -> bytes:
        body = bytearray()
        while (size := _number(self._line().partition(b";")[0].strip().decode("latin-1"), base=16)) > 0:
            self._bounded(len(body) + size)
            body += self._exactly(size)
            if self._line():
                raise ValueError("a chunk of the reply is not as long as it says")
        while self._line():
            pass
        return bytes(body)

    def _line(self) -> bytes:
        held = self._buffer
        while (end := held.find(b"\n")) < 0:
            if len(held) > LONGEST_HEAD:
                raise ValueError("a line of the reply has no end")
            held += self._receive_or_fail()
        self._buffer = held[end + 1 :]
        return held[:end].removesuffix(b"\r")

    def _rest(self) -> bytes:
        body = bytearray(self._buffer)
        while data := self._receive():
            self._bounded(len(body) + len(data))
            body += data
        self._buffer = b""
        return bytes(body)


_LF: Final = ord("\n")


def _end_of_head(held: bytes) -> int:
    """The end of the last line of a head, before the empty line. Lines may end with a bare line feed."""
    end = held.find(b"\n\r\n")
    bare = held.find(b"\n\n", 0, end if end >= 0 else len(held))
    return end if bare < 0 else bare


def _number(text: str, least: int = 0, base: int = 10) -> int:
    """A number as HTTP writes it: digits and nothing else, where `int` takes signs, spaces and underscores."""
    if not _DIGITS.issuperset(text) or (value := int(text, base)) < least:
        raise ValueError(f"the reply has {text!r} where a number has to be")
    return value


def _arrivals(sock: socket.socket) -> Callable[[], object]:
    """A function that returns whether something has arrived on a socket. On an idle socket that is its end."""
    waiting: Callable[[], object]
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        waiting = partial(poller.poll, 0)
    else:
        waiting = partial(_readable, sock)
    decrypted = getattr(sock, "pending", None)  # bytes that TLS has read, but nobody has read from TLS
    return waiting if decrypted is None else lambda: decrypted() or waiting()


def _readable(sock: socket.socket) -> object:
    return select.select([sock], [], [], 0)[0]


class _Lookup:
    """Looks up the addresses of a host in a separate thread, because a lookup itself has no time limit.

    Args:
        host, port: the server.
    """

    def __init__(self, host: str, port: int) -> None:
        # A name that is ASCII needs no codec for names of other alphabets, which would be imported for it.
        self._asked = host.encode() if host.isascii() else host, port
        self._done = threading.Event()
        self._addresses: list[Any] = []
        self._failure: OSError | None = None

    def start(self) -> _Lookup:
        """Begins the lookup; in this thread if the host is an address, or if no thread can be started."""
        host = self._asked[0]
        is_address = host.replace(b".", b"").isdigit() or b":" in host if isinstance(host, bytes) else False
        if is_address:
            self._run()
        else:
            try:
                threading.Thread(target=self._run, daemon=True, name="dynamo_bao name lookup").start()
            except RuntimeError:  # the interpreter is about to end
                self._run()
        return self

    @property
    def has_ended(self) -> bool:
        """Whether the lookup has ended, with addresses or an error."""
        return self._done.is_set()

    def _run(self) -> None:
        try:
            host, port = self._asked
            self._addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            if is_foreign(error):  # of a signal's handler, where this is the main thread
                self._failure = OSError("looking up the host's name was interrupted")
                raise
            self._failure = error
        except UnicodeError as error:
            self._failure = OSError(f"the host's name cannot be looked up ({error})")
        finally:
            self._done.set()

    def addresses(self, ends: float) -> list[Any]:
        """The addresses; `OSError` if the host has none, or if the lookup does not end in time."""
        if not self._done.wait(_left(ends)):
            raise TimeoutError("the host's name was not resolved in time")
        if self._failure is not None:
            raise type(self._failure)(*self._failure.args) from self._failure
        return self._addresses


class Connections:
    """The connections to one origin: one for each request at the same time, and idle ones.

    Args:
        origin: the server.
        tls: makes the TLS context; called for the first encrypted connection.
        connect_seconds: the most seconds that making a connection may take.
        read_seconds: the most seconds in which nothing arrives.
    """

    def __init__(
        self,
        origin: HttpOrigin,
        tls: Callable[[], ssl.SSLContext],
        connect_seconds: float,
        read_seconds: float,
    ) -> None:
        self.origin = origin
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._idle: list[Connection] = []
        self._closed = False
        self._lock = threading.Lock()
        self._lookup: _Lookup | None = None
        self._tls_session: ssl.SSLSession | None = None

    def exchange(self, request: bytes, seconds: float) -> HttpReply:
        """Sends a request and returns its reply, without any check of the reply.

        Args:
            request: the whole request, head and body.
            seconds: the most seconds that it may take.

        Raises:
            NotConnected: if no connection could be made.
            ReplyLost: if no complete reply arrived.
        """
        reply = self.lease(request, time.monotonic() + seconds)
        reply.settle(True)
        return reply

    def lease(self, request: bytes, ends: float, longest: int = LONGEST_BODY) -> HttpReply:
        """Sends a request and returns its reply. `HttpReply.settle` frees the connection.

        Args:
            request: the whole request, head and body.
            ends: the time when it must be over, in seconds of `time.monotonic`.
            longest: the most bytes of the reply's body.

        Raises:
            NotConnected: if no connection could be made.
            ReplyLost: if no complete reply arrived.
        """
        if time.monotonic() >= ends:
            raise NotConnected("no time was left") from TimeoutError("no time was left to send the request")
        idle = self._idle_connection()
        if idle is not None:
            reply = self._exchanged(idle, request, ends, longest)
            if reply.status != REQUEST_TIMEOUT:
                return reply
            reply.settle(False)  # the status is about the time before the request
        return self._exchanged(self._connect(ends), request, ends, longest)

    def _exchanged(self, connection: Connection, request: bytes, ends: float, longest: int) -> HttpReply:
        sent = time.monotonic()
        try:
            reply, reusable = connection.exchange(request, ends, self._read_seconds, longest)
        except (OSError, ValueError, zlib.error) as error:
            connection.close()
            if is_foreign(error):
                raise
            if isinstance(error, TimeoutError):
                self._distrust(sent)
            raise ReplyLost(str(error)) from error
        except BaseException:
            connection.close()
            raise
        assert isinstance(reply, LeasedReply)
        reply.lease = (self, connection) if reusable else None
        if not reusable:
            connection.close()
        return reply

    def give_back(self, connection: Connection) -> None:
        """Makes a connection idle, so that it can be used again."""
        if self._closed:
            connection.close()
            return
        connection.mark_idle()
        if self._context is not None:
            self._tls_session = connection.tls_session or self._tls_session
        self._idle.append(connection)
        if len(self._idle) > 1:
            self._close_oldest()
        if self._closed:  # meanwhile, by another thread, which did not see this one
            self.close()

    def _close_oldest(self) -> None:
        """Closes the longest idle connection if it is old. So about as many stay as were recently in use at once."""
        try:
            oldest = self._idle.pop(0)
        except IndexError:  # another thread was faster
            return
        if oldest.is_old():
            oldest.close()
        else:
            self._idle.insert(0, oldest)

    def _distrust(self, since: float) -> None:
        """Closes the idle connections without a reply since a moment: after one timeout, all may be dead."""
        trusted = []
        while (connection := self._pop_idle()) is not None:
            if connection.last_heard >= since:
                trusted.append(connection)
            else:
                connection.close()
        self._idle.extend(reversed(trusted))

    def _idle_connection(self) -> Connection | None:
        """Returns the idle connection that was used last and is still open, or None."""
        while (connection := self._pop_idle()) is not None:
            if not connection.is_stale():
                return connection
            connection.close()
        return None

    def _pop_idle(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:  # none waits, or another thread was faster
            return None

    def _connect(self, ends: float) -> Connection:
        """Makes a new connection within the remaining time, over all addresses of the host."""
        ends = min(ends, time.monotonic() + self._connect_seconds)
        if self.origin.tls and self._context is None:
            self._context = self._tls()
        sock: socket.socket | None = None
        try:
            sock = self._open_socket(ends)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock = self._encrypted(sock, ends)
            return Connection(sock)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if not isinstance(error, OSError) or is_foreign(error):
                raise
            raise NotConnected(str(error)) from error

    def _open_socket(self, ends: float) -> socket.socket:
        """A socket that is connected to the first address of the host that answers.

        An address that does not answer may use half of the remaining time; the last one may use all of it.
        """
        found = self._looked_up().addresses(ends)
        failure = OSError("the host has no address")
        for number, (family, kind, protocol, _, address) in enumerate(found, 1):
            sock: socket.socket | None = None
            try:
                sock = socket.socket(family, kind, protocol)
                sock.settimeout(_left(ends) / (1 if number == len(found) else 2))
                sock.connect(address)
                return sock
            except BaseException as error:
                if sock is not None:
                    sock.close()
                if not isinstance(error, OSError) or is_foreign(error):
                    raise
                failure = error
        raise failure

    def _looked_up(self) -> _Lookup:
        """The current lookup of the host's name, which all threads share, or a new one."""
        with self._lock:
            if self._lookup is None or self._lookup.has_ended:
                self._lookup = _Lookup(self.origin.host, self.origin.port).start()
            return self._lookup

    def _encrypted(self, sock: socket.socket, ends: float) -> socket.socket:
        if self._context is None:
            return sock
        sock.settimeout(_left(ends))
        resumed: Any = {} if self._tls_session is None else {"session": self._tls_session}
        return self._context.wrap_socket(sock, server_hostname=self.origin.host, **resumed)

    def close(self) -> None:
        """Closes the idle connections; a connection in use is closed when its reply has arrived."""
        self._closed = True
        while (connection := self._pop_idle()) is not None:
            connection.close()


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("no time was left to connect")
    return left
