"""`update` with paths and value objects: what is changed without loading the item."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import attrs
import pytest

from dynamo_bao import (
    AddMembers,
    Append,
    ConditionalError,
    ConfigurationError,
    CounterField,
    DataFormatError,
    DecimalField,
    DropMembers,
    FloatField,
    IfMissing,
    Increment,
    Index,
    IntegerField,
    ItemNotFoundError,
    JsonField,
    ListField,
    Manager,
    MapField,
    Model,
    NestedField,
    Prepend,
    PrimaryKey,
    QueryError,
    Remove,
    StringField,
    StringSetField,
    TenantContext,
    UniqueConstraint,
    UnknownFieldError,
    ValidationError,
    VersionConflictError,
    VersionField,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.wire import Wire


@attrs.define
class Address:
    city: str
    zip: str = "none"
    visits: int = 0


class Person(Model, prefix="pe", searchable=["bio"], iterable=True):
    key: str = StringField()
    name: str = StringField(default="none")
    email: str | None = StringField(default=None)
    bio: str | None = StringField(default=None)
    status: str = StringField(default="active")
    rank: int = IntegerField(default=1, minimum=0)
    ratio: float | None = FloatField(default=None)
    exact: Decimal | None = DecimalField(default=None)
    views: int = CounterField()
    tags: set[str] = StringSetField()
    prefs: dict[str, Any] | None = MapField(default=None)
    address: Address | None = NestedField(Address, default=None)
    history: list[str] | None = ListField(default=None)
    json: Any = JsonField(default=None)
    version: str = VersionField()

    primary_key = PrimaryKey("key")
    by_status = Index("status", "rank", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")


F = Person.fields


@pytest.fixture
def table(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=[Person], table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture
def seen(table: Manager) -> Wire:
    return Wire(table.client)


def raw(manager: Manager, key: str = "pe#k") -> dict[str, Any]:
    item: dict[str, Any] = manager.client.get_item(
        TableName=manager.table_name, Key={"_pk": {"S": key}, "_sk": {"S": "pe"}}, ConsistentRead=True
    )["Item"]
    return item


@pytest.mark.parametrize("where", ["outside", "context", "transaction"])
@pytest.mark.rule(23)
def test_parts_are_changed_by_key(table: Manager, where: str) -> None:
    """By path as text or as field path, beside whole fields; nothing else of the item is touched."""
    Person.create(key="k", prefs={"theme": "light", "a.b": 1, "list": ["x"]}, address=Address("Oslo", "1"))
    context: Any = nullcontext() if where == "outside" else run_with_batch_context()
    with context, transaction() if where == "transaction" else nullcontext():
        found = Person.update(
            "k",
            {
                F.address["city"]: "Rome",
                "prefs.theme": "dark",
                F.prefs["a.b"]: 2,
                "prefs.made.deep": {"x": [1, None]},
                F.prefs["list"][0]: "y",
                "name": "Ada",
            },
            condition=F.address["zip"] == "1",
            status="gone",
        )
        assert found.address == Address("Rome", "1")
        assert found.prefs is not None
        assert found.prefs["theme"] == "dark"
    item = raw(table)
    assert item["address"] == {"M": {"city": {"S": "Rome"}, "zip": {"S": "1"}, "visits": {"N": "0"}}}
    assert item["prefs"]["M"] == {
        "theme": {"S": "dark"},
        "a.b": {"N": "2"},
        "list": {"L": [{"S": "y"}]},
        "made": {"M": {"deep": {"M": {"x": {"L": [{"N": "1"}, {"NULL": True}]}}}}},
    }
    assert (item["name"], item["status"]) == ({"S": "Ada"}, {"S": "gone"})
    assert item["_gsi1_pk"] == {"S": "pe#gsi1#gone"}


@pytest.mark.parametrize("where", ["outside", "transaction"])
@pytest.mark.rule(23)
def test_value_objects(table: Manager, where: str) -> None:
    """Each does what it says where something is stored and where nothing is."""
    Person.create(key="k", prefs={"n": 1, "l": ["b"]}, tags={"a", "b"}, history=["h"], views=5)
    with transaction() if where == "transaction" else nullcontext():
        Person.update(
            "k",
            {
                "prefs.n": Increment(2),
                "prefs.m": Increment(Decimal("0.5")),
                "prefs.l": Append(["c"]),
                "prefs.p": Prepend(["z"]),
                "prefs.keep": IfMissing("set"),
                "prefs.gone": Remove(),
                "tags": AddMembers("c", "d"),
                "views": Increment(3),
                "ratio": Increment(1.5),
                "exact": Increment(Decimal("1.1")),
                "history": Prepend(["g", "h0"]),
                "bio": "a text",
                "json": IfMissing([1]),
                "name": IfMissing("kept"),
            },
        )
    item = raw(table)
    assert item["prefs"]["M"] == {
        "n": {"N": "3"},
        "m": {"N": "0.5"},
        "l": {"L": [{"S": "b"}, {"S": "c"}]},
        "p": {"L": [{"S": "z"}]},
        "keep": {"S": "set"},
    }
    assert sorted(item["tags"]["SS"]) == ["a", "b", "c", "d"]
    assert item["history"]["L"] == [{"S": "g"}, {"S": "h0"}, {"S": "h"}]
    assert (item["views"], item["ratio"], item["exact"]) == ({"N": "8"}, {"N": "1.5"}, {"N": "1.1"})
    assert (item["json"], item["name"]) == ({"S": "[1]"}, {"S": "none"})
    found = Person.update("k", {"tags": DropMembers(["a", "x"]), "history": Append(["i"]), "prefs": Remove()})
    assert found.tags == {"b", "c", "d"}
    assert found.history == ["g", "h0", "h", "i"]
    assert found.prefs is None
    assert "prefs" not in raw(table)


@pytest.mark.rule(23)
def test_missing_parents_cost_one_more_request(table: Manager, seen: Wire) -> None:
    """One request where the map is there, at most one more where a level is missing."""
    Person.create(key="k")
    seen.clear()
    Person.update(
        "k", {"prefs.a.b.c": 1, "prefs.n": Increment(2), "prefs.l": Append(["x"]), "prefs.gone": Remove()}
    )
    assert len(seen) <= 3
    assert raw(table)["prefs"]["M"] == {
        "a": {"M": {"b": {"M": {"c": {"N": "1"}}}}},
        "n": {"N": "2"},
        "l": {"L": [{"S": "x"}]},
    }
    seen.clear()
    Person.update("k", {"prefs.a.b.d": 2})
    assert seen.operations == ["UpdateItem"]
    assert Person.update("k", {"prefs.x.y": Remove()}).prefs == {
        "a": {"b": {"c": 1, "d": 2}},
        "n": 2,
        "l": ["x"],
    }


@pytest.mark.parametrize(
    ("path", "change", "told"),
    [
        ("prefs.a.b", Increment(1), ": a.b is stored as S, to which nothing can be added"),
        ("prefs.a.b", Append([1]), ": a.b is stored as S, to which nothing can be added"),
        ("prefs.a.b.c", 1, ": a.b is stored as S, which is no map with 'c' in it"),
        ("history", Append(["x"]), ": the field itself is stored as S, to which nothing can be added"),
        ("address.city", "Rome", ": the field itself is stored as S, which is no map with 'city' in it"),
    ],
)
@pytest.mark.rule(23)
def test_what_is_of_another_type_is_told_by_its_path(
    table: Manager, path: str, change: Any, told: str
) -> None:
    Person.create(key="k", prefs={"a": {"b": "a text"}})
    table.client.update_item(
        TableName=table.table_name,
        Key={"_pk": {"S": "pe#k"}, "_sk": {"S": "pe"}},
        UpdateExpression="SET history = :t, address = :t",
        ExpressionAttributeValues={":t": {"S": "a text"}},
    )
    with pytest.raises(DataFormatError, match=re.escape(told)):
        Person.update("k", {path: change})


@pytest.mark.parametrize("where", ["outside", "transaction"])
@pytest.mark.parametrize(
    "change",
    [
        {"prefs.x.y": 1},
        {"prefs.x.y": Remove()},
        {"prefs.x": Increment(1)},
        {"prefs.x": Append([1])},
        {"prefs.x[0]": 1},
    ],
)
@pytest.mark.rule(23)
def test_what_is_of_another_type_is_left_alone(table: Manager, where: str, change: Any) -> None:
    """The error names model, key and field, and nothing is written."""
    Person.create(key="k", prefs={"x": "a text"})
    before = raw(table)
    with pytest.raises(DataFormatError, match="part of prefs cannot be changed"):  # noqa: SIM117
        with transaction() if where == "transaction" else nullcontext():
            Person.update("k", change)
    assert raw(table) == before
    table.client.update_item(
        TableName=table.table_name,
        Key={"_pk": {"S": "pe#k"}, "_sk": {"S": "pe"}},
        UpdateExpression="SET prefs = :n",
        ExpressionAttributeValues={":n": {"NULL": True}},
    )
    Person.update("k", {"prefs.theme": "dark"})
    assert raw(table)["prefs"] == {"M": {"theme": {"S": "dark"}}}


@pytest.mark.rule(23)
def test_an_object_is_not_made_of_too_little(table: Manager) -> None:
    """A missing nested object is made if what is given makes one."""
    Person.create(key="k")
    with pytest.raises(DataFormatError, match="the field itself"):
        Person.update("k", {"address.zip": "1"})
    assert "address" not in raw(table)
    assert Person.update("k", {"address.city": "Rome"}).address == Address("Rome")


REFUSED: list[tuple[Any, type[Exception]]] = [
    ({"prefs.a": 1, "prefs.a.b": 2}, QueryError),
    ({"prefs": {}, F.prefs["a"]: 2}, QueryError),
    ({"name": "a", F.name: "b"}, QueryError),
    ({F.address["ctiy"]: "Rome"}, QueryError),
    ({"address.city.x": "Rome"}, QueryError),
    ({"name.x": "a"}, QueryError),
    ({"json.x": "a"}, QueryError),
    ({"tags.x": "a"}, QueryError),
    ({"prefs.": 1}, QueryError),
    ({"prefs..a": 1}, QueryError),
    ({F.prefs[""]: 1}, QueryError),
    ({F.prefs[-1]: 1}, QueryError),
    ({3: 1}, QueryError),
    ({"prefs.a": AddMembers("x")}, QueryError),
    ({"prefs.a": DropMembers("x")}, QueryError),
    ({"name": AddMembers("x")}, QueryError),
    ({"name": Increment(1)}, QueryError),
    ({"name": Append(["x"])}, QueryError),
    ({"address.city": Increment(1)}, QueryError),
    ({"address.city": Append(["x"])}, QueryError),
    ({"email": IfMissing("x")}, QueryError),
    ({"bio": IfMissing("x")}, QueryError),
    ({"rank": Increment(1)}, QueryError),
    ({"version": IfMissing("x")}, QueryError),
    ({"nmae": "x"}, UnknownFieldError),
    ({"nope.x": "x"}, UnknownFieldError),
    ({"key": "x"}, ValidationError),
    ({"address.city": 5}, ValidationError),
    ({"address.city": None}, ValidationError),
    ({"address.city": Remove()}, ValidationError),
    ({"name": IfMissing(5)}, ValidationError),
    ({"address.visits": Increment(0.5)}, ValidationError),
    ({"prefs.a": object()}, ValidationError),
    ({"prefs.a": float("nan")}, ValidationError),
    ({"views": Increment("1")}, ValidationError),
    ({"prefs.a": Increment("1")}, ValidationError),
    ("name", QueryError),
]


@pytest.mark.parametrize(("changes", "error"), REFUSED)
@pytest.mark.rule(23)
def test_what_cannot_be_is_refused_at_the_call(table: Manager, seen: Wire, changes: Any, error: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(error) as caught:
        Person.update("k", changes)
    assert len(seen) == 0
    assert str(caught.value)


@pytest.mark.rule(23)
@pytest.mark.parametrize("path", ["name", "address.city"])
def test_a_refused_value_is_told_with_its_place_once(table: Manager, path: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Person.update("k", {path: IfMissing(5)})
    assert str(caught.value).startswith(f"Person.{path} ") and str(caught.value).count("Person") == 1
    assert caught.value.field == path


@pytest.mark.rule(23)
def test_a_required_value_cannot_be_removed(embedded: Manager) -> None:
    """One with a default can: the default is then its value, as for any item without the attribute."""

    class Ticket(Model, prefix="ti"):
        ticket_id: str
        title: str
        state: str = "open"

        primary_key = PrimaryKey("ticket_id")

    with init_models(models=[Ticket], embedded=True):
        Ticket.create(ticket_id="1", title="a", state="done")
        with pytest.raises(ValidationError, match="required"):
            Ticket.update("1", {"title": Remove()})
        assert Ticket.update("1", {"state": Remove()}).state == "open"
        assert (Ticket.find("1").title, Ticket.find("1").state) == ("a", "open")


@pytest.mark.rule(23)
def test_value_objects_check_what_they_are_given() -> None:
    for wrong in (lambda: Append("text"), lambda: Prepend(5), lambda: AddMembers(), lambda: DropMembers([])):  # type: ignore[arg-type]
        with pytest.raises(QueryError):
            wrong()
    assert AddMembers("a", "b") == AddMembers({"b", "a"})
    assert "theme" in repr(F.prefs["theme"])


def test_the_second_argument_is_always_changes(table: Manager) -> None:
    """A dict there is never a condition; conditions and versions are named."""
    made = Person.create({"key": "k"}, name="Ada")
    assert Person.update("k", {"name": "Bea"}).name == "Bea"
    with pytest.raises(ConditionalError):
        Person.update("k", {"name": "Cy"}, condition={"name": "Ada"})
    with pytest.raises(VersionConflictError):
        Person.update("k", {"prefs.a": 1}, version=made.version)
    fresh = Person.find("k")
    assert Person.update("k", {"prefs.a": 1}, version=fresh.version).prefs == {"a": 1}
    with pytest.raises(TypeError):
        Person.update("k", {"name": "x"}, {"name": "Bea"})  # type: ignore[misc]
    with pytest.raises(QueryError, match="twice"):
        Person.update("k", {"name": "x"}, name="y")
    with pytest.raises(ItemNotFoundError):
        Person.update("gone", {"prefs.a": 1})
    assert Person.upsert({"key": "n", "name": "x"}, status="s").name == "x"
    assert Person.increment("k", views=2, condition={"name": "Bea"}).views == 2


@pytest.mark.parametrize("name", ["condition", "version"])
def test_names_of_arguments_are_no_fields(name: str) -> None:
    """The error says what to call the field instead."""
    with pytest.raises(ConfigurationError, match=f'{name}_: … = StringField.attribute="{name}"'):
        type(Model)("Wrong", (Model,), {"__annotations__": {name: str}, "__module__": __name__}, prefix="wr")


def test_other_names_of_arguments_are_fields(table: Manager) -> None:
    """What is positional only cannot be in the way of a field."""

    class Odd(Model, prefix="od"):
        key: str = StringField()
        self: str = StringField(default="s")
        cls: str = StringField(default="c")
        values: str = StringField(default="v")
        instance: str = StringField(default="i")
        amount: int = CounterField()

        primary_key = PrimaryKey("key")

    with init_models(models=[Odd], table_name="odd", embedded=True) as manager:
        manager.create_table()
        made = Odd.create(key="k", self="1", cls="2", values="3", instance="4")
        assert (made.self, made.cls, made.values, made.instance) == ("1", "2", "3", "4")
        found = Odd.update("k", self="5", cls="6", values="7", instance="8")
        assert (found.self, found.cls, found.values, found.instance) == ("5", "6", "7", "8")
        assert Odd.upsert(key="k", self="9", cls="9", values="9").self == "9"
        assert Odd.increment("k", amount=2).amount == 2


@pytest.mark.rule(32)
def test_updates_of_parts_and_saves_fold_in_a_transaction(table: Manager) -> None:
    """Several changes of one item are one action, in program order."""
    Person.create(key="k", prefs={"a": 1, "l": ["x"]}, history=["h"])
    with run_with_batch_context():
        with transaction():
            Person.update("k", {"prefs.b.c": 1, "prefs.n": Increment(1), "history": Append(["i"])})
            found = Person.update("k", {"prefs.b.d": 2, "prefs.n": Increment(2), "history": Append(["j"])})
            assert found.prefs is not None
            found.prefs["a"] = 5
            found.save()
        assert found.prefs == {"a": 5, "l": ["x"], "b": {"c": 1, "d": 2}, "n": 3}
        assert found.history == ["h", "i", "j"]
    assert raw(table)["prefs"]["M"]["b"] == {"M": {"c": {"N": "1"}, "d": {"N": "2"}}}


def test_a_part_of_what_the_transaction_sets(table: Manager) -> None:
    """A later change of a part is one of the value that the block gives, and not of the stored one."""
    Person.create(key="k", prefs={"n": 1})
    with transaction():
        Person.update("k", {"prefs": {"n": 10, "l": []}})
        Person.update("k", {"prefs.n": Increment(2)})
    assert Person.find("k").prefs == {"n": 12, "l": []}
    with transaction():
        Person.update("k", {"prefs": None})
        Person.update("k", {"prefs.n": 1})
    assert Person.find("k").prefs == {"n": 1}


def test_two_ways_to_add_to_one_part_set_the_part(table: Manager) -> None:
    """One expression cannot do both, so the result is set, on condition that the part is still the loaded one."""
    Person.create(key="k", history=["b"])
    with transaction():
        Person.update("k", {"history": Append(["c"])})
        Person.update("k", {"history": Prepend(["a"])})
    assert Person.find("k").history == ["a", "b", "c"]


@pytest.mark.quick_engines
@pytest.mark.parametrize("where", ["outside", "context", "transaction"])
@pytest.mark.rule(23)
def test_a_part_that_is_null_counts_as_nothing(table: Manager, where: str) -> None:
    """For changes that depend on what is stored. A field that another program has stored as NULL does too."""
    Person.create(key="k", prefs={"n": None, "a": None, "l": None, "kept": 0}, address=Address("Oslo", "1"))
    key, null = {"_pk": {"S": "pe#k"}, "_sk": {"S": "pe"}}, {"NULL": True}
    table.client.update_item(
        TableName=table.table_name,
        Key=key,
        UpdateExpression="SET ratio = :null, #json = :null",
        ExpressionAttributeNames={"#json": "json"},
        ExpressionAttributeValues={":null": null},
    )
    changes = {
        "prefs.n": Increment(4),
        "prefs.a": IfMissing(5),
        "prefs.l": Append([6]),
        "prefs.kept": IfMissing(7),
        "prefs.new.a": IfMissing(8),
        "json": IfMissing([9]),
        "ratio": IfMissing(1.5),
    }
    context: Any = nullcontext() if where == "outside" else run_with_batch_context()
    with context, transaction() if where == "transaction" else nullcontext():
        found = Person.update("k", changes)
    assert found.prefs == {"n": 4, "a": 5, "l": [6], "kept": 0, "new": {"a": 8}}
    assert (found.json, found.ratio) == ([9], 1.5)
    assert (Person.find("k").prefs, Person.find("k").json) == (found.prefs, [9])


@pytest.mark.promise("X2")
def test_parts_are_changed_for_the_current_tenant(table: Manager) -> None:
    for tenant in ("one", "two"):
        with TenantContext.run_with_tenant(tenant):
            Person.create(key="k", prefs={"a": 1})
    with TenantContext.run_with_tenant("one"):
        Person.update("k", {"prefs.a": 2})
    assert raw(table, "[one]#pe#k")["prefs"] == {"M": {"a": {"N": "2"}}}
    assert raw(table, "[two]#pe#k")["prefs"] == {"M": {"a": {"N": "1"}}}


@pytest.mark.rule(17)
def test_a_path_is_a_tuple_of_steps(table: Manager) -> None:
    """A name with a dot is one step in a field path, in conditions too; texts divide at dots."""
    Person.create(key="k", prefs={"a.b": 1, "a": {"b": 2}})
    assert Person.update("k", {"name": "one"}, condition=F.prefs["a.b"] == 1).name == "one"
    assert Person.update("k", {"name": "two"}, condition={"prefs.a.b": 2}).name == "two"
    assert Person.update("k", {"name": "three"}, condition=F.prefs["a"]["b"] == 2).name == "three"
    with pytest.raises(ConditionalError):
        Person.update("k", {"name": "four"}, condition=F.prefs["a.b"] == 2)
    with pytest.raises(QueryError, match="city"):
        Person.update("k", {"name": "four"}, condition=F.address["ctiy"] == "x")


@pytest.mark.rule(14)
def test_many_parts_at_once(table: Manager) -> None:
    """More than one expression can hold."""
    Person.create(key="k", prefs={f"k{n}": {"x": 0, "y": 0} for n in range(300)})
    Person.update("k", {f"prefs.k{n}.x": n for n in range(300)})
    found = Person.find("k").prefs
    assert found is not None
    assert all(found[f"k{n}"] == {"x": n, "y": 0} for n in range(300))
    Person.update("k", {f"prefs.k{n}.y": n for n in range(100)})
    found = Person.find("k").prefs
    assert found is not None
    assert all(found[f"k{n}"]["y"] == n for n in range(100))


@pytest.mark.parametrize(
    ("path", "count", "operations"),
    [
        ("prefs.a{}", 60, ["UpdateItem"]),
        ("prefs.a{}", 99, ["GetItem", "UpdateItem"]),
        ("prefs.a{}.b.c.d.e", 60, ["GetItem", "UpdateItem"]),
    ],
)
@pytest.mark.rule(23)
def test_parts_that_are_too_many_for_one_expression_cost_a_read(
    table: Manager, seen: Wire, path: str, count: int, operations: list[str]
) -> None:
    """So that what is written depends on what is stored."""
    Person.create(key="k", prefs={"other": 1})
    seen.clear()
    prefs = Person.update("k", {path.format(n): n for n in range(count)}).prefs
    assert seen.operations == operations
    assert prefs is not None and len(prefs) == count + 1 and prefs["other"] == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"exact": Increment(Decimal("9E+125"))}, "exact"),
        ({"prefs.n": Increment(Decimal("9E+125"))}, "prefs"),
        ({"views": Increment(9 * 10**125)}, "views"),
    ],
)
def test_a_sum_that_dynamodb_does_not_have_is_refused(
    table: Manager, changes: dict[str, Any], field: str
) -> None:
    """The error names item, field and remedy, and nothing is written."""
    large = Decimal("9E+125")
    Person.create(key="k", exact=large, views=int(large), prefs={"n": large})
    before = raw(table)
    with pytest.raises(
        ValidationError, match=rf"Person 'k': a sum in {field} would have .* Add less"
    ) as caught:
        Person.update("k", changes)
    assert caught.value.field == field
    assert raw(table) == before
