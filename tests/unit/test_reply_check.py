"""What a parsed reply must be before anything is concluded from it: members, their types, and the keys of items."""

from __future__ import annotations

import copy
import re
from typing import Any

import orjson
import pytest

from dynamo_bao import DataFormatError, Model, PrimaryKey, StringField
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.dynamodb.transport.reply_check import UNREADABLE, SeenIds, checked, checked_refusal
from dynamo_bao.mapping.row_types import row_type
from dynamo_bao.models.class_builder import schema_of


class Thing(Model, prefix="t"):
    thing_id: str = StringField()
    name: str = StringField()

    primary_key = PrimaryKey("thing_id")


def key(name: str) -> dict[str, Any]:
    return Key(f"t#{name}", "t").as_item()


def item(name: str, /, **more: Any) -> dict[str, Any]:
    return {**key(name), "thing_id": {"S": name}, "name": {"S": f"Thing {name}"}, **more}


CAPACITY = {"TableName": "t", "CapacityUnits": 0.5}
GET = Request("GetItem", {"TableName": "t", "Key": key("a")})
BATCH = Request("BatchGetItem", {"RequestItems": {"t": {"Keys": [key("a"), key("b")]}}})
QUERY = Request(
    "Query",
    {
        "TableName": "t",
        "IndexName": "gsi1",
        "KeyConditionExpression": "(#n0 = :v0 AND #n1 BETWEEN :v1 AND :v2)",
        "ExpressionAttributeNames": {"#n0": "_gsi1_pk", "#n1": "_gsi1_sk"},
        "ExpressionAttributeValues": {":v0": {"S": "p"}, ":v1": {"S": "b"}, ":v2": {"S": "d"}},
        "ExclusiveStartKey": {**key("0"), "_gsi1_pk": {"S": "p"}, "_gsi1_sk": {"S": "b"}},
    },
)
GETS = Request(
    "TransactGetItems", {"TransactItems": [{"Get": {"TableName": "t", "Key": key(name)}} for name in "ab"]}
)
PUT = Request("PutItem", {"TableName": "t", "Item": item("a")})
UPDATE = Request("UpdateItem", {"TableName": "t", "Key": key("a"), "ReturnValues": "ALL_NEW"})
DELETE = Request(
    "DeleteItem",
    {
        "TableName": "t",
        "Key": key("a"),
        "ReturnValues": "ALL_OLD",
        "ConditionExpression": "attribute_exists(#n0)",
        "ExpressionAttributeNames": {"#n0": "_pk"},
    },
)
WRITES = Request(
    "BatchWriteItem",
    {"RequestItems": {"t": [{"PutRequest": {"Item": item("a")}}, {"DeleteRequest": {"Key": key("b")}}]}},
)
TRANSACTION = Request(
    "TransactWriteItems",
    {
        "TransactItems": [
            {"Put": {"TableName": "t", "Item": item("a")}},
            {"Delete": {"TableName": "t", "Key": key("b")}},
        ]
    },
)
DESCRIBE = Request("DescribeTable", {"TableName": "t"})
COUNT = Request("Query", {**QUERY.written, "Select": "COUNT"})
REPLACE = Request("PutItem", {**PUT.written, "ReturnValues": "ALL_OLD"})
TABLE = {
    "TableName": "t",
    "TableStatus": "ACTIVE",
    "KeySchema": [{"AttributeName": "_pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "_pk", "AttributeType": "S"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "gsi1",
            "KeySchema": [{"AttributeName": "_gsi1_pk", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


def row(pk: str = "p", sk: str = "c", name: str = "a") -> dict[str, Any]:
    return item(name, _gsi1_pk={"S": pk}, _gsi1_sk={"S": sk})


def page(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Items": list(rows), "Count": len(rows), "ScannedCount": len(rows), **more}


ANSWERS: dict[str, tuple[Request, dict[str, Any]]] = {
    "item": (GET, {"Item": item("a")}),
    "no item": (GET, {"ConsumedCapacity": CAPACITY}),
    "batch": (
        BATCH,
        {"Responses": {"t": [item("b")]}, "UnprocessedKeys": {}, "ConsumedCapacity": [CAPACITY]},
    ),
    "batch in any order": (BATCH, {"Responses": {"t": [item("b"), item("a")]}}),
    "batch of nothing": (BATCH, {"Responses": {"t": []}}),
    "batch in part": (
        BATCH,
        {"Responses": {"t": [item("a")]}, "UnprocessedKeys": {"t": {"Keys": [key("b")]}}},
    ),
    "batch not at all": (BATCH, {"UnprocessedKeys": {"t": {"Keys": [key("b"), key("a")]}}}),
    "page": (QUERY, page(row(), row(sk="b", name="b"), LastEvaluatedKey={**key("b"), **row(sk="d")})),
    "empty page": (QUERY, page()),
    "page of a filter": (QUERY, {"Items": [], "Count": 0, "ScannedCount": 7}),
    "transaction of reads": (GETS, {"Responses": [{}, {"Item": item("b")}]}),
    "put": (PUT, {"ConsumedCapacity": CAPACITY}),
    "update": (UPDATE, {"Attributes": item("a")}),
    "deletion": (DELETE, {"Attributes": item("a")}),
    "batch of writes": (WRITES, {"UnprocessedItems": {}}),
    "batch of writes in part": (
        WRITES,
        {"UnprocessedItems": {"t": [{"DeleteRequest": {"Key": key("b")}}]}},
    ),
    "transaction": (TRANSACTION, {"ConsumedCapacity": []}),
    "table": (DESCRIBE, {"Table": TABLE}),
    "items of two tables": (
        Request("BatchGetItem", {"RequestItems": {name: {"Keys": [key("a")]} for name in "tu"}}),
        {"Responses": {"t": [item("a")]}, "UnprocessedKeys": {"u": {"Keys": [key("a")]}}},
    ),
    "part of an item": (
        Request("GetItem", {**GET.written, "ProjectionExpression": "a"}),
        {"Item": {"a": {"S": "x"}}},
    ),
    "figures of a table and its indexes": (
        GET,
        {
            "ConsumedCapacity": {
                **CAPACITY,
                "Table": {"CapacityUnits": 1},
                "GlobalSecondaryIndexes": {"gsi1": {"CapacityUnits": 0.0, "ReadCapacityUnits": 0.5}},
                "LocalSecondaryIndexes": {},
            }
        },
    ),
    "count": (COUNT, {"Count": 3, "ScannedCount": 5}),
    "replaced item": (REPLACE, {"Attributes": item("a")}),
    "nothing replaced": (REPLACE, {"ConsumedCapacity": CAPACITY}),
    "deletion of nothing": (
        Request("DeleteItem", {**DELETE.written, "ConditionExpression": "#n1 = :v0"}),
        {"ConsumedCapacity": CAPACITY},
    ),
    "deletion of what may be there": (
        Request("DeleteItem", {**DELETE.written, "ConditionExpression": "attribute_exists(#n1)"}),
        {"ConsumedCapacity": CAPACITY},
    ),
    "changed attributes": (
        Request("UpdateItem", {**UPDATE.written, "ReturnValues": "UPDATED_NEW"}),
        {"Attributes": {"name": {"S": "x"}}},
    ),
    "new table": (Request("CreateTable", {}), {"TableDescription": {"TableName": "t", "ItemCount": 0}}),
    "time to live": (
        Request("DescribeTimeToLive", {}),
        {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}},
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.rule(41)
def test_an_answer_is_believed(what: str) -> None:
    """As DynamoDB gives them, in all their forms; also with members that nobody here knows, or that are null."""
    request, body = ANSWERS[what]
    assert checked(request, copy.deepcopy(body), is_vouched=False) == body
    more = {**copy.deepcopy(body), "SomethingNew": [1], "ItemCollectionMetrics": None}
    assert checked(request, more, is_vouched=False) == {**body, "SomethingNew": [1]}


NO_ANSWERS: dict[str, tuple[Request, Any]] = {
    "nothing": (GET, {}),
    "another item": (GET, {"Item": item("b"), "ConsumedCapacity": CAPACITY}),
    "another model's": (GET, {"Item": {**item("a"), "_sk": {"S": "u"}}}),
    "another tenant's": (GET, {"Item": {**item("a"), "_pk": {"S": "[x]#t#a"}}}),
    "no key": (GET, {"Item": {"name": {"S": "x"}}}),
    "a key that is a number": (GET, {"Item": {**item("a"), "_pk": {"N": "1"}}}),
    "an empty item": (GET, {"Item": {}, "ConsumedCapacity": CAPACITY}),
    "a list": (GET, {"Item": [item("a")]}),
    "a page for an item": (GET, {**page(), "ConsumedCapacity": CAPACITY}),
    "a batch for an item": (GET, {"Responses": {}, "ConsumedCapacity": CAPACITY}),
    "a message": (GET, {"message": "ok", "ConsumedCapacity": CAPACITY}),
    "a type": (GET, {"__type": "x", "ConsumedCapacity": CAPACITY}),
    "capacity that is a text": (GET, {"ConsumedCapacity": "1"}),
    "capacity of a batch": (GET, {"ConsumedCapacity": [CAPACITY]}),
    "units that are a text": (GET, {"ConsumedCapacity": {"CapacityUnits": "1"}}),
    "null capacity": (GET, {"ConsumedCapacity": None}),
    "no batch": (BATCH, {}),
    "null responses": (BATCH, {"Responses": None}),
    "no table": (BATCH, {"Responses": {}, "UnprocessedKeys": {}}),
    "a key too few": (BATCH, {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": [key("a")]}}}),
    "another table": (BATCH, {"Responses": {"t": [], "u": []}}),
    "another table unprocessed": (BATCH, {"Responses": {"t": []}, "UnprocessedKeys": {"u": {"Keys": []}}}),
    "another key": (BATCH, {"Responses": {"t": [item("c")]}}),
    "a key twice": (BATCH, {"Responses": {"t": [item("a"), item("a")]}}),
    "a key both ways": (
        BATCH,
        {"Responses": {"t": [item("a")]}, "UnprocessedKeys": {"t": {"Keys": [key("a")]}}},
    ),
    "a key nobody asked for": (
        BATCH,
        {"Responses": {"t": []}, "UnprocessedKeys": {"t": {"Keys": [key("c")]}}},
    ),
    "unprocessed texts": (BATCH, {"Responses": {"t": []}, "UnprocessedKeys": {"t": {"Keys": ["a"]}}}),
    "unprocessed nothing": (BATCH, {"Responses": {"t": []}, "UnprocessedKeys": {"t": None}}),
    "items that are a map": (BATCH, {"Responses": {"t": {}}}),
    "items that are texts": (BATCH, {"Responses": {"t": ["a"]}}),
    "an item without a key": (BATCH, {"Responses": {"t": [{"name": {"S": "x"}}]}}),
    "no items": (QUERY, {"Count": 0, "ScannedCount": 0}),
    "no page": (QUERY, {}),
    "another partition": (QUERY, page(row(pk="q"))),
    "one of another partition": (QUERY, page(row(), row(pk="q", name="b"))),
    "no partition": (QUERY, page(item("a"))),
    "out of the range": (QUERY, page(row(sk="a"))),
    "over the range": (QUERY, page(row(sk="da"))),
    "the same row twice": (QUERY, page(row(), row())),
    "a count too many": (QUERY, {**page(row()), "Count": 2, "ScannedCount": 2}),
    "more than was scanned": (QUERY, {**page(row()), "ScannedCount": 0}),
    "a count that is a text": (QUERY, {**page(), "Count": "0"}),
    "a count that is true": (QUERY, {**page(row()), "Count": True}),
    "an end that is a text": (QUERY, page(LastEvaluatedKey="a")),
    "an empty end": (QUERY, page(LastEvaluatedKey={})),
    "an end elsewhere": (QUERY, page(LastEvaluatedKey={**key("a"), **row(pk="q")})),
    "an end where it began": (QUERY, page(LastEvaluatedKey=QUERY.written["ExclusiveStartKey"])),
    "a read too few": (GETS, {"Responses": [{}]}),
    "reads swapped": (GETS, {"Responses": [{"Item": item("b")}, {"Item": item("a")}]}),
    "a read of nothing": (GETS, {"Responses": [{}, None]}),
    "no word of a write": (PUT, {}),
    "no attributes": (UPDATE, {"ConsumedCapacity": CAPACITY}),
    "empty attributes": (UPDATE, {"Attributes": {}, "ConsumedCapacity": CAPACITY}),
    "another's attributes": (UPDATE, {"Attributes": item("b")}),
    "attributes without types": (UPDATE, {"Attributes": {**item("a"), "name": "x"}}),
    "no old item": (DELETE, {"ConsumedCapacity": CAPACITY}),
    "another's old item": (DELETE, {"Attributes": item("b")}),
    "a batch that says nothing": (WRITES, {"ConsumedCapacity": [CAPACITY]}),
    "writes left of another table": (WRITES, {"UnprocessedItems": {"u": []}}),
    "writes left that nobody made": (
        WRITES,
        {"UnprocessedItems": {"t": [{"DeleteRequest": {"Key": key("c")}}]}},
    ),
    "writes left that are none": (WRITES, {"UnprocessedItems": {"t": [{}]}}),
    "no word of a transaction": (TRANSACTION, {}),
    "no table described": (DESCRIBE, {}),
    "a table without keys": (DESCRIBE, {"Table": {**TABLE, "KeySchema": None}}),
    "an index without a name": (DESCRIBE, {"Table": {**TABLE, "GlobalSecondaryIndexes": [{}]}}),
    "an index of texts": (DESCRIBE, {"Table": {**TABLE, "GlobalSecondaryIndexes": ["gsi1"]}}),
    "a projection of numbers": (DESCRIBE, {"Table": {**TABLE, "Projection": {"NonKeyAttributes": [1]}}}),
    "a key without a type": (DESCRIBE, {"Table": {**TABLE, "KeySchema": [{"AttributeName": "_pk"}]}}),
    "a status that is a number": (DESCRIBE, {"Table": {**TABLE, "TableStatus": 5}}),
    "a null inside a table": (DESCRIBE, {"Table": {**TABLE, "Anything": {"new": None}}}),
    "a list for a table": (DESCRIBE, {"Table": [TABLE]}),
    "a new table without a name": (Request("CreateTable", {}), {"TableDescription": {"TableStatus": "x"}}),
    "no status of the time to live": (Request("DescribeTimeToLive", {}), {"TimeToLiveDescription": {}}),
    "units below zero": (GET, {"ConsumedCapacity": {"CapacityUnits": -1}}),
    "a table's name that is a number": (GET, {"ConsumedCapacity": {"TableName": 1}}),
    "true figures": (GET, {"ConsumedCapacity": {"CapacityUnits": True}}),
    "figures under another name": (GET, {"ConsumedCapacity": {"gsi1": "1"}}),
    "figures of no index": (GET, {"ConsumedCapacity": {"Indexes": {"gsi1": {"CapacityUnits": 1}}}}),
    "figures of a table that are none": (GET, {"ConsumedCapacity": {"Table": {"CapacityUnits": "1"}}}),
    "capacity of one for a batch": (BATCH, {"Responses": {"t": []}, "ConsumedCapacity": CAPACITY}),
    "a list of other capacities": (BATCH, {"Responses": {"t": []}, "ConsumedCapacity": [1]}),
    "a list of responses": (BATCH, {"Responses": [item("a")]}),
    "a list of unprocessed keys": (BATCH, {"Responses": {"t": []}, "UnprocessedKeys": [key("a")]}),
    "unprocessed keys that are a map": (
        BATCH,
        {"Responses": {"t": []}, "UnprocessedKeys": {"t": {"Keys": key("a")}}},
    ),
    "an item with a key of numbers": (BATCH, {"Responses": {"t": [{"_pk": {"N": "1"}, "_sk": {"N": "1"}}]}}),
    "a read of an empty item": (GETS, {"Responses": [{"Item": {}}, {}]}),
    "no reads": (GETS, {"Responses": {"a": 1, "b": 2}}),
    "a map of items": (QUERY, {"Items": {}, "Count": 0}),
    "a count below zero": (QUERY, {**page(), "Count": -1}),
    "a scanned count that is a text": (QUERY, {**page(), "ScannedCount": "0"}),
    "no count": (COUNT, {"ScannedCount": 5}),
    "an end that is a list of texts": (QUERY, page(LastEvaluatedKey={"_pk": {"SS": ["a"]}})),
    "an end without a key": (QUERY, page(LastEvaluatedKey={"_pk": {"S": "a"}})),
    "no old item without names": (
        Request(
            "DeleteItem",
            {
                "Key": key("a"),
                "ReturnValues": "ALL_OLD",
                "ConditionExpression": "(attribute_exists(_pk) AND #a = :b)",
            },
        ),
        {"ConsumedCapacity": CAPACITY},
    ),
    "another's replaced item": (REPLACE, {"Attributes": item("b")}),
    "a list of attributes": (UPDATE, {"Attributes": [item("a")]}),
    "writes left that are a map": (WRITES, {"UnprocessedItems": {"t": {}}}),
    "writes left that are texts": (WRITES, {"UnprocessedItems": {"t": ["a"]}}),
}


REASONS = {
    "it has neither an item": ("nothing", "null capacity"),
    "it has neither Attributes": ("no word of a write",),
    "it says nothing": ("no word of a transaction",),
    "the item has another key than the one that was asked for": (
        *("another item", "another model's", "another tenant's", "no key", "a key that is a number"),
        "reads swapped",
    ),
    "the item is empty or not an object": ("an empty item", "a read of an empty item"),
    "it holds an item without a key": (
        *("a list", "unprocessed texts", "items that are texts", "an item without a key"),
        *("an item with a key of numbers", "an end without a key"),
    ),
    "it has members that replies to other requests have": (
        *("a page for an item", "a batch for an item", "a message", "a type"),
    ),
    "ConsumedCapacity has no figures": (
        *("capacity that is a text", "capacity of a batch", "units that are a text", "units below zero"),
        *("a table's name that is a number", "figures under another name", "figures of no index"),
        *("figures of a table that are none", "true figures"),
    ),
    "ConsumedCapacity is not a list of figures": (
        "capacity of one for a batch",
        "a list of other capacities",
    ),
    "it says nothing of table t": ("no batch", "null responses", "no table", "a key too few"),
    "Responses or UnprocessedKeys is not a map of tables": (
        "a list of responses",
        "a list of unprocessed keys",
    ),
    "it is about a table that was not asked for": ("another table", "another table unprocessed"),
    "it holds an item that was not asked for, or the same one twice": ("another key", "a key twice"),
    "UnprocessedKeys has the key of an item that it holds, or that was not asked for": (
        "a key both ways",
        "a key nobody asked for",
    ),
    "UnprocessedKeys has no list of keys": ("unprocessed nothing", "unprocessed keys that are a map"),
    "an entry of Responses is not a list of items": ("items that are a map",),
    "it has no Items": ("no items", "no page"),
    "Items is not a list": ("a map of items",),
    "it holds an item of another partition or range than was asked for": (
        *("another partition", "one of another partition", "no partition", "out of the range"),
        "over the range",
    ),
    "it holds the same item twice": ("the same row twice",),
    "Count is not the number of its items": ("a count too many",),
    "Count or ScannedCount is not a number of items": (
        *("more than was scanned", "a count that is a text", "a count that is true", "a count below zero"),
        *("a scanned count that is a text", "no count"),
    ),
    "LastEvaluatedKey is not a key": (
        "an end that is a text",
        "an empty end",
        "an end that is a list of texts",
    ),
    "it continues in another partition or range than requested": ("an end elsewhere",),
    "it continues where it began": ("an end where it began",),
    "Responses is not a list with an entry for each key": ("a read too few", "no reads"),
    "an entry of Responses is not an object": ("a read of nothing",),
    "it lacks the Attributes that were asked for": (
        *("no attributes", "empty attributes", "no old item", "no old item without names"),
    ),
    "Attributes has another key than the one that was asked for": (
        *("another's attributes", "another's old item", "another's replaced item"),
    ),
    "Attributes is not an item": ("attributes without types", "a list of attributes"),
    "it lacks UnprocessedItems": ("a batch that says nothing",),
    "UnprocessedItems is about a table that was not written to": (
        *("writes left of another table", "writes left that are a map"),
    ),
    "UnprocessedItems has a key that was not written": ("writes left that nobody made",),
    "UnprocessedItems has a member that is not a write": (
        "writes left that are none",
        "writes left that are texts",
    ),
    "Table describes nothing": (
        *("no table described", "a table without keys", "an index without a name", "an index of texts"),
        *("a projection of numbers", "a key without a type", "a status that is a number"),
        *("a null inside a table", "a list for a table"),
    ),
    "TableDescription describes nothing": ("a new table without a name",),
    "TimeToLiveDescription describes nothing": ("no status of the time to live",),
}
"""What is wrong, as the error says it."""
REASON_OF = {what: reason for reason, whats in REASONS.items() for what in whats}


@pytest.mark.parametrize("what", NO_ANSWERS)
@pytest.mark.promise("R14")
def test_what_is_no_answer_is_refused(what: str) -> None:
    """With the operation and what is wrong, and without a value or another key."""
    request, body = NO_ANSWERS[what]
    message = f"^{request.operation}: the reply does not answer the request: {re.escape(REASON_OF[what])}[.,]"
    with pytest.raises(DataFormatError, match=message) as caught:
        checked(request, copy.deepcopy(body), is_vouched=False)
    assert "#b" not in str(caught.value)


@pytest.mark.promise("R14")
def test_counts_that_a_page_lacks_are_added() -> None:
    """The items are counted; a count alone stands for what was scanned too."""
    assert checked(QUERY, {"Items": [row()]}, is_vouched=False) == page(row())
    assert checked(QUERY, {"Items": []}, is_vouched=False) == page()
    found = checked(QUERY, {"Items": [row()], "Count": 1}, is_vouched=False)
    assert found == page(row())
    assert checked(COUNT, {"Count": 3}, is_vouched=False) == {"Count": 3, "ScannedCount": 3}


@pytest.mark.promise("R14")
def test_operations_that_the_library_does_not_send_are_not_looked_at() -> None:
    """A program may send them by its transport."""
    assert checked(Request("ListTables", {}), {"message": None}, is_vouched=False) == {"message": None}


@pytest.mark.promise("R14")
def test_what_is_vouched_for_may_be_absent() -> None:
    """A checksum of DynamoDB's, or a lenient check: then nothing is an answer to what may be nothing."""
    for request in (GET, PUT, TRANSACTION):
        assert checked(request, {}, is_vouched=True) == {}
    for request in (BATCH, QUERY, UPDATE, WRITES, DESCRIBE, GETS):
        with pytest.raises(DataFormatError):
            checked(request, {}, is_vouched=True)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        5,
        "x",
        [],
        {},
        {"S": 5},
        {"S": None},
        {"N": 5},
        {"BOOL": "true"},
        {"SS": "x"},
        {"SS": [1]},
        {"L": {}},
        {"L": [{"S": 1}]},
        {"M": []},
        {"M": {"a": {"L": ["x"]}}},
        {"S": "a", "N": "1"},
        {"X": "a"},
        {"B": "not decoded"},
    ],
    ids=str,
)
@pytest.mark.promise("R15")
def test_a_value_of_a_wrong_type_spoils_one_attribute(wrong: Any) -> None:
    """The rest of its item, and the other items, are as they were."""
    spoilt = item("a", name=wrong)
    assert checked(GET, {"Item": spoilt}, is_vouched=False)["Item"] == item("a", name=dict(UNREADABLE))
    found = checked(BATCH, {"Responses": {"t": [spoilt, item("b")]}}, is_vouched=False)["Responses"]["t"]
    assert found == [item("a", name=dict(UNREADABLE)), item("b")]
    with pytest.raises(DataFormatError):
        checked(UPDATE, {"Attributes": spoilt}, is_vouched=False)


@pytest.mark.rule(41)
def test_rows_are_held_against_the_keys_as_items_are() -> None:
    """Items that were parsed into rows, of a batch and of a page."""
    rows = row_type(schema_of(Thing))
    assert rows is not None

    def parsed(operation: str, body: Any) -> Any:
        found = rows.parsed(orjson.dumps(body), operation)
        assert found is not None
        return found

    batch = {"Responses": {"t": [item("a"), item("b")]}}
    assert len(checked(BATCH, parsed("BatchGetItem", batch), is_vouched=False)["Responses"]["t"]) == 2
    for others in ([item("c")], [item("a"), item("a")], [{"name": {"S": "x"}}]):
        with pytest.raises(DataFormatError):
            checked(BATCH, parsed("BatchGetItem", {"Responses": {"t": others}}), is_vouched=False)
    request = Request(
        "Query",
        {"KeyConditionExpression": "_pk = :v", "ExpressionAttributeValues": {":v": {"S": "t#a"}}},
    )
    assert checked(request, parsed("Query", page(item("a"))), is_vouched=False)["Count"] == 1
    for other in (item("b"), {"name": {"S": "x"}}):
        with pytest.raises(DataFormatError):
            checked(request, parsed("Query", page(other)), is_vouched=False)


OF_ONE = [GET, UPDATE, DELETE]
NO_ANSWERS_OF_ONE = [what for what, (request, _) in NO_ANSWERS.items() if request in OF_ONE]


def answer_of_one(request: Request, body: Any) -> Any:
    """What is believed of a reply with one item that is parsed into a row, where that is possible."""
    rows = row_type(schema_of(Thing))
    assert rows is not None
    request = Request(request.operation, request.written, rows=rows)
    sent = orjson.dumps(body)
    parsed = rows.parsed(sent, request.operation) or orjson.loads(sent)
    return Reply(request, checked(request, parsed, is_vouched=False))


@pytest.mark.parametrize("request_of_one", OF_ONE, ids=lambda request: request.operation)
@pytest.mark.rule(41)
def test_a_row_of_one_is_the_item(request_of_one: Request) -> None:
    """It is read as the item that was sent, and its reply keeps the capacity."""
    member = "Item" if request_of_one is GET else "Attributes"
    body = {member: item("a"), "ConsumedCapacity": CAPACITY}
    reply = answer_of_one(request_of_one, body)
    assert type(reply.parsed[member]) is not dict
    assert reply.body == body


@pytest.mark.parametrize("what", NO_ANSWERS_OF_ONE)
@pytest.mark.promise("R14")
def test_a_row_of_one_is_refused_as_an_item_is(what: str) -> None:
    """Another key, no key, members of other replies: what is refused of an item is refused of a row."""
    request, body = NO_ANSWERS[what]
    row_type.cache_clear()  # what could not be parsed before has no rows tried for a while
    with pytest.raises(DataFormatError, match=f"^{request.operation}: the reply does not answer"):
        answer_of_one(request, body)


@pytest.mark.parametrize("key_of_row", [{}, {"_pk": {"S": "t#a"}}, {"_sk": {"S": "t"}}])
@pytest.mark.promise("R14")
def test_a_row_without_a_key_is_refused(key_of_row: Any) -> None:
    """As an item without one, or with half of one."""
    row_type.cache_clear()
    with pytest.raises(DataFormatError, match="it holds an item without a key"):
        answer_of_one(GET, {"Item": {"name": {"S": "x"}, **key_of_row}})
    with pytest.raises(DataFormatError, match="the item has another key"):
        answer_of_one(GET, {"Item": item("b")})


@pytest.mark.parametrize("member", ["Items", "Responses", "UnprocessedKeys", "message", "SomethingNew"])
@pytest.mark.promise("R14")
def test_members_beside_a_row_are_looked_at(member: str) -> None:
    """Those of other replies are refused, others are kept."""
    row_type.cache_clear()
    body = {"Item": item("a"), "ConsumedCapacity": CAPACITY, member: []}
    if member == "SomethingNew":
        assert answer_of_one(GET, body).body == body
    else:
        with pytest.raises(DataFormatError, match="replies to other requests"):
            answer_of_one(GET, body)


@pytest.mark.parametrize("operation", ["GetItem", "BatchGetItem", "Query"])
@pytest.mark.parametrize("value", [None, {"S": None}, {}, {"N": "1"}, {"S": "a", "N": "1"}])
@pytest.mark.promise("R15")
def test_a_bad_value_is_never_part_of_a_row(operation: str, value: Any) -> None:
    """Null is not what is absent: such a reply has items, whose bad values are told."""
    row_type.cache_clear()
    rows = row_type(schema_of(Thing))
    assert rows is not None
    found = item("a", name=value)
    bodies = {"GetItem": {"Item": found}, "BatchGetItem": {"Responses": {"t": [found]}}, "Query": page(found)}
    assert rows.parsed(orjson.dumps(bodies[operation]), operation) is None


@pytest.mark.promise("R13")
def test_a_reply_that_comes_twice_is_refused() -> None:
    """Its id was seen before; replies without one, and ids of long ago, are taken."""
    seen = SeenIds()
    for number in range(2000):
        seen.check({"x-amzn-requestid": str(number)}, "GetItem")
    for number in (1999, 1500, 1000):
        with pytest.raises(DataFormatError, match="received twice"):
            seen.check({"x-amzn-requestid": str(number)}, "GetItem")
    seen.check({"x-amzn-requestid": "999"}, "GetItem")
    seen.check({}, "GetItem")
    seen.check({}, "GetItem")


CANCELLED = {"__type": "x#TransactionCanceledException", "message": "m"}


@pytest.mark.promise("R15")
def test_an_error_reply_is_looked_at_too() -> None:
    """Members of a wrong type are left out; the item of another key means that it is another request's refusal."""
    failed = {"__type": "x#ConditionalCheckFailedException", "message": "m"}
    assert checked_refusal(PUT, {**failed, "Item": item("a")})["Item"] == item("a")
    for wrong in (None, 5, "x", [], {}):
        assert checked_refusal(PUT, {**failed, "Item": wrong}) == failed
    assert checked_refusal(PUT, {"__type": 5, "message": [], "Message": None}) == {}
    with pytest.raises(DataFormatError, match="another key"):
        checked_refusal(UPDATE, {**failed, "Item": item("b")})
    reasons = [{"Code": "None", "Message": None}, {"Code": "ConditionalCheckFailed", "Item": item("b")}]
    found = checked_refusal(TRANSACTION, {**CANCELLED, "CancellationReasons": reasons})
    assert found["CancellationReasons"][1]["Item"] == item("b")
    swapped = [{"Code": "ConditionalCheckFailed", "Item": item("b")}, {"Code": "None"}]
    for wrong in (None, "x", [], [{}], [{}, None], [{"Code": 5}, {}], swapped):
        with pytest.raises(DataFormatError):
            checked_refusal(TRANSACTION, {**CANCELLED, "CancellationReasons": wrong})


@pytest.mark.promise("R15")
def test_reasons_of_throttling_are_kept_if_they_are_texts() -> None:
    """Others say nothing, and are left out."""
    throttled = {"__type": "x#ThrottlingException", "message": "m"}
    fine = [{"reason": "TableReadKeyRangeThroughputExceeded", "resource": "arn"}, {}]
    assert checked_refusal(GET, {**throttled, "ThrottlingReasons": fine})["ThrottlingReasons"] == fine
    for wrong in (None, "x", ["x"], [{"reason": 5}], [*fine, None]):
        assert checked_refusal(GET, {**throttled, "ThrottlingReasons": wrong}) == throttled
    assert checked_refusal(GET, throttled) == throttled


@pytest.mark.promise("R15")
def test_items_of_refusals_are_believed_as_a_whole_or_not() -> None:
    """One with a value of a wrong type is left out, of a failed condition and of a transaction."""
    spoilt = item("a", name={"S": 5})
    failed = {"__type": "x#ConditionalCheckFailedException", "message": "m"}
    assert checked_refusal(PUT, {**failed, "Item": spoilt}) == failed
    for found, believed in ((item("a"), {"Item": item("a")}), (spoilt, {}), ({}, {}), ("x", {})):
        reasons = [{"Code": "ConditionalCheckFailed", "Item": found}, {"Code": None}]
        body = checked_refusal(TRANSACTION, {**CANCELLED, "CancellationReasons": reasons})
        assert body["CancellationReasons"] == [{"Code": "ConditionalCheckFailed", **believed}, {}]


def test_an_item_that_was_expected_is_the_expected_one() -> None:
    """An equal item needs no other check; a different one is checked as any other."""
    expected = {**key("a"), "name": {"S": "Ann"}}
    request = Request("UpdateItem", UPDATE.parameters, expected=expected)
    body = {"Attributes": {**key("a"), "name": {"S": "Ann"}}, "ConsumedCapacity": {}}
    assert checked(request, body, is_vouched=False)["Attributes"] is expected
    changed = {"Attributes": {**key("a"), "name": {"S": "Bea"}}, "ConsumedCapacity": {}}
    assert checked(request, dict(changed), is_vouched=False) == changed
    for damaged in ({**key("b"), "name": {"S": "Ann"}}, {**key("a"), "name": {"S": 1}}):
        with pytest.raises(DataFormatError):
            checked(request, {"Attributes": damaged, "ConsumedCapacity": {}}, is_vouched=False)
