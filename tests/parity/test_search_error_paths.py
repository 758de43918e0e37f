"""search-error-paths.test.js: what is told where an index or a configuration is missing."""

from __future__ import annotations

import pytest

from dynamo_bao import ConfigurationError, Model, PrimaryKey, QueryError, StringField
from tests.support.wire import Wire

NOT_CARRIED = {
    9: "an internal list of what the index holds; cases 6 to 8 are its behaviour",
    10: "the same list for the index without search text; a text filter always takes the search index",
    11: "there is no choice of the index of a search, so none can be the wrong one",
}


class Note(Model, prefix="sen", name="SeNote", iterable=True, iteration_buckets=2, searchable=["title"]):
    note_id: str = StringField()
    title: str = StringField()
    status: str = StringField(default="draft")
    author: str = StringField(default="ada")

    primary_key = PrimaryKey("note_id")


MODELS = [Note]

pytestmark = pytest.mark.usefixtures("manager")


def test_06_iterate_all(wire: Wire) -> None:
    """iterate_all by a field that the index lacks is refused before any request."""
    with pytest.raises(QueryError, match="status"):
        Note.iterate_all(filter={"status": "draft"})
    assert len(wire) == 0


def test_07_search_all(wire: Wire) -> None:
    """So is search_all."""
    with pytest.raises(QueryError, match="status"):
        Note.search_all(["foo"], filter={"status": "draft"})
    assert len(wire) == 0


def test_08_every_field(wire: Wire) -> None:
    """The error names every such field, inside of $or too."""
    with pytest.raises(QueryError, match="author, status"):
        Note.iterate_all(filter={"_searchText": "x", "$or": [{"status": "draft"}, {"author": "ada"}]})
    assert len(wire) == 0


def test_12_searchable_without_fields() -> None:
    """searchable=True does not say which fields, and is refused."""
    with pytest.raises(ConfigurationError, match="searchable"):

        class Bad(Model, prefix="sex1", searchable=True):
            bad_id: str = StringField()
            primary_key = PrimaryKey("bad_id")


def test_13_no_fields() -> None:
    """An empty list of fields is refused."""
    with pytest.raises(ConfigurationError, match="fields is empty"):

        class Bad(Model, prefix="sex2", searchable={"fields": []}):
            bad_id: str = StringField()
            primary_key = PrimaryKey("bad_id")


def test_14_an_unknown_field() -> None:
    """A field that the model lacks is refused."""
    with pytest.raises(ConfigurationError, match="titel"):

        class Bad(Model, prefix="sex3", searchable=["titel"]):
            bad_id: str = StringField()
            title: str = StringField()
            primary_key = PrimaryKey("bad_id")


def test_15_not_searchable() -> None:
    """searchable=False needs no fields."""

    class Good(Model, prefix="sex4", searchable=False):
        good_id: str = StringField()
        primary_key = PrimaryKey("good_id")

    assert Good(good_id="1").good_id == "1"
