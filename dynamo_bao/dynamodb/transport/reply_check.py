"""Whether a reply is an answer to what was asked: its members, their types, and which keys its items have.

Both ways of sending hand every parsed reply to `checked`, and every error reply to `checked_refusal`; nothing behind
them sees a member that was not looked at. What is not an answer is a damaged reply: a `DataFormatError`, after which
the connection is given up and a read is sent again.

Nothing is concluded from what is not there, unless DynamoDB said so: an item is missing, or a write done, where the
reply has the members that its operation must have, or reports the capacity that was consumed, or has the checksum
that DynamoDB puts on every reply.

An attribute value of a wrong type, in an item whose key is right, spoils that attribute alone: it becomes
`UNREADABLE`, which no field can read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, NoReturn

from dynamo_bao.dynamodb.items import as_dict_members
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
)
from dynamo_bao.dynamodb.transport.key_ranges import key_range
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import DataFormatError

TRANSACT_GET_ITEMS: Final = "TransactGetItems"
"""What nothing of this library sends, and programs may by its transports."""
Place = tuple[str, str]
"""The texts of a table key."""
UNREADABLE: Final[Mapping[str, Any]] = {"?": None}
"""What stands in the place of an attribute value that is none."""
REMEMBERED_IDS: Final = 1000

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
    operation: frozenset().union(_ERRORS, *_MEMBERS.values()) - own for operation, own in _MEMBERS.items()
}
"""By operation, the members that only replies to others have."""
_LISTS_CAPACITY: Final = frozenset(
    (BATCH_GET_ITEM, BATCH_WRITE_ITEM, TRANSACT_GET_ITEMS, TRANSACT_WRITE_ITEMS)
)


class SeenIds:
    """The ids of the last replies of one client: each reply has its own, so that one that comes again is a double."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._order: deque[str] = deque()

    def check(self, headers: Mapping[str, str], operation: str) -> None:
        """Raises `DataFormatError` for a reply that was here before."""
        number = headers.get("x-amzn-requestid")
        if number is None:
            return
        known, order = self._known, self._order
        if number in known:
            raise DataFormatError(
                f"{operation}: the reply was received twice, the first time for another request. "
                f"Is there a proxy between this program and DynamoDB?"
            )
        known.add(number)
        order.append(number)
        if len(order) > REMEMBERED_IDS:
            known.discard(order.popleft())


def checked(request: Request, parsed: dict[str, Any], *, vouched: bool) -> dict[str, Any]:
    """The members of a successful reply, all of which are what they have to be.

    Args:
        request: what was asked.
        parsed: the reply's JSON, with binaries decoded; items may be rows.
        vouched: whether it is certain that DynamoDB made the reply, so that what is absent from it is absent.

    Raises:
        DataFormatError: if it is no answer to the request.
    """
    operation = request.operation
    check = _CHECKS.get(operation)
    if check is None:
        return parsed
    if not _FOREIGN[operation].isdisjoint(parsed):
        _refuse(operation, "it has members that replies to other requests have")
    if None in parsed.values():  # DynamoDB leaves out what is not there
        parsed = {name: value for name, value in parsed.items() if value is not None}
    capacity = parsed.get("ConsumedCapacity")
    if capacity is None:
        pass
    elif operation in _LISTS_CAPACITY:
        if type(capacity) is not list or not all(map(_is_capacity, capacity)):
            _refuse(operation, "ConsumedCapacity is no list of figures")
        vouched = True
    else:
        if not _is_capacity(capacity):
            _refuse(operation, "ConsumedCapacity holds no figures")
        vouched = True
    try:
        return check(request, parsed, vouched)
    except RecursionError:
        _refuse(operation, "it is nested deeper than DynamoDB allows")


def _refuse(operation: str, what: str) -> NoReturn:
    raise DataFormatError(
        f"{operation}: the reply is no answer to the request: {what}. "
        f"Is there a proxy, or another server than DynamoDB, at the endpoint?"
    )


def _require_word(request: Request, vouched: bool, what: str) -> None:
    if not vouched:
        _refuse(
            request.operation,
            f"{what}, nor the ConsumedCapacity that was asked for. An engine that never reports it needs "
            f"init_models(reply_check='lenient')",
        )


# --- values -------------------------------------------------------------------------------------------------

_SCALARS: Final[Mapping[Any, type]] = {"S": str, "N": str, "BOOL": bool, "NULL": bool, "B": bytes}
_SETS: Final[Mapping[Any, type]] = {"SS": str, "NS": str, "BS": bytes}


def _is_value(value: Any) -> bool:
    """Whether something is a typed value as DynamoDB has them."""
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


