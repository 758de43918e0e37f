"""boto3's resource: tables as objects, items as dicts of Python values."""

from __future__ import annotations

from typing import Any

import boto3
from boto3.dynamodb.conditions import Key

from benchmarks.contenders import base
from benchmarks.contenders.decimals import with_decimals
from benchmarks.items import FIELDS, PAGES, TABLES


class Contender(base.Contender):
    attributes = False

    def __init__(self, url: str) -> None:
        self._resource = boto3.resource("dynamodb", endpoint_url=url)
        self._tables = {name: self._resource.Table(name) for name in (*TABLES.values(), *PAGES.values())}

    def get(self, kind: str, key: str, read: base.ReadFields) -> Any:
        item = self._tables[TABLES[kind]].get_item(Key={"item_id": key})["Item"]
        read([item])
        return item

    def batch_get(self, kind: str, keys: list[str], read: base.ReadFields) -> list[Any]:
        table, objects = TABLES[kind], list[Any]()
        for part in base.hundreds(keys):
            request = {table: {"Keys": [{"item_id": key} for key in part]}}
            objects += self._resource.batch_get_item(RequestItems=request)["Responses"][table]
        read(objects)
        return objects

    def query(self, kind: str, team: str, read: base.ReadFields) -> list[Any]:
        objects: list[Any] = self._tables[PAGES[kind]].query(KeyConditionExpression=Key("team").eq(team))[
            "Items"
        ]
        read(objects)
        return objects

    def put_argument(self, values: dict[str, Any]) -> Any:
        return with_decimals(values)

    def put(self, kind: str, values: Any) -> None:
        self._tables[TABLES[kind]].put_item(Item=values)

    def batch_put(self, kind: str, all_values: list[Any]) -> None:
        with self._tables[TABLES[kind]].batch_writer() as batch:
            for values in all_values:
                batch.put_item(Item=values)

    def field_values(self, kind: str, instance: Any) -> dict[str, Any]:
        return {name: instance[name] for name in FIELDS[kind]}
