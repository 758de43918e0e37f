"""Tables of an engine that tests use one after the other: making a table costs more than most tests do."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from dynamo_bao.dynamodb.layout import PK, SK, TTL
from dynamo_bao.dynamodb.table_definition import table_definition

FEW_ITEMS = 200
"""From here on, a table is deleted sooner than emptied."""
MOST_OF_A_BATCH = 25


def fresh_name() -> str:
    """A name that no other test uses."""
    return f"test_{uuid.uuid4().hex}"


class Tables:
    """The tables of one engine.

    Both engines take longer for each request the more tables they have, so no table stays behind either.
    """

    def __init__(self, endpoint_url: str) -> None:
        self._client: Any = boto3.client(
            "dynamodb",
            endpoint_url=endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="dummy",
            aws_secret_access_key="dummy",
        )
        self._free: list[str] = []

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The name of a table with every index and TTL and without items, for the length of the block."""
        name = self._free.pop() if self._free else self._made()
        yield name
        if self._is_as_made(name) and empty_table(self._client, name):
            self._free.append(name)
        else:
            self.delete(name)

    def delete(self, name: str) -> None:
        """Deletes a table, if there is one of that name."""
        try:
            self._client.delete_table(TableName=name)
        except self._client.exceptions.ResourceNotFoundException:
            return
        except self._client.exceptions.ClientError:  # it is protected, or being changed
            self._client.update_table(TableName=name, DeletionProtectionEnabled=False)
            self._client.delete_table(TableName=name)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _made(self) -> str:
        name = fresh_name()
        self._client.create_table(**table_definition(name, search=True))
        self._client.get_waiter("table_exists").wait(TableName=name)
        self._client.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL}
        )
        return name

    def _is_as_made(self, name: str) -> bool:
        """Whether the test has left the table's indexes as they were, and has not protected it."""
        try:
            table = self._client.describe_table(TableName=name)["Table"]
        except self._client.exceptions.ResourceNotFoundException:
            return False
        wanted = table_definition(name, search=True)
        indexes = {
            index["IndexName"]: index["KeySchema"] for index in table.get("GlobalSecondaryIndexes", ())
        }
        made = {index["IndexName"]: index["KeySchema"] for index in wanted["GlobalSecondaryIndexes"]}
        return indexes == made and not table.get("DeletionProtectionEnabled")


def empty_table(client: Any, name: str) -> bool:
    """Deletes the items of a table with boto3's client. Returns False, with no item deleted, if there are many."""
    keys = {"ProjectionExpression": "#p, #s", "ExpressionAttributeNames": {"#p": PK, "#s": SK}}
    page = client.scan(TableName=name, Limit=FEW_ITEMS, ConsistentRead=True, **keys)
    deletes = [{"DeleteRequest": {"Key": item}} for item in page["Items"]]
    if "LastEvaluatedKey" in page:
        return False
    for first in range(0, len(deletes), MOST_OF_A_BATCH):
        client.batch_write_item(RequestItems={name: deletes[first : first + MOST_OF_A_BATCH]})
    return True
