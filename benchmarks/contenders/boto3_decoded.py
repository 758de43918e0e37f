"""The boto3 client with boto3's own conversion from and to Python values."""

from __future__ import annotations

from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from benchmarks.contenders import base
from benchmarks.contenders.decimals import with_decimals
from benchmarks.items import FIELDS, PAGES, TABLES


class Contender(base.Contender):
    attributes = False

    def __init__(self, url: str) -> None:
        self._client = boto3.client("dynamodb", endpoint_url=url)
        self._decode = TypeDeserializer().deserialize
        self._encode = TypeSerializer().serialize

    def _item(self, item: dict[str, Any]) -> dict[str, Any]:
        return {name: self._decode(value) for name, value in item.items()}

    def get(self, kind: str, key: str, read: base.ReadFields) -> Any:
        item = self._client.get_item(TableName=TABLES[kind], Key={"item_id": {"S": key}})["Item"]
        instance = self._item(item)
        read([instance])
        return instance

    def batch_get(self, kind: str, keys: list[str], read: base.ReadFields) -> list[Any]:
        table, objects = TABLES[kind], list[Any]()
        for part in base.hundreds(keys):
            request = {table: {"Keys": [{"item_id": {"S": key}} for key in part]}}
            objects += map(self._item, self._client.batch_get_item(RequestItems=request)["Responses"][table])
        read(objects)
        return objects

    def query(self, kind: str, team: str, read: base.ReadFields) -> list[Any]:
        page = self._client.query(
            TableName=PAGES[kind],
            KeyConditionExpression="team = :team",
            ExpressionAttributeValues={":team": {"S": team}},
        )
        objects = [self._item(item) for item in page["Items"]]
        read(objects)
        return objects

    def put_argument(self, values: dict[str, Any]) -> Any:
        return with_decimals(values)

    def _typed(self, values: dict[str, Any]) -> dict[str, Any]:
        return {name: self._encode(value) for name, value in values.items()}

    def put(self, kind: str, values: Any) -> None:
        self._client.put_item(TableName=TABLES[kind], Item=self._typed(values))

    def batch_put(self, kind: str, all_values: list[Any]) -> None:
        puts = [{"PutRequest": {"Item": self._typed(values)}} for values in all_values]
        self._client.batch_write_item(RequestItems={TABLES[kind]: puts})

    def field_values(self, kind: str, instance: Any) -> dict[str, Any]:
        return {name: instance[name] for name in FIELDS[kind]}
