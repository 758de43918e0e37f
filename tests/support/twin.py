"""A lean wire with a twin: whatever it sends and is told, a plain boto3 client is made to send and is told too.

The twin never opens a socket. What it was about to send is compared with what the lean wire sent, and what it
makes of the very same reply with what the lean wire made of it.
"""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from botocore.awsrequest import AWSResponse

from dynamo_bao.dynamodb.transport.botocore import BotocoreSender, ClientHandle, method_of, open_client
from dynamo_bao.dynamodb.transport.direct import DirectEndpoint, DirectSender
from dynamo_bao.dynamodb.transport.http import HttpReply
from dynamo_bao.dynamodb.transport.messages import AttemptFailed, Reply, Request
from dynamo_bao.errors import DataFormatError
from tests.support.figures import FIGURES
from tests.support.patience import PATIENCE

HEADERS = ("x-amz-target", "content-type")
FAILURE_PARTS = ("code", "operation", "item", "reasons", "model", "key", "field", "tables")


class Difference(AssertionError):
    """The two ways are not the same."""


class TwinWire(DirectSender):
    """The lean wire, whose every request is held against a plain client's."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._now = threading.local()

    def attempt(self, request: Request, seconds: float) -> dict[str, Any]:
        self._now.route = None
        try:
            return super().attempt(request, seconds)
        finally:
            if self._now.route is None:
                FIGURES.count(FIGURES.by_botocore, request.operation)

    def _send(
        self, route: DirectEndpoint, request: Request, body: bytes, skew: float, ends: float
    ) -> HttpReply:
        self._now.route, self._now.body = route, body
        return super()._send(route, request, body, skew, ends)

    def _send_with_hooks(
        self, route: DirectEndpoint, request: Request, body: bytes, skew: float, ends: float
    ) -> HttpReply:
        try:
            return super()._send_with_hooks(route, request, body, skew, ends)
        finally:  # handlers may have sent requests of their own meanwhile
            self._now.route, self._now.body = route, body

    def _answer(self, request: Request, reply: HttpReply) -> dict[str, Any]:
        FIGURES.count(FIGURES.compared, request.operation)
        route: DirectEndpoint = self._now.route
        with _noted(request):
            _compare_sent(route, request, self._now.body, reply)
        try:
            result = super()._answer(request, reply)
        except Exception as error:
            FIGURES.count(FIGURES.refused, request.operation)
            with _noted(request):
                _compare_failures(error, _failure(_Twin.of(route), request, reply))
            raise
        with _noted(request):
            _compare_results(Reply(request, result).body, _Twin.of(route), request, reply)
        return result


@contextlib.contextmanager
def _noted(request: Request) -> Iterator[None]:
    """Notes a difference where it cannot be caught by the code that is tested, and raises it."""
    try:
        yield
    except Difference as difference:
        FIGURES.differences.append(f"{request.operation}: {difference}")
        raise


class _Twin:
    """A plain client, and the library's wire over another one; both are given replies, and send nothing."""

    _known: dict[tuple[str, str], _Twin] = {}
    _lock = threading.Lock()

    def __init__(self, region: str, url: str) -> None:
        self._now = threading.local()
        self.plain = self._client(region, url)
        opened = ClientHandle(self._client(region, url))
        self.wire = BotocoreSender(lambda: opened)

    @classmethod
    def of(cls, route: DirectEndpoint) -> _Twin:
        """The twin for one endpoint."""
        key = (route.resolved_endpoint.region, route.resolved_endpoint.url)
        with cls._lock:
            if key not in cls._known:
                cls._known[key] = cls(*key)
            return cls._known[key]

    def _client(self, region: str, url: str) -> Any:
        keys = {"aws_access_key_id": "twin", "aws_secret_access_key": "twin"}
        client = open_client(
            region=region, endpoint_url=url.removesuffix("/"), max_concurrency=1, credentials=keys
        ).client
        events = client.meta.events
        with contextlib.suppress(ImportError):
            from moto.core.models import botocore_stubber

            events.unregister("before-send", botocore_stubber)
        events.register_first("before-send.dynamodb", self._answer)
        return client

    def _answer(self, request: Any, **_: object) -> AWSResponse:
        self._now.request = request
        reply: HttpReply = self._now.reply
        raw: Any = _Body(reply.body)
        return AWSResponse(request.url, reply.status, dict(reply.headers), raw)

    def sent(self, request: Request, reply: HttpReply) -> Any:
        """What a plain client sends for a request."""
        with contextlib.suppress(Exception):
            self.result(request, reply)
        return self._now.request

    def result(self, request: Request, reply: HttpReply) -> dict[str, Any]:
        """What a plain client makes of a reply."""
        self._now.reply = reply
        body: dict[str, Any] = getattr(self.plain, method_of(request.operation))(**request.parameters)
        del body["ResponseMetadata"]
        return body

    def attempt(self, request: Request, reply: HttpReply) -> dict[str, Any]:
        """What the library makes of a reply by way of botocore."""
        self._now.reply = reply
        return self.wire.attempt(request, PATIENCE)


