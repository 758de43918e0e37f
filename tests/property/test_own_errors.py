"""Whatever a program does, and whatever others store meanwhile, what it is refused with is an error of the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from random import Random
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from dynamo_bao import (
    AddMembers,
    Append,
    BaoError,
    CounterField,
    DropMembers,
    HasMany,
    IfMissing,
    Increment,
    Index,
    IntegerField,
    ListField,
    Manager,
    MapField,
    Model,
    ModifiedDateField,
    NestedField,
    Prepend,
    PrimaryKey,
    Related,
    RelatedField,
    Remove,
    StringField,
    StringSetField,
    UniqueConstraint,
    VersionField,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.session.session import Session
from tests.support.examples import many
from tests.support.tables import empty_table


@attrs.define
class Address:
    street: str = ""
    floor: int = 0
    names: list[str] = attrs.field(factory=list)


class Shelf(Model, prefix="os"):
    shelf_id: str
    label: str | None = StringField(default=None)

    primary_key = PrimaryKey("shelf_id")
    things = HasMany["Thing"]("by_shelf")


class Thing(Model, prefix="oe", iterable=True, searchable=["name"]):
    thing_id: str
    name: str = StringField(default="hen")
    email: str | None = StringField(default=None)
    views: int = CounterField(default=0)
    tags: set[str] = StringSetField()
    data: dict[str, Any] | None = MapField(default=None)
    lines: list[Any] = ListField(default=list)
    address: Address | None = NestedField(Address, default=None)
    shelf_id: str | None = RelatedField("Shelf", default=None)
    rank: int | None = IntegerField(default=None)
    version: str = VersionField()
    modified: datetime = ModifiedDateField()

    primary_key = PrimaryKey("thing_id")
    by_shelf = Index("shelf_id", "rank", id="gsi1")
    shelf = Related["Shelf"]("shelf_id")
    unique_email = UniqueConstraint("email", id="uc1")


KEYS = ["1", "2"]
VALUES: dict[str, list[Any]] = {
    "name": ["fox", ""],
    "email": [None, "x", "y"],
    "views": [0, 3],
    "tags": [set(), {"a"}, {"a", "b"}],
    "data": [None, {}, {"a": 1}, {"a": {"b": 1, "c": [1, 2]}}, {"a.b": 1, "s": {"x"}}],
    "lines": [[], [1], [1, {"a": 2}]],
    "address": [None, Address(), Address("Elm Street", 1, ["Ada"])],
    "shelf_id": [None, "p", "q"],
    "rank": [None, 1, 2],
}
PATHS = [
    "data.a",
    "data.a.b",
    "data.q.r.s",
    "lines[0]",
    "lines[5]",
    "address.street",
    "address.names[0]",
    *VALUES,
]
CHANGES: list[Any] = [1, "x", None, {"k": 1}, [1, 2], {"x"}, Address("Oak Street"), Remove(), Increment(2)]
CHANGES += [Append([1]), Prepend(["z"]), IfMissing(4), AddMembers({"z"}), DropMembers({"a"})]
DAMAGE = [{"M": {"a": {"N": "1"}}}, {"S": "bad"}, {"NULL": True}, {"L": [{"N": "1"}]}, {"N": "7"}]
CONDITIONS = [
    None,
    None,
    Thing.fields.name == "fox",
    Thing.fields.views > 1,
    Thing.fields.email.exists(),
    {"rank": {"$gt": 0}},
    ~(Thing.fields.shelf_id == "p"),
]


class Stop(Exception):
    """What a transaction is left with now and then."""


class Program:
    """A program that does anything, its choices made by `chance`."""

    def __init__(self, manager: Manager, chance: Random) -> None:
        self._manager = manager
        self._chance = chance
        self._held: list[Thing] = []
        self.steps = 0

    # --- choices -------------------------------------------------------------------------------------

    def _fields(self) -> dict[str, Any]:
        chance = self._chance
        return {name: chance.choice(values) for name, values in VALUES.items() if chance.random() < 0.3}

    def _parts(self) -> dict[str, Any]:
        chance = self._chance
        return {chance.choice(PATHS): chance.choice(CHANGES) for _ in range(chance.randint(1, 3))}

    def _condition(self) -> Any:
        return self._chance.choice(CONDITIONS)

    def _shelf(self) -> str:
        return self._chance.choice("pq")

    def _hold(self, thing: Thing) -> Thing:
        self._held = [*self._held[-5:], thing]
        return thing

    def _any(self) -> Thing:
        return self._chance.choice(self._held or [Thing(thing_id="1")])

    def _changed(self) -> Thing:
        """A held object with new values, some of them changed in place."""
        thing, chance = self._any(), self._chance
        for name, value in self._fields().items():
            setattr(thing, name, value)
        if thing.data is not None and chance.random() < 0.3:
            thing.data[chance.choice("ab")] = chance.choice([1, {"y": 1}, None])
        if chance.random() < 0.3:
            thing.lines.append(9)
            thing.tags.add("c")
            thing.views += 1
        if thing.address is not None and chance.random() < 0.3:
            thing.address.floor += 1
            thing.address.names.append("Bob")
        return thing

    # --- steps ---------------------------------------------------------------------------------------

    def _steps(self) -> list[Callable[[str], object]]:
        chance = self._chance
        return [
            lambda key: self._hold(Thing.create(thing_id=key, **self._fields())),
            lambda key: self._hold(Thing(thing_id=key, **self._fields())).save(condition=self._condition()),
            lambda key: Thing.update(key, condition=self._condition(), **self._fields()),
            lambda key: self._hold(Thing.update(key, self._parts(), condition=self._condition())),
            lambda key: Thing.upsert(thing_id=key, **self._fields()),
            lambda key: Thing.increment(key, views=chance.choice([1, -1]), condition=self._condition()),
            lambda key: Thing.delete(key, condition=self._condition()),
            lambda key: self._hold(Thing.find(key, consistent_read=chance.random() < 0.3)),
            lambda key: self._hold(Thing.find(key, bypass_cache=True)),
            lambda _: self._changed().save(condition=self._condition(), force_reindex=chance.random() < 0.2),
            lambda _: self._changed(),
            lambda _: self._any().delete(),
            lambda _: self._any().refresh(),
            lambda _: (self._any().has_changes(), self._any().changes(), self._any().to_dict()),
            lambda _: [self._hold(thing) for thing in Thing.by_shelf.query(self._shelf(), load_related=True)],
            lambda _: [self._hold(thing).shelf for thing in Shelf.find(self._shelf()).things],
            lambda _: Shelf.upsert(shelf_id=self._shelf(), label=chance.choice([None, "new"])),
            lambda _: Shelf.delete(self._shelf()),
            lambda _: self._any().load_related_data(),
            lambda _: list(Thing.iterate_all()),
            lambda key: self._elsewhere(key),
        ]

    def _session_steps(self, session: Session) -> list[Callable[[str], object]]:
        return [
            lambda _: session.add(self._changed()),
            lambda key: session.add(self._hold(Thing(thing_id=key, **self._fields()))),
            lambda _: session.delete(self._any()),
            lambda _: session.expunge(self._any()),
            lambda _: session.commit(atomic=self._chance.random() < 0.4),
            lambda _: session.rollback(),
        ]

    def _elsewhere(self, key: str) -> None:
        """Another program deletes an item, or stores what its field cannot read."""
        client, chance = self._manager.client, self._chance
        item = {"TableName": self._manager.table_name, "Key": {"_pk": {"S": f"oe#{key}"}, "_sk": {"S": "oe"}}}
        if chance.random() < 0.4:
            client.delete_item(**item)
            return
        with suppress(client.exceptions.ConditionalCheckFailedException):
            client.update_item(
                **item,
                UpdateExpression="SET #field = :value",
                ConditionExpression="attribute_exists(thing_id)",
                ExpressionAttributeNames={
                    "#field": chance.choice(["data", "lines", "address", "views", "tags"])
                },
                ExpressionAttributeValues={":value": chance.choice(DAMAGE)},
            )

    def step(self, session: Session | None = None) -> None:
        """One step, which may be refused."""
        self.steps += 1
        steps = self._steps() if session is None else self._steps() + 2 * self._session_steps(session)
        with suppress(BaoError):
            self._chance.choice(steps)(self._chance.choice(KEYS))

    def block(self, session: Session, depth: int = 0) -> None:
        """A transaction, perhaps with others inside, which is left with an error now and then."""
        with suppress(BaoError, Stop), transaction():
            for _ in range(self._chance.randint(1, 4)):
                self.step(session)
                if depth < 2 and self._chance.random() < 0.15:
                    self.block(session, depth + 1)
            if self._chance.random() < 0.25:
                raise Stop


@pytest.fixture
def connected(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=[Shelf, Thing], table_name=ready_table, **connection) as manager:
        yield manager


def test_a_program_gets_no_other_errors(connected: Manager) -> None:
    steps = 0

    @many(60)
    @given(st.randoms(use_true_random=False))
    def run(chance: Random) -> None:
        nonlocal steps
        empty_table(connected.client, connected.table_name)
        program = Program(connected, chance)
        program.step()
        with run_with_batch_context() as session:
            for _ in range(chance.randint(1, 8)):
                if chance.random() < 0.3:
                    program.block(session)
                else:
                    program.step(session)
            session.rollback()
        steps += program.steps

    run()
    print(f"{steps} steps, 0 errors of others")
