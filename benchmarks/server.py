"""A server on loopback that answers like DynamoDB, with prepared bytes, so that it takes hardly any time.

It runs in its own process (`canned_server`), with one thread for each connection. It listens on one port for each
delay. Every request to that port takes so many milliseconds longer, as over a network. The first answer of a kind is
built from the items, and then cached by the request's bytes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.items import KEY_ATTRIBUTES, stored_items

ROOT = Path(__file__).parent.parent
_TARGET = re.compile(rb"\r\nx-amz-target: *[^.\r]*\.(\w+)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CACHED_OPERATIONS = (b"GetItem", b"BatchGetItem", b"Query")
_WRITES = (b"PutItem", b"BatchWriteItem")

Body = dict[str, Any]


class Store:
    """The items as bytes, from which replies are joined."""

    def __init__(self) -> None:
        self._items: dict[str, dict[tuple[str, ...], bytes]] = {}
        self._partitions: dict[str, dict[str, list[bytes]]] = {}
        for item in stored_items():
            text = json.dumps(item.item, separators=(",", ":"), ensure_ascii=False).encode()
            self._items.setdefault(item.table, {})[item.key] = text
            for partition in item.partitions:
                self._partitions.setdefault(item.table, {}).setdefault(partition, []).append(text)

    def get(self, table: str, key: Body) -> bytes | None:
        """The item with a key."""
        return self._items[table].get(tuple(key[name]["S"] for name in KEY_ATTRIBUTES[table]))

    def partition(self, table: str, text: str) -> list[bytes]:
        """The items of a partition of the table or an index, in their order."""
        return self._partitions[table].get(text, [])


class Answers:
    """The replies to operations."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._make: dict[str, Callable[[Body], bytes]] = {
            "GetItem": self._get,
            "BatchGetItem": self._batch_get,
            "Query": self._query,
            "PutItem": self._write,
            "UpdateItem": self._update,
            "DeleteItem": self._write,
            "BatchWriteItem": self._batch_write,
        }

    def body(self, operation: str, request_body: bytes) -> bytes:
        """The body of the reply to a request."""
        return self._make[operation](json.loads(request_body))

    def _get(self, request: Body) -> bytes:
        item = self._store.get(request["TableName"], request["Key"])
        return _object(b"" if item is None else b'"Item":' + item, _capacity(request, 0.5))

    def _batch_get(self, request: Body) -> bytes:
        tables = []
        for table, entry in request["RequestItems"].items():
            matches = [self._store.get(table, key) for key in entry["Keys"]]
            # DynamoDB does not keep to the order of the keys, and neither does this.
            items = sorted((item for item in matches if item is not None), key=zlib.crc32)
            tables.append(b'"%s":[%s]' % (table.encode(), b",".join(items)))
        return _object(
            b'"Responses":{%s}' % b",".join(tables), b'"UnprocessedKeys":{}', _capacities(request, 50.0)
        )

    def _query(self, request: Body) -> bytes:
        (value,) = request["ExpressionAttributeValues"].values()
        items = self._store.partition(request["TableName"], value["S"])
        counts = b'"Count":%d,"ScannedCount":%d' % (len(items), len(items))
        return _object(b'"Items":[%s]' % b",".join(items), counts, _capacity(request, 5.0))

    def _write(self, request: Body) -> bytes:
        return _object(_capacity(request, 1.0))

    def _update(self, request: Body) -> bytes:
        item = self._store.get(request["TableName"], request["Key"]) or b"{}"
        wants = request.get("ReturnValues", "NONE") != "NONE"
        return _object(b'"Attributes":' + item if wants else b"", _capacity(request, 1.0))

    def _batch_write(self, request: Body) -> bytes:
        return _object(b'"UnprocessedItems":{}', _capacities(request, 25.0))


def _object(*members: bytes) -> bytes:
    return b"{%s}" % b",".join(filter(None, members))


def _capacity(request: Body, units: float) -> bytes:
    if "ReturnConsumedCapacity" not in request:
        return b""
    figures = {"CapacityUnits": units, "TableName": request["TableName"]}
    return b'"ConsumedCapacity":' + json.dumps(figures, separators=(",", ":")).encode()


def _capacities(request: Body, units: float) -> bytes:
    if "ReturnConsumedCapacity" not in request:
        return b""
    figures = [{"CapacityUnits": units, "TableName": table} for table in request["RequestItems"]]
    return b'"ConsumedCapacity":' + json.dumps(figures, separators=(",", ":")).encode()


