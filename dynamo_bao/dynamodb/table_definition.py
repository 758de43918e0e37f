"""The definition of the table, and how an existing table differs from it. Nothing here sends requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypedDict

from dynamo_bao.dynamodb.layout import (
    INDEX_IDS,
    ITER_INDEX,
    ITER_PK,
    ITER_SEARCH_INDEX,
    ITER_SK,
    PK,
    SEARCH_TEXT,
    SK,
    TTL,
    index_key_names,
)
from dynamo_bao.runtime.records import frozen

ACTIVE: Final = "ACTIVE"


class KeyElement(TypedDict):
    """An attribute of a key, in the form of DynamoDB's API."""

    AttributeName: str
    KeyType: str


class ProjectionDescription(TypedDict, total=False):
    """What an index holds, in the form of DynamoDB's API."""

    ProjectionType: str
    NonKeyAttributes: list[str]


class _Keyed(TypedDict):
    KeySchema: list[KeyElement]


class _Index(_Keyed):
    IndexName: str


class _Table(_Keyed):
    TableName: str
    TableStatus: str


class IndexDescription(_Index, total=False):
    """What is used of an index in a reply to ``DescribeTable``."""

    IndexStatus: str
    Projection: ProjectionDescription
    ItemCount: int
    IndexSizeBytes: int


class AttributeDefinition(TypedDict):
    """A key attribute, in the form of DynamoDB's API."""

    AttributeName: str
    AttributeType: str


class TableDescription(_Table, total=False):
    """What is used of the ``Table`` in a reply to ``DescribeTable``."""

    AttributeDefinitions: list[AttributeDefinition]
    GlobalSecondaryIndexes: list[IndexDescription]
    ProvisionedThroughput: Mapping[str, int]
    ItemCount: int
    TableSizeBytes: int


class TtlDescription(TypedDict, total=False):
    """What is used of the ``TimeToLiveDescription`` in a reply to ``DescribeTimeToLive``."""

    TimeToLiveStatus: str
    AttributeName: str


@frozen
class IndexLayout:
    """The definition of one index.

    Attributes:
        name: the name of the index.
        partition, sort: its key attributes.
        projection: ``"ALL"``, ``"KEYS_ONLY"`` or ``"INCLUDE"``.
        included: the attributes that it holds besides keys, for ``"INCLUDE"``.
    """

    name: str
    partition: str
    sort: str
    projection: str
    included: tuple[str, ...] = ()

    def parameters(self) -> dict[str, object]:
        """The index in the form of ``CreateTable`` and ``UpdateTable``."""
        projection: dict[str, object] = {"ProjectionType": self.projection}
        if self.included:
            projection["NonKeyAttributes"] = list(self.included)
        return {
            "IndexName": self.name,
            "KeySchema": key_schema(self.partition, self.sort),
            "Projection": projection,
        }

    def attributes(self) -> list[AttributeDefinition]:
        """The definitions of its key attributes."""
        return [{"AttributeName": name, "AttributeType": "S"} for name in (self.partition, self.sort)]

    def faults(self, described: IndexDescription) -> Iterator[str]:
        """How an existing index differs from this one. An index that holds more attributes is fine.

        Args:
            described: the index in a reply to ``DescribeTable``.
        """
        if _pairs(described["KeySchema"]) != _pairs(key_schema(self.partition, self.sort)):
            keys = " and ".join(key["AttributeName"] for key in described["KeySchema"])
            yield f"has the keys {keys} instead of {self.partition} and {self.sort}"
        projection: ProjectionDescription = described.get("Projection", {})
        kind, attributes = projection.get("ProjectionType"), projection.get("NonKeyAttributes", ())
        narrower = self.projection == "ALL" or not set(self.included) <= set(attributes)
        if kind != "ALL" and narrower:
            yield f"holds {_spoken(kind, attributes)} instead of {_spoken(self.projection, self.included)}"


INDEXES: Final = (
    *(IndexLayout(index, *index_key_names(index), "ALL") for index in INDEX_IDS),
    IndexLayout(ITER_INDEX, ITER_PK, ITER_SK, "KEYS_ONLY"),
)
SEARCH_INDEX: Final = IndexLayout(ITER_SEARCH_INDEX, ITER_PK, ITER_SK, "INCLUDE", (SEARCH_TEXT,))


def wanted_indexes(search: bool) -> tuple[IndexLayout, ...]:
    """The indexes that a table needs; with the search index if `search` is true."""
    return (*INDEXES, SEARCH_INDEX) if search else INDEXES


