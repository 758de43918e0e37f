"""The session of a web request whose code runs in several threads and tasks: it has no owner.

Its parts are those of every session. They let one operation run at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dynamo_bao.errors import ConcurrencyError
from dynamo_bao.session.bindings import SESSION, TRANSACTION, Entry, Link, bound_values
from dynamo_bao.session.execution_context import ExecutionContext
from dynamo_bao.session.instances import SessionInstances
from dynamo_bao.session.loader import Loader
from dynamo_bao.session.operation_lock import Operation, OperationLock
from dynamo_bao.session.ownership import SessionOwnership
from dynamo_bao.session.partitions import Partitions, Touched
from dynamo_bao.session.session import Persister, Session
from dynamo_bao.session.settings import SessionSettings

M = TypeVar("M", bound=Callable[..., Any])


def one_at_a_time(method: M) -> M:
    """A method of a session's part as one operation of a request session."""

    def operate(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        ownership: RequestOwnership = self._ownership
        with ownership.operation():
            ownership.check()
            return method(self, *args, **kwargs)

    operate.__name__, operate.__doc__ = method.__name__, method.__doc__
    return cast(M, operate)


class RequestOwnership(SessionOwnership):
    """All code of the request may use the session, one operation at a time.

    Args:
        patience: returns the seconds for which a thread waits for the operation of another one.

    Attributes:
        lock: the lock of the operations.
    """

    __slots__ = ("lock",)

    def __init__(self, patience: Callable[[], float]) -> None:
        super().__init__()
        self.lock: OperationLock = OperationLock(patience)

    def operation(self) -> AbstractContextManager[None]:
        """A block in which one operation runs, after those of other threads.

        Raises:
            ConcurrencyError: at the start, if another thread does not end its operation in time.
        """
        return Operation(self.lock)

    def check(self, owner: ExecutionContext | None = None) -> None:
        """Raises ConcurrencyError if the request has ended, or if a round of the running code is not over."""
        self.require_open()
        if self.flushing is not None and self.is_flushing() and self.lock.is_held_here:
            raise self._in_the_middle()

    def require_open(self) -> None:
        """Raises ConcurrencyError if the request has ended."""
        if self.is_closed:
            raise request_is_over()

    def require_not_lent(self) -> None:
        """Nothing: the session is never lent, as all code may use it."""

    def lend(self, entry: Entry, owner: ExecutionContext) -> None:
        """Nothing but a check: all code may use the session."""
        self.require_open()

    def require_seen_transaction(self) -> None:
        """Raises ConcurrencyError if a transaction is open in the session, and the running code does not see it."""
        if self.has_transaction and not any(
            transaction.session._ownership is self for transaction in bound_values(TRANSACTION)
        ):
            raise ConcurrencyError(
                "A transaction is open in the batch context of this request, and this code does not run inside it. "
                "Write inside the block of the transaction, in its own thread or task, or after it."
            )


class _RequestInstances(SessionInstances):
    """The instances of a request session."""

    __slots__ = ("_ownership",)

    def __init__(self, session: RequestSession, ownership: RequestOwnership) -> None:
        super().__init__(session, session.stats, session.settings.max_cached)
        self._ownership = ownership

    lookup = one_at_a_time(SessionInstances.lookup)
    lookup_text = one_at_a_time(SessionInstances.lookup_text)
    lookup_texts = one_at_a_time(SessionInstances.lookup_texts)


class _RequestLoader(Loader):
    """The loader of a request session."""

    __slots__ = ()

    load = one_at_a_time(Loader.load)
    flush = one_at_a_time(Loader.flush)
    flush_queries = one_at_a_time(Loader.flush_queries)
    flush_pages = one_at_a_time(Loader.flush_pages)


class _RequestPartitions(Partitions):
    """The cached results of a request session. Other code of the request writes while operations run."""

    def __init__(self, max_rows: int | None, lock: OperationLock) -> None:
        super().__init__(max_rows)
        self._lock = lock

    def touch(self, touched: Touched) -> None:
        """Drops the queries whose results a write may have changed, at the end of the running operation."""
        self._lock.do_at_rest(partial(super().touch, touched))

    def report(self, reaction: Callable[[], object]) -> None:
        """Reacts to a write of other code, at the end of the running operation."""
        self._lock.do_at_rest(reaction)


class RequestSession(Session):
    """A session that all code of one web request uses, in whichever thread or task it runs.

    One operation runs at a time. Another thread waits for it, for the session's deadline at most; a thread that runs an
    event loop does not wait. Reading a loaded field is no operation.

    Args:
        settings: its options.
        persister: its write side.
        patience: returns the seconds for which a thread waits, if the options have no deadline.
    """

    def __init__(
        self, settings: SessionSettings, persister: Persister, patience: Callable[[], float]
    ) -> None:
        super().__init__(settings, persister)
        seconds = settings.deadline
        ownership = RequestOwnership(patience if seconds is None else lambda: seconds)
        self._lock = ownership.lock
        self._ownership = ownership
        self._instances = _RequestInstances(self, ownership)
        self._loader = _RequestLoader(ownership, self._instances, self._rounds, settings)
        self._partitions = _RequestPartitions(settings.max_cached, ownership.lock)

    if not TYPE_CHECKING:  # checkers see the methods of `Session`
        refresh = one_at_a_time(Session.refresh)
        expunge = one_at_a_time(Session.expunge)
        clear = one_at_a_time(Session.clear)
        add = one_at_a_time(Session.add)
        delete = one_at_a_time(Session.delete)
        commit = one_at_a_time(Session.commit)
        rollback = one_at_a_time(Session.rollback)

    def close(self) -> None:
        """Ends the session, without waiting. The replies of a round that is running are dropped."""
        if not self._ownership.is_closed:
            self._ownership.is_closed = True
            self._lock.do_at_rest(self._release)


def request_is_over() -> ConcurrencyError:
    """The error for code of a request that runs after its end."""
    return ConcurrencyError(
        "The batch context was left: its request is over. Open a new one here with run_with_batch_context()."
    )


def has_ended_request(link: Link | None) -> bool:
    """Whether a chain of bindings, from its innermost link on, has the session of a request that is over."""
    while link is not None:
        if link.kind is SESSION and isinstance(link.value, RequestSession) and link.value.is_closed:
            return True
        link = link.parent
    return False
