"""Datetimes without a time zone: taken for UTC with a warning, refused, or allowed, as the setting says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import attrs
import pytest

from dynamo_bao import (
    ConfigurationError,
    DateTimeField,
    Model,
    NaiveDatetimeWarning,
    PrimaryKey,
    QueryError,
    TtlField,
    ValidationError,
    init_models,
)
from dynamo_bao.fields import datetimes

NAIVE = datetime(2026, 1, 31, 12)
UTC = NAIVE.replace(tzinfo=timezone.utc)


@attrs.define
class Step:
    at: datetime
    others: list[datetime] = attrs.Factory(list)


class Event(Model, prefix="ne"):
    key: str
    at: datetime | None = DateTimeField(default=None)
    ttl: datetime | None = TtlField(default=None)
    steps: dict[str, Step] | None = None
    days: set[datetime] | None = None
    primary_key = PrimaryKey("key")


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Connects `Event` with some settings; the default setting is back afterwards."""
    monkeypatch.setattr(datetimes, "_warned", set())  # a line is warned about once in a process
    opened: list[Any] = []

    def open_manager(**options: Any) -> Any:
        opened.append(init_models(models=[Event], embedded=True, **options))
        return opened[-1]

    yield open_manager
    open_manager()
    for manager in opened:
        manager.close()


USES: dict[str, Callable[[Any], Any]] = {
    "a datetime": lambda moment: Event(key="a", at=moment).at,
    "a TTL": lambda moment: Event(key="a", ttl=moment).ttl,
    "inside a nested class": lambda moment: (Event(key="a", steps={"x": Step(moment)}).steps or {})["x"].at,
    "in a list of a nested class": lambda moment: (
        Event(key="a", steps={"x": Step(UTC, [moment])}).steps or {}
    )["x"].others[0],
    "in a set": lambda moment: next(iter(Event(key="a", days={moment}).days or ())),
    "as a text": lambda moment: Event(key="a", at=moment.isoformat()).at,  # type: ignore[arg-type]
}


@pytest.mark.parametrize("use", USES)
def test_it_is_taken_for_utc_with_a_warning_for_each_place(use: str, connect: Callable[..., Any]) -> None:
    """The warning names the line of the program, once; the value is the one in UTC."""
    connect()
    with pytest.warns(NaiveDatetimeWarning, match="without a time zone is taken for UTC") as told:
        found = [USES[use](NAIVE) for _ in range(3)]
    assert found == [UTC] * 3
    assert [warning.filename for warning in told] == [__file__]


def test_the_line_is_named(connect: Callable[..., Any]) -> None:
    """Each line of the program has its own warning, with the model and field."""
    connect()
    with pytest.warns(NaiveDatetimeWarning, match=rf"Event\.at: .* at {__file__}:\d+"):
        Event(key="a", at=NAIVE)
    with pytest.warns(NaiveDatetimeWarning, match=rf"Event\.at: .* at {__file__}:\d+"):
        Event(key="b", at=NAIVE)


REFUSED: dict[str, Callable[[], Any]] = {
    "a datetime": lambda: Event.create(key="a", at=NAIVE),
    "a TTL": lambda: Event.create(key="a", ttl=NAIVE),
    "inside a nested class": lambda: Event.create(key="a", steps={"x": Step(NAIVE)}),
    "in a list of a nested class": lambda: Event.create(key="a", steps={"x": Step(UTC, [NAIVE])}),
    "in a set": lambda: Event.create(key="a", days={NAIVE}),
    "as a text": lambda: Event.create(key="a", at=NAIVE.isoformat()),  # type: ignore[arg-type]
    "in an update": lambda: Event.update("a", at=NAIVE),
    "in an upsert": lambda: Event.upsert(key="a", at=NAIVE),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_where_the_setting_says_so(case: str, connect: Callable[..., Any]) -> None:
    """Nothing is sent; the error says what to give."""
    manager = connect(naive_datetimes="raise")
    sent: list[Any] = []
    manager.on_request(sent.append)
    with pytest.raises(ValidationError, match="has no time zone; give one"):
        REFUSED[case]()
    assert sent == []


@pytest.mark.parametrize("use", USES)
def test_it_is_allowed_where_the_setting_says_so(use: str, connect: Callable[..., Any]) -> None:
    """No warning then."""
    connect(naive_datetimes="allow")
    assert USES[use](NAIVE) == UTC


def test_a_date_alone_is_one_in_utc(connect: Callable[..., Any]) -> None:
    """ISO 8601 texts of a day mean the day in UTC, and nobody is warned."""
    connect(naive_datetimes="raise")
    assert Event(key="a", at="2026-01-31").at == datetime(2026, 1, 31, tzinfo=timezone.utc)  # type: ignore[arg-type]


def test_a_filter_is_no_way_around(connect: Callable[..., Any]) -> None:
    """Values that are compared are values."""
    connect(naive_datetimes="raise")
    with pytest.raises(QueryError, match="has no time zone"):
        Event.update("a", at=UTC, condition=Event.fields.at == NAIVE)


def test_the_setting_comes_from_a_file_or_the_environment(
    connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As every other one; another word is refused, with the place where it stands."""
    monkeypatch.setenv("DYNAMO_BAO_NAIVE_DATETIMES", "raise")
    connect()
    with pytest.raises(ValidationError):
        Event.create(key="a", at=NAIVE)
    monkeypatch.delenv("DYNAMO_BAO_NAIVE_DATETIMES")
    file = tmp_path / "dynamo_bao.toml"
    file.write_text('[db]\nnaive_datetimes = "allow"\n')
    connect(config=str(file))
    assert Event(key="a", at=NAIVE).at == UTC
    with pytest.raises(
        ConfigurationError, match=r"naive_datetimes of the call is 'no'; use one of 'warn', 'raise'"
    ):
        connect(naive_datetimes="no")


@pytest.mark.parametrize("seconds", [1, 1735775999, 1735775999.5, 99_999_999_999])
def test_a_number_that_looks_like_seconds_is_refused(seconds: float, connect: Callable[..., Any]) -> None:
    """It would be a moment of 1970; milliseconds and what lies before 1970 are understood."""
    connect()
    for field in ("at", "ttl"):
        with pytest.raises(
            ValidationError, match=f"Event.{field} looks like seconds; give a datetime or milli"
        ):
            Event.create(key="a", **{field: seconds})
    assert Event(key="a", at=1735775999000).at == datetime(2025, 1, 1, 23, 59, 59, tzinfo=timezone.utc)  # type: ignore[arg-type]
