"""The ASGI middleware: how long a request's session lives, who sees it, and how every request ends."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from dynamo_bao import (
    BatchContextRequiredError,
    ConcurrencyError,
    ConfigurationError,
    Manager,
    RequireContext,
    Session,
    TenantContext,
    TenantRequiredError,
    UncommittedChangesError,
    batched,
    current_session,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.asgi import BatchContextMiddleware, tenant_from_header, tenant_from_host
from dynamo_bao.testing import embedded_transport
from tests.support import models
from tests.support.asgi_server import Answer, scope_of, serve, served
from tests.support.models import Org
from tests.support.patience import PATIENCE
from tests.support.wire import Wire

NUMBER = 1000
"""How many requests of each kind must end well."""


def answering(
    make: Callable[[], Awaitable[bytes]], status: int = 200, **options: Any
) -> BatchContextMiddleware:
    """An application in the middleware that answers with what `make` returns."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await make()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return BatchContextMiddleware(app, **options)


def reading(org_id: str = "1") -> Callable[[], Awaitable[bytes]]:
    """An endpoint that reads one item in a worker thread."""

    async def make() -> bytes:
        return await asyncio.to_thread(lambda: Org.find(org_id).name.encode())

    return make


@pytest.fixture
def strict(table_name: str) -> Iterator[Manager]:
    """The shared models, usable inside batch contexts and for tenants only."""
    options: dict[str, Any] = {"policy": RequireContext(), "tenancy": {"enabled": True}}
    with init_models(models=models.ALL, table_name=table_name, embedded=True, **options) as manager:
        yield manager


# --- life of a session -----------------------------------------------------------------------------------


