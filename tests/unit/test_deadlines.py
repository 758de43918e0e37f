"""The deadline of an exchange, exactly: on a clock that only the network moves, in every phase of a request."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dynamo_bao.dynamodb.transport import host_lookup, http as connections_module
from dynamo_bao.dynamodb.transport.http import Connections, HttpOrigin, NotConnected, ReplyLost
from tests.support.http_server import http_server
from tests.support.patience import PATIENCE

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
NEVER = float("inf")
PHASES = ("connect", "handshake", "send", "recv")


class Network:
    """Sockets whose every step takes the seconds that a test says, on a clock that nothing else moves.

    Attributes:
        steps: by phase, how long each step takes; the last one's holds for all that follow.
        piece: how many bytes are sent or received in one step.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.steps: dict[str, list[float]] = {phase: [0.0] for phase in PHASES}
        self.piece = 1000

    def pass_by(self, phase: str, timeout: float | None) -> None:
        steps = self.steps[phase]
        seconds = steps.pop(0) if len(steps) > 1 else steps[0]
        if timeout is not None and seconds > timeout:
            self.now += timeout
            raise TimeoutError(f"{phase} timed out")
        self.now += seconds

    def socket(self, *_: Any) -> FakeSocket:
        return FakeSocket(self)

    def wrap_socket(self, sock: FakeSocket, server_hostname: str) -> FakeSocket:
        self.pass_by("handshake", sock.timeout)
        return sock


class FakeSocket:
    def __init__(self, network: Network) -> None:
        self._network = network
        self._receive = b""
        self.timeout: float | None = None

    def settimeout(self, seconds: float) -> None:
        self.timeout = seconds

    def setsockopt(self, *_: Any) -> None:
        pass

    def connect(self, address: Any) -> None:
        self._network.pass_by("connect", self.timeout)

    def send(self, data: Any) -> int:
        self._network.pass_by("send", self.timeout)
        self._receive = REPLY
        return min(len(data), self._network.piece)

    def recv(self, count: int) -> bytes:
        self._network.pass_by("recv", self.timeout)
        data, self._receive = self._receive[: self._network.piece], self._receive[self._network.piece :]
        return data

    def close(self) -> None:
        pass


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    clocks = SimpleNamespace(monotonic=lambda: network.now, time=lambda: network.now)
    fakes = SimpleNamespace(
        **{name: getattr(socket, name) for name in ("SOCK_STREAM", "IPPROTO_TCP", "TCP_NODELAY")},
        **{name: getattr(socket, name) for name in ("SOL_SOCKET", "SO_KEEPALIVE")},
        socket=network.socket,
    )
    addresses = [(2, 1, 6, "", ("127.0.0.1", 1))]
    monkeypatch.setattr(host_lookup.socket, "getaddrinfo", lambda *_, **__: addresses)
    monkeypatch.setattr(connections_module, "time", clocks)
    monkeypatch.setattr(connections_module, "socket", fakes)
    monkeypatch.setattr(connections_module, "_input_test", lambda sock: lambda: False)
    return network


@pytest.fixture
def connections(network: Network) -> Connections:
    """Encrypted ones, whose own limits are far beyond the deadlines here."""
    context: Any = network
    return Connections(HttpOrigin("127.0.0.1", 1, True, "x"), lambda: context, 100.0, 100.0)


def test_an_exchange_in_time_is_an_exchange(network: Network, connections: Connections) -> None:
    """Each phase may take its part of the budget."""
    for phase in PHASES:
        network.steps[phase] = [0.4]
    assert connections.exchange(b"x", 2.0).body == b"{}"
    assert network.now == pytest.approx(1.6)


AT_FIRST = [(phase, "at the first request") for phase in PHASES]
LATER = [(phase, "later") for phase in ("send", "recv")]


