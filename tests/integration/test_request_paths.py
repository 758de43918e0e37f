"""By which way requests go: straight to the socket where nobody listens, and through botocore where somebody does."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import botocore.endpoint
import pytest
from botocore.awsrequest import AWSHTTPConnectionPool, AWSResponse
from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError, SSLError
from botocore.stub import Stubber
from hypothesis import given, settings, strategies as st
from moto import mock_aws

from dynamo_bao import (
    BaoError,
    ConditionalError,
    ConfigurationError,
    Manager,
    ServiceError,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.transport.botocore import BotocoreSender, ClientHandle
from dynamo_bao.dynamodb.transport.direct import DirectSender
from dynamo_bao.dynamodb.transport.factory import given_transport
from dynamo_bao.dynamodb.transport.messages import AttemptFailed, Request, RequestOutcome
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from dynamo_bao.dynamodb.transport.static_endpoint import endpoint_from_environment
from dynamo_bao.testing import boto_transport
from tests.support import models, paths
from tests.support.authorities import Authority
from tests.support.dynamo_server import (
    ITEM,
    KEY,
    KEYS,
    again,
    always,
    answer,
    lean_wire,
    refusal,
    reply,
    way_of,
)
from tests.support.http_server import HttpServer, ReceivedRequest, Script, Served, http_server
from tests.support.models import Org
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.skipif(paths.chosen() != "lean", reason="this is about the lean way")
GET = Request("GetItem", {"TableName": "t", "Key": KEY})
PUT = Request("PutItem", {"TableName": "t", "Item": ITEM})


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the environment, and nobody who listens to all of boto3 because some test has imported him."""
    monkeypatch.setattr(botocore, "_INITIALIZERS", [])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server(answer) as server:
        yield server


@pytest.fixture
def manager(server: HttpServer) -> Iterator[Manager]:
    """Connected to the server, and past the request from which the way is learned."""
    with init_models(models=models.ALL, endpoint_url=server.url()) as manager:
        assert ways(server, 2) == ["botocore", "lean"]
        yield manager


def ways(server: HttpServer, count: int = 1) -> list[str]:
    """Looks up an item so many times; by which way each request came."""
    before = len(server.asked)
    for _ in range(count):
        assert Org.find("acme").name == "Acme"
    return [way_of(asked) for asked in server.asked[before:]]


@contextmanager
def no_network() -> Iterator[None]:
    """Within, connecting to anything fails the test."""

    def refuse(*_: object) -> None:
        raise AssertionError("a socket was connected")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        yield


# --- who listens ------------------------------------------------------------------------------------------


def test_under_mock_aws_no_socket_is_opened() -> None:
    """moto's decorator is all that a test needs: everything works, and nothing leaves the process."""
    with mock_aws(), no_network(), init_models(models=models.ALL) as manager:
        manager.create_table()
        Org.create(org_id="acme", name="Acme")
        with run_with_batch_context():
            orgs = [Org.find("acme"), Org.find("none")]
            assert [org.exists() for org in orgs] == [True, False]
        org = Org.find("acme")
        org.name = "New"
        org.save()
        assert boto3.client("dynamodb").scan(TableName=manager.table_name)["Items"][0]["name"] == {"S": "New"}
        with pytest.raises(ConditionalError):
            Org.create(org_id="acme", name="Other")
        org.delete()
        assert not Org.find("acme").exists()


def test_mock_aws_that_begins_again_is_seen() -> None:
    """A manager that outlives one use of moto sends to the next one, and not a byte to AWS."""
    with no_network(), init_models(models=models.ALL) as manager:
        for _ in range(2):
            with mock_aws():
                manager.create_table()
                assert not Org.find("acme").exists()
                Org.create(org_id="acme", name="Acme")


def test_a_stubber_answers(manager: Manager, server: HttpServer) -> None:
    """botocore's Stubber on the manager's client, as long as it is active."""
    with Stubber(manager.client) as stubber:
        stubber.add_response("get_item", {"Item": {**ITEM, "name": {"S": "Stub"}}})
        stubber.add_client_error("get_item", "AccessDeniedException")
        assert Org.find("acme").name == "Stub"
        with pytest.raises(ServiceError, match="AccessDenied"):
            Org.find("acme")
    assert ways(server) == ["lean"]


EVENTS = (
    "provide-client-params",
    "before-parameter-build",
    "before-call",
    "request-created",
    "choose-signer",
    "before-sign",
    "before-send",
    "response-received",
    "before-parse",
    "needs-retry",
    "after-call",
)


