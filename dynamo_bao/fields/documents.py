"""Documents (maps and lists of anything), their stored form, and JSON fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, Unpack

from dynamo_bao.dynamodb.numbers import number_fault, number_text, parse_integer, parse_number, plain_number
from dynamo_bao.dynamodb.service import MAX_NAME_BYTES, MAX_NESTING, AttributeValue
from dynamo_bao.errors import QueryError, message_of
from dynamo_bao.fields.base import Field, FieldOptions
from dynamo_bao.fields.rules import check_unicode

Numbers = Callable[[Decimal], Any]
"""Converts a number of a document: `plain_number` or `Decimal`."""
TOO_DEEP: Final = f"is nested deeper than DynamoDB's {MAX_NESTING} levels"
_EXACT: Final = 2**53
"""Floats hold every whole number below this limit exactly."""
_NUMBERS: Final[dict[str, Numbers]] = {"auto": plain_number, "decimal": Decimal}


def to_builtin(value: Any, depth: int = 0, numbers: Numbers = plain_number) -> Any:
    """`value` with each part in the form that a stored document returns.

    Whole numbers become `int`. Fractions become `float` if that is exact, else `Decimal`. Tuples become lists. Sets
    become lists if they are empty, or if their members are not all strings, all numbers or all binaries.

    Args:
        depth: the depth of the value in the document; 0 for the value of an attribute.
        numbers: converts numbers.

    Raises:
        ValueError: if a part cannot be stored.
    """
    if depth >= MAX_NESTING:
        raise ValueError(TOO_DEEP)
    if isinstance(value, str):
        check_unicode(value)
        return str.__str__(value)
    if value is None or isinstance(value, (bool, bytes)):
        return value
    if isinstance(value, (int, float, Decimal)):
        return _number(value, numbers)
    if isinstance(value, (list, tuple)):
        return [to_builtin(part, depth + 1, numbers) for part in value]
    if isinstance(value, dict):
        return {checked_name(name): to_builtin(part, depth + 1, numbers) for name, part in value.items()}
    if isinstance(value, (set, frozenset)):
        return _plain_set(value, depth, numbers)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise ValueError(f"holds a {type(value).__name__}, which a document cannot store")


def _number(value: Any, numbers: Numbers) -> object:
    kind = type(value)
    if numbers is plain_number:  # fast path for common numbers
        if kind is int and -_EXACT < value < _EXACT:
            return value
        if kind is float and (1e-129 < value < _EXACT or -_EXACT < value < -1e-129):
            return int(value) if value.is_integer() else value
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    fault = number_fault(number)
    if fault:
        raise ValueError(f"holds a number that cannot be stored: {fault}")
    return numbers(number)


def _plain_set(value: Iterable[object], depth: int, numbers: Numbers) -> object:
    """A set, or a list if DynamoDB has no such set. Only members of the list are one level deeper."""
    members = [to_builtin(member, min(depth + 1, MAX_NESTING - 1), numbers) for member in value]
    if "L" not in set_form(map(to_document, members)):
        return set(members)
    if members and depth + 1 == MAX_NESTING:
        raise ValueError(TOO_DEEP)
    return sorted(members, key=_encoded_form)


def _encoded_form(value: Any) -> str:
    return repr(to_document(value))


def set_form(members: Iterable[AttributeValue]) -> AttributeValue:
    """The stored form of a set of typed values: one of DynamoDB's sets, else a sorted list.

    >>> set_form([{"N": "10"}, {"N": "9"}]), set_form([{"S": "a"}, {"N": "1"}]), set_form([])
    ({'NS': ['9', '10']}, {'L': [{'N': '1'}, {'S': 'a'}]}, {'L': []})
    """
    typed = list(members)
    codes = {code for member in typed for code in member}
    if codes == {"N"}:
        return {"NS": sorted((member["N"] for member in typed), key=Decimal)}
    if codes == {"S"} or codes == {"B"}:
        (code,) = codes
        return {f"{code}S": sorted(member[code] for member in typed)}
    return {"L": sorted(typed, key=repr)}


def checked_name(name: object) -> str:
    """`name` if it is a valid key of a map, at any depth, by DynamoDB's rule for attribute names."""
    if not isinstance(name, str):
        raise ValueError("holds a map whose keys are not all str")
    check_unicode(name)
    if not 1 <= len(name.encode()) <= MAX_NAME_BYTES:
        raise ValueError(f"holds a map with a key that is empty, or over {MAX_NAME_BYTES:,} bytes long")
    return str.__str__(name)


