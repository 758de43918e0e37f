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

    def get(self, kind: str, key: str, read: base.Read) -> Any:
        item = self._tables[TABLES[kind]].get_item(Key={"item_id": key})["Item"]
        read([item])
        return item

    def batch_get(self, kind: str, keys: list[str], read: base.Read) -> list[Any]:
        table, found = TABLES[kind], list[Any]()
        for some in base.hundreds(keys):
            asked = {table: {"Keys": [{"item_id": key} for key in some]}}
            found += self._resource.batch_get_item(RequestItems=asked)["Responses"][table]
        read(found)
        return found

    def query(self, kind: str, team: str, read: base.Read) -> list[Any]:
        found: list[Any] = self._tables[PAGES[kind]].query(KeyConditionExpression=Key("team").eq(team))[
            "Items"
        ]
        read(found)
        return found

    def given(self, values: dict[str, Any]) -> Any:
        return with_decimals(values)

    def put(self, kind: str, given: Any) -> None:
        self._tables[TABLES[kind]].put_item(Item=given)

    def batch_put(self, kind: str, given: list[Any]) -> None:
        with self._tables[TABLES[kind]].batch_writer() as batch:
            for values in given:
                batch.put_item(Item=values)

    def plain(self, kind: str, found: Any) -> dict[str, Any]:
        return {name: found[name] for name in FIELDS[kind]}
