"""The same query in one batch context is one result, until the context writes to the partition that it asks."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_bao import (
    BatchContextError,
    ConditionalError,
    CounterField,
    Index,
    IntegerField,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    Related,
    RelatedField,
    StringField,
    TenantContext,
    UlidField,
    current_session,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.session.partitions import MAX_QUERIES, MAX_ROWS
from tests.support.wire import Wire

pytestmark = pytest.mark.one_engine


class Town(Model, prefix="to"):
    name: str = StringField()
    mayor: str = StringField(default="-")

    primary_key = PrimaryKey("name")


class Street(Model, prefix="st"):
    street_id: str = UlidField(auto_assign=True)
    town_id: str | None = RelatedField("Town", default=None)
    name: str = StringField(default="street")
    lamps: int = CounterField()
    rank: int = IntegerField(default=0)

    primary_key = PrimaryKey("street_id")
    streets_for_town = Index("town_id", "rank", id="gsi1")
    by_name = Index("name", "rank", id="gsi2")
    town = Related["Town"]("town_id")


class House(Model, prefix="ho", table_type="mapping"):
    street_id: str = RelatedField("Street")
    town_id: str = RelatedField("Town")

    primary_key = PrimaryKey("street_id", "town_id")
    towns_for_street = primary_key
    streets_for_town = Index("town_id", "street_id", id="gsi3")


@pytest.fixture
def towns(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """Two towns, ``a`` with three streets and ``b`` with one."""
    models = [Town, Street, House]
    with init_models(models=models, table_name=ready_table, **connection) as manager:
        for name in "ab":
            Town.create(name=name)
        for rank in range(3):
            Street.create(town_id="a", rank=rank)
        Street.create(town_id="b")
        yield manager


@pytest.fixture
def sent(towns: Manager) -> Wire:
    """What is sent from now on."""
    return Wire(towns.client)


def queries(sent: Wire) -> int:
    return sent.operations.count("Query")


def a(**options: Any) -> Any:
    return Street.streets_for_town.query("a", **options)


SAME: dict[str, Callable[[], Any]] = {
    "an index": a,
    "an instance for its key": lambda: Street.streets_for_town.query(Town.find("a")),
    "through the instance": lambda: Town.find("a").query_streets(),  # type: ignore[attr-defined]
    "find_where": lambda: Street.find_where(town_id="a"),
    "a range": lambda: Street.streets_for_town.query("a", {"rank": {"$gt": 0}}),
    "an expression": lambda: Street.streets_for_town.query("a", Street.fields.rank > 0),
    "a filter": lambda: a(filter={"lamps": 0, "name": {"$begins_with": "s"}}),
    "a limit": lambda: a(limit=2),
    "pages": lambda: a(page_size=1),
    "descending": lambda: a(direction="DESC"),
    "counted": lambda: a(count_only=True),
    "with relations": lambda: a(load_related=["town_id"]),
    "the primary key": lambda: House.query_by_index("towns_for_street", "x"),
    "consistent": lambda: House.query_by_index("towns_for_street", "x", consistent_read=True),
    "the other end": lambda: a(related_only="town_id"),
}


@pytest.mark.parametrize("query", SAME.values(), ids=SAME)
@pytest.mark.parametrize("held", [True, False])
def test_the_same_query_is_sent_once(sent: Wire, query: Callable[[], Any], held: bool) -> None:
    """It gives the same instances; while somebody holds the result, it is the same object."""
    with run_with_batch_context():
        first = query()
        seen, count = list(first), first.count
        sent.clear()
        if held:
            assert query() is first
        else:
            del first
            gc.collect()
        again = query()
        assert (again.count, len(again)) == (count, len(seen))
        assert all(one is other for one, other in zip(again, seen, strict=True))
        assert list(again) == list(again.all()) == [one for page in again.pages() for one in page] == seen
        assert again.last_evaluated_key == query().last_evaluated_key
        assert sent.operations == []


def test_a_pending_query_is_one_too(sent: Wire) -> None:
    """Two who ask before anybody looks have one result, which is asked for once."""
    with run_with_batch_context():
        first, again = a(), a()
        assert first is again
        assert len(first) == 3
        assert queries(sent) == 1


OTHERS: dict[str, Callable[[], Any]] = {
    "another partition": lambda: Street.streets_for_town.query("b"),
    "another index": lambda: Street.by_name.query("street"),
    "another range": lambda: Street.streets_for_town.query("a", {"rank": {"$gte": 0}}),
    "another filter": lambda: a(filter={"lamps": 0}),
    "a limit": lambda: a(limit=3),
    "another limit": lambda: a(limit=4),
    "a page size": lambda: a(page_size=3),
    "another order": lambda: a(direction="DESC"),
    "only counted": lambda: a(count_only=True),
    "relations": lambda: a(load_related=True),
    "targets": lambda: a(related_only="town_id"),
    "bypass_cache": lambda: a(bypass_cache=True),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_query_is_sent(sent: Wire, other: Callable[[], Any]) -> None:
    """Other arguments are another result."""
    with run_with_batch_context():
        first = a()
        assert len(first) == 3
        result = other()
        assert result is not first
        list(result)
        assert queries(sent) >= 2
        assert a() is first


def test_other_tenants_consistencies_and_contexts_ask_for_themselves(sent: Wire) -> None:
    """A result is one context's, of one tenant, read one way; outside any nothing is kept."""
    with run_with_batch_context():
        assert len(a()) == 3
        with TenantContext.run_with_tenant("t"):
            assert len(a()) == 0
        with run_with_batch_context():
            assert len(a()) == 3
        assert len(House.query_by_index("towns_for_street", "x")) == 0
        assert len(House.query_by_index("towns_for_street", "x", consistent_read=True)) == 0
    assert queries(sent) == 5
    assert len(a()) == len(a()) == 3
    assert queries(sent) == 7


