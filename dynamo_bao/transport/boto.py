"""The wire over boto3: the only module that imports botocore, and only at the first request.

Botocore's own retries are off, because they cannot know which write is safe to repeat; `retry` has ours.
Every reply's length and CRC are checked in botocore's ``before-parse`` event, and its JSON is parsed there.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from dynamo_bao.errors import DataFormatError
from dynamo_bao.process import this_process
from dynamo_bao.transport.embedded import CREDENTIALS, REGION, EmbeddedEngine
from dynamo_bao.transport.integrity import check_envelope, parse_reply
from dynamo_bao.transport.messages import AttemptFailed, Outcome, Request, tables_of
from dynamo_bao.transport.outcomes import CONTENDED, THROTTLING, TRANSIENT, error_for
from dynamo_bao.transport.retry import RetryingTransport

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 8.0
POOL_CONNECTIONS: Final = 64


def make_client(
    *, region: str | None, endpoint_url: str | None, max_concurrency: int, credentials: dict[str, Any]
) -> Any:
    """A boto3 DynamoDB client as this library wants it: no blind retries, short timeouts, a wide pool."""
    from boto3.session import Session
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=max(POOL_CONNECTIONS, max_concurrency),
        parameter_validation=False,
        tcp_keepalive=True,
    )
    return Session().client(
        "dynamodb", region_name=region, endpoint_url=endpoint_url, config=config, **credentials
    )


def attach(client: Any, engine: EmbeddedEngine) -> Any:
    """Makes `engine` answer every request of `client`, and of no other; returns the client."""
    from botocore.awsrequest import AWSResponse

    def answer(request: Any, **_: object) -> Any:
        status, headers, body = engine.answer(request)
        raw: Any = _Body(body)
        return AWSResponse(request.url, status, headers, raw)

    client.meta.events.register("before-send.dynamodb", answer)
    return client


class _Body(io.BytesIO):
    """A body that botocore can stream."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


class BotoWire:
    """Makes attempts through one boto3 client, which is made at the first of them and again after a fork.

    Args:
        factory: makes the client.
        given: whether the client is the user's own, which is then never closed here.
    """

    def __init__(self, factory: Callable[[], Any], *, given: bool = False) -> None:
        self._factory = factory
        self._given = given
        self._client: Any = None
        self._process: object = None
        self._call = threading.local()

    @property
    def client(self) -> Any:
        """The boto3 client of this process."""
        if self._process is not this_process.token:
            with this_process.lock:
                if self._process is not this_process.token:
                    client = self._factory()
                    client.meta.events.register("before-parse.dynamodb", self._take_reply)
                    self._client, self._process = client, this_process.token
        return self._client

    def close(self) -> None:
        with this_process.lock:
            mine = self._process is this_process.token
            client, self._client, self._process = self._client, None, None
        if client is not None and mine:
            client.meta.events.unregister("before-parse.dynamodb", self._take_reply)
            if not self._given:
                client.close()

    def attempt(self, request: Request) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        method = getattr(self.client, _METHODS[request.operation])
        self._call.active = True
        try:
            body: dict[str, Any] = method(**request.parameters)
        except ClientError as error:
            raise _answered(request, error) from error
        except Exception as error:
            outcome = _outcome_without_reply(error)
            if outcome is None:
                raise
            raise AttemptFailed(error, outcome) from error
        finally:
            self._call.active = False
        body.pop("ResponseMetadata", None)
        return body

    def _take_reply(
        self, operation_model: Any, response_dict: Any, customized_response_dict: dict[str, Any], **_: object
    ) -> None:
        if not getattr(self._call, "active", False):
            return  # somebody else's call on a client that is theirs too
        operation, body = operation_model.name, response_dict["body"]
        check_envelope(response_dict["headers"], body, operation)
        if response_dict["status_code"] < 300:
            customized_response_dict.update(parse_reply(body, operation))
            response_dict["body"] = b"{}"


def _answered(request: Request, error: Any) -> Exception:
    """What an error reply means: the library's error, wrapped where another attempt may succeed."""
    details = error.response.get("Error", {})
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    mapped = error_for(code, message, request.operation, error.response, ", ".join(tables_of(request)))
    mapped.__cause__ = error
    if code in THROTTLING or code in CONTENDED:
        return AttemptFailed(mapped, Outcome.REFUSED)
    if code in TRANSIENT or status >= 500:
        return AttemptFailed(mapped, Outcome.UNKNOWN)
    return mapped


def _outcome_without_reply(error: Exception) -> Outcome | None:
    """What became of a request that got no believable reply; None where another attempt would not help."""
    from botocore.exceptions import (
        ConnectionClosedError,
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
        ReadTimeoutError,
        ResponseStreamingError,
    )
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    if isinstance(error, (ConnectTimeoutError, EndpointConnectionError)):
        return Outcome.NOT_SENT
    lost = (ConnectionClosedError, HTTPClientError, ReadTimeoutError, ResponseStreamingError)
    return (
        Outcome.UNKNOWN
        if isinstance(error, (*lost, ResponseParserError, HTTPError, DataFormatError))
        else None
    )


def boto_transport(
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    max_concurrency: int = 1,
    credentials: dict[str, Any] | None = None,
) -> RetryingTransport:
    """A transport over a boto3 client that is made when it is first needed.

    Args:
        region, endpoint_url: where DynamoDB is; boto3's own settings apply where they are left out.
        max_concurrency: how many requests travel at once.
        credentials: boto3's ``aws_access_key_id`` and so on, instead of those boto3 finds.
    """
    return RetryingTransport(
        BotoWire(
            lambda: make_client(
                region=region,
                endpoint_url=endpoint_url,
                max_concurrency=max_concurrency,
                credentials=credentials or {},
            )
        )
    )


def embedded_transport(max_concurrency: int = 1) -> RetryingTransport:
    """A transport to a DynamoDB of its own, inside this process.

    Raises:
        ConfigurationError: where moto is not installed.
    """
    engine = EmbeddedEngine()

    def client() -> Any:
        made = make_client(
            region=REGION, endpoint_url=None, max_concurrency=max_concurrency, credentials=CREDENTIALS
        )
        return attach(made, engine)

    return RetryingTransport(BotoWire(client))


_METHODS = {
    "GetItem": "get_item",
    "BatchGetItem": "batch_get_item",
    "PutItem": "put_item",
    "UpdateItem": "update_item",
    "DeleteItem": "delete_item",
    "BatchWriteItem": "batch_write_item",
    "TransactWriteItems": "transact_write_items",
    "Query": "query",
    "Scan": "scan",
    "CreateTable": "create_table",
    "UpdateTable": "update_table",
    "DeleteTable": "delete_table",
    "DescribeTable": "describe_table",
    "DescribeTimeToLive": "describe_time_to_live",
    "UpdateTimeToLive": "update_time_to_live",
}
