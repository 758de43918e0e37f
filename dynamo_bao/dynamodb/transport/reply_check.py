"""Checks that a reply answers its request: its members, their types, and the keys of its items.

Both senders pass every parsed reply to `checked`, and every error reply to `checked_refusal`, so no unchecked member
goes further. A reply that does not answer its request is damaged: it raises `DataFormatError`, the connection is
closed, and a read is sent again.

An absent member alone proves nothing. An item is missing, or a write is done, only if the reply has the members that
its operation must have, or the consumed capacity, or the checksum that DynamoDB puts on every reply.

If an item has the right key and an attribute value of a wrong type, only that attribute is damaged: it becomes
`UNREADABLE`, which no field can read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeGuard

from dynamo_bao.dynamodb.items import KeyedItems, as_dict_members
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import (
    BATCH_GET_ITEM,
    BATCH_WRITE_ITEM,
    CREATE_TABLE,
    DELETE_ITEM,
    DELETE_TABLE,
    DESCRIBE_TABLE,
    DESCRIBE_TIME_TO_LIVE,
    GET_ITEM,
    PUT_ITEM,
    QUERY,
    SCAN,
    TRANSACT_WRITE_ITEMS,
    UPDATE_ITEM,
    UPDATE_TABLE,
    UPDATE_TIME_TO_LIVE,
    AttributeValue,
    Item,
)
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import DataFormatError
from dynamo_bao.runtime.late_modules import LateModule

if TYPE_CHECKING:
    from dynamo_bao.dynamodb.transport import key_ranges
else:  # only the replies to queries need it
    key_ranges = LateModule("dynamo_bao.dynamodb.transport.key_ranges")

TRANSACT_GET_ITEMS: Final = "TransactGetItems"
"""An operation that this library does not send; programs may send it by the library's transports."""
Place = tuple[str, str]
"""The texts of a table key."""
UNREADABLE: Final[AttributeValue] = {"?": None}
"""The replacement of an attribute value that cannot be read."""
REMEMBERED_IDS: Final = 1000
"""How many ids of replies are remembered at least."""

_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    operation: frozenset(members.split())
    for operation, members in {
        GET_ITEM: "Item",
        BATCH_GET_ITEM: "Responses UnprocessedKeys",
        QUERY: "Items Count ScannedCount LastEvaluatedKey",
        SCAN: "Items Count ScannedCount LastEvaluatedKey",
        TRANSACT_GET_ITEMS: "Responses",
        PUT_ITEM: "Attributes",
        UPDATE_ITEM: "Attributes",
        DELETE_ITEM: "Attributes",
        BATCH_WRITE_ITEM: "UnprocessedItems",
        TRANSACT_WRITE_ITEMS: "",
        DESCRIBE_TABLE: "Table",
        CREATE_TABLE: "TableDescription",
        UPDATE_TABLE: "TableDescription",
        DELETE_TABLE: "TableDescription",
        DESCRIBE_TIME_TO_LIVE: "TimeToLiveDescription",
        UPDATE_TIME_TO_LIVE: "TimeToLiveSpecification",
    }.items()
}
"""The members of each operation's reply, beside the figures that many have."""
_ERRORS: Final = frozenset(("__type", "message", "Message"))
_FOREIGN: Final = {
    operation: frozenset().union(_ERRORS, *_MEMBERS.values()) - members
    for operation, members in _MEMBERS.items()
}
"""For each operation, the members that only replies to other operations have."""
_LISTS_CAPACITY: Final = frozenset(
    (BATCH_GET_ITEM, BATCH_WRITE_ITEM, TRANSACT_GET_ITEMS, TRANSACT_WRITE_ITEMS)
)


class SeenIds:
    """The ids of the last replies of one client. Each reply has a unique id, so a repeated id is a repeated reply.

    A set is replaced when it is full, and remembered until the next one is full too.
    """

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._earlier_ids: set[str] = set()

    def check(self, headers: Mapping[str, str], operation: str) -> None:
        """Raises `DataFormatError` for a reply that was received before."""
        number = headers.get("x-amzn-requestid")
        if number is None:
            return
        ids = self._ids
        if number in ids or number in self._earlier_ids:
            raise DataFormatError(
                f"{operation}: the reply was received twice, the first time for another request. "
                f"Is there a proxy between this program and DynamoDB?"
            )
        ids.add(number)
        if len(ids) >= REMEMBERED_IDS:
            self._earlier_ids, self._ids = ids, set()


