"""esm-generator.test.js: what a generated model offers. Its modules' syntax is JavaScript's own."""

from __future__ import annotations

import pytest

from dynamo_bao import run_with_batch_context
from tests.support.model_files import generated_package

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


PACKAGE = generated_package(
    "parity_esm_generator",
    """\
models:
  EsUser:
    modelPrefix: esu
    fields:
      userId: {type: UlidField, autoAssign: true}
      name: {type: StringField, required: true}
      email: {type: StringField, required: true}
    primaryKey: {partitionKey: userId}
    uniqueConstraints:
      uniqueEmail: {field: email, uniqueConstraintId: uc1}
  EsPost:
    modelPrefix: esp
    fields:
      postId: {type: UlidField, autoAssign: true}
      userId: {type: RelatedField, model: EsUser, required: true}
    primaryKey: {partitionKey: postId}
  EsComment:
    modelPrefix: esc
    fields:
      postId: {type: RelatedField, model: EsPost}
      commentId: {type: UlidField, autoAssign: true}
      authorId: {type: RelatedField, model: EsUser, required: true}
    primaryKey: {partitionKey: postId, sortKey: commentId}
""",
)
User, Post, Comment = PACKAGE.EsUser, PACKAGE.EsPost, PACKAGE.EsComment

MODELS = [User, Post, Comment]

pytestmark = pytest.mark.usefixtures("manager")


def test_07_structure() -> None:
    """A model has its prefix in its keys, its fields, its primary key and find_by_email."""
    ada = User.create(name="Ada", email="ada@example.com")
    assert ada.to_dict() == {"user_id": ada.user_id, "name": "Ada", "email": "ada@example.com"}
    assert ada.primary_id == ada.user_id
    assert callable(User.find_by_email)
    lines = PACKAGE.SOURCES["es_user.py"].splitlines()
    for line in (
        'class EsUser(Model, prefix="esu", key_format="dynamo-bao", attribute_style="camel"):',
        "    user_id: str = UlidField(auto_assign=True)",
        '    primary_key = PrimaryKey("user_id")',
        '    unique_email = UniqueConstraint("email", id="uc1")',
        "        def find_by_email(cls, value: str) -> EsUser | None:",
    ):
        assert line in lines


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
        assert found.get_author() is found.author
        assert found.get_post() is found.post
        assert found.get_or_load_related_field("author_id") is found.author