def _readable(item: dict[str, Any]) -> dict[str, Any]:
    """An item with `UNREADABLE` in the place of each value that is none."""
    for value in item.values():
        # In the shortest way for what is nearly always there.
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


def _is_capacity(capacity: Any) -> bool:
    """Whether something is a ``ConsumedCapacity``: figures, also by table and index, and the table's name."""
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


def _are_figures(name: str, value: dict[str, Any]) -> bool:
    if name == "Table":
        return _is_capacity(value)
    return name in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes") and all(
        map(_is_capacity, value.values())
    )


def _place_of(key: Any, operation: str) -> Place:
    """The texts of a table key, or of that of an item."""
    try:
        pk, sk = key[PK]["S"], key[SK]["S"]
    except (KeyError, TypeError):
        pk = sk = None
    if type(pk) is not str or type(sk) is not str:
        _refuse(operation, "it holds an item without a key")
    return pk, sk


def _require_key(request: Request, item: Any, key: Mapping[str, Any], what: str = "the item") -> None:
    """Refuses an item that is another one than was asked for.

    Args:
        key: by attribute, what the item must have.
        what: what the item is in the reply.
    """
    if type(item) is not dict or not item:
        _refuse(request.operation, f"{what} is none")
    for name, value in key.items():
        if item.get(name) != value and (name in item or "ProjectionExpression" not in request.written):
            _refuse(request.operation, f"{what} has another key than the one that was asked for")


def _require_key_of_row(request: Request, row: Any) -> None:
    """Refuses a row that is another item than was asked for."""
    key = request.written["Key"]
    try:
        if key[PK]["S"] == row._pk.S and key[SK]["S"] == row._sk.S:
            return
    except AttributeError:
        _refuse(request.operation, "it holds an item without a key")
    _refuse(request.operation, "the item has another key than the one that was asked for")


# --- items by key ---------------------------------------------------------------------------------------------


def _check_get(request: Request, parsed: dict[str, Any], vouched: bool) -> dict[str, Any]:
    item = parsed.get("Item")
    if item is None:
        _require_word(request, vouched, "it has neither an item")
        return parsed
    if type(item) is dict:
        _require_key(request, item, request.written.get("Key", {}))
        parsed["Item"] = _readable(item)
    else:
        _require_key_of_row(request, item)
    return parsed


def _check_transact_get(request: Request, parsed: dict[str, Any], vouched: bool) -> dict[str, Any]:
    actions, found = request.written.get("TransactItems", []), parsed.get("Responses")
    if type(found) is not list or len(found) != len(actions):
        _refuse(request.operation, "Responses is no list with an entry for each key")
    for action, entry in zip(actions, found, strict=True):
        if type(entry) is not dict:
            _refuse(request.operation, "an entry of Responses is none")
        if entry.get("Item") is not None:
            _require_key(request, entry["Item"], action["Get"]["Key"])
            entry["Item"] = _readable(entry["Item"])
    return parsed


def _check_batch_get(request: Request, parsed: dict[str, Any], vouched: bool) -> dict[str, Any]:
    asked, operation = _asked_keys(request), request.operation
    responses, left = parsed.get("Responses", {}), parsed.get("UnprocessedKeys", {})
    if type(responses) is not dict or type(left) is not dict:
        _refuse(operation, "Responses or UnprocessedKeys is no map of tables")
    unprocessed = {table: _places_left(entry, operation) for table, entry in left.items()} if left else left
    if not asked.keys() >= responses.keys() | unprocessed.keys():
        _refuse(operation, "it is about a table that was not asked for")
    for table, keys in asked.items():
        found = responses.get(table)
        if found is None:
            if len(unprocessed.get(table, ())) < len(keys):
                _refuse(operation, f"it says nothing of table {table}")
            continue
        if type(found) is not list:
            _refuse(operation, "an entry of Responses is no list of items")
        places = _places(found, operation)
        if len(places) != len(found) or not places <= set(keys):
            _refuse(operation, "it holds an item that was not asked for, or the same one twice")
        if found and type(found[0]) is dict:
            responses[table] = list(map(_readable, found))
        if table in unprocessed and not places.isdisjoint(unprocessed[table]):
            _refuse(operation, "it holds an item whose key it calls unprocessed")
    for table, places in unprocessed.items():
        if not places <= set(asked[table]):
            _refuse(operation, "UnprocessedKeys has a key that was not asked for")
    return parsed


def _asked_keys(request: Request) -> Mapping[str, Collection[Place]]:
    """By table, the keys that a batch asks for or writes."""
    if request.keys is not None:
        return request.keys
    read: dict[str, set[Place]] = {}
    for table, entry in request.written["RequestItems"].items():
        keys = (
            as_dict_members(entry["Keys"])
            if type(entry) is dict
            else map(_written_key, as_dict_members(entry))
        )
        read[table] = {_place_of(key, request.operation) for key in keys}
    return read


