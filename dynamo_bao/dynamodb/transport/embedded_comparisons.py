"""Conditions of the embedded engine, compared as DynamoDB compares: by type first, and never with an error.

moto compares Python's values, so a number compared with a text is a ``TypeError``, and True equals 1. Only conditions
of the embedded engine are compared by type; moto's conditions for other clients of the process do not change.
"""

from __future__ import annotations

import operator
import threading
from base64 import b64decode
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from moto.dynamodb.models.dynamo_type import DynamoType, Item

_ORDERED: Final = ("S", "N", "B")
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Typed = tuple[str, Any]
"""A value with the code of its type, so that values of different types are never equal."""


P = ParamSpec("P")
T = TypeVar("T")


class _Parser(Protocol):
    """moto's parser of a condition expression."""

    parse: Callable[[], object]


class _EngineCount(threading.local):
    """How many embedded engines are answering in this thread."""

    engines = 0


_engine_count = _EngineCount()


class compared_by_type:  # used as a block: with compared_by_type()
    """A block in which moto compares conditions by type."""

    def __enter__(self) -> None:
        _install()
        _engine_count.engines += 1

    def __exit__(self, *_: object) -> None:
        _engine_count.engines -= 1


def typed_value(code: str, value: Any) -> Typed:
    """A stored value in a form that can be compared.

    >>> typed_value("N", "1.0") == typed_value("N", "1"), typed_value("N", "1") == typed_value("BOOL", True)
    (True, False)
    """
    if code == "N":
        return code, Decimal(value)
    if code == "B":
        return code, value if isinstance(value, bytes) else b64decode(value)
    if code in ("SS", "NS", "BS"):
        return code, frozenset(typed_value(code[0], member) for member in value)
    if code == "L":
        return code, tuple(map(_typed_member, value))
    if code == "M":
        return code, {name: _typed_member(member) for name, member in value.items()}
    return code, value


def _typed_member(member: Mapping[str, object] | DynamoType) -> Typed:
    if isinstance(member, Mapping):
        ((code, value),) = member.items()
        return typed_value(code, value)
    return typed_value(member.type, member.value)


def size_of(value: Typed | None) -> int | None:
    """The size of a value; None for a value without a size.

    >>> size_of(("S", "é")), size_of(("N", Decimal(5))), size_of(None)
    (1, None, None)
    """
    if value is None or value[0] in ("N", "BOOL", "NULL"):
        return None
    return len(value[1])


@cache
def _install() -> None:
    """Patches moto, once for the process, so that the conditions of embedded engines are compared by type."""
    from moto.dynamodb import models, responses
    from moto.dynamodb.models import table

    kinds = _kinds()

    def retyped(parsed: T) -> T:
        if _engine_count.engines:
            _retype(parsed, kinds)
        return parsed

    def retyping(original: Callable[P, T]) -> Callable[P, T]:
        return lambda *arguments, **options: retyped(original(*arguments, **options))

    def with_retyping_parser(original: Callable[P, _Parser]) -> Callable[P, _Parser]:
        def create(*arguments: P.args, **options: P.kwargs) -> _Parser:
            parser = original(*arguments, **options)
            parser.parse = retyping(parser.parse)
            return parser

        return create

    for module in (models, table, responses):
        _replace(module, "get_filter_expression", retyping)
        _replace(module, "create_condition_expression_parser", with_retyping_parser)


def _replace(module: ModuleType, name: str, wrap: Callable[[Callable[..., Any]], object]) -> None:
    if hasattr(module, name):
        setattr(module, name, wrap(getattr(module, name)))


def _retype(node: object, kinds: Mapping[type[object], type[object]]) -> None:
    """Gives the nodes of a condition the classes that compare by type."""
    node.__class__ = kinds.get(type(node), type(node))
    for part in vars(node).values():
        for member in part if isinstance(part, (tuple, list)) else (part,):
            if hasattr(member, "expr"):
                _retype(member, kinds)


def _kinds() -> dict[type[object], type[object]]:
    """For each class of moto's conditions, the subclass that compares by type."""
    from moto.dynamodb import comparisons as theirs

    def value_of(node: Any, item: Item) -> Typed | None:
        if isinstance(node, theirs.FuncSize):
            size = size_of(value_of(node.attr, item))
            return None if size is None else ("N", Decimal(size))
        if isinstance(node, theirs.AttributePath):
            attribute = node._get_attr(item)
            return None if attribute is None else typed_value(attribute.type, attribute.value)
        return typed_value(node.type, node.value)

    def ordered(symbol: str) -> Callable[[Any, Item], bool]:
        def expr(self: Any, item: Item) -> bool:
            return _in_order(symbol, value_of(self.lhs, item), value_of(self.rhs, item))

        return expr

    def equal(self: Any, item: Item) -> bool:
        value = value_of(self.lhs, item)
        return value is not None and value == value_of(self.rhs, item)

    def different(self: Any, item: Item) -> bool:
        return value_of(self.lhs, item) != value_of(self.rhs, item)

    def between(self: Any, item: Item) -> bool:
        value = value_of(self.attr, item)
        low, high = value_of(self.start, item), value_of(self.end, item)
        return _in_order("<=", low, value) and _in_order("<=", value, high)

    def among(self: Any, item: Item) -> bool:
        value = value_of(self.attr, item)
        return value is not None and any(value == value_of(member, item) for member in self.possible_values)

    def contains(self: Any, item: Item) -> bool:
        return _contains(value_of(self.attr, item), value_of(self.operand, item))

    methods: dict[type[object], Callable[[Any, Item], bool]] = {
        theirs.OpEqual: equal,
        theirs.OpNotEqual: different,
        theirs.FuncBetween: between,
        theirs.FuncIn: among,
        theirs.FuncContains: contains,
    }
    methods |= {theirs.COMPARATOR_CLASS[symbol]: ordered(symbol) for symbol in _ORDERS}
    return {kind: type(kind.__name__, (kind,), {"expr": expr}) for kind, expr in methods.items()}


def _in_order(symbol: str, low: Typed | None, high: Typed | None) -> bool:
    if low is None or high is None or low[0] != high[0] or low[0] not in _ORDERED:
        return False
    return bool(_ORDERS[symbol](low[1], high[1]))


def _contains(container: Typed | None, part: Typed | None) -> bool:
    if container is None or part is None:
        return False
    code, value = container
    if code in ("S", "B"):
        return part[0] == code and part[1] in value
    return code in ("SS", "NS", "BS", "L") and part in value
