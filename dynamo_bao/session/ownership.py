"""Which thread, greenlet or task may use a session."""

from __future__ import annotations

import enum
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from dynamo_bao.errors import ConcurrencyError
from dynamo_bao.session.bindings import MANAGER, SESSION, TENANT, Block, Entry, acting_owner, innermost
from dynamo_bao.session.execution_context import ExecutionContext, current_execution_context

Unshared = TypeVar("Unshared", bound="SessionOwnership")


class SessionState(enum.Enum):
    """A session is open, or flushing while a round is under way, and in the end closed."""

    OPEN = "open"
    FLUSHING = "flushing"
    CLOSED = "closed"


class Flushing:
    """A block in which a round of a session is under way; only the code that runs it holds this object.

    The session refers to it weakly, so that a round that was aborted in any way is under way no longer.
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
        """Whether the session can still be used."""
        return not self.is_closed

    @property
    def state(self) -> SessionState:
        """Whether it can be used now."""
        if self.is_closed:
            return SessionState.CLOSED
        return SessionState.FLUSHING if self._is_flushing() else SessionState.OPEN

    def _is_flushing(self) -> bool:
        if self._flushing is not None and self._flushing() is None:
            self._flushing = None  # it was aborted
        return self._flushing is not None

    # --- owners ----------------------------------------------------------------------------------

    def _open_in(self, entry: Entry, tenant: Callable[[], str | None]) -> None:
        """Binds a new session to the code that runs now.

        Args:
            entry: that of the block which opens it.
            tenant: gives the tenant that the code works for.
        """
        link = entry.bind(SESSION, self)
        self._owner, self.tenant = link.owner, tenant()
        if link.manager is not None:
            manager = innermost(MANAGER)
            self._manager = None if manager is None else manager.what

    def activate(self: Unshared) -> Block[Unshared]:
        """Hands the session over to the code in the block, in another thread say; exclusively.

        The block works for the tenant that the session was opened under, and with the manager that was active there.

        Raises:
            ConcurrencyError: when the block begins, where another place has the session activated already, or it is
                inside a transaction.

        Example:
            >>> with ThreadPoolExecutor() as pool, run_with_batch_context() as session:
            ...     def work():
            ...         with session.activate():
            ...             return User.find("42").name
            ...     pool.submit(work).result()
        """
        return _Activation(self)

    def _lend(self, entry: Entry, owner: ExecutionContext) -> None:
        """Hands the session over to another owner, until `entry` ends or `give_back` is called for it.

        Raises:
            ConcurrencyError: where it cannot be handed over now.
        """
        self._take_back_what_ended()
        if self._lent is not None or self.state is not SessionState.OPEN:
            where = "activated elsewhere already" if self._lent is not None else self.state.value
            raise ConcurrencyError(f"The session cannot be activated here: it is {where}.")
        if self._has_transaction:
            raise ConcurrencyError(
                "A session cannot be activated elsewhere while a transaction is open in it."
            )
        self._lender, self._lent, self._owner = self._owner, weakref.ref(entry), owner

    def _give_back(self, entry: Entry) -> None:
        """Gives a session back that was lent to `entry`."""
        if self._lent is not None and self._lent() is entry:
            self._owner, self._lent = self._lender, None

    def _take_back_what_ended(self) -> None:
        """Takes the session back from code that was aborted before it could give it back."""
        if self._lent is not None:
            entry = self._lent()
            if entry is None or entry.is_over:
                self._owner, self._lent = self._lender, None

    def _require_not_lent(self) -> None:
        """Raises where the session is activated somewhere now."""
        self._take_back_what_ended()
        if self._lent is not None:
            raise self._foreign()

    # --- transactions ----------------------------------------------------------------------------

    def _note_transaction(self, entry: Entry) -> None:
        """Remembers that a transaction was opened, which lasts until `entry` ends."""
        self._transactions.append(weakref.ref(entry))

    @property
    def _has_transaction(self) -> bool:
        """Whether a transaction is open in the session, seen by the running code or not."""
        entries = [(ref, ref()) for ref in self._transactions]
        self._transactions = [ref for ref, entry in entries if entry is not None and not entry.is_over]
        return bool(self._transactions)

    # --- checks ----------------------------------------------------------------------------------

    def _require_owner(self, owner: ExecutionContext) -> None:
        self._take_back_what_ended()
        if self._owner is None or not self._owner.is_now(owner):
            raise self._foreign()

    def _check(self, owner: ExecutionContext | None = None) -> None:
        """Raises unless the code that runs now owns the session, and it is not in the middle of a round.

        Args:
            owner: the owner of the running code, where the caller knows it.
        """
        if self._owner is not (owner or current_execution_context()):
            self._require_owner(owner or current_execution_context())
        if self.is_closed:
            raise ConcurrencyError("The batch context was left; open a new one.")
        if self._flushing is not None and self._is_flushing():
            raise ConcurrencyError(
                "A batch is being fetched; hooks and decoders cannot load anything meanwhile."
            )

    def _foreign(self) -> ConcurrencyError:
        return ConcurrencyError(
            "The batch context belongs to another thread, greenlet, task or process. Open one here with "
            "run_with_batch_context(), or hand this one over with session.activate()."
        )


class _Activation(Block[Any]):
    """A block to which a session is handed over, with the tenant and the manager that it was opened under."""

    __slots__ = ("_session",)

    def __init__(self, session: SessionOwnership) -> None:
        super().__init__()
        self._session = session

    def _begin(self, entry: Entry) -> Any:
        session = self._session
        entry.what = session
        entry.release = session._give_back
        session._lend(entry, acting_owner())
        if session.tenant is not None:
            entry.bind(TENANT, session.tenant)
        if session._manager is not None:
            entry.bind(MANAGER, session._manager)
        entry.bind(SESSION, session)
        return session
