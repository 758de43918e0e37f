"""The wire over boto3: the only module that imports botocore, and only when it is needed.

Botocore's own retries are off, because they cannot know which write is safe to repeat; `retry` has ours.
Every reply's length and CRC are checked in botocore's ``before-parse`` event, and its JSON is parsed there.
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
from typing import Any, Final, NamedTuple, NoReturn

from dynamo_bao._foreign_errors import foreign_cause, leave
from dynamo_bao._runtime import this_process
from dynamo_bao.dynamodb.transport.botocore_http import Attempt, DirectSession
from dynamo_bao.dynamodb.transport.embedded import EmbeddedEngine
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

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 2.0
"""For how long at most nothing may arrive in an attempt, if nothing else is said; then there is another one."""
POOL_CONNECTIONS: Final = 64
TOO_MANY_REQUESTS: Final = 429


class ClientHandle(NamedTuple):
    """A client, and what it was made with.

    Attributes:
        client: the boto3 client.
        credentials: gives the credentials of the moment; None where the client is the user's own.
        ca_bundle: the file of trusted certificates that was configured; None for the usual ones.
        fetching: how many seconds it took to fetch credentials for the first time.
    """

    client: Any
    credentials: Callable[[], Any] | None = None
    ca_bundle: str | None = None
    fetching: float = 0.0


class ResolvedEndpoint(NamedTuple):
    """How botocore sends: what was seen of the first request that it made.

    Attributes:
        url: where to.
        region, service: what it was signed for.
        user_agent: who it says is asking.
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
    """A boto3 DynamoDB client as this library wants it: no blind retries, short timeouts, a wide pool."""
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
    found, fetching = None, 0.0
    if not credentials:
        begun = time.monotonic()
        found = session.get_credentials()
        fetching = time.monotonic() - begun
    client = Session(botocore_session=session).client(
        "dynamodb", region_name=region, endpoint_url=endpoint_url, config=config, **credentials
    )
    authorities = configured_authorities(session.get_config_variable("ca_bundle"), os.environ)
    if credentials:
        fixed = StaticCredentials.of(credentials)
        return ClientHandle(client, lambda: fixed, authorities)
    return ClientHandle(client, found and found.get_frozen_credentials, authorities, fetching)


def configured_authorities(setting: str | None, environment: Mapping[str, str]) -> str | None:
    """The file of trusted certificates that botocore takes for a setting; None for the usual ones."""
    return setting or environment.get("REQUESTS_CA_BUNDLE") or None


def _made(factory: Callable[[], ClientHandle]) -> ClientHandle:
    """A client; what keeps botocore from making one is raised as an error of this library's too."""
    from botocore.exceptions import BotoCoreError

    try:
        opened = factory()
        url = getattr(opened.client.meta, "endpoint_url", None)
        if isinstance(url, str):
            HttpOrigin.of(url)  # botocore reads the port only when it signs
        return opened
    except BotoCoreError as error:
        raise before_sending(error) from error
    except ValueError as error:
        if not str(error).startswith(("Invalid endpoint", "Port ")):  # botocore's words, and urllib's
            raise
        refused = ConfigurationError(
            f"{str(error)[:200]}. Check endpoint_url= or AWS_ENDPOINT_URL: the name of a host has letters, digits, - "
            f"and . only, so that another host needs another name, or is given by its address.",
            field="endpoint_url",
        )
        raise with_outcome(refused, RequestOutcome.NOT_SENT) from error


def _seconds_for_credentials(opened: ClientHandle) -> float:
    """Has credentials ready that are to be fetched, and returns how long that took.

    Whoever gives them (IMDS, SSO, STS) has limits of its own; the budget of a request begins afterwards.
    """
    begun = time.monotonic()
    if opened.credentials is not None:
        require_sendable(opened.credentials())
    return time.monotonic() - begun


