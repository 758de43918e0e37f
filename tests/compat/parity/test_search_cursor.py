"""search-cursor.test.js: cursors of searches, and the hash that tells one search from another.

The JavaScript library's cursors are plain base64; the ones here are sealed, so each wrong content is sealed
anew with the table's secret before it is handed in, as only somebody who knows that secret can.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import pytest

from dynamo_bao import Manager, Model, PrimaryKey, QueryError, StringField, TenantContext
from dynamo_bao.mapping.search_text import SearchConfig
from dynamo_bao.reads.cursors import sign_cursor, verify_cursor
from tests.support.search_hash import predicate_hash
from tests.support.wire import Wire

NOT_CARRIED = {
    8: "items waiting to be handed out are not in a cursor here: it names the row it goes on after",
    10: "the same",
    18: "there is no separate hash in a cursor: what is asked is one text, compared as a whole (case 2)",
    24: "items waiting to be handed out are not in a cursor here",
    25: "the same",
}


class Note(Model, prefix="scn", name="ScNote", iterable=True, iteration_buckets=2, searchable=["text"]):
    note_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("note_id")


MODELS = [Note]

TEXT = SearchConfig(["text"])
PURPOSE = ("search",)

Forge = Callable[..., str]


# --- the hash ---------------------------------------------------------------------------------------


def hash_of(terms: list[str], operator: str = "$and", config: SearchConfig = TEXT) -> str:
    return predicate_hash(terms, operator, config)


def test_01_same_inputs() -> None:
    """The same search has the same hash."""
    assert hash_of(["foo", "bar"]) == hash_of(["foo", "bar"])


def test_02_other_terms() -> None:
    """Other terms have another."""
    assert hash_of(["foo"]) != hash_of(["bar"])


def test_03_another_operator() -> None:
    """So has another operator."""
    assert hash_of(["foo"]) != hash_of(["foo"], "$or")


def test_04_case() -> None:
    """So has a search that tells upper and lower case apart."""
    assert hash_of(["foo"]) != hash_of(["foo"], config=SearchConfig(["text"], case_sensitive=True))


def test_05_min_term_length() -> None:
    """So has another length of the shortest word."""
    assert hash_of(["foo"]) != hash_of(["foo"], config=SearchConfig(["text"], min_term_length=3))


def test_06_a_text() -> None:
    """It is a short text of letters and digits."""
    assert re.fullmatch("[0-9a-z]{1,7}", hash_of(["foo"]))


# --- what a cursor carries --------------------------------------------------------------------------


@pytest.fixture
def notes(manager: Manager) -> None:
    for number in range(12):
        Note.create(note_id=f"{number:02}", text="fox")


@pytest.fixture
def forge(manager: Manager, notes: None) -> Forge:
    """A cursor that is right but for what is given; ``...`` leaves a part out."""

    def make(**changed: Any) -> str:
        cursor = Note.search_all(["fox"], limit=3, parallel=1).cursor
        payload = {**verify_cursor(cursor, PURPOSE, manager.database.cursor_secret), **changed}
        kept = {name: value for name, value in payload.items() if value is not ...}
        return sign_cursor(kept, PURPOSE, manager.database.cursor_secret)

    return make


def refused(cursor: Any, wire: Wire) -> None:
    """A cursor that is refused before any request."""
    wire.clear()
    with pytest.raises(QueryError, match="cursor"):
        Note.search_all(["fox"], cursor=cursor)
    assert len(wire) == 0


def test_07_round_trip(forge: Forge) -> None:
    """A cursor of several buckets, one of them half read, goes on exactly there."""
    first = [note.note_id for note in Note.search_all(["fox"], limit=3)]
    rest = [
        note.note_id for note in Note.search_all(["fox"], cursor=Note.search_all(["fox"], limit=3).cursor)
    ]
    assert sorted(first + rest) == [f"{number:02}" for number in range(12)]
    assert len(Note.search_all(["fox"], cursor=forge())) == 9


@pytest.mark.usefixtures("notes")
def test_09_one_bucket() -> None:
    """So does one of a single bucket."""
    whole = [note.note_id for note in Note.search_bucket(1, ["fox"])]
    first = Note.search_bucket(1, ["fox"], limit=1)
    rest = Note.search_bucket(1, ["fox"], cursor=first.cursor)
    assert [note.note_id for note in (*first, *rest)] == whole


def test_11_opaque(forge: Forge) -> None:
    """A cursor is URL-safe text, and not JSON."""
    cursor = forge()
    assert re.fullmatch("[A-Za-z0-9_-]+", cursor)
    with pytest.raises(json.JSONDecodeError):
        json.loads(cursor)


def test_12_before_any_bucket(forge: Forge) -> None:
    """One that has not read anything yet starts at the beginning."""
    assert len(Note.search_all(["fox"], cursor=forge(at={"open": [], "opened": 0}))) == 12


def test_13_no_tenant(forge: Forge, manager: Manager) -> None:
    """Without a tenant it says so, and is refused under one."""
    cursor = forge()
    assert verify_cursor(cursor, PURPOSE, manager.database.cursor_secret)["tenant"] is None
    with TenantContext.run_with_tenant("acme"), pytest.raises(QueryError, match="tenant"):
        Note.search_all(["fox"], cursor=cursor)


@pytest.mark.usefixtures("manager")
def test_14_every_character() -> None:
    """Ids of any characters survive."""
    ids = [f"{number}?>~ÿ苹🎉" for number in range(4)]
    for note_id in ids:
        Note.create(note_id=note_id, text="fox")
    found, cursor = [], None
    while len(found) < len(ids):
        page = Note.search_all(["fox"], limit=1, cursor=cursor)
        found += [note.note_id for note in page]
        cursor = page.cursor
    assert sorted(found) == ids


# --- what is refused ---------------------------------------------------------------------------------


def test_15_no_scope(forge: Forge, wire: Wire) -> None:
    """A cursor that does not say its buckets is refused."""
    refused(forge(scope=...), wire)


@pytest.mark.parametrize(
    "spots", [{"0": None}, "open", None, [0], [[0]], [[7, None]], [[0, ["a", "b"]]], [[0, "abc"]]]
)
def test_16_no_places(forge: Forge, wire: Wire, spots: Any) -> None:
    """So is one whose places are none."""
    refused(forge(at={"open": spots, "opened": 1}), wire)


@pytest.mark.parametrize(
    "at", ["0", None, [], {}, {"open": []}, {"open": [], "opened": "1"}, {"open": [], "opened": 9}]
)
def test_17_no_position(forge: Forge, wire: Wire, at: Any) -> None:
    """So is one whose position is none."""
    refused(forge(at=at), wire)


@pytest.mark.parametrize("model", [7, "Other", ...])
def test_19_no_model(forge: Forge, wire: Wire, model: Any) -> None:
    """So is one that names another model, or none, or what is no name."""
    refused(forge(model=model), wire)


def test_20_model_none(forge: Forge, wire: Wire) -> None:
    """A model of None, which the JavaScript library accepts, is no model's: refused."""
    refused(forge(model=None), wire)


