"""DynamoDB's names, limits and error codes, held against botocore's own service model."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session
import pytest

from dynamo_bao import (
    BaoError,
    ConditionalError,
    ConfigurationError,
    ServiceError,
    TableNotFoundError,
    ThrottledError,
    TransactionError,
)
from dynamo_bao.dynamodb import layout, service as service_module
from dynamo_bao.dynamodb.transport.error_mapping import (
    REMEDIES,
    THROTTLING,
    TRANSIENT,
    TRANSIENT_REASONS,
    ConditionFailed,
    TransactionCancelled,
    map_service_error,
)

OPERATIONS = (
    "GetItem",
    "BatchGetItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "TransactWriteItems",
    "Query",
    "Scan",
    "CreateTable",
    "UpdateTable",
    "DeleteTable",
    "DescribeTable",
    "DescribeTimeToLive",
    "UpdateTimeToLive",
)


@cache
def service() -> Any:
    return botocore.session.Session().get_service_model("dynamodb")


def code_of(shape: Any) -> str:
    """An exception's code on the wire."""
    return str(shape.metadata.get("error", {}).get("code", shape.name))


@cache
def codes_of(operation: str) -> frozenset[str]:
    return frozenset(code_of(shape) for shape in service().operation_model(operation).error_shapes)


EVERY_CODE = sorted({code for operation in OPERATIONS for code in codes_of(operation)})
EVERY_EXCEPTION = sorted(
    code_of(shape)
    for shape in map(service().shape_for, service().shape_names)
    if shape.metadata.get("exception")
)


def test_operations_are_dynamodb_s() -> None:
    """Every operation named in `wire` is one of the service's, and those are the ones we use."""
    named = {
        value
        for name, value in vars(service_module).items()
        if name.isupper() and isinstance(value, str) and value[0].isupper()
    }
    assert named <= set(service().operation_names)
    assert named == set(OPERATIONS)


def test_operations_that_read_are_those_without_writes() -> None:
    """Repeating one of these is always safe; none of them can take a condition or a token."""
    assert set(OPERATIONS) >= service_module.READ_OPERATIONS
    for operation in OPERATIONS:
        members = service().operation_model(operation).input_shape.members
        writes = "ConditionalCheckFailedException" in codes_of(operation) or "ClientRequestToken" in members
        if writes:
            assert operation not in service_module.READ_OPERATIONS
    looking = {"GetItem", "BatchGetItem", "Query", "Scan", "DescribeTable", "DescribeTimeToLive"}
    assert looking == service_module.READ_OPERATIONS


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("GetItem", "TableName Key ConsistentRead ReturnConsumedCapacity"),
        ("BatchGetItem", "RequestItems ReturnConsumedCapacity"),
        (
            "PutItem",
            "TableName Item ConditionExpression ExpressionAttributeNames ExpressionAttributeValues"
            " ReturnValuesOnConditionCheckFailure ReturnConsumedCapacity ReturnValues",
        ),
        (
            "UpdateItem",
            "TableName Key UpdateExpression ConditionExpression ExpressionAttributeNames"
            " ExpressionAttributeValues ReturnValuesOnConditionCheckFailure ReturnConsumedCapacity ReturnValues",
        ),
        (
            "DeleteItem",
            "TableName Key ConditionExpression ExpressionAttributeNames ExpressionAttributeValues"
            " ReturnValuesOnConditionCheckFailure ReturnConsumedCapacity ReturnValues",
        ),
        ("TransactWriteItems", "TransactItems ClientRequestToken ReturnConsumedCapacity"),
        (
            "Query",
            "TableName IndexName KeyConditionExpression FilterExpression ExpressionAttributeNames"
            " ExpressionAttributeValues Limit ExclusiveStartKey ScanIndexForward ConsistentRead Select"
            " ReturnConsumedCapacity",
        ),
        (
            "Scan",
            "TableName FilterExpression ExpressionAttributeNames ExpressionAttributeValues Limit"
            " ExclusiveStartKey Select ReturnConsumedCapacity",
        ),
        ("DescribeTimeToLive", "TableName"),
    ],
)
def test_parameters_that_are_sent_are_dynamodb_s(operation: str, members: str) -> None:
    """A misspelt parameter would be refused, or worse, ignored."""
    assert set(members.split()) <= set(service().operation_model(operation).input_shape.members)


