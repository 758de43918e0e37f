"""Connections: kept, looked at, replaced, and read to the byte; over real sockets."""

from __future__ import annotations

import gzip
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from dynamo_bao.dynamodb.transport import tls
from dynamo_bao.dynamodb.transport.http import Connections, HttpOrigin, NotConnected, ReplyLost
from tests.support.authorities import Authority
from tests.support.http_server import HttpServer, ReceivedRequest, Script, Served, http_server
from tests.support.patience import PATIENCE

BODY = b'{"Item":{"a":{"S":"x"}}}'
LONG = BODY * 10_000
"""A body that is longer than what is read at once."""
SHORT = 0.15
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def plain(body: bytes = BODY, *headers: str, status: str = "200 OK", version: str = "HTTP/1.1") -> bytes:
    """A reply with its length, and more headers."""
    lines = [f"{version} {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def post(body: bytes = b"{}", number: int = 0) -> bytes:
    """A request."""
    return (
        f"POST / HTTP/1.1\r\nHost: x\r\nX-Number: {number}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


def always(data: bytes) -> Script:
    """Answers everything with the same bytes."""
    return lambda served, asked: served.send(data)


@contextmanager
def connected(
    script: Script,
    tls: ssl.SSLContext | None = None,
    trusted: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    host: str = "127.0.0.1",
) -> Iterator[tuple[HttpServer, Connections]]:
    """A server, and connections to it."""
    with http_server(script, tls) as server:
        connections = Connections(HttpOrigin.of(server.url(host)), trusted, PATIENCE, PATIENCE)
        try:
            yield server, connections
        finally:
            connections.close()


# --- keeping ----------------------------------------------------------------------------------------------


def test_one_connection_serves_many_requests() -> None:
    """Requests one after another travel over the same socket."""
    with connected(always(plain())) as (server, connections):
        for _ in range(20):
            assert connections.exchange(post(), PATIENCE).body == BODY
        assert (len(server.asked), server.connections) == (20, 1)


def test_a_connection_grows_old_only_while_nobody_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may live for long; one that was idle for more than a minute is not trusted."""
    with connected(always(plain())) as (server, connections):
        for now, opened in ((0.0, 1), (40.0, 1), (100.0, 1), (159.9, 1), (220.1, 2)):
            clocks = SimpleNamespace(monotonic=lambda now=now: now, time=lambda now=now: now)
            monkeypatch.setattr("dynamo_bao.dynamodb.transport.http.time", clocks)
            connections.exchange(post(), PATIENCE)
            assert server.connections == opened


def test_every_exchange_has_its_own_time() -> None:
    """Also on a connection that had more of it before."""
    with connected(always(plain())) as (_, connections):
        for seconds in (1.5, 0.5):
            connections.exchange(post(), seconds)
            assert 0 < connections._idle[0]._sock.gettimeout() <= seconds


@pytest.mark.parametrize("has_poll", [True, False])
def test_a_connection_closed_while_idle_is_replaced(has_poll: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that closes what is idle, even at once, costs a new connection and no reply.

    A system without ``poll``, such as Windows, looks in another way.
    """
    if not has_poll:
        monkeypatch.delattr("select.poll", raising=False)

    def once(served: Served, asked: ReceivedRequest) -> None:
        served.send(plain())
        served.close()

    with connected(once) as (server, connections):
        for number in range(5):
            assert connections.exchange(post(), PATIENCE).status == 200
            for idle in connections._idle:
                _until(idle._has_input)
            assert server.connections == number + 1


def _until(true: Callable[[], object]) -> None:
    """Waits until something that is under way has happened."""
    ends = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < ends


def test_bytes_that_nobody_asked_for_are_no_answer() -> None:
    """A second reply that arrives behind the first is never taken for the answer to the next request."""
    release = threading.Event()

    def twice(served: Served, asked: ReceivedRequest) -> None:
        served.send(plain(asked.body))
        release.wait(PATIENCE)
        served.send(plain(b"stale"))

    with connected(twice) as (server, connections):
        assert connections.exchange(post(b"1"), PATIENCE).body == b"1"
        release.set()
        _until(connections._idle[0]._has_input)
        assert connections.exchange(post(b"2"), PATIENCE).body == b"2"
        assert server.connections == 2


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (plain(BODY, "Connection: keep-alive"), True),
        (plain(BODY, "connection: Close"), False),
        (plain(BODY, "Connection: keep-alive, close"), False),
        (plain(BODY, version="HTTP/1.0"), False),
        (plain(BODY, "Connection: Keep-Alive", version="HTTP/1.0"), True),
        (plain() + b"x", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
)
def test_a_connection_is_kept_where_both_sides_say_so(reply: bytes, kept: bool) -> None:
    """HTTP/1.1 keeps it unless it is to be closed, HTTP/1.0 only if asked to; one with bytes left over is not."""
    with connected(always(reply)) as (_, connections):
        connections.exchange(post(), PATIENCE)
        assert len(connections._idle) == kept


@pytest.mark.parametrize(("after", "alone"), [(b"", True), (b"\r\n", True), (b"x", False), (plain(), False)])
def test_a_reply_is_alone_unless_more_than_line_ends_follow(after: bytes, alone: bool) -> None:
    """What follows may be the true answer, and this one a late reply to an earlier request."""
    with connected(always(plain() + after)) as (_, connections):
        reply = connections.lease(post(), time.monotonic() + PATIENCE)
        assert (reply.body, reply.is_alone) == (BODY, alone)


def test_closing_closes_what_is_in_use_when_its_reply_is_there() -> None:
    """Nothing is kept any more, and what was under way still ends."""
    arrived, release = threading.Event(), threading.Event()

    def wait(served: Served, asked: ReceivedRequest) -> None:
        arrived.set()
        release.wait(PATIENCE)
        served.send(plain())

    with connected(wait) as (_, connections), ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(connections.exchange, post(), PATIENCE)
        assert arrived.wait(PATIENCE)
        connections.close()
        release.set()
        assert under_way.result(PATIENCE).body == BODY
        assert connections._idle == []


def test_many_threads_share_connections_and_never_an_answer() -> None:
    """Each thread gets the answer to what it asked, and there are never more connections than threads."""

    def echo(served: Served, asked: ReceivedRequest) -> None:
        served.send(plain(asked.body * 50))

    with connected(echo) as (server, connections), ThreadPoolExecutor(16) as pool:

        def ask(number: int) -> bool:
            body = f"<{number}>".encode()
            return connections.exchange(post(body), PATIENCE).body == body * 50

        assert all(pool.map(ask, range(800)))
        assert server.connections <= 16


# --- reading ----------------------------------------------------------------------------------------------

FORMS = {
    "plain": plain(),
    "lower case": plain().replace(b"Content-Length", b"content-length"),
    "upper case": plain().replace(b"Content-Length", b"CONTENT-LENGTH"),
    "no space": plain().replace(b": ", b":"),
    "no reason": plain(status="200"),
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + plain(),
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + plain(),
    "chunked": CHUNKED + b"5\r\n" + BODY[:5] + b"\r\n%X\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n",
    "chunked, with extensions and trailers": CHUNKED.replace(b": c", b": C")
    + b"%x;a=b\r\n" % len(BODY)
    + BODY
    + b"\r\n0;c\r\nX-After: 1\r\nX-More: 2\r\n\r\n",
    "gzip": plain(gzip.compress(BODY), "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("form", FORMS)
def test_replies_are_read_in_whatever_form(form: str) -> None:
    """Two replies over one connection, and the body is the same."""
    with connected(always(FORMS[form])) as (server, connections):
        for _ in range(2):
            reply = connections.exchange(post(), PATIENCE)
            assert (reply.status, reply.body) == (200, BODY)
            assert all(name == name.lower() for name in reply.headers)
        assert server.connections == 1


@pytest.mark.parametrize("form", FORMS)
def test_replies_that_arrive_byte_by_byte_are_read(form: str) -> None:
    """Where the network cuts a reply makes no difference."""

    def bytewise(served: Served, asked: ReceivedRequest) -> None:
        for position in range(len(FORMS[form])):
            served.send(FORMS[form][position : position + 1])

    with connected(bytewise) as (_, connections):
        assert connections.exchange(post(), PATIENCE).body == BODY


@pytest.mark.parametrize("form", FORMS)
def test_a_reply_cut_anywhere_is_lost(form: str) -> None:
    """A server that closes the connection after any byte but the last: never an answer."""
    lengths = iter(range(len(FORMS[form])))

    def cut(served: Served, asked: ReceivedRequest) -> None:
        served.send(FORMS[form][: next(lengths)])
        served.close()

    with connected(cut) as (_, connections):
        for _ in range(len(FORMS[form])):
            with pytest.raises(ReplyLost):
                connections.exchange(post(), PATIENCE)


def test_a_body_without_length_ends_with_the_connection() -> None:
    """As HTTP/1.0 servers answer; the connection is not used again."""

    def until_the_end(served: Served, asked: ReceivedRequest) -> None:
        served.send(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)
        served.close()

    with connected(until_the_end) as (server, connections):
        for _ in range(2):
            reply = connections.exchange(post(), PATIENCE)
            assert (reply.status, reply.headers, reply.body) == (200, {}, BODY)
        assert server.connections == 2


def until_the_end(served: Served, asked: ReceivedRequest) -> None:
    """Sends a body without length, as HTTP/1.0 servers do."""
    served.send(b"HTTP/1.1 200 OK\r\n\r\n" + LONG)
    served.close()


LIMITED: dict[str, Script] = {
    "length": always(plain(LONG)),
    "chunks": always(
        CHUNKED
        + b"%x\r\n" % len(BODY)
        + BODY
        + b"\r\n%x\r\n" % len(LONG[len(BODY) :])
        + LONG[len(BODY) :]
        + b"\r\n0\r\n\r\n"
    ),
    "compressed": always(plain(gzip.compress(LONG), "Content-Encoding: gzip")),
    "no length": until_the_end,
}


@pytest.mark.parametrize("form", LIMITED)
@pytest.mark.promise("X8")
def test_a_body_may_be_as_long_as_its_limit(form: str) -> None:
    """To the byte, in whatever form; a longer one is lost, and its connection is given up."""
    with connected(LIMITED[form]) as (_, connections):
        end_time = time.monotonic() + PATIENCE
        assert connections.lease(post(), end_time, len(LONG)).body == LONG
        with pytest.raises(ReplyLost, match=f"longer than the {len(LONG) - 1} bytes"):
            connections.lease(post(), end_time, len(LONG) - 1)
        assert connections._idle == []


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"HTTP/1.1 007 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0_2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        plain(gzip.compress(BODY)[:-1], "Content-Encoding: gzip"),
        plain(gzip.compress(BODY), "Content-Encoding: gzip", "x-amz-crc32: 1"),
        CHUNKED + b"-1\r\n\r\n",
        CHUNKED + b"2\r\n{}xx0\r\n\r\n",
        CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
        CHUNKED + b"1" * 70_000,
    ],
)
def test_what_is_no_reply_is_lost(reply: bytes) -> None:
    """Bytes that are not HTTP as it is defined are never guessed at, and the connection is given up."""
    with connected(always(reply)) as (_, connections):
        with pytest.raises(ReplyLost) as caught:
            connections.exchange(post(), 1)
        assert not isinstance(caught.value.__cause__, TimeoutError)
        assert connections._idle == []


# --- time -------------------------------------------------------------------------------------------------


def slowly(at_once: bytes, dripping: bytes = b"") -> Script:
    """Sends the beginning of a reply, and then nothing, or the same bytes one by one for ever."""

    def answer(served: Served, asked: ReceivedRequest) -> None:
        served.send(at_once)
        if dripping:
            served.drip(dripping)
        else:
            served.stall()

    return answer


SLOW = {
    "stalled": slowly(b""),
    "stalled in the head": slowly(plain()[:12]),
    "stalled in the body": slowly(plain()[:-3]),
    "stalled in a body without length": slowly(b"HTTP/1.1 200 OK\r\n\r\n" + BODY),
    "stalled in a chunk": slowly(CHUNKED + b"9\r\n{"),
    "dripping head": slowly(b"", b"HTTP/1.1 200 OK"),
    "dripping headers": slowly(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "dripping continues": slowly(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "dripping body": slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"{"),
    "dripping chunks": slowly(CHUNKED, b"1\r\n{\r\n"),
    "dripping body without length": slowly(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
}


@pytest.mark.parametrize("manner", SLOW)
def test_a_reply_that_does_not_come_ends_by_its_time(manner: str) -> None:
    """However a server delays, the exchange is over when its seconds are, and says that time was up."""
    with connected(SLOW[manner]) as (_, connections):
        with pytest.raises(ReplyLost) as caught:
            connections.exchange(post(), SHORT)
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert connections._idle == []


def test_a_server_that_says_nothing_is_given_up_before_the_time_is_over() -> None:
    """Patience with a silent server is shorter than a call may take."""
    with http_server(SLOW["stalled"]) as server:
        connections = Connections(HttpOrigin.of(server.url()), ssl.create_default_context, PATIENCE, SHORT)
        with pytest.raises(ReplyLost):
            connections.exchange(post(), 3600)


def test_a_server_that_does_not_read_ends_by_its_time() -> None:
    """A request too large for the buffers in between, which is never taken."""

    def never(served: Served, asked: ReceivedRequest) -> None:
        served.send(plain())

    with connected(never) as (server, connections):
        server.hold = True
        with pytest.raises(ReplyLost) as caught:
            connections.exchange(post(b"x" * 64_000_000), SHORT)
        assert isinstance(caught.value.__cause__, TimeoutError)


def test_without_time_nothing_is_connected() -> None:
    """Certainly nothing was sent."""
    with connected(always(plain())) as (server, connections):
        with pytest.raises(NotConnected):
            connections.exchange(post(), 0)
        assert server.asked == []


def test_what_certificates_raise_is_told_as_it_is() -> None:
    """An error of the application's own says nothing about the server."""

    def broken() -> ssl.SSLContext:
        raise LookupError("no certificates are configured")

    with http_server(always(plain())) as server:
        origin = HttpOrigin.of(server.url().replace("http:", "https:"))
        connections = Connections(origin, broken, PATIENCE, PATIENCE)
        with pytest.raises(LookupError, match="no certificates are configured"):
            connections.exchange(post(), PATIENCE)
        connections.close()


def test_a_refused_connection_sends_nothing() -> None:
    """Nobody is there: the cause says so."""
    with connected(always(plain())) as (server, connections):
        server.close()
        with pytest.raises(NotConnected) as caught:
            connections.exchange(post(), PATIENCE)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)


# --- TLS --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_a_server_that_is_trusted_is_spoken_to(authority: Authority) -> None:
    """Encrypted, over one connection for many requests, also past session tickets."""
    tls = authority.server("localhost")
    trusted = lambda: ssl.create_default_context(cafile=authority.file)
    with connected(always(plain()), tls, trusted, "localhost") as (server, connections):
        for _ in range(10):
            assert connections.exchange(post(), PATIENCE).body == BODY
        assert server.connections == 1
        server.drop_connections()
        assert connections.exchange(post(), PATIENCE).body == BODY


@pytest.mark.parametrize("fault", ["unknown authority", "other host", "not encrypted"])
def test_a_server_that_is_not_trusted_is_told_nothing(
    authority: Authority, tmp_path: Path, fault: str
) -> None:
    """An authority nobody knows, a certificate of another host, or no encryption at all: nothing is sent."""
    file = Authority(tmp_path).file if fault == "unknown authority" else authority.file
    tls = authority.server("elsewhere.example" if fault == "other host" else "localhost")
    with connected(
        always(plain()),
        None if fault == "not encrypted" else tls,
        lambda: ssl.create_default_context(cafile=file),
        "localhost",
    ) as (server, connections):
        secure = Connections(
            connections.origin._replace(tls=True), lambda: ssl.create_default_context(cafile=file), 0.5, 0.5
        )
        with pytest.raises(NotConnected) as caught:
            secure.exchange(post(), 0.5)
        assert isinstance(caught.value.__cause__, (ssl.SSLError, TimeoutError))
        assert server.asked == []


def test_without_a_file_the_certificates_of_the_system_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no certifi either."""
    monkeypatch.setattr(tls, "usual_certificates", lambda: None)
    context = tls.trusted_context(None)
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname


def test_a_handshake_that_stalls_ends_by_its_time() -> None:
    """A server that accepts the connection and never answers the greeting."""
    with connected(lambda served, asked: served.stall()) as (_, connections):
        secure = Connections(
            connections.origin._replace(tls=True), ssl.create_default_context, PATIENCE, PATIENCE
        )
        with pytest.raises(NotConnected) as caught:
            secure.exchange(post(), SHORT)
        assert isinstance(caught.value.__cause__, TimeoutError)


# --- where ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://dynamodb.eu-west-1.amazonaws.com/", ("dynamodb.eu-west-1.amazonaws.com", 443, True)),
        ("http://localhost:8000/", ("localhost", 8000, False)),
        ("http://localhost/", ("localhost", 80, False)),
        ("http://[::1]:8000/", ("::1", 8000, False)),
    ],
)
def test_origins_are_read_from_urls_and_say_the_same(url: str, origin: tuple[str, int, bool]) -> None:
    """Host, port and encryption; the URL of the root comes out again."""
    read = HttpOrigin.of(url)
    assert (read[:3], read.url) == (origin, url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "HTTPS://Dynamodb.EU-west-1.amazonaws.com:443/",
        "http://localhost:8000/some/path?a=http://b:1/",
        "http://127.0.0.1:65535?a=1",
        "http://[FE80::1]#part",
        "http://user:pass@host:80/",
        "http://bücher.example:8000/",
        "http://local_host:/",
    ],
)
def test_origins_have_the_host_and_the_port_that_urllib_reads(url: str) -> None:
    parts, origin = urlsplit(url), HttpOrigin.of(url)
    standard = 443 if parts.scheme == "https" else 80
    assert origin[:3] == (parts.hostname, parts.port or standard, parts.scheme == "https")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://localhost/",
        "http:///path",
        "http://[::1/",
        "http://::1/",
        "http://host:0/",
        "http://host:65536/",
        "http://host:8o/",
        "http://host:８０/",  # digits, but not of ASCII
    ],
)
def test_what_has_no_origin_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(Invalid endpoint|Port )"):
        HttpOrigin.of(url)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_process_leaves_the_connections_of_its_parent_alone() -> None:
    """What a child drops stays open for the parent."""
    with connected(always(plain())) as (server, connections):
        connections.exchange(post(), PATIENCE)
        child = os.fork()
        if child == 0:
            connections._idle.clear()
            os._exit(0)
        os.waitpid(child, 0)
        assert connections.exchange(post(), PATIENCE).body == BODY
        assert server.connections == 1


def test_nothing_is_sent_if_no_time_is_left() -> None:
    """Half a request would leave a write with an unknown outcome. The connection stays."""
    with connected(always(plain())) as (server, connections):
        connections.exchange(post(), PATIENCE)
        assert connections.start(post(number=1), time.monotonic() - 1) is None
        assert connections.idle_count == 1
        assert connections.exchange(post(number=2), PATIENCE).status == 200
        assert len(server.asked) == 2
