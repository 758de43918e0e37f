"""Dates, times of day and durations, stored as strings that sort in order."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import QueryError
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.text import part_of_text
from dynamo_bao.runtime.patterns import late_pattern

_DAY_DIGITS: Final = 9
_CEILING: Final = 10**_DAY_DIGITS
_STORED_DURATION = late_pattern(r"(-?)(\d{9})T(\d\d):(\d\d):(\d\d)(?:\.(\d{6}))?")
_ISO_DURATION = late_pattern(
    r"([+-]?)P(?=\d|T\d)(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d{1,6}))?S)?)?", re.ASCII
)


class _OrderedText(Field):
    """Base of fields whose stored text is also the key text."""

    code: str | None = "S"
    max_length_expr: str | None = "32"

    def text(self, value: Any) -> str:
        """The stored text of a value."""
        return str(value.isoformat())

    def value(self, text: str) -> Any:
        """The value of a stored text."""
        raise NotImplementedError

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        return {"S": self.text(value)}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return self.value(stored["S"])

    def to_key(self, value: Any) -> str:
        return self.text(value)

    def from_key(self, text: str) -> Any:
        value = self.value(text)
        if self.text(value) != text:
            raise ValueError("not the text of a key")
        return value


class DateField(_OrderedText):
    """A `datetime.date`, stored as ``2026-01-31``; accepts that text too.

    Example:
        >>> birthday: date | None = DateField(default=None)
    """

    python_types: tuple[type, ...] = (date,)
    supports_begins_with = True
    decode_expr: str | None = "_date({S})"
    encode_expr: str | None = '{{"S": {v}.isoformat()}}'

    def fits(self, annotation: object) -> bool:
        return annotation is not datetime and super().fits(annotation)

    def normalized_expr(self) -> str | None:
        return "type({v}) is _date_type"

    def normalise(self, value: Any) -> date:
        if isinstance(value, datetime):
            raise self.error("takes a date, not a datetime; give its .date()", value)
        if isinstance(value, date):
            return value if type(value) is date else date(value.year, value.month, value.day)
        if not isinstance(value, str):
            self.refuse_class(value, "a date or its text, as 2026-01-31")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise self.error("is not the text of a date, as 2026-01-31", value) from None

    def value(self, text: str) -> date:
        return date.fromisoformat(text)

    def member(self, value: Any) -> AttributeValue:
        return part_of_text(self, value) if isinstance(value, str) else self.operand(value)


class TimeField(_OrderedText):
    """A `datetime.time` without a zone, stored as ``14:30:00`` or ``14:30:00.250000``; accepts ISO texts too.

    Example:
        >>> opens: time | None = TimeField(default=None)
    """

    python_types: tuple[type, ...] = (time,)
    supports_begins_with = True
    decode_expr: str | None = "_time({S})"
    encode_expr: str | None = '{{"S": {v}.isoformat()}}'

    def normalise(self, value: Any) -> time:
        if not isinstance(value, (time, str)):
            self.refuse_class(value, "a time of day or its text, as 14:30:00")
        try:
            moment = time.fromisoformat(value) if isinstance(value, str) else value
        except ValueError:
            raise self.error("is not the text of a time of day, as 14:30:00", value) from None
        if moment.tzinfo is not None:
            raise self.error("has a time zone, which a time of day cannot keep; use a DateTimeField", value)
        return time(moment.hour, moment.minute, moment.second, moment.microsecond)

    def value(self, text: str) -> time:
        return time.fromisoformat(text)

    def member(self, value: Any) -> AttributeValue:
        return part_of_text(self, value) if isinstance(value, str) else self.operand(value)


class DurationField(_OrderedText):
    """A `datetime.timedelta`, stored as days and time, which sorts in order: ``000000001T02:00:00``.

    Also accepts an ISO 8601 duration of days, hours, minutes and seconds: ``P1DT2H``. A negative duration is stored
    with a minus sign and the nines' complement of its days, as negative integers are in keys.

    Example:
        >>> lasts: timedelta = DurationField(default=timedelta(days=14))
    """

    python_types: tuple[type, ...] = (timedelta,)

    def normalise(self, value: Any) -> timedelta:
        if isinstance(value, timedelta):
            return timedelta(value.days, value.seconds, value.microseconds)
        if not isinstance(value, str):
            self.refuse_class(value, "a timedelta or an ISO 8601 duration, as P1DT2H30M")
        match = _ISO_DURATION.fullmatch(value)
        try:
            if match is None:
                raise OverflowError
            sign, days, hours, minutes, seconds, fraction = match.groups()
            duration = timedelta(int(days or 0), int(seconds or 0), int((fraction or "0").ljust(6, "0")))
            duration += timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
            return -duration if sign == "-" else duration
        except (OverflowError, ValueError):
            raise self.error("is not an ISO 8601 duration, as P1DT2H30M", value) from None

    def text(self, value: timedelta) -> str:
        days = value.days
        time_of_day = time(
            value.seconds // 3600, value.seconds // 60 % 60, value.seconds % 60, value.microseconds
        )
        day_text = f"{days:09d}" if days >= 0 else f"-{_CEILING - 1 + days:09d}"
        return f"{day_text}T{time_of_day.isoformat()}"

    def value(self, text: str) -> timedelta:
        match = _STORED_DURATION.fullmatch(text)
        if match is None:
            raise ValueError("is not a stored duration")
        sign, days, hours, minutes, seconds, fraction = match.groups()
        day_offset = 1 - _CEILING if sign else 0
        return timedelta(
            days=int(days) + day_offset,
            hours=int(hours),
            minutes=int(minutes),
            seconds=int(seconds),
            microseconds=int(fraction or 0),
        )

    def member(self, value: Any) -> AttributeValue:
        raise QueryError(
            f"{self.model}.{self.name}: a duration has no parts to search; compare the whole value.",
            field=self.name,
        )
