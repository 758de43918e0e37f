"""The instances of a session: one for each key, and the lookups that are still pending."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.session.identity_map import IdentityMap, ItemKey
from dynamo_bao.session.ownership import SessionOwnership
from dynamo_bao.session.partitions import Partitions
from dynamo_bao.session.pending_lookups import Lookups
from dynamo_bao.session.state import (
    PENDING,
    ModelMapper,
    Status,
    allocate_instance,
    changed_names,
    is_there,
    mark_missing,
    new_state,
    pending_instance,
    set_instance_dict,
    state_of,
    unload,
)
from dynamo_bao.session.stats import Stats

_TRANSIENT, _FAILED = Status.TRANSIENT, Status.FAILED  # read often


class SessionInstances(SessionOwnership):
    """The identity map of a session, and its pending lookups.

    Attributes:
        stats: the session's figures so far.
    """

    def __init__(self, max_cached: int | None) -> None:
        super().__init__()
        self.stats = Stats()
        self._identity = IdentityMap(max_cached)
        self._lookups = Lookups()
        self._partitions = Partitions(max_cached)
        self._deleted: dict[ItemKey, weakref.ref[Any]] = {}

    def _lookup(
        self,
        mapper: ModelMapper,
        identity: Identity,
        tenant: str | None,
        consistent: bool = False,
        counted: bool = True,
    ) -> Any:
        """The session's instance for a key: the cached one, or a new one that is pending.

        The caller has checked that the session can be used.

        Args:
            consistent: whether the item needs a consistent read.
            counted: whether the figures count the call as a lookup.
        """
        key = mapper, identity.key
        instance = self._identity.get(key)
        self.stats.lookups += counted
        if instance is None:
            return self._await(key, pending_instance(mapper, identity, tenant, self), consistent)
        self.stats.cache_hits += counted
        return self._reuse(key, instance, consistent)

    def _lookup_text(
        self, mapper: ModelMapper, key: Key, text: str, tenant: str | None, consistent: bool
    ) -> Any:
        """`_lookup` for a key that is one string. This is the fast path."""
        identity_map = self._identity
        instances = identity_map.strong[mapper]
        instance = instances.get(key) if identity_map.is_strong else identity_map.get((mapper, key))
        self.stats.lookups += 1
        if instance is not None:
            self.stats.cache_hits += 1
            return self._reuse((mapper, key), instance, consistent)
        # `pending_instance` without an `Identity`, and without another call.
        instance = allocate_instance(mapper.lazy_class)
        state = new_state(mapper, PENDING, tenant, key, text, self)
        set_instance_dict(instance, {STATE: state, mapper.schema.single_key_name: text})
        if consistent or not identity_map.is_strong:
            return self._await((mapper, key), instance, consistent)
        instances[key] = self._lookups.eventual[mapper][key] = instance
        return instance

    def _await(self, key: ItemKey, instance: Any, consistent: bool) -> Any:
        """Registers a new instance, which the next round loads."""
        state_of(instance).wants_consistent = consistent
        self._identity.hold(key, instance)
        self._lookups.add(key, instance)
        return instance

    def _reuse(self, key: ItemKey, instance: Any, consistent: bool) -> Any:
        """Prepares the cached instance of a key for another lookup, and returns it."""
        state = state_of(instance)
        state.origin = None  # this lookup is explicit, even if a relation registered the key before
        if state.status is _TRANSIENT:  # added, and about to be stored
            return instance
        if state.status is _FAILED:
            self._retry_failed()
        if consistent and not state.consistent:
            self._reload(instance, keep_changes=True)
        if not self._identity.is_strong:
            self._identity.hold(key, instance)
        return instance

    def _retry_failed(self) -> None:
        """Puts every failed lookup of the session into the next round."""
        for key, instance in self._identity.items():
            if state_of(instance).status is Status.FAILED:
                unload(instance, consistent=False, keep_changes=True)
                self._lookups.add(key, instance)

    def _reload(self, instance: Any, *, keep_changes: bool) -> None:
        unload(instance, consistent=True, keep_changes=keep_changes)
        self._lookups.add(key_of(instance), instance)

    def _expire(self, mapper: ModelMapper, identity: Identity) -> None:
        """Makes a cached instance pending, because its item was written elsewhere; local changes prevent that."""
        instance = self._instance_for(mapper, identity.key)
        if instance is None or state_of(instance).status is Status.TRANSIENT:
            return
        if state_of(instance).status is not Status.LOADED or not changed_names(instance):
            self._reload(instance, keep_changes=True)

    def _instance_for(self, mapper: ModelMapper, key: Key) -> Any:
        """The session's instance for a key, or None."""
        return self._identity.get((mapper, key))

    def _attach_new(self, mapper: ModelMapper, new_instances: Mapping[Key, Any]) -> Key | None:
        """Makes new instances of a model the session's instances for their keys.

        Returns:
            The first key that another instance already has; None if there is no such key.
        """
        instances = self._identity.strong[mapper]
        if self._identity.is_strong and instances.keys().isdisjoint(new_instances):  # the usual case
            instances.update(new_instances)
            return None
        return next(
            (key for key, instance in new_instances.items() if not self._claim((mapper, key), instance)), None
        )

    def _claim(self, key: ItemKey, instance: Any) -> bool:
        cached = self._identity.get(key)
        if cached is not None:
            if cached is not instance and is_there(cached):
                return False
            self._lookups.discard(key)
        self._identity.hold(key, instance)
        return True

    def _attach(self, instance: Any) -> None:
        """Makes a stored instance the session's instance for its key, and holds it."""
        state_of(instance).session = self
        key = key_of(instance)
        self._lookups.discard(key)
        if not self._was_added(key):
            self._identity.hold(key, instance)

    def _was_added(self, key: ItemKey) -> bool:
        """Whether the instance for a key is a new one that is not stored yet."""
        cached = self._identity.get(key)
        return cached is not None and state_of(cached).status is Status.TRANSIENT

    def _hold_saved(self, instance: Any) -> None:
        """Holds a saved instance of this session strongly, and removes it from the pending lookups."""
        self._discard_pending(instance)
        self._pin(instance)

    def _pin(self, instance: Any) -> None:
        """Holds a changed instance of this session strongly."""
        key = key_of(instance)
        if not self.is_closed and self._identity.get(key) is instance:
            self._identity.hold(key, instance)

    def _held_instances(self, mapper: ModelMapper) -> Mapping[Key, Any]:
        """The model's strongly held instances by key; empty once the session has deleted anything."""
        return {} if self._deleted else self._identity.strong[mapper]

    def _is_canonical(self, mapper: ModelMapper, identity: Identity, instance: Any) -> bool:
        """Whether `instance` is already the canonical one for its key."""
        cached = self._identity.strong[mapper].get(identity.key)
        return cached is instance and (mapper, identity.key) not in self._deleted

    def _superseded(self, mapper: ModelMapper, identity: Identity) -> list[Any]:
        """Instances that users got for a key before its item was created: pending, missing or deleted ones."""
        key = mapper, identity.key
        reference = self._deleted.pop(key, None)
        deleted = None if reference is None else reference()
        return [instance for instance in (self._identity.get(key), deleted) if instance is not None]

    def _mark_deleted(
        self, mapper: ModelMapper, identity: Identity, tenant: str | None, instance: Any
    ) -> None:
        """Remembers that this session deleted an item, so that later finds of its key are missing."""
        key = mapper, identity.key
        self._lookups.discard(key)
        if self._was_added(key):
            return
        self._deleted[key] = weakref.ref(instance)
        missing_instance = pending_instance(mapper, identity, tenant, self)
        mark_missing(missing_instance, consistent=True)
        self._identity.hold(key, missing_instance)

    def _has_deleted(self, mapper: ModelMapper, key: Key) -> bool:
        """Whether this session deleted the item of a key, and did not create it again."""
        return (mapper, key) in self._deleted

    def _evict(self, mapper: ModelMapper, identity: Identity) -> None:
        """Makes the next find of a key read the item again."""
        self._identity.drop((mapper, identity.key))

    def _forget_deletion(self, mapper: ModelMapper, identity: Identity) -> None:
        """Makes the next find of a key read the item again, even if the session had deleted it."""
        self._deleted.pop((mapper, identity.key), None)
        self._evict(mapper, identity)

    def _evict_missing(self, mapper: ModelMapper, identity: Identity) -> None:
        """Forgets a cached miss after a refused create has shown that the item exists."""
        cached = self._instance_for(mapper, identity.key)
        if cached is not None and state_of(cached).status is Status.MISSING:
            self._evict(mapper, identity)

    def _discard_pending(self, instance: Any) -> None:
        """Removes an instance from the pending lookups, because it was resolved otherwise."""
        self._lookups.discard(key_of(instance))

    def _track_weakly(self, instance: Any) -> None:
        """Registers an instance of a query weakly: it stays cached while other code holds it."""
        state_of(instance).session = self
        self._identity.add_weak(key_of(instance), instance)


def key_of(instance: Any) -> ItemKey:
    """The key of an instance in the identity map of its session."""
    state = state_of(instance)
    assert state.mapper is not None and state.key is not None
    return state.mapper, state.key
