"""bulk-find.test.js: many items by their ids."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    get_batch_context_capacity,
    run_with_batch_context,
)
from tests.support.wire import Wire


class User(Model, prefix="bfu", name="BfUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


MODELS = [User]


@pytest.fixture
def ids(manager: Manager) -> list[str]:
    """Four stored users."""
    return [User.create(name=f"user {number}").user_id for number in range(4)]


def test_01_several(ids: list[str]) -> None:
    """batch_find gives a mapping with the items, and what they cost is counted."""
    with run_with_batch_context():
        found = User.batch_find(ids[:3])
        assert {key: user.name for key, user in found.items()} == {
            ids[number]: f"user {number}" for number in range(3)
        }
        assert get_batch_context_capacity().read > 0


def test_02_again_from_the_context(ids: list[str], wire: Wire) -> None:
    """A second call is answered by the context: no capacity, the same contents."""
    with run_with_batch_context():
        first = User.batch_find(ids)
        assert all(first.values())
        before = get_batch_context_capacity()
        second = User.batch_find(ids)
        assert [user.to_dict() for user in second.values()] == [user.to_dict() for user in first.values()]
        assert get_batch_context_capacity() == before
    assert len(wire) == 1


def test_03_known_and_new(ids: list[str], wire: Wire) -> None:
    """Of two known ids and a new one only the new one is asked for."""
    with run_with_batch_context():
        assert all(User.batch_find(ids[:2]).values())
        found = User.batch_find(ids[:3])
        assert [user.name for user in found.values()] == ["user 0", "user 1", "user 2"]
    assert wire.operations == ["BatchGetItem", "BatchGetItem"]
    assert wire.keys() == [f"bfu#{ids[2]}"]


def test_04_no_ids(manager: Manager, wire: Wire) -> None:
    """An empty list gives nothing and costs nothing."""
    with run_with_batch_context():
        assert User.batch_find([]) == {}
        assert get_batch_context_capacity() == (0, 0)
    assert User.batch_find([]) == {}
    assert len(wire) == 0


def test_05_none(manager: Manager, wire: Wire) -> None:
    """None is as an empty list."""
    with run_with_batch_context():
        assert User.batch_find(None) == {}
    assert len(wire) == 0


def test_06_without_a_context(ids: list[str], wire: Wire) -> None:
    """It works without any context, in one request."""
    assert [user.name for user in User.batch_find(ids).values()] == [f"user {n}" for n in range(4)]
    assert wire.operations == ["BatchGetItem"]


def test_07_more_than_one_request_holds(manager: Manager, wire: Wire) -> None:
    """120 ids are loaded in two requests, and then from the context."""
    ids = [User.create(name=f"user {number}").user_id for number in range(120)]
    wire.clear()
    with run_with_batch_context():
        found = User.batch_find(ids)
        assert [user.name for user in found.values()] == [f"user {number}" for number in range(120)]
        assert wire.operations == ["BatchGetItem", "BatchGetItem"]
        assert [user.name for user in User.batch_find(ids).values()][-1] == "user 119"
    assert len(wire) == 2
