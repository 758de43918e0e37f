"""BatchGetItem and BatchWriteItem."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.capacity import (
    Units,
    consumed,
    index_write_units,
    read_units,
    table_write_units,
)
from dynamo_bao.dynamodb.transport.embedded.errors import invalid
from dynamo_bao.dynamodb.transport.embedded.items import (
    Answer,
    FindStore,
    Write,
    carry_out_delete,
    collection_metrics,
    require_fitting,
    shown,
)
from dynamo_bao.dynamodb.transport.embedded.keys import NO_MATCH, require_item_keys, require_key
from dynamo_bao.dynamodb.transport.embedded.parameters import Request, projection_of, scope_of
from dynamo_bao.dynamodb.transport.embedded.request_checks import name_faults, require_no_faults
from dynamo_bao.dynamodb.transport.embedded.store import Record, Store
from dynamo_bao.dynamodb.transport.embedded.values import Item, require_storable

MAX_KEYS: Final = 100
MAX_WRITES: Final = 25
MAX_REPLY_BYTES: Final = 16 * 2**20
_FAILED: Final = "failed to satisfy constraint: Member must have length"
_DUPLICATES: Final = "Provided list of item keys contains duplicates"


# --- BatchGetItem -------------------------------------------------------------------------------------------


def batch_get_item(find_store: FindStore, request: Request) -> Answer:
    """BatchGetItem."""
    tables: dict[str, Any] = request["RequestItems"]
    _require_reads(tables)
    readings = []
    for name, part in tables.items():
        scope = scope_of("BatchGetItem", part)
        project = projection_of(part, scope)
        scope.require_all_used()
        for key in part["Keys"]:
            require_storable(key)
        _require_different(
            tuple(sorted((attribute, str(value)) for attribute, value in key.items())) for key in part["Keys"]
        )
        readings.append((name, part, project))
    answer: Answer = {"Responses": {}, "UnprocessedKeys": {}}
    capacities, size = [], 0
    for name, part, project in readings:
        store, units = find_store(name), 0.0
        items: list[Any] = answer["Responses"].setdefault(name, [])
        for position, key in enumerate(part["Keys"]):
            require_key(store, key)
            record = store.get(key)
            record_size = 0 if record is None else record.size
            if size + record_size > MAX_REPLY_BYTES:
                answer["UnprocessedKeys"][name] = {**part, "Keys": part["Keys"][position:]}
                break
            size += record_size
            units += read_units(record_size, part.get("ConsistentRead", False))
            if record is not None:
                items.append(shown(record, project))
        capacities.append(consumed(store.name, units, request.get("ReturnConsumedCapacity")))
    return _with_capacities(answer, capacities)


def _require_reads(tables: dict[str, Any]) -> None:
    if not tables:
        raise invalid(
            f"1 validation error detected: Value at 'RequestItems' {_FAILED} greater than or equal to 1"
        )
    for name, part in tables.items():
        if "Keys" not in part:
            place = f"requestItems.{name}.member.keys"
            require_no_faults(
                [f"Value null at '{place}' failed to satisfy constraint: Member must not be null"]
            )
        if not part["Keys"]:
            require_no_faults(
                [f"Value at 'requestItems.{name}.member.keys' {_FAILED} greater than or equal to 1"]
            )
    _require_names(tables)
    if sum(len(part["Keys"]) for part in tables.values()) > MAX_KEYS:
        name = max(tables, key=lambda name: len(tables[name]["Keys"]))
        require_no_faults(
            [f"Value at 'RequestItems.{name}.member.Keys' {_FAILED} less than or equal to {MAX_KEYS}"]
        )


def _require_names(tables: Iterable[str]) -> None:
    for name in tables:
        if not name.startswith("arn:"):
            require_no_faults(name_faults(name, "tableName", 1))


def _require_different(keys: Iterable[object]) -> None:
    keys_so_far = set()
    for key in keys:
        if key in keys_so_far:
            raise invalid(_DUPLICATES)
        keys_so_far.add(key)


def _with_capacities(answer: Answer, capacities: Iterable[Any]) -> Answer:
    reported = [capacity for capacity in capacities if capacity is not None]
    return {**answer, "ConsumedCapacity": reported} if reported else answer


# --- BatchWriteItem -----------------------------------------------------------------------------------------


def batch_write_item(find_store: FindStore, request: Request) -> Answer:
    """BatchWriteItem."""
    tables: dict[str, list[dict[str, Any]]] = request["RequestItems"]
    _require_writes(tables)
    planned = [(find_store(name), entries) for name, entries in tables.items()]
    for store, entries in planned:
        _require_keys(store, entries)
    answer: Answer = {"UnprocessedItems": {}}
    capacities, metrics = [], {}
    for store, entries in planned:
        writes = [_carried_out(store, entry) for entry in entries]
        capacities.append(_write_capacity(store, writes, request))
        table_metrics = _metrics(writes, request)
        if table_metrics:
            metrics[store.name] = table_metrics
    if metrics:
        answer["ItemCollectionMetrics"] = metrics
    return _with_capacities(answer, capacities)


def _require_writes(tables: dict[str, list[dict[str, Any]]]) -> None:
    if not tables:
        raise invalid("The requestItems parameter is required for BatchWriteItem")
    for name, entries in tables.items():
        if not entries:
            require_no_faults([f"Value at 'requestItems.{name}.member' {_FAILED} greater than or equal to 1"])
    _require_names(tables)
    if sum(map(len, tables.values())) > MAX_WRITES:
        name = max(tables, key=lambda name: len(tables[name]))
        require_no_faults(
            [
                f"Value '{{{name}={tables[name]}}}' at 'requestItems' failed to satisfy constraint: "
                f"Map value must satisfy constraint: [Member must have length less than or equal to {MAX_WRITES}, "
                "Member must have length greater than or equal to 1]"
            ]
        )
    for name, entries in tables.items():
        for number, entry in enumerate(entries, 1):
            _require_write(f"requestItems.{name}.member.{number}.member", entry)


def _require_write(place: str, entry: dict[str, Any]) -> None:
    if len(entry) != 1:
        raise invalid(
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes"
        )
    for kind, member in (("PutRequest", "Item"), ("DeleteRequest", "Key")):
        if kind in entry and member not in entry[kind]:
            name = f"{place}.{kind[0].lower()}{kind[1:]}.{member.lower()}"
            require_no_faults(
                [f"Value null at '{name}' failed to satisfy constraint: Member must not be null"]
            )
    require_storable(_item_of(entry))
    if "PutRequest" in entry:
        require_fitting(_item_of(entry))


def _item_of(entry: dict[str, Any]) -> Item:
    """The item that is stored, or the key of the one that is deleted."""
    item: Item = entry["PutRequest"]["Item"] if "PutRequest" in entry else entry["DeleteRequest"]["Key"]
    return item


def _require_keys(store: Store, entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        if "PutRequest" in entry:
            require_item_keys(store, _item_of(entry), NO_MATCH)
        else:
            require_key(store, _item_of(entry))
    items = map(_item_of, entries)
    _require_different((store.view.partition_of(item), store.view.sort_key_of(item)) for item in items)


def _carried_out(store: Store, entry: dict[str, Any]) -> Write:
    item = _item_of(entry)
    if "DeleteRequest" in entry:
        return carry_out_delete(store, item, None, {})
    record = Record(item)
    return Write(store, item, store.put(record), record)


def _write_capacity(store: Store, writes: list[Write], request: Request) -> Any:
    mode = request.get("ReturnConsumedCapacity")
    if mode is None:
        return None
    total, indexes = summed_units(writes)
    return consumed(store.name, total, mode, *indexes)


def summed_units(writes: Iterable[Write]) -> tuple[float, tuple[Units, Units]]:
    """The units of several writes to one table, and to its global and local indexes."""
    total = 0.0
    sums: tuple[Units, Units] = ({}, {})
    for write in writes:
        total += table_write_units(write.old_record, write.new_record)
        units = index_write_units(write.store, write.old_record, write.new_record)
        for summed, by_index in zip(sums, units, strict=True):
            for name, figure in by_index.items():
                summed[name] = summed.get(name, 0.0) + figure
    return total, sums


def _metrics(writes: list[Write], request: Request) -> list[Any]:
    by_partition = {write.store.view.partition_of(write.key): write for write in writes}
    all_metrics = (collection_metrics(write, request) for write in by_partition.values())
    return [metrics for metrics in all_metrics if metrics is not None]
