"""Key conditions: the partition that a query reads, and the range of its sort key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dynamo_bao.dynamodb.expressions.conditions import (
    EMPTY,
    AllOf,
    BeginsWith,
    Between,
    Compare,
    Condition,
    all_of,
    equality,
)
from dynamo_bao.dynamodb.expressions.parser import condition_from, plain_operand
from dynamo_bao.dynamodb.expressions.paths import Attribute, OperandError, attribute_of
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.errors import QueryError, ValidationError, message_of
from dynamo_bao.mapping.key_schema import MODEL_PREFIX, IndexSchema, KeyComponent, Shape
from dynamo_bao.session.state import ModelMapper

_LOWER: Final = frozenset((">", ">="))
_UPPER: Final = frozenset(("<", "<="))


def partition_text(mapper: ModelMapper, shape: Shape, tenant: str | None, value: object) -> str:
    """The text of the partition key attribute.

    Args:
        mapper: the repository of the model.
        shape: the index or primary key that the query reads.
        tenant: the tenant of the items.
        value: the value of the partition key field; None for `MODEL_PREFIX`.

    Raises:
        QueryError: if the field refuses the value.
    """
    text = _partition_text(shape.partition, plain_operand(value), shape.name)
    if isinstance(shape, IndexSchema):
        return shape.pk_text(tenant, text)
    return mapper.schema.keys.partition_key(tenant, text)


def key_condition(
    mapper: ModelMapper, shape: Shape, partition: str, sort_condition: object
) -> tuple[Condition, Condition]:
    """The condition on the key attributes, and the condition that the filter must add.

    Args:
        mapper: the repository of the model.
        shape: the index or primary key that the query reads.
        partition: the text of the partition key attribute.
        sort_condition: a value, a dict or an expression on the sort key field.

    Raises:
        QueryError: if a field refuses its value, if the condition names another field than the sort key, or if a key
            condition cannot have its operator.
    """
    pk_name, sk_name = (shape.pk_name, shape.sk_name) if isinstance(shape, IndexSchema) else (PK, SK)
    partition_condition = Compare(attribute_of(pk_name), "=", {"S": partition})
    if sort_condition is None:
        return partition_condition, EMPTY
    name = shape.name
    if shape.sort.field is None:
        raise QueryError(f"{name} has no sort key field; leave the sort condition out.", index=name)
    condition = _sort_condition(shape.sort.field.name, sort_condition, mapper.database.strict_filters)
    key_part, filter_part = _SortKey(shape.sort, Attribute(sk_name), name).of(condition)
    return all_of((partition_condition, key_part)), filter_part


def split_condition(shape: Shape, condition: Condition) -> tuple[Condition | None, Condition]:
    """Splits a condition into the one on the sort key that a query can send as a key condition, and the rest.

    Returns:
        The condition on the sort key, or None; and the condition for the filter.
    """
    if shape.sort.field is None:
        return None, condition
    parts = condition.parts if isinstance(condition, AllOf) else (condition,)
    name = shape.sort.field.name
    by_bound: dict[str, Condition] = {}
    for part in parts:
        bound = _bound_of(part) if getattr(part, "path", None) == name else None
        if bound is not None:
            by_bound.setdefault(bound, part)
    sort_parts = [by_bound["both"]] if "both" in by_bound else list(by_bound.values())
    if not sort_parts:
        return None, condition
    rest = [part for part in parts if not any(part is sort_part for sort_part in sort_parts)]
    return all_of(sort_parts), all_of(rest)


def _bound_of(part: Condition) -> str | None:
    """Whether a condition is a lower bound, an upper one, or both; None if a key condition cannot have it."""
    if isinstance(part, (Between, BeginsWith)):
        return "both"
    operator = part.operator if isinstance(part, Compare) else ""
    return {"=": "both", **dict.fromkeys(_LOWER, "lower"), **dict.fromkeys(_UPPER, "upper")}.get(operator)


def _sort_condition(field: str, argument: object, strict: bool) -> Condition:
    """The condition on a sort key field for an argument: a value, a dict by the field's name, or an expression."""
    if isinstance(argument, Condition):
        return argument
    if not isinstance(argument, Mapping):
        return equality(field, plain_operand(argument))
    for name in argument:
        if not isinstance(name, str) or name.startswith("$"):
            raise OperandError(
                f"A condition on the sort key {field!r} is a value, an expression, or a dict by the field's name such "
                f"as {{{field!r}: {{'$gt': v}}}}; {name!r} is an operator.",
                field,
                argument,
            )
    return condition_from(argument, strict)


