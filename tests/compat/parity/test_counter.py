"""counter.test.js: counters change by atomic additions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from dynamo_bao import (
    CounterField,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    ValidationError,
    run_with_batch_context,
)
from tests.support.patience import PATIENCE
from tests.support.wire import Wire


class Meter(Model, prefix="cnt", name="CntMeter"):
    meter_id: str = UlidField(auto_assign=True)
    name: str = StringField(default="meter")
    hits: int = CounterField()
    misses: int = CounterField(default=10)

    primary_key = PrimaryKey("meter_id")


MODELS = [Meter]


@pytest.fixture
def meter(manager: Manager) -> Meter:
    return Meter.create()


def test_01_defaults(meter: Meter) -> None:
    """The defaults are stored."""
    assert (meter.hits, meter.misses) == (0, 10)
    found = Meter.find(meter.meter_id)
    assert (found.hits, found.misses) == (0, 10)


def test_02_increment(meter: Meter, wire: Wire) -> None:
    """increment adds without loading the item."""
    assert Meter.increment(meter.meter_id, hits=1).hits == 1
    assert wire.operations == ["UpdateItem"]
    assert Meter.increment(meter.meter_id, hits=2).hits == 3
    assert Meter.find(meter.meter_id).hits == 3


def test_03_decrement(meter: Meter, wire: Wire) -> None:
    """A smaller value is a negative addition (right, not as JavaScript: defect 19)."""
    meter.misses -= 5
    meter.save()
    assert meter.misses == 5
    assert "ADD" in wire.sent[-1][1]["UpdateExpression"]
    assert Meter.find(meter.meter_id).misses == 5


def test_04_two_counters(meter: Meter, wire: Wire) -> None:
    """Two counters change in one request."""
    meter.hits += 3
    meter.misses -= 2
    meter.save()
    assert wire.operations == ["UpdateItem"]
    found = Meter.find(meter.meter_id)
    assert (found.hits, found.misses) == (3, 8)


def test_05_absolute_value(meter: Meter) -> None:
    """A class-level update sets a counter to a value."""
    meter.hits += 7
    meter.save()
    assert Meter.update(meter.meter_id, hits=42).hits == 42
    assert Meter.find(meter.meter_id).hits == 42


def test_06_with_another_field(meter: Meter, wire: Wire) -> None:
    """A counter and another field change in one request."""
    meter.hits += 1
    meter.name = "renamed"
    meter.save()
    assert wire.operations == ["UpdateItem"]
    found = Meter.find(meter.meter_id)
    assert (found.hits, found.name) == (1, "renamed")


def test_07_one_context_after_another(meter: Meter) -> None:
    """Additions of separate contexts add up."""
    for step in (5, 3):
        with run_with_batch_context():
            found = Meter.find(meter.meter_id)
            found.hits += step
            found.save()
    assert Meter.find(meter.meter_id).hits == 8


def test_08_five_at_once(meter: Meter) -> None:
    """Five threads that all read the same value and add one give five (right, not as JavaScript: defect 19)."""
    all_read = Barrier(5, timeout=PATIENCE)

    def add(_: int) -> None:
        with run_with_batch_context():
            found = Meter.find(meter.meter_id)
            assert found.hits == 0
            all_read.wait()
            found.hits += 1
            found.save()

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(add, range(5)))
    assert Meter.find(meter.meter_id).hits == 5


def test_09_whole_numbers_only(meter: Meter) -> None:
    """A fraction is refused."""
    with pytest.raises(ValidationError, match="hits"):
        Meter.update(meter.meter_id, hits=3.14)
    with pytest.raises(ValidationError, match="hits"):
        Meter.create(hits=3.14)
    meter.hits = 3.14  # type: ignore[assignment]
    with pytest.raises(ValidationError, match="hits"):
        meter.save()
    assert Meter.find(meter.meter_id).hits == 0
