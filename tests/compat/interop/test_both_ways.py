"""What one side wrote the other reads, asks for, changes and deletes; every test runs in both directions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.compat.interop.javascript import JavaScript
from tests.compat.interop.raw import items_of
from tests.compat.interop.scenarios import (
    ANN,
    BEN,
    CAT,
    EPOCH,
    EVERYTHING,
    HELM,
    KNOT,
    LATER,
    NOW,
    ONLY_REQUIRED,
    SAMPLE,
    SCENARIOS,
    TEAM,
    VERSION,
    WITHOUT_TENANT,
    carry_out,
    member,
    ulid,
)
from tests.compat.interop.sides import Found, Refused, Side

Direction = tuple[Side, Side]
ACME, OTHER = "acme.eu-1", "other"
REFUSED = {
    "JavaScript": {
        "unique": "ConditionalError",
        "exists": "ConditionalError",
        "condition": "ConditionalError",
    },
    "Python": {
        "unique": "UniqueConstraintError",
        "exists": "ConditionalError",
        "condition": "ConditionalError",
    },
}


def refusal(side: Side, why: str) -> str:
    """What this side calls the error."""
    return REFUSED[side.name][why]


def seen(found: Found | None) -> Any:
    """What both sides see of an item: JavaScript reads the first moment of 1970 as no moment."""
    assert found is not None
    return found.id, {name: value for name, value in found.values.items() if value != EPOCH}


def ids(found: list[Found]) -> list[str]:
    return [one.id for one in found]


# --- reading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_other_reads_and_deletes_what_was_written(
    scenario: str, direction: Direction, client: Any, table: str
) -> None:
    """Every value of every item, one by one and in a batch; with the items go the guards of unique values."""
    writer, other = direction
    tenant = None if scenario in WITHOUT_TENANT else ACME
    told = carry_out(writer, SCENARIOS[scenario], tenant)
    assert told
    for (model, id), found in told.items():
        assert seen(other.find(model, id, tenant)) == seen(writer.find(model, id, tenant)) == seen(found)
    for model in {model for model, _ in told}:
        wanted = [id for owner, id in told if owner == model]
        found_all = other.find_all(model, wanted, tenant)
        assert [seen(one) for one in found_all] == [seen(told[model, id]) for id in wanted]
    for model, id in told:
        other.delete(model, id, tenant=tenant)
        assert writer.find(model, id, tenant) is None
    assert items_of(client, table) == {}


def test_what_is_not_there_is_missing_to_both(direction: Direction) -> None:
    """An id that nobody wrote, beside one that is there."""
    writer, reader = direction
    writer.create("Boat", EVERYTHING)
    assert reader.find("Boat", "sea-9") is None
    there, gone = reader.find_all("Boat", ["sea-1", "sea-9"])
    assert there is not None and gone is None


# --- changing -------------------------------------------------------------------------------------------


def test_the_other_changes_every_kind_of_field(direction: Direction) -> None:
    """By id and through the object; the first writer reads what the second one wrote."""
    writer, other = direction
    writer.create("Boat", EVERYTHING)
    changes = {
        "ownerId": BEN,
        "name": "Albatros",
        "crew": 8,
        "berths": 6,
        "weight": 1e21,
        "length": 1.25,
        "fast": False,
        "racing": True,
        "photo": b"\xff" * 300,
        "launchedAt": NOW,
        "ttl": LATER.replace(microsecond=0) + timedelta(days=1),
        "repairs": 1,
    }
    told = other.update("Boat", "sea-1", changes)
    assert {name: told[name] for name in changes} == changes
    assert writer.find("Boat", "sea-1") == told == other.find("Boat", "sea-1")
    told = other.save("Boat", "sea-1", {"name": "Sturmvogel", "crew": 3})
    assert (told["name"], told["crew"]) == ("Sturmvogel", 3)
    assert writer.find("Boat", "sea-1") == told


def test_the_other_clears_fields(direction: Direction) -> None:
    """A cleared field is absent to both."""
    writer, other = direction
    writer.create("Boat", EVERYTHING)
    told = other.update(
        "Boat", "sea-1", {"name": None, "crew": None, "photo": None, "ttl": None, "flags": set()}
    )
    assert not {"name", "crew", "photo", "ttl"} & told.values.keys()
    assert told["flags"] == set()
    assert writer.find("Boat", "sea-1") == told


def test_counters_and_sets_are_changed_by_turns(direction: Direction) -> None:
    """Each adds to what the other left."""
    one, two = direction
    one.create("Boat", EVERYTHING)
    for side, amount, member_ in ((two, 5, "c"), (one, -2, "d"), (two, 100, "e")):
        side.increment("Boat", "sea-1", {"miles": amount})
        side.members("Boat", "sea-1", "flags", add=[member_])
    two.members("Boat", "sea-1", "flags", add=["f"], remove=["a"])
    one.members("Boat", "sea-1", "flags", remove=["b"])
    for side in direction:
        found = side.find("Boat", "sea-1")
        assert found is not None
        assert (found["miles"], found["flags"]) == (106, {"ä", "c", "d", "e", "f"})


def test_conditions_hold_for_what_the_other_wrote(direction: Direction) -> None:
    """A condition that holds lets the change through, one that does not leaves the item as it is."""
    writer, other = direction
    writer.create("Boat", EVERYTHING)
    other.update("Boat", "sea-1", {"crew": 1}, {"name": {"$beginsWith": "Mö"}, "launchedAt": {"$lt": NOW}})
    with pytest.raises(Refused) as caught:
        other.update("Boat", "sea-1", {"crew": 2}, {"$or": [{"crew": 7}, {"fast": False}]})
    assert caught.value.kind == refusal(other, "condition")
    with pytest.raises(Refused) as caught:
        other.delete("Boat", "sea-1", {"crew": {"$gt": 1}})
    assert caught.value.kind == refusal(other, "condition")
    found = writer.find("Boat", "sea-1")
    assert found is not None and found["crew"] == 1


def test_an_item_is_created_once(direction: Direction) -> None:
    """Creating what the other created is refused."""
    writer, other = direction
    writer.create("Boat", EVERYTHING)
    with pytest.raises(Refused) as caught:
        other.create("Boat", {**ONLY_REQUIRED, "boatId": "sea-1"})
    assert caught.value.kind == refusal(other, "exists")
    found = writer.find("Boat", "sea-1")
    assert found is not None and found["name"] == "Möwe 🚤"


# --- asking by index --------------------------------------------------------------------------------------


def test_index_queries_give_the_other_the_same_items_in_the_same_order(direction: Direction) -> None:
    """By value, with ranges of the sort key, backwards, filtered, and counted."""
    writer, reader = direction
    for number in range(12):
        role = "skipper" if number % 3 == 0 else "sailor"
        joined = NOW + timedelta(days=number)
        carry_out(
            writer, [member(ulid(f"M{number:X}"), f"m{number}", role=role, joinedAt=joined, teamId=TEAM)]
        )
    writer.update("Member", ulid("M4"), {"status": "away"})
    reader.update("Member", ulid("M5"), {"role": "cook"})
    third, sixth = NOW + timedelta(days=3), NOW + timedelta(days=6)
    asked: list[tuple[str, Any, Any, dict[str, Any], int]] = [
        ("byStatus", "active", None, {}, 11),
        ("byStatus", "away", None, {}, 1),
        ("byStatus", "gone", None, {}, 0),
        ("byStatus", "active", None, {"direction": "DESC"}, 11),
        ("byStatus", "active", {"joinedAt": {"$gt": third}}, {}, 7),
        ("byStatus", "active", {"joinedAt": {"$lte": third}}, {}, 4),
        ("byStatus", "active", {"joinedAt": {"$between": [third, sixth]}}, {}, 3),
        ("byStatus", "active", None, {"filter": {"$or": [{"role": "cook"}, {"name": "m7"}]}}, 2),
        ("byRole", "skipper", {"status": "active"}, {}, 4),
        ("byRole", "sailor", {"status": {"$beginsWith": "aw"}}, {}, 1),
        ("membersForTeam", TEAM, {"memberId": {"$gte": ulid("M9")}}, {}, 3),
    ]
    for index, value, sort, options, number in asked:
        found = reader.query("Member", index, value, sort, **options)
        assert found == writer.query("Member", index, value, sort, **options)
        assert len(found) == number
        assert reader.query("Member", index, value, sort, countOnly=True, **options) == number


def test_pages_continue_where_they_ended(direction: Direction) -> None:
    """Page by page, each side with its own cursors, both get every item once and in order."""
    entries = [ulid(f"P{number}") for number in range(7)]
    for number, entry in enumerate(entries):
        side = direction[number % 2]
        side.create("LogEntry", {"boatId": "sea-1", "entryId": entry, "text": "sailed"})
        side.create("Notice", {"noticeId": entry, "title": f"about {number}"})
    for side in direction:
        pages = side.pages("LogEntry", "entriesForBoat", "sea-1", 3)
        assert [one["entryId"] for page in pages for one in page] == entries
        assert [len(page) for page in pages][:2] == [3, 3]
        pages = side.pages("Notice", "allNotices", "n", 3)
        assert [id for page in pages for id in ids(page)] == entries


def test_every_kind_of_index_key_is_found(direction: Direction) -> None:
    """Booleans, whole numbers, fractions, moments, relations, counters and ULIDs as halves of an index."""
    carry_out(direction[0], SCENARIOS["every kind of index key"])
    asked: list[tuple[str, Any, Any, list[str]]] = [
        ("byClean", True, None, ["s-1", "s-3"]),
        ("byClean", True, {"grains": {"$gt": 42}}, ["s-3"]),
        ("byClean", False, {"grains": 0}, ["s-2"]),
        ("byDepth", 1234.5, None, ["s-1"]),
        ("byDepth", 0.1, {"boatId": "sea-1"}, ["s-2"]),
        ("byDepth", 2.0**-31, None, ["s-3"]),
        ("byPlace", "k", {"takenAt": {"$between": [NOW - timedelta(1), NOW]}}, ["s-1", "s-3"]),
        ("byBatch", ulid("BATCH"), {"views": {"$lt": 9}}, ["s-2"]),
        ("byVersion", VERSION, None, ["s-1", "s-2", "s-3"]),
    ]
    for index, value, sort, wanted in asked:
        for side in direction:  # items of equal keys are in no order
            assert sorted(ids(side.query("Sample", index, value, sort))) == wanted


def test_composite_keys_are_asked_by_partition(direction: Direction) -> None:
    """The entries of one boat, through the query that the primary key's name gives, and from the boat."""
    writer, reader = direction
    writer.create("Boat", EVERYTHING)
    carry_out(writer, SCENARIOS["a composite key, with the default buckets"])
    both = [f"sea-1##__SK__##{ulid(name)}" for name in ("ENT1", "ENT2")]
    for side in direction:
        assert ids(side.query("LogEntry", "entriesForBoat", "sea-1")) == both
        assert (
            ids(side.query("LogEntry", "entriesForBoat", "sea-1", {"entryId": {"$gt": ulid("ENT1")}}))
            == both[1:]
        )
        assert ids(side.call("Boat", "sea-1", "queryEntries")) == both
    assert ids(reader.query("LogEntry", "entriesForBoat", "sea-2")) == []


