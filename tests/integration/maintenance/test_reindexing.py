"""Index keys, iteration keys, search texts and guards written anew: what is wrong is mended, what is right is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    ConfigurationError,
    Index,
    Manager,
    Model,
    ModifiedDateField,
    PrimaryKey,
    StringField,
    TenantContext,
    UniqueConstraint,
    VersionField,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.maintenance import scanners
from dynamo_bao.maintenance.progress import JobProgress
from dynamo_bao.maintenance.reindex import rebuild_search_texts, reindex_items
from dynamo_bao.maintenance.scanners import ANY_TENANT
from dynamo_bao.session.state import state_of
from tests.integration.maintenance.conftest import Interruptible, damage, emptied, removed, stored


class Book(Model, prefix="bo", iterable=True, iteration_buckets=3, searchable=["title", "blurb"]):
    isbn: str
    title: str
    blurb: str | None = None
    shelf: str | None = StringField(default=None)
    modified_at: Any = ModifiedDateField()
    version: str = VersionField()

    primary_key = PrimaryKey("isbn")
    by_shelf = Index("shelf", "title", id="gsi1")
    all_books = Index(MODEL_PREFIX, id="gsi2")
    unique_title = UniqueConstraint("title", id="uc1")

    def before_save(self, *_: Any) -> None:
        assert self.title != "no hook"


class Quiet(Model, prefix="q", searchable=["text"]):
    quiet_id: str
    text: str
    primary_key = PrimaryKey("quiet_id")


class Unsearched(Model, prefix="un", iterable=True):
    name: str
    primary_key = PrimaryKey("name")


MODELS = [Book, Quiet, Unsearched]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Progress files are in the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def books(number: int) -> None:
    for n in range(number):
        Book.create(isbn=str(n), title=f"Title {n}", blurb="Blurb", shelf="a" if n % 2 else None)


DAMAGES: dict[str, dict[str, str | None]] = {
    "bo#1": {"_gsi1_pk": "bo#gsi1#old"},
    "bo#2": {"_gsi1_pk": "bo#gsi1#stale", "_gsi1_sk": "stale"},
    "bo#3": {"_gsi2_pk": None, "_gsi2_sk": None},
    "bo#4": {"_iter_pk": "bo#iter#099"},
    "bo#5": {"_iter_pk": None, "_iter_sk": None},
    "bo#6": {"_searchText": "other words"},
    "bo#7": {"_gsi5_pk": "of an index", "_gsi5_sk": "that is no more"},
}


def all_damaged(manager: Manager) -> int:
    """Damages eight of the books' items in eight ways; returns how many."""
    for pk, attributes in DAMAGES.items():
        damage(manager, pk, "bo", **attributes)
    removed(manager, "_raft_uc#_uc1#bo#title:Title 8", "_raft_uc")
    return len(DAMAGES) + 1


def test_everything_damaged_is_made_anew_and_nothing_else(manager: Manager) -> None:
    """Every kind of damage is mended; dates, versions and right items stay as they are."""
    books(10)
    before = stored(manager)
    damaged = all_damaged(manager)
    assert stored(manager) != before
    *_, last = reindex_items(manager.repository(Book), None)
    assert stored(manager) == before
    assert (last.count, last.found) == (damaged, ())
    *_, again = reindex_items(manager.repository(Book), None)
    assert again.count == 0


def test_a_query_after_it_asks_again(manager: Manager) -> None:
    """A batch context around a job caches no results from before its writes; a dry run leaves them."""
    books(4)
    damage(manager, "bo#1", "bo", _gsi1_pk="bo#gsi1#old")
    with run_with_batch_context() as session:
        assert [book.isbn for book in Book.by_shelf.query("a")] == ["3"]
        list(reindex_items(manager.repository(Book), None, dry_run=True))
        assert len(Book.by_shelf.query("a")) == 1
        assert session.stats.round_trips == 1
        list(reindex_items(manager.repository(Book), None))
        assert [book.isbn for book in Book.by_shelf.query("a")] == ["1", "3"]


def test_a_dry_run_only_counts(manager: Manager, here: Path) -> None:
    """What would be written is told, and nothing is."""
    books(10)
    damaged = all_damaged(manager)
    before = stored(manager)
    *steps, last = reindex_items(manager.repository(Book), None, dry_run=True)
    assert last.count == damaged
    assert [step.found for step in steps] == [()]
    assert stored(manager) == before
    assert list(here.iterdir()) == []


def test_no_hook_runs_and_right_items_are_not_written(manager: Manager) -> None:
    """Items are not saved: only those with wrong keys are written at all."""
    books(3)
    damage(manager, "bo#1", "bo", title="no hook")
    before = stored(manager)[("bo#2", "bo")]
    list(reindex_items(manager.repository(Book), None))
    assert stored(manager)[("bo#1", "bo")]["_searchText"] == {"S": "no hook blurb"}
    assert stored(manager)[("bo#2", "bo")] == before


def test_tenants(manager: Manager) -> None:
    """One tenant's items, or those of all, by the same scan."""
    for tenant in ("acme", "other"):
        with TenantContext.run_with_tenant(tenant):
            books(2)
    before = stored(manager)
    for tenant in ("acme", "other"):
        damage(manager, f"[{tenant}]#bo#1", "bo", _iter_pk="lost")
    *_, last = reindex_items(manager.repository(Book), "acme")
    assert last.count == 1
    assert stored(manager)[("[other]#bo#1", "bo")] != before[("[other]#bo#1", "bo")]
    *_, last = reindex_items(manager.repository(Book), ANY_TENANT)
    assert last.count == 1
    assert stored(manager) == before


