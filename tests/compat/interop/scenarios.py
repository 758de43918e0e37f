"""What both sides write: each scenario is a list of commands, carried out by one side on a table of its own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.compat.interop.sides import Command, Found, Side

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
NOW = datetime(2025, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)
LATER = NOW + timedelta(days=400, milliseconds=1)


def ulid(name: str) -> str:
    """A fixed ULID that can be told from others by a short name of Crockford's letters."""
    return f"01JGFJJZ00{name:0<16}"


ANN, BEN, CAT = map(ulid, ("ANN", "BEN", "CAT"))
TEAM, CREW = ulid("TEAM"), ulid("CREW")
KNOT, HELM = ulid("KN0T"), ulid("HEM")
VERSION = ulid("VERS")

EVERYTHING: dict[str, Any] = {
    "boatId": "sea-1",
    "ownerId": ANN,
    "name": "Möwe 🚤",
    "crew": -5,
    "berths": 0,
    "weight": 0.1,
    "length": 3.14159,
    "fast": True,
    "racing": False,
    "photo": b"\x00\x01\xfe\xff",
    "flags": {"b", "a", "ä"},
    "miles": 3,
    "repairs": 0,
    "hullUlid": ulid("HV11"),
    "launchedAt": NOW - timedelta(days=20_000, milliseconds=7),
    "registeredAt": NOW - timedelta(days=1),
    "version": VERSION,
    "ttl": LATER,
}
ONLY_REQUIRED = {"boatId": "sea-2", "hullUlid": ulid("HV22"), "version": VERSION}
SAMPLE: dict[str, Any] = {
    "sampleId": "s-1",
    "clean": True,
    "grains": 42,
    "depth": 1234.5,
    "place": "k",
    "takenAt": NOW,
    "boatId": "sea-1",
    "views": 9,
    "batchUlid": ulid("BATCH"),
    "version": VERSION,
    "ttl": LATER,
}


def create(model: str, **values: Any) -> Command:
    return {"do": "create", "model": model, "values": values}


def update(model: str, id: str, **values: Any) -> Command:
    return {"do": "update", "model": model, "id": id, "values": values, "condition": None}


def save(model: str, id: str, **values: Any) -> Command:
    return {"do": "save", "model": model, "id": id, "values": values, "reindex": False}


def increment(model: str, id: str, **amounts: int) -> Command:
    return {"do": "increment", "model": model, "id": id, "amounts": amounts}


def delete(model: str, id: str) -> Command:
    return {"do": "delete", "model": model, "id": id, "condition": None}


