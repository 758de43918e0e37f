"""The gain of waiting together, and the cost of its figures.

Run with ``python -m benchmarks.rounds``, after ``make engines``: it measures on a real engine, through a proxy that
delays every request as a network of 20 ms would.
"""

from __future__ import annotations

import logging
import os
import statistics
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from benchmarks.objects import medians
from benchmarks.proxy import delayed
from dynamo_bao import (
    Index,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.session.rounds import start_round
from dynamo_bao.session.session import Session
from tests.support.engines import Engines

ROUND_TRIP = 0.020
USERS = 20


class User(Model, prefix="u", name="BenchUser"):
    user_id: str = StringField()
    name: str = StringField(default="Ada")

    primary_key = PrimaryKey("user_id")


class Post(Model, prefix="p", name="BenchPost"):
    post_id: str = StringField()
    user_id: str = RelatedField("BenchUser")

    primary_key = PrimaryKey("post_id")
    posts_for_user = Index("user_id", "post_id", id="gsi1")


def median(work: Callable[[], object], times: int = 15) -> float:
    """The median seconds that some work takes."""
    seconds = []
    for _ in range(times):
        start_time = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start_time)
    return statistics.median(seconds)


def posts_of_all(at_once: int | None = None) -> int:
    """The number of posts of all users, by a query for each. At most `at_once` queries run at the same time."""
    with run_with_batch_context(max_concurrency=at_once):
        users = [User.find(f"{number}") for number in range(USERS)]
        return sum(len(posts) for posts in [Post.posts_for_user.query(user) for user in users])


def one_after_the_other() -> int:
    """The same, but the result of each query is used before the next query is made."""
    with run_with_batch_context():
        users = [User.find(f"{number}") for number in range(USERS)]
        return sum(len(Post.posts_for_user.query(user)) for user in users)


def queries() -> None:
    """Seconds of twenty queries over the delayed network."""
    single_request = median(lambda: User.find("0", bypass_cache=True).exists())
    print(f"one request                              {single_request * 1e3:7.1f} ms")
    for title, work in (
        ("one query after the other", one_after_the_other),
        ("twenty pending, and their users (default)", posts_of_all),
        ("twenty pending, 24 at a time", lambda: posts_of_all(24)),
    ):
        seconds = median(work, 7)
        print(f"{title:41}{seconds * 1e3:7.1f} ms  {seconds / single_request:5.1f} requests' time")


def bookkeeping(database: Database) -> None:
    """The cost of rounds, causes and figures, compared with that of their request."""
    with run_with_batch_context() as session:
        seconds = medians({"round": lambda: _account(session, database)}, 200)["round"]
        request = median(lambda: User.find("0", bypass_cache=True).exists(), 200)
    print(
        f"account of a round  {seconds * 1e6:5.1f} µs, {seconds / request:.2%} of a request of {request * 1e3:.2f} ms"
    )


def _account(session: Session, database: Database) -> None:
    with start_round(session._rounds, database, "lookups") as current_round:
        current_round.add(database, _REPLIES[0], ["User '0'"])


_REPLIES = []


def main() -> None:
    """Prints the figures."""
    logging.getLogger("dynamo_bao.session").setLevel(
        logging.ERROR
    )  # what is compared here is warned of, rightly
    os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "dummy"))
    engines = Engines()
    try:
        url = engines.get("dynoxide").endpoint_url
        settings = {"models": [User, Post], "region": "us-east-1", "table_name": "bench"}
        with init_models(endpoint_url=url, **settings) as manager:
            manager.create_table()
            for number in range(USERS):
                User.create(user_id=f"{number}")
                for place in range(3):
                    Post.create(post_id=f"{number}-{place}", user_id=f"{number}")
            database = manager.database
            request = Request("DescribeTable", {"TableName": "bench"})
            _REPLIES.append(database.transport.send(request, deadline=database.deadline_from_now(None)))
            bookkeeping(database)
        with (
            delayed(urlsplit(str(url)).port or 0, ROUND_TRIP) as far,
            init_models(endpoint_url=far, **settings),
        ):
            queries()
    finally:
        engines.stop()


if __name__ == "__main__":
    main()
