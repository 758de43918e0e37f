"""The floor: the same bytes over a socket. Of the reply's headers, it reads only the length."""

from __future__ import annotations

import socket

from benchmarks.contenders import lean


class Contender(lean.Lean):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._socket = socket.create_connection((self.host, self.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"POST / HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: {lean.TYPE}\r\n"

    def close(self) -> None:
        self._socket.close()

    def send(self, target: str, body: bytes) -> bytes:
        stamp, authorization = self.signer.sign(target, body)
        head = (
            f"{self._head}X-Amz-Date: {stamp}\r\nX-Amz-Target: {target}\r\nAuthorization: {authorization}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        return self._receive()

    def _receive(self) -> bytes:
        buffer = self._socket.recv(262_144)
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            buffer += self._socket.recv(262_144)
        start = buffer.index(b"Content-Length: ") + 16
        reply_end = end + 4 + int(buffer[start : buffer.index(b"\r", start)])
        while len(buffer) < reply_end:
            buffer += self._socket.recv(262_144)
        return buffer[end + 4 :]
