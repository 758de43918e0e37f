"""The tenant of a web request or a task is never lost on the way to a thread, a generator or an async view."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask

from dynamo_bao import (
    Manager,
    Model,
    PrimaryKey,
    StringField,
    TenantContext,
    TenantRequiredError,
    batched,
    current_session,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.fastapi import BatchContextMiddleware as AsyncMiddleware
from dynamo_bao.flask import Bao
from dynamo_bao.wsgi import BatchContextMiddleware, tenant_from_header
from tests.support.wsgi_server import serve


class Secret(Model, prefix="kts"):
    secret_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("secret_id")


class Domain(Model, prefix="ktd"):
    host: str = StringField()
    tenant: str = StringField()

    primary_key = PrimaryKey("host")


@pytest.fixture(autouse=True)
def manager() -> Iterator[Manager]:
    """A table where acme has a secret, beta has one, and nobody has another."""
    with init_models(models=[Secret, Domain], table_name="tenants", embedded=True) as manager:
        Secret.create(secret_id="s", text="nobody's")
        Domain.create(host="a.example", tenant="acme")
        for tenant in ("acme", "beta"):
            with TenantContext.run_with_tenant(tenant):
                Secret.create(secret_id="s", text=f"{tenant}'s")
        yield manager


def text() -> str:
    return Secret.find("s").text


def in_a_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work).result()


def handed_over() -> str:
    """What a thread reads to which the request hands its session."""
    session = current_session()
    assert session is not None

    def work() -> str:
        with session.activate():
            return text()

    return str(in_a_thread(work))


async def view() -> str:
    return text()


def lost(work: Callable[[], Any]) -> str:
    """What happens to work that has no way to know its tenant."""
    with pytest.raises(TenantRequiredError):
        work()
    return "refused"


WAYS: dict[str, Callable[[], str]] = {
    "here": text,
    "in a thread that the session is handed to": handed_over,
    "in a thread": lambda: lost(lambda: in_a_thread(text)),
    "in a thread, batched": lambda: lost(lambda: in_a_thread(batched(text))),
    "in a thread's own context": lambda: lost(lambda: in_a_thread(lambda: run_with_batch_context(text))),
    "in an async view": lambda: lost(lambda: async_to_sync(view)()),
    "in a task": lambda: lost(lambda: asyncio.run(view())),
}


HEADER = tenant_from_header("X-Tenant")


def of_wsgi(way: Callable[[], str], tenant: Any = HEADER) -> Callable[[str], str]:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [way().encode()]

    wrapped = BatchContextMiddleware(app, tenant=tenant)
    return lambda tenant: serve(wrapped, HTTP_X_TENANT=tenant).body.decode()


def of_flask(way: Callable[[], str]) -> Callable[[str], str]:
    app = Flask(__name__)
    app.testing = True
    Bao(app, tenant=HEADER)
    app.get("/")(lambda: way())
    return lambda tenant: app.test_client().get("/", headers={"X-Tenant": tenant}).text


def of_fastapi(way: Callable[[], str], tenant: Any = HEADER) -> Callable[[str], str]:
    app = FastAPI()
    app.add_middleware(AsyncMiddleware, tenant=tenant)
    app.get("/")(lambda: way())
    return lambda tenant: str(TestClient(app).get("/", headers={"X-Tenant": tenant}).json())


@pytest.mark.parametrize("framework", [of_wsgi, of_flask])
@pytest.mark.parametrize("way", WAYS)
def test_a_requests_tenant_is_kept_or_missed(framework: Callable[..., Any], way: str) -> None:
    """Never is another keyspace read or written, wherever a request's work runs."""
    request = framework(WAYS[way])
    for tenant in ("acme", "beta", "acme"):
        assert request(tenant) in (f"{tenant}'s", "refused")
    if "handed" in way or way == "here":
        assert request("acme") == "acme's"


def test_the_function_that_finds_a_tenant_may_use_models() -> None:
    """It runs before there is a tenant, and needs none."""

    def tenant(environ: dict[str, Any]) -> str | None:
        return str(Domain.find(environ["HTTP_HOST"]).tenant)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [text().encode()]

    for _ in range(2):
        assert serve(BatchContextMiddleware(app, tenant=tenant), HTTP_HOST="a.example").body == b"acme's"


def test_an_application_without_tenants_beside_one_with_them() -> None:
    """Its requests need none, and neither do those that may leave it out."""
    of_wsgi(text)("acme")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [text().encode()]

    assert serve(BatchContextMiddleware(app)).body == b"nobody's"
    optional = BatchContextMiddleware(app, tenant=tenant_from_header("X-Tenant"), tenant_required=False)
    assert serve(optional).body == b"nobody's"
    assert serve(optional, HTTP_X_TENANT="beta").body == b"beta's"


