"""The parts of a session by themselves: what it holds, what is pending, what it plans, and what it counts."""

from __future__ import annotations

import gc
import logging
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from dynamo_bao import (
    BatchContextError,
    BudgetExceededError,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    TenantContext,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.transport.messages import FailedRequest, Reply, Request
from dynamo_bao.errors import DataFormatError, ServiceError
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.runtime.call_site import CallSite
from dynamo_bao.session import identity_map, partitions, rounds as rounds_module
from dynamo_bao.session.bindings import (
    SESSION,
    TENANT,
    Steps,
    bound_values,
    clear_without_end,
    innermost,
    set_without_end,
    unbound,
)
from dynamo_bao.session.budget import Budget
from dynamo_bao.session.execution_context import current_execution_context
from dynamo_bao.session.identity_map import IdentityMap
from dynamo_bao.session.partitions import Partitions, Touched
from dynamo_bao.session.peers import forget_related, make_peers, remember_related, remembered_related
from dynamo_bao.session.pending_lookups import Lookups, PlannedBatch, plan_reads
from dynamo_bao.session.pending_queries import Queries
from dynamo_bao.session.rounds import Round, Rounds, _refusal_of, notify, start_round
from dynamo_bao.session.session import READING
from dynamo_bao.session.state import Status, pending_instance, set_status, state_of
from dynamo_bao.session.stats import Stats
from dynamo_bao.session.unit_of_work import CommitFigures, PendingWrite, UnitOfWork


class One(Model, prefix="so"):
    one_id: str
    name: str | None = StringField(default=None)
    other_id: str | None = RelatedField("Two", default=None)

    primary_key = PrimaryKey("one_id")


class Two(Model, prefix="st"):
    two_id: str

    primary_key = PrimaryKey("two_id")


class Table:
    """A table that is never asked, with a client of its own or another's."""

    def __init__(self, name: str = "t", transport: Any = None) -> None:
        self.table_name = name
        self.transport: Any = transport or SimpleNamespace(clock=SimpleNamespace(now=lambda: 5.0))
        self.observers = SimpleNamespace(warnings={}, on_request=[])


def home(model: Any = One, table: Table | None = None) -> Any:
    """What stands for a repository."""
    lazy_class = model.__bao_lazy_class__
    return Home(schema_of(model), model, lazy_class, table or Table())


class Home:
    def __init__(self, schema: Any, model: Any, lazy_class: Any, database: Any) -> None:
        self.schema, self.model, self.lazy_class, self.database = schema, model, lazy_class, database


HOME = home()


def instance(
    name: str, mapper: Any = HOME, *, consistent: bool = False, status: Status = Status.PENDING
) -> Any:
    """An instance that knows its key only."""
    key_field = mapper.schema.single_key_name
    made = pending_instance(mapper, Identity(key_of(name, mapper)[1], name, {key_field: name}), None, None)
    state_of(made).wants_consistent = consistent
    if status is not Status.PENDING:
        set_status(made, state_of(made), status)
    return made


def key_of(name: str, mapper: Any = HOME) -> tuple[Any, Key]:
    """The key of an item in a session."""
    return mapper, Key(f"{mapper.schema.prefix}#{name}", mapper.schema.prefix)


# --- the identity map -----------------------------------------------------------------------------


def test_instances_are_found_by_table_and_key() -> None:
    """Each under its key, and under no other of the same table or key."""
    known, other = IdentityMap(), home()
    a, b, elsewhere = instance("a"), instance("b"), instance("a", other)
    known.hold(key_of("a"), a)
    known.add_weak(key_of("b"), b)
    known.hold(key_of("a", other), elsewhere)
    assert known.get(key_of("a")) is a
    assert known.get(key_of("b")) is b
    assert known.get(key_of("a", other)) is elsewhere
    assert known.get(key_of("c")) is known.get(key_of("b", other)) is None
    assert len(known) == 3
    assert known.items() == [(key_of("a"), a), (key_of("a", other), elsewhere), (key_of("b"), b)]


def test_weak_instances_go_and_strong_ones_stay() -> None:
    """An instance of a query is known as long as the program holds it; one that is held is not made weak."""
    known = IdentityMap()
    assert known.is_strong
    for add, name in ((known.hold, "a"), (known.add_weak, "b"), (known.add_weak, "c")):
        add(key_of(name), instance(name))
    assert not known.is_strong
    gc.collect()
    assert known.get(key_of("a")) is not None
    assert known.get(key_of("b")) is known.get(key_of("c")) is None
    assert len(known) == 1
    held = known.get(key_of("a"))
    known.add_weak(key_of("a"), instance("a"))
    assert known.get(key_of("a")) is held
    weak = instance("d")
    known.add_weak(key_of("d"), weak)
    known.hold(key_of("d"), weak)
    assert len(known) == 2
    del weak
    gc.collect()
    assert known.get(key_of("d")) is not None


def test_dropped_instances_are_unknown() -> None:
    """By key, by object, and all."""
    for most in (None, 10):
        known = IdentityMap(most)
        kept = {name: instance(name) for name in "abcde"}
        for name in "abc":
            known.hold(key_of(name), kept[name])
        for name in "de":
            known.add_weak(key_of(name), kept[name])
        known.drop(key_of("a"))
        known.drop(key_of("d"))
        known.drop(key_of("unknown"))
        assert [name for name in "abcde" if known.get(key_of(name)) is not None] == ["b", "c", "e"]
        known.drop_instances([(key_of("c"), kept["b"]), (None, kept["a"])])
        assert [name for name in "abcde" if known.get(key_of(name)) is not None] == ["c", "e"]
        known.clear()
        assert len(known) == 0 and known.items() == []
        known.hold(key_of("a"), kept["a"])
        assert len(known) == 1


def test_beyond_the_limit_the_oldest_instance_becomes_weak() -> None:
    """It is known as long as the program holds it."""
    known = IdentityMap(2)
    loaded = [instance(name, status=Status.MISSING) for name in "abc"]
    for name, one in zip("abc", loaded, strict=True):
        known.hold(key_of(name), one)
        known.hold(key_of(name), one)
    assert [key.pk for key in known.strong[HOME]] == ["so#b", "so#c"]
    assert known.get(key_of("a")) is loaded[0]
    assert len(known) == 3
    loaded.clear()
    gc.collect()
    assert known.get(key_of("a")) is None
    assert known.get(key_of("b")) is not None
    known.drop(key_of("b"))
    known.hold(key_of("d"), instance("d"))
    assert [key.pk for key in known.strong[HOME]] == ["so#c", "so#d"]


def test_instances_with_changes_are_not_let_go() -> None:
    """New ones and those with assigned values stay; the oldest of the others goes, among the first eight."""
    known = IdentityMap(1)
    changed = instance("changed")
    changed.name = "x"
    new = One(one_id="new")
    state_of(new).mapper = HOME
    known.hold(key_of("changed"), changed)
    known.hold(key_of("new"), new)
    assert len(known.strong[HOME]) == 2
    known.hold(key_of("a"), instance("a"))
    assert [key.pk for key in known.strong[HOME]] == ["so#changed", "so#new"]
    many = IdentityMap(1)
    for number in range(identity_map.EVICTION_CANDIDATES + 1):
        one = instance(f"c{number}")
        one.name = "x"
        many.hold(key_of(f"c{number}"), one)
    many.hold(key_of("a"), instance("a"))  # eight with changes stand before it
    assert many.get(key_of("a")) is not None
    many.hold(key_of("b"), instance("b"))  # they were moved behind it
    assert many.get(key_of("a")) is None


# --- pending lookups ------------------------------------------------------------------------------


def named(planned: PlannedBatch) -> tuple[bool, dict[str, list[str]]]:
    """The keys of a batch as texts, by table."""
    batch = planned.batch
    return batch.consistent, {table: [key.pk for key in keys] for table, keys in batch.keys.items()}


def pending(table: Table, names: list[str], consistent: bool = False, schema: Any = HOME.schema) -> Any:
    """Keys to read."""
    return table, consistent, {key_of(name)[1]: instance(name) for name in names}, schema


def test_the_usual_plan_is_one_batch() -> None:
    """Up to a hundred keys of one table, in their order."""
    table = Table()
    for count in (1, 100):
        names = [f"{number:03}" for number in range(count)]
        for consistent in (False, True):
            (planned,) = plan_reads([pending(table, names, consistent)])
            assert named(planned) == (consistent, {"t": [f"so#{name}" for name in names]})
            assert (planned.database, planned.transport) == (table, table.transport)
            assert next(iter(planned.callers["t"].values())).one_id == "000"
            assert planned.batch.rows is not None
    assert plan_reads([]) == plan_reads([pending(table, [])]) == ()
    assert plan_reads([pending(table, ["a"], schema=None)])[0].batch.rows is None


def test_more_than_a_hundred_keys_are_several_batches() -> None:
    """The fewest, over tables of one client."""
    first = Table("t1")
    second = Table("t2", first.transport)
    names = [f"{number:03}" for number in range(150)]
    plan = plan_reads([pending(first, names), pending(second, names[:101])])
    assert [len(planned.batch) for planned in plan] == [100, 100, 51]
    assert {table: len(keys) for table, keys in plan[1].batch.keys.items()} == {"t1": 50, "t2": 50}
    found = [key for planned in plan for keys in planned.batch.keys.values() for key in keys]
    assert [key.pk for key in found] == [f"so#{name}" for name in [*names, *names[:101]]]
    assert [len(planned.batch) for planned in plan_reads([pending(first, names[:101])])] == [100, 1]
    assert [len(planned.batch) for planned in plan_reads([pending(first, names), pending(first, [])])] == [
        100,
        50,
    ]


def test_clients_and_consistencies_have_batches_of_their_own() -> None:
    """What one request cannot hold is in two."""
    one, other = Table("t"), Table("t")
    plan = plan_reads([pending(one, ["a"]), pending(other, ["b"]), pending(one, ["c"], True)])
    assert [named(planned) for planned in plan] == [
        (False, {"t": ["so#a"]}),
        (True, {"t": ["so#c"]}),
        (False, {"t": ["so#b"]}),
    ]
    assert [planned.database for planned in plan] == [one, one, other]


def test_a_key_that_is_needed_twice_is_read_once() -> None:
    """Consistently where anybody needs that; all who need it are told."""
    table = Table()
    loose, strict = pending(table, ["a", "b"]), pending(table, ["b", "c"], True)
    for lookups in ([loose, strict], [strict, loose]):
        plan = plan_reads(lookups)
        assert [named(planned) for planned in plan] == [
            (False, {"t": ["so#a"]}),
            (True, {"t": ["so#b", "so#c"]}),
        ] or [named(planned) for planned in plan] == [
            (False, {"t": ["so#a"]}),
            (True, {"t": ["so#c", "so#b"]}),
        ]
        shared = key_of("b")[1]
        told = {id(plan[1].callers["t"][shared]), *map(id, plan[1].duplicates["t", shared])}
        assert told == {id(callers[2][shared]) for callers in (loose, strict)}
    (planned,) = plan_reads([pending(table, ["a"]), pending(table, ["a"]), pending(table, ["a"])])
    assert len(planned.duplicates["t", key_of("a")[1]]) == 2
    assert named(planned) == (False, {"t": ["so#a"]})


def test_rows_are_of_all_models_of_a_request() -> None:
    """Dicts where one of them has none."""
    table, two = Table(), schema_of(Two)
    (planned,) = plan_reads([pending(table, ["a"]), pending(table, ["b"], schema=two)])
    assert planned.batch.rows is not None
    (planned,) = plan_reads([pending(table, ["a"]), pending(table, ["b"], schema=None)])
    assert planned.batch.rows is None


def names_of(lookups: Lookups) -> list[tuple[bool, list[str]]]:
    return [
        (consistent, [one.one_id for one in callers.values()])
        for _, consistent, callers, _ in lookups.pop_pending()
    ]


def test_lookups_wait_in_the_order_they_were_made() -> None:
    """One for each key, consistent where one of them is; taking them leaves none."""
    lookups = Lookups()
    for name, consistent in (
        ("a", False),
        ("b", True),
        ("c", False),
        ("a", False),
        ("c", True),
        ("b", False),
    ):
        lookups.add(key_of(name), instance(name, consistent=consistent))
    assert len(lookups) == 3
    assert names_of(lookups) == [(False, ["a"]), (True, ["b", "c"])]
    assert len(lookups) == 0 and lookups.pop_pending() == []


def test_lookups_are_forgotten_singly_and_together() -> None:
    """One that was answered otherwise is not asked."""
    lookups = Lookups()
    for name in "abc":
        lookups.add(key_of(name), instance(name, consistent=name == "c"))
    for name in "ac":
        lookups.discard(key_of(name))
    lookups.discard(key_of("unknown"))
    lookups.discard(key_of("a", home()))
    assert names_of(lookups) == [(False, ["b"])]
    lookups.add(key_of("a"), instance("a"))
    lookups.add(key_of("b"), instance("b", consistent=True))
    lookups.clear()
    assert len(lookups) == 0 and lookups.pop_pending() == []


def test_unanswered_lookups_come_before_newer_ones() -> None:
    """After a round that failed."""
    lookups = Lookups()
    lookups.add(key_of("new"), instance("new"))
    lookups.put_back([instance("a"), instance("b")])
    assert names_of(lookups) == [(False, ["a", "b", "new"])]


class Asked:
    """What stands for a query."""


def test_pending_queries_run_with_the_first_that_is_used() -> None:
    """The oldest ones, up to a number; those that nobody holds any more are not sent."""
    queries, made = Queries(), [Asked() for _ in range(5)]
    for query in made:
        queries.add(query)  # type: ignore[arg-type]
    assert len(queries) == 5
    del made[1], query
    gc.collect()
    assert len(queries) == 4
    first: Any = made[2]
    assert queries.pop_pending(first, 3) == [first, made[0], made[1]]
    assert len(queries) == 1
    assert queries.pop_pending(first, 10) == [first, made[3]]
    queries.add(first)
    assert queries.pop_pending(first, 1) == [first]
    queries.add(first)
    queries.clear()
    assert len(queries) == 0


# --- queried partitions ---------------------------------------------------------------------------

MODEL, TARGET = ("t", "so"), ("t", "st")


def page(rows: int) -> Reply:
    return Reply(Request("Query", {}), {"Items": [{}] * rows} if rows else {})


def asked(known: Partitions, name: str, partition: str = "p", index: str | None = "gsi1", **more: Any) -> Any:
    return known.query(name, more.get("model", MODEL), (index, partition), more.get("targets"))


@pytest.mark.parametrize(
    ("touched", "dropped"),
    [
        (Touched(MODEL, [("gsi1", "p")], (), False), {"a", "b"}),
        (Touched(MODEL, [("gsi1", "q")], (), False), {"c"}),
        (Touched(MODEL, [], ("gsi1",), False), {"a", "b", "c"}),
        (Touched(MODEL, [(None, "p")], ("gsi2",), False), {"d"}),
        (Touched(TARGET, [], (), True), {"b"}),
        (Touched(TARGET, [("gsi1", "p")], (), False), set()),
        (Touched(("other", "so"), [("gsi1", "p")], ("gsi1",), True), set()),
        (Touched(MODEL, [("gsi1", "p"), ("gsi1", "q"), (None, "p")], ("gsi1",), True), {"a", "b", "c", "d"}),
    ],
)
def test_a_write_drops_the_results_that_it_may_change(touched: Touched, dropped: set[str]) -> None:
    """Those of its partitions, of indexes it is not sure of, and of mappings to a model whose items come or go."""
    known = Partitions()
    queries = {
        "a": asked(known, "a"),
        "b": asked(known, "b", targets=TARGET),
        "c": asked(known, "c", "q"),
        "d": asked(known, "d", index=None),
    }
    for query in queries.values():
        known.add_reply(query, page(2))
    known.touch(touched)
    assert {name for name, query in queries.items() if not query.is_current} == dropped
    assert {name for name, query in queries.items() if not query.replies} == dropped
    assert len(known) == 4 - len(dropped)
    for name in "abcd":
        again = asked(known, name, "q" if name == "c" else "p", None if name == "d" else "gsi1")
        assert (again is queries[name]) == (name not in dropped)
    known.clear()
    assert len(known) == 0
    assert known._rows == 0 and not known._by_partition and not known._by_target


def test_a_page_that_comes_after_a_write_is_not_kept() -> None:
    """Its query may be answered wrongly by it."""
    known = Partitions()
    query = asked(known, "a")
    known.touch(Touched(MODEL, [("gsi1", "p")], (), False))
    known.add_reply(query, page(1))
    assert query.replies == [] and query.rows == 0
    known.touch(Touched(MODEL, [("gsi1", "p")], (), False))
    assert len(known) == 0


def test_the_rows_of_the_oldest_queries_go_first() -> None:
    """Up to the limit all stay; a page without rows counts as one; a query that is asked again is young again."""
    known = Partitions(10)
    queries = [asked(known, name) for name in "abc"]
    for query, rows in zip(queries, (4, 0, 5), strict=True):
        known.add_reply(query, page(rows))
    assert [query.rows for query in queries] == [4, 1, 5]
    assert asked(known, "a") is queries[0]
    known.add_reply(queries[2], page(1))
    assert [query.rows for query in queries] == [4, 0, 6]
    assert [len(query.replies) for query in queries] == [1, 0, 2]
    known.add_reply(queries[0], page(1))
    assert [query.rows for query in queries] == [5, 0, 0]
    assert all(query.is_current for query in queries)
    assert partitions.MAX_ROWS == 10_000


def test_beyond_the_most_queries_the_oldest_without_a_result_in_use_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A result that the program holds keeps its query; those are tried again later."""
    monkeypatch.setattr(partitions, "MAX_QUERIES", 3)
    known, held = Partitions(), Asked()
    first = asked(known, "a")
    assert first.result is None
    first.result = held
    assert first.result is held
    for name in "bcd":
        asked(known, name)
    assert [query.kind for query in known.queries.values()] == ["c", "d", "a"]
    del held
    gc.collect()
    assert first.result is None
    for name in "ef":
        asked(known, name)
    assert [query.kind for query in known.queries.values()] == ["a", "e", "f"]
    monkeypatch.setattr(partitions, "MAX_QUERIES", 20)
    holding = [Asked() for _ in range(40)]
    for number, one in enumerate(holding):
        asked(known, f"h{number}").result = one
    assert len(known) == 40


# --- the unit of work -----------------------------------------------------------------------------


def test_the_last_entry_of_an_object_counts() -> None:
    """In the place of its first."""
    work, a, b = UnitOfWork(), instance("a"), instance("b")
    first, second = PendingWrite(a, HOME, None), PendingWrite(b, HOME, None)
    work.add([first, second])
    deletion = PendingWrite(a, HOME, None, deletes=True)
    work.add([deletion])
    assert work.all() == [deletion, second]
    assert (work.of(a), work.of(b), work.of(instance("a"))) == (deletion, second, None)
    assert len(work) == 2
    work.drop([first, first])
    assert work.all() == [second] and len(work) == 1
    assert not first.is_new and not first.deletes and not first.overwrite
    assert PendingWrite(a, HOME, None, key=key_of("a")[1]).is_new


def test_figures_of_a_commit_hold_what_is_left_to_do() -> None:
    """If all was written, they let the program let go."""
    done, left = instance("a"), instance("b")
    for more in ({"not_done": (left,)}, {"unknown": (left,)}):
        figures = CommitFigures((done,), **more)
        assert figures.by_reference()() is figures
    whole = CommitFigures((done, left)).by_reference()
    assert whole() == CommitFigures((done, left))
    del done, figures
    gc.collect()
    assert whole().done == (left,)


# --- relations ------------------------------------------------------------------------------------


def test_peers_are_of_one_model() -> None:
    """Models without relations need none."""
    others = home(Two)
    ones, twos = [instance(name) for name in "ab"], [instance(name, others) for name in "cd"]
    for is_page in (True, False):
        make_peers([ones[0], twos[0], ones[1], twos[1]], is_page)
        group = state_of(ones[0]).group
        assert group is not None
        assert (group.alive(), group.is_page) == (ones, is_page)
        assert state_of(ones[1]).group is group
        assert state_of(twos[0]).group is None
    make_peers(ones)
    fresh = state_of(ones[0]).group
    assert fresh is not None and fresh.is_page
    fresh.add(twos[0])
    del ones[1]
    gc.collect()
    assert fresh.alive() == [ones[0], twos[0]]


def test_the_target_of_a_relation_is_remembered_with_its_value() -> None:
    """With another value it is another relation."""
    one, target = One(one_id="a", other_id="x"), instance("x", home(Two))
    assert remembered_related(one, "other_id") is None
    forget_related(one, "other_id")
    remember_related(one, "other_id", target)
    remember_related(one, "name", "else")
    assert remembered_related(one, "other_id") is target
    assert remembered_related(one, "unknown") is None
    one.other_id = "y"
    assert remembered_related(one, "other_id") is None
    one.other_id = "x"
    forget_related(one, "other_id")
    assert remembered_related(one, "other_id") is None
    assert remembered_related(one, "name") == "else"
    forget_related(one, "other_id")
    forget_related(one)
    assert remembered_related(one, "name") is None


# --- rounds ---------------------------------------------------------------------------------------

LINE = CallSite("program.py", 7)


@pytest.mark.parametrize(
    ("limits", "used", "writes", "over"),
    [
        ({"round_trips": 2}, [], False, None),
        ({"round_trips": 0}, [], False, "0 round trips"),
        ({"read_units": 1}, [Capacity(0.5)], False, None),
        ({"read_units": 1}, [Capacity(0.5), Capacity(0.5)], False, "1 read units (1 are used)"),
        ({"read_units": 1.5}, [Capacity(2.5)], False, "1.5 read units (2.5 are used)"),
        ({"read_units": 1}, [Capacity(2.0)], True, None),
        ({"write_units": 2}, [Capacity(0.0, 1.0)], True, None),
        ({"write_units": 2}, [Capacity(0.0, 3.0)], True, "2 write units (3 are used)"),
        ({"write_units": 2}, [Capacity(0.0, 3.0)], False, None),
        ({}, [Capacity(1e6, 1e6)], True, None),
    ],
)
def test_a_budget_ends_where_it_is_used_up(
    limits: dict[str, Any], used: list[Capacity], writes: bool, over: str | None
) -> None:
    """Each limit by itself; the request that would begin beyond it is not sent."""
    budget = Budget(**limits)
    for capacity in used:
        budget.spend(capacity)
    if over is None:
        budget.begin(LINE, writes)
        assert budget.used_round_trips == 1
        return
    with pytest.raises(BudgetExceededError) as caught:
        budget.begin(LINE, writes)
    assert str(caught.value).startswith(f"The budget of {over} does not allow the request that {LINE}")
    assert budget.used_round_trips == 0


def test_a_budget_of_round_trips_counts_them() -> None:
    """Two are two."""
    budget = Budget(2)
    budget.begin(LINE, False)
    budget.begin(LINE, True)
    with pytest.raises(BudgetExceededError, match="2 round trips"):
        budget.begin(LINE, False)
    assert budget.used_round_trips == 2


def reply(operation: str = "GetItem", **parameters: Any) -> Reply:
    return Reply(Request(operation, {"TableName": "t", **parameters}), {})


def round_trip(
    rounds: Rounds | None, kind: str = "read", *, requests: int = 1, count: int | None = None
) -> Round:
    """A round that is over."""
    table: Any = Table()
    with start_round(rounds, table, kind) as opened:
        for _ in range(requests):
            opened.add(table, reply(), ["One 'a'"], count)
    return opened


@pytest.mark.parametrize(
    ("kind", "requests", "count", "is_single"),
    [
        *((kind, 1, 1, True) for kind in ("lookups", "queries", "read")),
        *((kind, 1, 1, False) for kind in ("write", "commit", "pages", "iteration", "further")),
        ("read", 2, 1, False),
        ("read", 0, 1, False),
        ("read", 1, 2, False),
        ("lookups", 1, None, True),
    ],
)
def test_which_rounds_fetch_one_thing(kind: str, requests: int, count: int | None, is_single: bool) -> None:
    """A single key or query is what an N+1 loop asks for."""
    assert round_trip(Rounds(Stats()), kind, requests=requests, count=count).is_single_fetch is is_single


@pytest.mark.parametrize(
    ("calls", "at_once", "waves"), [(0, 4, 1), (1, 4, 1), (4, 4, 1), (5, 4, 2), (9, 4, 3)]
)
def test_requests_beyond_the_concurrency_are_further_waves(calls: int, at_once: int, waves: int) -> None:
    """They wait for earlier ones."""
    rounds = Rounds(Stats())
    with start_round(rounds, Table(), "lookups") as opened:  # type: ignore[arg-type]
        opened.sent_at_once(calls, at_once)
        assert opened.seconds == 0 and not rounds.history
    assert start_round(None, Table(), "read").seconds == 0  # type: ignore[arg-type]
    assert opened.waves == rounds.stats.waves == waves
    assert rounds.stats.round_trips == opened.number == 1
    assert list(rounds.history) == [opened]


def test_a_round_outside_of_any_session_is_counted_nowhere() -> None:
    """It has no number."""
    assert round_trip(None).number == 0


def test_the_fifth_single_fetch_of_a_line_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Four are none of an N+1, and neither are five of two lines."""
    rounds = Rounds(Stats())
    with caplog.at_level(logging.WARNING, "dynamo_bao.session"):
        for number in range(7):
            round_trip(rounds)
            round_trip(rounds, "write")
            assert len(caplog.records) == int(number >= 4)
    assert "has fetched one key at a time, 5 times so far. Find them all" in caplog.messages[0]
    with caplog.at_level(logging.WARNING, "dynamo_bao.session"):
        other = Rounds(Stats())
        for _ in range(5):
            round_trip(other, "queries")
    assert "has fetched one query at a time, 5 times so far. Make all queries" in caplog.messages[1]


def test_a_round_has_the_figures_of_its_requests() -> None:
    """What was asked, of which index, and at most ten of the keys by name."""
    rounds, table = Rounds(Stats()), Table()
    names = [f"One '{number}'" for number in range(12)]
    heard: list[Any] = []
    table.observers.on_request.append(heard.append)
    failed = FailedRequest(Request("GetItem", {"TableName": "t"}), TimeoutError(), 2.0)
    with start_round(rounds, table, "lookups") as opened:  # type: ignore[arg-type]
        opened.add(table, reply("Query", IndexName="gsi1"), names)  # type: ignore[arg-type]
        opened.add_outcome(table, reply(), names, 50)  # type: ignore[arg-type]
        opened.add_outcome(table, failed, names)  # type: ignore[arg-type]
    query, get, lost = opened.requests
    assert heard == opened.requests
    assert len({opened, *opened.requests}) == 4
    assert (query.count, query.about, query.index, query.status) == (12, tuple(names[:10]), "gsi1", 200)
    assert (get.count, get.index, get.error) == (50, None, None)
    assert (lost.count, lost.error, lost.status, lost.seconds) == (12, "TimeoutError", None, 3.0)
    assert rounds.stats.requests == 3
    assert rounds.fields("commit", more=1).items() >= {"more": 1}.items()


def test_the_last_thousand_rounds_are_remembered() -> None:
    """A job that runs for days needs no more memory."""
    rounds = Rounds(Stats())
    made = [round_trip(rounds, "pages") for _ in range(1001)]
    assert list(rounds.history) == made[1:]
    assert rounds.stats.round_trips == 1001


def test_an_error_of_a_request_names_what_was_asked_for() -> None:
    """Where it names nothing yet; another one is raised as it is, and both are counted."""
    table: Any = Table()
    for error, text in (
        (DataFormatError("no JSON"), "One 'a', One 'b': no JSON"),
        (ServiceError("refused", code="X", operation="GetItem"), "refused"),
    ):

        def send(request: Request, *, deadline: float, error: Exception = error) -> Reply:
            raise error

        table.transport.send = send
        rounds = Rounds(Stats())
        with (
            pytest.raises(type(error), match=f"^{text} ") as caught,
            start_round(rounds, table, "x") as opened,
        ):
            opened.send(table, Request("GetItem", {}), 60.0, ["One 'a'", "One 'b'"])
        assert (caught.value is error) == (text == "refused")
        assert [sent.error for sent in opened.requests] == [type(error).__name__]
        with pytest.raises(type(error)) as caught, start_round(rounds, table, "read") as opened:
            opened.send(table, Request("GetItem", {}), 60.0)
        assert caught.value is error


def test_an_error_reply_has_its_code_and_status() -> None:
    """Of the error itself, of its cause, or only the code."""
    response = {"Error": {"Code": "Busy"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
    own, caused = RuntimeError(), RuntimeError()
    own.response = response  # type: ignore[attr-defined]
    caused.__cause__ = own
    assert _refusal_of(own) == _refusal_of(caused) == ("Busy", 503)
    assert _refusal_of(RuntimeError()) == (None, None)
    coded = RuntimeError()
    coded.code = "Slow"  # type: ignore[attr-defined]
    assert _refusal_of(coded) == ("Slow", None)
    coded.response = {}  # type: ignore[attr-defined]
    assert _refusal_of(coded) == (None, None)
    assert issubclass(ServiceError, Exception)


def test_a_hook_that_raises_is_logged_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    """Metrics never stop a program."""
    heard: list[Any] = []

    def broken(record: Any) -> None:
        raise RuntimeError("broken")

    finished = round_trip(Rounds(Stats()))
    for record in (finished, finished.requests[0]):
        notify([broken, heard.append], record)
    assert heard == [finished, finished.requests[0]]
    extras = [(record.__dict__["operation"], record.__dict__["keys"]) for record in caplog.records]
    assert extras == [("read", 1), ("GetItem", 1)]
    assert [message.startswith("a hook for metrics failed") for message in caplog.messages] == [True, True]


def test_instances_are_held_weakly_by_their_keys() -> None:
    """A weak instance that goes takes its entry with it."""
    known = IdentityMap(5)
    one = instance("a")
    known.add_weak(key_of("a"), one)
    alive = weakref.ref(one)
    del one
    gc.collect()
    assert alive() is None and len(known) == 0


def test_observers_hear_of_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rounds of its session, or none outside of any."""
    heard: list[Any] = []
    monkeypatch.setattr(rounds_module, "round_observers", [lambda *of: heard.append(of)])
    rounds = Rounds(Stats())
    first, second = round_trip(rounds), round_trip(None)
    assert heard == [(first, rounds), (second, None)]


# --- bindings -------------------------------------------------------------------------------------


def bound(kind: str = TENANT) -> Any:
    link = innermost(kind)
    return None if link is None else link.value


tenant = TenantContext.run_with_tenant


def test_blocks_are_seen_while_they_last() -> None:
    """The innermost of a kind, and all of them from outside to inside, also those of a block inside itself."""
    block = tenant("a")
    with block, run_with_batch_context() as session, tenant("b"):
        assert (bound(), bound_values(TENANT), bound(SESSION)) == ("b", ["a", "b"], session)
        link = innermost(TENANT)
        assert link is not None and link.is_block
        assert repr(link) == "<Link of the tenant 'b'>"
        with block:
            assert (bound(), bound_values(TENANT)) == ("a", ["a", "b", "a"])
        assert bound() == "b"
    assert (bound(), bound_values(TENANT), bound(SESSION)) == (None, [], None)
    assert repr(link) == "<Link of the tenant 'b', ended>"


def test_what_is_set_lasts_until_the_block_around_it_ends() -> None:
    """It takes the place of what was set before, and is no block; clearing it shows nothing of what is around."""
    with tenant("outer"):
        for value in ("one", "two"):
            set_without_end(TENANT, value)
            assert bound_values(TENANT) == ["outer", value]
        link = innermost(TENANT)
        assert link is not None and not link.is_block
        assert repr(link) == "<Link of the tenant 'two'>"
        clear_without_end(TENANT, "cleared")
        assert bound_values(TENANT) == ["outer", "cleared"]
    assert bound() is None
    set_without_end(TENANT, "one")
    clear_without_end(TENANT, "cleared")
    assert bound() is None
    with tenant("outer"), run_with_batch_context(), unbound():
        assert (bound(), bound(SESSION)) == (None, None)


def test_steps_have_bindings_of_their_own() -> None:
    """They see them at every step, and others do not between; what a step leaves open is open at the next."""
    steps, opened = Steps(), tenant("opened")
    with run_with_batch_context() as session:
        set_without_end(TENANT, "set")
        steps.capture()
        lasting = Steps()
        lasting.capture(only_blocks=True)
    assert bound() == "set"  # until a block that binds a tenant is left
    clear_without_end(TENANT, "cleared")
    assert bound() is None and not steps.is_running
    assert steps.run(lambda: (steps.is_running, bound(SESSION), bound())) == (True, session, "set")
    assert lasting.run(lambda: (bound(SESSION), bound())) == (session, None)
    assert (steps.is_running, bound()) == (False, None)
    steps.bind(TENANT, "more")
    assert steps.run(opened.__enter__) == "opened"
    assert steps.run(lambda: bound_values(TENANT)) == ["set", "more", "opened"]
    assert [link.value for link in steps.links()] == ["opened", "more", "set", session]
    assert [entry.links[0].value for entry in steps.open_entries()] == ["opened"]
    assert steps.run(lambda: [link.value for link in steps.links()]) == ["opened", "more", "set", session]
    assert bound() is None
    steps.run(opened.__exit__, None, None, None)
    assert steps.open_entries() == []

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        steps.run(fail)
    assert not steps.is_running and bound() is None
    steps.end()
    assert steps.links() == []


def test_the_session_of_one_read_writes_nothing() -> None:
    """It refuses objects to save or delete; its commit has nothing to do."""
    session, one = READING(), One(one_id="1")
    with unbound():
        session._ownership.assign(current_execution_context(), None)
        with pytest.raises(BatchContextError, match="run_with_batch_context"):
            session.add(one)
        with pytest.raises(BatchContextError, match="run_with_batch_context"):
            session.delete(one)
        session.commit()
    assert session.last_commit == CommitFigures()
