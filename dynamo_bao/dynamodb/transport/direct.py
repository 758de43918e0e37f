"""Sends requests directly: from the parameters to bytes on a socket, without botocore's machinery between.

botocore still decides where to send and for which region to sign: its first request shows that. Its credentials sign
every request, and botocore renews them. botocore also sends some requests itself: those that somebody listens for (see
`event_hooks`), those that go through a proxy, and those that are not signed by Signature Version 4.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dynamo_bao.dynamodb.service import MAX_REPLY_BYTES, MAX_REPLY_BYTES_OF
from dynamo_bao.dynamodb.transport.botocore import (
    CONNECT_SECONDS,
    BotocoreSender,
    ResolvedEndpoint,
    before_sending,
    connection_error_from,
    method_of,
    phrase_of,
    service_error_from_reply,
)
from dynamo_bao.dynamodb.transport.botocore_http import bytes_of, require_header
from dynamo_bao.dynamodb.transport.event_hooks import EventHookProbe, Listeners
from dynamo_bao.dynamodb.transport.http import (
    Connections,
    HttpOrigin,
    HttpReply,
    NotConnected,
    ReplyLost,
)
from dynamo_bao.dynamodb.transport.integrity import (
    check_length_and_crc,
    parse_refusal,
    parse_reply,
    require_alone,
)
from dynamo_bao.dynamodb.transport.messages import (
    AttemptFailed,
    Clock,
    Request,
    RequestOutcome,
    names_an_arn,
    with_outcome,
)
from dynamo_bao.dynamodb.transport.multiplex import Start, StartedExchange
from dynamo_bao.dynamodb.transport.reply_check import checked, checked_refusal
from dynamo_bao.dynamodb.transport.sigv4 import CONTENT_TYPE, Credentials, Signer, lines_of
from dynamo_bao.dynamodb.transport.static_endpoint import StaticEndpoint
from dynamo_bao.dynamodb.transport.tls import trusted_context
from dynamo_bao.errors import BaoError, DataFormatError
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.json import dumps
from dynamo_bao.runtime.process import this_process
from dynamo_bao.runtime.records import Factory, field, frozen

if TYPE_CHECKING:
    import ssl

TARGET: Final = "DynamoDB_20120810."
SKEWED_SECONDS: Final = 240.0
"""The difference of clocks that explains a refused signature; DynamoDB allows 5 minutes."""
FUNCTION_NAME: Final = "AWS_LAMBDA_FUNCTION_NAME"
"""The variable that only a Lambda function has in its environment."""
_SAFE_IN_TRACES: Final = "-=;:+&[]{}\"',"
_SKEW_CODES: Final = (
    "InvalidSignatureException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
)


@frozen(eq=False)
class DirectEndpoint:
    """The endpoint, the connections and the credentials of direct requests.

    Attributes:
        resolved_endpoint: the URL, the scope of signatures and the user agent.
        connections: the connections to the endpoint.
        signer: signs the requests.
        credentials: returns the current credentials.
        hook_probe: finds listeners of the client; None without a client.
        static_endpoint: the endpoint from the environment, for requests without a client; None with a client.
        process: the process in which the connections may be used.
        other_pools: the connections to other servers, for requests that handlers redirected.
        in_lambda: whether this is a Lambda function, so that requests have a trace header.
        request_prefix: the beginning of all requests.
    """

    resolved_endpoint: ResolvedEndpoint
    connections: Connections
    signer: Signer
    credentials: Callable[[], Credentials]
    hook_probe: EventHookProbe | None
    static_endpoint: StaticEndpoint | None
    process: object
    other_pools: dict[HttpOrigin, Connections] = field(factory=dict)
    in_lambda: bool = field(factory=lambda: FUNCTION_NAME in os.environ)
    request_prefix: str = field(
        init=False, default=Factory(lambda self: self._request_prefix(), takes_self=True)
    )

    def is_still_valid(self) -> bool:
        """Whether requests can be sent this way now."""
        endpoint = self.static_endpoint
        return self.process is this_process.token and (endpoint is None or endpoint.is_still_valid())

    def close(self) -> None:
        """Closes its connections, unless they belong to another process."""
        if self.process is this_process.token:
            for connections in (self.connections, *self.other_pools.values()):
                connections.close()

    def listeners(self, operation: str) -> Listeners:
        """Who listens to the requests of an operation now."""
        if self.hook_probe is None:
            return Listeners.NOBODY
        return self.hook_probe.listeners(operation, method_of(operation))

    def _current_credentials(self) -> Credentials:
        """The credentials that sign a request now."""
        try:
            return self.credentials()
        except Exception as error:
            if is_foreign(error):
                raise
            with_outcome(error, RequestOutcome.NOT_SENT)
            common_error = before_sending(error)
            if common_error is error:
                raise
            raise common_error from error

    def headers(self, operation: str, body: bytes, clock_seconds: float) -> dict[str, str]:
        """The headers that differ from request to request, signature included.

        Args:
            operation: the API operation.
            body: the body of the request.
            clock_seconds: seconds since 1970, by the server's clock.
        """
        target = TARGET + operation
        headers = self.signer.headers(self._current_credentials(), target, body, clock_seconds)
        headers["X-Amz-Target"], headers["Content-Length"] = target, str(len(body))
        if self.in_lambda:
            headers.update(trace_headers(os.environ))
        return headers

    @property
    def constant_headers(self) -> dict[str, str]:
        """The headers that are equal for all requests."""
        return {"User-Agent": self.resolved_endpoint.user_agent, "Content-Type": CONTENT_TYPE}

    def head(self, operation: str, body: bytes, clock_seconds: float) -> bytes:
        """The head of a request; see `headers` for the arguments."""
        prepared = self.signer.prepared(self._current_credentials(), TARGET + operation, clock_seconds)
        trace_lines = lines_of(trace_headers(os.environ)) if self.in_lambda else ""
        return (
            f"{self.request_prefix}Authorization: {prepared.authorization}{prepared.signature(body)}\r\n"
            f"{prepared.lines}Content-Length: {len(body)}\r\n{trace_lines}\r\n"
        ).encode("latin-1")

    def _request_prefix(self) -> str:
        host = {"Host": self.connections.origin.name, "Accept-Encoding": "identity"}
        for name, value in (*host.items(), *self.constant_headers.items()):
            require_header(name, value)
        return f"POST / HTTP/1.1\r\n{lines_of({**host, **self.constant_headers})}"


class DirectSender:
    """Makes attempts directly if that is possible, and through botocore if it is not.

    Args:
        boto: the sender through boto3, which also makes the client.
        find_static_endpoint: returns the endpoint from the environment, to send without a client. It is called once,
            at the first request.
        clock: returns the seconds since 1970.
    """

    def __init__(
        self,
        boto: BotocoreSender,
        find_static_endpoint: Callable[[], StaticEndpoint | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.boto = boto
        self._find_static_endpoint = find_static_endpoint
        self._static_endpoint: StaticEndpoint | None = None
        self._has_started = False
        self._unroutable: ResolvedEndpoint | None = None
        self._clock = clock
        self._skew = 0.0
        self._route: DirectEndpoint | None = None

    @property
    def client(self) -> Any:
        """The boto3 client of this process."""
        return self.boto.client

    @property
    def resolved_endpoint(self) -> ResolvedEndpoint | None:
        """The endpoint of the requests; None before the first request."""
        return self.boto.resolved_endpoint if self._route is None else self._route.resolved_endpoint

    def close(self) -> None:
        route, self._route = self._route, None
        if route is not None:
            route.close()
        self.boto.close()

    def starter(self, number: int, clock: Clock) -> Start | None:
        """A function that sends requests on open connections, and does not wait; `attempt` then only reads the reply.

        It is for the requests of one commit: who listens to an operation is asked at its first request only.

        Args:
            number: how many connections must be open, else it returns None.
            clock: the clock of the deadlines.
        """
        route = self._route
        if route is None or not route.is_still_valid() or route.connections.idle_count < number:
            return None
        return partial(self._start, route, clock, {})

    def _start(
        self, route: DirectEndpoint, clock: Clock, heard: dict[str, bool], request: Request, deadline: float
    ) -> StartedExchange | None:
        """Sends a request without waiting; see `starter`.

        Args:
            heard: by operation, whether somebody listens to its requests.
        """
        operation, skew, connections = request.operation, self._skew, route.connections
        is_heard = heard.get(operation)
        if is_heard is None:
            is_heard = heard[operation] = route.listeners(operation) is not Listeners.NOBODY
        if is_heard or names_an_arn(request):
            return None
        body = encoded(request.written)
        if body is None:
            return None
        try:
            data = route.head(operation, body, self._clock() + skew) + body
        except Exception as error:
            if is_foreign(error):
                raise
            return None  # `attempt` raises it again
        end_time = time.monotonic() + deadline - clock.now()
        started = connections.start(data, end_time)
        if started is None:
            return None
        connection, failure = started
        most = MAX_REPLY_BYTES_OF.get(operation, MAX_REPLY_BYTES)
        answer_of = partial(self._answer_to, route, body, skew, end_time, self._send)
        exchange = StartedExchange(connections, connection, data, end_time, most, failure, answer_of)
        request.started = route.resolved_endpoint.url, exchange
        return exchange

    def attempt(self, request: Request, seconds: float) -> dict[str, object]:
        if request.started is not None:
            (url, exchange), request.started = request.started, None
            try:
                answer: dict[str, object] = exchange.answer(request)
                return answer
            except (NotConnected, ReplyLost) as error:
                raise connection_error_from(url, error) from error.__cause__
        end_time = time.monotonic() + seconds
        route = self._route
        if route is None or not route.is_still_valid():
            was_open = self.boto.is_open
            route = self._renewed_endpoint(route)
            if self.boto.is_open and not was_open:
                end_time += self.boto.handle.fetching  # see `_seconds_for_credentials`
        if route is None or names_an_arn(request):
            return self.boto.attempt(request, end_time - time.monotonic())
        listeners = route.listeners(request.operation)
        if listeners is Listeners.ANYBODY:
            return self.boto.attempt(request, end_time - time.monotonic())
        body = encoded(request.written)
        if body is None:
            return self.boto.attempt(request, end_time - time.monotonic())
        send = self._send if listeners is Listeners.NOBODY else self._send_with_hooks
        skew = self._skew
        reply = send(route, request, body, skew, end_time)
        return self._answer_to(route, body, skew, end_time, send, request, reply)

    def _answer_to(
        self,
        route: DirectEndpoint,
        body: bytes,
        skew: float,
        end_time: float,
        send: Callable[[DirectEndpoint, Request, bytes, float, float], HttpReply],
        request: Request,
        reply: HttpReply,
    ) -> dict[str, object]:
        """The members of a checked reply. After a damaged reply the connection is closed, and not used again.

        A request that was refused because of a wrong clock is sent again by `send`.
        """
        if reply.status >= 300 and self._corrects_clock(reply, skew):
            reply.settle(True)
            reply = send(route, request, body, self._skew, end_time)
        is_trusted = False
        try:
            answer = self._answer(request, reply)
            is_trusted = True
            return answer
        except BaoError:  # what DynamoDB answered
            is_trusted = True
            raise
        except AttemptFailed as failure:
            is_trusted = not isinstance(failure.error, DataFormatError)
            raise
        finally:
            reply.settle(is_trusted)

    # --- the endpoint ----------------------------------------------------------------------------------

    def _renewed_endpoint(self, expired_endpoint: DirectEndpoint | None) -> DirectEndpoint | None:
        """Replaces an endpoint that is no longer valid, and closes its connections."""
        endpoint = self._new_endpoint()
        with this_process.lock:
            if (
                self._route is not expired_endpoint
            ):  # another thread has found one, whose connections are for all
                return self._route
            self._route = endpoint
        if expired_endpoint is not None:
            expired_endpoint.close()
        return endpoint

    def _new_endpoint(self) -> DirectEndpoint | None:
        """The endpoint from the environment, or the one that botocore's client chose; None to use botocore."""
        if not self._has_started:
            self._static_endpoint, self._has_started = self._find_static_endpoint(), True
        static_endpoint = self._static_endpoint
        if static_endpoint is not None and not self.boto.is_open and static_endpoint.is_still_valid():
            return self._endpoint_of(
                static_endpoint.resolved_endpoint, lambda: static_endpoint.credentials, None, static_endpoint
            )
        handle, resolved_endpoint = self.boto.handle, self.boto.resolved_endpoint
        if resolved_endpoint is None or resolved_endpoint is self._unroutable or handle.credentials is None:
            return None
        if HttpOrigin.of(resolved_endpoint.url).url != resolved_endpoint.url or self.boto.has_proxy(
            resolved_endpoint.url
        ):
            self._unroutable = resolved_endpoint
            return None
        return self._endpoint_of(resolved_endpoint, handle.credentials, EventHookProbe(handle.client), None)

    def _endpoint_of(
        self,
        resolved_endpoint: ResolvedEndpoint,
        credentials: Callable[[], Credentials],
        hook_probe: EventHookProbe | None,
        static_endpoint: StaticEndpoint | None,
    ) -> DirectEndpoint:
        connections = self._connections(HttpOrigin.of(resolved_endpoint.url))
        signer = Signer(connections.origin.name, resolved_endpoint.region, resolved_endpoint.service)
        return DirectEndpoint(
            resolved_endpoint,
            connections,
            signer,
            credentials,
            hook_probe,
            static_endpoint,
            this_process.token,
        )

    def _connections(self, origin: HttpOrigin) -> Connections:
        return Connections(origin, self._trusted, CONNECT_SECONDS, self.boto.read_seconds)

    def _trusted(self) -> ssl.SSLContext:
        """The TLS context with the configured certificates, else with botocore's default certificates."""
        source = (
            self.boto.handle if self.boto.is_open or self._static_endpoint is None else self._static_endpoint
        )
        return trusted_context(source.ca_bundle)

    # --- sending -----------------------------------------------------------------------------------------

    def _send(
        self, route: DirectEndpoint, request: Request, body: bytes, skew: float, end_time: float
    ) -> HttpReply:
        start_time = time.monotonic()
        head = route.head(request.operation, body, self._clock() + skew)
        # botocore may have fetched credentials, which has its own time limits.
        end_time += time.monotonic() - start_time
        return _lease(route.connections, route.resolved_endpoint.url, request, head + body, end_time)

    def _send_with_hooks(
        self, route: DirectEndpoint, request: Request, body: bytes, skew: float, end_time: float
    ) -> HttpReply:
        """Sends a request after the handlers of ``before-send``, which may change or answer it."""
        start_time = time.monotonic()
        headers = {**route.constant_headers, **route.headers(request.operation, body, self._clock() + skew)}
        end_time += time.monotonic() - start_time
        prepared, reply = self.boto.emit_before_send(request, route.resolved_endpoint.url, headers, body)
        if reply is not None:
            return reply
        origin = HttpOrigin.of(prepared.url)
        connections = route.connections
        if origin != connections.origin:
            connections = route.other_pools.setdefault(origin, self._connections(origin))
        return _lease(connections, prepared.url, request, bytes_of(prepared, origin), end_time)

    def _corrects_clock(self, reply: HttpReply, used_skew: float) -> bool:
        """Whether a signature was refused because this machine's clock is wrong. Then the clock is corrected.

        Args:
            reply: the error reply.
            used_skew: the correction of the clock, in seconds, that the request was signed with.
        """
        if not any(code.encode() in reply.body for code in _SKEW_CODES) or "date" not in reply.headers:
            return False
        # Imported here: few clocks are ever wrong.
        import email.utils

        try:
            server_time = email.utils.parsedate_to_datetime(reply.headers["date"]).timestamp()
        except (ValueError, OverflowError):
            return False
        skew = server_time - self._clock()
        if abs(skew - used_skew) < SKEWED_SECONDS:
            return False
        self._skew = skew
        return True

    def _answer(self, request: Request, reply: HttpReply) -> dict[str, object]:
        try:
            check_length_and_crc(reply.headers, reply.body, request.operation)
            if not reply.is_alone:
                require_alone(False, request.operation)
            self.boto.seen_ids.check(reply.headers, request.operation)
            if reply.status < 300:
                rows = request.rows
                parsed = None if rows is None else rows.parsed(reply.body, request.operation)
                if parsed is None:
                    parsed = parse_reply(reply.body, request.operation)
                is_vouched = self.boto.lenient or "x-amz-crc32" in reply.headers
                return checked(request, parsed, is_vouched=is_vouched)
            refusal_members = parse_refusal(
                reply.body, request.operation, reply.reason or phrase_of(reply.status)
            )
            refusal = checked_refusal(request, refusal_members)
        except DataFormatError as error:
            raise AttemptFailed(error, RequestOutcome.UNKNOWN) from error
        failure = service_error_from_reply(
            request, reply, refusal, self.boto.client if self.boto.is_open else None
        )
        raise failure from (failure.error if isinstance(failure, AttemptFailed) else failure).__cause__


