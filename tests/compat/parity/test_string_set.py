"""string-set.test.js: sets of texts."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao import (
    ConfigurationError,
    Index,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    StringField,
    StringSetField,
    UlidField,
    ValidationError,
)
from tests.support.one_table import Raw
from tests.support.wire import Wire


class Document(Model, prefix="sst", name="SsDocument"):
    document_id: str = UlidField(auto_assign=True)
    title: str = StringField(default="untitled")
    category: str = StringField(default="all")
    tags: set[str] = StringSetField(max_member_count=10, max_string_length=50)
    readers: set[str] = StringSetField()

    primary_key = PrimaryKey("document_id")
    by_category = Index("category", "document_id", id="gsi1")


MODELS = [Document]

pytestmark = pytest.mark.usefixtures("manager")


def stored(document: Document) -> set[str]:
    """The tags that a find outside any context gives."""
    return Document.find(document.document_id).tags


def test_01_sets() -> None:
    """Sets are stored and read as sets."""
    document = Document.create(tags={"a", "b"}, readers={"ada"})
    assert document.tags == {"a", "b"}
    found = Document.find(document.document_id)
    assert (found.tags, found.readers) == ({"a", "b"}, {"ada"})
    assert type(found.tags) is set


def test_02_lists() -> None:
    """Lists are accepted and become sets."""
    document = Document.create(tags=["a", "b", "a"])
    assert document.tags == {"a", "b"}
    assert stored(document) == {"a", "b"}


def test_03_empty() -> None:
    """An empty set reads as an empty set."""
    document = Document.create(tags=set())
    assert document.tags == set()
    assert stored(document) == set()


def test_04_unset(raw: Raw) -> None:
    """A set that was not given, or given as None, reads as an empty set."""
    for document in (Document.create(), Document.create(tags=None)):
        assert document.tags == set()
        assert stored(document) == set()
        assert "tags" not in raw(f"sst#{document.document_id}")


def refused(message: str, tags: Any) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        Document.create(tags=tags)
    assert caught.value.field == "tags"
    document = Document.create()
    document.tags = tags
    with pytest.raises(ValidationError, match=message):
        document.save()
    assert stored(document) == set()


def test_05_too_many_members() -> None:
    """More members than allowed are refused."""
    refused("11 members, at most 10", {str(number) for number in range(11)})
    assert len(Document.create(tags={str(number) for number in range(10)}).tags) == 10


def test_06_too_long_members() -> None:
    """A member longer than allowed is refused."""
    refused("tags", {"x" * 51})


def test_07_members_as_long_as_allowed() -> None:
    """One exactly as long is fine."""
    assert stored(Document.create(tags={"x" * 50})) == {"x" * 50}


def test_08_members_are_texts() -> None:
    """A number is no member."""
    refused("tags", {"a", 1})
    refused("tags", "text")


@pytest.fixture
def library(manager: Manager) -> None:
    """Three documents with 1 to 3 tags."""
    for title, tags in (("one", "a"), ("three", "abc"), ("also three", "cde")):
        Document.create(title=title, tags=set(tags))


def found(condition: Any) -> list[str]:
    return [one.title for one in Document.query_by_index("by_category", "all", filter=condition)]


@pytest.mark.usefixtures("library")
def test_09_contains() -> None:
    """$contains finds the sets with a member."""
    assert found({"tags": {"$contains": "a"}}) == ["one", "three"]


@pytest.mark.usefixtures("library")
def test_10_size() -> None:
    """$size with a number finds the sets of that size."""
    assert found({"tags": {"$size": 3}}) == ["three", "also three"]


@pytest.mark.usefixtures("library")
def test_11_size_compared() -> None:
    """$size takes a comparison."""
    assert found({"tags": {"$size": {"$gt": 1}}}) == ["three", "also three"]


@pytest.mark.usefixtures("library")
def test_12_size_of_one() -> None:
    """$size finds sets of one member, among empty ones too."""
    Document.create(title="none")
    assert found({"tags": {"$size": 1}}) == ["one"]


@pytest.mark.usefixtures("library")
def test_13_empty_sets_do_not_exist() -> None:
    """Empty sets are those that do not exist."""
    Document.create(title="none")
    assert found({"tags": {"$exists": False}}) == ["none"]


@pytest.mark.usefixtures("library")
def test_14_contains_and_size() -> None:
    """Both together must hold."""
    assert found({"tags": {"$contains": "a", "$size": 3}}) == ["three"]
    assert found({"$and": [{"tags": {"$contains": "c"}}, {"tags": {"$size": {"$gte": 3}}}]}) == [
        "three",
        "also three",
    ]


def test_15_add(wire: Wire) -> None:
    """A member added in place is sent as an addition, and stored."""
    document = Document.create(tags={"a"})
    document.tags.add("b")
    document.save()
    assert wire.sent[-1][1]["UpdateExpression"].startswith("ADD ")
    assert stored(document) == {"a", "b"}


def test_16_remove(wire: Wire) -> None:
    """A member removed in place is sent as a removal, and gone."""
    document = Document.create(tags={"a", "b"})
    document.tags.remove("a")
    document.save()
    assert wire.sent[-1][1]["UpdateExpression"].startswith("DELETE ")
    assert stored(document) == {"b"}


def test_17_replace() -> None:
    """An assigned set replaces the stored one (right, not as JavaScript: defect 59)."""
    document = Document.create(tags={"a"})
    Document.update(document.document_id, tags={"a", "b"})
    document.tags = {"a", "c"}
    document.save()
    assert stored(document) == {"a", "c"}


def test_18_assign_empty(raw: Raw) -> None:
    """An assigned empty set clears the stored one."""
    document = Document.create(tags={"a"})
    document.tags = set()
    document.save()
    assert stored(document) == set()
    assert "tags" not in raw(f"sst#{document.document_id}")


def test_19_add_and_remove() -> None:
    """Additions and removals in one save both happen, and another's addition meanwhile stays."""
    document = Document.create(tags={"a", "b"})
    other = Document.find(document.document_id)
    other.tags.add("by another")
    other.save()
    document.tags.add("c")
    document.tags.discard("a")
    document.save()
    assert stored(document) == {"b", "c", "by another"}


