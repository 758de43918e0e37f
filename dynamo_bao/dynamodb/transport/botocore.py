"""Sends requests through boto3. This is the only module that imports botocore, and only when it is needed.

botocore's retries are off, because botocore cannot know which write is safe to repeat; `retry` has the library's
retries. botocore's ``before-parse`` event checks the length and the CRC of every reply, and parses its JSON.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, NoReturn

from dynamo_bao.dynamodb.transport.botocore_http import Attempt, DirectSession
from dynamo_bao.dynamodb.transport.error_mapping import (
    CONTENDED,
    THROTTLING,
    TRANSIENT,
    map_service_error,
    retry_after_in,
)
from dynamo_bao.dynamodb.transport.http import REQUEST_TIMEOUT, HttpOrigin, HttpReply, NotConnected, ReplyLost
from dynamo_bao.dynamodb.transport.integrity import (
    check_length_and_crc,
    parse_refusal,
    parse_reply,
    require_alone,
)
from dynamo_bao.dynamodb.transport.messages import (
    AttemptFailed,
    Request,
    RequestOutcome,
    names_an_arn,
    tables_of,
    with_outcome,
)
from dynamo_bao.dynamodb.transport.reply_check import SeenIds, checked, checked_refusal
from dynamo_bao.dynamodb.transport.sigv4 import StaticCredentials, require_sendable, scope_of
from dynamo_bao.errors import ALSO_BOTOCORES, BaoError, ConfigurationError, DataFormatError
from dynamo_bao.runtime.foreign_errors import foreign_cause, leave
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.runtime.process import this_process

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 2.0
"""The default for the most seconds of an attempt in which nothing arrives; then another attempt begins."""
POOL_CONNECTIONS: Final = 64
TOO_MANY_REQUESTS: Final = 429


class ClientHandle(NamedTuple):
    """A client, and its settings.

    Attributes:
        client: the boto3 client.
        credentials: returns the current credentials; None if the client is the user's.
        ca_bundle: the configured file of trusted certificates; None for the default certificates.
        fetching: the seconds that the first fetch of credentials took.
    """

    client: Any
    credentials: Callable[[], Any] | None = None
    ca_bundle: str | None = None
    fetching: float = 0.0


class ResolvedEndpoint(NamedTuple):
    """The endpoint that botocore chose, as seen in its first request.

    Attributes:
        url: the URL of the request.
        region, service: the scope of its signature.
        user_agent: its ``User-Agent`` header.
    """

    url: str
    region: str
    service: str
    user_agent: str


def open_client(
    *,
    region: str | None,
    endpoint_url: str | None,
    max_concurrency: int,
    credentials: Mapping[str, Any],
    read_timeout: float | None = None,
) -> ClientHandle:
    """A boto3 DynamoDB client without retries, with short timeouts and a large connection pool."""
    from boto3.session import Session
    from botocore.config import Config
    from botocore.session import get_session

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS if read_timeout is None else read_timeout,
        max_pool_connections=max(POOL_CONNECTIONS, max_concurrency),
        parameter_validation=False,
        tcp_keepalive=True,
    )
    session = get_session()
    session_credentials, fetching = None, 0.0
    if not credentials:
        start_time = time.monotonic()
        session_credentials = session.get_credentials()
        fetching = time.monotonic() - start_time
    client = Session(botocore_session=session).client(
        "dynamodb", region_name=region, endpoint_url=endpoint_url, config=config, **credentials
    )
    authorities = configured_authorities(session.get_config_variable("ca_bundle"), os.environ)
    if credentials:
        fixed = StaticCredentials.of(credentials)
        return ClientHandle(client, lambda: fixed, authorities)
    current_credentials = session_credentials and session_credentials.get_frozen_credentials
    return ClientHandle(client, current_credentials, authorities, fetching)


def configured_authorities(setting: str | None, environment: Mapping[str, str]) -> str | None:
    """The file of trusted certificates that botocore uses for a setting; None for the default certificates."""
    return setting or environment.get("REQUESTS_CA_BUNDLE") or None


def _make_client(factory: Callable[[], ClientHandle]) -> ClientHandle:
    """Makes a client. If botocore cannot make one, its error is raised as an error of this library too."""
    from botocore.exceptions import BotoCoreError

    try:
        handle = factory()
        url = getattr(handle.client.meta, "endpoint_url", None)
        if isinstance(url, str):
            HttpOrigin.of(url)  # botocore reads the port only when it signs
        return handle
    except BotoCoreError as error:
        raise before_sending(error) from error
    except ValueError as error:
        if not str(error).startswith(
            ("Invalid endpoint", "Port ")
        ):  # botocore's words, and those of HttpOrigin
            raise
        configuration_error = ConfigurationError(
            f"{str(error)[:200]}. Check endpoint_url= or AWS_ENDPOINT_URL: the name of a host has letters, digits, - "
            f"and . only, so that another host needs another name, or is given by its address.",
            field="endpoint_url",
        )
        raise with_outcome(configuration_error, RequestOutcome.NOT_SENT) from error


def _seconds_for_credentials(handle: ClientHandle) -> float:
    """Fetches credentials if necessary, and returns how many seconds that took.

    Their source (IMDS, SSO, STS) has its own time limits; the budget of a request begins afterwards.
    """
    start_time = time.monotonic()
    if handle.credentials is not None:
        require_sendable(handle.credentials())
    return time.monotonic() - start_time


def _response(url: str, reply: HttpReply) -> Any:
    """A reply in botocore's form."""
    from botocore.awsrequest import AWSResponse

    headers = {name: value for name, value in reply.headers.items() if name != "content-encoding"}
    raw: Any = _Body(reply.body)
    return AWSResponse(url, reply.status, headers, raw)


