"""Conditions as expression text. Names and values are always sent as placeholders."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Protocol

from dynamo_bao.dynamodb.expressions.conditions import (
    MAX_DEPTH,
    AllOf,
    AnyOf,
    BeginsWith,
    Between,
    Compare,
    Condition,
    Contains,
    Exists,
    HasType,
    In,
    Negation,
    Size,
    any_of,
    too_deep,
)
from dynamo_bao.dynamodb.expressions.paths import Attribute, Path, UserPath, path_text
from dynamo_bao.dynamodb.layout import SEARCH_TEXT
from dynamo_bao.dynamodb.service import MAX_EXPRESSION_BYTES, MAX_OPERATORS, AttributeValue
from dynamo_bao.errors import QueryError

_OPERATORS: Final = re.compile(r"\b(?:AND|OR|NOT|IN)\b|[<=>]+|[a-z]\(")
"""What DynamoDB counts in the text of a condition: it has a placeholder for each name and value. A BETWEEN counts by
its AND."""
_SHORT: Final = 1000
"""The bytes of a text that has too few operators to be counted."""


class Resolver(Protocol):
    """Turns field paths and plain values into stored attributes and typed values."""

    def attribute(self, path: UserPath) -> Attribute:
        """The stored attribute, or part of one, for a field path; `QueryError` if the field does not exist."""
        ...

    def operand(self, path: UserPath, value: object, operator: str) -> AttributeValue:
        """The typed value that `operator` compares with the value at `path`.

        Args:
            path: the field path.
            value: the plain value; for ``contains``, a substring or a member of a set or list.
            operator: a comparison, ``begins_with`` or ``contains``.
        """
        ...

    def search_spellings(self, text: object) -> list[AttributeValue]:
        """The possible stored forms of a search for `text`: the search text of a match contains one of them."""
        ...


class Placeholders:
    """The names and values of one request; equal names share a placeholder.

    Attributes:
        values: the typed values by placeholder.
    """

    __slots__ = ("_names", "values")

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self.values: dict[str, AttributeValue] = {}

    def name(self, attribute: str) -> str:
        """The placeholder of one attribute name, such as ``#n0``."""
        names = self._names
        mark = names.get(attribute)
        if mark is None:
            mark = names[attribute] = f"#n{len(names)}"
        return mark

    def at(self, attribute: Attribute) -> str:
        """The path of an attribute, or of a part of it, with every name replaced."""
        path = self.name(attribute.name)
        for step in attribute.steps:
            path += f"[{step}]" if isinstance(step, int) else f".{self.name(step)}"
        return path

    def value(self, value: AttributeValue) -> str:
        """A placeholder for one typed value, such as ``:v0``."""
        mark = f":v{len(self.values)}"
        self.values[mark] = value
        return mark

    @property
    def names(self) -> dict[str, str]:
        """The attribute names by placeholder."""
        return dict(zip(self._names.values(), self._names, strict=True))

    def into(self, request: dict[str, object]) -> None:
        """Puts the names and values that were registered into `request`."""
        if self._names:
            request["ExpressionAttributeNames"] = self.names
        if self.values:
            request["ExpressionAttributeValues"] = self.values


def render_condition(condition: Condition, placeholders: Placeholders, resolver: Resolver) -> str:
    """The expression text of `condition`; empty for the neutral one.

    Raises:
        QueryError: for an unknown field, a value the field refuses, a text over 4 KB, or more than 300 operators.
    """
    text = _RENDERERS[type(condition)](_Renderer(placeholders, resolver), condition)
    if len(text) > _SHORT:
        _require_size(text)
    return text


def _require_size(text: str) -> None:
    if len(text.encode()) > MAX_EXPRESSION_BYTES:
        raise QueryError(
            f"The condition is longer than {MAX_EXPRESSION_BYTES} bytes; split it over several requests."
        )
    count = len(_OPERATORS.findall(text))
    if count > MAX_OPERATORS:
        raise QueryError(
            f"The condition has {count} operators and functions. DynamoDB takes up to {MAX_OPERATORS}; split it over "
            f"several requests, or replace alternatives of one field by $in."
        )


