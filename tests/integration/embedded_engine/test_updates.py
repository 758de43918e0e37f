"""Update expressions: what each clause changes, where, and what DynamoDB refuses."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.integration.embedded_engine.conftest import BASE, KEY, T, TextOfFault
from tests.support.two_engines import TwoEngines

VALUES: dict[str, Any] = {
    ":one": {"N": "1"},
    ":big": {"N": "9e125"},
    ":small": {"N": "1e-130"},
    ":s": {"S": "t"},
    ":e": {"S": ""},
    ":g": {"S": "G"},
    ":b": {"B": "YQ=="},
    ":flag": {"BOOL": True},
    ":null": {"NULL": True},
    ":l": {"L": [{"S": "new"}]},
    ":m": {"M": {}},
    ":ss": {"SS": ["b", "c"]},
    ":all": {"SS": ["a", "b"]},
    ":ns": {"NS": ["2"]},
    ":bs": {"BS": ["Yg=="]},
}
PATHS = """
SET l[1] = :s|SET l[2].q = :s|SET l[2].zz = :s|SET l[2][0] = :s|SET l[3][0] = :s|SET l[4] = :s|SET m.l[0] = :s
SET m.l[1] = :s|SET m.n.zz = :s|SET m.zz.a = :s|SET s.a = :s|SET s[0] = :s|SET zz[0] = :s|SET zz.a = :s|SET ss[0] = :s
SET m.#q = :s|SET #x = :s|REMOVE #x|REMOVE l[3][0]|REMOVE l[2].q|REMOVE m.l[0], m.q|REMOVE m.zz.a|REMOVE l[9][0]
REMOVE s.a|REMOVE l.a|REMOVE m[0]|REMOVE l[0].a|REMOVE l[9]|REMOVE zz|SET m.q = :s, m.n = :s|SET x = l[1]|SET x = l[9]
SET l[0] = l[1], l[1] = l[0]|SET x = y, y = x|SET x = m.n.a|SET zz = if_not_exists(m.zz, l[0])
"""
SUMS = """
SET x = x + y|SET x = x - y|SET x = y - :one|SET x = if_not_exists(zz, y) - :one|SET x = if_not_exists(zz, zy)
SET x = (if_not_exists(zz, :one)) + :one|SET x = (y)|SET x = (y + :one) - :one|SET x = :big + :one|SET x = :big - :small
SET x = s + :one|SET x = :one + s|SET x = :s + :one|SET x = :one - :s|SET x = zz + :one|SET x = :big + :big
SET x = y + :one + :one|SET x = if_not_exists(x, :s)|SET x = if_not_exists(l[9], :s)
"""
LISTS = """
SET x = list_append(l, l)|SET l = list_append(:l, :l)|SET l = list_append(s, :l)|SET l = list_append(:l, s)
SET l = list_append(:s, :l)|SET l = list_append(zz, :l)|SET zz = list_append(if_not_exists(zz, :l), l)
SET l = list_append(l)|SET l = list_append(l, :l, :l)
"""
ADD = """
ADD x :one|ADD ss :ss|ADD ns :ns|ADD bs :bs|ADD zz :bs|ADD zz :one|ADD m.n.a :one|ADD m.zz :ss|ADD m.zz.a :one
ADD l[1] :one|ADD l :l|ADD s :one|ADD ss :ns|ADD x :s|ADD x :m|ADD x :flag|ADD x :null|ADD x :b|ADD x :one, y :one
ADD x y|ADD x :big|ADD zz :ss|ADD l[0] :ss
"""
DELETE = """
DELETE ss :ss|DELETE ss :all|DELETE ns :ns|DELETE bs :bs|DELETE ss :ns|DELETE zz :ss|DELETE x :ss|DELETE m.zz :ss
DELETE ss :one|DELETE ss :l|DELETE l[0] :ss|DELETE ss :ss, ns :ns
"""
TOGETHER = """
SET x = :one REMOVE y ADD zz :one DELETE ss :ss|set x = :one remove y|SET x = :one SET y = :one|REMOVE x REMOVE y
SET x = :one, x.a = :one|SET x = :one REMOVE x|SET m.q = :one, m = :m|SET l[0] = :one REMOVE l|SET l[0] = :s, l[0] = :s
SET pk = :s|REMOVE sk|SET sk.a = :s|SET g = :one|SET g = :e|SET n = :s|REMOVE g|SET g = :g|SET g = g, n = n|SET zz = :e
"""
GRAMMAR = """
SET x = :zz|SET x = foo(y)|SET x = if_not_exists(y)|SET x = if_not_exists(y, :one, :one)|SET x = if_not_exists(:one, y)
SET size = :one|SET x|SET x =|SET|SET = :one|SET x = = :one|REMOVE|REMOVE :one|REMOVE x y|ADD|ADD x|ADD x =|ADD x :zz
DELETE|DELETE ss|DELETE ss :zz|FOO x|x = :one|SET x = :one,|SET x[ = :one|SET x[a] = :one|SET x[0 = :one|SET x. = :one
SET x.0 = :one|SET x = y *|SET x = (y|SET x = (y))|SET x = if_not_exists(y, :one|SET x = if_not_exists y|SET 1x = :one
SET x! = :one|SET x = 5|SET x = "a"|SET #zz = :one|SET x = #zz|SET zz-a = :one|REMOVE SET x = :one
"""
GROUPS = {
    "paths": PATHS,
    "sums": SUMS,
    "lists": LISTS,
    "ADD": ADD,
    "DELETE": DELETE,
    "several changes": TOGETHER,
    "grammar": GRAMMAR,
}


def update(expression: str, **parts: Any) -> tuple[str, dict[str, Any]]:
    values = {name: VALUES[name] for name in re.findall(r":\w+", expression) if name in VALUES}
    names = {name: name[1:] for name in ("#x", "#q") if name in expression}
    members = {"ExpressionAttributeValues": values, "ExpressionAttributeNames": names}
    return "UpdateItem", {
        **T,
        "Key": KEY,
        "UpdateExpression": expression,
        **{member: part for member, part in members.items() if part},
        **parts,
    }


@pytest.mark.parametrize("group", GROUPS)
def test_updates_are_answered_as_by_dynoxide(both: TwoEngines, group: str) -> None:
    """What an update returns, and the item that it leaves; a refused one leaves the item as it was."""
    requests: list[tuple[str, dict[str, Any]]] = []
    for number, expression in enumerate(GROUPS[group].strip().replace("\n", "|").split("|")):
        words = ("ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
        requests += [
            ("PutItem", {**T, "Item": BASE}),
            update(expression, ReturnValues=words[number % 4], ReturnConsumedCapacity="INDEXES"),
            ("GetItem", {**T, "Key": KEY}),
        ]
    assert both.differences(requests) == ""


OTHER_LISTS: dict[str, list[Any]] = {
    "SET l[9] = :s, l[1] = :one": [{"S": "a"}, {"N": "1"}, *BASE["l"]["L"][2:], {"S": "t"}],
    "SET l[9] = :s, l[7] = :one": [*BASE["l"]["L"], {"N": "1"}, {"S": "t"}],
    "SET l[3][7] = :s": [*BASE["l"]["L"][:3], {"L": [{"S": "z"}, {"S": "t"}]}],
    "ADD l[9] :one": [*BASE["l"]["L"], {"N": "1"}],
    "REMOVE l[0], l[2]": [BASE["l"]["L"][1], BASE["l"]["L"][3]],
    "SET l[0] = :s REMOVE l[1], l[3]": [{"S": "t"}, BASE["l"]["L"][2]],
}
"""Lists after updates: an index behind the end appends, and indexes are those before the update."""


@pytest.mark.parametrize(("expression", "members"), OTHER_LISTS.items())
def test_indexes_of_lists(both: TwoEngines, expression: str, members: list[Any]) -> None:
    """This is what DynamoDB Local does. dynoxide fills gaps with NULL, and renumbers the list after each removal."""
    both.ask_embedded("PutItem", {**T, "Item": BASE})
    status, answer = both.ask_embedded(*update(expression, ReturnValues="ALL_NEW"))
    assert (status, answer["Attributes"]["l"]) == (200, {"L": members})


def test_an_update_has_an_action(text_of_fault: TextOfFault) -> None:
    text = (
        '1 validation error detected: Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "<EOF>"'
    )
    assert text_of_fault(*update(" ")) == text


FUNCTIONS = {
    "SET l = LIST_APPEND(l, :l)": "Invalid function name; function: LIST_APPEND",
    "SET x = If_Not_Exists(y, :one)": "Invalid function name; function: If_Not_Exists",
    "SET x = size(l)": "The function is not allowed in an update expression; function: size",
    "SET x = x + contains(l, :s)": "The function is not allowed in an update expression; function: contains",
    "SET x = ((y))": "The expression has redundant parentheses;",
}


@pytest.mark.parametrize(("expression", "text"), FUNCTIONS.items())
def test_functions_that_no_update_has(text_of_fault: TextOfFault, expression: str, text: str) -> None:
    """Their names are in small letters; dynoxide takes others too."""
    assert (
        text_of_fault(*update(expression)) == f"1 validation error detected: Invalid UpdateExpression: {text}"
    )


def test_an_update_has_at_most_300_sums_and_functions(both: TwoEngines, text_of_fault: TextOfFault) -> None:
    """Assignments are not counted. dynoxide has no limit."""
    within, beyond = (
        update("SET " + ", ".join([f"zz{place}=x-y" for place in range(number)])) for number in (300, 301)
    )
    assert both.ask_embedded(*within)[0] == 200
    assert text_of_fault(*beyond).endswith(
        "Invalid UpdateExpression: The expression contains too many operators; operator count: 301"
    )
    both.ask_embedded("PutItem", {**T, "Item": BASE})


@pytest.mark.parametrize("size", [4096, 4097])
def test_an_expression_has_at_most_4096_bytes(both: TwoEngines, size: int) -> None:
    expression = f"REMOVE zz{' ' * (size - 9)}"
    assert len(expression) == size
    assert both.difference(*update(expression)) is None
    assert both.ask_embedded(*update(expression))[0] == (200 if size == 4096 else 400)


@pytest.mark.parametrize(("letters", "status"), [(409_576, 200), (409_577, 400), (409_600, 400)])
def test_an_updated_item_fits_into_400_kilobytes(both: TwoEngines, letters: int, status: int) -> None:
    """With the 22 bytes that DynamoDB adds for an update with one action, and without the 6 of the key."""
    new_key = {**KEY, "sk": {"S": "9"}}
    values = {":s": {"S": "x" * letters}}
    request = update("SET zz = :s", ExpressionAttributeValues=values, Key=new_key)
    assert both.difference(*request) is None
    assert both.ask_embedded(*request)[0] == status
    assert both.difference("DeleteItem", {**T, "Key": new_key}) is None


def test_return_values_are_one_of_five_words(text_of_fault: TextOfFault) -> None:
    for operation, parts in (("PutItem", {"Item": KEY}), ("DeleteItem", {"Key": KEY})):
        text = text_of_fault(operation, {**T, **parts, "ReturnValues": "UPDATED_NEW"})
        assert "ReturnValues can only be ALL_OLD or NONE" in text or "enum value set: [ALL_OLD, NONE]" in text
