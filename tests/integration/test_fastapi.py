"""FastAPI: the middleware and the dependencies, endpoints of every kind, and the leak of suspended dependencies.

``BAO_TRIES`` sets how many requests try to see what a suspended dependency has bound; 1,000 if it does not.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio.to_thread
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import StreamingResponse

from dynamo_bao import (
    BatchContextError,
    BatchContextWarning,
    Manager,
    RequireContext,
    Session,
    TenantContext,
    UncommittedChangesError,
    current_session,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.fastapi import BatchContextMiddleware, BatchSession, CurrentTenant, tenant_from_header
from tests.support import models
from tests.support.asgi_server import Answer, scope_of, serve, served
from tests.support.models import Org
from tests.support.wire import Wire

TRIES = int(os.environ.get("BAO_TRIES", "1000"))
THREADS = 8


@pytest.fixture
def strict(table_name: str) -> Iterator[Manager]:
    """The shared models, usable inside batch contexts only."""
    options: dict[str, Any] = {"policy": RequireContext(), "on_event_loop": "raise"}
    with init_models(models=models.ALL, table_name=table_name, embedded=True, **options) as manager:
        with run_with_batch_context():
            for number in range(5):
                Org.create(org_id=f"{number}", name=f"Org {number}")
        yield manager


def names() -> list[str]:
    """The names of five organisations, which one request loads."""
    return [org.name for org in [Org.find(f"{number}") for number in range(5)]]


NAMES = '["Org 0","Org 1","Org 2","Org 3","Org 4"]'

# --- the dependency --------------------------------------------------------------------------------------


seen: list[Session | None] = []
"""The sessions that the code of requests saw."""


def note() -> None:
    """Remembers the session of the code that runs now."""
    seen.append(current_session())


def later_dependency(session: BatchSession) -> Iterator[None]:
    """A dependency of an application's own, which comes after the session."""
    note()
    yield
    note()


def seeing(app: FastAPI) -> None:
    """Adds endpoints of every kind to an application."""
    seen.clear()

    @app.get("/sync")
    def sync(session: BatchSession, _: Annotated[None, Depends(later_dependency)]) -> list[str]:
        seen.append(session)
        note()
        return names()

    @app.get("/async")
    async def asynchronous(session: BatchSession) -> list[str]:
        seen.append(session)
        note()
        return await asyncio.to_thread(names)

    @app.get("/background")
    def background(session: BatchSession, tasks: BackgroundTasks) -> list[str]:
        tasks.add_task(names)
        tasks.add_task(note)
        return names()

    @app.get("/stream")
    def stream(session: BatchSession) -> StreamingResponse:
        found = [Org.find(f"{number}") for number in range(5)]

        def parts() -> Iterator[str]:
            for org in found:
                note()
                yield org.name

        return StreamingResponse(parts())


@pytest.mark.parametrize("has_middleware", [False, True], ids=["alone", "with the middleware"])
@pytest.mark.parametrize("path", ["/sync", "/async", "/background", "/stream"])
def test_all_code_of_a_request_sees_its_session(strict: Manager, path: str, has_middleware: bool) -> None:
    """Endpoints, dependencies after it, background tasks and streams; it is one session, and one request for all."""
    app = FastAPI()
    if has_middleware:
        app.add_middleware(BatchContextMiddleware, server_timing=True)
    seeing(app)
    wire = Wire(strict.client)
    answer = serve(app, path)
    assert answer.body.decode() == (NAMES if path != "/stream" else "Org 0Org 1Org 2Org 3Org 4")
    (session,) = set(seen)
    assert session is not None and session.is_closed
    assert wire.operations == ["BatchGetItem"]
    if has_middleware and path != "/stream":
        assert "1 request" in answer.headers["server-timing"]


def test_uncommitted_work_makes_the_answer_an_error(strict: Manager) -> None:
    """Nothing of it is written, and nothing of the answer is sent; committed work is."""
    app = FastAPI()

    @app.post("/forgotten")
    def forgotten(session: BatchSession) -> str:
        session.add(Org(org_id="lost", name="-"))
        return "stored"

    @app.post("/kept")
    def kept(session: BatchSession) -> str:
        session.add(Org(org_id="kept", name="-"))
        session.commit()
        return "stored"

    answer = serve(app, "/forgotten", method="POST")
    assert answer.status == 500 and isinstance(answer.error, UncommittedChangesError)
    assert serve(app, "/kept", method="POST").body == b'"stored"'
    with run_with_batch_context():
        assert [Org.find(key).exists() for key in ("lost", "kept")] == [False, True]


