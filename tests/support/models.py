"""A few models that many tests share: users, their posts, and comments with composite keys; and users to store."""

from __future__ import annotations

from datetime import datetime

from dynamo_bao import (
    BinaryField,
    CounterField,
    CreateDateField,
    Index,
    IntegerField,
    Model,
    ModifiedDateField,
    PrimaryKey,
    Related,
    RelatedField,
    StringField,
    StringSetField,
    UlidField,
    UniqueConstraint,
    VersionField,
    run_with_batch_context,
)


class Org(Model, prefix="o"):
    org_id: str = StringField()
    name: str = StringField()

    primary_key = PrimaryKey("org_id")


class User(Model, prefix="u"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str | None = StringField(default=None)
    org_id: str | None = RelatedField("Org", default=None)
    status: str = StringField(default="active")
    age: int | None = IntegerField(default=None)
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("user_id")
    by_status = Index("status", "created_at", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")
    org = Related["Org"]("org_id")


class Post(Model, prefix="p", iterable=True):
    post_id: str = UlidField(auto_assign=True)
    user_id: str | None = RelatedField("User", default=None)
    title: str = StringField(default="untitled")
    views: int = CounterField()
    tags: set[str] = StringSetField()
    created_at: datetime = CreateDateField()
    modified_at: datetime = ModifiedDateField()

    primary_key = PrimaryKey("post_id")
    posts_for_user = Index("user_id", "created_at", id="gsi2")
    user = Related["User"]("user_id")


class Comment(Model, prefix="c"):
    post_id: str = RelatedField("Post")
    number: int = IntegerField()
    text: str = StringField()
    image: bytes | None = BinaryField(default=None)

    primary_key = PrimaryKey("post_id", "number")
    comments_for_post = primary_key


class Page(Model, prefix="pg"):
    path: str = StringField()
    text: str | None = StringField(default=None)
    version: str = VersionField()

    primary_key = PrimaryKey("path")


ALL = [Org, User, Post, Comment, Page]

NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
"""An id that a user or a post could have, and none has."""


def store_users() -> list[str]:
    """Stores 100 users of 10 organisations, and returns the users' ids."""
    users = [User(name=f"user {number}", org_id=str(number % 10)) for number in range(100)]
    with run_with_batch_context() as session:
        session.add(*(Org(org_id=str(number), name=f"org {number}") for number in range(10)), *users)
        session.commit()
    return [user.user_id for user in users]
