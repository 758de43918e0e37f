"""The instances of a session: one for each key, and the lookups that are still pending."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.session.identity_map import IdentityMap, ItemKey, key_of
from dynamo_bao.session.pending_lookups import Lookups
from dynamo_bao.session.state import (
    PENDING,
    Instance,
    InstanceSession,
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

_TRANSIENT, _FAILED, _PENDING = Status.TRANSIENT, Status.FAILED, Status.PENDING  # read often


class SessionInstances:
    """The instances of a session, one for each item, and the lookups that load them.

    Args:
        session: the session that new instances belong to.
        stats: the session's figures.
        max_cached: how many instances are held strongly; None for all.

    Attributes:
        lookups: the pending lookups.
    """

    __slots__ = ("_deleted", "_identity", "_replaced", "_session", "_stats", "_unloaded", "lookups")

    def __init__(self, session: InstanceSession, stats: Stats, max_cached: int | None) -> None:
        self._session: InstanceSession | None = session
        self._stats = stats
        self._identity = IdentityMap(max_cached)
        self.lookups: Lookups = Lookups()
        self._deleted: dict[ItemKey, weakref.ref[Instance]] = {}
        # Instances of items that new ones, which were only added so far, have replaced.
        self._replaced: dict[ItemKey, weakref.ref[Instance]] = {}
        self._unloaded: dict[ItemKey, weakref.ref[Instance]] = {}

    def __len__(self) -> int:
        return len(self._identity)

    def lookup(
        self,
        mapper: ModelMapper,
        identity: Identity,
        tenant: str | None,
        consistent: bool = False,
        counted: bool = True,
        weakly: bool = False,
    ) -> Instance:
        """The session's instance for a key: the cached one, or a new one that is pending.

        The caller has checked that the session can be used.

        Args:
            consistent: whether the item needs a consistent read.
            counted: whether the figures count the call as a lookup.
            weakly: whether a new instance stays cached only while other code holds it.
        """
        key = mapper, identity.key
        instance = self._identity.get(key)
        self._stats.lookups += counted
        if instance is None:
            instance = pending_instance(mapper, identity, tenant, self._session)
            return self._await(key, instance, consistent, weakly)
        self._stats.cache_hits += counted
        return self._reuse(key, instance, consistent)

    def lookup_text(
        self, mapper: ModelMapper, key: Key, text: str, tenant: str | None, consistent: bool
    ) -> Instance:
        """`lookup` for a key that is one string. This is the fast path."""
        identity_map = self._identity
        instances = identity_map.strong[mapper]
        instance = instances.get(key) if identity_map.is_strong else identity_map.get((mapper, key))
        self._stats.lookups += 1
        if instance is not None:
            self._stats.cache_hits += 1
            return self._reuse((mapper, key), instance, consistent)
        # `pending_instance` without an `Identity`, and without another call.
        instance = allocate_instance(mapper.lazy_class)
        state = new_state(mapper, PENDING, tenant, key, text, self._session)
        set_instance_dict(instance, {STATE: state, mapper.schema.single_key_name: text})
        if consistent or not identity_map.is_strong:
            return self._await((mapper, key), instance, consistent)
        instances[key] = self.lookups.eventual[mapper][key] = instance
        return instance

    def lookup_texts(
        self,
        mapper: ModelMapper,
        keys: Sequence[Key],
        texts: Sequence[str],
        tenant: str | None,
        consistent: bool,
    ) -> dict[str, Any]:
        """`lookup_text` for several keys. Returns the instances by text."""
        identity_map = self._identity
        entries = zip(keys, texts, strict=True)
        if consistent or not identity_map.is_strong:
            return {text: self.lookup_text(mapper, key, text, tenant, consistent) for key, text in entries}
        instances, pending = identity_map.strong[mapper], self.lookups.eventual[mapper]
        lazy_class, session, key_name = mapper.lazy_class, self._session, mapper.schema.single_key_name
        instances_by_text: dict[str, Instance] = {}
        new_count = 0
        for key, text in entries:
            instance = instances.get(key)
            if instance is not None:
                self._reuse((mapper, key), instance, consistent)
            else:  # the steps of `pending_instance`, inlined for speed
                instance = allocate_instance(lazy_class)
                state = new_state(mapper, PENDING, tenant, key, text, session)
                set_instance_dict(instance, {STATE: state, key_name: text})
                instances[key] = pending[key] = instance
                new_count += 1
            instances_by_text[text] = instance
        self._stats.lookups += len(keys)
        self._stats.cache_hits += len(keys) - new_count
        return instances_by_text

    def stored_instance(self, mapper: ModelMapper, identity: Identity, tenant: str | None) -> Instance:
        """The instance of a stored item, for a consistent read that no figure counts.

        It is the session's instance for the key. A new one that was only added does not count: then it is the one that
        the new one has replaced.
        """
        instance = self.lookup(mapper, identity, tenant, consistent=True, counted=False)
        if state_of(instance).status is not _TRANSIENT:
            return instance
        stored = self.get_stored(mapper, identity.key)
        if stored is None:
            stored = pending_instance(mapper, identity, tenant, self._session)
            state_of(stored).wants_consistent = True
            self._replaced[mapper, identity.key] = weakref.ref(stored)
        elif not state_of(stored).consistent:
            unload(stored, consistent=True, keep_changes=True)
        return stored

    def lookup_new(
        self, mapper: ModelMapper, identities: Iterable[Identity], tenant: str | None
    ) -> dict[Key, Instance]:
        """New pending instances, by key, for distinct keys that the session has no instance for.

        They stay cached only while other code holds them.
        """
        lookups, add_weak, session = self.lookups, self._identity.add_weak, self._session
        instances: dict[Key, Instance] = {}
        for identity in identities:
            key = identity.key
            item_key = mapper, key
            instances[key] = instance = pending_instance(mapper, identity, tenant, session)
            add_weak(item_key, instance)
            lookups.add(item_key, instance)
        return instances

    def _await(self, key: ItemKey, instance: Instance, consistent: bool, weakly: bool = False) -> Instance:
        """Registers a new instance, which the next round loads. It is missing if this session deleted the item."""
        state_of(instance).wants_consistent = consistent
        if weakly:
            self._identity.add_weak(key, instance)
        else:
            self._identity.hold(key, instance)
        if self._deleted and key in self._deleted:
            mark_missing(instance, consistent=True)
        else:
            self.lookups.add(key, instance)
        return instance

    def _reuse(self, key: ItemKey, instance: Instance, consistent: bool) -> Instance:
        """Prepares the cached instance of a key for another lookup, and returns it."""
        state = state_of(instance)
        state.origin = None  # this lookup is explicit, even if a relation registered the key before
        if state.status is _TRANSIENT:  # added, and about to be stored
            return instance
        if state.status is _FAILED:
            self.retry_failed()
        elif state.status is _PENDING:
            self.lookups.add(key, instance)  # it may have been evicted
        if consistent and not state.consistent:
            self.reload(instance, keep_changes=True)
        if not self._identity.is_strong:
            self._identity.hold(key, instance)
        return instance

    def await_pending(self, instance: Instance) -> None:
        """Registers a pending instance for the next round, with those that were unloaded together with it."""
        key = key_of(instance)
        self.lookups.add(key, instance)
        if key not in self._unloaded:
            return
        unloaded, self._unloaded = self._unloaded, {}
        for other_key, reference in unloaded.items():
            other = reference()
            if other is None or self._identity.get(other_key) is not other:
                continue
            if state_of(other).status is _PENDING:
                self.lookups.add(other_key, other)

    def note_unloaded(self, instances: Iterable[Instance]) -> None:
        """Remembers which of some instances are pending, until the next call: a look at one of them loads them all."""
        pending = [instance for instance in instances if state_of(instance).status is _PENDING]
        self._unloaded = {key_of(instance): weakref.ref(instance) for instance in pending}

    def retry_failed(self) -> None:
        """Puts every failed lookup of the session into the next round."""
        for key, instance in self._identity.items():
            if state_of(instance).status is Status.FAILED:
                unload(instance, consistent=False, keep_changes=True)
                self.lookups.add(key, instance)

    def reload(self, instance: Instance, *, keep_changes: bool) -> None:
        """Makes an instance pending again. The next round reads it consistently.

        Args:
            keep_changes: whether its local changes stay.
        """
        unload(instance, consistent=True, keep_changes=keep_changes)
        self.lookups.add(key_of(instance), instance)

    def expire(self, mapper: ModelMapper, identity: Identity) -> None:
        """Makes a cached instance pending, because its item was written elsewhere; local changes prevent that."""
        instance = self.get(mapper, identity.key)
        if instance is not None:
            self._expire(instance)

    def _expire(self, instance: Instance) -> None:
        status = state_of(instance).status
        if status is Status.TRANSIENT:
            return
        if status is not Status.LOADED or not changed_names(instance):
            self.reload(instance, keep_changes=True)

    def get(self, mapper: ModelMapper, key: Key) -> Instance | None:
        """The session's instance for a key, or None."""
        return self._identity.get((mapper, key))

    def get_stored(self, mapper: ModelMapper, key: Key) -> Instance | None:
        """`get`, but instead of a new instance that was only added the one that it has replaced, if there is one."""
        instance = self.get(mapper, key)
        if instance is None or state_of(instance).status is not _TRANSIENT:
            return instance
        reference = self._replaced.get((mapper, key))
        return None if reference is None else reference()

    def attach_new(self, mapper: ModelMapper, new_instances: Mapping[Key, Instance]) -> Key | None:
        """Makes new instances of a model the session's instances for their keys.

        Returns:
            The first key that another instance already has; None if there is no such key.
        """
        instances = self._identity.strong[mapper]
        is_free = not instances or instances.keys().isdisjoint(new_instances)
        if is_free and self._identity.is_strong:  # the usual case
            instances.update(new_instances)
            return None
        return next(
            (key for key, instance in new_instances.items() if not self._claim((mapper, key), instance)), None
        )

    def _claim(self, key: ItemKey, instance: Instance) -> bool:
        cached = self._identity.get(key)
        if cached is not None:
            if cached is not instance and is_there(cached):
                return False
            self.lookups.discard(key)
            if cached is not instance:
                self._replaced[key] = weakref.ref(cached)
        self._identity.hold(key, instance)
        return True

    def attach(self, instance: Instance) -> None:
        """Makes a stored instance the session's instance for its key, and holds it."""
        state_of(instance).session = self._session
        key = key_of(instance)
        self.lookups.discard(key)
        if self._was_added(key):
            self._replaced[key] = weakref.ref(instance)
        else:
            self._identity.hold(key, instance)

    def _was_added(self, key: ItemKey) -> bool:
        """Whether the instance for a key is a new one that is not stored yet."""
        cached = self._identity.get(key)
        return cached is not None and state_of(cached).status is Status.TRANSIENT

    def hold_saved(self, instance: Instance) -> None:
        """Holds a saved instance of this session strongly. If the session has another one for its key, that expires."""
        key = key_of(instance)
        self.lookups.discard(key)
        cached = self._identity.get(key)
        if cached is instance:
            self._identity.hold(key, instance)
        elif cached is not None:
            self._expire(cached)

    def pin(self, instance: Instance) -> None:
        """Holds an instance of this session strongly, which is about to be changed."""
        if self._identity.is_strong:
            return
        key = key_of(instance)
        if self._identity.get(key) is instance:
            self._identity.hold(key, instance, will_change=True)

    def held_instances(self, mapper: ModelMapper) -> Mapping[Key, Instance]:
        """The model's strongly held instances by key; empty if there may be earlier instances of these keys."""
        return {} if self._deleted or self._replaced else self._identity.strong[mapper]

    def hold_created(self, mapper: ModelMapper, key: Key, instance: Instance) -> bool:
        """Holds a created instance of this session. False if the session knows another one of its key."""
        item_key = mapper, key
        if item_key in self._deleted or item_key in self._replaced:
            return False
        if self._identity.setdefault(item_key, instance) is not instance:
            return False
        if mapper in self.lookups.eventual or mapper in self.lookups.strict:
            self.lookups.discard(item_key)
        return True

    def superseded(self, mapper: ModelMapper, identity: Identity) -> list[Instance]:
        """Instances that users got for a key before its item was created: pending, missing or deleted ones."""
        key = mapper, identity.key
        references = (self._deleted.pop(key, None), self._replaced.pop(key, None))
        earlier = (self._identity.get(key), *(None if ref is None else ref() for ref in references))
        return [instance for instance in earlier if instance is not None]

    def mark_deleted(
        self, mapper: ModelMapper, identity: Identity, tenant: str | None, instance: Instance
    ) -> None:
        """Remembers that this session deleted an item, so that later finds of its key are missing."""
        key = mapper, identity.key
        self.lookups.discard(key)
        if self._was_added(key):
            return
        self._deleted[key] = weakref.ref(instance)
        missing_instance = pending_instance(mapper, identity, tenant, self._session)
        mark_missing(missing_instance, consistent=True)
        self._identity.hold(key, missing_instance)

    def has_deleted(self, mapper: ModelMapper, key: Key) -> bool:
        """Whether this session deleted the item of a key, and has not created it again or read it since."""
        if (mapper, key) not in self._deleted:
            return False
        instance = self.get(mapper, key)
        return instance is None or state_of(instance).status is not Status.LOADED

    @property
    def has_deletions(self) -> bool:
        """Whether `has_deleted` can be true for any key."""
        return bool(self._deleted)

    def evict(self, mapper: ModelMapper, identity: Identity) -> None:
        """Makes the next find of a key read the item again. An instance that was missing is read again itself."""
        cached = self.get(mapper, identity.key)
        if cached is not None and state_of(cached).status is Status.MISSING:
            unload(cached, consistent=True, keep_changes=True)
        else:
            self._identity.drop((mapper, identity.key))

    def forget_former_key(self, mapper: ModelMapper, key: Key, instance: Instance) -> None:
        """Forgets that an instance, which has another key by now, was held for a key."""
        self._identity.drop_if_held((mapper, key), instance)

    def forget_deletion(self, mapper: ModelMapper, identity: Identity) -> None:
        """Makes the next find of a key read the item again, even if the session had deleted it."""
        self._deleted.pop((mapper, identity.key), None)
        self.evict(mapper, identity)

    def evict_missing(self, mapper: ModelMapper, identity: Identity) -> None:
        """Forgets a cached miss after a refused create has shown that the item exists."""
        cached = self.get(mapper, identity.key)
        if cached is not None and state_of(cached).status is Status.MISSING:
            self.evict(mapper, identity)

    def discard_pending(self, instance: Instance) -> None:
        """Removes an instance from the pending lookups, because it was resolved otherwise."""
        self.lookups.discard(key_of(instance))

    def track_weakly(self, instance: Instance) -> None:
        """Registers an instance of a query weakly: it stays cached while other code holds it."""
        state_of(instance).session = self._session
        self._identity.add_weak(key_of(instance), instance)

    def restore(self, instance: Instance) -> None:
        """Makes an instance that was read again the one for its key, even if the session had deleted the item."""
        key = key_of(instance)
        self._deleted.pop(key, None)
        self._identity.hold(key, instance)

    def detach(self, instance: Instance) -> None:
        """Removes an instance, which belongs to no session from now on. The next find of its key is a new lookup."""
        key = key_of(instance)
        self.lookups.discard(key)
        self._identity.drop_if_held(key, instance)
        state_of(instance).session = None

    def detach_all(self) -> None:
        """Removes all instances, which belong to no session from now on, and all deletions."""
        for key, instance in self._identity.items():
            self.lookups.discard(key)
            state_of(instance).session = None
        self._identity.clear()
        self._deleted.clear()
        self._replaced.clear()
        self._unloaded.clear()

    def withdraw(self, instances: Iterable[tuple[ItemKey | None, Instance]]) -> None:
        """Removes new instances that will not be stored; see `IdentityMap.drop_instances`."""
        self._identity.drop_instances(instances)

    def close(self) -> None:
        """Ends all lookups, and releases all instances and the session."""
        self.lookups.clear()
        self._identity.clear()
        self._session = None
