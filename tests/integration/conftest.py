"""What integration tests need to reach the engine they run on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_bao import Manager, init_models
from tests.support import models
from tests.support.engines import Engine
from tests.support.patience import PATIENCE
from tests.support.wire import Wire


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
def table_name() -> str:
    """A name no other test uses, as an engine keeps its tables for the whole session."""
    return f"test_{uuid.uuid4().hex}"


@pytest.fixture
def manager(connection: dict[str, Any], table_name: str) -> Iterator[Manager]:
    """The shared models, connected to a new table on the engine."""
    with init_models(models=models.ALL, table_name=table_name, **connection) as manager:
        manager.create_table()
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
