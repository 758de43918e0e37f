"""The embedded engine answers each request as moto itself does; it only reads and writes bodies in less time."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from hypothesis import given, settings, strategies as st
from moto.core.request import normalize_request
from moto.core.serialize import ResponseSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.responses import DynamoHandler

from dynamo_bao.dynamodb.transport.embedded import EmbeddedEngine

Answer = tuple[int, dict[str, str], bytes]
TABLE = {
    "TableName": "t",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "other", "AttributeType": "S"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_other",
            "KeySchema": [{"AttributeName": "other", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
VALUES: dict[str, Any] = {
    "text": {"S": 'é "\\\n\x00 \U0001f600'},
    "empty": {"S": ""},
    "number": {"N": "1.50"},
    "bytes": {"B": "AAH/"},
    "none": {"NULL": True},
    "flag": {"BOOL": False},
    "texts": {"SS": ["é", "b"]},
    "numbers": {"NS": ["1", "2.5"]},
    "binaries": {"BS": ["AAH/", "YQ=="]},
    "map": {"M": {"a": {"L": [{"M": {}}, {"B": "YQ=="}, {"NULL": True}]}, "S": {"S": "x"}}},
    "list": {"L": []},
}


def key(sk: str, pk: str = "p") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def item(sk: str, **attributes: Any) -> dict[str, Any]:
    return {**key(sk), "other": {"S": "o"}, **attributes}


def of(sk: str, **arguments: Any) -> dict[str, Any]:
    return {"TableName": "t", "Key": key(sk), **arguments}


NEW = {"ConditionExpression": "attribute_not_exists(pk)"}
MISSING = {"ConditionExpression": "attribute_exists(pk)"}
ADD = {
    "UpdateExpression": "SET #n = :n ADD hits :one",
    "ExpressionAttributeNames": {"#n": "name"},
    "ExpressionAttributeValues": {":n": {"S": "é"}, ":one": {"N": "1"}},
}
OF_P = {
    "TableName": "t",
    "KeyConditionExpression": "pk = :p",
    "ExpressionAttributeValues": {":p": {"S": "p"}},
}
PLAIN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("CreateTable", TABLE),
    ("DescribeTable", {"TableName": "t"}),
    ("ListTables", {}),
    (
        "UpdateTimeToLive",
        {"TableName": "t", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ttl"}},
    ),
    ("DescribeTimeToLive", {"TableName": "t"}),
    ("UpdateTable", {"TableName": "t", "DeletionProtectionEnabled": False}),
    ("PutItem", {"TableName": "t", "Item": item("1", **VALUES), "ReturnConsumedCapacity": "TOTAL"}),
    ("PutItem", {"TableName": "t", "Item": item("1", **VALUES), "ReturnValues": "ALL_OLD"}),
    ("PutItem", {"TableName": "t", "Item": item("2"), **NEW, "ReturnConsumedCapacity": "INDEXES"}),
    ("GetItem", of("1", ReturnConsumedCapacity="TOTAL", ConsistentRead=True)),
    ("GetItem", of("nobody")),
    ("GetItem", of("1", ProjectionExpression="#m.a", ExpressionAttributeNames={"#m": "map"})),
    *(("UpdateItem", of("2", **ADD, ReturnValues=which)) for which in ("NONE", "ALL_OLD", "ALL_NEW")),
    *(("UpdateItem", of("2", **ADD, ReturnValues=which)) for which in ("UPDATED_OLD", "UPDATED_NEW")),
    ("BatchGetItem", {"RequestItems": {"t": {"Keys": [key("1"), key("2"), key("3")]}}}),
    ("BatchGetItem", {"RequestItems": {"t": {"Keys": [key("1")]}}, "ReturnConsumedCapacity": "TOTAL"}),
    ("BatchWriteItem", {"RequestItems": {"t": [{"PutRequest": {"Item": item("3", **VALUES)}}]}}),
    (
        "BatchWriteItem",
        {"RequestItems": {"t": [{"DeleteRequest": {"Key": key("3")}}, {"PutRequest": {"Item": item("4")}}]}},
    ),
    ("Query", OF_P),
    ("Query", {**OF_P, "Limit": 1, "ScanIndexForward": False, "ReturnConsumedCapacity": "INDEXES"}),
    ("Query", {**OF_P, "Limit": 1, "ExclusiveStartKey": key("1")}),
    ("Query", {**OF_P, "Select": "COUNT"}),
    (
        "Query",
        {
            "TableName": "t",
            "IndexName": "by_other",
            "KeyConditionExpression": "other = :o",
            "ExpressionAttributeValues": {":o": {"S": "o"}},
            "Limit": 1,
        },
    ),
    ("Scan", {"TableName": "t", "Limit": 1}),
    (
        "Scan",
        {
            "TableName": "t",
            "FilterExpression": "#b = :b AND #n > :n",
            "ExpressionAttributeNames": {"#b": "bytes", "#n": "number"},
            "ExpressionAttributeValues": {":b": VALUES["bytes"], ":n": {"N": "1"}},
        },
    ),
    ("Scan", {"TableName": "t", "Segment": 0, "TotalSegments": 2, "ConsistentRead": True}),
    ("TransactGetItems", {"TransactItems": [{"Get": of("1")}, {"Get": of("nobody")}]}),
    (
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": {"TableName": "t", "Item": item("5", **VALUES), **NEW}},
                {"Update": of("2", **ADD)},
                {"Delete": of("4")},
                {"ConditionCheck": of("1", **MISSING)},
            ]
        },
    ),
    ("DeleteItem", of("2", ReturnValues="ALL_OLD", ReturnConsumedCapacity="TOTAL")),
    ("DeleteItem", of("2")),
)
"""What the library sends, in an order in which each request succeeds."""
OTHERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("PutItem", {"TableName": "t", "Item": item("1"), **NEW}),
    (
        "PutItem",
        {"TableName": "t", "Item": item("1"), **NEW, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"},
    ),
    ("PutItem", {"TableName": "nowhere", "Item": item("1")}),
    ("PutItem", {"TableName": "t", "Item": {**item("1"), "sk": {"S": ""}}}),
    ("PutItem", {"TableName": "t", "Item": item("1", long={"S": "x" * 410_000})}),
    ("PutItem", {"TableName": "t", "Item": {"pk": {"S": "p"}}}),
    ("PutItem", {"TableName": "t", "Item": item("6", odd={"S": None, "N": "1"}), "Unknown": 1}),
    ("PutItem", {"TableName": "t", "Item": item("6", two={"S": "a", "N": "1"}), "ReturnValues": None}),
    ("PutItem", {"TableName": "t", "Item": item("6", number={"N": 5})}),
    ("GetItem", of("6")),
    ("GetItem", {"TableName": "t", "Key": {"no": {"S": "key"}}}),
    ("UpdateItem", of("1", UpdateExpression="SET")),
    ("UpdateItem", of("1", **{**ADD, **MISSING}, ReturnValues="ALL_NEW")),
    ("UpdateItem", of("0", **{**ADD, **MISSING})),
    ("DeleteItem", of("0", **MISSING)),
    ("Query", {"TableName": "t"}),
    ("BatchGetItem", {"RequestItems": {"t": {"Keys": [key(str(number)) for number in range(101)]}}}),
    ("BatchWriteItem", {"RequestItems": {"nowhere": [{"PutRequest": {"Item": item("1")}}]}}),
    (
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Update": of("1", **ADD)},
                {
                    "Put": {
                        "TableName": "t",
                        "Item": item("1"),
                        **NEW,
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                },
            ]
        },
    ),
    ("Scan", {"TableName": "t"}),
    ("CreateTable", TABLE),
    ("CreateTable", {"TableName": "u", "KeySchema": TABLE["KeySchema"], "AttributeDefinitions": []}),
    ("ListTagsOfResource", {"ResourceArn": "arn:aws:dynamodb:us-east-1:123456789012:table/t"}),
    (
        "TagResource",
        {
            "ResourceArn": "arn:aws:dynamodb:us-east-1:123456789012:table/t",
            "Tags": [{"Key": "a", "Value": "b"}],
        },
    ),
    ("DescribeLimits", {}),
    ("DeleteTable", {"TableName": "t"}),
    ("DescribeTable", {"TableName": "t"}),
)
"""What fails, what no client should send, and operations that the library does not use."""


def prepared(operation: str, body: Any) -> AWSPreparedRequest:
    """A request as botocore sends it; a body that is no text is written as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0"}
    url = "https://dynamodb.us-east-1.amazonaws.com/"
    return AWSPreparedRequest("POST", url, HeadersDict(headers), text.encode(), False)


