"""conditional-update.test.js: updates that only happen if something holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from dynamo_bao import (
    ConditionalError,
    CreateDateField,
    IntegerField,
    ItemNotFoundError,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
)


class Item(Model, prefix="cup", name="CupItem"):
    item_id: str = UlidField(auto_assign=True)
    name: str = StringField(default="Widget One")
    status: str = StringField(default="active")
    age: int | None = IntegerField(default=None)
    country: str | None = StringField(default=None)
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("item_id")


MODELS = [Item]


@pytest.fixture
def item(manager: Manager) -> Item:
    return Item.create(age=25)


def updates(item: Item, condition: Any) -> None:
    """An update with the condition is written."""
    assert Item.update(item.item_id, condition=condition, name="updated").name == "updated"
    assert Item.find(item.item_id).name == "updated"


def refuses(item: Item, condition: Any) -> None:
    """An update with the condition raises, and writes nothing."""
    with pytest.raises(ConditionalError) as caught:
        Item.update(item.item_id, condition=condition, name="updated")
    assert (caught.value.operation, caught.value.key) == ("update", item.item_id)
    assert Item.find(item.item_id).name == "Widget One"


def test_01_condition_holds(item: Item) -> None:
    """An update whose condition holds is written."""
    updates(item, {"status": "active"})


def test_02_condition_fails(item: Item) -> None:
    """One whose condition fails raises ConditionalError and writes nothing."""
    refuses(item, {"status": "inactive"})


def test_03_and(item: Item) -> None:
    """All parts of $and must hold."""
    refuses(item, {"$and": [{"status": "active"}, {"age": {"$gt": 30}}]})
    updates(item, {"$and": [{"status": "active"}, {"age": {"$gt": 20}}]})


def test_04_exists(item: Item) -> None:
    """$exists: True holds where the field is stored."""
    refuses(item, {"country": {"$exists": True}})
    updates(item, {"age": {"$exists": True}})


def test_05_texts(item: Item) -> None:
    """$begins_with compares beginnings; JavaScript's spelling is taken too."""
    refuses(item, {"name": {"$begins_with": "One"}})
    updates(item, {"name": {"$beginsWith": "Widget"}})


def test_06_two_operators_on_a_field(item: Item) -> None:
    """Both operators of one field must hold."""
    refuses(item, {"age": {"$gt": 20, "$lt": 25}})
    refuses(item, {"age": {"$gt": 25, "$lt": 30}})
    updates(item, {"age": {"$gt": 20, "$lt": 30}})


def test_07_no_such_item(manager: Manager) -> None:
    """An update of a missing id is ItemNotFoundError, with a condition as well, and makes no item."""
    missing = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    with pytest.raises(ItemNotFoundError) as caught:
        Item.update(missing, condition={"status": "active"}, name="updated")
    assert caught.value.key == missing
    assert not Item.find(missing)


def test_08_no_duplicates(item: Item) -> None:
    """create with the id of a stored item raises ConditionalError and leaves that item alone."""
    with pytest.raises(ConditionalError):
        Item.create(item_id=item.item_id, name="second")
    assert Item.find(item.item_id).name == "Widget One"


def test_09_not_exists(item: Item) -> None:
    """$exists: False holds at first, and no longer once the field was set."""
    condition = {"country": {"$exists": False}}
    assert Item.update(item.item_id, condition=condition, country="CH").country == "CH"
    with pytest.raises(ConditionalError):
        Item.update(item.item_id, condition=condition, country="AT")
    assert Item.find(item.item_id).country == "CH"


def test_10_dates(item: Item) -> None:
    """A condition on a date field compares moments."""
    older = Item.create(created_at=item.created_at - timedelta(days=2))
    condition = {"created_at": {"$gt": item.created_at - timedelta(days=1)}}
    updates(item, condition)
    refuses(older, condition)
