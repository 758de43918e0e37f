"""The parameters that expressions replaced: Expected, QueryFilter, ScanFilter, KeyConditions and AttributeUpdates."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.embedded_engine.conftest import KEY, Requests, T, TextOfFault
from tests.support.two_engines import TwoEngines

OTHER_KEY = {"pk": {"S": "legacy"}, "sk": {"S": "1"}}
ONE, TWO, NINE = ({"N": number} for number in ("1", "2", "9"))
TEXT, PART, FLAG, LIST = {"S": "text"}, {"S": "ex"}, {"BOOL": True}, {"L": [{"S": "a"}]}
INVALID = "One or more parameter values were invalid: "
REVERSED = "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
ONE_TYPE = f"{INVALID}AttributeValues inside AttributeValueList must be of same type"
NO_INDEX = "Attempted conditional constraint is not an indexable operation"
NOT_EQUAL = "Query key condition not supported"
LENGTH = "Conditions can be of length 1 or 2 only"
OPERATORS = (
    "failed to satisfy constraint: Member must satisfy enum value set: [IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, "
    "NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]"
)


def of_type(operator: str, code: str) -> str:
    return f"{INVALID}ComparisonOperator {operator} is not valid for {code} AttributeValue type"


def condition(operator: str, *values: Any) -> dict[str, Any]:
    return {"ComparisonOperator": operator, "AttributeValueList": list(values)}


EQUAL = condition("EQ", {"S": "a"})
HOLD: list[tuple[str, dict[str, Any]]] = [
    ("x", condition("EQ", ONE)),
    ("ss", condition("EQ", {"SS": ["b", "a"]})),
    ("l", condition("NE", LIST)),
    ("x", condition("LE", ONE)),
    ("x", condition("LT", TWO)),
    ("y", condition("GE", TWO)),
    ("y", condition("GT", ONE)),
    ("x", condition("NOT_NULL")),
    ("zz", condition("NULL")),
    ("s", condition("BEGINS_WITH", {"S": "te"})),
    ("b", condition("BEGINS_WITH", {"B": "YQ=="})),
    ("s", condition("CONTAINS", PART)),
    ("ns", condition("CONTAINS", ONE)),
    ("l", condition("CONTAINS", {"N": "5"})),
    ("s", condition("NOT_CONTAINS", {"S": "no"})),
    ("x", condition("BETWEEN", ONE, TWO)),
    ("x", condition("IN", NINE, ONE)),
]
"""Conditions that hold for the stored item."""
FAIL: list[tuple[str, dict[str, Any]]] = [
    ("x", condition("EQ", TWO)),
    ("x", condition("NE", ONE)),
    ("zz", condition("LT", ONE)),
    ("s", condition("GT", ONE)),
    ("zz", condition("NOT_NULL")),
    ("x", condition("NULL")),
    ("s", condition("CONTAINS", {"S": "no"})),
    ("s", condition("NOT_CONTAINS", PART)),
    ("x", condition("BEGINS_WITH", {"S": "1"})),
    ("x", condition("BETWEEN", TWO, NINE)),
    ("x", condition("IN", NINE, TWO)),
]
"""Conditions that do not hold for it."""
VALUE_FAULTS: list[tuple[dict[str, Any], str]] = [
    (condition("BETWEEN", TWO, ONE), REVERSED),
    (condition("BETWEEN", {"B": "Yg=="}, {"B": "YQ=="}), REVERSED),
    (condition("BETWEEN", ONE, TEXT), ONE_TYPE),
    (condition("IN", ONE, TEXT), ONE_TYPE),
    (condition("BETWEEN", FLAG, FLAG), of_type("BETWEEN", "BOOL")),
    (condition("IN", LIST), of_type("IN", "L")),
    (condition("LT", {"SS": ["a"]}), of_type("LT", "SS")),
    (condition("BEGINS_WITH", ONE), of_type("BEGINS_WITH", "N")),
    (condition("CONTAINS", {"M": {}}), of_type("CONTAINS", "M")),
    (condition("NOT_CONTAINS", {"NS": ["1"]}), of_type("NOT_CONTAINS", "NS")),
    (condition("EQ", {"SS": []}), f"{INVALID}An string set  may not be empty"),
    (condition("NE", {"NS": ["1", "1.0"]}), "Input collection contains duplicates"),
    (condition("EQ", ONE, TWO), f"{INVALID}Invalid number of argument(s) for the EQ ComparisonOperator"),
    (condition("BETWEEN", ONE), f"{INVALID}Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
    (condition("NULL", ONE), f"{INVALID}Invalid number of argument(s) for the NULL ComparisonOperator"),
]
"""Conditions whose values no attribute could be compared with."""


def put(**parts: Any) -> tuple[str, dict[str, Any]]:
    return "PutItem", {**T, "Item": OTHER_KEY, **parts}


def update(**parts: Any) -> tuple[str, dict[str, Any]]:
    return "UpdateItem", {**T, "Key": OTHER_KEY, **parts}


def query(**conditions: Any) -> tuple[str, dict[str, Any]]:
    return "Query", {**T, "KeyConditions": conditions}


def filters(name: str, rule: dict[str, Any]) -> Requests:
    """A scan and a query with the same filter."""
    return [
        ("Scan", {**T, "ScanFilter": {name: rule}}),
        ("Query", {**T, "KeyConditions": {"pk": EQUAL}, "QueryFilter": {name: rule}}),
    ]


@pytest.mark.parametrize(("name", "rule"), [*HOLD, *FAIL], ids=str)
def test_conditions_hold_as_for_dynoxide(both: TwoEngines, name: str, rule: dict[str, Any]) -> None:
    """In filters, and before a write; DynamoDB's own list says which of them hold."""
    holds = (name, rule) in HOLD
    scan, in_query = filters(name, rule)
    write = ("UpdateItem", {**T, "Key": KEY, "Expected": {name: rule}})
    assert both.differences([scan, in_query, write]) == ""
    assert both.ask_embedded(*scan)[1]["Count"] == holds
    assert both.ask_embedded(*write)[0] == (200 if holds else 400)


