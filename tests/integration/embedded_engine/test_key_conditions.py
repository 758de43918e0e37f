"""Key conditions of queries: one partition key for equality, and one condition for the sort key."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.integration.embedded_engine.conftest import T, TextOfFault
from tests.support.two_engines import TwoEngines

VALUES: dict[str, Any] = {
    ":p": {"S": "a"},
    ":k": {"S": "1"},
    ":z": {"S": "2"},
    ":one": {"N": "1"},
    ":e": {"S": ""},
    ":long": {"S": "x" * 1025},
    ":ss": {"SS": ["a"]},
    ":g": {"S": "G"},
    ":seven": {"N": "7"},
}
ALIKE = """
pk = :p|:p = pk|pk = :p AND sk = :k|pk = :p AND :k = sk|pk = :p AND :z > sk|pk = :p AND :k <= sk|pk = :p AND :z < sk
pk = :p AND :k >= sk|pk = :p AND sk < :k|pk = :p AND sk <= :k|pk = :p AND sk > :k|pk = :p AND sk >= :k
pk = :p and begins_with(sk, :k)|pk = :p AND sk BETWEEN :k AND :z
pk = :p AND (sk between :k and :z)|(pk = :p)|(pk = :p AND sk = :k)|(pk = :p) AND (sk = :k)
pk = :p AND sk BETWEEN :z AND :k|pk = :p AND sk BETWEEN :one AND :k|pk = :p AND x = :one|x = :one
sk = :k|#p = :p|pk = :zz|name = :p|((pk = :p))|pk = :p AND begins_with(sk, :k|pk = :p AND begins_with sk
pk = :p AND begins_with(sk)|pk = :p AND sk BETWEEN :k|pk = :p AND sk BETWEEN :k AND|pk = :p AND sk BETWEEN :k :z
(pk = :p AND sk = :k|pk = :p)|pk = :p AND|AND pk = :p|pk =|= :p|pk|pk = :p sk = :k|pk = :p, sk = :k|pk == :p|pk = 'a'
pk = :p AND sk IN (:k)|pk = :p AND sk <> :k|pk = :p OR sk = :k|pk = :p AND NOT sk = :k|NOT pk = :p|pk IN (:p)
pk = :p AND contains(sk, :k)|pk = :p AND attribute_exists(sk)|pk = :p AND sk = :k OR x = :one|pk OR :p
""".replace("\n", "|").split("|")
"""Conditions that dynoxide answers alike."""
TYPE = "One or more parameter values were invalid: Condition parameter type does not match schema type"
EMPTY = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty"
NOT_EQUAL = "Query key condition not supported"
NO_OPERATOR = "Invalid operator used in KeyConditionExpression: "
IN_CONDITION = "Invalid condition in KeyConditionExpression: "
FIRST = "operator must have the key attribute as its first operand"
SEVERAL = f"{IN_CONDITION}Multiple attribute names used in one condition"
FAULTS: dict[str, str] = {
    "pk = :one": TYPE,
    "pk = :ss": TYPE,
    "pk = :p AND sk = :one": TYPE,
    "pk = :p AND begins_with(sk, :one)": TYPE,
    "pk < :p": NOT_EQUAL,
    ":p <= pk": NOT_EQUAL,
    "begins_with(pk, :p)": NOT_EQUAL,
    "pk BETWEEN :p AND :p": NOT_EQUAL,
    "pk = :e": f"{EMPTY} string value. Key: pk",
    "pk = :p AND sk = :e": f"{EMPTY} string value. Key: sk",
    "pk = :p AND sk > :e": f"{EMPTY} string value. Key: sk",
    "pk = :p AND begins_with(sk, :e)": f"{EMPTY} string value. Key: sk",
    "pk = :p AND sk BETWEEN :e AND :z": f"{EMPTY} string value. Key: sk",
    "pk = :p AND sk < :long": (
        "One or more parameter values were invalid: "
        "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
    ),
    "pk = :p AND sk = :k AND x = :one": "Conditions can be of length 1 or 2 only",
    "pk = :p AND pk = :k": "KeyConditionExpressions must only contain one condition per key",
    "pk.a = :p": "KeyConditionExpressions cannot have conditions on nested attributes",
    "pk = :p AND sk[0] = :k": "KeyConditionExpressions cannot have conditions on nested attributes",
    "pk = :p OR sk = :k": f"{NO_OPERATOR}OR",
    ":p OR pk": f"{NO_OPERATOR}OR",
    "NOT pk = :p": f"{NO_OPERATOR}NOT",
    "pk IN (:p)": f"{NO_OPERATOR}IN",
    ":p IN (pk)": f"{NO_OPERATOR}IN",
    "pk = :p AND sk <> :k": f"{NO_OPERATOR}<>",
    "pk = :p AND :k <> sk": f"{NO_OPERATOR}<>",
    "pk = :p AND contains(sk, :k)": f"{NO_OPERATOR}contains",
    "pk = :p AND attribute_type(sk, :k)": f"{NO_OPERATOR}attribute_type",
    "pk = :p AND size(sk) = :one": "KeyConditionExpressions cannot contain nested operations",
    "pk = :p AND BEGINS_WITH(sk, :k)": "Invalid KeyConditionExpression: Invalid function name; function: BEGINS_WITH",
    "pk = :p AND begin(sk, :k)": "Invalid KeyConditionExpression: Invalid function name; function: begin",
    "pk = :p AND begins_with(:k, sk)": f"{IN_CONDITION}begins_with {FIRST}",
    "pk = :p AND :k BETWEEN sk AND :z": f"{IN_CONDITION}BETWEEN {FIRST}",
    "pk = sk": SEVERAL,
    "pk = :p AND sk BETWEEN :k AND x": SEVERAL,
    "pk = :p AND begins_with(sk, x)": SEVERAL,
    ":p = :k": f"{IN_CONDITION}No key attribute specified",
    "pk = :p AND sk BETWEEN :z AND :k": (
        "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to "
        "lower bound; lower bound operand: AttributeValue: {S:2}, upper bound operand: AttributeValue: {S:1}"
    ),
    ":p": 'Invalid KeyConditionExpression: Syntax error; token: "<EOF>", near: ":p <EOF>"',
    "pk = :p AND sk + :k": 'Invalid KeyConditionExpression: Syntax error; token: "+", near: "+ :k"',
}
"""Conditions that DynamoDB refuses with these words. dynoxide has words of its own, or finds nothing."""


def query(expression: str, **parts: Any) -> tuple[str, dict[str, Any]]:
    values = {name: VALUES[name] for name in re.findall(r":\w+", expression) if name in VALUES}
    members = {"ExpressionAttributeValues": values} if values else {}
    return "Query", {**T, "KeyConditionExpression": expression, **members, **parts}


def test_key_conditions_are_answered_as_by_dynoxide(both: TwoEngines) -> None:
    assert both.differences(query(text) for text in ALIKE if text) == ""


@pytest.mark.parametrize(("expression", "text"), FAULTS.items())
def test_conditions_that_no_key_can_have(text_of_fault: TextOfFault, expression: str, text: str) -> None:
    assert text_of_fault(*query(expression)) == text


def test_operands_may_be_in_parentheses(both: TwoEngines) -> None:
    plain = query("pk = :p AND begins_with(sk, :k)")
    assert both.ask_embedded(*plain)[1]["Count"] == 1
    for text in ("(pk) = (:p) AND begins_with((sk), (:k))", "((pk) = :p) AND (begins_with(sk, (:k)))"):
        assert both.ask_embedded(*query(text)) == both.ask_embedded(*plain)


OF_GLOBAL = {"IndexName": "gsi"}
OF_INDEXES = [
    query("g = :g", **OF_GLOBAL),
    query("g = :g AND n = :seven", **OF_GLOBAL),
    query("g = :g AND n > :seven", **OF_GLOBAL),
    query("pk = :p AND n = :seven", IndexName="lsi"),
    query("pk = :p AND sk = :k", IndexName="lsi"),
    query("pk = :p", **OF_GLOBAL),
    query("g = :g", ExclusiveStartKey={"pk": {"S": "a"}}, **OF_GLOBAL),
    query("g = :g", IndexName="nope"),
]


def test_keys_of_indexes_too(both: TwoEngines) -> None:
    assert both.differences(OF_INDEXES) == ""


def test_a_number_begins_with_nothing(text_of_fault: TextOfFault) -> None:
    """dynoxide compares its digits."""
    request = query("g = :g AND begins_with(n, :seven)", **OF_GLOBAL)
    assert text_of_fault(*request) == (
        "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
        "operator or function: begins_with, operand type: N"
    )


def test_a_key_condition_is_needed(text_of_fault: TextOfFault) -> None:
    text = "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    assert text_of_fault("Query", T) == text
    assert text_of_fault(*query("")) == "Invalid KeyConditionExpression: The expression can not be empty;"


HASH_TABLE = {
    "TableName": "hash_only",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}


def test_a_table_without_a_sort_key_has_one_condition(both: TwoEngines) -> None:
    """dynoxide gives another fault for two."""
    both.ask("CreateTable", HASH_TABLE)
    one, two = (query(text, TableName="hash_only") for text in ("pk = :p", "pk = :p AND sk = :k"))
    assert both.difference(*one) is None
    assert both.ask_embedded(*two)[1]["message"] == NOT_EQUAL
    both.ask("DeleteTable", {"TableName": "hash_only"})


# --- where a query goes on ----------------------------------------------------------------------------------


def start(sk: str = "1", pk: str = "a", **more: dict[str, str]) -> dict[str, Any]:
    return {"ExclusiveStartKey": {"pk": {"S": pk}, "sk": {"S": sk}, **more}}


OTHER_QUERY = "The provided starting key is outside query boundaries based on provided conditions"
OTHER_RANGE = "The provided starting key does not match the range key predicate"
NO_RESTART = "The query can return at most one row and cannot be restarted"
OTHER_STARTS: list[tuple[tuple[str, dict[str, Any]], str]] = [
    (query("pk = :p", **start(pk="b")), OTHER_QUERY),
    (query("pk = :p", IndexName="lsi", **start(pk="b", n={"N": "7"})), OTHER_QUERY),
    (query("g = :g", **OF_GLOBAL, **start(g={"S": "H"}, n={"N": "7"})), OTHER_QUERY),
    (query("pk = :p AND sk > :k", **start("1")), OTHER_RANGE),
    (query("pk = :p AND sk BETWEEN :k AND :z", **start("3")), OTHER_RANGE),
    (query("pk = :p AND begins_with(sk, :k)", ScanIndexForward=False, **start("2")), OTHER_RANGE),
    (query("pk = :p AND n > :seven", IndexName="lsi", **start(n={"N": "7"})), OTHER_RANGE),
    (query("g = :g AND n > :seven", **OF_GLOBAL, **start(g={"S": "H"}, n={"N": "7"})), OTHER_RANGE),
    (query("pk = :p AND sk < :z", **start("1", pk="b")), NO_RESTART),
]


@pytest.mark.parametrize(("request_part", "text"), OTHER_STARTS, ids=str)
def test_a_query_goes_on_where_one_like_it_ended(
    text_of_fault: TextOfFault, request_part: tuple[str, Any], text: str
) -> None:
    """dynoxide goes on anywhere."""
    assert text_of_fault(*request_part) == text


IN_RANGE = [
    query("pk = :p", **start("0")),
    query("pk = :p AND sk >= :k", **start("1"), ScanIndexForward=False),
    query("pk = :p AND sk BETWEEN :k AND :z", **start("1")),
    query("g = :g", **OF_GLOBAL, **start(pk="b", g={"S": "G"}, n={"N": "6"})),
]


def test_there_need_be_no_item_where_a_query_goes_on(both: TwoEngines) -> None:
    assert both.differences(IN_RANGE) == ""


def test_a_scan_goes_on_in_its_segment(both: TwoEngines, text_of_fault: TextOfFault) -> None:
    """dynoxide goes on anywhere."""
    scans = [("Scan", {**T, "TotalSegments": 4, "Segment": number, **start()}) for number in range(4)]
    own, *others = sorted(scans, key=lambda scan: both.ask_embedded(*scan)[0])
    assert both.ask_embedded(*own) == (200, {"Items": [], "Count": 0, "ScannedCount": 0})
    for scan in others:
        assert text_of_fault(*scan) == (
            "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with "
            f"correct Segment. TotalSegments: 4 Segment: {scan[1]['Segment']}"
        )
