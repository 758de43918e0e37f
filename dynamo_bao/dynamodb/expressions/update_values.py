"""Changes by key other than setting a value: ``User.update(id, {"prefs.seen": Increment(1)})``."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from dynamo_bao.errors import QueryError
from dynamo_bao.runtime.records import field, frozen


class ChangeValue:
    """A change that is passed instead of a new value."""


def _listed(values: Iterable[Any]) -> tuple[object, ...]:
    if isinstance(values, (str, bytes, dict)) or not isinstance(values, Iterable):
        raise QueryError(
            f"Append and Prepend take a list of members, not {type(values).__name__}; give [member]."
        )
    return tuple(values)


@frozen
class Append(ChangeValue):
    """Adds members at the end of a list. Adds the list if it is missing.

    The change cannot be repeated, so a lost reply raises `WriteOutcomeUnknownError`.

    Args:
        values: the members, in order.

    Example:
        >>> User.update("42", {"history": Append(["signed in"])})
    """

    values: tuple[Any, ...] = field(converter=_listed)


@frozen
class Prepend(ChangeValue):
    """Adds members at the beginning of a list. Adds the list if it is missing.

    The change cannot be repeated, so a lost reply raises `WriteOutcomeUnknownError`.

    Args:
        values: the members, in the order that they have in the list afterwards.

    Example:
        >>> User.update("42", {"history": Prepend(["signed up"])})
    """

    values: tuple[Any, ...] = field(converter=_listed)


@frozen
class IfMissing(ChangeValue):
    """Sets a value if nothing is stored, else changes nothing. A stored None (NULL) counts as nothing.

    Args:
        value: the value.

    Example:
        >>> User.update("42", {"prefs.theme": IfMissing("light")})
    """

    value: Any


@frozen
class Remove(ChangeValue):
    """Removes the stored value. A missing value is not an error.

    Example:
        >>> User.update("42", {"prefs.theme": Remove()})
    """


@frozen
class Increment(ChangeValue):
    """Adds to a number, atomically. A missing number counts as 0, a missing counter as its default.

    The change cannot be repeated, so a lost reply raises `WriteOutcomeUnknownError`.

    Args:
        amount: the number to add; a negative number counts down.

    Example:
        >>> User.update("42", {"prefs.visits": Increment(1)})
    """

    amount: int | float | Decimal = 1


def _members(members: tuple[object, ...]) -> frozenset[object]:
    alone = members[0] if len(members) == 1 else None
    listed = alone if isinstance(alone, (set, frozenset, list, tuple)) else members
    if not listed:
        raise QueryError("AddMembers and DropMembers need at least one member.")
    try:
        return frozenset(listed)
    except TypeError:
        raise QueryError("AddMembers and DropMembers take what a set can hold, no dicts or lists.") from None


@frozen(init=False)
class AddMembers(ChangeValue):
    """Adds members to a set field, atomically. Other members stay.

    Args:
        members: the members, or one set or list of them.

    Example:
        >>> User.update("42", {"tags": AddMembers("new", "active")})
    """

    members: frozenset[object]

    def __init__(self, *members: object) -> None:
        object.__setattr__(self, "members", _members(members))


@frozen(init=False)
class DropMembers(ChangeValue):
    """Removes members from a set field, atomically. A member that is not in the set is not an error.

    A member that another program has written in its own way, such as a UUID in upper case, costs a second request.

    Args:
        members: the members, or one set or list of them.

    Example:
        >>> User.update("42", {"tags": DropMembers("new")})
    """

    members: frozenset[object]

    def __init__(self, *members: object) -> None:
        object.__setattr__(self, "members", _members(members))
