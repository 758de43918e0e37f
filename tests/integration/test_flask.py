"""The Flask extension: a session per request, streams, tenants, lost work, figures, and ``flask bao``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, abort, g, redirect, request, stream_with_context
from werkzeug.middleware.proxy_fix import ProxyFix

from dynamo_bao import (
    ConfigurationError,
    Manager,
    RequireContext,
    Session,
    TenantContext,
    TenantRequiredError,
    UncommittedChangesError,
    current_session,
    init_models,
)
from dynamo_bao.flask import Bao, tenant_from_header, tenant_from_host
from tests.support import models
from tests.support.models import Org


def view(app: Flask, path: str, answer: Callable[[], Any]) -> None:
    """Adds a page, named by its path."""
    app.add_url_rule(path, endpoint=path, view_func=answer)


@pytest.fixture
def strict(table_name: str) -> Iterator[Manager]:
    """The shared models, usable inside batch contexts only."""
    with init_models(
        models=models.ALL, table_name=table_name, embedded=True, policy=RequireContext()
    ) as manager:
        yield manager


@pytest.fixture
def seen() -> list[Session | None]:
    """The sessions that a test's views and hooks ran in."""
    return []


@pytest.fixture
def app(seen: list[Session | None]) -> Flask:
    """An application with the extension, whose hooks all note their session."""
    app = Flask("shop")
    Bao(app)
    note = lambda *_: seen.append(current_session())
    app.before_request(note)
    app.teardown_request(note)
    app.teardown_appcontext(note)
    view(app, "/", lambda: note() or "fine")
    view(app, "/error", lambda: 1 / 0)
    view(app, "/away", lambda: redirect("/"))
    view(app, "/gone", lambda: abort(410))
    return app


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What dynamo_bao logged as an error so far."""
    return lambda: [
        one.getMessage()
        for one in caplog.records
        if one.levelno >= logging.ERROR and one.name.startswith("dynamo_bao")
    ]


# --- sessions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/error", "/away", "/gone", "/nowhere"])
def test_a_request_has_one_session_which_ends_with_it(
    app: Flask, seen: list[Session | None], errors: Callable[[], list[str]], path: str
) -> None:
    """From the first hook to the last teardown function, whatever the answer; the client need not close it."""
    client = app.test_client()
    kept = [client.get(path), client.get(path)]
    first, second = list(dict.fromkeys(seen))
    assert first is not None and second is not None and len(seen) in (6, 8)
    assert not first.is_open and not second.is_open and current_session() is None
    assert errors() == [] and len(kept) == 2


def test_a_request_runs_where_direct_use_is_refused(app: Flask, strict: Manager) -> None:
    """Views and their hooks need no batch context of their own; two looks at one key are one request."""

    @app.post("/orgs/<org_id>")
    def make(org_id: str) -> str:
        Org.create(org_id=org_id, name=f"Org {org_id}")
        return Org.find(org_id).name

    reply = app.test_client().post("/orgs/1")
    assert reply.text == "Org 1"
    assert 'desc="1 round trip, 1 request, ' in reply.headers["Server-Timing"]


@pytest.mark.parametrize("with_context", [True, False])
def test_a_streamed_response_keeps_its_session_to_the_end(
    app: Flask, strict: Manager, seen: list[Session | None], with_context: bool
) -> None:
    """With Flask's context around it or without; it closes when the response does."""

    @app.get("/stream")
    def stream() -> Response:
        def parts() -> Iterator[str]:
            seen.append(current_session())
            for number in range(3):
                yield f"{Org.find(str(number)).exists()} {with_context and request.path}, "
            seen.append(current_session())

        return Response(stream_with_context(parts()) if with_context else parts())

    reply = app.test_client().get("/stream")
    assert reply.text == f"False {'/stream' if with_context else False}, " * 3
    (session,) = set(seen)
    assert session is not None and session.is_open and session.stats.keys_fetched == 3
    reply.close()
    assert not session.is_open and current_session() is None


def test_a_client_that_leaves_a_stream_ends_its_session(app: Flask, seen: list[Session | None]) -> None:
    """The generator's own end still runs inside it."""

    @app.get("/stream")
    def stream() -> Response:
        def parts() -> Iterator[str]:
            try:
                yield "1"
                yield "2"
            finally:
                seen.append(current_session())

        return Response(parts())

    reply = app.test_client().get("/stream")
    session = seen[0]
    assert next(reply.iter_encoded()) == b"1" and session is not None and session.is_open
    reply.close()
    assert seen[-1] is session and not session.is_open


def test_every_hook_around_a_stream_with_context_has_its_session(
    app: Flask, seen: list[Session | None]
) -> None:
    """Whenever Flask runs its teardown functions, which is once more at the stream's end."""
    view(app, "/stream", lambda: Response(stream_with_context(iter(["1", "2"]))))
    with app.test_client().get("/stream") as reply:
        before = len(seen)
        assert reply.text == "12"
    assert before < len(seen) and len(set(seen)) == 1 and None not in seen


