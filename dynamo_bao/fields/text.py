"""Texts, identifiers and bytes."""

from __future__ import annotations

import copy
import enum
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from dynamo_bao._compat import Unpack
from dynamo_bao.dynamodb.numbers import integer_key, parse_integer, parse_integer_key
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import ConfigurationError, QueryError
from dynamo_bao.fields.base import Field, FieldOptions
from dynamo_bao.fields.ulids import is_ulid, new_ulid


def check_unicode(text: str) -> None:
    """Raises `ValueError` for a text that UTF-8 cannot say."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate, which is not text") from None


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can say a text."""
    try:
        check_unicode(text)
    except ValueError:
        return False
    return True


def part_of_text(field: Field, value: Any) -> AttributeValue:
    """The stored form of a part of a text; `QueryError` where it cannot be one."""
    if not isinstance(value, str):
        raise QueryError(
            f"{field.model}.{field.name} takes str, not {type(value).__name__}.", field=field.name
        )
    try:
        check_unicode(value)
    except ValueError as error:
        raise QueryError(f"{field.model}.{field.name} {error}", field=field.name) from error
    return {"S": str.__str__(value)}


_UNICODE = " and ({v}.isascii() or _is_unicode({v}))"


class StringField(Field):
    """A `str`.

    Args:
        max_length, min_length: bounds in characters (code points).
        pattern: a regular expression that the whole text must match.
        choices: the texts that are allowed.
    """

    python_types: tuple[type, ...] = (str,)
    code = "S"
    has_prefixes = True
    decode_source = "{S}"
    encode_source = '{{"S": {v}}}'
    length_source = "len({v})"

    def __init__(
        self,
        *,
        max_length: int | None = None,
        min_length: int | None = None,
        pattern: str | None = None,
        choices: Iterable[str] | None = None,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.max_length = max_length
        self.min_length = min_length
        self.pattern = None if pattern is None else _compiled(pattern)
        self.choices = None if choices is None else _several(choices)

    def fine_source(self) -> str | None:
        plain = self.plain_source()
        return None if plain is None else plain + _UNICODE

    def plain_source(self) -> str | None:
        if self.pattern is not None or self.choices is not None:
            return None
        longest = "" if self.max_length is None else f" and len({{v}}) <= {self.max_length}"
        shortest = "" if self.min_length is None else f" and len({{v}}) >= {self.min_length}"
        return "type({v}) is str" + longest + shortest

    def normal_source(self) -> str | None:
        return "type({v}) is str"

    def normalise(self, value: Any) -> str:
        if not isinstance(value, str):
            self.refuse_type(value, "str")
        return value if type(value) is str else str.__str__(value)

    def validate(self, value: str) -> None:
        check_unicode(value)
        if self.max_length is not None and len(value) > self.max_length:
            raise self.error(f"has {len(value)} characters, at most {self.max_length} are allowed", value)
        if self.min_length is not None and len(value) < self.min_length:
            raise self.error(f"has {len(value)} characters, at least {self.min_length} are needed", value)
        if self.pattern is not None and not self.pattern.fullmatch(value):
            raise self.error(f"does not match the pattern {self.pattern.pattern!r}", value)
        if self.choices is not None and value not in self.choices:
            raise self.error(f"is not one of {', '.join(map(repr, self.choices))}", value)

    def member(self, value: Any) -> AttributeValue:
        # A part of a text need not be a valid text of its own.
        return part_of_text(self, value)

    def to_dynamo(self, value: str) -> AttributeValue | None:
        return {"S": value}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return stored["S"]

    def to_key(self, value: str) -> str:
        return value


def _compiled(pattern: object) -> re.Pattern[str]:
    try:
        return re.compile(pattern)  # type: ignore[call-overload, no-any-return]
    except (re.error, TypeError, RecursionError) as error:
        raise ConfigurationError(f"pattern={pattern!r:.100} is no regular expression: {error}.") from error


def _several(choices: object) -> tuple[str, ...]:
    if isinstance(choices, (str, bytes)) or not isinstance(choices, Iterable):
        raise ConfigurationError(f"choices={choices!r:.100}; give a list of texts.")
    return tuple(choices)


class UlidField(StringField):
    """A ULID: 26 characters that sort by the time they were made.

    Args:
        auto_assign: whether the constructor makes one where none is given.
    """

    def __init__(
        self,
        *,
        auto_assign: bool = False,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.auto_assign = auto_assign

    def initial(self) -> Any:
        return new_ulid() if self.auto_assign else super().initial()

    def fine_source(self) -> str | None:
        return self.plain_source()

    def plain_source(self) -> str | None:
        return "type({v}) is str and _is_ulid({v})"

    def validate(self, value: str) -> None:
        if not is_ulid(value):
            raise self.error(
                "is not a ULID: 26 characters of 0-9 A-Z without I L O U, the first at most 7", value
            )


class VersionField(UlidField):
    """A ULID that every save renews and checks: a save over a newer version raises `VersionConflictError`."""

    renews = True

    def __init__(self, *, attribute: str | None = None, doc: str | None = None) -> None:
        super().__init__(auto_assign=True, attribute=attribute, doc=doc)

    def renewed(self) -> str:
        return new_ulid()


class UuidField(Field):
    """A `uuid.UUID`; accepts its text too.

    Args:
        auto_assign: whether the constructor makes a random one where none is given.
    """

    python_types = (uuid.UUID,)
    code = "S"
    has_prefixes = True
    decode_source = "_UUID({S})"
    encode_source = '{{"S": str({v})}}'
    length_source = "36"

    def __init__(
        self,
        *,
        auto_assign: bool = False,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.auto_assign = auto_assign

    def initial(self) -> Any:
        return uuid.uuid4() if self.auto_assign else super().initial()

    def fine_source(self) -> str | None:
        return "type({v}) is _UUID"

    def normalise(self, value: Any) -> uuid.UUID:
        if isinstance(value, uuid.UUID):
            return value
        if not isinstance(value, str):
            self.refuse_type(value, "a UUID or its text")
        try:
            return uuid.UUID(value)
        except ValueError:
            raise self.error("is not the text of a UUID", value) from None

    def to_dynamo(self, value: uuid.UUID) -> AttributeValue | None:
        return {"S": str(value)}

    def from_dynamo(self, stored: AttributeValue) -> uuid.UUID:
        return uuid.UUID(stored["S"])

    def from_key(self, text: str) -> uuid.UUID:
        value = uuid.UUID(text)
        if str(value) != text:
            raise ValueError("not the canonical text of a UUID")
        return value


class BinaryField(Field):
    """`bytes`; accepts `bytearray` and `memoryview`. Cannot be a key."""

    python_types = (bytes,)
    code = "B"
    has_prefixes = True
    can_be_key = False
    decode_source = "{B}"
    encode_source = '{{"B": {v}}}'
    length_source = "len({v})"

    def fine_source(self) -> str | None:
        return "type({v}) is bytes"

    def normalise(self, value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            self.refuse_type(value, "bytes")
        return bytes(value)

    def to_dynamo(self, value: bytes) -> AttributeValue | None:
        return {"B": value}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return stored["B"]

    def to_key(self, value: bytes) -> str:
        raise self.error("is binary, which cannot be a key", value)


class EnumField(Field):
    """An `enum.Enum` member, stored by its value (a `str` or an `int`).

    Args:
        enum_type: the enumeration; left out, the annotation says it.
    """

    python_types = (enum.Enum,)

    @property
    def has_prefixes(self) -> bool:  # type: ignore[override]
        return not self.numeric

    def __init__(
        self,
        enum_type: type[enum.Enum] | None = None,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.enum_type = enum_type
        self.needs_annotation = enum_type is None

    def adapted(self, annotation: Any, scope: Mapping[str, Any] | None = None) -> Field:
        if self.enum_type is not None:
            return self
        twin = copy.copy(self)
        twin.enum_type = annotation
        return twin

    def bound(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> EnumField:
        twin = super().bound(name, model, attribute, nullable=nullable)
        if not (isinstance(twin.enum_type, type) and issubclass(twin.enum_type, enum.Enum)):
            raise twin.misdeclared("EnumField needs its enumeration: EnumField(Colour) or `: Colour`.")
        values = [member.value for member in twin.enum_type]
        kinds = {type(value) for value in values}
        if not (all(isinstance(value, str) for value in values) or kinds == {int}):
            raise twin.misdeclared(
                "an enumeration is stored by its values, which must be all str or all int."
            )
        twin.numeric = kinds == {int}
        twin.code = "N" if twin.numeric else "S"
        return twin

    numeric = False

    def fits(self, annotation: Any) -> bool:
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

    def from_key(self, text: str) -> enum.Enum:
        assert self.enum_type is not None
        return self.enum_type(parse_integer_key(text) if self.numeric else text)


class RelatedField(StringField):
    """The primary id of an item of another model; gives ``post.user`` for ``user_id``.

    Args:
        target: the other model, or its name where it is defined later.

    At run time an instance is accepted too, and its id is held.
    """

    def __init__(
        self,
        target: str | type[Any],
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.target = target

    def bound(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> RelatedField:
        twin = super().bound(name, model, attribute, nullable=nullable)
        if not (self.target if isinstance(self.target, str) else hasattr(self.target, "__bao_name__")):
            raise twin.misdeclared(
                f'RelatedField({self.target!r}) names no model; give its class or its name: RelatedField("User").'
            )
        return twin

    def fine_source(self) -> str | None:
        return f"{self.plain_source()}{_UNICODE}"

    def plain_source(self) -> str | None:
        return "type({v}) is str and {v}"

    @property
    def target_name(self) -> str:
        """The other model's name."""
        if isinstance(self.target, str):
            return self.target
        return str(getattr(self.target, "__bao_name__", self.target.__name__))

    def normal_source(self) -> str | None:
        return "type({v}) is str"

    def normalise(self, value: Any) -> str:
        if isinstance(value, str):
            return super().normalise(value)
        names = {getattr(base, "__bao_name__", base.__name__) for base in type(value).__mro__}
        if self.target_name not in names or not hasattr(value, "__bao_reference__"):
            self.refuse_type(value, f"a {self.target_name} or its primary id")
        return str(value.__bao_reference__(f"{self.model}.{self.name}"))

    def validate(self, value: str) -> None:
        if not value:
            raise self.error("is an empty id; use None for no relation", value)
        super().validate(value)