@pytest.mark.parametrize(("phase", "first"), [*AT_FIRST, *LATER])
@pytest.mark.parametrize(("piece", "step"), [(1000, NEVER), (1, 0.3), (1, 0.07)])
@pytest.mark.promise("S12")
def test_the_deadline_is_exact_in_every_phase(
    network: Network, connections: Connections, phase: str, piece: int, step: float, first: str
) -> None:
    """A server that stalls, or goes on a byte at a time, in any phase: the exchange ends when the budget does."""
    if first == "later":
        connections.exchange(b"x", 2.0)
    begun = network.now
    network.piece = piece
    network.steps[phase] = [step if piece == 1 and phase in ("send", "recv") else NEVER]
    with pytest.raises((NotConnected, ReplyLost)) as caught:
        connections.exchange(b"x" * 1000, 2.0)
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert network.now - begun == pytest.approx(2.0)
    print(f"\nS12: {phase}, {first}: ends exactly with its budget on a fake clock")


@pytest.mark.parametrize("slow", [*itertools.permutations(PHASES, 2)])
@pytest.mark.promise("S12")
def test_all_phases_have_one_budget(
    network: Network, connections: Connections, slow: tuple[str, str]
) -> None:
    """What one phase took, another does not get: a server that takes the request slowly and then is silent."""
    early, late = sorted(slow, key=PHASES.index)
    network.steps[early] = [1.9, 0.0]
    network.steps[late] = [NEVER]
    with pytest.raises((NotConnected, ReplyLost)):
        connections.exchange(b"x", 2.0)
    assert network.now == pytest.approx(2.0)


@pytest.mark.parametrize(("silent", "passed"), [(0, 0.0), (1, 1.0), (2, 1.5), (3, 2.0)])
@pytest.mark.promise("S12")
def test_addresses_of_a_host_share_the_budget(
    network: Network, connections: Connections, monkeypatch: pytest.MonkeyPatch, silent: int, passed: float
) -> None:
    """One that does not answer uses up half of what is left, the last one all of it."""
    addresses = [(2, 1, 6, "", (f"127.0.0.{number}", 1)) for number in (1, 2, 3)]
    monkeypatch.setattr(host_lookup.socket, "getaddrinfo", lambda *_, **__: addresses)
    network.steps["connect"] = [NEVER] * silent + [0.0]
    if silent < 3:
        assert connections.exchange(b"x", 2.0).body == b"{}"
    else:
        with pytest.raises(NotConnected):
            connections.exchange(b"x", 2.0)
    assert network.now == pytest.approx(passed)


@pytest.mark.parametrize("opened", [False, True])
def test_without_time_nothing_is_sent(network: Network, connections: Connections, opened: bool) -> None:
    """Also where a connection is open: certainly not sent."""
    if opened:
        connections.exchange(b"x", 2.0)
    for seconds in (0.0, -1.0):
        with pytest.raises(NotConnected):
            connections.exchange(b"x", seconds)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A name lookup that takes as long as a test wants; how often it was begun is counted."""
    resolver = SimpleNamespace(release=threading.Event(), begun=0)
    real = socket.getaddrinfo

    def slow(*arguments: Any, **options: Any) -> Any:
        resolver.begun += 1
        resolver.release.wait(PATIENCE)
        return real(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    yield resolver
    resolver.release.set()


@pytest.mark.promise("S12")
def test_a_lookup_of_a_name_that_hangs_is_given_up(resolver: Any) -> None:
    """It cannot be stopped, so that it is left behind; all who wait meanwhile wait for the same one."""
    with http_server(lambda served, asked: served.send(REPLY)) as server:
        connections = Connections(HttpOrigin.of(server.url("localhost")), lambda: None, 60.0, 60.0)  # type: ignore[arg-type,return-value]
        for _ in range(3):
            with pytest.raises(NotConnected) as caught:
                connections.exchange(b"POST / HTTP/1.1\r\n\r\n", 0.05)
            assert isinstance(caught.value.__cause__, TimeoutError)
        assert resolver.begun == 1
        resolver.release.set()
        assert connections.exchange(b"POST / HTTP/1.1\r\n\r\n", 30.0).body == b"{}"
        connections.close()


def test_a_host_that_does_not_exist_is_told() -> None:
    """With the resolver's own reason, to each caller."""
    connections = Connections(HttpOrigin.of("http://host.invalid:1"), lambda: None, 60.0, 60.0)  # type: ignore[arg-type,return-value]
    for _ in range(2):
        with pytest.raises(NotConnected) as caught:
            connections.exchange(b"x", 60.0)
        assert isinstance(caught.value.__cause__, socket.gaierror)


