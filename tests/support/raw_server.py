"""An HTTP server that answers with the bytes it is given, for replies that DynamoDB would never send."""

from __future__ import annotations

import socketserver
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[str, bytes], bytes]
"""Makes the raw bytes of an HTTP response from the operation's name and the request's body."""


def http(body: bytes, *, status: str = "200 OK", crc: int | None = None, length: int | None = None) -> bytes:
    """An HTTP response like that of DynamoDB, with the given differences."""
    crc = zlib.crc32(body) if crc is None else crc
    length = len(body) if length is None else length
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.0\r\nx-amz-crc32: {crc}\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return
            head += line
        fields = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:] if ": " in line)
        target = next(line for line in head.decode().split("\r\n") if line.lower().startswith("x-amz-target"))
        body = self.rfile.read(int(fields.get("content-length", "0")))
        server: _Server = self.server  # type: ignore[assignment]
        server.requests += 1
        self.wfile.write(server.answer(target.rsplit(".", 1)[1], body))


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests = 0


@contextmanager
def raw_server(answer: Answer) -> Iterator[tuple[str, _Server]]:
    """A server on a free port of loopback: its URL, and itself with the number of requests it had."""
    with _Server(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", server
        finally:
            server.shutdown()
            thread.join()
