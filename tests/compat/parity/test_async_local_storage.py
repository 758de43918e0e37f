"""async-local-storage.test.js: contexts are apart from each other, and batch what they find."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from dynamo_bao import (
    BatchContextRequiredError,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    UlidField,
    current_session,
    get_batch_context_capacity,
    run_with_batch_context,
)
from tests.support.patience import PATIENCE
from tests.support.wire import Wire


class Organization(Model, prefix="aso", name="AlsOrganization"):
    organization_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("organization_id")


class User(Model, prefix="asu", name="AlsUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    organization_id: str | None = RelatedField("AlsOrganization", default=None)

    primary_key = PrimaryKey("user_id")


MODELS = [Organization, User]


@pytest.fixture
def ids(manager: Manager) -> list[str]:
    """Six stored users, three in each of two organisations."""
    organizations = [Organization.create(name=f"org {number}") for number in range(2)]
    return [
        User.create(name=f"user {number}", organization_id=organizations[number // 3]).user_id
        for number in range(6)
    ]


def test_01_contexts_side_by_side(ids: list[str]) -> None:
    """Two contexts open at the same time each load their own three users; nothing mixes."""
    both_open = Barrier(2, timeout=PATIENCE)

    def load(wanted: list[str]) -> tuple[list[str], int, int]:
        with run_with_batch_context() as session:
            users = [User.find(user_id) for user_id in wanted]
            both_open.wait()
            return [user.name for user in users], session.stats.keys_fetched, id(session)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(load, (ids[:3], ids[3:]))
    assert first[:2] == (["user 0", "user 1", "user 2"], 3)
    assert second[:2] == (["user 3", "user 4", "user 5"], 3)


def test_02_one_context_is_one_batch(ids: list[str], wire: Wire) -> None:
    """Five finds in one context come back from one batch, at no more than a read unit each."""
    with run_with_batch_context():
        users = [User.find(user_id) for user_id in ids[:5]]
        assert [user.name for user in users] == [f"user {number}" for number in range(5)]
        assert 0 < get_batch_context_capacity().read <= 5
    assert wire.operations == ["BatchGetItem"]


def test_03_found_again_is_the_same_object(ids: list[str], wire: Wire) -> None:
    """A second find in a context returns the identical object, from another function too."""

    def find() -> User:
        return User.find(ids[0])

    with run_with_batch_context():
        first = User.find(ids[0])
        assert first.name == "user 0"
        assert User.find(ids[0]) is first
        assert find() is first
    assert len(wire) == 1


def test_04_equal_finds_are_asked_once(ids: list[str], wire: Wire) -> None:
    """Eight finds of one id give the same user and are paid for once."""
    with run_with_batch_context():
        found = [User.find(ids[0]) for _ in range(8)]
        assert {user.name for user in found} == {"user 0"}
        assert all(user is found[0] for user in found)
        assert get_batch_context_capacity().read < 2
    assert len(wire.keys()) == 1


def test_05_related_data(ids: list[str]) -> None:
    """load_related_data loads the organisation of each user."""
    with run_with_batch_context() as session:
        users = [User.find(user_id) for user_id in ids]
        for user in users:
            user.load_related_data(["organization_id"])
        before = session.stats.requests
        assert [user.get_related("organization_id").name for user in users] == ["org 0"] * 3 + ["org 1"] * 3
        assert session.stats.requests == before


def test_06_no_interference(ids: list[str], wire: Wire) -> None:
    """One id found in two overlapping contexts gives two objects, each from a read of its own."""
    both_open = Barrier(2, timeout=PATIENCE)

    def load(_: int) -> User:
        with run_with_batch_context():
            user = User.find(ids[0])
            both_open.wait()
            assert user.name == "user 0"
            return user

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(load, range(2))
    assert first is not second
    assert first == second
    assert wire.operations == ["BatchGetItem"] * 2


def test_07_a_context_is_required(strict: Manager) -> None:
    """Where a context is required, a find outside of one raises."""
    with pytest.raises(BatchContextRequiredError, match="must be executed within run_with_batch_context"):
        User.find("01ARZ3NDEKTSV4RRFFQ69G5FAV")


def test_08_requests_of_a_server(ids: list[str]) -> None:
    """Three requests served by threads, each in a context of its own, stay cheap and apart."""

    def serve(wanted: list[str]) -> tuple[list[str], float]:
        with run_with_batch_context():
            users = [User.find(user_id) for user_id in wanted]
            seen = [f"{user.name} of {user.organization.name}" for user in users]
            return seen, get_batch_context_capacity().read / len(users)

    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(serve, (ids[:2], ids[2:4], ids[4:])))
    assert [seen for seen, _ in answers] == [
        ["user 0 of org 0", "user 1 of org 0"],
        ["user 2 of org 0", "user 3 of org 1"],
        ["user 4 of org 1", "user 5 of org 1"],
    ]
    assert all(0 < units < 4 for _, units in answers)
    assert current_session() is None
