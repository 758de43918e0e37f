"""Which thread, greenlet or task may use a session."""

from __future__ import annotations

import enum
import weakref
from typing import Any, TypeVar

from dynamo_bao.errors import ConcurrencyError
from dynamo_bao.session.bindings import (
    MANAGER,
    SESSION,
    TENANT,
    Block,
    Entry,
    Link,
    acting_owner,
    innermost,
)
from dynamo_bao.session.execution_context import ExecutionContext, current_execution_context

Unshared = TypeVar("Unshared", bound="SessionOwnership")


class SessionState(enum.Enum):
    """A session is open, flushing during a round, or closed."""

    OPEN = "open"
    FLUSHING = "flushing"
    CLOSED = "closed"


class Flushing:
    """A block in which a round of a session runs; only the code of the block holds this object.

    The session refers to it weakly. A round that was aborted in any way is therefore no longer running.
    """

    __slots__ = ("__weakref__", "_session")

    def __init__(self, session: SessionOwnership) -> None:
        self._session = session

    def __enter__(self) -> None:
        self._session._flushing = weakref.ref(self)

    def __exit__(self, *_: object) -> None:
        self._session._flushing = None


class SessionOwnership:
    """The rules of who may use a session, and when.

    Attributes:
        is_closed: whether the session has ended; read only.
        tenant: the tenant that the session was opened under; `activate` binds it too. Read only.
    """

    # _owner: the thread, greenlet or task that may use the session.
    # _flushing: a weak reference to the round that is running, or None.
    # _manager: the manager that was active when the session was opened; `activate` binds it too.

    def __init__(self) -> None:
        self._owner: ExecutionContext | None = None
        self.is_closed = False
        self._flushing: weakref.ref[Flushing] | None = None
        self.tenant: str | None = None
        self._manager: Any = None
        self._lent: weakref.ref[Entry] | None = None
        self._lender: ExecutionContext | None = None
        self._transactions: list[weakref.ref[Entry]] = []

    @property
    def is_open(self) -> bool:
        """Whether the session is not closed."""
        return not self.is_closed

    @property
    def state(self) -> SessionState:
        """Whether the session is open, flushing or closed."""
        if self.is_closed:
            return SessionState.CLOSED
        return SessionState.FLUSHING if self._is_flushing() else SessionState.OPEN

    def _is_flushing(self) -> bool:
        if self._flushing is not None and self._flushing() is None:
            self._flushing = None  # it was aborted
        return self._flushing is not None

    # --- owners ----------------------------------------------------------------------------------

    def _open_in(self, entry: Entry) -> Link:
        """Binds a new session to the running code, and returns its link.

        Args:
            entry: the entry of the block that opens the session.
        """
        link = entry.bind(SESSION, self)
        self._owner = link.owner
        if link.parent is not None:
            manager = innermost(MANAGER)
            self._manager = None if manager is None else manager.value
        return link

    def activate(self: Unshared) -> Block[Unshared]:
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

    def _lend(self, entry: Entry, owner: ExecutionContext) -> None:
        """Hands the session over to another owner, until `entry` ends or `_give_back` is called for it.

        Raises:
            ConcurrencyError: if the session cannot be handed over now.
        """
        self._reclaim_if_ended()
        if self._lent is not None or self.state is not SessionState.OPEN:
            status = "activated elsewhere already" if self._lent is not None else self.state.value
            raise ConcurrencyError(f"The session cannot be activated here: it is {status}.")
        if self._has_transaction:
            raise ConcurrencyError(
                "A session cannot be activated elsewhere while a transaction is open in it."
            )
        self._lender, self._lent, self._owner = self._owner, weakref.ref(entry), owner

    def _give_back(self, entry: Entry) -> None:
        """Returns a session that was lent to `entry` to its owner."""
        if self._lent is not None and self._lent() is entry:
            self._owner, self._lent = self._lender, None

    def _reclaim_if_ended(self) -> None:
        """Takes the session back from code that was aborted before it could return it."""
        if self._lent is not None:
            entry = self._lent()
            if entry is None or entry.is_over:
                self._owner, self._lent = self._lender, None

    def _require_not_lent(self) -> None:
        """Raises ConcurrencyError if the session is activated elsewhere."""
        self._reclaim_if_ended()
        if self._lent is not None:
            raise self._foreign()

    # --- transactions ----------------------------------------------------------------------------

    def _note_transaction(self, entry: Entry) -> None:
        """Records an open transaction, which lasts until `entry` ends."""
        self._transactions.append(weakref.ref(entry))

    @property
    def _has_transaction(self) -> bool:
        """Whether a transaction is open in the session, in any code."""
        entries = [(ref, ref()) for ref in self._transactions]
        self._transactions = [ref for ref, entry in entries if entry is not None and not entry.is_over]
        return bool(self._transactions)

    # --- checks ----------------------------------------------------------------------------------

    def _require_owner(self, owner: ExecutionContext) -> None:
        self._reclaim_if_ended()
        if self._owner is None or not self._owner.is_now(owner):
            raise self._foreign()

    def _check(self, owner: ExecutionContext | None = None) -> None:
        """Raises ConcurrencyError unless the running code owns the session and no round is running.

        Args:
            owner: the owner of the running code, if the caller has it.
        """
        if self._owner is not (owner or current_execution_context()):
            self._require_owner(owner or current_execution_context())
        if self.is_closed:
            raise ConcurrencyError("The batch context was left; open a new one.")
        if self._flushing is not None and self._is_flushing():
            raise ConcurrencyError(
                "A batch is being fetched. Hooks and decoders cannot load anything during that time."
            )

    def _foreign(self) -> ConcurrencyError:
        return ConcurrencyError(
            "The batch context belongs to another thread, greenlet, task or process. Open one here with "
            "run_with_batch_context(), or hand this one over with session.activate()."
        )


class _Activation(Block[Any]):
    """A block to which a session is handed over, with its tenant and its manager."""

    __slots__ = ()

    def _begin(self) -> Any:
        session = self.value = self._subject
        session._lend(self, acting_owner())
        if session.tenant is not None:
            self.bind(TENANT, session.tenant)
        if session._manager is not None:
            self.bind(MANAGER, session._manager)
        self.bind(SESSION, session)
        return session

    def _release(self) -> None:
        self._subject._give_back(self)
