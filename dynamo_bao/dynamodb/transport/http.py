"""HTTP/1.1 connections to one host, kept open between requests.

A request is one write of prepared bytes, and a reply is read as it arrives: there is no layer between the library and
the socket. A connection is tested before it is used again. So a connection that the server has closed meanwhile is not
taken for a lost reply, and unexpected bytes are not taken for a reply. The caller says whether it accepts the reply
before the connection is used again.

One budget of seconds covers an exchange from its first step to its last: resolving the host's name, connecting,
the TLS handshake, sending and receiving.
"""

from __future__ import annotations

import re
import select
import socket
import threading
import time
import weakref
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from dynamo_bao.dynamodb.transport.host_lookup import HostLookup
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.named_tuples import NamedTuple

if TYPE_CHECKING:
    import ssl

MAX_HEAD_BYTES: Final = 65536
RECEIVE_BYTES: Final = 65536
MAX_IDLE_SECONDS: Final = 60.0
MAX_OPEN_SECONDS: Final = 300.0
"""The age at which a connection is replaced, so that a server that has moved is found again."""
MAX_BODY_BYTES: Final = 128_000_000
"""The most bytes of a body, unless the caller sets another limit."""
REQUEST_TIMEOUT: Final = 408
"""The status that servers send on a connection that was idle for too long; they executed no request of it."""
_DIGITS: Final = frozenset("0123456789abcdefABCDEF")


class NotConnected(Exception):
    """No connection could be made, so nothing was sent. The cause says why."""


class ReplyLost(Exception):
    """A request was sent, and no complete reply arrived. The cause says why."""


class HttpReply:
    """One reply: its status, its headers by lower-case name, and its complete body.

    Args:
        reason: the text beside the status of an error reply; empty for other replies.
        is_alone: whether no bytes followed it. If some did, it may be a late reply to an earlier request.

    Attributes:
        lease: the connection of the reply, and its pool; it is not used again before `settle` is called. None if
            there is nothing to settle.
    """

    __slots__ = ("body", "headers", "is_alone", "lease", "reason", "status")

    def __init__(
        self, status: int, headers: dict[str, str], body: bytes, reason: str = "", is_alone: bool = True
    ) -> None:
        self.status: int = status
        self.headers: dict[str, str] = headers
        self.body: bytes = body
        self.reason: str = reason
        self.is_alone: bool = is_alone
        self.lease: tuple[Connections, Connection] | None = None

    def settle(self, is_trusted: bool) -> None:
        """Says whether the reply is an answer to the request; if not, its connection is closed."""
        if self.lease is None:
            return
        (connections, connection), self.lease = self.lease, None
        if is_trusted:
            connections.give_back(connection)
        else:
            connection.close()

    def __repr__(self) -> str:
        return f"<HttpReply {self.status}, {len(self.body)} bytes>"


# urllib.parse would import ipaddress too, which takes longer than all of this module.
_URL: Final = re.compile(
    r"(https?)://(?:[^/?#@]*@)?(?:\[([^]/?#@]+)\]|([^]:/?#@[]+))(?::([^/?#]*))?(?:[/?#]|\Z)", re.IGNORECASE
)
"""A URL: its scheme, the address in brackets or the name of the host, and the port."""


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 65535):
        raise ValueError(f"Port {text!r} is not a number from 1 to 65535")
    return int(text)


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
        """The origin of a URL.

        Raises:
            ValueError: if it is no URL of ``http`` or ``https``, or has no valid port.
        """
        match = _URL.match(url)
        if match is None:
            raise ValueError(f"Invalid endpoint: {url}")
        scheme, address, name, port_text = match.groups()
        tls, host = scheme.lower() == "https", (address or name).lower()
        standard = 443 if tls else 80
        port = _port(port_text) if port_text else standard
        host_text = f"[{host}]" if ":" in host else host
        return cls(host, port, tls, host_text if port == standard else f"{host_text}:{port}")

    @property
    def url(self) -> str:
        """The URL of its root."""
        return f"{'https' if self.tls else 'http'}://{self.name}/"


