"""A write of an object that another program has changed meanwhile drops every list that showed the item otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_bao import (
    CommitError,
    ItemNotFoundError,
    Manager,
    Session,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.other_program import elsewhere
from tests.support.relations_to_many import MODELS, Post, Tag, Tagging, User
from tests.support.wire import Wire

pytestmark = pytest.mark.quick_engines


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """Users ``a`` to ``c``; post ``p`` of ``a`` and post ``q`` of ``b``."""
    with init_models(models=MODELS, table_name=ready_table, **connection) as manager:
        for user_id in "abc":
            User.create(user_id=user_id)
        Post.create(post_id="p", user_id="a", rank=1)
        Post.create(post_id="q", user_id="b", rank=2)
        yield manager


def moved_elsewhere(user_id: str) -> None:
    elsewhere(lambda: Post.update("p", user_id=user_id))


def shown() -> dict[str, list[str]]:
    """The ids of the posts of each user, as the context shows them."""
    return {user_id: [post.post_id for post in User.find(user_id).posts] for user_id in "abc"}


def stored() -> dict[str, list[str]]:
    """The same, as a new context shows them."""
    with run_with_batch_context():
        return shown()


def saved(post: Any) -> None:
    post.text = "new"
    post.save()


def moved(post: Any) -> None:
    post.user_id = "c"
    post.save()


def committed(session: Session, post: Any) -> None:
    post.text = "new"
    session.add(post)
    session.commit()


def moved_by_commit(session: Session, post: Any) -> None:
    post.user_id = "c"
    session.add(post)
    session.commit()


def deleted_by_commit(session: Session, post: Any) -> None:
    session.delete(post)
    session.commit()


def deleted_in_transaction(post: Any) -> None:
    with transaction():
        post.delete()


WRITES: dict[str, Callable[[Session, Any], object]] = {
    "save": lambda _, post: saved(post),
    "save that moves it": lambda _, post: moved(post),
    "commit": committed,
    "commit that moves it": moved_by_commit,
    "delete": lambda _, post: post.delete(),
    "commit of a delete": deleted_by_commit,
    "delete in a transaction": lambda _, post: deleted_in_transaction(post),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_lists_of_partitions_that_the_object_does_not_know(
    manager: Manager, write: Callable[[Session, Any], object]
) -> None:
    """Another program has moved the post to ``b``, whose list shows it. The object still names ``a``."""
    with run_with_batch_context() as session:
        post = Post.find("p")
        assert post.user_id == "a"
        moved_elsewhere("b")
        assert shown() == {"a": [], "b": ["p", "q"], "c": []}
        write(session, post)
        assert shown() == stored()


@pytest.mark.parametrize("write", ["save", "commit"])
def test_lists_that_the_item_has_left_and_joined_since_then(manager: Manager, write: str) -> None:
    """The reply shows the post in ``c``; the cached lists of ``b``, which it has left, and of ``c`` are dropped."""
    with run_with_batch_context() as session:
        post = Post.find("p")
        assert post.user_id == "a"
        moved_elsewhere("b")
        assert shown() == {"a": [], "b": ["p", "q"], "c": []}
        moved_elsewhere("c")
        WRITES[write](session, post)
        assert post.user_id == "c"
        assert shown() == stored() == {"a": [], "b": ["q"], "c": ["p"]}


@pytest.mark.parametrize("write", ["save", "commit", "delete", "delete in a transaction"])
def test_lists_of_an_item_that_is_gone(manager: Manager, write: str) -> None:
    """The write fails, which shows that another program has deleted the post. No list shows it any longer."""
    Tagging.create(post_id="p", tag_id="t")
    with run_with_batch_context() as session:
        post, tag = Post.find("p"), Tag.find("t")
        assert post.user_id == "a"
        moved_elsewhere("b")
        assert shown() == {"a": [], "b": ["p", "q"], "c": []}
        assert list(tag.posts) == [post]
        elsewhere(lambda: Post.delete("p"))
        with pytest.raises((ItemNotFoundError, CommitError)):
            WRITES[write](session, post)
        assert shown() == {"a": [], "b": ["q"], "c": []}
        assert list(tag.posts) == []
        session.rollback()


def test_lists_of_contexts_around_the_write(manager: Manager) -> None:
    """Another program has moved the post to ``c`` before an inner context saves it. The outer context asks again."""
    with run_with_batch_context():
        assert shown() == {"a": ["p"], "b": ["q"], "c": []}
        with run_with_batch_context():
            post = Post.find("p")
            assert post.user_id == "a"
            moved_elsewhere("c")
            saved(post)
        assert shown() == stored() == {"a": [], "b": ["q"], "c": ["p"]}


def test_a_number_that_counted_the_item(manager: Manager) -> None:
    """A count names no items, so a write of an object that was somewhere else drops it."""
    with run_with_batch_context():
        post = Post.find("p")
        assert post.user_id == "a"
        moved_elsewhere("b")
        assert Post.posts_for_user.query("b", count_only=True).count == 2
        post.delete()
        assert Post.posts_for_user.query("b", count_only=True).count == 1


def test_rows_that_are_no_longer_cached(manager: Manager) -> None:
    """A list whose rows had to make room for others is dropped too, while the program holds it."""
    with run_with_batch_context(max_cached=2):
        post = Post.find("p")
        assert post.user_id == "a"
        moved_elsewhere("b")
        held = Post.posts_for_user.query("b")
        assert len(held) == 2
        assert len(User.by_status.query("on")) == 3
        post.delete()
        assert [post.post_id for post in Post.posts_for_user.query("b")] == ["q"]
        assert Post.posts_for_user.query("b") is not held


def test_lists_that_never_showed_the_item_stay(manager: Manager) -> None:
    """A write drops what it can have changed, and nothing else."""
    wire = Wire(manager.client)
    with run_with_batch_context():
        post = Post.find("p")
        assert post.user_id == "a"
        assert shown() == {"a": ["p"], "b": ["q"], "c": []}
        moved(post)
        wire.clear()
        assert [post.post_id for post in User.find("b").posts] == ["q"]
        assert wire.operations == []
        post.delete()
        assert [post.post_id for post in User.find("b").posts] == ["q"]
        assert wire.operations == ["DeleteItem"]
