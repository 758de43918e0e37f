"""The dashboard's models."""

from __future__ import annotations

from typing import Any

from dynamo_bao import Index, Model, PrimaryKey, RelatedField


class Member(Model, prefix="bu", name="BenchMember"):
    user_id: str
    name: str
    email: str

    primary_key = PrimaryKey("user_id")


class Tag(Model, prefix="bt", name="BenchTag"):
    tag_id: str
    label: str

    primary_key = PrimaryKey("tag_id")


class Post(Model, prefix="bp", name="BenchPostOnBoard"):
    post_id: str
    owner_id: str = RelatedField("BenchMember")
    author_id: str = RelatedField("BenchMember")
    first_tag_id: str = RelatedField("BenchTag")
    second_tag_id: str = RelatedField("BenchTag")
    title: str
    created: int

    primary_key = PrimaryKey("post_id")
    posts_of_owner = Index("owner_id", "created", id="gsi1")


MODELS: list[Any] = [Member, Tag, Post]
