"""An engine in memory behind HTTP, for programs that are not Python: the AWS CLI, services, test suites."""

from __future__ import annotations

import socket
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.account import REGION
from dynamo_bao.dynamodb.transport.embedded.engine import EmbeddedEngine
from dynamo_bao.errors import ConfigurationError

MAX_BODY_BYTES: Final = 16 * 2**20
_TYPES: Final = ("application/x-amz-json-1.0", "application/json")
_FAULT: Final = (
    b'{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError",'
    b'"message":"The engine has a fault: see what bao local writes."}'
)
_NOT_FOUND: Final = b"<UnknownOperationException/>\n"


class LocalServer(ThreadingHTTPServer):
    """A server with new, empty tables, which are gone when it ends. It accepts any credentials.

    Args:
        host: the address to listen on, such as ``"127.0.0.1"``.
        port: the port; 0 for any free one.

    Raises:
        ConfigurationError: if moto is not installed, or if another program listens on the port.

    Example:
        >>> with LocalServer("127.0.0.1", 0) as server:
        ...     print(server.url.startswith("http://127.0.0.1:"))
        True
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str = "127.0.0.1", port: int = 8000) -> None:
        self.engine: EmbeddedEngine = EmbeddedEngine()
        self.address_family: int = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(
                f"Nothing can listen on port {port} of {host}: {reason}. Choose another port, or 0 for a free one."
            ) from error

    @property
    def url(self) -> str:
        """The endpoint for clients."""
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes) else str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    @property
    def engine(self) -> EmbeddedEngine:
        """The engine of the server."""
        server: Any = self.server
        engine: EmbeddedEngine = server.engine
        return engine

    def handle_expect_100(self) -> bool:
        """Asks the client for the body at once. The reply itself stays in the buffer until it is whole."""
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def do_POST(self) -> None:
        """An operation."""
        body = self._body()
        if body is None:
            return
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if body and kind not in _TYPES:
            self._send(404, {}, _NOT_FOUND)
            return
        try:
            status, headers, reply = self.engine.answer_to(self.headers.get("X-Amz-Target", ""), body)
        except Exception:  # a fault of the engine, which must not end the connection without an answer
            traceback.print_exc()
            status, headers, reply = 500, {"content-type": _TYPES[0]}, _FAULT
        if kind in _TYPES:
            headers["content-type"] = kind
        self._send(status, headers, reply)

    def do_GET(self) -> None:
        """Whether the server is there."""
        self._send(200, {}, f"healthy: dynamodb.{REGION}.amazonaws.com ".encode())

    def do_OPTIONS(self) -> None:
        """What a browser may send."""
        names = self.headers.get("Access-Control-Request-Headers", "*")
        allowed = {"Access-Control-Allow-Headers": names, "Access-Control-Allow-Methods": "POST"}
        self._send(200, {**allowed, "Access-Control-Max-Age": "172800"}, b"")

    def _body(self) -> bytes | None:
        """The body of a request; None if it was refused."""
        text = self.headers.get("Content-Length", "0")
        if not text.isdigit() or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(411, {}, b"")
            return None
        if int(text) > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(413, {}, b'{"__type":"com.amazon.coral.service#RequestTooLargeException"}')
            return None
        return self.rfile.read(int(text))

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Origin" in self.headers:
            self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Writes nothing for a request."""
