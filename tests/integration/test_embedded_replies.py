"""The embedded engine's replies: what a client sees of each request, and what is left to moto."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from hypothesis import given, settings, strategies as st

from dynamo_bao.dynamodb.transport.embedded.engine import EmbeddedEngine
from dynamo_bao.dynamodb.transport.embedded.transactions import TOKEN_SECONDS, RequestTokens
from tests.support.clocks import FakeTime

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/t"
TABLE = {
    "TableName": "t",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "kind")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_kind",
            "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
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
    return {**key(sk), "kind": {"S": "o"}, **attributes}


def of(sk: str, **arguments: Any) -> dict[str, Any]:
    return {"TableName": "t", "Key": key(sk), **arguments}


class Client:
    """Sends requests in botocore's form to an engine, which has a table."""

    def __init__(self) -> None:
        self.engine = EmbeddedEngine(shortest_name=1)
        self.ask("CreateTable", TABLE)

    def answer(self, operation: str, body: Any) -> tuple[int, dict[str, str], bytes]:
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
        }
        url = "https://dynamodb.us-east-1.amazonaws.com/"
        return self.engine.answer(AWSPreparedRequest("POST", url, HeadersDict(headers), text.encode(), False))

    def ask(self, operation: str, body: Any) -> dict[str, Any]:
        """The members of an answer without an error."""
        status, headers, reply = self.answer(operation, body)
        assert status == 200, reply
        assert headers["x-amz-crc32"] == str(zlib.crc32(reply))
        members: dict[str, Any] = json.loads(reply)
        return members


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


def test_each_reply_has_its_checksum_and_an_id(client: Client) -> None:
    """Errors too."""
    ids = set()
    for operation, body in (("ListTables", {}), ("GetItem", {}), ("Nonsense", {}), ("GetItem", "no JSON")):
        _, headers, reply = client.answer(operation, body)
        assert headers["x-amz-crc32"] == str(zlib.crc32(reply))
        assert headers["content-type"] == "application/x-amz-json-1.0"
        assert len(headers["x-amzn-requestid"]) == 52
        ids.add(headers["x-amzn-requestid"])
    assert len(ids) == 4


NAMES = st.text(min_size=1, max_size=5)
ATTRIBUTES = st.recursive(
    st.one_of(
        st.text(max_size=5).map(lambda text: {"S": text}),
        st.integers(-(10**38) + 1, 10**38 - 1).map(lambda number: {"N": str(number)}),
        st.sampled_from([VALUES["bytes"], VALUES["none"], VALUES["flag"], VALUES["binaries"]]),
        st.sets(NAMES, min_size=1).map(lambda texts: {"SS": sorted(texts)}),
    ),
    lambda values: st.one_of(
        st.dictionaries(NAMES, values, max_size=3).map(lambda members: {"M": members}),
        st.lists(values, max_size=3).map(lambda members: {"L": members}),
    ),
    max_leaves=6,
)


@given(attributes=st.dictionaries(NAMES.map("a_{}".format), ATTRIBUTES, max_size=4))
@settings(max_examples=50)
def test_any_item_is_answered_as_it_was_stored(client: Client, attributes: dict[str, Any]) -> None:
    """By its key, in a batch, in a transaction, and by a query of an index."""
    stored_item = item("x", **attributes)
    client.ask("PutItem", {"TableName": "t", "Item": stored_item})
    assert client.ask("GetItem", of("x"))["Item"] == stored_item
    batch = client.ask("BatchGetItem", {"RequestItems": {"t": {"Keys": [key("x")]}}})
    assert batch["Responses"] == {"t": [stored_item]}
    assert client.ask("TransactGetItems", {"TransactItems": [{"Get": of("x")}]})["Responses"] == [
        {"Item": stored_item}
    ]
    assert stored_item in of_kind(client, "o")


def of_kind(client: Client, kind: str) -> list[dict[str, Any]]:
    """The items of an index's partition."""
    request = {
        "TableName": "t",
        "IndexName": "by_kind",
        "KeyConditionExpression": "kind = :o",
        "ExpressionAttributeValues": {":o": {"S": kind}},
    }
    items: list[dict[str, Any]] = client.ask("Query", request)["Items"]
    return items


MOVE = {
    "UpdateExpression": "SET kind = :o",
    "ExpressionAttributeValues": {":o": {"S": "p"}},
}
CHANGES: list[tuple[str, Any, list[str], list[str]]] = [
    ("PutItem", {"TableName": "t", "Item": item("1")}, ["1"], []),
    ("UpdateItem", of("1", **MOVE), [], ["1"]),
    ("BatchWriteItem", {"RequestItems": {"t": [{"PutRequest": {"Item": item("2")}}]}}, ["2"], ["1"]),
    (
        "TransactWriteItems",
        {"TransactItems": [{"Delete": of("2")}, {"Put": {"TableName": "t", "Item": item("3")}}]},
        ["3"],
        ["1"],
    ),
    ("UpdateItem", of("1", UpdateExpression="REMOVE kind"), ["3"], []),
    ("DeleteItem", of("3"), [], []),
]


def test_queries_of_an_index_see_each_change() -> None:
    """An item enters its partition, moves to another, and leaves it."""
    client = Client()
    for operation, body, of_o, of_p in CHANGES:
        client.ask(operation, body)
        assert [one["sk"]["S"] for one in of_kind(client, "o")] == of_o
        assert [one["sk"]["S"] for one in of_kind(client, "p")] == of_p


