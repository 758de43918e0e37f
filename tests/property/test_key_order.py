"""Key texts sort as the values do, byte by byte, and give the values back exactly."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings, strategies as st

from dynamo_bao import (
    BooleanField,
    CounterField,
    DateField,
    DateTimeField,
    DecimalField,
    DurationField,
    FloatField,
    IntegerField,
    TimeField,
    TtlField,
)
from dynamo_bao.fields.base import Field

pytestmark = pytest.mark.filterwarnings("ignore::dynamo_bao.NaiveDatetimeWarning")
QUICK = settings(max_examples=200, deadline=None)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def bound(field: Any, name: str = "f") -> Field:
    declared: Field = field
    return declared.bind(name, "M", name)


INTEGER, COUNTER, FLOAT = bound(IntegerField()), bound(CounterField()), bound(FloatField())
DECIMAL, BOOLEAN = bound(DecimalField()), bound(BooleanField())
DATE, TIME, DURATION = bound(DateField()), bound(TimeField()), bound(DurationField())
SMALL = timedelta(seconds=2)
MOMENT, TTL = bound(DateTimeField()), bound(TtlField(), "ttl")


def near(values: Any, step: Any) -> Any:
    """Pairs of independent values, and of values that lie close together."""
    return st.one_of(st.tuples(values, values), st.tuples(values, step).map(lambda p: (p[0], p[0] + p[1])))


def storable(value: Decimal) -> bool:
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")
    return len(digits) <= 38 and (not value or -130 <= value.adjusted() <= 125)


INTEGERS = near(st.integers(-(10**20) + 20, 10**20 - 20), st.integers(-12, 12))
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-9e125, max_value=9e125),
    st.floats(-10, 10),
    st.integers(-1000, 1000).map(float),
).filter(lambda x: x == 0 or abs(x) >= 1e-130)
DECIMALS = st.one_of(
    st.tuples(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(-130, 87)).map(
        lambda p: Decimal(p[0]).scaleb(p[1])
    ),
    st.integers(-999, 999).map(lambda n: Decimal(n) / 100),
    st.tuples(st.sampled_from([1, -1, 10, 99, 109, -101]), st.integers(-130, 120)).map(
        lambda p: Decimal(p[0]).scaleb(p[1])
    ),
).filter(storable)
MOMENTS = st.datetimes().map(MOMENT.accept)
MILLISECONDS = st.integers(-2000, 2000).map(lambda n: timedelta(milliseconds=n))


def check(field: Field, one: Any, other: Any) -> None:
    """The order of the texts' bytes is the order of the values, and each text gives its value back."""
    first, second = field.to_key(one), field.to_key(other)
    assert (first.encode() < second.encode()) == (one < other)
    assert (first == second) == (one == other)
    for value, text in ((one, first), (other, second)):
        back = field.from_key(text)
        assert back == value
        assert type(back) is type(value)


@QUICK
@given(INTEGERS)
def test_integers(pair: tuple[int, int]) -> None:
    """Whole numbers of up to 20 digits, counters too, sort as numbers, negatives included."""
    check(INTEGER, *pair)
    check(COUNTER, *pair)


@QUICK
@given(st.tuples(FLOATS, FLOATS))
def test_floats(pair: tuple[float, float]) -> None:
    """Every float that can be stored has a text of its own, in order and exact."""
    check(FLOAT, *pair)


@QUICK
@given(FLOATS)
def test_neighbouring_floats(value: float) -> None:
    """Even the next float sorts after the one before it."""
    following = math.nextafter(value, math.inf)
    assume(following == 0 or abs(following) >= 1e-130)
    check(FLOAT, value, following)


@QUICK
@given(st.tuples(DECIMALS, DECIMALS))
def test_decimals(pair: tuple[Decimal, Decimal]) -> None:
    """All numbers of 38 digits from 1E-130 to 9.99E+125."""
    check(DECIMAL, *pair)