def checked(request: Request, parsed: dict[str, object], *, is_vouched: bool) -> dict[str, object]:
    """The members of a successful reply, after all checks.

    Args:
        request: the request.
        parsed: the reply's JSON, with binaries decoded; items may be rows.
        is_vouched: whether it is certain that DynamoDB made the reply, so that an absent member means a missing item.

    Raises:
        DataFormatError: if it does not answer the request.
    """
    operation = request.operation
    check = _CHECKS.get(operation)
    if check is None:
        return parsed
    if not _FOREIGN[operation].isdisjoint(parsed):
        _refuse(operation, "it has members that replies to other requests have")
    if None in parsed.values():  # DynamoDB omits absent members
        parsed = {name: value for name, value in parsed.items() if value is not None}
    capacity = parsed.get("ConsumedCapacity")
    if capacity is None:
        pass
    elif operation in _LISTS_CAPACITY:
        if type(capacity) is not list or not all(map(_is_capacity, capacity)):
            _refuse(operation, "ConsumedCapacity is not a list of figures")
        is_vouched = True
    else:
        if not _is_capacity(capacity):
            _refuse(operation, "ConsumedCapacity has no figures")
        is_vouched = True
    try:
        return check(request, parsed, is_vouched)
    except RecursionError:
        _refuse(operation, "it is nested deeper than DynamoDB allows")


def _refuse(operation: str, fault: str) -> NoReturn:
    raise DataFormatError(
        f"{operation}: the reply does not answer the request: {fault}. "
        f"Is there a proxy, or another server than DynamoDB, at the endpoint?"
    )


def _require_voucher(request: Request, is_vouched: bool, fault: str) -> None:
    if not is_vouched:
        _refuse(
            request.operation,
            f"{fault}, nor the ConsumedCapacity that was asked for. An engine that never reports it needs "
            f"init_models(reply_check='lenient')",
        )


# --- values -------------------------------------------------------------------------------------------------

_SCALARS: Final[Mapping[object, type]] = {"S": str, "N": str, "BOOL": bool, "NULL": bool, "B": bytes}
_SETS: Final[Mapping[object, type]] = {"SS": str, "NS": str, "BS": bytes}


def _is_value(value: object) -> TypeGuard[dict[str, object]]:
    """Whether something is a typed value of DynamoDB."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((code, content),) = value.items()
    kind = _SCALARS.get(code)
    if kind is not None:
        return type(content) is kind
    if type(content) is list:
        member = _SETS.get(code)
        if member is not None:
            return all(type(part) is member for part in content)
        return code == "L" and all(map(_is_value, content))
    return code == "M" and type(content) is dict and all(map(_is_value, content.values()))


def _readable(item: Item) -> Item:
    """An item with `UNREADABLE` in place of each value that is not a typed value."""
    for value in item.values():
        # A short check first, for the values of nearly all items.
        if type(value) is dict and len(value) == 1:
            for code, content in value.items():
                if type(content) is _SCALARS.get(code):
                    break
            else:
                if not _is_value(value):
                    break
        else:
            break
    else:
        return item
    return {name: value if _is_value(value) else UNREADABLE for name, value in item.items()}


def _is_capacity(capacity: object) -> bool:
    """Whether something is a ``ConsumedCapacity``: numbers, also by table and index, and the table's name."""
    if type(capacity) is not dict:
        return False
    for name, value in capacity.items():
        kind = type(value)
        if kind is float or kind is int:
            if name == "TableName" or not value >= 0:
                return False
        elif kind is str:
            if name != "TableName":
                return False
        elif kind is not dict or not _are_figures(name, value):
            return False
    return True


def _are_figures(name: str, value: Mapping[str, object]) -> bool:
    if name == "Table":
        return _is_capacity(value)
    return name in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes") and all(
        map(_is_capacity, value.values())
    )