def test_two_tables_do_not_share(towns: Manager, connection: dict[str, Any]) -> None:
    """The same models connected to another table are other models."""
    with run_with_batch_context():
        assert len(a()) == 3
        with init_models(
            models=[Town, Street, House],
            table_name=f"{towns.table_name}_2",
            only_active=True,
            **connection,
        ) as other:
            other.create_table()
            with other.activate():
                assert len(a()) == 0
        assert len(a()) == 3


def test_whoever_holds_a_result_cannot_spoil_it(sent: Wire) -> None:
    """Lists that are handed out belong to the caller."""
    with run_with_batch_context():
        first = a()
        for taken in (first.all(), first.items, first[:], next(first.pages())):
            taken.clear()
        assert [len(a()), len(a().all()), len(a().items)] == [3] * 3
        one, other = iter(a()), iter(a())
        assert [next(one), next(one), next(one)] == [next(other), next(other), next(other)]
        assert queries(sent) == 1


def test_a_result_looked_at_in_part_goes_on(sent: Wire) -> None:
    """Pages that were fetched are not fetched again; the next ones are fetched once."""
    with run_with_batch_context():
        assert a(page_size=1).first().rank == 0
        gc.collect()
        assert [street.rank for street in a(page_size=1)][:2] == [0, 1]
        fetched = queries(sent)
        assert len(a(page_size=1)) == 3
        assert queries(sent) == fetched


# --- writes -----------------------------------------------------------------------------------------


def first_street() -> Any:
    return Street.find(Street.streets_for_town.query("a", limit=1, bypass_cache=True)[0].street_id)


def by_commit(work: Callable[[Any], object]) -> None:
    session = current_session()
    assert session is not None
    work(session)
    session.commit()


def in_transaction(work: Callable[[], object]) -> None:
    with transaction():
        work()


def saved(**values: Any) -> None:
    street = first_street()
    assert street.exists()
    for name, value in values.items():
        setattr(street, name, value)
    street.save()


