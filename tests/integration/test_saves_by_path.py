"""Saves of maps and nested objects: only the members that changed are sent, and what others wrote is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from dynamo_bao import (
    BaoError,
    ConditionalError,
    DataFormatError,
    ListField,
    Manager,
    MapField,
    Model,
    NestedField,
    PrimaryKey,
    StringField,
    TransactionError,
    ValidationError,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.wire import Wire


@attrs.define
class Phone:
    number: str
    kind: str = "home"


@attrs.frozen
class Range:
    lo: int
    hi: int


@attrs.define
class Address:
    city: str
    zip: str = "none"
    phone: Phone | None = None
    span: Range | None = None
    notes: list[str] = attrs.Factory(list)
    extra: dict[str, Any] = attrs.Factory(dict)


@attrs.define(eq=False)
class Plain:
    left: int = 0
    right: int = 0


class Profile(Model, prefix="pr"):
    key: str = StringField()
    name: str = StringField(default="none")
    prefs: dict[str, Any] | None = MapField(default=None)
    settings: dict[str, Any] = MapField(default={"theme": "light"})
    unit: dict[str, Any] | None = MapField(default=None, whole=True)
    address: Address | None = NestedField(Address, default=None)
    span: Range | None = NestedField(Range, default=None)
    tied: Address | None = NestedField(Address, default=None, whole=True)
    plain: Plain | None = NestedField(Plain, default=None)
    items: list[Any] | None = ListField(default=None)
    log: list[Any] = ListField(default=[])

    primary_key = PrimaryKey("key")


WAYS = ("save", "commit", "atomic", "transaction")


@pytest.fixture
def table(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=[Profile], table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture
def seen(table: Manager) -> Wire:
    return Wire(table.client)


def put(manager: Manager, **stored: Any) -> None:
    keys = {"_pk": {"S": "pr#k"}, "_sk": {"S": "pr"}, "key": {"S": "k"}}
    manager.client.put_item(TableName=manager.table_name, Item={**keys, **stored})


def raw(manager: Manager) -> dict[str, Any]:
    item: dict[str, Any] = manager.client.get_item(
        TableName=manager.table_name, Key={"_pk": {"S": "pr#k"}, "_sk": {"S": "pr"}}, ConsistentRead=True
    )["Item"]
    return item


def store(profile: Any, way: str = "save") -> None:
    """Writes the changes of an instance in one of the ways there are."""
    if way == "save":
        profile.save()
        return
    with run_with_batch_context() as session:
        if way == "transaction":
            with transaction():
                profile.save()
        else:
            session.add(profile)
            session.commit(atomic=way == "atomic")


def expressions(wire: Wire) -> list[str]:
    """The update expressions that were sent, with the names in place."""
    bodies = [body for operation, body in wire.sent if operation == "UpdateItem"]
    for operation, body in wire.sent:
        if operation == "TransactWriteItems":
            bodies += [member["Update"] for member in body["TransactItems"] if "Update" in member]
    found = []
    for body in bodies:
        text = body["UpdateExpression"]
        for mark, name in sorted(body["ExpressionAttributeNames"].items(), reverse=True):
            text = text.replace(mark, name)
        found.append(text)
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.rule(23)
def test_members_of_a_map_are_saved_by_themselves(table: Manager, seen: Wire, way: str) -> None:
    """Two programs change different members, at any depth, and both changes are stored."""
    inner = {"M": {"x": {"N": "1"}, "y": {"N": "1"}}}
    put(table, prefs={"M": {"a": {"S": "1"}, "b": {"S": "1"}, "in": inner, "gone": {"S": "1"}}})
    mine, theirs = Profile.find("k"), Profile.find("k")
    assert mine.prefs is not None
    assert theirs.prefs is not None
    theirs.prefs["b"] = "theirs"
    theirs.prefs["in"]["y"] = 2
    theirs.prefs["new"] = [1]
    theirs.save()
    mine.prefs["a"] = "mine"
    mine.prefs["in"]["x"] = 3
    mine.prefs["added"] = {"deep": True}
    del mine.prefs["gone"]
    seen.clear()
    store(mine, way)
    assert raw(table)["prefs"]["M"] == {
        "a": {"S": "mine"},
        "b": {"S": "theirs"},
        "in": {"M": {"x": {"N": "3"}, "y": {"N": "2"}}},
        "new": {"L": [{"N": "1"}]},
        "added": {"M": {"deep": {"BOOL": True}}},
    }
    [sent] = expressions(seen)
    assert sent.startswith("SET ")
    assert "prefs.a = " in sent
    assert "prefs.in.x = " in sent
    assert sent.endswith("REMOVE prefs.gone")
    if way != "transaction":
        assert mine.prefs["b"] == "theirs"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.rule(23)
def test_members_of_a_nested_object_are_saved_by_themselves(table: Manager, seen: Wire, way: str) -> None:
    """Members that the class does not have, and those that it fills in, are left as they are stored."""
    phone = {"M": {"number": {"S": "1"}, "since": {"N": "1999"}}}
    put(table, address={"M": {"city": {"S": "Rome"}, "planet": {"S": "Mars"}, "phone": phone}})
    mine, theirs = Profile.find("k"), Profile.find("k")
    assert mine.address is not None
    assert mine.address.phone is not None
    assert theirs.address is not None
    theirs.address.zip = "00100"
    theirs.save()
    mine.address.city = "Milan"
    mine.address.phone.kind = "work"
    seen.clear()
    store(mine, way)
    assert raw(table)["address"]["M"] == {
        "city": {"S": "Milan"},
        "planet": {"S": "Mars"},
        "zip": {"S": "00100"},
        "phone": {"M": {"number": {"S": "1"}, "since": {"N": "1999"}, "kind": {"S": "work"}}},
    }
    [sent] = expressions(seen)
    assert sent.count("=") == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stored", [None, {"NULL": True}])
@pytest.mark.rule(23)
def test_missing_maps_are_made(table: Manager, way: str, stored: Any) -> None:
    """A map that is filled in by a default is made with all of it; one that another program made is added to."""
    put(table)
    mine, theirs = Profile.find("k"), Profile.find("k")
    mine.settings["mine"] = {"a": 1}
    theirs.settings["theirs"] = {"b": 1}
    theirs.save()
    store(mine, way)
    assert raw(table)["settings"]["M"] == {
        "theme": {"S": "light"},
        "mine": {"M": {"a": {"N": "1"}}},
        "theirs": {"M": {"b": {"N": "1"}}},
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.rule(23)
def test_two_programs_make_the_same_map(table: Manager, way: str) -> None:
    """A map inside a map that both make has the members of both, an empty one those of the other."""
    put(table, prefs={"M": {}})
    mine, theirs = Profile.find("k"), Profile.find("k")
    assert mine.prefs is not None
    assert theirs.prefs is not None
    theirs.prefs["in"] = {"theirs": {"x": 1}}
    theirs.prefs["empty"] = {"theirs": 1}
    theirs.save()
    mine.prefs["in"] = {"mine": {"x": 2}}
    mine.prefs["empty"] = {}
    store(mine, way)
    assert Profile.find("k").prefs == {
        "in": {"theirs": {"x": 1}, "mine": {"x": 2}},
        "empty": {"theirs": 1},
    }


@pytest.mark.parametrize("way", ["save", "commit", "atomic"])
@pytest.mark.rule(23)
def test_a_map_that_is_gone_is_made_again(table: Manager, way: str) -> None:
    """Of a map only with what was changed, of a nested object with all that it needs."""
    put(table, prefs={"M": {"a": {"N": "1"}, "b": {"N": "1"}}}, address={"M": {"city": {"S": "Rome"}}})
    mine = Profile.find("k")
    assert mine.prefs is not None
    assert mine.address is not None
    put(table)
    mine.prefs["a"] = 2
    mine.address.zip = "1"
    store(mine, way)
    found = raw(table)
    assert found["prefs"] == {"M": {"a": {"N": "2"}}}
    assert found["address"]["M"]["city"] == {"S": "Rome"}
    assert found["address"]["M"]["zip"] == {"S": "1"}


@pytest.mark.parametrize("way", ["save", "transaction"])
@pytest.mark.rule(23)
def test_what_is_no_map_is_never_written_through(table: Manager, way: str) -> None:
    """The error names the field, and nothing is written."""
    put(table, prefs={"M": {"in": {"M": {"x": {"N": "1"}}}}})
    mine = Profile.find("k")
    assert mine.prefs is not None
    put(table, prefs={"M": {"in": {"S": "a text"}}})
    mine.prefs["in"]["x"] = 2
    before = raw(table)
    with pytest.raises(BaoError, match=r"part of prefs cannot be changed: in is stored as S") as caught:
        store(mine, way)
    assert isinstance(caught.value, TransactionError if way == "transaction" else DataFormatError)
    assert raw(table) == before


UNITS: dict[str, Any] = {
    "a frozen class": (
        "span",
        {"M": {"lo": {"N": "1"}, "hi": {"N": "9"}}},
        "lo",
        lambda p: Range(8, p.span.hi),
    ),
    "a whole map": ("unit", {"M": {"lo": {"N": "1"}, "hi": {"N": "9"}}}, "lo", lambda p: {**p.unit, "hi": 5}),
    "a whole object": (
        "tied",
        {"M": {"city": {"S": "Rome"}, "zip": {"S": "1"}}},
        "zip",
        lambda p: attrs.evolve(p.tied, city="Milan"),
    ),
    "a value that becomes None": ("prefs", {"M": {"a": {"N": "1"}, "b": {"N": "1"}}}, "a", lambda p: None),
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.rule(23)
def test_a_unit_is_sent_whole_if_it_is_still_the_one_loaded(table: Manager, unit: str, way: str) -> None:
    """What belongs together is never mixed with what another program wrote."""
    name, stored, member, change = UNITS[unit]
    code = next(iter(stored["M"][member]))
    put(table, **{name: stored})
    mine = Profile.find("k")
    setattr(mine, name, change(mine))
    put(table, **{name: {"M": {**stored["M"], member: {code: "7"}}}})
    before = raw(table)
    with pytest.raises(Exception) as caught:
        store(mine, way)
    errors = [caught.value, caught.value.__cause__, *getattr(caught.value, "errors", ())]
    assert any(isinstance(error, ConditionalError) for error in errors)
    assert raw(table) == before
    put(table, **{name: stored})
    again = Profile.find("k")
    value = change(again)
    setattr(again, name, value)
    store(again, way)
    assert getattr(Profile.find("k"), name) == value


@pytest.mark.rule(23)
def test_a_unit_keeps_members_that_its_class_does_not_have(table: Manager) -> None:
    """A frozen object that was read without a member goes back with it."""
    put(table, span={"M": {"lo": {"N": "1"}, "hi": {"N": "9"}, "step": {"N": "2"}}})
    mine = Profile.find("k")
    mine.span = Range(1, 8)
    mine.save()
    assert raw(table)["span"] == {"M": {"lo": {"N": "1"}, "hi": {"N": "8"}, "step": {"N": "2"}}}


@pytest.mark.rule(23)
def test_a_unit_inside_an_object(table: Manager) -> None:
    """A frozen member, and one that was None, are sent whole; the other members by themselves."""
    span = {"M": {"lo": {"N": "1"}, "hi": {"N": "9"}}}
    put(table, address={"M": {"city": {"S": "Rome"}, "span": span, "phone": {"NULL": True}}})
    mine, theirs = Profile.find("k"), Profile.find("k")
    assert mine.address is not None
    assert theirs.address is not None
    mine.address.span = Range(1, 8)
    theirs.address.city = "Milan"
    theirs.save()
    mine.save()
    assert raw(table)["address"]["M"]["city"] == {"S": "Milan"}
    late = Profile.find("k")
    assert late.address is not None
    theirs.refresh()
    assert theirs.address is not None
    theirs.address.span = Range(2, 3)
    theirs.address.phone = Phone("1")
    theirs.save()
    late.address.span = Range(4, 5)
    with pytest.raises(ConditionalError):
        late.save()
    late = Profile.find("k")
    assert late.address is not None
    late.address.phone = None
    late.save()
    assert raw(table)["address"]["M"]["phone"] == {"NULL": True}
    assert raw(table)["address"]["M"]["span"] == {"M": {"lo": {"N": "2"}, "hi": {"N": "3"}}}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.rule(23)
def test_lists_are_appended_to(table: Manager, seen: Wire, way: str) -> None:
    """New members go to the end of the list that is stored, if it begins with the one that was loaded."""
    put(table, items={"L": [{"N": "1.5"}, {"N": "9007199254740993"}]})
    mine, theirs = Profile.find("k"), Profile.find("k")
    assert mine.items is not None
    assert theirs.items is not None
    mine.items += ["a", "b"]
    if way != "transaction":
        theirs.items.append("theirs")
        theirs.save()
    seen.clear()
    store(mine, way)
    assert "list_append" in expressions(seen)[-1]
    kept = [] if way == "transaction" else [{"S": "theirs"}]
    assert raw(table)["items"]["L"] == [
        {"N": "1.5"},
        {"N": "9007199254740993"},
        *kept,
        {"S": "a"},
        {"S": "b"},
    ]
    for other in ({"S": "no list"}, {"L": []}):
        put(table, items={"L": [{"N": "1"}]})
        late = Profile.find("k")
        assert late.items is not None
        put(table, items=other)
        late.items.append("c")
        with pytest.raises(ConditionalError):
            late.save()
    late = Profile.find("k")
    assert late.items is not None
    late.items.append("c")
    late.log.append("first")
    late.save()
    assert raw(table)["items"]["L"] == [{"S": "c"}]
    assert raw(table)["log"]["L"] == [{"S": "first"}]


@pytest.mark.rule(23)
def test_two_first_members_of_a_list_are_both_kept(table: Manager) -> None:
    """Both programs read a list that was not stored."""
    put(table)
    mine, theirs = Profile.find("k"), Profile.find("k")
    mine.log.append("mine")
    theirs.log.append("theirs")
    theirs.save()
    mine.save()
    assert raw(table)["log"]["L"] == [{"S": "theirs"}, {"S": "mine"}]


@pytest.mark.rule(23)
def test_a_list_that_is_sent_whole_keeps_what_was_not_changed(table: Manager) -> None:
    """Its other members stay as they are stored."""
    put(
        table,
        items={
            "L": [{"N": "0.12345678901234567890123456789012345678"}, {"N": "1"}, {"N": "9007199254740993"}]
        },
    )
    mine = Profile.find("k")
    assert mine.items is not None
    mine.items[1] = 2
    mine.items.insert(0, "new")
    mine.save()
    assert raw(table)["items"]["L"] == [
        {"S": "new"},
        {"N": "0.12345678901234567890123456789012345678"},
        {"N": "2"},
        {"N": "9007199254740993"},
    ]


@pytest.mark.rule(23)
def test_many_members_at_once(table: Manager, seen: Wire) -> None:
    """Beyond what an expression can hold the maps around them are sent whole, merged with what is stored."""
    count = 450
    groups = {"M": {f"g{n}": {"M": {"x": {"N": "0"}, "unknown": {"S": "kept"}}} for n in range(count)}}
    put(table, prefs={"M": {"groups": groups, "other": {"N": "1"}}})
    mine, theirs = Profile.find("k"), Profile.find("k")
    assert mine.prefs is not None
    assert theirs.prefs is not None
    theirs.prefs["other"] = 2
    theirs.prefs["groups"]["g7"]["theirs"] = True
    theirs.save()
    for n in range(count):
        mine.prefs["groups"][f"g{n}"]["x"] = n + 1
    mine.save()
    found = raw(table)["prefs"]["M"]
    assert found["other"] == {"N": "2"}
    assert found["groups"]["M"]["g7"] == {
        "M": {"x": {"N": "8"}, "unknown": {"S": "kept"}, "theirs": {"BOOL": True}}
    }
    assert all(found["groups"]["M"][f"g{n}"]["M"]["x"] == {"N": str(n + 1)} for n in range(count))
    for number in (90, 100, 101):
        for n in range(number):
            mine.prefs["groups"][f"g{n}"]["x"] = -number
        mine.save()
        assert raw(table)["prefs"]["M"]["groups"]["M"][f"g{number - 1}"]["M"]["x"] == {"N": str(-number)}


@pytest.mark.parametrize(
    "name", ["a.b", "a[0]", "#n0", ":v0", "size", "status", " ", "ü", '"', "a b", "[0]", "."]
)
@pytest.mark.rule(23)
def test_names_of_members_are_taken_as_they_are(table: Manager, name: str) -> None:
    """Every name travels as one placeholder."""
    put(table, prefs={"M": {name: {"M": {"x": {"N": "1"}, name: {"N": "1"}}}, "b": {"N": "1"}}})
    mine = Profile.find("k")
    assert mine.prefs is not None
    mine.prefs[name][name] = 2
    mine.save()
    assert raw(table)["prefs"]["M"] == {name: {"M": {"x": {"N": "1"}, name: {"N": "2"}}}, "b": {"N": "1"}}


@pytest.mark.rule(23)
def test_an_empty_name_is_refused_before_anything_is_sent(table: Manager, seen: Wire) -> None:
    put(table, prefs={"M": {"a": {"N": "1"}}})
    mine = Profile.find("k")
    assert mine.prefs is not None
    mine.prefs[""] = 1
    seen.clear()
    with pytest.raises(ValidationError, match="prefs"):
        mine.save()
    assert len(seen) == 0


@pytest.mark.rule(19)
def test_a_map_assigned_to_a_pending_instance_is_sent_whole(table: Manager) -> None:
    """Nothing was handed out that it could be compared with."""
    put(table, prefs={"M": {"a": {"N": "1"}}})
    for look in (False, True):
        with run_with_batch_context():
            mine = Profile.find("k")
            mine.prefs = {"b": look}
            if look:
                assert mine.name == "none"
            mine.save()
        assert raw(table)["prefs"] == {"M": {"b": {"BOOL": look}}}


@pytest.mark.rule(32)
def test_saves_of_parts_in_a_transaction_become_one(table: Manager, seen: Wire) -> None:
    """A later change of a member goes into the map that an earlier save of the block sets; unknown members stay."""
    put(
        table, address={"M": {"city": {"S": "Rome"}, "planet": {"S": "Mars"}}}, prefs={"M": {"a": {"N": "1"}}}
    )
    seen.clear()
    with run_with_batch_context():
        mine = Profile.find("k")
        with transaction():
            assert mine.prefs is not None
            assert mine.address is not None
            mine.prefs["in"] = {"x": 1}
            mine.save()
            mine.prefs["in"]["y"] = 2
            mine.prefs["a"] = 2
            mine.address.city = "Milan"
            mine.save()
            mine.prefs["a"] = 3
            mine.address.zip = "1"
            mine.save()
    found = raw(table)
    assert found["prefs"] == {"M": {"a": {"N": "3"}, "in": {"M": {"x": {"N": "1"}, "y": {"N": "2"}}}}}
    assert found["address"]["M"] == {"city": {"S": "Milan"}, "planet": {"S": "Mars"}, "zip": {"S": "1"}}
    with run_with_batch_context(), transaction():
        made = Profile.create(key="n", prefs={"a": 1})
        assert made.prefs is not None
        made.prefs["b"] = 2
        made.save()
    assert Profile.find("n").prefs == {"a": 1, "b": 2}


@pytest.mark.rule(32)
def test_a_transaction_conditions_on_the_members_it_changes(table: Manager) -> None:
    """Another program's change of the same member makes it fail, one of another member does not."""
    put(table, prefs={"M": {"a": {"N": "1"}, "b": {"N": "1"}}})
    with run_with_batch_context():
        mine = Profile.find("k")
        assert mine.prefs is not None
        with transaction():
            mine.prefs["a"] = 2
            mine.save()
            put(table, prefs={"M": {"a": {"N": "1"}, "b": {"N": "5"}}})
    assert raw(table)["prefs"]["M"] == {"a": {"N": "2"}, "b": {"N": "5"}}
    with run_with_batch_context(), pytest.raises(ConditionalError):
        mine = Profile.find("k")
        assert mine.prefs is not None
        with transaction():
            mine.prefs["a"] = 3
            mine.save()
            put(table, prefs={"M": {"a": {"N": "9"}, "b": {"N": "5"}}})
    assert raw(table)["prefs"]["M"]["a"] == {"N": "9"}


@pytest.mark.rule(23)
def test_an_object_of_a_class_without_equality_stays_the_one_it_is(table: Manager) -> None:
    """A save leaves the object in place, so that a later change of it is seen."""
    put(table, plain={"M": {"left": {"N": "1"}, "right": {"N": "1"}}})
    mine = Profile.find("k")
    assert not mine.has_changes()
    plain = mine.plain
    assert plain is not None
    plain.left = 2
    mine.save()
    plain.right = 3
    mine.save()
    assert raw(table)["plain"] == {"M": {"left": {"N": "2"}, "right": {"N": "3"}}}
