"""Documents on engines: a wrong part is refused before any request, and what is kept is found and sorted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest

from dynamo_bao import (
    Index,
    ListField,
    Manager,
    MapField,
    Model,
    NestedField,
    PrimaryKey,
    TtlField,
    UniqueConstraint,
    ValidationError,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.wire import Wire

UTC = timezone.utc


@attrs.define
class Point:
    x: int
    tags: set[str] = attrs.Factory(set)


@dataclasses.dataclass
class Place:
    name: str
    point: Point
    more: list[Point] = dataclasses.field(default_factory=list)
    by_day: dict[str, Point] = dataclasses.field(default_factory=dict)
    token: UUID | None = None
    opened: date | None = None
    lasts: timedelta | None = None


class Thing(Model, prefix="dt"):
    thing_id: str
    name: str = "thing"
    v: Point = NestedField(Point)
    place: Place | None = None
    points: list[Point] = ListField(default=list)
    named: dict[str, Point] = MapField(default=dict)
    prices: dict[str, Decimal] = MapField(default=dict)
    exact: dict[str, Any] = MapField(numbers="decimal", default=dict)
    anything: dict[str, Any] = MapField(default=dict)
    days: frozenset[date] | None = None
    ttl: datetime | None = TtlField(default=None)

    primary_key = PrimaryKey("thing_id")


class Shift(Model, prefix="sh"):
    team: str
    day: date
    start: time = time(8)
    lasts: timedelta = timedelta(hours=8)
    badge: date | None = None

    primary_key = PrimaryKey("team", "day")
    shifts_of_team = primary_key
    by_start = Index("team", "start", id="gsi1")
    by_length = Index("start", "lasts", id="gsi2")
    by_day = Index("day", "lasts", id="gsi3")
    unique_badge = UniqueConstraint("badge", id="uc1")


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=[Thing, Shift], table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture
def wire(manager: Manager) -> Wire:
    """What the manager's client sends from now on."""
    return Wire(manager.client)


def wrong(value: object) -> Any:
    """A value that a checker would not let through."""
    return value


CREATED: dict[str, tuple[dict[str, Any], str]] = {
    "a member": ({"v": Point(wrong("oops"))}, "v.x takes int"),
    "a member of a set": ({"v": Point(1, wrong({1}))}, "v.tags"),
    "a member of a dataclass": ({"place": Place(wrong(1), Point(1))}, "place.name takes str"),
    "a member of a member": ({"place": Place("a", Point(wrong(None)))}, "place.point.x is required"),
    "a member in a list of a member": (
        {"place": Place("a", Point(1), [Point(1), Point(wrong("x"))])},
        "place.more[1].x",
    ),
    "a member in a map of a member": (
        {"place": Place("a", Point(1), [], {"k": Point(wrong("x"))})},
        "place.by_day.k.x",
    ),
    "a member in a list": ({"points": [Point(1), Point(wrong(1.5))]}, "points[1].x takes int"),
    "a member in a map": ({"named": {"a": Point(wrong(True))}}, "named.a.x takes int"),
    "a part that is no instance": ({"points": [{"x": 1}]}, "points[0] takes Point"),
    "a value of a map": ({"prices": {"a": 0.5}}, "prices.a takes Decimal"),
}


