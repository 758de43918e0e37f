"""DynamoDB under load: full replies, keys left unprocessed, throttling; and what stats and errors say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from dynamo_bao import (
    BatchIncompleteError,
    CommitError,
    Manager,
    ThrottledError,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.session.session import Session
from dynamo_bao.testing import (
    FaultInjectingTransport,
    embedded_transport,
    throttled,
    unprocessed,
)
from tests.support import models
from tests.support.clocks import FakeTime
from tests.support.models import Org, Page, Post


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def transport(time: FakeTime) -> FaultInjectingTransport:
    return FaultInjectingTransport(embedded_transport().wire, seed=11, clock=time.clock)


@pytest.fixture
def manager(transport: FaultInjectingTransport) -> Iterator[Manager]:
    with init_models(models=models.ALL, transport=transport) as manager:
        manager.create_table()
        yield manager


# --- full replies --------------------------------------------------------------------------------------------


def at_most(count: int) -> Any:
    """Processes so many keys or writes of each batch, as DynamoDB does where its reply or a partition is full."""

    def fault(request: Any, send: Any, chance: Any) -> dict[str, Any]:
        left: dict[str, Any] = {}
        sent: dict[str, Any] = {}
        for table, entry in request.parameters["RequestItems"].items():
            members = entry["Keys"] if isinstance(entry, dict) else entry
            for part, some in ((sent, members[:count]), (left, members[count:])):
                if some:
                    part[table] = {**entry, "Keys": some} if isinstance(entry, dict) else some
        name = "UnprocessedKeys" if request.operation == "BatchGetItem" else "UnprocessedItems"
        return {
            **send(type(request)(request.operation, {**request.parameters, "RequestItems": sent})),
            name: left,
        }

    return fault


def read_100(session: Session) -> None:
    assert not any(org.exists() for org in [Org.find(str(number)) for number in range(100)])


def read_100_by_batch_find(session: Session) -> None:
    assert not any(Org.batch_find([str(number) for number in range(100)]).values())


def commit_25(session: Session) -> None:
    session.add(*(Post(title=f"{number}") for number in range(25)))
    session.commit()


def commit_25_of_two_models(session: Session) -> None:
    session.add(*(Post(title=f"{number}") for number in range(24)), Page(path="/", text="x"))
    session.commit()


def overwrite_25(session: Session) -> None:
    session.add(*(Org(org_id=str(number), name="x") for number in range(25)), overwrite=True)
    session.commit()


IN_BATCHES = (read_100, read_100_by_batch_find, commit_25, overwrite_25)


@pytest.mark.parametrize("work", IN_BATCHES)
def test_R8_full_replies_are_followed_at_once(
    manager: Manager, transport: FaultInjectingTransport, time: FakeTime, work: Callable[[Session], None]
) -> None:
    """Each reply makes progress and leaves the rest: nothing waits, and each further request counts as repeated."""
    transport.inject(at_most(5))
    before = transport.attempts
    with run_with_batch_context() as session:
        work(session)
        stats = session.stats
    requests = transport.attempts - before
    print(f"\nR8: {work.__name__} in {requests} requests, {sum(time.slept)} s of waiting")
    assert time.slept == []
    assert requests == (20 if work.__name__.startswith("read") else 5)
    assert (stats.requests, stats.retries, stats.seconds_waited) == (requests, requests - 1, 0.0)
    assert stats.round_trips == 1


# --- what was left unprocessed, in the figures ---------------------------------------------------------------


@pytest.mark.parametrize("work", IN_BATCHES)
def test_R4_waits_for_what_is_left_unprocessed_count_like_those_of_throttling(
    manager: Manager, transport: FaultInjectingTransport, time: FakeTime, work: Callable[[Session], None]
) -> None:
    """Three replies without progress: three requests are repeated, and every second waited is in stats and trace."""
    transport.inject([unprocessed(1.0)] * 3)
    before = transport.attempts
    with run_with_batch_context() as session:
        work(session)
        stats, trace = session.stats, session.trace()
    assert transport.attempts - before == 4
    assert (stats.requests, stats.retries) == (4, 3)
    assert stats.seconds_waited == pytest.approx(sum(time.slept))
    assert 0 < sum(time.slept) <= 0.175
    assert stats.unprocessed == 3 * (100 if work.__name__.startswith("read") else 25)
    assert str(trace).count("again for what was left unprocessed") == 3
    print(f"\nR4: {work.__name__}: {stats.retries} repeated, {stats.seconds_waited:.3f} s waited")


@pytest.mark.parametrize("fault", [throttled(), unprocessed(1.0)], ids=["throttled", "unprocessed"])
@pytest.mark.parametrize("work", [*IN_BATCHES, commit_25_of_two_models])
def test_S13_requests_that_end_with_an_error_count_with_all_their_attempts(
    manager: Manager,
    transport: FaultInjectingTransport,
    time: FakeTime,
    work: Callable[[Session], None],
    fault: Any,
) -> None:
    """Ten requests went over the wire: ten are in the figures, with their waits, though none was answered."""
    transport.inject(fault)
    before = transport.attempts
    with run_with_batch_context() as session:
        with suppress(BatchIncompleteError, CommitError, ThrottledError):
            work(session)
        session.rollback()
        stats = session.stats
    requests = transport.attempts - before
    calls = 2 if work is commit_25_of_two_models else 1
    assert requests in (10, 11, 20)
    assert (stats.requests, stats.retries) == (requests, requests - calls)
    assert stats.seconds_waited == pytest.approx(sum(time.slept))
