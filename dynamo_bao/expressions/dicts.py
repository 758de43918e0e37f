"""Conditions written as dicts: ``{"age": {"$gte": 25}, "$or": [{"status": "a"}, {"status": "b"}]}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynamo_bao.errors import QueryError, ValidationError, suggestion
from dynamo_bao.expressions.conditions import (
    EMPTY,
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
)
from dynamo_bao.wire import MAX_IN_OPERANDS

COMPARISONS = {"$eq": "=", "$ne": "<>", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_CAMEL = {"$beginsWith": "$begins_with", "$notContains": "$not_contains"}
_TYPE_CODES = ("S", "N", "B", "SS", "NS", "BS", "BOOL", "NULL", "M", "L")


class OperandError(ValidationError, QueryError):
    """A value that an operator does not take."""

    def __init__(self, message: str, field: str | None = None, value: object = None) -> None:
        ValidationError.__init__(self, message, field, value)
        self.index = None


def condition_from(given: Mapping[str, object] | Condition | None) -> Condition:
    """The condition for what a caller gave: a dict, a condition, or None for the neutral one.

    Raises:
        QueryError: for an operator that does not exist, or one that does not take its value.
    """
    if given is None:
        return EMPTY
    if isinstance(given, Condition):
        return given
    if not isinstance(given, Mapping):
        raise QueryError(
            f"A condition is a dict or an expression such as User.fields.age > 3, not {type(given).__name__}."
        )
    return all_of(_entry(name, value) for name, value in given.items())


def _entry(name: object, value: object) -> Condition:
    if not isinstance(name, str):
        raise QueryError(f"A condition's keys are field names and operators, not {name!r}.")
    if name in ("$and", "$or"):
        if not isinstance(value, (list, tuple)) or not value:
            raise QueryError(f"{name} requires an array of conditions, at least one.")
        parts = [condition_from(part) for part in value]
        return all_of(parts) if name == "$and" else any_of(parts)
    if name == "$not":
        inner = condition_from(value)  # type: ignore[arg-type]
        if inner == EMPTY:
            raise QueryError("$not requires a condition to negate.")
        return ~inner
    if name.startswith("$"):
        raise QueryError(f"Invalid operator {name!r}.{suggestion(name, ('$and', '$or', '$not'))}")
    return _field(name, value)


def _field(path: str, value: object) -> Condition:
    if value is None:
        return Negation(Exists(path))
    if isinstance(value, Condition):
        raise QueryError(
            f"{path!r} maps to an expression; combine dicts and expressions in a list under $and."
        )
    if not isinstance(value, Mapping):
        return Compare(path, "=", value)
    if not value:
        raise QueryError(f"Empty condition object for field {path!r}.", field=path)
    return all_of(_operation(path, operator, operand) for operator, operand in value.items())


def _operation(path: str, operator: str, operand: object) -> Condition:
    name = _CAMEL.get(operator, operator)
    if name in COMPARISONS:
        return _comparison(path, name, operand)
    build = _BUILDERS.get(name)
    if build is None:
        hint = suggestion(str(operator), (*COMPARISONS, *_BUILDERS))
        raise QueryError(f"Invalid operator {operator!r} for field {path!r}.{hint}", field=path)
    return build(path, operand)


def _comparison(path: str, name: str, operand: object) -> Condition:
    if operand is not None:
        return Compare(path, COMPARISONS[name], operand)
    if name == "$eq":
        return Negation(Exists(path))
    if name == "$ne":
        return Exists(path)
    raise OperandError(
        f"{name} on {path!r} needs a value, not None; {{'$exists': False}} finds absent ones.", path
    )


def _between(path: str, operand: object) -> Condition:
    if not isinstance(operand, (list, tuple)) or len(operand) != 2 or None in operand:
        raise OperandError(f"$between on {path!r} requires an array with exactly 2 elements.", path, operand)
    return Between(path, operand[0], operand[1])


def _in(path: str, operand: object) -> Condition:
    if not isinstance(operand, (list, tuple, set, frozenset)):
        raise OperandError(f"$in on {path!r} requires an array, not {type(operand).__name__}.", path, operand)
    if not operand:
        raise OperandError(f"$in on {path!r} has no values: it would match nothing.", path, operand)
    if len(operand) > MAX_IN_OPERANDS:
        raise OperandError(
            f"$in on {path!r} has {len(operand)} values; DynamoDB takes {MAX_IN_OPERANDS}. Ask in several queries.",
            path,
        )
    return In(path, tuple(operand))


def _exists(path: str, operand: object) -> Condition:
    if not isinstance(operand, bool):
        raise OperandError(
            f"$exists on {path!r} takes True or False, not {type(operand).__name__}.", path, operand
        )
    return Exists(path) if operand else Negation(Exists(path))


def _type(path: str, operand: object) -> Condition:
    if operand not in _TYPE_CODES:
        raise OperandError(f"$type on {path!r} takes one of {', '.join(_TYPE_CODES)}.", path, operand)
    return HasType(path, str(operand))


def _size(path: str, operand: object) -> Condition:
    operator = "$eq"
    if isinstance(operand, Mapping):
        if len(operand) != 1 or next(iter(operand)) not in COMPARISONS:
            raise OperandError(
                f"$size on {path!r} takes a number or one of {', '.join(COMPARISONS)} with a number.",
                path,
                operand,
            )
        operator, operand = next(iter(operand.items()))
    if isinstance(operand, bool) or not isinstance(operand, int):
        raise OperandError(
            f"$size on {path!r} compares with a whole number, not {type(operand).__name__}.", path, operand
        )
    return Size(path, COMPARISONS[operator], operand)


def _negated(path: str, operand: object) -> Condition:
    if not isinstance(operand, Mapping):
        raise OperandError(f"$not on {path!r} takes an operator object such as {{'$gt': 3}}.", path, operand)
    return ~_field(path, operand)


_BUILDERS: dict[str, Callable[[str, object], Condition]] = {
    "$between": _between,
    "$in": _in,
    "$exists": _exists,
    "$type": _type,
    "$size": _size,
    "$not": _negated,
    "$begins_with": BeginsWith,
    "$contains": Contains,
    "$not_contains": lambda path, value: Negation(Contains(path, value)),
}
