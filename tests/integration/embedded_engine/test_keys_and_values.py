"""Keys and values: what can be stored, what is a key, and what is no JSON of a request."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.embedded_engine.conftest import Requests, T, TextOfFault
from tests.support.two_engines import TwoEngines, fault_of

KEY = {"pk": {"S": "values"}, "sk": {"S": "1"}}
ATTRIBUTE = "com.amazonaws.dynamodb.v20120810.AttributeValue"
MAP = f"Unrecognized collection type java.util.Map<java.lang.String, {ATTRIBUTE}>"
STRUCTURE = "Start of structure or map found where not expected"
FIELD = "Unexpected field type"
VALUE = "Unexpected value type in payload"
EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
NO_BASE64 = "Base64 encoded length is expected a multiple of 4 bytes but found: "
NO_TEXT = {
    True: "TRUE_VALUE cannot be converted to String",
    False: "FALSE_VALUE cannot be converted to String",
    5: "NUMBER_VALUE cannot be converted to String",
    1.5: "DECIMAL_VALUE cannot be converted to String",
}
TEXT_FAULTS: list[tuple[Any, str]] = [
    *NO_TEXT.items(),
    ([], "Unrecognized collection type class java.lang.String"),
    ({}, STRUCTURE),
]
BINARY_FAULTS: list[tuple[Any, str]] = [
    *((member, "only base-64-encoded strings are convertible to bytes") for member in (True, 5, 1.5)),
    ([], "Unrecognized collection type class java.nio.ByteBuffer"),
    ({}, STRUCTURE),
    ("YQ=", f"{NO_BASE64}3"),
    ("YR==", "Invalid last non-pad Base64 character dectected"),
]
LIST_FAULTS: list[tuple[Any, str]] = [
    *((member, FIELD) for member in (True, 5, "x")),
    ({}, STRUCTURE),
    ({"a": 1}, STRUCTURE),
]
VALUE_FAULTS: list[tuple[dict[str, Any], str]] = [
    *(({code: member}, text) for code in ("S", "N") for member, text in TEXT_FAULTS),
    *(({f"{code}S": [member]}, text) for code in ("S", "N") for member, text in TEXT_FAULTS),
    *(({"B": member}, text) for member, text in BINARY_FAULTS),
    *(({"BS": [member]}, text) for member, text in BINARY_FAULTS),
    *(({code: member}, text) for code in ("SS", "NS", "BS", "L") for member, text in LIST_FAULTS),
    ({"BOOL": "true"}, "Unexpected token received from parser"),
    ({"BOOL": 1}, "NUMBER_VALUE cannot be converted to Boolean"),
    ({"BOOL": 1.5}, "DECIMAL_VALUE cannot be converted to Boolean"),
    ({"BOOL": []}, STRUCTURE),
    ({"BOOL": {}}, STRUCTURE),
    *(({"M": member}, FIELD) for member in (True, 5, "x")),
    ({"M": []}, MAP),
    ({"M": {"a": 5}}, VALUE),
    ({"M": {"a": []}}, f"Unrecognized collection type class {ATTRIBUTE}"),
    ({"M": {"a": {"S": 5}}}, NO_TEXT[5]),
    ({"L": ["x"]}, VALUE),
    ({"L": [[]]}, f"Unrecognized collection type class {ATTRIBUTE}"),
    ({"L": [{"N": True}]}, NO_TEXT[True]),
    *(({code: None}, EMPTY) for code in ("S", "N", "B", "BOOL", "NULL", "SS", "L", "M")),
    ({"L": [{"S": None}]}, EMPTY),
]
"""Values that are no JSON of DynamoDB. dynoxide names them in its own words, or takes them for empty."""


@pytest.mark.parametrize(("value", "text"), VALUE_FAULTS, ids=str)
def test_what_is_no_value_is_refused(text_of_fault: TextOfFault, value: Any, text: str) -> None:
    assert text_of_fault("PutItem", {**T, "Item": {**KEY, "x": value}}) == text


def test_base64_has_letters_of_base64_only(text_of_fault: TextOfFault) -> None:
    text = text_of_fault("PutItem", {**T, "Item": {**KEY, "x": {"B": "a!b="}}})
    assert text.startswith("Invalid Base64 encoded value")


ODD: tuple[Any, ...] = (True, 5, 1.5, "x", [], {}, [1], [[]], ["x"], {"a": 1}, {"S": "a"})


def odd(operation: str, member: str, base: dict[str, Any], *left_out: Any) -> Requests:
    """Requests whose member has another type of JSON each time."""
    return [(operation, {**base, member: value}) for value in ODD if value not in left_out]


GET = {**T, "Key": KEY}
PUT = {**T, "Item": KEY}
WRONG_TYPES: Requests = [
    *odd("GetItem", "TableName", {"Key": KEY}),
    *odd("GetItem", "Key", T),
    *odd("GetItem", "ConsistentRead", GET),
    *odd("GetItem", "AttributesToGet", GET),
    *odd("GetItem", "ProjectionExpression", GET),
    *odd("GetItem", "ExpressionAttributeNames", {**GET, "ProjectionExpression": "x"}),
    *odd("GetItem", "ReturnConsumedCapacity", GET),
    *odd("PutItem", "Item", T),
    *odd("PutItem", "Expected", PUT),
    *(("PutItem", {**PUT, "Expected": {"x": value}}) for value in ODD),
    *odd("PutItem", "ExpressionAttributeValues", PUT),
    *odd("Query", "Limit", T, 1.5),
    *odd("Query", "ScanIndexForward", T),
    *odd("Query", "ExclusiveStartKey", T),
    *(("Query", {**T, "ExclusiveStartKey": {"pk": value}}) for value in ODD),
    *odd("Query", "QueryFilter", T, {"a": 1}),
    *odd("Scan", "Segment", {**T, "TotalSegments": 9}, 1.5),
    *odd("BatchGetItem", "RequestItems", {}),
    *(("BatchGetItem", {"RequestItems": {"requests": value}}) for value in ODD if type(value) is not dict),
    *(("BatchGetItem", {"RequestItems": {"requests": {"Keys": value}}}) for value in ODD),
    *(("BatchWriteItem", {"RequestItems": {"requests": value}}) for value in ODD),
    *odd("TransactWriteItems", "TransactItems", {}, [[]]),
    *(("TransactWriteItems", {"TransactItems": [{"Put": value}]}) for value in (True, 5, 1.5, "x")),
    *odd("CreateTable", "KeySchema", T),
    *odd("CreateTable", "ProvisionedThroughput", T, {}, {"a": 1}, {"S": "a"}),
    *(
        ("CreateTable", {**T, "ProvisionedThroughput": {"ReadCapacityUnits": value}})
        for value in ODD
        if value != 1.5
    ),
]
"""Requests with members of the wrong type."""


def test_members_of_another_type_are_refused_as_by_dynoxide(both: TwoEngines) -> None:
    assert both.differences(WRONG_TYPES) == ""


def test_a_number_with_a_fraction_is_cut(both: TwoEngines) -> None:
    """Where a whole number is needed; dynoxide refuses it."""
    assert both.ask_embedded("Scan", {**T, "Limit": 1.5})[1]["ScannedCount"] == 1


EXPONENTS = {
    "1e99999999999999999999": "Number overflow. Attempting to store a number with magnitude larger than",
    "-5E-99999999999999999999": "Number underflow. Attempting to store a number with magnitude smaller than",
}


@pytest.mark.parametrize(("number", "text"), EXPONENTS.items())
def test_exponents_of_many_digits_are_too_large(text_of_fault: TextOfFault, number: str, text: str) -> None:
    item = {**KEY, "sk": {"S": "exponent"}, "x": {"N": number}}
    assert text_of_fault("PutItem", {**T, "Item": item}) == f"{text} supported range"


def test_a_zero_has_any_exponent(both: TwoEngines) -> None:
    item = {**KEY, "sk": {"S": "zero"}, "x": {"N": "-0.0e99999999999999999999"}}
    both.ask_embedded("PutItem", {**T, "Item": item})
    deleted = both.ask_embedded(
        "DeleteItem", {**T, "Key": {**KEY, "sk": {"S": "zero"}}, "ReturnValues": "ALL_OLD"}
    )
    assert deleted[1]["Attributes"]["x"] == {"N": "0"}


START_KEYS: list[tuple[dict[str, Any], str]] = [
    ({"pk": {}}, f"The provided starting key is invalid: {EMPTY}"),
    ({"pk": {"N": "x"}}, "The parameter cannot be converted to a numeric value: x"),
    ({"pk": {"S": 5}}, NO_TEXT[5]),
    (
        {"pk": {"NULL": False}},
        "The provided starting key is invalid: One or more parameter values were invalid: "
        "Null attribute value types must have the value of true",
    ),
]


@pytest.mark.parametrize(("key", "text"), START_KEYS, ids=str)
def test_a_key_to_begin_after_has_values(text_of_fault: TextOfFault, key: dict[str, Any], text: str) -> None:
    """Some faults are named as those of the key."""
    assert text_of_fault("Scan", {**T, "ExclusiveStartKey": key}) == text


EXPRESSION_VALUES: list[tuple[Any, str]] = [
    ({}, f"ExpressionAttributeValues contains invalid value: {EMPTY} for key :v"),
    (
        {"N": "x"},
        "ExpressionAttributeValues contains invalid value: "
        "The parameter cannot be converted to a numeric value: x for key :v",
    ),
    (
        {"S": "a", "B": "YQ=="},
        "ExpressionAttributeValues contains invalid value: Supplied AttributeValue has more than one datatypes set, "
        "must contain exactly one of the supported datatypes for key :v",
    ),
    ({"S": 5}, NO_TEXT[5]),
    (
        {"NULL": False},
        "One or more parameter values were invalid: Null attribute value types must have the value of true",
    ),
]


@pytest.mark.parametrize(("value", "text"), EXPRESSION_VALUES, ids=str)
def test_a_value_of_an_expression_is_named_with_its_placeholder(
    text_of_fault: TextOfFault, value: Any, text: str
) -> None:
    """Unless it is no JSON of a value at all; dynoxide does not name the placeholder of every one."""
    request = {**T, "FilterExpression": "x = :v", "ExpressionAttributeValues": {":v": value}}
    assert text_of_fault("Scan", request) == text


def nested(levels: int, code: str) -> Any:
    value: Any = {"S": "x"}
    for _ in range(levels):
        value = {"L": [value]} if code == "L" else {"M": {"a": value}}
    return value


def in_expression(value: Any, **parts: Any) -> tuple[str, dict[str, Any]]:
    return "Scan", {**T, "FilterExpression": "x = :v", "ExpressionAttributeValues": {":v": value}, **parts}


STORED: Requests = [
    request
    for value in (
        *(nested(levels, code) for levels in (31, 32) for code in "LM"),
        *({"N": text} for text in ("-12.50", "0.001", "-0", "123456789", "1e-5", "+7", "-.5", "99e3")),
        {"L": [{"N": "1.0"}, {"BS": ["YQ=="]}]},
        {"M": {"a": {"L": [{"N": "1.0"}]}, "b": {"NULL": True}}},
        {"L": [{"SS": ["a", "a"]}]},
        {"M": {"a": {"NS": []}}},
    )
    for request in (
        ("PutItem", {**T, "Item": {**KEY, "x": value}, "ReturnConsumedCapacity": "TOTAL"}),
        ("GetItem", {**GET, "ReturnConsumedCapacity": "TOTAL"}),
        in_expression(value),
    )
]
OF_PARTITION = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": KEY["pk"]}}
KEY_VALUES: Requests = [
    *(
        request
        for key in (
            {"pk": {"S": "a" * 2048}, "sk": {"S": "a" * 1024}},
            {"pk": {"S": "é" * 1025}, "sk": {"S": "a"}},
            {"pk": {"S": "a"}, "sk": {"S": "é" * 513}},
            {"pk": {"S": ""}, "sk": {"S": "a"}},
            {"pk": {"S": "a"}, "sk": {"S": ""}},
            {"pk": {"B": "YQ=="}, "sk": {"S": "a"}},
            {"pk": {"S": "a"}, "sk": {"L": []}},
            {"pk": {"S": "a"}},
            {"pk": {"S": "a"}, "sk": {"S": "a"}, "x": {"S": "a"}},
            {},
        )
        for request in (
            ("GetItem", {**T, "Key": key}),
            ("DeleteItem", {**T, "Key": key}),
            ("UpdateItem", {**T, "Key": key, "UpdateExpression": "REMOVE zz"}),
            ("DeleteItem", {**T, "Key": key}),
        )
    ),
    *(
        request
        for attributes in (
            {"g": {"S": ""}},
            {"g": {"N": "1"}},
            {"n": {"N": "1"}},
            {"n": {"S": "1"}, "g": {"S": "a"}},
            {"g": {"S": "a"}, "n": {"N": "1"}},
        )
        for request in (
            ("PutItem", {**T, "Item": {**KEY, **attributes}}),
            ("Query", {**T, "IndexName": "lsi", **OF_PARTITION}),
            ("UpdateItem", {**T, "Key": KEY, "UpdateExpression": "SET x = g, n = x"}),
        )
    ),
]
BINARY_TABLE = {
    "TableName": "binary_keys",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "b", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "b", "AttributeType": "B"},
        {"AttributeName": "n", "AttributeType": "N"},
        {"AttributeName": "i", "AttributeType": "B"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_i",
            "KeySchema": [{"AttributeName": "i", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
OF_BINARY = {"TableName": "binary_keys"}


def binary_item(b: str, n: str, **attributes: Any) -> tuple[str, dict[str, Any]]:
    return "PutItem", {**OF_BINARY, "Item": {"b": {"B": b}, "n": {"N": n}, **attributes}}


def binary_update(values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    key = {"b": {"B": "YQ=="}, "n": {"N": "1"}}
    parts = {"UpdateExpression": "SET i = :i", "ExpressionAttributeValues": values}
    return "UpdateItem", {**OF_BINARY, "Key": key, **parts}


def starting_with(**key: Any) -> tuple[str, dict[str, Any]]:
    conditions = {"b": {"ComparisonOperator": "EQ", "AttributeValueList": [{"B": "YQ=="}]}}
    return "Query", {**OF_BINARY, "KeyConditions": conditions, "ExclusiveStartKey": key}


IN_BINARY_TABLE: Requests = [
    binary_item("YQ==", "10"),
    binary_item("YQ==", "9.0"),
    binary_item("YQ==", "-1"),
    binary_item("", "1"),
    binary_item("YQ==", "1", i={"B": ""}),
    binary_item("YQ==", "1", i={"S": ""}),
    binary_item("YQ==", "1", i={"B": "YQ=="}),
    binary_update({":i": {"B": ""}}),
    binary_update({":i": {"B": "Yg=="}}),
    starting_with(b={"B": "YQ=="}, n={"N": "1"}),
    starting_with(b={"B": "YQ=="}, n={"N": "9"}),
    *(
        ("Scan", {**OF_BINARY, "IndexName": "by_i", "ExclusiveStartKey": {"i": {"B": "YQ=="}, **key}})
        for key in (
            {"b": {"B": "YQ=="}, "n": {"N": "0"}},
            {"b": {"B": "YQ=="}, "q": {"N": "0"}},
            {"b": {"S": "YQ=="}, "n": {"N": "0"}},
            {"b": {"B": "YQ=="}},
        )
    ),
    ("Scan", OF_BINARY),
]


@pytest.fixture(scope="module")
def binary_table(both: TwoEngines) -> Any:
    """A table whose keys are binaries and numbers."""
    assert both.difference("CreateTable", BINARY_TABLE) is None
    yield both
    both.ask("DeleteTable", OF_BINARY)


def test_values_are_stored_as_by_dynoxide(both: TwoEngines) -> None:
    assert both.differences(STORED) == ""


def test_a_member_without_a_value_is_left_out(both: TwoEngines) -> None:
    """As DynamoDB leaves it out; dynoxide counts it as a second type."""
    item = {**KEY, "x": {"S": "a", "N": None}}
    assert both.ask_embedded("PutItem", {**T, "Item": item, "ReturnValues": None}) == (200, {})
    assert both.ask_embedded("GetItem", GET)[1]["Item"]["x"] == {"S": "a"}


def test_keys_are_checked_as_by_dynoxide(both: TwoEngines) -> None:
    assert both.differences(KEY_VALUES) == ""


def test_binaries_and_numbers_are_keys_as_for_dynoxide(binary_table: TwoEngines) -> None:
    assert binary_table.differences(IN_BINARY_TABLE) == ""


@pytest.mark.parametrize("body", ["5", "null", "true", '"x"', "[1]", "{", "[]", "", "[" * 100_000])
def test_a_request_is_an_object(both: TwoEngines, body: str) -> None:
    """Whatever else it is, the engine answers with an error and lives on."""
    status, answer = both.ask_embedded("GetItem", body)
    assert status == 400 and fault_of((status, answer))[0].rpartition("#")[2] in (
        "SerializationException",
        "ValidationException",
    )


@pytest.mark.parametrize("target", ["DynamoDB_20120810.Nope", "DynamoDB_20111205.GetItem", "GetItem", ""])
def test_an_operation_that_does_not_exist_is_refused(both: TwoEngines, target: str) -> None:
    """Also one of the API's first version."""
    status, _, body = both.embedded.answer_to(target, "{}")
    assert (status, body) == (400, b'{"__type":"com.amazon.coral.service#UnknownOperationException"}')
