"""related-queries.test.js: queries that relations give, and related data of their results."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from dynamo_bao import (
    CreateDateField,
    Index,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    run_with_batch_context,
)
from tests.support.wire import Wire

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


class User(Model, prefix="rqu", name="RqUser"):
    user_id: str = StringField()
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


class Post(Model, prefix="rqp", name="RqPost"):
    post_id: str = StringField()
    user_id: str = RelatedField("RqUser")
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("post_id")
    posts_for_user = Index("user_id", "created_at", id="gsi1")


class Tag(Model, prefix="rqt", name="RqTag"):
    tag_id: str = StringField()

    primary_key = PrimaryKey("tag_id")


class TaggedPost(Model, prefix="rqm", name="RqTaggedPost", table_type="mapping"):
    tag_id: str = RelatedField("RqTag")
    post_id: str = RelatedField("RqPost")

    primary_key = PrimaryKey("tag_id", "post_id")
    posts_for_tag = primary_key
    tags_for_post = Index("post_id", "tag_id", id="gsi1")


MODELS = [User, Post, Tag, TaggedPost]


@pytest.fixture
def user(manager: Manager) -> User:
    """A user with three posts; all of them have the first of two tags, the first has both."""
    user = User.create(user_id="ada", name="Ada")
    tags = [Tag.create(tag_id=name) for name in ("red", "tall")]
    for number in range(3):
        post = Post.create(post_id=f"post {number}", user_id=user, created_at=NOON + timedelta(days=number))
        for tag in tags if number == 0 else tags[:1]:
            TaggedPost.create(tag_id=tag, post_id=post)
    return user


def ids(posts: object) -> list[str]:
    return [post.post_id for post in posts]  # type: ignore[attr-defined]


def test_01_posts_of_a_user(user: User) -> None:
    """An index by a relation gives the related model a query."""
    assert ids(user.query_posts()) == ["post 0", "post 1", "post 2"]


def test_02_pages(user: User) -> None:
    """It has pages, here of one and two, descending."""
    first = user.query_posts(limit=1, direction="DESC")
    assert ids(first) == ["post 2"]
    second = user.query_posts(limit=3, direction="DESC", start_key=first.last_evaluated_key)
    assert ids(second) == ["post 1", "post 0"]
    assert second.last_evaluated_key is None


def test_03_posts_of_a_tag(user: User) -> None:
    """A mapping table gives a tag its posts."""
    assert ids(Tag.find("red").get_posts()) == ["post 0", "post 1", "post 2"]
    assert ids(Tag.find("tall").get_posts()) == ["post 0"]


def test_04_tags_of_a_post(user: User) -> None:
    """By its index it gives a post its tags."""
    assert [tag.tag_id for tag in Post.find("post 0").get_tags()] == ["red", "tall"]
    assert [tag.tag_id for tag in Post.find("post 1").get_tags()] == ["red"]


def test_05_pages_of_a_mapping(user: User) -> None:
    """A mapping is gone through by pages as well."""
    tag = Tag.find("red")
    first = tag.get_posts(limit=1)
    assert ids(first) == ["post 0"]
    second = tag.get_posts(limit=2, start_key=first.last_evaluated_key)
    assert ids(second) == ["post 1", "post 2"]


def test_06_all_related_data(user: User, wire: Wire) -> None:
    """load_related loads the user of each post, in one batch."""
    wire.clear()
    with run_with_batch_context():
        posts = user.query_posts(load_related=True).items
        assert [post.get_related("user_id").name for post in posts] == ["Ada"] * 3
    assert wire.operations == ["Query", "BatchGetItem"]


def test_07_named_related_data(user: User) -> None:
    """related_fields names the relations to load."""
    with run_with_batch_context():
        posts = user.query_posts(load_related=True, related_fields=["user_id"]).items
        assert [post.get_related("user_id").name for post in posts] == ["Ada"] * 3
        rows = TaggedPost.query_by_index(
            "posts_for_tag", "red", load_related=True, related_fields=["post_id"]
        )
        assert all(row.get_related("post_id") is not None for row in rows)
        assert all(row.get_related("tag_id") is None for row in rows)


def test_08_related_data_of_pages(user: User) -> None:
    """Each page's related data is loaded."""
    with run_with_batch_context():
        first = user.query_posts(limit=2, load_related=True)
        assert [post.get_related("user_id").name for post in first] == ["Ada", "Ada"]
        second = user.query_posts(limit=2, load_related=True, start_key=first.last_evaluated_key)
        assert [post.get_related("user_id").name for post in second] == ["Ada"]
        assert second[0].get_related("user_id") is first[0].get_related("user_id")
