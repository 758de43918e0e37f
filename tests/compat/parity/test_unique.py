"""unique.test.js: values that only one item may have."""

from __future__ import annotations

from datetime import datetime

import pytest

from dynamo_bao import (
    ConditionalError,
    CreateDateField,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    UniqueConstraint,
    UniqueConstraintError,
    run_with_batch_context,
)


class User(Model, prefix="unq", name="UnqUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str | None = StringField(default=None)
    status: str = StringField(default="active")
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("user_id")
    unique_email = UniqueConstraint("email", id="uc1")


MODELS = [User]


@pytest.fixture
def ada(manager: Manager) -> User:
    return User.create(name="Ada", email="ada@example.com")


def test_01_create(ada: User) -> None:
    """A user with an address nobody has is created."""
    assert User.find(ada.user_id).email == "ada@example.com"


def test_02_duplicate(ada: User) -> None:
    """The same address again raises, naming the field, and writes nothing."""
    with pytest.raises(ConditionalError) as caught:
        User.create(name="Eve", email="ada@example.com")
    assert isinstance(caught.value, UniqueConstraintError)
    assert (caught.value.field, caught.value.value) == ("email", "ada@example.com")
    assert User.find_by_email("ada@example.com").name == "Ada"


def test_03_another_value(ada: User) -> None:
    """Another address works, and defaults and dates are set."""
    bob = User.create(name="Bob", email="bob@example.com")
    assert bob.status == "active"
    assert isinstance(bob.created_at, datetime)
    assert bob.user_id != ada.user_id


def test_04_update(ada: User) -> None:
    """An update moves to the new address; the old one is free (right, not as JavaScript: defect 6)."""
    with run_with_batch_context():
        assert User.find(ada.user_id).email == "ada@example.com"
        assert User.update(ada.user_id, email="augusta@example.com").email == "augusta@example.com"
        assert User.find(ada.user_id).email == "augusta@example.com"
        assert User.find_by_email("ada@example.com") is None
        eve = User.create(name="Eve", email="ada@example.com")
    assert User.find_by_email("ada@example.com") == eve
    assert User.find_by_email("augusta@example.com") == ada


def test_05_cleared(ada: User) -> None:
    """An update to None frees the address."""
    User.update(ada.user_id, email=None)
    assert User.find(ada.user_id).email is None
    assert User.find_by_email("ada@example.com") is None
    assert User.create(name="Eve", email="ada@example.com").exists()


def test_06_update_to_a_taken_value(ada: User) -> None:
    """An update to another user's address raises ConditionalError and changes nothing."""
    bob = User.create(name="Bob", email="bob@example.com")
    with pytest.raises(ConditionalError):
        User.update(bob.user_id, email="ada@example.com", name="Robert")
    found = User.find(bob.user_id)
    assert (found.name, found.email) == ("Bob", "bob@example.com")
    assert User.find_by_email("ada@example.com") == ada


def test_07_delete(ada: User) -> None:
    """A delete frees the address, in the context that moved it too (right, not as JavaScript: defect 6)."""
    with run_with_batch_context():
        assert User.find(ada.user_id).exists()
        User.update(ada.user_id, email="augusta@example.com")
        User.delete(ada.user_id)
    for email in ("ada@example.com", "augusta@example.com"):
        assert User.create(name="Eve", email=email).exists()
