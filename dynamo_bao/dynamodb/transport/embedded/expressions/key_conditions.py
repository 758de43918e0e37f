"""Key conditions of queries: one partition key, and a condition for the sort key."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from dynamo_bao.dynamodb.transport.embedded.expressions.conditions import require_bounds
from dynamo_bao.dynamodb.transport.embedded.expressions.scope import Scope
from dynamo_bao.dynamodb.transport.embedded.expressions.tokens import ExpressionError, Path, Token, Tokens
from dynamo_bao.dynamodb.transport.embedded.values import Value

_REVERSED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class _Part(NamedTuple):
    """One condition: the path, the operator, and the placeholders of its values."""

    path: Path
    symbol: str
    placeholders: tuple[str, ...]


class KeyPart(NamedTuple):
    """The condition of one key attribute.

    Attributes:
        name: the attribute.
        symbol: a comparison, ``"BETWEEN"`` or ``"begins_with"``; None for one that no key can have.
        values: the values it is compared with.
    """

    name: str
    symbol: str | None
    values: tuple[Value, ...]


def bound_key_condition(source: str, scope: Scope) -> list[KeyPart]:
    """The conditions of a key condition expression, with the names and values of a request."""
    parts = []
    for path, symbol, placeholders in _parsed(source):
        if len(path) != 1:
            raise ExpressionError("KeyConditionExpressions cannot have conditions on nested attributes")
        name = str(scope.path(path)[0])
        values = tuple(map(scope.value, placeholders))
        if symbol == "BETWEEN":
            require_bounds(*values)
        parts.append(KeyPart(name, symbol, values))
    names = [part.name for part in parts]
    if len(set(names)) != len(names):
        raise ExpressionError("KeyConditionExpressions must only contain one condition per key")
    return parts


@lru_cache(maxsize=1024)
def _parsed(source: str) -> tuple[_Part, ...]:
    tokens = Tokens(source)
    tokens.require_needed_parentheses()
    parts = _conjunction(tokens)
    if not tokens.at_end:
        if tokens.take_if("OR", "NOT"):
            raise ExpressionError("Invalid operator used in KeyConditionExpression: OR")
        raise tokens.syntax_error()
    return parts


def _conjunction(tokens: Tokens) -> tuple[_Part, ...]:
    parts = _part(tokens)
    while tokens.take_if("AND"):
        parts += _part(tokens)
    return parts


def _part(tokens: Tokens) -> tuple[_Part, ...]:
    if tokens.take_if("("):
        parts = _conjunction(tokens)
        tokens.expect(")")
        return parts
    if tokens.take_if("NOT"):
        raise ExpressionError("Invalid operator used in KeyConditionExpression: NOT")
    token = tokens.next
    if token.kind == "word" and tokens.following.text == "(":
        return (_function(tokens),)
    if token.kind == "value":
        placeholder = tokens.take().text
        symbol = _REVERSED[_comparator(tokens).text]
        return (_Part(tokens.path(), symbol, (placeholder,)),)
    path = tokens.path()
    if tokens.take_if("BETWEEN"):
        low = _placeholder(tokens)
        tokens.expect("AND")
        return (_Part(path, "BETWEEN", (low, _placeholder(tokens))),)
    return (_Part(path, _comparator(tokens).text, (_placeholder(tokens),)),)


def _function(tokens: Tokens) -> _Part:
    name = tokens.take().text
    if name.lower() != "begins_with":
        raise ExpressionError(f"Invalid operator used in KeyConditionExpression: {name}")
    tokens.expect("(")
    path = tokens.path()
    tokens.expect(",")
    placeholder = _placeholder(tokens)
    tokens.expect(")")
    return _Part(path, "begins_with", (placeholder,))


def _comparator(tokens: Tokens) -> Token:
    symbol = tokens.take_if(*_REVERSED)
    if symbol is None:
        odd = tokens.next
        if odd.text in ("<>", "IN", "OR"):
            raise ExpressionError(f"Invalid operator used in KeyConditionExpression: {odd.text}")
        raise tokens.syntax_error()
    return symbol


def _placeholder(tokens: Tokens) -> str:
    if tokens.next.kind != "value":
        raise tokens.syntax_error()
    return tokens.take().text
