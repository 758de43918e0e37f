"""The session: coordinates the identity map, the pending lookups and the rounds that answer them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any, Protocol, TypeVar

from dynamo_bao._log_fields import log_fields
from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.table import Database, checked_throttled_calls
from dynamo_bao.errors import (
    BatchContextError,
    ConfigurationError,
    DataFormatError,
    LazyLoadError,
    UncommittedChangesError,
)
from dynamo_bao.session.bindings import TRANSACTION, innermost
from dynamo_bao.session.budget import Budget, BudgetBlock
from dynamo_bao.session.flush import Flush
from dynamo_bao.session.instances import SessionInstances, key_of
from dynamo_bao.session.ownership import Flushing
from dynamo_bao.session.pending_queries import PendingQuery, Queries
from dynamo_bao.session.rounds import Rounds
from dynamo_bao.session.state import Instance, ModelMapper, Status, state_of
from dynamo_bao.session.trace import Trace
from dynamo_bao.session.unit_of_work import CommitFigures, PendingWrite, UnitOfWork

log = logging.getLogger("dynamo_bao.session")

T = TypeVar("T")

FETCH_MODES = ("peers", "one", "raise")


class Collecting(Protocol):
    """A transaction, which takes writes instead of their being carried out.

    Attributes:
        session: the session it was opened in.
    """

    session: Session

    def collect(self, change: Any) -> Any:
        """Takes a change, shows its effect, and returns what the operation returns."""
        ...


class Session(SessionInstances):
    """One owner's unit of work: what it looked up, what is still pending, and what it cost.

    Sessions are opened by `run_with_batch_context` and `batched`.

    Attributes:
        stats: the session's figures so far.
        fetch: how a related look treats the peers of the instance it starts from.
        peer_limit: how many keys of peers may join one round.
        query_limit: how many deferred queries may run in one round.
        deadline: seconds after which lookups stop being retried; None for the manager's.
        max_throttled_calls: how many calls may wait because of throttling; None for what the manager says.
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
        max_throttled_calls: float | str | None = None,
    ) -> None:
        _require_options(deadline, max_concurrency, fetch, peer_limit, query_limit, max_cached)
        super().__init__(max_cached)
        self._rounds = Rounds(self.stats)
        self.fetch = fetch
        self.peer_limit = peer_limit
        self.query_limit = query_limit
        self.deadline = deadline
        self._max_concurrency = max_concurrency
        self.max_throttled_calls = (
            None
            if max_throttled_calls is None
            else checked_throttled_calls(max_throttled_calls, "max_throttled_calls")
        )
        self._queries = Queries()
        self._work = UnitOfWork()
        self._figures: Callable[[], CommitFigures | None] = lambda: None

    # --- life ------------------------------------------------------------------------------------

    @property
    def capacity(self) -> Capacity:
        """Capacity units consumed so far."""
        return self.stats.capacity

    def close(self) -> None:
        """Ends the session: pending lookups are dropped, instances stay usable. May be called twice."""
        if self.is_closed:
            return
        self.is_closed = True
        self._lookups.clear()
        self._queries.clear()
        self._partitions.clear()
        self._identity.clear()
        if log.isEnabledFor(logging.DEBUG):
            self._log_end()

    def _log_end(self) -> None:
        stats = self.stats
        log.debug(
            "session closed: %d round trips, %d keys",
            stats.round_trips,
            stats.keys_fetched,
            extra=self._rounds.fields("session"),
        )

    def budget(
        self,
        *,
        round_trips: int | None = None,
        read_units: float | None = None,
        write_units: float | None = None,
    ) -> AbstractContextManager[Budget]:
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
        self._check()
        limits = {"round_trips": round_trips, "read_units": read_units, "write_units": write_units}
        for name, limit in limits.items():
            if limit is not None and (
                isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit < 0
            ):
                raise ConfigurationError(f"budget({name}={limit!r}): give a number, 0 or more.")
        return BudgetBlock(round_trips, read_units, write_units)

    def trace(self) -> Trace:
        """What was asked of DynamoDB so far, round by round, with the line that caused each."""
        return Trace(tuple(self._rounds.history))

    # --- objects ---------------------------------------------------------------------------------

    def refresh(self, instance: Any) -> None:
        """Reads `instance` again, consistently and at once; local changes are dropped. Queries are asked again."""
        self._check()
        self._partitions.clear()
        self._reload(instance, keep_changes=False)
        self._retry_failed()
        self._load(instance)
        key = key_of(instance)
        self._deleted.pop(key, None)
        self._identity.hold(key, instance)

    def expunge(self, instance: Any) -> None:
        """Forgets one instance, which becomes a detached one; the next find of its key asks again, as queries do.

        Example:
            >>> for user_id in ids:
            ...     user = User.find(user_id)
            ...     report(user)
            ...     session.expunge(user)
        """
        self._check()
        state = state_of(instance)
        if state.session is not self:
            raise BatchContextError(f"{instance!r} is not an instance of this session.")
        entry = self._work.of(instance)
        if entry is not None:
            self._work.drop([entry])
        key = key_of(instance)
        self._lookups.discard(key)
        if self._identity.get(key) is instance:
            self._identity.drop(key)
        self._partitions.clear()
        state.session = None

    def clear(self) -> None:
        """Forgets every instance, pending lookup and query, as a new session would; figures and budgets stay.

        Instances in hand become detached ones, with their local changes. In a long job this keeps memory flat.

        Raises:
            UncommittedChangesError: where work is not committed; `commit` or `rollback` first.
        """
        self._check()
        if self._work:
            raise UncommittedChangesError(
                f"{len(self._work)} objects are not committed; commit() or rollback() before clear().",
                not_done=[entry.instance for entry in self._work.all()],
            )
        for key, instance in self._identity.items():
            self._lookups.discard(key)
            state_of(instance).session = None
        self._identity.clear()
        self._partitions.clear()
        self._deleted.clear()

    # --- unit of work ----------------------------------------------------------------------------

    def add(self, *instances: Any, overwrite: bool = False) -> None:
        """Has new or changed objects written at the next `commit`.

        New ones are found by `find` from now on. What is written are the values they have at the commit. What was
        asked last of an object counts: one that was to be deleted is kept.

        Args:
            overwrite: new objects replace whatever is stored under their keys, unlooked at.

        Raises (and then none of them is added):
            ValidationError: for a key the model refuses, or overwriting where unique values must be kept.
            ConditionalError: where the session knows another object with the key.

        Example:
            >>> with run_with_batch_context() as session:
            ...     session.add(*(Post(title=title) for title in titles))
            ...     session.commit()
        """
        self._check()
        entries: list[PendingWrite] = []
        try:
            for kind, some in groupby(instances, type):
                entries += _mapper_of(kind)._entries_for(self, some, overwrite=overwrite)
        except BaseException:
            known = [one for one in instances if isinstance(one, Instance) and self._work.of(one) is None]
            self._identity.drop_instances(one for one in known if state_of(one).status is Status.TRANSIENT)
            raise
        self._work.add(entries)

    def delete(self, *instances: Any) -> None:
        """Has objects deleted at the next `commit`; until then they exist. New ones that were added are not stored.

        Raises:
            ItemNotFoundError: for an object that is not stored, any more or yet.
        """
        self._check()
        for instance in instances:
            earlier = self._work.of(instance)
            if earlier is not None and earlier.is_new:
                self._withdraw([earlier])
            else:
                self._work.add(_mapper_of(type(instance))._entries_for(self, [instance], deletes=True))

    def commit(self, *, atomic: bool = False) -> None:
        """Writes everything that was added and deletes everything that was to be deleted.

        Plain puts and deletes travel in batches of 25, writes with conditions by themselves or in
        transactions, all at the same time; only writes of one item or unique value keep their order.
        `last_commit` then tells what became of every object, however the commit ended: an exception of the
        application's own, such as Celery's time limit, leaves the commit as it is, and what was not written by then
        stays and can be committed again.

        Args:
            atomic: whether all of it is one transaction, written wholly or not at all.

        Raises:
            CommitError: where a part was not written; that part stays and can be committed again.
            TransactionError: where nothing was, in an atomic commit; everything stays.
            BatchContextError: inside a `transaction()`, which writes at its own end.
        """
        self._check()
        transaction = innermost(TRANSACTION)
        if transaction is not None and transaction.what.session is self:
            raise BatchContextError(
                "commit() inside transaction(): the transaction writes at the end of its block."
            )
        entries = self._work.all()
        self._report_commit(lambda: CommitFigures(not_done=tuple([entry.instance for entry in entries])))
        if entries:
            entries[0].mapper._commit(self, entries, atomic=atomic)

    def rollback(self) -> None:
        """Forgets what was added or to be deleted; objects keep their values, and new ones are not stored."""
        self._check()
        self._withdraw(self._work.all())
        self._partitions.clear()

    def _forget_written(self, entries: Sequence[PendingWrite], figures: CommitFigures) -> None:
        """Takes entries that are written off the unit of work, and notes what became of all of them."""
        self._work.drop(entries)
        self._report_commit(figures.by_reference())

    @property
    def last_commit(self) -> CommitFigures | None:
        """What became of the objects of the last `commit`, however it ended; None before the first.

        After a commit that wrote everything it names the objects that the program still uses.

        Example:
            >>> try:
            ...     session.commit()
            ... except SoftTimeLimitExceeded:
            ...     log.warning("%d are written", len(session.last_commit.done))
        """
        return self._figures()

    def _report_commit(self, figures: Callable[[], CommitFigures]) -> None:
        """Has `last_commit` answer what a function says, at the moment somebody looks."""
        self._figures = figures

    def _withdraw(self, entries: Sequence[PendingWrite]) -> None:
        self._work.drop(entries)
        self._identity.drop_instances(entry.instance for entry in entries if entry.is_new)

    def _require_committed(self, error: BaseException | None) -> None:
        """Tells, after the session was closed, of work that was neither committed nor rolled back.

        Args:
            error: what the block is being left with, beside which nothing is raised.
        """
        entries = self._work.all()
        if not entries:
            return
        self._work.drop(entries)
        text = (
            f"{len(entries)} objects were added or deleted and never committed; nothing of them is written. "
        )
        if error is not None:
            tables = [entry.mapper.database.table_name for entry in entries]
            fields = log_fields("commit", tables, len(entries))
            log.warning("%sThe block was left with %r.", text, error, extra=fields)
            return
        raise UncommittedChangesError(
            text + "Call session.commit() before the block ends, or session.rollback() if that is meant.",
            not_done=[entry.instance for entry in entries],
        )

    def _run_at_once(self, calls: Sequence[Callable[[], T]], database: Database) -> list[T]:
        """The results of calls that each send requests, as many of them at a time as the session may."""
        with Flushing(self):
            return database.pool.run(calls, self._concurrency_at(database))

    def _concurrency_at(self, database: Database) -> int:
        """How many requests of a round travel at once."""
        return self._max_concurrency or database.max_concurrency

    # --- rounds ----------------------------------------------------------------------------------

    def _load(self, instance: Any) -> None:
        """Resolves `instance`, and with it everything else that is pending, in one round."""
        self._check()
        state, kind = state_of(instance), None
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
                kind = self._register_peers(instance)
        self._lookups.add(key_of(instance), instance)
        self.flush(kind)

    def _register_peers(self, instance: Any) -> str | None:
        """Looks up the same relation of all peers; returns the kind of the round, where it is one for a whole page."""
        origin = state_of(instance).origin
        if origin is None or origin.group is None:
            return None
        room = self.peer_limit
        for peer in origin.group.alive():
            if room <= 0:
                break
            mapper = state_of(peer).mapper
            try:
                target = mapper.related_target(peer, origin.field) if mapper is not None else None
            except DataFormatError:  # told when that peer's own relation is looked at
                continue
            if target is None:
                continue
            if self._instance_for(target[0], target[1].key) is None:
                self._lookup(*target, counted=False)
                room -= 1
        return "further" if origin.group.is_page else None

    def flush(self, kind: str | None = None) -> None:
        """Resolves everything that is pending, in one round of parallel requests.

        Each key has its own outcome; a key that failed raises when its own instance is looked at. An
        exception that leaves the round (a keyboard interrupt, say) leaves unanswered keys pending.

        Args:
            kind: what the round is for the trace, where the library asks by itself; see `Round`.
        """
        self._check()
        self._flush((), kind)

    def _defer(self, query: PendingQuery) -> None:
        """Has a query wait until it, or another one, is looked at."""
        self._queries.add(query)

    def _flush_queries(self, first: PendingQuery) -> Sequence[PendingQuery]:
        """Resolves `first`, the other pending queries and the pending lookups, in one round.

        Returns:
            The queries that were asked, each of which has taken its reply or error.
        """
        self._check()
        return self._flush(self._queries.pop_pending(first, self.query_limit))

    def _flush(self, queries: Sequence[PendingQuery], kind: str | None = None) -> Sequence[PendingQuery]:
        taken = self._lookups.pop_pending()
        if not taken and not queries:
            return ()
        flush = Flush(taken, queries, self._rounds, kind)
        try:
            with Flushing(self):
                flush.run(self.deadline, self._max_concurrency, self.max_throttled_calls)
        except BaseException:
            self._lookups.put_back(flush.unanswered())
            for query in flush.unresolved:
                self._queries.add(query)
            raise
        return queries

    def __repr__(self) -> str:
        return (
            f"<Session {self.state.value}: {len(self._lookups)} pending, {len(self._identity)} known, "
            f"{self.stats.round_trips} round trips>"
        )


