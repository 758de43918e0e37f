"""related-capacity.test.js: what finds, queries and loads of related items cost."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    Capacity,
    ConfigurationError,
    Index,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    run_with_batch_context,
)
from tests.support.wire import Wire


class User(Model, prefix="rcu", name="RcUser"):
    user_id: str = StringField()
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


class Post(Model, prefix="rcp", name="RcPost"):
    post_id: str = StringField()
    user_id: str = RelatedField("RcUser")
    editor_id: str | None = RelatedField("RcUser", required=False)
    title: str = StringField(default="untitled")

    primary_key = PrimaryKey("post_id")
    posts_for_user = Index("user_id", "post_id", id="gsi1")


MODELS = [User, Post]

ITEM = 0.5
"""What an eventual read of a small item costs."""

pytestmark = pytest.mark.usefixtures("manager", "posts")


@pytest.fixture
def posts() -> None:
    """Two posts of one user, the first with an editor, and one of a user that does not exist."""
    User.create(user_id="ada", name="Ada")
    User.create(user_id="bob", name="Bob")
    Post.create(post_id="1", user_id="ada", editor_id="bob")
    Post.create(post_id="2", user_id="ada")
    Post.create(post_id="3", user_id="nobody")


def test_01_find(wire: Wire) -> None:
    """A find costs what one item costs, and reads eventually."""
    with run_with_batch_context() as session:
        assert Post.find("1").exists()
        assert session.capacity == Capacity(read=ITEM)
    ((operation, body),) = wire.sent
    assert operation == "BatchGetItem"
    assert not any(entry.get("ConsistentRead") for entry in body["RequestItems"].values())


def test_02_one_related_item() -> None:
    """A related item costs as much again."""
    with run_with_batch_context() as session:
        Post.find("1").load_related_data(["user_id"])
        assert session.capacity == Capacity(read=2 * ITEM)


def test_03_two_related_items() -> None:
    """Two related items cost twice that on top."""
    with run_with_batch_context() as session:
        Post.find("1").load_related_data(["user_id", "editor_id"])
        assert session.capacity == Capacity(read=3 * ITEM)


def test_04_query() -> None:
    """A query of small items costs at most a unit, and its result tells so too."""
    with run_with_batch_context() as session:
        result = Post.query_by_index("posts_for_user", "ada")
        assert len(result) == 2
        assert result.capacity == session.capacity
        assert 0 < session.capacity.read <= 1.0
        assert session.capacity.write == 0


def test_05_query_with_related_data() -> None:
    """Related data of a query costs what its items cost, each loaded once."""
    with run_with_batch_context() as session:
        result = Post.query_by_index("posts_for_user", "ada", load_related=True)
        assert [post.user.name for post in result] == ["Ada", "Ada"]
        assert session.capacity.read == result.capacity.read + 2 * ITEM


def test_06_update() -> None:
    """An update costs writes, and at most one small read."""
    with run_with_batch_context() as session:
        Post.update("1", title="changed")
        assert session.capacity.write >= 0.5
        assert session.capacity.read <= 0.5


def test_07_an_unknown_relation() -> None:
    """An unknown relation name is refused, and costs nothing more than the find.

    (right, not as JavaScript, which ignores it)
    """
    with run_with_batch_context() as session:
        post = Post.find("1")
        with pytest.raises(ConfigurationError, match="no_such_id"):
            post.load_related_data(["no_such_id"])
        assert session.capacity.read <= ITEM


def test_08_a_missing_target() -> None:
    """A related item that is missing is read, and paid for, like any other."""
    with run_with_batch_context() as session:
        post = Post.find("3")
        assert post.exists()
        before = session.capacity
        post.load_related_data(["user_id"])
        assert not post.user.exists()
        assert session.capacity.write == 0
        assert 0 <= session.capacity.read - before.read <= ITEM


def test_09_one_after_the_other() -> None:
    """Two loads one after the other add up; a third of the same costs nothing."""
    with run_with_batch_context() as session:
        post = Post.find("1").load_related_data(["user_id"])
        assert session.capacity.read == 2 * ITEM
        post.load_related_data(["editor_id"])
        assert session.capacity.read == 3 * ITEM
        post.load_related_data()
        assert session.capacity.read == 3 * ITEM
