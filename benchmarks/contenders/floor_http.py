"""A floor: code that one could write by hand over ``http.client``."""

from __future__ import annotations

import socket
from http.client import HTTPConnection

from benchmarks.contenders import lean


class Contender(lean.Lean):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._connection = HTTPConnection(self.host, self.port)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, target: str, body: bytes) -> bytes:
        stamp, authorization = self.signer.sign(target, body)
        headers = {
            "Content-Type": lean.TYPE,
            "X-Amz-Date": stamp,
            "X-Amz-Target": target,
            "Authorization": authorization,
        }
        self._connection.request("POST", "/", body, headers)
        return self._connection.getresponse().read()
