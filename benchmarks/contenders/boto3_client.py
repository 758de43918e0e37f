"""The boto3 client, as most code uses it: typed JSON in and out."""

from __future__ import annotations

from typing import Any

import boto3

from benchmarks.contenders import base
from benchmarks.items import PAGES, TABLES, typed_item, untyped


class Contender(base.Contender):
    attributes = False

    def __init__(self, url: str) -> None:
        self._client = boto3.client("dynamodb", endpoint_url=url)

    def get(self, kind: str, key: str, read: base.Read) -> Any:
        item = self._client.get_item(TableName=TABLES[kind], Key={"item_id": {"S": key}})["Item"]
        read([item])
        return item

    def batch_get(self, kind: str, keys: list[str], read: base.Read) -> list[Any]:
        table, found = TABLES[kind], list[Any]()
        for some in base.hundreds(keys):
            asked = {table: {"Keys": [{"item_id": {"S": key}} for key in some]}}
            found += self._client.batch_get_item(RequestItems=asked)["Responses"][table]
        read(found)
        return found

    def query(self, kind: str, team: str, read: base.Read) -> list[Any]:
        found: list[Any] = self._client.query(
            TableName=PAGES[kind],
            KeyConditionExpression="team = :team",
            ExpressionAttributeValues={":team": {"S": team}},
        )["Items"]
        read(found)
        return found

    def given(self, values: dict[str, Any]) -> Any:
        return typed_item(values)

    def put(self, kind: str, given: Any) -> None:
        self._client.put_item(TableName=TABLES[kind], Item=given)

    def batch_put(self, kind: str, given: list[Any]) -> None:
        puts = [{"PutRequest": {"Item": item}} for item in given]
        self._client.batch_write_item(RequestItems={TABLES[kind]: puts})

    def plain(self, kind: str, found: Any) -> dict[str, Any]:
        return {name: untyped(value) for name, value in found.items()}