def _response(url: str, reply: HttpReply) -> Any:
    """A reply as botocore has them."""
    from botocore.awsrequest import AWSResponse

    headers = {name: value for name, value in reply.headers.items() if name != "content-encoding"}
    raw: Any = _Body(reply.body)
    return AWSResponse(url, reply.status, headers, raw)


def attach(client: Any, engine: EmbeddedEngine) -> None:
    """Makes `engine` answer every request of `client`, and of no other."""
    from botocore.awsrequest import AWSResponse

    def answer(request: Any, **_: object) -> Any:
        status, headers, body = engine.answer(request)
        raw: Any = _Body(body)
        return AWSResponse(request.url, status, headers, raw)

    client.meta.events.register("before-send.dynamodb", answer)


class _Body(io.BytesIO):
    """A body that botocore can stream."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


class BotocoreSender:
    """Makes attempts through one boto3 client, which is made at the first of them and again after a fork.

    Args:
        factory: makes the client.
        given: whether the client is the user's own, which is then never closed here.
        lenient: whether what is absent from a reply is believed to be absent also where nothing vouches for it.
        read_timeout: for how many seconds at most nothing may arrive in an attempt; None for 2.

    Attributes:
        seen: the ids of the last replies.
        resolved_endpoint: how the client sends, as soon as it has sent something; None before, and where it sends in a
            way that only botocore knows.
    """

    def __init__(
        self,
        factory: Callable[[], ClientHandle],
        *,
        given: bool = False,
        lenient: bool = False,
        read_timeout: float | None = None,
    ) -> None:
        self._factory = factory
        self._read_timeout = read_timeout
        self._given = given
        self.lenient = lenient
        self.seen = SeenIds()
        self._opened: ClientHandle | None = None
        self._process: object = None
        self._session: DirectSession | None = None
        self._calls = threading.local()
        self.resolved_endpoint: ResolvedEndpoint | None = None

    @property
    def read_seconds(self) -> float:
        """For how long at most nothing may arrive in an attempt."""
        return READ_SECONDS if self._read_timeout is None else self._read_timeout

    @property
    def is_open(self) -> bool:
        """Whether this process has a client already."""
        return self._process is this_process.token

    @property
    def opened(self) -> ClientHandle:
        """The client of this process, with what it was made with."""
        if self._process is not this_process.token:
            with this_process.lock:
                if self._process is not this_process.token:
                    opened, self.resolved_endpoint = _made(self._factory), None
                    for event, handler in self._handlers():
                        opened.client.meta.events.register_first(event, handler)
                    opened.client.meta.events.register_last("before-send.dynamodb", self._capture_endpoint)
                    self._stand_in(opened.client)
                    self._opened, self._process = opened, this_process.token
        assert self._opened is not None
        return self._opened

    def _handlers(self) -> tuple[tuple[str, Any], ...]:
        taking = ("before-parse.dynamodb", self._check_and_parse)
        return (taking, ("needs-retry.dynamodb", self._refuse_retry)) if self._given else (taking,)

    def _stand_in(self, client: Any) -> None:
        """Has the client send what this library asks of it within the time that is left."""
        endpoint: Any = getattr(client, "_endpoint", None)
        self._step_aside(endpoint)  # it is another process's, where the client is the same
        session = getattr(endpoint, "http_session", None)
        if session is not None:
            own = DirectSession(session, self._attempt_now, _response, CONNECT_SECONDS, self.read_seconds)
            endpoint.http_session = self._session = own

    def _step_aside(self, endpoint: Any) -> None:
        """Takes the stand-in out of a client, wherever others stand before it, and closes its connections."""
        mine, self._session = self._session, None
        if mine is None:
            return
        mine.disconnect()
        place, name = endpoint, "http_session"
        while isinstance(found := getattr(place, name, None), DirectSession):
            if found is mine:
                setattr(place, name, mine.original)
                return
            place, name = found, "original"

    @property
    def client(self) -> Any:
        """The boto3 client of this process."""
        return self.opened.client

    def close(self) -> None:
        with this_process.lock:
            mine = self._process is this_process.token
            opened, self._opened, self._process = self._opened, None, None
        if opened is None or not mine:
            return
        events = opened.client.meta.events
        for event, handler in (*self._handlers(), ("before-send.dynamodb", self._capture_endpoint)):
            events.unregister(event, handler)
        if not self._given:
            opened.client.close()
            self._session = None
            return
        self._step_aside(getattr(opened.client, "_endpoint", None))

    def attempt(self, request: Request, seconds: float) -> dict[str, Any]:
        ends, was_open = time.monotonic() + seconds, self.is_open
        opened = self.opened
        before, attempt = self._attempt_now(), Attempt(request, ends)
        attempt.ends += 0.0 if was_open else opened.fetching
        self._calls.attempt, believed = attempt, True
        try:
            attempt.ends += _seconds_for_credentials(opened)
            body: dict[str, Any] = getattr(opened.client, method_of(request.operation))(**request.parameters)
            body.pop("ResponseMetadata", None)
            if not attempt.is_checked:  # a stub answered, which leaves out what it has no need for
                body = checked(request, body, vouched=True)
        except Exception as error:
            believed = not isinstance(error, DataFormatError)
            _raise_mapped(request, error, opened.client.meta.endpoint_url)
        finally:
            self._calls.attempt = before
            if attempt.reply is not None:
                attempt.reply.settle(believed)
        return body

    def _attempt_now(self) -> Attempt | None:
        """The attempt that this thread makes; None for a call of somebody else's, as on a client of the user's."""
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
        self.seen.check(headers, operation)
        attempt.is_checked = True
        status, request = response_dict["status_code"], attempt.request
        if status < 300:
            vouched = self.lenient or "x-amz-crc32" in headers
            parsed = checked(request, parse_reply(body, operation), vouched=vouched)
            customized_response_dict.update(parsed)
            response_dict["body"] = b"{}"
            return
        reason = (attempt.reply and attempt.reply.reason) or phrase_of(status)
        refusal = checked_refusal(request, parse_refusal(body, operation, reason))
        if "x-amzn-errortype" not in headers:
            refusal.setdefault("__type", str(status))
        response_dict["body"] = json.dumps(refusal, default=_base64).encode()
        response_dict["status_code"] = max(status, 301)  # below that botocore takes a reply for an answer

    def _refuse_retry(
        self, response: Any, operation: Any, caught_exception: Exception | None, **_: object
    ) -> None:
        """Ends a call of this library's after one attempt: a client's own retries know nothing of the deadline."""
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
            return  # known, somebody else's, or to an endpoint that is one table's
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        scope = scope_of(headers.get("authorization", ""))
        if scope is not None:
            self.resolved_endpoint = ResolvedEndpoint(
                request.url, scope.region, scope.service, headers.get("user-agent", "")
            )

    # --- for those who send by themselves ----------------------------------------------------------

    def emit_before_send(
        self, request: Request, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Any, HttpReply | None]:
        """Has the handlers of ``before-send`` called; returns the request as they leave it, and their reply."""
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
                given = {name.lower(): _text(value) for name, value in response.headers.items()}
                return prepared, HttpReply(response.status_code, given, response.content)
        return prepared, None

    def has_proxy(self, url: str) -> bool:
        """Whether requests to a URL go through a proxy."""
        from botocore.utils import get_environ_proxies

        return bool(get_environ_proxies(url) or self.client.meta.config.proxies)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


# --- what went wrong ----------------------------------------------------------------------------------


def _raise_mapped(request: Request, error: Exception, url: str = "") -> NoReturn:
    """Raises what an exception of botocore means; itself where another attempt would not help."""
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
    raise AttemptFailed(of_both(error), outcome) from error


def before_sending(error: Exception) -> Exception:
    """What to raise for an error after which nothing was sent, such as that there are no credentials."""
    both = of_both(error)
    return error if both is error else with_outcome(both, RequestOutcome.NOT_SENT)


class _Both:
    """What errors have in common that are this library's and botocore's.

    Attributes:
        kwargs: what botocore's error was made with.
        model, field, key: as other errors of this library have them.
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
        plain = {name: value if _is_plain(value) else str(value) for name, value in self.kwargs.items()}
        return rebuild, (kind, {**vars(self), "kwargs": plain}, args)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float))


