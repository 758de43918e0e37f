"""Stored values compared: which are the same, in which parts two documents differ, and what edits make of one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dynamo_bao.dynamodb.document_diff import (
    ANY_VALUE,
    MERGED,
    Edit,
    Shape,
    begins_with,
    coarsened,
    differences,
    edited,
    is_alike,
    part_at,
    restored,
    same_stored,
)

Value = dict[str, Any]


def number(value: object) -> Value:
    return {"N": str(value)}


def text(value: str) -> Value:
    return {"S": value}


def a_map(**members: Value) -> Value:
    return {"M": members}


def a_list(*members: Value) -> Value:
    return {"L": list(members)}


def line(sku: str, count: int, **members: Value) -> Value:
    return a_map(sku=text(sku), count=number(count), **members)


class Whole(Shape):
    whole = True


class Mixed(Shape):
    """A map in which one member is a unit."""

    def member(self, name: str) -> Shape:
        return Whole() if name == "unit" else MERGED


SAME = [
    (None, None),
    (text("a"), text("a")),
    (number("1"), number("1.0")),
    (number("1e2"), number("100")),
    ({"NS": ["1", "2.0"]}, {"NS": ["2", "1"]}),
    ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
    ({"BS": [b"a", b"b"]}, {"BS": [b"b", b"a"]}),
    (a_list(number(1), text("a")), a_list(number("1.0"), text("a"))),
    (a_map(a=number(1), b=text("x")), a_map(b=text("x"), a=number("1.0"))),
]
DIFFERENT = [
    (None, text("a")),
    (text("1"), number("1")),
    (text("a"), text("b")),
    (number(1), number(2)),
    ({"B": b"a"}, {"B": b"b"}),
    ({"BOOL": True}, {"BOOL": False}),
    ({"NS": ["1"]}, {"NS": ["1", "2"]}),
    ({"SS": ["a"]}, {"SS": ["b"]}),
    (a_list(number(1)), a_list(number(1), number(2))),
    (a_list(number(1), number(2)), a_list(number(2), number(1))),
    (a_map(a=number(1)), a_map(a=number(2))),
    (a_map(a=number(1)), a_map(b=number(1))),
    (a_map(a=number(1)), a_map(a=number(1), b=number(1))),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_to_dynamodb(one: Value | None, other: Value | None) -> None:
    """Sets have no order, and numbers are compared by value, at any depth."""
    assert same_stored(one, other)
    assert same_stored(other, one)
    assert same_stored({"L": [one or {"NULL": True}]}, {"L": [other or {"NULL": True}]})


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_not_the_same_to_dynamodb(one: Value | None, other: Value | None) -> None:
    """Another type, value, length, order or member."""
    assert not same_stored(one, other)
    assert not same_stored(other, one)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("a", "a" * 1, True),
        (1, 1, True),
        (1, 2, False),
        (1, True, False),
        (1, 1.0, False),
        (0.5, 0.5, True),
        (0.0, -0.0, False),
        (Decimal("1.0"), Decimal("1.00"), False),
        (Decimal("1.0"), Decimal("1.0"), True),
        (b"a", b"a", True),
        ([1, [2]], [1, [2]], True),
        ([1, [2]], [1, [True]], False),
        ([1], [1, 2], False),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ({"a": 1}, {"a": 2}, False),
        (None, None, True),
        (Text("a"), Text("a"), False),
        ({1}, {1}, False),
    ],
)
def test_values_that_are_certainly_alike(one: Any, other: Any, alike: bool) -> None:
    """Of the same types, in the same order; values of other classes only if they are the same object."""
    assert is_alike(one, other) is alike
    assert is_alike(one, one)


NULL: Value = {"NULL": True}


@pytest.mark.parametrize(
    ("before", "after", "shape", "edits"),
    [
        (a_map(a=number(1)), a_map(a=number("1.0")), MERGED, []),
        (a_map(a=number(1)), a_map(a=number(2)), MERGED, [Edit(("a",), "set", number(2))]),
        (a_map(a=number(1), b=text("x")), a_map(b=text("x")), MERGED, [Edit(("a",), "remove")]),
        (a_map(), a_map(b=text("x")), MERGED, [Edit(("b",), "set", text("x"))]),
        (
            a_map(a=a_map(b=number(1), c=number(1))),
            a_map(a=a_map(b=number(2), c=number(1))),
            MERGED,
            [Edit(("a", "b"), "set", number(2))],
        ),
        (a_map(), a_map(a=a_map(b=number(1))), MERGED, [Edit(("a", "b"), "set", number(1))]),
        (a_map(), a_map(a=a_map()), MERGED, [Edit(("a",), "if_missing", a_map())]),
        (a_map(a=number(1)), a_map(a=a_map()), MERGED, [Edit(("a",), "set", a_map())]),
        (a_map(a=a_list(number(1))), a_map(a=a_list()), MERGED, [Edit(("a",), "set", a_list())]),
        (a_map(unit=a_map(a=number(1))), a_map(unit=a_map(a=number(2))), Mixed(), None),
        (a_map(), a_map(unit=a_map(a=number(2))), Mixed(), [Edit(("unit",), "set", a_map(a=number(2)))]),
    ],
)
def test_the_parts_in_which_documents_differ(
    before: Value, after: Value, shape: Shape, edits: list[Edit] | None
) -> None:
    """Only these are edited: what both have the same is not touched, and units are set whole."""
    found = differences(before, after, shape, before)
    if edits is None:
        edits = [Edit(("unit",), "set", after["M"]["unit"], before["M"]["unit"])]
    assert found == edits
    assert same_stored(edited(before, found), after)


@pytest.mark.parametrize(
    ("before", "after"), [(a_map(a=number(1)), NULL), (NULL, a_map(a=number(1)))], ids=["to", "from"]
)
def test_a_map_and_none_take_each_other_s_place_whole(before: Value, after: Value) -> None:
    """On condition that what was loaded is still stored."""
    assert differences(before, after, MERGED, before) == [Edit((), "set", after, before)]
    assert differences(a_map(x=before), a_map(x=after), MERGED, a_map(x=before)) == [
        Edit(("x",), "set", after, before)
    ]


@pytest.mark.parametrize(
    ("after", "before", "loaded", "result"),
    [
        (number("1.0"), number("1"), number("1.00"), number("1.00")),
        (number("2"), number("1"), number("1.00"), number("2")),
        (number("2"), None, number("1.00"), number("2")),
        (number("2"), number("1"), None, number("2")),
        # a member that nobody knows stays, one that was taken out does not
        (
            a_map(a=number(2)),
            a_map(a=number(1)),
            a_map(a=number(1), x=text("y")),
            a_map(a=number(2), x=text("y")),
        ),
        (a_map(), a_map(a=number(1)), a_map(a=number(1), x=text("y")), a_map(x=text("y"))),
        (a_map(x=text("new")), a_map(), a_map(x=text("y")), a_map(x=text("new"))),
        # members of a list that moved are as they were stored
        (
            a_list(text("n"), number(1)),
            a_list(number(1)),
            a_list(number("1.0")),
            a_list(text("n"), number("1.0")),
        ),
        (
            a_list(number(2), number(1)),
            a_list(number(1), number(2)),
            a_list(number("1.0"), number("2.0")),
            a_list(number("2.0"), number("1.0")),
        ),
        # one that changed in its place keeps what nobody knows of it; in a list of another length it is unclear which
        (
            a_list(a_map(a=number(2))),
            a_list(a_map(a=number(1))),
            a_list(a_map(a=number(1), x=text("y"))),
            a_list(a_map(a=number(2), x=text("y"))),
        ),
        (
            a_list(a_map(a=number(2)), text("n")),
            a_list(a_map(a=number(1))),
            a_list(a_map(a=number(1), x=text("y"))),
            a_list(a_map(a=number(2)), text("n")),
        ),
        # twice the same: each stored spelling is used once
        (
            a_list(number(1), number(1), number(3)),
            a_list(number(1), number(1), number(2)),
            a_list(number("1.0"), number("1.00"), number("2.0")),
            a_list(number("1.0"), number("1.00"), number(3)),
        ),
        # one of several places was used already by a member that moved there
        (
            a_list(a_map(b=number(2)), a_map(c=number(3))),
            a_list(a_map(a=number(1)), a_map(b=number(2))),
            a_list(a_map(a=number(1), x=NULL), a_map(b=number(2), y=NULL)),
            a_list(a_map(b=number(2), y=NULL), a_map(c=number(3))),
        ),
        # of two that are read alike, the one that did not change keeps its own stored form
        (
            a_list(a_map(a=number(2)), a_map(a=number(1))),
            a_list(a_map(a=number(1)), a_map(a=number(1))),
            a_list(a_map(a=number(1), x=text("y")), a_map(a=number(1), z=text("y"))),
            a_list(a_map(a=number(2), x=text("y")), a_map(a=number(1), z=text("y"))),
        ),
        # one that becomes equal to another does not take its place
        (
            a_list(a_map(a=number(2)), a_map(a=number(2))),
            a_list(a_map(a=number(1)), a_map(a=number(2))),
            a_list(a_map(a=number(1), x=text("y")), a_map(a=number(2), z=text("y"))),
            a_list(a_map(a=number(2), x=text("y")), a_map(a=number(2), z=text("y"))),
        ),
        # one that changed while others were removed, added or moved is known by the first value that is nobody else's
        (
            a_list(line("b", 5)),
            a_list(line("a", 1), line("b", 2)),
            a_list(line("a", 1, x=text("1")), line("b", 2, x=text("2"))),
            a_list(line("b", 5, x=text("2"))),
        ),
        (
            a_list(line("a", 5), line("c", 1), line("b", 2)),
            a_list(line("a", 1), line("b", 2)),
            a_list(line("a", 1, x=text("1")), line("b", 2, x=text("2"))),
            a_list(line("a", 5, x=text("1")), line("c", 1), line("b", 2, x=text("2"))),
        ),
        (
            a_list(line("b", 5), line("a", 2)),
            a_list(line("a", 1), line("b", 2)),
            a_list(line("a", 1, x=text("1")), line("b", 2, x=text("2"))),
            a_list(line("b", 5, x=text("2")), line("a", 2, x=text("1"))),
        ),
        # a new one takes nothing from one that was removed, or that is elsewhere now
        (
            a_list(line("b", 2), line("c", 1)),
            a_list(line("a", 1), line("b", 2)),
            a_list(line("a", 1, x=text("1")), line("b", 2, x=text("2"))),
            a_list(line("b", 2, x=text("2")), line("c", 1)),
        ),
        (
            a_list(line("b", 5), line("c", 1)),
            a_list(line("a", 1), line("b", 2)),
            a_list(line("a", 1, x=text("1")), line("b", 2, x=text("2"))),
            a_list(line("b", 5, x=text("2")), line("c", 1)),
        ),
        # the value may be inside of it
        (
            a_list(a_map(of=a_list(line("b", 5), line("c", 1)))),
            a_list(a_map(of=a_list(line("a", 1))), a_map(of=a_list(line("b", 2)))),
            a_list(a_map(of=a_list(line("a", 1)), x=NULL), a_map(of=a_list(line("b", 2, y=NULL)), z=NULL)),
            a_list(a_map(of=a_list(line("b", 5, y=NULL), line("c", 1)), z=NULL)),
        ),
        # values that several have, and values such as true or null, tell nobody apart
        (
            a_list(line("a", 5, done={"BOOL": True})),
            a_list(line("a", 1, done={"BOOL": True}), line("a", 2, done={"BOOL": False})),
            a_list(line("a", 1, done={"BOOL": True}, x=NULL), line("a", 2, done={"BOOL": False}, x=NULL)),
            a_list(line("a", 5, done={"BOOL": True})),
        ),
        # a default that was read for a member that is not stored is not written
        (
            a_list(a_map(a=number(2), d=number(0), e=number(3))),
            a_list(a_map(a=number(1), d=number(0), e=number(0))),
            a_list(a_map(a=number(1))),
            a_list(a_map(a=number(2), e=number(3))),
        ),
        (a_list(number(2)), a_list(number(1)), a_list(number(1), number(5)), a_list(number(2))),
        (a_list(), a_map(), a_map(x=text("y")), a_list()),
    ],
)
def test_what_was_loaded_stays_as_it_was_stored(
    after: Value, before: Value | None, loaded: Value | None, result: Value
) -> None:
    """Spellings of numbers, and members of maps that reading left out, also in lists."""
    assert restored(after, before, loaded) == result


def test_a_list_begins_with_another() -> None:
    """Members are compared as DynamoDB does; nothing but lists begins with anything."""
    assert begins_with(a_list(number("1.0"), number(2)), a_list(number(1)))
    assert begins_with(a_list(number(1)), a_list(number(1)))
    assert begins_with(a_list(), a_list())
    assert not begins_with(a_list(), a_list(number(1)))
    assert not begins_with(a_list(number(2), number(1)), a_list(number(1)))
    for other in (None, text("a"), a_map()):
        assert not begins_with(other, a_list())
        assert not begins_with(a_list(), other)


def test_parts_are_reached_by_steps() -> None:
    """By names in maps and places in lists; where there is nothing, or something else, there is no part."""
    value = a_map(a=a_list(number(1), a_map(b=text("x"))))
    assert part_at(value, ()) == value
    assert part_at(value, ("a", 0)) == number(1)
    assert part_at(value, ("a", 1, "b")) == text("x")
    for steps in (("b",), ("a", 2), ("a", 0, "b"), ("a", "b"), (0,), ("a", 1, "b", "c"), ("a", 2, "b")):
        assert part_at(value, steps) is None
    assert part_at(None, ("a", 0)) is None


@pytest.mark.parametrize(
    ("before", "edit", "after"),
    [
        (a_map(a=number(1)), Edit(("a",), "set", number(2)), a_map(a=number(2))),
        (a_map(), Edit(("a", "b"), "set", number(2)), a_map(a=a_map(b=number(2)))),
        (None, Edit(("a",), "set", number(2)), a_map(a=number(2))),
        (a_map(a=number(1), b=NULL), Edit(("a",), "remove"), a_map(b=NULL)),
        (a_map(b=NULL), Edit(("a", "c"), "remove"), a_map(b=NULL)),
        (a_map(a=number(1)), Edit((), "remove"), None),
        (None, Edit((), "if_missing", a_map()), a_map()),
        (a_map(x=NULL), Edit((), "if_missing", a_map()), a_map(x=NULL)),
        (number(1), Edit((), "increment", number("1.5")), number("2.5")),
        (None, Edit((), "increment", number("1.5")), number("1.5")),
        (a_list(number(1)), Edit((), "append", a_list(number(2))), a_list(number(1), number(2))),
        (a_list(number(1)), Edit((), "prepend", a_list(number(2))), a_list(number(2), number(1))),
        (None, Edit((), "prepend", a_list(number(2))), a_list(number(2))),
        (a_list(number(1), number(2)), Edit((0,), "set", number(5)), a_list(number(5), number(2))),
        (a_list(number(1), number(2)), Edit((0,), "remove"), a_list(number(2))),
        (a_list(number(1)), Edit((7,), "set", number(5)), a_list(number(1), number(5))),
        (a_list(a_map(a=number(1))), Edit((0, "a"), "increment", number(2)), a_list(a_map(a=number(3)))),
        (None, Edit((0,), "set", number(5)), a_list(number(5))),
    ],
)
def test_what_an_edit_makes_of_a_value(before: Value | None, edit: Edit, after: Value | None) -> None:
    """Maps and lists that are missing on the way are made; what was there is not changed itself."""
    kept = repr(before)
    assert edited(before, [edit]) == after
    assert repr(before) == kept


def test_which_edits_depend_on_what_is_stored() -> None:
    """All but setting and removing."""
    relative = {"if_missing", "increment", "append", "prepend"}
    for action in ("set", "remove", *sorted(relative)):
        assert Edit((), action).is_relative is (action in relative)
    assert Edit((), "set").expected is ANY_VALUE
    assert repr(ANY_VALUE) == "ANY_VALUE"


@pytest.mark.parametrize(
    ("most", "wholes"), [(5, []), (4, [("a", "b")]), (3, [("a",)]), (2, [("a",), ("d",)]), (1, [()])]
)
def test_fewer_edits_have_the_same_effect(most: int, wholes: list[Any]) -> None:
    """Parents are set whole, the lowest and fullest first, on condition that they are as they were."""
    stored = a_map(
        a=a_map(b=a_map(x=number(1), y=number(2), z=number(3)), c=number(4)), d=a_map(e=number(5)), f=NULL
    )
    edits = [
        Edit(("a", "b", "x"), "set", number(10)),
        Edit(("a", "b", "y"), "remove"),
        Edit(("a", "c"), "increment", number(1)),
        Edit(("d", "e"), "set", number(50)),
        Edit(("d", "g"), "set", number(60)),
    ]
    fewer = coarsened(edits, most, stored)
    assert len(fewer) <= most
    assert edited(stored, fewer) == edited(stored, edits)
    made = [edit for edit in fewer if edit not in edits]
    assert [edit.steps for edit in made] == wholes
    assert all((edit.action, edit.expected) == ("set", part_at(stored, edit.steps)) for edit in made)


def test_one_part_that_is_too_many_ends_at_the_whole() -> None:
    """Also where no number of edits is few enough."""
    whole = coarsened([Edit(("a", "b"), "set", number(1))], 0, a_map(a=a_map()))
    assert whole == [Edit((), "set", a_map(a=a_map(b=number(1))), a_map(a=a_map()))]


def test_a_parent_is_set_whole_only_where_that_saves_a_path() -> None:
    """A single edit stays what it is, however deep it is."""
    stored = a_map(a=a_map(b=a_map(c=a_map())), d=a_map(e=number(1)))
    deep = Edit(("a", "b", "c", "x"), "set", number(1))
    edits = [deep, Edit(("d", "e"), "set", number(2)), Edit(("d", "f"), "set", number(3))]
    whole = Edit(("d",), "set", a_map(e=number(2), f=number(3)), a_map(e=number(1)))
    assert coarsened(edits, 2, stored) == [deep, whole]