def test_the_uncommitted_work_of_an_error_is_dropped_with_a_warning(
    strict: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets the error that the endpoint raised."""
    app = FastAPI()

    @app.post("/")
    def refuse(session: BatchSession) -> str:
        session.add(Org(org_id="lost", name="-"))
        raise HTTPException(409, "taken")

    answer = serve(app, method="POST")
    assert (answer.status, answer.body) == (409, b'{"detail":"taken"}')
    assert "never committed" in caplog.text


def test_a_websocket_gets_no_session() -> None:
    """The error says what to do instead."""
    app = FastAPI()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket, session: BatchSession) -> None:
        raise AssertionError("not reached")

    answer = asyncio.run(served(app, scope_of(kind="websocket"), [{"type": "websocket.connect"}]))
    assert isinstance(answer.error, BatchContextError) and "for each message" in str(answer.error)


def test_the_tenant_of_the_request_is_a_parameter() -> None:
    """The one that the middleware has found; without one the answer is 400."""
    app = FastAPI()

    @app.get("/")
    def tell(tenant: CurrentTenant) -> str:
        return tenant

    source = {"tenant": tenant_from_header("X-Tenant"), "tenant_required": False}
    named = BatchContextMiddleware(app, **source)  # type: ignore[arg-type]
    assert serve(named, x_tenant="acme").body == b'"acme"'
    assert serve(named).status == 400 and serve(app).status == 400


# --- dependencies of the application's own ------------------------------------------------------------------


def opened(tenant: str) -> Iterator[Session]:
    """A tenant and a session, held in a worker thread."""
    with TenantContext.run_with_tenant(tenant), run_with_batch_context() as session:
        yield session


async def opened_async(tenant: str) -> AsyncIterator[Session]:
    """A tenant and a session, held in the task of the request."""
    with TenantContext.run_with_tenant(tenant), run_with_batch_context() as session:
        yield session


def leaky_app() -> FastAPI:
    """An application whose dependencies hold a tenant and a session, each in another way, while endpoints run."""
    app = FastAPI()

    def look() -> list[Any]:
        session = current_session()
        return [TenantContext.get_current_tenant(), session is not None]

    @app.get("/sync")
    def sync(session: Annotated[Session, Depends(opened)]) -> list[Any]:
        before = look()
        with session.activate():
            return [before, look()]

    @app.get("/async")
    async def asynchronous(session: Annotated[Session, Depends(opened_async)]) -> list[Any]:
        await asyncio.sleep(0)
        return [look(), await asyncio.to_thread(look)]

    @app.get("/outside")
    def outside() -> list[Any]:
        return [look()]

    return app


@pytest.mark.defect(1)
@pytest.mark.promise("S15")
@pytest.mark.filterwarnings("ignore::dynamo_bao.errors.BatchContextWarning")
def test_nothing_sees_what_a_suspended_dependency_has_bound(embedded: Manager) -> None:
    """Requests on eight shared threads: an endpoint never sees the tenant or session of another request.

    A ``def`` dependency cannot bind for its endpoint, which activates the session; an ``async def`` one binds for an
    ``async def`` endpoint, but not for worker threads.
    """
    app = leaky_app()

    async def request(number: int) -> str:
        path = ("/sync", "/async", "/outside")[number % 3]
        tenant = f"t{number % 20}"
        answer = await served(app, scope_of(f"{path}?tenant={tenant}"))
        expected = {
            "/sync": f'[[null,false],["{tenant}",true]]',
            "/async": f'[["{tenant}",true],[null,false]]',
            "/outside": "[[null,false]]",
        }
        return "right" if answer.body.decode() == expected[path] else f"{path} {tenant}: {answer.body!r}"

    async def all_requests() -> list[str]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        running = asyncio.Semaphore(40)

        async def one(number: int) -> str:
            async with running:
                return await request(number)

        return await asyncio.gather(*(one(number) for number in range(TRIES)))

    outcomes = asyncio.run(all_requests())
    wrong = [outcome for outcome in outcomes if outcome != "right"]
    print(f"\nS15: {TRIES:,} requests of FastAPI with suspended dependencies, {len(wrong)} saw another's")
    assert wrong == [] and current_session() is None


def test_a_dependency_that_cannot_bind_is_told_once(embedded: Manager) -> None:
    """The warning names the place, and what to use instead."""
    app = leaky_app()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", BatchContextWarning)
        answers = [serve(app, "/sync?tenant=acme") for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    ours = [str(warning.message) for warning in told if warning.category is BatchContextWarning]
    assert len(ours) == 1 and "dynamo_bao.fastapi's dependency" in ours[0]


def test_requests_at_once_have_their_own_sessions(strict: Manager) -> None:
    """200 requests of the dependency in one loop: 200 sessions, all closed, each request with its own answer."""
    app = FastAPI()
    sessions: list[Session] = []

    @app.get("/{number}")
    def show(number: str, session: BatchSession) -> str:
        sessions.append(session)
        assert current_session() is session
        return Org.find(number).name

    async def all_requests() -> list[Answer]:
        return list(await asyncio.gather(*(served(app, scope_of(f"/{number % 5}")) for number in range(200))))

    answers = asyncio.run(all_requests())
    assert [answer.body.decode() for answer in answers] == [f'"Org {number % 5}"' for number in range(200)]
    assert len(set(sessions)) == 200 and all(session.is_closed for session in sessions)
