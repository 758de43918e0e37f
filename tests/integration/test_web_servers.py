"""Flask, FastAPI, Django and plain WSGI under real servers, with clients in another process, some of which go away.

``BAO_REQUESTS`` sets how many requests each server gets; 10,000 in a long run.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import TenantContext, init_models, run_with_batch_context
from tests.support.engines import Engine, Engines
from tests.support.patience import PATIENCE
from tests.support.plugin import engines_of, ready_or_refused
from tests.support.served import KEYS, TENANTS, Account
from tests.support.server import HOST, Server

NUMBER = int(os.environ.get("BAO_REQUESTS", "300"))
CLIENTS = 16
ROOT = Path(__file__).parent.parent.parent
MAKE = "tests.support.served:make_app"
GUNICORN = [
    sys.executable,
    "-m",
    "gunicorn",
    "--bind",
    f"{HOST}:{{port}}",
    "--log-level",
    "critical",
    "--timeout",
    "0",
]
SERVERS = {
    "gunicorn with 8 threads": [*GUNICORN, "--worker-class", "gthread", "--threads", "8", f"{MAKE}()"],
    "gunicorn with gevent": [*GUNICORN, "--worker-class", "gevent", f"{MAKE}()"],
    "waitress": [
        sys.executable,
        "-m",
        "waitress",
        f"--listen={HOST}:{{port}}",
        "--threads=8",
        "--call",
        MAKE,
    ],
}
WSGI_FRAMEWORKS = ("flask", "django", "wsgi")
UVICORN = "uvicorn"
SERVERS[UVICORN] = [
    *(sys.executable, "-m", "uvicorn", "--host", HOST, "--port", "{port}", "--log-level", "critical"),
    *("--factory", "tests.support.served_asgi:make_app"),
]
ASGI_FRAMEWORKS = ("fastapi", "fastapi/async", "django", "django/async")


@pytest.fixture
def dynoxide(request: pytest.FixtureRequest, engines: Engines) -> Engine:
    """The engine that other processes can reach and that is fast enough for many requests."""
    if "dynoxide" not in engines_of(request.config):
        pytest.skip("dynoxide is not among the chosen engines")
    return ready_or_refused(engines, "dynoxide")


@pytest.fixture(params=SERVERS)
def server(
    request: pytest.FixtureRequest, dynoxide: Engine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A server of the applications, whose tenants all have accounts with the same keys."""
    table = f"served_{uuid.uuid4().hex}"
    environment = {
        "AWS_ACCESS_KEY_ID": "dummy",
        "AWS_SECRET_ACCESS_KEY": "dummy",
        "PYTHONPATH": str(ROOT),
        "SERVED_TABLE": table,
        "SERVED_ENDPOINT": str(dynoxide.endpoint_url),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    connection = {"table_name": table, "endpoint_url": dynoxide.endpoint_url, "region": "us-east-1"}
    with init_models(models=[Account], **connection) as manager, run_with_batch_context() as session:
        manager.create_table()
        for tenant in TENANTS:
            with TenantContext.run_with_tenant(tenant):
                session.add(
                    *(Account(account_id=str(key), label=f"{tenant}-{key}") for key in range(KEYS)),
                    overwrite=True,
                )
        session.commit()
    running = Server(request.param, SERVERS[request.param], ROOT)
    try:
        yield running
    finally:
        running.stop()


def audit(server: Server) -> Any:
    """What the server's process says of itself."""
    connection = HTTPConnection(HOST, server.port, timeout=PATIENCE)
    connection.request("GET", "/")
    found = json.loads(connection.getresponse().read())
    connection.close()
    return found


def at_rest(server: Server) -> Any:
    """The same, once the last requests have ended and let go of their sessions; after a minute, whatever there is."""
    deadline = time.monotonic() + PATIENCE
    found = audit(server)
    while (found["open"] or found["alive"]) and time.monotonic() < deadline:
        found = audit(server)
    return found


class Clients:
    """Clients that ask for pages of all tenants at once, and count what they get."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.seen: Counter[str] = Counter()
        self._local = threading.local()
        self._connections: list[HTTPConnection] = []

    def run(self, number: int) -> None:
        """Makes so many requests, from several threads."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            self.seen.update(pool.map(self._request, range(number)))
        for connection in self._connections:
            connection.close()

    def _request(self, number: int) -> str:
        frameworks = ASGI_FRAMEWORKS if self.server.name == UVICORN else WSGI_FRAMEWORKS
        kinds, number_of_kind = len(frameworks), number // len(frameworks)
        framework, tenant = frameworks[number % kinds], TENANTS[number * 7 % 20]
        what = {0: "boom", 1: "gone"}.get(
            number_of_kind % 25, "stream" if number_of_kind % 4 == 0 else "page"
        )
        if what == "gone":
            return self._leave(f"/{framework}/long", tenant)
        path = "/boom" if what == "boom" else f"/{what}/{number % KEYS}"
        status, text = self._ask(f"/{framework}{path}", tenant)
        if what == "boom":
            return "failed as it should" if status == 500 else f"boom was answered with {status}"
        expected = " ".join((tenant, *(f"{tenant}-{(number + step) % KEYS}" for step in range(5))))
        return f"{what} was right" if (status, text) == (200, expected) else f"{what}: {status} {text}"

    def _ask(self, path: str, tenant: str) -> tuple[int, str]:
        connection = self._connection()
        try:
            connection.request("GET", path, headers={"X-Tenant": tenant})
            response = connection.getresponse()
        except (RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            connection.close()  # the server closed it while it was idle; the next one is new
            connection.request("GET", path, headers={"X-Tenant": tenant})
            response = connection.getresponse()
        status, text = response.status, response.read().decode()
        self._local.used = time.monotonic()
        return status, text

    def _connection(self) -> HTTPConnection:
        """This thread's own, kept alive; made anew after a second without use, as servers close it after two."""
        kept: HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is None:
            kept = self._local.connection = HTTPConnection(HOST, self.server.port, timeout=PATIENCE)
            self._connections.append(kept)
        elif time.monotonic() - self._local.used > 1:
            kept.close()
        return kept

    def _leave(self, path: str, tenant: str) -> str:
        """Goes away after the first bytes of a long answer."""
        with socket.create_connection((HOST, self.server.port), timeout=PATIENCE) as connection:
            lines = (f"GET {path} HTTP/1.1", f"Host: {HOST}", f"X-Tenant: {tenant}", "", "")
            connection.sendall("\r\n".join(lines).encode())
            return "left as it should" if connection.recv(100) else "nothing to leave"


def test_tenants_never_cross_under_real_servers(server: Server) -> None:
    """Pages and streams are those of their tenant; in the end no session is open and connections are few.

    Streams keep their session to the end; clients that leave and pages that fail leave nothing behind.
    """
    clients, begun = Clients(server), time.monotonic()
    clients.run(NUMBER)
    seconds, found = time.monotonic() - begun, at_rest(server)
    print(f"\n{server.name}: {NUMBER:,} requests in {seconds:.0f} s: {dict(clients.seen)}, then {found}")
    assert set(clients.seen) == {
        "page was right",
        "stream was right",
        "failed as it should",
        "left as it should",
    }
    assert found["open"] == 0 and found["errors"] == []
    assert found["alive"] == 0
    assert found["connections"] <= 50
