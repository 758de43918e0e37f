"""User code that all checkers must accept, with the types they must see."""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_type

from fastapi import FastAPI

from dynamo_bao import (
    CommitError,
    CounterField,
    CreateDateField,
    HasMany,
    Index,
    IntegerField,
    Model,
    PrimaryKey,
    QueryResult,
    Related,
    RelatedField,
    Repository,
    SearchResult,
    Session,
    StringField,
    StringSetField,
    UlidField,
    UniqueConstraint,
    batched,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.asgi import BatchContextMiddleware
from dynamo_bao.django import first_or_404, get_object_or_404
from dynamo_bao.fastapi import get_or_404
from dynamo_bao.flask import Bao, tenant_from_header


class Named(Model):
    name: str = StringField()


class User(Named, prefix="u"):
    user_id: str = UlidField(auto_assign=True)
    email: str = StringField()
    nick: str | None = StringField(default=None)
    status: str = StringField(default="active")
    age: int | None = None
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("user_id")
    by_status = Index("status", "created_at", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")
    posts = HasMany["Post"]("posts_for_user")


class Slug(StringField):
    def __init__(self, *, shout: bool = False) -> None:
        super().__init__(max_length=80)
        self.shout = shout

    def validate(self, value: str) -> None:
        if " " in value:
            raise ValueError("no spaces")


class Post(Model, prefix="p", iterable=True):
    post_id: str = UlidField(auto_assign=True)
    user_id: str = RelatedField("User")
    slug: str = Slug(shout=True)
    views: int = CounterField()
    stars: int = IntegerField(default=0)
    tags: set[str] = StringSetField()

    primary_key = PrimaryKey("post_id")
    posts_for_user = Index("user_id", "post_id", id="gsi2")
    editor_id: str | None = RelatedField("User", default=None)
    user = Related["User"]("user_id")
    editor = Related["User | None"]("editor_id")


class Tag(Model, prefix="t"):
    tag_id: str = StringField()

    primary_key = PrimaryKey("tag_id")
    posts = HasMany["Post"]("posts_for_tag", through="Tagging")


class Tagging(Model, prefix="pt", table_type="mapping"):
    post_id: str = RelatedField("Post")
    tag_id: str = RelatedField("Tag")

    primary_key = PrimaryKey("post_id", "tag_id")
    posts_for_tag = Index("tag_id", "post_id", id="gsi1")


manager = init_models(models=[User, Post, Tag, Tagging], embedded=True)
ada = User.create(name="Ada", email="ada@example.com")
assert_type(ada, User)
assert_type(ada.name, str)
assert_type(ada.nick, str | None)
assert_type(ada.age, int | None)
assert_type(ada.created_at, datetime)
assert_type(User.find("x"), User)
assert_type(User.find_or_none("x"), User | None)
assert_type(User.batch_find(["x"]), dict[str, User])
assert_type(User.by_status.query("active"), QueryResult[User])
assert_type(User.by_status.query("active").first(), User | None)
assert_type(User.by_status.query("active")[0], User)
assert_type(User.unique_email.find("x"), User | None)
assert_type(User.update("x", age=3), User)
assert_type(User.delete("x"), User)
assert_type(User.delete(ada), User)
assert_type(ada.delete(), User)
assert_type(User.delete(7), User)  # where the key is a number, a moment and so on
assert_type(User.search_all(["x"], "$or", 10, None, batch_size=5), SearchResult[User])
assert_type(User.search_bucket(0, ["x"], limit=3), SearchResult[User])
assert_type(ada.save(), User)
assert_type(ada.refresh(), User)
assert_type(ada.exists(), bool)
assert_type(ada.to_dict(related=["org"]), dict[str, Any])
assert_type(ada.to_json(), str)
FastAPI().add_middleware(BatchContextMiddleware, tenant=tenant_from_header("X-Tenant"), deadline=5)
assert_type(get_or_404(User, "x", detail="none"), User)
assert_type(Bao.get_or_404(User, "x"), User)
assert_type(Bao.first_or_404(User.by_status.query("active"), description="none"), User)
assert_type(get_object_or_404(User, "x"), User)
assert_type(first_or_404(User.by_status.query("active")), User)
post = Post(user_id=ada.user_id, slug="notes")
assert_type(post.user, User)
assert_type(post.user.name, str)
assert_type(post.editor, User | None)
post.user = ada
post.editor = None
post.editor = ada
post.editor = "x"
assert_type(post.related(User, "user_id"), User)
assert_type(Post.posts_for_user.query(ada), QueryResult[Post])
for row in Post.posts_for_user.query(ada):
    assert_type(row, Post)
assert_type(User.posts, HasMany[Post])
assert_type(ada.posts, QueryResult[Post])
assert_type(ada.posts.first(), Post | None)
assert_type(ada.posts[0].user.posts.one().slug, str)
assert_type(ada.posts.where({"stars": {"$gt": 3}}, limit=5, direction="DESC"), QueryResult[Post])
assert_type(ada.posts.where(Post.fields.stars > 3, load_related=["user"]), QueryResult[Post])
assert_type(Tag(tag_id="x").posts, QueryResult[Post])
assert_type(User.batch_find(["x"], load_related=["posts"]), dict[str, User])
assert_type(manager.repository(User), Repository[User])
assert_type(manager.repository(User).save(User(name="x", email="y")), User)

with run_with_batch_context() as session:
    assert_type(session, Session)
    try:
        session.commit()
    except CommitError as error:
        assert_type([user.user_id for user in (*error.done, *error.not_done, *error.unknown)], list[Any])
assert_type(run_with_batch_context(lambda: int("3")), int)


@batched
def work(number: int) -> str:
    return str(number)


@batched(isolated=True)
def apart(number: int) -> str:
    return str(number)


assert_type(work(3), str)
assert_type(apart(3), str)
post.save(condition=(Post.fields.stars > 3) & ~Post.fields.tags.contains("x"))
