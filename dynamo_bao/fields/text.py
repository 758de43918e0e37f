"""Strings and identifiers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from typing import Any, Unpack

from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import ConfigurationError, QueryError, message_of
from dynamo_bao.fields.base import Field, FieldOptions
from dynamo_bao.fields.rules import UNICODE, Rule, check_unicode
from dynamo_bao.fields.ulids import new_ulid


def part_of_text(field: Field, value: Any) -> AttributeValue:
    """The stored form of a part of a string. Raises `QueryError` if the value is not valid."""
    if not isinstance(value, str):
        raise QueryError(
            f"{field.model}.{field.name} takes str, not {type(value).__name__}.", field=field.name
        )
    try:
        check_unicode(value)
    except ValueError as error:
        raise QueryError(f"{field.model}.{field.name} {message_of(error)}", field=field.name) from error
    return {"S": str.__str__(value)}


class StringField(Field):
    """A `str`.

    Args:
        max_length, min_length: bounds in characters (code points).
        pattern: a regular expression that the whole string must match.
        choices: the allowed strings.

    Example:
        >>> email: str = StringField(max_length=200, pattern=r"[^@]+@[^@]+")
    """

    python_types: tuple[type, ...] = (str,)
    code: str | None = "S"
    supports_begins_with = True
    decode_expr: str | None = "{S}"
    encode_expr: str | None = '{{"S": {v}}}'
    max_length_expr: str | None = "len({v})"

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
        self.pattern: re.Pattern[str] | None = None if pattern is None else _compiled(pattern)
        self.choices: tuple[str, ...] | None = None if choices is None else _choices_tuple(choices)

    def rules(self) -> tuple[Rule, ...]:
        rules = [UNICODE]
        if self.max_length is not None:
            most = self.max_length
            rules.append(_length_rule(f"len({{v}}) <= {most}", f"at most {most} are allowed"))
        if self.min_length is not None:
            least = self.min_length
            rules.append(_length_rule(f"len({{v}}) >= {least}", f"at least {least} are needed"))
        if self.pattern is not None:
            fault = f"does not match the pattern {self.pattern.pattern!r}"
            rules.append(Rule(fault, test=self.pattern.fullmatch))
        if self.choices is not None:
            fault = f"is not one of {', '.join(map(repr, self.choices))}"
            rules.append(Rule(fault, test=self.choices.__contains__))
        return tuple(rules)

    def has_own_literals(self, stored: AttributeValue) -> bool:
        return self.choices is None or "NULL" in stored or self.from_dynamo(stored) in self.choices

    def normalized_expr(self) -> str | None:
        return "type({v}) is str"

    def normalise(self, value: Any) -> str:
        if not isinstance(value, str):
            self.refuse_class(value, "str")
        return value if type(value) is str else str.__str__(value)

    def member(self, value: Any) -> AttributeValue:
        # A part need not follow the rules of the whole string.
        return part_of_text(self, value)

    def to_dynamo(self, value: str) -> AttributeValue | None:
        return {"S": value}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return stored["S"]

    def to_key(self, value: str) -> str:
        return value


def _length_rule(expr: str, limit: str) -> Rule:
    """A rule about the number of characters. `limit` is the end of its fault."""
    return Rule(lambda value: f"has {len(value)} characters, {limit}", expr=expr)


def _compiled(pattern: object) -> re.Pattern[str]:
    try:
        return re.compile(pattern)  # type: ignore[call-overload, no-any-return]
    except (re.error, TypeError, RecursionError) as error:
        raise ConfigurationError(f"pattern={pattern!r:.100} is not a regular expression: {error}.") from error


def _choices_tuple(choices: object) -> tuple[str, ...]:
    if isinstance(choices, (str, bytes)) or not isinstance(choices, Iterable):
        raise ConfigurationError(f"choices={choices!r:.100}; give a list of texts.")
    return tuple(choices)


class UlidField(StringField):
    """A ULID: 26 characters that sort by creation time.

    Args:
        auto_assign: whether the constructor creates a ULID if it gets none.

    Example:
        >>> user_id: str = UlidField(auto_assign=True)
    """

    def __init__(
        self,
        *,
        auto_assign: bool = False,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.auto_assign = auto_assign

    @property
    def fills_itself(self) -> bool:  # type: ignore[override]
        return self.auto_assign

    def default_value(self) -> Any:
        return new_ulid() if self.auto_assign else super().default_value()

    def rules(self) -> tuple[Rule, ...]:
        return (_ULID,)


_ULID = Rule(
    "is not a ULID: 26 characters of 0-9 A-Z without I L O U, the first at most 7", expr="_is_ulid({v})"
)


class VersionField(UlidField):
    """A ULID that every save checks and renews. A save over another version raises `VersionConflictError`.

    Example:
        >>> version: str = VersionField()
    """

    auto_update = True

    def __init__(self, *, attribute: str | None = None, doc: str | None = None) -> None:
        super().__init__(auto_assign=True, attribute=attribute, doc=doc)

    def next_value(self) -> str:
        return new_ulid()


class UuidField(Field):
    """A `uuid.UUID`. It also accepts the text of a UUID.

    Args:
        auto_assign: whether the constructor creates a random UUID if it gets none.

    Example:
        >>> token: UUID = UuidField(auto_assign=True)
    """

    python_types: tuple[type, ...] = (uuid.UUID,)
    code: str | None = "S"
    supports_begins_with = True
    decode_expr: str | None = "_UUID({S})"
    encode_expr: str | None = '{{"S": str({v})}}'
    max_length_expr: str | None = "36"

    def __init__(
        self,
        *,
        auto_assign: bool = False,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.auto_assign = auto_assign

    @property
    def fills_itself(self) -> bool:  # type: ignore[override]
        return self.auto_assign

    def default_value(self) -> Any:
        return uuid.uuid4() if self.auto_assign else super().default_value()

    def normalized_expr(self) -> str | None:
        return "type({v}) is _UUID"

    def normalise(self, value: Any) -> uuid.UUID:
        if isinstance(value, uuid.UUID):
            return value
        if not isinstance(value, str):
            self.refuse_class(value, "a UUID or its text")
        try:
            return uuid.UUID(value)
        except ValueError:
            raise self.error("is not the text of a UUID", value) from None

    def member(self, value: Any) -> AttributeValue:
        return part_of_text(self, str(value) if isinstance(value, uuid.UUID) else value)

    def to_dynamo(self, value: uuid.UUID) -> AttributeValue | None:
        return {"S": str(value)}

    def from_dynamo(self, stored: AttributeValue) -> uuid.UUID:
        return uuid.UUID(stored["S"])

    def from_key(self, text: str) -> uuid.UUID:
        value = uuid.UUID(text)
        if str(value) != text:
            raise ValueError("not the canonical text of a UUID")
        return value
