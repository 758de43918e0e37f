"""Sets, maps, lists, JSON and nested attrs classes."""

from __future__ import annotations

import copy
import functools
import json
import typing
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import attrs
from attrs import NOTHING

from dynamo_bao.checkers import Unpack
from dynamo_bao.errors import QueryError
from dynamo_bao.fields.base import UNIONS, Field, FieldOptions
from dynamo_bao.fields.text import check_unicode, is_unicode
from dynamo_bao.numbers import number_fault, parse_number, plain_number
from dynamo_bao.wire import MAX_NAME_BYTES, MAX_NESTING, AttributeValue


def plain(value: Any, depth: int = 0) -> Any:
    """`value` with every part in the form that a stored document gives back; `ValueError` for what cannot be stored.

    Whole numbers become `int`, fractions `float` where that is exact and `Decimal` elsewhere; tuples
    become lists.
    """
    if depth > MAX_NESTING:
        raise ValueError(f"is nested deeper than DynamoDB's {MAX_NESTING} levels")
    if isinstance(value, str):
        check_unicode(value)
        return str.__str__(value)
    if value is None or isinstance(value, (bool, bytes)):
        return value
    if isinstance(value, (int, float, Decimal)):
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        fault = number_fault(number)
        if fault:
            raise ValueError(f"holds a number that cannot be stored: {fault}")
        return plain_number(number)
    if isinstance(value, (list, tuple)):
        return [plain(part, depth + 1) for part in value]
    if isinstance(value, dict):
        return {_name(name): plain(part, depth + 1) for name, part in value.items()}
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise ValueError(f"holds a {type(value).__name__}, which a document cannot store")


