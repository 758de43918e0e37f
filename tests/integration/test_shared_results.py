"""Threads share the result of one query: each of them gets each match once, in order."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dynamo_bao import Manager, init_models, run_with_batch_context
from tests.support.relations_to_many import MODELS, Post, User
from tests.support.wire import Wire

pytestmark = pytest.mark.quick_engines

THREADS = 6
POSTS = 24
RANKS = list(range(POSTS))


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """A user with many posts, whose ranks are their places. Threads take turns after very few instructions."""
    interval = sys.getswitchinterval()
    with init_models(models=MODELS, table_name=ready_table, **connection) as manager:
        with run_with_batch_context() as session:
            session.add(
                User(user_id="a"), *(Post(post_id=f"p{rank}", user_id="a", rank=rank) for rank in RANKS)
            )
            session.commit()
        sys.setswitchinterval(1e-6)
        yield manager
        sys.setswitchinterval(interval)


def in_threads(look: Callable[[], object]) -> list[object]:
    """What each of several threads sees that look at the same time."""
    start = threading.Barrier(THREADS)

    def work(_: int) -> object:
        start.wait()
        return look()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, range(THREADS)))


LOOKS: dict[str, tuple[Callable[[Any], object], object]] = {
    "a loop": (lambda result: [post.rank for post in result], RANKS),
    "pages": (lambda result: [post.rank for page in result.pages() for post in page], RANKS),
    "all": (lambda result: [post.rank for post in result.all()], RANKS),
    "len": (len, POSTS),
    "count": (lambda result: result.count, POSTS),
    "capacity": (lambda result: (len(result), result.scanned_count), (POSTS, POSTS)),
    "an index": (lambda result: [result[place].rank for place in RANKS], RANKS),
    "a loop with a limit": (lambda result: [post.rank for post in result.where(limit=7)], RANKS[:7]),
}


@pytest.mark.parametrize(("look", "expected"), LOOKS.values(), ids=LOOKS)
def test_results_outside_contexts(manager: Manager, look: Callable[[Any], object], expected: object) -> None:
    """Further pages are fetched once for all threads."""
    for _ in range(3):
        result = Post.posts_for_user.query("a", page_size=1)
        assert in_threads(lambda result=result: look(result)) == [expected] * THREADS
        assert look(result) == expected


@pytest.mark.parametrize("used", [True, False])
def test_results_of_a_closed_context(manager: Manager, used: bool) -> None:
    """After the end of its context, a result goes on outside contexts."""
    for _ in range(3):
        with run_with_batch_context():
            result = Post.posts_for_user.query("a", page_size=1)
            if used:
                assert result[2].rank == 2
        assert in_threads(lambda result=result: [post.rank for post in result]) == [RANKS] * THREADS


def test_each_page_is_requested_once(manager: Manager) -> None:
    """A thread waits for the page that another one has requested."""
    wire = Wire(manager.client)
    result = Post.posts_for_user.query("a", page_size=1)
    in_threads(lambda: len(list(result)))
    list(result)
    assert wire.operations.count("Query") in (POSTS, POSTS + 1)  # an engine may need one to see the end