def test_one_session_serves_the_endpoint_the_stream_and_the_background(orgs: list[Org], sent: Wire) -> None:
    """It is seen in worker threads, by middleware around the endpoint too; and closed at the end, once."""
    seen: list[Session | None] = []
    note = lambda: seen.append(current_session())

    class Around(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            note()
            return await call_next(request)

    def endpoint(request: Any) -> StreamingResponse:
        note()
        found = [Org.find(one.org_id) for one in orgs]

        def parts() -> Iterator[str]:
            for org in found:
                note()
                yield org.name

        return StreamingResponse(parts(), background=BackgroundTask(note))

    async def asynchronous(request: Any) -> PlainTextResponse:
        note()
        return PlainTextResponse(await asyncio.to_thread(lambda: Org.find("1").name))

    app = Starlette(
        routes=[Route("/sync", endpoint), Route("/async", asynchronous)],
        middleware=[Middleware(BatchContextMiddleware), Middleware(Around)],
    )
    sent.clear()
    assert serve(app, "/sync").body == b"Org 0Org 1Org 2Org 3Org 4"
    (session,) = set(seen)
    assert session is not None and session.is_closed and len(seen) == 8
    assert sent.operations == ["BatchGetItem"]
    assert serve(app, "/async").body == b"Org 1"
    assert len(set(seen)) == 2 and current_session() is None


def test_requests_of_one_loop_do_not_see_each_other(orgs: list[Org]) -> None:
    """20 at once, of 20 tenants: each sees its own session and tenant between all its steps."""

    async def make() -> bytes:
        session, tenant = current_session(), TenantContext.get_current_tenant()
        for _ in range(3):
            await asyncio.sleep(0)
            assert await asyncio.to_thread(current_session) is session
            assert await asyncio.to_thread(TenantContext.get_current_tenant) == tenant
        return str(tenant).encode()

    app = answering(make, tenant=tenant_from_header("X-Tenant"))

    async def all_at_once() -> list[Answer]:
        scopes = [scope_of(x_tenant=f"t{number}") for number in range(20)]
        return list(await asyncio.gather(*(served(app, scope) for scope in scopes)))

    answers = asyncio.run(all_at_once())
    assert [answer.body for answer in answers] == [f"t{number}".encode() for number in range(20)]


def test_a_stream_may_have_blocks_around_its_yields_if_it_is_batched(embedded: Manager) -> None:
    """Each of its steps runs in another copy of the context; its tenant is the same at each."""

    @batched
    def parts() -> Iterator[str]:
        with TenantContext.run_with_tenant("inner"), run_with_batch_context():
            for _ in range(3):
                yield str(TenantContext.get_current_tenant())

    app = Starlette(routes=[Route("/", lambda request: StreamingResponse(parts()))])
    assert serve(BatchContextMiddleware(app, tenant=lambda scope: "outer")).body == b"inner" * 3


def test_an_application_inside_another_has_its_own_session() -> None:
    """Mounted, or called: the outer one stays open and is seen again afterwards."""
    sessions: list[Session | None] = []

    async def inner() -> bytes:
        sessions.append(current_session())
        return b""

    async def outer() -> bytes:
        own = current_session()
        await served(answering(inner), scope_of())
        assert current_session() is own and own is not None and own.is_open
        sessions.append(own)
        return b""

    assert serve(answering(outer)).error is None
    assert len(set(sessions)) == 2 and all(session and session.is_closed for session in sessions)


def test_what_runs_around_a_request_is_in_force_in_its_threads(orgs: list[Org]) -> None:
    """The tenant and the budget of a test whose client calls the application in its own task."""

    async def test() -> Any:
        with TenantContext.run_with_tenant("around"), run_with_batch_context() as session:
            with session.budget(round_trips=5) as budget:
                await served_here(answering(reading("2")))
            return budget.used_round_trips, seen

    seen: list[str | None] = []

    async def served_here(app: Any) -> None:
        async def inner(scope: Any, receive: Any, send: Any) -> None:
            seen.append(await asyncio.to_thread(TenantContext.get_current_tenant))
            with TenantContext.run_with_tenant("none"):
                await asyncio.to_thread(Org.find("1").exists)

        await BatchContextMiddleware(inner)(scope_of(), None, None)  # type: ignore[arg-type]

    assert asyncio.run(test()) == (1, ["around"])


def test_a_request_begins_without_what_was_only_set_before(embedded: Manager) -> None:
    """Neither the tenant nor the transaction of the task around it, nor a block that was never left, reaches it."""

    async def make() -> bytes:
        Org.create(org_id="made", name="-")
        return str(TenantContext.get_current_tenant()).encode()

    async def test() -> bytes:
        TenantContext.set_current_tenant("left")
        with transaction():
            messages: list[Any] = []

            async def send(message: Any) -> None:
                messages.append(message)

            await answering(make)(scope_of(), None, send)  # type: ignore[arg-type]
            assert Org.find("made").exists() is False
        assert TenantContext.get_current_tenant() == "left"
        return bytes(messages[1]["body"])

    assert asyncio.run(test()) == b"None" and Org.find("made").exists()


def test_options_of_sessions_are_those_of_batch_contexts() -> None:
    """They are told when the application is wrapped: unknown ones with the one that was meant, wrong ones too."""
    fetch: list[str] = []

    async def make() -> bytes:
        fetch.append(current_session().settings.fetch)  # type: ignore[union-attr]
        return b""

    serve(answering(make, fetch="raise"))
    assert fetch == ["raise"]
    with pytest.raises(ConfigurationError, match="Did you mean 'deadline'"):
        answering(make, deadlin=5)
    with pytest.raises(ConfigurationError, match="fetch='all'"):
        answering(make, fetch="all")


def test_lifespan_passes_through() -> None:
    """Start and end of the server run without a session."""
    seen: list[tuple[str, Session | None]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], current_session()))

    asyncio.run(served(BatchContextMiddleware(app), {"type": "lifespan"}))
    assert seen == [("lifespan", None)]


