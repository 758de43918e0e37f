"""What one place of code owns at a time: bound there, refused elsewhere, handed over on request."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from dynamo_bao.errors import ConcurrencyError
from dynamo_bao.session.owner import Owner, current_owner

Mine = TypeVar("Mine", bound="Owned")


class SessionState(enum.Enum):
    """A session is open, or flushing while a round is under way, and in the end closed."""

    OPEN = "open"
    FLUSHING = "flushing"
    CLOSED = "closed"


_FLUSHING = SessionState.FLUSHING
OPEN = SessionState.OPEN
"""The state in which a session can be used."""


class Flushing:
    """A block in which a round of a session is under way."""

    __slots__ = ("_session",)

    def __init__(self, session: Owned) -> None:
        self._session = session

    def __enter__(self) -> None:
        self._session.state = _FLUSHING

    def __exit__(self, *_: object) -> None:
        if self._session.state is _FLUSHING:
            self._session.state = OPEN


class Owned:
    """Keeps to the rules of who may use a session, and when.

    Attributes:
        state: whether it can be used now; only read outside.
        owner: who may use it; only read outside.
    """

    def __init__(self) -> None:
        self.state = SessionState.OPEN
        self.owner: Owner | None = None
        self._activated = False

    @property
    def is_open(self) -> bool:
        """Whether the session can still be used."""
        return self.state is not SessionState.CLOSED

    def bind(self) -> None:
        """Puts the session on top of the stack of the code that runs now, which owns it from here on."""
        owner = current_owner()
        if self.owner is not None and self.owner is not owner:
            raise self._foreign()
        self.owner = owner
        owner.stack.append(self)

    def unbind(self) -> None:
        """Takes the session off its owner's stack, of which it must be the top."""
        owner = self.owner
        if owner is None or owner is not current_owner() or not owner.stack or owner.stack[-1] is not self:
            if owner is not None and owner is current_owner() and self in owner.stack:
                owner.stack.remove(self)
            raise ConcurrencyError(
                "Batch contexts must be left in the reverse order they were entered, where they were entered."
            )
        owner.stack.pop()

    def move_here(self) -> None:
        """Makes the code that runs now the owner of a session that is on no stack at the moment.

        Raises:
            ConcurrencyError: where it is activated elsewhere, or inside a transaction.
        """
        owner = current_owner()
        if self.owner is owner:
            return
        if self._activated:
            raise self._foreign()
        self._require_movable()
        self.owner = owner

    @contextmanager
    def activate(self: Mine) -> Iterator[Mine]:
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
        if self._activated or self.state is not SessionState.OPEN:
            raise ConcurrencyError(f"The session cannot be activated here: it is {self._where()}.")
        self._require_movable()
        before, self._activated, self.owner = self.owner, True, None
        self.bind()
        try:
            yield self
        finally:
            try:
                self.unbind()
            finally:
                self.owner, self._activated = before, False

    def _require_movable(self) -> None:
        """Raises where the owner must not change now."""

    def _where(self) -> str:
        return "activated elsewhere already" if self._activated else self.state.value

    def require_owner(self) -> None:
        """Raises unless the code that runs now owns the session, closed as it may be."""
        if self.owner is not current_owner():
            raise self._foreign()

    def check(self, owner: Owner | None = None) -> None:
        """Raises unless the code that runs now owns the session, and it is not in the middle of a round.

        Args:
            owner: the owner of the running code, where the caller knows it.
        """
        if self.owner is not (owner or current_owner()):
            raise self._foreign()
        if self.state is OPEN:
            return
        if self.state is SessionState.FLUSHING:
            raise ConcurrencyError(
                "A batch is being fetched; hooks and decoders cannot load anything meanwhile."
            )
        if self.state is SessionState.CLOSED:
            raise ConcurrencyError("The batch context was left; open a new one.")

    def _foreign(self) -> ConcurrencyError:
        return ConcurrencyError(
            "The batch context belongs to another thread, greenlet, task or process. Open one here with "
            "run_with_batch_context(), or hand this one over with session.activate()."
        )
