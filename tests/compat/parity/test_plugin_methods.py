"""plugin-methods.test.js: methods that a plugin gives a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_bao import ConfigurationError, IntegerField, Model, PrimaryKey, StringField, UlidField


class User(Model, prefix="plm", name="PlmUser"):
    user_id: str = UlidField(auto_assign=True)
    first_name: str = StringField()
    last_name: str = StringField()
    age: int = IntegerField(default=30)

    primary_key = PrimaryKey("user_id")


MODELS = [User]

pytestmark = pytest.mark.usefixtures("manager", "plugin")


def full_name(self: Any) -> str:
    return f"{self.first_name} {self.last_name}"


def grow_older(self: Any, years: int = 1) -> Any:
    self.age += years
    return self


@pytest.fixture
def plugin() -> Iterator[None]:
    """A plugin with two methods, taken away again."""
    User.register_plugin({"methods": {"full_name": full_name, "grow_older": grow_older}})
    yield
    for name in ("full_name", "grow_older", "__bao_plugins__"):
        delattr(User, name)


@pytest.fixture
def user() -> Any:
    return User.create(first_name="Ada", last_name="Lovelace")


def test_01_methods(user: Any) -> None:
    """The methods are there on created and on found instances."""
    for one in (user, User.find(user.user_id)):
        assert callable(one.full_name)
        assert callable(one.grow_older)


def test_02_the_data(user: Any) -> None:
    """They see the instance's data."""
    found: Any = User.find(user.user_id)
    assert user.full_name() == found.full_name() == "Ada Lovelace"


def test_03_changes(user: Any) -> None:
    """What they change is stored by save."""
    user.grow_older(2).save()
    assert User.find(user.user_id).age == 32


def test_04_a_name_twice(user: Any) -> None:
    """A method that the model has already is refused, and nothing of the plugin stays.

    (right, not as JavaScript, which warns only)
    """
    for name in ("full_name", "save"):
        with pytest.raises(ConfigurationError, match=name):
            User.register_plugin({"methods": {"shorter": full_name, name: lambda self: "other"}})
    assert user.full_name() == "Ada Lovelace"
    assert not hasattr(User, "shorter")
