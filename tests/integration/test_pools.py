"""Whatever happens to a request, its connection waits in its pool afterwards, or is closed."""

from __future__ import annotations

import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest

from dynamo_bao.dynamodb.transport import http
from dynamo_bao.dynamodb.transport.botocore_http import DirectSession
from dynamo_bao.dynamodb.transport.factory import given_transport
from dynamo_bao.dynamodb.transport.host_lookup import HostLookup
from dynamo_bao.dynamodb.transport.http import Connections, HttpOrigin, NotConnected, ReplyLost
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.testing import Transport
from tests.support import paths
from tests.support.dynamo_server import KEY, answer, reply
from tests.support.http_server import HttpServer, ReceivedRequest, Script, Served, http_server
from tests.support.interrupts import FOREIGN, Instructions, signals_raise
from tests.support.patience import PATIENCE

ASKED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
GET = Request("GetItem", {"TableName": "t", "Key": KEY, "ReturnConsumedCapacity": "TOTAL"})


class Sockets:
    """The socket module, with every socket that is made noted."""

    def __init__(self) -> None:
        self.made: list[weakref.ref[socket.socket]] = []

    def socket(self, *arguments: Any) -> socket.socket:
        made = socket.socket(*arguments)
        self.made.append(weakref.ref(made))
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(socket, name)

    def astray(self, pool: Connections) -> int:
        """How many sockets are open and do not wait in the pool, or wait there and are closed, or wait twice."""
        idle = [connection._sock for connection in pool._idle]
        alive = [made for made in (ref() for ref in self.made) if made is not None and made.fileno() >= 0]
        strays = sum(not any(made is one for one in idle) for made in alive)
        return strays + sum(one.fileno() < 0 for one in idle) + len(idle) - len({id(one) for one in idle})


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Sockets:
    noted = Sockets()
    monkeypatch.setattr(http, "socket", noted)
    return noted


class Pool(Connections):
    """A pool that looks up the host's name each time, without its lock.

    An exception in the instructions behind a block of a lock would leave it locked, and no signal is delivered there.
    """

    def _current_lookup(self) -> Any:
        return HostLookup(self.origin.host, self.origin.port).start()


def pool_to(server: HttpServer, patience: float = PATIENCE) -> Connections:
    def unencrypted() -> Any:
        raise AssertionError("nothing is encrypted here")

    return Pool(HttpOrigin.of(server.url()), unencrypted, PATIENCE, patience)


def cut(data: bytes) -> Script:
    """Sends some bytes and closes."""

    def script(served: Served, asked: ReceivedRequest) -> None:
        served.send(data)
        served.close()

    return script


