"""codegen/tag-generator.test.js: a generated mapping table."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.support.model_files import generated_package

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)

PACKAGE = generated_package(
    "parity_codegen_tag_generator",
    """\
models:
  CtgPost:
    modelPrefix: ctp
    fields:
      postId: {type: UlidField, autoAssign: true}
      title: {type: StringField, required: true}
    primaryKey: {partitionKey: postId}
  CtgTag:
    modelPrefix: ctt
    fields:
      tagId: {type: UlidField, autoAssign: true}
      name: {type: StringField, required: true}
    primaryKey: {partitionKey: tagId}
  CtgTaggedPost:
    tableType: mapping
    modelPrefix: ctm
    fields:
      tagId: {type: RelatedField, model: CtgTag}
      postId: {type: RelatedField, model: CtgPost}
      createdAt: {type: CreateDateField}
    primaryKey: {partitionKey: tagId, sortKey: postId}
    indexes:
      postsForTag: primaryKey
      tagsForPost: {partitionKey: postId, sortKey: tagId, indexId: gsi1}
      recentPostsForTag: {partitionKey: tagId, sortKey: createdAt, indexId: gsi2}
""",
)
Post, Tag, TaggedPost = PACKAGE.CtgPost, PACKAGE.CtgTag, PACKAGE.CtgTaggedPost

MODELS = [Post, Tag, TaggedPost]

pytestmark = pytest.mark.usefixtures("manager")


@pytest.fixture
def tags() -> list[Tag]:
    return [Tag.create(name=name) for name in ("red", "tall")]


@pytest.fixture
def posts(tags: list[Tag]) -> list[Post]:
    """Two posts with the first tag; the first post was tagged last, and has both tags."""
    posts = [Post.create(title=title) for title in ("first", "second")]
    for number, post in enumerate(posts):
        TaggedPost.create(tag_id=tags[0], post_id=post, created_at=NOON - timedelta(hours=number))
    TaggedPost.create(tag_id=tags[1], post_id=posts[0], created_at=NOON)
    return posts


def test_01_a_tag(tags: list[Tag]) -> None:
    """A tag is created and found."""
    assert len(tags[0].tag_id) == 26
    assert Tag.find(tags[0].tag_id).name == "red"


def test_02_posts_of_a_tag(tags: list[Tag], posts: list[Post]) -> None:
    """The mapping gives a tag's posts in the order of their ids."""
    found = tags[0].get_posts()
    assert list(found) == posts
    assert [post.title for post in found] == ["first", "second"]


def test_03_recent_posts(tags: list[Tag], posts: list[Post]) -> None:
    """The index by date gives them by the date of the tagging, newest first if so asked."""
    assert list(tags[0].get_recent_posts(None, 10, "DESC")) == posts
    assert list(tags[0].get_recent_posts()) == posts[::-1]
    assert list(tags[0].get_recent_posts(limit=1)) == posts[1:]


def test_04_a_tagged_post(tags: list[Tag], posts: list[Post]) -> None:
    """A row is found by its two ids, and relates to both ends."""
    row = TaggedPost.find((tags[1].tag_id, posts[0].post_id))
    assert row.created_at == NOON
    assert (row.tag, row.post) == (tags[1], posts[0])


def test_05_tags_of_a_post(tags: list[Tag], posts: list[Post]) -> None:
    """The index of the mapping gives a post's rows in the order of the tags."""
    rows = TaggedPost.query_by_index("tags_for_post", posts[0].post_id)
    assert [row.tag_id for row in rows] == [tag.tag_id for tag in tags]
    assert list(posts[0].get_tags()) == tags
