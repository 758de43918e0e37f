"""Paths into documents with types: what an update by path and a condition may say about a part."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import attrs
import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    AddMembers,
    Append,
    BaoError,
    DataFormatError,
    DropMembers,
    IfMissing,
    Increment,
    Index,
    ListField,
    Manager,
    MapField,
    Model,
    NestedField,
    PrimaryKey,
    QueryError,
    Remove,
    SetField,
    StringField,
    StringSetField,
    UuidField,
    ValidationError,
    Value,
    init_models,
    run_with_batch_context,
    transaction,
)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.define
class Address:
    zip: str = attrs.field(default="12345", validator=attrs.validators.matches_re(r"\d{5}"))
    since: date | None = None
    color: Color = Color.RED
    seen: datetime | None = None
    ident: UUID | None = None
    days: set[date] = attrs.Factory(set)
    calls: list[datetime] = attrs.Factory(list)


@attrs.define
class Box:
    size: int = 1


@attrs.define
class Sized:
    label: str
    size: int = 1


@attrs.define
class Tagged:
    size: int = 1
    tags: set[str] | None = None


@dataclass(eq=False)
class Kind:
    kind: Literal["a", "b"]


@attrs.define
class Cat:
    kind: Literal["cat"] = "cat"
    lives: int = 9


@attrs.define
class Dog:
    kind: Literal["dog"] = "dog"
    lives: int = 1


class Person(Model, prefix="tp"):
    key: str
    text: str = "old"
    address: Address | None = None
    box: Box = NestedField(default=Box(1))
    tagged: Tagged | None = None
    kind: Kind | None = None
    pair: tuple[int, str] = ListField(default=lambda: (1, "a"))
    maybe: tuple[int, str] | None = None
    kinds: list[Sized] = ListField(default=list)
    pairs: dict[str, tuple[int, str]] = MapField(default=dict)
    named: dict[Literal["a", "b"], int] = MapField(default=dict)
    mixed: dict[str, Box | str] = MapField(default=dict)
    pets: dict[str, Cat | Dog] = MapField(default=dict)
    dates: list[date] = ListField(default=list)
    flags: set[bool] = SetField()
    tags: set[str] = StringSetField()
    nick: str | None = None
    token: UUID | None = UuidField(default=None)
    ligature: str = StringField(attribute="\ufb01", default="none")
    letters: str = StringField(attribute="fi", default="none")
    quoted: str = StringField(attribute='a"b', default="none")
    primary_key = PrimaryKey("key")
    everyone = Index(MODEL_PREFIX, "key", id="gsi1")


@pytest.fixture
def table(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=[Person], table_name=ready_table, **connection) as manager:
        yield manager


def raw(table: Manager) -> dict[str, Any]:
    key = {"_pk": {"S": "tp#k"}, "_sk": {"S": "tp"}}
    item: dict[str, Any] = table.client.get_item(TableName=table.table_name, Key=key)["Item"]
    return item


def put(table: Manager, **attributes: Any) -> None:
    table.client.put_item(TableName=table.table_name, Item={**raw(table), **attributes})


WRONG: list[tuple[dict[str, Any], type[BaoError], str]] = [
    ({"pair": Append([5])}, QueryError, r"Person\.pair: Append is for lists only"),
    ({"pair[0]": Remove()}, ValidationError, r"Person\.pair\[0\] is needed and cannot be removed"),
    ({"pair[5]": "z"}, QueryError, "has 2 elements, so there is no position 5"),
    ({"pairs.x": Append([5])}, QueryError, "Append is for lists only"),
    ({"named.z": 1}, QueryError, "no key 'z'"),
    ({"mixed.x.size": "text"}, ValidationError, r"Person\.mixed\.x\.size"),
    ({"mixed.x.sise": 1}, QueryError, "has no part 'sise'"),
    ({"pets.x.lives": "nine"}, ValidationError, r"Person\.pets\.x\.lives takes int, not str"),
    ({"pets.x.lives": None}, ValidationError, r"Person\.pets\.x\.lives is required"),
    ({"pets.x.lives": IfMissing("a")}, ValidationError, r"Person\.pets\.x\.lives takes int, not str"),
    ({"pets.x.lives": Append([1])}, QueryError, "Append is for lists only"),
    ({"pets.x.kind": Increment(1)}, QueryError, "Increment is for numbers only"),
    ({"pets.x.kind": "bird"}, ValidationError, r"Person\.pets\.x\.kind is not one of"),
    ({"address.zip": "bad"}, ValidationError, r"Person\.address: the change would leave a value"),
    ({"maybe[0]": 5}, DataFormatError, r"these members alone do not make one \(has 1 elements, not 2\)"),
    (
        {"pairs.new[1]": "b"},
        DataFormatError,
        r"pairs cannot be changed: new is not stored, and these members",
    ),
    ({"kinds[1].size": 5}, DataFormatError, r"kinds cannot be changed: 1 is not stored, and these members"),
    ({"nick": IfMissing(None)}, QueryError, r"Person\.nick: None is stored as no attribute"),
    ({"tags": IfMissing(set())}, QueryError, r"Person\.tags: set\(\) is stored as no attribute"),
    (
        {"flags": AddMembers(True)},
        QueryError,
        "AddMembers is for sets of texts, numbers or bytes; load the object",
    ),
    ({"flags": DropMembers(True)}, QueryError, "DropMembers is for sets of texts, numbers or bytes"),
    (
        {"mixed.a": AddMembers("x")},
        QueryError,
        "sets inside of documents; load the object, change its set and save",
    ),
]


@pytest.mark.parametrize(("changes", "error", "text"), WRONG, ids=str)
def test_a_change_that_could_not_be_read_back_is_refused(
    table: Manager, changes: dict[str, Any], error: type[BaoError], text: str
) -> None:
    """Inside a transaction and outside. Nothing is written."""
    Person.create(key="k", address=Address(), pairs={"x": (1, "a")}, mixed={"x": Box(1)})
    before = raw(table)
    with pytest.raises(error, match=text):
        Person.update("k", changes)
    with run_with_batch_context(), pytest.raises(error, match=text), transaction():
        Person.update("k", changes)
    assert raw(table) == before


def test_a_part_of_several_classes_takes_what_one_of_them_takes(table: Manager) -> None:
    """Which class is stored is not known before the change is sent."""
    Person.create(key="k", pets={"x": Cat(lives=2)})
    Person.update("k", {"pets.x.lives": Increment(1), "pets.x.kind": "dog"})
    assert Person.find("k").pets == {"x": Dog(lives=3)}


def test_valid_changes_by_path_are_stored(table: Manager) -> None:
    Person.create(key="k", address=Address(), pairs={"x": (1, "a")}, mixed={"x": Box(1)})
    Person.update(
        "k",
        {
            "address.zip": "54321",
            "address.since": date(2020, 1, 1),
            "pair[1]": "b",
            "pairs.x[0]": 2,
            "named.b": 3,
            "mixed.x.size": 4,
        },
    )
    person = Person.find("k")
    assert person.address == Address("54321", date(2020, 1, 1))
    assert (person.pair, person.pairs["x"], person.named) == ((1, "b"), (2, "a"), {"b": 3})
    assert person.mixed == {"x": Box(4)}


def test_conditions_take_the_type_of_the_part(table: Manager) -> None:
    day = date(2020, 1, 1)
    token = UUID("00000000-0000-4000-8000-000000000001")
    Person.create(key="k", address=Address(since=day, color=Color.BLUE), dates=[day], token=token)
    for condition in (
        {"address.since": day},
        Person.fields.address["since"] > date(2019, 1, 1),
        {"address.color": Color.BLUE},
        {"dates": {"$contains": day}},
        {"dates[0]": day},
        {"token": {"$begins_with": "0000"}},
        {"token": {"$begins_with": token}},
    ):
        assert Person.everyone.query(filter=condition).one().key == "k"
    assert not Person.everyone.query(filter={"address.color": Color.RED})


def test_conditions_read_texts_as_the_part_does(table: Manager) -> None:
    """A condition on a part takes what the part itself takes, as a condition on a field does."""
    noon = datetime(2020, 1, 1, 12, tzinfo=timezone.utc)
    ident = UUID("abcdef12-0000-4000-8000-000000000001")
    address = Address(seen=noon, ident=ident, days={noon.date()}, calls=[noon])
    Person.create(key="k", address=address, dates=[noon.date()])
    for condition in (
        {"address.seen": "2020-01-01T12:00:00Z"},
        {"address.seen": {"$lt": "2020-01-01T12:00:01Z"}},
        {"address.seen": {"$between": ["2020-01-01T12:30:00+01:00", "2020-01-01T13:00:00+01:00"]}},
        {"address.seen": {"$begins_with": "2020-01-01T12"}},
        {"address.seen": {"$contains": "2020-01-01"}},
        {"address.ident": {"$in": [str(ident).upper()]}},
        {"address.ident": {"$begins_with": "abcdef"}},
        {"address.days": ["2020-01-01"]},
        {"address.days": {"$contains": "2020-01-01"}},
        {"address.calls": ["2020-01-01T12:00:00Z"]},
        {"address.calls": {"$contains": "2020-01-01T12:00:00Z"}},
        {"dates": {"$contains": "2020-01-01"}},
    ):
        assert Person.everyone.query(filter=condition).one().key == "k", condition
    put(table, address={"M": {"seen": {"N": "5"}}})
    assert Person.everyone.query(filter={"address.seen": Value(5)}).one().key == "k"


@pytest.mark.parametrize("step", [-1, True, ""])
def test_a_step_of_a_condition_is_a_name_or_a_position(table: Manager, step: Any) -> None:
    with pytest.raises(QueryError, match=rf"Person\.dates: {step!r} is no name or position"):
        Person.everyone.query(filter=Person.fields.dates[step] == "x").all()


# --- what nobody touched ---------------------------------------------------------------------------------------


def test_a_default_object_belongs_to_one_instance(table: Manager) -> None:
    """And a change in it is a change, also if the item lacks the attribute."""
    person = Person.create(key="k")
    person.box.size = 50
    assert Person(key="other").box == Box(1)
    item = raw(table)
    del item["box"]
    table.client.put_item(TableName=table.table_name, Item=item)
    found = Person.find("k")
    found.box.size = 7
    assert found.changes() == {"box": Box(7)}
    found.save()
    assert Person.find("k").box == Box(7)


def test_a_null_set_inside_an_object_is_no_change(table: Manager) -> None:
    """JavaScript writes it for null."""
    Person.create(key="k", tagged=Tagged(2))
    put(table, tagged={"M": {"size": {"N": "2"}, "tags": {"NULL": True}}})
    person = Person.find("k")
    assert person.changes() == {}
    person.text = "new"
    person.save()
    assert raw(table)["tagged"]["M"]["tags"] == {"NULL": True}


def test_an_untouched_object_without_equality_blocks_no_save(table: Manager) -> None:
    """Its value is one that the class no longer takes."""
    Person.create(key="k", kind=Kind("a"))
    put(table, kind={"M": {"kind": {"S": "old"}}})
    person = Person.find("k")
    person.text = "new"
    person.save()
    assert Person.find("k").text == "new"


@pytest.mark.parametrize("count", [1, 2])
def test_attributes_with_odd_names_are_kept_apart(table: Manager, count: int) -> None:
    """A ligature and its letters are one name to Python, and a quote needs an escape sequence in JSON."""
    Person.create(key="k", ligature="one", letters="two", quoted="three")
    for _ in range(count):
        person = Person.find("k", bypass_cache=True)
        assert (person.ligature, person.letters, person.quoted) == ("one", "two", "three")
    assert Person.everyone.query().one().letters == "two"


class Amount(Model, prefix="ta"):
    owner: str
    amount: Decimal
    primary_key = PrimaryKey("owner", "amount")
    of_owner = primary_key


def test_a_negative_number_in_a_key_is_read_exactly(connection: dict[str, Any], ready_table: str) -> None:
    """A number of 38 digits is no other number in the decimal context of the program."""
    value = Decimal("-1.2345678901234567890123456789012345678")
    with init_models(models=[Amount], table_name=ready_table, **connection):
        Amount.create(owner="o", amount=value)
        assert Amount.of_owner.query("o").one().amount == value
