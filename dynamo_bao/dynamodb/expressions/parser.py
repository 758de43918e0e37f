"""Conditions written as dicts: ``{"age": {"$gte": 25}, "$or": [{"status": "a"}, {"status": "b"}]}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dynamo_bao.dynamodb.expressions.conditions import (
    EMPTY,
    MAX_DEPTH,
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
    all_of,
    any_of,
    equality,
    too_deep,
)
from dynamo_bao.dynamodb.expressions.paths import OperandError, PathLike, UserPath, path_text
from dynamo_bao.dynamodb.service import MAX_IN_OPERANDS
from dynamo_bao.errors import QueryError, suggestion
from dynamo_bao.runtime.records import frozen

COMPARISONS = {"$eq": "=", "$ne": "<>", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_CAMEL = {"$beginsWith": "$begins_with", "$notContains": "$not_contains"}
_TYPE_CODES = ("S", "N", "B", "SS", "NS", "BS", "BOOL", "NULL", "M", "L")


@frozen
class Value:
    """A plain value inside a filter dict. It is compared as it is, and never read as operators.

    Args:
        value: the value to compare with, such as a member of a request's JSON.

    Example:
        >>> Account.query_by_index("by_status", "active", filter={"secret": Value(body["secret"])})
    """

    value: object


def where(values: Mapping[Any, object] | None = None, /, **fields: object) -> Condition:
    """The condition that fields equal values, for ``filter=`` and ``condition=``. A value is never an operator.

    Args:
        values: values by path, for names that cannot be keyword arguments, and for parts of maps. Never pass the
            dict of a request: its keys would be paths.
        **fields: values by field; None for a field without a stored value.

    Returns:
        The condition; combine it with others by ``&`` and ``|``.

    Raises:
        QueryError: for a key that is not a path.

    Example:
        >>> account.save(condition=where(status="open"))
        >>> Account.query_by_index("by_status", "active", filter=where(secret=body["secret"]))
    """
    values_by_path: dict[Any, object] = {**({} if values is None else values), **fields}
    paths: list[UserPath] = []
    for path in values_by_path:
        if isinstance(path, PathLike):
            paths.append(path.steps)
        elif not isinstance(path, str) or path.startswith("$"):
            raise QueryError(f"where() takes values by field, and {path!r} is not a field.")
        else:
            paths.append(path)
    return all_of(
        equality(path, plain_operand(value))
        for path, value in zip(paths, values_by_path.values(), strict=True)
    )


def plain_operand(value: object) -> object:
    """The value to compare with, taken out of a `Value`."""
    return value.value if isinstance(value, Value) else value


def condition_from(
    conditions: Mapping[str, object] | Condition | None, strict: bool = False, depth: int = 0
) -> Condition:
    """The condition for an argument of a caller.

    Args:
        conditions: a dict, a condition, or None for the neutral condition.
        strict: whether dicts may only compare fields with values, without operators.
        depth: the number of dicts around this one.

    Raises:
        QueryError: for an unknown operator, for a value that its operator does not accept, and for any operator if
            `strict` is true.
    """
    if conditions is None:
        return EMPTY
    if isinstance(conditions, Condition):
        return conditions
    if not isinstance(conditions, Mapping):
        raise QueryError(
            f"A condition is a dict or an expression such as User.fields.age > 3, not {type(conditions).__name__}."
        )
    if depth > MAX_DEPTH:
        raise too_deep()
    return all_of(_parse_entry(name, value, strict, depth + 1) for name, value in conditions.items())


def _parse_entry(name: object, value: object, strict: bool, depth: int) -> Condition:
    if isinstance(name, PathLike):
        return _parse_field(name.steps, value, strict, depth)
    if not isinstance(name, str):
        raise QueryError(f"A condition's keys are field names and operators, not {name!r}.")
    if strict and name.startswith("$"):
        raise _not_strict(name)
    if name in ("$and", "$or"):
        if not isinstance(value, (list, tuple)) or not value:
            raise QueryError(f"{name} requires an array of conditions, at least one.")
        parts = [condition_from(part, strict, depth) for part in value]
        return all_of(parts) if name == "$and" else any_of(parts)
    if name == "$not":
        inner = condition_from(value, strict, depth)  # type: ignore[arg-type]
        if inner == EMPTY:
            raise QueryError("$not requires a condition to negate.")
        return ~inner
    if name.startswith("$"):
        raise QueryError(f"Invalid operator {name!r}.{suggestion(name, ('$and', '$or', '$not'))}")
    return _parse_field(name, value, strict, depth)


def _not_strict(path: UserPath) -> OperandError:
    return OperandError(
        f"strict_filters is set, so no dict is read as operators, and {path_text(path)!r} has one. Write an "
        f"expression (User.fields.age > 3) or where(age=3); Value(v) makes a dict a plain value.",
        path,
    )


def _parse_field(path: UserPath, value: object, strict: bool, depth: int) -> Condition:
    if value is None:
        return Negation(Exists(path))
    if isinstance(value, Value):
        return equality(path, value.value)
    if isinstance(value, Condition):
        raise QueryError(
            f"{path_text(path)!r} maps to an expression; combine dicts and expressions in a list under $and."
        )
    if not isinstance(value, Mapping):
        return Compare(path, "=", value)
    if strict:
        raise _not_strict(path)
    if not value:
        raise QueryError(f"Empty condition object for field {path_text(path)!r}.", field=path_text(path))
    if depth > MAX_DEPTH:
        raise too_deep()
    return all_of(operation(path, operator, operand, depth) for operator, operand in value.items())


def operation(path: UserPath, operator: str, operand: object, depth: int = 0) -> Condition:
    """The condition of one operator, such as ``"$gt"``, on a field."""
    name = _CAMEL.get(operator, operator)
    operand = plain_operand(operand)
    if name in COMPARISONS:
        return _comparison(path, name, operand)
    if name == "$not":
        if not isinstance(operand, Mapping):
            raise OperandError(
                f"$not on {path_text(path)!r} takes an operator object such as {{'$gt': 3}}.", path, operand
            )
        return ~_parse_field(path, operand, False, depth + 1)
    build = _BUILDERS.get(name)
    if build is None:
        hint = suggestion(str(operator), (*COMPARISONS, *_BUILDERS, "$not"))
        raise QueryError(
            f"Invalid operator {operator!r} for field {path_text(path)!r}.{hint}", field=path_text(path)
        )
    return build(path, operand)


def _comparison(path: UserPath, name: str, operand: object) -> Condition:
    if operand is not None:
        return Compare(path, COMPARISONS[name], operand)
    if name == "$eq":
        return Negation(Exists(path))
    if name == "$ne":
        return Exists(path)
    raise OperandError(
        f"{name} on {path_text(path)!r} needs a value, not None; {{'$exists': False}} finds absent ones.",
        path,
    )


def _between(path: UserPath, operand: object) -> Condition:
    if not isinstance(operand, (list, tuple)) or len(operand) != 2 or any(end is None for end in operand):
        raise OperandError(
            f"$between on {path_text(path)!r} requires an array with exactly 2 elements.", path, operand
        )
    return Between(path, plain_operand(operand[0]), plain_operand(operand[1]))


def _in(path: UserPath, operand: object) -> Condition:
    if not isinstance(operand, (list, tuple, set, frozenset)):
        raise OperandError(
            f"$in on {path_text(path)!r} requires an array, not {type(operand).__name__}.", path, operand
        )
    if not operand:
        raise OperandError(
            f"$in on {path_text(path)!r} has no values: it would match nothing.", path, operand
        )
    if len(operand) > MAX_IN_OPERANDS:
        raise OperandError(
            f"$in on {path_text(path)!r} has {len(operand)} values; at most {MAX_IN_OPERANDS} go in one query.",
            path,
        )
    return In(path, tuple(map(plain_operand, operand)))


def _exists(path: UserPath, operand: object) -> Condition:
    if not isinstance(operand, bool):
        raise OperandError(
            f"$exists on {path_text(path)!r} takes True or False, not {type(operand).__name__}.",
            path,
            operand,
        )
    return Exists(path) if operand else Negation(Exists(path))


def _type(path: UserPath, operand: object) -> Condition:
    if operand not in _TYPE_CODES:
        raise OperandError(
            f"$type on {path_text(path)!r} takes one of {', '.join(_TYPE_CODES)}.", path, operand
        )
    return HasType(path, str(operand))


def _size(path: UserPath, operand: object) -> Condition:
    operator = "$eq"
    if isinstance(operand, Mapping):
        if len(operand) != 1 or next(iter(operand)) not in COMPARISONS:
            raise OperandError(
                f"$size on {path_text(path)!r} takes a number or one of {', '.join(COMPARISONS)} with a number.",
                path,
                operand,
            )
        operator, operand = next(iter(operand.items()))
    return size_compared(path, operator, plain_operand(operand))


def size_compared(path: UserPath, operator: str, number: object) -> Condition:
    """The condition that compares the size of the value at a path, by an operator such as ``"$gt"``."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise OperandError(
            f"$size on {path_text(path)!r} compares with a whole number, not {type(number).__name__}.",
            path,
            number,
        )
    return Size(path, COMPARISONS[operator], number)


_BUILDERS: dict[str, Callable[[Any, object], Condition]] = {
    "$between": _between,
    "$in": _in,
    "$exists": _exists,
    "$type": _type,
    "$size": _size,
    "$begins_with": BeginsWith,
    "$contains": Contains,
    "$not_contains": lambda path, value: Negation(Contains(path, value)),
}