def test_the_prefix_as_half_of_an_index_finds_all(direction: Direction) -> None:
    """All notices by their ids; one by its title."""
    writer, reader = direction
    carry_out(writer, SCENARIOS["the prefix as half of an index"])
    assert ids(reader.query("Notice", "byTitle", "Repair works")) == [ulid("N2")]
    assert ids(reader.query("Notice", "byTitle", "Repairs")) == []
    assert ids(reader.query("Notice", "allNotices", "n")) == [ulid("N1"), ulid("N2")]


# --- relations and mapping tables -------------------------------------------------------------------------


def test_relations_lead_to_what_the_other_wrote(direction: Direction) -> None:
    """From a boat to its owner, from the owner to the team, and back from the team."""
    writer, reader = direction
    writer.create("Team", {"teamId": TEAM, "name": "Blue"})
    carry_out(writer, [member(ANN, "ann", teamId=TEAM), member(BEN, "ben")])
    writer.create("Boat", EVERYTHING)
    owner = reader.related("Boat", "sea-1", "ownerId")
    assert owner is not None and owner["name"] == "ann"
    team = reader.related("Member", owner.id, "teamId")
    assert team is not None and team["name"] == "Blue"
    assert reader.related("Member", BEN, "teamId") is None
    assert ids(reader.call("Team", TEAM, "queryMembers")) == [ANN]


