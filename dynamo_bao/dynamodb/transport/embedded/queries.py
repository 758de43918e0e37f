"""Query and Scan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.capacity import consumed, read_units
from dynamo_bao.dynamodb.transport.embedded.errors import INVALID_VALUE, invalid
from dynamo_bao.dynamodb.transport.embedded.expressions.conditions import Predicate
from dynamo_bao.dynamodb.transport.embedded.expressions.key_conditions import KeyPart, bound_key_condition
from dynamo_bao.dynamodb.transport.embedded.expressions.projections import Project
from dynamo_bao.dynamodb.transport.embedded.expressions.scope import Scope
from dynamo_bao.dynamodb.transport.embedded.items import Answer, FindStore, shown, with_capacity
from dynamo_bao.dynamodb.transport.embedded.keys import (
    NO_MATCH,
    require_filled,
    require_key_value,
    require_start_key,
)
from dynamo_bao.dynamodb.transport.embedded.legacy import (
    legacy_condition,
    legacy_key_condition,
    require_filter,
)
from dynamo_bao.dynamodb.transport.embedded.parameters import (
    Request,
    bound,
    condition_of,
    projection_of,
    require_not_empty,
    scope_of,
)
from dynamo_bao.dynamodb.transport.embedded.store import Bounds, Record, Store, View
from dynamo_bao.dynamodb.transport.embedded.values import Item, Value, sort_value, type_of
from dynamo_bao.runtime.named_tuples import NamedTuple

PAGE_BYTES: Final = 2**20
_NO_KEY_CONDITION: Final = (
    "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
)
_NO_INDEX: Final = "Attempted conditional constraint is not an indexable operation"
_NO_ATTRIBUTES: Final = (
    "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
)


class _Reading(NamedTuple):
    """What a query or a scan does with the records it finds.

    Attributes:
        store: the table.
        view: the table or the index that is read.
        test: the filter; None for all records.
        project: the projection; None for whole items.
        is_whole: whether items come from the table, though an index is read that does not hold them completely.
    """

    store: Store
    view: View
    test: Predicate | None
    project: Project | None
    is_whole: bool


def query(find_store: FindStore, request: Request) -> Answer:
    """Query."""
    scope = scope_of("Query", request)
    for member in ("QueryFilter", "KeyConditions"):
        require_filter(request.get(member, {}))
    require_not_empty(request, "KeyConditionExpression")
    test = condition_of(request, "FilterExpression", scope)
    filter_paths = list(scope.paths)
    project = projection_of(request, scope)
    _require_select(request, "1 validation error detected: ")
    parts = _key_parts(request, scope)
    scope.require_all_used()
    store = find_store(request["TableName"])
    view = _view(store, request)
    partition, bounds = _range(view, parts)
    start = request.get("ExclusiveStartKey")
    if start is not None:
        require_start_key(view, start, "The provided starting key is invalid")
        _require_start_in_range(view, start, partition, bounds)
    _require_no_keys(view, filter_paths, request)
    if "QueryFilter" in request:
        test = legacy_condition(request["QueryFilter"], request.get("ConditionalOperator"))
    reading = _Reading(store, view, test, project, _is_whole(view, request))
    after = None if start is None else view.sort_key_of(start)
    forward = request.get("ScanIndexForward", True)
    return _page(reading, view.range(partition, bounds, after, forward), request)


def scan(find_store: FindStore, request: Request) -> Answer:
    """Scan."""
    scope = scope_of("Scan", request)
    require_filter(request.get("ScanFilter", {}))
    segment, segments = _segment(request)
    test = condition_of(request, "FilterExpression", scope)
    filter_paths = list(scope.paths)
    project = projection_of(request, scope)
    _require_select(request, "")
    scope.require_all_used()
    store = find_store(request["TableName"])
    view = _view(store, request)
    start = request.get("ExclusiveStartKey")
    if start is not None:
        prefix = "The provided starting key is invalid"
        require_start_key(view, start, prefix if view.table else f"{prefix}: {NO_MATCH}")
        if view.segment_of(start, segments) != segment:
            raise invalid(
                f"{prefix}: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. "
                f"TotalSegments: {segments} Segment: {segment}"
            )
    _require_scalar_keys(view, filter_paths)
    if "ScanFilter" in request:
        test = legacy_condition(request["ScanFilter"], request.get("ConditionalOperator"))
    reading = _Reading(store, view, test, project, _is_whole(view, request))
    return _page(reading, view.all(start, segment, segments), request)


# --- the parts of a request ---------------------------------------------------------------------------------


def _key_parts(request: Request, scope: Scope) -> Sequence[KeyPart]:
    source, conditions = request.get("KeyConditionExpression"), request.get("KeyConditions")
    if source is None and conditions is None:
        raise invalid(_NO_KEY_CONDITION)
    if source is not None:
        parts = bound("KeyConditionExpression", lambda: bound_key_condition(source, scope))
    else:
        parts = legacy_key_condition(conditions or {})
    if not 1 <= len(parts) <= 2:
        raise invalid("Conditions can be of length 1 or 2 only")
    return parts


def _range(view: View, parts: Sequence[KeyPart]) -> tuple[Any, Bounds | None]:
    """The partition of a query, and its range of sort keys."""
    by_name = {part.name: part for part in parts}
    hash_part = by_name.pop(view.hash_name, None)
    if hash_part is None:
        raise invalid(f"Query condition missed key schema element: {view.hash_name}")
    if hash_part.symbol is None:
        raise invalid(_NO_INDEX)
    if hash_part.symbol != "=":
        raise invalid("Query key condition not supported")
    if by_name and view.range_name is None:
        raise invalid("Query key condition not supported")
    if by_name and view.range_name not in by_name:
        raise invalid(f"Query condition missed key schema element: {view.range_name}")
    for part in parts:
        if any(type_of(value) != view.types[part.name] for value in part.values):
            raise invalid(f"{INVALID_VALUE}Condition parameter type does not match schema type")
    require_filled(hash_part.name, hash_part.values[0])
    partition = sort_value(hash_part.values[0])
    for part in by_name.values():
        if part.symbol is None:
            raise invalid(_NO_INDEX)
        if part.symbol == "begins_with" and view.types[part.name] == "N":
            raise invalid(
                "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
                "operator or function: begins_with, operand type: N"
            )
        for value in part.values:
            require_key_value(view, part.name, value)
        return partition, bounds_of(part.symbol, part.values)
    return partition, None


def _require_start_in_range(view: View, start: Item, partition: Any, bounds: Bounds | None) -> None:
    """Refuses an ``ExclusiveStartKey`` of another query."""
    is_other_partition = view.partition_of(start) != partition
    if bounds is None:
        if is_other_partition:
            raise invalid(
                "The provided starting key is outside query boundaries based on provided conditions"
            )
        return
    is_before, is_behind = bounds
    sort_key = view.sort_key_of(start)[0]
    if is_before(sort_key) or is_behind(sort_key):
        raise invalid("The provided starting key does not match the range key predicate")
    if is_other_partition:
        raise invalid("The query can return at most one row and cannot be restarted")


def bounds_of(symbol: str, values: Sequence[Value]) -> Bounds:
    """The range of sort keys that a condition allows."""
    first, last = sort_value(values[0]), sort_value(values[-1])
    ranges: dict[str, Bounds] = {
        "=": (lambda key: key < first, lambda key: key > first),
        "<": (lambda key: False, lambda key: key >= first),
        "<=": (lambda key: False, lambda key: key > first),
        ">": (lambda key: key <= first, lambda key: False),
        ">=": (lambda key: key < first, lambda key: False),
        "BETWEEN": (lambda key: key < first, lambda key: key > last),
        "begins_with": (lambda key: key < first, lambda key: not key.startswith(first)),
    }
    return ranges[symbol]


def _segment(request: Request) -> tuple[int, int]:
    segment, segments = request.get("Segment"), request.get("TotalSegments")
    if segment is None and segments is None:
        return 0, 1
    if segments is None:
        raise invalid(
            "The TotalSegments parameter is required but was not present in the request "
            "when Segment parameter is present"
        )
    if segment is None:
        raise invalid(
            "The Segment parameter is required but was not present in the request "
            "when parameter TotalSegments is present"
        )
    if not 1 <= segments <= 1_000_000:
        raise invalid(
            "1 validation error detected: Value at 'totalSegments' failed to satisfy constraint: "
            "Member must have value between 1 and 1000000"
        )
    if segment >= segments:
        raise invalid(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {segments}"
        )
    return segment, segments


def _require_select(request: Request, prefix: str) -> None:
    select = request.get("Select")
    if select is None:
        return
    expression = "ProjectionExpression" in request
    legacy = "AttributesToGet" in request
    if select == "SPECIFIC_ATTRIBUTES":
        if not (expression or legacy):
            raise invalid(prefix + _NO_ATTRIBUTES)
    elif expression or legacy:
        member = "ProjectionExpression" if expression else "AttributesToGet"
        target = "only the Count" if select == "COUNT" else select
        raise invalid(f"Cannot specify the {member} when choosing to get {target}")
    if select == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in request:
        raise invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")


def _view(store: Store, request: Request) -> View:
    view = store.index(request.get("IndexName"))
    if view.is_global and request.get("ConsistentRead"):
        raise invalid("Consistent reads are not supported on global secondary indexes")
    return view


def _is_whole(view: View, request: Request) -> bool:
    """Whether items have to come from the table; an error if an index cannot give them."""
    if request.get("Select") != "ALL_ATTRIBUTES" or view.projection_type == "ALL":
        return False
    if view.is_global:
        raise invalid(
            f"{INVALID_VALUE}Select type ALL_ATTRIBUTES is not supported for global secondary index {view.name} "
            "because its projection type is not ALL"
        )
    return True


def _require_no_keys(view: View, paths: list[Any], request: Request) -> None:
    for name in request.get("QueryFilter", ()):
        if name in view.own_names:
            raise invalid(
                f"QueryFilter can only contain non-primary key attributes: Primary key attribute: {name}"
            )
    for name in sorted({path[0] for path in paths}):
        if name in view.own_names:
            raise invalid(
                f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
            )
    _require_scalar_keys(view, paths)


def _require_scalar_keys(view: View, paths: list[Any]) -> None:
    for path in paths:
        if len(path) > 1 and path[0] in view.key_names:
            kind = "Key" if path[0] in (view.table or view).own_names else "IndexKey"
            raise invalid(
                "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
                f"{kind}: {path[0]}"
            )


# --- pages --------------------------------------------------------------------------------------------------


def _page(reading: _Reading, records: Iterator[Record], request: Request) -> Answer:
    limit = request.get("Limit")
    items: list[Any] = []
    last: Record | None = None
    scanned = size = table_size = index_size = 0
    is_cut = False
    for index_record in records:
        record = index_record
        if reading.is_whole:
            record = reading.store.get(index_record.item) or index_record
            table_size += record.size
            index_size += index_record.size
        if scanned and size + record.size > PAGE_BYTES:
            is_cut = True
            break
        scanned, size, last = scanned + 1, size + record.size, index_record
        if reading.test is None or reading.test(record.item):
            items.append(record)
        if scanned == limit:
            is_cut = True
            break
    answer: Answer = {"Count": len(items), "ScannedCount": scanned}
    if request.get("Select") != "COUNT":
        answer = {"Items": [shown(record, reading.project) for record in items], **answer}
    if is_cut and last is not None:
        answer["LastEvaluatedKey"] = reading.view.key_of(last.item)
    sizes = (table_size, index_size) if reading.is_whole else (0, size)
    return with_capacity(answer, _capacity(reading, sizes, request))


def _capacity(reading: _Reading, sizes: tuple[int, int], request: Request) -> Any:
    mode = request.get("ReturnConsumedCapacity")
    if mode is None:
        return None
    is_consistent = request.get("ConsistentRead", False)
    table_size, view_size = sizes
    units, view = read_units(view_size, is_consistent), reading.view
    if view.name is None:
        return consumed(reading.store.name, units, mode)
    table_units = read_units(table_size, is_consistent) if reading.is_whole else 0.0
    by_index = {view.name: units}
    kinds = (by_index, {}) if view.is_global else ({}, by_index)
    return consumed(reading.store.name, table_units, mode, *kinds)