@pytest.mark.parametrize("scope", ["01", {"0": 1}, 0, None])
def test_21_scope_no_list(forge: Forge, wire: Wire, scope: Any) -> None:
    """A scope that is no list is refused."""
    refused(forge(scope=scope), wire)


@pytest.mark.parametrize("scope", [["0", 1], [-1, 0], [0.5, 1], []])
def test_22_scope_of_no_buckets(forge: Forge, wire: Wire, scope: Any) -> None:
    """So is one of what are no buckets."""
    refused(forge(scope=scope), wire)


def test_23_tenant_no_text(forge: Forge, wire: Wire) -> None:
    """So is a tenant that is a number."""
    refused(forge(tenant=7), wire)


def test_26_a_list(manager: Manager, wire: Wire) -> None:
    """So is a sealed list."""
    content: Any = [1, 2]
    refused(sign_cursor(content, PURPOSE, manager.database.cursor_secret), wire)


def test_27_no_tenant_named(forge: Forge, wire: Wire) -> None:
    """So is one that does not say whether it has a tenant."""
    refused(forge(tenant=...), wire)


def test_28_truncated(forge: Forge, wire: Wire) -> None:
    """So is one that was cut off anywhere."""
    cursor = forge()
    for length in range(len(cursor)):
        refused(cursor[:length], wire)


def test_29_not_base64(wire: Wire) -> None:
    """So is what is no base64."""
    refused("!!! no base64 !!!", wire)


def test_30_not_json(wire: Wire) -> None:
    """So is base64 of anything else."""
    assert urlsafe_b64decode("bm90IGpzb24=") == b"not json"
    refused("bm90IGpzb24", wire)


def test_31_no_fields(manager: Manager, wire: Wire) -> None:
    """So is a sealed object without the fields of a cursor."""
    refused(sign_cursor({"a": 1}, PURPOSE, manager.database.cursor_secret), wire)


def test_32_empty(notes: None, wire: Wire) -> None:
    """So is an empty text; None is no cursor, and starts at the beginning."""
    refused("", wire)
    assert len(Note.search_all(["fox"], cursor=None)) == 12