class Server:
    """A listening port.

    Args:
        answers: makes the replies.
        delay: the delay of every reply, in seconds.
    """

    def __init__(self, answers: Answers, delay: float = 0.0) -> None:
        self._answers = answers
        self._delay = delay
        self._replies: dict[tuple[bytes, bytes], bytes] = {}
        self._second = 0
        self._head = b""
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._under_way = 0
        self._counts: dict[str, Any] = _zero_counts()
        self._last_write = b""
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._socket.getsockname()[1]

    def serve(self) -> None:
        """Accepts connections forever."""
        while True:
            connection, _ = self._socket.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        buffer = b""
        with connection:
            while True:
                while (end := buffer.find(b"\r\n\r\n")) < 0:
                    if not (more := connection.recv(65_536)):
                        return
                    buffer += more
                head, request_end = buffer[:end], end + 4 + int(_LENGTH.search(buffer[:end]).group(1))  # type: ignore[union-attr]
                while len(buffer) < request_end:
                    if not (more := connection.recv(65_536)):
                        return
                    buffer += more
                body, buffer = buffer[end + 4 : request_end], buffer[request_end:]
                connection.sendall(self._reply(_TARGET.search(head).group(1), body))  # type: ignore[union-attr]

    def _reply(self, operation: bytes, body: bytes) -> bytes:
        if operation.startswith(b"Bench"):
            return self._date() + _framed(self._about(operation.decode()))
        if self._delay:
            self._delay_reply(operation.decode())
        if operation in _WRITES:
            self._last_write = body
        reply = self._replies.get((operation, body))
        if reply is None:
            reply = _framed(self._answers.body(operation.decode(), body))
            if operation in _CACHED_OPERATIONS:
                self._replies[operation, body] = reply
        return self._date() + b"x-amzn-RequestId: %052d\r\n" % next(self._numbers) + reply

    def _date(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._head = (
                b"HTTP/1.1 200 OK\r\nServer: Server\r\nDate: %s\r\n"
                % formatdate(second, usegmt=True).encode()
            )
            self._second = second
        return self._head

    def _delay_reply(self, operation: str) -> None:
        """Waits as a network would. Requests that wait at the same time are one round."""
        with self._lock:
            self._counts["requests"] += 1
            self._counts["rounds"] += self._under_way == 0
            self._counts["operations"].append(operation)
            self._under_way += 1
        time.sleep(self._delay)
        with self._lock:
            self._under_way -= 1

    def _about(self, question: str) -> bytes:
        """The answer to a benchmark's question about the server: the last write, or the counts since the last one."""
        if question == "BenchWritten":
            return self._last_write
        with self._lock:
            counts, self._counts = self._counts, _zero_counts()
        return json.dumps(counts).encode()


def _zero_counts() -> dict[str, Any]:
    return {"requests": 0, "rounds": 0, "operations": []}


def _framed(body: bytes) -> bytes:
    """The part of a reply after its date."""
    return (
        b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\nConnection: keep-alive\r\n"
        b"x-amz-crc32: %d\r\n\r\n%s"
    ) % (len(body), zlib.crc32(body), body)


def ask(url: str, operation: str, body: bytes = b"{}") -> bytes:
    """The reply to an operation, or to a question about the server: ``BenchWritten`` or ``BenchCounts``."""
    # The one URL it is ever called with is that of the server on this machine.
    request = Request(url, body, {"X-Amz-Target": f"DynamoDB_20120810.{operation}"})
    with urlopen(request) as reply:
        body_of_reply: bytes = reply.read()
    return body_of_reply


@contextmanager
def canned_server(*delays: float) -> Iterator[dict[float, str]]:
    """A server in its own process. Yields its URLs by delay in milliseconds."""
    command = [sys.executable, "-m", "benchmarks.server", *map(str, delays)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdin is not None
    try:
        ports = json.loads(process.stdout.readline())
        yield {float(delay): f"http://127.0.0.1:{port}" for delay, port in ports.items()}
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(10)


def main() -> None:
    """Serves until its input ends, and prints its ports."""
    parser = argparse.ArgumentParser()
    parser.add_argument("delays", nargs="*", type=float, default=[0.0])
    answers = Answers(Store())
    servers = {delay: Server(answers, delay / 1000) for delay in parser.parse_args().delays}
    for server in servers.values():
        threading.Thread(target=server.serve, daemon=True).start()
    print(json.dumps({delay: server.port for delay, server in servers.items()}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
