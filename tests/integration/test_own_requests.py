"""What the library asks for itself is no N+1: no warning, no failure of ``no_n_plus_one``; what a program asks is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_bao import (
    Index,
    IntegerField,
    Manager,
    Model,
    PrimaryKey,
    Related,
    RelatedField,
    StringField,
    UniqueConstraint,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.session.rounds import N_PLUS_ONE
from dynamo_bao.testing.round_trips import RoundWatch

pytestmark = pytest.mark.one_engine


class Shelf(Model, prefix="sh"):
    name: str = StringField()
    room: str = RelatedField("Room")

    primary_key = PrimaryKey("name")
    room_of = Related["Room"]("room")


class Room(Model, prefix="rm"):
    name: str = StringField()
    number: int = IntegerField()

    primary_key = PrimaryKey("name")
    unique_number = UniqueConstraint("number", id="uc1")


class Volume(Model, prefix="vo", iterable=True, iteration_buckets=8, searchable=["title"]):
    title: str = StringField()
    kind: str = StringField(default="novel")
    shelf_id: str = RelatedField("Shelf")

    primary_key = PrimaryKey("title")
    by_kind = Index("kind", "title", id="gsi1")
    shelf = Related["Shelf"]("shelf_id")


MANY = 3 * N_PLUS_ONE


@pytest.fixture
def library(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """A few volumes in each bucket, each on a shelf of its own in a room of its own."""
    with init_models(models=[Shelf, Room, Volume], table_name=ready_table, **connection) as manager:
        with run_with_batch_context() as session:
            for n in range(MANY):
                session.add(
                    Room(name=f"room {n}", number=n),
                    Shelf(name=f"shelf {n}", room=f"room {n}"),
                    Volume(title=f"volume {n}", shelf_id=f"shelf {n}"),
                )
            session.commit()
        yield manager


def iterate_all() -> None:
    assert sum(len(batch) for batch in Volume.iterate_all()) == MANY


def iterate_in_ones() -> None:
    assert sum(len(batch) for batch in Volume.iterate_all(batch_size=1)) == MANY


def iterate_buckets() -> None:
    buckets = [list(Volume.iterate_bucket(n, batch_size=1)) for n in range(8)]
    assert sum(map(len, buckets)) == MANY


def iterate_with_relations() -> None:
    for batch in Volume.iterate_all(batch_size=1):
        for volume in batch:
            assert volume.shelf.room_of.name.startswith("room")


def iterate_with_a_filter() -> None:
    batches = Volume.iterate_all(batch_size=1, filter=lambda volume: volume.title == "volume 3")
    assert [volume.title for batch in batches for volume in batch] == ["volume 3"]


def search() -> None:
    assert len(Volume.search_all(["volume"], limit=None, batch_size=1)) == MANY


def search_one_by_one() -> None:
    cursor, found = None, 0
    while found < MANY:
        result = Volume.search_all(["volume"], limit=1, cursor=cursor)
        cursor, found = result.cursor, found + len(result)


def pages() -> None:
    assert len(list(Volume.by_kind.query("novel", page_size=1).pages())) == MANY


def pages_with_relations() -> None:
    result = Volume.by_kind.query("novel", page_size=1, load_related=["shelf_id.room"])
    assert len({volume.shelf.room_of.number for volume in result}) == MANY


def pages_with_relations_looked_at() -> None:
    for volume in Volume.by_kind.query("novel", page_size=1):
        assert volume.shelf.room_of.number >= 0


def related_only() -> None:
    assert len(Volume.by_kind.query("novel", page_size=1, related_only="shelf_id")) == MANY


def counted() -> None:
    for _ in range(MANY):
        assert Volume.count() == MANY


OWN: list[Callable[[], None]] = [
    iterate_all,
    iterate_in_ones,
    iterate_buckets,
    iterate_with_relations,
    iterate_with_a_filter,
    search,
    search_one_by_one,
    pages,
    pages_with_relations,
    pages_with_relations_looked_at,
    related_only,
    counted,
]


def find() -> None:
    for n in range(MANY):
        assert Room.find(f"room {n}").number == n


def find_consistently() -> None:
    for n in range(MANY):
        assert Room.find(f"room {n}", consistent_read=True).number == n


def query() -> None:
    for n in range(MANY):
        assert len(Volume.query_by_index("primary_key", f"volume {n}")) == 1


def find_by_unique_value() -> None:
    for n in range(MANY):
        found = Room.unique_number.find(n)
        assert found is not None and found.name == f"room {n}"


def load_related_data() -> None:
    for volume in Volume.by_kind.query("novel"):
        volume.load_related_data(["shelf_id"])


def refresh() -> None:
    for volume in Volume.by_kind.query("novel"):
        volume.refresh()


BY_THE_PROGRAM: list[Callable[[], None]] = [
    find,
    find_consistently,
    query,
    find_by_unique_value,
    load_related_data,
    refresh,
]


def _watched(work: Callable[[], None]) -> RoundWatch:
    with RoundWatch() as watch, run_with_batch_context():
        work()
    return watch


@pytest.mark.parametrize("work", OWN, ids=lambda work: work.__name__)
def test_what_the_library_asks_for_itself_is_no_n_plus_one(
    library: Manager, caplog: pytest.LogCaptureFixture, work: Callable[[], None]
) -> None:
    """Neither warned of nor counted, though pages and buckets hold one item each."""
    with caplog.at_level(logging.WARNING, "dynamo_bao"):
        watch = _watched(work)
    assert watch.one_by_one(N_PLUS_ONE) == {}
    assert not [record for record in caplog.records if "N+1" in record.getMessage()]
    assert watch.round_trips >= 1, "every round is counted all the same"


@pytest.mark.parametrize("work", BY_THE_PROGRAM, ids=lambda work: work.__name__)
def test_what_a_program_asks_for_one_at_a_time_is(
    library: Manager, caplog: pytest.LogCaptureFixture, work: Callable[[], None]
) -> None:
    """Named with its line, and each time it is asked counts once."""
    with caplog.at_level(logging.WARNING, "dynamo_bao"):
        watch = _watched(work)
    (times,) = watch.one_by_one(N_PLUS_ONE).values()
    assert times == MANY
    assert sum("N+1" in record.getMessage() for record in caplog.records) == 1


def test_a_trace_names_what_was_asked_by_the_library(library: Manager) -> None:
    """The items of an iteration, the relations of a page and the owners of unique values have kinds of their own."""
    with run_with_batch_context() as session:
        for _ in Volume.iterate_bucket(0):
            pass
        assert Volume.by_kind.query("novel", limit=1, load_related=True).first()
        assert Room.unique_number.find(3)
        kinds = [done.kind for done in session.trace()]
    assert set(kinds) <= {"iteration", "queries", "further", "read"}
    assert kinds[-4:] == ["queries", "further", "read", "further"]
