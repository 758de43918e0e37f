"""The Django middleware and its system check: a session per request, streams, tenants, lost work, figures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_bao import (
    ConfigurationError,
    Manager,
    RequireContext,
    Session,
    TenantContext,
    UncommittedChangesError,
    current_session,
    init_models,
)
from dynamo_bao.web.tenants import tenant_from_header, tenant_from_host
from tests.support import django_site, models
from tests.support.models import Org
from tests.support.wsgi_server import serve

django_site.set_up()

from django.core.checks import run_checks  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import override_settings  # noqa: E402


@pytest.fixture(autouse=True)
def seen() -> Iterator[list[Session | None]]:
    """The sessions that a test's views ran in."""
    django_site.seen.clear()
    yield django_site.seen
    assert current_session() is None and TenantContext.get_current_tenant() is None


@pytest.fixture
def strict(table_name: str) -> Iterator[Manager]:
    """The shared models, usable inside batch contexts only."""
    with init_models(
        models=models.ALL, table_name=table_name, embedded=True, policy=RequireContext()
    ) as manager:
        yield manager


AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"

# --- sessions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/broken", 500), ("/file", 200)])
def test_a_request_has_one_session_which_ends_with_it(
    seen: list[Session | None], path: str, status: int
) -> None:
    """Whatever the answer."""
    client = Client(raise_request_exception=False)
    assert [client.get(path).status_code for _ in range(2)] == [status, status]
    first, second = seen
    assert first is not None and second is not None and first is not second
    assert not first.is_open and not second.is_open


def test_a_request_that_its_server_stops_ends_its_session(seen: list[Session | None]) -> None:
    """What Django does not turn into an answer passes through."""
    with pytest.raises(SystemExit):
        Client().get("/stopped")
    (session,) = seen
    assert session is not None and not session.is_open


def test_a_request_runs_where_direct_use_is_refused(strict: Manager) -> None:
    """Views need no batch context of their own, and the answer tells what they asked."""
    reply = Client().get("/orgs/1")
    assert reply.content == b"False for None"
    assert 'desc="1 round trip, 1 request, 1 key, ' in reply.headers["Server-Timing"]


@pytest.mark.parametrize("parts", [None, 2, 0])
def test_a_streaming_response_keeps_its_session_until_it_is_closed(
    strict: Manager, seen: list[Session | None], parts: int | None
) -> None:
    """Read to its end, left in the middle or never read: the generator's own end runs inside it too."""
    answer = serve(WSGIHandler(), "/stream", parts=parts)
    assert answer.body == b"False for None, " * (3 if parts is None else parts) and answer.error is None
    if parts != 0:
        (session,) = set(seen)
        assert session is not None and not session.is_open
        assert session.stats.keys_fetched == len(seen) - 1


def test_a_stream_may_be_compressed(strict: Manager, seen: list[Session | None]) -> None:
    """What other middleware makes of a stream runs inside its request."""
    answer = serve(WSGIHandler(), "/stream", HTTP_ACCEPT_ENCODING="gzip")
    assert answer.headers["Content-Encoding"] == "gzip" and len(set(seen)) == 1 and None not in seen


def test_asynchronous_parts_are_left_alone() -> None:
    """They run in tasks of their own, to which no session is bound."""
    with pytest.warns(Warning, match="asynchronous"):
        assert b"".join(serve(WSGIHandler(), "/awaited").body for _ in "1") == b"1"


def test_a_file_stays_a_file(seen: list[Session | None]) -> None:
    """So that a server can send it without Python; its session is closed before."""

    class FileWrapper:
        def __init__(self, file: Any, size: int) -> None:
            self.file = file

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.file)

    wrapped: list[Any] = []
    wrapper = lambda *given: wrapped.append(FileWrapper(*given)) or wrapped[0]
    answer = serve(WSGIHandler(), "/file", **{"wsgi.file_wrapper": wrapper})
    assert answer.body == b"file" and len(wrapped) == 1


# --- lost work -------------------------------------------------------------------------------------------


def test_uncommitted_work_makes_the_answer_an_error(embedded: Manager) -> None:
    """Django's own error handling sees it."""
    assert Client(raise_request_exception=False).get("/lost/200").status_code == 500
    with pytest.raises(UncommittedChangesError):
        Client().get("/lost/200")
    assert not Org.find("lost").exists()


