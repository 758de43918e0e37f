"""A dashboard: a user, the user's 100 posts, and of each post its author (20 of them) and two tags (50 of them).

It is written as plain loops over dynamo_bao's objects, as the best batches that one can write by hand over boto3's
client, and as the same loops over boto3, one request at a time. The network adds some milliseconds to each request.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.items import BAO_TABLE, OWNER, POSTS, post_values
from benchmarks.measure import Figures, Turn, gather, processes, say
from benchmarks.server import ask
from benchmarks.worker import answer_lines

Lines = list[tuple[str, str, str, str]]
"""The line of each post: its title, its author's name, the labels of its tags."""

WAYS = {
    "loops": "dynamo_bao, plain loops",
    "loaded": "dynamo_bao, `load_related=True`",
    "by_hand": "boto3 client, batched by hand: authors, then tags",
    "in_one": "boto3 client, batched by hand: authors and tags in one request",
    "one_by_one": "boto3 client, plain loops",
}
SLOW = "one_by_one"
DELAYS = (2.0, 10.0)
"""The delays of a request, in milliseconds."""
COUNTING = 100.0
"""The delay for counting rounds, in milliseconds. It is long, so that requests of one round always overlap."""


def expected() -> Lines:
    """The expected lines."""
    posts = [post_values(number) for number in range(POSTS)]
    return [
        (
            str(post["title"]),
            f"Name of {post['author_id']}",
            _label(post["first_tag_id"]),
            _label(post["second_tag_id"]),
        )
        for post in posts
    ]


def _label(tag: object) -> str:
    return f"Label {int(str(tag).removeprefix('tag-'))}"


# --- with dynamo_bao ----------------------------------------------------------------------------------


def with_bao(url: str, *, loaded: bool) -> Callable[[], Lines]:
    """The dashboard over models."""
    from benchmarks.dashboard_models import MODELS, Member, Post
    from dynamo_bao import init_models, run_with_batch_context

    init_models(models=MODELS, table_name=BAO_TABLE, endpoint_url=url, region="us-east-1")

    def show() -> Lines:
        with run_with_batch_context():
            owner = Member.find(OWNER)
            lines = []
            post: Any  # whose author and tags are attributes that only run time knows
            for post in Post.posts_of_owner.query(owner, load_related=loaded):
                row = post.title, post.author.name, post.first_tag.label, post.second_tag.label
                lines.append(row)
            assert owner.name == f"Name of {OWNER}"
        return lines

    return show


# --- with boto3 -----------------------------------------------------------------------------------------


def _key(prefix: str, id: str) -> dict[str, Any]:
    return {"_pk": {"S": f"{prefix}#{id}"}, "_sk": {"S": prefix}}


