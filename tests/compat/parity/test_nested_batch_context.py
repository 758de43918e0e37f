"""nested-batch-context.test.js: a context inside another."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    current_session,
    get_batch_context_capacity,
    is_inside_batch_context,
    run_with_batch_context,
)
from tests.support.wire import Wire


class User(Model, prefix="nbc", name="NbcUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


MODELS = [User]


@pytest.fixture
def ids(manager: Manager) -> list[str]:
    """Four stored users."""
    return [User.create(name=f"user {number}").user_id for number in range(4)]


def test_01_an_inner_context_is_its_own(ids: list[str]) -> None:
    """An inner context has a session, objects and figures of its own."""
    with run_with_batch_context() as outer:
        mine = User.find(ids[0])
        assert mine.exists()
        with run_with_batch_context() as inner:
            assert inner is not outer
            assert current_session() is inner
            assert get_batch_context_capacity() == (0, 0)
            assert User.find(ids[0]) is not mine


def test_02_back_in_the_outer_context(ids: list[str]) -> None:
    """After the inner context the outer one is active again, as it was."""
    with run_with_batch_context() as outer:
        mine = User.find(ids[0])
        assert mine.name == "user 0"
        before = get_batch_context_capacity()
        with run_with_batch_context():
            assert User.find(ids[1]).exists()
        assert current_session() is outer
        assert get_batch_context_capacity() == before
        assert User.find(ids[0]) is mine
    assert not is_inside_batch_context()


def test_03_batches_of_their_own(ids: list[str], wire: Wire) -> None:
    """Finds of outer and inner context travel apart, each with its own context's."""
    with run_with_batch_context():
        outer = [User.find(user_id) for user_id in ids[:2]]
        with run_with_batch_context():
            inner = [User.find(user_id) for user_id in ids[2:]]
            assert [user.name for user in inner] == ["user 2", "user 3"]
        assert [user.name for user in outer] == ["user 0", "user 1"]
    assert [wire.keys(number) for number in range(len(wire))] == [
        [f"nbc#{ids[2]}", f"nbc#{ids[3]}"],
        [f"nbc#{ids[0]}", f"nbc#{ids[1]}"],
    ]


def test_04_the_outer_contexts_pending_finds(ids: list[str], wire: Wire) -> None:
    """The inner context starts empty; what was pending in the outer one still is afterwards."""
    with run_with_batch_context() as outer:
        pending = User.find(ids[0])
        with run_with_batch_context() as inner:
            assert inner.stats.lookups == 0
            assert User.find(ids[0]).name == "user 0"
        assert "(pending)" in repr(pending)
        assert outer.stats.round_trips == 0
        assert pending.name == "user 0"
    assert wire.operations == ["BatchGetItem", "BatchGetItem"]