@QUICK
@given(DECIMALS, st.integers(0, 40))
def test_a_decimal_s_key_is_that_of_the_number_however_it_is_written(value: Decimal, zeros: int) -> None:
    """Trailing zeros and exponents make no difference."""
    sign, digits, exponent = value.as_tuple()
    written = Decimal((sign, (*digits, *(0,) * zeros), int(exponent) - zeros))
    assert written == value
    assert DECIMAL.to_key(written) == DECIMAL.to_key(value)


@QUICK
@given(
    near(
        MOMENTS.filter(lambda m: datetime(2, 1, 1) < m.replace(tzinfo=None) < datetime(9998, 1, 1)),
        MILLISECONDS,
    )
)
def test_datetimes(pair: tuple[datetime, datetime]) -> None:
    """Moments of all years sort as they follow each other, before 1970 too."""
    check(MOMENT, *pair)


@pytest.mark.parametrize(
    "moment", [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999000), datetime(1970, 1, 1)]
)
def test_the_first_and_last_moment(moment: datetime) -> None:
    """Years 1 and 9999 and the epoch have keys that give them back."""
    accepted = MOMENT.accept(moment)
    check(MOMENT, accepted, accepted)


@QUICK
@given(st.datetimes(min_value=datetime(1, 1, 1)), st.datetimes())
def test_ttls(one: datetime, other: datetime) -> None:
    """TTLs sort by their seconds."""
    check(TTL, TTL.accept(one), TTL.accept(other))


@QUICK
@given(near(st.dates(max_value=date(9999, 12, 1)), st.integers(0, 3).map(timedelta)))
def test_dates(pair: tuple[date, date]) -> None:
    """Dates sort as the calendar goes."""
    check(DATE, *pair)


@QUICK
@given(st.times(), st.times())
def test_times(one: time, other: time) -> None:
    """Times of day sort as the day goes, whether they have microseconds or not."""
    check(TIME, one, other)
    check(TIME, one.replace(microsecond=0), one)


@QUICK
@given(near(st.timedeltas(timedelta(-(10**8)), timedelta(10**8)), st.timedeltas(-SMALL, SMALL)))
def test_durations(pair: tuple[timedelta, timedelta]) -> None:
    """Durations sort by their length, negative ones too."""
    check(DURATION, *pair)


@pytest.mark.parametrize("duration", [timedelta.min, timedelta.max, timedelta(0), timedelta(microseconds=-1)])
def test_the_least_and_the_longest_duration(duration: timedelta) -> None:
    """Whatever Python can count has a text that gives it back."""
    check(DURATION, duration, duration)


def test_booleans() -> None:
    """False sorts before True."""
    check(BOOLEAN, False, True)


@QUICK
@given(st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_integers_of_the_shared_format(one: int, other: int) -> None:
    """What the shared format accepts sorts there too, with the native text."""
    assert INTEGER.to_javascript_key(one) == INTEGER.to_key(one)
    assert (INTEGER.to_javascript_key(one) < INTEGER.to_javascript_key(other)) == (one < other)
    assert INTEGER.from_javascript_key(INTEGER.to_javascript_key(one)) == one


@QUICK
@given(st.datetimes(min_value=datetime(1970, 1, 1)), st.datetimes(min_value=datetime(1970, 1, 1)))
def test_datetimes_of_the_shared_format(one: datetime, other: datetime) -> None:
    """Dates since 1970 sort in the shared format, and are given back."""
    first, second = MOMENT.accept(one), MOMENT.accept(other)
    texts = MOMENT.to_javascript_key(first), MOMENT.to_javascript_key(second)
    assert (texts[0] < texts[1]) == (first < second)
    assert MOMENT.from_javascript_key(texts[0]) == first


@QUICK
@given(FLOATS)
def test_floats_of_the_shared_format_are_given_back(value: float) -> None:
    """The shared float text has 21 digits, enough for the same float."""
    assert FLOAT.from_javascript_key(FLOAT.to_javascript_key(value)) == value
