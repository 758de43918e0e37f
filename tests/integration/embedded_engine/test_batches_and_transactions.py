"""Batches and transactions: what they hold, what they cost, and what DynamoDB refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.embedded_engine.conftest import TABLE, Requests, T, TextOfFault
from tests.support.two_engines import TwoEngines

NOT_NULL = "failed to satisfy constraint: Member must not be null"
INDEXES = {"ReturnConsumedCapacity": "INDEXES"}
TOTAL = {"ReturnConsumedCapacity": "TOTAL"}
SIZE = {"ReturnItemCollectionMetrics": "SIZE"}


def key(sk: str, pk: str = "batch") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def indexed(sk: str, number: str = "1", **attributes: Any) -> dict[str, Any]:
    """An item that both indexes hold."""
    return {**key(sk), "g": {"S": "G"}, "n": {"N": number}, **attributes}


def writes(*entries: Any, table: str = TABLE, **parts: Any) -> tuple[str, dict[str, Any]]:
    return "BatchWriteItem", {"RequestItems": {table: list(entries)}, **parts}


def stores(item: dict[str, Any]) -> dict[str, Any]:
    return {"PutRequest": {"Item": item}}


def deletes(sk: str) -> dict[str, Any]:
    return {"DeleteRequest": {"Key": key(sk)}}


def reads(*keys: dict[str, Any], table: str = TABLE, **parts: Any) -> tuple[str, dict[str, Any]]:
    return "BatchGetItem", {"RequestItems": {table: {"Keys": list(keys), **parts}}, **INDEXES}


BATCHES: Requests = [
    writes(*(stores(indexed(number, number)) for number in "123"), **INDEXES),
    writes(stores(indexed("1", "1")), **INDEXES),
    writes(stores(indexed("1", "9")), stores(key("2")), deletes("3"), deletes("9"), **INDEXES),
    writes(stores(indexed("1", "9", text={"S": "x" * 5000})), **TOTAL),
    writes(stores(indexed("4")), ReturnConsumedCapacity="NONE", ReturnItemCollectionMetrics="NONE"),
    reads(key("1"), key("2"), key("3"), key("9")),
    reads(key("1"), ConsistentRead=True, ProjectionExpression="n, text, zz"),
    reads(key("1"), AttributesToGet=["n"]),
    reads(key("1"), ExpressionAttributeNames={"#n": "n"}, ProjectionExpression="#n"),
    reads(key("1"), table="t!t"),
    reads(key("1"), table=""),
    reads(key("1"), table="nowhere"),
    writes(deletes("1"), table="t!t"),
    writes(deletes("1"), table="x" * 256),
    writes({"PutRequest": {"Item": {**key("1"), "x": {"NS": ["1", "1.0"]}}}}),
    writes({"DeleteRequest": {"Key": {"pk": {"S": "a"}, "sk": {"SS": []}}}}),
    writes(stores(indexed("6", g={"S": ""}))),
    writes(stores(indexed("6", g={"N": "1"}))),
    ("BatchGetItem", {"RequestItems": {TABLE: {"Keys": [key("1")]}, "nowhere": {"Keys": [key("1")]}}}),
    ("BatchWriteItem", {"RequestItems": {TABLE: [deletes("1")], "nowhere": [deletes("1")]}}),
    reads(key("1")),
]


def test_batches_are_answered_as_by_dynoxide(both: TwoEngines) -> None:
    assert both.differences(BATCHES) == ""


BATCH_FAULTS: list[tuple[tuple[str, dict[str, Any]], str]] = [
    (
        ("BatchGetItem", {"RequestItems": {TABLE: {}}}),
        f"1 validation error detected: Value null at 'requestItems.{TABLE}.member.keys' {NOT_NULL}",
    ),
    (
        writes({"PutRequest": {}}),
        f"1 validation error detected: Value null at 'requestItems.{TABLE}.member.1.member.putRequest.item' {NOT_NULL}",
    ),
    (
        writes(deletes("1"), {"DeleteRequest": {}}),
        f"1 validation error detected: Value null at 'requestItems.{TABLE}.member.2.member.deleteRequest.key' "
        f"{NOT_NULL}",
    ),
]


@pytest.mark.parametrize(("request_part", "text"), BATCH_FAULTS, ids=str)
def test_entries_of_batches_are_complete(
    text_of_fault: TextOfFault, request_part: tuple[str, Any], text: str
) -> None:
    """dynoxide names the place in the JSON."""
    assert text_of_fault(*request_part) == text


@pytest.mark.parametrize("member", ["ReturnConsumedCapacity", "ReturnItemCollectionMetrics"])
def test_words_of_batches_are_checked(text_of_fault: TextOfFault, member: str) -> None:
    """dynoxide takes any word."""
    place = (
        f"'{member[0].lower()}{member[1:]}' failed to satisfy constraint: Member must satisfy enum value set"
    )
    assert place in text_of_fault(*writes(deletes("1"), **{member: "SOME"}))


def test_the_size_of_a_collection_is_that_of_its_items(both: TwoEngines) -> None:
    """Those of the table and of the local index, once for each partition; dynoxide counts other bytes."""
    entries = [stores({**indexed(number), "pk": {"S": pk}}) for pk in ("size1", "size2") for number in "12"]
    _, answer = both.ask_embedded(*writes(*entries, **SIZE))
    collections = answer["ItemCollectionMetrics"][TABLE]
    assert [one["ItemCollectionKey"] for one in collections] == [
        {"pk": {"S": pk}} for pk in ("size1", "size2")
    ]
    bytes_of_items = 2 * 15 + 2 * 13  # the local index does not hold g
    assert collections[0]["SizeEstimateRangeGB"] == [bytes_of_items / 2**30] * 2


def test_tables_of_batches_are_named_by_their_arn_too(both: TwoEngines) -> None:
    """dynoxide takes the ARN for a name."""
    arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}"
    assert both.ask_embedded(*writes(stores(key("arn")), table=arn)) == (200, {"UnprocessedItems": {}})
    status, answer = both.ask_embedded(*reads(key("arn"), table=arn))
    assert (status, answer["Responses"]) == (200, {arn: [key("arn")]})


@pytest.fixture
def large_items(both: TwoEngines) -> Iterator[list[dict[str, Any]]]:
    """The keys of 43 items of nearly 400 KB, on the embedded engine alone."""
    keys = [key(f"{number:02}", "large") for number in range(43)]
    for one_key in keys:
        both.ask_embedded("PutItem", {**T, "Item": {**one_key, "x": {"S": "x" * 400_000}}})
    yield keys
    for one_key in keys:
        both.ask_embedded("DeleteItem", {**T, "Key": one_key})


def test_a_reply_has_at_most_16_megabytes(both: TwoEngines, large_items: list[dict[str, Any]]) -> None:
    """The other keys are left to the next request, with what was asked of them."""
    _, answer = both.ask_embedded(*reads(*large_items, ConsistentRead=True))
    assert len(answer["Responses"][TABLE]) == 41
    assert answer["UnprocessedKeys"] == {TABLE: {"Keys": large_items[41:], "ConsistentRead": True}}


def transaction(*actions: Any, **parts: Any) -> tuple[str, dict[str, Any]]:
    return "TransactWriteItems", {"TransactItems": list(actions), **parts}


def put(item: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"Put": {**T, "Item": item, **parts}}


def update(sk: str, expression: str, **parts: Any) -> dict[str, Any]:
    return {"Update": {**T, "Key": key(sk), "UpdateExpression": expression, **parts}}


def delete(sk: str, **parts: Any) -> dict[str, Any]:
    return {"Delete": {**T, "Key": key(sk), **parts}}


def check(sk: str, condition: str, **parts: Any) -> dict[str, Any]:
    return {"ConditionCheck": {**T, "Key": key(sk), "ConditionExpression": condition, **parts}}


def get(sk: str, **parts: Any) -> dict[str, Any]:
    return {"Get": {**T, "Key": key(sk), **parts}}


ONE = {"ExpressionAttributeValues": {":one": {"N": "1"}}}
ALL_OLD = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
TRANSACTIONS: Requests = [
    transaction(put(indexed("t1", "1")), put(indexed("t2", "2")), **INDEXES),
    transaction(put(indexed("t1", "5")), update("t2", "SET n = :one", **ONE), delete("t3"), **INDEXES),
    transaction(update("t1", "ADD x :one", **ONE), check("t2", "attribute_exists(pk)"), **TOTAL),
    transaction(update("t1", "SET x = x + :one", **ONE), check("t9", "attribute_exists(pk)"), **TOTAL),
    transaction(put(indexed("t1"), ConditionExpression="x = :one", **ONE, **ALL_OLD), delete("t2")),
    transaction(delete("t1", ConditionExpression="x > :one", **ONE, **ALL_OLD), delete("t2")),
    transaction(check("t1", "x > :one", **ONE, **ALL_OLD), update("t2", "REMOVE n")),
    transaction(update("t1", "SET x = zz"), update("t2", "REMOVE n")),
    transaction(update("t1", "REMOVE x", ConditionExpression="attribute_exists(zz)", **ALL_OLD)),
    transaction(put(key("t4")), delete("t4")),
    transaction(check("t1", "attribute_exists(pk)"), delete("t1")),
    transaction({}),
    transaction(put({"pk": {"S": "batch"}}), delete("t1")),
    transaction({"Delete": {**T, "Key": {**key("t1"), "x": {"S": "a"}}}}, delete("t2")),
    transaction(put({**key("t1"), "x": {"SS": []}}), delete("t2")),
    transaction(put(key("")), delete("t2")),
    transaction({"Delete": {**T, "Key": key("", "")}}),
    transaction(update("", "REMOVE x")),
    transaction(put({**indexed("t1"), "g": {"S": ""}})),
    transaction(put({**indexed("t1"), "n": {"S": "a"}}), delete("t2")),
    transaction(put({**key("t1"), "x": {"S": "x" * 409_600}})),
    *(("GetItem", {**T, "Key": key(sk)}) for sk in ("t1", "t2", "t3", "t4")),
    *(
        ("TransactGetItems", {"TransactItems": list(gets), **parts})
        for gets, parts in (
            ([get("t1"), get("t2"), get("t9")], TOTAL),
            ([get("t1"), get("t9", ProjectionExpression="x")], INDEXES),
            ([get("t1", ProjectionExpression="x", ExpressionAttributeNames={"#a": "a"})], {}),
            ([{"Get": {**T, "Key": {"pk": {"S": "a"}}}}, get("t1"), {"Get": {**T, "Key": key("")}}], {}),
            ([get("t1"), get("t1")], {}),
            ([], {}),
        )
    ),
]


def test_transactions_are_answered_as_by_dynoxide(both: TwoEngines) -> None:
    """Their reasons and costs, and what they leave."""
    assert both.differences(TRANSACTIONS) == ""


REQUIRED = {
    "Put": ("item",),
    "Update": ("key", "updateExpression"),
    "Delete": ("key",),
    "ConditionCheck": ("key", "conditionExpression"),
}


@pytest.mark.parametrize(("kind", "members"), REQUIRED.items())
def test_actions_are_complete(text_of_fault: TextOfFault, kind: str, members: tuple[str, ...]) -> None:
    """dynoxide names the place in the JSON."""
    place = f"transactItems.2.member.{kind[0].lower()}{kind[1:]}"
    text = text_of_fault(*transaction(delete("t1"), {kind: T}))
    for member in members:
        assert f"Value null at '{place}.{member}' {NOT_NULL}" in text
    assert text.startswith(f"{len(members)} validation error")


def test_a_transaction_has_at_most_4_megabytes(both: TwoEngines) -> None:
    """With the values of updates; dynoxide does not count."""
    letters = {"S": "x" * 400_000}
    puts = [put({**key(str(number), "much"), "x": letters}) for number in range(10)]
    values = {"ExpressionAttributeValues": {":x": letters}}
    status, answer = both.ask_embedded(*transaction(*puts, update("much", "SET x = :x", **values)))
    assert status == 400 and "4MB limit" in answer["message"]
    assert both.ask_embedded(*transaction(*puts))[0] == 200
    assert both.ask_embedded(*transaction(*(delete_of(put_one) for put_one in puts)))[0] == 200


def delete_of(put_action: dict[str, Any]) -> dict[str, Any]:
    item = put_action["Put"]["Item"]
    return {"Delete": {**T, "Key": {"pk": item["pk"], "sk": item["sk"]}}}


EXPRESSION_FAULTS: list[tuple[dict[str, Any], str]] = [
    (update("t8", ""), "Invalid UpdateExpression: The expression can not be empty;"),
    (update("t8", "SET x"), 'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "x <EOF>"'),
    (check("t8", ""), "Invalid ConditionExpression: The expression can not be empty;"),
    (
        check("t8", "x = x"),
        "Invalid ConditionExpression: The first operand must be distinct from the remaining",
    ),
    (
        delete("t8", ConditionExpression="((x = y))"),
        "Invalid ConditionExpression: The expression has redundant",
    ),
    (
        update("t8", "REMOVE x", **ONE),
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:one}",
    ),
    (
        put(key("t8"), ExpressionAttributeNames={"#a": "a"}),
        "ExpressionAttributeNames can only be specified when using expressions",
    ),
]


@pytest.mark.parametrize(("faulty_action", "text"), EXPRESSION_FAULTS, ids=str)
def test_a_faulty_expression_is_a_fault_of_the_request(
    both: TwoEngines, faulty_action: dict[str, Any], text: str
) -> None:
    """As for DynamoDB, which reads all expressions first; dynoxide cancels the transaction."""
    status, answer = both.ask_embedded(*transaction(put(key("t7")), faulty_action))
    assert status == 400 and answer["__type"].endswith("#ValidationException")
    assert answer["message"].startswith(text)
    assert both.ask_embedded("GetItem", {**T, "Key": key("t7")}) == (200, {})


def test_a_key_that_would_change_cancels_the_others(both: TwoEngines) -> None:
    """dynoxide changes it."""
    status, answer = both.ask_embedded(*transaction(put(key("t7")), update("t8", "SET pk = :one", **ONE)))
    text = "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key"
    reasons = [{"Code": "None"}, {"Code": "ValidationError", "Message": text}]
    assert (status, answer["CancellationReasons"]) == (400, reasons)
    assert both.ask_embedded("GetItem", {**T, "Key": key("t7")}) == (200, {})


def test_an_entry_is_one_action(text_of_fault: TextOfFault) -> None:
    text = text_of_fault("TransactGetItems", {"TransactItems": [{}]})
    assert text == "TransactItem must contain exactly one action"
    entry = {**delete("t1"), **check("t2", "attribute_exists(pk)")}
    assert text_of_fault(*transaction(entry)) == (
        "TransactItems can only contain one of Check, Put, Update or Delete"
    )
