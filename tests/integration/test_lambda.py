"""Handlers of AWS Lambda: the shapes of events, warm starts, and what a freeze does to connections."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("aws_lambda_powertools")

import botocore
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, APIGatewayRestResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.shared.user_agent import _initializer_botocore_session as in_every_client
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from dynamo_bao import (
    CounterField,
    Manager,
    Model,
    PrimaryKey,
    Session,
    StringField,
    TenantContext,
    batched,
    current_session,
    init_models,
)
from dynamo_bao.dynamodb.transport import http
from tests.support.dynamo_server import always, reply, way_of
from tests.support.engines import Engine
from tests.support.http_server import http_server

# Powertools, once imported, adds to a header of every client of the process, whose requests then go botocore's way.
# Those of all other tests would too.
botocore.unregister_initializer(in_every_client)

REST = {
    "resource": "/orders/{order_id}",
    "path": "/orders/o1",
    "httpMethod": "GET",
    "headers": {"Accept": "application/json"},
    "queryStringParameters": None,
    "pathParameters": {"order_id": "o1"},
    "requestContext": {
        "resourcePath": "/orders/{order_id}",
        "httpMethod": "GET",
        "path": "/prod/orders/o1",
        "stage": "prod",
        "requestId": "r-1",
        "authorizer": {"claims": {"sub": "ada", "custom:tenant": "acme"}},
    },
    "body": None,
    "isBase64Encoded": False,
}
HTTP = {
    "version": "2.0",
    "routeKey": "GET /orders/{order_id}",
    "rawPath": "/orders/o1",
    "rawQueryString": "",
    "headers": {"accept": "application/json"},
    "pathParameters": {"order_id": "o1"},
    "requestContext": {
        "http": {"method": "GET", "path": "/orders/o1", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
        "authorizer": {"jwt": {"claims": {"sub": "ada", "custom:tenant": "acme"}, "scopes": None}},
        "stage": "$default",
        "requestId": "r-2",
    },
    "isBase64Encoded": False,
}
CONTEXT = SimpleNamespace(
    function_name="orders",
    memory_limit_in_mb=128,
    invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:orders",
    aws_request_id="i-1",
    get_remaining_time_in_millis=lambda: 3000,
)
SEEN: list[Session] = []


class Order(Model, prefix="or"):
    order_id: str = StringField()
    state: str = StringField(default="placed")
    looks: int = CounterField()

    primary_key = PrimaryKey("order_id")


def sqs(*bodies: str) -> dict[str, Any]:
    """An event of a queue, with a record for each body."""
    records = [
        {
            "messageId": f"m-{number}",
            "receiptHandle": f"handle-{number}",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:orders",
            "awsRegion": "eu-central-1",
        }
        for number, body in enumerate(bodies)
    ]
    return {"Records": records}


def session_here() -> Session:
    session = current_session()
    assert session is not None
    SEEN.append(session)
    return session


@batched
def look(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Counts a look at an order."""
    session_here()
    order = Order.find_or_none(event["pathParameters"]["order_id"])
    if order is None:
        return {"statusCode": 404, "body": ""}
    order.looks += 1
    order.save()
    return {"statusCode": 200, "body": json.dumps({"state": order.state, "looks": order.looks})}


@batched
def count(event: dict[str, Any], context: object) -> None:
    """Counts a look at an order without reading it: a request that cannot be sent twice."""
    Order.increment(event["pathParameters"]["order_id"], looks=1)


@batched(isolated=True)
def ship(record: SQSRecord) -> None:
    """Ships one order; fails with work that is not committed."""
    session = session_here()
    order = Order.find_or_raise(record.body)
    order.state = "shipped"
    session.add(order)
    if record.body == "broken":
        raise ValueError("cannot be shipped")
    session.commit()


@pytest.fixture
def orders() -> Iterator[Manager]:
    """Orders, as a function has them at its module's level."""
    SEEN.clear()
    with init_models(models=[Order], embedded=True) as manager:
        for order_id in ("o1", "o2", "broken"):
            Order.create(order_id=order_id)
        yield manager


@pytest.mark.parametrize("event", [REST, HTTP], ids=["rest", "http"])
def test_a_request_of_either_gateway(orders: Manager, event: dict[str, Any]) -> None:
    """Each invocation has its own context, and sees what happened since the one before."""
    assert json.loads(look(event, CONTEXT)["body"]) == {"state": "placed", "looks": 1}
    Order.update("o1", state="paid")
    assert json.loads(look(event, CONTEXT)["body"]) == {"state": "paid", "looks": 2}
    assert SEEN[0] is not SEEN[1] and not any(session.is_open for session in SEEN)
    assert current_session() is None


def test_a_failed_invocation_leaves_nothing(orders: Manager) -> None:
    """Whatever leaves the handler, the next invocation begins anew."""
    with pytest.raises(KeyError):
        look({}, CONTEXT)
    assert current_session() is None
    assert look(HTTP, CONTEXT)["statusCode"] == 200