class _Body(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def _compare_sent(route: DirectEndpoint, request: Request, body: bytes, reply: HttpReply) -> None:
    theirs = _Twin.of(route).sent(request, reply)
    lines = route.head(request.operation, body, 0.0).decode("latin-1").split("\r\n")[1:-2]
    ours = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    _same("url", route.resolved_endpoint.url, theirs.url)
    _same("body", json.loads(body), json.loads(theirs.body))
    for name in HEADERS:
        found = theirs.headers[name]
        _same(name, ours[name], found.decode() if isinstance(found, bytes) else found)


def _compare_results(result: dict[str, Any], twin: _Twin, request: Request, reply: HttpReply) -> None:
    _same("result by way of botocore", result, twin.attempt(request, reply))
    theirs = _with_seconds(twin.result(request, reply))
    ours = _with_seconds(_without_nulls(result))
    # A table may be described with members of which this botocore does not know.
    _same("botocore's own result", _known_of(ours, theirs) if "Table" in request.operation else ours, theirs)


def _without_nulls(result: dict[str, Any]) -> dict[str, Any]:
    """A result as botocore tells it, which leaves out members that are null."""
    return {name: value for name, value in result.items() if value is not None}


def _known_of(ours: Any, theirs: Any) -> Any:
    """What botocore knows of a result."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return {name: _known_of(value, theirs[name]) for name, value in ours.items() if name in theirs}
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return list(map(_known_of, ours, theirs))
    return ours


def _with_seconds(part: Any) -> Any:
    """A result with the times of table descriptions as seconds, to the millisecond."""
    if isinstance(part, dict):
        return {name: _with_seconds(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_with_seconds(value) for value in part]
    if isinstance(part, datetime):
        part = part.timestamp()
    return round(part, 3) if isinstance(part, float) else part


def _failure(twin: _Twin, request: Request, reply: HttpReply) -> Exception:
    try:
        result = twin.attempt(request, reply)
    except Exception as error:
        return error
    raise Difference(f"botocore made {result!r} of a reply that the lean wire refused")


def _compare_failures(ours: Exception, theirs: Exception) -> None:
    _same("kind of failure", type(ours), type(theirs))
    if isinstance(ours, AttemptFailed) and isinstance(theirs, AttemptFailed):
        _same("outcome", ours.outcome, theirs.outcome)
        ours, theirs = ours.error, theirs.error
    _same("class of error", type(ours), type(theirs))
    if isinstance(ours, DataFormatError):
        return
    _same("message", str(ours), str(theirs))
    for part in FAILURE_PARTS:
        _same(part, getattr(ours, part, None), getattr(theirs, part, None))
    causes = ours.__cause__, theirs.__cause__
    _same("class of the cause", *(type(cause).__name__ for cause in causes))
    # Botocore counts retries, of which it is allowed none.
    _same("message of the cause", *(str(cause).replace(" (reached max retries: 0)", "") for cause in causes))
    responses = [dict(getattr(cause, "response", {})) for cause in causes]
    for response in responses:
        metadata = response.pop("ResponseMetadata", {})
        response["status"] = metadata.get("HTTPStatusCode")
        response["id"] = metadata.get("RequestId")
        response.pop("message", None)
        response.pop("Message", None)
    _same("response of the cause", *responses)


def _same(what: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise Difference(f"{what}: {ours!r:.400} by the lean way, {theirs!r:.400} by botocore's")