def test_blocking_on_the_event_loop_follows_the_setting(table_name: str) -> None:
    """Only what is about to send counts: a find and a loaded field do not."""

    async def make() -> bytes:
        org = Org.find("1")
        with pytest.raises(ConcurrencyError, match=r"test_asgi.py:\d+ waits for DynamoDB on an event loop"):
            org.exists()
        assert not await asyncio.to_thread(org.exists)
        return b"yes" if org else b"no"

    with init_models(
        models=[Org],
        table_name=table_name,
        endpoint_url="http://127.0.0.1:1",
        region="us-east-1",
        on_event_loop="raise",
    ) as manager:
        manager.database.transport = embedded_transport()
        manager.create_table()
        assert serve(answering(make)).body == b"no"


# --- every end -------------------------------------------------------------------------------------------


@pytest.mark.promise("S8")
def test_every_session_is_closed_exactly_once(
    closings: Counter[Session], errors: Callable[[], list[str]]
) -> None:
    """Success, failing and cancelled calls, clients that leave, calls that send nothing: each a thousand times."""
    seen: list[Session | None] = []

    async def success(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_session())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_session())
        raise OSError("a call that fails")

    async def cancelled(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_session())
        raise asyncio.CancelledError

    async def gone(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_session())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise OSError("the client is gone")

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_session())

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    async def all_requests(app: BatchContextMiddleware) -> None:
        for _ in range(NUMBER):
            await asyncio.gather(app(scope_of(), receive, send), return_exceptions=True)

    for app in (success, failing, cancelled, gone, nothing):
        before = set(closings)
        asyncio.run(all_requests(BatchContextMiddleware(app)))
        assert len(set(closings) - before) == NUMBER, app.__name__
        print(f"\nS8 ASGI, {app.__name__}: {NUMBER:,} requests, {NUMBER:,} sessions closed once each", end="")
    assert set(closings) == set(seen) and set(closings.values()) == {1}
    assert current_session() is None and errors() == []


