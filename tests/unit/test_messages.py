"""Requests and replies as values, and one batch of writes until all are written."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dynamo_bao import ServiceError, ThrottledError
from dynamo_bao.dynamodb.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.dynamodb.items import json_list
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.rows import RowType
from dynamo_bao.dynamodb.transport.batch_write import BatchWritten, in_batches, write_batch
from dynamo_bao.dynamodb.transport.messages import (
    MAX_THROTTLED_CALLS,
    Attempts,
    Deadline,
    FailedRequest,
    Reply,
    Request,
    RequestOutcome,
    Throttling,
    capacity_of,
    names_an_arn,
    outcome_of,
    tables_of,
    with_attempts,
    with_outcome,
)
from tests.support.clocks import FakeTime

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/t"


@pytest.mark.parametrize(
    ("operation", "repeatable"),
    [("GetItem", True), ("BatchGetItem", True), ("Query", True), ("PutItem", False), ("UpdateItem", False)],
)
def test_reads_may_be_sent_again(operation: str, repeatable: bool) -> None:
    """Writes only where their sender says so."""
    assert Request(operation, {}).repeatable is repeatable
    assert Request(operation, {}, True).repeatable


def test_requests_that_send_the_same_are_equal() -> None:
    """However their replies are read."""
    written = {"TableName": "t"}
    assert Request("Query", written, rows=RowType({}), keys={}) == Request("Query", dict(written))
    assert Request("Query", written) != Request("Scan", written) != Request("Scan", {})


def test_a_reply_of_one_attempt() -> None:
    """Has taken no time that anybody measured."""
    reply = Reply(Request("Query", {}), {"Count": 0})
    assert (reply.body, reply.capacity, reply.attempts) == ({"Count": 0}, NOTHING_CONSUMED, 1)
    assert (reply.seconds, reply.waited, reply.started, reply.repeated, reply.throttlings) == (
        0,
        0,
        0,
        False,
        (),
    )


def test_a_deadline_is_a_number_with_a_limit_of_waiting_calls() -> None:
    """A plain number has the usual limit."""
    assert Deadline(5.0, 3) == 5.0 and Deadline.throttled_calls(Deadline(5.0, 3)) == 3
    assert Deadline.throttled_calls(5.0) == MAX_THROTTLED_CALLS == 10


@pytest.mark.parametrize(
    ("parameters", "tables"),
    [
        ({"TableName": "t"}, ("t",)),
        ({"RequestItems": {"t": {}, "u": {}}}, ("t", "u")),
        (
            {
                "TransactItems": [
                    {"Put": {"TableName": "t"}},
                    {"Delete": {"TableName": "u"}},
                    {"Put": {"TableName": "t"}},
                ]
            },
            ("t", "u"),
        ),
        ({}, ()),
    ],
)
def test_the_tables_of_a_request(parameters: dict[str, Any], tables: tuple[str, ...]) -> None:
    """Of one, of a batch, and each once of a transaction."""
    assert tables_of(Request("X", parameters)) == tables
    assert not names_an_arn(Request("X", parameters))


def test_a_table_may_be_named_by_its_arn() -> None:
    """Of one, of a batch, and of a transaction."""
    assert names_an_arn(Request("X", {"TableName": ARN}))
    assert names_an_arn(Request("X", {"RequestItems": {"t": {}, ARN: {}}}))
    assert names_an_arn(Request("X", {"TransactItems": [{"Put": {"TableName": ARN}}]}))
    for odd in (5, ["arn:"]):
        assert not names_an_arn(Request("X", {"TableName": odd}))
    assert not names_an_arn(Request("X", {"RequestItems": {5: {}}}))


@pytest.mark.parametrize(
    ("reported", "units"),
    [
        (None, 0.0),
        ([], 0.0),
        ({"CapacityUnits": 1.5}, 1.5),
        ({"TableName": "t"}, 0.0),
        ([{"CapacityUnits": 1.5}, {"CapacityUnits": 2}, {}], 3.5),
    ],
)
def test_consumed_capacity_is_of_reads_or_of_writes(reported: Any, units: float) -> None:
    """Over all tables."""
    body = {"ConsumedCapacity": reported}
    assert capacity_of("Query", body) == Capacity(read=units)
    assert capacity_of("PutItem", body) == Capacity(write=units)
    if not units and not reported:
        assert capacity_of("Query", body) is NOTHING_CONSUMED


def test_a_repeated_part_of_a_batch_has_waited_before() -> None:
    """Its wait belongs to its time; the first request of a batch is not repeated."""
    reply = Reply(Request("BatchGetItem", {}), {}, seconds=2.0, waited=0.5, started=10.0)
    assert reply.after(None) is reply and not reply.repeated
    again = reply.after(3.0)
    assert (again.seconds, again.waited, again.started, again.repeated) == (5.0, 3.5, 7.0, True)
    error = with_attempts(OSError(), Attempts(3, 0.5, (Throttling("t"),)))
    failed = FailedRequest(reply.request, error, 10.0)
    assert failed.after(None) is failed
    assert (failed.attempts, failed.waited, failed.throttlings) == (3, 0.5, (Throttling("t"),))
    later = failed.after(3.0)
    assert (later.started, later.waited, later.repeated, later.attempts) == (7.0, 3.5, True, 3)
    plain = FailedRequest(reply.request, OSError(), 1.0)
    assert (plain.attempts, plain.waited, plain.throttlings, plain.repeated) == (1, 0.0, (), False)


def test_an_error_carries_the_outcome_of_its_request() -> None:
    """Where it is known."""
    error = OSError()
    assert outcome_of(error) is None
    assert with_outcome(error, RequestOutcome.NOT_SENT) is error
    assert outcome_of(error) is RequestOutcome.NOT_SENT


def test_json_in_requests_reads_as_dicts() -> None:
    """Whoever looks at the parameters sees no pieces of JSON; a request without any stays the object it is."""
    keys = [{"_pk": {"S": "a"}, "_sk": {"S": "b"}}]
    piece = json_list([orjson.dumps(key) for key in keys])
    for entries, plain in (
        ({"t": {"Keys": piece, "ConsistentRead": True}}, {"t": {"Keys": keys, "ConsistentRead": True}}),
        ({"t": {"Keys": keys}, "u": {"Keys": piece}}, {"t": {"Keys": keys}, "u": {"Keys": keys}}),
    ):
        request = Request("BatchGetItem", {"RequestItems": entries, "More": 1})
        assert request.parameters == {"RequestItems": plain, "More": 1}
        assert request.parameters is request.written
    for operation, entry in (("BatchGetItem", {"Keys": keys}), ("BatchWriteItem", keys), ("Query", keys)):
        written = {"RequestItems": {"t": entry}}
        assert Request(operation, written).parameters is written


# --- one batch of writes --------------------------------------------------------------------------


class Answers:
    """A transport that answers batches of writes by what is left of each, or by an error."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.clock = FakeTime().clock

    def send(self, request: Request, *, deadline: float) -> Reply:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return Reply(request, {"UnprocessedItems": answer} if answer else {})

    def close(self) -> None:
        """Nothing to give back."""


