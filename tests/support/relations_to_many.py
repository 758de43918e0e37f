"""Models with relations to many: organisations, their users, the users' posts, and the comments and tags of posts."""

from __future__ import annotations

from dynamo_bao import HasMany, Index, IntegerField, Model, PrimaryKey, Related, RelatedField, StringField


class Org(Model, prefix="ro"):
    org_id: str = StringField()

    primary_key = PrimaryKey("org_id")
    users = HasMany["User"]("users_for_org")


class User(Model, prefix="ru"):
    user_id: str = StringField()
    org_id: str | None = RelatedField("Org", default=None)
    status: str = StringField(default="on")

    primary_key = PrimaryKey("user_id")
    users_for_org = Index("org_id", "user_id", id="gsi1")
    by_status = Index("status", "user_id", id="gsi2")
    org = Related["Org"]("org_id")
    posts = HasMany["Post"]("posts_for_user")


class Post(Model, prefix="rp"):
    post_id: str = StringField()
    user_id: str | None = RelatedField("User", default=None)
    rank: int = IntegerField(default=0)
    text: str = StringField(default="-")

    primary_key = PrimaryKey("post_id")
    posts_for_user = Index("user_id", "rank", id="gsi1")
    user = Related["User"]("user_id")
    comments = HasMany["Comment"]("comments_for_post")
    tags = HasMany["Tag"]("tags_for_post", through="Tagging")


class Comment(Model, prefix="rc"):
    post_id: str = RelatedField("Post")
    number: int = IntegerField()
    author_id: str = RelatedField("User")

    primary_key = PrimaryKey("post_id", "number")
    comments_for_post = primary_key
    author = Related["User"]("author_id")


class Tag(Model, prefix="rt"):
    tag_id: str = StringField()

    primary_key = PrimaryKey("tag_id")
    posts = HasMany["Post"]("posts_for_tag", through="Tagging")


class Tagging(Model, prefix="rx", table_type="mapping"):
    post_id: str = RelatedField("Post")
    tag_id: str = RelatedField("Tag")

    primary_key = PrimaryKey("post_id", "tag_id")
    tags_for_post = primary_key
    posts_for_tag = Index("tag_id", "post_id", id="gsi1")


MODELS = [Org, User, Post, Comment, Tag, Tagging]
