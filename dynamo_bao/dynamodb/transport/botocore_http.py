"""The HTTP session of boto3 clients, which keeps the deadline if botocore sends a request.

botocore's own HTTP session limits each single read, not the whole reply: with a server that sends a byte now and then
it waits without end. `DirectSession` replaces it in a client. Requests of this library go over `Connections`, within
the budget of their operation. The original session sends all other requests, and those that need a proxy, a client
certificate or unverified TLS. It also sends if somebody has replaced or wrapped it.
"""

from __future__ import annotations

import contextvars
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FunctionType
from typing import Any, Final

from dynamo_bao.dynamodb.service import longest_reply
from dynamo_bao.dynamodb.transport.http import RECEIVE_BYTES, Connections, HttpOrigin, HttpReply, ReplyLost
from dynamo_bao.dynamodb.transport.messages import Request, RequestOutcome, with_outcome
from dynamo_bao.dynamodb.transport.tls import trusted_context
from dynamo_bao.errors import ConfigurationError
from dynamo_bao.runtime.foreign_errors import is_from_signal
from dynamo_bao.runtime.records import define

_HEADER: Final = re.compile(r"[ -~\x80-\xff]*\Z")


@define(eq=False)
class Attempt:
    """One attempt that botocore makes for this library.

    Attributes:
        request: the request.
        end_time: the time when it must be over, in seconds of `time.monotonic`.
        reply: the reply, once it has arrived; None if somebody answered without sending anything.
        is_checked: whether the bytes of the reply were checked.
    """

    request: Request
    end_time: float
    reply: HttpReply | None = None
    is_checked: bool = False