A, B, C = (Key(f"t#{name}", "t") for name in "abc")
PUTS: dict[str, dict[Key, Any]] = {"t": {A: {**A.as_item(), "n": {"N": "1"}}, B: None}, "u": {C: C.as_item()}}
PUT_A = {"PutRequest": {"Item": PUTS["t"][A]}}
DELETE_B = {"DeleteRequest": {"Key": B.as_item()}}
PUT_C = {"PutRequest": {"Item": C.as_item()}}
EVERY_KEY = (("t", A), ("t", B), ("u", C))


def written(transport: Answers, puts: Any = None, deadline: float = 60.0) -> BatchWritten:
    return write_batch(transport, PUTS if puts is None else puts, deadline)


def test_a_batch_of_writes_is_one_request() -> None:
    """Of puts and deletions, with the capacity asked for; it can be repeated, as it has no conditions."""
    transport = Answers({})
    result = written(transport)
    (request,) = transport.requests
    assert request.parameters == {
        "RequestItems": {"t": [PUT_A, DELETE_B], "u": [PUT_C]},
        "ReturnConsumedCapacity": "TOTAL",
    }
    assert request.repeatable and request.keys is PUTS
    assert result.succeeded and result.request_outcomes == result.replies and len(result.replies) == 1
    assert not result.replies[0].repeated
    assert (result.unprocessed, result.refused, result.outcome_unknown, result.error) == ((), (), (), None)


