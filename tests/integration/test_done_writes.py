"""W11: a write that was done never raises as if it had not been, and is never done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, count, repeat
from typing import Any

import pytest
from attrs import define

from dynamo_bao import (
    AddMembers,
    Append,
    BaoError,
    CommitError,
    CounterField,
    DropMembers,
    IfMissing,
    Increment,
    ListField,
    Manager,
    MapField,
    Model,
    Prepend,
    PrimaryKey,
    Remove,
    Session,
    StringField,
    StringSetField,
    UlidField,
    UniqueConstraint,
    VersionField,
    WriteOutcomeUnknownError,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.testing import (
    FaultInjectingTransport,
    boto_transport,
    damaged,
    embedded_transport,
    lost_reply,
    refused_connection,
    throttled,
    unprocessed,
)
from tests.support.clocks import FakeTime

pytestmark = pytest.mark.one_engine


class Plain(Model, prefix="wp"):
    key: str = UlidField(auto_assign=True)
    name: str = StringField(default="-")
    views: int = CounterField()
    tags: set[str] = StringSetField()
    steps: list[str] = ListField(default=list)
    prefs: dict[str, int] = MapField(default=dict)

    primary_key = PrimaryKey("key")


class Guarded(Model, prefix="wg"):
    key: str = UlidField(auto_assign=True)
    name: str = StringField(default="-")
    email: str | None = StringField(default=None)
    views: int = CounterField()
    tags: set[str] = StringSetField()
    steps: list[str] = ListField(default=list)
    prefs: dict[str, int] = MapField(default=dict)

    primary_key = PrimaryKey("key")
    unique_name = UniqueConstraint("name", id="uc1")


class Versioned(Model, prefix="wv"):
    key: str = UlidField(auto_assign=True)
    name: str = StringField(default="-")
    views: int = CounterField()
    tags: set[str] = StringSetField()
    steps: list[str] = ListField(default=list)
    prefs: dict[str, int] = MapField(default=dict)
    version: str = VersionField()

    primary_key = PrimaryKey("key")


MODELS: list[Any] = [Plain, Guarded, Versioned]
_numbers = count()


@define
class Case:
    """One item, and the context in which something is done to it."""

    model: Any
    session: Session
    old: str
    new: str
    thing: Any = None

    def changed(self, **values: Any) -> Any:
        for name, value in values.items():
            setattr(self.thing, name, value)
        return self.thing

    def committed(self, *objects: Any, deletes: bool = False, **options: Any) -> None:
        (self.session.delete if deletes else self.session.add)(*objects)
        self.session.commit(**options)

    def update(self, change: Any) -> None:
        self.model.update(self.thing.key, change)

    def made(self) -> Any:
        self.thing = self.model(name=self.new)
        return self.thing

    def in_transaction(self, work: Callable[[], object]) -> None:
        with transaction():
            work()


Operation = tuple[bool, Callable[[Case], object], Callable[[Case, Any], int]]
"""Whether an item is there before, what is done, and how often it was done by what is stored."""


def named(case: Case, stored: Any) -> int:
    return int(bool(stored) and stored.name == case.new)


def gone(case: Case, stored: Any) -> int:
    return int(not stored)


def counted(case: Case, stored: Any) -> int:
    return int(stored.views) - 1


def steps(case: Case, stored: Any) -> int:
    return int(stored.steps.count("b"))


def summed(case: Case, stored: Any) -> int:
    return int(stored.prefs["x"]) - 1


OPERATIONS: dict[str, Operation] = {
    "create": (False, lambda c: c.model.create(c.made().to_dict()), named),
    "save of a new one": (False, lambda c: c.made().save(), named),
    "upsert of a new one": (False, lambda c: c.model.upsert(**c.made().to_dict()), named),
    "commit of a new one": (False, lambda c: c.committed(c.made()), named),
    "atomic commit of a new one": (False, lambda c: c.committed(c.made(), atomic=True), named),
    "transaction with a new one": (False, lambda c: c.in_transaction(lambda: c.made().save()), named),
    "save": (True, lambda c: c.changed(name=c.new).save(), named),
    "save on condition": (
        True,
        lambda c: c.changed(name=c.new).save(condition={"name": c.old}),
        named,
    ),
    "commit": (True, lambda c: c.committed(c.changed(name=c.new)), named),
    "atomic commit": (True, lambda c: c.committed(c.changed(name=c.new), atomic=True), named),
    "transaction": (True, lambda c: c.in_transaction(lambda: c.changed(name=c.new).save()), named),
    "save of a member": (
        True,
        lambda c: c.changed(prefs={**c.thing.prefs, "x": 2}).save(),
        summed,
    ),
    "save that appends": (True, lambda c: c.changed(steps=[*c.thing.steps, "b"]).save(), steps),
    "save of set members": (
        True,
        lambda c: c.changed(tags=c.thing.tags | {"b"}).save(),
        lambda c, stored: int("b" in stored.tags),
    ),
    "save of a counter": (True, lambda c: c.changed(views=2).save(), counted),
    "commit of a counter": (True, lambda c: c.committed(c.changed(views=2)), counted),
    "transaction with a counter": (
        True,
        lambda c: c.in_transaction(lambda: c.changed(views=2).save()),
        counted,
    ),
    "update": (True, lambda c: c.update({"name": c.new}), named),
    "update of a member": (True, lambda c: c.update({"prefs.x": 2}), summed),
    "Append": (True, lambda c: c.update({"steps": Append(["b"])}), steps),
    "Prepend": (True, lambda c: c.update({"steps": Prepend(["b"])}), steps),
    "Increment": (True, lambda c: c.update({"prefs.x": Increment(1)}), summed),
    "Increment of a counter": (True, lambda c: c.update({"views": Increment(1)}), counted),
    "IfMissing": (
        True,
        lambda c: c.update({"prefs.z": IfMissing(1)}),
        lambda c, stored: int("z" in stored.prefs),
    ),
    "Remove": (
        True,
        lambda c: c.update({"prefs.y": Remove()}),
        lambda c, stored: int("y" not in stored.prefs),
    ),
    "AddMembers": (
        True,
        lambda c: c.update({"tags": AddMembers({"b"})}),
        lambda c, stored: int("b" in stored.tags),
    ),
    "DropMembers": (
        True,
        lambda c: c.update({"tags": DropMembers({"a"})}),
        lambda c, stored: int("a" not in stored.tags),
    ),
    "increment": (True, lambda c: c.model.increment(c.thing.key, views=1), counted),
    "upsert": (True, lambda c: c.model.upsert(key=c.thing.key, name=c.new), named),
    "delete": (True, lambda c: c.thing.delete(), gone),
    "delete by key": (True, lambda c: c.model.delete(c.thing.key), gone),
    "commit of a delete": (True, lambda c: c.committed(c.thing, deletes=True), gone),
    "atomic commit of a delete": (
        True,
        lambda c: c.committed(c.thing, deletes=True, atomic=True),
        gone,
    ),
    "transaction with a delete": (True, lambda c: c.in_transaction(lambda: c.thing.delete()), gone),
}

FAULTS: dict[str, Callable[[], Any]] = {
    "nothing": lambda: [],
    "the reply is lost": lambda: [lost_reply()],
    "two replies are lost": lambda: [lost_reply()] * 2,
    "every reply is lost": lost_reply,
    "the request is lost": lambda: [lost_reply(carried_out=False)],
    "every request is lost": lambda: lost_reply(carried_out=False),
    "the second reply is lost": lambda: [None, lost_reply()],
    **{
        f"the reply is {how}": lambda how=how: [damaged(how)] for how in ("empty", "html", "truncated", "crc")
    },
    "every reply is damaged": lambda: damaged("crc"),
    "throttled": lambda: [throttled()],
    "throttled for ever": throttled,
    "nobody listens": lambda: [refused_connection()],
    "nobody listens for ever": refused_connection,
    "the reply is lost, then throttled": lambda: chain([lost_reply()], repeat(throttled(), 200)),
    "the reply is lost, then nobody listens": lambda: chain(
        [lost_reply()], repeat(refused_connection(), 200)
    ),
    "throttled, then the reply is lost": lambda: [throttled(), lost_reply()],
    "left unprocessed": lambda: unprocessed(0.5),
}

DOUBTFUL = ("nothing", "the reply is lost", "every reply is lost", "the reply is lost, then throttled")
"""The faults after which most can be taken for something else; other models than the plain one suffer only these."""


@pytest.fixture
def transport(connection: dict[str, Any]) -> FaultInjectingTransport:
    """Faults on writes alone, in a time that passes only where somebody waits."""
    inside = "embedded" in connection
    wire = embedded_transport().wire if inside else boto_transport(**connection).wire
    writes = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
    return FaultInjectingTransport(wire, operations=writes, clock=FakeTime().clock)


@pytest.fixture
def manager(transport: FaultInjectingTransport, table_name: str) -> Iterator[Manager]:
    with init_models(models=MODELS, transport=transport, table_name=table_name, deadline=3) as manager:
        manager.create_table()
        yield manager


def outcome_of(case: Case, work: Callable[[Case], object]) -> str:
    """What a caller is told: that it is done, that it is not, or that it is not known."""
    try:
        work(case)
    except WriteOutcomeUnknownError:
        return "unknown"
    except CommitError as error:
        if case.thing in error.done:
            return "done"
        return "unknown" if case.thing in error.unknown else "not done"
    except (BaoError, ConnectionRefusedError):
        return "not done"
    return "done"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.promise("W11")
def test_what_is_done_never_raises_as_if_it_were_not(
    connection: dict[str, Any],
    transport: FaultInjectingTransport,
    manager: Manager,
    model: Any,
    operation: str,
) -> None:
    """Every operation and every fault: told as done it is done once, as not done it is not; never twice."""
    there, work, done = OPERATIONS[operation]
    told: Counter[str] = Counter()
    faults = FAULTS if model is Plain else {name: FAULTS[name] for name in DOUBTFUL}
    for name, fault in faults.items():
        number = next(_numbers)
        with run_with_batch_context() as session:
            case = Case(model, session, f"old {number}", f"new {number}")
            if there:
                case.thing = model.create(
                    name=case.old, views=1, tags={"a"}, steps=["a"], prefs={"x": 1, "y": 1}
                )
            transport.inject(fault())
            outcome = outcome_of(case, work)
            session.rollback()
        transport.inject(())
        times = done(case, model.find(case.thing.key, consistent_read=True))
        assert times in (0, 1), f"{name}: done {times} times"
        assert outcome != "done" or times == 1, f"{name}: told as done, and is not"
        assert outcome != "not done" or times == 0, f"{name}: told as not done, and is"
        assert name != "nothing" or outcome == "done"
        told[outcome] += 1
    print(f"W11: {model.__name__}, {operation}: {len(faults)} faults, {dict(sorted(told.items()))}")
