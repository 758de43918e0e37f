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

    def get(self, kind: str, key: str, read: base.ReadFields) -> Any:
        item = self._client.get_item(TableName=TABLES[kind], Key={"item_id": {"S": key}})["Item"]
        read([item])
        return item

    def batch_get(self, kind: str, keys: list[str], read: base.ReadFields) -> list[Any]:
        table, objects = TABLES[kind], list[Any]()
        for part in base.hundreds(keys):
            request = {table: {"Keys": [{"item_id": {"S": key}} for key in part]}}
            objects += self._client.batch_get_item(RequestItems=request)["Responses"][table]
        read(objects)
        return objects

    def query(self, kind: str, team: str, read: base.ReadFields) -> list[Any]:
        objects: list[Any] = self._client.query(
            TableName=PAGES[kind],
            KeyConditionExpression="team = :team",
            ExpressionAttributeValues={":team": {"S": team}},
        )["Items"]
        read(objects)
        return objects

    def put_argument(self, values: dict[str, Any]) -> Any:
        return typed_item(values)

    def put(self, kind: str, values: Any) -> None:
        self._client.put_item(TableName=TABLES[kind], Item=values)

    def batch_put(self, kind: str, all_values: list[Any]) -> None:
        puts = [{"PutRequest": {"Item": item}} for item in all_values]
        self._client.batch_write_item(RequestItems={TABLES[kind]: puts})

    def field_values(self, kind: str, instance: Any) -> dict[str, Any]:
        return {name: untyped(value) for name, value in instance.items()}
