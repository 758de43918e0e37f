"""What the table has to look like, and how a described one is judged; no engine is asked."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao.layout import (
    INDEXES,
    SEARCH_INDEX,
    addition,
    busy,
    index_faults,
    key_fault,
    lacks_ttl,
    missing_indexes,
    table_definition,
    ttl_fault,
)


def described(search: bool = True, **changes: Any) -> dict[str, Any]:
    """A table as DynamoDB describes it after it was created from our definition."""
    table = table_definition("app", search)
    return {**table, "TableStatus": "ACTIVE", **changes}


def without(*names: str) -> dict[str, Any]:
    """The same, without some of its indexes."""
    indexes = [i for i in described()["GlobalSecondaryIndexes"] if i["IndexName"] not in names]
    return described(GlobalSecondaryIndexes=indexes)


def with_index(name: str, **changes: Any) -> dict[str, Any]:
    """The same, with one index changed."""
    indexes = [
        {**index, **changes} if index["IndexName"] == name else index
        for index in described()["GlobalSecondaryIndexes"]
    ]
    return described(GlobalSecondaryIndexes=indexes)


def test_a_table_made_from_the_definition_lacks_nothing() -> None:
    """What create_table makes, update_table leaves as it is."""
    for search in (True, False):
        table = described(search)
        assert missing_indexes(table, search) == []
        assert index_faults(table, search) == []
        assert key_fault(table) is None
        assert busy(table) is None


def test_missing_indexes_come_in_the_order_of_the_definition() -> None:
    """A table lacks what the definition has and it has not; the search index only where it is needed."""
    assert [index.name for index in missing_indexes(without("gsi2", "iter_index"))] == ["gsi2", "iter_index"]
    assert missing_indexes(without("iter_search_index"), search=False) == []
    assert missing_indexes(without("iter_search_index"), search=True) == [SEARCH_INDEX]
    assert missing_indexes({"TableName": "app"}) == list(INDEXES)


def test_an_index_with_other_keys_is_a_fault() -> None:
    """Queries would fail on it, and no update can change an index's keys."""
    keys = [
        {"AttributeName": "_gsi1_pk", "KeyType": "HASH"},
        {"AttributeName": "created", "KeyType": "RANGE"},
    ]
    (fault,) = index_faults(with_index("gsi1", KeySchema=keys))
    assert fault == (
        "Index gsi1 of table app has the keys _gsi1_pk and created instead of _gsi1_pk and _gsi1_sk; "
        "delete the index, then run 'bao update-table'."
    )
    swapped = [
        {"AttributeName": "_gsi1_sk", "KeyType": "HASH"},
        {"AttributeName": "_gsi1_pk", "KeyType": "RANGE"},
    ]
    assert len(index_faults(with_index("gsi1", KeySchema=swapped))) == 1


@pytest.mark.parametrize(
    ("index", "projection", "shown"),
    [
        ("gsi1", {"ProjectionType": "KEYS_ONLY"}, "holds keys only instead of whole items"),
        (
            "gsi1",
            {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["name"]},
            "holds keys and name instead of whole items",
        ),
        (
            "iter_search_index",
            {"ProjectionType": "KEYS_ONLY"},
            "holds keys only instead of keys and _searchText",
        ),
    ],
)
def test_an_index_that_holds_too_little_is_a_fault(
    index: str, projection: dict[str, Any], shown: str
) -> None:
    """A query on it would bring items without their fields."""
    (fault,) = index_faults(with_index(index, Projection=projection), search=True)
    assert shown in fault


@pytest.mark.parametrize(
    ("index", "projection"),
    [
        ("iter_index", {"ProjectionType": "ALL"}),
        ("iter_index", {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["name"]}),
        ("iter_search_index", {"ProjectionType": "ALL"}),
        (
            "iter_search_index",
            {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["name", "_searchText"]},
        ),
    ],
)
def test_an_index_that_holds_more_than_it_needs_is_fine(index: str, projection: dict[str, Any]) -> None:
    """It costs more to write, and answers every query."""
    assert index_faults(with_index(index, Projection=projection), search=True) == []


def test_a_table_with_other_keys_is_told() -> None:
    """Such a table is somebody else's."""
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    assert key_fault(described(KeySchema=keys)) == (
        "Table app has the key id instead of _pk and _sk; use another table."
    )


def test_a_table_is_busy_while_it_or_an_index_is_not_active() -> None:
    """DynamoDB takes one change of indexes at a time."""
    assert busy(with_index("gsi3", IndexStatus="CREATING")) == "index gsi3 is CREATING"
    assert busy(with_index("gsi3", IndexStatus="ACTIVE")) is None
    assert busy(described(TableStatus="UPDATING")) == "the table is UPDATING"


def test_an_added_index_gets_the_throughput_of_a_provisioned_table() -> None:
    """DynamoDB refuses an index without throughput there, and one with it on a table that is on demand."""
    provisioned = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 3, "NumberOfDecreasesToday": 0}
    parameters = addition(described(ProvisionedThroughput=provisioned), SEARCH_INDEX)
    (update,) = parameters["GlobalSecondaryIndexUpdates"]
    assert update["Create"]["ProvisionedThroughput"] == {"ReadCapacityUnits": 7, "WriteCapacityUnits": 3}
    on_demand = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
    (update,) = addition(described(ProvisionedThroughput=on_demand), SEARCH_INDEX)[
        "GlobalSecondaryIndexUpdates"
    ]
    assert "ProvisionedThroughput" not in update["Create"]


def test_the_state_of_ttl() -> None:
    """Only a disabled TTL is enabled; one on another attribute, or one on its way out, is told."""
    assert lacks_ttl({})
    assert lacks_ttl({"TimeToLiveStatus": "DISABLED"})
    for status in ("ENABLED", "ENABLING"):
        there = {"TimeToLiveStatus": status, "AttributeName": "ttl"}
        assert not lacks_ttl(there)
        assert ttl_fault("app", there) is None
        assert "on the attribute expires" in str(ttl_fault("app", {**there, "AttributeName": "expires"}))
    leaving = {"TimeToLiveStatus": "DISABLING", "AttributeName": "ttl"}
    assert not lacks_ttl(leaving)
    assert "is being disabled" in str(ttl_fault("app", leaving))
    assert ttl_fault("app", {"TimeToLiveStatus": "DISABLED"}) is None
