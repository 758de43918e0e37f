"""filter.test.js: filters of queries."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dynamo_bao import (
    BooleanField,
    CreateDateField,
    Index,
    IntegerField,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    StringField,
    UlidField,
    ValidationError,
)

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


class User(Model, prefix="flt", name="FltUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    group: str = StringField(default="all")
    age: int = IntegerField()
    score: int = IntegerField()
    country: str = StringField()
    is_active: bool = BooleanField()
    nickname: str | None = StringField(default=None)
    joined_at: datetime = CreateDateField()

    primary_key = PrimaryKey("user_id")
    by_group = Index("group", "user_id", id="gsi1")


MODELS = [User]


@pytest.fixture(autouse=True)
def users(manager: Manager) -> dict[str, User]:
    """Three stored users by name."""
    rows: list[dict[str, Any]] = [
        {"name": "ada", "age": 25, "score": 85, "country": "US", "is_active": True, "nickname": "countess"},
        {"name": "bob", "age": 30, "score": 70, "country": "UK", "is_active": False},
        {"name": "cy", "age": 35, "score": 95, "country": "US", "is_active": True},
    ]
    return {
        row["name"]: User.create(**row, joined_at=NOON + timedelta(days=number))
        for number, row in enumerate(rows)
    }


def found(condition: Any) -> list[str]:
    """The names that a query with the filter gives."""
    return [user.name for user in User.query_by_index("by_group", "all", filter=condition)]


def test_01_equality() -> None:
    """A plain value is compared for equality."""
    assert found({"is_active": True}) == ["ada", "cy"]
    assert found({"is_active": False}) == ["bob"]


def test_02_own_id(users: dict[str, User]) -> None:
    """An id that was assigned by itself can be compared with."""
    assert found({"user_id": users["bob"].user_id}) == ["bob"]


def test_03_ids_in(users: dict[str, User]) -> None:
    """$in with two ids gives both."""
    assert found({"user_id": {"$in": [users["ada"].user_id, users["cy"].user_id]}}) == ["ada", "cy"]


def test_04_ids_that_begin(users: dict[str, User]) -> None:
    """$begins_with takes the beginning of an id, which is no id itself."""
    beginning = users["bob"].user_id[:20]
    expected = [name for name, user in users.items() if user.user_id.startswith(beginning)]
    assert found({"user_id": {"$begins_with": beginning}}) == expected
    assert "bob" in expected
    assert found({"user_id": {"$beginsWith": "00000000"}}) == []


def test_05_comparisons() -> None:
    """Comparisons on two fields must both hold."""
    assert found({"age": {"$gt": 25}, "score": {"$lte": 70}}) == ["bob"]


def test_06_nested_logic() -> None:
    """$or with an $and inside."""
    condition = {"$or": [{"$and": [{"age": {"$gt": 30}}, {"country": "US"}]}, {"score": {"$lt": 80}}]}
    assert found(condition) == ["bob", "cy"]


def test_07_not() -> None:
    """$not gives the others, also of several fields together (right, not as JavaScript: defect 21)."""
    assert found({"$not": {"country": "US"}}) == ["bob"]
    assert found({"$not": {"country": "US", "age": 25}}) == ["bob", "cy"]


def test_08_dates() -> None:
    """A date field is compared with a moment."""
    assert found({"joined_at": {"$lt": NOON + timedelta(hours=1)}}) == ["ada"]


def test_09_unknown_field() -> None:
    """A field that does not exist is a QueryError."""
    with pytest.raises(QueryError, match="nope"):
        found({"nope": 1})


def test_10_unknown_operator() -> None:
    """So is an operator that does not."""
    with pytest.raises(QueryError, match=r"\$near"):
        found({"age": {"$near": 3}})


def test_11_empty() -> None:
    """An empty filter lets everything through."""
    assert found({}) == ["ada", "bob", "cy"]


def test_12_several_fields() -> None:
    """Three conditions must all hold."""
    assert found({"country": "US", "is_active": True, "age": {"$gte": 30}}) == ["cy"]


def test_13_exists() -> None:
    """$exists asks whether a field is stored."""
    assert found({"nickname": {"$exists": True}}) == ["ada"]
    assert found({"nickname": {"$exists": False}}) == ["bob", "cy"]


@pytest.mark.parametrize("operand", ["true", 1, None, []])
def test_14_exists_is_yes_or_no(operand: object) -> None:
    """$exists takes True or False and nothing else."""
    with pytest.raises(ValidationError, match=r"\$exists"):
        found({"nickname": {"$exists": operand}})


def test_15_exists_and() -> None:
    """$exists works inside $and."""
    assert found({"$and": [{"nickname": {"$exists": False}}, {"country": "US"}]}) == ["cy"]
