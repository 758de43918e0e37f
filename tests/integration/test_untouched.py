"""What a program did not touch is never sent, makes no version and fails no condition, however it is stored."""

from __future__ import annotations

import copy
import enum
import pickle
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest

from dynamo_bao import (
    BinaryField,
    BooleanField,
    CounterField,
    DateTimeField,
    DecimalField,
    DropMembers,
    EnumField,
    FloatField,
    IntegerField,
    JsonField,
    ListField,
    Manager,
    MapField,
    Model,
    ModifiedDateField,
    NestedField,
    NumberSetField,
    PrimaryKey,
    Session,
    SetField,
    StringField,
    StringSetField,
    TtlField,
    UuidField,
    VersionField,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.engines import Engine
from tests.support.wire import Wire


class Colour(enum.Enum):
    RED = "red"


@attrs.define
class Address:
    city: str
    zip: str = "none"
    seen: int = 0


@attrs.define
class Ticket:
    title: str
    number: str = attrs.Factory(lambda: uuid.uuid4().hex)
    moment: float = attrs.field(factory=lambda: uuid.uuid4().int / 2**128)


@attrs.frozen
class Spot:
    x: int
    label: str = "none"


@attrs.define
class Draw:
    mixed: set[int | str] = attrs.Factory(set)
    numbers: set[float] = attrs.Factory(set)
    idents: set[uuid.UUID] = attrs.Factory(set)
    none_or_all: set[uuid.UUID] | int = 0


@attrs.define
class Choice:
    title: str
    topics: set[str] | None = None
    days: frozenset[int] | None = None


class Everything(Model, prefix="ev"):
    key: str = StringField()
    other: str = StringField(default="none")
    note: str | None = StringField(default=None, max_length=5)
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
    tags: set[str] = StringSetField(max_member_count=2)
    numbers: set[Any] = NumberSetField()
    things: dict[str, Any] | None = MapField(default=None)
    parts: list[Any] | None = ListField(default=None)
    json: Any = JsonField(default=None)
    address: Address | None = NestedField(Address, default=None)
    ticket: Ticket | None = NestedField(Ticket, default=None)

    primary_key = PrimaryKey("key")


class Versioned(Everything, prefix="ve"):
    version: str = VersionField()
    modified: datetime = ModifiedDateField()


class OfSets(Model, prefix="os"):
    key: str = StringField()
    draw: Draw = NestedField(Draw, default=Draw)
    draws: list[set[int | str]] = ListField(default=list)
    numbers: set[float] = NumberSetField()
    idents: set[uuid.UUID] = SetField()
    spots: set[Spot] = SetField()
    choice: Choice | None = NestedField(Choice, default=None)
    groups: list[set[int] | None] = ListField(default=list)
    stops: list[Address] = ListField(default=list)

    primary_key = PrimaryKey("key")


SPELLINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "a text over the limit": ("note", {"S": "much too long"}),
    "a member that the class does not have": (
        "address",
        {"M": {"city": {"S": "Rome"}, "planet": {"S": "Earth"}}},
    ),
    "a member that has a default": ("address", {"M": {"city": {"S": "Rome"}, "seen": {"N": "1"}}}),
    "a member that is made each time": ("ticket", {"M": {"title": {"S": "a"}}}),
    "a float of 38 digits": ("number", {"N": "0.12345678901234567890123456789012345678"}),
    "a float over 2^53": ("number", {"N": "9007199254740993"}),
    "a float with more decimals": ("rounded", {"N": "1.23456"}),
    "a decimal": ("exact", {"N": "100000"}),
    "a large decimal": ("exact", {"N": "1E100"}),
    "a whole number": ("whole", {"N": "99999999999999999999999999999999999999"}),
    "an upper case UUID": ("ident", {"S": "0E37DF36-F698-11E6-8DD4-CB9CED3DF976"}),
    "a UUID in braces": ("ident", {"S": "{0e37df36-f698-11e6-8dd4-cb9ced3df976}"}),
    "a UUID without dashes": ("ident", {"S": "0e37df36f69811e68dd4cb9ced3df976"}),
    "JSON with white space": ("json", {"S": ' { "a" : [ 1 , 2 ] } '}),
    "JSON with escapes": ("json", {"S": '"\\u00e9\\u0041\\/"'}),
    "JSON with an exponent": ("json", {"S": "[1e-7, 1E2, 1.50]"}),
    "JSON with a negative zero": ("json", {"S": "[-0, -0.0]"}),
    "JSON with repeated keys": ("json", {"S": '{"a": 1, "a": 2}'}),
    "JSON null": ("json", {"S": "null"}),
    "JSON NaN": ("json", {"S": "[NaN, Infinity]"}),
    "a JSON number": ("json", {"S": "NaN"}),
    "more members than allowed": ("tags", {"SS": ["a", "b", "c"]}),
    "numbers of a set": ("numbers", {"NS": ["1", "2.50", "1E3"]}),
    "a map with a set": ("things", {"M": {"a": {"SS": ["x", "y"]}, "b": {"NS": ["1", "2"]}}}),
    "a map with numbers": ("things", {"M": {"a": {"N": "1.10"}, "b": {"N": "9007199254740993"}}}),
    "a map with NULL and an empty map": ("things", {"M": {"a": {"NULL": True}, "b": {"M": {}}}}),
    "an empty map": ("things", {"M": {}}),
    "an empty list": ("parts", {"L": []}),
    "a list with all kinds": ("parts", {"L": [{"NULL": True}, {"BOOL": False}, {"SS": ["x"]}, {"N": "1.0"}]}),
    "an empty text": ("note", {"S": ""}),
    "zero": ("whole", {"N": "0"}),
    "false": ("flag", {"BOOL": False}),
    "a moment before 1970": ("moment", {"N": "-1"}),
    "bytes": ("data", {"B": b"\x00\xff"}),
    "a colour": ("colour", {"S": "red"}),
    "nothing": ("note", {"S": "ok"}),
}


