"""The WSGI middleware: how long a request's session lives, where it is bound, and how every request ends."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from dynamo_bao import (
    ConcurrencyError,
    ConfigurationError,
    Manager,
    Session,
    TenantContext,
    UncommittedChangesError,
    current_session,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.wsgi import BatchContextMiddleware, tenant_from_header, tenant_from_host
from tests.support.models import Org
from tests.support.patience import PATIENCE
from tests.support.wire import Wire
from tests.support.wsgi_server import Serving, environ_of, serve

NUMBER = 1000
"""How many requests of each kind must end well."""
HEADERS = [("Content-Type", "text/plain")]


def answering(make: Callable[[], Iterable[bytes]], status: str = "200 OK") -> BatchContextMiddleware:
    """An application in the middleware that answers with what `make` returns, made in its call."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, HEADERS)
        return make()

    return BatchContextMiddleware(app)


class Parts:
    """A response that notes the session of each of its steps, and can fail at any of them."""

    def __init__(self, seen: list[Session | None], *, fails_at: int = -1, close_fails: bool = False) -> None:
        self.seen = seen
        self.number = 0
        self.fails_at = fails_at
        self.close_fails = close_fails
        seen.append(current_session())

    def __iter__(self) -> Parts:
        self.seen.append(current_session())
        return self

    def __next__(self) -> bytes:
        self.seen.append(current_session())
        if self.number == self.fails_at:
            raise OSError("a part that fails")
        if self.number == 3:
            raise StopIteration
        self.number += 1
        return b"part"

    def close(self) -> None:
        self.seen.append(current_session())
        if self.close_fails:
            raise OSError("a close that fails")


# --- life of a session -----------------------------------------------------------------------------------


def test_a_response_may_be_closed_twice() -> None:
    """The second time does nothing, as with a file."""
    seen: list[Session | None] = []
    serving = Serving(answering(lambda: Parts(seen)))
    list(serving.parts)
    for _ in range(2):
        serving.close()
    assert len(seen) == 1 + 1 + 4 + 1


def test_the_session_is_bound_in_each_step_and_between_them_nothing_is() -> None:
    """It is the same one in the call, each part and the close; it closes last, and the thread is as before."""
    seen: list[Session | None] = []
    serving = Serving(answering(lambda: Parts(seen)))
    assert current_session() is None
    for _ in serving.parts:
        assert current_session() is None
    (session,) = set(seen)
    assert session is not None and session.is_open
    serving.close()
    assert len(seen) == 1 + 1 + 4 + 1 and set(seen) == {session}
    assert not session.is_open and current_session() is None


def test_what_is_found_in_the_call_is_loaded_in_the_stream(orgs: list[Org], sent: Wire) -> None:
    """Lookups of the call wait for the first look, which a part of the response may be: one request."""

    def make() -> Iterator[bytes]:
        found = [Org.find(one.org_id) for one in orgs]
        return (org.name.encode() for org in found)

    before = len(sent)
    assert serve(answering(make)).body == b"Org 0Org 1Org 2Org 3Org 4"
    assert len(sent) - before == 1


