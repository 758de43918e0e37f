"""env.test.js: the least that is needed."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dynamo_bao import (
    CreateDateField,
    Model,
    ModifiedDateField,
    PrimaryKey,
    StringField,
    TenantContext,
    UlidField,
)


class User(Model, prefix="env", name="EnvUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str = StringField()
    role: str = StringField(default="user")
    status: str = StringField(default="active")
    created_at: datetime = CreateDateField()
    modified_at: datetime = ModifiedDateField()

    primary_key = PrimaryKey("user_id")


MODELS = [User]


@pytest.mark.usefixtures("manager")
def test_01_create() -> None:
    """Without any tenant create gives the values that were given, the defaults, and dates."""
    assert TenantContext.get_current_tenant() is None
    user = User.create(name="Ada", email="ada@example.com")
    assert (user.name, user.email, user.role, user.status) == ("Ada", "ada@example.com", "user", "active")
    for moment in (user.created_at, user.modified_at):
        assert isinstance(moment, datetime)
        assert moment.tzinfo == timezone.utc
    assert User.find(user.user_id).to_dict() == user.to_dict()
