"""The session: coordinates the identity map, the pending lookups and the rounds that answer them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any, Protocol, TypeVar

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.table import Database, checked_throttled_calls
from dynamo_bao.errors import (
    BatchContextError,
    ConfigurationError,
    DataFormatError,
    LazyLoadError,
    UncommittedChangesError,
)
from dynamo_bao.runtime.log_fields import log_fields
from dynamo_bao.session.bindings import TRANSACTION, end_dropped, innermost
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
    """A transaction: it collects writes, and sends them at its end.

    Attributes:
        session: the session in which it was opened.
    """

    session: Session

    def collect(self, change: Any) -> Any:
        """Collects a change, applies it locally, and returns the result of the operation."""
        ...


class Session(SessionInstances):
    """The unit of work of a batch context: its instances, its pending lookups, and its figures.

    `run_with_batch_context` and `batched` open sessions.

    Attributes:
        stats: the session's figures so far.
        fetch: ``"peers"``, ``"one"`` or ``"raise"``; see `run_with_batch_context`.
        peer_limit: how many keys of peers can join one round.
        query_limit: how many deferred queries can run in one round.
        deadline: seconds for which lookups are retried; None for the manager's setting.
        max_throttled_calls: how many calls may wait because of throttling; None for the manager's setting.
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
        self._figures: Callable[[], CommitFigures | None] = _no_figures

    # --- life ------------------------------------------------------------------------------------

    @property
    def capacity(self) -> Capacity:
        """Capacity units consumed so far."""
        return self.stats.capacity

    def close(self) -> None:
        """Ends the session. Pending lookups are dropped; loaded instances stay usable. A second call does nothing."""
        if self.is_closed:
            return
        self.is_closed = True
        self._lookups.clear()
        self._queries.clear()
        self._partitions.clear()
        self._identity.clear()
        if log.isEnabledFor(logging.DEBUG):
            self._log_end()

    def _end_without_block(self, block: Any) -> None:
        """Closes the session because its block is gone without having been left, and reports uncommitted work."""

        def end(error: BaseException) -> None:
            self.close()
            self._require_committed(error)

        end_dropped("BatchContext", end, block)

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
        """Limits the requests of a block. Sessions that are opened inside the block count too.

        Args:
            round_trips: how often the block may wait for DynamoDB. Pages and writes count, retries do not.
            read_units, write_units: capacity units. A request may exceed them, as its consumption is known only
                afterwards; the next request is then refused.

        Returns:
            A context manager that yields the `Budget`.

        Raises:
            ConfigurationError: for a limit that is not a number of at least 0.
            BudgetExceededError: at the first request beyond the budget. The request is not sent, and its lookups
                stay pending.

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
        return BudgetBlock((round_trips, read_units, write_units))

    def trace(self) -> Trace:
        """The rounds of requests so far, each with the line of code that caused it."""
        return Trace(tuple(self._rounds.history))

    # --- objects ---------------------------------------------------------------------------------

    def refresh(self, instance: Any) -> None:
        """Reads `instance` again, consistently and at once. Local changes and cached query results are dropped."""
        self._check()
        self._partitions.clear()
        self._reload(instance, keep_changes=False)
        self._retry_failed()
        self._load(instance)
        key = key_of(instance)
        self._deleted.pop(key, None)
        self._identity.hold(key, instance)

    def expunge(self, instance: Any) -> None:
        """Removes an instance from the session, and drops cached query results.

        The instance becomes detached. The next find of its key reads the item again.

        Raises:
            BatchContextError: if the instance does not belong to this session.

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
        """Removes all instances, pending lookups and cached queries. Figures and budgets stay.

        Instances that the program still uses become detached; they keep their local changes. In a long job this
        keeps memory flat.

        Raises:
            UncommittedChangesError: if work is not committed; call `commit` or `rollback` first.
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
        """Registers new or changed objects; the next `commit` writes them.

        `find` returns new objects from now on. The commit writes the values that the objects have then. The last
        call for an object counts: `add` cancels an earlier `delete`.

        Args:
            instances: the objects, of any models.
            overwrite: whether new objects replace stored items without a check.

        Raises (no object is added then):
            TypeError: for an object that is not a model instance.
            ValidationError: for an invalid key, or for `overwrite` of a model with unique constraints.
            ConditionalError: if the session has another object with the same key.

        Example:
            >>> with run_with_batch_context() as session:
            ...     session.add(*(Post(title=title) for title in titles))
            ...     session.commit()
        """
        self._check()
        entries: list[PendingWrite] = []
        try:
            for model, members in groupby(instances, type):
                entries += _mapper_of(model)._entries_for(self, members, overwrite=overwrite)
        except BaseException:
            unregistered = [
                instance
                for instance in instances
                if isinstance(instance, Instance) and self._work.of(instance) is None
            ]
            self._identity.drop_instances(
                instance for instance in unregistered if state_of(instance).status is Status.TRANSIENT
            )
            raise
        self._work.add(entries)

    def delete(self, *instances: Any) -> None:
        """Registers objects; the next `commit` deletes them. A new object that was added is only withdrawn.

        Args:
            instances: the objects, of any models.

        Raises:
            TypeError: for an object that is not a model instance.
            ItemNotFoundError: for an object that is not stored.
        """
        self._check()
        for instance in instances:
            earlier = self._work.of(instance)
            if earlier is not None and earlier.is_new:
                self._withdraw([earlier])
            else:
                self._work.add(_mapper_of(type(instance))._entries_for(self, [instance], deletes=True))

    def commit(self, *, atomic: bool = False) -> None:
        """Writes the objects that were added, and deletes the objects that were passed to `delete`.

        Unconditional puts and deletes are sent in batches of 25. Writes with conditions are sent one by one or in
        transactions. All requests run at the same time; only writes of one item or of one unique value keep their
        order. Afterwards `last_commit` has the outcome of every object. This also holds if an exception of the
        application, such as Celery's time limit, ends the commit. Objects that were not written stay in the session
        and can be committed again.

        Args:
            atomic: whether the commit is one transaction, written as a whole or not at all.

        Raises:
            CommitError: if a part was not written; that part stays and can be committed again.
            TransactionError: if an atomic commit was not written; everything stays.
            BatchContextError: inside a `transaction()`, which writes at its own end.
        """
        self._check()
        transaction = innermost(TRANSACTION)
        if transaction is not None and transaction.value.session is self:
            raise BatchContextError(
                "commit() inside transaction(): the transaction writes at the end of its block."
            )
        entries = self._work.all()
        self._report_commit(lambda: CommitFigures(not_done=tuple([entry.instance for entry in entries])))
        if entries:
            entries[0].mapper._commit(self, entries, atomic=atomic)

    def rollback(self) -> None:
        """Withdraws all added and deleted objects. They keep their values; new objects are not stored."""
        self._check()
        self._withdraw(self._work.all())
        self._partitions.clear()

    def _forget_written(self, entries: Sequence[PendingWrite], figures: CommitFigures) -> None:
        """Removes written entries from the unit of work, and records the outcome of the commit."""
        self._work.drop(entries)
        self._report_commit(figures.by_reference())

    @property
    def last_commit(self) -> CommitFigures | None:
        """The outcome of the last `commit`, even if it raised; None before the first commit.

        After a commit that wrote everything, it lists only the objects that the program still uses.

        Example:
            >>> try:
            ...     session.commit()
            ... except SoftTimeLimitExceeded:
            ...     log.warning("%d are written", len(session.last_commit.done))
        """
        return self._figures()

    def _report_commit(self, figures: Callable[[], CommitFigures]) -> None:
        """Sets the function that `last_commit` calls for its value."""
        self._figures = figures

    def _withdraw(self, entries: Sequence[PendingWrite]) -> None:
        self._work.drop(entries)
        self._identity.drop_instances(entry.instance for entry in entries if entry.is_new)

    def _require_committed(self, error: BaseException | None) -> None:
        """Reports work that was neither committed nor rolled back. The session is already closed.

        Args:
            error: the exception that ends the block. With one, the report is a log line; else it is an exception.

        Raises:
            UncommittedChangesError: if there is such work, and no `error`.
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
            text + "Call session.commit() before the block ends, or session.rollback() to drop them.",
            not_done=[entry.instance for entry in entries],
        )

    def _run_at_once(self, calls: Sequence[Callable[[], T]], database: Database) -> list[T]:
        """Runs calls that each send requests, within the session's concurrency, and returns their results."""
        with Flushing(self):
            return database.pool.run(calls, self._concurrency_at(database))

    def _concurrency_at(self, database: Database) -> int:
        """How many requests of a round run at the same time."""
        return self._max_concurrency or database.max_concurrency

    # --- rounds ----------------------------------------------------------------------------------

    def _load(self, instance: Any) -> None:
        """Resolves `instance` and all other pending lookups in one round."""
        self._check()
        state, round_kind = state_of(instance), None
        if state.status is not Status.PENDING:
            return
        if state.origin is not None:
            if self.fetch == "raise":
                raise LazyLoadError(
                    f"{state.origin.model}.{state.origin.field} is not loaded, and the context was opened with "
                    f"fetch='raise', which refuses implicit loads. Load it first: "
                    f"load_related_data([{state.origin.field!r}]).",
                    model=state.origin.model,
                    field=state.origin.field,
                )
            if self.fetch == "peers":
                round_kind = self._register_peers(instance)
        self._lookups.add(key_of(instance), instance)
        self.flush(round_kind)

    def _register_peers(self, instance: Any) -> str | None:
        """Looks up the same relation of all peers; returns the kind of the round if it is for a whole page."""
        origin = state_of(instance).origin
        if origin is None or origin.group is None:
            return None
        room = self.peer_limit
        for peer in origin.group.alive():
            if room <= 0:
                break
            mapper = state_of(peer).mapper
            try:
                target = mapper._related_target(peer, origin.field) if mapper is not None else None
            except DataFormatError:  # raised when that relation itself is read
                continue
            if target is None:
                continue
            if self._instance_for(target[0], target[1].key) is None:
                self._lookup(*target, counted=False)
                room -= 1
        return "further" if origin.group.is_page else None

    def flush(self, kind: str | None = None) -> None:
        """Resolves all pending lookups, in one round of parallel requests.

        Each key has its own outcome: a failed key raises only when its instance is used. An exception that ends the
        round, such as KeyboardInterrupt, leaves unanswered keys pending.

        Args:
            kind: the kind of the round in the trace, for requests of the library itself; see `Round`.
        """
        self._check()
        self._flush((), kind)

    def _defer(self, query: PendingQuery) -> None:
        """Registers a query; it runs when its result, or the result of another query, is used."""
        self._queries.add(query)

    def _flush_queries(self, first: PendingQuery) -> Sequence[PendingQuery]:
        """Resolves `first`, the other pending queries and the pending lookups, in one round.

        Returns:
            The queries that ran; each has received its reply or its error.
        """
        self._check()
        return self._flush(self._queries.pop_pending(first, self.query_limit))

    def _flush(self, queries: Sequence[PendingQuery], kind: str | None = None) -> Sequence[PendingQuery]:
        lookups = self._lookups.pop_pending()
        if not lookups and not queries:
            return ()
        flush = Flush(lookups, queries, self._rounds, kind)
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


