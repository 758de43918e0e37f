"""Condition and filter expressions."""

from __future__ import annotations

import operator
from base64 import b64decode
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.expressions.scope import Scope, value_at
from dynamo_bao.dynamodb.transport.embedded.expressions.tokens import (
    CONDITION_FUNCTIONS,
    UPDATE_FUNCTIONS,
    ExpressionError,
    Path,
    Tokens,
    path_text,
)
from dynamo_bao.dynamodb.transport.embedded.values import (
    ORDERED_TYPES,
    Item,
    Value,
    are_equal,
    binary_size,
    sort_value,
    type_of,
)
from dynamo_bao.runtime.named_tuples import NamedTuple

Predicate = Callable[[Item], bool]
Read = Callable[[Item], "Value | None"]
Bind = Callable[[Scope], Predicate]
"""Makes the test of a condition with the names and values of a request."""
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
COMPARATORS: Final = frozenset(("=", "<>", *_ORDERS))
MAX_IN_OPERANDS: Final = 100
_FUNCTIONS: Final = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
}
"""The functions that are conditions, with the number of their operands."""
_ALL_TYPES: Final = "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
"""All types, as errors of `attribute_type` name them."""


class Operand(NamedTuple):
    """A path, the placeholder of a value, or the size of one of them.

    Attributes:
        kind: ``"path"``, ``"value"`` or ``"size"``.
        path: the path; empty for a value.
        placeholder: the placeholder of a value; else empty.
    """

    kind: str
    path: Path = ()
    placeholder: str = ""

    def bind(self, scope: Scope) -> Read:
        """Reads the operand of an item."""
        if self.kind == "value":
            value = scope.value(self.placeholder)
            return lambda item: value
        if self.placeholder:
            size = _size_of_value(scope.value(self.placeholder))
            return lambda item: size
        path = scope.path(self.path)
        if self.kind == "size":
            return lambda item: size_of(value_at(item, path))
        if len(path) == 1:
            name: Any = path[0]
            return lambda item: item.get(name)
        return lambda item: value_at(item, path)

    def type_in(self, scope: Scope) -> str | None:
        """Its type, as far as the request itself tells it; None for a path."""
        if self.kind == "value":
            return type_of(scope.value(self.placeholder))
        return "N" if self.kind == "size" else None