def _place_of(key: Any, operation: str) -> Place:
    """The texts of a table key, or of the key of an item."""
    try:
        pk, sk = key[PK]["S"], key[SK]["S"]
    except (KeyError, TypeError):
        pk = sk = None
    if type(pk) is not str or type(sk) is not str:
        _refuse(operation, "it holds an item without a key")
    return pk, sk


def _require_key(request: Request, item: object, key: Mapping[str, object], label: str = "the item") -> None:
    """Refuses an item with another key than the requested one.

    Args:
        request: the request.
        item: the item of the reply.
        key: the values that the item must have, by attribute.
        label: the name of the item in the reply, for the error.
    """
    if type(item) is not dict or not item:
        _refuse(request.operation, f"{label} is empty or not an object")
    for name, value in key.items():
        if item.get(name) != value and (name in item or "ProjectionExpression" not in request.written):
            _refuse(request.operation, f"{label} has another key than the one that was asked for")


def _require_key_of_row(request: Request, row: Any) -> None:
    """Refuses a row with another key than the requested one."""
    key = request.written["Key"]
    try:
        if key[PK]["S"] == row._pk.S and key[SK]["S"] == row._sk.S:
            return
    except AttributeError:
        _refuse(request.operation, "it holds an item without a key")
    _refuse(request.operation, "the item has another key than the one that was asked for")


# --- items by key ---------------------------------------------------------------------------------------------


def _check_get(request: Request, parsed: dict[str, object], is_vouched: bool) -> dict[str, object]:
    item = parsed.get("Item")
    if item is None:
        _require_voucher(request, is_vouched, "it has neither an item")
        return parsed
    if type(item) is dict:
        _require_key(request, item, request.written.get("Key", {}))
        parsed["Item"] = _readable(item)
    else:
        _require_key_of_row(request, item)
    return parsed


def _check_transact_get(request: Request, parsed: dict[str, object], is_vouched: bool) -> dict[str, object]:
    actions, entries = request.written.get("TransactItems", []), parsed.get("Responses")
    if type(entries) is not list or len(entries) != len(actions):
        _refuse(request.operation, "Responses is not a list with an entry for each key")
    for action, entry in zip(actions, entries, strict=True):
        if type(entry) is not dict:
            _refuse(request.operation, "an entry of Responses is not an object")
        if entry.get("Item") is not None:
            _require_key(request, entry["Item"], action["Get"]["Key"])
            entry["Item"] = _readable(entry["Item"])
    return parsed


def _check_batch_get(request: Request, parsed: dict[str, object], is_vouched: bool) -> dict[str, object]:
    requested, operation = _requested_keys(request), request.operation
    responses, unprocessed_keys = parsed.get("Responses", {}), parsed.get("UnprocessedKeys", {})
    if type(responses) is not dict or type(unprocessed_keys) is not dict:
        _refuse(operation, "Responses or UnprocessedKeys is not a map of tables")
    unprocessed = (
        {table: _places_left(entry, operation) for table, entry in unprocessed_keys.items()}
        if unprocessed_keys
        else unprocessed_keys
    )
    if not requested.keys() >= responses.keys() | unprocessed.keys():
        _refuse(operation, "it is about a table that was not asked for")
    for table, keys in requested.items():
        items = responses.get(table)
        if items is None:
            if len(unprocessed.get(table, ())) < len(keys):
                _refuse(operation, f"it says nothing of table {table}")
            continue
        if not isinstance(items, list):
            _refuse(operation, "an entry of Responses is not a list of items")
        item_keys, absent = _places(items, operation), set(keys)
        absent.difference_update(item_keys)
        if len(keys) - len(absent) != len(items):
            _refuse(operation, "it holds an item that was not asked for, or the same one twice")
        if items and type(items[0]) is dict:
            items = map(_readable, items)
        responses[table] = KeyedItems(items, item_keys)
        if table in unprocessed and not unprocessed[table] <= absent:
            _refuse(
                operation, "UnprocessedKeys has the key of an item that it holds, or that was not asked for"
            )
    for table, keys_left in unprocessed.items():
        if not keys_left <= set(requested[table]):
            _refuse(operation, "UnprocessedKeys has a key that was not asked for")
    return parsed