def attach(client: Any, answer_to: Callable[[Any], tuple[int, dict[str, str], bytes]]) -> None:
    """Makes `answer_to` answer every request of `client`, and of no other client, by status, headers and body."""
    from botocore.awsrequest import AWSResponse

    def answer(request: Any, **_: object) -> Any:
        status, headers, body = answer_to(request)
        raw: Any = _Body(body)
        return AWSResponse(request.url, status, headers, raw)

    client.meta.events.register("before-send.dynamodb", answer)


class _Body(io.BytesIO):
    """A body that botocore can stream."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


class BotocoreSender:
    """Makes attempts through one boto3 client. The client is made at the first attempt, and again after a fork.

    Args:
        factory: makes the client.
        is_users: whether the client is the user's; then it is never closed here.
        lenient: whether absent members of a reply count as absent even without a checksum or consumed capacity.
        read_timeout: the most seconds of an attempt in which nothing arrives; None for 2.

    Attributes:
        seen_ids: the ids of the last replies.
        resolved_endpoint: the endpoint that the client chose; None before its first request, and if only botocore can
            sign its requests.
    """

    def __init__(
        self,
        factory: Callable[[], ClientHandle],
        *,
        is_users: bool = False,
        lenient: bool = False,
        read_timeout: float | None = None,
    ) -> None:
        self._factory = factory
        self._read_timeout = read_timeout
        self._is_users = is_users
        self.lenient = lenient
        self.seen_ids: SeenIds = SeenIds()
        self._handle: ClientHandle | None = None
        self._process: object = None
        self._session: DirectSession | None = None
        self._calls = threading.local()
        self.resolved_endpoint: ResolvedEndpoint | None = None

    @property
    def read_seconds(self) -> float:
        """The most seconds of an attempt in which nothing arrives."""
        return READ_SECONDS if self._read_timeout is None else self._read_timeout

    @property
    def is_open(self) -> bool:
        """Whether this process has a client already."""
        return self._process is this_process.token

    @property
    def handle(self) -> ClientHandle:
        """The client of this process, with its settings."""
        if self._process is not this_process.token:
            with this_process.lock:
                if self._process is not this_process.token:
                    handle, self.resolved_endpoint = _make_client(self._factory), None
                    for event, handler in self._handlers():
                        handle.client.meta.events.register_first(event, handler)
                    handle.client.meta.events.register_last("before-send.dynamodb", self._capture_endpoint)
                    self._stand_in(handle.client)
                    self._handle, self._process = handle, this_process.token
        assert self._handle is not None
        return self._handle

    def _handlers(self) -> tuple[tuple[str, Any], ...]:
        parse_handler = ("before-parse.dynamodb", self._check_and_parse)
        return (
            (parse_handler, ("needs-retry.dynamodb", self._refuse_retry))
            if self._is_users
            else (parse_handler,)
        )

    def _stand_in(self, client: Any) -> None:
        """Replaces the client's HTTP session, so that this library's requests end within their time."""
        endpoint: Any = getattr(client, "_endpoint", None)
        self._step_aside(endpoint)  # in a fork child, the client may still have that of the parent
        session = getattr(endpoint, "http_session", None)
        if session is not None:
            direct = DirectSession(session, self._attempt_now, _response, CONNECT_SECONDS, self.read_seconds)
            endpoint.http_session = self._session = direct

    def _step_aside(self, endpoint: Any) -> None:
        """Removes the `DirectSession` from a client, also if others wrap it, and closes its connections."""
        direct, self._session = self._session, None
        if direct is None:
            return
        direct.disconnect()
        holder, name = endpoint, "http_session"
        while isinstance(session := getattr(holder, name, None), DirectSession):
            if session is direct:
                setattr(holder, name, direct.original)
                return
            holder, name = session, "original"

    @property
    def client(self) -> Any:
        """The boto3 client of this process."""
        return self.handle.client

    def close(self) -> None:
        with this_process.lock:
            is_of_this_process = self._process is this_process.token
            handle, self._handle, self._process = self._handle, None, None
        if handle is None or not is_of_this_process:
            return
        events = handle.client.meta.events
        for event, handler in (*self._handlers(), ("before-send.dynamodb", self._capture_endpoint)):
            events.unregister(event, handler)
        if not self._is_users:
            handle.client.close()
            self._session = None
            return
        self._step_aside(getattr(handle.client, "_endpoint", None))

    def attempt(self, request: Request, seconds: float) -> dict[str, object]:
        end_time, was_open = time.monotonic() + seconds, self.is_open
        handle = self.handle
        outer_attempt, attempt = self._attempt_now(), Attempt(request, end_time)
        attempt.end_time += 0.0 if was_open else handle.fetching
        self._calls.attempt, is_trusted = attempt, True
        try:
            attempt.end_time += _seconds_for_credentials(handle)
            body: dict[str, object] = getattr(handle.client, method_of(request.operation))(
                **request.parameters
            )
            body.pop("ResponseMetadata", None)
            if not attempt.is_checked:  # a stub answered, which may omit members
                body = checked(request, body, is_vouched=True)
        except Exception as error:
            is_trusted = not isinstance(error, DataFormatError)
            _raise_mapped(request, error, handle.client.meta.endpoint_url)
        finally:
            self._calls.attempt = outer_attempt
            if attempt.reply is not None:
                attempt.reply.settle(is_trusted)
        return body

    def _attempt_now(self) -> Attempt | None:
        """The attempt of this thread; None for a call that is not this library's, as on a client of the user."""
        attempt: Attempt | None = getattr(self._calls, "attempt", None)
        return attempt

    def _check_and_parse(
        self, operation_model: Any, response_dict: Any, customized_response_dict: dict[str, Any], **_: object
    ) -> None:
        attempt = self._attempt_now()
        if attempt is None:
            return
        operation, body, headers = operation_model.name, response_dict["body"], response_dict["headers"]
        check_length_and_crc(headers, body, operation)
        require_alone(attempt.reply is None or attempt.reply.is_alone, operation)
        self.seen_ids.check(headers, operation)
        attempt.is_checked = True
        status, request = response_dict["status_code"], attempt.request
        if status < 300:
            is_vouched = self.lenient or "x-amz-crc32" in headers
            parsed = checked(request, parse_reply(body, operation), is_vouched=is_vouched)
            customized_response_dict.update(parsed)
            response_dict["body"] = b"{}"
            return
        reason = (attempt.reply and attempt.reply.reason) or phrase_of(status)
        refusal = checked_refusal(request, parse_refusal(body, operation, reason))
        if "x-amzn-errortype" not in headers:
            refusal.setdefault("__type", str(status))
        response_dict["body"] = json.dumps(refusal, default=_base64).encode()
        response_dict["status_code"] = max(status, 301)  # botocore takes a lower status for a success

    def _refuse_retry(
        self, response: Any, operation: Any, caught_exception: Exception | None, **_: object
    ) -> None:
        """Ends a call of this library after one attempt: the retries of a client do not know the deadline."""
        if self._attempt_now() is None:
            return
        if caught_exception is not None:
            raise caught_exception
        http, parsed = response
        if http.status_code >= 300:
            error = parsed.get("Error", {})
            kind = self.client.exceptions.from_code(str(error.get("Code", "")))
            raise kind(parsed, operation.name)

    def _capture_endpoint(self, request: Any, **_: object) -> None:
        attempt = self._attempt_now()
        if self.resolved_endpoint is not None or attempt is None or names_an_arn(attempt.request):
            return  # already captured, not this library's call, or the endpoint of one table
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        scope = scope_of(headers.get("authorization", ""))
        if scope is not None:
            self.resolved_endpoint = ResolvedEndpoint(
                request.url, scope.region, scope.service, headers.get("user-agent", "")
            )

    # --- for the direct sender ---------------------------------------------------------------------

    def emit_before_send(
        self, request: Request, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Any, HttpReply | None]:
        """Calls the handlers of ``before-send``; returns the request with their changes, and their reply or None."""
        from botocore.awsrequest import AWSPreparedRequest, HeadersDict

        prepared = AWSPreparedRequest(
            "POST", url, HeadersDict({name: value.encode() for name, value in headers.items()}), body, False
        )
        try:
            event = f"before-send.dynamodb.{request.operation}"
            responses = self.client.meta.events.emit(event, request=prepared)
        except Exception as error:
            _raise_mapped(request, error)
        for _, response in responses:
            if response is not None:
                reply_headers = {name.lower(): _text(value) for name, value in response.headers.items()}
                return prepared, HttpReply(response.status_code, reply_headers, response.content)
        return prepared, None

    def has_proxy(self, url: str) -> bool:
        """Whether requests to a URL go through a proxy."""
        from botocore.utils import get_environ_proxies

        return bool(get_environ_proxies(url) or self.client.meta.config.proxies)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# --- errors -------------------------------------------------------------------------------------------


