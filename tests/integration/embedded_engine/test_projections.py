"""Projection expressions: the part of an item that an answer has."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.integration.embedded_engine.conftest import BASE, KEY, T, TextOfFault
from tests.support.two_engines import TwoEngines

NAMES = {"#x": "x", "#m": "m", "#q": "q", "#size": "size"}
KEPT = """
pk,x,l,m|l[0]|l[1], l[0]|l[2].q|l[3][0]|l[3]|l[9]|l[0][0]|l[0].a|m.q|m.n.a|m.n, m.q|m.n.a, m.q|m.l[0]
m.l[0], l[2].q|m.zz|m.zz.a|zz|zz.a|zz[0]|x.a|x[0]|ss[0]|m[0]|l.a|#x|#m.q|m.#q|#m.#q|#size|  x  ,  y  |x,y|l[00]
l[9].a, l[2].q|l[2].zz|l[3][9]|m.n.zz, m.q
"""
REFUSED = """
x, x|m, m.q|l[0], l[0].a|l[0], l|#x, x|m.#q, m.q|#zz|x,|,x|x y|x.|.x|x[|x[]|x[a]|x[-1]|x[0|x[1.5]|x!|size|name|x, name
m.name|x;|[0]|:v|a-b|x AND y|x, (y)|m.q, m.n.a, m.q|NOT x|5|x, #
"""


def requests_with(expression: str) -> list[tuple[str, dict[str, Any]]]:
    """All reads that can have a projection."""
    names = {name: NAMES[name] for name in re.findall(r"#\w+", expression) if name in NAMES}
    parts = {"ProjectionExpression": expression, **({"ExpressionAttributeNames": names} if names else {})}
    key_condition = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": KEY["pk"]}}
    return [
        ("GetItem", {**T, "Key": KEY, **parts}),
        ("Query", {**T, **key_condition, **parts}),
        ("Query", {**T, **key_condition, "IndexName": "lsi", **parts}),
        ("Scan", {**T, **parts}),
        ("BatchGetItem", {"RequestItems": {"requests": {"Keys": [KEY], **parts}}}),
    ]


@pytest.mark.parametrize("expression", [*KEPT.strip().replace("\n", "|").split("|")])
def test_the_parts_of_an_item(both: TwoEngines, expression: str) -> None:
    """By all reads alike; those of dynoxide are the same."""
    requests = requests_with(expression)
    assert both.differences(requests) == ""
    assert {both.ask_embedded(*request)[0] for request in requests} == {200}


@pytest.mark.parametrize("expression", [*REFUSED.strip().replace("\n", "|").split("|")])
def test_what_is_no_projection(both: TwoEngines, expression: str) -> None:
    requests = requests_with(expression)
    assert both.differences(requests) == ""
    assert {both.ask_embedded(*request)[0] for request in requests} == {400}


LIMITS = {
    f"zz{'.zz' * 31}": None,
    f"zz{'.zz' * 31}[0]": "The document path has too many nesting levels; nesting levels: 33",
    "l[2147483647]": None,
    "l[2147483648]": "List index is not within the allowable range; index: [2147483648]",
}
"""Paths, each with its fault."""


@pytest.mark.parametrize(("expression", "text"), LIMITS.items())
def test_a_path_has_limits(both: TwoEngines, expression: str, text: str | None) -> None:
    """dynoxide has none."""
    for operation, request in requests_with(expression):
        status, answer = both.ask_embedded(operation, request)
        expected = None if text is None else f"Invalid ProjectionExpression: {text}"
        assert (status, answer.get("message")) == (200 if text is None else 400, expected)


TRANSACTED: dict[str, dict[str, Any]] = {
    "x": {**KEY, "x": {"N": "1"}},
    "l[1], m.q": {**KEY, "l": {"L": [{"N": "5"}]}, "m": {"M": {"q": {"S": "z"}}}},
    "pk": KEY,
    "zz": {},
}


@pytest.mark.parametrize(("expression", "item"), TRANSACTED.items())
def test_a_transaction_adds_the_keys(both: TwoEngines, expression: str, item: dict[str, Any]) -> None:
    """If there is anything to add them to."""
    get = {"Get": {**T, "Key": KEY, "ProjectionExpression": expression}}
    request = ("TransactGetItems", {"TransactItems": [get]})
    assert both.difference(*request) is None
    assert both.ask_embedded(*request)[1]["Responses"] == [{"Item": item} if item else {}]


def test_names_without_a_projection_are_refused(both: TwoEngines) -> None:
    """So are unused names, names without #, and an empty map of names."""
    get: dict[str, Any] = {**T, "Key": KEY}
    requests = [
        {**get, "ExpressionAttributeNames": {"#x": "x"}},
        {**get, "ProjectionExpression": "x", "ExpressionAttributeNames": {"#x": "x"}},
        {**get, "ProjectionExpression": "#x", "ExpressionAttributeNames": {"#x": "x", "#y": "y", "#a": "a"}},
        *(
            {**get, "ProjectionExpression": "#x", "ExpressionAttributeNames": names}
            for names in ({}, {"x": "x"})
        ),
        {**get, "ProjectionExpression": ""},
        {**get, "ProjectionExpression": "x", "AttributesToGet": ["x"]},
        {**get, "AttributesToGet": ["x", "m", "zz"]},
        {**get, "AttributesToGet": ["x", "x"]},
        {**get, "AttributesToGet": []},
    ]
    assert both.differences(("GetItem", request) for request in requests) == ""


@pytest.mark.parametrize(("member", "placeholder"), [("Names", "#"), ("Values", ":"), ("Values", "v")])
def test_a_placeholder_has_a_sign_and_letters(
    text_of_fault: TextOfFault, member: str, placeholder: str
) -> None:
    """dynoxide lets one without letters pass."""
    parts = {f"ExpressionAttribute{member}": {placeholder: "x" if member == "Names" else {"S": "x"}}}
    assert text_of_fault("Scan", {**T, "FilterExpression": "x = y", **parts}).endswith(
        f'ExpressionAttribute{member} contains invalid key: Syntax error; key: "{placeholder}"'
    )


def test_an_index_keeps_what_it_projects(both: TwoEngines) -> None:
    """Keys of both, and the named attributes of the local index; a whole item comes from the table."""
    key_condition = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": KEY["pk"]}}
    local = {**T, **key_condition, "IndexName": "lsi"}
    keys = ("pk", "sk", "n")
    assert both.ask_embedded("Query", local)[1]["Items"] == [{name: BASE[name] for name in (*keys, "x")}]
    assert both.ask_embedded("Query", {**local, "Select": "ALL_ATTRIBUTES"})[1]["Items"] == [BASE]
    whole = both.ask_embedded("Scan", {**T, "IndexName": "gsi"})[1]["Items"]
    assert whole == [{name: BASE[name] for name in (*keys, "g")}]


def test_nested_keys_are_refused_in_filters(text_of_fault: TextOfFault) -> None:
    """A key is no map; also a key of an index that is read."""
    for name, kind in (("sk", "Key"), ("n", "IndexKey")):
        request = {**T, "IndexName": "lsi", "FilterExpression": f"{name}.a = {name}.b"}
        assert text_of_fault("Scan", request) == (
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
            f"{kind}: {name}"
        )
