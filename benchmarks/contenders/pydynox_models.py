"""pydynox: models over a client written in Rust."""

from __future__ import annotations

from typing import Any

from pydynox import DynamoDBClient, Model, ModelConfig, SyncBatchWriter
from pydynox.attributes import (
    BooleanAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    StringAttribute,
    StringSetAttribute,
)

from benchmarks.contenders import base
from benchmarks.items import FIELDS, PAGES, TABLES


def _fields() -> dict[str, Any]:
    """The fields that all models have; attributes belong to one class, so each gets its own."""
    texts = {name: StringAttribute() for name in ("name", "email", "city", "title", "about")}
    numbers = {name: NumberAttribute() for name in ("age", "logins", "created", "score")}
    return {**texts, **numbers, "active": BooleanAttribute(), "tags": StringSetAttribute()}


def _model(name: str, table: str, kind: str, client: Any, *, paged: bool) -> type[Model]:
    keys = {
        "team": StringAttribute(partition_key=paged),
        "item_id": StringAttribute(partition_key=not paged, sort_key=paged),
    }
    nested = {"address": MapAttribute(), "history": ListAttribute()} if kind == "nested" else {}
    config = ModelConfig(table=table, client=client)
    return type(name, (Model,), {"model_config": config, **keys, **_fields(), **nested})


class Contender(base.Contender):
    sets_are_lists = True  # 1.8.0 writes a StringSetAttribute as a list; it reads sets rightly

    def __init__(self, url: str) -> None:
        self._client = DynamoDBClient(endpoint_url=url, region="us-east-1")
        client = self._client
        self._items = {kind: _model("Item", TABLES[kind], kind, client, paged=False) for kind in FIELDS}
        self._pages = {kind: _model("Page", PAGES[kind], kind, client, paged=True) for kind in FIELDS}

    def get(self, kind: str, key: str, read: base.ReadFields) -> Any:
        instance = self._items[kind].sync_get(item_id=key)
        read([instance])
        return instance

    def batch_get(self, kind: str, keys: list[str], read: base.ReadFields) -> list[Any]:
        objects = self._items[kind].sync_batch_get([{"item_id": key} for key in keys])
        read(objects)
        return objects

    def query(self, kind: str, team: str, read: base.ReadFields) -> list[Any]:
        objects = list(self._pages[kind].sync_query(partition_key=team))
        read(objects)
        return objects

    def put(self, kind: str, values: Any) -> None:
        self._items[kind](**values).sync_save()

    def batch_put(self, kind: str, all_values: list[Any]) -> None:
        model = self._items[kind]
        with SyncBatchWriter(self._client, TABLES[kind]) as batch:
            for values in all_values:
                batch.put(model(**values).to_dict())
