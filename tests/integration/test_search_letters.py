"""Searching for letters that can be written in several ways, in tables of our own and in shared ones."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import (
    ConfigurationError,
    Index,
    Manager,
    Model,
    ModelFileError,
    PrimaryKey,
    Search,
    StringField,
    init_models,
    load_models,
)
from dynamo_bao.maintenance.check import examine_table
from dynamo_bao.maintenance.reindex import rebuild_search_texts, reindex_items
from tests.support.model_files import forget_loaded, generated_package

__all__ = ["forget_loaded"]

DECOMPOSED = unicodedata.normalize("NFD", "Café Ångström naïve")
FOUND = {
    "decomposed, by composed": (DECOMPOSED, "café"),
    "decomposed, by capital letters": (DECOMPOSED, "ÅNGSTRÖM"),
    "decomposed, by decomposed": (DECOMPOSED, unicodedata.normalize("NFD", "naïve")),
    "composed, by decomposed": ("Café", unicodedata.normalize("NFD", "CAFÉ")),
    "sharp s, by capitals": ("Lange Straße", "STRASSE"),
    "sharp s, by itself": ("Lange Straße", "straße"),
    "capitals, by sharp s": ("LANGE STRASSE", "Straße"),
    "capital sharp s": ("STRAẞE", "straße"),
    "final sigma": ("ΟΔΟΣ", "οδος"),
    "ligatures": ("ﬁnal oﬃce", "office"),
    "full-width letters": ("ＡＢＣ１２", "abc12"),
    "half-width katakana": ("ｶﾞｷﾞ", "ガギ"),
    "superscripts": ("x² km", "x2"),
    "Hangul in parts": (unicodedata.normalize("NFD", "한국어"), "한국"),
    "a phrase": ("Die Große Straße 7", "GROSSE STRASSE"),
    "dotless and dotted i": ("İstanbul", "İSTANBUL"),
}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "deduplicated": {"dedupe": True},
    "long words": {"min_term_length": 3},
}


def note(searchable: Any, **options: Any) -> Any:
    """A model of notes that are searched in some way."""

    class Note(Model, prefix="sl", iterable=True, iteration_buckets=2, searchable=searchable, **options):
        note_id: str = StringField()
        title: str = StringField()
        kind: str = StringField(default="note")

        primary_key = PrimaryKey("note_id")
        by_kind = Index("kind", "note_id", id="gsi1")

    return Note


@pytest.fixture
def opened(connection: dict[str, Any], ready_table: str) -> Iterator[Callable[[Any], Manager]]:
    """Opens a manager for one way of searching, on the test's one table."""
    managers: list[Manager] = []

    def open_for(model: Any) -> Manager:
        options = (
            {"transport": managers[0].database.transport}
            if managers and "embedded" in connection
            else connection
        )
        manager = init_models(models=[model], table_name=ready_table, **options)
        managers.append(manager)
        return manager

    yield open_for
    for manager in managers:
        manager.close()


def found(model: Any, term: str) -> list[str]:
    """What a search finds, and a filter on the search text in one partition."""
    by_search = sorted(one.note_id for one in model.search_all([term]))
    filters = {"_searchText": {"$contains": term}}
    by_filter = [one.note_id for one in model.query_by_index("by_kind", "note", filter=filters)]
    if " " not in term:
        assert by_filter == by_search
    return by_search


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_ones_own_finds_letters_however_they_are_written(
    opened: Callable[[Any], Manager], kind: str
) -> None:
    """Composed or not, folded or not, as compatibility forms; in searches and in filters of the search text."""
    model = note(Search(["title"], normalise="nfkc-casefold", **KINDS[kind]))
    opened(model)
    for number, (text, _) in enumerate(FOUND.values()):
        model.create(note_id=f"{number:02}", title=text)
    for number, (case, (_, term)) in enumerate(FOUND.items()):
        if kind == "long words" and len(term) < 3:
            continue
        assert f"{number:02}" in [one.note_id for one in model.search_all([term])], case
        if kind == "plain":
            assert f"{number:02}" in found(model, term), case


@pytest.mark.parametrize("key_format", ["native", "dynamo-bao"])
def test_the_text_of_the_table_format_finds_what_lower_case_finds(
    opened: Callable[[Any], Manager], key_format: str
) -> None:
    """As JavaScript does, which the page on search says: sharp s is no double s, a decomposed text is torn."""
    model = note(["title"], key_format=key_format)
    opened(model)
    model.create(note_id="street", title="Lange Straße")
    model.create(note_id="cafe", title=DECOMPOSED)
    assert found(model, "STRASSE") == []
    assert found(model, "café") == []
    assert found(model, "STRAßE") == ["street"]
    assert [one.note_id for one in model.search_all([unicodedata.normalize("NFD", "café")])] == ["cafe"]


