"""The items of one table, and of its indexes, in the order of their keys."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

import msgspec

from dynamo_bao.dynamodb.transport.embedded.errors import invalid
from dynamo_bao.dynamodb.transport.embedded.expressions.projections import Project, projection
from dynamo_bao.dynamodb.transport.embedded.values import (
    Item,
    Value,
    canonical_item,
    item_size,
    plain,
    sort_value,
)

SortKey = tuple[Any, ...]
"""What orders the items of a partition: the sort key, and in an index the table's keys too."""
Bounds = tuple[Callable[[Any], bool], Callable[[Any], bool]]
"""Whether a sort key comes before a range, and whether it comes behind it."""
_BUCKETS: Final = 4096


class Record:
    """A stored item. It is never changed; a write makes another record.

    Attributes:
        item: the item.
        size: its size in bytes.
    """

    __slots__ = ("_encoded", "item", "size")

    def __init__(self, item: Item) -> None:
        self.item: Item = item
        self.size: int = item_size(item)
        self._encoded: msgspec.Raw | None = None

    @property
    def encoded(self) -> msgspec.Raw:
        """Its JSON, which is made at the first read."""
        if self._encoded is None:
            self._encoded = msgspec.Raw(msgspec.json.encode(self.item))
        return self._encoded


class _Partition:
    __slots__ = ("keys", "records")

    def __init__(self) -> None:
        self.keys: list[SortKey] = []
        self.records: dict[SortKey, Record] = {}


