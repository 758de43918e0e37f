"""The operations on tables. moto keeps the tables; requests are checked, and answers written, as DynamoDB does."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.errors import INVALID_VALUE, ServiceError, invalid, missing_table
from dynamo_bao.dynamodb.transport.embedded.items import Answer
from dynamo_bao.dynamodb.transport.embedded.parameters import Request
from dynamo_bao.dynamodb.transport.embedded.request_checks import NOT_NULL, at, require_no_faults
from dynamo_bao.dynamodb.transport.embedded.store import Store, View
from dynamo_bao.dynamodb.transport.embedded.table_checks import (
    PAY_AND_PROVISION,
    require_changes,
    require_creatable,
    require_new_index,
    require_table_name,
)

_NO_UNITS: Final = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0, "NumberOfDecreasesToday": 0}


class Tables:
    """The tables of moto's backend, and the items of each.

    Args:
        backend: moto's backend.
        shortest_name: the fewest letters of a table's name.
    """

    def __init__(self, backend: Any, shortest_name: int) -> None:
        self._shortest_name = shortest_name
        self._backend = backend
        self._stores: dict[str, Store] = {}

    def store(self, name: str) -> Store:
        """The items of a table, by its name or its ARN."""
        store = self._stores.get(name)
        if store is None:
            store = self._stores.get(name.rpartition("/")[2]) if name.startswith("arn:") else None
        if store is None:
            raise missing_table()
        store.mend()
        return store

    def named(self, request: Request) -> Store:
        """The table of an operation on tables."""
        name = require_table_name(request, self._shortest_name)
        if name not in self._stores:
            raise missing_table(f"Requested resource not found: Table: {name} not found")
        return self._stores[name]

    def write_to_moto(self) -> None:
        """Puts all items into moto's tables, for an operation that moto carries out."""
        for store in self._stores.values():
            store.write_to_moto()

    def read_from_moto(self) -> None:
        """Takes over the tables and their items from moto, and leaves none there."""
        self._stores = {name: Store(table) for name, table in self._backend.tables.items()}
        for table in self._backend.tables.values():
            table.items.clear()

    # --- operations ---------------------------------------------------------------------------------------

    def create_table(self, request: Request) -> Answer:
        """CreateTable."""
        require_creatable(request, self._shortest_name)
        name, throughput = request["TableName"], request.get("ProvisionedThroughput")
        if name in self._stores:
            raise ServiceError("ResourceInUseException", f"Table already exists: {name}")
        table = self._backend.create_table(
            name,
            schema=request["KeySchema"],
            throughput=throughput and dict(throughput),
            attr=request["AttributeDefinitions"],
            global_indexes=request.get("GlobalSecondaryIndexes", []),
            indexes=request.get("LocalSecondaryIndexes", []),
            streams=request.get("StreamSpecification"),
            billing_mode=request.get("BillingMode", "PROVISIONED"),
            sse_specification=request.get("SSESpecification"),
            tags=request.get("Tags", []),
            deletion_protection_enabled=request.get("DeletionProtectionEnabled"),
            warm_throughput=None,
        )
        table.table_class = request.get("TableClass")
        table.created_seconds, table.table_id = time.time(), str(uuid.uuid4())
        store = self._stores[name] = Store(table)
        description = described(store, "CREATING")
        table.deletion_protection_enabled = bool(table.deletion_protection_enabled)
        return {"TableDescription": description}

    def describe_table(self, request: Request) -> Answer:
        """DescribeTable."""
        return {"Table": described(self.named(request), "ACTIVE")}

    def delete_table(self, request: Request) -> Answer:
        """DeleteTable."""
        store = self.named(request)
        if store.table.deletion_protection_enabled:
            raise invalid(
                "Resource cannot be deleted as it is currently protected against deletion. "
                "Disable deletion protection first."
            )
        del self._backend.tables[store.name], self._stores[store.name]
        return {"TableDescription": described(store, "DELETING")}

    def list_tables(self, request: Request) -> Answer:
        """ListTables."""
        start, limit = request.get("ExclusiveStartTableName", ""), request.get("Limit", 100)
        names = [name for name in sorted(self._stores) if name > start]
        answer: Answer = {"TableNames": names[:limit]}
        return {**answer, "LastEvaluatedTableName": names[limit - 1]} if len(names) > limit else answer

    def update_table(self, request: Request) -> Answer:
        """UpdateTable."""
        require_table_name(request, self._shortest_name)
        require_changes(request)
        store = self.named(request)
        table, throughput = store.table, request.get("ProvisionedThroughput")
        old_throughput = _table_throughput(table)
        _require_other_throughput(table, request)
        definitions = request.get("AttributeDefinitions", [])
        for update in request.get("GlobalSecondaryIndexUpdates", ()):
            _require_possible(store, update, definitions)
        self._backend.update_table(
            store.name,
            attr_definitions=_merged(table.attr, definitions),
            global_index=request.get("GlobalSecondaryIndexUpdates"),
            throughput=throughput and {**throughput, "NumberOfDecreasesToday": 0},
            billing_mode=request.get("BillingMode"),
            stream_spec=_require_other_stream(table, request),
            deletion_protection_enabled=request.get("DeletionProtectionEnabled"),
            warm_throughput=None,
        )
        if request.get("BillingMode") == "PAY_PER_REQUEST":
            table.throughput = dict(_NO_UNITS)
        table.table_class = request.get("TableClass", getattr(table, "table_class", None))
        _drop_unused_definitions(table)
        store.refresh()
        if not throughput:
            return {"TableDescription": described(store, "ACTIVE")}
        # A change of throughput is shown when it is done.
        return {"TableDescription": {**described(store, "UPDATING"), "ProvisionedThroughput": old_throughput}}

    def update_time_to_live(self, request: Request) -> Answer:
        """UpdateTimeToLive."""
        require_table_name(request, self._shortest_name)
        specification = request.get("TimeToLiveSpecification")
        require_no_faults(
            f"Value null at 'timeToLiveSpecification{suffix}' {NOT_NULL}"
            for suffix in ([""] if specification is None else _missing(specification))
        )
        assert specification is not None
        name, is_enabled = specification["AttributeName"], specification["Enabled"]
        if not name:
            require_no_faults(
                [
                    "Value '' at 'timeToLiveSpecification.attributeName' failed to satisfy constraint: "
                    "Member must have length greater than or equal to 1"
                ]
            )
        table = self.named(request).table
        was_enabled = table.ttl["TimeToLiveStatus"] == "ENABLED"
        if is_enabled and was_enabled:
            if table.ttl.get("AttributeName") != name:
                raise invalid("TimeToLive is already enabled with a different attribute name")
            raise invalid("TimeToLive is already enabled")
        if not is_enabled and not was_enabled:
            raise invalid("TimeToLive is already disabled")
        table.ttl = (
            {"TimeToLiveStatus": "ENABLED", "AttributeName": name}
            if is_enabled
            else {"TimeToLiveStatus": "DISABLED"}
        )
        return {"TimeToLiveSpecification": specification}

    def describe_time_to_live(self, request: Request) -> Answer:
        """DescribeTimeToLive."""
        return {"TimeToLiveDescription": self.named(request).table.ttl}

    def tag_resource(self, request: Request) -> Answer:
        """TagResource."""
        table = self._tagged(request)
        tags = request.get("Tags", [])
        if not tags:
            raise invalid("Atleast one Tag needs to be provided as Input.")
        by_key = {tag["Key"]: tag for tag in [*table.tags, *tags]}
        if len(by_key) > 50:
            raise invalid(f"{INVALID_VALUE}Too many tags: a table can have 50.")
        table.tags = list(by_key.values())
        return {}

    def untag_resource(self, request: Request) -> Answer:
        """UntagResource."""
        table = self._tagged(request, "Requested resource not found")
        keys = request.get("TagKeys", [])
        if not keys:
            raise invalid("Atleast one Tag Key needs to be provided as Input.")
        table.tags = [tag for tag in table.tags if tag["Key"] not in keys]
        return {}

    def list_tags_of_resource(self, request: Request) -> Answer:
        """ListTagsOfResource."""
        arn = request.get("ResourceArn", "")
        try:
            return {"Tags": self._tagged(request).tags}
        except ServiceError as error:
            if error.name != "ResourceNotFoundException":
                raise
            raise ServiceError(
                "AccessDeniedException",
                f"User: arn:aws:iam::{arn.split(':')[4]}:root is not authorized to perform: "
                f"dynamodb:ListTagsOfResource on resource: {arn}",
            ) from None

    def _tagged(self, request: Request, fault: str | None = None) -> Any:
        arn = request.get("ResourceArn", "")
        if not arn.startswith("arn:aws:dynamodb:") or "/" not in arn:
            suffix = f": Invalid ResourceArn provided as input {arn}" if arn else ""
            raise invalid(f"Invalid TableArn{suffix}")
        name = arn.split("/")[1]
        if name not in self._stores:
            raise missing_table(fault or f"Requested resource not found: ResourcArn: {arn} not found")
        return self._stores[name].table