def test_mapping_tables_are_asked_from_both_ends(direction: Direction) -> None:
    """The rows between two models, and the objects at their other ends; changed by the other side."""
    writer, other = direction
    for id, name in ((KNOT, "knots"), (HELM, "helming")):
        writer.create("Skill", {"skillId": id, "name": name})
    carry_out(writer, [member(ANN, "ann"), member(BEN, "ben")])
    for skill, person, learned in ((KNOT, ANN, LATER), (KNOT, BEN, NOW), (HELM, ANN, NOW)):
        writer.create("MemberSkill", {"skillId": skill, "memberId": person, "learnedAt": learned})
    for side in direction:
        assert ids(side.call("Skill", KNOT, "getMembers")) == [ANN, BEN]
        assert sorted(one["name"] for one in side.call("Member", ANN, "getSkills")) == ["helming", "knots"]
        assert [one["name"] for one in side.call("Member", ANN, "getLatestSkills")] == ["helming", "knots"]
        assert [one["learnedAt"] for one in side.call("Skill", KNOT, "queryMembers")] == [LATER, NOW]
    other.delete("MemberSkill", f"{KNOT}##__SK__##{BEN}")
    other.create("MemberSkill", {"skillId": HELM, "memberId": BEN, "learnedAt": NOW})
    for side in direction:
        assert ids(side.call("Skill", KNOT, "getMembers")) == [ANN]
        assert ids(side.call("Skill", HELM, "getMembers")) == [ANN, BEN]


