"""Updates as values, and their rendering."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dynamo_bao import AddMembers, Append, DropMembers, IfMissing, Increment, Prepend, QueryError, Remove
from dynamo_bao.dynamodb.document_diff import Edit
from dynamo_bao.dynamodb.expressions.paths import Attribute
from dynamo_bao.dynamodb.expressions.renderer import Placeholders
from dynamo_bao.dynamodb.expressions.updates import PartChange, Update


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


# --- changes at paths -----------------------------------------------------------------------------

LISTED, NUMBER, TEXT = {"L": [{"N": "2"}]}, {"N": "5"}, {"S": "x"}
LOADED = {"L": [{"N": "1"}]}


def change(
    action: str, value: Any = None, before: Any = None, steps: tuple[Any, ...] = ("b", 0)
) -> PartChange:
    """A change of a part of the attribute ``a``."""
    return PartChange(Attribute("a", steps), Edit(steps, action, value, before=before))


AT = "#n0.#n1[0]"
EVERY_ACTION: dict[str, tuple[PartChange, str, bool]] = {
    "set": (change("set", TEXT), f"SET {AT} = :v0", True),
    "remove": (change("remove"), f"REMOVE {AT}", True),
    "if missing": (change("if_missing", TEXT), f"SET {AT} = if_not_exists({AT}, :v0)", True),
    "increment": (change("increment", NUMBER), f"SET {AT} = if_not_exists({AT}, :v0) + :v1", False),
    "append": (change("append", LISTED), f"SET {AT} = list_append(if_not_exists({AT}, :v0), :v1)", False),
    "prepend": (change("prepend", LISTED), f"SET {AT} = list_append(:v1, if_not_exists({AT}, :v0))", False),
    "append of a save": (
        change("append", LISTED, LOADED),
        f"SET {AT} = list_append(if_not_exists({AT}, :v0), :v1)",
        True,
    ),
}
"""Each action at a path, its text, and whether applying it twice is applying it once."""


@pytest.mark.parametrize("action", EVERY_ACTION)
def test_every_change_at_a_path(action: str) -> None:
    """Its clause, with placeholders for names and values; positions are in the text."""
    part, text, is_idempotent = EVERY_ACTION[action]
    found, request = rendered(Update(parts=[part]))
    assert found == text
    assert request["ExpressionAttributeNames"] == {"#n0": "a", "#n1": "b"}
    values = list(request.get("ExpressionAttributeValues", {}).values())
    missing = {"increment": {"N": "0"}, "append": {"L": []}, "prepend": {"L": []}}.get(part.edit.action)
    assert values == [one for one in (missing, part.edit.value) if one is not None]
    assert part.is_idempotent == is_idempotent
    assert part.removes == (action == "remove")
    assert not Update(parts=[part]).is_empty()


def test_changes_at_paths_stand_beside_those_of_attributes() -> None:
    """Each in its clause, in the order they were made."""
    update = Update(set_={"s": TEXT}, remove={"r": None}, parts=[change("remove"), change("set", TEXT)])
    assert rendered(update)[0] == "SET #n0 = :v0, #n1.#n2[0] = :v1 REMOVE #n3, #n1.#n2[0]"


def item(part: Any) -> dict[str, Any]:
    """An item with a value at the path."""
    return {"a": {"M": {"b": {"L": [part]}}}}


@pytest.mark.parametrize(
    ("part", "there", "not_there"),
    [
        (change("set", TEXT), [item(TEXT)], [item(NUMBER), {}, {"a": TEXT}]),
        (change("set", {"N": "1.0"}), [item({"N": "1"})], [item({"N": "2"})]),
        (change("remove"), [{}, {"a": {"M": {}}}], [item(TEXT)]),
        (
            change("if_missing", TEXT),
            [item(TEXT), item(NUMBER)],
            [{}, {"a": {"M": {}}}, item({"NULL": True})],
        ),
        (change("increment", NUMBER), [{}, item(NUMBER)], []),
        (change("append", LISTED), [{}, item(LISTED)], []),
        (
            change("append", LISTED, LOADED),
            [item({"L": [{"N": "1"}, {"N": "2"}]}), item({"L": [{"N": "1"}, {"N": "2"}, TEXT]})],
            [item(LOADED), item(LISTED), {}, item({"L": [{"N": "1"}, TEXT]})],
        ),
    ],
    ids=["set", "set a number", "remove", "if missing", "increment", "append", "append of a save"],
)
def test_whether_an_item_shows_a_change(part: PartChange, there: list[Any], not_there: list[Any]) -> None:
    """After a lost reply: an item that may be the result, and one that cannot be it."""
    assert all(part.is_in(one) for one in there)
    assert not any(part.is_in(one) for one in not_there)


# --- values of changes ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Append, Prepend])
def test_members_of_lists_are_listed(kind: Any) -> None:
    """Any iterable but a text or a dict, which would be taken apart."""
    assert kind([1, 2]).values == kind((1, 2)).values == kind(iter([1, 2])).values == (1, 2)
    assert kind([1]) == kind((1,))
    for wrong in ("ab", b"ab", {"a": 1}, 5, None):
        with pytest.raises(QueryError, match=rf"take a list of members, not {type(wrong).__name__}; give"):
            kind(wrong)


@pytest.mark.parametrize("kind", [AddMembers, DropMembers])
def test_members_of_sets_are_given_singly_or_together(kind: Any) -> None:
    """One collection is its members, a text is one member; there is at least one."""
    for given in ({"a", "b"}, frozenset("ab"), ["a", "b"], ("a", "b")):
        assert kind(given).members == frozenset("ab")
    assert kind("a", "b").members == frozenset("ab")
    assert kind("ab").members == {"ab"}
    assert kind(("a",), ("b",)).members == {("a",), ("b",)}
    assert kind("a") == kind(["a"])
    for nothing in ((), ([],), (set(),)):
        with pytest.raises(QueryError, match="at least one member"):
            kind(*nothing)


def test_changes_are_values() -> None:
    """Equal ones are equal, and cannot be changed; an increment adds one by default."""
    assert (Increment(), IfMissing(1), Remove()) == (Increment(1), IfMissing(1), Remove())
    assert Increment(1) != Increment(2)
    assert hash(AddMembers("a")) == hash(AddMembers("a"))
    for value, name in ((Increment(), "amount"), (IfMissing(1), "value"), (Append([1]), "values")):
        with pytest.raises(AttributeError):
            setattr(value, name, 2)
    for kind in (AddMembers, DropMembers):
        with pytest.raises(AttributeError):
            kind("a").members = frozenset()
