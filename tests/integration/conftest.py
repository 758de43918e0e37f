"""What integration tests need to reach the engine they run on."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.support.engines import Engine


@pytest.fixture
def connection(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The keyword arguments with which `init_models` reaches the engine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    if engine.endpoint_url is None:
        return {"embedded": True}
    return {"endpoint_url": engine.endpoint_url, "region": "us-east-1"}


@pytest.fixture
def table_name() -> str:
    """A name no other test uses, as an engine keeps its tables for the whole session."""
    return f"test_{uuid.uuid4().hex}"
