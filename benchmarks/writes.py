"""What writes of loaded objects cost beside boto3's client: ``python -m benchmarks.writes``.

dynoxide answers on loopback, in a process of its own. Both libraries send the same kinds of requests. What counts is
the CPU time of this process, user and system. The contenders take turns, and a figure is the median of the ratios of
all rounds. ``python -m benchmarks`` joins the rounds of several such processes, because the memory layout of a process
makes some operations faster or slower as long as it lives.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import boto3

from benchmarks.measure import Figures, say
from dynamo_bao import (
    CounterField,
    Index,
    IntegerField,
    Model,
    PrimaryKey,
    StringField,
    UniqueConstraint,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.engines import Engines

TABLE = "writes"
TURN_SECONDS = 0.06
WIDE = [f"text_{number}" for number in range(8)]


class Item(Model, prefix="wi"):
    item_id: str = StringField()
    team: str = StringField(default="red")
    visits: int = CounterField(default=0)
    age: int = IntegerField(default=36)
    text_0: str = StringField(default="lorem ipsum")
    text_1: str = StringField(default="lorem ipsum")
    text_2: str = StringField(default="lorem ipsum")
    text_3: str = StringField(default="lorem ipsum")
    text_4: str = StringField(default="lorem ipsum")
    text_5: str = StringField(default="lorem ipsum")
    text_6: str = StringField(default="lorem ipsum")
    text_7: str = StringField(default="lorem ipsum")

    primary_key = PrimaryKey("item_id")
    by_team = Index("team", "item_id", id="gsi1")


class Account(Model, prefix="wa"):
    account_id: str = StringField()
    email: str = StringField()

    primary_key = PrimaryKey("account_id")
    unique_email = UniqueConstraint("email", id="uc1")


NAMES = count()
"""Numbers for values that must be new."""


def key(number: object) -> dict[str, Any]:
    """The typed key of an item."""
    return {"_pk": {"S": f"wi#{number}"}, "_sk": {"S": "wi"}}


class Client:
    """The operations with boto3's client, which takes and returns DynamoDB's JSON."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def _change(self, number: object, name: str = "text_0") -> dict[str, Any]:
        return {
            "TableName": TABLE,
            "Key": key(number),
            "UpdateExpression": "SET #n = :v",
            "ConditionExpression": "attribute_exists(#pk)",
            "ExpressionAttributeNames": {"#n": name, "#pk": "_pk"},
            "ExpressionAttributeValues": {":v": {"S": f"new {next(NAMES)}"}},
        }

    def save(self) -> None:
        self.client.update_item(**self._change(0), ReturnValues="ALL_NEW")

    update = save

    def increment(self) -> None:
        self.client.update_item(
            TableName=TABLE,
            Key=key(0),
            UpdateExpression="ADD #n :v",
            ConditionExpression="attribute_exists(#pk)",
            ExpressionAttributeNames={"#n": "visits", "#pk": "_pk"},
            ExpressionAttributeValues={":v": {"N": "1"}},
            ReturnValues="ALL_NEW",
        )

    def create_unique(self) -> None:
        name = f"b{next(NAMES)}"
        guard = {"_pk": {"S": f"guard#{name}"}, "_sk": {"S": "guard"}, "relatedId": {"S": name}}
        item = {
            "_pk": {"S": f"wa#{name}"},
            "_sk": {"S": "wa"},
            "account_id": {"S": name},
            "email": {"S": name},
        }
        free = {
            "ConditionExpression": "attribute_not_exists(#pk)",
            "ExpressionAttributeNames": {"#pk": "_pk"},
        }
        self.client.transact_write_items(
            TransactItems=[{"Put": {"TableName": TABLE, "Item": put, **free}} for put in (guard, item)]
        )

    def create_and_delete(self) -> None:
        name = f"c{next(NAMES)}"
        texts = {text: {"S": "lorem ipsum"} for text in WIDE}
        item = {**key(name), "item_id": {"S": name}, "age": {"N": "36"}, "visits": {"N": "0"}, **texts}
        names = {"ExpressionAttributeNames": {"#pk": "_pk"}}
        self.client.put_item(
            TableName=TABLE, Item=item, ConditionExpression="attribute_not_exists(#pk)", **names
        )
        self.client.delete_item(
            TableName=TABLE,
            Key=key(name),
            ConditionExpression="attribute_exists(#pk)",
            ReturnValues="ALL_OLD",
            **names,
        )

    def transaction(self) -> None:
        changes = [{"Update": self._change(number)} for number in range(10)]
        self.client.transact_write_items(TransactItems=changes)

    def change_ten(self) -> None:
        keys = [key(number) for number in range(10)]
        self.client.batch_get_item(RequestItems={TABLE: {"Keys": keys}})
        for number in range(10):
            self.client.update_item(**self._change(number), ReturnValues="ALL_NEW")

    def query(self) -> None:
        reply = self.client.query(
            TableName=TABLE,
            IndexName="gsi1",
            KeyConditionExpression="#pk = :p",
            FilterExpression="#a >= :a",
            ExpressionAttributeNames={"#pk": "_gsi1_pk", "#a": "age"},
            ExpressionAttributeValues={":p": {"S": "wi#gsi1#red"}, ":a": {"N": "55"}},
        )
        assert len(reply["Items"]) == 45