@batched
def in_steps() -> Iterator[str]:
    yield text()
    yield handed_over()


def cleared() -> str:
    """What is read after a tenant was set and cleared again."""
    TenantContext.set_current_tenant("acme")
    TenantContext.clear_tenant()
    return text()


WITHOUT_TENANT: dict[str, Callable[[], str]] = {
    "here": text,
    "in a thread that the session is handed to": handed_over,
    "in an inner context that is handed over": lambda: run_with_batch_context(handed_over),
    "in a generator, and in its session that is handed over": lambda: " ".join({*in_steps()}),
    "in such a generator with its own session": lambda: " ".join({*batched(in_steps, isolated=True)()}),
    "after a tenant was cleared": cleared,
}


@pytest.mark.parametrize("framework", [of_wsgi, of_fastapi])
@pytest.mark.parametrize("way", WITHOUT_TENANT)
def test_all_code_of_an_application_without_tenants_needs_none(
    framework: Callable[..., Any], way: str
) -> None:
    """Beside an application whose requests name theirs, in all code that has a request's session or bindings."""
    of_wsgi(text)("acme")
    assert framework(WITHOUT_TENANT[way], tenant=None)("acme") == "nobody's"


def test_a_session_remembers_its_tenant() -> None:
    """The one it was opened under, or that was set inside; of a block, a thread, a resolver, a generator."""

    def resolved() -> str | None:
        return "acme" if resolving else None

    resolving = True
    with TenantContext.run_with_tenant("acme"), run_with_batch_context():
        assert handed_over() == "acme's"
        with TenantContext.run_with_tenant("beta"), run_with_batch_context():
            assert handed_over() == "beta's"
    with run_with_batch_context():
        TenantContext.set_current_tenant("beta")
        assert handed_over() == "beta's"
        TenantContext.clear_tenant()
        assert handed_over() == "nobody's"
    TenantContext.add_resolver(resolved)
    try:
        with run_with_batch_context() as session:
            resolving = False
            assert session.tenant == "acme" and handed_over() == "acme's"
    finally:
        TenantContext.clear_resolvers()

    @batched
    def texts() -> Iterator[str]:
        while True:
            yield handed_over()

    with TenantContext.run_with_tenant("acme"):
        body = texts()
        assert next(body) == "acme's"
    assert next(body) == in_a_thread(lambda: next(body)) == "acme's"
    body.close()


def test_a_worker_of_its_own_tenant_works_for_the_sessions() -> None:
    """And is itself again afterwards."""
    with TenantContext.run_with_tenant("acme"), run_with_batch_context() as session:

        def work() -> list[str]:
            with TenantContext.run_with_tenant("beta"):
                with session.activate():
                    inside = text()
                return [inside, text()]

        assert in_a_thread(work) == ["acme's", "beta's"]


def test_a_session_that_is_handed_over_works_for_the_tenant_set_last() -> None:
    """Also where the tenant was set, or taken back, inside of it."""
    with run_with_batch_context():
        TenantContext.set_current_tenant("acme")
        assert handed_over() == "acme's"
        TenantContext.set_current_tenant("beta")
        assert handed_over() == "beta's"
        TenantContext.clear_tenant()
        assert handed_over() == "nobody's"


@pytest.mark.parametrize("error", [AttributeError, LookupError, KeyError, RuntimeError])
def test_a_context_may_be_opened_where_resolvers_cannot_tell_a_tenant_yet(error: type[Exception]) -> None:
    """As outside of a request, where frameworks raise; what is read then meets the error."""

    def resolver() -> str:
        raise error("outside of a request")

    TenantContext.add_resolver(resolver)
    try:
        with run_with_batch_context(), pytest.raises(error, match="outside of a request"):
            text()
    finally:
        TenantContext.clear_resolvers()


def test_a_session_remembers_the_first_tenant_that_a_resolver_tells_it() -> None:
    """Also where it could not tell at the opening; it stays that one where the session is handed over."""
    answers = ["", "acme", "beta"]

    def resolver() -> str:
        if not answers[0]:
            raise LookupError("outside of a request")
        return answers[0]

    TenantContext.add_resolver(resolver)
    try:
        with run_with_batch_context() as session:
            assert session.tenant is None
            for _ in range(2):
                del answers[0]
                text()
            assert session.tenant == "acme"
            assert handed_over() == "acme's"
    finally:
        TenantContext.clear_resolvers()


def test_an_error_of_a_resolver_is_not_hidden() -> None:
    """Where it is no way to say that there is no request."""

    def resolver() -> str:
        raise ZeroDivisionError

    TenantContext.add_resolver(resolver)
    try:
        with pytest.raises(ZeroDivisionError), run_with_batch_context():
            pass
    finally:
        TenantContext.clear_resolvers()