def moto_engine() -> Callable[[Any], Answer]:
    """moto as it is, with tables of its own."""
    backend = DynamoDBBackend("us-east-1", "123456789012")
    handler = type("PlainHandler", (DynamoHandler,), {"dynamodb_backend": backend})

    def answer(request: Any) -> Answer:
        status, headers, body = handler.dispatch(normalize_request(request))
        return status, headers, body.encode() if isinstance(body, str) else body

    return answer


Pair = tuple[Callable[[Any], Answer], Callable[[Any], Answer]]


@pytest.fixture
def engines() -> Pair:
    """Ours and moto's."""
    return EmbeddedEngine().answer, moto_engine()


@pytest.fixture
def filled(engines: Pair) -> Pair:
    """The same after all the plain requests."""
    for engine in engines:
        for operation, body in PLAIN:
            engine(prepared(operation, body))
    return engines


def told(answer: Answer) -> tuple[int, set[str], str | None, str]:
    """What a client sees of an answer, without what differs each time; 1 and 1.0 are different texts."""
    status, headers, body = answer
    assert headers["x-amz-crc32"] == str(zlib.crc32(body))
    assert len(headers["x-amzn-requestid"]) == 52
    return status, set(headers), headers.get("Content-Type"), text_of(json.loads(body))


def text_of(body: Any) -> str:
    return json.dumps(steady(body), sort_keys=True, default=str)