def size_of(value: Value | None) -> Value | None:
    """The size of a value as a number; None for a value without a size.

    >>> size_of({"S": "é"}), size_of({"N": "5"}), size_of(None)
    ({'N': '1'}, None, None)
    """
    if value is None:
        return None
    ((code, member),) = value.items()
    if code in ("N", "BOOL", "NULL"):
        return None
    if code == "S" and not member.isascii():
        return {"N": str(len(member.encode("utf-16-le", "surrogatepass")) // 2)}
    return {"N": str(binary_size(member) if code == "B" else len(member))}


def _size_of_value(value: Value) -> Value:
    size = size_of(value)
    if size is None:
        raise ExpressionError(
            "Incorrect operand type for operator or function; "
            f"operator or function: size, operand type: {type_of(value)}"
        )
    return size


@lru_cache(maxsize=1024)
def parsed_condition(source: str) -> Bind:
    """The condition of a text.

    Args:
        source: the expression.

    Raises:
        ExpressionError: if the text is no condition.
    """
    tokens = Tokens(source)
    tokens.require_few_operators(COMPARATORS)
    tokens.require_needed_parentheses()
    condition = _disjunction(tokens)
    if not tokens.at_end:
        raise tokens.syntax_error()
    return condition


# --- the grammar --------------------------------------------------------------------------------------------


def _disjunction(tokens: Tokens) -> Bind:
    parts = [_conjunction(tokens)]
    while tokens.take_if("OR"):
        parts.append(_conjunction(tokens))
    return _any_of(parts)


def _conjunction(tokens: Tokens) -> Bind:
    parts = [_negation(tokens)]
    while tokens.take_if("AND"):
        parts.append(_negation(tokens))
    return _all_of(parts)


def _negation(tokens: Tokens) -> Bind:
    if not tokens.take_if("NOT"):
        return _primary(tokens)
    inner = _negation(tokens)

    def bind(scope: Scope) -> Predicate:
        test = inner(scope)
        return lambda item: not test(item)

    return bind


def _all_of(parts: list[Bind]) -> Bind:
    if len(parts) == 1:
        return parts[0]

    def bind(scope: Scope) -> Predicate:
        tests = [part(scope) for part in parts]
        return lambda item: all(test(item) for test in tests)

    return bind


def _any_of(parts: list[Bind]) -> Bind:
    if len(parts) == 1:
        return parts[0]

    def bind(scope: Scope) -> Predicate:
        tests = [part(scope) for part in parts]
        return lambda item: any(test(item) for test in tests)

    return bind


def _primary(tokens: Tokens) -> Bind:
    first = _operand_in_parentheses(tokens)
    if first is not None:
        return _comparison(tokens, first)
    if tokens.take_if("("):
        inner = _disjunction(tokens)
        tokens.expect(")")
        return inner
    if tokens.is_call and tokens.next.text != "size":
        return _function(tokens)
    return _comparison(tokens, operand(tokens))


def _operand_in_parentheses(tokens: Tokens) -> Operand | None:
    return tokens.parenthesised(lambda: operand(tokens)) if tokens.next.text == "(" else None


def require_condition_function(name: str) -> None:
    """Refuses functions that no condition has. Their names are written in small letters."""
    if name in UPDATE_FUNCTIONS:
        raise ExpressionError(f"The function is not allowed in a condition expression; function: {name}")
    if name not in CONDITION_FUNCTIONS:
        raise ExpressionError(f"Invalid function name; function: {name}")


def _function(tokens: Tokens) -> Bind:
    name = tokens.take().text
    require_condition_function(name)
    tokens.expect("(")
    operands = [operand(tokens)]
    while tokens.take_if(","):
        operands.append(operand(tokens))
    tokens.expect(")")
    if len(operands) != _FUNCTIONS[name]:
        raise ExpressionError(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {name}, number of operands: {len(operands)}"
        )
    if name.startswith("attribute") and operands[0].kind != "path":
        raise ExpressionError(f"Operator or function requires a document path; operator or function: {name}")
    return _BINDERS[name](*operands)


def operand(tokens: Tokens) -> Operand:
    """Reads an operand, which may be in parentheses."""
    inner = _operand_in_parentheses(tokens)
    if inner is not None:
        return inner
    if tokens.next.kind == "value":
        return Operand("value", placeholder=tokens.take().text)
    return _size(tokens) if tokens.is_call else Operand("path", tokens.path())


def _size(tokens: Tokens) -> Operand:
    """Reads the only function that is an operand."""
    name = tokens.take().text
    require_condition_function(name)
    if name != "size":
        raise ExpressionError(
            f"The function is not allowed to be used this way in an expression; function: {name}"
        )
    tokens.expect("(")
    subject = operand(tokens)
    tokens.expect(")")
    if subject.kind == "size":
        raise ExpressionError(
            "Incorrect operand type for operator or function; operator or function: size, operand type: N"
        )
    return subject._replace(kind="size")


def _comparison(tokens: Tokens, first: Operand) -> Bind:
    symbol = tokens.take_if(*COMPARATORS)
    if symbol is not None:
        return _compared(symbol.text, first, operand(tokens))
    if tokens.take_if("BETWEEN"):
        low = operand(tokens)
        tokens.expect("AND")
        return _between(first, low, operand(tokens))
    tokens.expect("IN")
    tokens.expect("(")
    members = [operand(tokens)]
    while tokens.take_if(","):
        members.append(operand(tokens))
    tokens.expect(")")
    if len(members) > MAX_IN_OPERANDS:
        raise ExpressionError(
            f"The IN operator is provided with too many operands; number of operands: {len(members)}"
        )
    return _among(first, members)


# --- the conditions -----------------------------------------------------------------------------------------


def _require_distinct(name: str, scope: Scope, first: Operand, *rest: Operand) -> None:
    """Refuses an operator or a function that gets the same path twice."""
    if first.kind != "path":
        return
    path = scope.with_names(first.path)
    if any(part.kind == "path" and scope.with_names(part.path) == path for part in rest):
        raise ExpressionError(
            "The first operand must be distinct from the remaining operands for this operator or function; "
            f"operator: {name}, first operand: {path_text(path)}"
        )


def _require_types(name: str, scope: Scope, types: tuple[str, ...], *operands: Operand) -> None:
    """Refuses values of the request that an operator or a function cannot take."""
    for part in operands:
        code = part.type_in(scope)
        if code is not None and code not in types:
            raise ExpressionError(
                "Incorrect operand type for operator or function; "
                f"operator or function: {name}, operand type: {code}"
            )


def _compared(symbol: str, first: Operand, second: Operand) -> Bind:
    compare = _equals if symbol == "=" else _differs if symbol == "<>" else _in_order(_ORDERS[symbol])

    def bind(scope: Scope) -> Predicate:
        read_first, read_second = first.bind(scope), second.bind(scope)
        _require_distinct(symbol, scope, first, second)
        if symbol in _ORDERS:
            _require_types(symbol, scope, ORDERED_TYPES, first, second)
        return lambda item: compare(read_first(item), read_second(item))

    return bind


def _equals(first: Value | None, second: Value | None) -> bool:
    return first is not None and second is not None and are_equal(first, second)


def _differs(first: Value | None, second: Value | None) -> bool:
    return first is None or second is None or not are_equal(first, second)


def _in_order(order: Callable[[Any, Any], bool]) -> Callable[[Value | None, Value | None], bool]:
    def compare(first: Value | None, second: Value | None) -> bool:
        if first is None or second is None:
            return False
        code = type_of(first)
        if code != type_of(second) or code not in ORDERED_TYPES:
            return False
        return order(sort_value(first), sort_value(second))

    return compare


_is_at_most: Final = _in_order(operator.le)


def _between(subject: Operand, low: Operand, high: Operand) -> Bind:
    def bind(scope: Scope) -> Predicate:
        read, read_low, read_high = subject.bind(scope), low.bind(scope), high.bind(scope)
        _require_distinct("BETWEEN", scope, subject, low, high)
        _require_types("BETWEEN", scope, ORDERED_TYPES, subject, low, high)
        if low.kind == high.kind == "value":
            require_bounds(scope.value(low.placeholder), scope.value(high.placeholder))

        def test(item: Item) -> bool:
            value = read(item)
            return _is_at_most(read_low(item), value) and _is_at_most(value, read_high(item))

        return test

    return bind


def require_bounds(low: Value, high: Value) -> None:
    """Refuses bounds of BETWEEN of two types, or in the wrong order."""
    bounds = (
        f"lower bound operand: AttributeValue: {_shown(low)}, "
        f"upper bound operand: AttributeValue: {_shown(high)}"
    )
    if type_of(low) != type_of(high):
        raise ExpressionError(
            f"The BETWEEN operator requires same data type for lower and upper bounds; {bounds}"
        )
    if _in_order(operator.gt)(low, high):
        raise ExpressionError(
            f"The BETWEEN operator requires upper bound to be greater than or equal to lower bound; {bounds}"
        )


def _shown(value: Value) -> str:
    ((code, member),) = value.items()
    return f"{{{code}:{member}}}"


def _among(subject: Operand, members: list[Operand]) -> Bind:
    def bind(scope: Scope) -> Predicate:
        read, reads = subject.bind(scope), [member.bind(scope) for member in members]
        _require_distinct("IN", scope, subject, *members)
        return lambda item: any(_equals(read(item), member(item)) for member in reads)

    return bind


def _exists(subject: Operand) -> Bind:
    def bind(scope: Scope) -> Predicate:
        read = subject.bind(scope)
        return lambda item: read(item) is not None

    return bind


def _not_exists(subject: Operand) -> Bind:
    def bind(scope: Scope) -> Predicate:
        read = subject.bind(scope)
        return lambda item: read(item) is None

    return bind


def _has_type(subject: Operand, code: Operand) -> Bind:
    def bind(scope: Scope) -> Predicate:
        read = subject.bind(scope)
        code.bind(scope)
        _require_distinct("attribute_type", scope, subject, code)
        expected = _type_name(code, scope)

        def test(item: Item) -> bool:
            value = read(item)
            return value is not None and type_of(value) == expected

        return test

    return bind


def _type_name(operand: Operand, scope: Scope) -> str:
    """The type that `attribute_type` asks for, which has to be a text of the request."""
    if operand.kind == "path":
        raise ExpressionError(
            "Incorrect operand type for operator or function; "
            f"operator or function: attribute_type, operand type: {_ALL_TYPES}"
        )
    _require_types("attribute_type", scope, ("S",), operand)
    name: str = scope.value(operand.placeholder)["S"]
    if name not in _ALL_TYPES[1:-1].split(","):
        raise ExpressionError(f"Invalid attribute type name found; type: {name}, valid types: {_ALL_TYPES}")
    return name


def _begins_with(subject: Operand, prefix: Operand) -> Bind:
    def bind(scope: Scope) -> Predicate:
        read, read_prefix = subject.bind(scope), prefix.bind(scope)
        _require_distinct("begins_with", scope, subject, prefix)
        _require_types("begins_with", scope, ("S", "B"), subject, prefix)
        return lambda item: _begins(read(item), read_prefix(item))

    return bind


def _begins(value: Value | None, prefix: Value | None) -> bool:
    if value is None or prefix is None:
        return False
    if "S" in value and "S" in prefix:
        return bool(value["S"].startswith(prefix["S"]))
    return "B" in value and "B" in prefix and b64decode(value["B"]).startswith(b64decode(prefix["B"]))


def _contains(container: Operand, part: Operand) -> Bind:
    def bind(scope: Scope) -> Predicate:
        read, read_part = container.bind(scope), part.bind(scope)
        _require_distinct("contains", scope, container, part)
        return lambda item: holds(read(item), read_part(item))

    return bind


def holds(container: Value | None, part: Value | None) -> bool:
    """Whether a text contains a text, or a set or a list a member.

    >>> holds({"SS": ["a"]}, {"S": "a"}), holds({"S": "a1"}, {"N": "1"})
    (True, False)
    """
    if container is None or part is None:
        return False
    ((code, value),) = container.items()
    ((part_code, part_value),) = part.items()
    if code == "S":
        return part_code == "S" and part_value in value
    if code == "B":
        return part_code == "B" and b64decode(part_value) in b64decode(value)
    if code == "L":
        return any(are_equal(member, part) for member in value)
    return len(code) == 2 and code[0] == part_code and code[1] == "S" and part_value in value


_BINDERS: Final[dict[str, Callable[..., Bind]]] = {
    "attribute_exists": _exists,
    "attribute_not_exists": _not_exists,
    "attribute_type": _has_type,
    "begins_with": _begins_with,
    "contains": _contains,
}
