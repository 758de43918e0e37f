"""tagged-post.test.js: a mapping table between tags and posts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from dynamo_bao import CreateDateField, Index, Manager, Model, PrimaryKey, RelatedField, StringField

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


class Post(Model, prefix="tpp", name="TpPost"):
    post_id: str = StringField()

    primary_key = PrimaryKey("post_id")


class Tag(Model, prefix="tpt", name="TpTag"):
    tag_id: str = StringField()

    primary_key = PrimaryKey("tag_id")


class TaggedPost(Model, prefix="tpm", name="TpTaggedPost", table_type="mapping"):
    tag_id: str = RelatedField("TpTag")
    post_id: str = RelatedField("TpPost")
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("tag_id", "post_id")
    posts_for_tag = primary_key
    tags_for_post = Index("post_id", "tag_id", id="gsi1")
    recent_posts_for_tag = Index("tag_id", "created_at", id="gsi2")


MODELS = [Post, Tag, TaggedPost]


@pytest.fixture(autouse=True)
def rows(manager: Manager) -> None:
    """Two posts with the tag red, the later one stored first; the first post is tall as well."""
    for name in ("red", "tall", "unused"):
        Tag.create(tag_id=name)
    for name in ("a", "b", "untagged"):
        Post.create(post_id=name)
    TaggedPost.create(tag_id="red", post_id="b", created_at=NOON)
    TaggedPost.create(tag_id="red", post_id="a", created_at=NOON + timedelta(hours=1))
    TaggedPost.create(tag_id="tall", post_id="a", created_at=NOON)


def test_01_posts_of_a_tag() -> None:
    """The primary key gives the rows of a tag."""
    assert [row.post_id for row in TaggedPost.query_by_index("posts_for_tag", "red")] == ["a", "b"]
    assert [row.post_id for row in TaggedPost.query_by_index("posts_for_tag", Tag.find("tall"))] == ["a"]


def test_02_tags_of_a_post() -> None:
    """The index gives the rows of a post."""
    assert [row.tag_id for row in TaggedPost.query_by_index("tags_for_post", "a")] == ["red", "tall"]
    assert [row.tag_id for row in TaggedPost.tags_for_post.query("b")] == ["red"]


def test_03_recent_posts() -> None:
    """Another index gives a tag's rows by date."""
    recent = TaggedPost.query_by_index("recent_posts_for_tag", "red")
    assert [row.post_id for row in recent] == ["b", "a"]
    assert [row.created_at for row in recent] == [NOON, NOON + timedelta(hours=1)]
    later = TaggedPost.recent_posts_for_tag.query("red", {"created_at": {"$gt": NOON}})
    assert [row.post_id for row in later] == ["a"]


def test_04_pages() -> None:
    """Two pages, descending, are all rows of the tag."""
    first = TaggedPost.query_by_index("posts_for_tag", "red", limit=1, direction="DESC")
    assert [row.post_id for row in first] == ["b"]
    second = TaggedPost.query_by_index(
        "posts_for_tag", "red", limit=1, direction="DESC", start_key=first.last_evaluated_key
    )
    assert [row.post_id for row in second] == ["a"]


def test_05_a_tag_without_posts() -> None:
    """A tag without posts has none."""
    result = TaggedPost.query_by_index("posts_for_tag", "unused")
    assert (list(result), result.last_evaluated_key) == ([], None)
    assert list(Tag.find("unused").get_posts()) == []


def test_06_a_post_without_tags() -> None:
    """A post without tags has none."""
    result = TaggedPost.query_by_index("tags_for_post", "untagged")
    assert (list(result), result.last_evaluated_key) == ([], None)
    assert list(Post.find("untagged").get_tags()) == []