@pytest.mark.parametrize("scope", ["", ".dynamodb", ".dynamodb.GetItem", ".*.GetItem"])
def test_handlers_are_called_whenever_they_are_registered(
    manager: Manager, server: HttpServer, scope: str
) -> None:
    """For every service, for DynamoDB or for one operation; from the next request on, until they are taken away."""
    called = []

    def handler(event_name: str, **_: object) -> None:
        called.append(event_name)

    for event in EVENTS:
        called.clear()
        given = partial(handler) if event == EVENTS[0] else handler
        manager.client.meta.events.register(event + scope, given)
        assert ways(server, 2) == ["lean" if event == "before-send" else "botocore"] * 2
        assert called == [f"{event}.dynamodb.GetItem"] * 2
        manager.client.meta.events.unregister(event + scope, given)
        assert ways(server) == ["lean"]
        assert len(called) == 2


def test_handlers_of_another_operation_change_nothing(manager: Manager, server: HttpServer) -> None:
    """Whoever listens for writes does not slow down lookups."""
    manager.client.meta.events.register("before-sign.dynamodb.PutItem", lambda **_: None)
    assert ways(server) == ["lean"]
    Org.create(org_id="new", name="New")
    assert [way_of(asked) for asked in server.asked if asked.operation == "PutItem"] == ["botocore"]


def test_handlers_of_before_send_change_and_answer(manager: Manager, server: HttpServer) -> None:
    """A header that they add is sent, and a reply that they give is taken, without botocore's machinery."""

    def mark(request: Any, **_: object) -> None:
        request.headers["X-Trace"] = "1"

    manager.client.meta.events.register("before-send.dynamodb", mark)
    assert ways(server) == ["lean"]
    assert server.asked[-1].header("X-Trace") == "1"

    def give(request: Any, **_: object) -> AWSResponse:
        body = json.dumps({"Item": {**ITEM, "name": {"S": request.headers["X-Trace"]}}}).encode()
        raw: Any = _Raw(body)
        return AWSResponse(request.url, 200, {"Content-Type": "x"}, raw)

    manager.client.meta.events.register("before-send.dynamodb", give)
    with no_network():
        assert Org.find("acme").name == "1"


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body


def test_handlers_of_before_send_may_send_elsewhere(manager: Manager, server: HttpServer) -> None:
    """To another server and path; its connections are kept, but not across a fork."""
    with http_server(answer) as other:

        def redirect(request: Any, **_: object) -> None:
            request.url = f"{other.url()}/there?a=b"

        manager.client.meta.events.register("before-send.dynamodb", redirect)
        assert ways(other, 3) == ["lean"] * 3
        assert other.asked[-1].head[0] == "POST /there?a=b HTTP/1.1"
        assert other.asked[-1].header("Host") == f"127.0.0.1:{other.port}"
        assert other.connections == 1
        if hasattr(os, "fork"):
            child = os.fork()
            if child == 0:
                found = Org.find("acme").name  # a new client is made, and shows the way
                manager.client.meta.events.register("before-send.dynamodb", redirect)
                os._exit(0 if found == Org.find("acme").name == "Acme" else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert ways(other) == ["lean"]
            assert {asked.connection for asked in other.asked} == {1, 2}
            assert other.asked[-1].connection == 1


class _Wrapper:
    """A wrapper as wrapt makes them: a descriptor that says it equals what it wraps."""

    def __init__(self, wrapped: Any, calls: list[str]) -> None:
        self.__wrapped__ = wrapped
        self._calls = calls
        self.__module__ = wrapped.__module__

    def __get__(self, instance: Any, owner: Any = None) -> _Wrapper:
        return _Wrapper(self.__wrapped__.__get__(instance, owner), self._calls)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self._calls.append(self.__wrapped__.__name__)
        return self.__wrapped__(*arguments, **options)

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == other)

    def __hash__(self) -> int:
        return hash(self.__wrapped__)


WRAPPED = [
    (botocore.client.BaseClient, "_make_api_call"),
    (botocore.client.BaseClient, "_make_request"),
    (botocore.endpoint.Endpoint, "make_request"),
    (botocore.endpoint.Endpoint, "prepare_request"),
]


@pytest.mark.parametrize(("owner", "name"), WRAPPED)
def test_wrappers_of_tracers_are_called(
    manager: Manager, server: HttpServer, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    """As X-Ray and OpenTelemetry put them around botocore's functions, also while requests are under way."""
    calls: list[str] = []
    assert ways(server) == ["lean"]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, _Wrapper(owner.__dict__[name], calls))
        assert ways(server, 2) == ["botocore", "botocore"]
        assert calls == [name, name]
    assert ways(server) == ["lean"]