def test_a_request_whose_task_is_cancelled_closes_its_session(closings: Counter[Session]) -> None:
    """As servers cancel it at their end, in the middle of an await."""

    async def make() -> bytes:
        await asyncio.Event().wait()
        return b""

    async def server() -> None:
        task = asyncio.create_task(served(answering(make), scope_of()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(server())
    assert list(closings.values()) == [1]


def test_contexts_that_the_application_never_left_are_closed_with_the_request(
    errors: Callable[[], list[str]],
) -> None:
    """They are told in the log, and the code after the request does not see them."""
    entered: list[Session] = []
    context = run_with_batch_context()

    async def make() -> bytes:
        entered.append(context.__enter__())
        return b""

    serve(answering(make))
    assert entered[0].is_closed and current_session() is None
    assert len(errors()) == 1 and "was never left" in errors()[0]


# --- uncommitted work ------------------------------------------------------------------------------------


def add() -> None:
    """Leaves work uncommitted."""
    current_session().add(Org(org_id="lost", name="-"))  # type: ignore[union-attr]


async def adding() -> bytes:
    add()
    return b"done"


def test_uncommitted_work_fails_the_request_before_anything_is_sent(embedded: Manager) -> None:
    """The server gets the exception in the place of the answer."""
    answer = serve(answering(adding))
    assert isinstance(answer.error, UncommittedChangesError) and answer.messages == []
    assert not Org.find("lost").exists()


def test_a_framework_makes_an_error_page_of_it(embedded: Manager) -> None:
    """Starlette answers with its own 500, and with what its handler of the exception says."""

    async def endpoint(request: Any) -> PlainTextResponse:
        add()
        return PlainTextResponse("stored")

    middleware = [Middleware(BatchContextMiddleware)]
    app = Starlette(routes=[Route("/", endpoint)], middleware=middleware)
    answer = serve(app)
    assert (answer.status, answer.body) == (500, b"Internal Server Error")

    async def told(request: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(type(error).__name__, status_code=503)

    app = Starlette(routes=[Route("/", endpoint)], middleware=middleware, exception_handlers={500: told})
    answer = serve(app)
    assert (answer.status, answer.body) == (503, b"UncommittedChangesError")


def test_uncommitted_work_beside_an_error_is_dropped_with_a_warning(
    embedded: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer stays what it was."""
    answer = serve(answering(adding, 409))
    assert (answer.status, answer.body, answer.error) == (409, b"done", None)
    assert "never committed" in caplog.text and "409 Conflict" in caplog.text
    assert not Org.find("lost").exists()


def test_uncommitted_work_after_the_start_is_an_error_in_the_log(
    embedded: Manager, errors: Callable[[], list[str]]
) -> None:
    """A stream or a background task can no longer change the answer."""

    async def endpoint(request: Any) -> PlainTextResponse:
        return PlainTextResponse("done", background=BackgroundTask(add))

    answer = serve(BatchContextMiddleware(Starlette(routes=[Route("/", endpoint)])))
    assert (answer.status, answer.body, answer.error) == (200, b"done", None)
    (told,) = errors()
    assert told.startswith("GET /: after the response had begun: 1 objects were added")


def test_an_exception_of_the_application_is_not_hidden_by_its_uncommitted_work(
    embedded: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    """The server sees what went wrong first."""

    async def make() -> bytes:
        add()
        raise OSError("first")

    assert str(serve(answering(make)).error) == "first" and "never committed" in caplog.text


# --- tenants ---------------------------------------------------------------------------------------------


async def told_tenant() -> bytes:
    return str(await asyncio.to_thread(TenantContext.get_current_tenant)).encode()


async def asked_later(scope: Any) -> str | None:
    """A source that has to wait."""
    await asyncio.sleep(0)
    return dict(scope["headers"]).get(b"x-later", b"").decode() or None


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        (tenant_from_header("X-Tenant"), {"x_tenant": "acme"}),
        (tenant_from_host("example.com"), {"host": "acme.example.com:8000"}),
        (lambda scope: dict(scope["headers"])[b"x-function"].decode(), {"x_function": "acme"}),
        (asked_later, {"x_later": "acme"}),
    ],
)
def test_the_tenant_of_a_request(source: Any, headers: dict[str, str]) -> None:
    """From a header, the host, a function, or an ``async`` function of the scope; in its threads, and nowhere else."""
    assert serve(answering(told_tenant, tenant=source), **headers).body == b"acme"
    assert TenantContext.get_current_tenant() is None


@pytest.mark.parametrize(
    ("source", "headers", "told"),
    [
        (tenant_from_header("X-Tenant"), {"x_tenant": "a b"}, "in the header X-Tenant is not 1 to 64"),
        (tenant_from_header("X-Tenant"), {}, "names no tenant in the header X-Tenant"),
        (tenant_from_host("example.com"), {"host": "example.org"}, "names no tenant in the host"),
        (asked_later, {"x_later": "#"}, "that the request names is not 1 to 64"),
        (asked_later, {}, "names no tenant"),
    ],
)
def test_a_request_without_a_valid_tenant_is_answered_with_400(
    source: Any, headers: dict[str, str], told: str, closings: Counter[Session]
) -> None:
    """The application is not called; the answer says what is wrong."""
    answer = serve(answering(told_tenant, tenant=source), **headers)
    assert answer.status == 400 and answer.headers["content-type"].startswith("text/plain")
    assert told in answer.body.decode() and list(closings.values()) == [1]


def test_headers_that_only_look_like_the_tenants_are_not() -> None:
    """One with an underscore is another header, and of two values neither is taken."""
    app = answering(told_tenant, tenant=tenant_from_header("X-Tenant"))
    scope = scope_of()
    scope["headers"] = [(b"x_tenant", b"evil")]
    assert asyncio.run(served(app, scope)).status == 400
    scope = scope_of(x_tenant="acme")
    scope["headers"].append((b"x-tenant", b"evil"))
    assert asyncio.run(served(app, scope)).status == 400


def test_a_tenant_may_be_left_out_where_it_is_not_required() -> None:
    """Then there is none; an invalid one is refused all the same."""
    app = answering(told_tenant, tenant=tenant_from_header("X-Tenant"), tenant_required=False)
    assert serve(app).body == b"None" and serve(app, x_tenant="#").status == 400


def test_code_that_has_lost_the_request_is_refused(strict: Manager) -> None:
    """With tenancy, the source of the tenant cannot use models; an executor's thread has no session and no tenant."""

    async def source(scope: Any) -> str:
        with pytest.raises(TenantRequiredError):
            await asyncio.to_thread(Org.find, "1")
        return "acme"

    async def make() -> bytes:
        with pytest.raises(BatchContextRequiredError):
            await asyncio.get_running_loop().run_in_executor(None, Org.find, "1")
        return f"{await asyncio.to_thread(lambda: Org.find('1').exists())}".encode()

    assert serve(answering(make, tenant=source)).body == b"False"


def in_its_own_context() -> bool:
    with run_with_batch_context():
        return Org.find("1").exists()


@batched
def in_steps() -> Iterator[bool]:
    yield Org.find("1").exists()


def in_a_transaction() -> bool:
    with transaction():
        return not Org.create(org_id="2", name="of nobody").exists()


def of_its_own_tenant() -> bool:
    with TenantContext.run_with_tenant("acme"):
        return in_its_own_context()


def cleared() -> bool:
    TenantContext.clear_tenant()
    return in_its_own_context()


def after_its_own_context() -> bool:
    of_its_own_tenant()
    return Org.find("1").exists()


@pytest.mark.parametrize(
    ("work", "outcome"),
    [
        (in_its_own_context, TenantRequiredError),
        (batched(in_its_own_context), TenantRequiredError),
        (lambda: next(in_steps()), TenantRequiredError),
        (in_a_transaction, TenantRequiredError),
        (after_its_own_context, ConcurrencyError),
        (of_its_own_tenant, True),
        (cleared, False),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_code_that_outlives_its_request_does_not_work_for_nobody(
    embedded: Manager, work: Callable[[], bool], outcome: Any, kind: str
) -> None:
    """Where tenants are not required, too: a thread that goes on after the end has no tenant, or names one itself."""
    with TenantContext.run_with_tenant("acme"):
        Org.create(org_id="1", name="Acme")
    threads: list[asyncio.Future[bool]] = []
    is_over = threading.Event()

    def late() -> bool:
        is_over.wait(PATIENCE)
        return work()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        threads.append(asyncio.ensure_future(asyncio.to_thread(late)))
        await asyncio.sleep(0)

    async def request() -> bool:
        options: dict[str, Any] = {"tenant": tenant_from_header("X-Tenant"), "tenant_required": False}
        await served(BatchContextMiddleware(app, **options), scope_of(kind=kind, x_tenant="acme"), [])
        is_over.set()
        return await threads[0]

    if kind == "websocket" and work is after_its_own_context:
        outcome = TenantRequiredError  # it never had a session
    if isinstance(outcome, bool):
        assert asyncio.run(request()) is outcome
    else:
        with pytest.raises(outcome):
            asyncio.run(request())
    with run_with_batch_context():
        assert not Org.find("2").exists()


def test_the_tenants_of_other_applications_are_not_asked_of_this_one(embedded: Manager) -> None:
    """Where another application of the process names tenants, one without them works on the items of none."""
    embedded.database.requires_tenant = True

    def found() -> bool:
        return Org.find("1").exists()

    async def make() -> bytes:
        return str(await asyncio.to_thread(found)).encode()

    async def source(scope: Any) -> str:
        return "acme" if not await asyncio.to_thread(found) else "none"

    assert serve(answering(make)).body == b"False"
    assert serve(answering(told_tenant, tenant=source)).body == b"acme"
    with pytest.raises(TenantRequiredError):
        found()


def test_a_function_that_gives_no_text_is_a_mistake_of_the_program() -> None:
    """And no fault of the request's."""
    answer = serve(answering(told_tenant, tenant=lambda scope: 5))
    assert isinstance(answer.error, ConfigurationError) and "returned int" in str(answer.error)


def test_a_websocket_has_its_tenant_and_no_session() -> None:
    """In its threads too. One whose request names no tenant is closed before it is accepted, with the reason."""

    async def endpoint(websocket: Any) -> None:
        await websocket.accept()
        tenant = await asyncio.to_thread(TenantContext.get_current_tenant)
        await websocket.send_text(f"{tenant} {current_session()}")
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    connect = [{"type": "websocket.connect"}]

    def messages(**options: Any) -> list[Any]:
        wrapped = BatchContextMiddleware(app, tenant=tenant_from_header("X-Tenant"))
        return asyncio.run(served(wrapped, scope_of(kind="websocket", **options), connect)).messages

    accepted, text, _ = messages(x_tenant="acme")
    assert accepted["type"] == "websocket.accept" and text["text"] == "acme None"
    (refused,) = messages()
    assert (refused["type"], refused["code"]) == ("websocket.close", 1008)
    assert "names no tenant in the header X-Tenant" in refused["reason"]
    assert TenantContext.get_current_tenant() is None


# --- figures ---------------------------------------------------------------------------------------------


def test_each_request_is_one_line_of_the_log(orgs: list[Org], caplog: pytest.LogCaptureFixture) -> None:
    """Path, status, figures of the end and tenant, and neither the query nor what could break the line."""
    caplog.set_level(logging.DEBUG, "dynamo_bao.web")
    scope = scope_of("/shop/a\nb\u00e9?secret=1", x_tenant="acme")
    scope["root_path"] = "/shop"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})
        await asyncio.to_thread(lambda: Org.find("1").exists())

    asyncio.run(served(BatchContextMiddleware(app, tenant=tenant_from_header("X-Tenant")), scope))
    serve(answering(told_tenant, 299), "/idle")
    lines = [(one.levelname, one.getMessage()) for one in caplog.records if one.name == "dynamo_bao.web"]
    assert lines[0][0] == "INFO" and lines[0][1].startswith(
        "GET /shop/a%0Ab%C3%A9: 200 OK, 1 round trip, 1 request, 1 key, "
    )
    assert lines[0][1].endswith("tenant acme") and "secret" not in caplog.text
    assert lines[1][0] == "DEBUG" and lines[1][1].startswith("GET /idle: 299, 0 round trips, ")


def test_server_timing_tells_what_was_asked_until_the_answer_began(orgs: list[Org]) -> None:
    """It is a header of its own beside those of the application; off unless it is asked for."""
    header = serve(answering(reading(), server_timing=True)).headers["server-timing"]
    name, duration, described = header.split(";")
    assert name == "dynamodb" and float(duration.removeprefix("dur=")) > 0
    assert described.startswith('desc="1 round trip, 1 request, 1 key, ')
    assert "server-timing" not in serve(answering(reading())).headers


def test_the_development_page_shows_the_last_requests(orgs: list[Org]) -> None:
    """With the trace of each; only where it is asked for."""
    watched = answering(reading(), traces="/_bao")
    assert serve(answering(reading()), "/_bao").body == b"Org 1"
    serve(watched, "/good")
    answer = serve(watched, "/_bao")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert "GET /good" in answer.body.decode() and 'title="OK">200' in answer.body.decode()
    trace = serve(watched, "/_bao?request=1").body.decode()
    assert "test_asgi.py:" in trace and "BatchGetItem" in trace


async def steps() -> AsyncIterator[bytes]:
    """A stream whose parts are made on the event loop."""
    for key in "12":
        yield await asyncio.to_thread(lambda key=key: Org.find(key).name.encode())  # type: ignore[misc]


def test_an_asynchronous_stream_has_the_session_too(orgs: list[Org]) -> None:
    """Its figures are in the log, as those of its end."""

    async def endpoint(request: Any) -> StreamingResponse:
        return StreamingResponse(steps())

    app = BatchContextMiddleware(Starlette(routes=[Route("/", endpoint)]), server_timing=True)
    answer = serve(app)
    assert answer.body == b"Org 1Org 2" and "0 round trips" in answer.headers["server-timing"]