def _requested_keys(request: Request) -> Mapping[str, Collection[Place]]:
    """The keys that a batch reads or writes, by table."""
    if request.keys is not None:
        return request.keys
    keys_by_table: dict[str, set[Place]] = {}
    for table, entry in request.written["RequestItems"].items():
        keys = (
            as_dict_members(entry["Keys"])
            if type(entry) is dict
            else map(_written_key, as_dict_members(entry))
        )
        keys_by_table[table] = {_place_of(key, request.operation) for key in keys}
    return keys_by_table


def _written_key(member: Mapping[str, Any]) -> object:
    """The item or key that holds the key of a member of a batch of writes."""
    return member["PutRequest"]["Item"] if "PutRequest" in member else member["DeleteRequest"]["Key"]


def _places(items: list[Any], operation: str) -> list[Place]:
    """The keys of items; `DataFormatError` if an item has no key."""
    if items and type(items[0]) is dict:
        return [_place_of(item, operation) for item in items]
    try:
        return [(row._pk.S, row._sk.S) for row in items]
    except AttributeError:
        _refuse(operation, "it holds an item without a key")


def _places_left(entry: object, operation: str) -> set[Place]:
    keys = entry.get("Keys") if type(entry) is dict else None
    if type(keys) is not list:
        _refuse(operation, "UnprocessedKeys has no list of keys")
    return {_place_of(key, operation) for key in keys}


# --- pages ------------------------------------------------------------------------------------------------------


def _check_page(request: Request, parsed: dict[str, object], is_vouched: bool) -> dict[str, object]:
    operation, items = request.operation, parsed.get("Items")
    counting = request.written.get("Select") == "COUNT"
    if items is None and not counting:
        _refuse(operation, "it has no Items")
    if items is not None and type(items) is not list:
        _refuse(operation, "Items is not a list")
    _check_counts(parsed, operation, items, counting)
    requested_range = key_ranges.key_range(request.written) if operation == QUERY else None
    end = parsed.get("LastEvaluatedKey")
    if end is not None:
        if type(end) is not dict or not end or not all(map(_is_key_value, end.values())):
            _refuse(operation, "LastEvaluatedKey is not a key")
        _place_of(end, operation)
        if end == request.written.get("ExclusiveStartKey"):
            _refuse(operation, "it continues where it began")
        if requested_range is not None and not requested_range.holds([end]):
            _refuse(operation, "it continues in another partition or range than requested")
    if not items:
        return parsed
    if requested_range is not None and request.rows is not None and requested_range.holds_each_once(items):
        return parsed
    if requested_range is not None and not requested_range.holds(items):
        _refuse(operation, "it holds an item of another partition or range than was asked for")
    if len(set(_places(items, operation))) != len(items):
        _refuse(operation, "it holds the same item twice")
    if type(items[0]) is dict:
        parsed["Items"] = list(map(_readable, items))
    return parsed


def _check_counts(
    parsed: dict[str, object], operation: str, items: Sequence[object] | None, counting: bool
) -> None:
    """Checks the counts of a page, and adds them if they are absent."""
    count = parsed.get("Count")
    if count is None and items is not None and not counting:
        count = parsed["Count"] = len(items)
    scanned = parsed.setdefault("ScannedCount", count)
    if type(count) is not int or type(scanned) is not int or not 0 <= count <= scanned:
        _refuse(operation, "Count or ScannedCount is not a number of items")
    if items and len(items) != count:
        _refuse(operation, "Count is not the number of its items")


def _is_key_value(value: object) -> bool:
    return _is_value(value) and next(iter(value)) in ("S", "N", "B")


# --- writes -----------------------------------------------------------------------------------------------------


def _check_write(request: Request, parsed: dict[str, object], is_vouched: bool) -> dict[str, object]:
    attributes, parameters = parsed.get("Attributes"), request.written
    if attributes is not None and attributes == request.expected:
        parsed["Attributes"] = request.expected
        return parsed
    requested_values = parameters.get("ReturnValues", "NONE")
    if attributes is None or attributes == {}:
        if requested_values == "ALL_NEW" or (requested_values == "ALL_OLD" and _requires_item(request)):
            _refuse(request.operation, "it lacks the Attributes that were asked for")
        _require_voucher(request, is_vouched, "it has neither Attributes")
        return parsed
    if type(attributes) is not dict and request.rows is not None:
        _require_key_of_row(request, attributes)
        return parsed
    if type(attributes) is not dict or _readable(attributes) is not attributes:
        _refuse(request.operation, "Attributes is not an item")
    if requested_values in ("ALL_NEW", "ALL_OLD"):
        _require_key(request, attributes, _key_of_write(parameters), "Attributes")
    return parsed