def test_wrappers_that_are_there_from_the_beginning_are_called(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracer that is set up before the first request sees all of them."""
    calls: list[str] = []
    owner, name = WRAPPED[0]
    monkeypatch.setattr(owner, name, _Wrapper(owner.__dict__[name], calls))
    with init_models(models=models.ALL, endpoint_url=server.url()):
        assert ways(server, 3) == ["botocore"] * 3
    assert calls == [name] * 3


@pytest.mark.parametrize("name", ["get_item", "_make_api_call", "_make_request"])
def test_functions_replaced_on_the_client_are_called(manager: Manager, server: HttpServer, name: str) -> None:
    """As tests do it that replace one function of one client."""
    calls: list[str] = []
    setattr(manager.client, name, _Wrapper(getattr(manager.client, name), calls))
    assert ways(server) == ["botocore"]
    assert len(calls) == 1
    delattr(manager.client, name)
    assert ways(server) == ["lean"]


def test_recorders_of_http_are_called(
    manager: Manager, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As recorders do it that put connections of their own in the place of botocore's."""

    class Recorded(AWSHTTPConnectionPool.ConnectionCls):  # type: ignore[name-defined,misc]
        pass

    monkeypatch.setattr(AWSHTTPConnectionPool, "ConnectionCls", Recorded)
    assert ways(server) == ["botocore"]


# --- settings ---------------------------------------------------------------------------------------------


def test_a_client_that_is_given_sends_everything(server: HttpServer) -> None:
    """It is the user's own, with whatever was done to it."""
    client = boto3.client("dynamodb", endpoint_url=server.url())
    with init_models(models=models.ALL, client=client):
        assert ways(server, 3) == ["botocore"] * 3
    client.close()


def test_the_way_can_be_chosen(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """``DYNAMO_BAO_REQUEST_PATH=botocore`` sends everything through boto3; other words are refused with a hint."""
    monkeypatch.setenv("DYNAMO_BAO_REQUEST_PATH", "botocore")
    with init_models(models=models.ALL, endpoint_url=server.url()):
        assert ways(server, 3) == ["botocore"] * 3
    monkeypatch.setenv("DYNAMO_BAO_REQUEST_PATH", "leen")
    with pytest.raises(ConfigurationError, match=r"request_path .*'leen'.*lean"):
        init_models(models=models.ALL, endpoint_url=server.url())


def test_an_endpoint_from_the_environment_is_used(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``AWS_ENDPOINT_URL_DYNAMODB``, as boto3 reads it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url())
    with init_models(models=models.ALL):
        assert ways(server, 3) == ["botocore", "lean", "lean"]


def test_compressed_replies_are_read_by_either_way(server: HttpServer) -> None:
    """Of a server that compresses without being asked; length and checksum are those of what it sends."""
    body = gzip.compress(json.dumps({"Item": ITEM}).encode())
    server.script = always(reply(body, "200 OK", "Content-Encoding: gzip"))
    with init_models(models=models.ALL, endpoint_url=server.url()):
        assert ways(server, 3) == ["botocore", "lean", "lean"]
    server.script = always(
        reply(body[:-9] + bytes([body[-9] ^ 1]) + body[-8:], "200 OK", "Content-Encoding: gzip")
    )
    for wire in (lean_wire(server.url()), boto_transport(endpoint_url=server.url()).wire):
        with pytest.raises(AttemptFailed):
            wire.attempt(GET, PATIENCE)
        wire.close()


def test_requests_through_a_proxy_go_through_botocore(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy is asked for the whole URL; hosts that are excepted are reached without it."""
    monkeypatch.setenv("HTTP_PROXY", server.url())
    monkeypatch.setenv("http_proxy", server.url())
    with init_models(models=models.ALL, endpoint_url="http://dynamo.example:8000"):
        assert ways(server, 3) == ["botocore"] * 3
    assert server.asked[-1].head[0] == "POST http://dynamo.example:8000/ HTTP/1.1"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with init_models(models=models.ALL, endpoint_url=server.url()):
        assert ways(server, 2) == ["botocore", "lean"]
    assert server.asked[-1].head[0] == "POST / HTTP/1.1"


def test_requests_through_a_proxy_need_no_further_thread(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None can be started while the interpreter ends, or if the system has no more of them."""
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if thread.name.startswith("dynamo_bao"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    monkeypatch.setenv("HTTP_PROXY", server.url())
    monkeypatch.setenv("http_proxy", server.url())
    with init_models(models=models.ALL, endpoint_url="http://dynamo.example:8000"):
        assert ways(server, 1) == ["botocore"]


ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/t"


def test_a_table_named_by_its_arn_goes_through_botocore(server: HttpServer) -> None:
    """Its account may have an endpoint of its own, from which nothing is learned for other tables."""
    with init_models(models=models.ALL, table_name=ARN, endpoint_url=server.url()):
        assert ways(server, 3) == ["botocore"] * 3


def test_a_call_of_the_program_and_an_arn_tell_nothing_of_the_endpoint(server: HttpServer) -> None:
    """The first request of this library for a table by its name does."""
    sender = BotocoreSender(lambda: ClientHandle(boto3.client("dynamodb", endpoint_url=server.url())))
    sender.client.get_item(TableName="t", Key={"_pk": {"S": "o#acme"}, "_sk": {"S": "o"}})
    sender.attempt(Request("GetItem", {**GET.written, "TableName": ARN}), PATIENCE)
    assert sender.resolved_endpoint is None
    sender.attempt(GET, PATIENCE)
    assert sender.resolved_endpoint is not None and sender.resolved_endpoint.url == f"{server.url()}/"
    sender.close()


@pytest.mark.parametrize(
    "request_",
    [
        Request("Scan", {"TableName": ARN}),
        Request("BatchGetItem", {"RequestItems": {"t": {}, ARN: {}}}),
        Request(
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "t"}}, {"Put": {"TableName": ARN}}]},
        ),
    ],
    ids=lambda request: request.operation,
)
def test_one_arn_among_other_tables_is_enough(server: HttpServer, request_: Request) -> None:
    """A batch or transaction that names one goes through botocore as a whole."""
    wire = lean_wire(server.url())
    wire.attempt(GET, PATIENCE)
    with pytest.raises(AssertionError, match="a client was made"):
        wire.attempt(request_, PATIENCE)
    wire.close()


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_the_certificates_that_are_configured_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """By both ways, and no others: an unknown server gets nothing, once."""
    authority = Authority(tmp_path)
    with http_server(answer, authority.server("localhost")) as server:
        monkeypatch.setenv(variable, authority.file)
        with init_models(models=models.ALL, endpoint_url=server.url("localhost")):
            assert ways(server, 3) == ["botocore", "lean", "lean"]
        for wire in (
            lean_wire(server.url("localhost")),
            lean_wire(server.url("127.0.0.1"), ca_bundle=authority.file),
        ):
            with pytest.raises(SSLError):
                wire.attempt(GET, PATIENCE)
        assert len(server.asked) == 3


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """With the file, and how to set another; nobody is connected to."""
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("missing.pem", "empty.pem"):
        wire = lean_wire("https://localhost:1", ca_bundle=str(tmp_path / name))
        with pytest.raises(ConfigurationError, match=rf"{name}.*AWS_CA_BUNDLE"):
            wire.attempt(GET, PATIENCE)


