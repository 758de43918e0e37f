"""Where the JavaScript library is known to err or to stop, and what dynamo_bao does with the same table."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from dynamo_bao import (
    ConfigurationError,
    CounterField,
    DataFormatError,
    IntegerField,
    ListField,
    Manager,
    MapField,
    Model,
    PrimaryKey,
    StringField,
    TenantContext,
    UlidField,
    UniqueConstraint,
    ValidationError,
    init_models,
)
from tests.compat.interop.javascript import JavaScript
from tests.compat.interop.models import Shared
from tests.compat.interop.python import Python
from tests.compat.interop.raw import items_of
from tests.compat.interop.scenarios import (
    ANN,
    BEN,
    EPOCH,
    EVERYTHING,
    LATER,
    NOW,
    ONLY_REQUIRED,
    SAMPLE,
    TEAM,
    VERSION,
    carry_out,
    create,
    member,
    ulid,
)
from tests.compat.interop.sides import Refused
from tests.support.patience import PATIENCE


@contextmanager
def connected(client: Any, table: str, *models: type[Any]) -> Iterator[Manager]:
    """Other models on the same table."""
    with init_models(models=models, client=client, table_name=table, deadline=PATIENCE) as manager:
        yield manager


def index_keys(client: Any, table: str, pk: str, sk: str, index: str) -> dict[str, str]:
    """What an item has as keys of an index."""
    item = items_of(client, table)[pk, sk]
    return {name: value["S"] for name, value in item.items() if name.startswith(f"_{index}_")}


# --- indexes -----------------------------------------------------------------------------------------------


def test_a_cleared_half_of_an_index_takes_the_item_out_of_it(
    javascript: JavaScript, python: Python, client: Any, table: str
) -> None:
    """JavaScript leaves the item in its index under "null"; Python takes it out, and mends what JavaScript left."""
    carry_out(javascript, [member(ANN, "ann"), member(BEN, "ben")])
    javascript.update("Member", ANN, {"role": None})
    assert index_keys(client, table, f"m#{ANN}", "m", "gsi2")["_gsi2_pk"] == "m#gsi2#null"
    python.save("Member", ANN, {}, reindex=True)
    assert index_keys(client, table, f"m#{ANN}", "m", "gsi2") == {}
    python.update("Member", BEN, {"role": None})
    assert index_keys(client, table, f"m#{BEN}", "m", "gsi2") == {}
    for side in (javascript, python):
        assert side.query("Member", "byRole", "sailor") == side.query("Member", "byRole", "null") == []


def test_a_field_of_two_indexes_can_be_changed(javascript: JavaScript, python: Python, table: str) -> None:
    """JavaScript refuses to: the half that it adds for the one index misses its other half in the index before."""
    carry_out(javascript, [member(ANN, "ann")])
    with pytest.raises(Refused, match='missing partition key "role"'):
        javascript.update("Member", ANN, {"joinedAt": LATER})
    python.update("Member", ANN, {"joinedAt": LATER})
    for side in (javascript, python):
        (found,) = side.query("Member", "byStatus", "active", {"joinedAt": {"$gt": NOW}})
        assert found["joinedAt"] == LATER


def test_both_bounds_of_a_range_count(javascript: JavaScript, python: Python, table: str) -> None:
    """Of two bounds JavaScript uses the first alone."""
    for number in range(4):
        python.create("Reading", {"sensor": 7, "takenAt": NOW + timedelta(days=number)})
    bounds = {"takenAt": {"$gt": NOW, "$lt": NOW + timedelta(days=2)}}
    assert len(python.query("Reading", "readingsForSensor", 7, bounds)) == 1
    assert len(javascript.query("Reading", "readingsForSensor", f"{7:020}", bounds)) == 3


def test_a_partition_is_asked_for_by_its_value(javascript: JavaScript, python: Python, table: str) -> None:
    """A number as partition of a primary key: JavaScript finds it only by its padded text."""
    javascript.create("Reading", {"sensor": 7, "takenAt": NOW})
    assert len(python.query("Reading", "readingsForSensor", 7)) == 1
    assert len(javascript.query("Reading", "readingsForSensor", 7)) == 0
    assert len(javascript.query("Reading", "readingsForSensor", f"{7:020}")) == 1


def test_a_ttl_in_an_index_is_found(javascript: JavaScript, python: Python, table: str) -> None:
    """JavaScript writes another text for it than it asks for; Python writes and asks for what is written."""
    javascript.create("Sample", SAMPLE)
    since = {"ttl": {"$gte": LATER}}
    assert len(python.query("Sample", "byVersion", VERSION, since)) == 1
    assert len(javascript.query("Sample", "byVersion", VERSION, since)) == 0


def test_more_than_a_page_is_found_and_counted(javascript: JavaScript, python: Python, table: str) -> None:
    """JavaScript stops at a hundred."""
    notices = [create("Notice", noticeId=ulid(f"P{n:03}"), title="same") for n in range(103)]
    assert not [outcome for outcome in javascript.many(notices, 8) if isinstance(outcome, Refused)]
    found = {side.name: side.query("Notice", "byTitle", "same") for side in (javascript, python)}
    counts = {
        side.name: side.query("Notice", "byTitle", "same", countOnly=True) for side in (javascript, python)
    }
    assert {name: len(one) for name, one in found.items()} == {"JavaScript": 100, "Python": 103}
    assert counts == {"JavaScript": 100, "Python": 103}


# --- values ------------------------------------------------------------------------------------------------


def test_the_first_moment_of_1970_is_a_moment(javascript: JavaScript, python: Python, table: str) -> None:
    """JavaScript writes it, and reads it as none."""
    told = javascript.create("Boat", {**ONLY_REQUIRED, "launchedAt": EPOCH})
    assert "launchedAt" not in told.values
    found = python.find("Boat", "sea-2")
    assert found is not None and found["launchedAt"] == EPOCH


def test_a_number_with_a_default_cannot_be_cleared(
    javascript: JavaScript, python: Python, client: Any, table: str
) -> None:
    """JavaScript writes the default anew for null; Python says that there is always a value."""
    javascript.create("Boat", {**EVERYTHING, "berths": 9})
    with pytest.raises(Refused, match="berths is required and cannot be None"):
        python.update("Boat", "sea-1", {"berths": None})
    assert javascript.update("Boat", "sea-1", {"berths": None})["berths"] == 4
    assert items_of(client, table)["b#sea-1", "b"]["berths"] == {"N": "4"}


@pytest.mark.usefixtures("empty_texts")
def test_empty_texts_are_stored_and_read(javascript: JavaScript, python: Python, table: str) -> None:
    """JavaScript refuses to write one, and reads one that Python wrote."""
    with pytest.raises(Refused, match="empty string"):
        javascript.create("Boat", {**EVERYTHING, "name": ""})
    python.create("Boat", {**EVERYTHING, "name": ""})
    read = javascript.update("Boat", "sea-1", {"crew": 3})
    assert read["name"] == ""
    with pytest.raises(Refused, match="empty string"):
        javascript.save("Boat", "sea-1", {}, reindex=True)


def test_what_is_no_text_is_named(javascript: JavaScript, python: Python, table: str) -> None:
    """JavaScript stores a number in a text field; Python says which item and field cannot be read."""
    javascript.create("Team", {"teamId": TEAM, "name": 42})
    assert python.manager is not None
    team = python.manager.models.Team.find(TEAM)
    with pytest.raises(DataFormatError, match=r"Team.*'name'") as caught:
        _ = team.name
    assert (caught.value.key, caught.value.field) == (TEAM, "name")


@pytest.mark.parametrize(
    ("field", "name", "given"),
    [
        ("crew", "crew", 3.5),
        ("launchedAt", "launched_at", 0.5),
        ("registeredAt", "registered_at", "2025-01-02"),
    ],
)
def test_a_value_of_another_kind_is_named(
    field: str, name: str, given: Any, javascript: JavaScript, python: Python, client: Any, table: str
) -> None:
    """JavaScript stores a fraction for a whole number or a moment, and a text for a date of creation, as they are;
    Python names the field, reads the others, and can save them."""
    javascript.begin([create("Boat", **{**EVERYTHING, field: given})], width=1)
    assert python.manager is not None
    boat = python.manager.models.Boat.find("sea-1")
    with pytest.raises(DataFormatError, match=rf"Boat 'sea-1'.*'{field}'") as caught:
        getattr(boat, name)
    assert caught.value.field == name
    before = items_of(client, table)["b#sea-1", "b"][field]
    boat.weight = 2.0
    boat.save()
    item = items_of(client, table)["b#sea-1", "b"]
    assert (item[field], item["weight"]) == (before, {"N": "2"})


@pytest.mark.parametrize("values", [{"sensor": -7}, {"takenAt": EPOCH - timedelta(milliseconds=1)}])
def test_keys_that_would_not_sort_are_refused(
    values: dict[str, Any], javascript: JavaScript, python: Python, table: str
) -> None:
    """JavaScript writes keys of negative numbers, in a wrong order; Python says why it does not."""
    given = {"sensor": 7, "takenAt": NOW, **values}
    with pytest.raises(Refused, match=r"dynamo-bao.*native") as caught:
        python.create("Reading", given)
    assert caught.value.kind == "ValidationError"
    assert javascript.create("Reading", given)


def test_whole_numbers_that_javascript_would_change_are_refused(client: Any, table: str) -> None:
    """Over 2^53 it reads another number; of counters too. The native format takes them."""

    class Tally(Shared, prefix="ta"):
        tally_id: str
        amount: int | None = IntegerField(default=None)
        seen: int = CounterField()
        primary_key = PrimaryKey("tally_id")

    with connected(client, table, Tally):
        for name in ("amount", "seen"):
            Tally.create(tally_id=f"most {name}", **{name: 2**53 - 1})
            with pytest.raises(ValidationError, match=r"2\^53.*dynamo-bao.*native") as caught:
                Tally.create(tally_id=f"more {name}", **{name: -(2**53)})
            assert caught.value.field == name


def test_fields_that_only_python_has_survive_javascript(
    javascript: JavaScript, client: Any, table: str
) -> None:
    """An enumeration, an exact number, a list and a map beside what JavaScript knows of the item."""

    class Colour(enum.Enum):
        BLUE = "blue"

    class Team(Shared, prefix="tm", name="Team"):
        team_id: str = UlidField(auto_assign=True)
        name: str
        colour: Colour
        fee: Decimal
        stops: list[Any] = ListField()
        rules: dict[str, Any] = MapField()
        primary_key = PrimaryKey("team_id")

    given = {"colour": Colour.BLUE, "fee": Decimal("12.50"), "stops": ["a", 1], "rules": {"x": [True]}}
    with connected(client, table, Team):
        Team.create(team_id=TEAM, name="Blue", **given)
        assert javascript.update("Team", TEAM, {"name": "Azure"}).values == {"teamId": TEAM, "name": "Azure"}
        assert Team.find(TEAM).to_dict() == {"team_id": TEAM, "name": "Azure", **given}


def test_pythons_kinds_under_javascripts_fields(javascript: JavaScript, client: Any, table: str) -> None:
    """UUIDs, enumerations and JSON are texts to JavaScript, or whole numbers; exact numbers are fractions."""

    class Colour(enum.Enum):
        BLUE = "blue"
        RED = "red"

    class Berths(enum.Enum):
        FEW = 2
        MANY = 6

    class Boat(Shared, prefix="b", name="Boat", iterable=True):
        boat_id: str
        owner_id: UUID | None = None
        name: Colour | None = None
        berths: Berths | None = None
        weight: Decimal | None = None
        primary_key = PrimaryKey("boat_id")

    first, second = UUID(int=1), UUID(int=2)
    with connected(client, table, Boat):
        given = {"name": Colour.BLUE, "berths": Berths.FEW, "weight": Decimal("12.5")}
        Boat.create(boat_id="sea-1", owner_id=first, **given)
        read = javascript.find("Boat", "sea-1")
        assert read is not None
        assert {name: read[name] for name in ("ownerId", "name", "berths", "weight")} == {
            "ownerId": str(first),
            "name": "blue",
            "berths": 2,
            "weight": 12.5,
        }
        changes = {"ownerId": str(second), "name": "red", "berths": 6, "weight": 0.1}
        javascript.update("Boat", "sea-1", changes)
        boat = Boat.find("sea-1")
        assert (boat.owner_id, boat.name, boat.berths) == (second, Colour.RED, Berths.MANY)
        assert boat.weight == Decimal("0.1")


# --- tenants and keys ----------------------------------------------------------------------------------------


def test_the_prefix_as_partition_key_has_no_tenants(
    javascript: JavaScript, python: Python, table: str
) -> None:
    """In JavaScript one tenant finds the other's item; Python refuses such a key under a tenant."""
    javascript.create("Setting", {"code": "flag", "value": "acme's"}, tenant="acme")
    leaked = javascript.find("Setting", "flag", tenant="other")
    assert leaked is not None and leaked["value"] == "acme's"
    assert python.manager is not None
    setting = python.manager.models.Setting
    for tenant in ("acme", "other"):
        with (
            TenantContext.run_with_tenant(tenant),
            pytest.raises(ConfigurationError, match="tenants would share keys"),
        ):
            setting.find("flag")