def _name(name: object) -> str:
    """`name` if a map may have it: DynamoDB's rule for names of attributes, at any depth."""
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
    if isinstance(value, (int, Decimal)):
        return {"N": str(value)}
    if isinstance(value, float):
        return {"N": repr(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"B": bytes(value)}
    if isinstance(value, (list, tuple)):
        return {"L": [to_document(part) for part in value]}
    if isinstance(value, dict):
        return {"M": {name: to_document(part) for name, part in value.items()}}
    if isinstance(value, (set, frozenset)) and value:
        if all(isinstance(member, str) for member in value):
            return {"SS": sorted(value)}
        return {"NS": sorted(str(member) for member in value)}
    raise ValueError(f"holds a {type(value).__name__}, which cannot be stored")


def _number_set(stored: list[str]) -> set[Any]:
    return {parse_number(text) for text in stored}


def from_list(stored: list[AttributeValue]) -> list[Any]:
    """The plain values of a stored list."""
    return [from_document(part) for part in stored]


def from_map(stored: dict[str, AttributeValue]) -> dict[str, Any]:
    """The plain values of a stored map."""
    return {name: from_document(part) for name, part in stored.items()}


_READERS: dict[str, Callable[[Any], Any]] = {
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


class MapField(Field):
    """A `dict` with `str` keys, stored as a native map."""

    python_types: tuple[type, ...] = (dict,)
    can_be_key = False
    ordered = False
    code = "M"
    decode_source = "_map({M})"

    def normalise(self, value: Any) -> Any:
        if not isinstance(value, self.python_types):
            self.refuse_type(value, self.python_types[0].__name__)
        return plain(value)

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        return to_document(value)

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return _READERS[self.code](stored[self.code])

    def member(self, value: Any) -> AttributeValue:
        try:
            return to_document(plain(value))
        except ValueError as error:
            raise QueryError(f"{self.model}.{self.name}: the value {error}.", field=self.name) from error


class ListField(MapField):
    """A `list` of documents, stored as a native list."""

    python_types = (list,)
    code = "L"
    decode_source = "_list({L})"


class JsonField(Field):
    """Anything that JSON can say, stored as one text."""

    can_be_key = False

    def fits(self, annotation: Any) -> bool:
        return True

    def normalise(self, value: Any) -> Any:
        try:
            text = json.dumps(value, allow_nan=False, ensure_ascii=False)
            check_unicode(text)
            return json.loads(text)
        except (TypeError, ValueError) as error:
            raise self.error(f"is not JSON: {error}", value) from None

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        return {"S": json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return json.loads(stored["S"])


class NestedField(Field):
    """An instance of another attrs class, stored as a native map (through cattrs).

    Args:
        cls: the attrs class; left out, the annotation says it.
    """

    can_be_key = False

    def __init__(
        self,
        cls: type[Any] | None = None,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.cls = cls
        self.needs_annotation = cls is None

    def adapted(self, annotation: Any) -> Field:
        if self.cls is not None:
            return self
        twin = copy.copy(self)
        twin.cls = annotation
        return twin

    def bound(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> NestedField:
        twin = super().bound(name, model, attribute, nullable=nullable)
        if not (isinstance(twin.cls, type) and attrs.has(twin.cls)):
            raise twin.misdeclared("NestedField needs an attrs class: NestedField(Address) or `: Address`.")
        twin.may_fill = has_factory(twin.cls)
        return twin

    def fits(self, annotation: Any) -> bool:
        return self.cls is None or annotation in (self.cls, Any, object)

    def normalise(self, value: Any) -> Any:
        assert self.cls is not None
        if not isinstance(value, self.cls):
            self.refuse_type(value, self.cls.__name__)
        self.to_dynamo(value)  # refuses what cannot be stored
        return value

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        return to_document(plain(_converter().unstructure(value)))

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return _converter().structure(from_document(stored), self.cls)

    def fills(self, stored: AttributeValue) -> bool:
        return fills_in(self.cls, stored)


def has_factory(kind: Any) -> bool:
    """Whether a type has members anywhere whose defaults are made each time."""
    return any(attribute is not None for attribute in _made_members(kind, set()))


def _made_members(kind: Any, seen: set[Any]) -> Iterator[Any]:
    if attrs.has(kind) and kind not in seen:
        seen.add(kind)
        for attribute in members_of(kind):
            if isinstance(attribute.default, attrs.Factory):  # type: ignore[arg-type]
                yield attribute
            yield from _made_members(attribute.type, seen)
    for part in typing.get_args(kind):
        yield from _made_members(part, seen)


def fills_in(kind: Any, stored: AttributeValue) -> bool:
    """Whether reading a stored form as `kind` makes up a member by a default that is made each time."""
    if attrs.has(kind):
        members = stored.get("M")
        return members is not None and any(
            fills_in(attribute.type, members[attribute.name])
            if attribute.name in members
            else isinstance(attribute.default, attrs.Factory)  # type: ignore[arg-type]
            for attribute in members_of(kind)
        )
    parts = typing.get_args(kind)
    inner = [*stored.get("L", ()), *stored.get("M", {}).values()]
    if typing.get_origin(kind) in UNIONS:
        return any(fills_in(part, stored) for part in parts)
    return any(fills_in(part, value) for part in parts for value in inner)


def members_of(kind: Any) -> Any:
    """The members of an attrs class, with their types resolved where they can be."""
    with suppress(NameError, AttributeError, TypeError):
        attrs.resolve_types(kind)
    return attrs.fields(kind)


@functools.cache
def _converter() -> Any:
    # Imported here: only models with nested classes need cattrs.
    from cattrs.preconf.json import make_converter

    converter = make_converter()
    converter.register_unstructure_hook(Decimal, lambda value: value)
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(str(value)))
    return converter


def are_texts(members: Any) -> bool:
    """Whether all of some values are texts, and nothing like texts, that UTF-8 can say."""
    for member in members:
        if type(member) is not str:
            return False
    text = "".join(members)
    return text.isascii() or is_unicode(text)


class StringSetField(Field):
    """A `set` of texts. The empty set is stored as no attribute.

    Args:
        max_string_length: how many characters a member may have.
        max_member_count: how many members there may be.
    """

    python_types = (set, frozenset)
    can_be_key = False
    ordered = False
    member_types: frozenset[Any] = frozenset((str, Any))
    code = "SS"
    decode_source = "set({SS})"
    encode_source = '{{"SS": sorted({v})}}'
    empty_source = "not {v}"
    length_source = 'len("".join({v}))'
    own_source = "{v}.copy()"

    def __init__(
        self,
        *,
        max_string_length: int | None = None,
        max_member_count: int | None = None,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.max_string_length = max_string_length
        self.max_member_count = max_member_count

    def fits(self, annotation: Any) -> bool:
        (member,) = typing.get_args(annotation) or (Any,)
        members = typing.get_args(member) if typing.get_origin(member) in UNIONS else (member,)
        return super().fits(annotation) and set(members) <= self.member_types

    def initial(self) -> Any:
        if self.required is True and self.default is NOTHING:
            return NOTHING
        value = super().initial()
        return set() if value is NOTHING or value is None else set(value)

    def absent(self) -> Any:
        return set()

    def accept(self, value: Any) -> Any:
        return set() if value is None else super().accept(value)

    @property
    def _has_plain_members(self) -> bool:
        return type(self).normalise_member is StringSetField.normalise_member

    def fine_source(self) -> str | None:
        return self._of_members(" and _are_texts({v})")

    def normal_source(self) -> str | None:
        return "type({v}) is set and set(map(type, {v})) <= _TEXT" if self._has_plain_members else None

    def plain_source(self) -> str | None:
        return self._of_members("")

    def _of_members(self, fine: str) -> str | None:
        if not self._has_plain_members or self.max_string_length is not None:
            return None
        most = "" if self.max_member_count is None else f" and len({{v}}) <= {self.max_member_count}"
        return f"type({{v}}) is set{fine}{most}"

    def normalise(self, value: Any) -> set[Any]:
        if not isinstance(value, (set, frozenset, list, tuple)):
            self.refuse_type(value, "a set")
        if self._has_plain_members and are_texts(value):
            return set(value)  # each member is what normalise_member would make of it
        return {self.normalise_member(member) for member in value}

    def normalise_member(self, member: Any) -> Any:
        """One member as the set holds it."""
        if not isinstance(member, str):
            self.refuse_type(member, "members that are str")
        check_unicode(member)
        return str.__str__(member)

    def validate(self, value: set[Any]) -> None:
        if self.max_member_count is not None and len(value) > self.max_member_count:
            raise self.error(f"has {len(value)} members, at most {self.max_member_count} are allowed", value)
        if self.max_string_length is not None and any(
            len(member) > self.max_string_length for member in value
        ):
            raise self.error(f"has a member longer than {self.max_string_length} characters", value)

    def to_dynamo(self, value: set[Any]) -> AttributeValue | None:
        return {"SS": sorted(value)} if value else None

    def from_dynamo(self, stored: AttributeValue) -> set[Any]:
        return set(stored["SS"])

    def member(self, value: Any) -> AttributeValue:
        try:
            ((_, members),) = (self.to_dynamo({self.normalise_member(value)}) or {}).items()
        except ValueError as error:
            raise QueryError(f"{self.model}.{self.name}: {error}", field=self.name) from error
        return {self.code[0]: members[0]}


class NumberSetField(StringSetField):
    """A `set` of numbers (`int`, `float` or `Decimal`). The empty set is stored as no attribute."""

    code = "NS"
    member_types = frozenset((int, float, Decimal, Any))

    def normalise_member(self, member: Any) -> Any:
        if isinstance(member, bool) or not isinstance(member, (int, float, Decimal)):
            self.refuse_type(member, "members that are numbers")
        return plain(member)

    def to_dynamo(self, value: set[Any]) -> AttributeValue | None:
        return {"NS": [repr(n) if isinstance(n, float) else str(n) for n in sorted(value)]} if value else None

    def from_dynamo(self, stored: AttributeValue) -> set[Any]:
        return _number_set(stored["NS"])
