"""The identity map: one object per table, tenant, model and primary key."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Iterable, MutableMapping
from itertools import islice
from typing import Any

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.session.state import ModelMapper, Status, changed_names, state_of

EVICTION_CANDIDATES = 8
"""How many of the oldest instances are looked at for one without local changes, when there are too many."""


ItemKey = tuple[ModelMapper, Key]
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
        held: those that are held, by home and key.
        is_strong: whether these are all, however many, so that their dicts can be used as they are.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._order: dict[ItemKey, None] = {}  # of those held, the oldest first, where there is a `most`
        self.strong: defaultdict[ModelMapper, dict[Key, Any]] = defaultdict(dict)
        self._weak: MutableMapping[ItemKey, Any] = {} if most is None else weakref.WeakValueDictionary()
        self.is_strong = most is None

    def get(self, key: ItemKey) -> Any:
        """The instance for `key`, or None."""
        mapper, table_key = key
        instance = self.strong[mapper].get(table_key)
        return instance if self.is_strong or instance is not None else self._weak.get(key)

    def hold(self, key: ItemKey, instance: Any) -> None:
        """Keeps `instance` as the one for `key`, for as long as the session lives."""
        mapper, table_key = key
        self.strong[mapper][table_key] = instance
        if self.is_strong:
            return
        self._weak.pop(key, None)
        if self._most is not None:
            self._order.setdefault(key)
            if len(self._order) > self._most:
                self._evict_one()

    def _evict_one(self) -> None:
        for key in list(islice(self._order, EVICTION_CANDIDATES)):
            mapper, table_key = key
            instance = self.strong[mapper][table_key]
            del self._order[key]
            if _is_clean(instance):
                del self.strong[mapper][table_key]
                self.add_weak(key, instance)
                return
            self._order[key] = None  # behind the others, to be tried again much later

    def add_weak(self, key: ItemKey, instance: Any) -> None:
        """Knows `instance` as the one for `key` while somebody else holds it."""
        mapper, table_key = key
        if table_key in self.strong[mapper]:
            return
        if self.is_strong:
            self.is_strong, self._weak = False, weakref.WeakValueDictionary()
        self._weak[key] = instance

    def drop(self, key: ItemKey) -> None:
        """Forgets the instance for `key`."""
        mapper, table_key = key
        self.strong[mapper].pop(table_key, None)
        self._order.pop(key, None)
        self._weak.pop(key, None)

    def drop_instances(self, instances: Iterable[Any]) -> None:
        """Forgets instances whose keys may have changed since they were held."""
        gone = set(map(id, instances))
        for key, held in self._all_held():
            if id(held) in gone:
                self.drop(key)

    def _all_held(self) -> list[tuple[ItemKey, Any]]:
        return [((mapper, key), one) for mapper, held in self.strong.items() for key, one in held.items()]

    def items(self) -> list[tuple[ItemKey, Any]]:
        """Everything known, held ones first."""
        return [*self._all_held(), *self._weak.items()]

    def clear(self) -> None:
        """Forgets everything."""
        self.strong.clear()
        self._order.clear()
        self._weak.clear()

    def __len__(self) -> int:
        return sum(map(len, self.strong.values())) + len(self._weak)


def _is_clean(instance: Any) -> bool:
    status = state_of(instance).status
    return status is not Status.TRANSIENT and (status is Status.MISSING or not changed_names(instance))
