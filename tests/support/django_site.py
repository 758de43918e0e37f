"""A Django project in one file: its settings, and views that tests and servers use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from dynamo_bao import TenantContext, current_session
from tests.support.models import Org

MIDDLEWARE = "dynamo_bao.django.BatchContextMiddleware"


def set_up(**options: Any) -> None:
    """Configures Django for this process; further calls do nothing."""
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            DEBUG=False,
            INSTALLED_APPS=["dynamo_bao.django.BaoConfig"],
            LOGGING_CONFIG=None,
            MIDDLEWARE=[MIDDLEWARE, "django.middleware.gzip.GZipMiddleware"],
            ROOT_URLCONF=__name__,
            SECRET_KEY="for tests",
            DYNAMO_BAO=options,
        )
        django.setup()


seen: list[Any] = []
"""The sessions that views and their responses ran in."""


def note(text: str = "") -> str:
    """Remembers the session of the code that runs now."""
    seen.append(current_session())
    return text


def plain(request: HttpRequest) -> HttpResponse:
    """A complete response."""
    return HttpResponse(note("fine"))


def org(request: HttpRequest, org_id: str) -> HttpResponse:
    """A view that reads one item."""
    return HttpResponse(f"{Org.find(org_id).exists()} for {TenantContext.get_current_tenant()}")


def broken(request: HttpRequest) -> HttpResponse:
    """A view that fails."""
    note()
    raise OSError("a view that fails")


def stopped(request: HttpRequest) -> HttpResponse:
    """A view that its server stops, as gunicorn stops a slow one."""
    note()
    raise SystemExit(1)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """A response that is made while it is sent."""

    def parts() -> Iterator[str]:
        try:
            for number in range(3):
                yield note(f"{Org.find(str(number)).exists()} for {TenantContext.get_current_tenant()}, ")
        finally:
            note()

    return StreamingHttpResponse(parts())


def awaited(request: HttpRequest) -> StreamingHttpResponse:
    """A response of asynchronous parts. It cannot have a session."""

    async def parts() -> Any:
        yield b"1"

    return StreamingHttpResponse(parts())


async def plain_async(request: HttpRequest) -> HttpResponse:
    """An asynchronous view, and what a synchronous function sees that it calls."""
    note()
    await sync_to_async(note)()
    await asyncio.to_thread(note)
    return HttpResponse("fine")


async def org_async(request: HttpRequest, org_id: str) -> HttpResponse:
    """An asynchronous view that reads one item in a worker thread."""
    return await asyncio.to_thread(org, request, org_id)


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    """A response of asynchronous parts."""

    async def parts() -> Any:
        for number in range(3):
            note()
            found = await asyncio.to_thread(lambda key=str(number): Org.find(key).exists())  # type: ignore[misc]
            yield f"{found} for {TenantContext.get_current_tenant()}, "

    return StreamingHttpResponse(parts())


async def lost_async(request: HttpRequest, status: int) -> HttpResponse:
    """A response with a status, and changes that are never committed."""
    return lost(request, status)


async def asynchronous_tenant(request: HttpRequest) -> str | None:
    """The tenant, from an asynchronous function."""
    await asyncio.sleep(0)
    return request.headers.get("X-Function")


def file(request: HttpRequest) -> FileResponse:
    """A file."""
    note()
    return FileResponse(BytesIO(b"file"))


def lost(request: HttpRequest, status: int) -> HttpResponse:
    """A response with a status, and changes that are never committed."""
    current_session().add(Org(org_id="lost", name="-"))  # type: ignore[union-attr]
    return HttpResponse("done", status=status)


class AuthenticationMiddleware:
    """Gives each request a user, as Django's own does."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        request.user = "acme"
        return self._get_response(request)


class OwnAuthentication(AuthenticationMiddleware):
    """One of a project's own."""


def tenant_of_user(request: HttpRequest) -> str:
    """The tenant, by who is logged in."""
    user: str = request.user
    return user


def header_tenant(request: HttpRequest) -> str | None:
    """The tenant, from a function."""
    return request.headers.get("X-Function")


urlpatterns: list[Any] = [
    path("", plain),
    path("orgs/<org_id>", org),
    path("broken", broken),
    path("stopped", stopped),
    path("stream", stream),
    path("async", plain_async),
    path("async/orgs/<org_id>", org_async),
    path("async/stream", stream_async),
    path("async/lost/<int:status>", lost_async),
    path("awaited", awaited),
    path("file", file),
    path("lost/<int:status>", lost),
]