class DirectSession:
    """Replaces the HTTP session of a boto3 client.

    Args:
        original: botocore's session.
        attempt_now: returns the attempt of the calling thread; None for a call that is not this library's.
        respond: makes botocore's response from a URL and a reply.
        connect_seconds, read_seconds: see `Connections`.
    """

    def __init__(
        self,
        original: Any,
        attempt_now: Callable[[], Attempt | None],
        respond: Callable[[str, HttpReply], object],
        connect_seconds: float,
        read_seconds: float,
    ) -> None:
        self.original = original
        self._attempt_now = attempt_now
        self._respond = respond
        self._limits = connect_seconds, read_seconds
        self._connections: dict[HttpOrigin, Connections] = {}

    def send(self, request: Any) -> Any:
        """Sends a prepared request and returns botocore's response.

        Raises:
            NotConnected: if no connection could be made.
            ReplyLost: if no complete reply arrived.
        """
        attempt = self._attempt_now()
        if attempt is None:
            return self.original.send(request)
        max_body_bytes = longest_reply(attempt.request.operation)
        if not self._is_usual(request.url):
            for name, value in request.headers.items():
                require_header(name, _text(value))
            return self._send_elsewhere(request, attempt.end_time, max_body_bytes)
        origin = HttpOrigin.of(request.url)
        data = bytes_of(request, origin)
        reply = self._connections_to(origin).lease(data, attempt.end_time, max_body_bytes)
        attempt.reply = reply
        return self._respond(request.url, reply)

    def disconnect(self) -> None:
        """Closes the connections of this session."""
        for connections in tuple(self._connections.values()):
            connections.close()

    def close(self) -> None:
        """Closes the connections of this session and of the original session."""
        self.disconnect()
        self.original.close()

    def _connections_to(self, origin: HttpOrigin) -> Connections:
        verify = original_of(self.original)._verify
        file = verify if isinstance(verify, str) else None
        connections = Connections(origin, partial(trusted_context, file), *self._limits)
        return self._connections.setdefault(origin, connections)

    def _is_usual(self, url: str) -> bool:
        """Whether a direct connection does the same as the original session."""
        original = original_of(self.original)
        connections = (getattr(pool, "ConnectionCls", None) for pool in connection_pools())
        try:
            return (
                (original._verify is True or isinstance(original._verify, str))
                and original._cert_file is None
                and not original._proxy_config.proxy_url_for(url)
                and "send" not in original.__dict__
                and all(map(is_botocores, (type(original), type(original).send, *connections)))
            )
        except AttributeError:  # a custom session, or one of another botocore
            return False

    def _send_elsewhere(self, request: Any, end_time: float, max_body_bytes: int) -> Any:
        """Sends by the original session, in a thread that is abandoned when the time is over.

        The session limits only single reads. Time and length of the body are limited here, so the thread ends too.
        """
        seconds_left = end_time - time.monotonic()
        if isinstance(context := getattr(request, "context", None), dict):
            context["read_timeout"] = max(seconds_left, 0.001)
        request.stream_output = True  # the body is read here
        outcome: list[tuple[Any, BaseException | None]] = []
        has_ended = threading.Event()
        variables = contextvars.copy_context()

        def work() -> None:
            try:
                response = variables.run(self.original.send, request)
                outcome.append((self._read_within(request.url, response, end_time, max_body_bytes), None))
            except BaseException as error:
                outcome.append((None, error))
            finally:
                has_ended.set()

        try:
            threading.Thread(target=work, daemon=True, name="dynamo_bao sending").start()
        except RuntimeError as error:
            if is_from_signal(error):
                raise
            work()  # the interpreter is about to end, or the system has no further thread
        if not has_ended.wait(max(seconds_left, 0.0)):
            raise ReplyLost("time was up") from TimeoutError("the reply did not arrive in time")
        response, failure = outcome[0]
        if failure is not None:
            raise failure
        return response

    def _read_within(self, url: str, response: Any, end_time: float, max_body_bytes: int) -> Any:
        """A response of the original session with its complete body; an error if that is late or too long."""
        if getattr(response, "_content", b"") is not None:
            return response  # a handler answered, and has the body
        body = bytearray()
        try:
            for part in response.raw.stream(RECEIVE_BYTES):
                body += part
                if len(body) > max_body_bytes:
                    raise ReplyLost("too long") from ValueError(
                        f"the reply is longer than the {max_body_bytes} bytes its operation can return"
                    )
                if time.monotonic() > end_time:
                    raise ReplyLost("time was up") from TimeoutError("the reply did not arrive in time")
        except BaseException:
            with suppress(Exception):
                response.raw.close()
            raise
        headers = {name.lower(): _text(value) for name, value in response.headers.items()}
        return self._respond(url, HttpReply(response.status_code, headers, bytes(body)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def original_of(session: object) -> Any:
    """botocore's session, also if a `DirectSession` replaces it."""
    while isinstance(session, DirectSession):
        session = session.original
    return session


def connection_pools() -> tuple[Any, Any]:
    """botocore's classes of connection pools, in which recorders replace the class of connections."""
    requests = sys.modules.get("botocore.awsrequest")
    plain, encrypted = (getattr(requests, f"AWS{name}ConnectionPool", None) for name in ("HTTP", "HTTPS"))
    return plain, encrypted


def is_botocores(part: object) -> bool:
    """Whether a function or class is the one of botocore's source, not one that wraps or replaces it."""
    if isinstance(part, type):
        return part.__module__.split(".")[0] == "botocore"
    return isinstance(part, FunctionType) and f"{os.sep}botocore{os.sep}" in part.__code__.co_filename


def _text(value: Any) -> str:
    """The value of a header as text; handlers may have made it bytes."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def require_header(name: str, value: str) -> None:
    """Refuses a header that cannot be part of a request's head: a line break would begin another header.

    Raises:
        ConfigurationError: if the name or the value holds a control character, or one outside Latin-1.
    """
    if not (_HEADER.match(name) and _HEADER.match(value)):
        error = ConfigurationError(
            f"{name[:40]!r} of a request holds a line break or another control character; nothing was sent.",
            field="headers",
        )
        raise with_outcome(error, RequestOutcome.NOT_SENT)


def bytes_of(prepared: Any, origin: HttpOrigin) -> bytes:
    """The bytes of a request that botocore prepared, with all changes of handlers."""
    path = prepared.url.split("://", 1)[-1].partition("/")[2]
    source: Any = prepared.body or b""
    content = source.read() if hasattr(source, "read") else source
    body = content.encode() if isinstance(content, str) else bytes(content)
    lines = [f"{prepared.method} /{path} HTTP/1.1"]
    for name, value in (
        ("Host", origin.name),
        ("Accept-Encoding", "identity"),
        ("Content-Length", len(body)),
    ):
        if name not in prepared.headers:
            lines.append(f"{name}: {value}")
    for name, value in prepared.headers.items():
        text = _text(value)
        require_header(name, text)
        lines.append(f"{name}: {text}")
    require_header("URL", path)
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
