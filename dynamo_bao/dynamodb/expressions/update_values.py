"""What a change by key does besides setting values: ``User.update(id, {"prefs.seen": Increment(1)})``."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from dynamo_bao.errors import QueryError


class ChangeValue:
    """What stands in the place of a new value."""


def _listed(values: Iterable[Any]) -> tuple[Any, ...]:
    if isinstance(values, (str, bytes, dict)) or not isinstance(values, Iterable):
        raise QueryError(
            f"Append and Prepend take a list of members, not {type(values).__name__}; give [member]."
        )
    return tuple(values)


@frozen
class Append(ChangeValue):
    """Puts members at the end of a list, which is made where there is none.

    Cannot be repeated after a lost reply: `WriteOutcomeUnknownError` is raised then.

    Args:
        values: the members, in order.

    Example:
        >>> User.update("42", {"history": Append(["signed in"])})
    """

    values: tuple[Any, ...] = field(converter=_listed)


@frozen
class Prepend(ChangeValue):
    """Puts members at the beginning of a list, which is made where there is none; see `Append`.

    Args:
        values: the members, in the order in which they will stand.

    Example:
        >>> User.update("42", {"history": Prepend(["signed up"])})
    """

    values: tuple[Any, ...] = field(converter=_listed)


@frozen
class IfMissing(ChangeValue):
    """Sets a value where nothing is stored, and changes nothing elsewhere.

    Args:
        value: the value.

    Example:
        >>> User.update("42", {"prefs.theme": IfMissing("light")})
    """

    value: Any


@frozen
class Remove(ChangeValue):
    """Removes what is stored; that nothing is there is no error.

    Example:
        >>> User.update("42", {"prefs.theme": Remove()})
    """


@frozen
class Increment(ChangeValue):
    """Adds to a number, which starts at 0 where there is none (a counter at its default); atomic.

    Cannot be repeated after a lost reply: `WriteOutcomeUnknownError` is raised then.

    Args:
        amount: what is added; a negative one counts down.

    Example:
        >>> User.update("42", {"prefs.visits": Increment(1)})
    """

    amount: int | float | Decimal = 1


def _members(members: tuple[Any, ...]) -> frozenset[Any]:
    alone = members[0] if len(members) == 1 else None
    found = alone if isinstance(alone, (set, frozenset, list, tuple)) else members
    if not found:
        raise QueryError("AddMembers and DropMembers need at least one member.")
    return frozenset(found)


@frozen(init=False)
class AddMembers(ChangeValue):
    """Adds members to a set field, whatever else is in it; atomic.

    Args:
        members: the members, or one set or list of them.

    Example:
        >>> User.update("42", {"tags": AddMembers("new", "active")})
    """

    members: frozenset[Any]

    def __init__(self, *members: Any) -> None:
        object.__setattr__(self, "members", _members(members))


@frozen(init=False)
class DropMembers(ChangeValue):
    """Takes members out of a set field; those that are not in it are no error; atomic.

    Args:
        members: the members, or one set or list of them.

    Example:
        >>> User.update("42", {"tags": DropMembers("new")})
    """

    members: frozenset[Any]

    def __init__(self, *members: Any) -> None:
        object.__setattr__(self, "members", _members(members))
