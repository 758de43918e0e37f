"""esm-generator.test.js: what a generated model offers. Its modules' syntax is JavaScript's own."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    UlidField,
    UniqueConstraint,
    run_with_batch_context,
)

NOT_CARRIED = {
    1: "how JavaScript modules import and export",
    2: "how JavaScript modules import and export",
    3: "how JavaScript modules import and export",
    4: "how JavaScript modules import and export",
    5: "Python has one kind of module",
    6: "Python has one kind of module",
    10: "how JavaScript modules import and export",
    11: "how JavaScript modules import and export",
    12: "how JavaScript modules import and export",
    13: "how JavaScript modules import and export",
    14: "how JavaScript modules import and export",
}


class User(Model, prefix="esu", name="EsUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str = StringField()

    primary_key = PrimaryKey("user_id")
    unique_email = UniqueConstraint("email", id="uc1")


class Post(Model, prefix="esp", name="EsPost"):
    post_id: str = UlidField(auto_assign=True)
    user_id: str = RelatedField("EsUser")

    primary_key = PrimaryKey("post_id")


class Comment(Model, prefix="esc", name="EsComment"):
    post_id: str = RelatedField("EsPost")
    comment_id: str = UlidField(auto_assign=True)
    author_id: str = RelatedField("EsUser")

    primary_key = PrimaryKey("post_id", "comment_id")


MODELS = [User, Post, Comment]

pytestmark = pytest.mark.usefixtures("manager")


def test_07_structure() -> None:
    """A model has its prefix in its keys, its fields, its primary key and find_by_email."""
    ada = User.create(name="Ada", email="ada@example.com")
    assert ada.to_dict() == {"user_id": ada.user_id, "name": "Ada", "email": "ada@example.com"}
    assert ada.primary_id == ada.user_id
    assert callable(User.find_by_email)


def test_08_unique_constraints() -> None:
    """find_by_email is find_by_unique_constraint by another name."""
    ada = User.create(name="Ada", email="ada@example.com")
    assert User.find_by_email("ada@example.com") == ada
    assert User.find_by_unique_constraint("unique_email", "ada@example.com") == ada
    assert User.find_by_email("bob@example.com") is None


def test_09_related() -> None:
    """A comment gives its post and its author, and keeps what it gave."""
    ada = User.create(name="Ada", email="ada@example.com")
    comment = Comment.create(post_id=Post.create(user_id=ada).post_id, author_id=ada)
    with run_with_batch_context():
        found = Comment.find(comment.primary_id)
        assert found.author.name == "Ada"
        assert found.post.user is found.author
        assert found.get_or_load_related_field("author_id") is found.author