def _no_figures() -> None:
    """The value of `last_commit` before the first commit."""


def _require_options(
    deadline: Any, max_concurrency: Any, fetch: Any, peer_limit: Any, query_limit: Any, max_cached: Any
) -> None:
    """Raises `ConfigurationError` for invalid options of a session."""
    if fetch not in FETCH_MODES:
        raise ConfigurationError(f"fetch={fetch!r}; use one of {', '.join(map(repr, FETCH_MODES))}.")
    if max_concurrency is not None and max_concurrency < 1:
        raise ConfigurationError(f"max_concurrency={max_concurrency!r}; give a whole number of at least 1.")
    if deadline is not None and not deadline > 0:
        raise ConfigurationError(f"deadline={deadline!r}; give seconds, more than 0.")
    if type(peer_limit) is not int or peer_limit < 1:
        _require_count("peer_limit", peer_limit)
    if type(query_limit) is not int or query_limit < 1:
        _require_count("query_limit", query_limit)
    if max_cached is not None:
        _require_count("max_cached", max_cached)


def _require_count(name: str, number: Any) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ConfigurationError(f"{name}={number!r}; give a whole number of at least 1.")


def _mapper_of(model: Any) -> ModelMapper:
    """The repository of a model class."""
    try:
        repository_of_class = model.__bao_repository__
    except AttributeError:
        raise TypeError(f"add() and delete() take model instances, not {model.__name__}.") from None
    mapper: ModelMapper = repository_of_class()
    return mapper
