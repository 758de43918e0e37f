"""conditional-delete.test.js: deletes that only happen if something holds."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao import (
    ConditionalError,
    IntegerField,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    StringField,
    UlidField,
    run_with_batch_context,
)
from tests.support.wire import Wire


class Item(Model, prefix="cdi", name="CdItem"):
    item_id: str = UlidField(auto_assign=True)
    name: str = StringField(default="thing")
    status: str = StringField(default="active")
    age: int | None = IntegerField(default=None)

    primary_key = PrimaryKey("item_id")


MODELS = [Item]


@pytest.fixture
def item(manager: Manager) -> Item:
    return Item.create(age=25)


def deletes(item: Item, condition: Any) -> None:
    """A delete with the condition removes the item, seen in a new context."""
    with run_with_batch_context():
        assert Item.delete(item.item_id, condition=condition).item_id == item.item_id
    with run_with_batch_context():
        assert not Item.find(item.item_id).exists()


def refuses(item: Item, condition: Any) -> None:
    """A delete with the condition raises, and leaves the item as it is."""
    with run_with_batch_context(), pytest.raises(ConditionalError) as caught:
        Item.delete(item.item_id, condition=condition)
    assert (caught.value.operation, caught.value.key) == ("delete", item.item_id)
    with run_with_batch_context():
        assert Item.find(item.item_id).to_dict() == item.to_dict()


def test_01_condition_holds(item: Item) -> None:
    """With a condition that holds the item is gone in a new context."""
    deletes(item, {"status": "active", "age": {"$gte": 20}})


def test_02_condition_fails(item: Item) -> None:
    """With one that fails ConditionalError is raised and the item stays."""
    refuses(item, {"status": "inactive"})


def test_03_exists_and(item: Item) -> None:
    """$and of $exists and a comparison."""
    refuses(item, {"$and": [{"age": {"$exists": False}}, {"age": {"$gt": 20}}]})
    deletes(item, {"$and": [{"age": {"$exists": True}}, {"age": {"$gt": 20}}]})


def test_04_or(item: Item) -> None:
    """$or with one true branch."""
    deletes(item, {"$or": [{"status": "inactive"}, {"age": {"$gt": 20}}]})


def test_05_or_without_a_true_branch(item: Item) -> None:
    """$or with no true branch raises ConditionalError."""
    refuses(item, {"$or": [{"status": "inactive"}, {"age": {"$gt": 30}}]})


def test_06_unknown_field(item: Item, wire: Wire) -> None:
    """A field that does not exist is a QueryError, and nothing is sent."""
    with pytest.raises(QueryError, match="nonexistent"):
        Item.delete(item.item_id, condition={"nonexistent": 1})
    assert len(wire) == 0
    assert Item.find(item.item_id).exists()
