"""What a DynamoDB without a network takes for a test: ``python -m benchmarks.embedded``.

dynamo_bao's embedded engine, pydynox's ``MemoryBackend`` and boto3's client under moto's ``mock_aws`` run in this
process. dynoxide is a process of its own, and dynamo_bao asks it over loopback. What counts is the time of a call,
library and engine together, as a test waits for it: the least of several turns.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
from moto import mock_aws

from benchmarks.measure import Figures
from dynamo_bao import Index, Model, PrimaryKey, StringField, init_models, run_with_batch_context
from tests.support.engines import Engines, EngineUnavailable

ITEMS = 100
TURNS = 7
REPETITIONS = 20
TEXT: Final = "lorem ipsum"
NAMES: Final = {
    "bao": "**dynamo_bao**, embedded engine",
    "pydynox": "pydynox, `MemoryBackend`",
    "moto": "boto3 client, moto's `mock_aws`",
    "dynoxide": "dynamo_bao, dynoxide on loopback",
}
"""The contenders, in the order of the columns."""


class Item(Model, prefix="em"):
    item_id: str = StringField()
    team: str = StringField(default="red")
    text: str = StringField(default=TEXT)

    primary_key = PrimaryKey("item_id")
    by_team = Index("team", "item_id", id="gsi1")


KEYS = [f"i{number:03}" for number in range(ITEMS)]
Operations = dict[str, Callable[[int], Any]]
OPERATIONS: Final = {
    "get": [TEXT],
    "create": None,
    "batch get of 100": [TEXT] * ITEMS,
    "query page of 100": [TEXT] * ITEMS,
}
"""The operations, and the texts that each returns; None for no result."""


def of_library() -> Operations:
    """The operations by the library. Their argument is the number of the repetition."""

    def batch_get(_: int) -> list[str]:
        with run_with_batch_context():
            return [item.text for item in [Item.find(key) for key in KEYS]]

    for key in KEYS:
        Item.create(item_id=key)
    return {
        "get": lambda _: [Item.find("i001").text],
        "create": lambda number: Item.create(item_id=f"new {number}", team="blue"),
        "batch get of 100": batch_get,
        "query page of 100": lambda _: [item.text for item in Item.by_team.query("red")],
    }


def of_boto3(client: Any) -> Operations:
    """The same by boto3's client, on a table with the same index."""

    def key(name: str) -> dict[str, Any]:
        return {"pk": {"S": name}}

    def item(name: str, team: str) -> dict[str, Any]:
        return {**key(name), "team": {"S": team}, "text": {"S": TEXT}}

    def texts(items: list[dict[str, Any]]) -> list[str]:
        return [item["text"]["S"] for item in items]

    for name in KEYS:
        client.put_item(TableName="t", Item=item(name, "red"))
    return {
        "get": lambda _: texts([client.get_item(TableName="t", Key=key("i001"))["Item"]]),
        "create": lambda number: client.put_item(
            TableName="t", Item=item(f"new {number}", "blue"), ConditionExpression="attribute_not_exists(pk)"
        ),
        "batch get of 100": lambda _: texts(
            client.batch_get_item(RequestItems={"t": {"Keys": list(map(key, KEYS))}})["Responses"]["t"]
        ),
        "query page of 100": lambda _: texts(
            client.query(
                TableName="t",
                IndexName="by_team",
                KeyConditionExpression="team = :team",
                ExpressionAttributeValues={":team": {"S": "red"}},
            )["Items"]
        ),
    }


def of_pydynox() -> Operations:
    """The same by pydynox. Its create has no condition, because the backend refuses new items on one."""
    from pydynox import Model as PydynoxModel, ModelConfig
    from pydynox.attributes import StringAttribute
    from pydynox.indexes import GlobalSecondaryIndex

    members = {
        "model_config": ModelConfig(table="t"),
        "item_id": StringAttribute(partition_key=True),
        "team": StringAttribute(),
        "text": StringAttribute(),
        "by_team": GlobalSecondaryIndex(index_name="by_team", partition_key="team", sort_key="item_id"),
    }
    model: Any = type("Item", (PydynoxModel,), members)
    for key in KEYS:
        model(item_id=key, team="red", text=TEXT).sync_save()
    keys = [{"item_id": key} for key in KEYS]
    return {
        "get": lambda _: [model.sync_get(item_id="i001").text],
        "create": lambda number: model(item_id=f"new {number}", team="blue", text=TEXT).sync_save(),
        "batch get of 100": lambda _: [item.text for item in model.sync_batch_get(keys)],
        "query page of 100": lambda _: [item.text for item in model.by_team.sync_query(partition_key="red")],
    }


def milliseconds(operations: Operations, *, quick: bool = False) -> dict[str, float | None]:
    """The time of one call of each operation, the least of several turns; None for one with a wrong result."""
    return {
        name: _milliseconds(operations[name], quick=quick)
        if result is None or operations[name](0) == result
        else None
        for name, result in OPERATIONS.items()
    }


def _milliseconds(operation: Callable[[int], object], *, quick: bool) -> float:
    times, number = [], 0
    for _ in range(1 if quick else TURNS):
        started = time.perf_counter()
        for _ in range(REPETITIONS):
            number += 1
            operation(number)
        times.append((time.perf_counter() - started) / REPETITIONS * 1000)
    return min(times)


@contextmanager
def mocked_client() -> Iterator[Any]:
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


def figures(url: str | None, *, quick: bool = False) -> Figures:
    """By contender, the milliseconds of each operation.

    Args:
        url: of dynoxide; None without it.
        quick: whether each has one turn only, to test that it works.
    """
    results: Figures = {}
    with init_models(models=[Item], embedded=True):
        results["bao"] = milliseconds(of_library(), quick=quick)
    if importlib.util.find_spec("pydynox") is not None:
        from pydynox.testing import MemoryBackend

        with MemoryBackend():
            results["pydynox"] = milliseconds(of_pydynox(), quick=quick)
    with mocked_client() as client:
        results["moto"] = milliseconds(of_boto3(client), quick=quick)
    if url is not None:
        settings: dict[str, Any] = {"region": "us-east-1", "endpoint_url": url, "table_name": "embedded"}
        with init_models(models=[Item], **settings) as manager:
            manager.create_table()
            results["dynoxide"] = milliseconds(of_library(), quick=quick)
            manager.delete_table()
    return results


def main() -> None:
    """Prints the figures."""
    engines = Engines()
    try:
        results = figures(str(engines.get("dynoxide").endpoint_url))
    except EngineUnavailable:
        results = figures(None)
    finally:
        engines.stop()
    for name, times in results.items():
        cells = (
            f"{operation} {'wrong' if time_ is None else f'{time_:.3f} ms'}"
            for operation, time_ in times.items()
        )
        print(f"{NAMES[name]:34}{'   '.join(cells)}")


if __name__ == "__main__":
    main()