@pytest.mark.one_engine
@pytest.mark.parametrize("case", CREATED)
@pytest.mark.parametrize("way", ["create", "save", "commit", "transaction", "update", "upsert"])
def test_a_wrong_part_is_refused_before_any_request(
    manager: Manager, wire: Wire, case: str, way: str
) -> None:
    """However it is written, the error names the path to the part, and nothing is sent."""
    values, path = CREATED[case]
    whole = {"thing_id": "a", "v": Point(1), **values}

    def commit() -> None:
        with run_with_batch_context() as session:
            session.add(Thing(**whole))
            try:
                session.commit()
            finally:
                session.rollback()

    def in_transaction() -> None:
        with transaction():
            Thing.create(**whole)

    ways: dict[str, Callable[[], Any]] = {
        "create": lambda: Thing.create(**whole),
        "save": lambda: Thing(**whole).save(),
        "commit": commit,
        "transaction": in_transaction,
        "update": lambda: Thing.update("a", **values),
        "upsert": lambda: Thing.upsert(**whole),
    }
    with pytest.raises(ValidationError) as caught:
        ways[way]()
    assert path in str(caught.value)
    assert caught.value.field == next(iter(values))
    assert wire.sent == []


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a member": (lambda thing: setattr(thing.v, "x", "bad"), "v.x takes int"),
    "a set in place": (lambda thing: thing.v.tags.add(5), "v.tags"),
    "a member of a dataclass": (lambda thing: setattr(thing.place, "name", None), "place.name is required"),
    "a member of a member": (lambda thing: setattr(thing.place.point, "x", "bad"), "place.point.x"),
    "a list in place": (lambda thing: thing.points.append("bad"), "points[1] takes Point"),
    "a member in a list": (lambda thing: setattr(thing.points[0], "x", "bad"), "points[0].x"),
    "a map in place": (lambda thing: thing.named.update(b=5), "named.b takes Point"),
    "a value of a map": (lambda thing: thing.prices.update(a="5"), "prices.a takes Decimal"),
    "a key of a map": (lambda thing: thing.prices.update({1: Decimal(5)}), "prices holds a map whose keys"),
}


@pytest.mark.one_engine
@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("inside", [True, False])
def test_a_wrong_change_in_place_is_refused_by_the_save(
    manager: Manager, wire: Wire, case: str, inside: bool
) -> None:
    """Nothing is sent, and the item stays readable."""
    place = Place("a", Point(2))
    made = Thing.create(thing_id="a", v=Point(1), place=place, points=[Point(3)], prices={"a": Decimal(1)})
    change, path = CHANGES[case]
    with run_with_batch_context() if inside else manager_of_nothing():
        thing = Thing.find_or_raise("a")
        change(thing)
        wire.sent.clear()
        with pytest.raises(ValidationError) as caught:
            thing.save()
        assert path in str(caught.value)
        assert wire.sent == []
        assert thing.has_changes()
    assert Thing.find_or_raise("a").to_dict() == made.to_dict()


@pytest.mark.one_engine
def test_a_wrong_value_of_an_object_that_is_not_loaded_is_refused_by_the_save(manager: Manager) -> None:
    """The object loads, and so do others with it. So it does after an update by key."""
    for thing_id in "ab":
        Thing.create(thing_id=thing_id, v=Point(1), place=Place("a", Point(2)))
        store_without_tags(manager, thing_id)
    wrong: Any = "bad"
    with run_with_batch_context():
        thing, other = Thing.find("a"), Thing.find("b")
        thing.v = wrong
        assert (other.name, thing.name) == ("thing", "thing")
        assert Thing.update("a", name="new") is thing
        assert (thing.name, thing.v) == ("new", "bad")
        with pytest.raises(ValidationError, match=r"Thing\.v takes Point"):
            thing.save()
        thing.v = Point(3, {"t"})
        thing.save()
    assert (Thing.find("a").v, Thing.find("b").v) == (Point(3, {"t"}), Point(1))


def store_without_tags(manager: Manager, thing_id: str) -> None:
    """Stores an object without the member that has a default, as another program would."""
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": f"dt#{thing_id}"}, "_sk": {"S": "dt"}},
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"M": {"x": {"N": "1"}}}},
    )


def manager_of_nothing() -> Any:
    """A block that opens nothing."""
    return nullcontext()


