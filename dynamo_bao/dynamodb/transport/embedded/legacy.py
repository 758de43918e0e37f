"""DynamoDB's older parameters, which expressions have replaced: ``Expected``, ``QueryFilter`` and others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.errors import INVALID_VALUE, invalid
from dynamo_bao.dynamodb.transport.embedded.expressions.conditions import Predicate, parsed_condition
from dynamo_bao.dynamodb.transport.embedded.expressions.key_conditions import KeyPart
from dynamo_bao.dynamodb.transport.embedded.expressions.scope import Scope
from dynamo_bao.dynamodb.transport.embedded.expressions.updates import added, without_members
from dynamo_bao.dynamodb.transport.embedded.values import (
    SET_TYPES,
    Item,
    Value,
    set_fault,
    sort_value,
    type_of,
)

_SYMBOLS: Final = {"EQ": "=", "NE": "<>", "LE": "<=", "LT": "<", "GE": ">=", "GT": ">"}
_TEMPLATES: Final = {
    "NULL": "attribute_not_exists(#a)",
    "NOT_NULL": "attribute_exists(#a)",
    "BEGINS_WITH": "begins_with(#a, :v0)",
    "CONTAINS": "contains(#a, :v0)",
    "NOT_CONTAINS": "attribute_exists(#a) AND NOT contains(#a, :v0)",
    "BETWEEN": "#a BETWEEN :v0 AND :v1",
    **{operator: f"#a {symbol} :v0" for operator, symbol in _SYMBOLS.items()},
}
_KEY_SYMBOLS: Final = {
    **{operator: symbol for operator, symbol in _SYMBOLS.items() if operator != "NE"},
    "BEGINS_WITH": "begins_with",
    "BETWEEN": "BETWEEN",
}
_ARGUMENT_COUNTS: Final = {"NULL": 0, "NOT_NULL": 0, "BETWEEN": 2}
_TYPES: Final = {
    **dict.fromkeys(("LT", "LE", "GT", "GE", "IN", "BETWEEN"), ("S", "N", "B")),
    "BEGINS_WITH": ("S", "B"),
    **dict.fromkeys(("CONTAINS", "NOT_CONTAINS"), ("S", "N", "B", "BOOL", "NULL")),
}
"""The types that an operator can take; all for others."""


def legacy_condition(conditions: Mapping[str, Mapping[str, Any]], joiner: str | None) -> Predicate:
    """The test of ``Expected``, ``QueryFilter`` or ``ScanFilter``.

    Args:
        conditions: the parameter.
        joiner: the ``ConditionalOperator``.
    """
    tests = [_test(name, condition) for name, condition in conditions.items()]
    if joiner == "OR" and tests:
        return lambda item: any(test(item) for test in tests)
    return lambda item: all(test(item) for test in tests)


def _test(name: str, condition: Mapping[str, Any]) -> Predicate:
    operator = condition.get("ComparisonOperator")
    values = _values(condition)
    if operator is None:
        operator = "NULL" if condition.get("Exists") is False else "EQ"
    template = (
        _TEMPLATES.get(operator) or f"#a IN ({', '.join(f':v{number}' for number in range(len(values)))})"
    )
    return parsed_condition(template)(
        Scope({"#a": name}, {f":v{number}": value for number, value in enumerate(values)})
    )


def _values(condition: Mapping[str, Any]) -> list[Value]:
    """The values that a condition compares with."""
    return [condition["Value"]] if "Value" in condition else condition.get("AttributeValueList", [])


def require_expected(expected: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses conditions of ``Expected`` whose members contradict each other."""
    for name, condition in expected.items():
        fault = _contradiction(condition)
        if fault is not None:
            raise invalid(f"{INVALID_VALUE}{fault} for Attribute: {name}")
        operator, values = condition.get("ComparisonOperator"), _values(condition)
        if operator is not None and not values and _ARGUMENT_COUNTS.get(operator, 1):
            raise invalid(
                f"{INVALID_VALUE}Value or AttributeValueList must be used with ComparisonOperator: {operator} "
                f"for Attribute: {name}"
            )
        _require_arguments(operator, values)