def test_20_changes_in_place() -> None:
    """Changes in place count as changes of the field."""
    document = Document.create(tags={"a"})
    assert not document.has_changes()
    document.tags.add("b")
    assert document.has_changes()
    assert document.changes() == {"tags": {"a", "b"}}
    document.tags.discard("b")
    assert not document.has_changes()


def test_21_clear() -> None:
    """clear() and a save leave nothing."""
    document = Document.create(tags={"a", "b"})
    document.tags.clear()
    document.save()
    assert stored(document) == set()


def test_22_read_change_assign() -> None:
    """Reading, changing and assigning back works as well."""
    document = Document.create(tags={"a"})
    tags = document.tags
    tags.add("b")
    document.tags = tags
    assert document.has_changes()
    document.save()
    assert stored(document) == {"a", "b"}


def test_23_no_partition_key() -> None:
    """A set cannot be the partition key of an index."""
    with pytest.raises(ConfigurationError, match="StringSetField cannot be a key"):

        class Wrong(Model, prefix="ssw", name="SsWrong"):
            document_id: str = UlidField(auto_assign=True)
            tags: set[str] = StringSetField()

            primary_key = PrimaryKey("document_id")
            by_tags = Index("tags", "document_id", id="gsi1")


def test_24_no_sort_key() -> None:
    """Nor the sort key."""
    with pytest.raises(ConfigurationError, match="StringSetField cannot be a key"):

        class Wrong(Model, prefix="ssw", name="SsWrong"):
            document_id: str = UlidField(auto_assign=True)
            tags: set[str] = StringSetField()

            primary_key = PrimaryKey("document_id")
            by_tags = Index("document_id", "tags", id="gsi1")


def test_25_unsupported_operators(wire: Wire) -> None:
    """An operator that sets do not know is a QueryError."""
    with pytest.raises(QueryError, match="tags"):
        found({"tags": {"$gt": "a"}})
    with pytest.raises(QueryError, match="tags"):
        found({"tags": {"$begins_with": "a"}})
    assert len(wire) == 0


def test_26_sizes_are_numbers(wire: Wire) -> None:
    """$size takes whole numbers."""
    for operand in ("three", 1.5, {"$gt": "1"}, None):
        with pytest.raises(ValidationError, match=r"\$size"):
            found({"tags": {"$size": operand}})
    assert len(wire) == 0


@pytest.mark.usefixtures("library")
def test_27_negative_sizes() -> None:
    """No set has a negative size."""
    assert found({"tags": {"$size": -1}}) == []
