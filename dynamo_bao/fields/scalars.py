"""Fields for bytes, members of an enum, and booleans."""

from __future__ import annotations

import copy
import enum
from collections.abc import Mapping
from typing import Any, Unpack

from dynamo_bao.dynamodb.numbers import JAVASCRIPT_SAFE, integer_key, parse_integer, parse_integer_key
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.fields.base import Field, FieldOptions
from dynamo_bao.fields.json_forms import JsonForm, bytes_of
from dynamo_bao.fields.rules import NO_JAVASCRIPT_KEY, NOT_FOR_JAVASCRIPT, Rule
from dynamo_bao.fields.text import part_of_text


class BinaryField(Field):
    """`bytes`; accepts `bytearray` and `memoryview`. Cannot be a key.

    Example:
        >>> avatar: bytes = BinaryField()
    """

    python_types: tuple[type, ...] = (bytes,)
    code: str | None = "B"
    supports_begins_with = True
    can_be_key = False
    decode_expr: str | None = "{B}"
    encode_expr: str | None = '{{"B": {v}}}'
    max_length_expr: str | None = "len({v})"

    def normalized_expr(self) -> str | None:
        return "type({v}) is bytes"

    def normalise(self, value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            self.refuse_class(value, "bytes")
        return bytes(value)

    def from_json(self, form: JsonForm) -> Any:
        return bytes_of(form)

    def to_dynamo(self, value: bytes) -> AttributeValue | None:
        return {"B": value}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return stored["B"]

    def to_key(self, value: bytes) -> str:
        raise self.error("is binary, which cannot be a key", value)


class EnumField(Field):
    """An `enum.Enum` member, stored by its value (a `str` or an `int`).

    Args:
        enum_type: the enumeration; by default the annotation.

    Example:
        >>> status: Status = EnumField(default=Status.ACTIVE)
    """

    python_types: tuple[type, ...] = (enum.Enum,)

    @property
    def supports_begins_with(self) -> bool:  # type: ignore[override]
        return not self.numeric

    def __init__(
        self,
        enum_type: type[enum.Enum] | None = None,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.enum_type = enum_type
        self.needs_annotation: bool = enum_type is None

    def with_annotation(self, annotation: Any, scope: Mapping[str, object] | None = None) -> Field:
        if self.enum_type is not None:
            return self
        twin = copy.copy(self)
        twin.enum_type = annotation
        return twin

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> EnumField:
        twin = super().bind(name, model, attribute, nullable=nullable)
        if not (isinstance(twin.enum_type, type) and issubclass(twin.enum_type, enum.Enum)):
            raise twin.declaration_error("EnumField needs its enumeration: EnumField(Colour) or `: Colour`.")
        values = [member.value for member in twin.enum_type]
        kinds = {type(value) for value in values}
        if not (all(isinstance(value, str) for value in values) or kinds == {int}):
            raise twin.declaration_error(
                "an enumeration is stored by its values, which must be all str or all int."
            )
        twin.numeric = kinds == {int}
        twin.code = "N" if twin.numeric else "S"
        return twin

    numeric = False

    def rules(self) -> tuple[Rule, ...]:
        return (_JAVASCRIPT_MEMBER,) if self.numeric and self.javascript_safe else ()

    def fits(self, annotation: object) -> bool:
        return self.enum_type is None or annotation in (self.enum_type, Any, object)

    def normalise(self, value: Any) -> enum.Enum:
        assert self.enum_type is not None
        if isinstance(value, self.enum_type):
            return value
        try:
            return self.enum_type(value)
        except (ValueError, TypeError, ArithmeticError):
            raise self.error(f"is not a member of {self.enum_type.__name__}", value) from None

    def to_dynamo(self, value: enum.Enum) -> AttributeValue | None:
        return {"N": str(value.value)} if self.numeric else {"S": value.value}

    def from_dynamo(self, stored: AttributeValue) -> enum.Enum:
        assert self.enum_type is not None
        return self.enum_type(parse_integer(stored["N"]) if self.numeric else stored["S"])

    def member(self, value: Any) -> AttributeValue:
        return part_of_text(self, value) if isinstance(value, str) else self.operand(value)

    def to_key(self, value: enum.Enum) -> str:
        if not self.numeric:
            return str(value.value)
        text = integer_key(value.value)
        if text is None:
            raise self.error("has more than 20 digits, which a key cannot hold", value)
        return text

    def to_javascript_key(self, value: enum.Enum) -> str:
        if self.numeric and not 0 <= value.value <= JAVASCRIPT_SAFE:
            raise self.error(NO_JAVASCRIPT_KEY, value)
        return self.to_key(value)

    def from_key(self, text: str) -> enum.Enum:
        assert self.enum_type is not None
        return self.enum_type(parse_integer_key(text) if self.numeric else text)


_JAVASCRIPT_MEMBER = Rule(NOT_FOR_JAVASCRIPT, test=lambda member: abs(member.value) <= JAVASCRIPT_SAFE)


class BooleanField(Field):
    """A `bool`. Other values, such as 0 and 1, are not accepted.

    Example:
        >>> is_active: bool = BooleanField(default=True)
    """

    python_types: tuple[type, ...] = (bool,)
    code: str | None = "BOOL"
    ordered = False
    decode_expr: str | None = "{BOOL}"
    encode_expr: str | None = '{{"BOOL": {v}}}'
    max_length_expr: str | None = "1"

    def fits(self, annotation: object) -> bool:
        return annotation in (bool, Any, object)

    def normalized_expr(self) -> str | None:
        return "type({v}) is bool"

    def normalise(self, value: Any) -> bool:
        if not isinstance(value, bool):
            self.refuse_class(value, "True or False")
        return value

    def to_dynamo(self, value: bool) -> AttributeValue | None:
        return {"BOOL": value}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return stored["BOOL"]

    def to_key(self, value: bool) -> str:
        return "1" if value else "0"

    def from_key(self, text: str) -> bool:
        return {"1": True, "0": False}[text] if text in ("0", "1") else _not_boolean()


def _not_boolean() -> bool:
    raise ValueError("a boolean key is 0 or 1")
