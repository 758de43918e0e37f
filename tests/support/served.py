"""The applications of real servers in tests: the same pages by Flask, Django and plain WSGI, and an audit.

Servers call `make_app`, which reads its table from the environment. It requires sessions and tenants.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from dynamo_bao import (
    Model,
    PrimaryKey,
    RequireContext,
    Session,
    StringField,
    TenantContext,
    current_session,
    init_models,
)
from dynamo_bao.wsgi import BatchContextMiddleware, tenant_from_header
from tests.support.patience import PATIENCE

TENANTS = tuple(f"t{number}" for number in range(20))
KEYS = 10
"""The number of accounts of each tenant, under the same keys."""
LONG = 400
"""The number of parts of the long stream, of 8 kB each: more than sockets buffer for a client that does not read."""


class Account(Model, prefix="sv", name="ServedAccount"):
    account_id: str = StringField()
    label: str = StringField()

    primary_key = PrimaryKey("account_id")


def page(start: int) -> str:
    """The tenant, and the labels of five accounts, which one request loads."""
    accounts = [Account.find(str((start + step) % KEYS)) for step in range(5)]
    return " ".join((str(TenantContext.get_current_tenant()), *(account.label for account in accounts)))


def stream(start: int) -> Iterator[bytes]:
    """The same in parts. Each part loads its own account, in the session of the first."""
    session = current_session()
    yield str(TenantContext.get_current_tenant()).encode()
    for step in range(5):
        is_same_session = current_session() is session and session is not None and session.is_open
        yield f" {Account.find(str((start + step) % KEYS)).label if is_same_session else 'foreign'}".encode()


def long_stream() -> Iterator[bytes]:
    """An account, and then more than a client reads before it goes away."""
    for number in range(LONG):
        yield Account.find(str(number % KEYS)).label.encode().ljust(8192)


def boom() -> str:
    """A page that fails after a lookup."""
    raise ArithmeticError(Account.find("0").label)


# --- the three applications ------------------------------------------------------------------------------

OPTIONS: dict[str, Any] = {"tenant": tenant_from_header("X-Tenant")}


def flask_app() -> Callable[..., Any]:
    """The pages by Flask."""
    from flask import Flask, Response, stream_with_context

    from dynamo_bao.flask import Bao

    app = Flask("served")
    Bao(app, **OPTIONS)
    app.logger.disabled = True
    app.add_url_rule("/page/<int:start>", "page", page)
    app.add_url_rule(
        "/stream/<int:start>", "stream", lambda start: Response(stream_with_context(stream(start)))
    )
    app.add_url_rule("/long", "long", lambda: Response(long_stream()))
    app.add_url_rule("/boom", "boom", boom)
    return app.wsgi_app


def django_app() -> Callable[..., Any]:
    """The pages by Django."""
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    class Urls:
        urlpatterns = [
            path("page/<int:start>", lambda request, start: HttpResponse(page(start))),
            path("stream/<int:start>", lambda request, start: StreamingHttpResponse(stream(start))),
            path("long", lambda request: StreamingHttpResponse(long_stream())),
            path("boom", lambda request: HttpResponse(boom())),
        ]

    set_up_django(Urls)
    return get_wsgi_application()


def set_up_django(urls: type) -> None:
    """Settings of a site with some paths, which is all that a process serves by Django."""
    import django
    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["*"],
        DYNAMO_BAO=OPTIONS,
        INSTALLED_APPS=["dynamo_bao.django.BaoConfig"],
        LOGGING_CONFIG=None,
        MIDDLEWARE=["dynamo_bao.django.BatchContextMiddleware"],
        ROOT_URLCONF=urls,
        SECRET_KEY="for tests",
    )
    django.setup()


def plain_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The pages by nothing but WSGI."""
    _, name, *rest = environ["PATH_INFO"].split("/")
    if name == "boom":
        boom()
    start_response("200 OK", [("Content-Type", "text/plain")])
    if name == "page":
        return [page(int(rest[0])).encode()]
    return stream(int(rest[0])) if name == "stream" else long_stream()


# --- the process -----------------------------------------------------------------------------------------


class Audit(logging.Handler):
    """A page with the state of the process: open sessions, connections, threads and errors."""

    def __init__(self, port: int) -> None:
        super().__init__(logging.ERROR)
        self.port = port
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())

    def figures(self) -> dict[str, Any]:
        """The state of the process."""
        gc.collect()
        sessions = [thing for thing in gc.get_objects() if isinstance(thing, Session)]
        return {
            "open": sum(session.is_open for session in sessions),
            "alive": len(sessions),
            "connections": connections_to(self.port),
            "threads": threading.active_count(),
            "errors": self.errors,
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(self.figures()).encode()]


def connections_to(port: int) -> int:
    """The number of sockets of this process that are connected to a port."""
    inodes = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            inodes.add(os.readlink(entry))
        except OSError:  # it was the one that lists them
            continue
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sum(
        row[2].endswith(f":{port:04X}") and row[3] == "01" and f"socket:[{row[9]}]" in inodes for row in rows
    )


def connect(**options: Any) -> Audit:
    """Connects the accounts to the table of the environment, and starts the audit of the process."""
    endpoint = os.environ["SERVED_ENDPOINT"]
    init_models(
        models=[Account],
        table_name=os.environ["SERVED_TABLE"],
        endpoint_url=endpoint,
        region="us-east-1",
        deadline=PATIENCE,
        policy=RequireContext(),
        tenancy={"enabled": True},
        **options,
    )
    audit = Audit(int(endpoint.rpartition(":")[2]))
    logging.getLogger("dynamo_bao").addHandler(audit)
    return audit


def make_app() -> Callable[..., Any]:
    """All applications: ``/flask``, ``/django``, ``/wsgi``, and the audit under other paths."""
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    audit = connect()
    applications = {
        "/flask": flask_app(),
        "/django": django_app(),
        "/wsgi": BatchContextMiddleware(plain_app, **OPTIONS),
    }
    return DispatcherMiddleware(audit, applications)