def _raise_mapped(request: Request, error: Exception, url: str = "") -> NoReturn:
    """Raises the library's error for an exception of botocore; `AttemptFailed` if another attempt may succeed."""
    from botocore.exceptions import ClientError

    foreign = foreign_cause(error)
    if foreign is not None:
        leave(foreign)
    if isinstance(error, (NotConnected, ReplyLost)):
        raise connection_error_from(url, error) from error.__cause__
    if isinstance(error, ClientError):
        raise _retryable_or_mapped(request, error) from error
    outcome = _outcome_without_reply(error)
    if outcome is None:
        raise before_sending(error) from error.__cause__
    raise AttemptFailed(common_error_from(error), outcome) from error


def before_sending(error: Exception) -> Exception:
    """The error to raise if nothing was sent, as without credentials."""
    common_error = common_error_from(error)
    return error if common_error is error else with_outcome(common_error, RequestOutcome.NOT_SENT)


class _CommonError:
    """The common base of errors that are both this library's and botocore's.

    Attributes:
        kwargs: the arguments of botocore's error.
        model, field, key: the subject of the error, as in other errors of this library.
    """

    model: str | None = None
    field: str | None = None
    key: str | None = None

    def __init__(self, text: str, **kwargs: Any) -> None:
        Exception.__init__(self, text)  # type: ignore[arg-type]  # only mixed into exceptions
        self.kwargs = kwargs

    def __reduce__(self) -> Any:
        error: Any = self
        rebuild, (kind, _, args) = BaoError.__reduce__(error)
        arguments = {name: value if _is_plain(value) else str(value) for name, value in self.kwargs.items()}
        return rebuild, (kind, {**vars(self), "kwargs": arguments}, args)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float))


