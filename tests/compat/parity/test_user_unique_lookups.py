"""user-unique-lookups.test.js: finding by a unique value."""

from __future__ import annotations

import pytest

from dynamo_bao import Manager, Model, PrimaryKey, StringField, UlidField, UniqueConstraint, ValidationError
from tests.support.wire import Wire


class User(Model, prefix="uul", name="UulUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str = StringField()
    external_id: str = StringField()

    primary_key = PrimaryKey("user_id")
    unique_email = UniqueConstraint("email", id="uc1")
    unique_external_id = UniqueConstraint("external_id", id="uc2")


MODELS = [User]


@pytest.fixture(autouse=True)
def ada(manager: Manager) -> User:
    User.create(name="Bob", email="bob@example.com", external_id="ext 2")
    return User.create(name="Ada", email="ada@example.com", external_id="ext 1")


def test_01_by_email(ada: User) -> None:
    """A user is found by the address, in each of the three ways to ask."""
    assert User.find_by_email("ada@example.com") == ada
    assert User.find_by_unique_constraint("unique_email", "ada@example.com") == ada
    assert User.unique_email.find("ada@example.com").name == "Ada"


def test_02_unknown_email() -> None:
    """An address that nobody has gives None; one constraint's values are not the other's."""
    assert User.find_by_email("nobody@example.com") is None
    assert User.find_by_email("ext 1") is None


def test_03_by_external_id(ada: User) -> None:
    """A user is found by the other unique value."""
    assert User.find_by_external_id("ext 1") == ada
    assert User.find_by_external_id("ext 1").email == "ada@example.com"


def test_04_unknown_external_id() -> None:
    """An unknown one gives None."""
    assert User.find_by_external_id("ext 3") is None


def refused(name: str, value: object, wire: Wire) -> None:
    wire.clear()
    with pytest.raises(ValidationError) as caught:
        User.find_by_unique_constraint(f"unique_{name}", value)
    assert caught.value.field == name
    assert len(wire) == 0


def test_05_empty_email(wire: Wire) -> None:
    """An empty text is refused before any request."""
    refused("email", "", wire)


def test_06_no_external_id(wire: Wire) -> None:
    """So is None, and what is no text."""
    refused("external_id", None, wire)
    refused("external_id", 1, wire)
