"""Moments: aware UTC datetimes, stored as numbers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from dynamo_bao.fields.base import Field
from dynamo_bao.numbers import integer_key, parse_integer, parse_integer_key
from dynamo_bao.wire import AttributeValue

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_BEFORE_1970 = "is before 1970, which key_format='dynamo-bao' cannot keep in order; use 'native'"
_PLAUSIBLE_TTL = 100_000_000_000


def utc_now() -> datetime:
    """Now, in UTC, to the millisecond that is stored."""
    now = datetime.now(timezone.utc)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class DateTimeField(Field):
    """An aware `datetime` in UTC, kept to the millisecond (finer parts are cut off).

    Accepts a datetime (naive ones are taken as UTC), an ISO 8601 text, or milliseconds since 1970.
    """

    python_types = (datetime,)
    unit = _MILLISECOND
    decode_source = "_EPOCH + _timedelta(milliseconds=_int({N}))"
    encode_source = '{{"N": str(({v} - _EPOCH) // _MILLISECOND)}}'
    length_source = "64"

    def fine_source(self) -> str | None:
        finest = self.unit.microseconds or 1_000_000
        return f"type({{v}}) is _datetime and {{v}}.tzinfo is _utc and not {{v}}.microsecond % {finest}"

    def normalise(self, value: Any) -> datetime:
        moment = self._moment(value)
        try:
            moment = moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        except OverflowError:
            raise self.error("is outside the years 1 to 9999 in UTC", value) from None
        return EPOCH + (moment - EPOCH) // self.unit * self.unit

    def _moment(self, value: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if isinstance(value, str):
                return datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith(("Z", "z")) else value)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return EPOCH + timedelta(milliseconds=value)
        except (ValueError, OverflowError):
            raise self.error(
                "is not an ISO 8601 text or milliseconds within the years 1 to 9999", value
            ) from None
        self.refuse_type(value, "a datetime, an ISO 8601 text or milliseconds since 1970")

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

    def initial(self) -> Any:
        return utc_now()


class ModifiedDateField(CreateDateField):
    """The moment of the last save; renewed by every save that does not give one."""

    renews = True

    def renewed(self) -> datetime:
        return utc_now()


class TtlField(DateTimeField):
    """When DynamoDB may delete the item, kept to the second; must be named ``ttl``. None means never."""

    unit = _SECOND

    @property
    def whole_in_key(self) -> bool:  # type: ignore[override]
        return not self.shared  # the shared format divides the seconds

    decode_source = "_EPOCH + _timedelta(seconds=_int({N}))"
    encode_source = '{{"N": str(({v} - _EPOCH) // _SECOND)}}'
    length_source = "64"

    def bound(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> TtlField:
        twin = super().bound(name, model, attribute, nullable=True)
        if attribute != "ttl":
            raise twin.misdeclared(
                "a TtlField must be named ttl, the attribute that the table's TTL setting watches."
            )
        return twin

    def _moment(self, value: Any) -> datetime:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < _PLAUSIBLE_TTL:
            raise self.error("looks like seconds; give a datetime or milliseconds since 1970", value)
        return super()._moment(value)

    def to_javascript_key(self, value: datetime) -> str:
        if value < EPOCH:
            raise self.error(_BEFORE_1970, value)
        # The shared format divides the stored seconds by 1000 once more.
        text = integer_key((value - EPOCH) // _SECOND // 1000)
        assert text is not None
        return text

    def from_javascript_key(self, text: str) -> datetime:
        return EPOCH + parse_integer_key(text) * 1000 * _SECOND
