"""comment.test.js: a model with a composite key and two relations."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dynamo_bao import (
    CreateDateField,
    IntegerField,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    UlidField,
    run_with_batch_context,
)
from tests.support.wire import Wire


class User(Model, prefix="cmu", name="CmUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


class Post(Model, prefix="cmp", name="CmPost"):
    post_id: str = UlidField(auto_assign=True)
    title: str = StringField()

    primary_key = PrimaryKey("post_id")


class Comment(Model, prefix="cmc", name="CmComment"):
    post_id: str = RelatedField("CmPost")
    comment_id: str = UlidField(auto_assign=True)
    author_id: str = RelatedField("CmUser")
    text: str = StringField()
    num_likes: int = IntegerField(default=0)
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("post_id", "comment_id")
    comments_for_post = primary_key


MODELS = [User, Post, Comment]


@pytest.fixture
def post(manager: Manager) -> Post:
    return Post.create(title="Notes")


@pytest.fixture
def user(manager: Manager) -> User:
    return User.create(name="Ada")


@pytest.fixture
def comment(post: Post, user: User) -> Comment:
    return Comment.create(post_id=post, author_id=user, text="nice")


def test_01_create(comment: Comment, post: Post) -> None:
    """create fills the id, the date and the default."""
    assert len(comment.comment_id) == 26
    assert comment.post_id == post.post_id
    assert comment.num_likes == 0
    assert comment.text == "nice"
    assert abs((datetime.now(timezone.utc) - comment.created_at).total_seconds()) < 60


def test_02_find(comment: Comment) -> None:
    """A composite key is found by the primary id."""
    found = Comment.find(comment.primary_id)
    assert found.to_dict() == comment.to_dict()


def test_03_update(comment: Comment) -> None:
    """An update is seen in a new context."""
    with run_with_batch_context():
        Comment.update(comment.primary_id, text="very nice", num_likes=5)
    with run_with_batch_context():
        found = Comment.find(comment.primary_id)
        assert (found.text, found.num_likes) == ("very nice", 5)


def test_04_delete(comment: Comment) -> None:
    """delete takes a composite primary id."""
    Comment.delete(comment.primary_id)
    assert not Comment.find(comment.primary_id).exists()


def related(comment: Comment, wire: Wire, names: list[str] | None) -> Comment:
    """A fresh instance of the comment with relations loaded; from here on nothing may be sent."""
    found = Comment.find(comment.primary_id)
    found.load_related_data(names)
    wire.clear()
    return found


def test_05_author(comment: Comment, user: User, wire: Wire) -> None:
    """load_related_data loads the author."""
    with run_with_batch_context():
        found = related(comment, wire, ["author_id"])
        assert found.get_related("author_id") is found.author
        assert found.get_related("post_id") is None
        assert found.author == user
        assert found.author.name == "Ada"
    assert len(wire) == 0


def test_06_post(comment: Comment, post: Post, wire: Wire) -> None:
    """It loads the post as well."""
    with run_with_batch_context():
        found = related(comment, wire, ["post_id"])
        assert found.get_related("post_id") is found.post
        assert found.post == post
        assert found.post.title == "Notes"
    assert len(wire) == 0


def test_07_all_relations(comment: Comment, wire: Wire) -> None:
    """Without names it loads every relation."""
    with run_with_batch_context():
        found = related(comment, wire, None)
        assert (found.author.name, found.post.title) == ("Ada", "Notes")
    assert len(wire) == 0


def test_08_changes(comment: Comment) -> None:
    """Nothing has changed after create; then exactly what was assigned."""
    assert not comment.has_changes()
    assert comment.changes() == {}
    comment.text = "changed"
    comment.num_likes = 3
    assert comment.has_changes()
    assert comment.changes() == {"text": "changed", "num_likes": 3}


def test_09_save(comment: Comment) -> None:
    """What was saved is what a find of the same context and of a new one shows."""
    with run_with_batch_context():
        found = Comment.find(comment.primary_id)
        found.text = "changed"
        found.save()
        assert Comment.find(comment.primary_id).text == "changed"
    assert Comment.find(comment.primary_id).text == "changed"


def test_10_comments_of_a_post(comment: Comment, post: Post, user: User) -> None:
    """The primary key under its query name gives both comments of a post, and no others."""
    other = Comment.create(post_id=post, author_id=user, text="second")
    Comment.create(post_id=Post.create(title="Other"), author_id=user, text="elsewhere")
    assert list(Comment.query_by_index("comments_for_post", post.post_id)) == [comment, other]
    assert [one.text for one in post.query_comments()] == ["nice", "second"]
    assert [one.text for one in Comment.comments_for_post.query(post)] == ["nice", "second"]


def test_11_pages(comment: Comment, post: Post, user: User) -> None:
    """A page of one and a page of two go through both comments; the second has no key left."""
    other = Comment.create(post_id=post, author_id=user, text="second")
    first = post.query_comments(limit=1)
    assert list(first) == [comment]
    assert first.last_evaluated_key is not None
    second = post.query_comments(limit=2, start_key=first.last_evaluated_key)
    assert list(second) == [other]
    assert second.last_evaluated_key is None


def test_12_no_comments(post: Post) -> None:
    """A post without comments gives no items and no key."""
    result = post.query_comments()
    assert list(result) == []
    assert result.count == 0
    assert result.last_evaluated_key is None
