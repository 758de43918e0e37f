"""When another attempt is made: jitter, deadline and attempts, on a clock that only waiting moves."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from statistics import quantiles
from typing import Any

import pytest

from dynamo_bao import DataFormatError, ServiceError, ThrottledError, WriteOutcomeUnknownError
from dynamo_bao.dynamodb.transport.backoff import BASE_SECONDS, MAX_SECONDS, Backoff
from dynamo_bao.dynamodb.transport.error_mapping import ConditionFailed, TransactionCancelled
from dynamo_bao.dynamodb.transport.messages import (
    AttemptFailed,
    Deadline,
    FailedRequest,
    Request,
    RequestOutcome,
    Throttling,
    outcome_of,
)
from dynamo_bao.dynamodb.transport.retry import ATTEMPTS, RetryingTransport, repeat_unprocessed
from tests.support.clocks import FakeTime

FOREVER = 1e9
READ = Request("GetItem", {})
WRITE = Request("UpdateItem", {}, repeatable=False)
SAFE_WRITE = Request("PutItem", {}, repeatable=True)


class Script:
    """A wire that answers as it was told: with a body, or with an exception."""

    def __init__(self, *answers: Any, last: Any = None) -> None:
        self.answers = list(answers)
        self.last = last
        self.sent: list[Request] = []
        self.closed = 0

    def attempt(self, request: Request, seconds: float) -> dict[str, Any]:
        self.sent.append(request)
        answer = self.answers.pop(0) if self.answers else self.last
        if isinstance(answer, BaseException):
            raise answer
        found: dict[str, Any] = answer
        return found

    def close(self) -> None:
        self.closed += 1


def failed(outcome: RequestOutcome, error: Exception | None = None) -> AttemptFailed:
    return AttemptFailed(error or ServiceError("no", code="X", operation="GetItem"), outcome)


def sending(wire: Script, request: Request = READ, deadline: float = FOREVER) -> tuple[Any, FakeTime]:
    time = FakeTime()
    return RetryingTransport(wire, time.clock).send(request, deadline=deadline), time


def test_one_attempt_where_one_is_enough() -> None:
    """An answer is passed on with its figures, and nothing waits."""
    body = {"ConsumedCapacity": {"CapacityUnits": 0.5}}
    reply, time = sending(Script(body))
    assert reply.body == body
    assert (reply.attempts, reply.capacity.read, reply.waited, reply.seconds) == (1, 0.5, 0.0, 0.0)
    assert not time.slept


@pytest.mark.parametrize("outcome", list(RequestOutcome))
def test_a_failed_attempt_is_repeated(outcome: RequestOutcome) -> None:
    """Throttling, a request that was never sent and a lost reply to a read are tried again."""
    wire = Script(failed(outcome), failed(outcome), {"a": 1})
    reply, time = sending(wire)
    assert reply.body == {"a": 1}
    assert reply.attempts == len(wire.sent) == 3
    assert len(time.slept) == 2
    assert reply.waited == pytest.approx(sum(time.slept))
    assert reply.seconds == pytest.approx(sum(time.slept))


@pytest.mark.parametrize("outcome", list(RequestOutcome))
def test_attempts_have_a_number_for_each_kind_of_failure(outcome: RequestOutcome) -> None:
    """After it the error itself comes out, with its cause, and not the wrapper."""
    cause = OSError("cable")
    error = ThrottledError("slow", code="ThrottlingException", operation="GetItem")
    error.__cause__ = cause
    wire = Script(last=failed(outcome, error))
    with pytest.raises(ThrottledError) as caught:
        sending(wire)
    assert caught.value is error
    assert caught.value.__cause__ is cause
    assert len(wire.sent) == ATTEMPTS[outcome] > 1


@pytest.mark.parametrize(
    "error",
    [
        ServiceError("no", code="ValidationException", operation="GetItem"),
        ConditionFailed("no", None),
        TransactionCancelled("no", ["ConditionalCheckFailed"], [None]),
        TransactionCancelled("no", ["TransactionConflict", "ConditionalCheckFailed"], [None, None]),
        TransactionCancelled("no", [], []),
        KeyError("foreign"),
        KeyboardInterrupt(),
    ],
)
def test_what_another_attempt_would_not_mend_is_not_repeated(error: BaseException) -> None:
    """A refused condition, a wrong request and foreign errors come out at once."""
    wire = Script(last=error)
    with pytest.raises(type(error)) as caught:
        sending(wire)
    assert caught.value is error
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    "reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]
)
def test_a_conflict_of_transactions_is_repeated(reason: str) -> None:
    """A transaction cancelled only by conflicts or throttling may succeed the next time."""
    cancelled = TransactionCancelled("no", [None, reason], [None, None])
    wire = Script(cancelled, {"done": True})
    reply, _ = sending(wire, SAFE_WRITE)
    assert reply.attempts == 2
    wire = Script(last=TransactionCancelled("no", [None, reason], [None, None]))
    with pytest.raises(TransactionCancelled):
        sending(wire, SAFE_WRITE)
    assert len(wire.sent) > 2


def test_a_lost_write_that_could_be_applied_twice_is_not_repeated() -> None:
    """Its outcome is unknown, and said to be; what was lost is the cause."""
    lost = ServiceError("lost", code="InternalServerError", operation="UpdateItem")
    wire = Script(last=failed(RequestOutcome.UNKNOWN, lost))
    with pytest.raises(
        WriteOutcomeUnknownError, match=r"UpdateItem: the reply was lost.*refresh\(\)"
    ) as caught:
        sending(wire, WRITE)
    assert caught.value.__cause__ is lost
    assert len(wire.sent) == 1


@pytest.mark.parametrize("outcome", [RequestOutcome.REFUSED, RequestOutcome.NOT_SENT])
def test_a_write_that_was_certainly_not_carried_out_is_repeated(outcome: RequestOutcome) -> None:
    """Throttling, or no connection, did nothing yet."""
    reply, _ = sending(Script(failed(outcome), {"a": 1}), WRITE)
    assert reply.attempts == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConditionFailed("no", None),
        lambda: TransactionCancelled("no", ["ConditionalCheckFailed"], [None]),
    ],
)
def test_a_refusal_after_a_lost_reply_says_that_it_may_be_our_own(make: Callable[[], Any]) -> None:
    """An earlier attempt may have been carried out, which the planner must know; after throttling it was not."""
    for before, repeated in (
        (RequestOutcome.UNKNOWN, True),
        (RequestOutcome.REFUSED, False),
        (RequestOutcome.NOT_SENT, False),
    ):
        with pytest.raises((ConditionFailed, TransactionCancelled)) as caught:
            sending(Script(failed(before), make()), SAFE_WRITE)
        assert caught.value.repeated is repeated


@pytest.mark.promise("R4")
def test_waits_are_fully_jittered_between_nothing_and_a_growing_bound() -> None:
    """The n-th wait is anywhere from 0 to ``BASE * 2^n``, at most `MAX_SECONDS`, and spread over it."""
    waits: list[list[float]] = []
    for _ in range(200):
        time = FakeTime()
        with pytest.raises(ServiceError):
            RetryingTransport(Script(last=failed(RequestOutcome.REFUSED)), time.clock).send(
                READ, deadline=FOREVER
            )
        waits.append(time.slept)
    assert {len(slept) for slept in waits} == {ATTEMPTS[RequestOutcome.REFUSED] - 1}
    for number, column in enumerate(zip(*waits, strict=True)):
        lower, median, upper = (1000 * part for part in quantiles(column))
        print(f"\nR4: wait {number + 1}: quartiles {lower:.1f}, {median:.1f}, {upper:.1f} ms")
        bound = min(MAX_SECONDS, BASE_SECONDS * 2**number)
        assert all(0 <= wait <= bound for wait in column)
        assert max(column) > bound * 0.8
        assert min(column) < bound * 0.2
        assert len(set(column)) > 150


@pytest.mark.parametrize("deadline", [0.0, 0.01, 0.5, 3.0])
def test_the_deadline_ends_the_attempts(deadline: float) -> None:
    """No wait passes it, and the last error comes out."""
    for _ in range(20):
        time = FakeTime()
        wire = Script(last=failed(RequestOutcome.REFUSED))
        with pytest.raises(ServiceError):
            RetryingTransport(wire, time.clock).send(READ, deadline=deadline)
        assert time.now() <= deadline
        assert len(wire.sent) == len(time.slept) + 1


def test_one_attempt_is_always_made() -> None:
    """A deadline that has passed already does not keep the request from being tried once."""
    time = FakeTime()
    time.sleep(10.0)
    wire = Script({"a": 1})
    assert RetryingTransport(wire, time.clock).send(READ, deadline=5.0).attempts == 1


class Members:
    """Members of a batch, of which each reply takes some.

    Args:
        takes: how many are processed by each reply in turn; none by further ones.
    """

    def __init__(self, count: int, *takes: int, time: FakeTime | None = None) -> None:
        self.left = count
        self.takes = list(takes)
        self.time = time or FakeTime()
        self.waits: list[float | None] = []

    def send(self, waited: float | None) -> list[str]:
        self.waits.append(waited)
        self.left -= self.takes.pop(0) if self.takes else 0
        return ["t"] * self.left


def repeated(members: Members, deadline: float = FOREVER) -> Members:
    repeat_unprocessed(members.time.clock, deadline, members.left, members.send)
    return members


def test_a_reply_with_progress_is_followed_at_once() -> None:
    """Replies that are full leave the rest unprocessed: nothing waits until a reply makes no progress."""
    members = repeated(Members(100, *[10] * 10))
    assert members.left == 0
    assert members.waits == [None, *[0.0] * 9]
    assert members.time.slept == []


def test_progress_resets_the_waits() -> None:
    """The wait after the first reply without progress is a short one each time."""
    for _ in range(50):
        members = repeated(Members(100, 0, 0, 10, 0, 90))
        assert members.left == 0
        first, second, third = members.time.slept
        assert members.waits == [None, first, second, 0.0, third]
        assert first <= BASE_SECONDS
        assert second <= 2 * BASE_SECONDS
        assert third <= BASE_SECONDS


@pytest.mark.parametrize("takes", [(), (97,), (0, 0, 97), (50, 0, 47)])
@pytest.mark.promise("S13")
def test_a_member_that_is_never_processed_costs_ten_requests(takes: tuple[int, ...]) -> None:
    """Ten in a row without progress, the last one with progress included, are the end."""
    members = repeated(Members(100, *takes))
    since = max((number for number, taken in enumerate(takes) if taken), default=0)
    assert len(members.waits) - since == 10
    assert members.left == 100 - sum(takes)


@pytest.mark.promise("R4")
def test_unprocessed_members_are_sent_again_after_jittered_waits_that_grow() -> None:
    """Without progress each wait is anywhere between nothing and a growing bound, and no longer than a second."""
    waits = [repeated(Members(5)).time.slept for _ in range(200)]
    for number, column in enumerate(zip(*waits, strict=True)):
        bound = min(MAX_SECONDS, BASE_SECONDS * 2**number)
        assert all(0 <= wait <= bound for wait in column)
        assert max(column) > bound * 0.8
        assert min(column) < bound * 0.2


@pytest.mark.parametrize("deadline", [0.0, 0.01, 0.5])
def test_the_deadline_ends_what_is_sent_again(deadline: float) -> None:
    """No wait passes it, and the first request is always sent."""
    for _ in range(20):
        members = repeated(Members(5), deadline)
        assert members.time.now() <= deadline
        assert len(members.waits) == len(members.time.slept) + 1


def test_progress_does_not_pass_the_deadline() -> None:
    """Where each request takes time, those that make progress end at the deadline too."""
    time = FakeTime()
    members = Members(1000, *[1] * 1000, time=time)

    def send(waited: float | None) -> list[str]:
        time.sleep(1.0)
        return members.send(waited)

    repeat_unprocessed(time.clock, 5.0, 1000, send)
    assert len(members.waits) == 5


def test_an_exception_ends_what_is_sent_again() -> None:
    """Whatever sending raises comes out at once."""
    time = FakeTime()

    def send(waited: float | None) -> list[str]:
        raise KeyError("x")

    with pytest.raises(KeyError):
        repeat_unprocessed(time.clock, FOREVER, 1, send)
    assert not time.slept


def test_closing_closes_the_wire() -> None:
    """And may be done twice."""
    wire = Script()
    transport = RetryingTransport(wire)
    transport.close()
    transport.close()
    assert wire.closed == 2


def test_reads_are_repeatable_by_themselves() -> None:
    """Reading changes nothing; of a write its planner must say so."""
    for operation in ("GetItem", "BatchGetItem", "Query", "DescribeTable"):
        assert Request(operation, {}).repeatable
    for operation in ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"):
        assert not Request(operation, {}).repeatable


# --- the exact numbers ----------------------------------------------------------------------------------


def longest(_: float, bound: float) -> float:
    return bound


@pytest.mark.promise("R4")
def test_ten_attempts_after_throttling_and_four_where_the_network_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Waits of at most 25 ms, twice as long each time, and never more than a second."""
    monkeypatch.setattr(random, "uniform", longest)
    waits = [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    for outcome, attempts in (
        (RequestOutcome.REFUSED, 10),
        (RequestOutcome.NOT_SENT, 4),
        (RequestOutcome.UNKNOWN, 4),
    ):
        time, wire = FakeTime(), Script(last=failed(outcome))
        with pytest.raises(ServiceError):
            RetryingTransport(wire, time.clock).send(READ, deadline=FOREVER)
        assert len(wire.sent) == attempts
        assert time.slept == waits[: attempts - 1]
    members = repeated(Members(5))
    assert (len(members.waits), members.time.slept) == (10, waits)


@pytest.mark.parametrize(
    ("deadline", "attempts"), [(0.0, 1), (0.0249, 1), (0.025, 2), (0.0749, 2), (0.075, 3)]
)
def test_a_wait_may_end_exactly_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch, deadline: float, attempts: int
) -> None:
    """And not a moment later."""
    monkeypatch.setattr(random, "uniform", longest)
    wire = Script(last=failed(RequestOutcome.REFUSED))
    with pytest.raises(ServiceError):
        sending(wire, deadline=deadline + 1e-9)
    assert len(wire.sent) == attempts
    assert len(repeated(Members(5), deadline + 1e-9).waits) == attempts