def _written_key(member: Mapping[str, Any]) -> Any:
    """Where the key of a member of a batch of writes is."""
    return member["PutRequest"]["Item"] if "PutRequest" in member else member["DeleteRequest"]["Key"]


def _places(found: list[Any], operation: str) -> set[Place]:
    """The keys of items, which all must have one."""
    if found and type(found[0]) is dict:
        return {_place_of(item, operation) for item in found}
    try:
        return {(row._pk.S, row._sk.S) for row in found}
    except AttributeError:
        _refuse(operation, "it holds an item without a key")


def _places_left(entry: Any, operation: str) -> set[Place]:
    keys = entry.get("Keys") if type(entry) is dict else None
    if type(keys) is not list:
        _refuse(operation, "UnprocessedKeys holds no list of keys")
    return {_place_of(key, operation) for key in keys}


# --- pages ------------------------------------------------------------------------------------------------------


def _check_page(request: Request, parsed: dict[str, Any], vouched: bool) -> dict[str, Any]:
    operation, found = request.operation, parsed.get("Items")
    counting = request.written.get("Select") == "COUNT"
    if found is None and not counting:
        _refuse(operation, "it has no Items")
    if found is not None and type(found) is not list:
        _refuse(operation, "Items is no list")
    _check_counts(parsed, operation, found, counting)
    asked = key_range(request.written) if operation == QUERY else None
    end = parsed.get("LastEvaluatedKey")
    if end is not None:
        if type(end) is not dict or not end or not all(map(_is_key_value, end.values())):
            _refuse(operation, "LastEvaluatedKey is no key")
        _place_of(end, operation)
        if end == request.written.get("ExclusiveStartKey"):
            _refuse(operation, "it goes on where it began")
        if asked is not None and not asked.holds([end]):
            _refuse(operation, "it goes on in another partition or range than was asked for")
    if not found:
        return parsed
    if asked is not None and request.rows is not None and asked.holds_each_once(found):
        return parsed
    if asked is not None and not asked.holds(found):
        _refuse(operation, "it holds an item of another partition or range than was asked for")
    if len(_places(found, operation)) != len(found):
        _refuse(operation, "it holds the same item twice")
    if type(found[0]) is dict:
        parsed["Items"] = list(map(_readable, found))
    return parsed


def _check_counts(parsed: dict[str, Any], operation: str, found: list[Any] | None, counting: bool) -> None:
    """Sees to it that the numbers of a page are there, and fit."""
    count = parsed.get("Count")
    if count is None and found is not None and not counting:
        count = parsed["Count"] = len(found)
    scanned = parsed.setdefault("ScannedCount", count)
    if type(count) is not int or type(scanned) is not int or not 0 <= count <= scanned:
        _refuse(operation, "Count or ScannedCount is no number of items")
    if found and len(found) != count:
        _refuse(operation, "Count is not the number of its items")


def _is_key_value(value: Any) -> bool:
    return _is_value(value) and next(iter(value)) in ("S", "N", "B")


# --- writes -----------------------------------------------------------------------------------------------------


def _check_write(request: Request, parsed: dict[str, Any], vouched: bool) -> dict[str, Any]:
    returned, written = parsed.get("Attributes"), request.written
    asked = written.get("ReturnValues", "NONE")
    if returned is None or returned == {}:
        if asked == "ALL_NEW" or (asked == "ALL_OLD" and _must_be_there(request)):
            _refuse(request.operation, "it lacks the Attributes that were asked for")
        _require_word(request, vouched, "it has neither Attributes")
        return parsed
    if type(returned) is not dict and request.rows is not None:
        _require_key_of_row(request, returned)
        return parsed
    if type(returned) is not dict or _readable(returned) is not returned:
        _refuse(request.operation, "Attributes is no item")
    if asked in ("ALL_NEW", "ALL_OLD"):
        _require_key(request, returned, _key_of_write(written), "Attributes")
    return parsed


def _must_be_there(request: Request) -> bool:
    """Whether a deletion can only have been done where there was an item, so that its attributes were returned."""
    condition = request.written.get("ConditionExpression")
    if request.operation != DELETE_ITEM or not isinstance(condition, str):
        return False
    names = request.written.get("ExpressionAttributeNames", {})
    (pk, *_) = [placeholder for placeholder, name in names.items() if name == PK] or [PK]
    first, _, _ = condition.removeprefix("(").partition(" AND ")
    return first.rstrip(")") == f"attribute_exists({pk}"


def _key_of_write(written: Mapping[str, Any]) -> Mapping[str, Any]:
    if "Key" in written:
        key: Mapping[str, Any] = written["Key"]
        return key
    item = written.get("Item", {})
    return {name: item[name] for name in (PK, SK) if name in item}


