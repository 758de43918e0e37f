"""The session: coordinates the identity map, the pending lookups and the rounds that answer them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.errors import BatchContextError, ConfigurationError, UncommittedChangesError
from dynamo_bao.runtime.late_libraries import logging
from dynamo_bao.runtime.logs import late_logger, shows_debug
from dynamo_bao.session.bindings import (
    MANAGER,
    SESSION,
    TENANT,
    TRANSACTION,
    Block,
    acting_owner,
    end_dropped,
    innermost_value,
)
from dynamo_bao.session.budget import Budget, BudgetBlock
from dynamo_bao.session.instances import SessionInstances
from dynamo_bao.session.lazy import not_stored_yet
from dynamo_bao.session.loader import Loader
from dynamo_bao.session.ownership import SessionOwnership, SessionState
from dynamo_bao.session.partitions import Partitions
from dynamo_bao.session.peers import forget_items
from dynamo_bao.session.rounds import Rounds
from dynamo_bao.session.settings import DEFAULT_SETTINGS, SessionSettings
from dynamo_bao.session.state import Instance, Status, state_of
from dynamo_bao.session.stats import Stats
from dynamo_bao.session.tenancy import EXEMPT
from dynamo_bao.session.trace import Trace
from dynamo_bao.session.unit_of_work import CommitFigures, PendingWrite, UnitOfWork

log: logging.Logger = late_logger("dynamo_bao.session")


class Collecting(Protocol):
    """A transaction: it collects writes, and sends them at its end.

    Attributes:
        session: the session in which it was opened.
    """

    session: Session

    def _collect(self, change: object) -> object:
        """Collects a change, applies it locally, and returns the result of the operation."""
        ...

    def _has_changed(self, instance: Instance) -> bool:
        """Whether an instance has values of a collected change."""
        ...

    def _note_refresh(self, instance: Instance) -> None:
        """Records that an instance was read again, and no longer has the values of the collected changes."""
        ...


class Persister(Protocol):
    """The write side of a session: it checks and writes the objects of a unit of work."""

    def pending_writes(
        self,
        session: Session,
        instances: Sequence[Instance],
        *,
        deletes: bool = False,
        overwrite: bool = False,
    ) -> list[PendingWrite]:
        """The entries of a unit of work for objects that the next commit saves or deletes."""
        ...

    def commit(self, session: Session, entries: Sequence[PendingWrite], *, atomic: bool) -> None:
        """Writes entries of a unit of work. Written ones leave it, and the others stay."""
        ...


class ReadOnly:
    """The write side of a session that only reads."""

    def pending_writes(self, *_: object, **__: object) -> list[PendingWrite]:
        """Refuses to write."""
        raise BatchContextError("This session belongs to one read. Open one with run_with_batch_context().")

    def commit(self, *_: object, **__: object) -> None:
        """Does nothing: there are no entries."""


class Session:
    """The unit of work of a batch context: its instances, its pending lookups, and its figures.

    `run_with_batch_context` and `batched` open sessions.

    Attributes:
        stats: the session's figures so far.
        settings: the options with which it was opened.

    Example:
        >>> with run_with_batch_context() as session:
        ...     users = [User.find(id) for id in ids]
        ...     print([user.name for user in users], session.stats.round_trips)
    """

    # Each part has one task. The other rooms of the library use the parts; programs use the public methods.
    # _ownership: who may use the session, and when
    # _instances: the identity map and the pending lookups
    # _loader: the rounds that answer lookups and queries
    # _rounds: the history of rounds
    # _partitions: cached results of queries
    # _work: the objects of the next commit, and the outcome of the last one
    # _persister: the write side

    def __init__(self, settings: SessionSettings, persister: Persister) -> None:
        self.stats: Stats = Stats()
        self.settings = settings
        self._ownership = SessionOwnership()
        self._instances = SessionInstances(self, self.stats, settings.max_cached)
        self._rounds = Rounds(self.stats)
        self._loader = Loader(self._ownership, self._instances, self._rounds, settings)
        self._partitions = Partitions(settings.max_cached)
        self._work = UnitOfWork()
        self._persister = persister

    # --- life ------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the session is not closed."""
        return not self._ownership.is_closed

    @property
    def is_closed(self) -> bool:
        """Whether the session has ended."""
        return self._ownership.is_closed

    @property
    def state(self) -> SessionState:
        """Whether the session is open, flushing or closed."""
        return self._ownership.state

    @property
    def tenant(self) -> str | None:
        """The tenant that the session was opened under; `activate` binds it too."""
        return self._ownership.tenant

    @property
    def capacity(self) -> Capacity:
        """Capacity units consumed so far."""
        return self.stats.capacity

    def close(self) -> None:
        """Ends the session. Pending lookups are dropped; loaded instances stay usable. A second call does nothing."""
        if self._ownership.is_closed:
            return
        self._ownership.is_closed = True
        self._release()

    def _release(self) -> None:
        """Forgets everything, at the end of the session."""
        self._ownership.outer = None
        self._loader.queries.clear()
        self._partitions.close()
        self._instances.close()
        if self.stats.prefetched:
            self._rounds.warn_of_unused(self._partitions.kinds.figures)
        if shows_debug(log):
            self._log_end()

    def _end_without_block(self, block: object) -> None:
        """Closes the session because its block is gone without having been left, and reports uncommitted work."""

        def end(error: BaseException) -> None:
            self.close()
            self._work.require_committed(error)

        end_dropped("BatchContext", end, block)

    def _log_end(self) -> None:
        stats = self.stats
        log.debug(
            "session closed: %d round trips, %d keys",
            stats.round_trips,
            stats.keys_fetched,
            extra=self._rounds.fields("session"),
        )

    def activate(self) -> Block[Session]:
        """Hands the session over to a block, for example in another thread.

        Only this block can use the session until it ends. The tenant and the manager with which the session was
        opened are active in it.

        Returns:
            A context manager that yields the session.

        Raises:
            ConcurrencyError: at the start of the block, if the session is activated elsewhere, or if a transaction is
                open in it.

        Example:
            >>> with ThreadPoolExecutor() as pool, run_with_batch_context() as session:
            ...     def work():
            ...         with session.activate():
            ...             return User.find("42").name
            ...     pool.submit(work).result()
        """
        return _Activation(self)

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
        self._ownership.check()
        limits = {"round_trips": round_trips, "read_units": read_units, "write_units": write_units}
        for name, limit in limits.items():
            if limit is not None and (
                isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit < 0
            ):
                raise ConfigurationError(f"budget({name}={limit!r}): give a number, 0 or more.")
        return BudgetBlock((round_trips, read_units, write_units))

    def trace(self) -> Trace:
        """The rounds of requests so far, each with the line of code that caused it.

        Returns:
            The trace; `print` shows it as a table.
        """
        stats = self.stats
        return Trace(tuple(self._rounds.history), stats.prefetched, stats.prefetched_unused)

    # --- objects ---------------------------------------------------------------------------------

    def refresh(self, instance: Instance) -> None:
        """Reads `instance` again, consistently and at once. Local changes and cached query results are dropped.

        Args:
            instance: an instance of this session.

        Raises:
            BatchContextError: if the instance does not belong to this session.
            ItemNotFoundError: for a new instance, which has no item yet.
        """
        self._ownership.check()
        self._require_own(instance, "Use its own refresh() instead.")
        if state_of(instance).status is Status.TRANSIENT:
            raise not_stored_yet(type(instance).__name__)
        self._partitions.clear()
        forget_items(instance)
        self._instances.reload(instance, keep_changes=False)
        self._instances.retry_failed()
        self._loader.load(instance)
        self._instances.restore(instance)
        transaction: Collecting | None = innermost_value(TRANSACTION)
        if transaction is not None:
            transaction._note_refresh(instance)

    def expunge(self, instance: Instance) -> None:
        """Removes an instance from the session, and drops cached query results.

        The instance becomes detached. The next find of its key reads the item again.

        Args:
            instance: an instance of this session.

        Raises:
            BatchContextError: if the instance does not belong to this session.

        Example:
            >>> for user_id in ids:
            ...     user = User.find(user_id)
            ...     report(user)
            ...     session.expunge(user)
        """
        self._ownership.check()
        self._require_own(instance, "There is nothing to remove.")
        entry = self._work.of(instance)
        if entry is not None:
            self._work.drop([entry])
        self._instances.detach(instance)
        self._partitions.clear()
        forget_items(instance)

    def _require_own(self, instance: Instance, remedy: str) -> None:
        """Raises `BatchContextError` for anything but an instance of this session: the map holds one for each key."""
        if not isinstance(instance, Instance) or state_of(instance).session is not self:
            raise BatchContextError(f"{instance!r} is not an instance of this session. {remedy}")

    def clear(self) -> None:
        """Removes all instances, pending lookups and cached queries. Figures and budgets stay.

        Instances that the program still uses become detached; they keep their local changes. In a long job this
        keeps memory flat.

        Raises:
            UncommittedChangesError: if work is not committed; call `commit` or `rollback` first.
        """
        self._ownership.check()
        if self._work:
            raise UncommittedChangesError(
                f"{len(self._work)} objects are not committed; commit() or rollback() before clear().",
                not_done=[entry.instance for entry in self._work.all()],
            )
        self._instances.detach_all()
        self._partitions.clear()

    # --- unit of work ----------------------------------------------------------------------------

    def add(self, *instances: Instance, overwrite: bool = False) -> None:
        """Registers new or changed objects; the next `commit` writes them.

        `find` returns new objects from now on. The commit writes the values that the objects have then. The last
        call for an object counts: `add` cancels an earlier `delete`. After an error, no object of the call is added.

        Args:
            instances: the objects, of any models.
            overwrite: whether new objects replace stored items without a check.

        Raises:
            TypeError: for an object that is not a model instance.
            ValidationError: for an invalid key, or for `overwrite` of a model with unique constraints.
            ConditionalError: if the session has another object with the same key.

        Example:
            >>> with run_with_batch_context() as session:
            ...     session.add(*(Post(title=title) for title in titles))
            ...     session.commit()
        """
        self._ownership.check()
        try:
            entries = self._persister.pending_writes(self, instances, overwrite=overwrite)
        except BaseException:
            unregistered = [
                instance
                for instance in instances
                if isinstance(instance, Instance) and self._work.of(instance) is None
            ]
            self._instances.withdraw(
                (None, instance) for instance in unregistered if state_of(instance).status is Status.TRANSIENT
            )
            raise
        self._work.add(entries)

    def delete(self, *instances: Instance) -> None:
        """Registers objects; the next `commit` deletes them. A new object that was added is only withdrawn.

        Args:
            instances: the objects, of any models.

        Raises:
            TypeError: for an object that is not a model instance.
            ItemNotFoundError: for an object that is not stored.
        """
        self._ownership.check()
        for instance in instances:
            earlier = self._work.of(instance)
            if earlier is not None and earlier.is_new:
                self._withdraw([earlier])
            else:
                self._work.add(self._persister.pending_writes(self, [instance], deletes=True))

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
        self._ownership.check()
        self._ownership.require_seen_transaction()
        transaction: Collecting | None = innermost_value(TRANSACTION)
        if transaction is not None and transaction.session is self:
            raise BatchContextError(
                "commit() inside transaction(): the transaction writes at the end of its block."
            )
        entries = self._work.all()
        self._work.report(lambda: CommitFigures(not_done=tuple([entry.instance for entry in entries])))
        if entries:
            self._persister.commit(self, entries, atomic=atomic)

    def rollback(self) -> None:
        """Withdraws all added and deleted objects. They keep their values; new objects are not stored."""
        self._ownership.check()
        self._withdraw(self._work.all())
        self._partitions.clear()

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
        return self._work.last_commit

    def _withdraw(self, entries: list[PendingWrite]) -> None:
        self._work.drop(entries)
        self._instances.withdraw(
            (None if entry.key is None else (entry.mapper, entry.key), entry.instance)
            for entry in entries
            if entry.is_new
        )

    # --- rounds ----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Resolves all pending lookups, in one round of parallel requests.

        Each key has its own outcome: a failed key raises only when its instance is used. An exception that ends the
        round, such as KeyboardInterrupt, leaves unanswered keys pending.
        """
        self._loader.flush()

    def __repr__(self) -> str:
        return (
            f"<Session {self.state.value}: {len(self._instances.lookups)} pending, "
            f"{len(self._instances)} known, "
            f"{self.stats.round_trips} round trips>"
        )


class _Activation(Block[Session]):
    """A block to which a session is handed over, with its tenant and its manager."""

    __slots__ = ()

    def _begin(self) -> Session:
        session: Session = self._subject
        self.value, ownership = session, session._ownership
        ownership.lend(self, acting_owner())
        if ownership.tenant is not None:
            self.bind(TENANT, ownership.tenant)
        elif ownership.needs_no_tenant:
            self.bind(TENANT, EXEMPT)
        if ownership.manager is not None:
            self.bind(MANAGER, ownership.manager)
        self.bind(SESSION, session)
        return session

    def _release(self) -> None:
        self._subject._ownership.give_back(self)


class SessionMaker:
    """Makes sessions with the same options and the same write side.

    Args:
        settings: the options of the sessions.
        persister: their write side.

    Attributes:
        settings: the options of the sessions.
    """

    __slots__ = ("_persister", "settings")

    def __init__(self, settings: SessionSettings, persister: Persister) -> None:
        self.settings: SessionSettings = settings
        self._persister = persister

    def __call__(self) -> Session:
        return Session(self.settings, self._persister)


READING = SessionMaker(DEFAULT_SETTINGS, ReadOnly())
"""Makes the sessions of single reads outside any batch context."""