def test_the_middleware_keeps_to_the_protocol() -> None:
    """The standard library's validator finds nothing wrong on either side of it."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)(b"written, ")
        return [b"returned"]

    written: list[bytes] = []
    checked = validator(BatchContextMiddleware(validator(app), server_timing=True))  # type: ignore[arg-type]
    body = checked(environ_of(), lambda *_: written.append)  # type: ignore[arg-type]
    written += list(body)
    body.close()  # type: ignore[attr-defined]
    assert b"".join(written) == b"written, returned"


def test_a_block_around_a_yield_is_whole_at_each_step(embedded: Manager) -> None:
    """Contexts, tenants and transactions that a response opens stay its own, even among other responses."""

    def make() -> Iterator[bytes]:
        outer = current_session()
        with run_with_batch_context() as inner, TenantContext.run_with_tenant("acme"), transaction():
            yield b"1"
            assert current_session() is inner and TenantContext.get_current_tenant() == "acme"
            Org.create(org_id="made", name="in a stream")
            yield b"2"
        assert current_session() is outer and TenantContext.get_current_tenant() is None
        yield b"3"

    serving = Serving(answering(make))
    for _ in serving.parts:
        assert current_session() is None and TenantContext.get_current_tenant() is None
    serving.close()
    with TenantContext.run_with_tenant("acme"):
        assert Org.find("made").exists()


def test_a_response_may_go_on_in_another_thread(orgs: list[Org]) -> None:
    """Servers that take each step in some thread of a pool are served too: the session moves along."""
    parts: list[bytes] = []

    def make() -> Iterator[bytes]:
        found = [Org.find(one.org_id) for one in orgs]
        return (org.name.encode() for org in found)

    serving = Serving(answering(make))
    for step in (lambda: parts.append(next(serving.parts)),) * 5 + (serving.close,):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert parts == [f"Org {number}".encode() for number in range(5)]


def test_a_session_that_a_worker_has_is_not_taken_from_it() -> None:
    """While a worker has activated it, the response cannot go on; afterwards it can."""
    sessions: list[Session] = []

    def make() -> Iterator[bytes]:
        sessions.append(current_session())  # type: ignore[arg-type]
        yield b"1"
        yield b"2"

    serving = Serving(answering(make))
    assert next(serving.parts) == b"1"
    taken, done = threading.Event(), threading.Event()

    def work() -> None:
        with sessions[0].activate():
            taken.set()
            done.wait(PATIENCE)

    worker = threading.Thread(target=work)
    worker.start()
    taken.wait(PATIENCE)
    with pytest.raises(ConcurrencyError):
        next(serving.parts)
    done.set()
    worker.join()
    assert next(serving.parts) == b"2"
    serving.close()
    assert not sessions[0].is_open


def test_an_application_inside_another_has_its_own_session(
    errors: Callable[[], list[str]],
) -> None:
    """A request that another one makes in the same thread leaves it alone."""
    inner_seen: list[Session | None] = []
    inner = answering(lambda: Parts(inner_seen))
    outer: list[Session | None] = []

    def make() -> list[bytes]:
        outer.append(current_session())
        body = serve(inner).body
        assert current_session() is outer[0] and outer[0].is_open  # type: ignore[union-attr]
        return [body]

    assert serve(answering(make)).body == b"partpartpart"
    assert len({*inner_seen, *outer}) == 2 and errors() == []


def test_what_runs_around_a_request_sees_what_it_costs(orgs: list[Org]) -> None:
    """Budgets of a test count the requests that its client's pages make."""
    app = answering(lambda: [Org.find("1").name.encode()])
    with run_with_batch_context() as session, session.budget(round_trips=1) as budget:
        serve(app)
    assert budget.used_round_trips == 1


def test_options_of_sessions_are_those_of_batch_contexts() -> None:
    """They are told when the application is wrapped: unknown ones with the one that was meant, wrong ones too."""
    fetch: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)
        fetch.append(current_session().settings.fetch)  # type: ignore[union-attr]
        return []

    serve(BatchContextMiddleware(app, fetch="raise"))
    assert fetch == ["raise"]
    with pytest.raises(ConfigurationError, match="Did you mean 'deadline'"):
        BatchContextMiddleware(app, deadlin=5)
    with pytest.raises(ConfigurationError, match="fetch='all'"):
        BatchContextMiddleware(app, fetch="all")
    for option in ("tenant_required", "server_timing"):
        with pytest.raises(ConfigurationError, match=f"{option}='false'; give True or False"):
            BatchContextMiddleware(app, **{option: "false"})  # type: ignore[arg-type]


