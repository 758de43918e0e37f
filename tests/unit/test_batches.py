"""One batch of keys, asked until every key is answered, against a table in memory."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dynamo_bao import ServiceError, ThrottledError
from dynamo_bao.dynamodb.items import key_texts_of
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.transport.batch_get import Batch, BatchAnswer, TableKey, fetch_batch
from dynamo_bao.dynamodb.transport.messages import Clock, Reply, Request
from dynamo_bao.errors import TableNotFoundError
from tests.support.clocks import FakeTime


class Tables:
    """A transport over tables in memory, seeded, with faults to order.

    Args:
        items: what is stored, by table and key.
        unprocessed: the share of keys left unprocessed in each reply.
        stuck: keys that are never processed.
        denied: tables that make a request fail as a whole, with the error.
        most: how many keys a reply processes at most.
    """

    def __init__(
        self,
        items: dict[TableKey, dict[str, Any]],
        *,
        unprocessed: float = 0.0,
        stuck: frozenset[TableKey] = frozenset(),
        denied: dict[str, Exception] | None = None,
        seed: int = 0,
        most: int = 100,
    ) -> None:
        self.most = most
        self.items = items
        self.unprocessed = unprocessed
        self.stuck = stuck
        self.denied = denied or {}
        self.random = random.Random(seed)
        self.time = FakeTime()
        self.requests: list[Request] = []
        self.deadlines: list[float] = []

    @property
    def clock(self) -> Clock:
        return self.time.clock

    def close(self) -> None:
        """Nothing to give back."""

    def send(self, request: Request, *, deadline: float) -> Reply:
        self.requests.append(request)
        self.deadlines.append(deadline)
        assert request.operation == "BatchGetItem"
        asked = request.parameters["RequestItems"]
        for table, error in self.denied.items():
            if table in asked:
                raise error
        responses: dict[str, list[Any]] = {}
        left: dict[str, Any] = {}
        for table, entry in asked.items():
            keys = [Key(key["_pk"]["S"], key["_sk"]["S"]) for key in entry["Keys"]]
            assert len(set(keys)) == len(keys), "DynamoDB refuses a key that is asked for twice"
            self.random.shuffle(keys)
            for key in keys:
                spot = (table, key)
                processed = sum(map(len, responses.values()))
                if processed >= self.most or spot in self.stuck or self.random.random() < self.unprocessed:
                    left.setdefault(table, {**entry, "Keys": []})["Keys"].append(key.as_item())
                elif spot in self.items:
                    responses.setdefault(table, []).append(self.items[spot])
        return Reply(request, {"Responses": responses, "UnprocessedKeys": left})

    def asked(self) -> list[list[TableKey]]:
        """The keys of each request."""
        return [
            [
                (table, Key(key["_pk"]["S"], key["_sk"]["S"]))
                for table, entry in request.parameters["RequestItems"].items()
                for key in entry["Keys"]
            ]
            for request in self.requests
        ]


def spot(number: int, table: str = "t") -> TableKey:
    return table, Key(f"u#{number}", "u")


def stored(*numbers: int, table: str = "t") -> dict[TableKey, dict[str, Any]]:
    return {
        spot(number, table): {**spot(number, table)[1].as_item(), "n": {"N": str(number)}, "t": {"S": table}}
        for number in numbers
    }


def fetch(tables: Tables, *keys: TableKey, consistent: bool = False, deadline: float = 60.0) -> Any:
    by_table: dict[str, list[Key]] = {}
    for table, key in keys:
        by_table.setdefault(table, []).append(key)
    return fetch_batch(tables, Batch(by_table, consistent), deadline)


def found(answer: BatchAnswer) -> dict[TableKey, dict[str, Any]]:
    """The items of an answer by table and key."""
    return {
        (table, Key(*key_texts_of(item))): item for table, items in answer.items.items() for item in items
    }


def left(answer: BatchAnswer) -> set[TableKey]:
    """The keys that an answer has no outcome for."""
    return {(table, key) for table, keys in answer.unanswered.items() for key in keys}


def test_found_and_missing_are_told_apart_by_key() -> None:
    """Items come in any order and are filed under their own keys; a key in no part is not stored."""
    items = stored(*range(0, 100, 2))
    for seed in range(5):
        answer = fetch(Tables(items, seed=seed), *map(spot, range(100)))
        assert found(answer) == items
        assert not answer.unanswered
        assert not answer.failed
        assert len(answer.replies) == 1


def test_the_request_is_one_batch_get_with_the_keys_in_order() -> None:
    """All tables in one request, with capacity reported; eventual reads say nothing of consistency."""
    tables = Tables({})
    fetch(tables, spot(1), spot(2, "other"), spot(3))
    (request,) = tables.requests
    assert request.repeatable
    assert request.parameters == {
        "RequestItems": {
            "t": {"Keys": [spot(1)[1].as_item(), spot(3)[1].as_item()]},
            "other": {"Keys": [spot(2)[1].as_item()]},
        },
        "ReturnConsumedCapacity": "TOTAL",
    }


def test_equal_keys_of_two_tables_are_two_items() -> None:
    """The table is part of what tells an item."""
    items = {**stored(1, table="a"), **stored(1, table="b")}
    answer = fetch(Tables(items), spot(1, "a"), spot(1, "b"), spot(1, "c"))
    assert found(answer) == items
    assert found(answer)[spot(1, "b")]["t"] == {"S": "b"}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.promise("R1")
def test_unprocessed_keys_are_asked_again_until_all_are_answered(seed: int) -> None:
    """With 30 % left in every reply nothing is lost, doubled or taken for missing."""
    items = stored(*range(0, 100, 3))
    tables = Tables(items, unprocessed=0.3, seed=seed)
    answer = fetch(tables, *map(spot, range(100)))
    assert found(answer) == items
    assert not answer.unanswered
    assert len(answer.replies) == len(tables.requests) > 1
    assert [reply.repeated for reply in answer.replies] == [False, *[True] * (len(tables.requests) - 1)]
    for earlier, later in zip(tables.asked(), tables.asked()[1:], strict=False):
        assert set(later) <= set(earlier)


@pytest.mark.promise("R2")
def test_keys_never_processed_are_unanswered_and_not_missing() -> None:
    """What came is delivered, and the rest is named, after ten requests; no wait passes the deadline."""
    items = stored(*range(10))
    stuck = frozenset(map(spot, (3, 4, 77)))
    tables = Tables(items, stuck=stuck)
    answer = fetch(tables, *map(spot, range(100)), deadline=20.0)
    assert left(answer) == stuck
    assert found(answer) == {key: item for key, item in items.items() if key not in stuck}
    assert not answer.failed
    assert tables.time.now() <= 20.0
    assert set(tables.deadlines) == {20.0}
    assert len(tables.requests) == 10
    assert sum(reply.waited for reply in answer.replies) == pytest.approx(sum(tables.time.slept))


@pytest.mark.parametrize(("stuck", "keys"), [((3,), "1 key"), ((3, 4), "2 keys")])
def test_the_complaint_counts_keys_and_requests(stuck: tuple[int, ...], keys: str) -> None:
    """How many keys have no answer, and after how many requests."""
    answer = fetch(Tables({}, stuck=frozenset(map(spot, stuck))), *map(spot, range(10)))
    text = f"DynamoDB left {keys} unprocessed, also in the last of 10 requests. Raise the table's capacity"
    assert answer.complaint.startswith(text)


@pytest.mark.promise("R8")
def test_a_full_reply_is_followed_at_once() -> None:
    """Replies that hold ten items each, as one partition allows of large ones, cost ten requests and no waits."""
    items = stored(*range(100))
    tables = Tables(items, most=10)
    answer = fetch(tables, *map(spot, range(100)))
    assert found(answer) == items
    assert len(tables.requests) == 10
    assert tables.time.slept == []
    print(
        f"\nR8: 100 keys in replies of 10: {len(tables.requests)} requests, {tables.time.now()} s of waiting"
    )


@pytest.mark.promise("R9")
def test_a_consistent_read_stays_consistent_when_it_is_repeated() -> None:
    """Every repeated request of a consistent batch asks for consistency."""
    tables = Tables(stored(1, 2), unprocessed=0.5, seed=3)
    fetch(tables, *map(spot, range(50)), consistent=True)
    assert len(tables.requests) > 1
    for request in tables.requests:
        assert all(entry["ConsistentRead"] is True for entry in request.parameters["RequestItems"].values())
    print(f"\nR9: 0 downgrades in {len(tables.requests)} requests for one batch")


def test_a_request_refused_because_of_one_table_is_repeated_for_each() -> None:
    """The keys of the other tables are answered; those of the missing one have its error."""
    missing = TableNotFoundError("no table", code="ResourceNotFoundException", operation="BatchGetItem")
    items = {**stored(1, 2, table="a"), **stored(1, table="c")}
    tables = Tables(items, denied={"b": missing})
    keys = [spot(1, "a"), spot(1, "b"), spot(2, "a"), spot(2, "b"), spot(1, "c"), spot(9, "c")]
    answer = fetch(tables, *keys)
    assert found(answer) == items
    assert answer.failed == {spot(1, "b"): missing, spot(2, "b"): missing}
    assert not answer.unanswered
    assert [sorted({table for table, _ in asked}) for asked in tables.asked()] == [
        ["a", "b", "c"],
        ["a"],
        ["b"],
        ["c"],
    ]


@pytest.mark.parametrize("code", ["InternalServerError", "ThrottlingException"])
def test_what_no_table_is_at_fault_for_is_not_repeated_for_each(code: str) -> None:
    """A service that fails, or has enough, is not asked once more for every table."""
    failed = ServiceError("no", code=code, operation="BatchGetItem")
    tables = Tables(stored(1, table="a"), denied={"b": failed})
    answer = fetch(tables, spot(1, "a"), spot(1, "b"))
    assert answer.failed == {spot(1, "a"): failed, spot(1, "b"): failed}
    assert len(tables.requests) == 1


def test_a_refused_table_does_not_end_the_retries_of_the_others() -> None:
    """Keys left unprocessed in the repeated requests are asked for again too, those of every table."""
    denied = ServiceError("no", code="AccessDeniedException", operation="BatchGetItem")
    items = {**stored(*range(40), table="a"), **stored(*range(40), table="c")}
    tables = Tables(items, unprocessed=0.4, denied={"b": denied}, seed=1)
    keys = [spot(number, table) for table in "ac" for number in range(40)]
    answer = fetch(tables, spot(1, "b"), *keys)
    assert found(answer) == items
    assert answer.failed == {spot(1, "b"): denied}
    assert not answer.unanswered


@pytest.mark.parametrize(
    "error",
    [
        ThrottledError("slow", code="ThrottlingException", operation="BatchGetItem"),
        OSError("no network"),
    ],
)
def test_an_error_that_is_not_one_table_s_is_not_repeated_per_table(error: Exception) -> None:
    """Throttling and the network concern all keys; asking for each table would only make it worse."""
    tables = Tables({}, denied={"b": error})
    answer = fetch(tables, spot(1, "a"), spot(1, "b"))
    assert answer.failed == {spot(1, "a"): error, spot(1, "b"): error}
    assert len(tables.requests) == 1


def test_an_error_is_the_outcome_of_its_keys_and_not_an_exception() -> None:
    """A request for one table that fails leaves each of its keys with the reason."""
    error = ServiceError("no", code="ValidationException", operation="BatchGetItem")
    answer = fetch(Tables({}, denied={"t": error}), spot(1), spot(2))
    assert answer.failed == {spot(1): error, spot(2): error}
    assert not answer.items
    assert not answer.unanswered


def test_an_interruption_is_no_outcome() -> None:
    """`KeyboardInterrupt` comes out at once."""

    class Interrupted(Tables):
        def send(self, request: Request, *, deadline: float) -> Reply:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(Interrupted({}), spot(1))
