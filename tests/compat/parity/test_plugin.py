"""plugin.test.js: hooks around saves and deletes."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao import Model, PrimaryKey, StringField, UlidField
from tests.support.wire import Wire


class User(Model, prefix="plg", name="PlgUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


MODELS = [User]

pytestmark = pytest.mark.usefixtures("manager", "no_plugins")


@pytest.fixture
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins of one test are gone in the next."""
    monkeypatch.setattr(User, "__bao_plugins__", ())


class Recorder:
    """A plugin that notes each call."""

    def __init__(self, calls: list[Any], label: str = "") -> None:
        self.calls = calls
        self.label = label

    def before_save(self, data: dict[str, Any], options: dict[str, Any]) -> None:
        self.calls.append((f"{self.label}before_save", dict(data), dict(options)))

    def after_save(self, instance: User, options: dict[str, Any]) -> None:
        self.calls.append((f"{self.label}after_save", instance.name, dict(options)))

    def before_delete(self, primary_id: str, options: dict[str, Any]) -> None:
        self.calls.append((f"{self.label}before_delete", primary_id, dict(options)))

    def after_delete(self, primary_id: str, options: dict[str, Any]) -> None:
        self.calls.append((f"{self.label}after_delete", primary_id, dict(options)))


@pytest.fixture
def calls() -> list[Any]:
    """What a registered plugin is called with."""
    calls: list[Any] = []
    User.register_plugin(Recorder(calls))
    return calls


def test_01_save_hooks(calls: list[Any]) -> None:
    """before_save may change what is stored, and after_save comes after it, with the instance."""

    def shout(data: dict[str, Any], options: dict[str, Any]) -> None:
        data["name"] = data["name"].upper()

    User.register_plugin({"before_save": shout})
    user = User.create(name="Ada")
    assert user.name == User.find(user.user_id).name == "ADA"
    assert [call[:1] for call in calls] == [("before_save",), ("after_save",)]
    assert calls[0][1]["name"] == "Ada"
    assert calls[1][1] == "ADA"
    calls.clear()
    user.name = "Bob"
    user.save()
    assert User.find(user.user_id).name == "BOB"
    assert [(what, seen) for what, seen, _ in calls] == [
        ("before_save", {"name": "Bob"}),
        ("after_save", "BOB"),
    ]


def test_02_nothing_changed(calls: list[Any], wire: Wire) -> None:
    """Without a change nothing is sent and after_save is not called; before_save is, as it could make one."""
    user = User.create(name="Ada")
    calls.clear()
    wire.clear()
    user.save()
    assert len(wire) == 0
    assert [what for what, *_ in calls] == ["before_save"]


def test_03_save_options(calls: list[Any]) -> None:
    """The options of a save reach the hooks."""
    user = User.create(name="Ada")
    assert [options["is_new"] for _, _, options in calls] == [True, True]
    calls.clear()
    user.name = "Bob"
    condition = {"name": "Ada"}
    user.save(condition=condition)
    assert [options["condition"] for _, _, options in calls] == [condition, condition]
    assert [options["is_new"] for _, _, options in calls] == [False, False]


def test_04_several_plugins() -> None:
    """Several plugins are called in the order of their registration."""
    calls: list[Any] = []
    User.register_plugin(Recorder(calls, "first "))
    User.register_plugin(Recorder(calls, "second "))
    User.create(name="Ada")
    assert [call[0] for call in calls] == [
        "first before_save",
        "second before_save",
        "first after_save",
        "second after_save",
    ]


def test_05_delete_hooks(calls: list[Any]) -> None:
    """The hooks of a delete get the primary id, by key and by instance."""
    for delete in (lambda user: User.delete(user.user_id), lambda user: user.delete()):
        user = User.create(name="Ada")
        calls.clear()
        delete(user)
        assert [call[:2] for call in calls] == [
            ("before_delete", user.user_id),
            ("after_delete", user.user_id),
        ]
        assert not User.find(user.user_id)


def test_06_delete_options(calls: list[Any]) -> None:
    """The options of a delete reach the hooks."""
    user = User.create(name="Ada")
    calls.clear()
    condition = {"name": "Ada"}
    User.delete(user.user_id, condition=condition)
    assert [options["condition"] for _, _, options in calls] == [condition, condition]
