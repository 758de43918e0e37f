"""W8 on engines: what is stored is loaded, equal and of the same type."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date as Date, datetime, time as Time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from dynamo_bao import (
    CounterField,
    FloatField,
    JsonField,
    ListField,
    Manager,
    MapField,
    Model,
    NestedField,
    NumberSetField,
    PrimaryKey,
    SetField,
    StringSetField,
    TtlField,
    UlidField,
    ValidationError,
    init_models,
    run_with_batch_context,
)
from tests.support.examples import many
from tests.support.values import FIELDS, VALUES, Box, Colour, Level, Line, types_of

Float = float
List = list


class Everything(Model, prefix="ev"):
    """A field of every kind, under the names of `VALUES`."""

    everything_id: str = UlidField(auto_assign=True)
    string: str | None = None
    integer: int | None = None
    counter: int = CounterField()
    float: Any = FloatField(default=None)
    rounded: Any = FloatField(precision=2, default=None)
    decimal: Decimal | None = None
    boolean: bool | None = None
    binary: bytes | None = None
    moment: datetime | None = None
    ttl: datetime | None = TtlField(default=None)
    uuid: UUID | None = None
    colour: Colour | None = None
    level: Level | None = None
    texts: set[str] = StringSetField()
    numbers: Any = NumberSetField()
    map: dict[str, Any] | None = None
    list: Any = ListField(default=None)
    json: Any = JsonField(default=None)
    nested: Box | None = NestedField(Box, default=None)
    date: Date | None = None
    time: Time | None = None
    duration: timedelta | None = None
    exact: Any = MapField(numbers="decimal", default=None)
    prices: dict[str, Decimal] | None = None
    counts: List[int | None] | None = None
    words: List[str] | None = None
    boxes: List[Box] | None = None
    pairs: List[tuple[str, Float]] | None = None
    blobs: set[bytes] = SetField()
    days: frozenset[Date] = SetField()
    amounts: set[Decimal] = NumberSetField()
    flags: set[bool] = SetField()
    points: set[tuple[int, int]] = SetField()
    line: Line | None = None

    primary_key = PrimaryKey("everything_id")


@pytest.fixture
def connected(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=[Everything], table_name=ready_table, **connection) as manager:
        yield manager


def acceptable(given_values: dict[str, Any]) -> dict[str, Any]:
    """The values that their fields accept."""
    taken = {}
    for name, value in given_values.items():
        try:
            FIELDS[name].accept(value)
        except ValidationError:
            continue
        taken[name] = value
    return taken


counted: dict[str, int] = {}


@pytest.mark.needs("empty_strings")
@pytest.mark.promise("W8")
def test_store_and_load(connected: Manager, request: pytest.FixtureRequest) -> None:
    """Items of any accepted values are committed in one session and found in another, value for value."""
    engine = request.node.callspec.params["engine"]
    counted[engine] = 0

    @many(40)
    @given(st.lists(st.fixed_dictionaries({}, optional=VALUES), min_size=1, max_size=8))
    def run(items: list[dict[str, Any]]) -> None:
        made = [Everything(**acceptable(values)) for values in items]
        with run_with_batch_context() as session:
            session.add(*made)
            session.commit()
        with run_with_batch_context():
            found = Everything.batch_find([one.everything_id for one in made])
            for one in made:
                before, after = one.to_dict(), found[one.everything_id].to_dict()
                assert after == before
                assert types_of(after) == types_of(before)
                counted[engine] += len(before)

    run()
    print(f"\nW8 {engine}: {counted[engine]:,} values stored and loaded, 0 differences")
