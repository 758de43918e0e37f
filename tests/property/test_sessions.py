"""S2: sessions driven at random against plain dicts, on engines.

The machine opens and closes contexts, reads, changes, saves, commits and deletes in them, for two tenants, and
knows at every look what the object must show: what its session saw first, its own writes and its unsaved
changes. At the end the table must hold exactly the items, guards and index keys that plain dicts say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import Factory, define
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from dynamo_bao import (
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
    TenantContext,
    UniqueConstraint,
    UniqueConstraintError,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.examples import many


class Person(Model, prefix="sm"):
    person_id: str = StringField()
    name: str = StringField(default="-")
    email: str | None = StringField(default=None)
    status: str | None = StringField(default=None)
    visits: int = CounterField()
    tags: set[str] = StringSetField()

    primary_key = PrimaryKey("person_id")
    by_status = Index("status", "person_id", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")


FIELDS = ("name", "email", "status", "visits", "tags")
DEFAULTS: dict[str, Any] = {"name": "-", "email": None, "status": None, "visits": 0, "tags": frozenset()}

Spot = tuple[str, str]
"""A tenant and a person's id."""
Values = dict[str, Any]

SPOTS = st.tuples(st.sampled_from(["red", "blue"]), st.sampled_from(["a", "b", "c"]))
PLAIN = {
    "name": st.sampled_from(["ada", "bob"]),
    "email": st.sampled_from(["x", "y", None]),
    "status": st.sampled_from(["on", "off", None]),
}
ABSOLUTE = {**PLAIN, "visits": st.integers(-3, 3), "tags": st.frozensets(st.sampled_from("pqr"))}
CHANGES = st.fixed_dictionaries({}, optional=ABSOLUTE)
ASSIGNED = st.fixed_dictionaries({}, optional=PLAIN)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), SPOTS, CHANGES),
        st.tuples(st.just("change"), SPOTS, ASSIGNED),
        st.tuples(st.just("delete"), SPOTS, st.just({})),
        st.tuples(st.just("increment"), SPOTS, st.just({})),
    ),
    min_size=1,
    max_size=4,
)


class Stop(Exception):
    """What a block is left with."""


@define
class Seen:
    """What a session knows of an item.

    Attributes:
        values: by field the values it may show, usually one; None where the item is missing.
        local: unsaved changes.
        deleted: whether the session itself deleted it.
    """

    values: dict[str, tuple[Any, ...]] | None
    local: Values = Factory(dict)
    deleted: bool = False

    @classmethod
    def of(cls, stored: Values | None) -> Seen:
        return cls(None if stored is None else {name: (stored[name],) for name in FIELDS})

    def assign(self, name: str, value: Any) -> None:
        """An unsaved change; a value that is the stored one is none."""
        assert self.values is not None
        self.local.pop(name, None)
        if self.values[name] != (value,):
            self.local[name] = value

    def shown(self) -> Values:
        assert self.values is not None
        return {name: values[0] for name, values in self.values.items()} | self.local


@define
class Frame:
    """One context on the stack: what its session has seen, and what is pending in it."""

    context: Any
    session: Session
    seen: dict[Spot, Seen] = Factory(dict)
    pending: set[Spot] = Factory(set)
    held: dict[Spot, Person] = Factory(dict)


def tenant(spot: Spot) -> Any:
    return TenantContext.run_with_tenant(spot[0])


def shown_by(person: Person) -> Values:
    """What an object shows."""
    values = {name: getattr(person, name) for name in FIELDS}
    return {**values, "tags": frozenset(values["tags"])}