class View:
    """A table or one of its indexes: its keys, its projection and its records.

    Args:
        name: the index; None for the table.
        schema: DynamoDB's ``KeySchema``.
        types: the types of key attributes, by name.
        table: the view of the table; None for that view itself.
        projection_rule: DynamoDB's ``Projection``; empty for a table.
        is_global: whether it is a global secondary index.
    """

    def __init__(
        self,
        name: str | None,
        schema: list[dict[str, str]],
        types: Mapping[str, str],
        table: View | None = None,
        projection_rule: Mapping[str, Any] | None = None,
        is_global: bool = False,
    ) -> None:
        self.name: str | None = name
        self.is_global: bool = is_global
        self.table: View | None = table
        self.hash_name: str = schema[0]["AttributeName"]
        self.range_name: str | None = schema[1]["AttributeName"] if len(schema) > 1 else None
        own_names = [self.hash_name, *filter(None, [self.range_name])]
        self.key_names: list[str] = list(dict.fromkeys([*own_names, *(table.key_names if table else ())]))
        self.own_names = own_names
        self.types = types
        self._own_types = [(key_name, types[key_name]) for key_name in own_names]
        self.projection_type: str = (projection_rule or {}).get("ProjectionType", "ALL")
        self._partitions: dict[Any, _Partition] = {}
        self._project: Project | None = None
        if self.projection_type != "ALL":
            extra_names = (projection_rule or {}).get("NonKeyAttributes") or ()
            self._project = projection([(key_name,) for key_name in (*self.key_names, *extra_names)])

    # --- keys ---------------------------------------------------------------------------------------------

    def partition_of(self, item: Mapping[str, Value]) -> Any:
        """The partition key of an item or a key, in a form that is hashable and has an order."""
        return sort_value(item[self.hash_name])

    def sort_key_of(self, item: Mapping[str, Value]) -> SortKey:
        """What orders an item or a key in its partition."""
        own_key = () if self.range_name is None else (sort_value(item[self.range_name]),)
        if self.table is None:
            return own_key
        return (*own_key, self.table.partition_of(item), *self.table.sort_key_of(item))

    def holds(self, item: Mapping[str, Value]) -> bool:
        """Whether an item has the keys of this view. A new index leaves out items whose keys it cannot have."""
        for name, code in self._own_types:
            value = item.get(name)
            if value is None or not value.get(code):
                return False
        return True

    def key_of(self, item: Mapping[str, Value]) -> Item:
        """The key of an item, with the table's key, as answers show it."""
        return {name: item[name] for name in self.key_names}

    # --- records ------------------------------------------------------------------------------------------

    def get(self, key: Mapping[str, Value]) -> Record | None:
        """The record with a key, or None if no item has this key."""
        partition = self._partitions.get(self.partition_of(key))
        return None if partition is None else partition.records.get(self.sort_key_of(key))

    def projected(self, record: Record) -> Record:
        """The record as this view holds it."""
        return record if self._project is None else Record(self._project(record.item))

    def put(self, record: Record) -> None:
        """Adds a record, or replaces the one with its key."""
        record = self.projected(record)
        item = record.item
        partition = self._partitions.setdefault(self.partition_of(item), _Partition())
        sort_key = self.sort_key_of(item)
        if sort_key not in partition.records:
            insort(partition.keys, sort_key)
        partition.records[sort_key] = record

    def remove(self, item: Mapping[str, Value]) -> None:
        """Removes the record of an item."""
        partition_key, sort_key = self.partition_of(item), self.sort_key_of(item)
        partition = self._partitions[partition_key]
        del partition.records[sort_key]
        del partition.keys[bisect_left(partition.keys, sort_key)]
        if not partition.keys:
            del self._partitions[partition_key]

    def sort(self) -> None:
        """Makes the order of all keys new."""
        for partition_key, partition in list(self._partitions.items()):
            partition.keys = sorted(partition.records)
            if not partition.keys:
                del self._partitions[partition_key]

    def range(
        self, partition_key: Any, bounds: Bounds | None, after: SortKey | None, forward: bool
    ) -> Iterator[Record]:
        """The records of a partition in order.

        Args:
            partition_key: the partition.
            bounds: whether a sort key is before, and whether it is behind the range; None for the whole partition.
            after: the sort key after which the records begin.
            forward: whether the smallest comes first.
        """
        partition = self._partitions.get(partition_key)
        if partition is None:
            return iter(())
        keys, records = partition.keys, partition.records
        start, stop = 0, len(keys)
        if bounds is not None:
            is_before, is_behind = bounds
            start = bisect_left(keys, True, key=lambda key: not is_before(key[0]))
            stop = bisect_left(keys, True, start, key=lambda key: is_behind(key[0]))
        if after is not None and forward:
            start = max(start, bisect_right(keys, after))
        elif after is not None:
            stop = min(stop, bisect_left(keys, after))
        positions = range(start, stop) if forward else range(stop - 1, start - 1, -1)
        return (records[keys[position]] for position in positions)

    def all(self, after: Mapping[str, Value] | None, segment: int, segments: int) -> Iterator[Record]:
        """All records, or those of a segment.

        Args:
            after: the key after which they begin.
            segment, segments: the number of the segment, and how many there are.
        """
        partitions: Iterable[Any] = sorted(self._partitions)
        if segments > 1:
            partitions = [key for key in partitions if _segment_of(key, segments) == segment]
        if after is None:
            return chain.from_iterable(self.range(key, None, None, True) for key in partitions)
        start, sort_key = self.partition_of(after), self.sort_key_of(after)
        return chain.from_iterable(
            self.range(key, None, sort_key if key == start else None, True)
            for key in partitions
            if key >= start
        )

    def segment_of(self, item: Mapping[str, Value], segments: int) -> int:
        """The segment of an item or a key, in a scan with several."""
        return _segment_of(self.partition_of(item), segments)

    @property
    def count(self) -> int:
        """How many items it holds."""
        return sum(len(partition.keys) for partition in self._partitions.values())

    def partition_size(self, item: Mapping[str, Value]) -> int:
        """The bytes of the items with the partition key of an item."""
        partition = self._partitions.get(self.partition_of(item))
        return 0 if partition is None else sum(record.size for record in partition.records.values())


def _segment_of(partition_key: Any, segments: int) -> int:
    return _bucket(partition_key) * segments // _BUCKETS


def _bucket(partition_key: Any) -> int:
    text = (
        partition_key if isinstance(partition_key, bytes) else str(partition_key).encode("utf-8", "replace")
    )
    return int.from_bytes(hashlib.blake2s(text, digest_size=2).digest(), "big") % _BUCKETS


