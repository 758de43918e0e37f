"""The expressions of a request, with their names and values; and the older parameters that exclude them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from dynamo_bao.dynamodb.transport.embedded.errors import INVALID_VALUE, RequestError, invalid
from dynamo_bao.dynamodb.transport.embedded.expressions.conditions import Predicate, parsed_condition
from dynamo_bao.dynamodb.transport.embedded.expressions.projections import (
    Project,
    bound_projection,
    parsed_projection,
    projection,
)
from dynamo_bao.dynamodb.transport.embedded.expressions.scope import Scope
from dynamo_bao.dynamodb.transport.embedded.expressions.tokens import ExpressionError
from dynamo_bao.dynamodb.transport.embedded.values import (
    SET_TYPES,
    Value,
    require_shallow,
    set_fault,
    with_key_name,
)

T = TypeVar("T")
Request = Mapping[str, Any]
_EXPRESSIONS: Final = (
    "UpdateExpression",
    "ProjectionExpression",
    "FilterExpression",
    "ConditionExpression",
    "KeyConditionExpression",
)
_LEGACY: Final = (
    "AttributesToGet",
    "AttributeUpdates",
    "QueryFilter",
    "ScanFilter",
    "Expected",
    "ConditionalOperator",
    "KeyConditions",
)
_TAKING_VALUES: Final = {
    "PutItem": ("ConditionExpression",),
    "DeleteItem": ("ConditionExpression",),
    "UpdateItem": ("UpdateExpression", "ConditionExpression"),
    "Query": ("FilterExpression", "KeyConditionExpression"),
    "Scan": ("FilterExpression",),
}
_ALLOWED_WITH_EXPRESSIONS: Final = ("PutItem", "UpdateItem", "DeleteItem")
"""The operations whose ``ConditionalOperator`` alone does no harm."""


def scope_of(operation: str, request: Request) -> Scope:
    """The names and values of a request, after checks of how they are given.

    Args:
        operation: the API operation.
        request: the request, or a part of it that has expressions of its own.
    """
    expressions = [member for member in _EXPRESSIONS if member in request]
    legacy = [member for member in _LEGACY if member in request]
    if operation in _ALLOWED_WITH_EXPRESSIONS and "ConditionalOperator" in legacy:
        legacy.remove("ConditionalOperator")
    if expressions and legacy:
        raise RequestError(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(legacy)}}} "
            f"Expression parameters: {{{', '.join(expressions)}}}"
        )
    names, values = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    if names is None and values is None:
        return Scope(None, None)
    if not expressions:
        _refuse_without_expression(operation, names is not None)
    _require_placeholders("Names", names, "#")
    _require_placeholders("Values", values, ":")
    for placeholder, value in (values or {}).items():
        _require_value(placeholder, value)
    return Scope(names, values)


def _refuse_without_expression(operation: str, has_names: bool) -> None:
    if has_names:
        raise invalid("ExpressionAttributeNames can only be specified when using expressions")
    members = _TAKING_VALUES.get(operation, ())
    missing = " and ".join(f"{member} is null" for member in members)
    raise RequestError(
        f"ExpressionAttributeValues can only be specified when using expressions{missing and f': {missing}'}"
    )


def _require_placeholders(member: str, placeholders: Iterable[str] | None, sign: str) -> None:
    if placeholders is None:
        return
    if not placeholders:
        raise invalid(f"ExpressionAttribute{member} must not be empty")
    for placeholder in placeholders:
        if placeholder[:1] != sign or len(placeholder) < 2:
            raise invalid(
                f'ExpressionAttribute{member} contains invalid key: Syntax error; key: "{placeholder}"'
            )


def _require_value(placeholder: str, value: Value) -> None:
    ((code, member),) = value.items()
    if code in ("L", "M"):
        require_shallow(value)
    fault = set_fault(code, member) if code in SET_TYPES else None
    if fault is not None:
        raise RequestError(with_key_name(fault, placeholder))


def bound(kind: str, bind: Callable[[], T]) -> T:
    """The result of parsing and binding an expression; its faults with the kind of the expression.

    Args:
        kind: the request's member, as ``"FilterExpression"``.
        bind: parses and binds it.
    """
    try:
        return bind()
    except ExpressionError as error:
        raise RequestError(f"Invalid {kind}: {error}") from None
    except RecursionError:
        raise RequestError(
            f"Invalid {kind}: The expression has too many parentheses inside others;"
        ) from None


def require_not_empty(request: Request, *kinds: str) -> None:
    """Refuses expressions without text."""
    for kind in kinds:
        if request.get(kind) == "":
            raise invalid(f"Invalid {kind}: The expression can not be empty;")


def condition_of(request: Request, kind: str, scope: Scope) -> Predicate | None:
    """The test of a condition or filter expression; None if the request has none."""
    source = request.get(kind)
    if source is None:
        return None
    require_not_empty(request, kind)
    scope.paths.clear()
    return bound(kind, lambda: parsed_condition(source)(scope))


def projection_of(request: Request, scope: Scope) -> Project | None:
    """The projection of a request; None for whole items."""
    source, names = request.get("ProjectionExpression"), request.get("AttributesToGet")
    if source is not None:
        require_not_empty(request, "ProjectionExpression")
        return bound("ProjectionExpression", lambda: bound_projection(parsed_projection(source), scope))
    if names is None:
        return None
    names_so_far: set[str] = set()
    for name in names:
        if name in names_so_far:
            raise invalid(f"{INVALID_VALUE}Duplicate value in attribute name: {name}")
        names_so_far.add(name)
    return projection([(name,) for name in names])
