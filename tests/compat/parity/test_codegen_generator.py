"""codegen/generator.test.js: generated models, used together."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dynamo_bao import UniqueConstraintError
from tests.support.model_files import generated_package

PACKAGE = generated_package(
    "parity_codegen_generator",
    """\
models:
  CggUser:
    modelPrefix: cgu
    fields:
      userId: {type: UlidField, autoAssign: true, required: true}
      name: {type: StringField, required: true}
      email: {type: StringField, required: true}
      createdAt: {type: CreateDateField}
      modifiedAt: {type: ModifiedDateField}
    primaryKey: {partitionKey: userId}
    uniqueConstraints:
      uniqueEmail: {field: email, uniqueConstraintId: uc1}
  CggPost:
    modelPrefix: cgp
    fields:
      postId: {type: UlidField, autoAssign: true}
      userId: {type: RelatedField, model: CggUser, required: true}
      title: {type: StringField, required: true}
      createdAt: {type: CreateDateField}
    primaryKey: {partitionKey: postId}
    indexes:
      allPosts: {partitionKey: modelPrefix, sortKey: postId, indexId: gsi1}
      postsForUser: {partitionKey: userId, sortKey: createdAt, indexId: gsi2}
  CggComment:
    modelPrefix: cgc
    fields:
      postId: {type: RelatedField, model: CggPost}
      commentId: {type: UlidField, autoAssign: true}
      authorId: {type: RelatedField, model: CggUser, required: true}
      text: {type: StringField, required: true}
    primaryKey: {partitionKey: postId, sortKey: commentId}
    indexes:
      commentsForPost: primaryKey
""",
)
User, Post, Comment = PACKAGE.CggUser, PACKAGE.CggPost, PACKAGE.CggComment

MODELS = [User, Post, Comment]

pytestmark = pytest.mark.usefixtures("manager")


@pytest.fixture
def user() -> User:
    return User.create(name="Ada", email="ada@example.com")


@pytest.fixture
def posts(user: User) -> list[Post]:
    """Two posts of the user, one minute apart."""
    return [
        Post.create(
            user_id=user,
            title=f"post {minute}",
            created_at=datetime(2024, 5, 1, 12, minute, tzinfo=timezone.utc),
        )
        for minute in range(2)
    ]


@pytest.fixture
def comments(user: User, posts: list[Post]) -> list[Comment]:
    """Two comments on the first post."""
    return [Comment.create(post_id=posts[0], author_id=user, text=text) for text in ("first", "second")]


def test_01_a_user(user: User) -> None:
    """create fills the id and both dates."""
    assert len(user.user_id) == 26
    assert isinstance(user.created_at, datetime)
    assert isinstance(user.modified_at, datetime)
    assert User.find(user.user_id).to_dict() == user.to_dict()


def test_02_unique_email(user: User) -> None:
    """A second user with the address is refused."""
    with pytest.raises(UniqueConstraintError):
        User.create(name="Other", email=user.email)


def test_03_posts_of_a_user(user: User, posts: list[Post]) -> None:
    """A user's posts come in the order of their creation."""
    assert list(user.query_posts()) == posts


def test_04_a_post(user: User, posts: list[Post]) -> None:
    """A post is stored with its user and its date."""
    found = Post.find(posts[0].post_id)
    assert (found.title, found.user_id, found.user) == ("post 0", user.user_id, user)
    assert isinstance(found.created_at, datetime)


def test_05_all_posts(posts: list[Post]) -> None:
    """An index by the model's prefix gives all posts."""
    assert list(Post.query_all_posts()) == posts
    assert list(Post.all_posts.query()) == posts


def test_06_comments_of_a_post(posts: list[Post], comments: list[Comment]) -> None:
    """The primary key gives a post's comments in order."""
    assert list(posts[0].query_comments()) == comments
    assert list(posts[1].query_comments()) == []


def test_07_a_comment(user: User, posts: list[Post], comments: list[Comment]) -> None:
    """A composite key is made of the post and an id of its own."""
    assert len(comments[0].comment_id) == 26
    found = Comment.find((posts[0].post_id, comments[0].comment_id))
    assert (found.text, found.author) == ("first", user)


def test_08_comments_by_index(posts: list[Post], comments: list[Comment]) -> None:
    """The primary key's query name works from the model too."""
    assert list(Comment.query_by_index("comments_for_post", posts[0].post_id)) == comments