@cache
def common_class(name: str) -> Any:
    """The class that is this library's and botocore's error of that name; see `errors.ALSO_BOTOCORES`."""
    from botocore import exceptions

    botocore_class: Any = getattr(exceptions, name)
    own_class = ALSO_BOTOCORES[name]
    body = {"__module__": "dynamo_bao.errors", "__doc__": f"botocore's ``{name}``, and this library's too."}
    if _is_about_connections(botocore_class):
        body["error_code"] = "BAO-7003"
    elif own_class is BaoError or "Credentials" in name:
        body["error_code"] = "BAO-7004"
    return type(name, (_CommonError, own_class, botocore_class), body)


def _is_about_connections(botocore_class: type) -> bool:
    return not {"ConnectionError", "HTTPClientError"}.isdisjoint(
        base.__name__ for base in botocore_class.__mro__
    )


def common_error_from(error: Exception) -> Exception:
    """An error of botocore as an error of this library too, with the remedy; other errors are returned unchanged."""
    kind = type(error)
    if kind.__module__ != "botocore.exceptions" or kind.__name__ not in ALSO_BOTOCORES:
        return error
    text = " ".join(str(error).split())
    sentence = text if text.endswith(".") else f"{text}."
    remedy = _REMEDIES.get(kind.__name__)
    if remedy is None:
        remedy = _UNREACHABLE if _is_about_connections(kind) else _NO_CREDENTIALS
    common_error: Exception = common_class(kind.__name__)(
        remedy.format(error=sentence), **getattr(error, "kwargs", {})
    )
    common_error.__cause__ = error
    return common_error


