"""dyntastic: pydantic models over boto3's resource."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from dyntastic import Dyntastic

from benchmarks.contenders import base
from benchmarks.contenders.decimals import with_decimals
from benchmarks.items import PAGES, TABLES


class _Fields(Dyntastic):
    __table_name__ = "none"
    __hash_key__ = "item_id"
    __table_region__ = "us-east-1"

    item_id: str
    team: str
    name: str
    email: str
    city: str
    title: str
    about: str
    age: int
    logins: int
    created: int
    score: Decimal
    active: bool
    tags: set[str]


class _NestedFields(_Fields):
    address: dict[str, Any]
    history: list[Any]


class Item(_Fields):
    __table_name__ = TABLES["plain"]


class Document(_NestedFields):
    __table_name__ = TABLES["nested"]


class ItemPage(_Fields):
    __table_name__ = PAGES["plain"]
    __hash_key__ = "team"
    __range_key__: ClassVar[str] = "item_id"


class DocumentPage(_NestedFields):
    __table_name__ = PAGES["nested"]
    __hash_key__ = "team"
    __range_key__: ClassVar[str] = "item_id"


class Contender(base.Contender):
    def __init__(self, url: str) -> None:
        for model in (Item, Document, ItemPage, DocumentPage):
            model.__table_host__ = url
        self._items: dict[str, Any] = {"plain": Item, "nested": Document}
        self._pages: dict[str, Any] = {"plain": ItemPage, "nested": DocumentPage}

    def get(self, kind: str, key: str, read: base.ReadFields) -> Any:
        instance = self._items[kind].get(key)
        read([instance])
        return instance

    def batch_get(self, kind: str, keys: list[str], read: base.ReadFields) -> list[Any]:
        objects = [item for part in base.hundreds(keys) for item in self._items[kind].batch_get(part)]
        read(objects)
        return objects

    def query(self, kind: str, team: str, read: base.ReadFields) -> list[Any]:
        objects = list(self._pages[kind].query(team))
        read(objects)
        return objects

    def put_argument(self, values: dict[str, Any]) -> Any:
        return with_decimals(values)

    def put(self, kind: str, values: Any) -> None:
        self._items[kind](**values).save()

    def batch_put(self, kind: str, all_values: list[Any]) -> None:
        model = self._items[kind]
        with model.batch_writer():
            for values in all_values:
                model(**values).save()
