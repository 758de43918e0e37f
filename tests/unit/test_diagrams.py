"""Drawings of models: what they say of each, in which form, and that nothing in them overlaps."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings, strategies as st

from dynamo_bao import (
    MODEL_PREFIX,
    CreateDateField,
    Index,
    JsonField,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    UlidField,
    UniqueConstraint,
)
from dynamo_bao.cli.diagrams.outline import AccessPattern, words_of
from dynamo_bao.cli.diagrams.placement import GAP, Box, Placement, place
from dynamo_bao.diagrams import as_mermaid, as_svg, as_text, outline_of

SVG = "{http://www.w3.org/2000/svg}"


class Author(Model, prefix="au", iterable=True, searchable=["name"]):
    author_id: str = UlidField(auto_assign=True)
    name: str = StringField(doc="As <printed> & signed.")
    email: str = StringField()
    mentor_id: str | None = RelatedField("Author", default=None)
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("author_id")
    by_name = Index("name", "created_at", id="gsi1")
    all_authors = Index(MODEL_PREFIX, "created_at", id="gsi2")
    unique_email = UniqueConstraint("email", id="uc1")


class Book(Model, prefix="bo", name="Book <2>"):
    author_id: str = RelatedField("Author")
    number: str = StringField()
    tags: set[str] = StringSetField()

    primary_key = PrimaryKey("author_id", "number")
    books_for_author = primary_key


class Shelf(Model, prefix="sh"):
    shelf_id: str = StringField()
    primary_key = PrimaryKey("shelf_id")


class Place(Model, prefix="pl", table_type="mapping"):
    shelf_id: str = RelatedField("Shelf")
    author_id: str = RelatedField("Author")
    library_id: str = RelatedField("Library")

    primary_key = PrimaryKey("shelf_id", "author_id")
    places_for_shelf = primary_key
    shelves_for_author = Index("author_id", "shelf_id", id="gsi1")


class Setting(Model, prefix="se"):
    name: str = StringField()
    value: dict[str, str] = JsonField()

    primary_key = PrimaryKey(MODEL_PREFIX, "name")


ALL = [Author, Book, Shelf, Place, Setting]
OUTLINE = outline_of(ALL)


# --- what is said ----------------------------------------------------------------------------------


def test_the_outline_says_what_fields_are_used_for() -> None:
    """Keys, index parts and constraints stand with the fields they are made of."""
    author, book, _, place_, setting = OUTLINE.models
    assert {field.name: field.marks for field in author.fields} == {
        "author_id": ("key",),
        "name": ("gsi1",),
        "email": ("uc1",),
        "mentor_id": (),
        "created_at": ("gsi1 sort", "gsi2 sort"),
    }
    assert [field.marks for field in book.fields] == [("key",), ("sort key",), ()]
    assert [field.marks for field in place_.fields] == [("key", "gsi1 sort"), ("sort key", "gsi1"), ()]
    assert setting.fields[0].marks == ("key",), "with the prefix as partition the field alone is the key"
    assert [field.kind for field in author.fields] == ["ulid", "string", "string", "related", "create date"]
    assert [field.default for field in author.fields] == [True, False, False, True, True]
    assert author.buckets == 10
    assert author.searched == ("name",)


def test_the_outline_lists_every_way_to_ask() -> None:
    """Those of the model itself, those of its parents, and those of both ends of a mapping."""
    author, book, _, place_, setting = OUTLINE.models
    assert author.patterns == (
        AccessPattern("Author.find(author_id)", "key"),
        AccessPattern("Author.find_by_email(email)", "uc1"),
        AccessPattern("Author.query_by_name(name)", "gsi1", "created_at"),
        AccessPattern("Author.query_all_authors()", "gsi2", "created_at"),
        AccessPattern("author.mentor", "key", note="the Author"),
        AccessPattern("Author.iterate_all()", "iter_index", note="10 buckets"),
        AccessPattern("Author.search_all(terms)", "iter_search_index", note="in name"),
    )
    assert [pattern.call for pattern in book.patterns][:3] == [
        "Book.find((author_id, number))",
        "Book.query_books_for_author(author_id)",
        "author.query_books()",
    ]
    mapped = [pattern for pattern in place_.patterns if pattern.note and pattern.note.endswith("items")]
    assert mapped == [
        AccessPattern("shelf.get_places()", "key", "author_id", "the Author items"),
        AccessPattern("author.get_shelves()", "gsi1", "shelf_id", "the Shelf items"),
    ]
    assert [pattern.call for pattern in setting.patterns] == ["Setting.find(name)"]


@pytest.mark.parametrize("model", [Author, Book, Shelf, Place, Setting])
def test_the_ways_to_ask_are_there(model: type[Model]) -> None:
    """Every call that a drawing shows on a class is a method of that class."""
    (outline,) = outline_of([model]).models
    for pattern in outline.patterns:
        owner, call = pattern.call.rsplit(".", 1) if "(" not in pattern.call else pattern.call.split(".", 1)
        if owner == model.__name__:
            assert callable(getattr(model, call.split("(")[0])), pattern


def test_relations_know_whether_their_target_is_drawn() -> None:
    """A model of elsewhere is named, and may be missing from the drawing."""
    drawn = {(relation.source, relation.target): relation.drawn for relation in OUTLINE.relations}
    assert drawn == {
        ("Author", "Author"): True,
        ("Book <2>", "Author"): True,
        ("Place", "Shelf"): True,
        ("Place", "Author"): True,
        ("Place", "Library"): False,
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [("TaggedPost", "tagged_post"), ("HTTPServer", "http_server"), ("A1B", "a1_b"), ("x", "x")],
)
def test_names_in_words(name: str, words: str) -> None:
    """A parent stands in calls as a variable would be named."""
    assert words_of(name) == words


# --- text ------------------------------------------------------------------------------------------


def test_models_as_text() -> None:
    """Cards of one width, then the relations."""
    lines = as_text(outline_of([Shelf, Place])).splitlines()
    assert [" ".join(line.replace("─", "").split()) for line in lines] == [
        "╭ Shelf sh ╮",
        "│ shelf_id string key │",
        "├┤",
        "│ Shelf.find(shelf_id) key │",
        "╰╯",
        "",
        "╭ Place pl · mapping ╮",
        "│ shelf_id → Shelf key, gsi1 sort │",
        "│ author_id → Author sort key, gsi1 │",
        "│ library_id → Library │",
        "├┤",
        "│ Place.find((shelf_id, author_id)) key │",
        "│ Place.query_places_for_shelf(shelf_id) key by author_id │",
        "│ shelf.query_places() key by author_id │",
        "│ shelf.get_places() key by author_id, the Author items │",
        "│ Place.query_shelves_for_author(author_id) gsi1 by shelf_id │",
        "│ author.query_shelves() gsi1 by shelf_id │",
        "│ author.get_shelves() gsi1 by shelf_id, the Shelf items │",
        "│ place.shelf key the Shelf │",
        "│ place.author key the Author │",
        "│ place.library key the Library │",
        "╰╯",
        "",
        "Shelf < Place.shelf_id",
        "Author < Place.author_id",
        "Library < Place.library_id",
    ]
    assert len({len(line) for line in lines[:-4] if line}) == 1
    columns = [line.index(mark) for line, mark in zip(lines[7:9], ("key", "sort key"), strict=True)]
    assert columns[0] == columns[1]
    assert "mentor_id" in as_text(OUTLINE)
    assert "Author ──< Author.mentor_id (optional)" in as_text(OUTLINE)


def test_no_models_are_an_empty_drawing() -> None:
    """Every form can draw nothing."""
    nothing = outline_of([])
    assert as_text(nothing) == ""
    assert as_mermaid(nothing) == "erDiagram"
    ElementTree.fromstring(as_svg(nothing))


# --- mermaid ---------------------------------------------------------------------------------------


def test_models_as_mermaid() -> None:
    """Entities with keys and uses, relations with how many there may be at either end."""
    lines = as_mermaid(outline_of([Author])).splitlines()
    assert lines[0] == "erDiagram"
    assert "    %% Author.query_by_name(name): gsi1, by created_at" in lines
    assert lines[lines.index("    Author {") :] == [
        "    Author {",
        "        ulid author_id PK",
        '        string name "gsi1"',
        '        string email UK "uc1"',
        '        related mentor_id FK "optional"',
        '        create_date created_at "gsi1 sort, gsi2 sort"',
        "    }",
        '    Author |o--o{ Author : "mentor_id"',
    ]


def test_mermaid_quotes_names_that_are_not_words() -> None:
    """A model's name may be any text, Mermaid's entities may not."""
    drawn = as_mermaid(OUTLINE)
    assert '    "Book <2>" {' in drawn
    assert '    Author ||--o{ "Book <2>" : "author_id"' in drawn
    assert "related author_id PK, FK" in drawn


# --- SVG -------------------------------------------------------------------------------------------


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def test_models_as_svg() -> None:
    """One document that needs nothing from elsewhere, with every name and call in it, and a line for each relation."""
    drawn = as_svg(OUTLINE)
    root = ElementTree.fromstring(drawn)
    shown = texts(root)
    for model in OUTLINE.models:
        assert model.name in shown
        assert {pattern.call for pattern in model.patterns} <= set(shown)
    assert "As <printed> & signed.name" in shown, "what a field means is its tooltip"
    lines = [e for e in root.iter(f"{SVG}path") if (e.get("class") or "").startswith("line")]
    assert len(lines) == 2 * sum(relation.drawn for relation in OUTLINE.relations)
    assert sum("maybe" in str(line.get("class")) for line in lines) == 1
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|href|@import|url\(|<script", drawn)
    assert "prefers-color-scheme:dark" in drawn
    assert drawn == as_svg(outline_of(ALL)), "the same models give the same drawing"


def test_everything_in_an_svg_lies_inside_it() -> None:
    """No card reaches over the edge."""
    root = ElementTree.fromstring(as_svg(OUTLINE))
    width, height = float(str(root.get("width"))), float(str(root.get("height")))
    for group in root.iter(f"{SVG}g"):
        card = group.find(f"{SVG}rect[@class='card']")
        if card is None:
            continue
        x, y = map(float, re.findall(r"[\d.]+", str(group.get("transform"))))
        assert x + float(str(card.get("width"))) <= width
        assert y + float(str(card.get("height"))) <= height


# --- placing ---------------------------------------------------------------------------------------

SIZES = st.tuples(st.integers(20, 400), st.integers(20, 400))


@st.composite
def drawings(draw: st.DrawFn) -> tuple[list[Box], list[tuple[str, str]]]:
    """Boxes of any size and lines of any kind between them: circles, loops, and several between the same two."""
    sizes = draw(st.lists(SIZES, min_size=1, max_size=9))
    boxes = [Box(f"b{number}", float(w), float(h)) for number, (w, h) in enumerate(sizes)]
    name = st.sampled_from([str(box.name) for box in boxes])
    return boxes, draw(st.lists(st.tuples(name, name), max_size=14))


def apart(one: Box, other: Box) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return beside or one.y + one.height <= other.y or other.y + other.height <= one.y


@settings(deadline=None, max_examples=150)
@given(drawings())
def test_boxes_and_lanes_never_overlap(drawing: tuple[list[Box], list[tuple[str, str]]]) -> None:
    """Whatever points to what, boxes and the lanes of lines stand apart, inside the drawing."""
    boxes, lines = drawing
    placed = place(boxes, lines)
    lanes = [lane for way in placed.lanes for lane in way]
    for one, other in combinations([*boxes, *lanes], 2):
        assert apart(one, other)
    for box in (*boxes, *lanes):
        assert box.x >= 0
        assert box.y >= -1e-6
        assert box.x + box.width <= placed.width + 1e-6
        assert box.y + box.height <= placed.height + 1e-6


@settings(deadline=None, max_examples=150)
@given(drawings())
def test_lines_run_between_neighbouring_columns(drawing: tuple[list[Box], list[tuple[str, str]]]) -> None:
    """A line and its lanes go one column at a time, in one direction, and never stay in a column."""
    boxes, lines = drawing
    placed: Placement = place(boxes, lines)
    by_name = {box.name: box for box in boxes}
    for (source, target), lanes in zip(lines, placed.lanes, strict=True):
        if source == target:
            assert lanes == ()
            continue
        way = [by_name[source], *lanes, by_name[target]]
        steps = {other.column - one.column for one, other in pairwise(way)}
        assert steps in ({1}, {-1})


def test_what_points_stands_right_of_what_is_pointed_to() -> None:
    """Without a circle every line runs from right to left, and boxes in a row stand level."""
    boxes = [Box(name, 100, 50) for name in "abc"]
    place(boxes, [("c", "b"), ("b", "a")])
    assert [box.column for box in boxes] == [0, 1, 2]
    assert {box.y for box in boxes} == {0}
    narrow, wide, target = Box("n", 50, 50), Box("w", 200, 50), Box("t", 100, 50)
    place([narrow, wide, target], [("n", "t"), ("w", "t")])
    assert narrow.width == 200, "a line that leaves a box never passes behind another of its column"
    boxes = [Box(name, 100, 50) for name in "abcd"]
    place(boxes, [("b", "a"), ("c", "b"), ("c", "d")])
    assert [box.column for box in boxes] == [0, 1, 2, 1], (
        "what points nowhere stands beside what points to it"
    )
    assert abs(boxes[3].y - boxes[1].y) >= 50 + GAP