def test_the_tenant_named_default_is_none_in_javascript(
    javascript: JavaScript, python: Python, table: str
) -> None:
    """JavaScript stores its items without a tenant; Python keeps it apart as any other."""
    javascript.create("Team", {"teamId": TEAM, "name": "Blue"}, tenant="default")
    assert python.find("Team", TEAM, tenant="default") is None
    found = python.find("Team", TEAM)
    assert found is not None and found["name"] == "Blue"


# --- what was deleted, and what was renamed -----------------------------------------------------------------------


def test_an_object_that_was_deleted_is_not_saved(
    javascript: JavaScript, python: Python, client: Any, table: str
) -> None:
    """JavaScript's save brings back a fragment of it; Python's is refused, and the fragment can be deleted."""
    python.create("Boat", EVERYTHING)
    boat = python.manager and python.manager.models.Boat.find("sea-1")
    javascript.ask("hold", model="Boat", id="sea-1")
    python.delete("Boat", "sea-1")
    assert boat is not None
    boat.crew = 3
    with pytest.raises(Exception, match="is not stored"):
        boat.save()
    assert items_of(client, table) == {}
    javascript.ask("save_held", values={"crew": 3})
    fragment = items_of(client, table)["b#sea-1", "b"]
    assert "hullUlid" not in fragment
    found = python.find("Boat", "sea-1")
    assert found is not None and "hullUlid" not in found.values and found["crew"] == 3
    python.delete("Boat", "sea-1")
    assert items_of(client, table) == {}


