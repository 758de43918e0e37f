"""Fields for aware UTC datetimes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, Final

from dynamo_bao.dynamodb.numbers import integer_key, parse_integer, parse_integer_key
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import NaiveDatetimeWarning, ValidationError
from dynamo_bao.fields.base import Field
from dynamo_bao.runtime.call_site import warn_once

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_BEFORE_1970 = "is before 1970, which key_format='dynamo-bao' cannot keep in order; use 'native'"
_LOOKS_LIKE_SECONDS = 100_000_000_000
_DATE_LENGTH = len("2025-01-31")
NAIVE_WAYS: Final = ("warn", "raise", "allow")
_warned: set[tuple[str, int]] = set()


def utc_now() -> datetime:
    """The current time in UTC, truncated to milliseconds as it is stored."""
    now = datetime.now(timezone.utc)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class BaseDateTimeField(Field):
    """Base of datetime fields. It accepts several forms and treats naive datetimes as UTC.

    Attributes:
        naive: the reaction to a datetime without a time zone: ``"warn"`` (once per line of the program), ``"raise"``
            or ``"allow"``.
    """

    python_types: tuple[type, ...] = (datetime,)
    naive = "warn"

    def _aware(self, value: Any) -> datetime:
        """A value as a datetime in UTC."""
        moment = self._parse(value)
        try:
            if moment.tzinfo is not None and moment.utcoffset() is not None:
                return moment.astimezone(timezone.utc)
            if not (isinstance(value, str) and len(value) == _DATE_LENGTH):  # a date without a time is in UTC
                self._check_naive(value)
            return moment.replace(tzinfo=timezone.utc)
        except OverflowError:
            raise self.error("is outside the years 1 to 9999 in UTC", value) from None

    def _check_naive(self, value: Any) -> None:
        if self.naive == "raise":
            raise self.error(
                "has no time zone; give one, as in datetime.now(timezone.utc), or set naive_datetimes='warn'",
                value,
            )
        if self.naive == "warn":
            field_name = f"{self.model}.{self.name}".lstrip(".") or "a datetime"
            warn_once(
                f"{field_name}: a datetime without a time zone is taken for UTC at {{place}}. Give it a time zone, as "
                f"in datetime.now(timezone.utc), or set naive_datetimes to 'allow' or 'raise'.",
                NaiveDatetimeWarning,
                _warned,
            )

    def _parse(self, value: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if isinstance(value, str):
                return datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith(("Z", "z")) else value)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                if 0 < value < _LOOKS_LIKE_SECONDS:
                    raise self.error("looks like seconds; give a datetime or milliseconds since 1970", value)
                return EPOCH + timedelta(milliseconds=value)
        except OverflowError:
            raise self._unreadable(value) from None
        except ValueError as error:
            raise error if isinstance(error, ValidationError) else self._unreadable(value) from None
        self.refuse_class(value, "a datetime, an ISO 8601 text or milliseconds since 1970")

    def _unreadable(self, value: Any) -> ValidationError:
        return self.error("is not an ISO 8601 text or milliseconds within the years 1 to 9999", value)


def set_naive_datetimes(fields: Iterable[Field], reaction: str) -> None:
    """Sets the reaction to naive datetimes for some fields and for all fields inside them.

    Args:
        reaction: one of `NAIVE_WAYS`.
    """
    pending, visited = list(fields), set[int]()
    while pending:
        field = pending.pop()
        if id(field) in visited:
            continue
        visited.add(id(field))
        pending.extend(field.parts())
        if isinstance(field, BaseDateTimeField):
            field.naive = reaction


class DateTimeField(BaseDateTimeField):
    """An aware `datetime` in UTC, truncated to milliseconds.

    Accepts a datetime, an ISO 8601 string, or milliseconds since 1970. A naive datetime is treated as UTC, with a
    warning.

    Example:
        >>> shipped_at: datetime | None = DateTimeField(default=None)
    """

    unit = _MILLISECOND
    code: str | None = "N"
    decode_expr: str | None = "_EPOCH + _timedelta(milliseconds=_int({N}))"
    encode_expr: str | None = '{{"N": str(({v} - _EPOCH) // _MILLISECOND)}}'
    max_length_expr: str | None = "64"

    def normalized_expr(self) -> str | None:
        finest = self.unit.microseconds or 1_000_000
        return f"type({{v}}) is _datetime and {{v}}.tzinfo is _utc and not {{v}}.microsecond % {finest}"

    def normalise(self, value: Any) -> datetime:
        return EPOCH + (self._aware(value) - EPOCH) // self.unit * self.unit

    def to_dynamo(self, value: datetime) -> AttributeValue | None:
        return {"N": str((value - EPOCH) // self.unit)}

    def from_dynamo(self, stored: AttributeValue) -> datetime:
        return EPOCH + parse_integer(stored["N"]) * self.unit

    def to_key(self, value: datetime) -> str:
        text = integer_key((value - EPOCH) // self.unit)
        assert text is not None  # a datetime has at most 15 digits of milliseconds
        return text

    def from_key(self, text: str) -> datetime:
        return EPOCH + parse_integer_key(text) * self.unit

    def to_javascript_key(self, value: datetime) -> str:
        if value < EPOCH:
            raise self.error(_BEFORE_1970, value)
        return "0" if value == EPOCH else self.to_key(value)

    def from_javascript_key(self, text: str) -> datetime:
        return EPOCH if text == "0" else self.from_key(text)


class CreateDateField(DateTimeField):
    """The time at which the instance was created. The constructor sets it.

    Example:
        >>> created_at: datetime = CreateDateField()
    """

    fills_itself = True

    def default_value(self) -> Any:
        return utc_now()


class ModifiedDateField(CreateDateField):
    """The time of the last save. Every save that does not set the field renews it.

    Example:
        >>> changed_at: datetime = ModifiedDateField()
    """

    auto_update = True

    def next_value(self) -> datetime:
        return utc_now()


class TtlField(DateTimeField):
    """The time after which DynamoDB may delete the item, in seconds. The field must be named ``ttl``. None means never.

    Also accepts a timedelta from now. A timedelta as the default counts from the creation of the instance.

    Example:
        >>> ttl: datetime | None = TtlField(default=timedelta(days=30))
    """

    unit = _SECOND

    @property
    def whole_in_key(self) -> bool:  # type: ignore[override]
        return not self.javascript_safe  # the shared format divides the seconds

    decode_expr: str | None = "_EPOCH + _timedelta(seconds=_int({N}))"
    encode_expr: str | None = '{{"N": str(({v} - _EPOCH) // _SECOND)}}'
    max_length_expr: str | None = "64"

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> TtlField:
        twin = super().bind(name, model, attribute, nullable=True)
        if attribute != "ttl":
            raise twin.declaration_error(
                "a TtlField must be named ttl, the attribute that the table's TTL setting watches."
            )
        if isinstance(twin.default, timedelta):
            twin.default = partial(twin.normalise, twin.default)
        return twin

    def _parse(self, value: Any) -> datetime:
        if not isinstance(value, timedelta):
            return super()._parse(value)
        try:
            return datetime.now(timezone.utc) + value
        except OverflowError:
            raise self.error("is outside the years 1 to 9999 in UTC", value) from None

    def to_javascript_key(self, value: datetime) -> str:
        if value < EPOCH:
            raise self.error(_BEFORE_1970, value)
        # The shared format divides the stored seconds by 1000 once more.
        text = integer_key((value - EPOCH) // _SECOND // 1000)
        assert text is not None
        return text

    def from_javascript_key(self, text: str) -> datetime:
        return EPOCH + parse_integer_key(text) * 1000 * _SECOND


class MomentTextField(BaseDateTimeField):
    """An aware `datetime` in UTC inside a document, stored as an ISO 8601 string with microseconds."""

    can_be_key = False
    code: str | None = "S"

    def normalise(self, value: Any) -> datetime:
        return self._aware(value)

    def to_dynamo(self, value: datetime) -> AttributeValue | None:
        return {"S": value.astimezone(timezone.utc).isoformat()}

    def from_dynamo(self, stored: AttributeValue) -> datetime:
        moment = datetime.fromisoformat(stored["S"])
        return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