class Boto:
    """The same by hand, with boto3's client and the keys of the table."""

    def __init__(self, url: str) -> None:
        import boto3

        self._client = boto3.client("dynamodb", endpoint_url=url)

    def _get(self, prefix: str, id: str) -> dict[str, Any]:
        item: dict[str, Any] = self._client.get_item(TableName=BAO_TABLE, Key=_key(prefix, id))["Item"]
        return item

    def _posts(self) -> list[dict[str, Any]]:
        posts: list[dict[str, Any]] = self._client.query(
            TableName=BAO_TABLE,
            IndexName="gsi1",
            KeyConditionExpression="#pk = :pk",
            ExpressionAttributeNames={"#pk": "_gsi1_pk"},
            ExpressionAttributeValues={":pk": {"S": f"bp#gsi1#{OWNER}"}},
        )["Items"]
        return posts

    def _batch(self, keys: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        reply = self._client.batch_get_item(RequestItems={BAO_TABLE: {"Keys": keys}})
        return {item["_pk"]["S"]: item for item in reply["Responses"][BAO_TABLE]}

    def by_hand(self, *, in_one: bool) -> Lines:
        self._get("bu", OWNER)
        posts = self._posts()
        authors = [_key("bu", id) for id in {post["author_id"]["S"] for post in posts}]
        tag_ids = {post[tag]["S"] for post in posts for tag in ("first_tag_id", "second_tag_id")}
        tags = [_key("bt", id) for id in tag_ids]
        items = self._batch(authors + tags) if in_one else {**self._batch(authors), **self._batch(tags)}
        return [
            _row(
                post,
                items[f"bu#{post['author_id']['S']}"],
                items[f"bt#{post['first_tag_id']['S']}"],
                items[f"bt#{post['second_tag_id']['S']}"],
            )
            for post in posts
        ]

    def one_by_one(self) -> Lines:
        self._get("bu", OWNER)
        return [
            _row(
                post,
                self._get("bu", post["author_id"]["S"]),
                self._get("bt", post["first_tag_id"]["S"]),
                self._get("bt", post["second_tag_id"]["S"]),
            )
            for post in self._posts()
        ]


def _row(
    post: dict[str, Any], author: dict[str, Any], first_tag: dict[str, Any], second_tag: dict[str, Any]
) -> tuple[str, str, str, str]:
    return post["title"]["S"], author["name"]["S"], first_tag["label"]["S"], second_tag["label"]["S"]


# --- measured -----------------------------------------------------------------------------------------


def way_of(way: str, url: str) -> Callable[[], Lines]:
    """The function that makes the dashboard in one way."""
    if way in ("loops", "loaded"):
        return with_bao(url, loaded=way == "loaded")
    boto = Boto(url)
    return boto.one_by_one if way == SLOW else lambda: boto.by_hand(in_one=way == "in_one")


class Board:
    """The dashboard in one way. It runs in its own process."""

    def __init__(self, way: str, url: str) -> None:
        self._url = url
        self._show = way_of(way, url)

    def verify(self) -> None:
        """Raises an error if the dashboard has wrong lines."""
        if self._show() != expected():
            raise AssertionError("the dashboard does not show what it should")

    def count(self) -> dict[str, int]:
        """The numbers of requests and rounds. Requests that run at the same time are one round."""
        self.verify()
        ask(self._url, "BenchCounts")
        self._show()
        counts: dict[str, int] = json.loads(ask(self._url, "BenchCounts"))
        return counts

    def run(self) -> list[float]:
        """The seconds of CPU and of wall time of one dashboard."""
        wall, cpu = time.perf_counter(), time.process_time()
        self._show()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return [cpu, wall]


def measure_dashboard(urls: dict[float, str], rounds: int, *, quick: bool = False) -> Figures:
    """The requests and rounds of each way, and the seconds of each dashboard by delay and way.

    Args:
        urls: the server for each delay of `DELAYS` and `COUNTING`.
        quick: whether to measure only two ways and one delay, to see that it works.
    """
    say("the dashboard\n")
    batched = ["loops", "by_hand"] if quick else [way for way in WAYS if way != SLOW]
    delays = DELAYS[:1] if quick else DELAYS
    with _boards(batched, urls[COUNTING]) as turns:
        counts = {turn.name: turn.do(do="count") for turn in turns}
    times = {str(delay): _timed(batched, urls[delay], rounds) for delay in delays}
    if not quick:
        with _boards([SLOW], urls[DELAYS[0]]) as turns:
            counts[SLOW] = turns[0].do(do="count")
        for delay in delays:
            times[str(delay)].update(_timed([SLOW], urls[delay], 1))
    return {"counts": counts, "times": times}


def _boards(ways: list[str], url: str) -> AbstractContextManager[list[Turn]]:
    return processes({way: ["benchmarks.dashboard", way, url] for way in ways})


def _timed(ways: list[str], url: str, rounds: int) -> Figures:
    with _boards(ways, url) as turns:
        for turn in turns:
            turn.do(do="verify")
        return gather(turns, rounds, lambda turn: turn.do(do="run"))


if __name__ == "__main__":
    answer_lines(Board)