def steady(body: Any) -> Any:
    """A body in which times and ids are replaced by their types."""
    if isinstance(body, dict):
        return {name: steady_member(name, member) for name, member in body.items()}
    return [steady(member) for member in body] if isinstance(body, list) else body


def steady_member(name: str, member: Any) -> Any:
    return type(member) if name in ("CreationDateTime", "TableId") else steady(member)


def assert_same(engines: Pair, operation: str, body: Any) -> Any:
    ours, moto = (told(engine(prepared(operation, body))) for engine in engines)
    assert ours == moto, operation
    return ours


def test_each_request_is_answered_as_moto_does(engines: Pair) -> None:
    for operation, body in PLAIN:
        assert assert_same(engines, operation, body)[0] == 200, operation


MOVED = {
    "UpdateExpression": "SET #o = :o",
    "ExpressionAttributeNames": {"#o": "other"},
    "ExpressionAttributeValues": {":o": {"S": "p"}},
}
OF_OTHER = {"TableName": "t", "IndexName": "by_other", "KeyConditionExpression": "other = :o"}
CHANGES: list[tuple[str, Any]] = [
    ("PutItem", {"TableName": "t", "Item": item("1")}),
    ("UpdateItem", of("1", **MOVED)),
    ("BatchWriteItem", {"RequestItems": {"t": [{"PutRequest": {"Item": item("2")}}]}}),
    (
        "TransactWriteItems",
        {"TransactItems": [{"Delete": of("2")}, {"Put": {"TableName": "t", "Item": item("3")}}]},
    ),
    ("TransactWriteItems", {"TransactItems": [{"Delete": of("3")}, {"Delete": of("4", **MISSING)}]}),
    ("DeleteItem", of("1")),
]