class _Renderer:
    __slots__ = ("_depth", "_placeholders", "_resolver")

    def __init__(self, placeholders: Placeholders, resolver: Resolver) -> None:
        self._placeholders = placeholders
        self._resolver = resolver
        self._depth = 1  # of a condition inside the groups and negations around it

    def render(self, condition: Condition) -> str:
        return _RENDERERS[type(condition)](self, condition)

    def path(self, path: Path) -> str:
        return self._placeholders.at(path if isinstance(path, Attribute) else self._resolver.attribute(path))

    def typed(self, path: Path, value: Any, operator: str) -> AttributeValue:
        typed_value: AttributeValue = (
            value if isinstance(path, Attribute) else self._resolver.operand(path, value, operator)
        )
        return typed_value

    def operand(self, path: Path, value: Any, operator: str) -> str:
        return self._placeholders.value(self.typed(path, value, operator))

    def compare(self, c: Compare) -> str:
        return f"{self.path(c.path)} {c.operator} {self.operand(c.path, c.value, c.operator)}"

    def between(self, c: Between) -> str:
        low, high = (self.typed(c.path, end, "<=") for end in (c.low, c.high))
        if not isinstance(c.path, Attribute):
            _check_range(c.path, low, high)
        low_mark, high_mark = map(self._placeholders.value, (low, high))
        return f"{self.path(c.path)} BETWEEN {low_mark} AND {high_mark}"

    def in_(self, c: In) -> str:
        operands = ", ".join(self.operand(c.path, value, "=") for value in c.values)
        return f"{self.path(c.path)} IN ({operands})"

    def function(self, name: str, path: Path, value: Any) -> str:
        return f"{name}({self.path(path)}, {self.operand(path, value, name)})"

    def contains(self, c: Contains) -> str:
        alternatives = self.expanded(c)
        if type(alternatives) is not Contains:
            return self.render(alternatives)
        return self.function("contains", alternatives.path, alternatives.value)

    def expanded(self, c: Contains) -> Condition:
        """The condition; a condition on the search text becomes one for each form in which it may be stored."""
        if c.path != SEARCH_TEXT:
            return c
        return any_of(
            Contains(Attribute(SEARCH_TEXT), text) for text in self._resolver.search_spellings(c.value)
        )

    def has_type(self, c: HasType) -> str:
        return f"attribute_type({self.path(c.path)}, {self._placeholders.value({'S': c.code})})"

    def size(self, c: Size) -> str:
        # An absent attribute has no size. Not every engine takes that for false, so its existence is tested first.
        path, value = self.path(c.path), self._placeholders.value({"N": str(c.value)})
        return f"attribute_exists({path}) AND size({path}) {c.operator} {value}"

    def negation(self, c: Negation) -> str:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise too_deep()
        text = f"NOT ({self.render(c.part)})"
        self._depth -= 1
        return text

    def joined(self, word: str, parts: tuple[Condition, ...]) -> str:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise too_deep()
        texts: list[str] = []
        for part in parts:
            term = self.expanded(part) if type(part) is Contains else part
            text = _RENDERERS[type(term)](self, term)
            texts.append(f"({text})" if type(term) in _GROUPS else text)
        self._depth -= 1
        return word.join(texts)


def _check_range(path: UserPath, low: AttributeValue, high: AttributeValue) -> None:
    """Raises `QueryError` for bounds of a range that DynamoDB refuses."""
    ((low_code, low_value),) = low.items()
    ((high_code, high_value),) = high.items()
    if low_code != high_code:
        raise QueryError(
            f"The bounds of a range of {path_text(path)!r} are of the types {low_code} and {high_code}. Give two "
            f"values of one type."
        )
    order = Decimal if low_code == "N" else lambda value: value
    if order(low_value) > order(high_value):
        raise QueryError(
            f"The lower bound of {path_text(path)!r} is above its upper bound, so the condition never holds, and "
            f"DynamoDB refuses it. Compare the bounds first."
        )


_GROUPS = frozenset((AllOf, AnyOf, Size))
"""Conditions that are rendered as several terms. DynamoDB refuses parentheses around parentheses."""

_RENDERERS: dict[type[Condition], Callable[[_Renderer, Any], str]] = {
    Compare: _Renderer.compare,
    Between: _Renderer.between,
    In: _Renderer.in_,
    Size: _Renderer.size,
    BeginsWith: lambda r, c: r.function("begins_with", c.path, c.value),
    Contains: _Renderer.contains,
    HasType: _Renderer.has_type,
    Exists: lambda r, c: f"attribute_exists({r.path(c.path)})",
    AllOf: lambda r, c: r.joined(" AND ", c.parts),
    AnyOf: lambda r, c: r.joined(" OR ", c.parts),
    Negation: _Renderer.negation,
}
