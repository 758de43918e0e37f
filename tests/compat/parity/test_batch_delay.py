"""batch-delay.test.js: finds that wait for each other, and finds that ask at once."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    BatchContextRequiredError,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    run_with_batch_context,
)
from tests.support.wire import Wire

NOT_CARRIED = {7: "timers of pending batches: a synchronous library has none; see the deadline's own tests"}

MISSING = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


class User(Model, prefix="bdu", name="BdUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


MODELS = [User]


@pytest.fixture
def ids(manager: Manager) -> list[str]:
    """Three stored users."""
    return [User.create(name=f"user {number}").user_id for number in range(3)]


def test_01_direct_finds(ids: list[str], wire: Wire) -> None:
    """Finds that ask at once are a request each, and each object carries its own capacity."""
    with run_with_batch_context():
        found = [User.find(user_id, bypass_cache=True) for user_id in ids[:2]]
        assert [user.name for user in found] == ["user 0", "user 1"]
    assert wire.operations == ["GetItem", "GetItem"]
    assert [user.consumed_capacity.read for user in found] == [0.5, 0.5]


def test_02_waiting_finds(ids: list[str], wire: Wire) -> None:
    """Finds that wait are answered by one batch."""
    with run_with_batch_context():
        found = [User.find(user_id) for user_id in ids]
        assert len(wire) == 0
        assert [user.name for user in found] == ["user 0", "user 1", "user 2"]
    assert wire.operations == ["BatchGetItem"]


def test_03_found_again(ids: list[str], wire: Wire) -> None:
    """A second find returns the same object, which keeps the capacity of its first read."""
    with run_with_batch_context():
        first = User.find(ids[0])
        assert first.exists()
        capacity = first.consumed_capacity
        second = User.find(ids[0])
        assert second.exists()
        assert second is first
        assert second.consumed_capacity == capacity
    assert len(wire) == 1


def test_04_both_kinds(ids: list[str], wire: Wire) -> None:
    """Waiting and direct finds side by side each give the right item."""
    with run_with_batch_context():
        found = [User.find(ids[0]), User.find(ids[1], bypass_cache=True), User.find(ids[2])]
        assert [user.name for user in found] == ["user 0", "user 1", "user 2"]
    assert wire.operations == ["GetItem", "BatchGetItem"]


def test_05_one_of_a_batch_is_missing(ids: list[str]) -> None:
    """A missing id among batched finds does not exist; the others are found."""
    with run_with_batch_context():
        found = [User.find(key) for key in (ids[0], MISSING, ids[1])]
        assert [user.exists() for user in found] == [True, False, True]
        assert (found[0].name, found[2].name) == ("user 0", "user 1")


def test_06_bypassing_the_cache(ids: list[str], wire: Wire) -> None:
    """bypass_cache reads the table again (right, not as JavaScript: defect 4)."""
    with run_with_batch_context():
        cached = User.find(ids[0])
        assert cached.name == "user 0"
        with run_with_batch_context():
            User.update(ids[0], name="renamed")
        fresh = User.find(ids[0], bypass_cache=True)
        assert fresh.name == "renamed"
        fresh.name = "changed on the copy"
        assert cached.name == "user 0"
        assert not cached.has_changes()
    assert wire.operations == ["BatchGetItem", "UpdateItem", "GetItem"]


def test_08_strict_outside(strict: Manager) -> None:
    """Where a context is required, a find outside raises."""
    with pytest.raises(BatchContextRequiredError, match="run_with_batch_context"):
        User.find(MISSING)


def test_09_permissive_outside(ids: list[str], wire: Wire) -> None:
    """By default a find outside a context works, and gives a new object each time."""
    first, second = User.find(ids[0]), User.find(ids[0])
    assert first.name == second.name == "user 0"
    assert first is not second
    assert wire.operations == ["GetItem", "GetItem"]
