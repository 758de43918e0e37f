"""batch-context-capacity.test.js: what a context's requests cost."""

from __future__ import annotations

import pytest

import dynamo_bao
from dynamo_bao import (
    Index,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    UlidField,
    get_batch_context_capacity,
    run_with_batch_context,
)

NOT_CARRIED = {27: "require() is a second way of importing in JavaScript; Python has one"}

MISSING = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
ALSO_MISSING = "01ARZ3NDEKTSV4RRFFQ69G5FAW"


class User(Model, prefix="bcu", name="BccUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    status: str = StringField(default="active")

    primary_key = PrimaryKey("user_id")
    by_status = Index("status", "user_id", id="gsi1")


class Post(Model, prefix="bcp", name="BccPost"):
    post_id: str = UlidField(auto_assign=True)
    user_id: str = RelatedField("BccUser")
    title: str = StringField()

    primary_key = PrimaryKey("post_id")
    posts_for_user = Index("user_id", "post_id", id="gsi1")


MODELS = [User, Post]

pytestmark = pytest.mark.usefixtures("manager")


@pytest.fixture
def ids(manager: Manager) -> list[str]:
    """Three stored users."""
    return [User.create(name=f"user {number}").user_id for number in range(3)]


def test_01_zeros_outside() -> None:
    """Outside any context the capacity is zero."""
    User.create(name="Ada")
    assert get_batch_context_capacity() == (0, 0)
    assert get_batch_context_capacity().read == get_batch_context_capacity().write == 0


def test_02_zeros_at_the_start(ids: list[str]) -> None:
    """A new context starts at zero."""
    with run_with_batch_context():
        assert get_batch_context_capacity() == (0, 0)


def test_03_a_value_not_the_counter() -> None:
    """What was returned does not change when more is consumed."""
    with run_with_batch_context():
        before = get_batch_context_capacity()
        assert get_batch_context_capacity() == before
        User.create(name="Ada")
        assert before == (0, 0)
        assert get_batch_context_capacity() != before


def test_04_create() -> None:
    """create raises the write total."""
    with run_with_batch_context():
        User.create(name="Ada")
        assert get_batch_context_capacity().write > 0


def test_05_update() -> None:
    """update raises the write total further."""
    with run_with_batch_context():
        user = User.create(name="Ada")
        before = get_batch_context_capacity().write
        User.update(user.user_id, name="Augusta")
        assert get_batch_context_capacity().write > before


def test_06_delete() -> None:
    """delete raises the write total further."""
    with run_with_batch_context():
        user = User.create(name="Ada")
        before = get_batch_context_capacity().write
        User.delete(user.user_id)
        assert get_batch_context_capacity().write > before


def test_07_find(ids: list[str]) -> None:
    """A find that is looked at raises the read total."""
    with run_with_batch_context():
        assert User.find(ids[0]).name == "user 0"
        assert get_batch_context_capacity().read > 0


def test_08_direct_find(ids: list[str]) -> None:
    """A find that asks at once raises the read total."""
    with run_with_batch_context():
        User.find(ids[0], bypass_cache=True)
        assert get_batch_context_capacity().read > 0


def test_09_finds_of_one_batch(ids: list[str]) -> None:
    """Three finds together raise the read total."""
    with run_with_batch_context():
        found = [User.find(user_id) for user_id in ids]
        assert all(found)
        assert 0 < get_batch_context_capacity().read <= 3


def test_10_batch_find(ids: list[str]) -> None:
    """batch_find raises the read total."""
    with run_with_batch_context():
        assert all(User.batch_find(ids).values())
        assert get_batch_context_capacity().read > 0


def test_11_query(ids: list[str]) -> None:
    """A query by index raises the read total."""
    with run_with_batch_context():
        assert len(User.query_by_index("by_status", "active")) == 3
        assert get_batch_context_capacity().read > 0


def test_12_count_only(ids: list[str]) -> None:
    """A query that only counts raises the read total."""
    with run_with_batch_context():
        assert User.query_by_index("by_status", "active", count_only=True).count == 3
        assert get_batch_context_capacity().read > 0


def test_13_several_operations_add_up() -> None:
    """Two creates cost more than one."""
    with run_with_batch_context():
        User.create(name="Ada")
        once = get_batch_context_capacity().write
        User.create(name="Bob")
        assert get_batch_context_capacity().write == 2 * once


def test_14_read_and_write_are_apart() -> None:
    """create moves the write total, a query the read total only."""
    with run_with_batch_context():
        User.create(name="Ada")
        written = get_batch_context_capacity()
        assert written.write > 0
        assert len(User.query_by_index("by_status", "active")) == 1
        both = get_batch_context_capacity()
        assert both.read > written.read
        assert both.write == written.write


def test_15_several_models() -> None:
    """Creates on two models add to the same total."""
    with run_with_batch_context():
        user = User.create(name="Ada")
        once = get_batch_context_capacity().write
        Post.create(user_id=user, title="Notes")
        assert get_batch_context_capacity().write > once


def test_16_contexts_are_apart() -> None:
    """A second context starts again at zero."""
    with run_with_batch_context():
        User.create(name="Ada")
        assert get_batch_context_capacity().write > 0
    with run_with_batch_context():
        assert get_batch_context_capacity() == (0, 0)


def test_17_zeros_after_the_context() -> None:
    """After the context the function reports zeros."""
    with run_with_batch_context():
        User.create(name="Ada")
    assert get_batch_context_capacity() == (0, 0)


def test_18_missing_items_cost_too() -> None:
    """Asking for a missing item at once is no error, and still counts its read."""
    with run_with_batch_context():
        assert not User.find(MISSING, bypass_cache=True).exists()
        assert get_batch_context_capacity().read > 0


def test_19_missing_items_of_a_batch() -> None:
    """The same for finds that were batched."""
    with run_with_batch_context():
        found = [User.find(MISSING), User.find(ALSO_MISSING)]
        assert not any(user.exists() for user in found)
        assert get_batch_context_capacity().read > 0


def test_20_no_ids_cost_nothing() -> None:
    """batch_find of no ids returns nothing and counts nothing."""
    with run_with_batch_context():
        assert User.batch_find([]) == {}
        assert get_batch_context_capacity() == (0, 0)


def test_21_queries_without_results_cost_too() -> None:
    """A query without matches still counts its read."""
    with run_with_batch_context():
        assert len(User.query_by_index("by_status", "nowhere")) == 0
        assert get_batch_context_capacity().read > 0


def test_22_stored_and_missing_ids(ids: list[str]) -> None:
    """batch_find of one stored and two missing ids finds one and counts the read."""
    with run_with_batch_context():
        found = User.batch_find([ids[0], MISSING, ALSO_MISSING])
        assert [key for key, user in found.items() if user] == [ids[0]]
        assert get_batch_context_capacity().read > 0


def test_23_found_again_costs_nothing(ids: list[str]) -> None:
    """A second find that the context answers adds nothing."""
    with run_with_batch_context():
        assert User.find(ids[0]).exists()
        before = get_batch_context_capacity()
        assert User.find(ids[0]).name == "user 0"
        assert get_batch_context_capacity() == before


def test_24_bypassing_costs_each_time(ids: list[str]) -> None:
    """Every find with bypass_cache reads, and is counted."""
    with run_with_batch_context():
        User.find(ids[0], bypass_cache=True)
        once = get_batch_context_capacity().read
        User.find(ids[0], bypass_cache=True)
        assert get_batch_context_capacity().read == 2 * once > 0


def test_25_metering_a_request() -> None:
    """A typical request (create, create, query, find) ends with both totals above zero."""
    with run_with_batch_context():
        user = User.create(name="Ada")
        post = Post.create(user_id=user, title="Notes")
        assert [one.title for one in user.query_posts()] == ["Notes"]
        assert Post.find(post.post_id, consistent_read=True).title == "Notes"
        read, write = get_batch_context_capacity()
        assert read > 0
        assert write > 0


def test_26_exported() -> None:
    """The function is part of the package's own names."""
    assert dynamo_bao.get_batch_context_capacity is get_batch_context_capacity
    assert "get_batch_context_capacity" in dynamo_bao.__all__
