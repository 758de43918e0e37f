"""Stored values compared with each other: whether two are the same, and in which parts two documents differ."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dynamo_bao.wire import AttributeValue


def same_stored(one: AttributeValue | None, other: AttributeValue | None) -> bool:
    """Whether two stored values are the same to DynamoDB: sets without order, numbers by value."""
    if one == other:
        return True
    if one is None or other is None or one.keys() != other.keys():
        return False
    ((code, left),) = one.items()
    right = other[code]
    if code == "N":
        return Decimal(left) == Decimal(right)
    if code == "NS":
        return {Decimal(n) for n in left} == {Decimal(n) for n in right}
    if code in ("SS", "BS"):
        return set(left) == set(right)
    if code == "L":
        return len(left) == len(right) and all(map(same_stored, left, right))
    if code == "M":
        return left.keys() == right.keys() and all(same_stored(left[name], right[name]) for name in left)
    return False


def is_alike(one: Any, other: Any) -> bool:
    """Whether two plain values are certainly the same, in type and order too; False where only their stored forms tell.

    >>> is_alike({"a": [1, None]}, {"a": [1, None]}), is_alike([1], [True]), is_alike([0.0], [-0.0])
    (True, False, False)
    """
    kind = type(one)
    if one is other or kind is not type(other):
        return one is other
    if kind is dict:
        return list(one) == list(other) and all(map(is_alike, one.values(), other.values()))
    if kind is list:
        return len(one) == len(other) and all(map(is_alike, one, other))
    if kind in (float, Decimal):
        return repr(one) == repr(other)
    return kind in (str, int, bool, bytes) and bool(one == other)