@pytest.mark.parametrize("action", ["Put", "Update", "Delete", "ConditionCheck"])
def test_members_of_transactions_are_dynamodb_s(action: str) -> None:
    """Each kind of action takes a condition and brings the item it failed on."""
    transact = service().operation_model("TransactWriteItems").input_shape.members["TransactItems"].member
    members = set(transact.members[action].members)
    assert {"TableName", "ConditionExpression", "ReturnValuesOnConditionCheckFailure"} <= members
    assert {"Put": "Item"}.get(action, "Key") in members


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("GetItem", "Item ConsumedCapacity"),
        ("BatchGetItem", "Responses UnprocessedKeys ConsumedCapacity"),
        ("BatchWriteItem", "UnprocessedItems ConsumedCapacity"),
        ("UpdateItem", "Attributes ConsumedCapacity"),
        ("DeleteItem", "Attributes ConsumedCapacity"),
        ("PutItem", "Attributes ConsumedCapacity"),
        ("TransactWriteItems", "ConsumedCapacity"),
        ("Query", "Items Count ScannedCount LastEvaluatedKey ConsumedCapacity"),
        ("Scan", "Items Count ScannedCount LastEvaluatedKey ConsumedCapacity"),
        ("DescribeTimeToLive", "TimeToLiveDescription"),
    ],
)
def test_members_that_are_read_are_dynamodb_s(operation: str, members: str) -> None:
    """A misspelt member would read as absent."""
    assert set(members.split()) <= set(service().operation_model(operation).output_shape.members)


def test_members_inside_replies_are_dynamodb_s() -> None:
    """Unprocessed keys, capacities, and what a failed condition brings."""
    unprocessed = service().operation_model("BatchGetItem").output_shape.members["UnprocessedKeys"].value
    assert {"Keys", "ConsistentRead"} <= set(unprocessed.members)
    capacity = service().operation_model("GetItem").output_shape.members["ConsumedCapacity"]
    assert {"TableName", "CapacityUnits"} <= set(capacity.members)
    assert (
        service().operation_model("BatchGetItem").output_shape.members["ConsumedCapacity"].type_name == "list"
    )
    assert "Item" in service().shape_for("ConditionalCheckFailedException").members
    cancelled = service().shape_for("TransactionCanceledException")
    assert {"Code", "Item", "Message"} <= set(cancelled.members["CancellationReasons"].member.members)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("ReturnConsumedCapacity", "TOTAL"),
        ("ReturnValuesOnConditionCheckFailure", "ALL_OLD"),
        ("ReturnValue", "ALL_NEW"),
        ("ReturnValue", "ALL_OLD"),
        ("Select", "COUNT"),
    ],
)
def test_values_of_enumerations_are_dynamodb_s(member: str, value: str) -> None:
    """The words sent are among those that the service takes."""
    assert value in service().shape_for(member).enum


def test_limits_that_the_model_states_are_ours() -> None:
    """Batch and transaction sizes are those of the service model."""
    reads = service().operation_model("BatchGetItem").input_shape.members["RequestItems"].value
    assert reads.members["Keys"].metadata["max"] == service_module.MAX_BATCH_GET_KEYS
    writes = service().operation_model("BatchWriteItem").input_shape.members["RequestItems"].value
    assert writes.metadata["max"] == service_module.MAX_BATCH_WRITE_ITEMS
    transaction = service().operation_model("TransactWriteItems").input_shape.members["TransactItems"]
    assert transaction.metadata["max"] == service_module.MAX_TRANSACTION_ACTIONS


def test_limits_that_only_the_manual_states() -> None:
    """The figures of the AWS page on quotas."""
    assert service_module.MAX_ITEM_BYTES == 409_600
    assert (service_module.MAX_PARTITION_KEY_BYTES, service_module.MAX_SORT_KEY_BYTES) == (2048, 1024)
    assert service_module.MAX_NUMBER_DIGITS == 38
    assert (service_module.MIN_NUMBER_EXPONENT, service_module.MAX_NUMBER_EXPONENT) == (-130, 125)
    assert (service_module.MAX_EXPRESSION_BYTES, service_module.MAX_IN_OPERANDS) == (4096, 100)
    assert service_module.MAX_OPERATORS == 300
    assert service_module.MAX_TRANSACTION_BYTES == 4_194_304
    assert (service_module.MAX_NESTING, service_module.MAX_NAME_BYTES) == (32, 65_535)


@pytest.mark.parametrize(
    ("operation", "megabytes"),
    [
        *(("GetItem", 4), ("PutItem", 4), ("DescribeTable", 4)),
        *(("Query", 16), ("Scan", 16)),
        *(("TransactWriteItems", 32), ("TransactGetItems", 32)),
        *(("BatchGetItem", 128), ("BatchWriteItem", 128)),
    ],
)
def test_the_longest_replies(operation: str, megabytes: int) -> None:
    """At least seven times what the manual says: 0.4, 1, 4 and 16 MB; JSON takes so much more at most."""
    assert service_module.longest_reply(operation) == megabytes * 1_000_000


