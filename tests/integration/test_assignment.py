"""What is assigned to an instance: which names there are, in which form a field holds a value, and defaults."""

from __future__ import annotations

import enum
import functools
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from dynamo_bao import (
    BinaryField,
    BinarySetField,
    BooleanField,
    CounterField,
    DateTimeField,
    DecimalField,
    EnumField,
    FloatField,
    Index,
    IntegerField,
    JsonField,
    ListField,
    Manager,
    MapField,
    Model,
    NumberSetField,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    TtlField,
    UniqueConstraint,
    UuidField,
    init_models,
    run_with_batch_context,
)
from tests.support.wire import Wire

UTC = timezone.utc


class Colour(enum.Enum):
    RED = "red"


class Mixin:
    """What is no model, and declares a name."""

    from_mixin = 0


class Owner(Model, prefix="ow"):
    owner_id: str
    name: str = StringField(default="")

    primary_key = PrimaryKey("owner_id")


class Thing(Mixin, Model, prefix="th"):
    thing_id: str
    name: str = StringField(default="")
    email: str | None = StringField(default=None)
    owner_id: str | None = RelatedField("Owner", default=None)
    whole: int | None = IntegerField(default=None)
    visits: int = CounterField()
    number: float | None = FloatField(default=None)
    rounded: float | None = FloatField(precision=2, default=None)
    exact: Decimal | None = DecimalField(default=None)
    flag: bool | None = BooleanField(default=None)
    data: bytes | None = BinaryField(default=None)
    moment: datetime | None = DateTimeField(default=None)
    ttl: datetime | None = TtlField(default=None)
    ident: uuid.UUID | None = UuidField(default=None)
    colour: Colour | None = EnumField(Colour, default=None)
    tags: set[str] | None = StringSetField()
    numbers: set[Any] | None = NumberSetField()
    blobs: set[bytes] | None = BinarySetField(default=None)
    things: dict[str, Any] | None = MapField(default=None)
    parts: list[Any] | None = ListField(default=None)
    typed: list[Decimal] | None = None
    json: Any = JsonField(default=None)

    seen_at: ClassVar[int]
    is_liked = None

    def greet(self) -> str:
        return f"Hello {self.name}"

    @property
    def label(self) -> str:
        return self.name

    @property
    def title(self) -> str:
        return self.name

    @title.setter
    def title(self, value: str) -> None:
        self.name = value

    @functools.cached_property
    def shout(self) -> str:
        return self.name.upper()

    primary_key = PrimaryKey("thing_id")
    by_name = Index("name", "thing_id", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")


class Crate(Model, prefix="cr"):
    crate_id: str
    labels: set[str]
    sizes: frozenset[int] = frozenset({1})

    primary_key = PrimaryKey("crate_id")


@pytest.fixture
def things(table_name: str) -> Iterator[Manager]:
    with init_models(models=[Crate, Owner, Thing], table_name=table_name, embedded=True) as manager:
        manager.create_table()
        yield manager


def stored() -> Thing:
    return Thing.create(thing_id=uuid.uuid4().hex, name="Ada")


def pending() -> Thing:
    return Thing.find(stored().thing_id)


STATES: dict[str, Callable[[], Any]] = {
    "new": lambda: Thing(thing_id="1", name="Ada"),
    "stored": stored,
    "found": pending,
}


@pytest.fixture(params=STATES)
def thing(request: pytest.FixtureRequest, things: Manager) -> Iterator[Any]:
    """An instance: new, stored, or pending in a context."""
    with run_with_batch_context():
        yield STATES[request.param]()


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nmae", "'name'"),
        ("save", "library"),
        ("find", "library"),
        ("fields", "library"),
        ("primary_id", "library"),
        ("query_by_name", ""),
        ("find_by_email", ""),
        ("get_owner", ""),
        ("is_likde", "declare is_likde = None in the class"),
        ("label", ""),
    ],
)
@pytest.mark.rule(45)
def test_other_names_cannot_be_assigned(thing: Any, name: str, told: str) -> None:
    """The error comes at the assignment, and says what was meant."""
    with pytest.raises(AttributeError) as caught:
        setattr(thing, name, "Grace")
    assert told in str(caught.value)
    if name != "label":  # a property of Python's own
        assert "Thing" in str(caught.value) and name in str(caught.value)
    assert name not in vars(thing)


@pytest.mark.rule(45)
def test_what_the_class_declares_can_be_assigned(thing: Any) -> None:
    """Annotated or bound names, properties with setters, relations, private names, names of mixins."""
    thing.is_liked = True
    thing.seen_at = 5
    thing.from_mixin = 7
    thing._cache = {"a": 1}
    thing.greet = lambda: "Hi"
    thing.title = "Grace"
    assert (thing.is_liked, thing.seen_at, thing.from_mixin, thing._cache) == (True, 5, 7, {"a": 1})
    assert (thing.greet(), thing.name, thing.shout) == ("Hi", "Grace", "GRACE")
    owner = Owner.create(owner_id="o")
    thing.owner = owner
    assert thing.owner_id == "o" and thing.owner is owner


@pytest.mark.rule(45)
def test_a_field_cannot_be_deleted(thing: Any) -> None:
    """None is assigned instead; other attributes can be deleted as usual."""
    with pytest.raises(AttributeError, match="assign None"):
        del thing.name
    assert thing.name == "Ada"
    thing._cache = 1
    del thing._cache
    with pytest.raises(AttributeError):
        del thing._cache


def test_a_misspelled_name_is_not_sent(things: Manager) -> None:
    """Nothing is lost silently: what would have been is an error, and the save sends the rest."""
    ada = stored()
    with pytest.raises(AttributeError, match="Did you mean 'name'"):
        ada.nmae = "Grace"  # type: ignore[attr-defined]
    assert not ada.has_changes()