def members(id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Command:
    return {
        "do": "members",
        "model": "Boat",
        "id": id,
        "field": "flags",
        "add": sorted(add),
        "remove": sorted(remove),
    }


def member(id: str, name: str, **values: Any) -> Command:
    values = {"memberId": id, "name": name, "email": f"{name}@example.com", "joinedAt": NOW, **values}
    return create("Member", **values)


def carry_out(
    side: Side, steps: Iterable[Command], tenant: str | None = None
) -> dict[tuple[str, str], Found]:
    """Has a side write everything of a scenario; gives what it was last told of each item, by model and id."""
    told: dict[tuple[str, str], Found] = {}
    for step in steps:
        found = side.ask(**step, tenant=tenant)
        if found is None:
            del told[step["model"], step["id"]]
        else:
            told[step["model"], found.id] = found
    return told


SCENARIOS: dict[str, list[Command]] = {
    "every kind of field": [create("Boat", **EVERYTHING)],
    "defaults and nothing": [create("Boat", **ONLY_REQUIRED)],
    "zeros, false, one member, the first moments": [
        create(
            "Boat",
            **ONLY_REQUIRED,
            crew=0,
            weight=0.0,
            length=0.004,
            fast=False,
            racing=True,
            photo=b"\x00",
            flags={"one"},
            miles=-7,
            launchedAt=EPOCH,
            registeredAt=EPOCH + timedelta(milliseconds=1),
            ttl=EPOCH + timedelta(milliseconds=200_000_000_999),
        )
    ],
    "counters added to, members in and out": [
        create("Boat", **EVERYTHING),
        increment("Boat", "sea-1", miles=5, repairs=-2),
        increment("Boat", "sea-1", miles=-20),
        update("Boat", "sea-1", repairs=7),
        update("Boat", "sea-1", flags={"a", "c"}),
        members("sea-1", add=["d", "e"]),
        members("sea-1", remove=["a", "d"]),
        members("sea-1", add=["f"], remove=["c"]),
        create("Boat", **ONLY_REQUIRED),
        members("sea-2", add=["only"]),
        members("sea-2", remove=["only"]),
    ],
    "fields cleared and given again": [
        create("Boat", **EVERYTHING),
        update("Boat", "sea-1", ownerId=None, name=None, crew=None, weight=None, photo=None, ttl=None),
        update("Boat", "sea-1", flags=set(), fast=None),
        update("Boat", "sea-1", name="again", weight=2.5, ttl=LATER, flags={"x"}, photo=b"x"),
        update("Boat", "sea-1", length=0.125),
        save("Boat", "sea-1", weight=-1e-7),
    ],
    "a composite key, with the default buckets": [
        create("LogEntry", boatId="sea-1", entryId=ulid("ENT1"), text="set out", version=VERSION),
        create("LogEntry", boatId="sea-1", entryId=ulid("ENT2"), text="ran aground", version=VERSION),
        create("LogEntry", boatId="sea-2", entryId=ulid("ENT1"), text="elsewhere", version=VERSION),
        update("LogEntry", f"sea-1##__SK__##{ulid('ENT2')}", text="anchored"),
        delete("LogEntry", f"sea-2##__SK__##{ulid('ENT1')}"),
    ],
    "numbers and moments as keys": [
        create("Reading", sensor=7, takenAt=NOW, depth=20.25),
        create("Reading", sensor=7, takenAt=EPOCH + timedelta(milliseconds=1)),
        create("Reading", sensor=2**53 - 1, takenAt=LATER, depth=-1.5),
        create("Reading", sensor=0, takenAt=EPOCH, depth=1e21),
    ],
    "unique values taken, changed, given back": [
        member(ANN, "ann", badge=1, teamId=TEAM),
        member(BEN, "ben", badge=2),
        member(CAT, "cat"),
        update("Member", ANN, email="ann@example.org", badge=11),
        update("Member", BEN, badge=None),
        update("Member", CAT, badge=2),
        delete("Member", BEN),
        member(ulid("BEN2"), "ben", badge=1),
    ],
    "index keys of which halves change": [
        member(ANN, "ann", teamId=TEAM),
        update("Member", ANN, role="skipper"),
        update("Member", ANN, status="away"),
        update("Member", ANN, role="cook", status="active"),
        update("Member", ANN, teamId=CREW),
        update("Member", ANN, name="Anna"),
        member(BEN, "ben"),
        update("Member", BEN, teamId=TEAM),
        increment("Member", BEN, trips=4),
    ],
    "a mapping table": [
        create("MemberSkill", skillId=KNOT, memberId=ANN, learnedAt=NOW),
        create("MemberSkill", skillId=KNOT, memberId=BEN, learnedAt=LATER),
        create("MemberSkill", skillId=HELM, memberId=ANN, learnedAt=LATER),
        delete("MemberSkill", f"{KNOT}##__SK__##{BEN}"),
    ],
    "the prefix as half of an index": [
        create("Notice", noticeId=ulid("N1"), title="Regatta"),
        create("Notice", noticeId=ulid("N2"), title="Repairs", text="in March"),
        update("Notice", ulid("N2"), title="Repair works"),
    ],
    "the prefix as partition key": [
        create("Setting", code="flag", value="blue"),
        create("Setting", code="motto"),
        update("Setting", "motto", value="ahoy"),
        update("Setting", "flag", value=None),
    ],
    "every kind of index key": [
        create("Sample", **SAMPLE),
        create(
            "Sample",
            **{
                **SAMPLE,
                "sampleId": "s-2",
                "clean": False,
                "grains": 0,
                "depth": 0.1,
                "takenAt": EPOCH,
                "views": 0,
                "ttl": LATER + timedelta(seconds=999),
            },
        ),
        create("Sample", **{**SAMPLE, "sampleId": "s-3", "depth": 2.0**-31, "grains": 2**53 - 1}),
    ],
}
WITHOUT_TENANT = ("the prefix as partition key",)
"""Scenarios that JavaScript's format has no tenant for."""
