"""Conditions: immutable values that `&`, `|` and `~` combine.

A condition has no truth value (``if User.fields.age > 3`` is always a mistake); the empty condition is
neutral; equal nestings are flattened.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from dynamo_bao.dynamodb.expressions.paths import Path
from dynamo_bao.errors import QueryError
from dynamo_bao.runtime.records import frozen

MAX_DEPTH = 100
"""How deeply conditions may be nested. DynamoDB's own limits are reached before."""


class Condition:
    """The root of all conditions."""

    __slots__ = ()

    def __and__(self, other: Condition) -> Condition:
        return all_of((self, other))

    def __or__(self, other: Condition) -> Condition:
        return any_of((self, other))

    def __invert__(self) -> Condition:
        if is_empty(self):
            raise QueryError(
                "An empty condition cannot be negated: it holds for every item. Give it a part first."
            )
        return self.part if isinstance(self, Negation) else Negation(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "A condition has no truth value: it is evaluated by DynamoDB. Combine conditions with "
            "&, | and ~ instead of and, or and not."
        )


@frozen
class Compare(Condition):
    """``path operator value`` with one of ``= <> < <= > >=``."""

    path: Path
    operator: str
    value: object


@frozen
class Between(Condition):
    """``low <= path <= high``."""

    path: Path
    low: object
    high: object


@frozen
class In(Condition):
    """`path` equals one of `values`."""

    path: Path
    values: tuple[object, ...]


@frozen
class BeginsWith(Condition):
    """The text at `path` begins with `value`."""

    path: Path
    value: object


@frozen
class Contains(Condition):
    """The text at `path` contains `value`, or the set or list there has it as a member."""

    path: Path
    value: object


@frozen
class Exists(Condition):
    """The item has an attribute at `path`."""

    path: Path


@frozen
class HasType(Condition):
    """The attribute at `path` has DynamoDB's type `code` (``"S"``, ``"N"``, …)."""

    path: Path
    code: str


@frozen
class Size(Condition):
    """The size of what is at `path` (characters, bytes, members) compared with `value`."""

    path: Path
    operator: str
    value: int


@frozen
class AllOf(Condition):
    """All of `parts`; without parts it is the neutral condition."""

    parts: tuple[Condition, ...]


@frozen
class AnyOf(Condition):
    """At least one of `parts`."""

    parts: tuple[Condition, ...]


@frozen
class Negation(Condition):
    """Not `part`."""

    part: Condition


EMPTY: Condition = AllOf(())


def is_empty(condition: Condition) -> bool:
    """Whether `condition` is the neutral one, which holds for every item."""
    return isinstance(condition, AllOf) and not condition.parts


def equality(path: Path, value: object) -> Condition:
    """The condition that a path has a value; for None, that nothing is stored there."""
    return Negation(Exists(path)) if value is None else Compare(path, "=", value)


def all_of(parts: Iterable[Condition]) -> Condition:
    """The conjunction of `parts`, flattened and without neutral parts."""
    flat: list[Condition] = []
    for part in parts:
        if type(part) is AllOf:
            flat += part.parts
        else:
            flat.append(part)
    return flat[0] if len(flat) == 1 else AllOf(tuple(flat))


def any_of(parts: Iterable[Condition]) -> Condition:
    """The disjunction of `parts`, flattened; neutral if one of the parts is neutral."""
    flat: list[Condition] = []
    for part in parts:
        if is_empty(part):
            return EMPTY
        flat.extend(part.parts if isinstance(part, AnyOf) else (part,))
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def too_deep() -> QueryError:
    """The error for a condition that is nested too deeply."""
    return QueryError(
        f"The condition is nested more than {MAX_DEPTH} levels deep, which DynamoDB refuses; use a flatter one."
    )