@pytest.mark.parametrize(
    ("resolver", "event"),
    [(APIGatewayRestResolver, REST), (APIGatewayHttpResolver, HTTP)],
    ids=["rest", "http"],
)
def test_routes_of_powertools(orders: Manager, resolver: Any, event: dict[str, Any]) -> None:
    """A resolver runs inside the handler's context, whose tenant comes from the authorizer."""
    routes = resolver()

    @routes.get("/orders/<order_id>")
    def order_of(order_id: str) -> dict[str, str]:
        session_here()
        order = Order.find(order_id)
        if not order:
            raise NotFoundError("no such order")
        return {"state": order.state}

    @batched
    def handler(event: dict[str, Any], context: object) -> Any:
        authorizer = event["requestContext"]["authorizer"]
        claims = authorizer.get("jwt", authorizer)["claims"]
        with TenantContext.run_with_tenant(claims["custom:tenant"]):
            return routes.resolve(event, context)

    assert handler(event, CONTEXT)["statusCode"] == 404
    with TenantContext.run_with_tenant("acme"):
        Order.create(order_id="o1", state="acme's")
    answer = handler(event, CONTEXT)
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"state": "acme's"})
    assert TenantContext.get_current_tenant() is None
    assert SEEN[0] is not SEEN[1]


def test_a_queue_with_partial_failures(orders: Manager) -> None:
    """Each record has a context of its own: one that fails is reported alone, and nothing of it is written."""

    def handler(event: dict[str, Any], context: Any) -> Any:
        processor = BatchProcessor(event_type=EventType.SQS)
        return process_partial_response(
            event=event, record_handler=ship, processor=processor, context=context
        )

    answer = handler(sqs("o1", "broken", "unknown", "o2"), CONTEXT)
    assert [one["itemIdentifier"] for one in answer["batchItemFailures"]] == ["m-1", "m-2"]
    assert [Order.find(one).state for one in ("o1", "broken", "o2")] == ["shipped", "placed", "shipped"]
    assert len({id(session) for session in SEEN}) == 4
    assert not any(session.is_open for session in SEEN)


class _Forwarder(socketserver.ThreadingTCPServer):
    """Passes connections on to a server, and can break all of them off."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarding)
        self.target = target
        self.open: list[socket.socket] = []
        self.accepted = 0

    def break_off(self) -> None:
        """Closes every connection, as a server does with those that have been idle for long."""
        while self.open:
            self.open.pop().shutdown(socket.SHUT_RDWR)


class _Forwarding(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server: _Forwarder = self.server  # type: ignore[assignment]
        server.accepted += 1
        server.open.append(self.request)
        with socket.create_connection(server.target) as beyond:
            back = threading.Thread(target=self._pass, args=(beyond, self.request), daemon=True)
            back.start()
            self._pass(self.request, beyond)
            back.join()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@pytest.mark.needs("other_processes")
def test_a_warm_function_survives_connections_that_were_closed(
    engine: Engine, table_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warm function uses its connection again, and makes a new one where that was closed while it was frozen.

    The counter counts each invocation once: no request is lost on a dead connection.
    """
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    where = urlsplit(str(engine.endpoint_url))
    with _Forwarder((str(where.hostname), int(where.port or 0))) as forwarder:
        threading.Thread(target=forwarder.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{forwarder.server_address[1]}"
        with init_models(
            models=[Order], table_name=table_name, endpoint_url=url, region="us-east-1"
        ) as manager:
            manager.create_table()
            Order.create(order_id="o1")
            warm = forwarder.accepted
            for _ in range(3):
                count(HTTP, CONTEXT)
            assert forwarder.accepted == warm
            for _ in range(3):
                forwarder.break_off()
                count(HTTP, CONTEXT)
            assert forwarder.accepted == warm + 3
            assert Order.find("o1").looks == 6
        forwarder.shutdown()


@pytest.mark.parametrize(
    ("monotonic", "wall", "dropped"),
    [(100.1, 1_000.1, False), (130.0, 900.0, False), (100.1, 1_300.0, True), (300.0, 1_000.0, True)],
)
def test_a_clock_that_stood_still(
    monkeypatch: pytest.MonkeyPatch, monotonic: float, wall: float, dropped: bool
) -> None:
    """A machine that was frozen may not have counted the pause; the wall clock has, and counts."""
    here, there = socket.socketpair()
    with here, there:
        monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: 100.0, time=lambda: 1_000.0))
        connection = http.Connection(here)
        monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: monotonic, time=lambda: wall))
        assert connection.is_stale() is dropped


def test_what_powertools_adds_to_a_request_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It listens to botocore, so that requests go botocore's way wherever it was imported."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    botocore.register_initializer(in_every_client)
    try:
        stored = {
            "_pk": {"S": "or#o1"},
            "_sk": {"S": "or"},
            "order_id": {"S": "o1"},
            "state": {"S": "placed"},
        }
        found = always(reply({"Item": stored}))
        with http_server(found) as server, init_models(models=[Order], endpoint_url=server.url()):
            assert [bool(Order.find("o1")) for _ in range(2)] == [True, True]
            assert [way_of(asked) for asked in server.asked] == ["botocore", "botocore"]
            assert all("PT/" in (asked.header("User-Agent") or "") for asked in server.asked)
    finally:
        botocore.unregister_initializer(in_every_client)
