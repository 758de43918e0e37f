"""Scanners read all items of a model: from its iteration index, from one partition, or by a scan of the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil
from typing import Any, Final, Protocol

from dynamo_bao.dynamodb.items import key_texts_of
from dynamo_bao.dynamodb.keys import Key, new_namedtuple, parse_partition_key, tenant_mark
from dynamo_bao.dynamodb.layout import ITER_INDEX, PK
from dynamo_bao.dynamodb.service import MAX_BATCH_GET_KEYS, QUERY, SCAN, Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.table_admin import describe_table
from dynamo_bao.dynamodb.table_definition import TableDescription
from dynamo_bao.dynamodb.thread_pool import ThreadPool
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import ServiceError
from dynamo_bao.mapping.key_schema import IndexSchema
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.repository import Repository
from dynamo_bao.reads.bucket_reader import BucketReader, Page
from dynamo_bao.reads.get_item import get_items
from dynamo_bao.reads.iteration import buckets_of
from dynamo_bao.runtime.records import frozen
from dynamo_bao.session.requests import send
from dynamo_bao.session.state import ModelMapper

PAGE: Final = 500
"""The number of rows of a page of a query or scan; fewer if they exceed one megabyte."""
INDEX_PAGE: Final = MAX_BATCH_GET_KEYS
"""The number of entries of a page of the iteration index, whose items are read in one request."""
ANY_TENANT: Final = "*"
"""In place of a tenant: all tenants, and items without a tenant."""
_UNIT_BYTES: Final = 8192
"""The bytes that one read unit reads without strong consistency."""
_ITEM_BYTES: Final = 4096
"""A read by key costs half a read unit for each step of this many bytes."""
_ENTRY_BYTES: Final = 100
"""The assumed size of an entry of the iteration index, if the table does not state it."""
WORTH_CHOOSING: Final = 100
"""The cost in read units from which a scan is considered in place of the iteration index."""


@frozen
class ItemPage:
    """One page of a model's items.

    Attributes:
        items: the stored items; empty if they are only counted.
        count: the number of items.
        row_count: the number of rows that were read for them.
        position: where to continue after them, as plain JSON; None at the end.
    """

    items: Sequence[Item]
    count: int
    row_count: int
    position: Any


@frozen
class Size:
    """The size of a table, as DynamoDB last measured it (about every six hours).

    Attributes:
        items: the number of its items.
        bytes: their size in bytes.
    """

    items: int
    bytes: int

    @property
    def scan_units(self) -> int:
        """The read units that a scan of the table consumes."""
        return ceil(self.bytes / _UNIT_BYTES)

    def __str__(self) -> str:
        items = f"about {self.items:,} item{'s' if self.items != 1 else ''}"
        units = f"{self.scan_units:,} read unit{'s' if self.scan_units != 1 else ''}"
        return f"{items}, {_spoken(self.bytes)}: {units}" if self.bytes else items


def _spoken(size: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if size >= 10 or unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def table_size(database: Database) -> Size:
    """The size of the table; zeros if the table does not exist."""
    return _size_of(describe_table(database))


def _size_of(table: TableDescription | None) -> Size:
    if table is None:
        return Size(0, 0)
    return Size(table.get("ItemCount") or 0, table.get("TableSizeBytes") or 0)


class Scanner(Protocol):
    """Reads all items of a model, in one of several ways."""

    @property
    def about(self) -> str:
        """What it reads, in words."""
        ...

    @property
    def scans(self) -> bool:
        """Whether it reads the whole table."""
        ...

    def total(self) -> int | None:
        """The number of rows; None if unknown."""
        ...

    def pages(self, position: object = None, *, counting: bool = False) -> Iterator[ItemPage]:
        """The items page by page, from a position or from the start; only their number if `counting` is set."""
        ...


def scanner_for(mapper: ModelMapper, tenant: str | None, *, stored: bool = False) -> Scanner:
    """The cheapest scanner of all items of a model, by its declaration.

    Args:
        mapper: the repository of the model.
        tenant: the tenant of the items; None for items without a tenant, `ANY_TENANT` for all.
        stored: whether to find items whose index and iteration keys are missing or wrong, too.

    Returns:
        The scanner, for `count_items` and `export_items`.

    Example:
        >>> scanner_for(manager.repository(User), None)
    """
    schema = mapper.schema
    if tenant == ANY_TENANT:
        return Scan(mapper, tenant)
    if schema.primary.partition.field is None:
        return Partition(mapper, tenant)
    if not stored:
        if schema.iterable:
            return Iterating(mapper, tenant)
        index = next((index for index in schema.indexes.values() if _holds_all(index)), None)
        if index is not None:
            return Partition(mapper, tenant, index)
    return Scan(mapper, tenant)


@frozen
class Choice:
    """A scanner of a model's items, and the reason for it.

    Attributes:
        way: the scanner.
        reason: the costs of the scanners, in words; None if there was no choice.
    """

    way: Scanner
    reason: str | None = None


def cheapest_way(
    mapper: Repository[Any],
    tenant: str | None,
    *,
    stored: bool = False,
    counting: bool = False,
    earlier: str | None = None,
) -> Choice:
    """`scanner_for`, or a scan if that costs less than the iteration index, by the sizes that the table states.

    Args:
        tenant: the tenant of the items; `ANY_TENANT` for all.
        stored: whether to find items whose index and iteration keys are missing or wrong, too.
        counting: whether the items are only counted, and not read.
        earlier: the scanner's `about` of an interrupted run of the same job, to continue with that scanner.
    """
    way, scan = scanner_for(mapper, tenant, stored=stored), Scan(mapper, tenant)
    if not isinstance(way, Iterating):
        return Choice(way)
    if earlier is not None:
        return Choice(scan if earlier == scan.about else way)
    costs = _Costs.of(mapper.database)
    if costs is None or costs.iterating(costs.entries, counting) < WORTH_CHOOSING:
        return Choice(way)
    number, scanning = costs.entries, costs.size.scan_units
    if costs.iterating(number, counting) > scanning and not _is_alone(mapper, tenant):
        number = way.total()
    iterating = costs.iterating(number, counting)
    reason = f"its iteration index costs about {iterating:,.0f} read units, a scan of the table {scanning:,}"
    return Choice(way if iterating <= scanning else scan, reason)


def _is_alone(mapper: Repository[Any], tenant: str | None) -> bool:
    """Whether only this model has entries in the iteration index, by what this program declares."""
    iterable_models = [
        model for model in mapper.registry.model_classes().values() if schema_of(model).iterable
    ]
    return tenant is None and iterable_models == [mapper.model]


@frozen
class _Costs:
    """The costs of scanners of a table, in read units, from the sizes of DescribeTable.

    Attributes:
        size: the table's size.
        entries: the number of entries of its iteration index, of all models and tenants.
        entry_bytes: the size of an entry.
    """

    size: Size
    entries: int
    entry_bytes: float

    @classmethod
    def of(cls, database: Database) -> _Costs | None:
        """The costs for a table; None if it does not state its size."""
        try:
            table = describe_table(database)
        except ServiceError:  # the credentials may allow reading the table, but not describing it
            return None
        size = _size_of(table)
        if table is None or not (size.items and size.bytes):
            return None
        indexes = table.get("GlobalSecondaryIndexes") or ()
        iteration_indexes = [index for index in indexes if index.get("IndexName") == ITER_INDEX]
        entries = iteration_indexes[0].get("ItemCount") if iteration_indexes else None
        index_bytes = iteration_indexes[0].get("IndexSizeBytes") if iteration_indexes else None
        if entries is None:
            return cls(size, size.items, _ENTRY_BYTES)
        return cls(size, entries, index_bytes / entries if entries and index_bytes else _ENTRY_BYTES)

    def iterating(self, number: int, counting: bool) -> float:
        """The cost of `number` entries, with their items unless these are only counted."""
        read_units_of_item = 0.0 if counting else ceil(self.size.bytes / self.size.items / _ITEM_BYTES) / 2
        return number * (self.entry_bytes / _UNIT_BYTES + read_units_of_item)


def _holds_all(index: IndexSchema) -> bool:
    """Whether one partition of an index holds every item of the model."""
    owner = index.sort.field
    return index.partition.field is None and (owner is None or not owner.nullable)


@frozen
class Iterating:
    """Reads the iteration index: several buckets in parallel, and their items in batches."""

    mapper: ModelMapper
    tenant: str | None
    scans: bool = False

    @property
    def about(self) -> str:
        return "by its iteration index"

    def total(self) -> int:
        return sum(rows.count for rows in self.pages(counting=True))

    def pages(self, position: object = None, *, counting: bool = False) -> Iterator[ItemPage]:
        mapper = self.mapper
        parameters: dict[str, object] = {"Select": "COUNT"} if counting else {"Limit": INDEX_PAGE}
        buckets, at_once = buckets_of(mapper, "iterate", None), mapper.database.max_concurrency
        reader = BucketReader.of(mapper, None, self.tenant, buckets, at_once, parameters)
        if position is not None:
            reader.resume(position)
        while not reader.is_done:
            pages = reader.read()
            loads = [partial(_load, mapper, page) for page in pages] if not counting else []
            loaded = mapper.database.pool.run(loads, at_once) if loads else [()] * len(pages)
            for page, items in zip(pages, loaded, strict=True):
                reader.acknowledge(page.bucket, page.end)
                yield ItemPage(items, page.count, page.count, None if reader.is_done else reader.position())


def _load(mapper: ModelMapper, page: Page) -> Sequence[Item]:
    """The items of one page of the index, in its order. Deleted items are left out."""
    keys = [new_namedtuple(Key, key_texts_of(row)) for row in page.rows]
    stored_items = get_items(mapper, keys, None)
    return [stored_items[key] for key in keys if key in stored_items]


@frozen
class Partition:
    """Reads the one partition that holds all items of the model: of the table, or of an index."""

    mapper: ModelMapper
    tenant: str | None
    index: IndexSchema | None = None
    scans: bool = False

    @property
    def about(self) -> str:
        return "by its primary key" if self.index is None else f"by its index {self.index.name}"

    def total(self) -> int | None:
        return None

    def pages(self, position: object = None, *, counting: bool = False) -> Iterator[ItemPage]:
        schema, index = self.mapper.schema, self.index
        if index is None:
            name, text = PK, schema.keys.partition_key(self.tenant, "")
        else:
            name, text = index.pk_name, index.pk_text(self.tenant, schema.prefix)
        parameters: dict[str, object] = {
            "KeyConditionExpression": "#partition = :partition",
            "ExpressionAttributeNames": {"#partition": name},
            "ExpressionAttributeValues": {":partition": {"S": text}},
        }
        if index is not None:
            parameters["IndexName"] = index.id
        return pages_of(self.mapper.database, QUERY, parameters, position, counting=counting)


@frozen
class Scan:
    """Scans the whole table, and pays for everything in it.

    Attributes:
        tenant: the tenant of the items; `ANY_TENANT` for all.
    """

    mapper: ModelMapper
    tenant: str | None
    scans: bool = True

    @property
    def about(self) -> str:
        return "by a scan of the whole table"

    def total(self) -> int | None:
        return table_size(self.mapper.database).items or None

    def pages(self, position: object = None, *, counting: bool = False) -> Iterator[ItemPage]:
        database, prefix = self.mapper.database, self.mapper.schema.prefix
        if self.tenant == ANY_TENANT:
            for rows in scanned(database, position):
                items = [item for item in rows.items if _is_of(item, prefix)]
                yield ItemPage(items, len(items), rows.row_count, rows.position)
            return
        lead = f"{tenant_mark(self.tenant)}{prefix}"
        alone = self.mapper.schema.primary.partition.field is None
        parameters = {
            "FilterExpression": "#pk = :lead" if alone else "begins_with(#pk, :lead)",
            "ExpressionAttributeNames": {"#pk": PK},
            "ExpressionAttributeValues": {":lead": {"S": lead if alone else f"{lead}#"}},
        }
        yield from pages_of(database, SCAN, parameters, position, counting=counting)


def _is_of(item: Item, prefix: str) -> bool:
    parsed_key = parse_partition_key(item[PK]["S"])
    return parsed_key is not None and parsed_key.constraint is None and parsed_key.prefix == prefix


def scanned(database: Database, position: object = None) -> Iterator[ItemPage]:
    """Everything in the table, page by page."""
    return pages_of(database, SCAN, {}, position)


def pages_of(
    database: Database,
    operation: str,
    parameters: Mapping[str, object],
    position: object,
    *,
    counting: bool = False,
) -> Iterator[ItemPage]:
    """The pages of a query or scan, after the row with the key `position`."""
    request = {"TableName": database.table_name, "ReturnConsumedCapacity": "TOTAL", **parameters}
    request.update({"Select": "COUNT"} if counting else {"Limit": PAGE})
    while True:
        if position is not None:
            request["ExclusiveStartKey"] = position
        body = send(None, database, "read", (), Request(operation, dict(request))).body
        position = body.get("LastEvaluatedKey") or None
        count = body.get("Count", 0)
        yield ItemPage(body.get("Items", ()), count, body.get("ScannedCount", count), position)
        if position is None:
            return


def read_ahead(pages: Iterator[ItemPage], pool: ThreadPool) -> Iterator[ItemPage]:
    """The same pages. While the caller works on one of them, the next one is read in another thread."""
    page = next(pages, None)
    while page is not None:
        next_page = None if page.position is None else pool.start(partial(next, pages, None))
        yield page
        page = None if next_page is None else next_page()


def in_batches(mapper: ModelMapper, keys: Iterable[Key], pool: ThreadPool) -> dict[Key, Item]:
    """Many stored items by key, read consistently in parallel batches. Missing items are left out."""
    distinct_keys = list(dict.fromkeys(keys))
    size = MAX_BATCH_GET_KEYS
    parts = [distinct_keys[start : start + size] for start in range(0, len(distinct_keys), size)]
    calls = [partial(get_items, mapper, part, None, consistent=True) for part in parts]
    items: dict[Key, Item] = {}
    for part in pool.run(calls, mapper.database.max_concurrency) if calls else ():
        items.update(part)
    return items