def test_one_extension_serves_several_applications() -> None:
    """`init_app` is for application factories."""
    bao = Bao()
    for name in ("one", "two"):
        app = Flask(name)
        bao.init_app(app)
        view(app, "/", lambda: str(current_session() is not None))
        assert app.extensions["dynamo_bao"] is bao
        assert app.test_client().get("/").text == "True"


def test_a_second_registration_is_refused(app: Flask) -> None:
    """Two would give each request two sessions."""
    with pytest.raises(ConfigurationError, match="'shop' already; register it once"):
        Bao(app)


def test_options_come_from_the_call_and_the_configuration() -> None:
    """Those of the call win; wrong ones are told with the one that was meant, before any request."""
    app = Flask("shop")
    app.config["DYNAMO_BAO"] = {"server_timing": False, "fetch": "one", "peer_limit": 5}
    Bao(app, fetch="raise")
    found: list[Session] = []
    app.get("/")(lambda: found.append(current_session()) or "")  # type: ignore[func-returns-value,arg-type]
    assert "Server-Timing" not in app.test_client().get("/").headers
    assert (found[0].settings.fetch, found[0].settings.peer_limit) == ("raise", 5)
    with pytest.raises(ConfigurationError, match="Did you mean 'tenant'"):
        Bao(tenants=tenant_from_header("X-Tenant"))
    broken = Flask("broken")
    broken.config["DYNAMO_BAO"] = {"deadline": -1}
    with pytest.raises(ConfigurationError, match="deadline=-1"):
        Bao(broken)


def test_a_pushed_context_alone_is_no_request() -> None:
    """Tests that call views in `test_request_context` open a batch context themselves."""
    app = Flask("shop")
    Bao(app, tenant=tenant_from_header("X-Tenant"))
    with app.test_request_context("/"):
        assert app.preprocess_request() is None and current_session() is None
        assert app.process_response(Response("x")).status_code == 200


# --- lost work -------------------------------------------------------------------------------------------


def add(status: int) -> tuple[str, int]:
    """Leaves work uncommitted."""
    current_session().add(Org(org_id="lost", name="-"))  # type: ignore[union-attr]
    return "done", status


def test_uncommitted_work_makes_the_answer_an_error(app: Flask, embedded: Manager) -> None:
    """Flask's own error handling sees it, so that the application's page for errors is shown."""
    view(app, "/lost", lambda: add(200))
    app.register_error_handler(500, lambda error: (type(error.original_exception).__name__, 500))
    reply = app.test_client().get("/lost")
    assert (reply.status_code, reply.text) == (500, "UncommittedChangesError")
    app.testing = True
    with pytest.raises(UncommittedChangesError):
        app.test_client().get("/lost")
    assert not Org.find("lost").exists()