def test_a_condition_keeps_javascript_from_saving_what_was_deleted(
    javascript: JavaScript, python: Python, client: Any, table: str
) -> None:
    """Asked that the item's own key is still there, it writes no fragment."""
    python.create("Boat", EVERYTHING)
    javascript.ask("hold", model="Boat", id="sea-1")
    python.delete("Boat", "sea-1")
    with pytest.raises(Refused, match="Condition check failed"):
        javascript.ask("save_held", values={"crew": 3}, condition={"boatId": {"$exists": True}})
    assert items_of(client, table) == {}


def test_a_counter_of_an_object_is_added_to(javascript: JavaScript, python: Python, table: str) -> None:
    """An object's counter that JavaScript assigns replaces what was counted meanwhile; Python's adds to it."""
    python.create("Boat", {**EVERYTHING, "miles": 10})
    assert python.manager is not None
    boat = python.manager.models.Boat.find("sea-1")
    javascript.ask("hold", model="Boat", id="sea-1")
    boat.miles += 1
    javascript.increment("Boat", "sea-1", {"miles": 100})
    boat.save()
    assert boat.miles == 111
    assert javascript.ask("save_held", values={"miles": 11})["miles"] == 11


def test_a_unique_value_of_an_item_that_expired_is_free(
    javascript: JavaScript, python: Python, client: Any, table: str
) -> None:
    """To JavaScript it stays taken, as the guard is still there; Python takes it over, for JavaScript too."""
    carry_out(javascript, [member(ANN, "ann")])
    client.delete_item(TableName=table, Key={"_pk": {"S": f"m#{ANN}"}, "_sk": {"S": "m"}})
    with pytest.raises(Refused, match="email must be unique"):
        carry_out(javascript, [member(BEN, "ben", email="ann@example.com")])
    carry_out(python, [member(BEN, "ben", email="ann@example.com")])
    found = javascript.unique("Member", "uniqueEmail", "ann@example.com")
    assert found is not None and found.id == BEN
    javascript.delete("Member", BEN)
    assert items_of(client, table) == {}