def test_the_table_s_own_names() -> None:
    """Those of the table format."""
    assert (layout.PK, layout.SK, layout.ITER_PK, layout.ITER_SK) == (
        "_pk",
        "_sk",
        "_iter_pk",
        "_iter_sk",
    )
    assert (layout.ITER_INDEX, layout.SEARCH_TEXT, layout.TTL) == (
        "iter_index",
        "_searchText",
        "ttl",
    )
    assert layout.INDEX_IDS == ("gsi1", "gsi2", "gsi3", "gsi4", "gsi5")
    assert layout.CONSTRAINT_IDS == ("uc1", "uc2", "uc3")
    assert layout.index_key_names("gsi3") == ("_gsi3_pk", "_gsi3_sk")


# --- error codes -------------------------------------------------------------------------------------

SPECIAL: dict[str, type[BaoError]] = {
    "ConditionalCheckFailedException": ConditionFailed,
    "TransactionCanceledException": TransactionCancelled,
    "ResourceNotFoundException": TableNotFoundError,
    "TableNotFoundException": TableNotFoundError,
    "ProvisionedThroughputExceededException": ThrottledError,
    "RequestLimitExceeded": ThrottledError,
    "ThrottlingException": ThrottledError,
}
"""Codes of the service model with an error of their own; every other one is a plain `ServiceError`."""

ADVISED = {
    "IdempotentParameterMismatchException",
    "ItemCollectionSizeLimitExceededException",
    "LimitExceededException",
    "ReplicatedWriteConflictException",
    "ResourceInUseException",
}
"""Codes of our operations that are a `ServiceError` with advice."""

WITHOUT_ADVICE = {"InternalServerError", "TransactionInProgressException", "TransactionConflictException"}
"""Codes of our operations that are a plain `ServiceError`: time, and not the user, mends what they say."""


def mapped(code: str, response: dict[str, Any] | None = None) -> BaoError:
    return map_service_error(code, "what DynamoDB says", "PutItem", response or {}, "app")


@pytest.mark.parametrize("code", EVERY_EXCEPTION)
def test_every_exception_of_the_service_has_its_error(code: str) -> None:
    """Special ones are what the table here says, exactly; the rest is a `ServiceError` with its code."""
    error = mapped(code)
    assert type(error) is SPECIAL.get(code, ServiceError)
    if isinstance(error, ServiceError):
        assert (error.code, error.operation) == (code, "PutItem")
        assert "PutItem" in str(error)
        assert "app" in str(error)


def test_every_code_of_our_operations_is_accounted_for() -> None:
    """A code that a new botocore brings has to be put into one of these groups."""
    assert set(EVERY_CODE) <= {*SPECIAL, *ADVISED, *WITHOUT_ADVICE}
    later = {"TableNotFoundException", "ReplicatedWriteConflictException", "ThrottlingException"}
    assert set(EVERY_CODE) | later == {*SPECIAL, *ADVISED, *WITHOUT_ADVICE}, (
        "botocores of 1.35 lack the later ones"
    )
    for code in ADVISED:
        assert REMEDIES[code] in str(mapped(code))
        assert len(REMEDIES[code]) > 10


def test_special_errors_are_the_kinds_users_catch() -> None:
    """A failed condition is a `ConditionalError`, a missing table a setting that is wrong, and so on."""
    assert issubclass(ConditionFailed, ConditionalError)
    assert issubclass(TransactionCancelled, TransactionError)
    assert issubclass(TableNotFoundError, ConfigurationError)
    assert issubclass(TableNotFoundError, ServiceError)


def test_codes_that_are_tried_again_exist() -> None:
    """Throttling and transient codes are codes of the service, or of the layers in front of it."""
    in_front = {"Throttling", "ThrottlingException", "InternalServerErrorException"}
    assert {*EVERY_CODE, *in_front} >= THROTTLING | TRANSIENT
    assert not THROTTLING & TRANSIENT
    assert {code for code in EVERY_CODE if SPECIAL.get(code) is ThrottledError} <= THROTTLING
    assert "InternalServerError" in TRANSIENT
    assert "TransactionInProgressException" in TRANSIENT


def test_an_unknown_code_is_a_service_error_with_what_dynamodb_says() -> None:
    """Also one that no model names."""
    error = mapped("BrandNewException")
    assert type(error) is ServiceError
    assert error.code == "BrandNewException"
    assert "BrandNewException: what DynamoDB says" in str(error)
    assert isinstance(mapped(""), ServiceError)


@pytest.mark.parametrize("code", sorted(REMEDIES))
def test_advice_is_part_of_the_text(code: str) -> None:
    """Where there is something to do, the error says it."""
    assert mapped(code).message.endswith((REMEDIES[code] or "what DynamoDB says").strip())


