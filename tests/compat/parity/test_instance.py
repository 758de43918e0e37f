"""instance.test.js: what instances know of their changes, and what their saves write."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from dynamo_bao import (
    ConditionalError,
    CreateDateField,
    Index,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    UniqueConstraint,
    run_with_batch_context,
)
from tests.support.one_table import Raw
from tests.support.wire import Wire


class User(Model, prefix="ins", name="InsUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str = StringField()
    external_id: str | None = StringField(default=None)
    platform: str = StringField(default="web")
    role: str = StringField(default="user")
    status: str = StringField(default="active")
    bio: str | None = StringField(default=None)
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("user_id")
    by_platform = Index("platform", "status", id="gsi1")
    by_role = Index("role", "status", id="gsi2")
    unique_email = UniqueConstraint("email", id="uc1")
    unique_external_id = UniqueConstraint("external_id", id="uc2")


class Sparse(Model, prefix="insp", name="InsSparse"):
    item_id: str = UlidField(auto_assign=True)
    name: str = StringField(default="thing")
    category: str | None = StringField(default=None)
    rank: str | None = StringField(default=None)

    primary_key = PrimaryKey("item_id")
    by_category = Index("category", "rank", id="gsi1")


MODELS = [User, Sparse]


@pytest.fixture
def user(manager: Manager) -> User:
    return User.create(name="Ada", email="ada@example.com")


def index_keys(item: dict[str, Any]) -> dict[str, str]:
    """The index attributes of a stored item."""
    return {name: value["S"] for name, value in item.items() if name.startswith("_gsi")}


def names(result: Any) -> list[str]:
    return [one.name for one in result]


def test_01_changes(user: User) -> None:
    """Nothing has changed after a find; then exactly the field that was assigned."""
    found = User.find(user.user_id)
    assert not found.has_changes()
    found.name = "Augusta"
    assert found.has_changes()
    assert found.changes() == {"name": "Augusta"}


def test_02_only_changed_fields_are_sent(user: User, wire: Wire) -> None:
    """A save sends the changed field alone."""
    found = User.find(user.user_id)
    wire.clear()
    found.name = "Augusta"
    found.save()
    ((operation, body),) = wire.sent
    assert operation == "UpdateItem"
    assert list(body["ExpressionAttributeValues"].values()) == [{"S": "Augusta"}]


def test_03_nothing_changed_after_save(user: User) -> None:
    """A saved instance has no changes."""
    user.name = "Augusta"
    user.save()
    assert not user.has_changes()
    assert user.changes() == {}


def test_04_several_changes_are_one_request(user: User, wire: Wire) -> None:
    """Two changed fields travel together, and the next save has its own."""
    user.name, user.bio = "Augusta", "mathematician"
    user.save()
    assert wire.operations == ["UpdateItem"]
    user.bio = "countess"
    user.save()
    assert wire.operations == ["UpdateItem", "UpdateItem"]
    found = User.find(user.user_id)
    assert (found.name, found.bio) == ("Augusta", "countess")


def test_05_no_change_no_request(user: User, wire: Wire) -> None:
    """A save without changes sends nothing; an equal value is no change."""
    user.save()
    user.name = "Ada"
    user.save()
    assert len(wire) == 0


def test_06_force_reindex(user: User, manager: Manager, raw: Raw) -> None:
    """force_reindex writes index attributes that were taken away behind the library's back."""
    before = index_keys(raw(f"ins#{user.user_id}"))
    assert len(before) == 4
    item = raw(f"ins#{user.user_id}")
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": item["_pk"], "_sk": item["_sk"]},
        UpdateExpression="REMOVE #a, #b",
        ExpressionAttributeNames={"#a": "_gsi1_pk", "#b": "_gsi1_sk"},
    )
    assert names(User.query_by_index("by_platform", "web")) == []
    User.find(user.user_id).save(force_reindex=True)
    assert names(User.query_by_index("by_platform", "web")) == ["Ada"]
    assert index_keys(raw(f"ins#{user.user_id}")) == before


def test_07_changes_are_local_until_saved(user: User) -> None:
    """An unsaved change is not seen in another context; a saved one is."""
    user.name = "Augusta"
    with run_with_batch_context():
        assert User.find(user.user_id).name == "Ada"
    user.save()
    with run_with_batch_context():
        assert User.find(user.user_id).name == "Augusta"


def test_08_a_taken_unique_value(user: User) -> None:
    """A save with another user's address raises ConditionalError; what is stored stays."""
    other = User.create(name="Bob", email="bob@example.com")
    other.email = "ada@example.com"
    with pytest.raises(ConditionalError):
        other.save()
    assert User.find(other.user_id).email == "bob@example.com"
    assert User.find_by_email("ada@example.com") == user


def test_09_unset_unique_values(user: User) -> None:
    """Two users may both lack an optional unique value; it reads None."""
    other = User.create(name="Bob", email="bob@example.com")
    assert User.find(user.user_id).external_id is None
    assert User.find(other.user_id).external_id is None