def table_definition(name: str, search: bool = False) -> dict[str, object]:
    """The ``CreateTable`` parameters: on-demand billing, five indexes and the iteration index.

    Args:
        name: the name of the table.
        search: whether the table also has the search index; models that are searchable and iterable need it.
    """
    attributes = (
        IndexLayout("", PK, SK, "ALL").attributes(),
        *(index.attributes() for index in INDEXES),
    )
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [definition for pair in attributes for definition in pair],
        "KeySchema": key_schema(PK, SK),
        "GlobalSecondaryIndexes": [index.parameters() for index in wanted_indexes(search)],
    }


def key_schema(partition: str, sort: str) -> list[KeyElement]:
    """A key of two attributes, in the form of DynamoDB's API."""
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def addition(table: TableDescription, index: IndexLayout) -> dict[str, object]:
    """The ``UpdateTable`` parameters that add an index. A provisioned table gives the index its own throughput.

    Args:
        table: the ``Table`` of a reply to ``DescribeTable``.
        index: the index to add.
    """
    created = index.parameters()
    units = {
        name: table.get("ProvisionedThroughput", {}).get(name, 0)
        for name in ("ReadCapacityUnits", "WriteCapacityUnits")
    }
    if all(units.values()):
        created["ProvisionedThroughput"] = units
    return {
        "TableName": table["TableName"],
        "AttributeDefinitions": index.attributes(),
        "GlobalSecondaryIndexUpdates": [{"Create": created}],
    }


def described_indexes(table: TableDescription) -> dict[str, IndexDescription]:
    """The indexes of a described table, by name."""
    return {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes") or ()}


def missing_indexes(table: TableDescription, search: bool = False) -> list[IndexLayout]:
    """The indexes that a described table lacks, in the order in which they are added."""
    existing = described_indexes(table)
    return [index for index in wanted_indexes(search) if index.name not in existing]


def key_fault(table: TableDescription) -> str | None:
    """The fault of a described table's key, as a sentence with the remedy; None if the key is right."""
    if _pairs(table["KeySchema"]) == _pairs(key_schema(PK, SK)):
        return None
    keys = " and ".join(key["AttributeName"] for key in table["KeySchema"])
    return f"Table {table['TableName']} has the key {keys} instead of {PK} and {SK}; use another table."


def index_faults(table: TableDescription, search: bool = False) -> list[str]:
    """The faults of a described table's indexes that no update can repair, as sentences with the remedy.

    Args:
        table: the ``Table`` of a reply to ``DescribeTable``.
        search: whether the table needs the search index.
    """
    existing = described_indexes(table)
    return [
        f"Index {index.name} of table {table['TableName']} {fault}; delete the index, then run 'bao update-table'."
        for index in wanted_indexes(search)
        if index.name in existing
        for fault in index.faults(existing[index.name])
    ]


def lacks_ttl(described: TtlDescription) -> bool:
    """Whether a table's time to live is off.

    Args:
        described: the ``TimeToLiveDescription`` of a reply to ``DescribeTimeToLive``.
    """
    return bool(described.get("TimeToLiveStatus", "DISABLED") == "DISABLED")


def ttl_fault(table: str, described: TtlDescription) -> str | None:
    """The fault of a table's time to live that cannot be repaired now, as a sentence; None if it has no fault."""
    if described.get("TimeToLiveStatus") == "DISABLING":
        return f"The TTL of table {table} is being disabled; run 'bao update-table' again in an hour."
    attribute = described.get("AttributeName", TTL)
    if lacks_ttl(described) or attribute == TTL:
        return None
    return (
        f"The TTL of table {table} is enabled on the attribute {attribute} instead of {TTL}, so no item with a "
        f"TtlField expires; disable it, and run 'bao update-table' again in an hour."
    )


def busy(table: TableDescription) -> str | None:
    """Why a described table takes no changes now, such as ``"index gsi2 is CREATING"``; None if it takes them."""
    for name, index in described_indexes(table).items():
        status = index.get("IndexStatus", ACTIVE)
        if status != ACTIVE:
            return f"index {name} is {status}"
    status = table["TableStatus"]
    return None if status == ACTIVE else f"the table is {status}"


def _pairs(keys: Iterable[KeyElement]) -> set[tuple[str, str]]:
    return {(key["AttributeName"], key["KeyType"]) for key in keys}


def _spoken(projection: str | None, included: Iterable[str]) -> str:
    if projection == "ALL":
        return "whole items"
    return f"keys and {', '.join(included)}" if projection == "INCLUDE" else "keys only"
