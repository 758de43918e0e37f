"""Writes: no fragments, no lost increments, no clashes of names, true counts and errors that say what failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dynamo_bao import (
    BaoError,
    ConditionalError,
    CounterField,
    DateTimeField,
    Index,
    IntegerField,
    ItemNotFoundError,
    Manager,
    Model,
    ModifiedDateField,
    PrimaryKey,
    QueryError,
    StringField,
    UniqueConstraint,
    UniqueConstraintError,
    init_models,
    run_with_batch_context,
)
from tests.support.wire import Wire

Raw = Callable[[str], dict[str, Any]]

UTC = timezone.utc


class DxPaper(Model, prefix="x3a"):
    key: str = StringField()
    name: str = StringField(default="")
    n1: str = StringField(default="")
    pk: str = StringField(default="")
    status: str | None = StringField(default=None)
    age: int | None = IntegerField(default=None)
    due: datetime | None = DateTimeField(default=None)

    primary_key = PrimaryKey("key")


class DxTally(Model, prefix="x3b"):
    key: str = StringField()
    votes: int = CounterField(default=10)
    text: str = StringField(default="")

    primary_key = PrimaryKey("key")


class DxEdited(Model, prefix="x3c"):
    key: str = StringField()
    text: str = StringField(default="")
    modified: datetime = ModifiedDateField()

    primary_key = PrimaryKey("key")
    by_text = Index("text", "modified", id="gsi1")


class DxEvent(Model, prefix="x3d"):
    place: str = StringField()
    moment: datetime = DateTimeField()
    rank: int = IntegerField(default=0)

    primary_key = PrimaryKey("place", "moment")
    events = primary_key
    by_rank = Index("place", "rank", id="gsi1")


class DxMember(Model, prefix="x3e"):
    key: str = StringField()
    born: datetime | None = DateTimeField(default=None)
    number: int | None = IntegerField(default=None)
    text: str = StringField(default="")

    primary_key = PrimaryKey("key")
    unique_born = UniqueConstraint("born", id="uc1")
    unique_number = UniqueConstraint("number", id="uc2")


class DxRenamed(Model, prefix="x3f", name="DxFormer"):
    key: str = StringField()
    number: int | None = IntegerField(default=None)

    primary_key = PrimaryKey("key")
    unique_number = UniqueConstraint("number", id="uc1")


MODELS = [DxRenamed, DxPaper, DxTally, DxEdited, DxEvent, DxMember]


@pytest.mark.defect(17)
def test_no_fragments(manager: Manager, raw: Raw) -> None:
    """An update neither brings a deleted item back, nor changes a key; a conditional create never overwrites."""
    paper = DxPaper.create(key="a", name="one")
    DxPaper.delete("a")
    paper.name = "two"
    with pytest.raises(ItemNotFoundError):
        paper.save()
    with pytest.raises(ItemNotFoundError):
        DxPaper.update("a", name="three")
    assert raw("x3a#a") == {}
    DxPaper.create(key="b", name="one")
    start = datetime(2030, 1, 1, tzinfo=UTC)
    DxEvent.create(place="p", moment=start)
    with pytest.raises(BaoError):
        DxEvent.update(("p", start), place="q")
    assert raw("x3d#p")["place"] == {"S": "p"}
    assert raw("x3d#q") == {}
    with pytest.raises(ConditionalError):
        DxPaper(key="b", name="two").save(condition={"name": "one"})
    assert DxPaper.find("b").name == "one"


@pytest.mark.defect(18)
def test_unset_date(manager: Manager, raw: Raw) -> None:
    """An unset optional date is no error for a save, and None clears it."""
    paper = DxPaper(key="a").save()
    paper.save(force_reindex=True)
    paper.due = datetime(2030, 1, 1, tzinfo=UTC)
    paper.save()
    assert "due" in raw("x3a#a")
    DxPaper.update("a", due=None)
    assert "due" not in raw("x3a#a")


@pytest.mark.defect(19)
def test_counters(manager: Manager) -> None:
    """An increment on an instance is an atomic addition to what is stored, and a reindexing undoes none."""
    tally = DxTally.create(key="a")
    assert tally.votes == 10
    other = DxTally.find("a")
    tally.votes += 1
    other.votes += 2
    tally.save()
    other.save()
    assert DxTally.find("a").votes == 13
    tally.save(force_reindex=True)
    assert DxTally.find("a").votes == 13


@pytest.mark.defect(20)
def test_names_of_fields(manager: Manager) -> None:
    """Fields named as placeholders might be are written and compared as themselves."""
    paper = DxPaper.create(key="a", name="name", n1="n1", pk="pk")
    paper.n1 = "changed"
    paper.save(condition={"name": "name"})
    DxPaper.update("a", condition={"pk": "pk", "n1": "changed"}, pk="changed")
    found = DxPaper.find("a")
    assert (found.name, found.n1, found.pk) == ("name", "changed", "changed")


@pytest.mark.defect(21)
def test_negations_and_empty_groups(manager: Manager) -> None:
    """A negation covers all it stands before, and empty groups and lists are errors or have their plain meaning."""
    for key, status, age in (("a", "x", 1), ("b", "x", 2), ("c", "y", 2)):
        DxPaper.create(key=key, status=status, age=age)
    neither = {"$not": {"status": "x", "age": 1}}
    with pytest.raises(ConditionalError):
        DxPaper.update("a", condition=neither, name="changed")
    for key in "bc":
        assert DxPaper.update(key, condition=neither, name="changed").name == "changed"
    for empty in ({"$or": []}, {"$and": []}, {"$not": {}}, {"status": {"$in": []}}, {"status": ["x"]}):
        with pytest.raises(QueryError):
            DxPaper.update("a", condition=empty, name="empty")
    for always in ({}, {"$and": [{}]}, {"$or": [{}, {"status": "gone"}]}):
        assert DxPaper.update("a", condition=always, name="holds for every item").name
    with pytest.raises(
        ConditionalError
    ):  # a field that is absent, though it has a default: None means absence
        DxPaper.update("a", condition={"status": {"$eq": None}}, name="changed")


@pytest.mark.defect(22)
def test_modified_date_as_operand(manager: Manager) -> None:
    """A condition on a modification date compares with the date given, and its index key is what is stored."""
    edited = DxEdited.create(key="a", text="t")
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert DxEdited.update("a", condition={"modified": {"$gt": epoch}}, text="u").text == "u"
    edited = DxEdited.find("a")
    assert [one.key for one in DxEdited.by_text.query("u", {"modified": edited.modified})] == ["a"]
    assert [one.key for one in DxEdited.by_text.query("u", {"modified": {"$gt": epoch}})] == ["a"]


@pytest.mark.defect(23)
def test_key_conditions(manager: Manager) -> None:
    """A key condition takes $eq, a date, and both ends of a range."""
    start = datetime(2030, 1, 1, tzinfo=UTC)
    for rank in range(5):
        DxEvent.create(place="p", moment=start + timedelta(days=rank), rank=rank)
    assert [one.rank for one in DxEvent.by_rank.query("p", {"rank": {"$eq": 3}})] == [3]
    assert [one.rank for one in DxEvent.by_rank.query("p", {"rank": {"$gt": 1, "$lt": 4}})] == [2, 3]
    assert [one.rank for one in DxEvent.events.query("p", {"moment": start})] == [0]


@pytest.mark.defect(24)
def test_sort_condition_of_the_primary_key(manager: Manager) -> None:
    """A query of a composite primary key takes a condition on its sort key."""
    start = datetime(2030, 1, 1, tzinfo=UTC)
    for rank in range(3):
        DxEvent.create(place="p", moment=start + timedelta(days=rank), rank=rank)
    assert [one.rank for one in DxEvent.events.query("p", {"moment": {"$gt": start}})] == [1, 2]


@pytest.mark.defect(25)
def test_a_count_is_of_all_pages(manager: Manager) -> None:
    """A count counts every match, not those of one page."""
    start = datetime(2030, 1, 1, tzinfo=UTC)
    for number in range(130):
        DxEvent.create(place="p", moment=start + timedelta(days=number), rank=number)
    assert DxEvent.by_rank.query("p", count_only=True).count == 130
    assert DxEvent.by_rank.query("p", count_only=True, page_size=7).count == 130
    assert len(DxEvent.by_rank.query("p")) == 130


@pytest.mark.defect(26)
def test_consistent_reads(manager: Manager, wire: Wire) -> None:
    """Where a write or a unique look-up has to read, it reads consistently."""
    DxMember.create(key="a", number=1)
    wire.clear()
    DxMember.update("a", number=2, text="new")
    DxMember.unique_number.find(2)
    DxMember.delete("a")
    reads = [body for operation, body in wire.sent if operation == "GetItem"]
    assert reads
    assert all(body.get("ConsistentRead") for body in reads)


@pytest.mark.defect(27)
def test_capacity(manager: Manager, wire: Wire) -> None:
    """The capacity of a context is the sum of what the replies said, unique look-ups without a match included."""
    DxPaper.create(key="a")
    with run_with_batch_context() as session:
        assert DxPaper.find("a").exists()
        read = session.stats.read_capacity
        assert (read > 0, session.stats.write_capacity) == (True, 0)
        DxPaper.update("a", name="new")
        DxPaper.update("a", name="newer")
        assert session.stats.read_capacity == read
        assert session.stats.write_capacity > 0
        assert DxMember.unique_number.find(99) is None
        assert session.stats.read_capacity > read


@pytest.mark.defect(28)
def test_stored_unique_values(manager: Manager) -> None:
    """A unique date, or zero, is found by its value and free again after a delete."""
    born = datetime(1969, 7, 20, tzinfo=UTC)
    DxMember.create(key="a", born=born, number=0)
    found = DxMember.unique_born.find(born), DxMember.unique_number.find(0)
    assert [one and one.key for one in found] == ["a", "a"]
    DxMember.delete("a")
    assert DxMember.create(key="b", born=born, number=0).exists()


@pytest.mark.defect(29)
def test_renamed_class(manager: Manager, raw: Raw) -> None:
    """The name that unique constraints store can stay when the class gets another one."""
    DxMember.create(key="a", number=1)
    assert raw("_raft_uc#_uc2#x3e#number:1")["relatedModel"] == {"S": "DxMember"}
    DxRenamed.create(key="a", number=1)
    assert raw("_raft_uc#_uc1#x3f#number:1")["relatedModel"] == {"S": "DxFormer"}
    DxRenamed.update("a", number=2)
    DxRenamed.delete("a")
    assert raw("_raft_uc#_uc1#x3f#number:2") == {}


@pytest.mark.defect(30)
def test_errors_of_transactions(manager: Manager) -> None:
    """A write of several items that is refused says which value or item was the reason."""
    DxMember.create(key="a", number=1)
    DxMember.create(key="b", number=2)
    with pytest.raises(UniqueConstraintError) as caught:
        DxMember.update("b", number=1)
    assert (caught.value.field, caught.value.value) == ("number", 1)
    with pytest.raises(ConditionalError):
        DxMember.delete("b", condition={"text": "other"})
    assert DxMember.unique_number.find(2) is not None
    DxMember.delete("b")
    with pytest.raises(ItemNotFoundError):
        DxMember.delete("b")


class DxBallot(Model, prefix="x3z"):
    key: str = StringField()
    votes: int = CounterField(default=10)
    text: str = StringField(default="")

    primary_key = PrimaryKey("key")
    by_votes = Index("text", "votes", id="gsi1")


@pytest.mark.defect(19)
def test_a_counter_that_is_an_index_key() -> None:
    """Two holders that count up are both counted, and the index key is the counter's."""
    with init_models(models=[DxBallot], embedded=True):
        tally = DxBallot.create(key="a", text="t")
        other = DxBallot.find("a")
        tally.votes += 1
        other.votes += 2
        tally.save()
        other.save()
        assert DxBallot.find("a").votes == 13
        assert DxBallot.increment("a", votes=2).votes == 15
        assert [row.key for row in DxBallot.by_votes.query("t", {"votes": 15})] == ["a"]
