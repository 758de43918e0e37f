"""PynamoDB."""

from __future__ import annotations

from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.models import Model

from benchmarks.contenders import base
from benchmarks.items import FIELDS, PAGES, TABLES


def _fields() -> dict[str, Any]:
    """The fields that all models have; attributes belong to one class, so each gets its own."""
    texts = {name: UnicodeAttribute() for name in ("name", "email", "city", "title", "about")}
    numbers = {name: NumberAttribute() for name in ("age", "logins", "created", "score")}
    return {**texts, **numbers, "active": BooleanAttribute(), "tags": UnicodeSetAttribute()}


def _model(name: str, table: str, kind: str, url: str, *, paged: bool) -> type[Model]:
    meta = type("Meta", (), {"table_name": table, "host": url, "region": "us-east-1"})
    keys = {"team": UnicodeAttribute(hash_key=paged), "item_id": UnicodeAttribute(hash_key=not paged)}
    if paged:
        keys["item_id"] = UnicodeAttribute(range_key=True)
    nested = {"address": MapAttribute(), "history": ListAttribute()} if kind == "nested" else {}
    return type(name, (Model,), {"Meta": meta, **keys, **_fields(), **nested})


class Contender(base.Contender):
    def __init__(self, url: str) -> None:
        self._items = {kind: _model("Item", TABLES[kind], kind, url, paged=False) for kind in FIELDS}
        self._pages = {kind: _model("Page", PAGES[kind], kind, url, paged=True) for kind in FIELDS}

    def get(self, kind: str, key: str, read: base.ReadFields) -> Any:
        instance = self._items[kind].get(key)
        read([instance])
        return instance

    def batch_get(self, kind: str, keys: list[str], read: base.ReadFields) -> list[Any]:
        objects = list(self._items[kind].batch_get(keys))
        read(objects)
        return objects

    def query(self, kind: str, team: str, read: base.ReadFields) -> list[Any]:
        objects = list(self._pages[kind].query(team))
        read(objects)
        return objects

    def put(self, kind: str, values: Any) -> None:
        self._items[kind](**values).save()

    def batch_put(self, kind: str, all_values: list[Any]) -> None:
        model = self._items[kind]
        with model.batch_write() as batch:
            for values in all_values:
                batch.save(model(**values))

    def field_values(self, kind: str, instance: Any) -> dict[str, Any]:
        values = super().field_values(kind, instance)
        if kind == "nested":
            values["address"] = values["address"].as_dict()
            values["history"] = [_unwrapped(part) for part in values["history"]]
        return values


def _unwrapped(part: Any) -> Any:
    return part.as_dict() if isinstance(part, MapAttribute) else part
