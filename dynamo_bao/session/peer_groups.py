"""Instances that arrived together, and from where a related one was reached."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any


class PeerGroup:
    """Instances that arrived together, remembered weakly.

    Attributes:
        is_page: whether a page or a batch of the library's own brought them, so that one lookup for all of them is
            not N+1, even where it is a single key.
    """

    __slots__ = ("_members", "is_page")

    def __init__(self, members: Iterable[Any], is_page: bool = False) -> None:
        self._members = list(map(weakref.ref, members))
        self.is_page = is_page

    def add(self, member: Any) -> None:
        """Makes an instance one of them."""
        self._members.append(weakref.ref(member))

    def __reduce__(self) -> tuple[type[PeerGroup], tuple[tuple[()]]]:
        # Copies of members join the copy of their group: a pickle, as a deep copy, has one for all of them.
        return PeerGroup, ((),)

    def alive(self) -> list[Any]:
        """The members that somebody still holds."""
        return [member for member in (ref() for ref in self._members) if member is not None]


class Origin:
    """Which relation of which instance a pending instance was reached through.

    Attributes:
        group: the peers of the instance it was reached from.
        field: that relation's field.
        model: the model that has the field.
    """

    __slots__ = ("field", "group", "model")

    def __init__(self, group: PeerGroup | None, field: str, model: str) -> None:
        self.group = group
        self.field = field
        self.model = model