def _missing(specification: Mapping[str, Any]) -> list[str]:
    return [f".{at(member)}" for member in ("AttributeName", "Enabled") if member not in specification]


# --- descriptions -------------------------------------------------------------------------------------------


def described(store: Store, status: str) -> Answer:
    """A table as DescribeTable shows it.

    Args:
        store: the table.
        status: its status.
    """
    table = store.table
    description: Answer = {
        "TableName": table.name,
        "TableId": getattr(table, "table_id", None),
        "TableArn": table.table_arn,
        "TableStatus": status,
        "KeySchema": table.schema,
        "AttributeDefinitions": table.attr,
        "CreationDateTime": int(getattr(table, "created_seconds", None) or table.created_at.timestamp()),
        "ItemCount": store.view.count,
        "TableSizeBytes": 0,  # DynamoDB counts bytes every six hours
        "ProvisionedThroughput": _table_throughput(table),
        **_billing(table),
        **_index_descriptions(store, "CREATING" if status == "CREATING" else "ACTIVE"),
        **_stream(table),
        "DeletionProtectionEnabled": table.deletion_protection_enabled,
    }
    sse = table.sse_specification or {}
    if sse.get("Enabled"):
        description["SSEDescription"] = {
            "Status": "ENABLED",
            "SSEType": "KMS",
            "KMSMasterKeyArn": sse.get("KMSMasterKeyId"),
        }
    if getattr(table, "table_class", None):
        description["TableClassSummary"] = {"TableClass": table.table_class}
    return {name: member for name, member in description.items() if member is not None}