WRITES: dict[str, Callable[[], object]] = {
    "create": lambda: Street.create(town_id="a"),
    "save of a new one": lambda: Street(town_id="a").save(),
    "save": lambda: saved(name="new"),
    "save that moves it away": lambda: saved(town_id="b"),
    "save that moves it out": lambda: saved(town_id=None),
    "save that counts": lambda: saved(lamps=3),
    "update": lambda: Street.update(first_street().street_id, name="new"),
    "update that moves it": lambda: Street.update(first_street().street_id, town_id="b"),
    "increment": lambda: Street.increment(first_street().street_id, lamps=2),
    "upsert": lambda: Street.upsert(street_id=first_street().street_id, town_id="a", name="new"),
    "upsert of a new one": lambda: Street.upsert(street_id="01ARZ3NDEKTSV4RRFFQ69G5FAV", town_id="a"),
    "delete": lambda: first_street().delete(),
    "delete by key": lambda: Street.delete(first_street().street_id),
    "force_reindex": lambda: first_street().save(force_reindex=True),
    "commit of new ones": lambda: by_commit(lambda session: session.add(Street(town_id="a"))),
    "commit of a named one": lambda: by_commit(
        lambda session: session.add(Street(street_id="01ARZ3NDEKTSV4RRFFQ69G5FAV", town_id="a"))
    ),
    "commit of a blind one": lambda: by_commit(
        lambda session: session.add(
            Street(street_id="01ARZ3NDEKTSV4RRFFQ69G5FAV", town_id="b"), overwrite=True
        )
    ),
    "commit of a delete": lambda: by_commit(lambda session: session.delete(first_street())),
    "transaction": lambda: in_transaction(lambda: Street.create(town_id="a")),
    "transaction that deletes": lambda: in_transaction(lambda: first_street().delete()),
    "transaction that updates": lambda: in_transaction(
        lambda: Street.update(first_street().street_id, rank=7)
    ),
    "refresh": lambda: first_street().refresh(),
    "clear": lambda: current_session().clear(),  # type: ignore[union-attr]
    "clear_related_cache": lambda: first_street().clear_related_cache(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("nested", [False, True])
def test_a_write_to_the_partition_makes_it_a_new_result(
    sent: Wire, write: Callable[[], object], nested: bool
) -> None:
    """Whichever operation writes, in the context or in one inside it; a result in hand does not change."""
    with run_with_batch_context():
        held = a(filter={"rank": {"$gte": 0}})
        before = held.all()
        if nested and write not in (WRITES["refresh"], WRITES["clear"], WRITES["clear_related_cache"]):
            with run_with_batch_context():
                write()
        else:
            write()
        sent.clear()
        new = a(filter={"rank": {"$gte": 0}})
        assert new is not held
        with run_with_batch_context():
            fresh = {street.street_id for street in a(filter={"rank": {"$gte": 0}})}
        assert {street.street_id for street in new} == fresh
        assert queries(sent) == 2
        assert held.all() == before


def test_a_write_to_another_partition_leaves_it(sent: Wire) -> None:
    """A loop that reads, changes and saves asks once for each partition, and not again for every write."""
    with run_with_batch_context():
        town_a, town_b = a(), Street.streets_for_town.query("b")
        streets = [*town_a, *town_b]
        sent.clear()
        streets[3].name = "other"
        streets[3].save()
        Street.create(town_id="b")
        Street.create()
        Town.update("a", mayor="x")
        assert a() is town_a
        assert queries(sent) == 0
        assert [len(Street.streets_for_town.query("b")), queries(sent)] == [2, 1]
        streets[0].town_id = "b"
        streets[0].save()
        assert [len(a()), len(Street.streets_for_town.query("b"))] == [2, 3]
        assert queries(sent) == 3


def test_a_loop_that_saves_is_not_quadratic(towns: Manager, sent: Wire) -> None:
    """Twenty partitions, each read and written in turn and then looked at again: forty queries."""
    with run_with_batch_context():
        for number in range(20):
            Street.create(town_id=f"town {number}")
        for _ in range(2):
            for number in range(20):
                for street in Street.streets_for_town.query(f"town {number}"):
                    street.rank += 1
                    street.save()
    assert queries(sent) == 40


def test_a_write_that_fails_counts_as_one(sent: Wire) -> None:
    """What became of it is not asked: the next query is sent."""
    with run_with_batch_context():
        held = a()
        street = held[0]
        street.name = "x"
        with pytest.raises(ConditionalError):
            street.save(condition={"lamps": 99})
        assert a() is not held


def test_a_transaction_that_is_taken_back(sent: Wire) -> None:
    """What it left out of a result while it was open is there again."""
    with run_with_batch_context():
        street = a()[0]
        with pytest.raises(RuntimeError), transaction():
            street.delete()
            assert len(a()) == 2
            raise RuntimeError
        assert len(a()) == 3


def test_added_objects_that_are_rolled_back(sent: Wire) -> None:
    """A rollback asks again, and what is only added is in no result."""
    with run_with_batch_context() as session:
        assert len(a()) == 3
        session.add(Street(town_id="a"))
        assert len(a()) == 3
        assert queries(sent) == 1
        session.rollback()
        assert len(a()) == 3
        assert queries(sent) == 2


def test_targets_that_come_and_go(sent: Wire) -> None:
    """A result of related items is a new one when such an item is created or deleted, and not when it is changed."""
    with run_with_batch_context():
        Street.create(town_id="c")
        reached = Street.streets_for_town.query("c", related_only="town_id")
        assert list(reached) == []
        town = Town.create(name="c")
        assert list(Street.streets_for_town.query("c", related_only="town_id")) == [town]
        sent.clear()
        town.mayor = "y"
        town.save()
        assert [one.mayor for one in Street.streets_for_town.query("c", related_only="town_id")] == ["y"]
        assert queries(sent) == 0
        town.delete()
        assert list(Street.streets_for_town.query("c", related_only="town_id")) == []


def test_targets_that_another_context_deletes(sent: Wire) -> None:
    """The context around it asks again for results of related items that had the deleted one."""
    with run_with_batch_context():
        Street.create(town_id="d")
        Town.create(name="d")
        assert len(Street.streets_for_town.query("d", related_only="town_id")) == 1
        sent.clear()
        with run_with_batch_context():
            Town.find("d").delete()
        list(Street.streets_for_town.query("d", related_only="town_id"))
        assert queries(sent) == 1


def test_expunged_instances_are_asked_for_again(sent: Wire) -> None:
    """A query after it gives an instance of the context again."""
    with run_with_batch_context() as session:
        street = a()[0]
        session.expunge(street)
        assert a()[0] is not street
        with pytest.raises(BatchContextError):
            session.expunge(street)


# --- memory -----------------------------------------------------------------------------------------


@pytest.mark.rule(14)
def test_instances_are_not_held_by_what_is_remembered(sent: Wire) -> None:
    """Rows are kept; instances that nobody holds go, and are made of the rows again."""
    with run_with_batch_context():
        street_id = a()[0].street_id
        gc.collect()
        sent.clear()
        assert Street.find(street_id).rank == 0
        assert sent.operations == ["BatchGetItem"]
        assert a()[0] is Street.find(street_id)
        assert sent.operations == ["BatchGetItem"]


def test_what_is_remembered_is_bounded(sent: Wire) -> None:
    """With `max_cached`, so many rows are kept, the oldest go first; a result in hand stays the same."""
    with run_with_batch_context(max_cached=4):
        held = a()
        assert len(held) == 3
        assert len(Street.streets_for_town.query("b")) == 1
        assert len(Street.by_name.query("street", limit=2)) == 2
        sent.clear()
        assert a() is held
        assert [len(held), queries(sent)] == [3, 0]
        del held
        gc.collect()
        assert [len(a()), queries(sent)] == [3, 1]
        assert [len(a()), queries(sent)] == [3, 1]


def test_queries_that_nobody_looks_at_are_not_collected(sent: Wire) -> None:
    """A session remembers so many queries at most."""
    assert MAX_ROWS >= MAX_QUERIES
    with run_with_batch_context() as session:
        for rank in range(MAX_QUERIES + 50):
            Street.streets_for_town.query("a", rank)
        assert len(session._partitions) == MAX_QUERIES
    assert len(session._partitions) == 0
    assert sent.operations == []


def test_an_error_is_not_remembered(sent: Wire) -> None:
    """Wrong arguments raise each time."""
    with run_with_batch_context():
        for _ in range(2):
            with pytest.raises(QueryError):
                a(filter={"nope": 1})
            with pytest.raises(QueryError):
                a(bypass_cache="yes")
