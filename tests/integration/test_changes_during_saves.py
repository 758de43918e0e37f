"""What the program changes while a save is under way stays in the object, as a change that was not saved."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from dynamo_bao import (
    AddMembers,
    CounterField,
    JsonField,
    ListField,
    Manager,
    MapField,
    Model,
    ModifiedDateField,
    PrimaryKey,
    StringField,
    StringSetField,
    VersionField,
    init_models,
    run_with_batch_context,
    transaction,
)


class Draft(Model, prefix="cds", name="CdsDraft"):
    draft_id: str = StringField()
    title: str = StringField(default="a title")
    author: str = StringField(default="an author")
    note: str = StringField(default="a note")
    lines: list[str] = ListField(default=list)
    tags: set[str] = StringSetField(default=set)
    reads: int = CounterField()
    places: dict[str, str] = MapField(default=dict)

    primary_key = PrimaryKey("draft_id")


class Versioned(Draft, prefix="cdv", name="CdsVersioned"):
    version: str = VersionField()
    modified_at: datetime = ModifiedDateField()


class SealedField(JsonField):
    """Encodes one value differently each time, as encryption does."""

    def to_dynamo(self, value: object) -> Any:
        form: Any = super().to_dynamo(value)
        return {"L": [{"N": str(next(NUMBERS))}, form if isinstance(form, dict) else {"S": form}]}

    def from_dynamo(self, value: Any) -> object:
        return super().from_dynamo(value["L"][1])


NUMBERS = itertools.count()


class Letter(Model, prefix="cdl", name="CdsLetter"):
    letter_id: str = StringField()
    content: Any = SealedField()
    note: str = StringField(default="a note")

    primary_key = PrimaryKey("letter_id")


@pytest.fixture
def drafts(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """A table for drafts."""
    with init_models(models=[Draft, Versioned, Letter], table_name=ready_table, **connection) as manager:
        yield manager


def saved(draft: Draft) -> None:
    draft.save()


def committed(draft: Draft) -> None:
    with run_with_batch_context() as session:
        session.add(draft)
        session.commit()


def committed_among_others(draft: Draft) -> None:
    with run_with_batch_context() as session:
        for number in range(3):
            session.add(type(draft)(draft_id=f"other {number}"))
        session.add(draft)
        session.commit()


def written_in_a_transaction(draft: Draft) -> None:
    with transaction():
        draft.save()


WRITES = ("PutItem", "UpdateItem", "BatchWriteItem", "TransactWriteItems")


def during_the_next_write(manager: Manager, change: Callable[[], object]) -> None:
    """Has a change made after DynamoDB has answered the next write, and before the library looks at the reply."""
    changes = [change]

    @manager.on_request
    def change_once(sent: Any) -> None:
        if sent.operation in WRITES and changes:
            changes.pop()()


def write_note_elsewhere(manager: Manager, draft: Draft) -> None:
    """Another program writes a field, so that the reply is not the item that the save expects."""
    prefix = "cdv" if isinstance(draft, Versioned) else "cds"
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": f"{prefix}#{draft.draft_id}"}, "_sk": {"S": prefix}},
        UpdateExpression="SET note = :note",
        ExpressionAttributeValues={":note": {"S": "of another program"}},
    )


LATER: dict[str, tuple[Callable[[Draft], object], dict[str, object]]] = {
    "the same field": (lambda draft: setattr(draft, "title", "later"), {"title": "later"}),
    "the same field, as it was": (lambda draft: setattr(draft, "title", "a title"), {"title": "a title"}),
    "another field": (lambda draft: setattr(draft, "author", "later"), {"author": "later"}),
    "the field of another program": (lambda draft: setattr(draft, "note", "later"), {"note": "later"}),
    "a list in place": (lambda draft: draft.lines.append("later"), {"lines": ["later"]}),
    "a map in place": (lambda draft: draft.places.update(a="later"), {"places": {"a": "later"}}),
    "a set in place": (lambda draft: draft.tags.add("later"), {"tags": {"later"}}),
    "another set": (lambda draft: setattr(draft, "tags", {"new"}), {"tags": {"new"}}),
    "a counter": (lambda draft: setattr(draft, "reads", draft.reads + 5), {"reads": 6}),
}


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "beside another program"])
@pytest.mark.parametrize("write", [saved, committed])
@pytest.mark.parametrize("model", [Draft, Versioned])
def test_a_change_during_a_save_is_saved_next(
    drafts: Manager, model: type[Draft], write: Callable[[Draft], None], is_alone: bool, later: str
) -> None:
    change, changes = LATER[later]
    draft = model.create(draft_id="d", tags={"red"} if later == "another set" else set())
    if not is_alone:
        write_note_elsewhere(drafts, draft)
    draft.title, draft.reads = "first", 1
    during_the_next_write(drafts, lambda: change(draft))
    write(draft)
    assert draft.changes() == changes
    draft.save()
    stored = model.find("d")
    expected = {
        "title": "first",
        "reads": 1,
        "note": "a note" if is_alone else "of another program",
    } | changes
    assert {name: getattr(stored, name) for name in expected} == expected
    assert {name: getattr(draft, name) for name in expected} == expected and not draft.has_changes()


def test_a_set_that_was_assigned_during_a_save_replaces_the_stored_one(drafts: Manager) -> None:
    """It is no change of single members."""
    draft = Draft.create(draft_id="d", tags={"red"})
    draft.title = "first"
    during_the_next_write(drafts, lambda: setattr(draft, "tags", {"new"}))
    draft.save()
    Draft.update("d", tags=AddMembers({"green"}))
    draft.save()
    assert Draft.find("d").tags == draft.tags == {"new"}


@pytest.mark.parametrize("was_read", [True, False])
@pytest.mark.parametrize("name", ["title", "lines"])
def test_another_write_of_the_object_during_a_save_invents_no_change(
    drafts: Manager, name: str, was_read: bool
) -> None:
    """The object is read again, because nobody knows which of the two replies is newer."""
    Draft.create(draft_id="d")
    with run_with_batch_context():
        draft = Draft.find("d")
        assert not was_read or draft.reads == 0
        setattr(draft, name, "first" if name == "title" else ["first"])
        during_the_next_write(drafts, lambda: Draft.increment("d", reads=4))
        draft.save()
        assert (draft.reads, draft.changes()) == (4, {})
        draft.save()
        assert Draft.find("d", bypass_cache=True).reads == 4


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("write", [saved, committed, committed_among_others, written_in_a_transaction])
@pytest.mark.parametrize("model", [Draft, Versioned])
def test_a_change_during_a_creation_is_saved_next(
    drafts: Manager, model: type[Draft], write: Callable[[Draft], None], later: str
) -> None:
    change, changes = LATER[later]
    draft = model(draft_id="d", title="first", reads=1)
    during_the_next_write(drafts, lambda: change(draft))
    write(draft)
    assert draft.changes() == changes
    draft.save()
    stored = model.find("d")
    expected = {"title": "first", "reads": 1} | changes
    assert {name: getattr(stored, name) for name in expected} == expected and not draft.has_changes()


@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "beside another program"])
@pytest.mark.parametrize("write", [saved, committed])
def test_a_change_inside_a_document_that_is_being_saved_is_saved_next(
    drafts: Manager, write: Callable[[Draft], None], is_alone: bool
) -> None:
    draft = Draft.create(draft_id="d", lines=["one"], places={"a": "b"})
    if not is_alone:
        write_note_elsewhere(drafts, draft)
    draft.lines.append("two")
    draft.places["c"] = "d"

    def change() -> None:
        draft.lines.append("three")
        draft.places.update(a="x", e="f")

    during_the_next_write(drafts, change)
    write(draft)
    expected = {"lines": ["one", "two", "three"], "places": {"a": "x", "c": "d", "e": "f"}}
    assert draft.changes() == expected
    assert Draft.find("d").lines == ["one", "two"] and Draft.find("d").places == {"a": "b", "c": "d"}
    draft.save()
    stored = Draft.find("d")
    assert {"lines": stored.lines, "places": stored.places} == expected and not draft.has_changes()


@pytest.mark.parametrize("name", ["title", "author"])
def test_a_change_during_the_save_of_an_object_that_was_never_read_is_saved_next(
    drafts: Manager, name: str
) -> None:
    """It has its key and what was assigned."""
    Draft.create(draft_id="d")
    with run_with_batch_context():
        draft = Draft.find("d")
        draft.title = "first"
        during_the_next_write(drafts, lambda: setattr(draft, name, "later"))
        draft.save()
        assert getattr(draft, name) == "later" and draft.note == "a note"
        draft.save()
        stored = Draft.find("d", bypass_cache=True)
        assert getattr(stored, name) == "later" and stored.title == ("later" if name == "title" else "first")


@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "beside another program"])
def test_what_others_counted_before_a_save_is_no_change_during_it(drafts: Manager, is_alone: bool) -> None:
    """A save adds to what is stored, and the object then has the sum. The next save sends nothing."""
    Draft.create(draft_id="d", tags={"red"})
    with run_with_batch_context():
        draft = Draft.find("d")
        draft.reads += 1
        draft.tags.add("green")
        Draft.increment("d", reads=4)
        assert draft.reads == 1
        if not is_alone:
            write_note_elsewhere(drafts, draft)
        draft.save()
        assert (draft.reads, draft.tags, draft.changes()) == (5, {"red", "green"}, {})
        draft.save()
        assert Draft.find("d", bypass_cache=True).reads == 5


def test_a_change_that_was_taken_back_is_none_after_others_have_counted(drafts: Manager) -> None:
    """The object has the sum after its next save, and the save after that sends nothing."""
    Draft.create(draft_id="d")
    with run_with_batch_context():
        draft = Draft.find("d")
        draft.reads += 5
        Draft.increment("d", reads=4)
        draft.reads -= 5
        draft.title = "new"
        draft.save()
        assert (draft.reads, draft.changes()) == (4, {})
        draft.save()
        assert Draft.find("d", bypass_cache=True).reads == 4


def test_a_save_leaves_the_program_its_own_lists_and_maps(drafts: Manager) -> None:
    """What is added later to a list that the program got before is saved too."""
    draft = Draft.create(draft_id="d")
    lines, places, tags = draft.lines, draft.places, draft.tags
    for name in ("one", "two"):
        lines.append(name)
        places[name] = name
        tags.add(name)
        draft.save()
    assert draft.lines is lines and draft.places is places and draft.tags is tags
    stored = Draft.find("d")
    assert (stored.lines, stored.places, stored.tags) == (lines, places, tags) and len(lines) == 2


@pytest.mark.parametrize("content", ["two", {"pages": [1]}, ["a", {"b": None}]], ids=str)
def test_a_value_that_is_encoded_differently_each_time_is_no_change(drafts: Manager, content: object) -> None:
    letter = Letter(letter_id="l", content=content)
    letter.save()
    assert not letter.has_changes()
    letter.content = ["new", content]
    letter.save()
    assert not letter.has_changes()
    letter.content = content
    with run_with_batch_context() as session:
        session.add(letter)
        session.commit()
    assert not letter.has_changes()
    assert letter.content == Letter.find("l").content == content
