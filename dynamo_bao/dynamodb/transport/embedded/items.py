"""The operations on one item: GetItem, PutItem, UpdateItem and DeleteItem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.capacity import (
    consumed,
    index_write_units,
    read_units,
    table_write_units,
)
from dynamo_bao.dynamodb.transport.embedded.errors import INVALID_VALUE, RequestError, ServiceError, invalid
from dynamo_bao.dynamodb.transport.embedded.expressions.conditions import Predicate
from dynamo_bao.dynamodb.transport.embedded.expressions.projections import Project
from dynamo_bao.dynamodb.transport.embedded.expressions.scope import Scope
from dynamo_bao.dynamodb.transport.embedded.expressions.updates import Update, bound_update, parsed_update
from dynamo_bao.dynamodb.transport.embedded.keys import require_index_keys, require_item_keys, require_key
from dynamo_bao.dynamodb.transport.embedded.legacy import (
    legacy_condition,
    require_expected,
    require_updates,
    updated,
)
from dynamo_bao.dynamodb.transport.embedded.parameters import (
    Request,
    bound,
    condition_of,
    projection_of,
    require_not_empty,
    scope_of,
)
from dynamo_bao.dynamodb.transport.embedded.store import Record, Store
from dynamo_bao.dynamodb.transport.embedded.values import Item, Value, item_size, require_storable
from dynamo_bao.runtime.named_tuples import NamedTuple

FindStore = Callable[[str], Store]
"""The store of a table; an error if there is no such table."""
Answer = dict[str, Any]
MAX_ITEM_BYTES: Final = 400 * 1024
TOO_LARGE: Final = "Item size has exceeded the maximum allowed size"
_TOO_LARGE_UPDATE: Final = "Item size to update has exceeded the maximum allowed size"


class Write(NamedTuple):
    """A write to one item that was carried out.

    Attributes:
        store: the table.
        key: the item's key.
        old_record, new_record: the item before and afterwards; None for no item.
    """

    store: Store
    key: Item
    old_record: Record | None
    new_record: Record | None


def shown(record: Record, project: Project | None) -> Any:
    """A record as an answer has it."""
    return record.encoded if project is None else project(record.item)


def get_item(find_store: FindStore, request: Request) -> Answer:
    """GetItem."""
    scope = scope_of("GetItem", request)
    require_storable(request["Key"])
    project = projection_of(request, scope)
    scope.require_all_used()
    store = find_store(request["TableName"])
    require_key(store, request["Key"])
    record = store.get(request["Key"])
    answer: Answer = {} if record is None else {"Item": shown(record, project)}
    units = read_units(0 if record is None else record.size, request.get("ConsistentRead", False))
    return with_capacity(answer, consumed(store.name, units, request.get("ReturnConsumedCapacity")))


def put_item(find_store: FindStore, request: Request) -> Answer:
    """PutItem."""
    item: Item = request["Item"]
    require_storable(item)
    scope = scope_of("PutItem", request)
    condition = write_condition(request, scope)
    if request.get("ReturnValues", "NONE") not in ("NONE", "ALL_OLD"):
        raise RequestError("ReturnValues can only be ALL_OLD or NONE")
    require_fitting(item)
    scope.require_all_used()
    write = carry_out_put(find_store(request["TableName"]), item, condition, request)
    return _answer(write, request, write.old_record)


def delete_item(find_store: FindStore, request: Request) -> Answer:
    """DeleteItem."""
    scope = scope_of("DeleteItem", request)
    require_storable(request["Key"])
    condition = write_condition(request, scope)
    scope.require_all_used()
    store = find_store(request["TableName"])
    returned = request.get("ReturnValues", "NONE")
    if returned not in ("NONE", "ALL_OLD"):
        raise invalid(
            f"1 validation error detected: Value '{returned}' at 'returnValues' failed to satisfy constraint: "
            "Member must satisfy enum value set: [ALL_OLD, NONE]"
        )
    write = carry_out_delete(store, request["Key"], condition, request)
    return _answer(write, request, write.old_record)


def update_item(find_store: FindStore, request: Request) -> Answer:
    """UpdateItem."""
    scope = scope_of("UpdateItem", request)
    key: Item = request["Key"]
    require_storable(key)
    changes = changes_of(request, scope)
    condition = write_condition(request, scope)
    scope.require_all_used()
    write = carry_out_update(find_store(request["TableName"]), key, changes, condition, request)
    assert write.new_record is not None
    returned = request.get("ReturnValues", "NONE")
    old_item = key if write.old_record is None else write.old_record.item
    attributes: Item | None = None
    if returned in ("ALL_OLD", "ALL_NEW"):
        attributes = old_item if returned == "ALL_OLD" else write.new_record.item
    elif returned != "NONE":
        attributes = changes.values_of(old_item if returned == "UPDATED_OLD" else write.new_record.item)
    answer = _answer(write, request, None)
    return {"Attributes": attributes, **answer} if attributes else answer


# --- parts of writes, which transactions share --------------------------------------------------------------


class Changes(NamedTuple):
    """What an update changes: by an expression, or by ``AttributeUpdates``."""

    expression: Update | None
    updates: Mapping[str, Mapping[str, Any]]

    def names(self) -> set[Any]:
        """The attributes that change."""
        if self.expression is None:
            return set(self.updates)
        return {path[0] for path in self.expression.paths}

    def apply(self, item: Item) -> Item:
        """The changed item."""
        return updated(item, self.updates) if self.expression is None else self.expression.apply(item)

    def values_of(self, item: Item) -> Item:
        """The values of what is changed, in an item."""
        if self.expression is not None:
            return self.expression.values_of(item)
        return {name: item[name] for name in self.updates if name in item}

    @property
    def overhead(self) -> int:
        """What DynamoDB adds to the size of the item, in bytes."""
        if self.expression is not None:
            return self.expression.overhead
        return 3 + sum(2 if update.get("Action") == "DELETE" else 19 for update in self.updates.values())


def changes_of(request: Request, scope: Scope) -> Changes:
    """The changes of a request."""
    require_not_empty(request, "UpdateExpression")
    source = request.get("UpdateExpression")
    updates = request.get("AttributeUpdates", {})
    require_updates(updates)
    if source is None:
        return Changes(None, updates)
    return Changes(bound("UpdateExpression", lambda: bound_update(parsed_update(source), scope)), {})


def write_condition(request: Request, scope: Scope) -> Predicate | None:
    """The condition of a write, by an expression or by ``Expected``; None without one."""
    expected = request.get("Expected")
    if expected:
        require_expected(expected)
        return legacy_condition(expected, request.get("ConditionalOperator"))
    return condition_of(request, "ConditionExpression", scope)


def require_fitting(item: Item) -> None:
    """Refuses an item of more than 400 KB."""
    if item_size(item) > MAX_ITEM_BYTES:
        raise invalid(TOO_LARGE)


def carry_out_put(store: Store, item: Item, condition: Predicate | None, request: Request) -> Write:
    """Stores an item if the condition holds."""
    require_item_keys(store, item)
    require_condition(condition, store.get(item), request)
    record = Record(item)
    return Write(store, _key_of(store, item), store.put(record), record)


def carry_out_delete(store: Store, key: Item, condition: Predicate | None, request: Request) -> Write:
    """Deletes an item if the condition holds."""
    require_key(store, key)
    require_condition(condition, store.get(key), request)
    return Write(store, key, store.delete(key), None)


def carry_out_update(
    store: Store, key: Item, changes: Changes, condition: Predicate | None, request: Request
) -> Write:
    """Changes an item if the condition holds."""
    require_key(store, key)
    for name in store.view.own_names:
        if name in changes.names():
            raise invalid(f"{INVALID_VALUE}Cannot update attribute {name}. This attribute is part of the key")
    old_record = store.get(key)
    require_condition(condition, old_record, request)
    old_item = key if old_record is None else old_record.item
    item = changes.apply(old_item)
    require_storable({name: item[name] for name in changes.names() if name in item})
    require_index_keys(store, item, old_item)
    record = Record(item)
    if max(record.size, record.size - item_size(key) + changes.overhead) > MAX_ITEM_BYTES:
        raise invalid(_TOO_LARGE_UPDATE)
    return Write(store, key, store.put(record), record)


def require_condition(condition: Predicate | None, record: Record | None, request: Request) -> None:
    """Fails if the condition of a write does not hold for the stored item."""
    if condition is None or condition({} if record is None else record.item):
        return
    members: dict[str, Any] = {}
    if record is not None and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
        members["Item"] = record.item
    raise ServiceError("ConditionalCheckFailedException", "The conditional request failed", **members)


def _key_of(store: Store, item: Mapping[str, Value]) -> Item:
    return {name: item[name] for name in store.view.own_names}


def with_capacity(answer: Answer, capacity: Any) -> Answer:
    """An answer with the consumed capacity, if it was asked for."""
    return answer if capacity is None else {**answer, "ConsumedCapacity": capacity}


def _answer(write: Write, request: Request, old_record: Record | None) -> Answer:
    answer: Answer = {}
    if old_record is not None and request.get("ReturnValues") == "ALL_OLD":
        answer["Attributes"] = old_record.encoded
    mode = request.get("ReturnConsumedCapacity")
    if mode is not None:
        units = table_write_units(write.old_record, write.new_record)
        indexes = index_write_units(write.store, write.old_record, write.new_record)
        answer = with_capacity(answer, consumed(write.store.name, units, mode, *indexes))
    metrics = collection_metrics(write, request)
    return answer if metrics is None else {**answer, "ItemCollectionMetrics": metrics}


def collection_metrics(write: Write, request: Request) -> dict[str, Any] | None:
    """The size of an item's collection, if the request asks for it and the table has local indexes."""
    local_views = [view for view in write.store.indexes.values() if not view.is_global]
    if request.get("ReturnItemCollectionMetrics") != "SIZE" or not local_views:
        return None
    view = write.store.view
    size = sum(collection.partition_size(write.key) for collection in (view, *local_views)) / 2**30
    return {
        "ItemCollectionKey": {view.hash_name: write.key[view.hash_name]},
        "SizeEstimateRangeGB": [size, size],
    }