def test_a_wait_ends_exactly_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is in time."""
    monkeypatch.setattr(random, "uniform", longest)
    clock = FakeTime().clock
    assert Backoff(clock, BASE_SECONDS).wait(max_attempts=10) == BASE_SECONDS
    assert Backoff(clock, 2 * BASE_SECONDS - 1e-9).wait(max_attempts=10) is None


def test_a_call_with_progress_makes_room_for_another() -> None:
    """It does not wait any more."""
    clock, places = FakeTime().clock, (("progress", None),)
    first, second, third = (Backoff(clock, Deadline(FOREVER, 1)) for _ in range(3))
    with first, second, third:
        assert first.wait(max_attempts=10, places=places) is not None
        assert second.wait(max_attempts=10, places=places) is None and second.crowded
        assert first.begin_again() and not first.crowded
        assert third.wait(max_attempts=10, places=places) is not None
        assert first.wait(max_attempts=10, places=places) is None


@pytest.mark.parametrize(
    ("asked_for", "waited"),
    [(0.0, 0.025), (0.02, 0.025), (0.5, 0.5), (5.0, 5.0), (5.025, 5.025), (5.1, 5.025), (3600.0, 5.025)],
)
@pytest.mark.promise("R4")
def test_a_wait_that_dynamodb_asks_for_is_kept_up_to_five_seconds_more(
    monkeypatch: pytest.MonkeyPatch, asked_for: float, waited: float
) -> None:
    """It is never shorter than the usual one."""
    monkeypatch.setattr(random, "uniform", longest)
    error = ThrottledError("slow", code="ThrottlingException", operation="GetItem")
    for refusal in (
        AttemptFailed(error, RequestOutcome.REFUSED, asked_for),
        TransactionCancelled("no", ["ThrottlingError"], [None], asked_for),
    ):
        _, time = sending(Script(refusal, {}), SAFE_WRITE)
        assert time.slept == [pytest.approx(waited)]


@pytest.mark.parametrize(
    ("outcomes", "last"),
    [
        ([RequestOutcome.REFUSED], RequestOutcome.REFUSED),
        ([RequestOutcome.NOT_SENT], RequestOutcome.NOT_SENT),
        ([RequestOutcome.UNKNOWN], RequestOutcome.UNKNOWN),
        ([RequestOutcome.UNKNOWN, RequestOutcome.REFUSED], RequestOutcome.UNKNOWN),
        ([RequestOutcome.UNKNOWN, RequestOutcome.NOT_SENT], RequestOutcome.UNKNOWN),
        ([RequestOutcome.NOT_SENT, RequestOutcome.REFUSED], RequestOutcome.REFUSED),
    ],
)
def test_the_last_error_says_what_became_of_all_attempts(
    outcomes: list[RequestOutcome], last: RequestOutcome
) -> None:
    """After one lost reply nobody knows, whatever the later attempts ended with, and the error is one that says so."""
    wire = Script(*map(failed, outcomes), last=failed(outcomes[-1]))
    kind = WriteOutcomeUnknownError if last is RequestOutcome.UNKNOWN else ServiceError
    with pytest.raises(kind) as caught:
        sending(wire, SAFE_WRITE)
    assert outcome_of(caught.value) is last


def test_an_error_says_how_many_attempts_it_took() -> None:
    """With their waits, and with what was throttled in each."""
    error = ThrottledError("slow", code="ThrottlingException", operation="Query", reasons=("hot",))
    query = Request("Query", {"TableName": "t", "IndexName": "gsi1"})
    wire = Script(last=failed(RequestOutcome.REFUSED, error))
    time = FakeTime()
    with pytest.raises(ThrottledError) as caught:
        RetryingTransport(wire, time.clock).send(query, deadline=FOREVER)
    request = FailedRequest(query, caught.value, 0.0)
    assert request.attempts == 10
    assert request.waited == pytest.approx(sum(time.slept))
    assert request.throttlings == (Throttling("t", "gsi1", ("hot",)),) * 10


def test_a_reply_says_which_attempts_were_throttled() -> None:
    """Of a cancelled transaction the tables whose actions were, each reason once."""
    transaction = Request(
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": {"TableName": "a"}},
                {"Delete": {"TableName": "b"}},
                {"Put": {"TableName": "c"}},
            ]
        },
        True,
    )
    reasons = ["TransactionConflict", "ThrottlingError", "ThrottlingError"]
    reply, _ = sending(Script(TransactionCancelled("no", reasons, [None] * 3), {}), transaction)
    assert reply.throttlings == (Throttling("b", None, ("ThrottlingError",)),)
    conflict = TransactionCancelled("no", ["TransactionConflict", None, None], [None] * 3)
    reply, _ = sending(Script(conflict, {}), transaction)
    assert reply.throttlings == ()
    named = ThrottledError("slow", code="x", operation="GetItem", table="other", index="gsi2")
    reply, _ = sending(
        Script(failed(RequestOutcome.REFUSED, named), {}), Request("GetItem", {"TableName": "t"})
    )
    assert reply.throttlings == (Throttling("other", "gsi2"),)


@pytest.mark.parametrize("request_", [READ, SAFE_WRITE], ids=["read", "write"])
def test_replies_that_nobody_could_read_leave_a_write_in_doubt(request_: Request) -> None:
    """A read ends with what was wrong with the last reply."""
    damage = DataFormatError("not JSON")
    with pytest.raises(DataFormatError if request_ is READ else WriteOutcomeUnknownError) as caught:
        sending(Script(last=failed(RequestOutcome.UNKNOWN, damage)), request_)
    assert outcome_of(caught.value) is RequestOutcome.UNKNOWN
    if request_ is not READ:
        assert re.search(r"PutItem: no reply .*not JSON.*refresh\(\)", str(caught.value))
