"""Key conditions of queries: one partition key, and a condition for the sort key."""

from __future__ import annotations

from functools import lru_cache

from dynamo_bao.dynamodb.transport.embedded.errors import ServiceError, invalid
from dynamo_bao.dynamodb.transport.embedded.expressions.conditions import (
    COMPARATORS,
    require_bounds,
    require_condition_function,
)
from dynamo_bao.dynamodb.transport.embedded.expressions.scope import Scope
from dynamo_bao.dynamodb.transport.embedded.expressions.tokens import Path, Token, Tokens
from dynamo_bao.dynamodb.transport.embedded.values import Value
from dynamo_bao.runtime.named_tuples import NamedTuple

_REVERSED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_Operand = Path | str
"""A path, or the placeholder of a value."""


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
            raise invalid("KeyConditionExpressions cannot have conditions on nested attributes")
        name = str(scope.path(path)[0])
        values = tuple(map(scope.value, placeholders))
        if symbol == "BETWEEN":
            require_bounds(*values)
        parts.append(KeyPart(name, symbol, values))
    names = [part.name for part in parts]
    if len(set(names)) != len(names):
        raise invalid("KeyConditionExpressions must only contain one condition per key")
    return parts


@lru_cache(maxsize=1024)
def _parsed(source: str) -> tuple[_Part, ...]:
    tokens = Tokens(source)
    tokens.require_few_operators(COMPARATORS)
    tokens.require_needed_parentheses()
    parts = _conjunction(tokens)
    if not tokens.at_end:
        if tokens.take_if("OR"):
            raise _odd_operator("OR")
        raise tokens.syntax_error()
    return parts


def _conjunction(tokens: Tokens) -> tuple[_Part, ...]:
    parts = _part(tokens)
    while tokens.take_if("AND"):
        parts += _part(tokens)
    return parts


def _part(tokens: Tokens) -> tuple[_Part, ...]:
    subject = _operand_in_parentheses(tokens)
    if subject is None and tokens.take_if("("):
        parts = _conjunction(tokens)
        tokens.expect(")")
        return parts
    if tokens.take_if("NOT"):
        raise _odd_operator("NOT")
    if subject is None and tokens.is_call:
        return (_function(tokens),)
    subject = subject or _operand(tokens)
    if tokens.take_if("BETWEEN"):
        low = _operand(tokens)
        tokens.expect("AND")
        return (_of_first(subject, "BETWEEN", low, _operand(tokens)),)
    symbol = _comparator(tokens).text
    operand = _operand(tokens)
    if isinstance(subject, str) and not isinstance(operand, str):
        subject, symbol, operand = operand, _REVERSED[symbol], subject
    return (_with_one_path(subject, symbol, operand),)


def _function(tokens: Tokens) -> _Part:
    name = tokens.take().text
    require_condition_function(name)
    if name == "size":
        raise invalid("KeyConditionExpressions cannot contain nested operations")
    if name != "begins_with":
        raise _odd_operator(name)
    tokens.expect("(")
    subject = _operand(tokens)
    tokens.expect(",")
    prefix = _operand(tokens)
    tokens.expect(")")
    return _of_first(subject, "begins_with", prefix)


def _of_first(subject: _Operand, symbol: str, *operands: _Operand) -> _Part:
    """A condition whose first operand has to be the key."""
    if isinstance(subject, str):
        raise _odd_condition(f"{symbol} operator must have the key attribute as its first operand")
    return _with_one_path(subject, symbol, *operands)


def _with_one_path(subject: _Operand, symbol: str, *operands: _Operand) -> _Part:
    if isinstance(subject, str):
        raise _odd_condition("No key attribute specified")
    placeholders = tuple(operand for operand in operands if isinstance(operand, str))
    if len(placeholders) < len(operands):
        raise _odd_condition("Multiple attribute names used in one condition")
    return _Part(subject, symbol, placeholders)


def _odd_operator(name: str) -> ServiceError:
    return invalid(f"Invalid operator used in KeyConditionExpression: {name}")


def _odd_condition(fault: str) -> ServiceError:
    return invalid(f"Invalid condition in KeyConditionExpression: {fault}")


def _comparator(tokens: Tokens) -> Token:
    symbol = tokens.take_if(*_REVERSED)
    if symbol is None:
        token = tokens.next
        if token.text in ("<>", "IN", "OR"):
            raise _odd_operator(token.text)
        raise tokens.syntax_error()
    return symbol


def _operand_in_parentheses(tokens: Tokens) -> _Operand | None:
    return tokens.parenthesised(lambda: _operand(tokens)) if tokens.next.text == "(" else None


def _operand(tokens: Tokens) -> _Operand:
    inner = _operand_in_parentheses(tokens)
    if inner is not None:
        return inner
    return tokens.take().text if tokens.next.kind == "value" else tokens.path()
