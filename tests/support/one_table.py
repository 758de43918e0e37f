"""Fixtures that give a test file's models a new table, all of them on one embedded engine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dynamo_bao import Manager, RequireContext, TenantContext, init_models
from dynamo_bao.dynamodb.transport.factory import embedded_transport
from dynamo_bao.testing import RecordingTransport
from tests.support.wire import Wire

Raw = Callable[[str], dict[str, Any]]


class SharedTransport(RecordingTransport):
    """A transport that outlives the managers using it: a client of its own for each would cost most of the time."""

    def close(self) -> None:
        self.clear()


@pytest.fixture(scope="session")
def engine_transport() -> Iterator[SharedTransport]:
    """The embedded engine of the whole run."""
    inner = embedded_transport(4)
    yield SharedTransport(inner)
    inner.close()


@contextmanager
def connected(
    request: pytest.FixtureRequest, transport: SharedTransport, **options: Any
) -> Iterator[Manager]:
    """The models that the test's file lists in ``MODELS``, on a new table."""
    with init_models(
        models=request.module.MODELS, table_name=f"test_{uuid.uuid4().hex}", transport=transport, **options
    ) as manager:
        manager.create_table()
        yield manager


@pytest.fixture
def manager(request: pytest.FixtureRequest, engine_transport: SharedTransport) -> Iterator[Manager]:
    """The models of the test's file on a new table."""
    with connected(request, engine_transport) as manager:
        yield manager


@pytest.fixture
def strict(request: pytest.FixtureRequest, engine_transport: SharedTransport) -> Iterator[Manager]:
    """The same, where every operation needs a batch context."""
    with connected(request, engine_transport, policy=RequireContext()) as manager:
        yield manager


@pytest.fixture
def tenanted(request: pytest.FixtureRequest, engine_transport: SharedTransport) -> Iterator[Manager]:
    """The same, where every operation needs a tenant."""
    with connected(request, engine_transport, tenancy={"enabled": True}) as manager:
        yield manager


@pytest.fixture
def wire(manager: Manager) -> Iterator[Wire]:
    """What the manager's client sends from now on."""
    wire = Wire(manager.client)
    yield wire
    manager.client.meta.events.unregister("before-send.dynamodb", wire._record)


@pytest.fixture
def raw(manager: Manager) -> Raw:
    """The stored item with a partition key, as DynamoDB has it; empty where there is none."""

    def read(partition_key: str) -> dict[str, Any]:
        items = manager.client.scan(TableName=manager.table_name, ConsistentRead=True)["Items"]
        return next((item for item in items if item["_pk"]["S"] == partition_key), {})

    return read


@pytest.fixture(autouse=True)
def no_tenant() -> Iterator[None]:
    """No tenant and no resolver is left from one test to the next."""
    yield
    TenantContext.clear_tenant()
    TenantContext.clear_resolvers()
