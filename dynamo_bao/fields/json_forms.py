"""The JSON forms of values: what `to_json`, Flask, Django and pydantic write.

| value | JSON |
|---|---|
| text, boolean, None, whole number, float | as it is |
| `Decimal` | its text: ``"12.50"`` |
| `datetime` | ISO 8601 in UTC: ``"2026-01-31T12:00:00Z"`` |
| `date`, `time` | ISO 8601: ``"2026-01-31"``, ``"14:30:00"`` |
| `timedelta` | ISO 8601: ``"P1DT2H30M"`` |
| `UUID` | its text |
| member of an enumeration | its value |
| `bytes` | base64 |
| list, tuple | a list |
| set | a sorted list |
| dict, attrs class, dataclass | an object |
| model instance | an object of its fields |
| result of a query or search | a list |
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final
from uuid import UUID

from dynamo_bao.runtime.late_libraries import attrs, dataclasses

JsonForm = Any
"""A value of JSON: None, a boolean, a number, a text, a list, or a dict with texts as keys."""
_PLAIN: Final = frozenset((str, int, float, bool, type(None)))
_SORTABLE: Final = (
    frozenset((int, float, Decimal, bool)),
    *(frozenset((kind,)) for kind in (str, bytes, datetime, date, time, timedelta, UUID)),
)
"""Groups of types whose values have one order."""
_URL_SAFE: Final = str.maketrans("-_", "+/")


def json_form(value: object) -> JsonForm:
    """The JSON form of a value, at any depth.

    Raises:
        TypeError: for a value of another type than the table of this module has.

    Example:
        >>> json_form({"price": Decimal("12.50"), "tags": {"b", "a"}})
        {'price': '12.50', 'tags': ['a', 'b']}
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    form = _FORMS.get(kind) or _form_of(kind)
    return form(value)


def json_text(form: JsonForm) -> str:
    """The JSON text of a form, without spaces."""
    return json.dumps(form, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _form_of(kind: type[object]) -> Callable[[Any], JsonForm]:
    """The function that makes the forms of a class that is not in the table by itself."""
    own_form: Callable[[Any], JsonForm] | None = getattr(kind, "__bao_json_form__", None)
    if own_form is not None:
        return own_form
    for base, form in _FORMS.items():
        if issubclass(kind, base):
            return form
    if attrs.has(kind) or dataclasses.is_dataclass(kind):
        return _object
    raise TypeError(
        f"{kind.__name__} has no JSON form; a field of your own can define it: override to_json and from_json."
    )


def _object(value: Any) -> JsonForm:
    kind: Any = type(value)
    members = attrs.fields(kind) if attrs.has(kind) else dataclasses.fields(kind)
    return {member.name: json_form(getattr(value, member.name)) for member in members if member.init}


def _map(value: Mapping[Any, Any]) -> JsonForm:
    return {name: json_form(part) for name, part in value.items()}


def _list(value: Collection[Any]) -> JsonForm:
    return list(map(json_form, value))


def _sorted_list(value: Collection[Any]) -> JsonForm:
    kinds = set(map(type, value))
    if any(kinds <= group for group in _SORTABLE):
        mixes_numbers = kinds >= {float, Decimal}
        return list(map(json_form, sorted(value, key=_exact if mixes_numbers else None)))
    return sorted(map(json_form, value), key=_sort_key)


def _exact(number: Any) -> Decimal:
    """A number as a `Decimal`. The decimal context may forbid to compare floats with decimals."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def _sort_key(form: JsonForm) -> str:
    return json.dumps(form, sort_keys=True)


def _datetime(value: datetime) -> str:
    moment = value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)
    return moment.isoformat().replace("+00:00", "Z")


def _duration(value: timedelta) -> str:
    """The ISO 8601 text of a duration.

    >>> _duration(timedelta(days=1, hours=2, milliseconds=250)), _duration(-timedelta(minutes=5))
    ('P1DT2H0.25S', '-PT5M')
    """
    sign, size = ("-", -value) if value < timedelta(0) else ("", value)
    hours, rest = divmod(size.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{size.microseconds:06d}".rstrip("0") if size.microseconds else ""
    parts = [f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number]
    if seconds or fraction:
        parts.append(f"{seconds}{fraction}S")
    days = f"{size.days}D" if size.days else ""
    if not days and not parts:
        parts = ["0S"]
    return f"{sign}P{days}{'T' if parts else ''}{''.join(parts)}"


def _enum_value(member: Enum) -> JsonForm:
    return json_form(member.value)


def _base64(value: bytes | bytearray | memoryview) -> str:
    return b64encode(value).decode()


# A subclass takes the form of the first class here that it extends, so `datetime` stands before `date`.
_FORMS: Final[dict[type[object], Callable[[Any], JsonForm]]] = {
    Enum: _enum_value,
    str: str.__str__,
    bool: bool,
    int: int,
    float: float,
    Decimal: str,
    datetime: _datetime,
    date: date.isoformat,
    time: time.isoformat,
    timedelta: _duration,
    UUID: str,
    bytes: _base64,
    bytearray: _base64,
    memoryview: _base64,
    Mapping: _map,
    list: _list,
    tuple: _list,
    set: _sorted_list,
    frozenset: _sorted_list,
}


# --- back from JSON ---------------------------------------------------------------------------------------


def decimal_of(form: JsonForm) -> Any:
    """The `Decimal` of a text or a number; another value as it is.

    Raises:
        ValueError: for a text that is not a number.
    """
    if isinstance(form, float):
        return Decimal(repr(form))
    if not isinstance(form, str):
        return form
    try:
        return Decimal(form)
    except InvalidOperation:
        raise ValueError("is not the text of a number") from None


def bytes_of(form: JsonForm) -> Any:
    """The bytes of a base64 text, also in the alphabet for URLs; another value as it is.

    Raises:
        ValueError: for a text that is not base64.
    """
    if not isinstance(form, str):
        return form
    try:
        return b64decode(form.translate(_URL_SAFE), validate=True)
    except (Base64Error, ValueError):
        raise ValueError("is not base64") from None
