"""DynamoDB under load: full replies, keys left unprocessed, throttling; and what stats and errors say of it."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from typing import Any

import pytest

from dynamo_bao import (
    BatchIncompleteError,
    CommitError,
    ConfigurationError,
    Manager,
    ServiceError,
    ThrottledError,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.transport.messages import AttemptFailed, RequestOutcome
from dynamo_bao.session.session import Session
from dynamo_bao.testing import (
    Clock,
    FaultInjectingTransport,
    embedded_transport,
    throttled,
    unprocessed,
)
from tests.support import models
from tests.support.clocks import FakeTime
from tests.support.models import Org, Page, Post
from tests.support.patience import PATIENCE


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
@pytest.mark.promise("R8")
def test_full_replies_are_followed_at_once(
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
@pytest.mark.promise("R4")
def test_waits_for_what_is_left_unprocessed_count_like_those_of_throttling(
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
    assert str(trace).count("repeated for unprocessed keys or items") == 3
    print(f"\nR4: {work.__name__}: {stats.retries} repeated, {stats.seconds_waited:.3f} s waited")


@pytest.mark.parametrize("fault", [throttled(), unprocessed(1.0)], ids=["throttled", "unprocessed"])
@pytest.mark.parametrize("work", [*IN_BATCHES, commit_25_of_two_models])
@pytest.mark.promise("S13")
def test_requests_that_end_with_an_error_count_with_all_their_attempts(
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


# --- throttling: what is told of it --------------------------------------------------------------------------

HOT = "TableReadKeyRangeThroughputExceeded"


@pytest.mark.promise("R4")
def test_dynamodb_says_how_long_to_wait(
    manager: Manager, transport: FaultInjectingTransport, time: FakeTime
) -> None:
    """The wait is at least as long as DynamoDB asks, and the figures and the trace say what it asked."""
    transport.inject([throttled(reasons=[HOT], retry_after=1.5)] * 2)
    with run_with_batch_context() as session:
        assert not Org.find("a")
        stats, trace, page = session.stats, str(session.trace()), session.trace().html()
    assert len(time.slept) == 2
    assert all(1.5 <= wait <= 1.6 for wait in time.slept)
    assert (stats.throttled, stats.throttling_reasons, stats.retry_after) == (2, {HOT: 2}, 3.0)
    assert HOT in str(stats)
    for text in (trace, page):
        assert f"throttled 2 times by {manager.table_name} ({HOT}), retry after 1.50 s" in text


@pytest.mark.promise("R4")
def test_no_wait_is_much_longer_than_usual(
    manager: Manager, transport: FaultInjectingTransport, time: FakeTime
) -> None:
    """A server that asks for an hour gets five seconds more than a usual wait."""
    transport.inject([throttled(retry_after=3600.0)])
    assert not Org.find("a")
    assert 5.0 <= time.slept[0] <= 5.1


WORKS: dict[str, Callable[[], Any]] = {
    "find": lambda: Org.find("a"),
    "query": lambda: list(Post.query_by_index("posts_for_user", "u")),
    "create": lambda: Post.create(title="p"),
    "update": lambda: Page.update("/", text="new"),
    "delete": lambda: Page.delete("/"),
}


@pytest.mark.parametrize("name", WORKS)
def test_a_throttled_error_names_table_index_and_reason(
    manager: Manager, transport: FaultInjectingTransport, name: str
) -> None:
    """Whatever was to be done, on attributes and in the text."""
    transport.inject(throttled(reasons=[HOT, "AccountLimit"], retry_after=0.25))
    with pytest.raises(ThrottledError) as caught:
        WORKS[name]()
    error = caught.value
    index = "gsi2" if name == "query" else None
    assert (error.table, error.index, error.reason) == (manager.table_name, index, HOT)
    assert (error.reasons, error.retry_after) == ((HOT, "AccountLimit"), 0.25)
    for part in (manager.table_name, HOT, index or ""):
        assert part in str(error)
    assert pickle.loads(pickle.dumps(error)).reasons == error.reasons


# --- throttling: the bulkhead --------------------------------------------------------------------------------


class Gate:
    """A clock whose waits end when the gate is opened."""

    def __init__(self) -> None:
        self.waiting = 0
        self._open = threading.Event()
        self._changed = threading.Condition()
        self.clock = Clock(now=lambda: 0.0, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        with self._changed:
            self.waiting += 1
            self._changed.notify_all()
        assert self._open.wait(PATIENCE)

    def until(self, count: int) -> None:
        """Returns when so many calls wait."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.waiting >= count, PATIENCE)

    def open(self) -> None:
        self._open.set()


CALLS = 30