class Sessions(RuleBasedStateMachine):
    def __init__(self, manager: Manager) -> None:
        super().__init__()
        self.manager = manager
        self.stored: dict[Spot, Values] = {}
        self.frames: list[Frame] = []
        self.open()

    # --- what must be ------------------------------------------------------------------------------

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def owner(self, spot: Spot, email: str | None) -> bool:
        """Whether another of the tenant's items has the e-mail address."""
        if email is None:
            return False
        others = (one for one in self.stored if one[0] == spot[0] and one != spot)
        return any(self.stored[one]["email"] == email for one in others)

    def flushed(self) -> None:
        """What was pending is as it is stored now."""
        for spot in self.frame.pending:
            self.frame.seen[spot] = Seen.of(self.stored.get(spot))
        self.frame.pending.clear()

    def wrote(self, spot: Spot, changed: Values, *, whole: bool = False) -> None:
        """The session wrote fields of an item; others show what they did, or what is stored."""
        stored, seen = self.stored[spot], self.frame.seen.get(spot)
        before = {} if seen is None or seen.values is None or whole else seen.values
        values = {
            name: (stored[name],) if name in changed else (stored[name], *before.get(name, ()))
            for name in FIELDS
        }
        local = {} if seen is None else seen.local
        kept = {name: value for name, value in local.items() if values[name] != (value,)}
        self.frame.seen[spot] = Seen(values, kept)
        self.frame.pending.discard(spot)

    def look(self, spot: Spot) -> Person:
        """Finds an item and compares everything it shows."""
        frame = self.frame
        with tenant(spot):
            person = Person.find(spot[1])
        if spot in frame.held:
            assert frame.held[spot] is person
        frame.held[spot] = person
        if spot not in frame.seen:
            frame.pending.add(spot)
            self.flushed()
        seen = frame.seen[spot]
        assert person.exists() == bool(person) == (seen.values is not None)
        if seen.values is not None:
            actual = shown_by(person)
            for name in FIELDS:
                allowed = (seen.local[name],) if name in seen.local else seen.values[name]
                assert actual[name] in allowed, (spot, name, actual[name], allowed)
                if name not in seen.local:
                    seen.values[name] = (actual[name],)
        return person

    # --- contexts ----------------------------------------------------------------------------------

    @precondition(lambda self: len(self.frames) < 3)
    @rule()
    def open(self) -> None:
        context = run_with_batch_context()
        self.frames.append(Frame(context, context.__enter__()))

    @precondition(lambda self: len(self.frames) > 1)
    @rule()
    def close(self) -> None:
        self.frames.pop().context.__exit__(None, None, None)

    # --- reads ---------------------------------------------------------------------------------------

    @rule(spot=SPOTS)
    def find_later(self, spot: Spot) -> None:
        """A find that nobody looks at yet."""
        with tenant(spot):
            self.frame.held[spot] = Person.find(spot[1])
        if spot not in self.frame.seen:
            self.frame.pending.add(spot)

    @rule(spot=SPOTS)
    def find(self, spot: Spot) -> None:
        self.look(spot)

    @rule(spot=SPOTS)
    def refresh(self, spot: Spot) -> None:
        person = self.look(spot)
        with tenant(spot):
            person.refresh()
        self.frame.seen[spot] = Seen.of(self.stored.get(spot))
        self.look(spot)

    @rule(who=st.sampled_from(["red", "blue"]), status=st.sampled_from(["on", "off"]))
    def query(self, who: str, status: str) -> None:
        frame = self.frame
        with TenantContext.run_with_tenant(who):
            rows = list(Person.by_status.query(status))
        self.flushed()
        expected = [
            spot
            for spot, values in sorted(self.stored.items())
            if spot[0] == who
            and values["status"] == status
            and not (spot in frame.seen and frame.seen[spot].deleted)
        ]
        assert [row.person_id for row in rows] == [spot[1] for spot in expected]
        for spot, row in zip(expected, rows, strict=True):
            if spot in frame.held:
                assert frame.held[spot] is row
            frame.held[spot] = row
            if spot not in frame.seen or frame.seen[spot].values is None:
                frame.seen[spot] = Seen.of(self.stored[spot])
            self.look(spot)

    @rule(who=st.sampled_from(["red", "blue"]), email=st.sampled_from(["x", "y"]))
    def find_by_email(self, who: str, email: str) -> None:
        with TenantContext.run_with_tenant(who):
            person = Person.find_by_email(email)
        self.flushed()
        owners = [spot for spot, one in self.stored.items() if spot[0] == who and one["email"] == email]
        if not owners:
            assert person is None
            return
        (spot,) = owners
        seen = self.frame.seen.get(spot)
        if seen is None or (seen.values is not None and seen.values["email"] == (email,)):
            assert person is not None
            assert person.person_id == spot[1]
        if person is not None:
            self.frame.held[spot] = person
            self.wrote(spot, {})
            self.look(spot)

    # --- writes one by one -----------------------------------------------------------------------------

    @rule(spot=SPOTS, given=CHANGES)
    def create(self, spot: Spot, given: Values) -> None:
        frame, values = self.frame, DEFAULTS | given
        seen = frame.seen.get(spot)
        known = seen is not None and seen.values is not None
        if known or spot in self.stored or self.owner(spot, values["email"]):
            with tenant(spot), pytest.raises(ConditionalError):
                Person.create(person_id=spot[1], **given)
            if seen is not None and not known:
                self.forget(spot)
            return
        with tenant(spot):
            frame.held[spot] = Person.create(person_id=spot[1], **given)
        self.stored[spot] = values
        frame.seen[spot] = Seen.of(values)
        frame.pending.discard(spot)

    @rule(spot=SPOTS, given=ASSIGNED)
    def assign(self, spot: Spot, given: Values) -> None:
        """Changes that are not saved yet."""
        person, seen = self.look(spot), self.frame.seen[spot]
        for name, value in given.items():
            if seen.values is None:
                with pytest.raises(ItemNotFoundError):
                    setattr(person, name, value)
                continue
            setattr(person, name, value)
            seen.assign(name, value)
        self.look(spot)

    @rule(
        spot=SPOTS,
        given=ASSIGNED,
        visits=st.integers(-2, 2),
        tags=st.none() | st.frozensets(st.sampled_from("pqr")),
        added=st.sampled_from("pqr") | st.none(),
        taken=st.sampled_from("pqr") | st.none(),
    )
    def save(
        self, spot: Spot, given: Values, visits: int, tags: Any, added: str | None, taken: str | None
    ) -> None:
        person, seen = self.look(spot), self.frame.seen[spot]
        if seen.values is None:
            with tenant(spot), pytest.raises(ItemNotFoundError):
                person.save()
            return
        before = {name: values[0] for name, values in seen.values.items()}
        after = seen.shown() | given
        for name, value in given.items():
            setattr(person, name, value)
        person.visits += visits
        if tags is not None:
            person.tags = set(tags)
        else:
            person.tags |= {added} - {None}
            person.tags.discard(taken)
        wanted = frozenset(person.tags)
        changed = {name: after[name] for name in PLAIN if after[name] != before[name]}
        relative = {"visits"} if visits else set()
        relative |= {"tags"} if wanted != before["tags"] else set()
        with tenant(spot):
            self.saved(person, spot, changed, relative)
        if spot not in self.stored or self.frame.seen[spot].values is None:
            return
        stored = self.stored[spot]
        if self.failed:
            return
        stored.update(changed)
        stored["visits"] += visits
        if "tags" in relative:
            kept = (stored["tags"] | (wanted - before["tags"])) - (before["tags"] - wanted)
            stored["tags"] = wanted if tags is not None else kept
        self.frame.seen[spot].local = {}
        self.wrote(spot, {**changed, **dict.fromkeys(relative)})
        self.look(spot)

    def saved(self, person: Person, spot: Spot, changed: Values, relative: set[str]) -> None:
        """Saves, and expects the error where there must be one."""
        self.failed = False
        if not changed and not relative:
            person.save()
        elif spot not in self.stored:
            with pytest.raises(ItemNotFoundError):
                person.save()
            self.frame.seen[spot] = Seen(None)
        elif self.owner(spot, changed.get("email")):
            with pytest.raises(UniqueConstraintError):
                person.save()
            self.failed = True
            person.refresh()
            self.frame.seen[spot] = Seen.of(self.stored[spot])
        else:
            person.save()

    @rule(spot=SPOTS, given=CHANGES)
    def update(self, spot: Spot, given: Values) -> None:
        if spot not in self.stored or self.owner(spot, given.get("email")):
            error = UniqueConstraintError if spot in self.stored else ItemNotFoundError
            with tenant(spot), pytest.raises(error):
                Person.update(spot[1], **given)
            if error is ItemNotFoundError:
                self.forget(spot)
            return
        with tenant(spot):
            self.frame.held.setdefault(spot, Person.update(spot[1], **given))
        self.stored[spot] |= given
        self.wrote(spot, given)
        self.look(spot)

    @rule(spot=SPOTS, amount=st.integers(-2, 2))
    def increment(self, spot: Spot, amount: int) -> None:
        with tenant(spot):
            if spot not in self.stored:
                with pytest.raises(ItemNotFoundError):
                    Person.increment(spot[1], visits=amount)
                self.forget(spot)
                return
            self.frame.held.setdefault(spot, Person.increment(spot[1], visits=amount))
        self.stored[spot]["visits"] += amount
        self.wrote(spot, {"visits": amount})
        self.look(spot)

    @rule(spot=SPOTS)
    def delete(self, spot: Spot) -> None:
        frame = self.frame
        with tenant(spot):
            if spot not in self.stored:
                with pytest.raises(ItemNotFoundError):
                    Person.delete(spot[1])
                self.forget(spot)
                return
            Person.delete(spot[1])
        del self.stored[spot]
        self.forget(spot)
        frame.seen[spot] = Seen(None, deleted=True)
        self.look(spot)

    def forget(self, spot: Spot) -> None:
        """The session asks anew for an item; who held its object holds another from now on."""
        self.frame.seen.pop(spot, None)
        self.frame.pending.discard(spot)
        self.frame.held.pop(spot, None)

    # --- many writes together ----------------------------------------------------------------------------

    def possible(self, steps: list[Any]) -> list[Any]:
        """The steps that can be done one after the other; each item is in one of them."""
        after, chosen = dict(self.stored), []
        for kind, spot, given in steps:
            if any(spot == other for _, other, _ in chosen):
                continue
            taken = {values["email"] for one, values in after.items() if one[0] == spot[0] and one != spot}
            free = given.get("email") is None or given["email"] not in taken
            if (kind == "create") == (spot not in after) and free:
                chosen.append((kind, spot, given))
                if kind == "delete":
                    del after[spot]
                else:
                    after[spot] = (DEFAULTS if kind == "create" else after[spot]) | given
        return chosen

    def fresh(self, steps: list[Any]) -> dict[Spot, Person]:
        """The objects of some steps, as they are stored now."""
        found = {spot: self.look(spot) for _, spot, _ in steps}
        for spot, person in found.items():
            with tenant(spot):
                person.refresh()
            self.frame.seen[spot] = Seen.of(self.stored.get(spot))
        return found

    @rule(steps=STEPS, end=st.sampled_from(["commit", "atomic", "rollback"]))
    def work(self, steps: list[Any], end: str) -> None:
        """session.add and session.delete, then a commit or a rollback."""
        session = self.frame.session
        steps = [step for step in self.possible(steps) if step[0] != "increment"]
        found = self.fresh(steps)
        for kind, spot, given in steps:
            with tenant(spot):
                if kind == "create":
                    made = Person(person_id=spot[1], **given)
                    session.add(made)
                    assert Person.find(spot[1]).name == made.name
                elif kind == "delete":
                    session.delete(found[spot])
                    assert found[spot].exists()
                else:
                    for name, value in given.items():
                        setattr(found[spot], name, value)
                    session.add(found[spot])
        if end == "rollback":
            session.rollback()
        else:
            session.commit(atomic=end == "atomic")
            self.done(steps)
        for kind, spot, given in steps:
            if kind == "create" and end == "rollback":
                self.forget(spot)
            elif kind == "change" and end == "rollback":
                for name, value in given.items():
                    self.frame.seen[spot].assign(name, value)
            elif kind != "change":
                self.frame.held.pop(spot, None)
        for _, spot, _ in steps:
            self.look(spot)

    def done(self, steps: list[Any]) -> None:
        """The steps are stored."""
        for kind, spot, given in steps:
            if kind == "delete":
                del self.stored[spot]
                self.frame.seen[spot] = Seen(None, deleted=True)
                continue
            if kind == "increment":
                self.stored[spot]["visits"] += 1
            else:
                self.stored[spot] = (DEFAULTS if kind == "create" else self.stored[spot]) | given
            self.frame.seen[spot] = Seen.of(self.stored[spot])

    @rule(steps=STEPS, end=st.sampled_from(["success", "error", "taken"]))
    def together(self, steps: list[Any], end: str) -> None:
        """A transaction() that succeeds, is left with an error, or wants a value that is taken."""
        steps = self.possible(steps)
        found = self.fresh(steps)
        email = next((one["email"] for one in self.stored.values() if one["email"]), None)
        fails = end == "error" or (end == "taken" and email is not None)
        try:
            with transaction():
                for kind, spot, given in steps:
                    self.write(kind, spot, given, found[spot])
                if end == "error":
                    raise Stop
                if fails:
                    for who in ("red", "blue"):
                        with TenantContext.run_with_tenant(who):
                            Person.create(person_id="z", email=email)
                            Person.create(person_id="zz", email=email)
        except (Stop, UniqueConstraintError):
            assert fails
        else:
            assert not fails
            self.done(steps)
        for kind, spot, _ in steps:
            if fails or kind == "increment":
                self.forget(spot)
            self.frame.held.pop(spot, None)
        for _, spot, _ in steps:
            self.look(spot)

    def write(self, kind: str, spot: Spot, given: Values, person: Person) -> None:
        with tenant(spot):
            if kind == "create":
                assert Person.create(person_id=spot[1], **given).exists()
            elif kind == "delete":
                person.delete()
                assert not Person.find(spot[1]).exists()
            elif kind == "increment":
                Person.increment(spot[1], visits=1)
                assert Person.find(spot[1]).visits == self.stored[spot]["visits"] + 1
            else:
                for name, value in given.items():
                    setattr(person, name, value)
                person.save()
                assert shown_by(Person.find(spot[1])) == self.stored[spot] | given

    # --- the table ---------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Every item, guard and index key is as it must be; then the table is emptied."""
        while self.frames:
            self.frames.pop().context.__exit__(None, None, None)
        items = self.manager.client.scan(TableName=self.manager.table_name, ConsistentRead=True)["Items"]
        for item in items:
            key = {name: item[name] for name in ("_pk", "_sk")}
            self.manager.client.delete_item(TableName=self.manager.table_name, Key=key)
        assert sorted(map(repr, map(_flat, items))) == sorted(map(repr, self.expected()))

    def expected(self) -> Iterator[dict[str, Any]]:
        for (who, person_id), values in self.stored.items():
            schema = Person.__bao_schema__
            full = {**values, "tags": set(values["tags"]), "person_id": person_id}
            yield _flat(schema.item(who, schema.keys.from_key(who, person_id), full))
            if values["email"] is not None:
                yield {"guard": (who, values["email"], person_id)}