def test_queries_of_an_index_see_each_change(engines: Pair) -> None:
    """Queries that follow each other share the partitions of the index; each write makes them new."""
    for engine in engines:
        engine(prepared("CreateTable", TABLE))
    for operation, body in CHANGES:
        assert_same(engines, operation, body)
        for partition in ("o", "p", "q", "o", "p"):
            asked = {**OF_OTHER, "ExpressionAttributeValues": {":o": {"S": partition}}}
            assert assert_same(engines, "Query", asked)[0] == 200


def test_errors_and_odd_requests_are_answered_as_moto_does(filled: Pair) -> None:
    statuses = {assert_same(filled, operation, body)[0] for operation, body in OTHERS}
    assert statuses == {200, 400}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("PutItem", "no JSON"),
        ("PutItem", "[]"),
        ("PutItem", {"TableName": "t", "Item": {"pk": {"B": "a"}}}),
        ("PutItem", {"TableName": "t", "Item": item("1", lone={"S": "\ud800"})}),
        ("Query", {**OF_P, "FilterExpression": "("}),
        ("Nonsense", {}),
    ],
)
def test_what_moto_cannot_answer_is_refused_as_it_does(filled: Pair, operation: str, body: Any) -> None:
    errors = []
    for engine in filled:
        with pytest.raises(Exception) as caught:  # whatever moto raises
            engine(prepared(operation, body))
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]


def test_a_text_that_moto_would_change_stays_as_it_is(engines: Pair) -> None:
    """moto writes its id between these tags, in any reply: it means the replies of other services."""
    stored, (ours, _) = item("x", text={"S": "<RequestId>x</RequestId>"}), engines
    for operation, body in (("CreateTable", TABLE), ("PutItem", {"TableName": "t", "Item": stored})):
        ours(prepared(operation, body))
    assert json.loads(ours(prepared("GetItem", of("x")))[2]) == {"Item": stored}


def test_other_protocols_are_left_to_moto(filled: Pair) -> None:
    answers = []
    for engine in filled:
        request = prepared("GetItem", of("1"))
        request.headers["Content-Type"] = "application/x-amz-json-1.1"
        answers.append(told(engine(request)))
    assert answers[0] == answers[1]


NAMES = st.text(min_size=1, max_size=5)
ATTRIBUTES = st.recursive(
    st.one_of(
        st.text(max_size=5).map(lambda text: {"S": text}),
        st.integers().map(lambda number: {"N": str(number)}),
        st.sampled_from([VALUES["bytes"], VALUES["none"], VALUES["flag"], VALUES["binaries"]]),
        st.sets(NAMES, min_size=1).map(lambda texts: {"SS": sorted(texts)}),
    ),
    lambda values: st.one_of(
        st.dictionaries(NAMES, values, max_size=3).map(lambda members: {"M": members}),
        st.lists(values, max_size=3).map(lambda members: {"L": members}),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def with_table() -> Pair:
    """Ours and moto's, with a table."""
    engines = EmbeddedEngine().answer, moto_engine()
    for engine in engines:
        engine(prepared("CreateTable", TABLE))
    return engines


@given(attributes=st.dictionaries(NAMES.map("a_{}".format), ATTRIBUTES, max_size=4))
@settings(max_examples=50)
def test_any_item_is_stored_and_answered_as_moto_does(with_table: Pair, attributes: dict[str, Any]) -> None:
    stored = item("x", **attributes)
    assert_same(with_table, "PutItem", {"TableName": "t", "Item": stored})
    _, _, _, body = assert_same(with_table, "GetItem", of("x"))
    assert body == text_of({"Item": stored})
    assert_same(with_table, "Query", OF_P)


@pytest.fixture
def no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's way of writing replies fails."""

    def refuse(*_: object) -> None:
        raise AssertionError("moto walked the service model")

    monkeypatch.setattr(ResponseSerializer, "serialize", refuse)


def test_what_the_library_sends_is_answered_without_a_walk_over_the_model(no_walk: None) -> None:
    answer = EmbeddedEngine().answer
    assert [answer(prepared(operation, body))[0] for operation, body in PLAIN] == [200] * len(PLAIN)
