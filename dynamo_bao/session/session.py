"""The session: coordinates the identity map, the pending lookups and the rounds that answer them."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from dynamo_bao.capacity import Capacity
from dynamo_bao.errors import BatchContextError, ConcurrencyError, ConfigurationError, LazyLoadError
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
from dynamo_bao.session.owned import Owned, SessionState
from dynamo_bao.session.pool import Pool
from dynamo_bao.session.queries import PendingQuery, Queries
from dynamo_bao.session.rounds import Budget, Rounds
from dynamo_bao.session.stats import Stats

log = logging.getLogger("dynamo_bao.session")

FETCH_MODES = ("peers", "one", "raise")


class Collecting(Protocol):
    """A transaction, which takes writes instead of their being carried out."""

    def collect(self, change: Any) -> Any:
        """Takes a change, shows its effect, and returns what the operation returns."""
        ...


class Session(Owned):
    """One owner's unit of work: what it looked up, what is still pending, and what it cost.

    Sessions are opened by `run_with_batch_context` and `batched`.

    Attributes:
        stats: the session's figures so far.
        fetch: how a related look treats the peers of the instance it starts from.
        peer_limit: how many keys of peers may join one round.
        query_limit: how many deferred queries may run in one round.
        rounds: what was sent so far, and the budgets in force.
        deadline: seconds after which lookups stop being retried; None for the manager's.
    """

    def __init__(
        self,
        *,
        deadline: float | None = None,
        max_concurrency: int | None = None,
        fetch: str = "peers",
        peer_limit: int = 1000,
        query_limit: int = 100,
        max_cached: int | None = None,
    ) -> None:
        if fetch not in FETCH_MODES:
            raise ConfigurationError(f"fetch={fetch!r}; use one of {', '.join(map(repr, FETCH_MODES))}.")
        if max_concurrency is not None and max_concurrency < 1:
            raise ConfigurationError(f"max_concurrency={max_concurrency!r}; at least 1 request must travel.")
        if deadline is not None and not deadline > 0:
            raise ConfigurationError(f"deadline={deadline!r}; give seconds, more than 0.")
        counts = {"peer_limit": peer_limit, "query_limit": query_limit, "max_cached": max_cached or 1}
        for name, number in counts.items():
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ConfigurationError(f"{name}={number!r}; give a whole number of at least 1.")
        super().__init__()
        self.stats = Stats()
        self.rounds = Rounds(self.stats)
        self.fetch = fetch
        self.peer_limit = peer_limit
        self.query_limit = query_limit
        self.deadline = deadline
        self._max_concurrency = max_concurrency
        self._identity = IdentityMap(max_cached)
        self._lookups = Lookups()
        self._queries = Queries()
        self._deleted: dict[ItemKey, weakref.ref[Any]] = {}
        self._pool = Pool()
        self.transaction: Collecting | None = None

    # --- life ------------------------------------------------------------------------------------

    @property
    def capacity(self) -> Capacity:
        """Capacity units consumed so far."""
        return self.stats.capacity

    def close(self) -> None:
        """Ends the session: pending lookups are dropped, instances stay usable. May be called twice."""
        if self._state is SessionState.CLOSED:
            return
        self._state = SessionState.CLOSED
        self._lookups.take()
        self._queries.clear()
        self._identity.clear()
        self._pool.close()
        log.debug("session closed: %d round trips, %d keys", self.stats.round_trips, self.stats.keys_fetched)

    @contextmanager
    def budget(
        self,
        *,
        round_trips: int | None = None,
        read_units: float | None = None,
        write_units: float | None = None,
    ) -> Iterator[Budget]:
        """A block that may ask only so much of DynamoDB; sessions opened inside it count too.

        Args:
            round_trips: how often the block may wait for DynamoDB; pages and writes count, retries do not.
            read_units, write_units: capacity units. What a request consumes is known afterwards, so that
                the next one is refused.

        Raises:
            BudgetExceededError: at the first request too many, which is not sent; what it was to fetch stays
                pending.

        Example:
            >>> with run_with_batch_context() as session, session.budget(round_trips=2):
            ...     names = [user.name for user in map(User.find, ids)]
        """
        self.check()
        limits = {"round_trips": round_trips, "read_units": read_units, "write_units": write_units}
        for name, limit in limits.items():
            if limit is not None and (
                isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit < 0
            ):
                raise ConfigurationError(f"budget({name}={limit!r}): give a number, 0 or more.")
        allowed = Budget(round_trips, read_units, write_units)
        before = self.rounds.budgets
        self.rounds.budgets = (*before, allowed)
        try:
            yield allowed
        finally:
            self.rounds.budgets = before

    def _require_movable(self) -> None:
        if self.transaction is not None:
            raise ConcurrencyError(
                "A session cannot be activated elsewhere while a transaction is open in it."
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
        key = _key_of(instance)
        if self._state is not SessionState.CLOSED and self._identity.get(key) is instance:
            self._identity.hold(key, instance)

    def expunge(self, instance: Any) -> None:
        """Forgets one instance, which becomes a detached one; the next find of its key asks again.

        Example:
            >>> for user_id in ids:
            ...     user = User.find(user_id)
            ...     report(user)
            ...     session.expunge(user)
        """
        self.check()
        state = state_of(instance)
        if state.session is not self:
            raise BatchContextError(f"{instance!r} is not an instance of this session.")
        key = _key_of(instance)
        self._lookups.discard(key)
        if self._identity.get(key) is instance:
            self._identity.drop(key)
        state.session = None

    def clear(self) -> None:
        """Forgets every instance and pending lookup, as a new session would; figures and budgets stay.

        Instances in hand become detached ones, with their local changes. In a long job this keeps memory flat.
        """
        self.check()
        for key, instance in self._identity.items():
            self._lookups.discard(key)
            state_of(instance).session = None
        self._identity.clear()
        self._deleted.clear()

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
        self._flush(())

    def defer(self, query: PendingQuery) -> None:
        """Has a query wait until it, or another one, is looked at."""
        self._queries.add(query)

    def flush_queries(self, first: PendingQuery) -> Sequence[PendingQuery]:
        """Resolves `first`, the other pending queries and the pending lookups, in one round.

        Returns:
            The queries that were asked, each of which has taken its reply or error.
        """
        self.check()
        return self._flush(self._queries.take(first, self.query_limit))

    def _flush(self, queries: Sequence[PendingQuery]) -> Sequence[PendingQuery]:
        taken = self._lookups.take()
        if not taken and not queries:
            return ()
        flush = Flush(taken, queries, self.rounds)
        try:
            with self._flushing():
                flush.run(self._pool, self.deadline, self._max_concurrency)
        finally:
            self._lookups.put_back(flush.unanswered)
            for query in flush.unheard:
                self._queries.add(query)
        return queries

    def __repr__(self) -> str:
        return (
            f"<Session {self._state.value}: {len(self._lookups)} pending, {len(self._identity)} known, "
            f"{self.stats.round_trips} round trips>"
        )


def _key_of(instance: Any) -> ItemKey:
    state = state_of(instance)
    assert state.home is not None and state.key is not None
    return ItemKey(state.home, state.key)
