"""filter-system-fields.test.js: the search text in filters."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao import Index, Manager, Model, PrimaryKey, QueryError, StringField
from dynamo_bao.mapping.search_text import SearchConfig
from tests.support.wire import Wire


class Note(Model, prefix="fsn", name="FsNote", searchable=["text"]):
    note_id: str = StringField()
    group: str = StringField(default="all")
    text: str | None = StringField(default=None)
    status: str = StringField(default="draft")

    primary_key = PrimaryKey("note_id")
    by_group = Index("group", "note_id", id="gsi1")


class Cased(Model, prefix="fsc", name="FsCased", searchable=SearchConfig(["text"], case_sensitive=True)):
    cased_id: str = StringField()
    group: str = StringField(default="all")
    text: str = StringField()

    primary_key = PrimaryKey("cased_id")
    by_group = Index("group", "cased_id", id="gsi1")


class Plain(Model, prefix="fsp", name="FsPlain"):
    plain_id: str = StringField()
    group: str = StringField(default="all")

    primary_key = PrimaryKey("plain_id")
    by_group = Index("group", "plain_id", id="gsi1")


MODELS = [Note, Cased, Plain]


@pytest.fixture(autouse=True)
def notes(manager: Manager) -> None:
    """Some notes, one without a text."""
    Note.create(note_id="hello", text="Hello, World!")
    Note.create(note_id="fruit", text="苹果手机", status="done")
    Note.create(note_id="year", text="of 2024", status="done")
    Note.create(note_id="empty")


def found(condition: Any, model: type[Model] = Note) -> list[str]:
    """The ids that a query with a filter gives."""
    return [one.primary_id for one in model.query_by_index("by_group", "all", filter=condition)]


def by_text(condition: Any) -> list[str]:
    """The same, by a condition on the search text."""
    return found({"_searchText": condition})


def sent(wire: Wire, condition: Any, model: type[Model] = Note) -> tuple[str, list[str]]:
    """The filter sent, and its values."""
    wire.clear()
    found(condition, model)
    ((_, body),) = wire.sent
    assert "_searchText" in body["ExpressionAttributeNames"].values()
    expression = body["FilterExpression"]
    values = body["ExpressionAttributeValues"]
    return expression, [value["S"] for name, value in values.items() if name in expression]


def test_01_accepted() -> None:
    """The search text may be filtered by."""
    assert by_text({"$contains": "hello"}) == ["hello"]


def test_02_unknown_fields() -> None:
    """Any other name that is no field is still refused."""
    with pytest.raises(QueryError, match="_other"):
        found({"_other": "x"})


def test_03_normalised(wire: Wire) -> None:
    """The value is normalised like the stored text."""
    assert by_text({"$contains": "Hello, World!"}) == ["hello"]
    assert sent(wire, {"_searchText": {"$contains": "Hello, World!"}})[1] == ["hello world"]


def test_04_case() -> None:
    """The case is kept where the stored text's is."""
    Cased.create(cased_id="1", text="Hello, World!")
    assert found({"_searchText": {"$contains": "Hello, W"}}, Cased) == ["1"]
    assert found({"_searchText": {"$contains": "hello"}}, Cased) == []


def test_05_chinese() -> None:
    """Chinese is kept."""
    assert by_text({"$contains": "苹果"}) == ["fruit"]


def test_06_in() -> None:
    """The values of $in are normalised one by one."""
    assert by_text({"$in": ["HELLO world", "Of 2024!"]}) == ["hello", "year"]


def test_07_in_with_one_value() -> None:
    """So is a single one."""
    assert by_text({"$in": ["Hello, World!"]}) == ["hello"]


def test_08_begins_with() -> None:
    """The value of $begins_with is normalised."""
    assert by_text({"$begins_with": "HELLO,"}) == by_text({"$beginsWith": "HELLO,"}) == ["hello"]


def test_09_eq() -> None:
    """So is that of $eq."""
    assert by_text({"$eq": "Hello, World!"}) == ["hello"]


def test_10_ne() -> None:
    """So is that of $ne."""
    assert "hello" not in by_text({"$ne": "Hello, World!"})
    assert {"fruit", "year"} <= set(by_text({"$ne": "Hello, World!"}))


def test_11_plain_value() -> None:
    """So is a value without an operator."""
    assert by_text("Hello, World!") == ["hello"]


def test_12_exists(wire: Wire) -> None:
    """$exists asks for the attribute, with no value."""
    expression, values = sent(wire, {"_searchText": {"$exists": True}})
    assert "attribute_exists" in expression
    assert values == []
    assert by_text({"$exists": True}) == ["fruit", "hello", "year"]


def test_13_does_not_exist(wire: Wire) -> None:
    """$exists False asks for its absence."""
    expression, values = sent(wire, {"_searchText": {"$exists": False}})
    assert expression.startswith(("attribute_not_exists", "NOT (attribute_exists"))
    assert values == []
    assert by_text({"$exists": False}) == ["empty"]


def test_14_with_a_field() -> None:
    """Another field beside it must hold too."""
    assert found({"_searchText": {"$contains": "2024"}, "status": "done"}) == ["year"]
    assert found({"_searchText": {"$contains": "2024"}, "status": "draft"}) == []


def test_15_or_with_a_field() -> None:
    """In $or either will do."""
    assert found({"$or": [{"_searchText": {"$contains": "HELLO"}}, {"status": "done"}]}) == [
        "fruit",
        "hello",
        "year",
    ]


def test_16_not_searchable(wire: Wire) -> None:
    """A model without search takes the value as it is."""
    expression, values = sent(wire, {"_searchText": {"$contains": "Hello, World!"}}, Plain)
    assert expression.startswith("contains(")
    assert values == ["Hello, World!"]


def test_17_numbers() -> None:
    """A number becomes a text."""
    assert by_text({"$contains": 2024}) == ["year"]