def _requires_item(request: Request) -> bool:
    """Whether a deletion has the condition that the item exists, so that its attributes must be returned."""
    condition = request.written.get("ConditionExpression")
    if request.operation != DELETE_ITEM or not isinstance(condition, str):
        return False
    names = request.written.get("ExpressionAttributeNames", {})
    (pk, *_) = [placeholder for placeholder, name in names.items() if name == PK] or [PK]
    first_condition, _, _ = condition.removeprefix("(").partition(" AND ")
    return first_condition.rstrip(")") == f"attribute_exists({pk}"


def _key_of_write(parameters: Mapping[str, Any]) -> Mapping[str, object]:
    if "Key" in parameters:
        key: Mapping[str, object] = parameters["Key"]
        return key
    item = parameters.get("Item", {})
    return {name: item[name] for name in (PK, SK) if name in item}


def _check_batch_write(request: Request, parsed: dict[str, object], is_vouched: bool) -> dict[str, object]:
    unprocessed, operation = parsed.get("UnprocessedItems"), request.operation
    if type(unprocessed) is not dict:
        _refuse(operation, "it lacks UnprocessedItems")
    if unprocessed:
        requested = _requested_keys(request)
        for table, members in unprocessed.items():
            if table not in requested or type(members) is not list:
                _refuse(operation, "UnprocessedItems is about a table that was not written to")
            if not {_unprocessed_place(member, operation) for member in members} <= set(requested[table]):
                _refuse(operation, "UnprocessedItems has a key that was not written")
    return parsed


def _unprocessed_place(member: Any, operation: str) -> Place:
    try:
        return _place_of(_written_key(member), operation)
    except (KeyError, TypeError):
        _refuse(operation, "UnprocessedItems has a member that is not a write")


def _check_transact_write(request: Request, parsed: dict[str, object], is_vouched: bool) -> dict[str, object]:
    _require_voucher(request, is_vouched, "it says nothing")
    return parsed


# --- tables -----------------------------------------------------------------------------------------------------

_TABLE_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    **dict.fromkeys(("TableName", "TableStatus", "IndexName", "IndexStatus", "AttributeName"), str),
    **dict.fromkeys(("AttributeType", "KeyType", "ProjectionType", "TimeToLiveStatus"), str),
    **dict.fromkeys(("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes"), list),
    **dict.fromkeys(("LocalSecondaryIndexes", "NonKeyAttributes"), list),
    **dict.fromkeys(("Projection", "ProvisionedThroughput", "BillingModeSummary"), dict),
    **dict.fromkeys(("ItemCount", "TableSizeBytes", "IndexSizeBytes"), (int, float)),
    **dict.fromkeys(("Backfilling", "DeletionProtectionEnabled", "Enabled"), bool),
}
"""The types of the members of table descriptions, at any depth."""
_TABLE_PARTS: Final[Mapping[str, frozenset[str]]] = {
    "KeySchema": frozenset(("AttributeName", "KeyType")),
    "AttributeDefinitions": frozenset(("AttributeName", "AttributeType")),
    "GlobalSecondaryIndexes": frozenset(("IndexName", "KeySchema", "Projection")),
    "LocalSecondaryIndexes": frozenset(("IndexName", "KeySchema", "Projection")),
}
"""The members that each entry of these lists must have."""


def _check_description(
    member: str,
    required_members: frozenset[str],
    request: Request,
    parsed: dict[str, object],
    is_vouched: bool,
) -> dict[str, object]:
    description = parsed.get(member)
    if (
        type(description) is not dict
        or not required_members <= description.keys()
        or not _is_description(description)
    ):
        _refuse(request.operation, f"{member} describes nothing")
    return parsed


