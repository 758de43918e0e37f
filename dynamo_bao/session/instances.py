"""The objects of a session: one for each key, what each knows of its item, and the lookups still pending."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.session.identity_map import IdentityMap, ItemKey
from dynamo_bao.session.ownership import SessionOwnership
from dynamo_bao.session.partitions import Partitions
from dynamo_bao.session.pending_lookups import Lookups
from dynamo_bao.session.state import (
    ModelMapper,
    Status,
    changed_names,
    is_there,
    mark_missing,
    pending_instance,
    pending_instance_by_text,
    state_of,
    unload,
)
from dynamo_bao.session.stats import Stats

_TRANSIENT, _FAILED = Status.TRANSIENT, Status.FAILED  # read often


class SessionInstances(SessionOwnership):
    """The identity map of a session, and what is still to be read into it.

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
        """The session's instance for a key: the one it knows, or a new one that is pending.

        Args:
            consistent: whether the item must have been read consistently, or will be.
            counted: whether the figures count it as a lookup.

        The caller has checked that the session may be used.
        """
        key = mapper, identity.key
        instance = self._identity.get(key)
        self.stats.lookups += counted
        if instance is None:
            return self._await(key, pending_instance(mapper, identity, tenant, self), consistent)
        self.stats.cache_hits += counted
        return self._found_again(key, instance, consistent)

    def _lookup_text(
        self, mapper: ModelMapper, key: Key, text: str, tenant: str | None, consistent: bool
    ) -> Any:
        """`lookup` for a key that is one text: the shortest way there is, as it is gone most often."""
        known = self._identity
        held = known.strong[mapper]
        instance = held.get(key) if known.is_strong else known.get((mapper, key))
        self.stats.lookups += 1
        if instance is not None:
            self.stats.cache_hits += 1
            return self._found_again((mapper, key), instance, consistent)
        instance = pending_instance_by_text(mapper, key, text, tenant, self)
        if consistent or not known.is_strong:
            return self._await((mapper, key), instance, consistent)
        held[key] = self._lookups.eventual[mapper][key] = instance
        return instance

    def _await(self, key: ItemKey, instance: Any, consistent: bool) -> Any:
        """Takes on a new instance, which is to be loaded in the next round."""
        state_of(instance).wants_consistent = consistent
        self._identity.hold(key, instance)
        self._lookups.add(key, instance)
        return instance

    def _found_again(self, key: ItemKey, instance: Any, consistent: bool) -> Any:
        """Sees to it that the known instance for a key can be handed out for it."""
        state = state_of(instance)
        state.origin = None  # whoever names a key asks for it, even where a relation has named it before
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
        """Makes a known instance without local changes pending, because its item was written elsewhere."""
        instance = self._instance_for(mapper, identity.key)
        if instance is None or state_of(instance).status is Status.TRANSIENT:
            return
        if state_of(instance).status is not Status.LOADED or not changed_names(instance):
            self._reload(instance, keep_changes=True)

    def _instance_for(self, mapper: ModelMapper, key: Key) -> Any:
        """The session's instance for a key, or None."""
        return self._identity.get((mapper, key))

    def _attach_new(self, mapper: ModelMapper, new: Mapping[Key, Any]) -> Key | None:
        """Makes new instances of a model the session's own ones for their keys.

        Returns:
            The first key in whose way another instance is, where there is one; else None.
        """
        held = self._identity.strong[mapper]
        if self._identity.is_strong and held.keys().isdisjoint(new):  # as nearly always
            held.update(new)
            return None
        return next((key for key, instance in new.items() if not self._claim((mapper, key), instance)), None)

    def _claim(self, key: ItemKey, instance: Any) -> bool:
        known = self._identity.get(key)
        if known is not None:
            if known is not instance and is_there(known):
                return False
            self._lookups.discard(key)
        self._identity.hold(key, instance)
        return True

    def _attach(self, instance: Any) -> None:
        """Makes a stored instance the session's own one for its key, held."""
        state_of(instance).session = self
        key = key_of(instance)
        self._lookups.discard(key)
        if not self._was_added(key):
            self._identity.hold(key, instance)

    def _was_added(self, key: ItemKey) -> bool:
        """Whether the object for a key is a new one that is not stored yet."""
        known = self._identity.get(key)
        return known is not None and state_of(known).status is Status.TRANSIENT

    def _pin(self, instance: Any) -> None:
        """Keeps an instance of this session that was changed."""
        key = key_of(instance)
        if not self.is_closed and self._identity.get(key) is instance:
            self._identity.hold(key, instance)

    def _held_instances(self, mapper: ModelMapper) -> Mapping[Key, Any]:
        """A model's objects held, for which nobody was handed another: none where the session deleted something."""
        return {} if self._deleted else self._identity.strong[mapper]

    def _is_canonical(self, mapper: ModelMapper, identity: Identity, instance: Any) -> bool:
        """Whether an instance is the session's own one for its key already, and nobody was handed another."""
        held = self._identity.strong[mapper].get(identity.key)
        return held is instance and (mapper, identity.key) not in self._deleted

    def _superseded(self, mapper: ModelMapper, identity: Identity) -> list[Any]:
        """Instances handed out for a key before its item was created: pending, missing or deleted ones."""
        key = mapper, identity.key
        gone = self._deleted.pop(key, None)
        known = self._identity.get(key)
        return [one for one in (known, gone() if gone is not None else None) if one is not None]

    def _mark_deleted(
        self, mapper: ModelMapper, identity: Identity, tenant: str | None, instance: Any
    ) -> None:
        """Remembers that this session deleted an item: later finds of its key are missing."""
        key = mapper, identity.key
        self._lookups.discard(key)
        if self._was_added(key):
            return
        self._deleted[key] = weakref.ref(instance)
        missing = pending_instance(mapper, identity, tenant, self)
        mark_missing(missing, consistent=True)
        self._identity.hold(key, missing)

    def _has_deleted(self, mapper: ModelMapper, key: Key) -> bool:
        """Whether this session deleted the item of a key, and nobody created it again."""
        return (mapper, key) in self._deleted

    def _evict(self, mapper: ModelMapper, identity: Identity) -> None:
        """Makes the next find of a key ask again."""
        self._identity.drop((mapper, identity.key))

    def _forget_deletion(self, mapper: ModelMapper, identity: Identity) -> None:
        """Makes the next find of a key ask again, also where the session had deleted its item."""
        self._deleted.pop((mapper, identity.key), None)
        self._evict(mapper, identity)

    def _evict_missing(self, mapper: ModelMapper, identity: Identity) -> None:
        """Forgets a cached miss that a refused create has disproved."""
        known = self._instance_for(mapper, identity.key)
        if known is not None and state_of(known).status is Status.MISSING:
            self._evict(mapper, identity)

    def _discard_pending(self, instance: Any) -> None:
        """Takes an instance that something else resolved off the pending lookups."""
        self._lookups.discard(key_of(instance))

    def _track_weakly(self, instance: Any) -> None:
        """Knows an instance that a query brought, while somebody else holds it."""
        state_of(instance).session = self
        self._identity.add_weak(key_of(instance), instance)


def key_of(instance: Any) -> ItemKey:
    """Under which key a session knows an instance."""
    state = state_of(instance)
    assert state.mapper is not None and state.key is not None
    return state.mapper, state.key
