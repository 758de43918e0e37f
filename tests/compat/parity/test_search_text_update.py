"""search-text-update.test.js: when the stored search text is made anew."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao import Manager, Model, PrimaryKey, StringField
from dynamo_bao.mapping.search_text import SearchConfig
from tests.support.one_table import Raw
from tests.support.wire import Wire


class Note(Model, prefix="sun", name="SuNote", searchable=["title", "body"]):
    note_id: str = StringField()
    title: str | None = StringField(default=None)
    body: str | None = StringField(default=None)
    status: str = StringField(default="draft")

    primary_key = PrimaryKey("note_id")


class Plain(Model, prefix="sup", name="SuPlain"):
    plain_id: str = StringField()
    title: str = StringField()

    primary_key = PrimaryKey("plain_id")


class Cased(Model, prefix="suc", name="SuCased", searchable=SearchConfig(["text"], case_sensitive=True)):
    cased_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("cased_id")


class Terse(
    Model, prefix="sut", name="SuTerse", searchable={"fields": ["text"], "dedupe": True, "min_term_length": 3}
):
    terse_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("terse_id")


MODELS = [Note, Plain, Cased, Terse]

pytestmark = pytest.mark.usefixtures("manager")


@pytest.fixture
def note() -> Note:
    return Note.create(note_id="1", title="Foo!", body="bar")


def text(raw: Raw, partition_key: str = "sun#1") -> Any:
    """The stored search text, None where there is none."""
    return raw(partition_key).get("_searchText", {}).get("S")


def touches_text(wire: Wire) -> bool:
    """Whether the last request writes the search text."""
    return "_searchText" in wire.sent[-1][1].get("ExpressionAttributeNames", {}).values()


def test_01_not_searchable(raw: Raw) -> None:
    """A model without search stores no text."""
    Plain.create(plain_id="1", title="Foo")
    assert text(raw, "sup#1") is None


def test_02_create(note: Note, raw: Raw) -> None:
    """create makes it of the given fields."""
    assert text(raw) == "foo bar"


def test_03_nothing_left(raw: Raw) -> None:
    """Where nothing is left of them nothing is stored."""
    Note.create(note_id="1", title="!!!")
    assert text(raw) is None


def test_04_no_sources(raw: Raw) -> None:
    """Nor is it without any of the fields."""
    Note.create(note_id="1", status="done")
    assert text(raw) is None


def test_05_a_new_item(note: Note, raw: Raw) -> None:
    """A new item's text is of its own fields, whatever had its key before."""
    Note.delete("1")
    Note.create(note_id="1", title="other")
    assert text(raw) == "other"


def test_06_other_fields(note: Note, raw: Raw, wire: Wire) -> None:
    """An update of other fields leaves it alone."""
    Note.update("1", status="done")
    assert not touches_text(wire)
    assert text(raw) == "foo bar"


def test_07_one_source(note: Note, raw: Raw) -> None:
    """An update of one field takes the others as they are stored."""
    Note.update("1", body="new")
    assert text(raw) == "foo new"


def test_08_empty_after_update(note: Note, raw: Raw) -> None:
    """An update that leaves nothing takes it away."""
    Note.update("1", title="!", body=None)
    assert text(raw) is None


def test_09_a_cleared_source(note: Note, raw: Raw) -> None:
    """A cleared field drops out of it."""
    Note.update("1", title=None)
    assert text(raw) == "bar"


def test_10_all_sources(note: Note, raw: Raw) -> None:
    """An update of all fields needs nothing of the old ones."""
    Note.update("1", title="one", body="two")
    assert text(raw) == "one two"


def test_11_a_source_and_another(note: Note, raw: Raw) -> None:
    """Another field in the same update does not matter."""
    Note.update("1", title="new", status="done")
    assert text(raw) == "new bar"


def lose_text(manager: Manager) -> None:
    """Takes the search text of the note away, as if it were older than the model's search."""
    rows = manager.client.scan(TableName=manager.table_name)["Items"]
    (key,) = [{name: row[name] for name in ("_pk", "_sk")} for row in rows]
    manager.client.update_item(
        TableName=manager.table_name,
        Key=key,
        UpdateExpression="REMOVE #text",
        ExpressionAttributeNames={"#text": "_searchText"},
    )


def test_12_force_reindex(note: Note, manager: Manager, raw: Raw) -> None:
    """force_reindex makes it of the stored fields, with nothing changed."""
    lose_text(manager)
    assert text(raw) is None
    Note.find("1").save(force_reindex=True)
    assert text(raw) == "foo bar"


def test_13_force_reindex_with_changes(note: Note, manager: Manager, raw: Raw) -> None:
    """Changes are in it then."""
    lose_text(manager)
    found = Note.find("1")
    found.body = "new"
    found.save(force_reindex=True)
    assert text(raw) == "foo new"


def test_14_force_reindex_of_nothing(note: Note, raw: Raw) -> None:
    """Where nothing is left force_reindex takes it away."""
    found = Note.find("1")
    found.title = found.body = None
    found.save(force_reindex=True)
    assert text(raw) is None


def test_15_case(raw: Raw) -> None:
    """The case is kept where asked for, by create and by update."""
    Cased.create(cased_id="1", text="Foo")
    assert text(raw, "suc#1") == "Foo"
    Cased.update("1", text="Foo BAR")
    assert text(raw, "suc#1") == "Foo BAR"


def test_16_dedupe(raw: Raw) -> None:
    """So are equal words left out."""
    Terse.create(terse_id="1", text="foo bar foo")
    assert text(raw, "sut#1") == "foo bar"


def test_17_short_words(raw: Raw) -> None:
    """So are short ones."""
    Terse.create(terse_id="1", text="a foo of bar")
    assert text(raw, "sut#1") == "foo bar"