def to_document(value: Any) -> AttributeValue:
    """The typed form of a plain value.

    >>> to_document({"a": [1, True, None]})
    {'M': {'a': {'L': [{'N': '1'}, {'BOOL': True}, {'NULL': True}]}}}
    """
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, Decimal):
        return {"N": number_text(value)}
    if isinstance(value, float):
        return {"N": repr(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"B": bytes(value)}
    if isinstance(value, (list, tuple)):
        return {"L": [to_document(part) for part in value]}
    if isinstance(value, dict):
        return {"M": {name: to_document(part) for name, part in value.items()}}
    if isinstance(value, (set, frozenset)):
        return set_form(map(to_document, value))
    raise ValueError(f"holds a {type(value).__name__}, which cannot be stored")


def _number_set(stored: list[str]) -> set[object]:
    return {parse_number(text) for text in stored}


def from_list(stored: list[AttributeValue]) -> list[Any]:
    """The plain values of a stored list."""
    return [from_document(part) for part in stored]


def from_map(stored: dict[str, AttributeValue]) -> dict[str, Any]:
    """The plain values of a stored map."""
    return {name: from_document(part) for name, part in stored.items()}


def texts_of(stored: list[AttributeValue]) -> list[str]:
    """The strings of a stored list. Raises KeyError if another type is among them."""
    return [part["S"] for part in stored]


def integers_of(stored: list[AttributeValue]) -> list[int]:
    """The whole numbers of a stored list. Raises if anything else is among them."""
    return [parse_integer(part["N"]) for part in stored]


def named_texts_of(stored: dict[str, AttributeValue]) -> dict[str, str]:
    """The strings of a stored map. Raises KeyError if another type is among them."""
    return {name: part["S"] for name, part in stored.items()}


_READERS: dict[str, Callable[[Any], object]] = {
    "S": lambda v: v,
    "N": parse_number,
    "BOOL": lambda v: v,
    "NULL": lambda v: None,
    "B": lambda v: v,
    "L": from_list,
    "M": from_map,
    "SS": set,
    "NS": _number_set,
    "BS": set,
}


def from_document(stored: AttributeValue) -> Any:
    """The plain value of any typed form."""
    ((code, value),) = stored.items()
    return _READERS[code](value)


def from_exact_document(stored: AttributeValue) -> Any:
    """The plain value of any typed form, with numbers as `Decimal`."""
    ((code, value),) = stored.items()
    if code == "N":
        return Decimal(value)
    if code == "NS":
        return set(map(Decimal, value))
    if code == "L":
        return [from_exact_document(part) for part in value]
    if code == "M":
        return {name: from_exact_document(part) for name, part in value.items()}
    return _READERS[code](value)


def check_depth(stored: AttributeValue, depth: int = 0) -> None:
    """Raises `ValueError` for a typed form that is nested deeper than DynamoDB allows."""
    if depth >= MAX_NESTING:
        raise ValueError(TOO_DEEP)
    parts = stored.get("L") or (stored["M"].values() if "M" in stored else ())
    for part in parts:
        check_depth(part, depth + 1)


class DocumentField(Field):
    """Base of the fields for documents.

    Args:
        numbers: ``"decimal"`` to read all numbers as `Decimal`. By default whole numbers are `int`, and fractions are
            `float` if that is exact, else `Decimal`.
    """

    can_be_key = False
    ordered = False
    is_unit = False
    is_bounded = False
    is_hashable: bool = False

    def __init__(self, *, numbers: str = "auto", **options: Unpack[FieldOptions]) -> None:
        super().__init__(**options)
        self.numbers = numbers

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> DocumentField:
        twin = super().bind(name, model, attribute, nullable=nullable)
        if twin.numbers not in _NUMBERS:
            raise twin.declaration_error(
                f"numbers={twin.numbers!r}; use one of {', '.join(map(repr, _NUMBERS))}."
            )
        if twin.numbers != "auto":
            twin.decode_expr = None
        return twin

    def normalise(self, value: Any) -> Any:
        return to_builtin(value, numbers=_NUMBERS[self.numbers])

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        return to_document(value)

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return from_document(stored) if self.numbers == "auto" else from_exact_document(stored)

    def inside(self, step: str | int) -> Field | None:
        return None

    def member(self, value: Any) -> AttributeValue:
        try:
            return to_document(to_builtin(value))
        except ValueError as error:
            raise QueryError(
                f"{self.model}.{self.name}: the value {message_of(error)}.", field=self.name
            ) from error


class AnythingField(DocumentField):
    """Any value that a document can hold, including None. Only for parts of documents."""

    is_hashable = True

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> DocumentField:
        return super().bind(name, model, attribute, nullable=True)


class JsonField(Field):
    """Any JSON value, stored as one string.

    Example:
        >>> settings: Any = JsonField(default=dict)
    """

    can_be_key = False
    code: str | None = "S"

    def fits(self, annotation: object) -> bool:
        return True

    def normalise(self, value: Any) -> Any:
        try:
            text = json.dumps(value, allow_nan=False, ensure_ascii=False)
            check_unicode(text)
            _check_names(value)
            return json.loads(text)
        except RecursionError:
            raise self.error("is not JSON: it is nested too deeply", value) from None
        except (TypeError, ValueError) as error:
            raise self.error(f"is not JSON: {message_of(error)}", value) from None

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        return {"S": json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return json.loads(stored["S"])


def _check_names(value: Any) -> None:
    """Raises `ValueError` for a map with keys that JSON would convert to strings."""
    if isinstance(value, dict):
        for name, part in value.items():
            if not isinstance(name, str):
                raise ValueError(f"it holds a map whose keys are not all str, but {type(name).__name__} too")
            _check_names(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _check_names(part)