# --- values ------------------------------------------------------------------------------------------------------

OWNER = "o-1"
CONVERTED: list[tuple[str, Any, Any]] = [
    ("name", type("Text", (str,), {})("x"), "x"),
    ("number", 2, 2.0),
    ("rounded", 1.236, 1.24),
    ("exact", 3, Decimal(3)),
    ("data", bytearray(b"a"), b"a"),
    ("data", memoryview(b"a"), b"a"),
    ("moment", "2025-01-02T03:04:05Z", datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("moment", datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), datetime(2025, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)),
    ("moment", datetime(2025, 1, 2, tzinfo=timezone(timedelta(hours=2))), datetime(2025, 1, 1, 22, tzinfo=UTC)),
    ("moment", 1735787045000, datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("ttl", "2035-01-02T03:04:05+00:00", datetime(2035, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("ident", "0E37DF36-F698-11E6-8DD4-CB9CED3DF976", uuid.UUID("0e37df36-f698-11e6-8dd4-cb9ced3df976")),
    ("colour", "red", Colour.RED),
    ("tags", ["a", "b", "a"], {"a", "b"}),
    ("numbers", (1, 2.0), {1, 2}),
    ("blobs", [b"a"], {b"a"}),
    ("json", (1, 2), [1, 2]),
    ("typed", [1], [Decimal(1)]),
    ("parts", (1, 2), [1, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "held"), CONVERTED, ids=range(len(CONVERTED)))
def test_assignment_converts_what_the_constructor_converts(
    thing: Any, name: str, given: Any, held: Any
) -> None:
    """Before the save, and with the type that the field holds."""
    made = getattr(Thing(thing_id="2", **{name: given}), name)
    setattr(thing, name, given)
    for value in (made, getattr(thing, name)):
        assert value == held and type(value) is type(held)
    thing.save()
    assert getattr(thing, name) == held
    assert getattr(Thing.find(thing.thing_id, bypass_cache=True), name) == held


@pytest.mark.filterwarnings("ignore::dynamo_bao.NaiveDatetimeWarning")
@pytest.mark.parametrize("years", [-1, 1])
def test_a_ttl_given_as_text_or_naive_can_be_asked_for(thing: Any, years: int) -> None:
    """is_expired() compares moments."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365 * years)
    for given in (moment.isoformat(), moment.replace(tzinfo=None), moment, int(moment.timestamp() * 1000)):
        thing.ttl = given
        assert thing.ttl == moment
        assert thing.is_expired() is (years < 0)


def test_an_instance_is_its_id_at_once(thing: Any) -> None:
    """A relation field holds the id of what it is given."""
    thing.owner_id = Owner.create(owner_id="o")
    assert thing.owner_id == "o"


def test_what_cannot_be_converted_is_refused_by_the_save(thing: Any) -> None:
    """As in the constructor; assigning never raises for a value."""
    for name, value in (("moment", "soon"), ("ident", "x"), ("colour", "blue"), ("whole", "many")):
        setattr(thing, name, value)
        assert getattr(thing, name) == value
        with pytest.raises(ValueError, match=name):
            thing.save()
        setattr(thing, name, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("things", {"a": [1]}), ("parts", [1, {}]), ("json", {"a": 1}), ("tags", {"a"}), ("numbers", {1})],
)
def test_what_is_held_as_it_is_stays_the_same_object(thing: Any, name: str, value: Any) -> None:
    """So that changing it in place after the assignment counts, and augmented assignment adds to a set."""
    setattr(thing, name, value)
    assert getattr(thing, name) is value


def test_augmented_assignment_of_a_set_adds(things: Manager) -> None:
    """It is the same set, so that only the new member is sent."""
    ada = Thing.create(thing_id="1", name="Ada", tags={"a"}, numbers={1})
    assert ada.tags is not None and ada.numbers is not None
    wire = Wire(things.client)
    ada.tags |= {"b"}
    ada.numbers |= {2}
    ada.save()
    ((_, sent),) = wire.sent
    assert sent["UpdateExpression"].startswith("ADD ") and "SET" not in sent["UpdateExpression"]


# --- None and defaults ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in Thing.__annotations__ if name != "thing_id"][1:-1])
def test_none_is_taken_by_every_optional_field(things: Manager, name: str) -> None:
    """By the constructor, create and assignment; a set that is stored as nothing is the empty one."""
    if name == "visits":
        return
    nothing = set() if name in ("tags", "numbers", "blobs") else None  # type: ignore[var-annotated]
    assert getattr(Thing(thing_id="1", **{name: None}), name) is None
    made = Thing.create(thing_id="1", **{"name": "Ada", name: None})
    assert getattr(made, name) == nothing
    setattr(made, name, None)
    assert getattr(made, name) is None and not made.has_changes()
    assert getattr(Thing.find("1"), name) == nothing


def test_a_set_that_is_never_none_takes_none_as_the_empty_set(things: Manager) -> None:
    """By the constructor and by assignment, before a save and after it."""
    new: Any = Crate(crate_id="1", labels=None)
    assert (new.labels, new.sizes) == (set(), frozenset({1}))
    new.labels.add("fragile")
    new.save()
    found: Any = Crate.find("1")
    found.labels = found.sizes = None
    assert found.changes() == {"labels": set(), "sizes": frozenset()}
    found.save()
    assert (found.labels, found.sizes, found.has_changes()) == (set(), frozenset(), False)
    assert Crate.find("1").to_dict() == {"crate_id": "1", "labels": set(), "sizes": frozenset()}