def test_a_file_in_the_servers_own_wrapper_reaches_it_unwrapped() -> None:
    """So that it can be sent without passing through Python; the session is closed before."""

    class FileWrapper:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"file"])

    sessions: list[Session | None] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)
        sessions.append(current_session())
        return environ["wsgi.file_wrapper"]()  # type: ignore[no-any-return]

    serving = Serving(BatchContextMiddleware(app), **{"wsgi.file_wrapper": FileWrapper})
    assert isinstance(serving.body, FileWrapper) and not sessions[0].is_open  # type: ignore[union-attr]


# --- every end -------------------------------------------------------------------------------------------


@pytest.mark.promise("S8")
def test_every_session_is_closed_exactly_once(
    closings: Counter[Session], errors: Callable[[], list[str]]
) -> None:
    """Success, failing calls, parts and closes, clients that leave, bodies that nobody reads: each a thousand times."""
    seen: list[Session | None] = []

    def failing() -> Iterable[bytes]:
        seen.append(current_session())
        raise OSError("a call that fails")

    ends: dict[str, tuple[Callable[[], Iterable[bytes]], int | None, str | None]] = {
        "success": (lambda: Parts(seen), None, None),
        "exception in the call": (failing, None, "a call that fails"),
        "exception in the response": (lambda: Parts(seen, fails_at=1), None, "a part that fails"),
        "client gone": (lambda: Parts(seen), 2, None),
        "body not consumed": (lambda: Parts(seen), 0, None),
        "close() raising": (lambda: Parts(seen, close_fails=True), None, "a close that fails"),
        "close() raising after the client is gone": (
            lambda: Parts(seen, close_fails=True),
            1,
            "a close that fails",
        ),
    }
    for name, (make, parts, told) in ends.items():
        app, before = answering(make), set(closings)
        answers = [serve(app, parts=parts) for _ in range(NUMBER)]
        assert {str(answer.error) if answer.error else None for answer in answers} == {told}, name
        assert len(set(closings) - before) == NUMBER, name
        print(f"\nS8 {name}: {NUMBER:,} requests, {NUMBER:,} sessions closed once each", end="")
    assert set(closings) == set(seen) and set(closings.values()) == {1}
    assert current_session() is None and errors() == []


@pytest.mark.promise("S8")
def test_what_a_server_never_closes_is_closed_at_the_threads_next_request(
    closings: Counter[Session], errors: Callable[[], list[str]]
) -> None:
    """Each is told in the log once; a response that is used afterwards finds its session closed, and no other's."""
    seen: list[Session | None] = []
    app = answering(lambda: Parts(seen))
    left = Serving(app, "/left")
    next(left.parts)
    assert seen[-1] is not None and seen[-1].is_open and errors() == []
    for _ in range(NUMBER):
        serve(app, close=False)
    assert len(errors()) == NUMBER and "GET /left: the server never called close()" in errors()[0]
    serve(app)
    late, before = seen[0], len(seen)
    next(left.parts)
    assert seen[before] is late and not late.is_open  # type: ignore[union-attr]
    left.close()
    assert set(closings.values()) == {1} and len(closings) == NUMBER + 2
    assert current_session() is None


def test_other_threads_requests_are_left_alone(errors: Callable[[], list[str]]) -> None:
    """A request in one thread does not end one that another thread has under way."""
    seen: list[Session | None] = []
    app = answering(lambda: Parts(seen))
    serving = Serving(app)
    thread = threading.Thread(target=serve, args=[app])
    thread.start()
    thread.join()
    assert seen[0] is not None and seen[0].is_open and errors() == []
    serving.close()


def test_contexts_that_the_application_never_left_are_closed_with_the_request(
    errors: Callable[[], list[str]],
) -> None:
    """They are told in the log, and the next request of the thread does not see them."""
    entered: list[Session] = []
    contexts = [run_with_batch_context()]
    app = answering(lambda: [entered.append(contexts[0].__enter__()) or b""])  # type: ignore[func-returns-value]
    serve(app)
    assert not entered[0].is_open and current_session() is None
    assert len(errors()) == 1 and "was never left" in errors()[0]


