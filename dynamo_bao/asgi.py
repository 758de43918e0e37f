"""A batch context for every request of an ASGI application, with any framework and server.

Example:
    >>> from dynamo_bao.asgi import BatchContextMiddleware
    >>> app = BatchContextMiddleware(app)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Unpack

from dynamo_bao.session.settings import SessionOptions
from dynamo_bao.web.asgi_scope import environ_of, status_line
from dynamo_bao.web.async_request import AsyncRequest, shared_tenant
from dynamo_bao.web.service import Service
from dynamo_bao.web.tenants import (
    AsyncTenantSource,
    TenantRejection,
    TenantSource,
    tenant_from_header,
    tenant_from_host,
)

__all__ = ["BatchContextMiddleware", "tenant_from_header", "tenant_from_host"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY_VIOLATION = 1008
"""The code with which a websocket is closed whose request names no valid tenant (RFC 6455)."""


class BatchContextMiddleware:
    """Wraps an ASGI application, so that every request has its own session.

    All code of the request sees the session and the tenant: endpoints, in whichever worker thread or task they run,
    background tasks, and the steps of streams. Its operations run one after the other. The session lives until the
    application has returned. Uncommitted work makes the request fail.

    A websocket has the tenant of its request, and no session: open one for each message. Scopes of other types, such as
    ``lifespan``, pass through.

    Args:
        app: the application to wrap.
        tenant: `tenant_from_header`, `tenant_from_host`, or a function that gets the scope and returns a tenant id or
            None. It may be an ``async`` function. A plain function runs on the event loop and must not block. A request
            with an invalid tenant id gets a response with status 400.
        tenant_required: whether a request without a tenant gets status 400 too. It needs `tenant`.
        server_timing: whether responses get a ``Server-Timing`` header with the figures of their requests to DynamoDB.
        traces: the path of a page with the traces of the last requests, such as ``"/_bao"``. Use it for development
            only, because it shows keys and code to everyone who can reach it.
        session: options of the sessions, as `run_with_batch_context` takes them.

    Raises:
        ConfigurationError: for an unknown option, or an invalid value.

    Example:
        >>> app = BatchContextMiddleware(app, tenant=tenant_from_header("X-Tenant"))
    """

    def __init__(
        self,
        app: Application,
        *,
        tenant: TenantSource | AsyncTenantSource | None = None,
        tenant_required: bool = True,
        server_timing: bool = False,
        traces: str | None = None,
        **session: Unpack[SessionOptions],
    ) -> None:
        self.app = app
        self.service: Service = Service(
            tenant=tenant,
            tenant_required=tenant_required,
            server_timing=server_timing,
            traces=traces,
            **session,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, as the ASGI specification says."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        environ = environ_of(scope)
        page = self.service.page(environ)
        if page is not None:
            await _send_text(send, 200, "text/html", page)
            return
        request = self.service.begin_shared(environ)
        with request.until_end():
            await self._respond(request, environ, scope, receive, send)

    async def _respond(
        self, request: AsyncRequest, environ: dict[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        starting = self._starting(request, send)
        refusal = await self.service.refusal_async(request, environ, scope)
        if refusal is not None:
            await _send_text(starting, 400, "text/plain", refusal)
            return
        await self.app(scope, receive, starting)

    def _starting(self, request: AsyncRequest, send: Send) -> Send:
        async def start(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.start_response(status_line(message["status"]))
                timing = self.service.timing(request)
                if timing is not None:
                    header = (b"server-timing", timing.encode("latin-1"))
                    message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        return start

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        tenant = await self.service.tenant_async(environ_of(scope), scope)
        if isinstance(tenant, TenantRejection):
            await receive()  # the client's request to connect
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": tenant.text})
            return
        with shared_tenant(tenant):
            await self.app(scope, receive, send)


async def _send_text(send: Send, status: int, kind: str, text: str) -> None:
    body = text.encode()
    headers = [
        (b"content-type", f"{kind}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