# --- credentials and clocks -------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a program that botocore asks for credentials; there are no others."""
    program, config = tmp_path / "credentials.py", tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {sys.executable} -S {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return program


def test_credentials_that_rotate_sign_with_the_new_ones(
    server: HttpServer, tmp_path: Path, program: Path
) -> None:
    """Credentials that end soon are asked for again before each request, by either way."""
    counter = tmp_path / "counter"
    program.write_text(
        "import json, pathlib, sys, datetime\n"
        f"counter = pathlib.Path({str(counter)!r})\n"
        "number = int(counter.read_text()) + 1 if counter.exists() else 1\n"
        "counter.write_text(str(number))\n"
        "soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=300)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{number}', 'SecretAccessKey': 's',\n"
        "    'SessionToken': f'TOKEN{number}', 'Expiration': soon.isoformat()}))\n"
    )
    with init_models(models=models.ALL, endpoint_url=server.url()):
        assert ways(server, 4) == ["botocore", "lean", "lean", "lean"]
    seen = [(asked.header("Authorization") or "").split("/")[0].split("=")[1] for asked in server.asked]
    assert seen[1:] == [f"KEY{int(seen[0][3:]) + number}" for number in (1, 2, 3)]
    assert [asked.header("X-Amz-Security-Token") for asked in server.asked] == [
        key.replace("KEY", "TOKEN") for key in seen
    ]


@pytest.mark.parametrize("way", ["lean", "botocore"])
def test_the_first_fetch_of_credentials_does_not_count(server: HttpServer, way: str) -> None:
    """Their source has its own time limits: a call has all of its time afterwards, by either way."""
    client = boto3.client("dynamodb", endpoint_url=server.url())
    boto = BotocoreSender(lambda: ClientHandle(client, lambda: KEYS, fetching=PATIENCE))
    wire = boto if way == "botocore" else DirectSender(boto)
    assert wire.attempt(GET, 0.0)["Item"]
    wire.close()


def test_without_credentials_nothing_is_sent(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's own error, each time."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with init_models(models=models.ALL, endpoint_url=server.url()):
        for _ in range(2):
            with pytest.raises(NoCredentialsError):
                Org.find("acme")
    assert server.asked == []


def test_credentials_that_cannot_be_renewed_are_told(server: HttpServer, program: Path) -> None:
    """The program that gives them fails after the first requests; nothing is sent unsigned."""
    program.write_text(
        "import json, datetime\n"
        "soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=300)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': 'KEY', 'SecretAccessKey': 's', 'SessionToken': 't',\n"
        "    'Expiration': soon.isoformat()}))\n"
    )
    with init_models(models=models.ALL, endpoint_url=server.url()):
        assert ways(server, 2) == ["botocore", "lean"]
        program.write_text("raise SystemExit('the token has expired')")
        sent_count = len(server.asked)
        with pytest.raises(CredentialRetrievalError, match="the token has expired") as caught:
            Org.find_or_none("acme")
        assert isinstance(caught.value, BaoError)
        assert len(server.asked) == sent_count


def strict_about_time(served: Served, asked: ReceivedRequest) -> None:
    """Refuses signatures that are more than five minutes old, or to come."""
    signed = parsedate_to_datetime(_as_date(asked.header("X-Amz-Date") or "")).timestamp()
    if abs(signed - time.time()) < 300:
        served.send(reply({"Item": ITEM}))
    else:
        served.send(refusal("InvalidSignatureException", "Signature expired: …"))


def _as_date(stamp: str) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.strptime(stamp, "%Y%m%dT%H%M%SZ"))


@pytest.mark.parametrize("hours", [-26, 2])
def test_a_clock_that_is_wrong_is_corrected_once(hours: int) -> None:
    """The first request is signed again by the server's time, and all others are right at once."""
    with http_server(strict_about_time) as server:
        wire = lean_wire(server.url(), clock=lambda: time.time() + hours * 3600)
        for _ in range(3):
            assert wire.attempt(GET, PATIENCE)["Item"] == ITEM
        assert len(server.asked) == 4
        wire.close()


def test_a_clock_that_is_wrong_is_corrected_for_all_threads() -> None:
    """Requests that were under way together are all signed again, and none is told of it."""
    together = threading.Barrier(4)

    def wait(served: Served, asked: ReceivedRequest) -> None:
        if asked in server.asked[:4]:
            together.wait(PATIENCE)
        strict_about_time(served, asked)

    with http_server(wait) as server, ThreadPoolExecutor(4) as pool:
        wire = lean_wire(server.url(), clock=lambda: time.time() + 7200)
        assert [body["Item"] for body in pool.map(lambda _: wire.attempt(GET, PATIENCE), range(4))] == [
            ITEM
        ] * 4
        assert len(server.asked) == 8
        wire.close()


def test_a_signature_that_is_wrong_is_told() -> None:
    """Where the clocks agree the credentials are to blame, and nothing is sent again."""
    with http_server(always(refusal("InvalidSignatureException", "does not match"))) as server:
        wire = lean_wire(server.url())
        with pytest.raises(ServiceError, match="InvalidSignature"):
            wire.attempt(GET, PATIENCE)
        assert len(server.asked) == 1
        wire.close()


@pytest.mark.parametrize(
    "date", ["today", "Tue, 99 Jan 2030 00:00:00 GMT", f"1 Jan 2030 {'9' * 20}:00:00 GMT"]
)
def test_an_unreadable_date_header_corrects_no_clock(date: str) -> None:
    """The request is not sent again, and its error is that of the refused signature."""
    refused = refusal("InvalidSignatureException", "does not match")
    undated = b"\r\n".join(line for line in refused.split(b"\r\n") if not line.startswith(b"Date:"))
    with http_server(always(undated.replace(b"\r\n", f"\r\nDate: {date}\r\n".encode(), 1))) as server:
        wire = lean_wire(server.url())
        with pytest.raises(ServiceError, match="InvalidSignature"):
            wire.attempt(GET, PATIENCE)
        assert len(server.asked) == 1
        wire.close()


@pytest.mark.parametrize(
    ("code", "requests"),
    [
        *(
            (code, 2)
            for code in (
                "InvalidSignatureException",
                "RequestExpired",
                "RequestTimeTooSkewed",
                "SignatureDoesNotMatch",
            )
        ),
        *(
            (code, 1)
            for code in ("ValidationException", "AccessDeniedException", "ResourceNotFoundException")
        ),
    ],
)
def test_only_what_a_clock_can_cause_is_signed_again(code: str, requests: int) -> None:
    """A reply whose date is hours away is no reason to repeat a request that was refused for another one."""
    with http_server(always(refusal(code, "no", date=time.time() + 7200))) as server:
        wire = lean_wire(server.url())
        with pytest.raises(BaoError):
            wire.attempt(GET, PATIENCE)
        assert len(server.asked) == requests
        wire.close()


@pytest.mark.parametrize(
    ("seconds", "requests"), [(239, 1), (240, 2), (-239, 1), (-240, 2)], ids=lambda value: str(value)
)
def test_clocks_that_differ_by_four_minutes_are_to_blame(seconds: int, requests: int) -> None:
    """From there on; DynamoDB allows five."""
    now = 1_700_000_000.0
    with http_server(always(refusal("InvalidSignatureException", date=now + seconds))) as server:
        wire = lean_wire(server.url(), clock=lambda: now)
        with pytest.raises(ServiceError, match="InvalidSignature"):
            wire.attempt(GET, PATIENCE)
        assert len(server.asked) == requests
        wire.close()


# --- errors -----------------------------------------------------------------------------------------------


def test_the_cause_of_an_error_is_botocores(manager: Manager, server: HttpServer) -> None:
    """With a client it is of the client's own class, which ``except client.exceptions…`` catches."""
    item = {**KEY, "name": {"B": "AQI="}}
    server.script = always(
        refusal("ConditionalCheckFailedException", "The conditional request failed", Item=item)
    )
    with pytest.raises(ConditionalError) as caught:
        Org.create(org_id="acme", name="Acme")
    cause = _client_error(caught.value)
    assert isinstance(cause, manager.client.exceptions.ConditionalCheckFailedException)
    assert cause.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert cause.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert cause.response["ResponseMetadata"]["RequestId"].isdigit()
    assert cause.response["Item"] == {**KEY, "name": {"B": b"\1\2"}}


def _client_error(error: BaseException | None) -> Any:
    while error is not None and not isinstance(error, ClientError):
        error = error.__cause__ or error.__context__
    return error


def test_the_cause_is_botocores_without_a_client() -> None:
    """Nothing but its class of errors is needed for that; throttling is told apart, and so are replies of no JSON."""
    replies = [
        refusal("ConditionalCheckFailedException"),
        refusal("ThrottlingException"),
        reply(b"<html>", "503 Slow"),
        reply(b"<html>", "403 Forbidden"),
        reply({"message": "m"}, "400 Bad", "x-amzn-ErrorType: ValidationException:http://x"),
    ]
    told = iter(replies)
    with http_server(lambda served, asked: served.send(next(told))) as server:
        wire = lean_wire(server.url())
        errors = []
        for _ in replies:
            with pytest.raises(Exception) as caught:  # several classes, looked at below
                wire.attempt(PUT, PATIENCE)
            errors.append(caught.value)
        wire.close()
    causes = [_client_error(error) for error in errors]
    assert [cause.response["Error"]["Code"] for cause in causes] == [
        "ConditionalCheckFailedException",
        "ThrottlingException",
        "503",
        "403",
        "ValidationException",
    ]
    failed = [error.outcome if isinstance(error, AttemptFailed) else None for error in errors]
    assert failed == [None, RequestOutcome.REFUSED, RequestOutcome.UNKNOWN, None, None]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_wrong_byte_anywhere_is_never_believed(data: st.DataObject) -> None:
    """Whatever byte of a reply arrives as another, in head or body: the right item or an error, never another."""
    position = data.draw(st.integers(0, len(WHOLE) - 1))
    whole = again(WHOLE)
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[position]))
    sent.data = whole[:position] + bytes([byte]) + whole[position + 1 :]
    result = None
    with contextlib.suppress(AttemptFailed, ServiceError):
        result = sent.wire.attempt(GET, 1)
    in_body = position >= len(WHOLE) - len(json.dumps({"Item": ITEM}))  # where the CRC tells any change
    assert result is None if in_body else result in (None, {"Item": ITEM})