def test_a_cancelled_transaction_leaves_nothing() -> None:
    """Neither in the table nor in its indexes, and what it changed is there as before."""
    client = Client()
    client.ask("PutItem", {"TableName": "t", "Item": item("1")})
    actions = [
        {"Update": of("1", **MOVE)},
        {"Put": {"TableName": "t", "Item": item("2")}},
        {"ConditionCheck": of("9", ConditionExpression="attribute_exists(pk)")},
    ]
    status, _, _ = client.answer("TransactWriteItems", {"TransactItems": actions})
    assert status == 400
    assert of_kind(client, "o") == [item("1")] and of_kind(client, "p") == []


def test_an_index_that_is_added_has_the_items_of_the_table() -> None:
    client = Client()
    client.ask("PutItem", {"TableName": "t", "Item": item("1", later={"S": "x"})})
    index = {
        "IndexName": "by_later",
        "KeySchema": [{"AttributeName": "later", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    definitions = [{"AttributeName": "later", "AttributeType": "S"}]
    updates = [{"Create": index}]
    update = {"TableName": "t", "AttributeDefinitions": definitions, "GlobalSecondaryIndexUpdates": updates}
    client.ask("UpdateTable", update)
    request = {
        "TableName": "t",
        "IndexName": "by_later",
        "KeyConditionExpression": "later = :x",
        "ExpressionAttributeValues": {":x": {"S": "x"}},
    }
    assert client.ask("Query", request)["Items"] == [{**key("1"), "later": {"S": "x"}}]
    removal = {"TableName": "t", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by_later"}}]}
    client.ask("UpdateTable", removal)
    assert client.answer("Query", request)[0] == 400


def test_a_token_is_forgotten_after_ten_minutes() -> None:
    """Until then a repeated transaction changes nothing, and afterwards it is another transaction."""
    client, time = Client(), FakeTime()
    tokens = RequestTokens(time.clock.now)
    find_store = client.engine._tables.store
    add = of("1", UpdateExpression="ADD hits :one", ExpressionAttributeValues={":one": {"N": "1"}})
    request = {"TransactItems": [{"Update": add}], "ClientRequestToken": "abc"}
    hits = []
    for seconds in (0.0, TOKEN_SECONDS - 1, 1.0):
        time.clock.sleep(seconds)
        tokens.transact_write_items(find_store, request)
        hits.append(client.ask("GetItem", of("1"))["Item"]["hits"]["N"])
    assert hits == ["1", "1", "2"]


def test_what_moto_carries_out_sees_the_items_and_changes_them() -> None:
    """Statements in PartiQL, and a backup that becomes a table."""
    client = Client()
    binaries = {"L": [{"B": "YQ=="}, {"M": {"a": {"B": ""}}}]}
    client.ask("PutItem", {"TableName": "t", "Item": item("1", n={"N": "1.50"}, o=binaries)})
    stored = item("1", n={"N": "1.5"}, o=binaries)
    select = {"Statement": 'SELECT * FROM "t" WHERE pk = ?', "Parameters": [{"S": "p"}]}
    assert client.ask("ExecuteStatement", select)["Items"] == [stored]
    delete = "DELETE FROM \"t\" WHERE pk = 'p' AND sk = '1'"
    backup = client.ask("CreateBackup", {"TableName": "t", "BackupName": "before"})["BackupDetails"]
    assert client.ask("GetItem", of("1"))["Item"] == stored
    client.ask("ExecuteStatement", {"Statement": delete})
    assert client.ask("GetItem", of("1")) == {} and of_kind(client, "o") == []
    restore = {"TargetTableName": "again", "BackupArn": backup["BackupArn"]}
    client.ask("RestoreTableFromBackup", restore)
    assert client.ask("GetItem", {**of("1"), "TableName": "again"})["Item"] == stored


@pytest.mark.parametrize(
    ("operation", "request_body", "fault"),
    [
        ("ExecuteStatement", {}, "Value null at 'statement'"),
        ("ExecuteStatement", {"Statement": "SELECTT nothing"}, "ExecuteStatement failed in moto"),
        ("BatchExecuteStatement", {"Statements": []}, "Value '[]' at 'statements'"),
        ("ExecuteTransaction", {"TransactStatements": []}, "Value '[]' at 'transactStatements'"),
    ],
)
def test_statements_with_faults_are_refused(operation: str, request_body: Any, fault: str) -> None:
    status, _, body = Client().answer(operation, request_body)
    assert status == 400 and fault in json.loads(body)["message"]


def test_tags_are_those_of_the_table(client: Client) -> None:
    tags = [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}]
    client.ask("TagResource", {"ResourceArn": ARN, "Tags": tags})
    client.ask("UntagResource", {"ResourceArn": ARN, "TagKeys": ["c"]})
    assert client.ask("ListTagsOfResource", {"ResourceArn": ARN}) == {"Tags": tags[:1]}


def test_segments_of_a_scan_share_the_items() -> None:
    """Each item is in one segment."""
    client = Client()
    names = [f"{number:02}" for number in range(40)]
    for name in names:
        client.ask("PutItem", {"TableName": "t", "Item": {**item("1"), "pk": {"S": name}}})
    parts = [
        client.ask("Scan", {"TableName": "t", "Segment": number, "TotalSegments": 4})["Items"]
        for number in range(4)
    ]
    assert sorted(one["pk"]["S"] for part in parts for one in part) == names
    assert all(parts)
