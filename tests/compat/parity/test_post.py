"""post.test.js: posts of users."""

from __future__ import annotations

from datetime import datetime

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    CreateDateField,
    Index,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    UlidField,
    run_with_batch_context,
)
from tests.support.wire import Wire


class User(Model, prefix="pou", name="PoUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


class Post(Model, prefix="pop", name="PoPost"):
    post_id: str = UlidField(auto_assign=True)
    user_id: str = RelatedField("PoUser")
    title: str = StringField()
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("post_id")
    all_posts = Index(MODEL_PREFIX, "post_id", id="gsi1")
    posts_for_user = Index("user_id", "created_at", id="gsi2")


MODELS = [User, Post]


@pytest.fixture
def user(manager: Manager) -> User:
    return User.create(name="Ada")


def test_01_create(user: User) -> None:
    """A post is created with the id of its user."""
    post = Post.create(user_id=user.user_id, title="Notes")
    assert Post.find(post.post_id).user_id == user.user_id
    assert isinstance(post.created_at, datetime)


def test_02_related_user(user: User) -> None:
    """The relation gives the user, as an attribute and by the field's name."""
    post = Post.create(user_id=user.user_id, title="Notes")
    assert post.user == user
    assert post.user.name == "Ada"
    assert post.get_or_load_related_field("user_id").name == "Ada"


def test_03_loaded_once(user: User, wire: Wire) -> None:
    """A second look at the relation sends nothing."""
    post_id = Post.create(user_id=user.user_id, title="Notes").post_id
    wire.clear()
    with run_with_batch_context():
        post = Post.find(post_id)
        first = post.get_or_load_related_field("user_id")
        assert first.name == "Ada"
        assert len(wire) == 2
        assert post.get_or_load_related_field("user_id") is first
        assert post.user is first
        assert post.user.name == "Ada"
    assert len(wire) == 2


def test_04_the_user_is_gone(user: User) -> None:
    """After the user was deleted the relation gives an instance that does not exist."""
    post = Post.create(user_id=user.user_id, title="Notes")
    User.delete(user.user_id)
    with run_with_batch_context():
        gone = Post.find(post.post_id).user
        assert not gone.exists()
        assert gone.user_id == user.user_id


def test_05_an_instance_for_its_id(user: User) -> None:
    """An instance may be given for a relation; its id is stored."""
    post = Post.create(user_id=user, title="Notes")
    assert post.user_id == user.user_id
    assert Post.find(post.post_id).user_id == user.user_id
    other = User.create(name="Bob")
    post.user_id = other  # type: ignore[assignment]
    post.save()
    assert Post.find(post.post_id).user_id == other.user_id
    assert post.user.name == "Bob"


def test_06_all_posts(user: User) -> None:
    """An index with the model's prefix as partition gives all posts."""
    posts = [Post.create(user_id=user, title=f"post {number}") for number in range(3)]
    assert list(Post.query_by_index("all_posts")) == posts
    assert list(Post.all_posts.query()) == posts


def test_07_posts_of_a_user(user: User) -> None:
    """An index by a relation gives a user's posts, from the model and from the user."""
    other = User.create(name="Bob")
    mine = [Post.create(user_id=user, title=f"post {number}") for number in range(2)]
    Post.create(user_id=other, title="his")
    assert set(Post.query_by_index("posts_for_user", user.user_id)) == set(mine)
    assert set(Post.query_by_index("posts_for_user", user)) == set(mine)
    assert set(user.query_posts()) == set(mine)


def test_08_no_posts(user: User) -> None:
    """A user without posts has none."""
    result = user.query_posts()
    assert list(result) == []
    assert not result