def test_what_cannot_be_mended_is_told(manager: Manager) -> None:
    """Two items with one unique value, an item that cannot be read, and one under a wrong key."""
    books(2)
    damage(manager, "bo#1", "bo", title="Title 0")
    damage(manager, "bo#9", "bo", isbn="8", title="x")
    manager.client.put_item(
        TableName=manager.table_name,
        Item={"_pk": {"S": "bo#7"}, "_sk": {"S": "bo"}, "isbn": {"S": "7"}, "title": {"N": "7"}},
    )
    found = [one for step in reindex_items(manager.repository(Book), None) for one in step.found]
    told = sorted(one.text for one in found)
    assert told[0].startswith("Book '1' has the title that Book '0' has too")
    assert told[1].startswith("Book '7' has a bad attribute") and "StringField 'title'" in told[1]
    assert told[2] == "Book 'bo#9' 'bo' says that its key is 'bo#8' 'bo', which is another."
    assert stored(manager)[("bo#1", "bo")]["_searchText"] == {"S": "title 0 blurb"}
    assert all(one.is_problem and one.mend and one.model == "Book" and one.key for one in found)


def test_a_save_at_the_same_moment_is_not_undone(manager: Manager) -> None:
    """force_reindex on an instance that was loaded before somebody else's save makes the keys of what is stored now."""
    books(2)
    mine = Book.find("1")
    assert mine.shelf == "a"
    Book.update("1", shelf="b")
    version = stored(manager)[("bo#1", "bo")]["version"]["S"]
    damage(manager, "bo#1", "bo", _iter_pk="lost")
    mine.version = version
    state_of(mine).dict_item()["version"] = {"S": version}  # type: ignore[index]  # as if only the shelf had changed
    mine.save(force_reindex=True)
    item = stored(manager)[("bo#1", "bo")]
    assert item["_gsi1_pk"] == {"S": "bo#gsi1#b"}
    assert item["shelf"] == {"S": "b"}


@pytest.mark.parametrize("carried_out", [False, True], ids=["before a request", "after a request"])
def test_an_interrupted_run_goes_on(
    faulty: Manager,
    interruptible: Interruptible,
    monkeypatch: pytest.MonkeyPatch,
    here: Path,
    carried_out: bool,
) -> None:
    """Ctrl-C at any request: going on mends everything, and the figure counts nothing twice that was noted."""
    monkeypatch.setattr(scanners, "PAGE", 4)
    books(10)
    before = stored(faulty)
    home, number, over = faulty.repository(Book), 0, False
    while not over:
        damaged = all_damaged(faulty)
        interruptible.interrupt(number, carried_out=carried_out)
        steps: list[JobProgress] = []
        over = True
        try:
            steps += reindex_items(home, None)
        except KeyboardInterrupt:
            over = False
            with_progress = [path.name for path in here.iterdir()]
            interruptible.inject(())
            if with_progress:
                with pytest.raises(ConfigurationError, match="--resume"):
                    reindex_items(home, None)
            steps += reindex_items(home, None, resume=True)
        interruptible.inject(())
        assert stored(faulty) == before
        assert damaged - 4 <= steps[-1].count <= damaged
        assert list(here.iterdir()) == []
        number += 5
    assert number > 12


# --- search texts -----------------------------------------------------------------------------------


def test_search_texts_are_rebuilt_and_nothing_else(manager: Manager) -> None:
    """Only items with a wrong search text are written."""
    books(4)
    before = stored(manager)
    damage(manager, "bo#1", "bo", _searchText="other")
    damage(manager, "bo#2", "bo", _searchText=None)
    damage(manager, "bo#3", "bo", _gsi1_pk="stale")
    *_, last = rebuild_search_texts(manager.repository(Book), None)
    assert (last.done, last.count) == (4, 2)
    left = stored(manager)
    assert left.pop(("bo#3", "bo")) != before.pop(("bo#3", "bo"))
    assert left == before


def test_models_without_search_are_refused(manager: Manager) -> None:
    """One that is not searchable, and one that cannot be gone through."""
    with pytest.raises(ConfigurationError, match="Unsearched is not searchable"):
        rebuild_search_texts(manager.repository(Unsearched), None)
    with pytest.raises(ConfigurationError, match="Quiet is not iterable"):
        rebuild_search_texts(manager.repository(Quiet), None)
    emptied(manager)


def test_a_job_goes_on_with_its_own_options_only(
    faulty: Manager, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the items before the interruption would lack what the option adds."""
    monkeypatch.setattr(scanners, "PAGE", 4)
    books(10)
    home, journal = faulty.repository(Book), here / "progress"
    next(reindex_items(home, None, journal=journal))
    with pytest.raises(ConfigurationError, match="is of another job: fill_defaults"):
        list(reindex_items(home, None, journal=journal, resume=True, fill_defaults=True))


@pytest.mark.parametrize("job", [reindex_items, rebuild_search_texts])
def test_a_table_may_be_named_by_its_arn(here: Path, monkeypatch: pytest.MonkeyPatch, job: Any) -> None:
    """It has the marks that separate folders, and the progress file has a name of its own all the same."""
    monkeypatch.setattr(scanners, "PAGE", 4)
    monkeypatch.setattr(scanners, "INDEX_PAGE", 4)
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/books"
    with init_models(models=MODELS, table_name="books", embedded=True) as maker:
        books(10)
        with init_models(
            models=MODELS, table_name=arn, transport=maker.database.transport, only_active=True
        ) as manager:
            home = manager.repository(Book)
            next(job(home, None))
            assert [path.suffix for path in here.iterdir()] == [".progress"]
            *_, last = job(home, None, resume=True)
            assert last.done >= 10
            assert list(here.iterdir()) == []
