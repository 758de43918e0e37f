"""A minute in which DynamoDB does not answer: it is asked little more than callers ask, and nobody helps afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from dynamo_bao import Manager, ServiceError, init_models, run_with_batch_context, transaction
from dynamo_bao.dynamodb.transport.messages import AttemptFailed, RequestOutcome
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from dynamo_bao.testing import (
    FaultInjectingTransport,
    embedded_transport,
    lost_reply,
    refused_connection,
    throttled,
)
from tests.integration.test_request_paths import GET, closing
from tests.support import models
from tests.support.clocks import OwnTimes
from tests.support.dynamo_server import ITEM, answer, lean_wire
from tests.support.http_server import http_server
from tests.support.models import Org, Page, Post, User
from tests.support.patience import PATIENCE

THREADS = 50
OUTAGE_SECONDS = 60.0
PAUSE_SECONDS = 5.0
"""How long a thread waits after a call that failed, as somebody does who presses a button again."""

Fault = Callable[..., Any]


def internal_error(request: Any, send: Any, chance: Any) -> Any:
    """DynamoDB fails inside."""
    error = ServiceError("failed", code="InternalServerError", operation=request.operation)
    raise AttemptFailed(error, RequestOutcome.UNKNOWN)


FAULTS: dict[str, tuple[Fault, int]] = {
    "nobody listens": (refused_connection(), 4),
    "replies are lost": (lost_reply(carried_out=False), 4),
    "internal errors": (internal_error, 4),
    "throttling": (throttled(), 10),
}
"""What happens during an outage, and how many requests a call may cost then."""


class Outage(threading.local):
    """A fault that befalls what a thread sends in the first minute of its time.

    Attributes:
        attempts: how many the calling thread has made.
    """

    attempts = 0

    def __init__(self, times: OwnTimes, fault: Fault) -> None:
        self._times = times
        self._fault = fault

    @property
    def lasts(self) -> bool:
        return self._times.now() < OUTAGE_SECONDS

    def __call__(self, request: Any, send: Any, chance: Any) -> Any:
        self.attempts += 1
        return self._fault(request, send, chance) if self.lasts else send(request)


@pytest.fixture
def times() -> OwnTimes:
    return OwnTimes()


@pytest.fixture
def transport(times: OwnTimes) -> FaultInjectingTransport:
    return FaultInjectingTransport(embedded_transport().wire, clock=times.clock)


@pytest.fixture
def manager(transport: FaultInjectingTransport) -> Iterator[Manager]:
    with init_models(models=models.ALL, transport=transport) as manager:
        manager.create_table()
        yield manager


# --- what programs do --------------------------------------------------------------------------------------


def find(name: str) -> None:
    assert Org.find(name).exists() is False


def find_many(name: str) -> None:
    with run_with_batch_context():
        orgs = [Org.find(f"{name} {number}") for number in range(50)]
        assert not any(orgs)


def query(name: str) -> None:
    assert list(Post.query_by_index("posts_for_user", name)) == []


def create(name: str) -> None:
    Post.create(title=name)


def create_with_a_unique_value(name: str) -> None:
    User.create(name=name, email=f"{name}@x")


def save(name: str) -> None:
    Page.update("/", text=name)


def write_together(name: str) -> None:
    with transaction():
        Post.create(title=name)
        Post.create(title=name)


def commit(name: str) -> None:
    with run_with_batch_context() as session:
        session.add(Post(title=name))
        try:
            session.commit()
        finally:
            session.rollback()


WORK = (find, find_many, query, create, create_with_a_unique_value, save, write_together, commit)


class Call(NamedTuple):
    """How one call went: what it raised, how many requests it took, and whether the outage was over before it."""

    error: Exception | None
    requests: int
    afterwards: bool


def calls_of(outage: Outage, pause: Callable[[], None], thread: int) -> list[Call]:
    """What one thread meets with, until a call of each kind was made after the outage."""
    calls: list[Call] = []
    while sum(call.afterwards for call in calls) < len(WORK):
        work = WORK[(len(calls) + thread) % len(WORK)]
        before, afterwards, error = outage.attempts, not outage.lasts, None
        try:
            work(f"{thread}-{len(calls)}")
        except Exception as caught:
            error = caught
            pause()
        calls.append(Call(error, outage.attempts - before, afterwards))
    return calls


@pytest.mark.parametrize("manner", FAULTS)
@pytest.mark.promise("S13")
def test_an_outage_costs_few_requests_and_leaves_nothing_behind(
    manager: Manager, transport: FaultInjectingTransport, times: OwnTimes, manner: str
) -> None:
    """50 threads go on for 60 s without an answer: each call costs a few requests; afterwards every one succeeds."""
    Page.create(path="/")
    fault, most = FAULTS[manner]
    outage = Outage(times, fault)
    transport.inject(outage)
    start = threading.Barrier(THREADS)  # so that each part has a thread, and with it a time, of its own

    def part(thread: int) -> list[Call]:
        start.wait(PATIENCE)
        return calls_of(outage, lambda: times.sleep(PAUSE_SECONDS), thread)

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(part, range(THREADS)))
    calls = [call for part in parts for call in part]
    failed = [call for call in calls if call.error is not None]
    later = [call for call in calls if call.afterwards]
    print(
        f"\nS13: {manner}: {len(failed):,} calls of {THREADS} threads failed in 60 s with "
        f"{sum(call.requests for call in failed) / len(failed):.2f} requests per call, "
        f"{max(call.requests for call in failed)} at most; "
        f"{sum(call.error is None for call in later)} of {len(later)} calls afterwards succeeded"
    )
    assert len(failed) >= THREADS * 5
    assert max(call.requests for call in failed) <= most
    assert len(later) == THREADS * len(WORK)
    assert [call.error for call in later if call.error is not None] == []


@pytest.mark.promise("S13")
def test_connections_come_back_by_themselves() -> None:
    """A server hangs up on 50 threads, connections that were open included, and then answers again: so do all calls."""
    with http_server(answer) as server:
        transport, times = RetryingTransport(lean_wire(server.url()), OwnTimes().clock), 5
        transport.send(GET, deadline=10)
        server.script = closing
        server.drop_connections()
        before = len(server.asked)

        def ask(_: int) -> Any:
            clock = transport.clock
            return transport.send(GET, deadline=clock.now() + 10).body

        with ThreadPoolExecutor(THREADS) as pool:
            lost = [pool.submit(ask, number).exception() for number in range(THREADS * times)]
            sent = len(server.asked) - before
            server.script = answer
            found = list(pool.map(ask, range(THREADS)))
        transport.close()
    print(
        f"\nS13: a server that hangs up: {sent / len(lost):.2f} requests per call; then {len(found)} answered"
    )
    assert all(error is not None for error in lost)
    assert sent <= 4 * len(lost)
    assert found == [{"Item": ITEM}] * THREADS
