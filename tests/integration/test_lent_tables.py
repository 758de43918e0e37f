"""Tests that use one table after the other do not see each other's items, or changes of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from tests.support.engines import Engine
from tests.support.tables import FEW_ITEMS, Tables

CHANGES: dict[str, Callable[[Any, str], object]] = {
    "no change": lambda client, name: None,
    "a few items": lambda client, name: fill(client, name, 30),
    "many items": lambda client, name: fill(client, name, FEW_ITEMS),
    "no table": lambda client, name: client.delete_table(TableName=name),
    "a protected table": lambda client, name: client.update_table(
        TableName=name, DeletionProtectionEnabled=True
    ),
    "no index": lambda client, name: client.update_table(
        TableName=name, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "gsi1"}}]
    ),
}


def fill(client: Any, name: str, number: int) -> None:
    for one in range(number):
        client.put_item(TableName=name, Item={"_pk": {"S": str(one)}, "_sk": {"S": "x"}})


@pytest.fixture
def server(engine: Engine) -> Iterator[tuple[Tables, Any]]:
    """Tables of an engine that keeps them, and a client of it."""
    if engine.endpoint_url is None:
        pytest.skip("each manager on moto has an engine of its own")
    keys = {"aws_access_key_id": "dummy", "aws_secret_access_key": "dummy"}
    client = boto3.client("dynamodb", "us-east-1", endpoint_url=engine.endpoint_url, **keys)
    tables = Tables(engine.endpoint_url)
    yield tables, client
    tables.close()
    client.close()


@pytest.mark.one_engine
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_next_test_finds_nothing_of_the_one_before(
    server: tuple[Tables, Any], change: Callable[[Any, str], object]
) -> None:
    tables, client = server
    with tables.lent() as name:
        before = client.describe_table(TableName=name)["Table"]
        change(client, name)
    with tables.lent() as name:
        after = client.describe_table(TableName=name)["Table"]
        assert client.scan(TableName=name)["Items"] == []
        indexes = [
            {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} for table in (before, after)
        ]
        assert indexes[0] == indexes[1]
        assert not after.get("DeletionProtectionEnabled")
    tables.delete(name)
    left = client.list_tables()["TableNames"]
    assert before["TableName"] not in left and name not in left


@pytest.mark.one_engine
def test_two_tests_at_once_have_two_tables(server: tuple[Tables, Any]) -> None:
    tables, _ = server
    with tables.lent() as one, tables.lent() as other:
        assert one != other
    with tables.lent() as again:
        assert again in (one, other)