class Store:
    """The items of a table of moto, with its indexes.

    Args:
        table: moto's table.
    """

    def __init__(self, table: Any) -> None:
        self.table = table
        self.name: str = table.name
        self._indexed: list[Any] = []
        self.view: View = View(None, table.schema, self._types())
        self.indexes: dict[str, View] = {}
        self._is_writing = False
        self.refresh()
        for item in _moto_items(table):
            self._put_in(Record(canonical_item(item)))

    def _types(self) -> dict[str, str]:
        return {entry["AttributeName"]: entry["AttributeType"] for entry in self.table.attr}

    def refresh(self, keeps_views: bool = True) -> None:
        """Takes over indexes that were added to moto's table or removed from it.

        Args:
            keeps_views: whether indexes that were there already stay as they are.
        """
        indexes = [*self.table.indexes, *self.table.global_indexes]
        if indexes == self._indexed:
            return
        old_views, self._indexed, self.indexes = self.indexes if keeps_views else {}, indexes, {}
        self.view.types = types = self._types()
        for index in indexes:
            is_global = index in self.table.global_indexes
            view = View(index.name, index.schema, types, self.view, index.projection, is_global)
            old_view = old_views.get(index.name)
            for record in self.view.all(None, 0, 1) if old_view is None else ():
                if view.holds(record.item):
                    view.put(record)
            self.indexes[index.name] = old_view or view

    def index(self, name: str | None) -> View:
        """The view of an index, or of the table for None."""
        if name is None:
            return self.view
        if name not in self.indexes:
            raise invalid(f"The table does not have the specified index: {name}")
        return self.indexes[name]

    def get(self, key: Mapping[str, Value]) -> Record | None:
        """The record with a key."""
        return self.view.get(key)

    def put(self, record: Record) -> Record | None:
        """Stores a record; returns the one that it replaces."""
        old_record = self.view.get(record.item)
        self._is_writing = True
        self._take_out(old_record)
        self._put_in(record)
        self._is_writing = False
        self._stream(old_record, record)
        return old_record

    def delete(self, key: Mapping[str, Value]) -> Record | None:
        """Removes the record with a key, and returns it."""
        old_record = self.view.get(key)
        if old_record is not None:
            self._is_writing = True
            self._take_out(old_record)
            self.view.remove(old_record.item)
            self._is_writing = False
            self._stream(old_record, None)
        return old_record

    def mend(self) -> None:
        """Makes the order and the indexes new if an exception from outside, as of a signal, interrupted a write."""
        if self._is_writing:
            self.view.sort()
            self._indexed = []
            self.refresh(keeps_views=False)
            self._is_writing = False

    def restore(self, key: Mapping[str, Value], record: Record | None) -> None:
        """Takes back a write: the key has this record again."""
        shard, self.table.stream_shard = self.table.stream_shard, None
        try:
            if record is None:
                self.delete(key)
            else:
                self.put(record)
        finally:
            self.table.stream_shard = shard

    def _put_in(self, record: Record) -> None:
        self.view.put(record)
        for view in self.indexes.values():
            if view.holds(record.item):
                view.put(record)

    def _take_out(self, record: Record | None) -> None:
        if record is not None:
            for view in self.indexes.values():
                if view.holds(record.item):
                    view.remove(record.item)

    def _stream(self, old_record: Record | None, new_record: Record | None) -> None:
        shard = self.table.stream_shard
        if shard is not None and not (old_record and new_record and old_record.item == new_record.item):
            shard.add(*(record and self._moto_item(record.item) for record in (old_record, new_record)))

    # --- for moto's own operations -------------------------------------------------------------------------

    def _moto_item(self, item: Item) -> Any:
        from moto.dynamodb.models.dynamo_type import DynamoType, Item as MotoItem

        range_name = self.view.range_name
        range_key = None if range_name is None else DynamoType(item[range_name])
        return MotoItem(DynamoType(item[self.view.hash_name]), range_key, item)

    def write_to_moto(self) -> None:
        """Puts the items into moto's table."""
        self.table.items.clear()
        for record in self.view.all(None, 0, 1):
            item = self._moto_item(record.item)
            if item.range_key is None:
                self.table.items[item.hash_key] = item
            else:
                self.table.items[item.hash_key][item.range_key] = item


def _moto_items(table: Any) -> list[Item]:
    return [plain(item.to_json()["Attributes"]) for item in table.all_items()] if table.items else []
