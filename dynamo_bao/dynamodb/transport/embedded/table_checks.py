"""Checks of CreateTable and UpdateTable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.errors import INVALID_VALUE, invalid
from dynamo_bao.dynamodb.transport.embedded.parameters import Request
from dynamo_bao.dynamodb.transport.embedded.request_checks import (
    NOT_NULL,
    at,
    name_faults,
    one_of,
    require_no_faults,
    tag_faults,
)

_FAILED: Final = "failed to satisfy constraint: Member must"
_LIST_KINDS: Final = ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
_MOST_INDEXES: Final = {
    "LocalSecondaryIndexes": (5, "Number of LocalSecondaryIndexes exceeds per-table limit of 5"),
    "GlobalSecondaryIndexes": (20, "GlobalSecondaryIndex count exceeds the per-table limit of 20"),
}
_LARGEST_THROUGHPUT: Final = 10**12
_BILLING_MODES: Final = ("PROVISIONED", "PAY_PER_REQUEST")
_one_of_modes: Final = one_of("BillingMode", _BILLING_MODES)
_one_of_classes: Final = one_of("TableClass", ("STANDARD", "STANDARD_INFREQUENT_ACCESS"))
_VIEW_TYPES: Final = ("NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY")
_NO_DEFINITION: Final = "Invalid KeySchema: Some index key attribute have no definition"
PAY_AND_PROVISION: Final = (
    f"{INVALID_VALUE}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
    "PAY_PER_REQUEST"
)


def require_table_name(request: Request, shortest: int) -> str:
    """The name of the table that an operation on tables needs.

    Args:
        request: the request.
        shortest: the fewest letters of a name.
    """
    name = request.get("TableName")
    if name is None:
        raise invalid("The parameter 'TableName' is required but was not present in the request")
    if name.startswith("arn:"):
        return str(name.rpartition("/")[2])
    if not shortest <= len(name) <= 255:
        raise invalid("TableName must be at least 3 characters long and at most 255 characters long")
    require_no_faults(name_faults(name, "tableName", shortest))
    return str(name)


def require_creatable(request: Request, shortest: int) -> None:
    """Refuses a CreateTable that DynamoDB would refuse; see `require_table_name` for the arguments."""
    if "TableName" not in request:
        require_table_name(request, shortest)
    require_no_faults(name_faults(request["TableName"], "tableName", shortest))
    require_no_faults(_creation_faults(request))
    mode, throughput = request.get("BillingMode"), request.get("ProvisionedThroughput")
    if mode == "PAY_PER_REQUEST" and throughput:
        raise invalid(PAY_AND_PROVISION)
    require_bounded(throughput)
    if mode != "PAY_PER_REQUEST" and not throughput:
        raise invalid(
            f"{INVALID_VALUE}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is "
            "PROVISIONED"
        )
    schema, names = request["KeySchema"], _defined_names(request)
    _require_defined(schema, names)
    _require_order(schema)
    for kind in _LIST_KINDS:
        if request.get(kind) == []:
            raise invalid(f"{INVALID_VALUE}List of {kind} is empty")
    for kind in _LIST_KINDS:
        _require_indexes(kind, request)
    _require_used(request, names)
    stream = request.get("StreamSpecification", {})
    if stream.get("StreamEnabled") is False and "StreamViewType" in stream:
        raise invalid(
            f"{INVALID_VALUE}Table is being created with a stream disabled, UpdateViewType should not be specified"
        )


def _creation_faults(request: Request) -> Iterator[str]:
    yield from _one_of_modes(request)
    yield from _one_of_classes(request)
    yield from throughput_faults(request.get("ProvisionedThroughput"), "provisionedThroughput")
    yield from _schema_faults(request.get("KeySchema"), "keySchema", is_table=True)
    yield from _definition_faults(request.get("AttributeDefinitions"))
    for kind in _LIST_KINDS:
        for number, index in enumerate(request.get(kind, ()), 1):
            yield from _index_faults(index, f"{at(kind)}.{number}.member")
    yield from tag_faults(request)
    yield from _stream_faults(request)


def throughput_faults(throughput: Mapping[str, Any] | None, place: str) -> Iterator[str]:
    """The faults of a ``ProvisionedThroughput``."""
    for member in ("WriteCapacityUnits", "ReadCapacityUnits") if throughput is not None else ():
        units = throughput.get(member) if throughput else None
        if units is None:
            yield f"Value null at '{place}.{at(member)}' {NOT_NULL}"
        elif units < 1:
            yield f"Value '{units}' at '{place}.{at(member)}' {_FAILED} have value greater than or equal to 1"


def _schema_faults(schema: list[Any] | None, place: str, is_table: bool = False) -> Iterator[str]:
    if schema is None:
        yield f"Value null at '{place}' {NOT_NULL}"
        return
    if not schema:
        yield f"Value '[]' at '{place}' {_FAILED} have length greater than or equal to 1"
    elif len(schema) > 2 and is_table:
        elements = ", ".join(
            f"KeySchemaElement(attributeName={key.get('AttributeName', '')}, keyType={key.get('KeyType', '')})"
            for key in schema
        )
        yield f"Value '[{elements}]' at '{place}' {_FAILED} have length less than or equal to 2"
    for number, key in enumerate(schema, 1):
        yield from _named_faults(key, f"{place}.{number}.member", "KeyType", ("HASH", "RANGE"))


def _definition_faults(definitions: list[Any] | None) -> Iterator[str]:
    if definitions is None:
        yield f"Value null at 'attributeDefinitions' {NOT_NULL}"
    for number, definition in enumerate(definitions or (), 1):
        place = f"attributeDefinitions.{number}.member"
        yield from _named_faults(definition, place, "AttributeType", ("B", "N", "S"))


def _named_faults(part: Mapping[str, Any], place: str, member: str, words: tuple[str, ...]) -> Iterator[str]:
    """The faults of a structure with the name of an attribute and a word."""
    if "AttributeName" not in part:
        yield f"Value null at '{place}.attributeName' {NOT_NULL}"
    word = part.get(member)
    if word is None:
        yield f"Value null at '{place}.{at(member)}' {NOT_NULL}"
    elif word not in words:
        yield f"Value '{word}' at '{place}.{at(member)}' {_FAILED} satisfy enum value set: [{', '.join(words)}]"


def _stream_faults(request: Request) -> Iterator[str]:
    stream = request.get("StreamSpecification", {"StreamEnabled": False})
    view_type, place = stream.get("StreamViewType"), "streamSpecification"
    if "StreamEnabled" not in stream:
        yield f"Value null at '{place}.streamEnabled' {NOT_NULL}"
    elif stream["StreamEnabled"] and view_type is None:
        yield f"Value null at '{place}.streamViewType' {NOT_NULL}"
    if view_type is not None and view_type not in _VIEW_TYPES:
        yield (
            f"Value '{view_type}' at '{place}.streamViewType' {_FAILED} satisfy enum value set: "
            f"[{', '.join(_VIEW_TYPES)}]"
        )


def _index_faults(index: Mapping[str, Any], place: str) -> Iterator[str]:
    """The faults of an index: DynamoDB names those of a local index's name first, of a global index's name last."""
    is_local = place.startswith("local")
    if is_local:
        yield from _index_name_faults(index, place)
    yield from _schema_faults(index.get("KeySchema"), f"{place}.keySchema")
    yield from _projection_faults(index.get("Projection"), f"{place}.projection")
    if not is_local:
        yield from _index_name_faults(index, place)
    yield from throughput_faults(index.get("ProvisionedThroughput"), f"{place}.provisionedThroughput")


def _index_name_faults(index: Mapping[str, Any], place: str) -> Iterator[str]:
    name = index.get("IndexName")
    if name is None:
        yield f"Value null at '{place}.indexName' {NOT_NULL}"
    else:
        yield from name_faults(name, f"{place}.indexName", 3)


def _projection_faults(rule: Mapping[str, Any] | None, place: str) -> Iterator[str]:
    if rule is None:
        yield f"Value null at '{place}' {NOT_NULL}"
        return
    kind = rule.get("ProjectionType", "ALL")
    if kind not in ("ALL", "INCLUDE", "KEYS_ONLY"):
        yield (
            f"Value '{kind}' at '{place}.projectionType' {_FAILED} satisfy enum value set: "
            "[ALL, INCLUDE, KEYS_ONLY]"
        )
    if rule.get("NonKeyAttributes") == []:
        yield f"Value '[]' at '{place}.nonKeyAttributes' {_FAILED} have length greater than or equal to 1"


def require_bounded(throughput: Mapping[str, int] | None) -> None:
    """Refuses a throughput that no table can have."""
    for member in ("ReadCapacityUnits", "WriteCapacityUnits"):
        if throughput and throughput[member] > _LARGEST_THROUGHPUT:
            raise invalid(f"Given value {throughput[member]} for {member} is out of bounds")


def _defined_names(request: Request) -> list[str]:
    return [definition["AttributeName"] for definition in request.get("AttributeDefinitions", ())]


def _names(schema: Iterable[Mapping[str, str]]) -> list[str]:
    return [key["AttributeName"] for key in schema]


def _require_defined(schema: list[dict[str, str]], names: list[str]) -> None:
    keys = _names(schema)
    missing = [name for name in keys if name not in names]
    if len(set(keys)) < len(keys) or (missing and (not names or len(keys) > 1)):
        raise invalid(_NO_DEFINITION)
    if missing:
        raise invalid(_undefined(missing, names))


def _undefined(keys: list[str], names: list[str]) -> str:
    return (
        f"{INVALID_VALUE}Some index key attributes are not defined in AttributeDefinitions. "
        f"Keys: [{', '.join(keys)}], AttributeDefinitions: [{', '.join(names)}]"
    )


def _require_order(schema: list[dict[str, str]]) -> None:
    if schema[0]["KeyType"] != "HASH":
        raise invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if len(schema) < 2:
        return
    if schema[0]["AttributeName"] == schema[1]["AttributeName"]:
        raise invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    if schema[1]["KeyType"] != "RANGE":
        raise invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")


def _require_indexes(kind: str, request: Request) -> None:
    indexes = request.get(kind, ())
    if not indexes:
        return
    is_local = kind == "LocalSecondaryIndexes"
    if is_local and len(request["KeySchema"]) < 2:
        raise invalid(
            f"{INVALID_VALUE}Table KeySchema does not have a range key, which is required when specifying a "
            "LocalSecondaryIndex"
        )
    names = _defined_names(request)
    keys = list(dict.fromkeys(name for index in indexes for name in _names(index["KeySchema"])))
    if any(key not in names for key in keys):
        raise invalid(_undefined(keys, names))
    for index in indexes:
        _require_order(index["KeySchema"])
        if is_local:
            _require_local(index, request["KeySchema"][0]["AttributeName"])
        require_projection(index["Projection"])
    all_names = [index["IndexName"] for other in _LIST_KINDS for index in request.get(other, ())]
    for name in all_names:
        if all_names.count(name) > 1:
            raise invalid(f"{INVALID_VALUE}Duplicate index name: {name}")
    most, fault = _MOST_INDEXES[kind]
    if len(indexes) > most:
        raise invalid(INVALID_VALUE + fault)
    for index in indexes:
        if request.get("BillingMode") == "PAY_PER_REQUEST" and "ProvisionedThroughput" in index:
            raise invalid(
                f"{INVALID_VALUE}ProvisionedThroughput should not be specified for index: {index['IndexName']} "
                "when BillingMode is PAY_PER_REQUEST"
            )


def _require_local(index: Mapping[str, Any], hash_name: str) -> None:
    schema, name = index["KeySchema"], index["IndexName"]
    if len(schema) < 2:
        raise invalid(f"{INVALID_VALUE}Index KeySchema does not have a range key for index: {name}")
    own_name = schema[0]["AttributeName"]
    if own_name != hash_name:
        raise invalid(
            f"{INVALID_VALUE}Index KeySchema does not have the same leading hash key as table KeySchema for index: "
            f"{name}. index hash key: {own_name}, table hash key: {hash_name}"
        )


def require_projection(rule: Mapping[str, Any]) -> None:
    """Refuses a projection whose attributes do not fit its type."""
    kind, names = rule.get("ProjectionType"), rule.get("NonKeyAttributes")
    if kind is None:
        raise invalid(f"{INVALID_VALUE}Unknown ProjectionType: null")
    if kind != "INCLUDE" and names is not None:
        raise invalid(f"{INVALID_VALUE}ProjectionType is {kind}, but NonKeyAttributes is specified")
    if kind == "INCLUDE" and names is None:
        raise invalid(f"{INVALID_VALUE}ProjectionType is INCLUDE, but NonKeyAttributes is not specified")


def _require_used(request: Request, names: list[str]) -> None:
    schemas = [
        request["KeySchema"],
        *(index["KeySchema"] for kind in _LIST_KINDS for index in request.get(kind, ())),
    ]
    if len(names) != len({name for schema in schemas for name in _names(schema)}):
        raise invalid(
            f"{INVALID_VALUE}Number of attributes in KeySchema does not exactly match number of attributes defined "
            "in AttributeDefinitions"
        )


# --- UpdateTable --------------------------------------------------------------------------------------------


def require_changes(request: Request) -> None:
    """Refuses an UpdateTable that changes nothing, or an index twice."""
    require_no_faults(_change_faults(request))
    if request.get("BillingMode") == "PAY_PER_REQUEST" and "ProvisionedThroughput" in request:
        raise invalid(PAY_AND_PROVISION)
    require_bounded(request.get("ProvisionedThroughput"))
    updates = request.get("GlobalSecondaryIndexUpdates", [])
    changed = set(request) - {"TableName", "AttributeDefinitions", "GlobalSecondaryIndexUpdates"}
    if not updates and not changed:
        raise invalid(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates "
            "or SSESpecification or ReplicaUpdates is required"
        )
    index_names = set()
    for update in updates:
        if not update:
            raise invalid(
                f"{INVALID_VALUE}One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
                "GlobalSecondaryIndexUpdate.Delete must not be null"
            )
        name = next(iter(update.values())).get("IndexName")
        if name in index_names:
            raise invalid(
                f"{INVALID_VALUE}Only one global secondary index update per index is allowed simultaneously. "
                f"Index: {name}"
            )
        index_names.add(name)


def _change_faults(request: Request) -> Iterator[str]:
    yield from _one_of_modes(request)
    yield from _one_of_classes(request)
    yield from throughput_faults(request.get("ProvisionedThroughput"), "provisionedThroughput")
    yield from _definition_faults(request.get("AttributeDefinitions", []))
    yield from _stream_faults(request)
    for number, update in enumerate(request.get("GlobalSecondaryIndexUpdates", ()), 1):
        place = f"globalSecondaryIndexUpdates.{number}.member"
        if "Create" in update:
            yield from _index_faults(update["Create"], f"{place}.create")
        if "Update" in update:
            change = update["Update"]
            yield from _index_name_faults(change, f"{place}.update")
            if "ProvisionedThroughput" not in change:
                yield f"Value null at '{place}.update.provisionedThroughput' {NOT_NULL}"
            yield from throughput_faults(
                change.get("ProvisionedThroughput"), f"{place}.update.provisionedThroughput"
            )
        if "Delete" in update:
            yield from _index_name_faults(update["Delete"], f"{place}.delete")


def require_new_index(index: Mapping[str, Any], definitions: Iterable[Mapping[str, str]]) -> None:
    """Refuses an index that UpdateTable cannot add."""
    names = [definition["AttributeName"] for definition in definitions]
    _require_order(index["KeySchema"])
    require_projection(index["Projection"])
    keys = _names(index["KeySchema"])
    if any(key not in names for key in keys):
        raise invalid(_undefined([key for key in keys if key not in names], names))