def _contradiction(condition: Mapping[str, Any]) -> str | None:
    has_value, has_list = "Value" in condition, "AttributeValueList" in condition
    has_operator, exists = "ComparisonOperator" in condition, condition.get("Exists")
    if exists is not None and has_operator:
        return "Exists and ComparisonOperator cannot be used together"
    if has_value and has_list:
        return "Value and AttributeValueList cannot be used together"
    if has_list and not has_operator:
        return "AttributeValueList can only be used with a ComparisonOperator"
    if exists is True and not has_value:
        return "Value must be provided when Exists is true"
    if exists is False and has_value:
        return "Value cannot be used when Exists is false"
    if not (has_value or has_operator or has_list) and exists is None:
        return "Value must be provided when Exists is null"
    return None


def require_filter(conditions: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses conditions of ``QueryFilter``, ``ScanFilter`` or ``KeyConditions`` with wrong values."""
    for condition in conditions.values():
        _require_arguments(condition["ComparisonOperator"], _values(condition))


def _require_arguments(operator: str | None, values: list[Value]) -> None:
    """Refuses values that a condition cannot have; without an operator, those that no attribute can have."""
    for value in values:
        _require_set(value)
    if operator is None:
        return
    if len(values) != _ARGUMENT_COUNTS.get(operator, 1) and not (operator == "IN" and values):
        raise invalid(f"{INVALID_VALUE}Invalid number of argument(s) for the {operator} ComparisonOperator")
    codes = [type_of(value) for value in values]
    if len(set(codes)) > 1:
        raise invalid(f"{INVALID_VALUE}AttributeValues inside AttributeValueList must be of same type")
    for code in codes:
        if code not in _TYPES.get(operator, (code,)):
            raise invalid(
                f"{INVALID_VALUE}ComparisonOperator {operator} is not valid for {code} AttributeValue type"
            )
    if operator == "BETWEEN" and sort_value(values[0]) > sort_value(values[1]):
        raise invalid(
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
        )


def _require_set(value: Value) -> None:
    """Refuses a set that is empty, or has a member twice."""
    ((code, member),) = value.items()
    fault = set_fault(code, member) if code in SET_TYPES else None
    if fault is not None:
        raise invalid(fault)


def legacy_key_condition(conditions: Mapping[str, Mapping[str, Any]]) -> list[KeyPart]:
    """The conditions of ``KeyConditions``."""
    return [
        KeyPart(name, _KEY_SYMBOLS.get(condition["ComparisonOperator"]), tuple(_values(condition)))
        for name, condition in conditions.items()
    ]


# --- AttributeUpdates ---------------------------------------------------------------------------------------


def require_updates(updates: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses changes of ``AttributeUpdates`` whose action cannot have their value."""
    for name, update in updates.items():
        action, value = update.get("Action", "PUT"), update.get("Value")
        if value is not None:
            _require_set(value)
        if action not in ("ADD", "PUT", "DELETE"):
            raise invalid(
                f"1 validation error detected: Value '{action}' at 'attributeUpdates.{name}.member.action' "
                "failed to satisfy constraint: Member must satisfy enum value set: [ADD, PUT, DELETE]"
            )
        if value is None:
            if action != "DELETE":
                raise invalid(
                    f"{INVALID_VALUE}Only DELETE action is allowed when no attribute value is specified"
                )
        elif action == "DELETE" and type_of(value) not in SET_TYPES:
            raise invalid(
                f"{INVALID_VALUE}DELETE action with value is not supported for the type {type_of(value)}"
            )
        elif action == "ADD" and type_of(value) not in ("N", "L", *SET_TYPES):
            raise invalid(f"{INVALID_VALUE}ADD action is not supported for the type {type_of(value)}")


def updated(item: Item, updates: Mapping[str, Mapping[str, Any]]) -> Item:
    """An item with the changes of ``AttributeUpdates``."""
    new_item = dict(item)
    for name, update in updates.items():
        action, value = update.get("Action", "PUT"), update.get("Value")
        new_value = None if value is None else _changed(item.get(name), action, value)
        if new_value is None:
            new_item.pop(name, None)
        else:
            new_item[name] = new_value
    return new_item


def _changed(existing: Value | None, action: str, value: Value) -> Value | None:
    if action == "PUT":
        return value
    if existing is not None and type_of(existing) != type_of(value):
        raise invalid("Type mismatch for attribute to update")
    return added(existing, value) if action == "ADD" else without_members(existing, value)
