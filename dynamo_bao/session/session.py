"""The session: coordinates the identity map, the pending lookups and the rounds that answer them."""

from __future__ import annotations

import enum
import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dynamo_bao.capacity import Capacity
from dynamo_bao.errors import ConcurrencyError, ConfigurationError, LazyLoadError
from dynamo_bao.instances import (
    Home,
    Status,
    changed_names,
    mark_missing,
    new_pending,
    state_of,
    unload,
)
from dynamo_bao.schema import Identity
from dynamo_bao.session.flush import Flush
from dynamo_bao.session.identity import IdentityMap, ItemKey
from dynamo_bao.session.lookups import Lookups
from dynamo_bao.session.owner import Owner, current_owner
from dynamo_bao.session.pool import Pool
from dynamo_bao.session.stats import Stats
from dynamo_bao.transport.batches import BatchAnswer
from dynamo_bao.transport.messages import Reply

log = logging.getLogger("dynamo_bao.session")

FETCH_MODES = ("peers", "one", "raise")


class SessionState(enum.Enum):
    """A session is open, or flushing while a round is under way, and in the end closed."""

    OPEN = "open"
    FLUSHING = "flushing"
    CLOSED = "closed"


class Session:
    """One owner's unit of work: what it looked up, what is still pending, and what it cost.

    Sessions are opened by `run_with_batch_context` and `batched`.

    Attributes:
        stats: the session's figures so far.
        fetch: how a related look treats the peers of the instance it starts from.
        peer_limit: how many keys of peers may join one round.
        deadline: seconds after which lookups stop being retried; None for the manager's.
    """

    def __init__(
        self,
        *,
        deadline: float | None = None,
        max_concurrency: int | None = None,
        fetch: str = "peers",
        peer_limit: int = 1000,
    ) -> None:
        if fetch not in FETCH_MODES:
            raise ConfigurationError(f"fetch={fetch!r}; use one of {', '.join(map(repr, FETCH_MODES))}.")
        if max_concurrency is not None and max_concurrency < 1:
            raise ConfigurationError(f"max_concurrency={max_concurrency!r}; at least 1 request must travel.")
        if deadline is not None and not deadline > 0:
            raise ConfigurationError(f"deadline={deadline!r}; give seconds, more than 0.")
        self.stats = Stats()
        self.fetch = fetch
        self.peer_limit = peer_limit
        self.deadline = deadline
        self._max_concurrency = max_concurrency
        self._identity = IdentityMap()
        self._lookups = Lookups()
        self._deleted: dict[ItemKey, weakref.ref[Any]] = {}
        self._pool = Pool()
        self._state = SessionState.OPEN
        self._owner: Owner | None = None
        self._activated = False

    # --- life ------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the session can still be used."""
        return self._state is not SessionState.CLOSED

    @property
    def capacity(self) -> Capacity:
        """Capacity units consumed so far."""
        return self.stats.capacity

    def bind(self) -> None:
        """Puts the session on top of the stack of the code that runs now, which owns it from here on."""
        owner = current_owner()
        if self._owner is not None and self._owner is not owner:
            raise self._foreign()
        self._owner = owner
        owner.stack.append(self)

    def unbind(self) -> None:
        """Takes the session off its owner's stack, of which it must be the top."""
        owner = self._owner
        if owner is None or owner is not current_owner() or not owner.stack or owner.stack[-1] is not self:
            if owner is not None and owner is current_owner() and self in owner.stack:
                owner.stack.remove(self)
            raise ConcurrencyError(
                "Batch contexts must be left in the reverse order they were entered, where they were entered."
            )
        owner.stack.pop()

    def close(self) -> None:
        """Ends the session: pending lookups are dropped, instances stay usable. May be called twice."""
        if self._state is SessionState.CLOSED:
            return
        self._state = SessionState.CLOSED
        self._lookups.take()
        self._identity.clear()
        self._pool.close()
        log.debug("session closed: %d round trips, %d keys", self.stats.round_trips, self.stats.keys_fetched)

    @contextmanager
    def activate(self) -> Iterator[Session]:
        """Hands the session over to the code in the block, in another thread say; exclusively.

        Raises:
            ConcurrencyError: where another place has the session activated already.

        Example:
            >>> with ThreadPoolExecutor() as pool, run_with_batch_context() as session:
            ...     def work():
            ...         with session.activate():
            ...             return User.find("42").name
            ...     pool.submit(work).result()
        """
        if self._activated or self._state is not SessionState.OPEN:
            raise ConcurrencyError(f"The session cannot be activated here: it is {self._where()}.")
        before, self._activated, self._owner = self._owner, True, None
        self.bind()
        try:
            yield self
        finally:
            try:
                self.unbind()
            finally:
                self._owner, self._activated = before, False

    def _where(self) -> str:
        return "activated elsewhere already" if self._activated else self._state.value

    def check(self, owner: Owner | None = None) -> None:
        """Raises unless the code that runs now owns the session, and it is not in the middle of a round.

        Args:
            owner: the owner of the running code, where the caller knows it.
        """
        if self._owner is not (owner or current_owner()):
            raise self._foreign()
        if self._state is SessionState.FLUSHING:
            raise ConcurrencyError(
                "A batch is being fetched; hooks and decoders cannot load anything meanwhile."
            )
        if self._state is SessionState.CLOSED:
            raise ConcurrencyError("The batch context was left; open a new one.")

    def _foreign(self) -> ConcurrencyError:
        return ConcurrencyError(
            "The batch context belongs to another thread, greenlet, task or process. Open one here with "
            "run_with_batch_context(), or hand this one over with session.activate()."
        )

    # --- lookups ---------------------------------------------------------------------------------

    def lookup(
        self,
        home: Home,
        identity: Identity,
        tenant: str | None,
        *,
        consistent: bool = False,
        counted: bool = True,
    ) -> Any:
        """The session's instance for a key: the one it knows, or a new one that is pending.

        Args:
            consistent: whether the item must have been read consistently, or will be.
            counted: whether the figures count it as a lookup.

        The caller has checked that the session may be used.
        """
        key = ItemKey(home, identity.key)
        instance = self._identity.get(key)
        if counted:
            self.stats.lookups += 1
        if instance is None:
            instance = new_pending(home, identity, tenant, self)
            self._register(key, instance, consistent)
            return instance
        if counted:
            self.stats.cache_hits += 1
        state = state_of(instance)
        if state.status is Status.FAILED:
            self._retry_failed()
        if consistent and not state.consistent:
            self._reload(instance, keep_changes=True)
        self._identity.hold(key, instance)
        return instance

    def _register(self, key: ItemKey, instance: Any, consistent: bool) -> None:
        state_of(instance).wants_consistent = consistent
        self._identity.hold(key, instance)
        self._lookups.add(key, instance)

    def _retry_failed(self) -> None:
        """Puts every failed lookup of the session into the next round."""
        for key, instance in self._identity.items():
            if state_of(instance).status is Status.FAILED:
                unload(instance, consistent=False, keep_changes=True)
                self._lookups.add(key, instance)

    def _reload(self, instance: Any, *, keep_changes: bool) -> None:
        unload(instance, consistent=True, keep_changes=keep_changes)
        self._lookups.add(_key_of(instance), instance)

    def refresh(self, instance: Any) -> None:
        """Reads `instance` again, consistently and at once; local changes are dropped."""
        self.check()
        self._reload(instance, keep_changes=False)
        self._retry_failed()
        self.load(instance)
        key = _key_of(instance)
        self._deleted.pop(key, None)
        self._identity.hold(key, instance)

    def expire(self, home: Home, identity: Identity) -> None:
        """Makes a known instance without local changes pending, because its item was written elsewhere."""
        instance = self.known(home, identity)
        if instance is None:
            return
        if state_of(instance).status is not Status.LOADED or not changed_names(instance):
            self._reload(instance, keep_changes=True)

    def known(self, home: Home, identity: Identity) -> Any:
        """The session's instance for a key, or None."""
        return self._identity.get(ItemKey(home, identity.key))

    def adopt(self, instance: Any) -> None:
        """Makes a stored instance the session's own one for its key, held."""
        state_of(instance).session = self
        key = _key_of(instance)
        self._lookups.discard(key)
        self._identity.hold(key, instance)

    def hold(self, instance: Any) -> None:
        """Keeps an instance of this session that was changed."""
        self._identity.hold(_key_of(instance), instance)

    def earlier(self, home: Home, identity: Identity) -> list[Any]:
        """Instances handed out for a key before its item was created: pending, missing or deleted ones."""
        key = ItemKey(home, identity.key)
        gone = self._deleted.pop(key, None)
        known = self._identity.get(key)
        return [one for one in (known, gone() if gone is not None else None) if one is not None]

    def deleted(self, home: Home, identity: Identity, tenant: str | None, instance: Any) -> None:
        """Remembers that this session deleted an item: later finds of its key are missing."""
        key = ItemKey(home, identity.key)
        self._lookups.discard(key)
        self._deleted[key] = weakref.ref(instance)
        missing = new_pending(home, identity, tenant, self)
        mark_missing(missing, consistent=True)
        self._identity.hold(key, missing)

    def has_deleted(self, home: Home, identity: Identity) -> bool:
        """Whether this session deleted the item of a key, and nobody created it again."""
        return ItemKey(home, identity.key) in self._deleted

    def forget(self, home: Home, identity: Identity) -> None:
        """Makes the next find of a key ask again."""
        self._identity.drop(ItemKey(home, identity.key))

    def forget_miss(self, home: Home, identity: Identity) -> None:
        """Forgets a cached miss that a refused create has disproved."""
        known = self.known(home, identity)
        if known is not None and state_of(known).status is Status.MISSING:
            self.forget(home, identity)

    def answered(self, instance: Any) -> None:
        """Takes an instance that something else resolved off the pending lookups."""
        self._lookups.discard(_key_of(instance))

    def see(self, instance: Any) -> None:
        """Knows an instance that a query brought, while somebody else holds it."""
        state_of(instance).session = self
        self._identity.see(_key_of(instance), instance)

    # --- rounds ----------------------------------------------------------------------------------

    def load(self, instance: Any) -> None:
        """Resolves `instance`, and with it everything else that is pending, in one round."""
        self.check()
        state = state_of(instance)
        if state.status is not Status.PENDING:
            return
        if state.origin is not None:
            if self.fetch == "raise":
                raise LazyLoadError(
                    f"{state.origin.model}.{state.origin.field} would be loaded implicitly, and the context was "
                    f"opened with fetch='raise'. Load it first: load_related_data([{state.origin.field!r}]).",
                    model=state.origin.model,
                    field=state.origin.field,
                )
            if self.fetch == "peers":
                self._register_peers(instance)
        self._lookups.add(_key_of(instance), instance)
        self.flush()

    def _register_peers(self, instance: Any) -> None:
        origin = state_of(instance).origin
        if origin is None or origin.group is None:
            return
        room = self.peer_limit
        for peer in origin.group.alive():
            if room <= 0:
                break
            home = state_of(peer).home
            target = home.related_target(peer, origin.field) if home is not None else None
            if target is None:
                continue
            if self.known(target[0], target[1]) is None:
                self.lookup(*target, counted=False)
                room -= 1

    def flush(self) -> None:
        """Resolves everything that is pending, in one round of parallel requests.

        Each key has its own outcome; a key that failed raises when its own instance is looked at. An
        exception that leaves the round (a keyboard interrupt, say) leaves unanswered keys pending.
        """
        self.check()
        taken = self._lookups.take()
        if not taken:
            return
        flush = Flush(taken, self.stats)
        self._state = SessionState.FLUSHING
        try:
            flush.run(self._pool, self.deadline, self._max_concurrency)
        finally:
            self._lookups.put_back(flush.unanswered)
            if self._state is SessionState.FLUSHING:
                self._state = SessionState.OPEN

    def record(self, reply: Reply) -> None:
        """Counts one reply."""
        self.stats.count(reply)

    def record_batch(self, answer: BatchAnswer) -> None:
        """Counts the replies of a batch that was sent beside the session's own lookups."""
        self.stats.batches += len(answer.replies)
        for reply in answer.replies:
            self.stats.count(reply)

    def record_round(self, reply: Reply) -> None:
        """Counts one reply that was a round of its own."""
        self.stats.round_trips += 1
        self.stats.count(reply)

    def __repr__(self) -> str:
        return (
            f"<Session {self._state.value}: {len(self._lookups)} pending, {len(self._identity)} known, "
            f"{self.stats.round_trips} round trips>"
        )


def _key_of(instance: Any) -> ItemKey:
    state = state_of(instance)
    assert state.home is not None and state.key is not None
    return ItemKey(state.home, state.key)
