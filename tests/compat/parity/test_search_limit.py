"""search-limit.test.js: how many matches a search gives."""

from __future__ import annotations

import math
from typing import Any

import pytest

from dynamo_bao import Manager, Model, PrimaryKey, QueryError, StringField
from tests.support.wire import Wire


class Note(Model, prefix="sln", name="SlNote", iterable=True, iteration_buckets=1, searchable=["text"]):
    note_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("note_id")


MODELS = [Note]


def stored(texts: str) -> None:
    """Notes, one for each letter: those of an f match."""
    for number, letter in enumerate(texts):
        Note.create(note_id=f"{number}", text="fox" if letter == "f" else "hen")


def found(limit: float | None, batch_size: int = 2) -> str:
    """The ids of the matches."""
    result = Note.search_bucket(0, ["fox"], limit=limit, batch_size=batch_size)
    return "".join(note.note_id for note in result)


def queries(wire: Wire) -> int:
    return wire.operations.count("Query")


def test_01_fewer_than_the_limit(manager: Manager) -> None:
    """Fewer matches than the limit are all given."""
    stored("fff")
    assert found(10) == "012"


def test_02_nothing(manager: Manager) -> None:
    """Of nothing there is nothing."""
    assert found(10) == ""


def test_03_limit_at_a_border(manager: Manager, wire: Wire) -> None:
    """A limit that a batch reaches exactly ends the search."""
    stored("ffffff")
    wire.clear()
    assert found(4) == "0123"
    assert queries(wire) == 2


def test_04_last_batch_cut(manager: Manager) -> None:
    """The last batch is cut to the limit."""
    stored("ffffff")
    assert found(3) == "012"


def test_05_first_batch_cut(manager: Manager) -> None:
    """So is the first one where the limit is below it."""
    stored("ffffff")
    assert found(2, batch_size=5) == "01"


def test_06_limit_1(manager: Manager) -> None:
    """A limit of 1 gives one."""
    stored("fff")
    assert found(1) == "0"


def test_07_no_limit(manager: Manager) -> None:
    """Without a limit all are given."""
    stored("fffff")
    assert found(math.inf) == found(None) == "01234"


def test_08_stops(manager: Manager, wire: Wire) -> None:
    """Nothing more is asked for once the limit is reached."""
    stored("ffffffff")
    wire.clear()
    assert found(1) == "0"
    assert queries(wire) == 1


def test_09_order(manager: Manager) -> None:
    """The order is that of the bucket, however the batches fall."""
    stored("ffffff")
    assert {found(5, size) for size in (1, 2, 3, 100)} == {"01234"}


def test_10_empty_batches(manager: Manager) -> None:
    """Batches without a match do not count."""
    stored("hhhhfhhf")
    assert found(2) == "47"


@pytest.mark.parametrize("limit", [1, 100, 10**9])
def test_11_whole_numbers(manager: Manager, limit: int) -> None:
    """Whole numbers of at least 1 are limits."""
    assert found(limit) == ""


def test_12_infinity(manager: Manager) -> None:
    """So is infinity."""
    assert found(math.inf) == ""


def refused(wire: Wire, *limits: Any) -> None:
    for limit in limits:
        with pytest.raises(QueryError, match="limit"):
            found(limit)
    assert len(wire) == 0


def test_13_zero(wire: Wire) -> None:
    """0 is refused."""
    refused(wire, 0)


def test_14_negative(wire: Wire) -> None:
    """Negative numbers are refused."""
    refused(wire, -1, -math.inf)


def test_15_fractions(wire: Wire) -> None:
    """Fractions are refused."""
    refused(wire, 1.5)


def test_16_not_a_number(wire: Wire) -> None:
    """NaN is refused."""
    refused(wire, math.nan)


def test_17_other_types(wire: Wire) -> None:
    """What is no number is refused; None is no limit."""
    refused(wire, "10", [1], True)
    assert found(None) == ""