def test_everything_that_is_promised_is_kept(manager: Manager) -> None:
    """Values of typed containers and nested classes are read back as they were, however they are read."""
    place = Place(
        "a",
        Point(1, {"x", "y"}),
        [Point(2)],
        {"k": Point(3)},
        UUID(int=1),
        date(2026, 1, 31),
        timedelta(days=-1, seconds=5),
    )
    values: dict[str, Any] = {
        "place": place,
        "points": [Point(1), Point(2)],
        "named": {"a": Point(1, {"x"})},
        "prices": {"a": Decimal("12.50"), "b": Decimal(3)},
        "exact": {"a": Decimal(2), "b": [Decimal("0.5")], "c": {Decimal(1)}},
        "anything": {"texts": {"a"}, "numbers": {1, 0.5}, "blobs": {b"a"}, "none": [], "mixed": [1, "a"]},
        "days": frozenset({date(2026, 1, 31)}),
    }
    given = {**values, "anything": {**values["anything"], "none": set(), "mixed": {"a", 1}}}
    Thing.create(thing_id="a", v=Point(5), **given)
    with run_with_batch_context():
        rows = [Thing.find("a"), Thing.batch_find(["a"])["a"]]
        for found in (*rows, Thing.find_or_raise("a", bypass_cache=True)):
            for name, value in values.items():
                assert getattr(found, name) == value
            assert type(found.days) is frozenset
            assert {type(number) for number in found.exact["c"]} == {Decimal}
    found = Thing.find_or_raise("a")
    found.name = "other"
    assert found.changes().keys() == {"name"}


def test_the_order_of_a_set_s_members_is_no_change(manager: Manager, wire: Wire) -> None:
    """Sets inside documents have no order, so building one again in another changes nothing."""
    Thing.create(thing_id="a", v=Point(1, {"a", "b", "c"}), anything={"s": {"a", "b", "c"}})
    thing = Thing.find_or_raise("a")
    thing.v.tags = {"c", "b", "a"}
    thing.anything = {"s": {"b", "c", "a"}}
    wire.sent.clear()
    thing.save()
    assert wire.sent == []


def test_a_ttl_may_count_from_now(manager: Manager) -> None:
    """A timedelta becomes the moment that it is away, at the constructor, an assignment or an update."""
    before = datetime.now(UTC)
    made = Thing.create(thing_id="a", v=Point(1), ttl=wrong(timedelta(days=1)))
    made.name = "other"
    made.ttl = wrong(timedelta(days=2))
    made.save()
    found = Thing.find_or_raise("a")
    assert found.ttl is not None
    assert timedelta(days=2) - timedelta(seconds=1) <= found.ttl - before <= timedelta(days=2, minutes=5)
    Thing.update("a", ttl=timedelta(days=-1))
    assert Thing.find_or_raise("a").is_expired()


def test_a_ttl_s_default_counts_from_when_the_instance_is_made() -> None:
    """Not from when the class was."""

    class Short(Model, prefix="st"):
        key: str
        ttl: datetime | None = TtlField(default=timedelta(hours=1))
        primary_key = PrimaryKey("key")

    before = datetime.now(UTC)
    made = Short(key="a").ttl
    assert made is not None
    assert timedelta(hours=1, seconds=-1) <= made - before <= timedelta(hours=1, minutes=5)


# --- keys and conditions ------------------------------------------------------------------------------

DAYS = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 31), date(2026, 2, 1)]
STARTS = [time(6), time(6, 0, 0, 5), time(14, 30), time(22)]
LENGTHS = [timedelta(hours=-1), timedelta(0), timedelta(hours=8), timedelta(days=3)]


@pytest.fixture
def shifts(manager: Manager) -> list[Any]:
    made = zip(DAYS, STARTS, LENGTHS, strict=True)
    return [Shift.create(team="a", day=day, start=start, lasts=lasts) for day, start, lasts in made]


CONDITIONS: list[tuple[Any, list[date]]] = [
    (DAYS[1], [DAYS[1]]),
    ("2026-01-01", [DAYS[1]]),
    ({"day": {"$gt": DAYS[1]}}, DAYS[2:]),
    ({"day": {"$between": [DAYS[1], DAYS[2]]}}, DAYS[1:3]),
    ({"day": {"$gte": DAYS[1], "$lt": DAYS[3]}}, DAYS[1:3]),
    ({"day": {"$begins_with": "2026-01"}}, DAYS[1:3]),
]