class Connection:
    """One open socket. The socket is closed when the connection is closed or collected.

    Args:
        sock: the connected socket, encrypted if the origin is.
    """

    __slots__ = ("__weakref__", "_has_input", "_limit", "_monotonic", "_open_since", "_sock", "_wall")

    def __init__(self, sock: socket.socket) -> None:
        # An exception of a signal's handler may drop the connection at any instruction, before `close`.
        weakref.finalize(self, sock.close).atexit = False
        self._sock = sock
        self._has_input = _input_test(sock)
        self._open_since = time.monotonic()
        self._limit: float | None = None
        self.mark_idle()

    def fileno(self) -> int:
        """The file descriptor of the socket; -1 once it is closed."""
        return self._sock.fileno()

    def send(self, data: bytes, end_time: float, read_timeout: float) -> None:
        """Sends a whole request, piece by piece where the server is slow to take it, with a limit over all pieces.

        Args:
            data: the request.
            end_time: the time when the reply must be complete, in seconds of `time.monotonic`.
            read_timeout: the most seconds in which nothing arrives.
        """
        self._wait_at_most(end_time, read_timeout)
        sent_bytes = self._sock.send(data)
        if sent_bytes < len(data):
            remaining_data = memoryview(data)[sent_bytes:]
            while remaining_data:
                self._wait_at_most(end_time, read_timeout)
                remaining_data = remaining_data[self._sock.send(remaining_data) :]

    def receive(self, end_time: float, read_timeout: float) -> bytes:
        """The next bytes; empty at the end. The other arguments are those of `send`."""
        self._wait_at_most(end_time, read_timeout)
        return self._sock.recv(RECEIVE_BYTES)

    def _wait_at_most(self, end_time: float, read_timeout: float) -> None:
        """Sets the time limit of the next step; see `send`."""
        current_time = time.monotonic()
        seconds_left = end_time - current_time
        if seconds_left <= 0:
            raise TimeoutError("the reply did not arrive in time")
        limit = min(seconds_left, read_timeout)
        if limit != self._limit:  # a system call, which most steps do without
            self._sock.settimeout(limit)
            self._limit = limit

    def mark_idle(self) -> None:
        """Records that nobody uses the connection from now on.

        Two clocks are used: one stands still while a virtual machine is frozen, and the other can be set.
        """
        self._monotonic, self._wall = time.monotonic(), time.time()

    def is_stale(self) -> bool:
        """Whether the server has closed the idle connection, or may have done so after that time.

        All bytes that arrive without a request count as the end, even if they look like a reply.
        """
        return self.is_old() or bool(self._has_input())

    def is_old(self) -> bool:
        """Whether the connection was idle for too long, or was opened too long ago."""
        current_time = time.monotonic()
        return (
            current_time - self._monotonic > MAX_IDLE_SECONDS
            or time.time() - self._wall > MAX_IDLE_SECONDS
            or current_time - self._open_since > MAX_OPEN_SECONDS
        )

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
        end_time, read_timeout: see `Connection.send`.
        max_body_bytes: the most bytes of the reply's body, compressed or not.
    """

    def __init__(
        self, connection: Connection, end_time: float, read_timeout: float, max_body_bytes: int
    ) -> None:
        self._connection = connection
        self._end_time = end_time
        self._read_timeout = read_timeout
        self._max_body_bytes = max_body_bytes
        self._buffer = b""

    def reply(self) -> tuple[HttpReply, bool]:
        """The reply to the request that was sent, and whether the connection may be used again."""
        status, version, reason, headers = self._head()
        while status < 200:
            status, version, reason, headers = self._head()
        body, has_marked_end = self._body(status, headers)
        options = headers.get("connection")
        stays_open = version == "HTTP/1.1" if options is None else _stays_open(options.lower(), version)
        encoding = headers.get("content-encoding")
        if encoding is not None and encoding.lower() != "identity":
            body = self._decompressed(encoding.lower(), headers, body)
        reason_text = reason.strip() if status >= 300 else ""
        further_bytes = self._buffer
        if further_bytes:
            return HttpReply(status, headers, body, reason_text, is_alone=not further_bytes.strip()), False
        return HttpReply(status, headers, body, reason_text), has_marked_end and stays_open

    def _receive_or_fail(self) -> bytes:
        data = self._connection.receive(self._end_time, self._read_timeout)
        if not data:
            raise ConnectionResetError("the server closed the connection before the reply had ended")
        return data

    def _head(self) -> tuple[int, str, str, dict[str, str]]:
        buffer = self._buffer or self._receive_or_fail()
        while (end := _end_of_head(buffer)) < 0:
            if len(buffer) > MAX_HEAD_BYTES:
                raise ValueError("the reply's head has no end")
            buffer += self._receive_or_fail()
        self._buffer = buffer[end + (2 if buffer[end + 1] == _LF else 3) :]
        status_line, *lines = buffer[:end].decode("latin-1").split("\n")
        status, version, reason = _status_of(status_line)
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return status, version, reason, headers

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
            return self._exactly(size if size <= self._max_body_bytes else self._check_size(size)), True
        if status in (204, 304):
            return b"", True
        return self._until_the_end(), False

    def _check_size(self, size: int) -> int:
        if size > self._max_body_bytes:
            raise ValueError(
                f"the reply is longer than the {self._max_body_bytes} bytes its operation can return"
            )
        return size

    def _decompressed(self, encoding: str, headers: dict[str, str], compressed: bytes) -> bytes:
        """Decompresses a body. Its headers are about the compressed bytes, and afterwards about the body."""
        if encoding != "gzip":
            raise ValueError(f"the reply has the content encoding {encoding[:20]!r}, which nobody asked for")
        checksum = headers.get("x-amz-crc32")
        if checksum is not None and str(zlib.crc32(compressed)) != checksum:
            raise ValueError("the reply's CRC-32 is not the one its header says")
        decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
        body = decompressor.decompress(compressed, self._max_body_bytes + 1)
        self._check_size(len(body))
        if not decompressor.eof or decompressor.unused_data:
            raise ValueError("the compressed reply does not end where it should")
        del headers["content-encoding"]
        headers["content-length"] = str(len(body))
        if checksum is not None:
            headers["x-amz-crc32"] = str(zlib.crc32(body))
        return body

    def _exactly(self, length: int) -> bytes:
        buffer = self._buffer
        if len(buffer) < length:
            parts, missing_bytes = [buffer], length - len(buffer)
            while missing_bytes > 0:
                data = self._receive_or_fail()
                parts.append(data)
                missing_bytes -= len(data)
            buffer = b"".join(parts)
        self._buffer = buffer[length:]
        return buffer[:length]

    def _chunks(self) -> bytes:
        body = bytearray()
        while (size := _number(self._line().partition(b";")[0].strip().decode("latin-1"), base=16)) > 0:
            self._check_size(len(body) + size)
            body += self._exactly(size)
            if self._line():
                raise ValueError("a chunk of the reply is not as long as it says")
        while self._line():
            pass
        return bytes(body)

    def _line(self) -> bytes:
        buffer = self._buffer
        while (end := buffer.find(b"\n")) < 0:
            if len(buffer) > MAX_HEAD_BYTES:
                raise ValueError("a line of the reply has no end")
            buffer += self._receive_or_fail()
        self._buffer = buffer[end + 1 :]
        return buffer[:end].removesuffix(b"\r")

    def _until_the_end(self) -> bytes:
        body = bytearray(self._buffer)
        while data := self._connection.receive(self._end_time, self._read_timeout):
            self._check_size(len(body) + len(data))
            body += data
        self._buffer = b""
        return bytes(body)


_LF: Final = ord("\n")
_STATUS_LINE: Final = re.compile(r"(HTTP/1\.[^ ]*) ([1-9][0-9]{2})(.*)")


@lru_cache(maxsize=64)
def _status_of(line: str) -> tuple[int, str, str]:
    """The status, the version and the reason of the first line of a reply. Nearly all replies have the same line."""
    match = _STATUS_LINE.match(line)
    if match is None:
        raise ValueError("the reply does not begin with a status of HTTP/1")
    version, status, reason = match.groups()
    return int(status), version, reason


def _end_of_head(buffer: bytes) -> int:
    """The end of the last line of a head, before the empty line. Lines may end with a bare line feed."""
    end = buffer.find(b"\n\r\n")
    bare_end = buffer.find(b"\n\n", 0, end if end >= 0 else len(buffer))
    return end if bare_end < 0 else bare_end


def _stays_open(options: str, version: str) -> bool:
    """Whether the server leaves a connection open after a reply with these connection options, in lower case."""
    return "close" not in options and (version == "HTTP/1.1" or "keep-alive" in options)


def _number(text: str, base: int = 10) -> int:
    """A number as HTTP writes it: digits and nothing else, where `int` takes signs, spaces and underscores."""
    if not _DIGITS.issuperset(text):
        raise ValueError(f"the reply has {text!r} where a number has to be")
    return int(text, base)


def _input_test(sock: socket.socket) -> Callable[[], object]:
    """A function that returns whether something has arrived on a socket. On an idle socket that is its end."""
    is_readable: Callable[[], object]
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        is_readable = partial(poller.poll, 0)
    else:
        is_readable = partial(_readable, sock)
    pending_bytes = getattr(sock, "pending", None)  # bytes that TLS has read, but nobody has read from TLS
    return is_readable if pending_bytes is None else lambda: pending_bytes() or is_readable()


def _readable(sock: socket.socket) -> object:
    return select.select([sock], [], [], 0)[0]


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
        self.read_seconds: float = read_seconds
        self._idle: list[Connection] = []
        self._is_closed = False
        self._lock = threading.RLock()
        self._lookup: HostLookup | None = None
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

    def lease(self, request: bytes, end_time: float, max_body_bytes: int = MAX_BODY_BYTES) -> HttpReply:
        """Sends a request and returns its reply. `HttpReply.settle` frees the connection.

        Args:
            request: the whole request, head and body.
            end_time: the time when it must be over, in seconds of `time.monotonic`.
            max_body_bytes: the most bytes of the reply's body.

        Raises:
            NotConnected: if no connection could be made.
            ReplyLost: if no complete reply arrived.
        """
        if time.monotonic() >= end_time:
            raise NotConnected("no time was left") from TimeoutError("no time was left to send the request")
        idle = self._idle_connection()
        if idle is not None:
            reply = self.exchange_on(idle, request, end_time, max_body_bytes)
            if reply.status != REQUEST_TIMEOUT:
                return reply
            reply.settle(False)  # the status is about the time before the request
        return self.exchange_on(self._connect(end_time), request, end_time, max_body_bytes)

    def exchange_on(
        self, connection: Connection, request: bytes | None, end_time: float, max_body_bytes: int
    ) -> HttpReply:
        """`lease` on one connection.

        Args:
            connection: the connection.
            request: the whole request; None if it was sent already.
            end_time, max_body_bytes: see `lease`.
        """
        send_time = time.monotonic()
        try:
            if request is not None:
                connection.send(request, end_time, self.read_seconds)
            reader = _ResponseReader(connection, end_time, self.read_seconds, max_body_bytes)
            reply, is_reusable = reader.reply()
        except (OSError, ValueError, zlib.error) as error:
            connection.close()
            if is_foreign(error):
                raise
            if isinstance(error, TimeoutError):
                self._distrust(send_time)
            raise ReplyLost(str(error)) from error
        except BaseException:
            connection.close()
            raise
        if is_reusable:
            reply.lease = (self, connection)
        else:
            connection.close()
        return reply

    def start(self, request: bytes, end_time: float) -> tuple[Connection, ReplyLost | None] | None:
        """Sends a request on an idle connection, and does not wait for its reply.

        Args:
            request, end_time: see `lease`.

        Returns:
            The connection, and the error of sending or None. None without an idle connection, or if no time is left.
        """
        idle = self._idle_connection() if time.monotonic() < end_time else None
        if idle is None:
            return None
        failure: ReplyLost | None = None
        try:
            idle.send(request, end_time, self.read_seconds)
        except OSError as error:
            idle.close()
            if is_foreign(error):
                raise
            failure = ReplyLost(str(error))
            failure.__cause__ = error
        except BaseException:
            idle.close()
            raise
        return idle, failure

    def renewed(self, request: bytes, end_time: float, max_body_bytes: int) -> HttpReply:
        """`lease` on a new connection."""
        return self.exchange_on(self._connect(end_time), request, end_time, max_body_bytes)

    @property
    def idle_count(self) -> int:
        """How many connections are idle."""
        return len(self._idle)

    def give_back(self, connection: Connection) -> None:
        """Makes a connection idle, so that it can be used again."""
        if self._is_closed:
            connection.close()
            return
        connection.mark_idle()
        if self._context is not None:
            self._tls_session = connection.tls_session or self._tls_session
        self._idle.append(connection)
        if len(self._idle) > 1:
            self._close_oldest()
        if self._is_closed:  # meanwhile, by another thread, which did not see this one
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

    def _distrust(self, moment: float) -> None:
        """Closes the idle connections without a reply since a moment: after one timeout, all may be dead."""
        live_connections = []
        while (connection := self._pop_idle()) is not None:
            if connection.last_heard >= moment:
                live_connections.append(connection)
            else:
                connection.close()
        self._idle.extend(reversed(live_connections))

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

    def _connect(self, end_time: float) -> Connection:
        """Makes a new connection within the remaining time, over all addresses of the host."""
        end_time = min(end_time, time.monotonic() + self._connect_seconds)
        if self.origin.tls and self._context is None:
            self._context = self._tls()
        sock: socket.socket | None = None
        try:
            sock = self._open_socket(end_time)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock = self._encrypt(sock, end_time)
            return Connection(sock)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if not isinstance(error, OSError) or is_foreign(error):
                raise
            raise NotConnected(str(error)) from error

    def _open_socket(self, end_time: float) -> socket.socket:
        """A socket that is connected to the first address of the host that answers.

        An address that does not answer may use half of the remaining time; the last one may use all of it.
        """
        addresses = self._current_lookup().addresses(_seconds_left(end_time))
        failure = OSError("the host has no address")
        for number, (family, kind, protocol, _, address) in enumerate(addresses, 1):
            sock: socket.socket | None = None
            try:
                sock = socket.socket(family, kind, protocol)
                sock.settimeout(_seconds_left(end_time) / (1 if number == len(addresses) else 2))
                sock.connect(address)
                return sock
            except BaseException as error:
                if sock is not None:
                    sock.close()
                if not isinstance(error, OSError) or is_foreign(error):
                    raise
                failure = error
        raise failure

    def _current_lookup(self) -> HostLookup:
        """The current lookup of the host's name, which all threads share, or a new one."""
        with self._lock:
            if self._lookup is None or self._lookup.has_ended:
                self._lookup = HostLookup(self.origin.host, self.origin.port).start()
            return self._lookup

    def _encrypt(self, sock: socket.socket, end_time: float) -> socket.socket:
        if self._context is None:
            return sock
        sock.settimeout(_seconds_left(end_time))
        session_option: Any = {} if self._tls_session is None else {"session": self._tls_session}
        return self._context.wrap_socket(sock, server_hostname=self.origin.host, **session_option)

    def close(self) -> None:
        """Closes the idle connections; a connection in use is closed when its reply has arrived."""
        self._is_closed = True
        while (connection := self._pop_idle()) is not None:
            connection.close()


def _seconds_left(end_time: float) -> float:
    seconds = end_time - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("no time was left to connect")
    return seconds