WHOLE = reply({"Item": ITEM}, "200 OK", "Connection: close", date=0)


class _Sent:
    """What the server of the test above sends, and the wire to it."""

    data = WHOLE
    wire: Any


sent = _Sent()


@pytest.fixture(autouse=True, scope="module")
def _damaged() -> Iterator[None]:
    def damaged(served: Served, asked: ReceivedRequest) -> None:
        served.send(sent.data)
        served.close()

    with http_server(damaged) as server:
        sent.wire = lean_wire(server.url())
        yield
        sent.wire.close()


# --- time -------------------------------------------------------------------------------------------------


def slowly(at_once: bytes, dripping: bytes = b"") -> Script:
    """Sends the beginning of a reply, and then nothing, or the same bytes one by one for ever."""

    def answer(served: Served, asked: ReceivedRequest) -> None:
        served.send(again(at_once))
        if dripping:
            served.drip(dripping)
        else:
            served.stall()

    return answer


def closing(served: Served, asked: ReceivedRequest) -> None:
    """Hangs up."""
    served.close()


def refusing_then_stalling(served: Served, asked: ReceivedRequest) -> None:
    """Blames the clock of the first request on a connection, and says nothing to the next."""
    if served.refused:
        served.stall()
    served.refused = True
    served.send(refusal("InvalidSignatureException", date=0.0))