def _partition_text(part: KeyComponent, value: object, name: str) -> str:
    if part.field is None:
        if value is not None and value is not MODEL_PREFIX and value != part.prefix:
            raise QueryError(
                f"{name} has the model's prefix as its partition key; leave the value out.", index=name
            )
        return part.prefix
    return _part_text(part, value, name)


def _part_text(part: KeyComponent, value: object, name: str) -> str:
    assert part.field is not None
    if value is None:
        raise QueryError(
            f"{name} needs a value for {part.field.name!r}, not None.", index=name, field=part.field.name
        )
    try:
        return part.to_text(part.field.accept(value))
    except ValidationError as error:
        operand_error = OperandError(message_of(error), part.field.name, value)
        operand_error.index = name
        raise operand_error from error


class _SortKey:
    """Turns conditions on a sort key field into one condition on its key attribute, with key texts."""

    def __init__(self, part: KeyComponent, attribute: Attribute, name: str) -> None:
        assert part.field is not None
        self._part = part
        self._field = part.field.name
        self._attribute = attribute
        self._name = name

    def of(self, condition: Condition) -> tuple[Condition, Condition]:
        """The condition on the key, and the filter for the rest of `condition`."""
        parts = condition.parts if isinstance(condition, AllOf) else (condition,)
        for part in parts:
            path = getattr(part, "path", self._field)
            if path != self._field:
                raise QueryError(
                    f"{path!r} is not the sort key for index {self._name!r}; that is {self._field!r}.",
                    index=self._name,
                )
        if len(parts) == 2:
            return self._range(parts)
        if len(parts) == 1:
            return self._key_condition(parts[0]), EMPTY
        raise self._unsupported()

    def _key_condition(self, condition: Condition) -> Condition:
        if isinstance(condition, Compare) and condition.operator in ("=", *_LOWER, *_UPPER):
            return Compare(self._attribute, condition.operator, {"S": self._text(condition.value)})
        if isinstance(condition, Between):
            return self._between(condition.low, condition.high)
        if isinstance(condition, BeginsWith):
            text = condition.value if isinstance(condition.value, str) else self._text(condition.value)
            return BeginsWith(self._attribute, {"S": self._require_text(text)})
        raise self._unsupported()

    def _range(self, parts: Sequence[Condition]) -> tuple[Condition, Condition]:
        """A lower and an upper bound. DynamoDB's BETWEEN includes both ends; the filter removes excluded ones."""
        conditions = [part for part in parts if isinstance(part, Compare)]
        lower = next((condition for condition in conditions if condition.operator in _LOWER), None)
        upper = next((condition for condition in conditions if condition.operator in _UPPER), None)
        if lower is None or upper is None:
            raise self._unsupported()
        key_range = self._between(lower.value, upper.value)
        excluded = [condition for condition in (lower, upper) if not condition.operator.endswith("=")]
        return key_range, all_of(Compare(self._field, "<>", condition.value) for condition in excluded)

    def _between(self, low_value: object, high_value: object) -> Between:
        low, high = self._text(low_value), self._text(high_value)
        if low > high:
            raise QueryError(
                f"The lower bound of {self._field!r} is above its upper bound, so a query of {self._name!r} matches "
                f"nothing, and DynamoDB refuses it. Compare the bounds first.",
                index=self._name,
                field=self._field,
            )
        return Between(self._attribute, {"S": low}, {"S": high})

    def _text(self, value: object) -> str:
        return self._require_text(_part_text(self._part, value, self._name))

    def _require_text(self, text: str) -> str:
        if text:
            return text
        error = OperandError(
            f"The sort key {self._field!r} of {self._name} is compared with an empty text, which no key can be; leave "
            f"the condition out.",
            self._field,
        )
        error.index = self._name
        raise error

    def _unsupported(self) -> QueryError:
        return QueryError(
            f"Unsupported sort key operator on {self._field!r}; use $eq, $begins_with, $between, or a lower and an "
            f"upper bound of $gt, $gte, $lt, $lte.",
            index=self._name,
            field=self._field,
        )