@pytest.mark.parametrize(("rule", "text"), VALUE_FAULTS, ids=str)
def test_values_that_a_condition_cannot_have_are_refused(
    text_of_fault: TextOfFault, rule: dict[str, Any], text: str
) -> None:
    """In every parameter alike; dynoxide checks fewer of them."""
    for request in (*filters("x", rule), put(Expected={"x": rule}), query(pk=EQUAL, sk=rule)):
        assert text_of_fault(*request) == text


def test_an_absent_attribute_neither_contains_nor_lacks_a_value(both: TwoEngines) -> None:
    """NOT_CONTAINS fails for it; dynoxide lets it hold."""
    for operator in ("CONTAINS", "NOT_CONTAINS"):
        assert both.ask_embedded(*filters("zz", condition(operator, TEXT))[0])[1]["Count"] == 0


JOINED: Requests = [
    ("Scan", {**T, "ScanFilter": rules, **joiner})
    for rules in (
        {},
        {"x": condition("EQ", ONE), "y": condition("EQ", ONE)},
        {"x": condition("EQ", ONE), "y": condition("EQ", TWO)},
        {"x": condition("EQ", TWO), "y": condition("EQ", ONE)},
    )
    for joiner in ({}, {"ConditionalOperator": "AND"}, {"ConditionalOperator": "OR"})
]
EXPECTED: Requests = [
    put(),
    *(
        update(Expected={"x": rule})
        for rule in (
            {"Exists": False},
            {"Exists": True, "Value": ONE},
            {"Value": ONE},
            {"ComparisonOperator": "EQ", "Value": ONE},
            {"ComparisonOperator": "NULL", "Value": ONE},
            {"ComparisonOperator": "NULL"},
            {"ComparisonOperator": "BETWEEN", "Value": ONE},
            {"ComparisonOperator": "IN"},
            {"ComparisonOperator": "NOT_NULL", "AttributeValueList": []},
            {},
            {"Exists": True},
        )
    ),
    update(Expected={"x": {"Exists": False}, "pk": {"Value": {"S": "no"}}}, ConditionalOperator="OR"),
    update(Expected={"x": {"Exists": False}, "pk": {"Value": {"S": "no"}}}, ConditionalOperator="AND"),
    update(Expected={"x": {"Value": ONE}}, ReturnValuesOnConditionCheckFailure="ALL_OLD"),
    ("DeleteItem", {**T, "Key": OTHER_KEY, "Expected": {"x": {"Value": ONE}}}),
    ("DeleteItem", {**T, "Key": OTHER_KEY, "Expected": {"x": {"Exists": False}}, "ReturnValues": "ALL_OLD"}),
]
KEY_CONDITIONS: Requests = [
    query(pk=EQUAL),
    *(query(pk=EQUAL, sk=condition(word, {"S": "1"})) for word in ("EQ", "LE", "LT", "GE", "GT")),
    query(pk=EQUAL, sk=condition("BETWEEN", {"S": "0"}, {"S": "1"})),
    query(pk=EQUAL, sk=condition("BEGINS_WITH", {"S": "1"})),
    query(pk=EQUAL, zz=EQUAL),
    query(sk=EQUAL),
    query(pk={"ComparisonOperator": "EQ"}),
    ("Query", {**query(pk=EQUAL)[1], "QueryFilter": {"sk": EQUAL}}),
    ("Query", {**query(pk=EQUAL)[1], "AttributesToGet": ["x", "zz"]}),
]
UPDATES: Requests = [
    request
    for updates in (
        {},
        {"x": {"Value": NINE}},
        {"x": {"Value": NINE, "Action": "PUT"}, "s": {"Action": "DELETE"}, "zz": {"Action": "DELETE"}},
        {"x": {"Value": ONE, "Action": "ADD"}, "new": {"Value": ONE, "Action": "ADD"}},
        {"ss": {"Value": {"SS": ["b", "c"]}, "Action": "ADD"}},
        {"new": {"Value": {"SS": ["b", "c"]}, "Action": "ADD"}},
        {"ss": {"Value": {"SS": ["b", "c"]}, "Action": "DELETE"}},
        {"ss": {"Value": {"SS": ["a", "b"]}, "Action": "DELETE"}},
        {"zz": {"Value": {"SS": ["a"]}, "Action": "DELETE"}},
        {"l": {"Value": LIST, "Action": "ADD"}},
        {"s": {"Value": ONE, "Action": "ADD"}},
        {"ss": {"Value": {"NS": ["1"]}, "Action": "ADD"}},
        {"ss": {"Value": {"NS": ["1"]}, "Action": "DELETE"}},
        {"x": {"Action": "ADD"}},
        {"x": {"Action": "PUT"}},
        {"x": {"Value": TEXT, "Action": "ADD"}},
        {"x": {"Value": FLAG, "Action": "ADD"}},
        {"x": {"Value": LIST, "Action": "DELETE"}},
        {"x": {"Value": ONE, "Action": "TAKE"}},
        {"sk": {"Value": TEXT}},
        {"g": {"Value": ONE}},
        {"x": {"Value": {"SS": []}}},
    )
    for request in (
        put(Item={**OTHER_KEY, "x": ONE, "s": TEXT, "ss": {"SS": ["a", "b"]}, "l": LIST}),
        update(AttributeUpdates=updates, ReturnValues="UPDATED_NEW"),
        ("GetItem", {**T, "Key": OTHER_KEY}),
    )
]
TOGETHER: Requests = [
    update(UpdateExpression="REMOVE x", Expected={"x": {"Exists": False}}),
    update(AttributeUpdates={"x": {"Value": ONE}}, ConditionExpression="attribute_exists(x)"),
    ("Query", {**query(pk=EQUAL)[1], "KeyConditionExpression": "pk = :p"}),
    ("Query", {**query(pk=EQUAL)[1], "FilterExpression": "x = y"}),
    ("Scan", {**T, "ScanFilter": {}, "ProjectionExpression": "x"}),
    ("Scan", {**T, "ConditionalOperator": "OR", "FilterExpression": "x = y"}),
    ("GetItem", {**T, "Key": KEY, "AttributesToGet": ["x"], "ProjectionExpression": "x"}),
]
GROUPS = {
    "joined": JOINED,
    "expected": EXPECTED,
    "key conditions": KEY_CONDITIONS,
    "updates": UPDATES,
    "together with expressions": TOGETHER,
}


