"""Updates as values, and their rendering."""

from __future__ import annotations

import re
from typing import Any

from dynamo_bao.dynamodb.expressions.renderer import Placeholders
from dynamo_bao.dynamodb.expressions.updates import Update


def rendered(update: Update) -> tuple[str, dict[str, Any]]:
    placeholders, request = Placeholders(), dict[str, Any]()
    text = update.render(placeholders)
    placeholders.into(request)
    return text, request


def test_every_kind_of_change_has_its_clause() -> None:
    """SET, ADD, DELETE and REMOVE, each once, with placeholders for all names and values."""
    update = Update(
        set_={"a": {"S": "x"}, "b": {"N": "1"}},
        remove={"c": None, "d": None},
        add={"e": {"N": "5"}, "f": {"SS": ["y"]}},
        delete={"g": {"SS": ["z"]}},
    )
    text, request = rendered(update)
    assert text == "SET #n0 = :v0, #n1 = :v1 ADD #n2 :v2, #n3 :v3 DELETE #n4 :v4 REMOVE #n5, #n6"
    assert request == {
        "ExpressionAttributeNames": dict(zip([f"#n{n}" for n in range(7)], "abefgcd", strict=True)),
        "ExpressionAttributeValues": {
            ":v0": {"S": "x"},
            ":v1": {"N": "1"},
            ":v2": {"N": "5"},
            ":v3": {"SS": ["y"]},
            ":v4": {"SS": ["z"]},
        },
    }


def test_a_clause_without_changes_is_left_out() -> None:
    """Only what changes is in the text."""
    assert rendered(Update(remove={"a": None})) == ("REMOVE #n0", {"ExpressionAttributeNames": {"#n0": "a"}})
    assert rendered(Update(add={"a": {"N": "1"}}))[0] == "ADD #n0 :v0"
    assert rendered(Update(delete={"a": {"SS": ["x"]}}))[0] == "DELETE #n0 :v0"
    assert rendered(Update()) == ("", {})


def test_put_sets_or_removes() -> None:
    """A value is set, None removes."""
    update = Update()
    assert update.is_empty()
    update.put("a", {"S": "x"})
    update.put("b", None)
    assert not update.is_empty()
    assert rendered(update)[0] == "SET #n0 = :v0 REMOVE #n1"


def test_each_kind_of_change_makes_an_update_that_is_not_empty() -> None:
    """An update with any change has something to do."""
    for update in (
        Update(set_={"a": {"S": ""}}),
        Update(remove={"a": None}),
        Update(add={"a": {"N": "0"}}),
        Update(delete={"a": {"SS": ["x"]}}),
    ):
        assert not update.is_empty()


def test_updates_do_not_share_their_changes() -> None:
    """Two updates made empty stay apart."""
    one, other = Update(), Update()
    one.put("a", {"S": "x"})
    assert other.is_empty()


def test_rendering_is_repeatable_and_hostile_names_stay_out_of_the_text() -> None:
    """The same update gives the same text, made of nothing but keywords and placeholders."""
    hostile = "x = :v9 REMOVE #y, size(a)"
    update = Update(set_={hostile: {"S": hostile}}, remove={f"{hostile}2": None})
    assert rendered(update) == rendered(update)
    assert re.fullmatch(r"SET #n0 = :v0 REMOVE #n1", rendered(update)[0])


def test_names_are_shared_with_the_condition_of_the_same_request() -> None:
    """One set of placeholders serves a whole request."""
    placeholders = Placeholders()
    assert placeholders.name("a") == "#n0"
    assert Update(set_={"a": {"S": "x"}, "b": {"S": "y"}}).render(placeholders) == "SET #n0 = :v0, #n1 = :v1"