def _check_batch_write(request: Request, parsed: dict[str, Any], vouched: bool) -> dict[str, Any]:
    left, operation = parsed.get("UnprocessedItems"), request.operation
    if type(left) is not dict:
        _refuse(operation, "it lacks UnprocessedItems")
    if left:
        asked = _asked_keys(request)
        for table, members in left.items():
            if table not in asked or type(members) is not list:
                _refuse(operation, "UnprocessedItems is about a table that was not written to")
            if not {_place_left(member, operation) for member in members} <= set(asked[table]):
                _refuse(operation, "UnprocessedItems has a key that was not written")
    return parsed


def _place_left(member: Any, operation: str) -> Place:
    try:
        return _place_of(_written_key(member), operation)
    except (KeyError, TypeError):
        _refuse(operation, "UnprocessedItems holds what is no write")


def _check_transact_write(request: Request, parsed: dict[str, Any], vouched: bool) -> dict[str, Any]:
    _require_word(request, vouched, "it says nothing")
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
"""What the members of table descriptions are, wherever they stand."""
_TABLE_PARTS: Final[Mapping[str, frozenset[str]]] = {
    "KeySchema": frozenset(("AttributeName", "KeyType")),
    "AttributeDefinitions": frozenset(("AttributeName", "AttributeType")),
    "GlobalSecondaryIndexes": frozenset(("IndexName", "KeySchema", "Projection")),
    "LocalSecondaryIndexes": frozenset(("IndexName", "KeySchema", "Projection")),
}
"""What each entry of these lists must have."""


def _check_description(
    member: str, required: frozenset[str], request: Request, parsed: dict[str, Any], vouched: bool
) -> dict[str, Any]:
    described = parsed.get(member)
    if type(described) is not dict or not required <= described.keys() or not _is_description(described):
        _refuse(request.operation, f"{member} describes nothing")
    return parsed


def _is_description(part: dict[str, Any]) -> bool:
    for name, value in part.items():
        kind = _TABLE_TYPES.get(name)
        if value is None or (kind is not None and not isinstance(value, kind)):
            return False
        if type(value) is dict and not _is_description(value):
            return False
        needed = _TABLE_PARTS.get(name)
        if needed is not None and not all(_is_part(entry, needed) for entry in value):
            return False
        if name == "NonKeyAttributes" and not all(type(entry) is str for entry in value):
            return False
    return True


def _is_part(entry: Any, needed: frozenset[str]) -> bool:
    return type(entry) is dict and needed <= entry.keys() and _is_description(entry)


# --- error replies ----------------------------------------------------------------------------------------------


def checked_refusal(request: Request, parsed: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an error reply that are what they have to be; others are left out.

    Raises:
        DataFormatError: if it is the refusal of another request.
    """
    known = dict(parsed)
    for name in _ERRORS & known.keys():
        if type(known[name]) is not str:
            del known[name]
    item = known.pop("Item", None)
    if type(item) is dict and item:
        _require_key(request, item, _key_of_write(request.written), "the item of the failed condition")
        if all(map(_is_value, item.values())):
            known["Item"] = item
    if "CancellationReasons" in known or str(known.get("__type", "")).endswith(
        "TransactionCanceledException"
    ):
        known["CancellationReasons"] = _reasons(request, known.get("CancellationReasons"))
    throttling = known.get("ThrottlingReasons", [])
    if type(throttling) is not list or not all(map(_is_throttling_reason, throttling)):
        del known["ThrottlingReasons"]
    return known


def _reasons(request: Request, reasons: Any) -> list[dict[str, Any]]:
    """The reasons of a cancelled transaction: one for each of its actions, with the item of that one."""
    actions = request.written.get("TransactItems", ())
    if type(reasons) is not list or len(reasons) != len(actions):
        _refuse(request.operation, "it does not have a reason for each action")
    kept = []
    for action, reason in zip(actions, reasons, strict=True):
        if type(reason) is not dict or type(reason.get("Code", "None")) not in (str, type(None)):
            _refuse(request.operation, "a reason of the cancelled transaction is none")
        reason = {name: value for name, value in reason.items() if value is not None}
        item = reason.pop("Item", None)
        if type(item) is dict and item:
            (written,) = action.values()
            _require_key(request, item, _key_of_write(written), "the item of a failed condition")
            if all(map(_is_value, item.values())):
                reason["Item"] = item
        kept.append(reason)
    return kept


def _is_throttling_reason(reason: Any) -> bool:
    return type(reason) is dict and all(type(text) is str for text in reason.values())


_Check = Callable[[Request, dict[str, Any], bool], dict[str, Any]]
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