@pytest.fixture
def table(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=[Everything, Versioned, OfSets], table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture
def seen(table: Manager) -> Wire:
    return Wire(table.client)


def put(manager: Manager, model: Any, attribute: str, stored: dict[str, Any]) -> None:
    prefix = model.__bao_options__.prefix
    own = (
        {"version": {"S": "01JGFJJZ00VER0000000000000"}, "modified": {"N": "1"}} if model is Versioned else {}
    )
    item = {"_pk": {"S": f"{prefix}#k"}, "_sk": {"S": prefix}, "key": {"S": "k"}, attribute: stored, **own}
    manager.client.put_item(TableName=manager.table_name, Item=item)


def raw(manager: Manager, model: Any) -> dict[str, Any]:
    prefix = model.__bao_options__.prefix
    key = {"_pk": {"S": f"{prefix}#k"}, "_sk": {"S": prefix}}
    item: dict[str, Any] = manager.client.get_item(
        TableName=manager.table_name, Key=key, ConsistentRead=True
    )["Item"]
    return item


def write(session: Session, loaded: Model, way: str) -> None:
    """Writes a changed object in one of the ways: save, commit, atomic or transaction."""
    if way == "save":
        loaded.save()
    elif way == "transaction":
        with transaction():
            loaded.save()
    else:
        session.add(loaded)
        session.commit(atomic=way == "atomic")


def names_sent(body: dict[str, Any]) -> set[str]:
    return set(body["ExpressionAttributeNames"].values())


@pytest.mark.quick_engines
@pytest.mark.parametrize("model", [Everything, Versioned])
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.rule(23)
def test_what_was_not_touched_is_not_sent(
    table: Manager, seen: Wire, model: Any, spelling: str, engine: Engine
) -> None:
    """No spelling of a stored value makes a request by itself, or goes with the change of another field."""
    attribute, stored = SPELLINGS[spelling]
    if "empty_strings" in engine.lacks and spelling == "an empty text":
        pytest.skip("this engine refuses empty texts")
    put(table, model, attribute, stored)
    before = raw(table, model)
    seen.clear()
    model.find("k").save()
    with run_with_batch_context() as session:
        loaded = model.find("k")
        assert loaded.exists()
        assert not loaded.has_changes()
        assert loaded.changes() == {}
        loaded.save()
        session.add(loaded)
        session.commit()
        with transaction():
            loaded.save()
        with transaction():
            model.find("k").save()
        found = getattr(loaded, attribute)
        loaded.refresh()
        assert type(getattr(loaded, attribute)) is type(found)
        assert not loaded.has_changes()
    assert set(seen.operations) <= {"GetItem", "BatchGetItem"}
    assert raw(table, model) == before

    seen.clear()
    loaded = model.find("k")
    loaded.other = "changed"
    assert list(loaded.changes()) == ["other"]
    loaded.save()
    [body] = [body for operation, body in seen.sent if operation == "UpdateItem"]
    assert names_sent(body) <= {"_pk", "other", "version", "modified"}
    after = raw(table, model)
    assert after[attribute] == before[attribute]
    assert {name for name in after if after[name] != before.get(name)} <= {"other", "version", "modified"}


@pytest.mark.parametrize("way", ["save", "commit", "atomic", "transaction"])
@pytest.mark.rule(23)
def test_no_way_of_writing_sends_it(table: Manager, seen: Wire, way: str) -> None:
    """A commit and a transaction change, check and leave alone the same as a save."""
    for name, (attribute, stored) in SPELLINGS.items():
        if name == "an empty text":
            continue
        put(table, Versioned, attribute, stored)
        before = raw(table, Versioned)
        with run_with_batch_context() as session:
            loaded = Versioned.find("k")
            loaded.visits += 1
            loaded.other = f"by {name}"
            write(session, loaded, way)
        after = raw(table, Versioned)
        assert after.pop("other") == {"S": f"by {name}"}
        assert after.pop("visits") == {"N": "1"}
        assert {name for name in after if after[name] != before[name]} <= {"version", "modified"}


@pytest.mark.rule(23)
def test_a_value_that_is_another_is_sent(table: Manager, seen: Wire) -> None:
    """A value that equals the old one in Python, or is stored the same after rounding, is a change all the same."""
    put(table, Everything, "things", {"M": {"a": {"N": "1"}, "b": {"N": "1"}}})
    loaded = Everything.find("k")
    assert loaded.things is not None
    loaded.things["a"] = True
    loaded.save()
    assert raw(table, Everything)["things"] == {"M": {"a": {"BOOL": True}, "b": {"N": "1"}}}
    put(table, Everything, "rounded", {"N": "1.23456"})
    loaded = Everything.find("k")
    loaded.rounded = 1.23
    assert loaded.changes() == {"rounded": 1.23}
    loaded.save()
    assert raw(table, Everything)["rounded"] == {"N": "1.23"}
    put(table, Everything, "json", {"S": "[1, 0.0]"})
    loaded = Everything.find("k")
    loaded.json = [True, 0.0]
    loaded.save()
    assert raw(table, Everything)["json"] == {"S": "[true,0.0]"}


@pytest.mark.rule(23)
def test_a_value_that_was_converted_to_what_is_loaded_is_none(table: Manager, seen: Wire) -> None:
    """Assigning another spelling of the value that is loaded is no change."""
    put(table, Everything, "moment", {"N": "1000"})
    loaded = Everything.find("k")
    loaded.moment = "1970-01-01T00:00:01Z"  # type: ignore[assignment]
    loaded.ident = None
    assert not loaded.has_changes()


@pytest.mark.rule(23)
def test_copies_have_what_their_originals_were_loaded_from(table: Manager) -> None:
    """A copy and an unpickled instance have the changes of the original, no more and no less."""
    put(table, Everything, "ticket", {"M": {"title": {"S": "a"}}})
    loaded = Everything.find("k")
    assert loaded.ticket is not None
    for twin in (copy.copy(loaded), copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        assert twin.ticket == loaded.ticket
        assert twin.changes() == {}
    put(table, Everything, "tags", {"SS": ["a"]})
    first = Everything.find("k")
    twin = copy.copy(first)
    other = Everything.find("k")
    other.tags.add("b")
    other.save()
    twin.tags.add("c")
    twin.save()
    assert sorted(raw(table, Everything)["tags"]["SS"]) == ["a", "b", "c"]


@pytest.mark.rule(23)
def test_a_reload_keeps_what_a_change_was_made_from(table: Manager) -> None:
    """A consistent find after an own change shows what others wrote; the own change is still one of the old value."""
    put(table, Everything, "tags", {"SS": ["a"]})
    with run_with_batch_context():
        mine = Everything.find("k")
        mine.tags.add("b")
        mine.visits += 1
        with run_with_batch_context():
            Everything.increment("k", visits=10)
            theirs = Everything.find("k")
            theirs.tags.add("c")
            theirs.save()
        again = Everything.find("k", consistent_read=True)
        assert again is mine
        assert again.tags == {"a", "b"}
        mine.save()
    assert sorted(raw(table, Everything)["tags"]["SS"]) == ["a", "b", "c"]
    assert raw(table, Everything)["visits"] == {"N": "11"}


MIXED: dict[str, Any] = {"L": [{"S": "b"}, {"N": "1"}, {"S": "a"}, {"N": "2"}]}
LOUD, QUIET = "0E37DF36-F698-11E6-8DD4-CB9CED3DF976", "1e37df36-f698-11e6-8dd4-cb9ced3df976"


@pytest.mark.rule(23)
@pytest.mark.parametrize("way", ["save", "commit", "transaction"])
def test_an_optional_set_that_is_not_stored_is_no_change(table: Manager, way: str) -> None:
    """A class may get a set as a new member after its objects were stored."""
    put(table, OfSets, "choice", {"M": {"title": {"S": "a"}}})
    with run_with_batch_context() as session:
        loaded = OfSets.find("k")
        assert loaded.choice == Choice("a")
        assert not loaded.has_changes()
        loaded.numbers = {1.0}
        write(session, loaded, way)
    assert raw(table, OfSets)["choice"] == {"M": {"title": {"S": "a"}}}


@pytest.mark.parametrize("way", ["save", "commit", "transaction"])
def test_none_and_the_empty_set_are_two_values_in_a_document(table: Manager, way: str) -> None:
    values: list[tuple[Choice, list[set[int] | None]]] = [
        (Choice("a", set(), None), [set(), {1}, None]),
        (Choice("a", {"x"}, frozenset({1})), [{1}, {1}, {1}]),
        (Choice("a", None, frozenset()), [None, set(), {1}]),
    ]
    OfSets.create(key="k", choice=Choice("a", None, frozenset()), groups=[None, set(), {1}])
    assert OfSets.find("k").choice == Choice("a", None, frozenset())
    for choice, groups in values:
        with run_with_batch_context() as session:
            loaded = OfSets.find("k")
            assert loaded.choice is not None
            loaded.choice.topics, loaded.choice.days = choice.topics, choice.days
            loaded.groups = groups
            write(session, loaded, way)
            assert (loaded.choice, loaded.groups) == (choice, groups)
        found = OfSets.find("k")
        assert (found.choice, found.groups) == (choice, groups)


@pytest.mark.quick_engines
@pytest.mark.rule(23)
def test_a_changed_set_in_a_document_keeps_its_other_members(table: Manager) -> None:
    """Another program may list the members in another order, and write them otherwise."""
    put(
        table,
        OfSets,
        "draw",
        {
            "M": {
                "mixed": MIXED,
                "numbers": {"NS": ["0.1234567890123456789", "5"]},
                "idents": {"SS": [LOUD, QUIET]},
                "none_or_all": {"SS": [LOUD, QUIET]},
            }
        },
    )
    loaded = OfSets.find("k")
    loaded.draw.mixed.discard("b")
    loaded.draw.numbers.add(6.0)
    loaded.draw.idents.discard(uuid.UUID(QUIET))
    assert isinstance(loaded.draw.none_or_all, set)
    loaded.draw.none_or_all.discard(uuid.UUID(QUIET))
    expected = copy.deepcopy(loaded.draw)
    loaded.save()
    assert OfSets.find("k").draw == loaded.draw == expected
    stored = raw(table, OfSets)["draw"]["M"]
    assert set(stored["numbers"]["NS"]) == {"0.1234567890123456789", "5", "6"}
    assert stored["idents"] == stored["none_or_all"] == {"SS": [LOUD]}


@pytest.mark.rule(23)
def test_a_changed_set_in_a_list_keeps_its_other_members(table: Manager) -> None:
    others = {"L": [{"S": "c"}, {"N": "3"}]}
    put(table, OfSets, "draws", {"L": [MIXED, others]})
    loaded = OfSets.find("k")
    loaded.draws[0].discard("b")
    loaded.save()
    assert OfSets.find("k").draws == loaded.draws == [{1, 2, "a"}, {3, "c"}]
    assert raw(table, OfSets)["draws"]["L"][1] == others


@pytest.mark.parametrize("way", ["save", "commit", "transaction"])
@pytest.mark.rule(23)
def test_a_changed_object_in_a_list_that_gets_shorter_keeps_what_its_class_does_not_have(
    table: Manager, way: str
) -> None:
    stops = [{"M": {"city": {"S": city}, "planet": {"S": f"{city}'s"}}} for city in ("Rome", "Oslo", "Bern")]
    put(table, OfSets, "stops", {"L": stops})
    with run_with_batch_context() as session:
        loaded = OfSets.find("k")
        del loaded.stops[0]
        loaded.stops[0].seen = 1
        loaded.stops.append(Address("Lima"))
        write(session, loaded, way)
    _, oslo, bern = stops
    lima = {"city": {"S": "Lima"}, "zip": {"S": "none"}, "seen": {"N": "0"}}
    changed = {"M": {**oslo["M"], "seen": {"N": "1"}}}
    assert raw(table, OfSets)["stops"] == {"L": [changed, bern, {"M": lima}]}


@pytest.mark.quick_engines
@pytest.mark.parametrize("way", ["save", "commit", "transaction"])
@pytest.mark.rule(23)
def test_a_member_that_is_written_otherwise_can_be_removed(table: Manager, way: str) -> None:
    put(table, OfSets, "idents", {"SS": [LOUD, QUIET]})
    with run_with_batch_context() as session:
        loaded = OfSets.find("k")
        loaded.idents.discard(uuid.UUID(LOUD))
        write(session, loaded, way)
    assert raw(table, OfSets)["idents"] == {"SS": [QUIET]}
    assert loaded.idents == {uuid.UUID(QUIET)}


@pytest.mark.quick_engines
@pytest.mark.parametrize("way", ["outside", "context", "transaction", "transaction in a context"])
@pytest.mark.parametrize("unknown", [0, 60])
@pytest.mark.rule(23)
def test_a_member_that_is_written_otherwise_can_be_removed_by_key(
    table: Manager, way: str, unknown: int
) -> None:
    """Also beside members that are not stored, and many of these."""
    put(table, OfSets, "idents", {"SS": [LOUD, QUIET]})
    members = {uuid.UUID(LOUD), *(uuid.UUID(int=number) for number in range(unknown))}
    context: Any = run_with_batch_context() if "context" in way else nullcontext()
    with context, transaction() if "transaction" in way else nullcontext():
        found = OfSets.update("k", {"idents": DropMembers(members)})
    assert raw(table, OfSets)["idents"] == {"SS": [QUIET]}
    assert found.idents == {uuid.UUID(QUIET)}


@pytest.mark.rule(23)
def test_a_member_in_its_usual_form_is_removed_by_key_in_one_request(table: Manager, seen: Wire) -> None:
    put(table, OfSets, "idents", {"SS": [QUIET, LOUD.lower()]})
    seen.clear()
    OfSets.update("k", {"idents": DropMembers(uuid.UUID(LOUD))})
    OfSets.update("k", {"numbers": DropMembers(5.0)})
    assert seen.operations == ["UpdateItem", "UpdateItem"]
    assert raw(table, OfSets)["idents"] == {"SS": [QUIET]}
    OfSets.update("k", {"idents": DropMembers(uuid.UUID(LOUD))})
    assert raw(table, OfSets)["idents"] == {"SS": [QUIET]}


@pytest.mark.rule(23)
def test_a_set_with_new_and_removed_members_keeps_the_others(table: Manager) -> None:
    put(table, OfSets, "numbers", {"NS": ["0.1234567890123456789", "5"]})
    loaded = OfSets.find("k")
    loaded.numbers.add(7.0)
    loaded.numbers.discard(5.0)
    loaded.save()
    assert set(raw(table, OfSets)["numbers"]["NS"]) == {"0.1234567890123456789", "7"}
    assert loaded.numbers == {float("0.1234567890123456789"), 7.0}


@pytest.mark.parametrize("way", ["save", "transaction"])
@pytest.mark.rule(23)
def test_a_changed_set_of_objects_keeps_the_others(table: Manager, way: str) -> None:
    known = {"M": {"x": {"N": "1"}, "planet": {"S": "Earth"}}}
    put(table, OfSets, "spots", {"L": [known, {"M": {"x": {"N": "2"}}}]})
    with run_with_batch_context():
        loaded = OfSets.find("k")
        loaded.spots.add(Spot(3))
        loaded.spots.discard(Spot(2))
        if way == "save":
            loaded.save()
        else:
            with transaction():
                loaded.save()
                loaded.spots.add(Spot(4))
                loaded.save()
                loaded.spots.discard(Spot(4))
                loaded.save()
        assert loaded.spots == {Spot(1), Spot(3)}
    stored = raw(table, OfSets)["spots"]["L"]
    assert len(stored) == 2
    assert known in stored
    loaded.spots.clear()
    loaded.save()
    assert "spots" not in raw(table, OfSets)
