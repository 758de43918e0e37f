"""Django under ASGI: asynchronous and synchronous views, streams and middleware see the session of their request."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import django
import pytest
from asgiref.sync import sync_to_async

from dynamo_bao import (
    Manager,
    RequireContext,
    Session,
    TenantContext,
    current_session,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.session.request_session import RequestSession
from dynamo_bao.web.tenants import tenant_from_header, tenant_from_host
from tests.support import django_site, models
from tests.support.asgi_server import Answer, scope_of, serve, served
from tests.support.models import Org

django_site.set_up()

from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.test import AsyncClient  # noqa: E402
from django.test.utils import override_settings  # noqa: E402
from django.urls import path as url  # noqa: E402

SYNCHRONOUS = "tests.support.django_site.AuthenticationMiddleware"
"""A middleware that has no asynchronous form, so that Django runs it in a worker thread."""
ORDERS = {
    "alone": [django_site.MIDDLEWARE],
    "outside of a synchronous one": [django_site.MIDDLEWARE, SYNCHRONOUS],
    "inside of a synchronous one": [SYNCHRONOUS, django_site.MIDDLEWARE],
}


@pytest.fixture(autouse=True)
def seen() -> Iterator[list[Session | None]]:
    """The sessions that a test's views ran in."""
    django_site.seen.clear()
    yield django_site.seen
    assert current_session() is None and TenantContext.get_current_tenant() is None


