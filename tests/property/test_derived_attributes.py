"""Whatever is written, by whichever way: index keys, search text and guards are what the stored fields make of them.

Random histories of four items that share unique values, through several objects of each, some of them stale, in
sessions, units of work and transactions that fail or not. After every step the table is held against itself, and at
the end of every session its objects against the table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dynamo_bao import (
    BaoError,
    CommitError,
    ConditionalError,
    CounterField,
    Index,
    ItemNotFoundError,
    Manager,
    Model,
    PrimaryKey,
    Session,
    StringField,
    StringSetField,
    TransactionError,
    UniqueConstraint,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.models.class_builder import schema_of
from tests.support.examples import many
from tests.support.tables import empty_table


class Thing(Model, prefix="dv", iterable=True, iteration_buckets=2, searchable=["name", "note"]):
    thing_id: str = StringField()
    name: str = StringField(default="hen")
    note: str | None = None
    email: str | None = None
    code: int | None = None
    shelf: str | None = None
    rank: int | None = None
    views: int = CounterField(default=2)
    tags: set[str] = StringSetField()

    primary_key = PrimaryKey("thing_id")
    by_shelf = Index("shelf", "rank", id="gsi1")
    by_rank = Index("rank", "shelf", id="gsi2")
    by_views = Index("shelf", "views", id="gsi3")
    unique_email = UniqueConstraint("email", id="uc1")
    unique_code = UniqueConstraint("code", id="uc2")


KEYS = list("1234")
VALUES: dict[str, list[Any]] = {
    "name": ["fox", "hen"],
    "note": [None, "cat"],
    "email": [None, "x", "y", "z"],
    "code": [None, 1, 2, 3],
    "shelf": [None, "p", "q"],
    "rank": [None, 1, 2],
    "views": [0, 5],
    "tags": [set(), {"a"}, {"a", "b"}],
}
EXPECTED = (ConditionalError, ItemNotFoundError, TransactionError, CommitError)
"""What a step may be refused with: others have the value, the item is there already, or is not."""


class Stop(BaoError):
    """What a transaction is left with now and then."""


@pytest.fixture
def connected(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=[Thing], table_name=ready_table, **connection) as manager:
        yield manager


class History:
    """One random history, its choices made by `chance`."""

    def __init__(self, manager: Manager, chance: Random) -> None:
        self._manager = manager
        self._chance = chance
        self._held: list[Thing] = []
        self._steps: list[Callable[[str], object]] = [
            lambda key: self._hold(Thing.create(thing_id=key, **self._fields())),
            lambda key: self._hold(Thing(thing_id=key, **self._fields())).save(),
            lambda key: Thing.update(key, **self._fields()),
            lambda key: Thing.upsert(thing_id=key, **self._fields()),
            lambda key: Thing.increment(key, views=1),
            lambda key: Thing.delete(key),
            lambda key: self._hold(Thing.find(key)),
            lambda _: self._change(self._any()).save(force_reindex=chance.random() < 0.2),
            lambda _: self._any().delete(),
        ]

    def _fields(self) -> dict[str, Any]:
        chance = self._chance
        return {name: chance.choice(values) for name, values in VALUES.items() if chance.random() < 0.35}

    def _hold(self, thing: Thing) -> Thing:
        self._held.append(thing)
        return thing

    def _any(self) -> Thing:
        return self._chance.choice(self._held or [Thing(thing_id="1")])

    def _change(self, thing: Thing) -> Thing:
        for name, value in self._fields().items():
            setattr(thing, name, value)
        if self._chance.random() < 0.3:
            thing.tags.add("c")
            thing.views += 1
        return thing

    def step(self) -> None:
        """One write or find, which may be refused."""
        with suppress(*EXPECTED):
            self._chance.choice(self._steps)(self._chance.choice(KEYS))

    def elsewhere(self) -> None:
        """The same by somebody else."""
        with run_with_batch_context():
            self.step()

    def block(self) -> None:
        """A transaction, perhaps with one inside, which is left with an error now and then."""
        with suppress(Stop, *EXPECTED), transaction():
            for _ in range(self._chance.randint(1, 4)):
                self.step()
                if self._chance.random() < 0.2:
                    self.block()
            if self._chance.random() < 0.3:
                raise Stop

    def unit_of_work(self, session: Session) -> None:
        """Objects added and deleted, and committed in parts or as a whole; what is refused is given up."""
        with suppress(*EXPECTED):
            for _ in range(self._chance.randint(1, 4)):
                way = self._chance.random()
                with suppress(*EXPECTED):
                    if way < 0.3:
                        session.delete(self._any())
                    elif way < 0.6:
                        session.add(self._change(self._any()))
                    else:
                        new = Thing(thing_id=self._chance.choice(KEYS), **self._fields())
                        session.add(self._hold(new))
            session.commit(atomic=self._chance.random() < 0.5)
        session.rollback()

    def chosen(self, session: Session) -> None:
        """One of these."""
        ways = [self.step, self.elsewhere, self.block, lambda: self.unit_of_work(session)]
        self._chance.choice(ways)()

    # --- what must hold ------------------------------------------------------------------------------

    def check_table(self) -> None:
        """Every derived attribute of every item is right, and there are no other guards than the values need."""
        schema, wanted, found = schema_of(Thing), set(), set()
        scanned = self._manager.client.scan(TableName=self._manager.table_name, ConsistentRead=True)
        for item in scanned["Items"]:
            if item["_sk"]["S"] == "_raft_uc":
                found.add((item["_pk"]["S"], item["relatedId"]["S"]))
                continue
            identity = schema.keys.from_item(None, item)
            values = schema.values_of(item, identity.values)
            whole = schema.item(None, identity, values)
            assert _derived(item) == _derived(whole)
            for constraint in schema.constraints.values():
                stored = item.get(constraint.field.name)
                if stored is not None:
                    wanted.add((constraint.guard_key(None, stored).pk, item["thing_id"]["S"]))
        assert found == wanted

    def check_objects(self) -> None:
        """Every object of the session, read again, is as the table has it."""
        for key in KEYS:
            mine, stored = Thing.find(key), Thing.find(key, bypass_cache=True)
            assert Thing.find(key) is mine
            mine.refresh()
            assert mine.exists() == stored.exists()
            assert not mine.has_changes()
            if stored.exists():
                assert mine.to_dict() == stored.to_dict()


def _derived(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name.startswith("_")}


def test_derived_attributes_stay_true(connected: Manager, request: pytest.FixtureRequest) -> None:
    """Of any history, in sessions and outside, with others writing in between."""
    checked = 0

    @many(12)
    @given(st.randoms(use_true_random=False))
    def run(chance: Random) -> None:
        nonlocal checked
        history = History(connected, chance)
        empty_table(connected.client, connected.table_name)
        for _ in range(chance.randint(1, 3)):
            history.step()
            with run_with_batch_context() as session:
                for _ in range(chance.randint(1, 6)):
                    history.chosen(session)
                    history.check_table()
                    checked += 1
                history.check_objects()

    run()
    print(f"\n{request.node.callspec.params['engine']}: {checked:,} tables checked, 0 differences")


THREADS = 6
ROUNDS = int(os.environ.get("BAO_ROUNDS", "4"))


@pytest.mark.quick_engines
def test_derived_attributes_stay_true_under_threads(
    connected: Manager, request: pytest.FixtureRequest
) -> None:
    """Histories that run at the same time on the same items leave a table that is as true as one alone does."""

    def run(seed: int) -> None:
        history = History(connected, Random(seed))
        for _ in range(12):
            with run_with_batch_context() as session:
                history.chosen(session)

    for number in range(ROUNDS):
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(run, range(number * THREADS, (number + 1) * THREADS)))
        History(connected, Random()).check_table()
    engine = request.node.callspec.params["engine"]
    print(f"\n{engine}: {ROUNDS} rounds of {THREADS} threads, 0 orphan or missing guards")
