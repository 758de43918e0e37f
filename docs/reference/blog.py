"""The models of a blog, as drawn on the page about the command line."""

from __future__ import annotations

from datetime import datetime

from dynamo_bao import (
    CounterField,
    CreateDateField,
    Index,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    TtlField,
    UlidField,
    UniqueConstraint,
    VersionField,
)


class Team(Model, prefix="te"):
    team_id: str = StringField()
    name: str = StringField()

    primary_key = PrimaryKey("team_id")


class Author(Model, prefix="au", iterable=True):
    author_id: str = UlidField(auto_assign=True)
    name: str = StringField(doc="As it stands above a post.")
    email: str = StringField()
    team_id: str | None = RelatedField("Team", default=None)
    invited_by_id: str | None = RelatedField("Author", default=None)
    status: str = StringField(default="active")
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("author_id")
    by_status = Index("status", "created_at", id="gsi1")
    authors_for_team = Index("team_id", "name", id="gsi2")
    unique_email = UniqueConstraint("email", id="uc1")


class Post(Model, prefix="po", iterable=True, searchable=["title", "text"]):
    post_id: str = UlidField(auto_assign=True)
    author_id: str = RelatedField("Author")
    team_id: str = RelatedField("Team")
    title: str = StringField()
    text: str = StringField()
    views: int = CounterField()
    published_at: datetime = CreateDateField()

    primary_key = PrimaryKey("post_id")
    posts_for_author = Index("author_id", "published_at", id="gsi1")
    posts_for_team = Index("team_id", "published_at", id="gsi2")


class Comment(Model, prefix="co"):
    post_id: str = RelatedField("Post")
    comment_id: str = UlidField(auto_assign=True)
    author_id: str = RelatedField("Author")
    text: str = StringField()
    version: str = VersionField()
    ttl: datetime | None = TtlField(default=None)

    primary_key = PrimaryKey("post_id", "comment_id")
    comments_for_post = primary_key
    comments_for_author = Index("author_id", "comment_id", id="gsi1")


class Tag(Model, prefix="ta"):
    tag_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("tag_id")
    unique_name = UniqueConstraint("name", id="uc1")


class TaggedPost(Model, prefix="tp", table_type="mapping"):
    tag_id: str = RelatedField("Tag")
    post_id: str = RelatedField("Post")
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("tag_id", "post_id")
    posts_for_tag = primary_key
    tags_for_post = Index("post_id", "tag_id", id="gsi1")