@cache
def class_of_both(name: str) -> Any:
    """The class of errors that is this library's and botocore's of that name; see `errors.ALSO_BOTOCORES`."""
    from botocore import exceptions

    theirs: Any = getattr(exceptions, name)
    body = {"__module__": "dynamo_bao.errors", "__doc__": f"botocore's ``{name}``, and this library's too."}
    return type(name, (_Both, ALSO_BOTOCORES[name], theirs), body)


def of_both(error: Exception) -> Exception:
    """An error of botocore's as one that is this library's too, with what to do; any other as it is."""
    kind = type(error)
    if kind.__module__ != "botocore.exceptions" or kind.__name__ not in ALSO_BOTOCORES:
        return error
    text = " ".join(str(error).split())
    ended = text if text.endswith(".") else f"{text}."
    remedy = _REMEDIES.get(kind.__name__)
    if remedy is None:
        bases = {base.__name__ for base in kind.__mro__}
        lost = bases & {"ConnectionError", "HTTPClientError"}
        remedy = _UNREACHABLE if lost else _NO_CREDENTIALS
    both: Exception = class_of_both(kind.__name__)(remedy.format(error=ended), **getattr(error, "kwargs", {}))
    both.__cause__ = error
    return both


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
    """What to raise for an error reply, with botocore's own error as its cause.

    Args:
        parsed: the reply's JSON; empty where it is none.
        client: whose classes of exceptions are used; None where there is no client yet.
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
    made = _exception_class(code) if client is None else client.exceptions.from_code(code)
    return _retryable_or_mapped(request, made(response, request.operation))


def phrase_of(status: int) -> str:
    """What a status means, by the standard; nothing for one it does not know.

    >>> phrase_of(502), phrase_of(999)
    ('Bad Gateway', '')
    """
    # Imported here: few replies are errors that say nothing themselves.
    from http.client import responses

    return responses.get(status, "")


@cache
def _exception_class(code: str) -> Any:
    """A class of botocore's errors for one code, as each client makes its own."""
    from botocore.exceptions import ClientError

    return type(code, (ClientError,), {}) if code.isidentifier() else ClientError


