"""The identity map: one object per table, tenant, model and primary key."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, MutableMapping
from itertools import islice
from typing import Any

from dynamo_bao.instances import Home, Status, changed_names, state_of
from dynamo_bao.keys import Key

TRIES = 8
"""How many of the oldest instances are looked at for one without local changes, when there are too many."""


ItemKey = tuple[Home, Key]
"""What tells one item of a session from every other: its repository (table and model) and its key.

The tenant is part of the key's text.
"""


class IdentityMap:
    """The instances of one session by what they stand for.

    Those found by key or changed are held; those that a query brought only as long as somebody else holds
    them, so that a loop over a million items stays flat.

    Args:
        most: how many are held at most; from then on the oldest without local changes are let go, and stay
            known while somebody else holds them.

    Attributes:
        held: those that are held, by key.
        plain: whether these are all, however many, so that their dict can be used as it is.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self.held: dict[ItemKey, Any] = {}
        self._seen: MutableMapping[ItemKey, Any] = {} if most is None else weakref.WeakValueDictionary()
        self.plain = most is None

    def get(self, key: ItemKey) -> Any:
        """The instance for `key`, or None."""
        instance = self.held.get(key)
        return instance if self.plain or instance is not None else self._seen.get(key)

    def hold(self, key: ItemKey, instance: Any) -> None:
        """Keeps `instance` as the one for `key`, for as long as the session lives."""
        self.held[key] = instance
        if self.plain:
            return
        self._seen.pop(key, None)
        if self._most is not None and len(self.held) > self._most:
            self._let_go()

    def _let_go(self) -> None:
        for key in list(islice(self.held, TRIES)):
            instance = self.held.pop(key)
            if _is_clean(instance):
                self.see(key, instance)
                return
            self.held[key] = instance  # behind the others, to be tried again much later

    def see(self, key: ItemKey, instance: Any) -> None:
        """Knows `instance` as the one for `key` while somebody else holds it."""
        if key in self.held:
            return
        if self.plain:
            self.plain, self._seen = False, weakref.WeakValueDictionary()
        self._seen[key] = instance

    def drop(self, key: ItemKey) -> None:
        """Forgets the instance for `key`."""
        self.held.pop(key, None)
        self._seen.pop(key, None)

    def drop_instances(self, instances: Iterable[Any]) -> None:
        """Forgets instances whose keys may have changed since they were held."""
        gone = set(map(id, instances))
        for key in [key for key, held in self.held.items() if id(held) in gone]:
            self.drop(key)

    def items(self) -> list[tuple[ItemKey, Any]]:
        """Everything known, held ones first."""
        return [*self.held.items(), *self._seen.items()]

    def clear(self) -> None:
        """Forgets everything."""
        self.held.clear()
        self._seen.clear()

    def __len__(self) -> int:
        return len(self.held) + len(self._seen)


def _is_clean(instance: Any) -> bool:
    return state_of(instance).status is Status.MISSING or not changed_names(instance)
