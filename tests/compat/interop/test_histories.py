"""Random histories, carried out by each side on its own table, leave the same items and the same refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import given, strategies as st

from tests.compat.interop.javascript import JavaScript
from tests.compat.interop.python import Python
from tests.compat.interop.raw import differences, items_of
from tests.compat.interop.scenarios import (
    EPOCH,
    NOW,
    create,
    delete,
    increment,
    member,
    members,
    save,
    ulid,
    update,
)
from tests.compat.interop.sides import Command, Refused, Values
from tests.support.examples import many

SAFE = 2**53 - 1

# Left out is what JavaScript is known to do otherwise, which test_differences has: empty texts, None for numbers with
# a default, None for half of an index, a unique 0, the first moment of 1970, and changes of the later one of two
# indexes that share a field.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
whole = st.integers(-SAFE, SAFE)
fractions = st.one_of(
    st.floats(-1e120, 1e120, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-120),
    st.floats(-1000, 1000, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-120),
    st.integers(-(10**6), 10**6).map(lambda n: n / 1000),
)


def moments_from(first: datetime) -> st.SearchStrategy[datetime]:
    """Moments of whole milliseconds."""
    seconds = int((datetime(9999, 12, 30, tzinfo=timezone.utc) - first).total_seconds())
    return st.integers(1, seconds * 1000).map(lambda count: first + timedelta(milliseconds=count))


moments = moments_from(datetime(1, 1, 2, tzinfo=timezone.utc)).filter(lambda moment: moment != EPOCH)
later_moments = moments_from(EPOCH)
flags = st.sets(st.sampled_from(["a", "b", "c", "ä", "日本", "🚤", "#"]), max_size=5)
boat_values: dict[str, st.SearchStrategy[Any]] = {
    "ownerId": st.none() | texts,
    "name": st.none() | texts,
    "crew": st.none() | whole,
    "berths": whole,
    "weight": st.none() | fractions,
    "length": st.none() | fractions,
    "fast": st.none() | st.booleans(),
    "racing": st.booleans(),
    "photo": st.none() | st.binary(min_size=1, max_size=40),
    "flags": flags,
    "miles": whole,
    "repairs": whole,
    "launchedAt": moments,
    "ttl": st.none() | later_moments,
}
member_values: dict[str, st.SearchStrategy[Any]] = {
    "email": st.sampled_from([f"{name}@example.com" for name in "abcd"]),
    "badge": st.none() | st.integers(1, 4),
    "role": st.sampled_from(["sailor", "cook"]),
    "status": texts,
    "teamId": st.sampled_from([ulid("TEAM"), ulid("CREW")]),
    "name": texts,
    "trips": st.integers(0, 50),
}
boat_ids = st.sampled_from(["sea-1", "日本 #1 " + "x" * 200])
people = st.sampled_from([ulid(name) for name in ("ANN", "BEN", "CAT")])
amounts = st.integers(-1000, 1000)


def some(values: dict[str, st.SearchStrategy[Any]], *, at_least: int) -> st.SearchStrategy[Values]:
    """Values of some of these fields."""
    subset = st.fixed_dictionaries({}, optional=values)
    return subset.filter(lambda chosen: len(chosen) >= at_least)


def new_boat(id: str, values: Values) -> Command:
    return create("Boat", boatId=id, hullUlid=ulid("HV11"), registeredAt=NOW, **values)


def new_member(id: str, name: str, joined: datetime, values: Values) -> Command:
    chosen = {key: value for key, value in values.items() if key not in ("name", "email")}
    return member(id, name, joinedAt=joined, **chosen)


new_boats = st.builds(new_boat, boat_ids, some(boat_values, at_least=0))
new_members = st.builds(
    new_member, people, st.sampled_from(["a", "b", "c"]), later_moments, some(member_values, at_least=0)
)
changes = st.one_of(
    st.builds(lambda id, values: update("Boat", id, **values), boat_ids, some(boat_values, at_least=1)),
    st.builds(lambda id, values: save("Boat", id, **values), boat_ids, some(boat_values, at_least=1)),
    st.builds(lambda id, add, remove: members(id, add=add, remove=remove), boat_ids, flags, flags),
    st.builds(lambda id, a, b: increment("Boat", id, miles=a, repairs=b), boat_ids, amounts, amounts),
    st.builds(lambda id, values: update("Member", id, **values), people, some(member_values, at_least=1)),
    st.builds(lambda id, values: save("Member", id, **values), people, some(member_values, at_least=1)),
    st.builds(lambda id, n: increment("Member", id, trips=n), people, amounts),
)
deletions = st.builds(delete, st.just("Boat"), boat_ids) | st.builds(delete, st.just("Member"), people)
histories = st.builds(
    lambda *parts: [*parts[:-1], *parts[-1]],
    new_boats,
    new_boats,
    new_members,
    new_members,
    st.lists(changes | changes | new_boats | new_members | deletions, min_size=3, max_size=15),
)


def empty(client: Any, table: str) -> None:
    for pk, sk in items_of(client, table):
        client.delete_item(TableName=table, Key={"_pk": {"S": pk}, "_sk": {"S": sk}})


def test_random_histories_leave_the_same_items(
    new_table: Callable[[], str], python: Python, javascript: JavaScript, client: Any
) -> None:
    """Whatever is created, changed, counted and deleted in whatever order, refused by one is refused by both."""
    tables = {"JavaScript": new_table(), "Python": new_table()}
    javascript.open(tables["JavaScript"])
    for side in (javascript, python):
        side.stop_clock(NOW)

    seen: Counter[str] = Counter()

    @many(15)
    @given(histories)
    def check(history: list[Command]) -> None:
        refused, left = {}, {}
        for side in (javascript, python):
            outcomes = side.many(history, width=1)
            refused[side.name] = [isinstance(outcome, Refused) for outcome in outcomes]
            left[side.name] = items_of(client, tables[side.name], blind=("version",))
            empty(client, tables[side.name])
        seen.update(histories=1, commands=len(history), refused=sum(refused["Python"]))
        seen.update(items=len(left["Python"]))
        assert refused["Python"] == refused["JavaScript"], outcomes
        assert differences(left["Python"], left["JavaScript"]) == []

    check()
    print(", ".join(f"{name}: {number:,}" for name, number in seen.items()))
