"""count.test.js: queries that count their matches."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao import Index, IntegerField, Manager, Model, PrimaryKey, StringField
from dynamo_bao.reads.query_result import QueryResult
from tests.support.wire import Wire


class User(Model, prefix="cnt", name="CntUser"):
    name: str = StringField()
    role: str = StringField()
    age: int = IntegerField()
    status: str = StringField()

    primary_key = PrimaryKey("name")
    by_role = Index("role", "name", id="gsi1")


MODELS = [User]


@pytest.fixture(autouse=True)
def users(manager: Manager) -> None:
    """Two users of one role, one of another."""
    User.create(name="test ada", role="user", age=25, status="active")
    User.create(name="test bob", role="user", age=30, status="inactive")
    User.create(name="test cy", role="admin", age=35, status="active")


def counted(role: str = "user", sort_condition: Any = None, **options: Any) -> QueryResult[User]:
    """A query that counts only."""
    return User.query_by_index("by_role", role, sort_condition, count_only=True, **options)


def test_01_count_only(wire: Wire) -> None:
    """count_only gives the number of matches and no items."""
    result = counted()
    assert result.count == 2
    assert result.items == []
    assert [body["Select"] for _, body in wire.sent] == ["COUNT"]


def test_02_filter() -> None:
    """Only what passes the filter is counted."""
    assert counted(filter={"status": "active"}).count == 1


def test_03_no_match() -> None:
    """Without a match the count is 0."""
    assert counted("nobody").count == 0
    assert not counted("nobody")


def test_04_complex_filter() -> None:
    """A filter with $or counts both of its sides."""
    wanted = {"$or": [{"age": {"$lt": 26}}, {"$and": [{"status": "inactive"}, {"age": {"$gt": 26}}]}]}
    assert counted(filter=wanted).count == 2
    assert counted(filter=User.fields.age > 26).count == 1


def test_05_sort_condition() -> None:
    """A condition on the sort key is counted by."""
    assert counted(sort_condition={"name": {"$begins_with": "test"}}).count == 2
    assert counted(sort_condition={"name": {"$begins_with": "test b"}}).count == 1


def test_06_capacity() -> None:
    """The result tells what counting cost."""
    result = counted()
    assert result.count == 2
    assert result.capacity.read > 0
    assert result.capacity.write == 0


def test_07_limit_of_both() -> None:
    """A limit of 1 bounds the count as well as the items; without one all pages are counted."""
    assert counted(limit=1).count == 1
    plain = User.query_by_index("by_role", "user", limit=1)
    assert (len(plain), plain.count) == (1, 1)
    assert counted(page_size=1).count == 2


def test_08_limit() -> None:
    """The count is never above the limit, nor above the matches."""
    assert [counted(limit=limit).count for limit in (1, 2, 10)] == [1, 2, 2]


def test_09_no_limit() -> None:
    """Without a limit all matches are counted."""
    assert counted().count == 2
    assert counted(limit=1).count == 1


def test_10_pages() -> None:
    """Two pages of one item each go through what a count says is there."""
    first = User.query_by_index("by_role", "user", limit=1)
    second = User.query_by_index("by_role", "user", limit=1, start_key=first.last_evaluated_key)
    assert [user.name for user in (*first, *second)] == ["test ada", "test bob"]
    assert first.count + second.count == counted().count == 2
