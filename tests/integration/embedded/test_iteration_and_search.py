"""Iteration and search: every item, only matching ones, as they are now."""

from __future__ import annotations

import base64
import types
import uuid
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import (
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    StringField,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.maintenance.check import examine_table
from dynamo_bao.maintenance.reindex import reindex_items
from dynamo_bao.maintenance.scanners import ANY_TENANT
from tests.support.one_table import SharedTransport


class DxBase(Model):
    key: str = StringField()
    text: str | None = StringField(default=None)
    more: str | None = StringField(default=None)
    rank: str = StringField(default="")


class DxListed(DxBase, prefix="x5a", iterable=True, iteration_buckets=3):
    primary_key = PrimaryKey("key")


class DxSearched(DxBase, prefix="x5b", iterable=True, iteration_buckets=2, searchable=["text", "more"]):
    primary_key = PrimaryKey("key")


class DxTerse(
    DxBase,
    prefix="x5c",
    iterable=True,
    iteration_buckets=1,
    searchable={"fields": ["text"], "min_term_length": 3},
):
    primary_key = PrimaryKey("key")


class DxDeduped(
    DxBase,
    prefix="x5d",
    iterable=True,
    iteration_buckets=1,
    searchable={"fields": ["text"], "dedupe": True},
):
    primary_key = PrimaryKey("key")


class DxFewer(DxListed, prefix="x5e", iteration_buckets=2):
    """Inherits that it can be gone through."""


MODELS = [DxListed, DxSearched, DxTerse, DxDeduped, DxFewer]


@pytest.mark.defect(43)
def test_iteration(manager: Manager) -> None:
    """An iteration gives each item once, filtered by any field with a function."""
    for number in range(20):
        DxListed.create(key=str(number), rank=str(number % 2))
    keys = [one.key for batch in DxListed.iterate_all(batch_size=3) for one in batch]
    assert sorted(keys, key=int) == [str(number) for number in range(20)]
    odd = [one.key for batch in DxListed.iterate_all(filter=lambda one: one.rank == "1") for one in batch]
    assert sorted(odd, key=int) == [str(number) for number in range(1, 20, 2)]


@pytest.mark.defect(43)
def test_order_and_inheritance(manager: Manager) -> None:
    """A bucket's items come in the order of their ids as texts; a subclass inherits that it is iterable."""
    for key in ("b", "9", "a", "10"):
        DxFewer.create(key=key)
    buckets = [[one.key for batch in DxFewer.iterate_bucket(n) for one in batch] for n in range(2)]
    assert buckets == [sorted(keys) for keys in buckets]
    assert sorted(key for keys in buckets for key in keys) == ["10", "9", "a", "b"]


@pytest.mark.defect(43)
def test_fewer_buckets(engine_transport: SharedTransport, tmp_path: Path) -> None:
    """Items stored under more buckets than a model has now are told, and found again once their keys are anew."""

    def edition(buckets: int) -> Any:
        keys: dict[str, Any] = {"prefix": "x5f", "name": "DxShrunk", "iteration_buckets": buckets}
        body = {
            "primary_key": PrimaryKey("key"),
            "__module__": __name__,
            "__qualname__": f"Dx{buckets}.<locals>.D",
        }
        return types.new_class("DxShrunk", (DxListed,), keys, lambda namespace: namespace.update(body))

    def listed(model: Any) -> set[str]:
        return {one.key for batch in model.iterate_all() for one in batch}

    connection: dict[str, Any] = {"table_name": f"test_{uuid.uuid4().hex}", "transport": engine_transport}
    names = {str(number) for number in range(20)}
    with init_models(models=[wide := edition(10)], **connection) as manager:
        manager.create_table()
        for name in names:
            wide.create(key=name)
        assert listed(wide) == names
    with init_models(models=[narrow := edition(5)], **connection) as manager:
        home, table = manager.repository(narrow), manager.database
        told = [
            one for step in examine_table(table, [home]) for one in step.found if one.check == "iteration"
        ]
        assert {one.key for one in told} == names - listed(narrow) != set()
        for _ in reindex_items(home, ANY_TENANT, journal=tmp_path / "journal"):
            pass
        assert listed(narrow) == names


@pytest.mark.defect(43)
def test_in_a_context(manager: Manager) -> None:
    """Inside a context the items of an iteration are let go, and are as they are stored."""
    for number in range(20):
        DxListed.create(key=str(number))
    with run_with_batch_context() as session:
        for batch in DxListed.iterate_all(batch_size=5):
            del batch
        assert "0 pending, 0 known" in repr(session)


@pytest.mark.defect(44)
def test_phrases(manager: Manager) -> None:
    """A phrase is found though short or repeated words are not in the stored text."""
    DxTerse.create(key="a", text="the day a fox runs")
    DxTerse.create(key="b", text="fox runs")
    assert [one.key for one in DxTerse.search_all(["a fox"])] == ["a"]
    DxDeduped.create(key="a", text="foo bar foo baz")
    assert [one.key for one in DxDeduped.search_all(["foo baz"])] == ["a"]


@pytest.mark.defect(45)
def test_normalisation(manager: Manager) -> None:
    """A text is found by itself, capital dotted I and Devanagari included, and not across the border of two fields."""
    for key, text in (("a", "İstanbul"), ("b", "हिन्दी"), ("c", "café")):
        DxSearched.create(key=key, text=text)
        assert [one.key for one in DxSearched.search_all([text])] == [key]
    assert [one.key for one in DxSearched.search_all(["cafe\u0301"])] == ["c"]
    DxSearched.create(key="d", text="green apple", more="tree house")
    assert [one.key for one in DxSearched.search_all(["apple tree"])] == []


@pytest.mark.defect(46)
def test_search_cursors(manager: Manager) -> None:
    """A changed cursor, or one of another search, is refused."""
    for number in range(6):
        DxSearched.create(key=str(number), text="fox")
    first = DxSearched.search_all(["fox"], limit=2)
    assert first.cursor is not None
    following = DxSearched.search_all(["fox"], limit=10, cursor=first.cursor)
    assert sorted(one.key for one in [*first, *following]) == list("012345")
    forged = base64.urlsafe_b64encode(b'{"pendingItemKeys": ["secret"]}').decode().rstrip("=")
    swapped = first.cursor[:-3] + ("AAA" if first.cursor[-3:] != "AAA" else "BBB")
    for cursor in (forged, swapped):
        with pytest.raises(QueryError):
            DxSearched.search_all(["fox"], cursor=cursor)
    with pytest.raises(QueryError):
        DxSearched.search_all(["secret"], cursor=first.cursor)
    with pytest.raises(QueryError):
        DxDeduped.search_all(["fox"], cursor=first.cursor)


@pytest.mark.defect(47)
def test_results_are_current(manager: Manager) -> None:
    """What a search returns in a context has the text that matched."""
    DxSearched.create(key="a", text="old words")
    with run_with_batch_context():
        assert DxSearched.find("a").text == "old words"
        with run_with_batch_context():
            DxSearched.update("a", text="new words")
        assert [one.text for one in DxSearched.search_all(["new"])] == ["new words"]
