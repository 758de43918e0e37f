"""related-data.test.js: loading related instances, and whose they are."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    ConfigurationError,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    UlidField,
    run_with_batch_context,
)


class User(Model, prefix="rdu", name="RdUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


class Post(Model, prefix="rdp", name="RdPost"):
    post_id: str = UlidField(auto_assign=True)
    user_id: str = RelatedField("RdUser")
    editor_id: str | None = RelatedField("RdUser", required=False)

    primary_key = PrimaryKey("post_id")


MODELS = [User, Post]

pytestmark = pytest.mark.usefixtures("manager")


@pytest.fixture
def ada() -> User:
    return User.create(name="Ada")


@pytest.fixture
def bob() -> User:
    return User.create(name="Bob")


@pytest.fixture
def post_id(ada: User, bob: User) -> str:
    """A post that Ada wrote and Bob edits."""
    return Post.create(user_id=ada, editor_id=bob).post_id


def test_01_two_instances(ada: User, bob: User) -> None:
    """Two posts of different users each get their own."""
    ids = [Post.create(user_id=user).post_id for user in (ada, bob)]
    with run_with_batch_context():
        posts = [Post.find(one).load_related_data() for one in ids]
        assert [post.get_related("user_id").name for post in posts] == ["Ada", "Bob"]


def test_02_shared_in_a_context(ada: User) -> None:
    """Posts of one user share its object: a change through one is seen through the other."""
    ids = [Post.create(user_id=ada).post_id for _ in range(2)]
    with run_with_batch_context():
        one, two = (Post.find(post_id).load_related_data(["user_id"]) for post_id in ids)
        assert one.user is two.user
        one.user.name = "changed"
        assert two.user.name == "changed"


def test_03_nested_contexts(post_id: str) -> None:
    """An inner context has an object of its own, and the outer one keeps its changed one."""
    with run_with_batch_context():
        outer = Post.find(post_id).load_related_data(["user_id"])
        outer.user.name = "changed"
        with run_with_batch_context():
            inner = Post.find(post_id).load_related_data(["user_id"])
            assert inner.user is not outer.get_related("user_id")
            assert inner.user.name == "Ada"
        assert outer.user.name == "changed"


def test_04_another_id(post_id: str, bob: User) -> None:
    """Another id for the relation forgets the object loaded for the old one."""
    with run_with_batch_context():
        post = Post.find(post_id).load_related_data(["user_id"])
        assert post.get_related("user_id").name == "Ada"
        post.user_id = bob.user_id
        assert post.get_related("user_id") is None
        assert post.user.name == "Bob"


def test_05_one_of_two(post_id: str) -> None:
    """Only the named relation is loaded."""
    with run_with_batch_context():
        post = Post.find(post_id).load_related_data(["user_id"])
        assert post.get_related("user_id").name == "Ada"
        assert post.get_related("editor_id") is None


def test_06_named_relations(post_id: str) -> None:
    """Of several named relations each is loaded."""
    with run_with_batch_context():
        post = Post.find(post_id).load_related_data(["user_id", "editor_id"])
        assert [post.get_related(name).name for name in ("user_id", "editor_id")] == ["Ada", "Bob"]


def test_07_all(post_id: str) -> None:
    """Without names all relations are loaded."""
    with run_with_batch_context():
        post = Post.find(post_id).load_related_data()
        assert [post.get_related(name).name for name in ("user_id", "editor_id")] == ["Ada", "Bob"]


def test_08_an_unknown_name(post_id: str) -> None:
    """A name that is no relation is refused.

    (right, not as JavaScript, which ignores it)
    """
    with run_with_batch_context():
        post = Post.find(post_id)
        for name in ("no_such_id", "post_id"):
            with pytest.raises(ConfigurationError, match=name):
                post.load_related_data([name])
        assert post.get_related("user_id") is None
