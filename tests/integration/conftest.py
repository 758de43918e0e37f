"""What integration tests need to reach the engine they run on, and what several of them look at."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_bao import Manager, Session, init_models
from dynamo_bao.session.request_session import RequestSession
from tests.support import models
from tests.support.engines import Engine
from tests.support.models import Org
from tests.support.patience import PATIENCE
from tests.support.tables import Tables, fresh_name
from tests.support.wire import Wire

LentTables = Callable[[Engine], "Tables | None"]


@pytest.fixture
def connection(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The keyword arguments with which `init_models` reaches the engine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    if engine.endpoint_url is None:
        return {"embedded": True}
    monkeypatch.setitem(init_models.__kwdefaults__, "deadline", PATIENCE)
    return {"endpoint_url": engine.endpoint_url, "region": "us-east-1"}


@pytest.fixture
def table_name(request: pytest.FixtureRequest, tables: LentTables) -> Iterator[str]:
    """A name no other test uses, of a table that may or may not be made."""
    name = fresh_name()
    engine = request.getfixturevalue("engine") if "engine" in request.fixturenames else None
    yield name
    of_engine = tables(engine) if engine is not None else None
    if of_engine is not None:
        of_engine.delete(name)


@pytest.fixture
def ready_table(engine: Engine, tables: LentTables) -> Iterator[str]:
    """The name of a table with every index and no items; on the embedded engine, a manager makes it."""
    of_engine = tables(engine)
    if of_engine is None:
        yield fresh_name()
        return
    with of_engine.lent() as name:
        yield name


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """The shared models, connected to an empty table on the engine."""
    with init_models(models=models.ALL, table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture
def wire(manager: Manager) -> Wire:
    """What the manager's client sends from now on."""
    return Wire(manager.client)


@pytest.fixture
def embedded(table_name: str) -> Iterator[Manager]:
    """The shared models on the embedded engine, for behaviour that no engine can change."""
    with init_models(models=models.ALL, table_name=table_name, embedded=True) as manager:
        yield manager


@pytest.fixture
def sent(embedded: Manager) -> Wire:
    """What the embedded manager's client sends from now on."""
    return Wire(embedded.client)


@pytest.fixture
def orgs(embedded: Manager) -> list[Org]:
    """Five organisations that are stored on the embedded engine."""
    return [Org.create(org_id=f"{number}", name=f"Org {number}") for number in range(5)]


@pytest.fixture
def closings(monkeypatch: pytest.MonkeyPatch) -> Counter[Session]:
    """How often each session that ever was open has been closed, of web requests too."""
    closings: Counter[Session] = Counter()

    def counting(close: Callable[[Any], None]) -> Callable[[Any], None]:
        def counted(session: Session) -> None:
            closings[session] += 1
            close(session)

        return counted

    for session_class in (Session, RequestSession):
        monkeypatch.setattr(session_class, "close", counting(session_class.close))
    return closings


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged as an error so far, by whomever."""
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