# --- uncommitted work ------------------------------------------------------------------------------------


def adding() -> bytes:
    """Leaves work uncommitted, and something to send."""
    current_session().add(Org(org_id="lost", name="-"))  # type: ignore[union-attr]
    return b"done"


def test_uncommitted_work_fails_the_request_while_the_answer_can_still_change(embedded: Manager) -> None:
    """A finished answer never reaches the server: it gets the exception instead, and answers 500."""
    answer = serve(answering(lambda: [adding()]))
    assert isinstance(answer.error, UncommittedChangesError) and answer.body == b""
    assert not Org.find("lost").exists()


def test_a_stream_that_leaves_work_uncommitted_breaks_off(embedded: Manager) -> None:
    """Its client must not take the answer for a success: the error comes in the place of the end."""
    serving = Serving(answering(lambda: (adding() for _ in range(1))))
    assert next(serving.parts) == b"done"
    with pytest.raises(UncommittedChangesError):
        next(serving.parts)
    serving.close()


@pytest.mark.parametrize("how", ["status", "client gone"])
def test_uncommitted_work_of_failed_requests_is_dropped_with_a_warning(
    embedded: Manager, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """An answer that is an error, and a client that has left, are reasons enough."""
    if how == "status":
        answer = serve(answering(lambda: [adding()], "422 Unprocessable Content"))
    else:
        answer = serve(answering(lambda: (adding() for _ in range(2))), parts=1)
    assert answer.error is None and answer.body == b"done"
    assert "never committed" in caplog.text and not Org.find("lost").exists()


@pytest.mark.parametrize("where", ["call", "response"])
def test_an_exception_of_the_application_is_not_hidden_by_its_uncommitted_work(
    embedded: Manager, where: str
) -> None:
    """The server sees what went wrong first."""

    def stream() -> Iterator[bytes]:
        yield adding()
        raise OSError("first")

    def make() -> Iterable[bytes]:
        return stream() if where == "response" else list(stream())

    assert str(serve(answering(make)).error) == "first"


# --- tenants ---------------------------------------------------------------------------------------------


def tenants_seen(**options: Any) -> tuple[BatchContextMiddleware, list[str | None]]:
    """An application that notes the tenant in its call, its response and its close."""
    seen: list[str | None] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            seen.append(TenantContext.get_current_tenant())
            yield b"-"

        def close(self) -> None:
            seen.append(TenantContext.get_current_tenant())

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)
        seen.append(TenantContext.get_current_tenant())
        return Body()

    return BatchContextMiddleware(app, **options), seen


@pytest.mark.parametrize(
    ("source", "variables"),
    [
        (tenant_from_header("X-Tenant"), {"HTTP_X_TENANT": "acme"}),
        (tenant_from_host("example.com"), {"HTTP_HOST": "acme.example.com"}),
        (tenant_from_host("Example.com"), {"HTTP_HOST": "ACME.EXAMPLE.COM.:8080"}),
        (lambda environ: environ["REMOTE_USER"], {"REMOTE_USER": "acme"}),
    ],
)
def test_the_tenant_holds_in_every_step_and_nowhere_else(source: Any, variables: dict[str, str]) -> None:
    """From a header, the host, or a function of the environment."""
    app, seen = tenants_seen(tenant=source)
    serving = Serving(app, **variables)
    for _ in serving.parts:
        assert TenantContext.get_current_tenant() is None
    serving.close()
    assert seen == ["acme"] * 3 and TenantContext.get_current_tenant() is None