@pytest.mark.parametrize("group", GROUPS)
def test_legacy_parameters_are_answered_as_dynoxide_does(both: TwoEngines, group: str) -> None:
    assert both.differences(GROUPS[group]) == ""


@pytest.mark.parametrize(
    ("conditions", "text"),
    [
        ({}, LENGTH),
        ({"pk": EQUAL, "sk": EQUAL, "x": EQUAL}, LENGTH),
        ({"pk": condition("NE", TEXT)}, NO_INDEX),
        ({"pk": condition("NULL")}, NO_INDEX),
        ({"pk": EQUAL, "sk": condition("IN", TEXT)}, NO_INDEX),
        ({"pk": EQUAL, "sk": condition("CONTAINS", TEXT)}, NO_INDEX),
        ({"pk": EQUAL, "sk": condition("NOT_NULL")}, NO_INDEX),
        ({"pk": condition("GT", TEXT)}, NOT_EQUAL),
        ({"pk": condition("BEGINS_WITH", TEXT)}, NOT_EQUAL),
        (
            {"pk": EQUAL, "sk": condition("EQ", ONE)},
            f"{INVALID}Condition parameter type does not match schema type",
        ),
    ],
    ids=str,
)
def test_conditions_that_no_key_can_have_are_refused(
    text_of_fault: TextOfFault, conditions: dict[str, Any], text: str
) -> None:
    """dynoxide refuses most of them with words of its own."""
    assert text_of_fault(*query(**conditions)) == text


