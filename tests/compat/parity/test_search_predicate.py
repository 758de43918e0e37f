"""search-predicate.test.js: what a search has the index evaluate."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao import Model, PrimaryKey, QueryError, StringField
from dynamo_bao.mapping.search_text import SearchConfig
from tests.support.wire import Wire


class Note(Model, prefix="spn", name="SpNote", iterable=True, iteration_buckets=1, searchable=["text"]):
    note_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("note_id")


class Cased(
    Model,
    prefix="spc",
    name="SpCased",
    iterable=True,
    iteration_buckets=1,
    searchable=SearchConfig(["text"], case_sensitive=True),
):
    cased_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("cased_id")


class Long(
    Model,
    prefix="spl",
    name="SpLong",
    iterable=True,
    iteration_buckets=1,
    searchable=SearchConfig(["text"], min_term_length=3),
):
    long_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("long_id")


MODELS = [Note, Cased, Long]


def asked(wire: Wire, terms: list[str], operator: str = "$and", model: type[Model] = Note) -> str:
    """The filter that a search sends, with its names and values in their places."""
    wire.clear()
    assert len(model.search_all(terms, operator)) == 0
    ((operation, body),) = wire.sent
    assert operation == "Query"
    text: str = body["FilterExpression"]
    for name, attribute in body["ExpressionAttributeNames"].items():
        text = text.replace(name, attribute)
    values: dict[str, Any] = body["ExpressionAttributeValues"]
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(name, repr(values[name]["S"]))
    return text


def contains(term: str) -> str:
    return f"contains(_searchText, {term!r})"


def refused(wire: Wire, terms: Any, message: str, operator: str = "$and", model: type[Model] = Note) -> None:
    """A search that is refused before any request."""
    with pytest.raises(QueryError, match=message):
        model.search_all(terms, operator)
    assert len(wire) == 0


def test_01_terms_no_list(wire: Wire) -> None:
    """Terms that are no list are refused."""
    refused(wire, "foo", "terms is a list")


def test_02_no_terms(wire: Wire) -> None:
    """No terms are refused."""
    refused(wire, [], "at least one non-empty term")


def test_03_nothing_left(wire: Wire) -> None:
    """Terms of which nothing is left are refused."""
    refused(wire, ["!!!", "  ", ""], "at least one non-empty term")


def test_04_operator(wire: Wire) -> None:
    """Any operator but $and and $or is refused."""
    refused(wire, ["foo"], "operator='\\$not'", "$not")


def test_05_no_text(wire: Wire) -> None:
    """A term that is no text is refused."""
    refused(wire, ["foo", 42], "a search term is a text")


def test_06_one_term(wire: Wire) -> None:
    """One term is one contains."""
    assert asked(wire, ["foo"]) == contains("foo")


def test_07_normalised(wire: Wire) -> None:
    """The term is normalised like the stored text."""
    assert asked(wire, ["Hello,  World!"]) == contains("hello world")


def test_08_case(wire: Wire) -> None:
    """The case is kept where the stored text's is."""
    assert asked(wire, ["Foo"], model=Cased) == contains("Foo")


def test_09_empty_terms(wire: Wire) -> None:
    """Empty terms beside others are left out."""
    assert asked(wire, ["", "foo", "  "]) == contains("foo")


def test_10_two_terms(wire: Wire) -> None:
    """Two terms are joined by AND."""
    text = asked(wire, ["foo", "bar"])
    assert " AND " in text and " OR " not in text
    assert contains("foo") in text and contains("bar") in text


def test_11_explicit_and(wire: Wire) -> None:
    """$and is what there is without an operator."""
    assert asked(wire, ["foo", "bar"], "$and") == asked(wire, ["foo", "bar"])


def test_12_or(wire: Wire) -> None:
    """$or joins them by OR."""
    text = asked(wire, ["foo", "bar"], "$or")
    assert " OR " in text and " AND " not in text
    assert contains("foo") in text and contains("bar") in text


def test_13_phrase(wire: Wire) -> None:
    """A phrase is one term."""
    assert asked(wire, ["new york"]) == contains("new york")


def test_14_chinese(wire: Wire) -> None:
    """Chinese is kept."""
    assert asked(wire, ["苹果"]) == contains("苹果")


def test_15_short_terms(wire: Wire) -> None:
    """Terms that the stored text leaves out are left out."""
    assert asked(wire, ["ab", "foo"], model=Long) == contains("foo")


def test_16_characters(wire: Wire) -> None:
    """The length is one of characters."""
    assert asked(wire, ["苹果", "手机壳"], model=Long) == contains("手机壳")


def test_17_all_too_short(wire: Wire) -> None:
    """Where all terms are too short the search is refused."""
    refused(wire, ["ab", "c"], "3 or more", model=Long)


def test_18_phrase_with_short_words(wire: Wire) -> None:
    """A phrase finds its item although short words of it are not in the stored text.

    (right, not as JavaScript: defect 44)
    """
    Long.create(long_id="1", text="the Art of War")
    Long.create(long_id="2", text="the Art or War")
    assert [one.long_id for one in Long.search_all(["art of war"])] == ["1"]
    wire.clear()
    assert len(Long.search_all(["of war"])) == 1
