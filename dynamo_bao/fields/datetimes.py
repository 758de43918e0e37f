"""Moments, which are aware UTC datetimes and stored as numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, Final

from dynamo_bao._call_site import warn_once
from dynamo_bao.dynamodb.numbers import integer_key, parse_integer, parse_integer_key
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import NaiveDatetimeWarning, ValidationError
from dynamo_bao.fields.base import Field

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_BEFORE_1970 = "is before 1970, which key_format='dynamo-bao' cannot keep in order; use 'native'"
_LOOKS_LIKE_SECONDS = 100_000_000_000
_DATE_LENGTH = len("2025-01-31")
NAIVE_WAYS: Final = ("warn", "raise", "allow")
_warned: set[tuple[str, int]] = set()


def utc_now() -> datetime:
    """Now, in UTC, to the millisecond that is stored."""
    now = datetime.now(timezone.utc)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class MomentField(Field):
    """What fields of datetimes have in common: in which forms they take one, and what one without a zone means.

    Attributes:
        naive: what happens with one without a zone, which is taken for UTC: ``"warn"`` (once for each line of the
            program), ``"raise"`` or ``"allow"``.
    """

    python_types = (datetime,)
    naive = "warn"

    def _aware(self, value: Any) -> datetime:
        """A value as a datetime in UTC."""
        moment = self._moment(value)
        try:
            if moment.tzinfo is not None and moment.utcoffset() is not None:
                return moment.astimezone(timezone.utc)
            if not (isinstance(value, str) and len(value) == _DATE_LENGTH):  # a date alone is one in UTC
                self._take_naive(value)
            return moment.replace(tzinfo=timezone.utc)
        except OverflowError:
            raise self.error("is outside the years 1 to 9999 in UTC", value) from None

    def _take_naive(self, value: Any) -> None:
        if self.naive == "raise":
            raise self.error(
                "has no time zone; give one, as in datetime.now(timezone.utc), or set naive_datetimes='warn'",
                value,
            )
        if self.naive == "warn":
            place = f"{self.model}.{self.name}".lstrip(".") or "a datetime"
            warn_once(
                f"{place}: a datetime without a time zone is taken for UTC at {{place}}. Give it its zone, as in "
                f"datetime.now(timezone.utc), or set naive_datetimes to 'allow' or 'raise'.",
                NaiveDatetimeWarning,
                _warned,
            )

    def _moment(self, value: Any) -> datetime:
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


def set_naive_datetimes(fields: Iterable[Field], how: str) -> None:
    """Sets what happens with datetimes without a zone in some fields and in everything inside them.

    Args:
        how: one of `NAIVE_WAYS`.
    """
    left, seen = list(fields), set[int]()
    while left:
        field = left.pop()
        if id(field) in seen:
            continue
        seen.add(id(field))
        left.extend(field.parts())
        if isinstance(field, MomentField):
            field.naive = how


class DateTimeField(MomentField):
    """An aware `datetime` in UTC, kept to the millisecond (finer parts are cut off).

    Accepts a datetime (naive ones are taken as UTC, with a warning), an ISO 8601 text, or milliseconds since 1970.
    """

    unit = _MILLISECOND
    code = "N"
    decode_expr = "_EPOCH + _timedelta(milliseconds=_int({N}))"
    encode_expr = '{{"N": str(({v} - _EPOCH) // _MILLISECOND)}}'
    max_length_expr = "64"

    def valid_expr(self) -> str | None:
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
    """The moment the instance was made; set by the constructor."""

    def default_value(self) -> Any:
        return utc_now()


class ModifiedDateField(CreateDateField):
    """The moment of the last save; renewed by every save that does not give one."""

    auto_update = True

    def next_value(self) -> datetime:
        return utc_now()


class TtlField(DateTimeField):
    """When DynamoDB may delete the item, kept to the second; must be named ``ttl``. None means never.

    Accepts a timedelta too, which counts from now; as the default it counts from when the instance is made.
    """

    unit = _SECOND

    @property
    def whole_in_key(self) -> bool:  # type: ignore[override]
        return not self.javascript_safe  # the shared format divides the seconds

    decode_expr = "_EPOCH + _timedelta(seconds=_int({N}))"
    encode_expr = '{{"N": str(({v} - _EPOCH) // _SECOND)}}'
    max_length_expr = "64"

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> TtlField:
        twin = super().bind(name, model, attribute, nullable=True)
        if attribute != "ttl":
            raise twin.declaration_error(
                "a TtlField must be named ttl, the attribute that the table's TTL setting watches."
            )
        if isinstance(twin.default, timedelta):
            twin.default = partial(twin.normalise, twin.default)
        return twin

    def _moment(self, value: Any) -> datetime:
        if not isinstance(value, timedelta):
            return super()._moment(value)
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


class MomentTextField(MomentField):
    """An aware `datetime` in UTC inside a document, kept to the microsecond as an ISO 8601 text."""

    can_be_key = False
    code = "S"

    def normalise(self, value: Any) -> datetime:
        return self._aware(value)

    def to_dynamo(self, value: datetime) -> AttributeValue | None:
        return {"S": value.astimezone(timezone.utc).isoformat()}

    def from_dynamo(self, stored: AttributeValue) -> datetime:
        moment = datetime.fromisoformat(stored["S"])
        return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
