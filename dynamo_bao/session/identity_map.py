"""The identity map: one object per table, tenant, model and primary key."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Iterable, MutableMapping
from itertools import islice

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.session.state import (
    Instance,
    ModelMapper,
    State,
    Status,
    changed_names,
    instance_dict,
    state_of,
)

EVICTION_CANDIDATES = 8
"""How many of the oldest instances are tried for eviction; instances with local changes stay."""


ItemKey = tuple[ModelMapper, Key]
"""The identity of an item in a session: its repository (table and model) and its key.

The tenant is part of the key's text.
"""


def key_of(instance: Instance) -> ItemKey:
    """The identity of the item of an instance."""
    state: State = instance_dict(instance)[STATE]
    assert state.mapper is not None and state.key is not None
    return state.mapper, state.key


class IdentityMap:
    """The instances of one session by item.

    Instances that were found by key or changed are held strongly. Instances of queries are held weakly, so that a
    loop over a million items needs little memory.

    Args:
        most: the maximum number of strong instances. Beyond it, the oldest ones without local changes become weak.

    Attributes:
        strong: the strongly held instances, by repository and key.
        is_strong: whether all instances are strong, without a maximum; `strong` can then be read directly.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._order: dict[ItemKey, None] = {}  # the strong instances, oldest first, if there is a `most`
        self.strong: defaultdict[ModelMapper, dict[Key, Instance]] = defaultdict(dict)
        self._weak: MutableMapping[ItemKey, Instance] = {} if most is None else weakref.WeakValueDictionary()
        self.is_strong: bool = most is None

    def get(self, key: ItemKey) -> Instance | None:
        """The instance for `key`, or None."""
        mapper, table_key = key
        instance = self.strong[mapper].get(table_key)
        return instance if self.is_strong or instance is not None else self._weak.get(key)

    def hold(self, key: ItemKey, instance: Instance, will_change: bool = False) -> None:
        """Holds `instance` strongly as the one for `key`.

        Args:
            will_change: whether it is about to get a local change, so that another one must make room.
        """
        mapper, table_key = key
        self.strong[mapper][table_key] = instance
        if self.is_strong:
            return
        self._weak.pop(key, None)
        if self._most is not None:
            self._order.setdefault(key)
            if len(self._order) > self._most:
                self._evict_one(key if will_change else None)

    def setdefault(self, key: ItemKey, instance: Instance) -> Instance:
        """The instance for `key`. If the map has no other instance for the key, it holds `instance` strongly."""
        cached = self.get(key)
        if cached is not None and cached is not instance:
            return cached
        self.hold(key, instance)
        return instance

    def _evict_one(self, spared_key: ItemKey | None) -> None:
        for key in list(islice(self._order, EVICTION_CANDIDATES)):
            if key == spared_key:
                continue
            mapper, table_key = key
            instance = self.strong[mapper][table_key]
            del self._order[key]
            if _is_clean(instance):
                del self.strong[mapper][table_key]
                self.add_weak(key, instance)
                return
            self._order[key] = None  # moved to the end, to be tried again later

    def add_weak(self, key: ItemKey, instance: Instance) -> None:
        """Holds `instance` weakly as the one for `key`."""
        mapper, table_key = key
        if table_key in self.strong[mapper]:
            return
        if self.is_strong:
            self.is_strong, self._weak = False, weakref.WeakValueDictionary()
        self._weak[key] = instance

    def drop(self, key: ItemKey) -> None:
        """Removes the instance for `key`."""
        mapper, table_key = key
        self.strong[mapper].pop(table_key, None)
        self._order.pop(key, None)
        self._weak.pop(key, None)

    def drop_if_held(self, key: ItemKey, instance: Instance) -> bool:
        """Removes an instance if it is the one for `key`. Returns whether it was."""
        is_held = self.get(key) is instance
        if is_held:
            self.drop(key)
        return is_held

    def drop_instances(self, instances: Iterable[tuple[ItemKey | None, Instance]]) -> None:
        """Removes instances, even if their keys have changed since they were added.

        Args:
            instances: the instances, each with the key under which it probably is.
        """
        removed_ids: set[int] = set()
        for key, instance in instances:
            if key is None or not self.drop_if_held(key, instance):
                removed_ids.add(id(instance))
        for key, instance in self._strong_items() if removed_ids else ():
            if id(instance) in removed_ids:
                self.drop(key)

    def _strong_items(self) -> list[tuple[ItemKey, Instance]]:
        return [
            ((mapper, key), instance)
            for mapper, instances in self.strong.items()
            for key, instance in instances.items()
        ]

    def items(self) -> list[tuple[ItemKey, Instance]]:
        """All instances, strong ones first."""
        return [*self._strong_items(), *self._weak.items()]

    def clear(self) -> None:
        """Removes all instances."""
        self.strong.clear()
        self._order.clear()
        self._weak.clear()

    def __len__(self) -> int:
        return sum(map(len, self.strong.values())) + len(self._weak)


def _is_clean(instance: Instance) -> bool:
    status = state_of(instance).status
    return status is not Status.TRANSIENT and (status is Status.MISSING or not changed_names(instance))
