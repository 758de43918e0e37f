"""What a search of a large model costs: pages that grow, a warning, and a refusal; on an index that is made up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_bao import Manager, Model, PrimaryKey, QueryError, StringField, init_models
from dynamo_bao.testing import FaultInjectingTransport, embedded_transport

ENTRY_BYTES = 250
PAGE_ENTRIES = 1024 * 1024 // ENTRY_BYTES
"""How many entries a megabyte holds."""


class Note(Model, prefix="sc", name="CostNote", iterable=True, iteration_buckets=10, searchable=["text"]):
    note_id: str = StringField()
    text: str = ""
    primary_key = PrimaryKey("note_id")


class LargeIndex:
    """Answers queries of the search index as one with so many entries would, none of which match.

    Args:
        entries: how many there are in all.
        counted: how many DescribeTable says there are.
    """

    def __init__(self, entries: int, counted: int | None = None) -> None:
        self.per_bucket = entries // 10
        self.counted = entries if counted is None else counted
        self.queries = 0
        self.limits: list[int] = []
        self.described = 0

    def __call__(self, request: Any, send: Any, chance: Any) -> dict[str, Any]:
        if request.operation == "DescribeTable":
            self.described += 1
            body: dict[str, Any] = send(request)
            return {
                **body,
                "Table": {**body["Table"], "ItemCount": self.counted, "GlobalSecondaryIndexes": []},
            }
        assert request.operation == "Query"
        self.queries += 1
        parameters = request.parameters
        self.limits.append(parameters["Limit"])
        begun = int(parameters.get("ExclusiveStartKey", {"_iter_sk": {"S": "0"}})["_iter_sk"]["S"])
        page = min(parameters["Limit"], PAGE_ENTRIES, self.per_bucket - begun)
        body = {
            "Items": [],
            "Count": 0,
            "ScannedCount": page,
            "ConsumedCapacity": {"CapacityUnits": max(0.5, page * ENTRY_BYTES / 8192)},
        }
        if begun + page < self.per_bucket:
            partition = parameters["ExpressionAttributeValues"][":bucket"]
            spot = {"S": str(begun + page)}
            body["LastEvaluatedKey"] = {"_pk": spot, "_sk": spot, "_iter_pk": partition, "_iter_sk": spot}
        return body


@pytest.fixture
def transport() -> FaultInjectingTransport:
    return FaultInjectingTransport(embedded_transport().wire)


@pytest.fixture(autouse=True)
def manager(transport: FaultInjectingTransport) -> Iterator[Manager]:
    with init_models(models=[Note], transport=transport) as manager:
        manager.create_table()
        yield manager


def test_pages_grow_to_a_megabyte(transport: FaultInjectingTransport) -> None:
    """A million entries are looked at in little more requests than there are megabytes."""
    index = LargeIndex(1_000_000)
    transport.inject(index)
    assert not Note.search_all(["x"], limit=None, allow_scan=True)
    print(f"\na search of 1,000,000 entries: {index.queries} requests")
    assert index.queries <= 1_000_000 / PAGE_ENTRIES * 1.2
    assert index.limits[0] == 100
    assert index.described == 0


def test_a_size_that_is_given_stays(transport: FaultInjectingTransport) -> None:
    """Whoever says how many entries a request looks at means that."""
    index = LargeIndex(3_000)
    transport.inject(index)
    assert not Note.search_all(["x"], batch_size=50)
    assert set(index.limits) == {50}


def test_a_search_of_many_units_is_warned_of(
    transport: FaultInjectingTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, from 1,000 read units on, with the line and figures as fields."""
    transport.inject(LargeIndex(90_000))
    with caplog.at_level(logging.WARNING, "dynamo_bao.search"):
        Note.search_all(["x"], limit=None)
    (record,) = caplog.records
    assert "test_search_cost.py" in record.getMessage()
    assert vars(record)["operation"] == "search"
    assert vars(record)["read_units"] >= 1_000
    caplog.clear()
    transport.inject(LargeIndex(20_000))
    Note.search_all(["x"], limit=None)
    assert caplog.records == []


@pytest.mark.parametrize(
    "search", [Note.search_all, lambda terms, **options: Note.search_bucket(3, terms, **options)]
)
def test_a_search_of_a_large_index_is_refused(transport: FaultInjectingTransport, search: Any) -> None:
    """After a few thousand entries the table is asked how many there are; the error says what to do."""
    index = LargeIndex(1_000_000)
    transport.inject(index)
    with pytest.raises(QueryError, match=r"about 1,000,000 entries.*allow_scan=True"):
        search(["x"], limit=None)
    assert index.described == 1
    assert index.queries <= 12
    transport.inject(LargeIndex(1_000_000))
    assert not search(["x"], limit=None, allow_scan=True)


def test_a_search_is_refused_by_what_it_has_looked_at(transport: FaultInjectingTransport) -> None:
    """DynamoDB's figure is some hours old; a hundred thousand entries end the search in any case."""
    index = LargeIndex(1_000_000, counted=0)
    transport.inject(index)
    with pytest.raises(QueryError, match=r"has read 1\d\d,\d\d\d entries.*allow_scan=True"):
        Note.search_all(["x"], limit=None)


def test_a_small_search_asks_nothing_more(transport: FaultInjectingTransport) -> None:
    """No DescribeTable where few entries are looked at, and none where the search is done."""
    for entries in (1_000, 99_000):
        index = LargeIndex(entries)
        transport.inject(index)
        assert not Note.search_all(["x"], limit=None)
        assert index.described == (entries > 5_000)