@pytest.mark.parametrize(
    ("source", "variables", "told"),
    [
        (tenant_from_header("X-Tenant"), {"HTTP_X_TENANT": "a b"}, "in the header X-Tenant is not 1 to 64"),
        (tenant_from_header("X-Tenant"), {"HTTP_X_TENANT": "x" * 65}, "is not 1 to 64"),
        (tenant_from_header("X-Tenant"), {"HTTP_X_TENANT": "a,b"}, "is not 1 to 64"),
        (tenant_from_header("X-Tenant"), {"HTTP_X_TENANT": ""}, "names no tenant in the header X-Tenant"),
        (tenant_from_header("X-Tenant"), {}, "names no tenant in the header X-Tenant"),
        (tenant_from_host("example.com"), {"HTTP_HOST": "example.com"}, "names no tenant in the host"),
        (tenant_from_host("example.com"), {"HTTP_HOST": "acme.example.org"}, "names no tenant in the host"),
        (
            tenant_from_host("example.com"),
            {"HTTP_HOST": "a.b.example.com"},
            "as <tenant>.example.com",
        ),
        (tenant_from_host("example.com"), {"HTTP_HOST": "[::1]:80"}, "names no tenant"),
        (tenant_from_host("example.com"), {"HTTP_HOST": ".example.com"}, "is not 1 to 64"),
        (lambda environ: "#", {}, "that the request names is not 1 to 64"),
        (lambda environ: None, {}, "names no tenant"),
    ],
)
def test_a_request_without_a_valid_tenant_is_answered_with_400(
    source: Any, variables: dict[str, str], told: str, closings: Counter[Session]
) -> None:
    """The application is not called, the answer says what is wrong, and does not repeat what was sent."""
    app, seen = tenants_seen(tenant=source)
    answer = serve(app, **{"HTTP_HOST": "localhost", **variables})
    assert answer.status == "400 Bad Request" and answer.headers["Content-Type"].startswith("text/plain")
    assert told in answer.body.decode() and seen == [] and list(closings.values()) == [1]


def test_a_tenant_may_be_left_out_where_it_is_not_required() -> None:
    """Then there is none, whatever the thread had before; an invalid one is refused all the same."""
    app, seen = tenants_seen(tenant=tenant_from_header("X-Tenant"), tenant_required=False)
    with TenantContext.run_with_tenant("outside"):
        serve(app)
        assert TenantContext.get_current_tenant() == "outside"
    assert seen == [None] * 3
    assert serve(app, HTTP_X_TENANT="#").status == "400 Bad Request"


def test_a_tenant_that_the_application_sets_is_the_requests_own() -> None:
    """It holds until the request ends, and the thread's next request does not have it."""
    seen: list[str | None] = []

    def make() -> Iterator[bytes]:
        seen.append(TenantContext.get_current_tenant())
        TenantContext.set_current_tenant("mine")
        return (str(TenantContext.get_current_tenant()).encode() for _ in range(2))

    app = answering(make)
    assert serve(app).body == b"minemine" and serve(app).body == b"minemine"
    assert seen == [None, None] and TenantContext.get_current_tenant() is None
    with TenantContext.run_with_tenant("around"):
        serve(app)
        assert TenantContext.get_current_tenant() == "around"
    assert seen[-1] == "around"


@pytest.mark.parametrize(
    "make",
    [
        lambda: tenant_from_header("X Tenant"),
        lambda: tenant_from_host("https://example.com"),
        lambda: tenant_from_header(None),  # type: ignore[arg-type]  # as of a variable that is not set
        lambda: tenant_from_host(None),  # type: ignore[arg-type]
        lambda: BatchContextMiddleware(lambda environ, start: [], tenant="X-Tenant"),  # type: ignore[arg-type]
    ],
)
def test_wrong_sources_of_tenants_are_told_at_once(make: Callable[[], object]) -> None:
    """Each with what to write instead."""
    with pytest.raises(ConfigurationError, match=r"give|is letters"):
        make()


def test_a_function_that_gives_no_text_is_a_mistake_of_the_program() -> None:
    """And no fault of the request's."""
    answer = serve(BatchContextMiddleware(lambda environ, start: [], tenant=lambda environ: 5))  # type: ignore[arg-type,return-value]
    assert isinstance(answer.error, ConfigurationError) and "returned int" in str(answer.error)