@pytest.fixture
def strict(table_name: str) -> Iterator[Manager]:
    """The shared models, usable inside batch contexts only, and never on an event loop."""
    options: dict[str, Any] = {"policy": RequireContext(), "on_event_loop": "raise"}
    with init_models(models=models.ALL, table_name=table_name, embedded=True, **options) as manager:
        yield manager


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("path", "looks"), [("/", 1), ("/async", 3), ("/broken", 1)])
def test_all_code_of_a_request_sees_its_session(
    seen: list[Session | None], path: str, looks: int, order: str
) -> None:
    """In whichever thread Django runs a view; two requests have two sessions, which end with them."""
    with override_settings(MIDDLEWARE=ORDERS[order]):
        handler = ASGIHandler()
        for _ in range(2):
            serve(handler, path)
    assert len(seen) == 2 * looks and len(set(seen)) == 2
    assert all(isinstance(session, RequestSession) and session.is_closed for session in seen)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("path", ["/stream", "/async/stream"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_a_stream_keeps_its_session_and_its_tenant(
    strict: Manager, seen: list[Session | None], path: str, order: str
) -> None:
    """Its parts are made in worker threads, or on the event loop; then the session ends."""
    options = {"tenant": tenant_from_header("X-Tenant")}
    with override_settings(MIDDLEWARE=ORDERS[order], DYNAMO_BAO=options):
        answer = serve(ASGIHandler(), path, x_tenant="acme")
    assert answer.body == b"False for acme, " * 3 and answer.error is None
    (session,) = set(seen)
    assert session is not None and session.is_closed and session.stats.keys_fetched == 3


@pytest.mark.parametrize(
    "is_told",
    [
        True,
        pytest.param(
            False, marks=pytest.mark.skipif(django.VERSION < (5, 0), reason="Django 4.2 does not listen")
        ),
    ],
    ids=["send raises", "the task is cancelled"],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Django leaves the body open
def test_a_client_that_leaves_ends_the_session(
    strict: Manager, seen: list[Session | None], caplog: pytest.LogCaptureFixture, is_told: bool
) -> None:
    """In the middle of a stream, whichever way the server tells it; the log has the request's line."""
    caplog.set_level(logging.INFO, "dynamo_bao.web")

    async def request() -> None:
        begun = asyncio.Event()
        messages: list[Any] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await begun.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                if is_told:
                    raise OSError("the client is gone")
                begun.set()
                await asyncio.Event().wait()

        with suppress(OSError):
            await ASGIHandler()(scope_of("/async/stream"), receive, send)

    asyncio.run(request())
    gc.collect()
    (session,) = seen
    assert "GET /async/stream: 200 OK, 1 round trip" in caplog.text
    assert session is not None and session.is_closed


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("tenant", "headers", "other"),
    [
        (tenant_from_header("X-Tenant"), {"x_tenant": "acme"}, {"x_tenant": "a/b"}),
        (tenant_from_host("example.com"), {"host": "acme.example.com"}, {"host": "example.org"}),
        (django_site.header_tenant, {"x_function": "acme"}, {}),
        (django_site.asynchronous_tenant, {"x_function": "acme"}, {}),
    ],
)
def test_the_tenant_of_a_request(
    embedded: Manager, tenant: Any, headers: dict[str, str], other: dict[str, str], order: str
) -> None:
    """From a header, the host, or a function, which may be asynchronous; without a valid one the answer is 400."""
    with override_settings(DYNAMO_BAO={"tenant": tenant}, MIDDLEWARE=ORDERS[order]):
        handler = ASGIHandler()
        for path in ("/orgs/1", "/async/orgs/1"):
            assert serve(handler, path, **headers).body == b"False for acme"
            refused = serve(handler, path, **other)
            assert refused.status == 400 and "tenant" in refused.body.decode()


@pytest.mark.parametrize("order", ORDERS)
def test_an_asynchronous_tenant_function_may_use_models(strict: Manager, order: str) -> None:
    """In the session of the request and without a tenant, although its requests must name one."""
    with run_with_batch_context():
        Org.create(org_id="1", name="acme")

    async def tenant_of(request: Any) -> str:
        return await sync_to_async(lambda: Org.find("1").name)()

    with override_settings(DYNAMO_BAO={"tenant": tenant_of}, MIDDLEWARE=ORDERS[order]):
        for path in ("/orgs/1", "/async/orgs/1"):
            assert serve(ASGIHandler(), path).body == b"False for acme"


def test_requests_at_once_do_not_see_each_other(embedded: Manager) -> None:
    """60 requests of 20 tenants in one loop, of views of both kinds."""
    with override_settings(DYNAMO_BAO={"tenant": tenant_from_header("X-Tenant")}):
        handler = ASGIHandler()

        async def all_requests() -> list[Answer]:
            paths = ("/orgs/1", "/async/orgs/1")
            requests = [scope_of(paths[number % 2], x_tenant=f"t{number % 20}") for number in range(60)]
            return list(await asyncio.gather(*(served(handler, request) for request in requests)))

        answers = asyncio.run(all_requests())
    assert [answer.body for answer in answers] == [f"False for t{n % 20}".encode() for n in range(60)]


def test_uncommitted_work_makes_the_answer_an_error(
    embedded: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    """Django answers with 500; beside an error of the view's own it is dropped with a warning."""
    handler = ASGIHandler()
    assert serve(handler, "/async/lost/200").status == 500
    assert serve(handler, "/async/lost/409").status == 409
    assert "never committed" in caplog.text and not Org.find("lost").exists()


def test_figures_and_the_development_page(embedded: Manager, caplog: pytest.LogCaptureFixture) -> None:
    """As under WSGI."""
    caplog.set_level(logging.INFO, "dynamo_bao.web")
    with override_settings(DYNAMO_BAO={"traces": "/_bao"}):
        handler = ASGIHandler()
        answer = serve(handler, "/async/orgs/1")
        assert 'desc="1 round trip, 1 request, 1 key, ' in answer.headers["server-timing"]
        assert "GET /async/orgs/1" in serve(handler, "/_bao").body.decode()
        assert "django_site.py:" in serve(handler, "/_bao?request=1").body.decode()
    (line,) = [
        one.getMessage() for one in caplog.records if one.name == "dynamo_bao.web" and one.levelno < 30
    ]
    assert line.startswith("GET /async/orgs/1: 200 OK, 1 round trip, 1 request, 1 key, ")


def test_djangos_own_asynchronous_client_works(embedded: Manager) -> None:
    """A test of a project calls views through it."""
    reply = asyncio.run(AsyncClient().get("/async/orgs/1"))
    assert reply.content == b"False for None"


def test_a_tenant_that_a_view_sets_holds_in_its_stream(strict: Manager) -> None:
    """And ends with the request."""
    make: Callable[..., Any] = django_site.stream_async

    async def setting(request: Any) -> Any:
        TenantContext.set_current_tenant("mine")
        return await make(request)

    with override_settings(ROOT_URLCONF=type("Urls", (), {"urlpatterns": [url("mine", setting)]})):
        assert serve(ASGIHandler(), "/mine").body == b"False for mine, " * 3