def test_uncommitted_work_beside_an_error_is_dropped_with_a_warning(
    embedded: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer stays what it was."""
    assert Client().get("/lost/409").status_code == 409
    assert "never committed" in caplog.text and not Org.find("lost").exists()


# --- tenants ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tenant", "headers", "other"),
    [
        (tenant_from_header("X-Tenant"), {"X-Tenant": "acme"}, {"X-Tenant": "a/b"}),
        (tenant_from_host("example.com"), {"Host": "acme.example.com"}, {"Host": "example.org"}),
        (django_site.header_tenant, {"X-Function": "acme"}, {}),
        ("tests.support.django_site.header_tenant", {"X-Function": "acme"}, {"X-Function": "a b"}),
    ],
)
def test_the_tenant_of_a_request(
    embedded: Manager, tenant: Any, headers: dict[str, str], other: dict[str, str]
) -> None:
    """From a header, the host, a function, or a function's path; without a valid one the answer is 400."""
    with override_settings(DYNAMO_BAO={"tenant": tenant}):
        client = Client()
        assert client.get("/orgs/1", headers=headers).content == b"False for acme"
        assert b"".join(client.get("/stream", headers=headers)) == b"False for acme, " * 3
        refused = client.get("/orgs/1", headers=other)
        assert refused.status_code == 400 and "tenant" in refused.content.decode()
        assert refused.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_the_host_is_the_one_that_a_trusted_proxy_was_asked_for(embedded: Manager) -> None:
    """As Django itself has it, under its own setting."""
    headers = {"Host": "internal", "X-Forwarded-Host": "acme.example.com"}
    with override_settings(DYNAMO_BAO={"tenant": tenant_from_host("example.com")}, USE_X_FORWARDED_HOST=True):
        assert Client().get("/orgs/1", headers=headers).content == b"False for acme"


# --- seeing ----------------------------------------------------------------------------------------------


def test_figures_in_the_log_and_in_server_timing(embedded: Manager, caplog: pytest.LogCaptureFixture) -> None:
    """The header can be turned off."""
    caplog.set_level(logging.INFO, "dynamo_bao.web")
    with override_settings(DYNAMO_BAO={"server_timing": False}):
        assert "Server-Timing" not in Client().get("/orgs/1?token=secret").headers
    (line,) = [one.getMessage() for one in caplog.records if one.name == "dynamo_bao.web"]
    assert line.startswith("GET /orgs/1: 200 OK, 1 round trip, 1 request, 1 key, ")


def test_the_development_page(embedded: Manager) -> None:
    """Under its path, where one is set."""
    assert Client().get("/_bao").status_code == 404
    with override_settings(DYNAMO_BAO={"traces": "/_bao"}):
        client = Client()
        client.get("/orgs/1")
        assert "GET /orgs/1" in client.get("/_bao").content.decode()
        assert "django_site.py:" in client.get("/_bao?request=1").content.decode()


# --- manage.py check -------------------------------------------------------------------------------------


def found(**overridden: Any) -> list[str]:
    """The ids of what ``manage.py check`` finds under some settings."""
    with override_settings(**overridden):
        return [str(one.id) for one in run_checks()]


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({}, []),
        ({"DYNAMO_BAO": {"tenant": tenant_from_header("X-Tenant"), "traces": "/_bao"}}, []),
        ({"DYNAMO_BAO": {"tenants": None}}, ["dynamo_bao.E001"]),
        ({"DYNAMO_BAO": {"tenant": "nowhere.at_all"}}, ["dynamo_bao.E001"]),
        ({"DYNAMO_BAO": {"traces": "bao"}}, ["dynamo_bao.E001"]),
        ({"DYNAMO_BAO": []}, ["dynamo_bao.E001"]),
        ({"MIDDLEWARE": [django_site.MIDDLEWARE] * 2}, ["dynamo_bao.E002"]),
        ({"MIDDLEWARE": []}, ["dynamo_bao.W003"]),
        ({"DYNAMO_BAO": {"tenant": str}, "MIDDLEWARE": []}, ["dynamo_bao.W003"]),
        *[
            ({"DYNAMO_BAO": {"tenant": tenant}, "MIDDLEWARE": order}, ["dynamo_bao.W004"] if early else [])
            for tenant, needs_user in (
                (str, True),
                ("tests.support.django_site.tenant_of_user", True),
                (lambda request: request.user.name, True),
                (tenant_from_header("X-Tenant"), False),
                (tenant_from_host("example.com"), False),
                (None, False),
            )
            for order, early in (
                ([django_site.MIDDLEWARE, AUTHENTICATION], needs_user),
                ([django_site.MIDDLEWARE, "a.SessionMiddleware", AUTHENTICATION], needs_user),
                ([django_site.MIDDLEWARE, "tests.support.django_site.OwnAuthentication"], needs_user),
                ([AUTHENTICATION, django_site.MIDDLEWARE], False),
                ([AUTHENTICATION, django_site.MIDDLEWARE, "nowhere.Other"], False),
                ([django_site.MIDDLEWARE, "tests.support.django_site.plain"], False),
            )
        ],
    ],
)
def test_the_system_check_finds_what_is_wrong(settings: dict[str, Any], ids: list[str]) -> None:
    """Options that cannot be, and a middleware that is missing, there twice, or before what its tenant needs."""
    assert found(**settings) == ids


def test_the_system_check_tells_the_order() -> None:
    """Both middleware are named, and where the one belongs."""
    order = [django_site.MIDDLEWARE, AUTHENTICATION]
    with override_settings(DYNAMO_BAO={"tenant": django_site.tenant_of_user}, MIDDLEWARE=order):
        (warning,) = run_checks()
    assert "request.user" in warning.msg and f"Put {order[0]!r} below {order[1]!r}" in str(warning.hint)


def test_a_tenant_by_the_user_works_in_that_order(embedded: Manager) -> None:
    """Below what sets request.user, the function finds it."""
    order = ["tests.support.django_site.OwnAuthentication", django_site.MIDDLEWARE]
    with override_settings(DYNAMO_BAO={"tenant": django_site.tenant_of_user}, MIDDLEWARE=order):
        assert Client().get("/orgs/x").content == b"False for acme"


def test_wrong_settings_keep_the_project_from_starting() -> None:
    """They are told when Django loads its middleware, before the first request."""
    with (
        override_settings(DYNAMO_BAO={"deadlin": 5}),
        pytest.raises(ConfigurationError, match="Did you mean 'deadline'"),
    ):
        Client().get("/")
