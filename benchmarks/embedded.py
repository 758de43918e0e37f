"""What the embedded engine takes, beside boto3's client under moto's ``mock_aws``: ``python -m benchmarks.embedded``.

Both run in this process, library and engine together. What counts is CPU time, the least of several turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import boto3
from moto import mock_aws

from dynamo_bao import Index, Model, PrimaryKey, StringField, init_models, run_with_batch_context

ITEMS = 100
TURNS = 7
REPETITIONS = 20


class Item(Model, prefix="em"):
    item_id: str = StringField()
    team: str = StringField(default="red")
    text: str = StringField(default="lorem ipsum")

    primary_key = PrimaryKey("item_id")
    by_team = Index("team", "item_id", id="gsi1")


KEYS = [f"i{number:03}" for number in range(ITEMS)]
Operations = dict[str, Callable[[int], object]]


def of_library() -> Operations:
    """The operations by the library. Their argument is the number of the repetition."""

    def batch_get(_: int) -> list[str]:
        with run_with_batch_context():
            return [item.text for item in [Item.find(key) for key in KEYS]]

    return {
        "get": lambda _: Item.find("i001").text,
        "create": lambda number: Item.create(item_id=f"new {number}", team="blue"),
        "batch get of 100": batch_get,
        "query page of 100": lambda _: [item.text for item in Item.by_team.query("red")],
    }


def of_boto3(client: Any) -> Operations:
    """The same by boto3's client, on a table with the same index."""

    def key(name: str) -> dict[str, Any]:
        return {"pk": {"S": name}}

    def item(name: str, team: str) -> dict[str, Any]:
        return {**key(name), "team": {"S": team}, "text": {"S": "lorem ipsum"}}

    for name in KEYS:
        client.put_item(TableName="t", Item=item(name, "red"))
    return {
        "get": lambda _: client.get_item(TableName="t", Key=key("i001")),
        "create": lambda number: client.put_item(
            TableName="t", Item=item(f"new {number}", "blue"), ConditionExpression="attribute_not_exists(pk)"
        ),
        "batch get of 100": lambda _: client.batch_get_item(
            RequestItems={"t": {"Keys": list(map(key, KEYS))}}
        ),
        "query page of 100": lambda _: client.query(
            TableName="t",
            IndexName="by_team",
            KeyConditionExpression="team = :team",
            ExpressionAttributeValues={":team": {"S": "red"}},
        ),
    }


def milliseconds(operation: Callable[[int], object]) -> float:
    """The CPU time of one call, the least of several turns."""
    times, number = [], 0
    for _ in range(TURNS):
        started = time.process_time()
        for _ in range(REPETITIONS):
            number += 1
            operation(number)
        times.append((time.process_time() - started) / REPETITIONS * 1000)
    return min(times)


@contextmanager
def mocked_client() -> Any:
    """boto3's client on moto, with a table."""
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "team")]
    index = {
        "IndexName": "by_team",
        "KeySchema": [
            {"AttributeName": "team", "KeyType": "HASH"},
            {"AttributeName": "pk", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }
    with mock_aws():
        credentials = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
        client = boto3.client("dynamodb", **credentials)
        client.create_table(
            TableName="t",
            AttributeDefinitions=attributes,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[index],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def main() -> None:
    """Prints the table."""
    with init_models(models=[Item], embedded=True):
        for key in KEYS:
            Item.create(item_id=key)
        own = {name: milliseconds(operation) for name, operation in of_library().items()}
    with mocked_client() as client:
        mocked = {name: milliseconds(operation) for name, operation in of_boto3(client).items()}
    print("| ms of CPU, library and engine | dynamo_bao, embedded | boto3 client, mock_aws |")
    print("| --- | --: | --: |")
    for name, value in own.items():
        print(f"| {name} | {value:.2f} | {mocked[name]:.2f} |")


if __name__ == "__main__":
    main()
