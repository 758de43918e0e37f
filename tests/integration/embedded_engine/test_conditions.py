"""Conditions and filters that DynamoDB refuses before it looks at an item, where dynoxide compares in vain.

The texts are DynamoDB's. DynamoDB Local, which is Amazon's own, refuses the same requests.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.integration.embedded_engine.conftest import KEY, T, TextOfFault
from tests.support.two_engines import TwoEngines

VALUES: dict[str, Any] = {
    ":one": {"N": "1"},
    ":two": {"N": "2"},
    ":s": {"S": "a"},
    ":t": {"S": "b"},
    ":b": {"B": "YQ=="},
    ":c": {"B": "Yg=="},
    ":flag": {"BOOL": True},
    ":null": {"NULL": True},
    ":ss": {"SS": ["a"]},
    ":l": {"L": []},
    ":m": {"M": {}},
    ":type": {"S": "N"},
}
BOUNDS = "; lower bound operand: AttributeValue: {{{}}}, upper bound operand: AttributeValue: {{{}}}"
ORDER = "The BETWEEN operator requires upper bound to be greater than or equal to lower bound" + BOUNDS
ONE_TYPE = "The BETWEEN operator requires same data type for lower and upper bounds" + BOUNDS
TYPE = "Incorrect operand type for operator or function; operator or function: {}, operand type: {}"
SAME = (
    "The first operand must be distinct from the remaining operands for this operator or function; "
    "operator: {}, first operand: {}"
)
NAMES = "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
FAULTS: dict[str, str] = {
    "x BETWEEN :two AND :one": ORDER.format("N:2", "N:1"),
    "s BETWEEN :t AND :s": ORDER.format("S:b", "S:a"),
    "b BETWEEN :c AND :b": ORDER.format("B:Yg==", "B:YQ=="),
    "x BETWEEN :one AND :s": ONE_TYPE.format("N:1", "S:a"),
    "x BETWEEN :flag AND y": TYPE.format("BETWEEN", "BOOL"),
    "x BETWEEN y AND :null": TYPE.format("BETWEEN", "NULL"),
    ":ss BETWEEN x AND y": TYPE.format("BETWEEN", "SS"),
    "x < :flag": TYPE.format("<", "BOOL"),
    ":l <= x": TYPE.format("<=", "L"),
    "x > :ss": TYPE.format(">", "SS"),
    "size(x) >= :m": TYPE.format(">=", "M"),
    "NOT (x = y OR x < :null)": TYPE.format("<", "NULL"),
    "begins_with(s, :one)": TYPE.format("begins_with", "N"),
    "begins_with(:flag, s)": TYPE.format("begins_with", "BOOL"),
    "begins_with(s, size(x))": TYPE.format("begins_with", "N"),
    "attribute_type(x, :one)": TYPE.format("attribute_type", "N"),
    "attribute_type(x, size(y))": TYPE.format("attribute_type", "N"),
    "attribute_type(x, y)": TYPE.format("attribute_type", NAMES),
    "attribute_type(x, :s)": f"Invalid attribute type name found; type: a, valid types: {NAMES}",
    "x = x": SAME.format("=", "[x]"),
    "#x <> x": SAME.format("<>", "[x]"),
    "l[0] < l[0]": SAME.format("<", "[l, [0]]"),
    "m.n.a IN (y, m.n.a)": SAME.format("IN", "[m, n, a]"),
    "x BETWEEN x AND y": SAME.format("BETWEEN", "[x]"),
    "contains(ss, ss)": SAME.format("contains", "[ss]"),
    "begins_with(s, s)": SAME.format("begins_with", "[s]"),
    "attribute_type(x, x)": SAME.format("attribute_type", "[x]"),
}
NO_FUNCTION = "Invalid function name; function: {}"
OTHERWISE = "The function is not allowed to be used this way in an expression; function: {}"
FAULTS |= {
    "ATTRIBUTE_EXISTS(x)": NO_FUNCTION.format("ATTRIBUTE_EXISTS"),
    "Size(x) < :one": NO_FUNCTION.format("Size"),
    "x = Size(y)": NO_FUNCTION.format("Size"),
    "x = contains(l, :s)": OTHERWISE.format("contains"),
    "contains(contains(l, x), :s)": OTHERWISE.format("contains"),
    "if_not_exists(x, :one) = :one": (
        "The function is not allowed in a condition expression; function: if_not_exists"
    ),
    "attribute_exists(:s)": (
        "Operator or function requires a document path; operator or function: attribute_exists"
    ),
    "size(:one) = :one": TYPE.format("size", "N"),
    "size(size(x)) = :one": TYPE.format("size", "N"),
    "((x)) = :one": "The expression has redundant parentheses;",
    "((x = :one))": "The expression has redundant parentheses;",
}
ALLOWED = """
size(x) = size(x)|size(l) = l|x BETWEEN y AND y|:s = :s|:one IN (:one)|begins_with(:s, :s)
:one BETWEEN :one AND :two|x BETWEEN :one AND :one|b BETWEEN :b AND :c|attribute_type(x, :type)|x = :flag|x <> :ss
x IN (:flag, :one)|contains(:flag, x)|l < :one|:one < l|zz < :one|zz BETWEEN :one AND :two|flag > x|ss <= ns|x < y
contains(bs, :b)|contains(ns, :one)|contains(l, :s)|contains(x, :one)|contains(m, :s)|contains(s, :s)|size(bs) = :two
size(flag) = :one|size(b) = :two|begins_with(b, :b)|begins_with(x, :s)|attribute_type(zz, :type)|ss = ss2|ns <> :one
""".replace("\n", "|").split("|")
"""Conditions with unusual operands, which hold or do not hold, but are no faults."""


def with_condition(member: str, expression: str) -> dict[str, Any]:
    """A request with an expression, and with the names and values that it uses."""
    values = {name: VALUES[name] for name in re.findall(r":\w+", expression)}
    names = {"#x": "x"} if "#x" in expression else {}
    members = {"ExpressionAttributeValues": values, "ExpressionAttributeNames": names}
    return {**T, member: expression, **{name: part for name, part in members.items() if part}}


@pytest.mark.parametrize(("expression", "text"), FAULTS.items())
def test_a_condition_that_can_never_hold_is_refused(
    text_of_fault: TextOfFault, expression: str, text: str
) -> None:
    """As a filter of a scan and of a query, and as the condition of a write, whether an item is there or not."""
    scan = with_condition("FilterExpression", expression)
    assert text_of_fault("Scan", scan) == f"Invalid FilterExpression: {text}"
    values = {**scan.get("ExpressionAttributeValues", {}), ":s": {"S": "a"}}
    query = {**scan, "KeyConditionExpression": "pk = :s", "ExpressionAttributeValues": values}
    assert text_of_fault("Query", query) == f"Invalid FilterExpression: {text}"
    for sk in ("1", "none"):
        write = with_condition("ConditionExpression", expression) | {"Key": {**KEY, "sk": {"S": sk}}}
        assert text_of_fault("DeleteItem", write) == f"Invalid ConditionExpression: {text}"


def test_unusual_operands_are_compared_as_dynoxide_does(both: TwoEngines) -> None:
    scans = [("Scan", with_condition("FilterExpression", text)) for text in ALLOWED if text]
    assert both.differences(scans) == ""


def test_a_value_may_be_compared_with_itself(both: TwoEngines) -> None:
    """Only a path may not be; dynoxide refuses both."""
    status, answer = both.ask_embedded("Scan", with_condition("FilterExpression", "contains(:s, :s)"))
    assert (status, answer["Count"]) == (200, 1)


IN_PARENTHESES = {
    "(x) = :one": "x = :one",
    "x = (:one)": "x = :one",
    "NOT (x) < (y)": "NOT x < y",
    "((size(l)) > (x)) AND ((y) = :two)": "size(l) > x AND y = :two",
    "size((l)) > :one": "size(l) > :one",
    "(m.n.a) BETWEEN (:one) AND (y)": "m.n.a BETWEEN :one AND y",
    "(x) IN ((:one), (:two))": "x IN (:one, :two)",
    "attribute_exists((x))": "attribute_exists(x)",
    "contains((ss), (:s))": "contains(ss, :s)",
    "l[ 1 ] > :one": "l[1] > :one",
    "size(:s) = x": "x = :one",
}
"""Conditions, each with one that means the same."""


@pytest.mark.parametrize(("expression", "plain_expression"), IN_PARENTHESES.items())
def test_operands_may_be_in_parentheses(both: TwoEngines, expression: str, plain_expression: str) -> None:
    """DynamoDB Local takes them, and so do mappers that send them to DynamoDB; dynoxide refuses some."""
    answers = [
        both.ask_embedded("Scan", with_condition("FilterExpression", text))
        for text in (expression, plain_expression, f"NOT ({expression})")
    ]
    assert answers[0] == answers[1]
    assert [status for status, _ in answers] == [200] * 3
    assert sorted(answer["Count"] for _, answer in answers[1:]) == [0, 1]


def test_very_many_parentheses_are_no_condition(text_of_fault: TextOfFault) -> None:
    """They do not fit on Python's stack."""
    text = text_of_fault("Scan", with_condition("FilterExpression", "(" * 4000))
    assert text == "Invalid FilterExpression: The expression has too many parentheses inside others;"


