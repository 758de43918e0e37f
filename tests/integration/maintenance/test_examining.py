"""The doctor's look through a table: each planted fault is found, --fix mends it, and touches nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    BooleanField,
    DecimalField,
    FloatField,
    Index,
    IntegerField,
    ListField,
    Manager,
    MapField,
    Model,
    PrimaryKey,
    StringField,
    StringSetField,
    TenantContext,
    TtlField,
    UniqueConstraint,
    init_models,
)
from dynamo_bao.dynamodb.table_definition import table_definition
from dynamo_bao.maintenance.check import examine_table
from dynamo_bao.maintenance.progress import Finding
from dynamo_bao.maintenance.table_check import prefix_findings, table_findings
from dynamo_bao.testing import lost_reply
from tests.integration.maintenance.conftest import Interruptible, damage, removed, stored


class User(Model, prefix="u", iterable=True, iteration_buckets=2, searchable=["name"]):
    user_id: str
    name: str
    email: str | None = StringField(default=None)
    badge: int | None = IntegerField(default=None)

    primary_key = PrimaryKey("user_id")
    by_name = Index("name", "email", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")
    unique_badge = UniqueConstraint("badge", id="uc2")


class Visit(Model, prefix="v"):
    user_id: str
    number: int = IntegerField()
    ttl: Any = TtlField(default=None)

    primary_key = PrimaryKey("user_id", "number")


MODELS = [User, Visit]
EMAIL = "_raft_uc#_uc1#u#email:{}@x"
TOO_LONG = "x" * 2_100
"""A text that no key can have."""


@pytest.fixture
def table(manager: Manager) -> Manager:
    """A table with five users and a few visits, in which nothing is wrong."""
    for number in range(5):
        User.create(user_id=str(number), name=f"User {number}", email=f"{number}@x", badge=number)
        Visit.create(user_id=str(number), number=-number)
    User.create(user_id="bare", name="Bare")
    return manager


def examined(manager: Manager, *, fix: bool = False) -> list[Finding]:
    """All findings but those that are only worth knowing."""
    homes = [manager.repository(model) for model in manager.model_classes().values()]
    steps = examine_table(manager.database, homes, fix=fix)
    return [one for step in steps for one in step.found if not one.harmless]


def told(findings: Sequence[Finding]) -> list[str]:
    return sorted(one.text for one in findings)


def guard(pk: str, owner: str | None, model: str | None = "User") -> dict[str, Any]:
    item: dict[str, Any] = {"_pk": {"S": pk}, "_sk": {"S": "_raft_uc"}, "uniqueValue": {"S": pk}}
    if owner is not None:
        item["relatedId"] = {"S": owner}
    if model is not None:
        item["relatedModel"] = {"S": model}
    return item


def useless(pk: str, fault: str) -> str:
    return f"User: the guard {pk!r} {fault}; nobody can take its value."


def put(manager: Manager, item: dict[str, Any]) -> None:
    manager.client.put_item(TableName=manager.table_name, Item=item)


def test_nothing_is_wrong_with_what_the_library_wrote(table: Manager) -> None:
    """Creates, changes, deletes, two tenants: no finding, and --fix writes nothing."""
    User.update("1", email="new@x", badge=None)
    User.delete("2")
    for tenant in ("acme", "b.c"):
        with TenantContext.run_with_tenant(tenant):
            User.create(user_id="1", name="One", email="1@x", badge=0)
    before = stored(table)
    assert examined(table, fix=True) == []
    assert stored(table) == before


Plant = Callable[[Manager], object]

FAULTS: dict[str, tuple[Plant, list[str]]] = {
    "an orphan guard": (
        lambda m: put(m, guard(EMAIL.format("gone"), "gone")),
        [useless("_raft_uc#_uc1#u#email:gone@x", "names User 'gone', which is not stored")],
    ),
    "an orphan guard of a tenant": (
        lambda m: put(m, guard("[acme]#" + EMAIL.format("1"), "1")),
        [useless("[acme]#_raft_uc#_uc1#u#email:1@x", "names User '1', which is not stored")],
    ),
    "a guard of a value that its owner has no more": (
        lambda m: put(m, guard(EMAIL.format("old"), "3")),
        [useless("_raft_uc#_uc1#u#email:old@x", "names User '3', which has another value")],
    ),
    "a guard of an owner without a value": (
        lambda m: put(m, guard("_raft_uc#_uc2#u#badge:77", "bare")),
        [useless("_raft_uc#_uc2#u#badge:77", "names User 'bare', which has another value")],
    ),
    "a guard that names nobody": (
        lambda m: put(m, guard(EMAIL.format("nobody"), None, None)),
        [useless("_raft_uc#_uc1#u#email:nobody@x", "names nobody")],
    ),
    "a guard that names what is no id": (
        lambda m: put(m, guard(EMAIL.format("odd"), TOO_LONG)),
        [useless("_raft_uc#_uc1#u#email:odd@x", f"names User {TOO_LONG!r}, which is no id of the model")],
    ),
    "a missing guard": (
        lambda m: removed(m, EMAIL.format("3"), "_raft_uc"),
        ["User '3' has no guard for its email, so that another item could take the value."],
    ),
    "two missing guards of one item": (
        lambda m: ([removed(m, pk, "_raft_uc") for pk in (EMAIL.format("3"), "_raft_uc#_uc2#u#badge:3")]),
        [
            "User '3' has no guard for its badge, so that another item could take the value.",
            "User '3' has no guard for its email, so that another item could take the value.",
        ],
    ),
    "a guard for a model of another name": (
        lambda m: damage(m, EMAIL.format("3"), "_raft_uc", relatedModel="Person"),
        ["User '3' has no guard for its email: the one there is for a model 'Person'."],
    ),
    "a stale index key": (
        lambda m: damage(m, "u#3", "u", _gsi1_pk="u#gsi1#Old"),
        ["User '3' has index keys that its fields do not say: _gsi1_pk."],
    ),
    "an index key that should not be": (
        lambda m: damage(m, "u#bare", "u", _gsi1_pk="u#gsi1#Bare", _gsi1_sk="null"),
        ["User 'bare' has index keys that its fields do not say: _gsi1_pk, _gsi1_sk."],
    ),
    "missing index keys": (
        lambda m: damage(m, "u#3", "u", _gsi1_pk=None, _gsi1_sk=None),
        ["User '3' has index keys that are missing: _gsi1_pk, _gsi1_sk."],
    ),
    "keys of an index that is no more": (
        lambda m: damage(m, "v#3", "-99999999999999999996", _gsi4_pk="x", _gsi4_sk="x"),
        [
            "Visit '3##__SK__##-99999999999999999996' has index keys that its model has no more: _gsi4_pk, _gsi4_sk."
        ],
    ),
    "missing iteration keys": (
        lambda m: damage(m, "u#3", "u", _iter_pk=None, _iter_sk=None),
        ["User '3' has iteration keys that are missing: _iter_pk, _iter_sk."],
    ),
    "another bucket": (
        lambda m: damage(m, "u#3", "u", _iter_pk="u#iter#099"),
        ["User '3' has iteration keys that its fields do not say: _iter_pk."],
    ),
    "a stale search text": (
        lambda m: damage(m, "u#3", "u", _searchText="old"),
        ["User '3' has a search text that its fields do not say: _searchText."],
    ),
    "everything at once": (
        lambda m: (
            damage(m, "u#3", "u", _searchText=None, _iter_pk="x", _gsi1_sk="x"),
            removed(m, EMAIL.format("3"), "_raft_uc"),
        ),
        [
            "User '3' has a search text that is missing: _searchText.",
            "User '3' has index keys that its fields do not say: _gsi1_sk.",
            "User '3' has iteration keys that its fields do not say: _iter_pk.",
            "User '3' has no guard for its email, so that another item could take the value.",
        ],
    ),
}


@pytest.mark.quick_engines
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_and_mended_and_nothing_else(table: Manager, name: str) -> None:
    """Found, named with model, key and mend; after --fix the table is what it was, and nothing is found."""
    before = stored(table)
    plant, expected = FAULTS[name]
    plant(table)
    planted = stored(table)
    found = examined(table)
    assert told(found) == expected
    assert all(one.model and one.key and one.mend and one.mendable and one.is_problem for one in found)
    assert stored(table) == planted
    mended = examined(table, fix=True)
    assert told(mended) == expected
    assert not any(one.is_problem for one in mended)
    assert stored(table) == before
    assert examined(table) == []


def test_a_value_is_taken_over_from_a_guard_that_guards_nothing(table: Manager) -> None:
    """An item whose guard names a dead owner, or a living one with another value, gets its guard back."""
    before = stored(table)
    damage(table, EMAIL.format("3"), "_raft_uc", relatedId="gone")
    damage(table, EMAIL.format("4"), "_raft_uc", relatedId="1")
    assert told([one for one in examined(table) if one.key in ("3", "4")]) == [
        "User '3' has no guard for its email: the one there names User 'gone', which is not stored.",
        "User '4' has no guard for its email: the one there names User '1', which has another value.",
    ]
    assert not any(one.is_problem for one in examined(table, fix=True))
    assert stored(table) == before


def test_two_values_are_taken_over_from_one_owner(table: Manager) -> None:
    """Both guards of an item name somebody who is gone, or both a living one: all in one transaction."""
    before = stored(table)
    for owner in ("gone", "1", None):
        damage(table, EMAIL.format("3"), "_raft_uc", relatedId=owner)
        damage(table, "_raft_uc#_uc2#u#badge:3", "_raft_uc", relatedId=owner)
        assert not any(one.is_problem for one in examined(table, fix=True))
        assert stored(table) == before


def test_two_items_with_one_value_are_for_their_owner_to_decide(table: Manager) -> None:
    """It is told of the item without the guard, and not mended."""
    damage(table, "u#3", "u", email="1@x", _gsi1_sk="1@x")
    removed(table, EMAIL.format("3"), "_raft_uc")
    planted = stored(table)
    (found,) = examined(table, fix=True)
    assert found.text == "User '3' has the email that User '1' has too."
    assert (found.mendable, found.is_problem, found.mend) == (False, True, "Change or delete one of the two.")
    assert stored(table) == planted


def test_what_cannot_be_read_is_told_and_left(table: Manager) -> None:
    """An item of a wrong type, one under a wrong key, and a stranger."""
    put(
        table,
        {
            "_pk": {"S": "u#x"},
            "_sk": {"S": "u"},
            "user_id": {"S": "x"},
            "name": {"S": "X"},
            "badge": {"S": "seven"},
        },
    )
    put(table, {"_pk": {"S": "u#y"}, "_sk": {"S": "u"}, "user_id": {"S": "z"}, "name": {"S": "Z"}})
    put(table, {"_pk": {"S": "zz#1"}, "_sk": {"S": "zz"}})
    put(table, {"_pk": {"S": "config"}, "_sk": {"S": "main"}})
    put(table, guard("_raft_uc#_uc3#u#phone:1", "1"))
    planted = stored(table)
    second, first = sorted(examined(table, fix=True), key=lambda one: one.text)
    assert "has a bad attribute" in first.text and "IntegerField 'badge'" in first.text
    assert second.text == "User 'u#y' 'u' says that its key is 'u#z' 'u', which is another."
    assert stored(table) == planted
    homes = [table.repository(model) for model in MODELS]
    harmless = [
        one.text
        for step in examine_table(table.database, homes)
        for one in step.found
        if one.check == "foreign"
    ]
    assert sorted(harmless) == [
        "1 item with no key of this library, which no model here has; not looked into.",
        "1 item with the prefix u, uc3 of phone, which no model here has; not looked into.",
        "1 item with the prefix zz, which no model here has; not looked into.",
    ]


class Typed(Model, prefix="ty"):
    key: str
    text: str | None = StringField(default=None)
    whole: int | None = IntegerField(default=None)
    part: float | None = FloatField(default=None)
    exact: Decimal | None = DecimalField(default=None)
    flag: bool = BooleanField(default=True)
    required: str
    things: dict[str, Any] | None = MapField(default=None)
    list_: list[Any] | None = ListField(default=None)
    tags: set[str] = StringSetField()

    primary_key = PrimaryKey("key")


READINGS: list[tuple[str, dict[str, Any], Any]] = [
    ("text", {"N": "7"}, "7"),
    ("text", {"N": "0.5"}, "0.5"),
    ("whole", {"S": "7"}, 7),
    ("part", {"S": "0.5"}, 0.5),
    ("exact", {"S": "0.1234567890123456789012"}, Decimal("0.1234567890123456789012")),
    ("flag", {"NULL": True}, True),
    ("things", {"S": '{"a": [1]}'}, {"a": [1]}),
    ("list_", {"S": "[1]"}, [1]),
    ("list_", {"S": "[0.10, 1.5e3]"}, [0.1, 1500.0]),
]
UNCERTAIN: list[tuple[str, dict[str, Any]]] = [
    ("whole", {"S": "07"}),
    ("whole", {"S": "7.5"}),
    ("things", {"S": "5"}),
    ("things", {"S": "no JSON"}),
    ("things", {"S": '{"a": 0.12345678901234567890}'}),
    ("list_", {"S": "[1e400]"}),
    ("part", {"S": "9007199254740993"}),
    ("required", {"NULL": True}),
    ("text", {"BOOL": True}),
    ("text", {"L": []}),
    ("tags", {"L": []}),
]


@pytest.mark.parametrize(("name", "value", "reading"), [*READINGS, *((*case, None) for case in UNCERTAIN)])
def test_a_bad_attribute_is_mended_where_it_is_certain_what_it_says(
    name: str, value: dict[str, Any], reading: Any
) -> None:
    """A number in a text, the text of a number, the content of a JSON text; anything else is left to its owner."""
    with init_models(models=[Typed], embedded=True) as manager:
        item = {"_pk": {"S": "ty#k"}, "_sk": {"S": "ty"}, "key": {"S": "k"}, "required": {"S": "x"}}
        put(manager, {**item, name: value})
        before = stored(manager)
        (finding,) = examined(manager, fix=True)
        assert (finding.check, finding.mendable) == ("attribute", reading is not None)
        if reading is None:
            assert stored(manager) == before
            assert f"Assign {name} a value and save" in finding.mend
        else:
            assert getattr(Typed.find("k"), name) == reading
            assert type(getattr(Typed.find("k"), name)) is type(reading)
            assert examined(manager) == []


class Caller(Model, prefix="cl"):
    key: str
    phone: str

    primary_key = PrimaryKey("key")
    unique_phone = UniqueConstraint("phone", id="uc1")


@pytest.mark.parametrize("by_doctor", [True, False])
def test_a_bad_unique_value_is_mended(by_doctor: bool) -> None:
    """The number and its text have the same guard, which stays."""
    with init_models(models=[Caller], embedded=True) as manager:
        Caller.create(key="k", phone="5551234")
        item = manager.client.scan(TableName=manager.table_name)["Items"]
        put(manager, {**next(found for found in item if "phone" in found), "phone": {"N": "5551234"}})
        if by_doctor:
            assert [finding.mended for finding in examined(manager, fix=True)] == [True]
        else:
            caller = Caller.find("k")
            caller.phone = "5551234"
            caller.save()
        assert Caller.find("k").phone == "5551234"
        assert Caller.unique_phone.find("5551234") == Caller.find("k")
        assert examined(manager) == []


def test_an_item_that_javascript_stored_without_its_tenant_is_left() -> None:
    """Its index keys have the tenant, and its own key has not."""

    class Setting(Model, prefix="st", key_format="dynamo-bao"):
        name: str
        value: str = StringField(default="")
        primary_key = PrimaryKey(MODEL_PREFIX, "name")
        by_value = Index("value", "name", id="gsi1")

    with init_models(models=[Setting], embedded=True) as manager:
        item = {
            "_pk": "st",
            "_sk": "a",
            "_gsi1_pk": "[acme]#st#gsi1#v",
            "_gsi1_sk": "a",
            "name": "a",
            "value": "v",
        }
        put(manager, {name: {"S": text} for name, text in item.items()})
        steps = examine_table(manager.database, [manager.repository(Setting)], fix=True)
        (finding,) = (one for step in steps for one in step.found)
        assert finding.harmless and "has index keys of a tenant and a key without one" in finding.text


# --- races --------------------------------------------------------------------------------------------


def racing(transport: Interruptible, operation: str, act: Callable[[], object]) -> None:
    """Has something happen right before the first request of a kind."""
    done = False

    def fault(request: Any, send: Any, chance: Any) -> Any:
        nonlocal done
        if not done and request.operation == operation:
            done = True
            act()
        return send(request)

    transport.inject(fault)


@pytest.fixture
def raced(faulty: Manager) -> Manager:
    User.create(user_id="1", name="One", email="1@x")
    return faulty


def test_a_guard_whose_owner_comes_back_is_not_deleted(raced: Manager, interruptible: Interruptible) -> None:
    """Between the look and the deletion the owner is created: the guard stays, and it says to look again."""
    put(raced, guard(EMAIL.format("2"), "2"))
    racing(interruptible, "TransactWriteItems", lambda: User.create(user_id="2", name="Two", email="2@x"))
    (found,) = examined(raced, fix=True)
    assert not found.mended
    assert found.mend == "Changed while it was looked at; run this again."
    assert (EMAIL.format("2"), "_raft_uc") in stored(raced)
    assert examined(raced) == []


def test_a_guard_that_another_item_takes_is_not_deleted(raced: Manager, interruptible: Interruptible) -> None:
    """Between the look and the deletion somebody takes the value over: it stays theirs."""
    put(raced, guard(EMAIL.format("2"), "gone"))
    racing(interruptible, "TransactWriteItems", lambda: User.create(user_id="3", name="Three", email="2@x"))
    (found,) = examined(raced, fix=True)
    assert not found.mended
    assert stored(raced)[(EMAIL.format("2"), "_raft_uc")]["relatedId"] == {"S": "3"}
    assert examined(raced) == []


def test_a_value_is_not_taken_from_an_owner_who_comes_back(
    raced: Manager, interruptible: Interruptible
) -> None:
    """Between the look and the taking over the owner is created with the value: it keeps its guard."""
    damage(raced, EMAIL.format("1"), "_raft_uc", relatedId="2")
    racing(interruptible, "TransactWriteItems", lambda: User.create(user_id="2", name="Two", email="1@x"))
    found = examined(raced, fix=True)
    assert not any(one.mended for one in found)
    assert stored(raced)[(EMAIL.format("1"), "_raft_uc")]["relatedId"] == {"S": "2"}
    assert told(examined(raced)) == ["User '1' has the email that User '2' has too."]


def test_an_item_that_is_deleted_meanwhile_gets_no_guard(
    raced: Manager, interruptible: Interruptible
) -> None:
    """Between the look and the guard the item is deleted: nothing is left of it."""
    removed(raced, EMAIL.format("1"), "_raft_uc")
    racing(interruptible, "TransactWriteItems", lambda: removed(raced, "u#1", "u"))
    (found,) = examined(raced, fix=True)
    assert not found.mended
    assert stored(raced) == {}


def test_an_item_that_changes_meanwhile_gets_the_keys_of_what_it_is(
    raced: Manager, interruptible: Interruptible
) -> None:
    """Between the look and the write its name changes: the keys are made of the new one."""
    damage(raced, "u#1", "u", _gsi1_pk="stale")

    def rename() -> None:
        damage(raced, "u#1", "u", name="Renamed", _gsi1_pk="u#gsi1#Renamed", _searchText="renamed")

    racing(interruptible, "UpdateItem", rename)
    (found,) = examined(raced, fix=True)
    assert found.mended
    assert stored(raced)[("u#1", "u")]["_gsi1_pk"] == {"S": "u#gsi1#Renamed"}
    assert examined(raced) == []


def test_an_item_deleted_while_it_is_looked_at_is_no_finding(
    raced: Manager, interruptible: Interruptible
) -> None:
    """Between the scan and the guards both are gone: nothing is told."""
    racing(interruptible, "BatchGetItem", lambda: User.delete("1"))
    assert examined(raced, fix=True) == []


def test_a_lost_reply_to_a_deletion_is_no_finding(raced: Manager, interruptible: Interruptible) -> None:
    """The deletion was carried out and its reply lost: repeated, it counts as mended."""
    put(raced, guard(EMAIL.format("2"), None, None))
    lost, sent = lost_reply(), []

    def fault(request: Any, send: Any, chance: Any) -> Any:
        if request.operation == "DeleteItem" and not sent:
            sent.append(request)
            return lost(request, send, chance)
        return send(request)

    interruptible.inject(fault)
    (found,) = examined(raced, fix=True)
    assert found.mended
    assert (EMAIL.format("2"), "_raft_uc") not in stored(raced)


# --- the table ----------------------------------------------------------------------------------------


def schemas(manager: Manager) -> list[Any]:
    return [manager.repository(model).schema for model in MODELS]


def test_a_table_as_it_should_be(manager: Manager) -> None:
    """Nothing is told of a table that create_table() made."""
    assert table_findings(manager.database, schemas(manager)) == []


def test_a_table_that_lacks_something(connection: dict[str, Any], table_name: str) -> None:
    """No table; one without an index that a model needs, and one that none does; a wrong projection; no TTL."""
    with init_models(models=MODELS, table_name=table_name, **connection) as manager:
        if "embedded" not in connection:
            (absent,) = table_findings(manager.database, schemas(manager))
            assert "does not exist" in absent.text and "bao create-table" in absent.mend
        else:
            manager.client.delete_table(TableName=table_name)
        definition = table_definition(table_name)
        indexes = definition["GlobalSecondaryIndexes"]
        kept = [index for index in indexes if index["IndexName"] not in ("gsi1", "gsi5")]
        next(i for i in kept if i["IndexName"] == "gsi2")["Projection"] = {"ProjectionType": "KEYS_ONLY"}
        used = {key["AttributeName"] for index in (definition, *kept) for key in index["KeySchema"]}
        attributes = [one for one in definition["AttributeDefinitions"] if one["AttributeName"] in used]
        manager.client.create_table(
            **{**definition, "GlobalSecondaryIndexes": kept, "AttributeDefinitions": attributes}
        )
        found = table_findings(manager.database, schemas(manager))
    told = [(one.text, one.model, one.harmless) for one in found]
    assert (f"Table {table_name} has no index gsi1, which User needs.", "User", False) in told
    assert (f"Table {table_name} has no index gsi5, which no model here needs.", None, True) in told
    assert (f"Table {table_name} has no index iter_search_index, which User needs.", "User", False) in told
    assert any(text.startswith(f"Index gsi2 of table {table_name} holds keys only") for text, _, _ in told)
    assert (f"The TTL of table {table_name} is off, so that no Visit expires.", "Visit", False) in told
    assert len(told) == 5


@pytest.mark.parametrize(
    ("operation", "change", "text", "is_harmless"),
    [
        (
            "DescribeTable",
            lambda body: body["Table"]["AttributeDefinitions"].append(
                {"AttributeName": "_gsi1_pk", "AttributeType": "B"}
            ),
            "The key attribute _gsi1_pk of the table is no text.",
            False,
        ),
        (
            "DescribeTable",
            lambda body: body["Table"].update(TableStatus="UPDATING"),
            "Table {} is busy: the table is UPDATING.",
            False,
        ),
        (
            "DescribeTimeToLive",
            lambda body: body["TimeToLiveDescription"].update(TimeToLiveStatus="DISABLING"),
            "The TTL of table {} is being disabled; run 'bao update-table' again in an hour.",
            False,
        ),
    ],
    ids=["another type", "busy", "ttl"],
)
def test_what_the_description_of_a_table_says(
    faulty: Manager,
    interruptible: Interruptible,
    operation: str,
    change: Callable[[Any], object],
    text: str,
    is_harmless: bool,
) -> None:
    """Each fault is one finding that says what to do. A finding is harmless if it ends by itself."""

    def fault(request: Any, send: Any, chance: Any) -> Any:
        body = send(request)
        if request.operation == operation:
            change(body)
        return body

    interruptible.inject(fault)
    (finding,) = table_findings(faulty.database, schemas(faulty))
    assert (finding.text, finding.harmless) == (text.format(faulty.table_name), is_harmless)


def test_prefixes_that_two_models_share() -> None:
    """Both are named with where they are; the same model twice is no clash."""

    class Other(Model, prefix="v"):
        other_id: str
        primary_key = PrimaryKey("other_id")

    (found,) = prefix_findings([User, Visit, Other, User])
    assert found.text.startswith("The prefix 'v' belongs to several models: Visit in ")
    assert "Other in " in found.text