def test_items_that_are_json_are_sent_as_they_are() -> None:
    """Around each of them is what makes it a put."""
    transport = Answers({"t": [PUT_A]}, {})
    spelled = orjson.dumps(PUTS["t"][A])
    result = written(transport, {"t": {A: spelled, C: orjson.dumps(C.as_item())}})
    assert result.succeeded
    assert [request.parameters["RequestItems"] for request in transport.requests] == [
        {"t": [PUT_A, PUT_C]},
        {"t": [PUT_A]},
    ]


def test_only_what_is_left_is_sent_again() -> None:
    """Until nothing is."""
    transport = Answers({"t": [DELETE_B], "u": [PUT_C]}, {"u": [PUT_C]}, {})
    result = written(transport)
    assert [request.parameters["RequestItems"] for request in transport.requests[1:]] == [
        {"t": [DELETE_B], "u": [PUT_C]},
        {"u": [PUT_C]},
    ]
    assert result.succeeded
    assert [reply.repeated for reply in result.replies] == [False, True, True]


def test_what_is_never_processed_is_told() -> None:
    """After ten requests without progress."""
    transport = Answers(*[{"u": [PUT_C]}] * 20)
    result = written(transport)
    assert (result.unprocessed, result.refused, result.error) == ((("u", C),), (), None)
    assert not result.succeeded
    assert len(result.request_outcomes) == len(transport.requests) == 10


@pytest.mark.parametrize("after_a_part", [False, True])
@pytest.mark.parametrize("outcome", [*RequestOutcome, None])
def test_an_error_is_the_outcome_of_what_was_in_its_request(
    outcome: RequestOutcome | None, after_a_part: bool
) -> None:
    """Refused, or unknown if it may have been written; what an earlier request wrote is written."""
    error: Exception = ServiceError("no", code="X", operation="BatchWriteItem")
    if outcome is not None:
        error = with_outcome(error, outcome)
    transport = Answers(*[{"t": [PUT_A]}] * after_a_part, error)
    result = written(transport)
    keys = (("t", A),) if after_a_part else EVERY_KEY
    is_unknown = outcome is RequestOutcome.UNKNOWN
    assert (result.outcome_unknown, result.refused) == ((keys, ()) if is_unknown else ((), keys))
    assert result.error is error and not result.succeeded and result.unprocessed == ()
    assert result.failure is not None and result.failure.error is error
    assert result.failure.repeated is after_a_part
    assert result.request_outcomes == [*result.replies, result.failure]
    assert len(result.replies) == after_a_part


def test_what_may_not_wait_is_refused_with_an_error() -> None:
    """Where so many calls wait for the table already."""
    transport = Answers({"u": [PUT_C]}, {"u": [PUT_C]}, {"u": [PUT_C]})
    result = written(transport, deadline=Deadline(60.0, 0))
    assert isinstance(result.error, ThrottledError)
    assert (result.refused, result.unprocessed, result.failure) == ((("u", C),), (), None)
    assert len(result.request_outcomes) == len(transport.requests)


def test_members_are_sent_25_at_a_time() -> None:
    """In their order."""
    assert [len(part) for part in in_batches(range(51))] == [25, 25, 1]
    assert in_batches([]) == []
    assert [*in_batches("a" * 25)] == ["a" * 25]
    assert [number for part in in_batches(range(51)) for number in part] == list(range(51))


def test_an_interruption_ends_the_batch() -> None:
    """It is no outcome of its writes."""
    with pytest.raises(KeyboardInterrupt):
        written(Answers(KeyboardInterrupt()))