# --- unique values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant", [None, ACME])
def test_unique_values_are_unique_across_sides(direction: Direction, tenant: str | None) -> None:
    """Taken by one, refused to the other; changed by the other, free for the first again."""
    one, two = direction
    carry_out(one, [member(ANN, "ann", badge=7)], tenant)
    with pytest.raises(Refused) as caught:
        carry_out(two, [member(BEN, "ben", email="ann@example.com")], tenant)
    assert caught.value.kind == refusal(two, "unique")
    carry_out(two, [member(BEN, "ben", badge=8)], tenant)
    with pytest.raises(Refused) as caught:
        two.update("Member", BEN, {"badge": 7}, tenant=tenant)
    assert caught.value.kind == refusal(two, "unique")

    two.update("Member", ANN, {"email": "ann@example.org", "badge": None}, tenant=tenant)
    assert one.unique("Member", "uniqueEmail", "ann@example.com", tenant) is None
    carry_out(one, [member(CAT, "cat", email="ann@example.com", badge=7)], tenant)
    for side in direction:
        for email, id in (("ann@example.org", ANN), ("ann@example.com", CAT), ("ben@example.com", BEN)):
            found = side.unique("Member", "uniqueEmail", email, tenant)
            assert found is not None and found.id == id
        for badge, id in ((7, CAT), (8, BEN)):
            found = side.unique("Member", "uniqueBadge", badge, tenant)
            assert found is not None and found.id == id
        assert side.unique("Member", "uniqueBadge", 9, tenant) is None


# --- going through all ------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant", [None, ACME])
def test_both_go_through_all_items_bucket_by_bucket(direction: Direction, tenant: str | None) -> None:
    """Each bucket holds the same items for both, the other's and one's own."""
    writer, reader = direction
    names = [f"sea-{number}" for number in range(15)] + ["日本", "🚤", "é" * 30, "x" * 100]
    for number, name in enumerate(names):
        side = direction[number % 2]
        side.create("Boat", {**ONLY_REQUIRED, "boatId": name, "crew": number}, tenant)
    reader.delete("Boat", "sea-3", tenant=tenant)
    writer.delete("Boat", "sea-4", tenant=tenant)
    left = sorted(set(names) - {"sea-3", "sea-4"})
    buckets = {
        side.name: [sorted(ids(side.iterate("Boat", bucket, tenant))) for bucket in range(10)]
        for side in direction
    }
    assert buckets["Python"] == buckets["JavaScript"]
    assert sorted(id for bucket in buckets["Python"] for id in bucket) == left
    assert sum(bool(bucket) for bucket in buckets["Python"]) > 5
    for side in direction:
        assert sorted(ids(side.iterate("Boat", tenant=tenant))) == left
        assert side.iterate("Boat", tenant=OTHER) == []