@pytest.mark.parametrize(
    ("request_part", "place"),
    [
        (put(Expected={"x": condition("BAD")}), "expected.x"),
        (update(Expected={"x": condition("BAD")}), "expected.x"),
        (filters("x", condition("BAD"))[0], "scanFilter.x"),
        (filters("x", condition("BAD"))[1], "queryFilter.x"),
        (query(pk=condition("BAD")), "keyConditions.pk"),
    ],
    ids=str,
)
def test_an_operator_that_does_not_exist_is_refused(
    text_of_fault: TextOfFault, request_part: tuple[str, Any], place: str
) -> None:
    """dynoxide lets it hold."""
    text = f"1 validation error detected: Value 'BAD' at '{place}.member.comparisonOperator' {OPERATORS}"
    assert text_of_fault(*request_part) == text


@pytest.mark.parametrize(
    ("request_part", "place"),
    [
        (filters("x", {})[0], "scanFilter.x"),
        (filters("x", {})[1], "queryFilter.x"),
        (query(pk={"AttributeValueList": [TEXT]}), "keyConditions.pk"),
    ],
    ids=str,
)
def test_a_filter_has_an_operator(
    text_of_fault: TextOfFault, request_part: tuple[str, Any], place: str
) -> None:
    """Only Expected can do without; dynoxide takes none for a word of its own."""
    assert text_of_fault(*request_part) == (
        f"1 validation error detected: Value null at '{place}.member.comparisonOperator' "
        "failed to satisfy constraint: Member must not be null"
    )


def test_conditions_are_joined_by_one_of_two_words(text_of_fault: TextOfFault) -> None:
    """dynoxide takes any other word for AND."""
    request = put(Expected={"x": {"Exists": False}}, ConditionalOperator="XOR")
    assert text_of_fault(*request) == (
        "1 validation error detected: Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: "
        "Member must satisfy enum value set: [OR, AND]"
    )