class Bao:
    """The operations with dynamo_bao. Objects are loaded before the clock runs, as a save is of a loaded object."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._item = Item.find("0")
        self._items = [Item.find(f"{number}") for number in range(10)]
        assert all(item.exists() for item in (self._item, *self._items))

    def save(self) -> None:
        self._item.text_0 = f"new {next(NAMES)}"
        self._item.save()

    def update(self) -> None:
        Item.update("0", text_0=f"new {next(NAMES)}")

    def increment(self) -> None:
        Item.increment("0", visits=1)

    def create_unique(self) -> None:
        name = f"a{next(NAMES)}"
        Account.create(account_id=name, email=name)

    def create_and_delete(self) -> None:
        name = f"d{next(NAMES)}"
        Item.create(item_id=name, team="blue")
        Item.delete(name)

    def transaction(self) -> None:
        for item in self._items:
            item.text_1 = f"new {next(NAMES)}"
        with transaction():
            for item in self._items:
                item.save()

    def change_ten(self) -> None:
        with run_with_batch_context() as session:
            items = [Item.find(f"{number}") for number in range(10)]
            for item in items:
                item.text_2 = f"{item.text_2} {next(NAMES)}"[-20:]
                session.add(item)
            session.commit()

    def query(self) -> None:
        assert len(Item.query_by_index("by_team", "red", filter={"age": {"$gte": 55}}).all()) == 45


ROWS = {
    "save of one changed field": "save",
    "update by key": "update",
    "increment": "increment",
    "create with one unique value": "create_unique",
    "create, then delete by key": "create_and_delete",
    "transaction of 10 saves": "transaction",
    "find 10, change one field each, commit": "change_ten",
    "query with a filter, 45 of 100 rows": "query",
}
GOALS = {
    "save": 0.20,
    "update": 0.18,
    "increment": 0.17,
    "create_unique": 0.19,
    "create_and_delete": 0.18,
    "transaction": 0.35,
    "change_ten": 0.18,
    "query": 0.14,
}
"""The ratios to boto3's client that dynamo_bao must reach."""


def cpu_of(work: Callable[[], None], times: int) -> float:
    """Seconds of this process's CPU that a call takes."""
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times


Rounds = list[tuple[float, float]]
"""By round, the seconds of a call of boto3's client and of dynamo_bao."""


def measured(boto3_client: Callable[[], None], bao: Callable[[], None], rounds: int) -> Rounds:
    """Measures an operation of both contenders, which take turns."""
    turns = [
        (work, max(1, round(TURN_SECONDS / max(cpu_of(work, 20), 1e-6)))) for work in (boto3_client, bao)
    ]
    seconds: Rounds = []
    for number in range(rounds):
        turn = {work: cpu_of(work, times) for work, times in (turns if number % 2 else turns[::-1])}
        seconds.append((turn[boto3_client], turn[bao]))
    return seconds


def medians(rounds: Rounds) -> Figures:
    """The median seconds of both contenders, and the median of the ratios of all rounds.

    >>> medians([(4.0, 1.0), (4.0, 2.0), (5.0, 1.0)])
    {'boto3': 4.0, 'bao': 1.0, 'ratio': 0.25}
    """
    boto3_seconds, bao_seconds = zip(*rounds, strict=True)
    return {
        "boto3": statistics.median(boto3_seconds),
        "bao": statistics.median(bao_seconds),
        "ratio": statistics.median(bao / boto3 for boto3, bao in rounds),
    }


@contextmanager
def contenders(url: str) -> Iterator[tuple[Client, Bao]]:
    """boto3's client and dynamo_bao, on a new table with 100 items."""
    client = boto3.client("dynamodb", endpoint_url=url, region_name="us-east-1")
    settings = {"endpoint_url": url, "region": "us-east-1", "table_name": TABLE}
    with init_models(models=[Item, Account], **settings) as manager:
        manager.create_table()
        for number in range(100):
            Item.create(item_id=f"{number}", age=number)
        for _ in range(11):  # as in a program that has read more than a thousand items
            Item.by_team.query("red").all()
        yield Client(client), Bao(manager.client)


def figures(url: str, rounds: int) -> dict[str, Rounds]:
    """By operation, the rounds of both contenders; `medians` joins them."""
    results: dict[str, Rounds] = {}
    with contenders(url) as (boto3_client, bao):
        for row, name in ROWS.items():
            say(f"{row}\n")
            results[row] = measured(getattr(boto3_client, name), getattr(bao, name), rounds)
    return results


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="default: 9")
    arguments = parser.parse_args()
    os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "dummy"))
    engines = Engines()
    try:
        url = str(engines.get("dynoxide").endpoint_url)
        print(f"{'CPU of one operation':40}{'boto3 ms':>10}{'dynamo_bao ms':>15}{'ratio':>8}")
        for row, row_rounds in figures(url, arguments.rounds).items():
            times = medians(row_rounds)
            print(f"{row:40}{times['boto3'] * 1e3:10.2f}{times['bao'] * 1e3:15.2f}{times['ratio']:8.2f}")
    finally:
        engines.stop()


if __name__ == "__main__":
    main()
