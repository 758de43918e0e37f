"""test.js: a user model with three indexes and two unique values."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    ConditionalError,
    CreateDateField,
    Index,
    Manager,
    Model,
    ModifiedDateField,
    PrimaryKey,
    QueryError,
    StringField,
    TenantContext,
    UlidField,
    UniqueConstraint,
)
from tests.support.wire import Wire


class User(Model, prefix="tjs", name="TjsUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str = StringField()
    external_id: str | None = StringField(default=None)
    external_platform: str = StringField(default="web")
    role: str = StringField(default="user")
    status: str = StringField(default="active")
    created_at: datetime = CreateDateField()
    modified_at: datetime = ModifiedDateField()

    primary_key = PrimaryKey("user_id")
    by_platform = Index("external_platform", "user_id", id="gsi1")
    by_role = Index("role", "status", id="gsi2")
    by_status = Index("status", "created_at", id="gsi3")
    all_users = Index(MODEL_PREFIX, "user_id", id="gsi4")
    unique_email = UniqueConstraint("email", id="uc1")
    unique_external_id = UniqueConstraint("external_id", id="uc2")


MODELS = [User]


@pytest.fixture
def users(manager: Manager) -> dict[str, User]:
    """Three stored users by name."""
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    rows: list[dict[str, Any]] = [
        {"name": "ada", "external_platform": "ios", "role": "admin"},
        {"name": "bob", "external_platform": "web", "status": "inactive"},
        {"name": "cy", "external_platform": "ios"},
    ]
    return {
        row["name"]: User.create(
            **row,
            email=f"{row['name']}@example.com",
            external_id=f"ext {number}",
            created_at=start + timedelta(days=number),
        )
        for number, row in enumerate(rows)
    }


def names(result: Any) -> list[str]:
    return sorted(user.name for user in result)


def test_01_create(manager: Manager) -> None:
    """create gives what was given, defaults, and dates."""
    user = User.create(name="Ada", email="ada@example.com", external_id="1")
    assert (user.name, user.email, user.external_id) == ("Ada", "ada@example.com", "1")
    assert (user.role, user.status, user.external_platform) == ("user", "active", "web")
    assert isinstance(user.created_at, datetime)
    assert isinstance(user.modified_at, datetime)
    assert len(user.user_id) == 26


def test_02_duplicate_email(users: dict[str, User]) -> None:
    """A second user with the address is refused."""
    with pytest.raises(ConditionalError):
        User.create(name="Eve", email="ada@example.com")
    assert names(User.all_users.query()) == ["ada", "bob", "cy"]


def test_03_values_after_a_delete(users: dict[str, User]) -> None:
    """Both unique values are free again once their user was deleted."""
    User.delete(users["ada"].user_id)
    again = User.create(name="Eve", email="ada@example.com", external_id="ext 0")
    assert User.find_by_email("ada@example.com") == again
    assert User.find_by_external_id("ext 0") == again


def test_04_by_platform(users: dict[str, User]) -> None:
    """Users of a platform."""
    assert names(User.query_by_index("by_platform", "ios")) == ["ada", "cy"]


def test_05_by_role(users: dict[str, User]) -> None:
    """Users of a role."""
    assert names(User.query_by_index("by_role", "admin")) == ["ada"]
    assert names(User.query_by_role("user")) == ["bob", "cy"]


def test_06_by_status(users: dict[str, User]) -> None:
    """Users of a status."""
    assert names(User.query_by_index("by_status", "active")) == ["ada", "cy"]
    assert names(User.by_status.query("inactive")) == ["bob"]


def test_07_unknown_index(manager: Manager, wire: Wire) -> None:
    """An index that does not exist is a QueryError."""
    with pytest.raises(QueryError, match="by_nothing"):
        User.query_by_index("by_nothing", "active")
    assert len(wire) == 0


def test_08_dates(users: dict[str, User]) -> None:
    """$between on the date that an index sorts by."""
    first = users["ada"].created_at
    between = {"created_at": {"$between": [first, first + timedelta(days=1)]}}
    assert names(User.query_by_index("by_status", "active", between)) == ["ada"]
    between = {"created_at": {"$between": [first, first + timedelta(days=2)]}}
    assert names(User.query_by_index("by_status", "active", between)) == ["ada", "cy"]


def test_09_tenants(manager: Manager) -> None:
    """What a tenant stores has the tenant in its key, and is found under it."""
    with TenantContext.run_with_tenant("one"):
        user = User.create(name="Ada", email="ada@example.com")
        assert User.find(user.user_id).name == "Ada"
    keys = [item["_pk"]["S"] for item in manager.client.scan(TableName=manager.table_name)["Items"]]
    assert len(keys) == 2  # the user, and the guard of the address
    assert all("[one]" in key for key in keys)
    assert not User.find(user.user_id)
