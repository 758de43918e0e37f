"""The lock of a request session: its operations run one after the other, in whichever threads they are called.

No instruction leaves it in a state that needs repair, because signals can interrupt any of them. It has no lock inside:
who has it is decided by `dict.setdefault`, which is atomic.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import ClassVar

from dynamo_bao.errors import ConcurrencyError
from dynamo_bao.runtime.process import is_event_loop_running, this_process
from dynamo_bao.session.execution_context import ExecutionContext, current_execution_context

CHECK_SECONDS = 0.1
"""How often a waiting thread checks whether the running operation was aborted, so that nobody will wake it."""


class Operation:
    """A block in which one operation of a session runs; only the code of the block holds this object.

    The lock refers to it weakly. An operation that was aborted in any way therefore no longer holds the lock.
    """

    __slots__ = ("__weakref__", "_lock", "is_over", "owner")

    def __init__(self, lock: OperationLock) -> None:
        self._lock = lock
        self.owner: ExecutionContext | None = None
        self.is_over = False

    def __enter__(self) -> None:
        self._lock.begin(self)

    def __exit__(self, *_: object) -> None:
        self._lock.end(self)


class _Turn:
    """A turn of an operation.

    Attributes:
        operation: returns the operation, or None if it was aborted.
        next_turn: the turn after it, once it is taken, under the only key.
    """

    __slots__ = ("next_turn", "operation")

    def __init__(self, operation: Callable[[], Operation | None]) -> None:
        self.operation = operation
        self.next_turn: dict[None, _Turn] = {}


def _no_operation() -> None:
    return None


class OperationLock:
    """Lets one operation of a session run at a time. Operations inside an operation belong to it.

    Args:
        patience: returns the seconds for which a thread waits for the operation of another one.

    Attributes:
        is_used: whether this process has had such a lock, so that an operation has to look for one.
    """

    is_used: ClassVar[bool] = False

    def __init__(self, patience: Callable[[], float]) -> None:
        OperationLock.is_used = True
        self._patience = patience
        self._process = this_process.token
        self._last_turn = _Turn(_no_operation)
        self._waiting: deque[threading.Lock] = deque()
        self._chores: deque[Callable[[], object]] = deque()

    # --- operations ------------------------------------------------------------------------------

    def begin(self, operation: Operation) -> None:
        """Starts an operation as soon as no other code runs one.

        Raises:
            ConcurrencyError: if that takes too long, at once on an event loop, and in another process.
        """
        if self._process is not this_process.token:
            raise ConcurrencyError(
                "The batch context belongs to a request of another process. Open one here with "
                "run_with_batch_context()."
            )
        operation.owner = current_execution_context()
        if self._starts(operation):
            return
        if is_event_loop_running():
            raise ConcurrencyError(
                "Another thread is using the batch context of this request, and an event loop cannot wait for it. "
                "Call this in a worker thread (asyncio.to_thread), or await the other thread first."
            )
        self._wait_for_turn(operation)

    def _wait_for_turn(self, operation: Operation) -> None:
        seconds = self._patience()
        end = monotonic() + seconds
        while True:
            wake_up = threading.Lock()
            wake_up.acquire()
            self._waiting.append(wake_up)
            if self._starts(operation):
                return
            rest = end - monotonic()
            if rest <= 0:
                raise ConcurrencyError(
                    f"Another thread has used the batch context of this request for more than {seconds:g} s. Let its "
                    f"work end first, or open a batch context here with run_with_batch_context()."
                )
            wake_up.acquire(timeout=min(rest, CHECK_SECONDS))

    def _starts(self, operation: Operation) -> bool:
        """Starts an operation, unless other code runs one."""
        turn = self._last_turn
        while True:
            running = turn.operation()
            if running is not None and not running.is_over:
                return running.owner is operation.owner
            own_turn = _Turn(weakref.ref(operation))
            turn = turn.next_turn.setdefault(None, own_turn)
            if turn is own_turn:
                self._last_turn = turn
                return True

    def end(self, operation: Operation) -> None:
        """Ends an operation, and wakes the waiting threads. An operation inside another one changes nothing."""
        if self._last_turn.operation() is not operation:
            return
        self._do_chores()
        operation.is_over = True
        while self._waiting:
            try:
                self._waiting.popleft().release()
            except IndexError:  # another thread has emptied it
                break
        if self._chores:  # added after the last look, by code that found the operation running
            self._do_chores_in_turn()

    def is_held_by(self, owner: ExecutionContext) -> bool:
        """Whether code of `owner` runs an operation."""
        running = self._last_turn.operation()
        return running is not None and not running.is_over and running.owner is owner

    # --- between operations ----------------------------------------------------------------------

    def do_at_rest(self, chore: Callable[[], object]) -> None:
        """Does something with the session at once, or at the end of the operation that another thread runs."""
        if self.is_held_by(current_execution_context()):
            chore()
            return
        self._chores.append(chore)
        self._do_chores_in_turn()

    def _do_chores_in_turn(self) -> None:
        operation = Operation(self)
        operation.owner = current_execution_context()
        if self._starts(operation):
            self.end(operation)

    def _do_chores(self) -> None:
        while self._chores:
            self._chores.popleft()()
