"""The identity map: one object per table, tenant, model and primary key."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

from dynamo_bao.instances import Home
from dynamo_bao.keys import Key


class ItemKey(NamedTuple):
    """What tells one item of a session from every other: its repository (table and model) and its key.

    The tenant is part of the key's text.
    """

    home: Home
    key: Key


class IdentityMap:
    """The instances of one session by what they stand for.

    Those found by key or changed are held; those that a query brought only as long as somebody else holds
    them, so that a loop over a million items stays flat.
    """

    def __init__(self) -> None:
        self._held: dict[ItemKey, Any] = {}
        self._seen: weakref.WeakValueDictionary[ItemKey, Any] = weakref.WeakValueDictionary()

    def get(self, key: ItemKey) -> Any:
        """The instance for `key`, or None."""
        instance = self._held.get(key)
        return self._seen.get(key) if instance is None else instance

    def hold(self, key: ItemKey, instance: Any) -> None:
        """Keeps `instance` as the one for `key`, for as long as the session lives."""
        self._held[key] = instance
        if self._seen:
            self._seen.pop(key, None)

    def see(self, key: ItemKey, instance: Any) -> None:
        """Knows `instance` as the one for `key` while somebody else holds it."""
        if key not in self._held:
            self._seen[key] = instance

    def drop(self, key: ItemKey) -> None:
        """Forgets the instance for `key`."""
        self._held.pop(key, None)
        self._seen.pop(key, None)

    def items(self) -> list[tuple[ItemKey, Any]]:
        """Everything known, held ones first."""
        return [*self._held.items(), *self._seen.items()]

    def clear(self) -> None:
        """Forgets everything."""
        self._held.clear()
        self._seen.clear()

    def __len__(self) -> int:
        return len(self._held) + len(self._seen)