def _is_description(part: Mapping[str, object]) -> bool:
    for name, value in part.items():
        kind = _TABLE_TYPES.get(name)
        if value is None or (kind is not None and not isinstance(value, kind)):
            return False
        if type(value) is dict and not _is_description(value):
            return False
        if isinstance(value, list) and not _are_parts(name, value):
            return False
    return True


def _are_parts(name: str, entries: Sequence[object]) -> bool:
    """Whether the entries of a list of a description are such as the list must have."""
    required_members = _TABLE_PARTS.get(name)
    if required_members is not None and not all(_is_part(entry, required_members) for entry in entries):
        return False
    return name != "NonKeyAttributes" or all(type(entry) is str for entry in entries)


def _is_part(entry: object, required_members: frozenset[str]) -> bool:
    return type(entry) is dict and required_members <= entry.keys() and _is_description(entry)


# --- error replies ----------------------------------------------------------------------------------------------


def checked_refusal(request: Request, parsed: Mapping[str, object]) -> dict[str, object]:
    """The members of an error reply that have the right type; other members are omitted.

    Raises:
        DataFormatError: if it is the reply to another request.
    """
    members = dict(parsed)
    for name in _ERRORS & members.keys():
        if type(members[name]) is not str:
            del members[name]
    item = members.pop("Item", None)
    if type(item) is dict and item:
        _require_key(request, item, _key_of_write(request.written), "the item of the failed condition")
        if all(map(_is_value, item.values())):
            members["Item"] = item
    if "CancellationReasons" in members or str(members.get("__type", "")).endswith(
        "TransactionCanceledException"
    ):
        members["CancellationReasons"] = _reasons(request, members.get("CancellationReasons"))
    throttling = members.get("ThrottlingReasons", [])
    if type(throttling) is not list or not all(map(_is_throttling_reason, throttling)):
        del members["ThrottlingReasons"]
    return members


def _reasons(request: Request, reasons: object) -> list[dict[str, object]]:
    """The reasons of a cancelled transaction: one for each action, with the item of that action."""
    actions = request.written.get("TransactItems", ())
    if type(reasons) is not list or len(reasons) != len(actions):
        _refuse(request.operation, "it does not have a reason for each action")
    checked_reasons = []
    for action, reason in zip(actions, reasons, strict=True):
        if type(reason) is not dict or type(reason.get("Code", "None")) not in (str, type(None)):
            _refuse(request.operation, "a reason of the cancelled transaction is not an object")
        reason = {name: value for name, value in reason.items() if value is not None}
        item = reason.pop("Item", None)
        if type(item) is dict and item:
            (parameters,) = action.values()
            _require_key(request, item, _key_of_write(parameters), "the item of a failed condition")
            if all(map(_is_value, item.values())):
                reason["Item"] = item
        checked_reasons.append(reason)
    return checked_reasons


def _is_throttling_reason(reason: object) -> bool:
    return type(reason) is dict and all(type(text) is str for text in reason.values())


_Check = Callable[[Request, dict[str, object], bool], dict[str, object]]
_DESCRIBED: Final = frozenset(("TableName", "TableStatus", "KeySchema", "AttributeDefinitions"))
_CHECKS: Final[Mapping[str, _Check]] = {
    GET_ITEM: _check_get,
    TRANSACT_GET_ITEMS: _check_transact_get,
    BATCH_GET_ITEM: _check_batch_get,
    QUERY: _check_page,
    SCAN: _check_page,
    PUT_ITEM: _check_write,
    UPDATE_ITEM: _check_write,
    DELETE_ITEM: _check_write,
    BATCH_WRITE_ITEM: _check_batch_write,
    TRANSACT_WRITE_ITEMS: _check_transact_write,
    DESCRIBE_TABLE: partial(_check_description, "Table", _DESCRIBED),
    **dict.fromkeys(
        (CREATE_TABLE, UPDATE_TABLE, DELETE_TABLE),
        partial(_check_description, "TableDescription", frozenset(("TableName",))),
    ),
    DESCRIBE_TIME_TO_LIVE: partial(
        _check_description, "TimeToLiveDescription", frozenset(("TimeToLiveStatus",))
    ),
    UPDATE_TIME_TO_LIVE: partial(_check_description, "TimeToLiveSpecification", frozenset()),
}
