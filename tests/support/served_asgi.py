"""The applications of real ASGI servers in tests: the pages of `served` by FastAPI and Django, and the same audit.

Servers call `make_app`, which reads its table from the environment. It requires sessions and tenants.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Annotated, Any

from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse

from dynamo_bao import TenantContext, batched, current_session
from dynamo_bao.fastapi import BatchContextMiddleware, BatchSession, CurrentTenant
from tests.support.served import OPTIONS, Audit, boom, connect, long_stream, page, set_up_django, stream

Application = Callable[..., Awaitable[None]]


def dependency(start: int, session: BatchSession, tenant: CurrentTenant) -> Iterator[str]:
    """A plain generator that is suspended in a worker thread while its endpoint runs; it looks again at the end."""
    yield page(start)
    assert current_session() is session and TenantContext.get_current_tenant() == tenant


async def asynchronous_dependency(
    start: int, session: BatchSession, tenant: CurrentTenant
) -> AsyncIterator[str]:
    """An asynchronous one."""
    yield await asyncio.to_thread(page, start)
    assert current_session() is session and TenantContext.get_current_tenant() == tenant


async def asynchronous_stream(start: int) -> AsyncIterator[bytes]:
    """The stream of `served`, whose steps are made in worker threads that the event loop waits for."""
    parts = stream(start)
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        yield part


@batched
def batched_stream(start: int) -> Iterator[bytes]:
    """The stream of `served` inside a block of its own, which Starlette runs in a new context at each step."""
    with TenantContext.run_with_tenant(str(TenantContext.get_current_tenant())):
        yield from stream(start)


def fastapi_app() -> Application:
    """The pages by FastAPI: endpoints, dependencies, streams and background tasks of both kinds."""
    app = FastAPI()
    app.add_middleware(BatchContextMiddleware, **OPTIONS)

    def text(*parts: str) -> PlainTextResponse:
        assert len(set(parts)) == 1, parts
        return PlainTextResponse(parts[0])

    @app.get("/page/{start}")
    def sync_page(
        start: int, found: Annotated[str, Depends(dependency)], tasks: BackgroundTasks
    ) -> PlainTextResponse:
        tasks.add_task(page, start)
        return text(page(start), found)

    @app.get("/async/page/{start}")
    async def async_page(
        start: int,
        found: Annotated[str, Depends(dependency)],
        also_found: Annotated[str, Depends(asynchronous_dependency)],
    ) -> PlainTextResponse:
        pages = await asyncio.gather(*(asyncio.to_thread(page, start) for _ in range(3)))
        return text(*pages, found, also_found)

    app.add_api_route("/stream/{start}", lambda start: StreamingResponse(batched_stream(int(start))))

    @app.get("/async/stream/{start}")
    async def async_stream(start: int) -> StreamingResponse:
        return StreamingResponse(asynchronous_stream(start))

    app.add_api_route("/long", lambda: StreamingResponse(long_stream()))
    app.add_api_route("/async/long", lambda: StreamingResponse(long_stream()))
    app.add_api_route("/boom", boom)
    app.add_api_route("/async/boom", sync_to_async(boom))
    return app


def django_app() -> Application:
    """The pages by Django, with views of both kinds."""

    async def async_page(request: HttpRequest, start: int) -> HttpResponse:
        pages = await asyncio.gather(*(asyncio.to_thread(page, start) for _ in range(3)))
        assert len({*pages, await sync_to_async(page)(start)}) == 1
        return HttpResponse(pages[0])

    async def async_stream(request: HttpRequest, start: int) -> StreamingHttpResponse:
        return StreamingHttpResponse(asynchronous_stream(start))

    async def async_long(request: HttpRequest) -> StreamingHttpResponse:
        async def parts() -> AsyncIterator[bytes]:
            for part in await asyncio.to_thread(lambda: list(long_stream())):
                yield part

        return StreamingHttpResponse(parts())

    class Urls:
        urlpatterns: list[Any] = [
            path("page/<int:start>", lambda request, start: HttpResponse(page(start))),
            path("async/page/<int:start>", async_page),
            path("stream/<int:start>", async_stream),
            path("async/stream/<int:start>", async_stream),
            path("long", async_long),
            path("async/long", async_long),
            path("boom", lambda request: HttpResponse(boom())),
            path("async/boom", lambda request: HttpResponse(boom())),
        ]

    set_up_django(Urls)
    return get_asgi_application()  # type: ignore[no-any-return]


# --- the process -----------------------------------------------------------------------------------------


class Dispatcher:
    """All applications under their prefixes, and the audit under every other path."""

    def __init__(self, audit: Audit, applications: dict[str, Application]) -> None:
        self._audit = audit
        self._applications = applications

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        for prefix, app in self._applications.items():
            if scope["path"].startswith(f"{prefix}/"):
                rest = scope["path"].removeprefix(prefix)
                await app({**scope, "path": rest, "raw_path": rest.encode()}, receive, send)
                return
        body = json.dumps(self._audit.figures()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def make_app() -> Application:
    """All applications: ``/fastapi``, ``/django``, and the audit under other paths."""
    audit = connect(on_event_loop="raise")
    return Dispatcher(audit, {"/fastapi": fastapi_app(), "/django": django_app()})