LATE: dict[str, Script] = {
    "stalled": slowly(b""),
    "stalled in the middle": slowly(WHOLE[:-5]),
    "dripping": slowly(b"", WHOLE),
    "dripping for ever": slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "hanging up": closing,
    "throttling": always(refusal("ThrottlingException")),
    "unavailable": always(reply(b"", "503 Service Unavailable")),
    "wrong about the time": always(refusal("InvalidSignatureException", date=0.0)),
    "wrong about the time, then stalled": refusing_then_stalling,
}
DEADLINE = 0.3


def _by_botocore(url: str) -> Any:
    return boto_transport(endpoint_url=url, request_path="botocore")


def _by_a_client_that_is_given(url: str) -> Any:
    return given_transport(boto3.client("dynamodb", endpoint_url=url))


def _by_a_client_that_is_unusual(url: str) -> Any:
    """Its own HTTP session sends, in a thread that is given up."""
    transport = given_transport(boto3.client("dynamodb", endpoint_url=url))
    session = transport.wire.client._endpoint.http_session.original
    session.send = session.send  # as a recorder replaces it
    return transport


WAYS: dict[str, Any] = {
    "direct": lambda url: RetryingTransport(lean_wire(url)),
    "botocore": _by_botocore,
    "given client": _by_a_client_that_is_given,
    "unusual client": _by_a_client_that_is_unusual,
}


