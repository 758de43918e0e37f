"""Values of attributes in DynamoDB's JSON: their checks, canonical forms, sizes and order.

A value is canonical if equal values have equal texts: numbers without needless zeros.
Stored items are canonical and never changed in place, so answers and indexes share them.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.errors import (
    INVALID_VALUE,
    RequestError,
    invalid,
    unreadable,
)

Value = dict[str, Any]
"""One value: its type and its member, as ``{"S": "Ada"}``."""
Item = dict[str, Value]

SET_TYPES: Final = ("SS", "NS", "BS")
ORDERED_TYPES: Final = ("S", "N", "B")
MAX_DEPTH: Final = 32
_EMPTY: Final = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
_SEVERAL: Final = (
    "Supplied AttributeValue has more than one datatypes set, "
    "must contain exactly one of the supported datatypes"
)
_TOO_DEEP: Final = (
    "Nesting Levels have exceeded supported limits: "
    "Attributes in the item have nested levels beyond supported limit"
)
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_PLAIN_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,36}", re.ASCII)
_CONTEXT: Final = Context(prec=400, Emax=999_999_999, Emin=-999_999_999)


# --- numbers ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def canonical_number(text: str) -> str:
    """A number without exponent and needless zeros.

    >>> canonical_number("1.50"), canonical_number("1e2"), canonical_number("-0.0")
    ('1.5', '100', '0')
    """
    if _PLAIN_NUMBER.fullmatch(text):
        return text
    if not _NUMBER.fullmatch(text):
        suffix = f": {text}" if text else ""
        raise invalid(f"The parameter cannot be converted to a numeric value{suffix}")
    return number_text(_decimal(text))


def _decimal(text: str) -> Decimal:
    """The number of a text; an exponent of too many digits for Python becomes a shorter one."""
    try:
        return Decimal(text)
    except InvalidOperation:
        mantissa, _, exponent = text.lower().partition("e")
        sign = "-" if exponent.startswith("-") else ""
        return Decimal(f"{mantissa}e{sign}999999999")


def number_text(number: Decimal) -> str:
    """The canonical text of a number; an error if DynamoDB cannot store it."""
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if not digits:
        return "0"
    if len(digits) > 38:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    if number.adjusted() > 125:
        raise invalid(
            "Number overflow. Attempting to store a number with magnitude larger than supported range"
        )
    if number.adjusted() < -130:
        raise invalid(
            "Number underflow. Attempting to store a number with magnitude smaller than supported range"
        )
    return format(number.normalize(_CONTEXT), "f")


def total(first: str, second: str, sign: int) -> str:
    """The sum of two numbers, or their difference for a sign of -1.

    >>> total("0.1", "0.2", 1), total("1", "3", -1)
    ('0.3', '-2')
    """
    second_members = Decimal(second)
    return number_text(_CONTEXT.add(Decimal(first), second_members if sign > 0 else -second_members))


@lru_cache(maxsize=4096)
def number_of(text: str) -> Decimal:
    """The number of a canonical text, to compare it."""
    return Decimal(text)


def _number_size(text: str) -> int:
    digits = text.lstrip("-").replace(".", "").strip("0")
    if not digits:
        return 1
    whole = text.lstrip("-").partition(".")[0]
    whole_digits = min(len(whole) if whole != "0" else 0, len(digits))
    fraction_digits = len(digits) - whole_digits
    return -(-whole_digits // 2) + -(-fraction_digits // 2) + 1 + text.startswith("-")


# --- reading ------------------------------------------------------------------------------------------------


def canonical(value: object) -> Value:
    """The canonical form of a value of a request; an error for what is no value.

    >>> canonical({"N": "1.0"})
    {'N': '1'}
    """
    if type(value) is dict and len(value) == 1:
        ((code, member),) = value.items()
        read = _READERS.get(code)
        if read is not None and member is not None:
            canonical_member = read(member)
            return value if canonical_member is member else {code: canonical_member}
    return _canonical_odd(value)


def _canonical_odd(value: object) -> Value:
    if value is None:
        raise invalid(_EMPTY)
    if type(value) is not dict:
        if type(value) is list:
            raise unreadable(
                "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"
            )
        raise unreadable("Unexpected value type in payload")
    codes = [code for code in value if code in _READERS and value[code] is not None]
    if not codes:
        raise invalid(_EMPTY)
    members = {code: _READERS[code](value[code]) for code in codes}
    if len(members) > 1:
        raise invalid(_SEVERAL)
    return members


def canonical_item(item: Mapping[str, object]) -> Item:
    """The canonical form of an item or a key."""
    return {name: canonical(value) for name, value in item.items()}


def _text(member: object) -> str:
    if type(member) is str:
        return member
    raise unreadable(not_text(member))


def not_text(member: object) -> str:
    """What DynamoDB says of JSON where it expects a text."""
    if type(member) is list:
        return "Unrecognized collection type class java.lang.String"
    if type(member) is dict:
        return "Start of structure or map found where not expected"
    return f"{token_of(member)} cannot be converted to String"


def token_of(member: object) -> str:
    """DynamoDB's name of a scalar's token."""
    if isinstance(member, bool):
        return "TRUE_VALUE" if member else "FALSE_VALUE"
    if isinstance(member, float):
        return "DECIMAL_VALUE"
    return "STRING_VALUE" if isinstance(member, str) else "NUMBER_VALUE"


def _number(member: object) -> str:
    return canonical_number(_text(member))


def _binary(member: object) -> str:
    if type(member) is not str:
        if type(member) is list:
            raise unreadable("Unrecognized collection type class java.nio.ByteBuffer")
        if type(member) is dict:
            raise unreadable("Start of structure or map found where not expected")
        raise unreadable("only base-64-encoded strings are convertible to bytes")
    if len(member) % 4:
        raise unreadable(f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(member)}")
    try:
        decoded = b64decode(member, validate=True)
    except (Base64Error, ValueError) as error:
        raise unreadable(f"Invalid Base64 encoded value: {error}") from None
    if b64encode(decoded).decode() != member:
        raise unreadable("Invalid last non-pad Base64 character dectected")
    return member


def _flag(member: object) -> bool:
    if type(member) is bool:
        return member
    if isinstance(member, str):
        raise unreadable("Unexpected token received from parser")
    if isinstance(member, (list, dict)):
        raise unreadable("Start of structure or map found where not expected")
    raise unreadable(f"{token_of(member)} cannot be converted to Boolean")


def _null(member: object) -> bool:
    if member is not True:
        raise RequestError(f"{INVALID_VALUE}Null attribute value types must have the value of true")
    return True


def _list_of(read: Callable[[Any], object]) -> Callable[[object], list[Any]]:
    def read_list(member: object) -> list[Any]:
        if type(member) is not list:
            if type(member) is dict:
                raise unreadable("Start of structure or map found where not expected")
            raise unreadable("Unexpected field type")
        members = [read(part) for part in member]
        return member if all(map(_is, members, member)) else members

    return read_list


def _is(first: object, second: object) -> bool:
    return first is second


def _map(member: object) -> Item:
    if type(member) is not dict:
        if type(member) is list:
            raise unreadable(
                "Unrecognized collection type java.util.Map<java.lang.String, "
                "com.amazonaws.dynamodb.v20120810.AttributeValue>"
            )
        raise unreadable("Unexpected field type")
    members = {name: canonical(part) for name, part in member.items()}
    return member if all(map(_is, members.values(), member.values())) else members


_READERS: Final[dict[str, Callable[[object], Any]]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "BOOL": _flag,
    "NULL": _null,
    "SS": _list_of(_text),
    "NS": _list_of(_number),
    "BS": _list_of(_binary),
    "L": _list_of(canonical),
    "M": _map,
}


# --- checks of what is stored -------------------------------------------------------------------------------


def require_storable(item: Mapping[str, Value]) -> None:
    """Refuses empty sets, sets with duplicates, and values that are nested too deeply."""
    for value in item.values():
        for code, member in value.items():
            if code in _CHECKED_TYPES:
                _require_storable_member(code, member, 0)


_CHECKED_TYPES: Final = frozenset((*SET_TYPES, "L", "M"))


def _require_storable_member(code: str, member: Any, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise invalid(_TOO_DEEP)
    if code in SET_TYPES:
        fault = set_fault(code, member)
        if fault is not None:
            raise RequestError(fault)
    elif code in ("L", "M"):
        for part in member if code == "L" else member.values():
            ((part_code, part_member),) = part.items()
            _require_storable_member(part_code, part_member, depth + 1)


def set_fault(code: str, members: list[str]) -> str | None:
    """Why DynamoDB refuses a set; None if it does not."""
    if not members:
        faults = {
            "SS": "An string set  may not be empty",
            "NS": "An number set  may not be empty",
            "BS": "Binary sets should not be empty",
        }
        return INVALID_VALUE + faults[code]
    if len(set(members)) == len(members):
        return None
    if code == "NS":
        return "Input collection contains duplicates"
    suffix = " contains duplicates." if code == "SS" else "of type BS contains duplicates."
    return f"{INVALID_VALUE}Input collection [{', '.join(members)}]{suffix}"


def require_shallow(value: Value, depth: int = 0) -> None:
    """Refuses a value of an expression that is nested too deeply."""
    if depth >= MAX_DEPTH:
        raise invalid(_TOO_DEEP)
    for code, member in value.items():
        if code in ("L", "M"):
            for part in member if code == "L" else member.values():
                require_shallow(part, depth + 1)


def with_key_name(fault: str | None, name: str) -> str:
    """The fault of a value of an expression, with the value's name."""
    return f"ExpressionAttributeValues contains invalid value: {fault} for key {name}"


