"""Checks of keys: those of requests, and those in items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dynamo_bao.dynamodb.transport.embedded.errors import EMPTY_KEY, INVALID_VALUE, EmptyKeyError, invalid
from dynamo_bao.dynamodb.transport.embedded.store import Store, View
from dynamo_bao.dynamodb.transport.embedded.values import Item, Value, binary_size, type_of

NO_MATCH: Final = "The provided key element does not match the schema"
_HASH_TOO_LONG: Final = f"{INVALID_VALUE}Size of hashkey has exceeded the maximum size limit of2048 bytes"
_RANGE_TOO_LONG: Final = (
    f"{INVALID_VALUE}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
)
_EMPTY_INDEX_KEY: Final = (
    "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
    "The AttributeValue for a key attribute cannot contain an empty "
)
_EMPTY_UPDATED_KEY: Final = (
    "One or more parameter values are not valid. The update expression attempted to update a secondary index key "
    "to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty "
)


def require_key(store: Store, key: Mapping[str, Value]) -> None:
    """Refuses a key that is not exactly a key of the table."""
    view = store.view
    if len(key) != len(view.own_names):
        raise invalid(NO_MATCH)
    for name in view.own_names:
        if name not in key or type_of(key[name]) != view.types[name]:
            raise invalid(NO_MATCH)
        require_key_value(view, name, key[name])


def require_item_keys(store: Store, item: Item, type_fault: str | None = None) -> None:
    """Refuses an item without the table's keys, or with a bad key of an index.

    Args:
        store: the table.
        item: the item.
        type_fault: the text for a key of another type; None for the usual one.
    """
    view = store.view
    for name in view.own_names:
        if name not in item:
            raise invalid(f"{INVALID_VALUE}Missing the key {name} in the item")
        actual, expected = type_of(item[name]), view.types[name]
        if actual != expected:
            raise invalid(
                type_fault
                or f"{INVALID_VALUE}Type mismatch for key {name} expected: {expected} actual: {actual}"
            )
        require_key_value(view, name, item[name])
    require_index_keys(store, item)


def require_key_value(view: View, name: str, value: Value) -> None:
    """Refuses an empty or too long value of one of a view's keys."""
    require_filled(name, value)
    is_hash = name == view.hash_name
    ((code, member),) = value.items()
    size = binary_size(member) if code == "B" else len(member.encode("utf-8", "surrogatepass"))
    if size > (2048 if is_hash else 1024):
        raise invalid(_HASH_TOO_LONG if is_hash else _RANGE_TOO_LONG)


def require_filled(name: str, value: Value) -> None:
    """Refuses an empty value of a key."""
    kind = _empty_kind(value)
    if kind is not None:
        raise EmptyKeyError(f"{EMPTY_KEY}{kind} value. Key: {name}")


def _empty_kind(value: Value) -> str | None:
    if value == {"S": ""}:
        return "string"
    return "binary" if value == {"B": ""} else None


def require_index_keys(store: Store, item: Item, old_item: Item | None = None) -> None:
    """Refuses an item whose key of an index has another type, or is empty.

    Args:
        store: the table.
        item: the item.
        old_item: the item before an update, which may not have changed a bad key; None for a new item.
    """
    for name in sorted(store.indexes):
        view = store.indexes[name]
        for attribute in view.own_names:
            value = item.get(attribute)
            if value is None or attribute in store.view.own_names:
                continue
            if old_item is not None and old_item.get(attribute) == value:
                continue
            _require_index_key(name, attribute, value, view.types[attribute], old_item is not None)


def _require_index_key(index: str, attribute: str, value: Value, expected: str, is_update: bool) -> None:
    actual = type_of(value)
    if actual != expected:
        raise invalid(
            f"{INVALID_VALUE}Type mismatch for Index Key {attribute} Expected: {expected} Actual: {actual} "
            f"IndexName: {index}"
        )
    kind = _empty_kind(value)
    if kind is not None and is_update:
        raise EmptyKeyError(f"{_EMPTY_UPDATED_KEY}{kind} value.")
    if kind is not None:
        raise EmptyKeyError(f"{_EMPTY_INDEX_KEY}{kind} value. IndexName: {index}, IndexKey: {attribute}")


def require_start_key(view: View, key: Mapping[str, Value], count_fault: str) -> None:
    """Refuses an ``ExclusiveStartKey`` that no query or scan of the view could have returned."""
    prefix = "The provided starting key is invalid"
    table = view.table or view
    if len(key) != len(view.key_names):
        raise invalid(count_fault)
    if view.table is not None:
        if any(name not in key for name in view.own_names):
            raise invalid(prefix)
        if any(type_of(key[name]) != view.types[name] for name in view.own_names):
            raise invalid(NO_MATCH)
    for name in table.own_names:
        if name not in key or type_of(key[name]) != view.types[name]:
            raise invalid(f"{prefix}: {NO_MATCH}")