def test_a_missing_table_says_what_to_do() -> None:
    """The table, and the three ways to mend it."""
    error = mapped("ResourceNotFoundException")
    assert isinstance(error, TableNotFoundError)
    assert (error.model, error.field, error.code) == (None, None, "ResourceNotFoundException")
    for part in ("table app", "manager.create_table()", "table_name, region or endpoint_url"):
        assert part in str(error)


def test_throttling_says_what_to_do() -> None:
    """The table and its capacity."""
    error = mapped("ThrottlingException")
    assert isinstance(error, ThrottledError)
    assert error.code == "ThrottlingException"
    assert "deadline" in str(error)
    assert "capacity" in str(error)


ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"
HOT = "TableReadKeyRangeThroughputExceeded"


@pytest.mark.parametrize(
    ("listed", "table", "index", "reasons"),
    [
        (None, "app", None, ()),
        ([], "app", None, ()),
        ("x", "app", None, ()),
        ([{"reason": HOT}], "app", None, (HOT,)),
        ([{"reason": HOT, "resource": ARN}], "orders", None, (HOT,)),
        ([{"reason": HOT, "resource": f"{ARN}/index/gsi1"}, {"reason": HOT}], "orders", "gsi1", (HOT,)),
        ([{"reason": HOT}, {"reason": "Other"}, {"reason": HOT}], "app", None, (HOT, "Other")),
        ([{"reason": 5, "resource": 7}, "x", None, {"resource": "a stream"}], "app", None, ()),
        ([{"resource": f"{ARN}/stream/1"}], "orders", None, ()),
    ],
)
@pytest.mark.parametrize("name", ["ThrottlingReasons", "throttlingReasons"])
def test_throttling_names_its_table_and_index_and_reasons(
    name: str, listed: Any, table: str, index: str | None, reasons: tuple[str, ...]
) -> None:
    """As DynamoDB gives them, each once; otherwise the table of the request, without a reason."""
    error = mapped("ThrottlingException", {name: listed})
    assert isinstance(error, ThrottledError)
    assert (error.table, error.index, error.reasons) == (table, index, reasons)
    what = f"table {table}" if index is None else f"index {index} of table {table}"
    why = ", ".join(reasons) or "ThrottlingException"
    assert str(error).startswith(f"PutItem on {what} was throttled ({why}). ")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1500", 1.5), (" 20 ", 0.02), ("", None), ("1.5", None), ("soon", None), ("9" * 10, None)],
)
def test_dynamodb_may_ask_to_wait(text: str, seconds: float | None) -> None:
    """For milliseconds; anything else is no wish."""
    headers = {"x-amz-retry-after": text} if text else {}
    response = {"ResponseMetadata": {"HTTPHeaders": headers}}
    for code in ("ThrottlingException", "TransactionCanceledException"):
        error: Any = mapped(code, response)
        assert error.retry_after == seconds


def test_a_failed_condition_brings_the_item() -> None:
    """The stored item if DynamoDB returned it; an empty or absent one is None."""
    item = {"_pk": {"S": "x"}}
    for response, expected in (({"Item": item}, item), ({"Item": {}}, None), ({}, None)):
        error = mapped("ConditionalCheckFailedException", response)
        assert isinstance(error, ConditionFailed)
        assert error.item == expected
        assert error.repeated is False


def test_a_cancelled_transaction_has_a_reason_per_action() -> None:
    """In order, None where the action was fine, with the stored items, and the failed ones in the text."""
    item = {"_pk": {"S": "s3cr3t"}}
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": item}, {}]
    error = mapped("TransactionCanceledException", {"CancellationReasons": reasons})
    assert isinstance(error, TransactionCancelled)
    assert error.reasons == (None, "ConditionalCheckFailed", None)
    assert error.items == (None, item, None)
    assert "1: ConditionalCheckFailed" in str(error)
    assert "nothing was written" in str(error)
    assert "s3cr3t" not in str(error)
    assert not error.is_transient
    assert mapped("TransactionCanceledException").reasons == ()  # type: ignore[attr-defined]


@pytest.mark.parametrize("reason", sorted(TRANSIENT_REASONS))
def test_a_transaction_is_worth_another_attempt_if_every_reason_is(reason: str) -> None:
    """Conflicts and throttling pass; one failed condition among them does not."""

    def cancelled(*codes: str) -> TransactionCancelled:
        error = mapped(
            "TransactionCanceledException", {"CancellationReasons": [{"Code": code} for code in codes]}
        )
        assert isinstance(error, TransactionCancelled)
        return error

    assert cancelled("None", reason).is_transient
    assert cancelled(reason, reason).is_transient
    assert not cancelled(reason, "ConditionalCheckFailed").is_transient
    assert not cancelled("None", "None").is_transient
    assert not cancelled().is_transient
    assert not cancelled("ValidationError").is_transient