def test_10_two_handles(user: User) -> None:
    """Two handles that change different fields are both saved."""
    first, second = User.find(user.user_id), User.find(user.user_id)
    first.name = "Augusta"
    second.bio = "mathematician"
    first.save()
    second.save()
    found = User.find(user.user_id)
    assert (found.name, found.bio) == ("Augusta", "mathematician")


def test_11_constructed_and_saved(manager: Manager) -> None:
    """An instance that was constructed is stored by its save."""
    user = User(name="Ada", email="ada@example.com")
    assert not User.find(user.user_id)
    user.save()
    assert User.find(user.user_id).name == "Ada"


def test_12_force_reindex_keeps_a_change(user: User, raw: Raw) -> None:
    """force_reindex saves a changed role, and the index holds it."""
    user.role = "admin"
    user.save(force_reindex=True)
    assert User.find(user.user_id).role == "admin"
    assert "admin" in raw(f"ins#{user.user_id}")["_gsi2_pk"]["S"]
    assert names(User.query_by_index("by_role", "admin")) == ["Ada"]


def test_13_one_half_of_a_pair(user: User) -> None:
    """A class-level update of the role alone keeps the index right (right, not as JavaScript: defect 58)."""
    with run_with_batch_context():
        assert User.find(user.user_id).role == "user"
        User.update(user.user_id, role="admin")
        User.update(user.user_id, status="blocked")
    assert names(User.query_by_index("by_role", "admin", "blocked")) == ["Ada"]
    assert names(User.query_by_index("by_role", "admin", "active")) == []
    assert names(User.query_by_index("by_role", "user")) == []


def test_14_the_shared_half_of_two_pairs(user: User) -> None:
    """An update of the status alone moves the item in both indexes that sort by it."""
    User.update(user.user_id, status="blocked")
    assert names(User.query_by_index("by_role", "user", "blocked")) == ["Ada"]
    assert names(User.query_by_index("by_platform", "web", "blocked")) == ["Ada"]
    assert names(User.query_by_index("by_role", "user", "active")) == []
    assert names(User.query_by_index("by_platform", "web", "active")) == []


def test_15_other_fields_leave_index_keys(user: User, raw: Raw) -> None:
    """An update of a plain field leaves every index key as it was."""
    before = index_keys(raw(f"ins#{user.user_id}"))
    User.update(user.user_id, name="Augusta")
    assert index_keys(raw(f"ins#{user.user_id}")) == before


def test_16_force_reindex_keeps_several_changes(user: User) -> None:
    """force_reindex with two changed fields keeps both."""
    user.role, user.status = "admin", "blocked"
    user.save(force_reindex=True)
    found = User.find(user.user_id)
    assert (found.role, found.status) == ("admin", "blocked")
    assert names(User.query_by_index("by_role", "admin", "blocked")) == ["Ada"]


def test_17_the_other_half_is_stored(manager: Manager) -> None:
    """A half that was never stored before joins the other one, which is."""
    item = Sparse.create(category="tools")
    assert names(Sparse.query_by_index("by_category", "tools")) == []
    Sparse.update(item.item_id, rank="1")
    assert names(Sparse.query_by_index("by_category", "tools", "1")) == ["thing"]


def test_18_the_sort_half_was_never_stored(manager: Manager, raw: Raw) -> None:
    """One half alone is stored and keeps the item out of the index (right, not as JavaScript: defect 57)."""
    item = Sparse.create()
    Sparse.update(item.item_id, category="tools")
    assert Sparse.find(item.item_id).category == "tools"
    assert "_gsi1_sk" not in raw(f"insp#{item.item_id}")
    assert names(Sparse.query_by_index("by_category", "tools")) == []
    Sparse.update(item.item_id, name="renamed")
    assert Sparse.find(item.item_id).name == "renamed"


def test_19_the_partition_half_was_never_stored(manager: Manager, raw: Raw) -> None:
    """The same for the other half (right, not as JavaScript: defect 57)."""
    item = Sparse.create()
    Sparse.update(item.item_id, rank="1")
    assert Sparse.find(item.item_id).rank == "1"
    assert "_gsi1_pk" not in raw(f"insp#{item.item_id}")
    Sparse.update(item.item_id, category="tools")
    assert names(Sparse.query_by_index("by_category", "tools", "1")) == ["thing"]


def test_20_both_halves(manager: Manager) -> None:
    """Both halves together put the item into the index; None takes it out again."""
    item = Sparse.create()
    Sparse.update(item.item_id, category="tools", rank="1")
    assert names(Sparse.query_by_index("by_category", "tools")) == ["thing"]
    Sparse.update(item.item_id, rank=None)
    assert names(Sparse.query_by_index("by_category", "tools")) == []


def test_21_force_reindex_of_a_pair(manager: Manager) -> None:
    """force_reindex works where both halves are stored."""
    item = Sparse.create(category="tools", rank="1")
    item.rank = "2"
    item.save(force_reindex=True)
    assert names(Sparse.query_by_index("by_category", "tools", "2")) == ["thing"]
    assert names(Sparse.query_by_index("by_category", "tools", "1")) == []