@pytest.mark.parametrize("host", ["ü" * 64, "ü..b"])
def test_a_host_name_that_nobody_can_look_up_is_told(host: str) -> None:
    """As one that does not exist: nothing was sent."""
    connections = Connections(HttpOrigin(host, 1, False, host), lambda: None, 60.0, 60.0)  # type: ignore[arg-type,return-value]
    with pytest.raises(NotConnected, match="cannot be looked up"):
        connections.exchange(b"x", 60.0)


# --- connections that went dark, and old ones ----------------------------------------------------------------


@pytest.mark.promise("S12")
def test_after_silence_idle_connections_of_before_are_not_trusted(network: Network) -> None:
    """Nothing arrives for two seconds: all that waited since before are closed, and a new one is made."""
    context: Any = network
    connections = Connections(HttpOrigin("127.0.0.1", 1, True, "x"), lambda: context, 3.0, 2.0)
    leases = [connections.lease(b"x", NEVER) for _ in range(5)]
    for lease in leases:
        lease.settle(True)
    assert len(connections._idle) == 5
    network.now += 10
    network.steps["recv"] = [NEVER, 0.0]
    begun = network.now
    with pytest.raises(ReplyLost):
        connections.exchange(b"x", 10.0)
    assert network.now - begun == pytest.approx(2.0)
    assert connections._idle == []
    assert connections.exchange(b"x", 8.0).body == b"{}"
    assert network.now - begun == pytest.approx(2.0)
    print("\nS12: a connection that went dark costs 2 s of 10, and no idle one of before is tried after it")


def test_connections_heard_of_meanwhile_stay_trusted(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answered after the lost request was sent is used again."""
    context: Any = network
    connections = Connections(HttpOrigin("127.0.0.1", 1, True, "x"), lambda: context, 3.0, 2.0)
    slow, quick = connections.lease(b"x", NEVER), connections.lease(b"x", NEVER)
    slow.settle(True)
    dark = connections._idle[0]

    pass_by = network.pass_by

    def meanwhile(phase: str, timeout: float | None) -> None:
        if phase == "recv":
            quick.settle(True)  # another thread's reply has arrived
            network.now += 0.1
        pass_by(phase, timeout)

    monkeypatch.setattr(network, "pass_by", meanwhile)
    network.steps["recv"] = [NEVER]
    with pytest.raises(ReplyLost):
        connections.exchange(b"x", 10.0)
    assert len(connections._idle) == 1
    assert connections._idle[0] is not dark


def test_a_connection_is_renewed_after_five_minutes(network: Network, connections: Connections) -> None:
    """Also one that was in use all the time."""
    connections.exchange(b"x", NEVER)
    (first,) = connections._idle
    for _ in range(10):
        network.now += 29
        connections.exchange(b"x", NEVER)
        assert connections._idle == [first]
    network.now += 29
    connections.exchange(b"x", NEVER)
    assert connections._idle[0] is not first


def test_as_many_connections_stay_as_were_in_use_at_once(network: Network, connections: Connections) -> None:
    """All of 200 are used again; those that nobody needs any more are closed one by one as they grow old."""
    for lease in [connections.lease(b"x", NEVER) for _ in range(200)]:
        lease.settle(True)
    assert len(connections._idle) == 200
    for _ in range(270):
        network.now += 1
        connections.exchange(b"x", NEVER)
    assert len(connections._idle) == 1
