"""Queries that wait inside a batch context until one of them is looked at."""

from __future__ import annotations

import gc
import random
import threading
from typing import Any

import pytest

from dynamo_bao import (
    BudgetExceededError,
    ConcurrencyError,
    Manager,
    QueryError,
    TenantContext,
    ThrottledError,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.transport.factory import embedded_transport
from dynamo_bao.testing import FaultInjectingTransport, Request, throttled
from tests.support import models
from tests.support.clocks import FakeTime
from tests.support.models import Org, Post, User
from tests.support.patience import PATIENCE
from tests.support.wire import Wire

pytestmark = pytest.mark.one_engine
AUTHORS = 20


@pytest.fixture
def authors(manager: Manager, wire: Wire) -> list[str]:
    """Twenty users with two posts each."""
    ids = []
    for number in range(AUTHORS):
        user = User.create(name=f"user {number}")
        for title in ("first", "second"):
            Post.create(user_id=user.user_id, title=f"{title} of {number}")
        ids.append(user.user_id)
    wire.clear()
    return ids


def test_all_pending_queries_and_lookups_run_in_one_round(authors: list[str], wire: Wire) -> None:
    """Twenty queries and twenty-one lookups are one round trip, however the results are looked at."""
    with run_with_batch_context() as session:
        users = User.batch_find(authors)
        nobody = Org.find("nobody")
        results = [user.query_posts() for user in users.values()]
        assert wire.operations == []
        assert [post.title for post in results[7]] == ["first of 7", "second of 7"]
        assert session.stats.round_trips == 1
        assert sorted(wire.operations) == ["BatchGetItem", *["Query"] * AUTHORS]
        assert [len(result) for result in results] == [2] * AUTHORS
        assert [users[user_id].name for user_id in authors] == [f"user {n}" for n in range(AUTHORS)]
        assert not nobody
        assert session.stats.round_trips == 1


def test_they_are_under_way_at_the_same_time(authors: list[str], manager: Manager) -> None:
    """None of twenty queries and the batch of their users is answered before the last was sent."""
    together = threading.Barrier(AUTHORS + 1, timeout=PATIENCE)

    def wait(**_: object) -> None:
        together.wait()

    manager.client.meta.events.register("before-send.dynamodb", wait)
    with run_with_batch_context(max_concurrency=AUTHORS + 1) as session:
        users = [User.find(user_id) for user_id in authors]
        results = [Post.posts_for_user.query(user) for user in users]
        assert [len(result) for result in results] == [2] * AUTHORS
        assert (session.stats.round_trips, session.stats.waves) == (1, 1)
    assert not together.broken


@pytest.mark.parametrize(("option", "most"), [(None, 4), (4, 4), (2, 2)])
def test_max_concurrency_means_the_same_for_queries_and_batches(
    authors: list[str], manager: Manager, option: int | None, most: int
) -> None:
    """The default is as an explicit 4: of 20 queries and a batch so many are under way at once, in so many waves."""
    lock, under_way, peak = threading.Lock(), set[int](), 0

    def begin(**_: object) -> None:
        nonlocal peak
        with lock:
            under_way.add(threading.get_ident())
            peak = max(peak, len(under_way))

    def end(**_: object) -> None:
        with lock:
            under_way.discard(threading.get_ident())

    events = manager.client.meta.events
    events.register_first("before-send.dynamodb", begin)
    events.register_first("after-call.dynamodb", end)
    with run_with_batch_context(max_concurrency=option) as session:
        users = [User.find(user_id) for user_id in authors]
        results = [Post.posts_for_user.query(user) for user in users]
        assert [len(result) for result in results] == [2] * AUTHORS
        assert session.stats.round_trips == 1
        assert session.stats.waves == -(-(AUTHORS + 1) // most)
    assert 1 <= peak <= most


def test_a_query_nobody_holds_or_looks_at_never_runs(authors: list[str], wire: Wire) -> None:
    """Pending queries are held weakly, and dropped when the context is left."""
    with run_with_batch_context():
        dropped: Any = Post.posts_for_user.query(authors[0])
        del dropped
        gc.collect()
        left = Post.posts_for_user.query(authors[1])
        assert User.find(authors[2]).name == "user 2"
        assert wire.operations == ["BatchGetItem"]
    with run_with_batch_context():
        assert len(Post.posts_for_user.query(authors[3])) == 2
    assert sorted(wire.operations) == ["BatchGetItem", "Query"]
    assert len(left) == 2  # outside, by itself


def test_at_most_query_limit_run_in_one_round(authors: list[str], wire: Wire) -> None:
    """The one looked at and the oldest others."""
    with run_with_batch_context(query_limit=8) as session:
        results = [Post.posts_for_user.query(user_id) for user_id in authors]
        assert len(results[-1]) == 2
        assert len(wire) == 8
        assert [repr(result).count("pending") for result in results] == [0] * 7 + [1] * 12 + [0]
        assert sum(len(result) for result in results) == 2 * AUTHORS
        assert session.stats.round_trips == 3


def test_rows_of_one_round_are_peers_and_share_their_relations(authors: list[str], wire: Wire) -> None:
    """The loop over every author's posts and their users is a round of queries and one of lookups."""
    with run_with_batch_context() as session:
        results = [Post.posts_for_user.query(user_id) for user_id in authors]
        names = {post.user.name for posts in results for post in posts}
        assert len(names) == AUTHORS
        assert session.stats.round_trips == 2
        assert sorted(wire.operations) == ["BatchGetItem", *["Query"] * AUTHORS]
    wire.clear()
    with run_with_batch_context(fetch="raise") as session:
        results = [Post.posts_for_user.query(user_id, load_related=["user_id"]) for user_id in authors]
        assert len({post.user.name for posts in results for post in posts}) == AUTHORS
        assert session.stats.round_trips == 2


def test_an_error_reaches_only_the_one_who_looks_at_that_query(table_name: str) -> None:
    """Each query has its own outcome; asked again, it is sent again."""
    wire = FaultInjectingTransport(embedded_transport().wire, operations={"Query"}, clock=FakeTime().clock)
    with init_models(models=models.ALL, table_name=table_name, transport=wire, deadline=1.0) as manager:
        manager.create_table()
        ids = [User.create(name=name).user_id for name in "abc"]

        def one_is_throttled(request: Request, send: Any, chance: random.Random) -> Any:
            is_hot = str(ids[1]) in str(request.parameters)
            return throttled()(request, send, chance) if is_hot else send(request)

        for user_id in ids:
            Post.create(user_id=user_id, title=f"of {user_id}")
        with run_with_batch_context(max_concurrency=1):
            results = {user_id: Post.posts_for_user.query(user_id) for user_id in ids}
            wire.inject(one_is_throttled)
            assert [post.title for post in results[ids[0]]] == [f"of {ids[0]}"]
            assert [post.title for post in results[ids[2]]] == [f"of {ids[2]}"]
            with pytest.raises(ThrottledError):
                list(results[ids[1]])
            wire.inject([])
            assert [post.title for post in results[ids[1]]] == [f"of {ids[1]}"]


def test_everything_is_checked_at_the_call(authors: list[str], wire: Wire) -> None:
    """A wrong condition, field, relation or tenant is told where the query is written, not where it is looked at."""
    with run_with_batch_context():
        with pytest.raises(QueryError):
            Post.posts_for_user.query(authors[0], filter={"titel": "x"})
        with pytest.raises(QueryError):
            Post.posts_for_user.query(authors[0], {"title": "x"})
        with TenantContext.run_with_tenant("t1"):
            other = Post.posts_for_user.query(authors[0])
        assert list(other) == []
        assert len(Post.posts_for_user.query(authors[0])) == 2


def test_a_query_sees_what_the_session_wrote_meanwhile(authors: list[str]) -> None:
    """The data is as of the first look; what was deleted here is left out, what was changed here is shown."""
    with run_with_batch_context():
        posts = list(Post.posts_for_user.query(authors[0]))
        pending = Post.posts_for_user.query(authors[0])
        posts[0].title = "changed"
        posts[1].delete()
        Post.create(user_id=authors[0], title="third")
        assert [post.title for post in pending] == ["changed", "third"]
        assert len(list(pending)) == 2


def test_another_thread_is_refused(authors: list[str], wire: Wire) -> None:
    """A pending query belongs to its session's owner."""
    with run_with_batch_context():
        pending = Post.posts_for_user.query(authors[0])
        refused: list[BaseException] = []

        def look() -> None:
            try:
                list(pending)
            except ConcurrencyError as error:
                refused.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert len(refused) == 1 and len(wire) == 0
        assert len(pending) == 2


def test_a_budget_leaves_queries_pending(authors: list[str], wire: Wire) -> None:
    """What one round too many was to fetch is fetched once there is room again."""
    with run_with_batch_context() as session:
        results = [Post.posts_for_user.query(user_id) for user_id in authors[:3]]
        with session.budget(round_trips=1):
            assert len(results[0]) == 2
            later = Post.posts_for_user.query(authors[3])
            with pytest.raises(BudgetExceededError, match=r"test_deferred_queries\.py"):
                len(later)
        assert len(wire) == 3
        assert len(later) == 2


def test_counts_and_first_wait_too(authors: list[str], wire: Wire) -> None:
    """count_only queries and mapped ones are deferred like any other."""
    with run_with_batch_context() as session:
        counts = [Post.posts_for_user.query(user_id, count_only=True) for user_id in authors]
        assert wire.operations == []
        assert [result.count for result in counts] == [2] * AUTHORS
        assert session.stats.round_trips == 1
        one = Post.posts_for_user.query(authors[0], limit=1).first()
        assert one is not None and one.title == "first of 0"
