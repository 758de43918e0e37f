"""search.test.js: searches of a model's text."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dynamo_bao import (
    ConditionalError,
    ConfigurationError,
    Index,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    SearchConfig,
    StringField,
    TenantContext,
)
from tests.support.one_table import Raw
from tests.support.wire import Wire

BUCKETS = 3


class Note(
    Model,
    prefix="sea",
    name="SeaNote",
    iterable=True,
    iteration_buckets=BUCKETS,
    searchable=["title", "body"],
):
    note_id: str = StringField()
    title: str | None = StringField(default=None)
    body: str | None = StringField(default=None)
    status: str = StringField(default="draft")

    primary_key = PrimaryKey("note_id")


class Loose(Model, prefix="sel", name="SeaLoose", searchable=["text"]):
    loose_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("loose_id")


class Plain(Model, prefix="sep", name="SeaPlain", iterable=True):
    plain_id: str = StringField()

    primary_key = PrimaryKey("plain_id")


class Cased(
    Model,
    prefix="sec",
    name="SeaCased",
    iterable=True,
    searchable=SearchConfig(["text"], case_sensitive=True),
):
    cased_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("cased_id")


class Deduped(
    Model, prefix="sed", name="SeaDeduped", iterable=True, searchable=SearchConfig(["text"], dedupe=True)
):
    deduped_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("deduped_id")


class Long(
    Model, prefix="sem", name="SeaLong", iterable=True, searchable=SearchConfig(["text"], min_term_length=3)
):
    long_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("long_id")


class Shelved(Model, prefix="ses", name="SeaShelved", searchable=["text"]):
    shelf: str = StringField()
    number: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("shelf", "number")
    by_shelf = Index("shelf", "number", id="gsi1")


MODELS = [Note, Loose, Plain, Cased, Deduped, Long, Shelved]


def ids(result: Any) -> list[str]:
    return sorted(one.primary_id for one in result)


@pytest.fixture
def fruit(manager: Manager) -> None:
    """Three notes."""
    Note.create(note_id="a", title="Red apple", body="sweet")
    Note.create(note_id="b", title="Red cherry", body="sour", status="done")
    Note.create(note_id="c", title="苹果手机", body="new")


@pytest.fixture
def foxes(manager: Manager) -> list[str]:
    """Twelve notes that match, their ids."""
    return [Note.create(note_id=f"{number:02}", title="fox").note_id for number in range(12)]


@pytest.mark.usefixtures("fruit")
def test_01_one_term() -> None:
    """A term finds the item that has it, with nothing left to go on with."""
    result = Note.search_all(["Apple"])
    assert (ids(result), result.cursor) == (["a"], None)


@pytest.mark.usefixtures("fruit")
def test_02_and() -> None:
    """$and needs every term."""
    assert ids(Note.search_all(["red", "sour"], "$and")) == ["b"]


@pytest.mark.usefixtures("fruit")
def test_03_or() -> None:
    """$or needs one of them."""
    assert ids(Note.search_all(["sweet", "sour"], "$or")) == ["a", "b"]


@pytest.mark.usefixtures("fruit")
def test_04_other_fields() -> None:
    """Other fields are filtered by in the loop, or by a function."""
    assert [note.note_id for note in Note.search_all(["red"]) if note.status == "done"] == ["b"]
    assert ids(Note.search_all(["red"], filter=lambda note: note.status == "done")) == ["b"]


@pytest.mark.usefixtures("fruit")
def test_05_no_match() -> None:
    """Without a match there is nothing, and no cursor."""
    result = Note.search_all(["zebra"])
    assert (result.items, result.cursor) == ([], None)


@pytest.mark.usefixtures("fruit")
def test_06_chinese() -> None:
    """A part of a Chinese text is found."""
    assert ids(Note.search_all(["苹果"])) == ["c"]


def test_07_all_buckets(foxes: list[str]) -> None:
    """The buckets searched at once give the same as search_all."""
    with ThreadPoolExecutor(3) as threads:
        found = threads.map(lambda bucket: ids(Note.search_bucket(bucket, ["fox"])), range(3))
        assert sorted(name for names in found for name in names) == ids(Note.search_all(["fox"])) == foxes


def test_08_limit(foxes: list[str]) -> None:
    """The limit is one of all buckets together."""
    result = Note.search_all(["fox"], limit=5)
    assert len(set(ids(result))) == len(result) == 5
    assert result.cursor is not None


def test_09_default_limit(manager: Manager) -> None:
    """Without a word about it the limit is 100, and a cursor gives the rest."""
    for number in range(110):
        Note.create(note_id=f"{number:03}", title="fox")
    first = Note.search_all(["fox"])
    assert len(set(ids(first))) == len(first) == 100
    assert len({*ids(first), *ids(Note.search_all(["fox"], cursor=first.cursor))}) == 110


def test_10_no_limit(foxes: list[str]) -> None:
    """Without a limit all matches are given."""
    for limit in (None, math.inf):
        assert ids(Note.search_all(["fox"], limit=limit)) == foxes


def test_11_limit_and_batches(foxes: list[str]) -> None:
    """It is kept to whatever the batches bring."""
    result = Note.search_all(["fox"], limit=7, batch_size=5)
    assert len(result) == 7
    assert result.cursor is not None


def test_12_one_bucket_after_the_other(manager: Manager, wire: Wire) -> None:
    """With parallel=1 the buckets after the one that reached the limit are not asked."""
    for number in range(30):
        Note.create(note_id=f"{number:02}", title="fox")
    wire.clear()
    assert len(Note.search_all(["fox"], limit=2, parallel=1)) == 2
    assert wire.operations.count("Query") < BUCKETS


def test_13_limit_of_a_bucket(manager: Manager) -> None:
    """The limit holds for a search of one bucket."""
    for number in range(30):
        Note.create(note_id=f"{number:02}", title="fox")
    result = Note.search_bucket(0, ["fox"], limit=3)
    assert len(result) == 3
    assert result.cursor is not None


def test_14_wrong_limits(wire: Wire) -> None:
    """A wrong limit is refused before any request."""
    for limit in (0, -1, 1.5, math.nan, "10"):
        with pytest.raises(QueryError, match="limit"):
            Note.search_all(["fox"], limit=limit)
    assert len(wire) == 0


def test_15_many_pages(manager: Manager, wire: Wire) -> None:
    """Small batches find each match once, with several requests to a bucket."""
    for number in range(75):
        Note.create(note_id=f"{number:02}", title="hen" if number % 3 == 0 else "fox")
    wire.clear()
    found = ids(Note.search_all(["fox"], limit=None, batch_size=5))
    assert found == [f"{number:02}" for number in range(75) if number % 3]
    assert wire.operations.count("Query") > BUCKETS


def test_16_empty_pages(manager: Manager) -> None:
    """Pages without a match are passed over."""
    for number in range(80):
        Note.create(note_id=f"{number:02}", title="fox" if number % 16 == 0 else "hen")
    assert ids(Note.search_all(["fox"], batch_size=2)) == ["00", "16", "32", "48", "64"]


def test_17_case_sensitive(manager: Manager, raw: Raw) -> None:
    """With case_sensitive the text is stored with its case, and only a term of that case matches."""
    Cased.create(cased_id="1", text="Red Apple")
    assert raw("sec#1")["_searchText"] == {"S": "Red Apple"}
    assert [ids(Cased.search_all([term])) for term in ("Apple", "apple")] == [["1"], []]


def test_18_dedupe(manager: Manager, raw: Raw) -> None:
    """With dedupe each word is stored once, and found."""
    Deduped.create(deduped_id="1", text="foo bar foo baz bar")
    assert raw("sed#1")["_searchText"] == {"S": "foo bar baz"}
    assert ids(Deduped.search_all(["baz"])) == ["1"]


def test_19_min_term_length(manager: Manager, raw: Raw, wire: Wire) -> None:
    """With min_term_length short words are neither stored nor searched for; a search for nothing else is refused."""
    Long.create(long_id="1", text="an ox and a fox")
    assert raw("sem#1")["_searchText"] == {"S": "and fox"}
    assert ids(Long.search_all(["ox", "fox"])) == ["1"]
    wire.clear()
    with pytest.raises(QueryError, match="3 or more"):
        Long.search_all(["ox"])
    assert len(wire) == 0


@pytest.mark.usefixtures("fruit")
def test_20_iterate_all() -> None:
    """iterate_all by the search text finds the normalised term."""
    batches = Note.iterate_all(filter={"_searchText": {"$contains": "RED, Apple!"}})
    assert [note.note_id for batch in batches for note in batch] == ["a"]


@pytest.mark.usefixtures("fruit")
def test_21_iterate_all_and_more() -> None:
    """Several conditions on the text hold together; those on other fields are for the loop."""
    asked = {"$and": [{"_searchText": {"$contains": "red"}}, {"_searchText": {"$contains": "sour"}}]}
    found = [note for batch in Note.iterate_all(filter=asked) for note in batch]
    assert [(note.note_id, note.status) for note in found] == [("b", "done")]


@pytest.mark.usefixtures("fruit")
def test_22_another_field(raw: Raw) -> None:
    """An update of another field keeps the text."""
    Note.update("a", status="done")
    assert raw("sea#a")["_searchText"] == {"S": "red apple sweet"}


@pytest.mark.usefixtures("fruit")
def test_23_a_source_field() -> None:
    """After an update of a field the old word is gone, the new one and those of other fields are found."""
    Note.update("a", title="Green pear")
    found = {term: ids(Note.search_all([term])) for term in ("apple", "pear", "sweet")}
    assert found == {"apple": [], "pear": ["a"], "sweet": ["a"]}


@pytest.mark.usefixtures("fruit")
def test_24_cleared_sources(raw: Raw) -> None:
    """With all fields cleared the item is not found any more."""
    Note.update("a", title=None, body=None)
    assert ids(Note.search_all(["apple"])) == []
    assert "_searchText" not in raw("sea#a")


def test_25_not_iterable(manager: Manager, raw: Raw) -> None:
    """A model that is not iterable stores the text as well."""
    Loose.create(loose_id="1", text="Some Text")
    assert raw("sel#1")["_searchText"] == {"S": "some text"}


def test_26_search_needs_iteration(wire: Wire) -> None:
    """It cannot be searched, though."""
    with pytest.raises(ConfigurationError, match="not configured as iterable"):
        Loose.search_all(["text"])
    assert len(wire) == 0


@pytest.mark.usefixtures("fruit")
def test_27_a_condition() -> None:
    """A condition on the text guards an update; its value is normalised."""
    Note.update("a", condition={"_searchText": {"$contains": "APPLE!"}}, status="eaten")
    with pytest.raises(ConditionalError):
        Note.update("a", condition={"_searchText": {"$contains": "pear"}}, status="kept")
    assert Note.find("a").status == "eaten"


@pytest.fixture
def shelves(manager: Manager) -> None:
    """Items of two partitions."""
    for shelf in "ab":
        Shelved.create(shelf=shelf, number="1", text="Apple, Inc.")
        Shelved.create(shelf=shelf, number="2", text="pear")
        Shelved.create(shelf=shelf, number="3", text="plum")


@pytest.mark.usefixtures("shelves")
def test_28_a_query() -> None:
    """A query by index filters by the text, with $or too, and stays in its partition."""
    either = {"$or": [{"_searchText": {"$contains": "pear"}}, {"_searchText": {"$contains": "plum"}}]}
    found = Shelved.query_by_index("by_shelf", "a", filter=either)
    assert [(one.shelf, one.number) for one in found] == [("a", "2"), ("a", "3")]


@pytest.mark.usefixtures("shelves")
def test_29_a_query_normalises() -> None:
    """Its value is normalised as the text was."""
    found = Shelved.query_by_index("by_shelf", "a", filter={"_searchText": {"$contains": "APPLE, inc!"}})
    assert [one.number for one in found] == ["1"]


def test_30_no_iteration_keys(manager: Manager, raw: Raw) -> None:
    """Its items have no iteration keys."""
    Loose.create(loose_id="1", text="Some Text")
    assert not {"_iter_pk", "_iter_sk"} & set(raw("sel#1"))


def test_31_pages(foxes: list[str]) -> None:
    """Page after page gives each match once."""
    found, cursor = [], None
    while True:
        page = Note.search_all(["fox"], limit=5, cursor=cursor)
        found += [note.note_id for note in page]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(found) == foxes


def test_32_exhausted(foxes: list[str]) -> None:
    """A search that gave all it had has no cursor."""
    result = Note.search_all(["fox"], limit=None)
    assert (len(result), result.cursor) == (len(foxes), None)


def test_33_nothing_at_all(manager: Manager) -> None:
    """Without any item there is nothing, and no cursor."""
    result = Note.search_all(["fox"], parallel=1)
    assert (result.items, result.cursor) == ([], None)


def test_34_other_terms(foxes: list[str]) -> None:
    """A cursor of other terms is refused."""
    cursor = Note.search_all(["fox"], limit=2).cursor
    with pytest.raises(QueryError, match="different query"):
        Note.search_all(["hen"], cursor=cursor)


def test_35_other_operator(foxes: list[str]) -> None:
    """So is one of another operator."""
    cursor = Note.search_all(["fox", "fo"], limit=2).cursor
    with pytest.raises(QueryError, match="different query"):
        Note.search_all(["fox", "fo"], "$or", cursor=cursor)


@pytest.mark.parametrize("cursor", ["nonsense", "", "!!", 7])
def test_36_malformed_cursor(wire: Wire, cursor: Any) -> None:
    """So is what is no cursor."""
    with pytest.raises(QueryError, match="cursor"):
        Note.search_all(["fox"], cursor=cursor)
    assert len(wire) == 0


def test_37_parallel(foxes: list[str]) -> None:
    """Buckets one after the other and at once give the same."""
    assert {tuple(ids(Note.search_all(["fox"], parallel=number))) for number in (1, 3)} == {tuple(foxes)}


def test_38_max_queries(foxes: list[str]) -> None:
    """max_queries_per_bucket bounds a search without matches, which can be gone on with."""
    result = Note.search_all(["hen"], batch_size=1, max_queries_per_bucket=1)
    assert result.items == []
    assert result.cursor is not None


def test_39_cursor_for_a_bucket(foxes: list[str]) -> None:
    """A cursor of all buckets is none of one bucket."""
    cursor = Note.search_all(["fox"], limit=2).cursor
    with pytest.raises(QueryError, match="scope mismatch"):
        Note.search_bucket(0, ["fox"], cursor=cursor)


@pytest.fixture
def cursor_of_bucket_0(manager: Manager) -> str:
    """Where a search of the first bucket goes on."""
    for number in range(30):
        Note.create(note_id=f"{number:02}", title="fox")
    cursor = Note.search_bucket(0, ["fox"], limit=1).cursor
    assert cursor is not None
    return cursor


def test_40_cursor_of_a_bucket(cursor_of_bucket_0: str) -> None:
    """A cursor of one bucket is none of all buckets."""
    with pytest.raises(QueryError, match="scope mismatch"):
        Note.search_all(["fox"], cursor=cursor_of_bucket_0)


def test_41_cursor_of_another_bucket(cursor_of_bucket_0: str) -> None:
    """Nor of another bucket."""
    with pytest.raises(QueryError, match="scope mismatch"):
        Note.search_bucket(1, ["fox"], cursor=cursor_of_bucket_0)
    assert len(Note.search_bucket(0, ["fox"], cursor=cursor_of_bucket_0)) > 0


def test_42_another_tenant(tenanted: Manager) -> None:
    """A cursor of another tenant is refused."""
    with TenantContext.run_with_tenant("acme"):
        for number in range(3):
            Note.create(note_id=f"{number}", title="fox")
        cursor = Note.search_all(["fox"], limit=1).cursor
    with TenantContext.run_with_tenant("globex"), pytest.raises(QueryError, match="tenant"):
        Note.search_all(["fox"], cursor=cursor)


def refused(wire: Wire, error: type[Exception], call: Any) -> None:
    with pytest.raises(error):
        call()
    assert len(wire) == 0


def test_43_wrong_max_queries(wire: Wire) -> None:
    """Wrong numbers of queries are refused."""
    for number in (0, -1, 1.5):
        refused(
            wire, QueryError, lambda number=number: Note.search_all(["fox"], max_queries_per_bucket=number)
        )


def test_44_not_searchable(wire: Wire) -> None:
    """A model that is not searchable is refused."""
    refused(wire, ConfigurationError, lambda: Plain.search_all(["fox"]))


def test_45_no_terms(wire: Wire) -> None:
    """So are no terms."""
    refused(wire, QueryError, lambda: Note.search_all([]))


def test_46_wrong_operator(wire: Wire) -> None:
    """So is an unknown operator."""
    refused(wire, QueryError, lambda: Note.search_all(["fox"], "$xor"))


def test_47_terms_no_list(wire: Wire) -> None:
    """So are terms that are no list."""
    refused(wire, QueryError, lambda: Note.search_all("fox"))


def test_48_bucket_numbers(wire: Wire) -> None:
    """So are buckets that there are not."""
    for bucket in (-1, 99):
        refused(wire, QueryError, lambda bucket=bucket: Note.search_bucket(bucket, ["fox"]))


def test_49_tokenize() -> None:
    """The class splits what was typed."""
    assert Note.tokenize_search_query('red "new york"') == ["red", "new york"]