_NO_CREDENTIALS: Final = (
    "No usable AWS credentials: {error} Log in (aws sso login), set AWS_PROFILE, or set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY; for a local engine any values will do."
)
_UNREACHABLE: Final = (
    "DynamoDB could not be reached: {error} Check endpoint_url (--endpoint-url), the region and the network."
)
_SETTING: Final = "{error} Check the AWS settings: AWS_PROFILE, AWS_CONFIG_FILE and what they name."
_REMEDIES: Final = {
    "NoRegionError": "No AWS region: give --region, set AWS_DEFAULT_REGION, or write region under [aws] in "
    "dynamo_bao.toml; in a program, init_models(region=…).",
    "SSLError": "DynamoDB could not be reached: {error} Check endpoint_url (--endpoint-url), and that AWS_CA_BUNDLE or "
    "ca_bundle names the authorities that its certificate is signed by.",
    **dict.fromkeys(("InvalidRegionError", "UnknownEndpointError"), "{error} Check the region."),
    **dict.fromkeys(("ProfileNotFound", "ConfigNotFound", "ConfigParseError"), _SETTING),
    **dict.fromkeys(("InvalidConfigError", "InfiniteLoopConfigError"), _SETTING),
    **dict.fromkeys(("InvalidProxiesConfigError", "UnknownCredentialError"), _SETTING),
}


def service_error_from_reply(
    request: Request, reply: HttpReply, parsed: Mapping[str, Any], client: Any
) -> Exception:
    """The error to raise for an error reply, with botocore's error as its cause.

    Args:
        request: the request.
        reply: the reply.
        parsed: the reply's JSON; empty if it has no JSON.
        client: the client whose exception classes are used; None if no client exists yet.
    """
    kind = str(parsed.get("__type") or reply.headers.get("x-amzn-errortype") or reply.status)
    code = kind.rsplit("#", 1)[-1].split(":", 1)[0]
    details = {name: value for name, value in parsed.items() if name not in ("__type", "message", "Message")}
    metadata: dict[str, Any] = {
        "HTTPStatusCode": reply.status,
        "HTTPHeaders": reply.headers,
        "RetryAttempts": 0,
    }
    if "x-amzn-requestid" in reply.headers:
        metadata["RequestId"] = reply.headers["x-amzn-requestid"]
    response: Any = {
        "Error": {
            "Message": parsed.get("message", parsed.get("Message", "")),
            "Code": code,
        },
        "ResponseMetadata": metadata,
        **details,
    }
    kind_of_error = _exception_class(code) if client is None else client.exceptions.from_code(code)
    return _retryable_or_mapped(request, kind_of_error(response, request.operation))