def calls_at_once(
    work: Callable[[], Any], fault: Any, options: dict[str, Any], waiting: int
) -> tuple[list[BaseException | None], list[BaseException | None]]:
    """The outcomes of 30 calls under a fault: of those that ended at once, and of those that waited."""
    gate = Gate()
    transport = FaultInjectingTransport(embedded_transport().wire, clock=gate.clock)
    with init_models(models=models.ALL, transport=transport, **options) as manager:
        manager.create_table()
        transport.inject(fault)
        with ThreadPoolExecutor(CALLS) as pool:
            futures = [pool.submit(work) for _ in range(CALLS)]
            gate.until(waiting)
            done = []
            for _, future in zip(range(CALLS - waiting), as_completed(futures, PATIENCE), strict=False):
                done.append(future)
            transport.inject(())
            gate.open()
            late = [future for future in futures if future not in done]
            return [future.exception() for future in done], [future.exception() for future in late]


def find_in_a_context() -> None:
    with run_with_batch_context():
        assert not Org.find("a")


def commit_in_a_context() -> None:
    with run_with_batch_context() as session:
        session.add(Post(title="p"))
        try:
            session.commit()
        finally:
            session.rollback()


@pytest.mark.parametrize("fault", [throttled(), unprocessed(1.0)], ids=["throttled", "unprocessed"])
@pytest.mark.parametrize("work", [find_in_a_context, commit_in_a_context])
@pytest.mark.promise("S13")
def test_ten_calls_of_a_process_wait_and_others_end_at_once(work: Any, fault: Any) -> None:
    """Twenty of thirty calls get ThrottledError, which says why; the ten that waited are answered in the end."""
    at_once, waited = calls_at_once(work, fault, {}, 10)
    causes = [error if isinstance(error, ThrottledError) else error.__cause__ for error in at_once if error]
    print(
        f"\nS13: {len(causes)} of {CALLS} throttled calls ended at once, {len(waited)} waited and succeeded"
    )
    assert len(causes) == 20
    assert all(isinstance(cause, ThrottledError) for cause in causes)
    assert all("10 other calls" in str(error) and "max_throttled_calls" in str(error) for error in at_once)
    assert waited == [None] * 10


@pytest.mark.parametrize("work", [WORKS["find"], WORKS["query"], WORKS["create"]])
@pytest.mark.promise("S13")
def test_the_bound_holds_outside_contexts_too(work: Any) -> None:
    """For direct reads, queries and writes."""
    at_once, waited = calls_at_once(work, throttled(), {}, 10)
    assert [type(error) for error in at_once] == [ThrottledError] * 20
    assert waited == [None] * 10


@pytest.mark.promise("S13")
def test_tables_and_indexes_have_places_of_their_own() -> None:
    """Ten queries of an index that wait leave the table its ten places."""
    works = itertools.cycle([WORKS["query"], WORKS["create"]])
    lock = threading.Lock()

    def work() -> Any:
        with lock:
            mine = next(works)
        return mine()

    at_once, waited = calls_at_once(work, throttled(), {}, 20)
    assert [type(error) for error in at_once] == [ThrottledError] * 10
    assert waited == [None] * 20


@pytest.mark.parametrize(
    "options",
    [
        {"max_throttled_calls": "unlimited"},
        {"batch_context": {"max_throttled_calls": "unlimited"}},
        {"config": {"batch_context": {"max_throttled_calls": 30}}},
    ],
)
def test_a_job_may_wait_with_all_its_calls(options: dict[str, Any]) -> None:
    """The bound can be another one, or none."""
    at_once, waited = calls_at_once(find_in_a_context, throttled(), options, CALLS)
    assert at_once == []
    assert waited == [None] * CALLS


def test_a_context_may_have_a_bound_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """For reads and writes in it, whatever the manager or the environment says."""
    monkeypatch.setenv("DYNAMO_BAO_MAX_THROTTLED_CALLS", "3")

    def patient() -> None:
        with run_with_batch_context(max_throttled_calls="unlimited"):
            assert not Org.find("a")
            Post.create(title="p")

    at_once, waited = calls_at_once(patient, throttled(), {}, CALLS)
    assert (at_once, waited) == ([], [None] * CALLS)
    at_once, waited = calls_at_once(find_in_a_context, throttled(), {}, 3)
    assert len(at_once) == CALLS - 3


@pytest.mark.parametrize("value", [-1, True, "many", 1.5, []])
def test_a_wrong_bound_is_refused(value: Any) -> None:
    """At init_models and at the context, by its name."""
    for call in (
        lambda: init_models(models=[Org], embedded=True, max_throttled_calls=value),
        lambda: run_with_batch_context(max_throttled_calls=value),
    ):
        with pytest.raises(ConfigurationError, match="max_throttled_calls"):
            call()


def test_conflicts_are_not_throttling(time: FakeTime) -> None:
    """Writes that contend for one item wait as they did, however many they are."""

    def conflict(request: Any, send: Any, chance: Any) -> Any:
        error = ServiceError("conflict", code="TransactionConflictException", operation=request.operation)
        raise AttemptFailed(error, RequestOutcome.REFUSED)

    at_once, waited = calls_at_once(WORKS["create"], conflict, {}, CALLS)
    assert (at_once, waited) == ([], [None] * CALLS)
