"""delete.test.js: deletes with and without unique values."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    ConditionalError,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    UniqueConstraint,
    run_with_batch_context,
)
from tests.support.wire import Wire


class Plain(Model, prefix="dlp", name="DelPlain"):
    item_id: str = UlidField(auto_assign=True)
    status: str = StringField(default="active")

    primary_key = PrimaryKey("item_id")


class Guarded(Model, prefix="dlg", name="DelGuarded"):
    item_id: str = UlidField(auto_assign=True)
    email: str = StringField()
    status: str = StringField(default="active")

    primary_key = PrimaryKey("item_id")
    unique_email = UniqueConstraint("email", id="uc1")


class Composite(Model, prefix="dlc", name="DelComposite"):
    group_id: str = StringField()
    item_id: str = StringField()

    primary_key = PrimaryKey("group_id", "item_id")


MODELS = [Plain, Guarded, Composite]

pytestmark = pytest.mark.usefixtures("manager")


def test_01_without_unique_values(manager: Manager) -> None:
    """One DeleteItem; the object is returned, and gone in a new context."""
    item = Plain.create()
    wire = Wire(manager.client)
    with run_with_batch_context():
        assert Plain.delete(item.item_id).item_id == item.item_id
    assert wire.operations == ["DeleteItem"]
    with run_with_batch_context():
        assert not Plain.find(item.item_id).exists()


def test_02_condition_without_unique_values() -> None:
    """A condition that fails raises ConditionalError, one that holds deletes."""
    item = Plain.create()
    with pytest.raises(ConditionalError):
        Plain.delete(item.item_id, condition={"status": "inactive"})
    assert Plain.find(item.item_id).exists()
    Plain.delete(item.item_id, condition={"status": "active"})
    assert not Plain.find(item.item_id).exists()


def test_03_unique_values_are_freed() -> None:
    """After the delete another item may have the value."""
    item = Guarded.create(email="ada@example.com")
    Guarded.delete(item.item_id)
    assert not Guarded.find(item.item_id).exists()
    other = Guarded.create(email="ada@example.com")
    assert Guarded.find_by_email("ada@example.com") == other


def test_04_condition_with_unique_values() -> None:
    """A condition that fails keeps item and value, one that holds deletes both."""
    item = Guarded.create(email="ada@example.com")
    with pytest.raises(ConditionalError):
        Guarded.delete(item.item_id, condition={"status": "inactive"})
    assert Guarded.find_by_email("ada@example.com") == item
    Guarded.delete(item.item_id, condition={"status": "active"})
    assert Guarded.find_by_email("ada@example.com") is None


def test_05_composite_key() -> None:
    """An item with a composite key is there before, and gone after (right, not as JavaScript: defect 9)."""
    item = Composite.create(group_id="g", item_id="1")
    neighbour = Composite.create(group_id="g", item_id="2")
    assert Composite.find({"group_id": "g", "item_id": "1"}).exists()
    Composite.delete(item.primary_id)
    assert not Composite.find({"group_id": "g", "item_id": "1"}).exists()
    assert Composite.find(group_id="g", item_id="2") == neighbour