def test_uncommitted_work_beside_an_error_is_dropped_with_a_warning(
    app: Flask, embedded: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer stays what it was."""
    view(app, "/lost", lambda: add(409))
    assert app.test_client().get("/lost").status_code == 409
    assert "never committed" in caplog.text and not Org.find("lost").exists()


# --- tenants ---------------------------------------------------------------------------------------------


def tenant_app(**options: Any) -> Flask:
    """An application that answers with its tenant."""
    app = Flask("shop")
    Bao(app, **options)
    view(app, "/", lambda: str(TenantContext.get_current_tenant()))
    view(app, "/stream", lambda: Response(str(TenantContext.get_current_tenant()) for _ in "12"))
    return app


def test_the_tenant_comes_from_a_header() -> None:
    """An invalid one, and a missing one, are answered with 400 and what is wrong; streams have it too."""
    client = tenant_app(tenant=tenant_from_header("X-Tenant")).test_client()
    assert client.get("/", headers={"X-Tenant": "acme"}).text == "acme"
    with client.get("/stream", headers={"X-Tenant": "acme"}) as stream:
        assert stream.text == "acmeacme"
    wrong, missing = client.get("/", headers={"X-Tenant": "a/b"}), client.get("/")
    assert wrong.status_code == missing.status_code == 400
    assert "header X-Tenant is not 1 to 64 characters" in wrong.text
    assert "names no tenant in the header X-Tenant" in missing.text
    assert TenantContext.get_current_tenant() is None


def test_the_tenant_is_there_before_the_first_hook(table_name: str) -> None:
    """For a preprocessor of URL values, which runs before all hooks, also of a blueprint and for an error page."""
    tenancy: dict[str, Any] = {"tenancy": {"enabled": True}}
    with init_models(models=models.ALL, table_name=table_name, embedded=True, **tenancy):
        for tenant_id in ("acme", "other"):
            with TenantContext.run_with_tenant(tenant_id):
                Org.create(org_id="1", name=f"Org of {tenant_id}")
        app = Flask("shop")
        Bao(app, tenant=tenant_from_header("X-Tenant"))
        pages = Blueprint("pages", __name__)
        view(app, "/fine", lambda: "fine")

        @pages.url_value_preprocessor
        def find_org(endpoint: str | None, values: dict[str, Any] | None) -> None:
            if values is not None:
                g.org = Bao.get_or_404(Org, values.pop("org_id"))

        pages.add_url_rule("/orgs/<org_id>", "org", lambda: g.org.name)
        app.register_blueprint(pages)
        client = app.test_client()
        for tenant_id in ("acme", "other"):
            headers = {"X-Tenant": tenant_id}
            assert client.get("/orgs/1", headers=headers).text == f"Org of {tenant_id}"
            assert client.get("/orgs/2", headers=headers).status_code == 404
        for path in ("/fine", "/orgs/1"):
            wrong, missing = client.get(path, headers={"X-Tenant": "a/b"}), client.get(path)
            assert wrong.status_code == missing.status_code == 400
            assert "is not 1 to 64 characters" in wrong.text and "names no tenant" in missing.text
        assert client.get("/nowhere", headers={"X-Tenant": "acme"}).status_code == 404


def test_a_hook_before_the_extension_may_answer_without_a_tenant() -> None:
    """Such as that of a health check, which a load balancer calls."""
    app = Flask("shop")
    app.before_request(lambda: "healthy" if request.path == "/health" else None)
    app.url_value_preprocessor(lambda endpoint, values: None)  # as for a language in the URL
    Bao(app, tenant=tenant_from_header("X-Tenant"))
    assert app.test_client().get("/health").text == "healthy"
    assert app.test_client().get("/other").status_code == 400


def test_the_tenant_comes_from_the_host_that_the_proxy_saw() -> None:
    """What `ProxyFix` corrects counts, on whichever side of the extension it was put."""
    for late in (True, False):
        app = Flask("shop")
        if not late:
            app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]
        Bao(app, tenant=tenant_from_host("example.com"))
        if late:
            app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1)  # type: ignore[method-assign]
        view(app, "/", lambda: str(TenantContext.get_current_tenant()))
        headers = {"Host": "internal:8000", "X-Forwarded-Host": "acme.example.com"}
        assert app.test_client().get("/", headers=headers).text == "acme"


def test_the_tenant_comes_from_a_function_of_the_request() -> None:
    """It may look at what earlier hooks found, and give None where a request needs no tenant."""
    app = Flask("shop")
    app.before_request(lambda: setattr(g, "user", request.headers.get("User-Id")))
    Bao(
        app,
        tenant=lambda request: f"of-{g.user}" if request.path != "/health" else None,
        tenant_required=False,
    )
    for path in ("/", "/health"):
        view(app, path, lambda: str(TenantContext.get_current_tenant()))
    client = app.test_client()
    assert client.get("/", headers={"User-Id": "7"}).text == "of-7"
    assert client.get("/health").text == "None"
    assert client.get("/", headers={"User-Id": "/"}).status_code == 400


def test_without_a_tenant_operations_say_so(table_name: str) -> None:
    """Where tenancy is enabled and a request may come without a tenant, its operations are refused."""
    app = Flask("shop")
    Bao(app, tenant=tenant_from_header("X-Tenant"), tenant_required=False)
    view(app, "/", lambda: str(Org.find("1").exists()))
    app.testing = True
    with init_models(models=models.ALL, table_name=table_name, embedded=True, tenancy={"enabled": True}):
        assert app.test_client().get("/", headers={"X-Tenant": "acme"}).text == "False"
        with pytest.raises(TenantRequiredError, match="find"):
            app.test_client().get("/")


# --- seeing ----------------------------------------------------------------------------------------------


def test_each_request_is_a_line_of_the_log(
    app: Flask, embedded: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    """At INFO if it asked anything of DynamoDB."""
    caplog.set_level(logging.INFO, "dynamo_bao.web")
    view(app, "/orgs", lambda: str(Org.find("1").exists()))
    app.test_client().get("/")
    app.test_client().get("/orgs?token=secret")
    (line,) = [one.getMessage() for one in caplog.records if one.name == "dynamo_bao.web"]
    assert line.startswith("GET /orgs: 200 OK, 1 round trip, 1 request, 1 key, ") and "secret" not in line


def test_the_development_page_is_there_only_if_it_is_asked_for(embedded: Manager) -> None:
    """It needs no tenant and no session, and shows requests with their tenants and traces."""
    assert tenant_app().test_client().get("/_bao").status_code == 404
    app = tenant_app(tenant=tenant_from_header("X-Tenant"), traces="/_bao")
    view(app, "/orgs", lambda: str(Org.find("1").exists()))
    client = app.test_client()
    client.get("/orgs", headers={"X-Tenant": "acme"})
    client.get("/orgs")
    page = client.get("/_bao").text
    assert 'title="BAD REQUEST">400' in page and '<td class="tenant">acme</td>' in page
    assert "test_flask.py" in client.get("/_bao?request=1").text