# --- sizes --------------------------------------------------------------------------------------------------


def item_size(item: Mapping[str, Value]) -> int:
    """The size of an item in bytes, by DynamoDB's rules.

    >>> item_size({"id": {"S": "é"}, "n": {"N": "-12.5"}})
    8
    """
    return sum(_length(name) + value_size(value) for name, value in item.items())


def value_size(value: Value) -> int:
    """The size of a value in bytes."""
    ((code, member),) = value.items()
    if code == "S":
        return _length(member)
    if code == "N":
        return _number_size(member)
    if code == "B":
        return binary_size(member)
    if code in ("BOOL", "NULL"):
        return 1
    if code == "M":
        return 3 + sum(_length(name) + 1 + value_size(part) for name, part in member.items())
    if code == "L":
        return 3 + sum(1 + value_size(part) for part in member)
    return sum(value_size({code[0]: part}) for part in member)


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def binary_size(text: str) -> int:
    """The number of bytes in base64."""
    return len(text) * 3 // 4 - text[-2:].count("=")


# --- comparisons --------------------------------------------------------------------------------------------


def type_of(value: Value) -> str:
    """The code of a value's type.

    >>> type_of({"S": "Ada"})
    'S'
    """
    return next(iter(value))


def sort_value(value: Value) -> Any:
    """A text, number or binary in a form that has DynamoDB's order."""
    ((code, member),) = value.items()
    if code == "S":
        return member
    return number_of(member) if code == "N" else b64decode(member)


def are_equal(first: Value, second: Value) -> bool:
    """Whether two canonical values are equal; the order of a set does not matter.

    >>> are_equal({"SS": ["a", "b"]}, {"SS": ["b", "a"]}), are_equal({"N": "1"}, {"S": "1"})
    (True, False)
    """
    if first == second:
        return True
    code = type_of(first)
    if code != type_of(second) or code not in _CHECKED_TYPES:
        return False
    first_members, second_members = first[code], second[code]
    if len(first_members) != len(second_members):
        return False
    if code == "L":
        return all(map(are_equal, first_members, second_members))
    if code == "M":
        return all(
            name in second_members and are_equal(part, second_members[name])
            for name, part in first_members.items()
        )
    return set(first_members) == set(second_members)


def plain(value: Any) -> Any:
    """A result of moto as JSON: times as seconds, binaries as base64, and nothing without a value."""
    if isinstance(value, Mapping):
        return {name: plain(member) for name, member in value.items() if member is not None}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    if isinstance(value, datetime):
        return value.timestamp()
    return b64encode(value).decode() if isinstance(value, bytes) else value
