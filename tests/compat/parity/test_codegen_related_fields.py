"""codegen/related-fields.test.js: the attributes that relation fields give."""

from __future__ import annotations

import pytest

from dynamo_bao import run_with_batch_context
from tests.support.model_files import generated_package

PACKAGE = generated_package(
    "parity_codegen_related_fields",
    """\
models:
  CrfUser:
    modelPrefix: cru
    fields:
      userId: {type: UlidField, autoAssign: true}
      name: {type: StringField, required: true}
    primaryKey: {partitionKey: userId}
  CrfPost:
    modelPrefix: crp
    fields:
      postId: {type: UlidField, autoAssign: true}
      userId: {type: RelatedField, model: CrfUser, required: true}
      title: {type: StringField, required: true}
    primaryKey: {partitionKey: postId}
  CrfComment:
    modelPrefix: crc
    fields:
      commentId: {type: UlidField, autoAssign: true}
      postId: {type: RelatedField, model: CrfPost, required: true}
      authorId: {type: RelatedField, model: CrfUser, required: true}
      editor: {type: RelatedField, model: CrfUser}
    primaryKey: {partitionKey: commentId}
""",
)
User, Post, Comment = PACKAGE.CrfUser, PACKAGE.CrfPost, PACKAGE.CrfComment

MODELS = [User, Post, Comment]

pytestmark = pytest.mark.usefixtures("manager")


@pytest.fixture
def user() -> User:
    return User.create(name="Ada")


@pytest.fixture
def post(user: User) -> Post:
    return Post.create(user_id=user, title="Notes")


@pytest.fixture
def comment(post: Post) -> Comment:
    return Comment.create(post_id=post, author_id=User.create(name="Bob"))


def test_01_user(post: Post, user: User) -> None:
    """The relation of a post gives its user."""
    assert post.user == user
    assert post.get_user() == user
    assert Post.find(post.post_id).user.name == "Ada"


def test_02_the_same_object(post: Post) -> None:
    """A second look gives the same object."""
    with run_with_batch_context():
        found = Post.find(post.post_id)
        first = found.user
        assert first.name == "Ada"
        assert found.user is first
        assert found.get_user() is first


def test_03_a_missing_target() -> None:
    """The relation to an id that nobody has gives an instance that does not exist."""
    post = Post.create(user_id="01ARZ3NDEKTSV4RRFFQ69G5FAV", title="Notes")
    assert post.user is not None
    assert not post.user.exists()


def test_04_post(comment: Comment, post: Post) -> None:
    """A comment gives its post."""
    assert comment.post == post
    assert comment.post.title == "Notes"


def test_05_author(comment: Comment) -> None:
    """The attribute is named like the field, without its id, and not like the model."""
    assert isinstance(comment.author, User)
    assert comment.author.name == "Bob"
    assert not hasattr(comment, "user")


def test_06_two_relations(comment: Comment) -> None:
    """Two relations of one instance do not mix."""
    with run_with_batch_context():
        found = Comment.find(comment.comment_id)
        post, author = found.post, found.author
        assert (post.title, author.name, post.user.name) == ("Notes", "Bob", "Ada")
        assert (found.post, found.author) == (post, author)


def test_07_another_target(comment: Comment, user: User) -> None:
    """After another author was set and saved the relation gives that one."""
    with run_with_batch_context():
        found = Comment.find(comment.comment_id)
        assert found.author.name == "Bob"
        found.author_id = user.user_id
        found.save()
        assert found.author.name == "Ada"
    assert Comment.find(comment.comment_id).author == user


def test_a_field_without_id_in_its_name(comment: Comment, user: User) -> None:
    """The field is the id, so that the method alone gives the related instance."""
    assert comment.editor is None and comment.get_editor() is None
    comment.editor = user
    comment.save()
    found = Comment.find(comment.comment_id)
    assert (found.editor, found.get_editor()) == (user.user_id, user)
    assert found.get_editor().name == "Ada"