def connection_error_from(url: str, error: NotConnected | ReplyLost) -> Exception:
    """What to raise where no reply came: botocore's exception for it, and whether the request was sent."""
    from botocore import exceptions

    cause = error.__cause__
    if isinstance(error, NotConnected):
        # Imported here: programs that have no such failure may never need it.
        import ssl

        ended = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ended):
            return before_sending(_lost(exceptions.SSLError, url, cause))
        late = isinstance(cause, TimeoutError)
        kind: Any = exceptions.ConnectTimeoutError if late else exceptions.EndpointConnectionError
        return AttemptFailed(of_both(_lost(kind, url, cause)), RequestOutcome.NOT_SENT)
    late = isinstance(cause, TimeoutError)
    kind = exceptions.ReadTimeoutError if late else exceptions.ConnectionClosedError
    return AttemptFailed(of_both(_lost(kind, url, cause)), RequestOutcome.UNKNOWN)


def _lost(kind: Any, url: str, cause: BaseException | None) -> Exception:
    error: Exception = kind(endpoint_url=url, error=cause)
    error.__cause__ = cause
    return error


def _retryable_or_mapped(request: Request, error: Any) -> Exception:
    """What an error reply means: the library's error, wrapped where another attempt may succeed."""
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
    """What became of a request that got no believable reply; None where another attempt would not help."""
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
