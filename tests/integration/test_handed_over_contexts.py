"""A context inside another one is handed over to another thread. What it writes there, the outer contexts ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_bao import Manager, Session, init_models, run_with_batch_context, transaction
from tests.support.other_program import elsewhere
from tests.support.relations_to_many import MODELS, Post, User
from tests.support.wire import Wire

pytestmark = pytest.mark.one_engine


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """Two users with one post each."""
    with init_models(models=MODELS, table_name=ready_table, **connection) as manager:
        for number, user_id in enumerate("ab"):
            User.create(user_id=user_id)
            Post.create(post_id=f"p{number}", user_id=user_id)
        yield manager


def handed_over(session: Session, work: Callable[[], object]) -> None:
    """Works in a session in another thread, and waits for the end."""

    def work_there() -> None:
        with session.activate():
            work()

    elsewhere(work_there)


def shown() -> dict[str, list[str]]:
    """The ids of the posts of each user, as a context shows them."""
    return {user_id: [post.post_id for post in User.find(user_id).posts] for user_id in "ab"}


def moved() -> None:
    post = Post.find("p0")
    post.user_id = "b"
    post.save()


def committed(session: Session) -> None:
    session.add(Post(post_id="new", user_id="a"))
    session.delete(Post.find("p1"))
    session.commit()


def in_transaction(work: Callable[[], object]) -> None:
    with transaction():
        work()


WRITES: dict[str, Callable[[Session], object]] = {
    "create": lambda _: Post.create(post_id="new", user_id="a"),
    "save": lambda _: moved(),
    "update by key": lambda _: Post.update("p0", user_id="b"),
    "delete": lambda _: Post.find("p0").delete(),
    "commit": committed,
    "transaction": lambda _: in_transaction(moved),
    "in a context inside it": lambda _: run_with_batch_context()(moved)(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("left", [True, False], ids=["left", "open"])
def test_a_write_in_another_thread(manager: Manager, write: Callable[[Session], object], left: bool) -> None:
    """Whether the inner context is left or still open, the outer ones ask again."""
    with run_with_batch_context() as outermost:
        users = [User.find("a"), User.find("b")]
        before = [len(user.posts) for user in users]
        with run_with_batch_context():
            assert shown() == {"a": ["p0"], "b": ["p1"]}
            with run_with_batch_context() as inner:
                handed_over(inner, lambda: write(inner))
                if not left:
                    inner_posts = [[post.post_id for post in user.posts] for user in users]
            middle = shown()
        with run_with_batch_context():
            stored = shown()
        assert middle == shown() == stored
        assert before == [1, 1] and outermost.is_open
        if not left:
            assert inner_posts == list(stored.values())


def test_a_write_elsewhere_leaves_the_outer_results(manager: Manager) -> None:
    """Partitions that the inner context did not write to are not asked for again."""
    wire = Wire(manager.client)
    with run_with_batch_context():
        assert shown() == {"a": ["p0"], "b": ["p1"]}
        with run_with_batch_context() as inner:
            handed_over(inner, lambda: Post.create(post_id="new", user_id="b"))
        wire.clear()
        assert shown() == {"a": ["p0"], "b": ["new", "p1"]}
        assert wire.operations == ["Query"]


def test_results_that_were_fetched_in_advance(manager: Manager) -> None:
    """What was fetched for a peer and not used yet is fetched again."""
    User.create(user_id="c")
    with run_with_batch_context():
        users = list(User.by_status.query("on"))
        assert len(users[0].posts) + len(users[1].posts) == 2
        with run_with_batch_context() as inner:
            handed_over(inner, lambda: Post.create(post_id="new", user_id="c"))
        assert [post.post_id for post in users[2].posts] == ["new"]
