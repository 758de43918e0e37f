"""The transport over boto3: the only module that imports botocore, and only at the first request.

Botocore's own retries are off, because they cannot know which write is safe to repeat; `retry` has ours.
Every reply's length and CRC are checked in botocore's ``before-parse`` event, and its JSON is parsed there.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

from dynamo_bao.errors import BaoError, DataFormatError, WriteOutcomeUnknownError
from dynamo_bao.process import this_process
from dynamo_bao.transport.embedded import EmbeddedEngine
from dynamo_bao.transport.integrity import check_envelope, parse_reply
from dynamo_bao.transport.messages import Clock, Reply, Request, capacity_of
from dynamo_bao.transport.outcomes import (
    THROTTLING,
    TRANSIENT,
    ConditionFailed,
    TransactionCancelled,
    error_for,
)

CONNECT_SECONDS = 3.0
READ_SECONDS = 8.0
POOL_CONNECTIONS = 64


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
        return AWSResponse(request.url, status, headers, _Body(body))

    client.meta.events.register("before-send.dynamodb", answer)
    return client


class _Body(io.BytesIO):
    """A body that botocore can stream."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


class BotoTransport:
    """Sends requests through one boto3 client, made at the first request and again after a fork.

    Args:
        factory: makes the client.
        given: whether the client is the user's own, which is then never closed here.
        clock: for deadlines and waits.
    """

    def __init__(
        self, factory: Callable[[], Any], *, given: bool = False, clock: Clock | None = None
    ) -> None:
        self._factory = factory
        self._given = given
        self._clock = clock or Clock()
        self._client: Any = None
        self._owner: object = None
        self._lock = threading.Lock()
        self._call = threading.local()
        this_process.after_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def client(self) -> Any:
        """The boto3 client of this process."""
        if self._owner is not this_process.token:
            with self._lock:
                if self._owner is not this_process.token:
                    client = self._factory()
                    client.meta.events.register("before-parse.dynamodb", self._take_reply)
                    self._client, self._owner = client, this_process.token
        return self._client

    def close(self) -> None:
        with self._lock:
            client, self._client, self._owner = self._client, None, None
        if client is not None:
            client.meta.events.unregister("before-parse.dynamodb", self._take_reply)
            if not self._given:
                client.close()

    def send(self, request: Request, *, deadline: float) -> Reply:
        # Imported here, like botocore: nothing of it is needed before the first request.
        from dynamo_bao.transport.retry import repeat_on_error

        started = self._clock.now()
        sending = _Sending(self.client, request, self._call)
        repeated = repeat_on_error(self._clock, deadline, sending.allowed_attempts)
        body = repeated(sending.once)
        return Reply(
            request,
            body,
            capacity_of(request.operation, body),
            sending.attempts,
            self._clock.now() - started,
            repeated.statistics.get("idle_for", 0.0),
        )

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


class _Sending:
    """One request on its way, over all of its attempts."""

    def __init__(self, client: Any, request: Request, call: threading.local) -> None:
        self._method = getattr(client, _METHODS[request.operation])
        self._request = request
        self._call = call
        self._unknown = False
        self.attempts = 0

    def once(self) -> dict[str, Any]:
        """Sends once and returns the checked body; raises what it means if there is none."""
        from botocore.exceptions import ClientError

        self.attempts += 1
        self._call.active = True
        try:
            body: dict[str, Any] = self._method(**self._request.parameters)
        except ClientError as error:
            raise self._mapped(error) from error
        except Exception as error:
            raise self._without_reply(error) from error.__cause__
        finally:
            self._call.active = False
        body.pop("ResponseMetadata", None)
        return body

    def _mapped(self, error: Any) -> BaoError:
        details = error.response.get("Error", {})
        code, operation = str(details.get("Code", "")), self._request.operation
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        mapped = error_for(code, str(details.get("Message", "")), operation, error.response, self._tables())
        if isinstance(mapped, (ConditionFailed, TransactionCancelled)):
            mapped.repeated = self._unknown
        if code in TRANSIENT or (status >= 500 and code not in THROTTLING):
            self._unknown = True
            if not self._request.repeatable:
                return _unknown_outcome(operation)
            mapped.__dict__["transient"] = True
        return mapped

    def _without_reply(self, error: Exception) -> Exception:
        """What an attempt without a believable reply means; a write may have been carried out."""
        if not _never_sent(error) and _is_transient(error):
            self._unknown = True
            if not self._request.repeatable:
                unknown = _unknown_outcome(self._request.operation)
                unknown.__cause__ = error
                return unknown
        return error

    def _tables(self) -> str:
        parameters = self._request.parameters
        return str(
            parameters.get("TableName")
            or ", ".join(parameters.get("RequestItems", {}))
            or "of the transaction"
        )

    def allowed_attempts(self, error: BaseException) -> int:
        """How many attempts an error may have in all."""
        from dynamo_bao.transport.retry import MAX_ATTEMPTS, MAX_CONNECT_ATTEMPTS

        if isinstance(error, TransactionCancelled):
            return MAX_ATTEMPTS if error.is_transient else 0
        if getattr(error, "code", None) in THROTTLING or getattr(error, "transient", False):
            return MAX_ATTEMPTS
        if _never_sent(error) or _is_transient(error):
            return MAX_CONNECT_ATTEMPTS
        return 0


def _unknown_outcome(operation: str) -> WriteOutcomeUnknownError:
    return WriteOutcomeUnknownError(
        f"{operation}: the reply was lost, and sending it again could apply it twice. "
        f"refresh() the instance to see what is stored, then decide."
    )


def _never_sent(error: BaseException) -> bool:
    """Whether the request certainly did not reach DynamoDB."""
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

    return isinstance(error, (ConnectTimeoutError, EndpointConnectionError))


def _is_transient(error: BaseException) -> bool:
    """Whether the reply was lost or damaged on the way."""
    from botocore.exceptions import (
        ConnectionClosedError,
        HTTPClientError,
        ReadTimeoutError,
        ResponseStreamingError,
    )
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    lost = (ConnectionClosedError, HTTPClientError, ReadTimeoutError, ResponseStreamingError)
    return isinstance(error, (*lost, ResponseParserError, HTTPError, DataFormatError))


_METHODS = {
    "GetItem": "get_item",
    "BatchGetItem": "batch_get_item",
    "PutItem": "put_item",
    "UpdateItem": "update_item",
    "DeleteItem": "delete_item",
    "BatchWriteItem": "batch_write_item",
    "TransactWriteItems": "transact_write_items",
    "Query": "query",
    "CreateTable": "create_table",
    "DescribeTable": "describe_table",
    "UpdateTimeToLive": "update_time_to_live",
}