def test_what_was_stored_before_is_still_found_and_written_anew_on_demand(
    opened: Callable[[Any], Manager],
) -> None:
    """By the terms that found it before; the doctor counts such texts, and rebuilding finds them by all terms."""
    before, model = note(["title"]), note(Search(["title"], normalise="nfkc-casefold"))
    texts = {"street": "Lange Straße", "cafe": DECOMPOSED, "plain": "Plain words", "sigma": "ΟΔΟΣ"}
    terms = [
        "straße",
        "Straße",
        "lange",
        "cafe",
        "caf",
        unicodedata.normalize("NFD", "Ångström"),
        "plain",
        "WORDS",
        "οδος",
    ]
    opened(before)
    for note_id, text in texts.items():
        before.create(note_id=note_id, title=text)
    expected = {term: found(before, term) for term in terms}
    assert all(expected.values())

    manager = opened(model)
    assert {term: found(model, term) for term in terms} == expected
    assert found(model, "STRASSE") == []
    model.find("plain").refresh()
    home = manager.repository(model)
    *_, step = rebuild_search_texts(home, None, dry_run=True)
    assert step.count == 3  # all but the plain one
    *_, _ = rebuild_search_texts(home, None)
    for term, note_id in (("STRASSE", "street"), ("straße", "street"), ("café", "cafe"), ("οδοσ", "sigma")):
        assert found(model, term) == [note_id]
    *_, step = reindex_items(home, None)
    assert step.count == 0


def test_a_save_of_the_field_writes_the_text_of_now(opened: Callable[[Any], Manager]) -> None:
    """And a save of another field leaves it alone."""
    before, model = note(["title"]), note(Search(["title"], normalise="nfkc-casefold"))
    opened(before)
    before.create(note_id="1", title="Straße")
    manager = opened(model)
    stored: list[str] = []
    for change in ({"kind": "other"}, {"title": "Die Straße"}):
        model.update("1", **change)
        (item,) = manager.client.scan(TableName=manager.table_name)["Items"]
        stored.append(item["_searchText"]["S"])
    assert stored == ["straße", "die strasse"]


def test_the_doctor_tells_texts_of_before(opened: Callable[[Any], Manager]) -> None:
    """With what writes them anew, and apart from texts that are wrong."""
    before, model = note(["title"]), note(Search(["title"], normalise="nfkc-casefold"))
    opened(before)
    before.create(note_id="1", title="Straße")
    manager = opened(model)
    findings = [
        one for step in examine_table(manager.database, [manager.repository(model)]) for one in step.found
    ]
    assert [one.check for one in findings] == ["search"]
    assert "was written before normalise=; bao rebuild-search-text" in findings[0].text


@pytest.mark.parametrize(
    ("searchable", "options", "why"),
    [
        (
            Search(["title"], normalise="nfkc-casefold"),
            {"key_format": "dynamo-bao"},
            r"JavaScript does not support",
        ),
        (
            {"fields": ["title"], "normalise": "nfc"},
            {},
            r"normalise='nfc'; use one of 'lower', 'nfkc-casefold'",
        ),
        ({"fields": ["title"], "normalise": None}, {}, r"normalise=None; use one of"),
        ({"fields": ["title"], "normalise": "nfkc-casefold", "case_sensitive": True}, {}, r"leave one out"),
    ],
)
def test_wrong_normalisations_are_refused(searchable: Any, options: dict[str, Any], why: str) -> None:
    """At the class statement, with what to write instead."""
    with pytest.raises(ConfigurationError, match=why):
        note(searchable, **options)


FILE = """\
models:
  Paper:
    modelPrefix: pa
    iterable: true
    searchable: {fields: [title], normalise: NORMALISE}
    fields: {paperId: {type: StringField}, title: {type: StringField}}
    primaryKey: {partitionKey: paperId}
"""


@pytest.mark.parametrize("way", ["load_models", "codegen"])
def test_model_files_say_it_too(tmp_path: Path, way: str) -> None:
    """For tables that are not shared; elsewhere, and for another word, it is refused with the line."""
    path = tmp_path / "models.yaml"
    path.write_text(FILE.replace("NORMALISE", "nfkc-casefold"))
    if way == "load_models":
        model: Any = load_models(path, key_format="native")["Paper"]
    else:
        model = generated_package("papers", path.read_text(), key_format="native").Paper
    with init_models(models=[model], table_name="t", embedded=True):
        model.create(paper_id="1", title="Straße")
        assert [one.paper_id for one in model.search_all(["STRASSE"])] == ["1"]
    with pytest.raises(ModelFileError, match="JavaScript does not support"):
        load_models(path)
    path.write_text(FILE.replace("NORMALISE", "nfc"))
    with pytest.raises(ModelFileError, match=r"models\.yaml:5: .*lower or nfkc-casefold"):
        load_models(path, key_format="native")