def _throughput(throughput: Mapping[str, Any] | None) -> Answer:
    return {**_NO_UNITS, **(throughput or {})}


def _table_throughput(table: Any) -> Answer | None:
    units = _throughput(table.throughput)
    return units if table.billing_mode == "PAY_PER_REQUEST" or any(units.values()) else None


def _billing(table: Any) -> Answer:
    if table.billing_mode != "PAY_PER_REQUEST":
        return {}
    return {
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "TableThroughputModeSummary": {"TableThroughputMode": "PAY_PER_REQUEST"},
    }


def _index_descriptions(store: Store, status: str) -> Answer:
    table = store.table
    descriptions: Answer = {}
    for member, indexes in (
        ("GlobalSecondaryIndexes", table.global_indexes),
        ("LocalSecondaryIndexes", table.indexes),
    ):
        if indexes:
            is_global = member.startswith("Global")
            descriptions[member] = [
                _index(table, index, store.indexes[index.name], status if is_global else None)
                for index in indexes
            ]
    return descriptions


def _index(table: Any, index: Any, view: View, status: str | None) -> Answer:
    description: Answer = {
        "IndexName": index.name,
        "IndexArn": f"{table.table_arn}/index/{index.name}",
        "KeySchema": index.schema,
        "Projection": index.projection,
        "ItemCount": view.count,
        "IndexSizeBytes": 0,
    }
    if status is not None:
        throughput = _throughput(index.throughput)
        description |= {"IndexStatus": status, "ProvisionedThroughput": throughput}
    return description


