"""dynamo_bao: reads and writes of several items are in a batch context."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.contenders import base
from benchmarks.items import BAO_PREFIXES, BAO_TABLE
from dynamo_bao import Model, PrimaryKey, init_models, run_with_batch_context


class Fields(Model):
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
    score: float
    active: bool
    tags: set[str]


class NestedFields(Fields):
    address: dict[str, Any]
    history: list[Any]


class Item(Fields, prefix=BAO_PREFIXES["items"]):
    primary_key = PrimaryKey("item_id")


class Document(NestedFields, prefix=BAO_PREFIXES["documents"]):
    primary_key = PrimaryKey("item_id")


class ItemPage(Fields, prefix=BAO_PREFIXES["item_pages"]):
    of_team = primary_key = PrimaryKey("team", "item_id")


class DocumentPage(NestedFields, prefix=BAO_PREFIXES["document_pages"]):
    of_team = primary_key = PrimaryKey("team", "item_id")


class Contender(base.Contender):
    def __init__(self, url: str) -> None:
        self._items: dict[str, type[Any]] = {"plain": Item, "nested": Document}
        self._pages: dict[str, type[Any]] = {"plain": ItemPage, "nested": DocumentPage}
        models = [*self._items.values(), *self._pages.values()]
        self.manager = init_models(models=models, table_name=BAO_TABLE, endpoint_url=url, region="us-east-1")

    def get(self, kind: str, key: str, read: base.ReadFields) -> Any:
        instance = self._items[kind].find(key)
        read([instance])
        return instance

    def batch_get(self, kind: str, keys: list[str], read: base.ReadFields) -> list[Any]:
        with run_with_batch_context():
            objects = list(self._items[kind].batch_find(keys).values())
            read(objects)
        return objects

    def lookups(self, kind: str, keys: list[str], read: base.ReadFields) -> list[Any]:
        with run_with_batch_context():
            objects = [self._items[kind].find(key) for key in keys]
            read(objects)
        return objects

    def query(self, kind: str, team: str, read: base.ReadFields) -> list[Any]:
        objects = list(self._pages[kind].query_by_index("of_team", team))
        read(objects)
        return objects

    def put(self, kind: str, values: Any) -> None:
        self._items[kind].create(**values)

    def batch_put(self, kind: str, all_values: list[Any]) -> None:
        model = self._items[kind]
        with run_with_batch_context() as session:
            # Like the puts of the other contenders, which replace items; otherwise each would be a conditional put.
            session.add(*(model(**values) for values in all_values), overwrite=True)
            session.commit()

    def batch_get_body(self, keys: list[str]) -> bytes:
        prefix = BAO_PREFIXES["items"]
        keys_of_request = [{"_pk": {"S": f"{prefix}#{key}"}, "_sk": {"S": prefix}} for key in keys]
        return json.dumps({"RequestItems": {BAO_TABLE: {"Keys": keys_of_request}}}).encode()
