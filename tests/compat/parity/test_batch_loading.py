"""batch-loading.test.js: related items load together."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    Index,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    UlidField,
    run_with_batch_context,
)
from tests.support.wire import Wire

NOT_CARRIED = {3: "loads a few milliseconds apart that a timer merges: there is no event loop here"}


class User(Model, prefix="blu", name="BlUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


class Post(Model, prefix="blp", name="BlPost"):
    post_id: str = UlidField(auto_assign=True)
    user_id: str = RelatedField("BlUser")
    section: str = StringField(default="news")

    primary_key = PrimaryKey("post_id")
    by_section = Index("section", "post_id", id="gsi1")


MODELS = [User, Post]


@pytest.fixture
def users(manager: Manager) -> list[str]:
    """Five stored users."""
    return [User.create(name=f"user {number}").user_id for number in range(5)]


def test_01_related_data_of_pages(users: list[str], wire: Wire) -> None:
    """Going through 150 posts page by page with load_related costs a query and at most a batch a page."""
    for number in range(150):
        Post.create(user_id=users[number % 5])
    wire.clear()
    with run_with_batch_context():
        names, start_key, pages = [], None, 0
        while True:
            page = Post.query_by_index(
                "by_section",
                "news",
                limit=50,
                start_key=start_key,
                load_related=True,
                related_fields=["user_id"],
            )
            names += [post.user.name for post in page]
            pages += 1
            start_key = page.last_evaluated_key
            if start_key is None:
                break
    assert names == [f"user {number % 5}" for number in range(150)]
    assert wire.operations.count("BatchGetItem") == 1
    assert wire.operations.count("Query") == pages <= 4


def test_02_what_is_loaded_is_not_loaded_again(users: list[str], wire: Wire) -> None:
    """Users found earlier in the context are the very objects that the posts relate to."""
    post_ids = [Post.create(user_id=user_id).post_id for user_id in users]
    wire.clear()
    with run_with_batch_context():
        found = [User.find(user_id) for user_id in users]
        assert all(found)
        posts = [Post.find(post_id) for post_id in post_ids]
        for post in posts:
            post.load_related_data(["user_id"])
        assert all(post.get_related("user_id") is user for post, user in zip(posts, found, strict=True))
    assert wire.operations == ["BatchGetItem", "BatchGetItem"]


def test_04_equal_finds(users: list[str], wire: Wire) -> None:
    """Five finds of one user are one object and one key."""
    with run_with_batch_context():
        found = [User.find(users[0]) for _ in range(5)]
        assert [user.name for user in found] == ["user 0"] * 5
        assert len({id(user) for user in found}) == 1
    assert wire.keys() == [f"blu#{users[0]}"]


def test_05_batched_and_direct(users: list[str]) -> None:
    """Related loads of five posts and direct finds between them all succeed."""
    posts = [Post.create(user_id=user_id) for user_id in users]
    with run_with_batch_context():
        for number, (post, user_id) in enumerate(zip(posts, users, strict=True)):
            found = Post.find(post.post_id).load_related_data(["user_id"])
            direct = User.find(user_id, bypass_cache=True)
            assert found.user.name == direct.name == f"user {number}"


def test_06_a_context_after_another(users: list[str], wire: Wire) -> None:
    """After a context ended a new one works, from the table and not from what the first one knew."""
    with run_with_batch_context():
        first = User.find(users[0])
        assert first.exists()
    with run_with_batch_context():
        again = User.find(users[0], bypass_cache=True)
        assert again.name == "user 0"
        assert again is not first
        assert User.find(users[0]).exists()
    assert wire.operations == ["BatchGetItem", "GetItem", "BatchGetItem"]
