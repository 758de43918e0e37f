"""Replies that DynamoDB cuts short for their size: what is missing from one is in the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_bao import Manager, init_models, run_with_batch_context
from dynamo_bao.testing import FaultInjectingTransport, embedded_transport
from tests.support import models
from tests.support.clocks import FakeTime
from tests.support.models import Comment, Org

MEGABYTE = 1024 * 1024


def name_of(number: int) -> str:
    """A name of 200 KB, each another."""
    return f"{number} " + "x" * 200_000


def text_of(number: int) -> str:
    """A text of 50 KB, each another."""
    return f"{number} " + "x" * 50_000


def put_comments() -> None:
    with run_with_batch_context() as session:
        session.add(
            *[Comment(post_id="p", number=number, text=text_of(number)) for number in range(100)],
            overwrite=True,
        )
        session.commit()


@pytest.mark.promise("R8")
def test_more_than_16_mb_in_sum(manager: Manager) -> None:
    """100 items of 200 KB, which no reply may hold all of: one look delivers them, asking again for the rest."""
    with run_with_batch_context() as session:
        session.add(*[Org(org_id=f"{number}", name=name_of(number)) for number in range(100)], overwrite=True)
        session.commit()
    with run_with_batch_context() as session:
        orgs = [Org.find(f"{number}") for number in range(100)]
        delivered = sum(org.name == name_of(number) for number, org in enumerate(orgs))
        stats = session.stats
        print(f"\nR8: {delivered} of 100 items of 20 MB, {stats.unprocessed} left over by the first reply")
        assert delivered == 100
        assert (stats.keys_fetched, stats.round_trips) == (100, 1)
        assert stats.unprocessed > 0
        assert stats.requests == 2


@pytest.mark.promise("R8")
def test_pages_of_1_mb(manager: Manager) -> None:
    """A query of 5 MB comes in pages of 1 MB at most: every item once, in order."""
    put_comments()
    with run_with_batch_context() as session:
        found = [comment.text for comment in Comment.query_by_index("comments_for_post", "p")]
        print(f"\nR8: {len(found)} of 100 items of one partition, in {session.stats.requests} pages")
        assert found == [text_of(number) for number in range(100)]
        assert session.stats.requests >= 5


# --- what no engine does ------------------------------------------------------------------------------------


class OneMegabyteOfEachPartition:
    """Answers at most 1 MB of a partition, as DynamoDB does with a batch, and leaves its other keys unprocessed."""

    def __init__(self) -> None:
        self.left: list[int] = []

    def __call__(self, request: Any, send: Any, chance: Any) -> dict[str, Any]:
        body: dict[str, Any] = send(request)
        if request.operation != "BatchGetItem":
            return body
        taken: defaultdict[str, int] = defaultdict(int)
        ((table, entry),) = request.parameters["RequestItems"].items()
        kept = []
        for item in body["Responses"][table]:
            taken[item["_pk"]["S"]] += len(item["text"]["S"])
            if taken[item["_pk"]["S"]] <= MEGABYTE:
                kept.append(item)
        answered = [(item["_pk"], item["_sk"]) for item in kept]
        left = [key for key in entry["Keys"] if (key["_pk"], key["_sk"]) not in answered]
        self.left.append(len(left))
        unprocessed = {table: {**entry, "Keys": left}} if left else {}
        return {**body, "Responses": {table: kept}, "UnprocessedKeys": unprocessed}


@pytest.fixture
def transport() -> Iterator[FaultInjectingTransport]:
    transport = FaultInjectingTransport(embedded_transport().wire, clock=FakeTime().clock)
    with init_models(models=models.ALL, transport=transport) as manager:
        manager.create_table()
        yield transport


@pytest.mark.parametrize("consistent", [False, True])
@pytest.mark.promise("R8")
def test_more_than_1_mb_of_a_partition(transport: FaultInjectingTransport, consistent: bool) -> None:
    """100 items of 50 KB of one partition come 20 at a time, and all of them come."""
    put_comments()
    cut = OneMegabyteOfEachPartition()
    transport.inject(cut)
    with run_with_batch_context() as session:
        comments = [Comment.find(("p", number), consistent_read=consistent) for number in range(100)]
        delivered = sum(comment.text == text_of(number) for number, comment in enumerate(comments))
        print(f"\nR8: {delivered} of 100 items of one partition, left over by each reply: {cut.left}")
        assert delivered == 100
        assert cut.left == [80, 60, 40, 20, 0]
        assert session.stats.unprocessed == sum(cut.left)