def _require_options(
    deadline: Any, max_concurrency: Any, fetch: Any, peer_limit: Any, query_limit: Any, max_cached: Any
) -> None:
    """Raises `ConfigurationError` for options of a session that cannot be meant."""
    if fetch not in FETCH_MODES:
        raise ConfigurationError(f"fetch={fetch!r}; use one of {', '.join(map(repr, FETCH_MODES))}.")
    if max_concurrency is not None and max_concurrency < 1:
        raise ConfigurationError(f"max_concurrency={max_concurrency!r}; at least 1 request must travel.")
    if deadline is not None and not deadline > 0:
        raise ConfigurationError(f"deadline={deadline!r}; give seconds, more than 0.")
    counts = {
        "peer_limit": peer_limit,
        "query_limit": query_limit,
        "max_cached": 1 if max_cached is None else max_cached,
    }
    for name, number in counts.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ConfigurationError(f"{name}={number!r}; give a whole number of at least 1.")


def _mapper_of(kind: Any) -> ModelMapper:
    """Where new objects of a class belong."""
    try:
        found = kind.__bao_repository__
    except AttributeError:
        raise TypeError(
            f"a session writes and deletes instances of models, and {kind.__name__} is none."
        ) from None
    mapper: ModelMapper = found()
    return mapper
