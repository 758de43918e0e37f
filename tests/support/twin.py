"""A direct sender with a twin: a plain boto3 client that gets the same requests and replies.

The twin opens no socket. Its request is compared with the request of the direct sender, and its result for the same
reply with the result of the direct sender.
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
    """The two request paths differ."""


class TwinWire(DirectSender):
    """The direct sender. Every request is compared with that of a plain client."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._exchange = threading.local()

    def attempt(self, request: Request, seconds: float) -> dict[str, Any]:
        self._exchange.route = None
        try:
            return super().attempt(request, seconds)
        finally:
            if self._exchange.route is None:
                FIGURES.count(FIGURES.by_botocore, request.operation)

    def _send(
        self, route: DirectEndpoint, request: Request, body: bytes, skew: float, end_time: float
    ) -> HttpReply:
        self._exchange.route, self._exchange.body = route, body
        return super()._send(route, request, body, skew, end_time)

    def _send_with_hooks(
        self, route: DirectEndpoint, request: Request, body: bytes, skew: float, end_time: float
    ) -> HttpReply:
        try:
            return super()._send_with_hooks(route, request, body, skew, end_time)
        finally:  # handlers may have sent their own requests
            self._exchange.route, self._exchange.body = route, body

    def _answer(self, request: Request, reply: HttpReply) -> dict[str, Any]:
        FIGURES.count(FIGURES.compared, request.operation)
        route: DirectEndpoint = self._exchange.route
        with _noted(request):
            _compare_sent(route, request, self._exchange.body, reply)
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
    """Records a difference, so that the tested code cannot hide it, and raises it."""
    try:
        yield
    except Difference as difference:
        FIGURES.differences.append(f"{request.operation}: {difference}")
        raise


class _Twin:
    """A plain client, and the library's sender over another client. Both get replies, and send nothing."""

    _twins: dict[tuple[str, str], _Twin] = {}
    _lock = threading.Lock()

    def __init__(self, region: str, url: str) -> None:
        self._exchange = threading.local()
        self.client = self._client(region, url)
        handle = ClientHandle(self._client(region, url))
        self.wire = BotocoreSender(lambda: handle)

    @classmethod
    def of(cls, route: DirectEndpoint) -> _Twin:
        """The twin for one endpoint."""
        key = (route.resolved_endpoint.region, route.resolved_endpoint.url)
        with cls._lock:
            if key not in cls._twins:
                cls._twins[key] = cls(*key)
            return cls._twins[key]

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
        self._exchange.request = request
        reply: HttpReply = self._exchange.reply
        raw: Any = _Body(reply.body)
        return AWSResponse(request.url, reply.status, dict(reply.headers), raw)

    def request_of(self, request: Request, reply: HttpReply) -> Any:
        """The request that a plain client sends."""
        with contextlib.suppress(Exception):
            self.result(request, reply)
        return self._exchange.request

    def result(self, request: Request, reply: HttpReply) -> dict[str, Any]:
        """The result of a plain client for a reply."""
        self._exchange.reply = reply
        body: dict[str, Any] = getattr(self.client, method_of(request.operation))(**request.parameters)
        del body["ResponseMetadata"]
        return body

    def attempt(self, request: Request, reply: HttpReply) -> dict[str, Any]:
        """The library's result for a reply through botocore."""
        self._exchange.reply = reply
        return self.wire.attempt(request, PATIENCE)


class _Body(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def _compare_sent(route: DirectEndpoint, request: Request, body: bytes, reply: HttpReply) -> None:
    boto_request = _Twin.of(route).request_of(request, reply)
    lines = route.head(request.operation, body, 0.0).decode("latin-1").split("\r\n")[1:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    _require_equal("url", route.resolved_endpoint.url, boto_request.url)
    _require_equal("body", json.loads(body), json.loads(boto_request.body))
    for name in HEADERS:
        value = boto_request.headers[name]
        _require_equal(name, headers[name], value.decode() if isinstance(value, bytes) else value)


def _compare_results(result: dict[str, Any], twin: _Twin, request: Request, reply: HttpReply) -> None:
    _require_equal("result by way of botocore", result, twin.attempt(request, reply))
    boto_result = _with_seconds(twin.result(request, reply))
    own_result = _with_seconds(_without_nulls(result))
    # The description of a table may have members that this botocore does not know.
    _require_equal(
        "botocore's own result",
        _known_members(own_result, boto_result) if "Table" in request.operation else own_result,
        boto_result,
    )


def _without_nulls(result: dict[str, Any]) -> dict[str, Any]:
    """A result like that of botocore, without members that are null."""
    return {name: value for name, value in result.items() if value is not None}


def _known_members(own_part: Any, boto_part: Any) -> Any:
    """The part of a result that botocore knows."""
    if isinstance(own_part, dict) and isinstance(boto_part, dict):
        return {
            name: _known_members(value, boto_part[name])
            for name, value in own_part.items()
            if name in boto_part
        }
    if isinstance(own_part, list) and isinstance(boto_part, list) and len(own_part) == len(boto_part):
        return list(map(_known_members, own_part, boto_part))
    return own_part


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


def _compare_failures(own_error: Exception, boto_error: Exception) -> None:
    _require_equal("kind of failure", type(own_error), type(boto_error))
    if isinstance(own_error, AttemptFailed) and isinstance(boto_error, AttemptFailed):
        _require_equal("outcome", own_error.outcome, boto_error.outcome)
        own_error, boto_error = own_error.error, boto_error.error
    _require_equal("class of error", type(own_error), type(boto_error))
    if isinstance(own_error, DataFormatError):
        return
    _require_equal("message", str(own_error), str(boto_error))
    for part in FAILURE_PARTS:
        _require_equal(part, getattr(own_error, part, None), getattr(boto_error, part, None))
    causes = own_error.__cause__, boto_error.__cause__
    _require_equal("class of the cause", *(type(cause).__name__ for cause in causes))
    # botocore counts retries, and it has none here.
    _require_equal(
        "message of the cause", *(str(cause).replace(" (reached max retries: 0)", "") for cause in causes)
    )
    responses = [dict(getattr(cause, "response", {})) for cause in causes]
    for response in responses:
        metadata = response.pop("ResponseMetadata", {})
        response["status"] = metadata.get("HTTPStatusCode")
        response["id"] = metadata.get("RequestId")
        response.pop("message", None)
        response.pop("Message", None)
    _require_equal("response of the cause", *responses)


def _require_equal(label: str, own_value: object, boto_value: object) -> None:
    if own_value != boto_value:
        raise Difference(f"{label}: {own_value!r:.400} by the lean way, {boto_value!r:.400} by botocore's")