WHOLE = reply({"ConsumedCapacity": {}})
FAULTS: dict[str, Script] = {
    "closed without a word": cut(b""),
    "half a head": cut(WHOLE[:30]),
    "half a body": cut(WHOLE[:-3]),
    "no HTTP": cut(b"garbage\r\n\r\n"),
    "a chunk that is none": cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "too long": cut(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"),
    "an encoding that nobody asked for": cut(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx"
    ),
    "a broken archive": cut(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"),
    "408": lambda served, asked: served.send(reply(b"", "408 Request Timeout")),
    "closed by its header": lambda served, asked: served.send(reply({}, "200 OK", "Connection: close")),
    "something behind it": lambda served, asked: served.send(WHOLE + WHOLE),
    "silence": lambda served, asked: served.stall(),
    "a byte now and then": lambda served, asked: served.drip(b"HTTP/1.1 200 OK\r\n"),
}


@pytest.mark.parametrize("reused", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.promise("S14")
def test_after_a_fault_no_connection_is_out_of_its_pool(sockets: Sockets, fault: str, reused: bool) -> None:
    """On a new connection and on one that was used before; the next request works."""
    with http_server(answer) as server:
        pool = pool_to(server, 0.05)
        if reused:
            pool.exchange(ASKED, PATIENCE)
            assert len(pool._idle) == 1
        server.script = FAULTS[fault]
        with suppress(ReplyLost, NotConnected):
            pool.lease(ASKED, time.monotonic() + 0.2).settle(True)
        assert sockets.astray(pool) == 0
        server.script = answer
        pool._read_seconds = PATIENCE
        assert pool.exchange(ASKED, PATIENCE).status == 200
        assert sockets.astray(pool) == 0
        pool.close()
        assert sockets.astray(pool) == 0


# A socket that is dropped in the instruction in which it is made is closed with a warning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("believed", [True, False])
@pytest.mark.parametrize("reused", [False, True])
@pytest.mark.promise("S14")
def test_after_an_exception_at_any_instruction_no_connection_is_out_of_its_pool(
    sockets: Sockets, reused: bool, believed: bool
) -> None:
    """Of making a connection, sending, reading and giving back: what a signal's handler raises costs one connection."""
    with http_server(answer) as server:
        pool = pool_to(server)
        instructions = Instructions("transport/http", "transport/host_lookup")

        def work() -> None:
            pool.lease(ASKED, time.monotonic() + PATIENCE).settle(believed)

        number, astray = 0, []
        while True:
            if reused:
                pool.exchange(ASKED, PATIENCE)
            else:
                while pool._idle:
                    pool._idle.pop().close()
            error = FOREIGN[number % len(FOREIGN)]()
            try:
                with signals_raise(error):
                    instructions.run(work, number)
                    if instructions.counted <= number:
                        break
            except (ReplyLost, NotConnected) as lost:  # an error of ours in its place would hide it
                raise AssertionError(f"at {number}: {lost!r}") from lost
            except BaseException as raised:
                if raised is not error:
                    raise
                raised.__traceback__ = None
            del error
            if sockets.astray(pool):
                astray.append(number)
            number += 1
        assert astray == []
        print(
            f"\nS14: interrupted at each of {number:,} instructions of an exchange, 0 connections out of their pool"
        )
        pool.close()
        assert sockets.astray(pool) == 0


@pytest.mark.promise("S14")
def test_threads_that_fail_leave_no_connection_out_of_their_pool(sockets: Sockets) -> None:
    """Many at once, each with another fault, while others succeed."""
    scripts = [script for name, script in FAULTS.items() if name not in ("silence", "a byte now and then")]
    counter = iter(range(10**6))
    lock = threading.Lock()

    def mixed(served: Served, asked: ReceivedRequest) -> None:
        with lock:
            number = next(counter)
        (answer if number % 2 else scripts[number // 2 % len(scripts)])(served, asked)

    with http_server(mixed) as server:
        pool = pool_to(server)

        def work() -> None:
            for _ in range(20):
                try:
                    pool.lease(ASKED, time.monotonic() + PATIENCE).settle(True)
                except (ReplyLost, NotConnected):
                    continue

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sockets.astray(pool) == 0
        pool.close()
        assert sockets.astray(pool) == 0


# --- clients of the user's, which several managers may use ---------------------------------------------


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[HttpServer, Any, Callable[[], Transport]]]:
    """A server, a client to it, and what makes transports over that client."""
    if paths.chosen() != "lean":
        pytest.skip("this makes its ways of sending itself")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    with http_server(answer) as server:
        client = boto3.client("dynamodb", endpoint_url=server.url(), region_name="us-east-1")
        yield server, client, lambda: given_transport(client)
        client.close()


@pytest.mark.parametrize("first", [0, 1])
def test_transports_over_one_client_come_and_go_in_any_order(shared: Any, first: int) -> None:
    """Each closes what is its own, and leaves the client as it was when the last has gone."""
    server, client, transport = shared
    original = client._endpoint.http_session
    both = [transport(), transport()]
    for one in both:
        one.send(GET, deadline=1e9)
    sessions: list[Any] = []
    found = client._endpoint.http_session
    while isinstance(found, DirectSession):
        sessions.append(found)
        found = found.original
    assert found is original
    assert len(sessions) == 2
    pools = [pool for session in sessions for pool in session._connections.values()]
    assert [len(pool._idle) for pool in pools] == [1, 1]
    both[first].close()
    assert sorted(len(pool._idle) for pool in pools) == [0, 1]
    both[1 - first].send(GET, deadline=1e9)
    assert len(server.asked) == 3
    assert server.connections == 2
    client.get_item(TableName="t", Key=KEY)
    both[1 - first].close()
    assert client._endpoint.http_session is original
    assert [len(pool._idle) for pool in pools] == [0, 0]
    assert client.get_item(TableName="t", Key=KEY)["Item"]