def phrase_of(status: int) -> str:
    """The standard phrase of an HTTP status; empty for an unknown status.

    >>> phrase_of(502), phrase_of(999)
    ('Bad Gateway', '')
    """
    # Imported here: few error replies have no text.
    from http.client import responses

    return responses.get(status, "")


@cache
def _exception_class(code: str) -> Any:
    """A class of botocore's errors for one code, as each client makes its own."""
    from botocore.exceptions import ClientError

    return type(code, (ClientError,), {}) if code.isidentifier() else ClientError


def connection_error_from(url: str, error: NotConnected | ReplyLost) -> Exception:
    """The error to raise if no reply arrived: botocore's exception, with the outcome of the request."""
    from botocore import exceptions

    cause = error.__cause__
    if isinstance(error, NotConnected):
        # Imported here: programs without such a failure may never need it.
        import ssl

        end_of_stream = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, end_of_stream):
            return before_sending(_lost(exceptions.SSLError, url, cause))
        is_timeout = isinstance(cause, TimeoutError)
        kind: Any = exceptions.ConnectTimeoutError if is_timeout else exceptions.EndpointConnectionError
        return AttemptFailed(common_error_from(_lost(kind, url, cause)), RequestOutcome.NOT_SENT)
    is_timeout = isinstance(cause, TimeoutError)
    kind = exceptions.ReadTimeoutError if is_timeout else exceptions.ConnectionClosedError
    return AttemptFailed(common_error_from(_lost(kind, url, cause)), RequestOutcome.UNKNOWN)


def _lost(kind: Any, url: str, cause: BaseException | None) -> Exception:
    error: Exception = kind(endpoint_url=url, error=cause)
    error.__cause__ = cause
    return error


def _retryable_or_mapped(request: Request, error: Any) -> Exception:
    """The library's error for an error reply; wrapped in `AttemptFailed` if another attempt may succeed."""
    details = error.response.get("Error", {})
    code, message = str(details.get("Code", "")), str(details.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    tables, index = ", ".join(tables_of(request)), request.written.get("IndexName")
    mapped = map_service_error(code, message, request.operation, error.response, tables, index)
    mapped.__cause__ = error
    if code in THROTTLING or code in CONTENDED or status == TOO_MANY_REQUESTS:
        return AttemptFailed(mapped, RequestOutcome.REFUSED, retry_after_in(error.response))
    if status == REQUEST_TIMEOUT:
        return AttemptFailed(mapped, RequestOutcome.NOT_SENT)
    if code in TRANSIENT or status >= 500:
        return AttemptFailed(mapped, RequestOutcome.UNKNOWN, retry_after_in(error.response))
    return mapped


def _outcome_without_reply(error: Exception) -> RequestOutcome | None:
    """The outcome of a request without a usable reply; None if another attempt would not help."""
    from botocore.exceptions import (
        ConnectionClosedError,
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
        ProxyConnectionError,
        ReadTimeoutError,
        ResponseStreamingError,
    )
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    if isinstance(error, (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)):
        return RequestOutcome.NOT_SENT
    lost = (ConnectionClosedError, HTTPClientError, ReadTimeoutError, ResponseStreamingError)
    return (
        RequestOutcome.UNKNOWN
        if isinstance(error, (*lost, ResponseParserError, HTTPError, DataFormatError))
        else None
    )


@cache
def method_of(operation: str) -> str:
    """The client's method for an operation.

    >>> method_of("BatchGetItem")
    'batch_get_item'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
