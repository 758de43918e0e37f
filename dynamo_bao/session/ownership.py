"""Which thread, greenlet or task may use a session."""

from __future__ import annotations

import enum
import weakref
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from dynamo_bao.errors import ConcurrencyError
from dynamo_bao.runtime.records import Factory, define
from dynamo_bao.session.bindings import MANAGER, SESSION, Entry, Link, innermost_value
from dynamo_bao.session.execution_context import ExecutionContext, current_execution_context


class SessionState(enum.Enum):
    """A session is open, flushing during a round, or closed."""

    OPEN = "open"
    FLUSHING = "flushing"
    CLOSED = "closed"


class Flushing:
    """A block in which a round of a session runs; only the code of the block holds this object.

    The session's ownership refers to it weakly. A round that was aborted in any way is therefore no longer running.
    """

    __slots__ = ("__weakref__", "_ownership")

    def __init__(self, ownership: SessionOwnership) -> None:
        self._ownership = ownership

    def __enter__(self) -> None:
        self._ownership.flushing = weakref.ref(self)

    def __exit__(self, *_: object) -> None:
        self._ownership.flushing = None


@define(eq=False)
class SessionOwnership:
    """Who may use a session, and when.

    Attributes:
        owner: the thread, greenlet or task that may use the session; None before the session is opened.
        is_closed: whether the session has ended.
        flushing: a weak reference to the block of the running round; None between rounds.
        tenant: the tenant that the session was opened under; `Session.activate` binds it too.
        needs_no_tenant: whether the code that opened it needs no tenant; then the code of `Session.activate` neither.
        manager: the manager that was active when the session was opened; `Session.activate` binds it too.
        outer: the link of the session around it, if its owner has opened it inside one.
    """

    owner: ExecutionContext | None = None
    is_closed: bool = False
    flushing: weakref.ref[Flushing] | None = None
    tenant: str | None = None
    needs_no_tenant: bool = False
    manager: object = None
    outer: Link | None = None
    _lent: weakref.ref[Entry] | None = None
    _lender: ExecutionContext | None = None
    _transactions: list[weakref.ref[Entry]] = Factory(list)

    @property
    def state(self) -> SessionState:
        """Whether the session is open, flushing or closed."""
        if self.is_closed:
            return SessionState.CLOSED
        return SessionState.FLUSHING if self.is_flushing() else SessionState.OPEN

    def is_flushing(self) -> bool:
        """Whether a round is running."""
        if self.flushing is not None and self.flushing() is None:
            self.flushing = None  # it was aborted
        return self.flushing is not None

    # --- owners ----------------------------------------------------------------------------------

    def bind(self, session: object, entry: Entry) -> Link:
        """Binds the new session to the running code, and returns its link.

        Args:
            session: the session whose ownership this is.
            entry: the entry of the block that opens the session.
        """
        link = entry.bind(SESSION, session)
        self.owner, self.outer = link.owner, link.session
        if link.parent is not None:
            self.manager = innermost_value(MANAGER)
        return link

    def assign(
        self,
        owner: ExecutionContext,
        tenant: str | None,
        manager: object = None,
        *,
        needs_no_tenant: bool = False,
    ) -> None:
        """Gives the new session to code in steps, which binds it by itself."""
        self.owner, self.tenant, self.manager = owner, tenant, manager
        self.needs_no_tenant = needs_no_tenant

    def lend(self, entry: Entry, owner: ExecutionContext) -> None:
        """Hands the session over to another owner, until `entry` ends or `give_back` is called for it.

        Raises:
            ConcurrencyError: if the session cannot be handed over now.
        """
        self._reclaim_if_ended()
        if self._lent is not None or self.state is not SessionState.OPEN:
            status = "activated elsewhere already" if self._lent is not None else self.state.value
            raise ConcurrencyError(f"The session cannot be activated here: it is {status}.")
        if self.has_transaction:
            raise ConcurrencyError(
                "A session cannot be activated elsewhere while a transaction is open in it."
            )
        self._lender, self._lent, self.owner = self.owner, weakref.ref(entry), owner

    def give_back(self, entry: Entry) -> None:
        """Returns a session that was lent to `entry` to its owner."""
        if self._lent is not None and self._lent() is entry:
            self.owner, self._lent = self._lender, None

    @property
    def is_lent(self) -> bool:
        """Whether the session was handed over to other code."""
        return self._lent is not None

    def lender_sessions(self) -> list[Any]:
        """The sessions around a session that was handed over. Only the code that has lent it sees them."""
        sessions: list[Any] = []
        link, lender = self.outer if self.is_lent else None, self._lender
        while link is not None and lender is not None:
            if link.is_seen_by(lender):
                sessions.append(link.value)
            link = link.session
        return sessions

    def _reclaim_if_ended(self) -> None:
        """Takes the session back from code that was aborted before it could return it."""
        if self._lent is not None:
            entry = self._lent()
            if entry is None or entry.is_over:
                self.owner, self._lent = self._lender, None

    def require_not_lent(self) -> None:
        """Raises ConcurrencyError if the session is activated elsewhere."""
        self._reclaim_if_ended()
        if self._lent is not None:
            raise self._foreign()

    # --- operations ------------------------------------------------------------------------------

    def operation(self) -> AbstractContextManager[None]:
        """A block in which one operation runs. The owner of a session runs one at a time anyway."""
        return nullcontext()

    # --- transactions ----------------------------------------------------------------------------

    def note_transaction(self, entry: Entry) -> None:
        """Records an open transaction, which lasts until `entry` ends."""
        self._transactions.append(weakref.ref(entry))

    @property
    def has_transaction(self) -> bool:
        """Whether a transaction is open in the session, in any code."""
        entries = [(ref, ref()) for ref in self._transactions]
        self._transactions = [ref for ref, entry in entries if entry is not None and not entry.is_over]
        return bool(self._transactions)

    def require_seen_transaction(self) -> None:
        """Nothing: the owner sees every transaction that is open in its session."""

    # --- checks ----------------------------------------------------------------------------------

    def _require_owner(self, owner: ExecutionContext) -> None:
        self._reclaim_if_ended()
        if self.owner is None or not self.owner.is_now(owner):
            raise self._foreign()

    def check(self, owner: ExecutionContext | None = None) -> None:
        """Raises ConcurrencyError unless the running code owns the session and no round is running.

        Args:
            owner: the owner of the running code, if the caller has it.
        """
        owner = owner or current_execution_context()
        if self.owner is not owner:
            self._require_owner(owner)
        self.require_open()
        if self.flushing is not None and self.is_flushing():
            raise self._in_the_middle()

    def require_open(self) -> None:
        """Raises ConcurrencyError if the session is closed."""
        if self.is_closed:
            raise ConcurrencyError("The batch context was left; open a new one.")

    def _in_the_middle(self) -> ConcurrencyError:
        return ConcurrencyError(
            "A batch is being fetched. Hooks and decoders cannot load anything during that time."
        )

    def _foreign(self) -> ConcurrencyError:
        return ConcurrencyError(
            "The batch context belongs to another thread, greenlet, task or process. Open one here with "
            "run_with_batch_context(), or hand this one over with session.activate()."
        )