def test_a_unique_zero_is_given_back(javascript: JavaScript, python: Python, client: Any, table: str) -> None:
    """JavaScript finds nothing by it, and leaves its guard behind; Python takes it over, and gives it back."""
    carry_out(javascript, [member(ANN, "ann", badge=0)])
    with pytest.raises(Refused, match="badge value is required"):
        javascript.unique("Member", "uniqueBadge", 0)
    found = python.unique("Member", "uniqueBadge", 0)
    assert found is not None and found.id == ANN
    javascript.delete("Member", ANN)
    assert list(items_of(client, table)) == [("_raft_uc#_uc2#m#badge:0", "_raft_uc")]
    with pytest.raises(Refused, match="condition check failure"):
        carry_out(javascript, [member(BEN, "ben", badge=0)])
    carry_out(python, [member(BEN, "ben", badge=0)])
    python.delete("Member", BEN)
    assert items_of(client, table) == {}


def test_the_name_in_guards_is_javascripts(javascript: JavaScript, client: Any, table: str) -> None:
    """A Python class of another name says JavaScript's with ``name=``; without it JavaScript cannot delete."""

    class Sailor(Shared, prefix="m", name="Member", iterable=True, iteration_buckets=1):
        member_id: str = UlidField(auto_assign=True)
        name: str
        email: str
        primary_key = PrimaryKey("member_id")
        unique_email = UniqueConstraint("email", id="uc1")

    class Stranger(Model, prefix="m", key_format="dynamo-bao", attribute_style="camel"):
        member_id: str = UlidField(auto_assign=True)
        name: str = StringField()
        email: str = StringField()
        primary_key = PrimaryKey("member_id")
        unique_email = UniqueConstraint("email", id="uc1")

    with connected(client, table, Sailor):
        Sailor.create(member_id=ANN, name="ann", email="ann@example.com")
    javascript.update("Member", ANN, {"email": "ann@example.org"})
    javascript.delete("Member", ANN)
    assert items_of(client, table) == {}
    with connected(client, table, Stranger):
        Stranger.create(member_id=BEN, name="ben", email="ben@example.com")
    with pytest.raises(Refused):
        javascript.delete("Member", BEN)
