"""codegen/unique-constraint.test.js: the finder that a unique field gives."""

from __future__ import annotations

import pytest

from dynamo_bao import Model, PrimaryKey, StringField, UlidField, UniqueConstraint, ValidationError


class User(Model, prefix="cuc", name="CucUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str = StringField()

    primary_key = PrimaryKey("user_id")
    unique_email = UniqueConstraint("email", id="uc1")


MODELS = [User]

pytestmark = pytest.mark.usefixtures("manager")


def test_01_found_by_email() -> None:
    """find_by_email gives the user, and None for an address that nobody has."""
    user = User.create(name="Ada", email="ada@example.com")
    found = User.find_by_email("ada@example.com")
    assert found == user
    assert found.name == "Ada"
    assert User.unique_email.find("ada@example.com") == user
    assert User.find_by_email("nobody@example.com") is None


def test_02_none() -> None:
    """None is refused: the finder needs a value."""
    with pytest.raises(ValidationError, match="email value is required"):
        User.find_by_email(None)
