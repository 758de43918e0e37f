"""What work on stored data is tested with: a table on an engine, and one where Ctrl-C can come at any request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_bao import Manager, init_models
from dynamo_bao.testing import FaultInjectingTransport, embedded_transport
from tests.integration.conftest import connection, ready_table, table_name

__all__ = ["connection", "ready_table", "table_name"]

Items = dict[tuple[str, str], dict[str, Any]]


class Interruptible(FaultInjectingTransport):
    """A transport in which Ctrl-C can come; it outlives the managers that use it."""

    def close(self) -> None:
        self.inject(())

    def interrupt(
        self, number: int, *, carried_out: bool, operations: Callable[[Any], bool] | None = None
    ) -> None:
        """Has Ctrl-C come at a request from now on, before it is sent or when it was carried out."""
        wanted, left = operations or (lambda request: True), number

        def fault(request: Any, send: Any, chance: Any) -> Any:
            nonlocal left
            left -= wanted(request)
            if left != -1 or not wanted(request):
                return send(request)
            if carried_out:
                send(request)
            raise KeyboardInterrupt

        self.inject(fault)


@pytest.fixture(scope="session")
def interruptible() -> Iterator[Interruptible]:
    """The embedded engine of these tests: a client of its own for each would cost most of their time."""
    transport = embedded_transport(2)
    yield Interruptible(transport.wire)
    transport.close()


@pytest.fixture
def manager(
    request: pytest.FixtureRequest, connection: dict[str, Any], ready_table: str
) -> Iterator[Manager]:
    """The models of the test's file, connected to an empty table on the engine."""
    if "embedded" in connection:
        connection = {"transport": request.getfixturevalue("interruptible")}
    with init_models(models=request.module.MODELS, table_name=ready_table, **connection) as manager:
        if "transport" in connection:
            manager.create_table()
        yield manager


@pytest.fixture
def faulty(
    request: pytest.FixtureRequest, interruptible: Interruptible, table_name: str
) -> Iterator[Manager]:
    """The same where Ctrl-C can come at any request."""
    with init_models(
        models=request.module.MODELS, table_name=table_name, transport=interruptible, max_concurrency=2
    ) as manager:
        manager.create_table()
        yield manager


def stored(manager: Manager) -> Items:
    """Everything in the table, by key, as DynamoDB has it."""
    items = manager.client.scan(TableName=manager.table_name, ConsistentRead=True)["Items"]
    for item in items:
        for value in item.values():
            for code in ("SS", "NS"):
                value.get(code, []).sort()
    return {(item["_pk"]["S"], item["_sk"]["S"]): item for item in items}


def emptied(manager: Manager) -> None:
    """Deletes everything in the table."""
    for pk, sk in stored(manager):
        manager.client.delete_item(TableName=manager.table_name, Key={"_pk": {"S": pk}, "_sk": {"S": sk}})


def damage(manager: Manager, pk: str, sk: str, **attributes: str | None) -> None:
    """Changes a stored item past the library: attributes to texts, None to take one out."""
    key = {"_pk": {"S": pk}, "_sk": {"S": sk}}
    item = manager.client.get_item(TableName=manager.table_name, Key=key).get("Item", key)
    for name, text in attributes.items():
        item.pop(name, None)
        if text is not None:
            item[name] = {"S": text}
    manager.client.put_item(TableName=manager.table_name, Item=item)


def removed(manager: Manager, pk: str, sk: str) -> None:
    """Deletes a stored item past the library."""
    manager.client.delete_item(TableName=manager.table_name, Key={"_pk": {"S": pk}, "_sk": {"S": sk}})