def _stream(table: Any) -> Answer:
    specification = table.stream_specification or {}
    if not specification.get("StreamEnabled"):
        return {}
    return {
        "StreamSpecification": specification,
        "LatestStreamLabel": table.latest_stream_label,
        "LatestStreamArn": f"{table.table_arn}/stream/{table.latest_stream_label}",
    }


# --- UpdateTable --------------------------------------------------------------------------------------------


def _require_other_throughput(table: Any, request: Request) -> None:
    throughput, mode = request.get("ProvisionedThroughput"), request.get("BillingMode")
    if throughput is None:
        if mode == "PROVISIONED":
            raise invalid(
                f"{INVALID_VALUE}ProvisionedThroughput must be specified when BillingMode is PROVISIONED"
            )
        return
    if mode is None and table.billing_mode == "PAY_PER_REQUEST":
        raise invalid(PAY_AND_PROVISION)
    read, write = throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]
    current = table.throughput
    current_read, current_write = current["ReadCapacityUnits"], current["WriteCapacityUnits"]
    if (read, write) == (current_read, current_write) and mode in (None, table.billing_mode):
        raise invalid(
            "The provisioned throughput for the table will not change. The requested value equals the current value. "
            f"Current ReadCapacityUnits provisioned for the table: {current_read}. "
            f"Requested ReadCapacityUnits: {read}. "
            f"Current WriteCapacityUnits provisioned for the table: {current_write}. "
            f"Requested WriteCapacityUnits: {write}. "
            "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
        )


def _require_other_stream(table: Any, request: Request) -> Any:
    specification = request.get("StreamSpecification")
    if specification is None:
        return None
    is_enabled = (table.stream_specification or {}).get("StreamEnabled", False)
    if specification.get("StreamEnabled") and is_enabled:
        raise invalid(
            f"Table already has an enabled stream: {table.table_arn}/stream/{table.latest_stream_label}"
        )
    if not specification.get("StreamEnabled"):
        if not is_enabled:
            raise invalid("Table has no stream to disable")
        table.stream_shard, table.latest_stream_label = None, None
    else:
        table.latest_stream_label = None
    return dict(specification)


def _require_possible(store: Store, update: Mapping[str, Any], definitions: list[Any]) -> None:
    names = {index.name for index in store.table.global_indexes}
    for action, part in update.items():
        name = part.get("IndexName")
        if action == "Create":
            if name in store.indexes:
                raise invalid(f"{INVALID_VALUE}Index already exists: {name}")
            require_new_index(part, definitions)
        elif name not in names and action == "Delete":
            raise missing_table(f"Requested resource not found: Table: {name} not found")
        elif name not in names:
            raise invalid(
                "This operation cannot be performed with given input values. "
                "Please contact DynamoDB service team for more info: Action Blocked: IndexUpdate"
            )


def _merged(current: list[dict[str, str]], definitions: list[dict[str, str]]) -> list[dict[str, str]]:
    names = {definition["AttributeName"] for definition in current}
    return [*current, *(new for new in definitions if new["AttributeName"] not in names)]


def _drop_unused_definitions(table: Any) -> None:
    schemas = [table.schema, *(index.schema for index in (*table.indexes, *table.global_indexes))]
    key_names = {key["AttributeName"] for schema in schemas for key in schema}
    table.attr = [definition for definition in table.attr if definition["AttributeName"] in key_names]
