"""key-condition.test.js: conditions on the sort key of an index."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dynamo_bao import Index, IntegerField, Manager, Model, PrimaryKey, QueryError, StringField, UlidField
from tests.support.wire import Wire


class User(Model, prefix="kcu", name="KcUser"):
    user_id: str = UlidField(auto_assign=True)
    status: str = StringField(default="active")
    name: str = StringField()
    age: int = IntegerField()

    primary_key = PrimaryKey("user_id")
    by_status = Index("status", "name", id="gsi1")
    by_age = Index("status", "age", id="gsi2")


MODELS = [User]


@pytest.fixture(autouse=True)
def users(manager: Manager) -> None:
    """Four stored users."""
    for name, age in (("Ada", 36), ("Adam", 25), ("Bob", 40), ("Cy", 18)):
        User.create(name=name, age=age)


def found(condition: Any, index: str = "by_status", **options: Any) -> list[str]:
    return [user.name for user in User.query_by_index(index, "active", condition, **options)]


def test_01_equality() -> None:
    """A value on the sort key, plain, in a dict, and with $eq (right, not as JavaScript: defect 23)."""
    assert found({"name": "Ada"}) == ["Ada"]
    assert found("Ada") == ["Ada"]
    assert found({"name": {"$eq": "Ada"}}) == ["Ada"]


def test_02_begins_with() -> None:
    """$begins_with, in either spelling."""
    assert found({"name": {"$begins_with": "Ad"}}) == ["Ada", "Adam"]
    assert found({"name": {"$beginsWith": "B"}}) == ["Bob"]


def test_03_between() -> None:
    """$between includes both ends."""
    assert found({"name": {"$between": ["Adam", "Bob"]}}) == ["Adam", "Bob"]
    assert found({"age": {"$between": [25, 36]}}, "by_age") == ["Adam", "Ada"]


def test_04_comparisons() -> None:
    """Results of a comparison are in the order of the key."""
    assert found({"age": {"$gt": 18}}, "by_age") == ["Adam", "Ada", "Bob"]
    assert found({"age": {"$lte": 25}}, "by_age") == ["Cy", "Adam"]
    assert found({"age": {"$gte": 36}}, "by_age", direction="DESC") == ["Bob", "Ada"]


def refused(condition: Any, message: str, wire: Wire) -> None:
    wire.clear()
    with pytest.raises(QueryError, match=message):
        found(condition)
    assert len(wire) == 0


def test_05_another_field(wire: Wire) -> None:
    """A condition on another field than the sort key's is refused."""
    refused({"age": 25}, "is not the sort key for index", wire)


def test_06_unknown_operator(wire: Wire) -> None:
    """An operator that does not exist is refused."""
    refused({"name": {"$near": "Ada"}}, r"\$near", wire)


def test_07_with_a_filter() -> None:
    """A key condition and a filter must both hold."""
    assert found({"name": {"$begins_with": "Ad"}}, filter={"age": {"$gt": 30}}) == ["Ada"]


def test_08_between_one_value(wire: Wire) -> None:
    """$between needs two values."""
    refused({"name": {"$between": ["Ada"]}}, "exactly 2", wire)


def test_09_operators_that_keys_cannot(wire: Wire) -> None:
    """An operator that filters know and sort keys do not is refused as well."""
    refused({"name": {"$contains": "d"}}, "operator", wire)
    refused({"name": {"$invalid": "d"}}, r"\$invalid", wire)


def test_10_patterns(wire: Wire) -> None:
    """Regular expressions are refused, as operator and as value."""
    refused({"name": {"$regex": "^Ad"}}, r"\$regex", wire)
    refused({"name": re.compile("^Ad")}, "name", wire)


def test_11_between_one_number(wire: Wire) -> None:
    """$between with one number, or none, or three, is refused."""
    for operand in ([1], [], [1, 2, 3], 1):
        wire.clear()
        with pytest.raises(QueryError, match="exactly 2"):
            found({"age": {"$between": operand}}, "by_age")
        assert len(wire) == 0
