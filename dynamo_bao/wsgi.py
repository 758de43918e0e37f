"""A batch context for every request of a WSGI application, with any framework and server.

Example:
    >>> from dynamo_bao.wsgi import BatchContextMiddleware
    >>> application = BatchContextMiddleware(application)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Unpack

from dynamo_bao.session.settings import SessionOptions
from dynamo_bao.web.request_session import Body, RequestScope
from dynamo_bao.web.service import REQUEST_KEY, Service
from dynamo_bao.web.tenants import TenantSource, tenant_from_header, tenant_from_host

__all__ = ["BatchContextMiddleware", "tenant_from_header", "tenant_from_host"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class BatchContextMiddleware:
    """Wraps a WSGI application, so that every request has its own session.

    The session lives until the server closes the response. It and the tenant are bound while the
    application is called, at each step of the response, and during its ``close()``. Between these steps the
    thread has its earlier bindings. Uncommitted work makes the request fail.

    Args:
        app: the application to wrap.
        tenant: `tenant_from_header`, `tenant_from_host`, or a function that gets the environment and returns a
            tenant id or None. A request with an invalid tenant id gets a response with status 400.
        tenant_required: whether a request without a tenant gets status 400 too. It needs `tenant`.
        server_timing: whether responses get a ``Server-Timing`` header with the figures of their requests to DynamoDB.
        traces: the path of a page with the traces of the last requests, such as ``"/_bao"``. Use it for development
            only, because it shows keys and code to everyone who can reach it.
        session: options of the sessions, as `run_with_batch_context` takes them.

    Raises:
        ConfigurationError: for an unknown option, or an invalid value.

    Example:
        >>> app = BatchContextMiddleware(app, tenant=tenant_from_host("example.com"))
    """

    def __init__(
        self,
        app: Application,
        *,
        tenant: TenantSource | None = None,
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

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answers one request, as PEP 3333 says."""
        page = self.service.page(environ)
        if page is not None:
            return _answer(start_response, "200 OK", "text/html", page)
        request = environ[REQUEST_KEY] = self.service.begin(environ)
        try:
            return self._respond(request, environ, start_response)
        except BaseException as error:
            request.close(error)
            raise

    def _respond(
        self, request: RequestScope, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        start = self._starting(request, start_response)
        refusal = self.service.refusal(request, environ, environ)
        if refusal is not None:
            return Body(request, _answer(start, "400 Bad Request", "text/plain", refusal))
        body = request.run(self.app, environ, start)
        if request.complete or _is_file(environ, body):
            request.close()
            return body
        if isinstance(body, (list, tuple)):
            request.require_committed()
        return Body(request, body)

    def _starting(self, request: RequestScope, start_response: StartResponse) -> StartResponse:
        def start(status: str, headers: list[tuple[str, str]], *error: object) -> object:
            request.status = status
            timing = self.service.timing(request)
            if timing is not None:
                headers = [*headers, ("Server-Timing", timing)]
            return start_response(status, headers, *error)

        return start


def _is_file(environ: Environ, body: Iterable[bytes]) -> bool:
    """Whether a response is a file in the server's own wrapper, which the server can send faster unwrapped."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


def _answer(start_response: StartResponse, status: str, kind: str, text: str) -> list[bytes]:
    body = text.encode()
    headers = [
        ("Content-Type", f"{kind}; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    start_response(status, headers)
    return [body]