def trace_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """The header that names the invocation of a request, for AWS X-Ray and Lambda's detection of recursion.

    The rule is botocore's: inside a Lambda function, the trace id of its invocation.

    >>> trace_headers({"AWS_LAMBDA_FUNCTION_NAME": "orders", "_X_AMZN_TRACE_ID": "Root=1-5759e988"})
    {'X-Amzn-Trace-Id': 'Root=1-5759e988'}
    >>> trace_headers({})
    {}
    """
    if FUNCTION_NAME not in environment:
        return {}
    # Imported here: only functions in Lambda need it.
    from urllib.parse import quote

    trace = environment.get("_X_AMZN_TRACE_ID")
    return {"X-Amzn-Trace-Id": quote(trace, safe=_SAFE_IN_TRACES)} if trace else {}


def encoded(parameters: Mapping[str, object]) -> bytes | None:
    """Parameters as DynamoDB's JSON, binaries as base64; None if this encoder cannot encode them."""
    try:
        return dumps(parameters)
    except TypeError:
        return None


def _lease(connections: Connections, url: str, request: Request, data: bytes, end_time: float) -> HttpReply:
    try:
        return connections.lease(data, end_time, MAX_REPLY_BYTES_OF.get(request.operation, MAX_REPLY_BYTES))
    except (NotConnected, ReplyLost) as error:
        raise connection_error_from(url, error) from error.__cause__