@pytest.mark.parametrize(("condition", "found"), CONDITIONS)
def test_dates_are_sort_keys(shifts: list[Any], condition: Any, found: list[date]) -> None:
    """Ranges, beginnings and equal dates of a key; items come in the order of the calendar, both ways."""
    assert [shift.day for shift in Shift.shifts_of_team.query("a", condition)] == found
    newest = Shift.shifts_of_team.query("a", condition, direction="DESC")
    assert [shift.day for shift in newest] == found[::-1]


def test_times_and_durations_are_index_keys(shifts: list[Any]) -> None:
    """They sort as they follow each other, negative durations too, and are partition keys as well."""
    assert [shift.start for shift in Shift.by_start.query("a")] == STARTS
    assert [shift.start for shift in Shift.by_start.query("a", {"start": {"$gt": time(6)}})] == STARTS[1:]
    for day, start, lasts in zip(DAYS[2:], STARTS[2:], LENGTHS[2:], strict=True):
        Shift.create(team="b", day=day, start=time(1), lasts=lasts)
        assert [shift.lasts for shift in Shift.by_length.query(start)] == [lasts]
    Shift.create(team="c", day=DAYS[0], start=time(1), lasts=LENGTHS[0])
    assert [shift.lasts for shift in Shift.by_length.query(time(1))] == [LENGTHS[0], *LENGTHS[2:]]
    assert [shift.team for shift in Shift.by_day.query(DAYS[0], {"lasts": {"$lt": timedelta(0)}})] == [
        "a",
        "c",
    ]
    with run_with_batch_context():
        assert Shift.find(("a", DAYS[0])).lasts == LENGTHS[0]
        assert Shift.find({"team": "a", "day": DAYS[1]}).start == STARTS[1]


FILTERS: list[tuple[Any, int]] = [
    ({"start": {"$gte": time(14, 30)}}, 2),
    ({"start": {"$begins_with": "06:"}}, 2),
    ({"lasts": {"$lt": timedelta(hours=8)}}, 2),
    ({"lasts": {"$between": [timedelta(hours=-2), timedelta(hours=9)]}}, 3),
    ({"badge": {"$exists": True}}, 0),
    (Shift.fields.lasts == timedelta(days=3), 1),
    (Shift.fields.start.is_in([time(6), time(22)]), 2),
]


@pytest.mark.parametrize(("wanted", "count"), FILTERS)
def test_filters(shifts: list[Any], wanted: Any, count: int) -> None:
    """Values are compared as they sort."""
    assert len(Shift.shifts_of_team.query("a", filter=wanted)) == count


def test_a_date_is_a_unique_value(shifts: list[Any]) -> None:
    """It is found by itself."""
    Shift.update(("a", DAYS[0]), badge=date(2000, 1, 1))
    found = Shift.unique_badge.find(date(2000, 1, 1))
    assert found is not None and found.day == DAYS[0]


@pytest.mark.parametrize("innermost", ["x", {"x", "y"}, {1, "x"}], ids=["text", "set", "list of a mixed set"])
def test_the_deepest_document_is_stored_and_a_deeper_one_is_refused(manager: Manager, innermost: Any) -> None:
    """The limit of the library is that of DynamoDB, so that no reply of it has to tell."""
    is_list = isinstance(innermost, set) and 1 in innermost
    deep = innermost
    for depth in range(30 if is_list else 31):
        Thing.create(thing_id=str(depth), v=Point(1), anything={"a": deep})
        deep = {"a": deep}
    with pytest.raises(ValidationError, match="nested deeper than DynamoDB's 32 levels"):
        Thing.create(thing_id="deeper", v=Point(1), anything={"a": deep})