def _flat(item: dict[str, Any]) -> dict[str, Any]:
    """A stored item as plain sorted values; a guard as what it says."""
    lead, mark, value = item["_pk"]["S"].partition("#_raft_uc#_uc1#sm#email:")
    if mark:
        return {"guard": (lead.strip("[]"), value, item["relatedId"]["S"])}
    plain = {name: next(iter(value.values())) for name, value in sorted(item.items())}
    return {name: sorted(value) if isinstance(value, list) else value for name, value in plain.items()}


@pytest.fixture
def connected(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    tenancy = {"enabled": True}
    with init_models(models=[Person], table_name=ready_table, tenancy=tenancy, **connection) as manager:
        yield manager


@pytest.mark.needs("all_old_on_condition_failure")
@pytest.mark.promise("S2")
def test_sessions_show_what_they_must(connected: Manager, request: pytest.FixtureRequest) -> None:
    """Any sequence of operations shows and leaves what plain dicts do."""
    sequences = 0

    def machine() -> Sessions:
        nonlocal sequences
        sequences += 1
        return Sessions(connected)

    run_state_machine_as_test(machine, settings=settings(many(60), stateful_step_count=15))
    print(f"\nS2 {request.node.callspec.params['engine']}: {sequences:,} sequences, 0 divergences")