OPERATORS = {
    "x = :one": (150, 151),
    "NOT attribute_exists(x)": (100, 101),
    "size(x) < :one": (100, 101),
    "b BETWEEN :b AND :c": (150, 151),
    "x IN (:one)": (150, 151),
}
"""Conditions, each with how many of them an expression joins within the limit, and beyond it."""


@pytest.mark.parametrize(("condition", "numbers"), OPERATORS.items())
def test_an_expression_has_at_most_300_operators_and_functions(
    both: TwoEngines, text_of_fault: TextOfFault, condition: str, numbers: tuple[int, int]
) -> None:
    """DynamoDB counts no further; dynoxide has no limit."""
    within, beyond = (
        with_condition("FilterExpression", " AND ".join([condition] * number)) for number in numbers
    )
    assert both.ask_embedded("Scan", within)[0] == 200
    assert text_of_fault("Scan", beyond) == (
        "Invalid FilterExpression: The expression contains too many operators; operator count: 301"
    )


def test_in_has_at_most_100_values(both: TwoEngines, text_of_fault: TextOfFault) -> None:
    """dynoxide has no limit."""
    within, beyond = (
        with_condition("FilterExpression", f"x IN ({', '.join([':one'] * number)})") for number in (100, 101)
    )
    assert both.ask_embedded("Scan", within)[0] == 200
    assert text_of_fault("Scan", beyond) == (
        "Invalid FilterExpression: The IN operator is provided with too many operands; number of operands: 101"
    )