# --- figures ---------------------------------------------------------------------------------------------


def test_each_request_is_one_line_of_the_log(orgs: list[Org], caplog: pytest.LogCaptureFixture) -> None:
    """Path, status, figures and tenant, and neither the query nor what could break the line."""
    caplog.set_level(logging.DEBUG, "dynamo_bao.web")
    serve(answering(lambda: [Org.find("1").name.encode()]), "/a\nb\u00e9?secret=1", SCRIPT_NAME="/shop")
    serve(answering(lambda: [b""]), "/idle")
    lines = [(one.levelname, one.getMessage()) for one in caplog.records if one.name == "dynamo_bao.web"]
    assert lines[0][0] == "INFO" and lines[0][1].startswith(
        "GET /shop/a%0Ab%E9: 200 OK, 1 round trip, 1 request, 1 key, "
    )
    assert "secret" not in caplog.text
    assert lines[1][0] == "DEBUG" and lines[1][1].startswith("GET /idle: 200 OK, 0 round trips, ")


def test_server_timing_tells_what_was_asked_until_the_answer_began(orgs: list[Org]) -> None:
    """It is a header of its own beside those of the application; off unless it is asked for."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        assert [Org.find(one).name for one in "12"]
        start_response("200 OK", HEADERS)
        return []

    header = serve(BatchContextMiddleware(app, server_timing=True)).headers["Server-Timing"]
    name, duration, described = header.split(";")
    assert name == "dynamodb" and float(duration.removeprefix("dur=")) > 0
    assert described.startswith('desc="2 round trips, 2 requests, 2 keys, ')
    assert "Server-Timing" not in serve(BatchContextMiddleware(app)).headers


def test_the_development_page_shows_the_last_requests(
    orgs: list[Org], caplog: pytest.LogCaptureFixture
) -> None:
    """Newest first, with the trace of each; only where it is asked for, which the log warns of."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK" if environ["PATH_INFO"] == "/good" else "404 Not Found", HEADERS)
        return [Org.find("1").name.encode()]

    plain, watched = BatchContextMiddleware(app), BatchContextMiddleware(app, traces="/_bao")
    assert serve(plain, "/_bao").body == b"Org 1"
    assert "No request has ended yet." in serve(watched, "/_bao").body.decode()
    for path in ("/good", "/<b>bad</b>"):
        serve(watched, path)
    assert caplog.text.count("open to everyone who can reach /_bao") == 1
    assert serve(watched, "/_bao", REQUEST_METHOD="POST").body == b"Org 1"
    answer = serve(watched, "/_bao")
    text = answer.body.decode()
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8" and "<b>" not in text
    assert text.index("POST /_bao") < text.index("%3Cb%3Ebad") < text.index("GET /good")
    assert 'class="bad" title="Not Found">404' in text and 'class="good" title="OK">200' in text
    trace = serve(watched, "/_bao?request=1").body.decode()
    assert '<a href="?">&larr; Back</a>' in trace
    assert "test_wsgi.py:" in trace and "BatchGetItem" in trace and "Org &#x27;1&#x27;" in trace


def test_the_development_page_keeps_fifty_requests() -> None:
    """Older ones are forgotten, and lead back to the list."""
    app = BatchContextMiddleware(lambda environ, start: start("200 OK", []) or [], traces="/_bao")
    for number in range(60):
        serve(app, f"/{number}")
    text = serve(app, "/_bao?request=5").body.decode()
    assert text.count("<tr>") == 51 and "GET /59" in text and "GET /9<" not in text


def test_the_page_needs_a_path() -> None:
    """True, say, is none."""
    for wrong in ("", "/", "bao", True):
        with pytest.raises(ConfigurationError, match="/_bao"):
            BatchContextMiddleware(lambda environ, start: [], traces=wrong)  # type: ignore[arg-type]