@pytest.mark.parametrize(("model", "scenario"), [("Member", "unique values taken, changed, given back"),
                                                 ("LogEntry", "a composite key, with the default buckets"),
                                                 ("Reading", "numbers and moments as keys"),
                                                 ("Setting", "the prefix as partition key")])  # fmt: skip
def test_both_go_through_models_of_every_key(direction: Direction, model: str, scenario: str) -> None:
    """One bucket, seven, a hundred; ids of texts, of two parts, of numbers and moments."""
    writer, reader = direction
    told = carry_out(writer, SCENARIOS[scenario])
    assert sorted(ids(reader.iterate(model))) == sorted(id for _, id in told)


# --- versions ----------------------------------------------------------------------------------------------


def test_a_change_of_javascripts_is_a_conflict_for_python(javascript: Side, python: Any, table: str) -> None:
    """What Python loaded before JavaScript changed it is not saved over the newer item."""
    javascript.create("Boat", EVERYTHING)
    boat = python.manager.models.Boat.find("sea-1")
    assert boat.version == VERSION
    javascript.update("Boat", "sea-1", {"crew": 6})
    boat.name = "late"
    with pytest.raises(Exception, match="newer than what was loaded") as caught:
        boat.save()
    assert type(caught.value).__name__ == "VersionConflictError"
    boat.refresh()
    boat.name = "in time"
    boat.save()
    found = javascript.find("Boat", "sea-1")
    assert found is not None and (found["crew"], found["name"]) == (6, "in time")


def test_a_change_of_pythons_is_a_conflict_for_javascript(
    javascript: JavaScript, python: Side, table: str
) -> None:
    """JavaScript's condition on the version that it read fails once Python saved; without one it overwrites."""
    javascript.create("Boat", EVERYTHING)
    javascript.ask("hold", model="Boat", id="sea-1")
    python.save("Boat", "sea-1", {"crew": 6})
    with pytest.raises(Refused, match="Condition check failed"):
        javascript.ask("save_held", values={"crew": 7}, condition={"version": VERSION})
    fresh = javascript.find("Boat", "sea-1")
    assert fresh is not None and fresh["crew"] == 6 and fresh["version"] != VERSION
    javascript.update("Boat", "sea-1", {"name": "in time"}, {"version": fresh["version"]})
    assert javascript.ask("save_held", values={"crew": 7})["crew"] == 7


# --- tenants -----------------------------------------------------------------------------------------------


def test_tenants_are_apart_for_both(direction: Direction, client: Any, table: str) -> None:
    """One id and one unique value in two tenants and in none: each side sees only the current tenant's."""
    writer, reader = direction
    for tenant, name in ((ACME, "acme's"), (OTHER, "other's"), (None, "nobody's")):
        carry_out(writer, [member(ANN, "ann")], tenant)
        writer.create("Boat", {**EVERYTHING, "name": name}, tenant)
    for tenant, name in ((ACME, "acme's"), (OTHER, "other's"), (None, "nobody's")):
        found = reader.find("Boat", "sea-1", tenant)
        assert found is not None and found["name"] == name
        assert ids(reader.iterate("Boat", tenant=tenant)) == ["sea-1"]
        assert ids(reader.query("Member", "byStatus", "active", tenant=tenant)) == [ANN]
        assert reader.unique("Member", "uniqueEmail", "ann@example.com", tenant) is not None
    reader.delete("Member", ANN, tenant=ACME)
    assert writer.find("Member", ANN, ACME) is None
    assert writer.find("Member", ANN, OTHER) is not None
    assert reader.unique("Member", "uniqueEmail", "ann@example.com", ACME) is None
    assert reader.unique("Member", "uniqueEmail", "ann@example.com", OTHER) is not None
    assert not [key for key in items_of(client, table) if key[0].startswith(f"[{ACME}]#_raft_uc")]
    assert reader.find("Sample", SAMPLE["sampleId"], "third") is None