@pytest.mark.parametrize("first", [True, False], ids=["at the first request", "later"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.promise("S12")
def test_every_call_ends_by_its_deadline(request: pytest.FixtureRequest, way: str, first: bool) -> None:
    """A server that stalls, drips, refuses or fails for ever: reads and writes end when they have to.

    The servers are waited for at the same time, except where the time is measured.
    """
    exact, manners = request.config.getoption("--promises"), [*LATE, "refusing"]
    with ThreadPoolExecutor(1 if exact else len(manners)) as pool:
        ended = [pool.submit(ends_by_its_deadline, manner, way, first, exact) for manner in manners]
    for outcome in ended:
        outcome.result()


def ends_by_its_deadline(manner: str, way: str, first: bool, exact: bool) -> None:
    """A read and a write, one after the other, of a server of its own."""
    deadline = 1.0 if exact else DEADLINE
    with http_server(answer) as server:
        transport = WAYS[way](server.url())
        if not first:
            transport.send(GET, deadline=transport.clock.now() + 30)
        if manner == "refusing":
            server.close()
        else:
            server.script = LATE[manner]
        for request_ in (GET, PUT):
            begun = transport.clock.now()
            with pytest.raises(Exception) as caught:  # what it is depends on the server
                transport.send(request_, deadline=begun + deadline)
            assert not isinstance(caught.value, AssertionError)
            took = transport.clock.now() - begun
            print(
                f"S12: {way}: {manner}: {request_.operation} ended {took - deadline:+.4f} s from its deadline"
            )
            # Elsewhere than where promises are measured the machine may be busy.
            assert took < (deadline + 0.5 if exact else PATIENCE / 2)
        transport.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.promise("S12")
def test_a_server_that_reads_slowly_is_given_up(request: pytest.FixtureRequest, way: str) -> None:
    """A request that is taken a little at a time, or never: the budget holds while sending too."""
    exact = request.config.getoption("--promises")
    deadline = 1.0 if exact else DEADLINE
    large = Request("PutItem", {"TableName": "t", "Item": {**ITEM, "name": {"S": "x" * 30_000_000}}})
    with http_server(answer) as server:
        server.hold = True
        transport = WAYS[way](server.url())
        begun = transport.clock.now()
        with pytest.raises(Exception):  # noqa: B017  # of several classes
            transport.send(large, deadline=begun + deadline)
        took = transport.clock.now() - begun
        print(f"S12: {way}: a server that does not read: ended {took - deadline:+.4f} s from its deadline")
        assert took < (deadline + 1.0 if exact else PATIENCE / 2)
        transport.close()


# --- beginning and ending ---------------------------------------------------------------------------------


def test_a_wire_that_was_closed_begins_anew(server: HttpServer) -> None:
    """Closing gives connections back, twice does no harm, and the next request connects again."""
    wire = lean_wire(server.url())
    for number in (1, 2):
        assert wire.attempt(GET, PATIENCE) == wire.attempt(GET, PATIENCE) == {"Item": ITEM}
        wire.close()
        wire.close()
        assert server.connections == number


def test_threads_that_begin_together_share_connections(server: HttpServer) -> None:
    """Whoever finds the way first has found it for all: what is open afterwards is closed at the end."""
    wire, together, made = lean_wire(server.url()), threading.Barrier(4), []
    make = wire._connections

    def making(*arguments: Any) -> Any:
        own = make(*arguments)
        made.append(own)
        together.wait(PATIENCE)  # until each thread has found a way
        return own

    wire._connections = making  # type: ignore[method-assign]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: wire.attempt(GET, PATIENCE), range(4)))
    assert [len(made), sum(bool(connections._idle) for connections in made)] == [4, 1]
    wire.close()
    assert not any(connections._idle for connections in made)


PLAIN = {
    "AWS_ACCESS_KEY_ID": "k",
    "AWS_SECRET_ACCESS_KEY": "s",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
    "AWS_LAMBDA_FUNCTION_NAME": "f",
}


def begun(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None], **options: Any) -> Any:
    """The quick start in an environment, in a home without files."""
    monkeypatch.setenv("HOME", "/nonexistent/home")
    environment = {name: value for name, value in {**PLAIN, **changes}.items() if value is not None}
    given: Any = {"region": None, "endpoint_url": None, "credentials": {}, "user_agent": "x", **options}
    return endpoint_from_environment(environment, **given)


def test_a_plain_environment_says_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Region, endpoint and keys, as in a Lambda function or a container."""
    found = begun(monkeypatch, {"AWS_SESSION_TOKEN": "t", "AWS_CA_BUNDLE": "/ca"})
    assert found.resolved_endpoint[:3] == (
        "https://dynamodb.eu-west-1.amazonaws.com/",
        "eu-west-1",
        "dynamodb",
    )
    assert (found.credentials, found.ca_bundle) == (("k", "s", "t"), "/ca")
    assert begun(monkeypatch, {"REQUESTS_CA_BUNDLE": "/ca"}).ca_bundle == "/ca"
    local = begun(monkeypatch, {"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_DYNAMODB": "http://b:2"})
    assert local.resolved_endpoint.url == "http://b:2/"
    given = {"aws_access_key_id": "mine", "aws_secret_access_key": "s"}
    mine = begun(
        monkeypatch, {"AWS_SESSION_TOKEN": "t"}, credentials=given, region="local", endpoint_url="http://c"
    )
    assert (mine.resolved_endpoint.url, mine.resolved_endpoint.region, mine.credentials) == (
        "http://c/",
        "local",
        ("mine", "s", None),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"AWS_PROFILE": "p"},
        {"AWS_DEFAULT_PROFILE": "p"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_ACCOUNT_ID": "1"},
        {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/"},
        {"HTTPS_PROXY": "http://proxy"},
        {"all_proxy": "http://proxy"},
        {"NO_PROXY": "x"},
        {"AWS_CONFIG_FILE": __file__},
        {"AWS_SHARED_CREDENTIALS_FILE": __file__},
        {"BOTO_CONFIG": __file__},
        {"AWS_ACCESS_KEY_ID": None},
        {"AWS_SECRET_ACCESS_KEY": None},
        {"AWS_SECRET_ACCESS_KEY": "with\nline"},
        {"AWS_DEFAULT_REGION": None, "AWS_REGION": "eu-west-1"},
        {"AWS_DEFAULT_REGION": "cn-north-1"},
        {"AWS_DEFAULT_REGION": "us-gov-west-1"},
        {"AWS_DEFAULT_REGION": "eu west"},
        {"AWS_ENDPOINT_URL": "http://host/path"},
        {"AWS_ENDPOINT_URL": "http://user:pw@host"},
        {"AWS_ENDPOINT_URL": "http://host:port"},
        {"AWS_ENDPOINT_URL": "host:8000"},
        {"AWS_SOMETHING_NEW": "1"},
    ],
    ids=str,
)
def test_whatever_only_botocore_understands_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None]
) -> None:
    """Profiles, files, proxies, roles, other partitions, odd endpoints, and settings nobody here knows of."""
    assert begun(monkeypatch, changes) is None


SCRIPT = """
import sys
{before}
from dynamo_bao import Model, PrimaryKey, StringField, init_models

class Org(Model, prefix="o"):
    org_id: str = StringField()
    name: str = StringField()
    primary_key = PrimaryKey("org_id")

with init_models(models=[Org], endpoint_url={endpoint!r}, table_name="t") as manager:
    for _ in range(2):
        assert Org.find("acme").name == "Acme"
    print("botocore" in sys.modules, "botocore.client" in sys.modules)
    called = []
    manager.client.meta.events.register("before-sign.dynamodb", lambda **_: called.append(1))
    assert Org.find("acme").name == "Acme"
    print(len(called))
"""


@pytest.mark.parametrize(
    ("before", "loaded", "expected"),
    [
        ("", "False False", ["lean", "lean", "botocore"]),
        ("import botocore.client", "True True", ["botocore", "lean", "botocore"]),
        ("sys.modules['wrapt'] = sys", "True True", ["botocore", "lean", "botocore"]),
    ],
)
def test_a_program_begins_without_botocore(
    server: HttpServer, tmp_path: Path, before: str, loaded: str, expected: list[str]
) -> None:
    """Nothing of it is imported until its client is asked for; then handlers are called from the next request on."""
    ended = subprocess.run(
        [
            sys.executable,
            "-W",
            "error::ResourceWarning",
            "-c",
            SCRIPT.format(before=before, endpoint=server.url()),
        ],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ended.stdout.split("\n")[:2], ended.stderr) == ([loaded, "1"], "")
    assert [way_of(asked) for asked in server.asked] == expected


def test_the_token_of_temporary_credentials_is_sent(server: HttpServer) -> None:
    """And signed."""
    wire = lean_wire(server.url())
    wire.attempt(GET, PATIENCE)
    wire.close()
    (asked,) = server.asked
    assert asked.header("X-Amz-Security-Token") == KEYS.token
    assert "x-amz-security-token" in (asked.header("Authorization") or "")


def test_the_invocation_of_a_lambda_function_is_told(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As botocore tells it, on both ways, and only where there is one."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988;Sampled=1 é")
    with init_models(models=models.ALL, endpoint_url=server.url()):
        assert ways(server, 2) == ["botocore", "lean"]
        told = {asked.header("X-Amzn-Trace-Id") for asked in server.asked}
        assert told == {"Root=1-5759e988;Sampled=1%20%C3%A9"}
        monkeypatch.delenv("_X_AMZN_TRACE_ID")
        assert ways(server) == ["lean"]
        assert server.asked[-1].header("X-Amzn-Trace-Id") is None
