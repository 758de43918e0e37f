"""The key range of a query, read from its request: one partition, and a range of the sort key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import eq, ge, gt, le, lt
from typing import Any, Final

from dynamo_bao.dynamodb.items import ReplyItem, Row
from dynamo_bao.dynamodb.layout import PK, slot_of
from dynamo_bao.runtime.patterns import late_pattern
from dynamo_bao.runtime.records import frozen

_PARTITION: Final = late_pattern(r"\(?([#\w]+) = (:\w+)(?: AND (.+))?\Z")
_COMPARED: Final = late_pattern(r"\(?([#\w]+) (=|<=|<|>=|>) (:\w+)\)*\Z")
_BETWEEN: Final = late_pattern(r"\(?([#\w]+) BETWEEN (:\w+) AND (:\w+)\)*\Z")
_BEGINS: Final = late_pattern(r"\(?begins_with\(([#\w]+), ?(:\w+)\)+\Z")
_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "=": eq,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


@frozen
class KeyRange:
    """The values that the key attributes of a query's items can have.

    Attributes:
        partition: the attribute of the partition key.
        text: the value of the partition key.
        sort: the attribute of the sort key; None if the query has no condition on it.
        operator: the operator of that condition: a comparison, ``"between"`` or ``"begins_with"``.
        operands: the texts that the operator takes.
    """

    partition: str
    text: str
    sort: str | None = None
    operator: str = ""
    operands: tuple[str, ...] = ()

    def holds(self, items: Sequence[ReplyItem]) -> bool:
        """Whether all of some items are in the range; there must be at least one item."""
        try:
            if set(_texts(items, self.partition)) != {self.text}:
                return False
            if self.sort is None:
                return True
            texts = _texts(items, self.sort)
            # If a condition accepts two texts, it accepts all texts between them.
            return self._takes(min(texts)) and self._takes(max(texts))
        except (AttributeError, KeyError, TypeError):  # an item lacks the attribute, or it is not a text
            return False

    def holds_each_once(self, rows: Sequence[Row]) -> bool:
        """Whether all rows are in the range, each with another table key. False may be wrong: then check again."""
        try:
            text = self.text
            if self.partition == PK:
                count = len({row._sk.S for row in rows if text == row._pk.S})
            else:
                slot = slot_of(self.partition)
                count = len({(row._pk.S, row._sk.S) for row in rows if text == getattr(row, slot).S})
            if count < len(rows) or self.sort is None:
                return count == len(rows)
            texts = _texts(rows, self.sort)
            return self._takes(min(texts)) and self._takes(max(texts))
        except (AttributeError, TypeError):  # a row lacks the attribute
            return False

    def _takes(self, text: str) -> bool:
        if self.operator == "begins_with":
            return text.startswith(self.operands)
        if self.operator == "between":
            low, high = self.operands
            return low <= text <= high
        return _COMPARISONS[self.operator](text, self.operands[0])


def _texts(items: Sequence[ReplyItem], attribute: str) -> list[str]:
    slot = slot_of(attribute)
    return [item[attribute]["S"] if isinstance(item, dict) else getattr(item, slot).S for item in items]


def key_range(parameters: Mapping[str, Any]) -> KeyRange | None:
    """The key range of a query's parameters; None if its keys are not texts, or its condition has another form.

    >>> key_range({
    ...     "KeyConditionExpression": "(#n0 = :v0 AND begins_with(#n1, :v1))",
    ...     "ExpressionAttributeNames": {"#n0": "_pk", "#n1": "_sk"},
    ...     "ExpressionAttributeValues": {":v0": {"S": "u#1"}, ":v1": {"S": "2024-"}},
    ... })
    KeyRange(partition='_pk', text='u#1', sort='_sk', operator='begins_with', operands=('2024-',))
    """
    shape = _shape(str(parameters.get("KeyConditionExpression")))
    names = parameters.get("ExpressionAttributeNames", {})
    values = parameters.get("ExpressionAttributeValues", {})
    if shape is None:
        return None
    partition, value, sort, operator, operands = shape
    texts = [values.get(name, {}).get("S") for name in (value, *operands)]
    if None in texts:
        return None
    attribute = None if sort is None else names.get(sort, sort)
    return KeyRange(names.get(partition, partition), texts[0], attribute, operator, tuple(texts[1:]))


@lru_cache(maxsize=512)
def _shape(expression: str) -> tuple[str, str, str | None, str, tuple[str, ...]] | None:
    """The placeholders of a key condition; None if this library does not write conditions of that form."""
    match = _PARTITION.match(expression.removesuffix(")") if expression.startswith("(") else expression)
    if match is None:
        return None
    partition, value, condition = match.groups()
    if condition is None:
        return partition, value, None, "", ()
    if compared := _COMPARED.match(condition):
        return partition, value, compared[1], compared[2], (compared[3],)
    if between := _BETWEEN.match(condition):
        return partition, value, between[1], "between", (between[2], between[3])
    if begins := _BEGINS.match(condition):
        return partition, value, begins[1], "begins_with", (begins[2],)
    return None
