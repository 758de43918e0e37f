"""The lock of a request session: its operations run one after the other, in whichever threads they are called.

No instruction leaves it in a state that needs repair, because signals can interrupt any of them. It has no lock inside:
who has it is decided by `dict.setdefault`, which is atomic.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from threading import get_ident
from time import monotonic
from typing import ClassVar

from dynamo_bao.errors import ConcurrencyError
from dynamo_bao.runtime.process import is_event_loop_running, this_process

CHECK_SECONDS = 0.1
"""How often a waiting thread checks whether the running operation was aborted, so that nobody will wake it."""


class Operation:
    """A block in which one operation of a session runs; only the code of the block holds this object.

    The lock refers to it weakly. An operation that was aborted in any way therefore no longer holds the lock.
    """

    __slots__ = ("__weakref__", "_lock", "caller", "is_over")

    def __init__(self, lock: OperationLock) -> None:
        self._lock = lock
        self.caller: object = running_caller()
        self.is_over: bool = False

    def __enter__(self) -> None:
        self._lock.begin(self)

    def __exit__(self, *_: object) -> None:
        self._lock.end(self)


def running_caller() -> object:
    """The thread or greenlet that runs. Tasks of one thread cannot meet inside an operation, which never awaits."""
    greenlet = sys.modules.get("greenlet")
    caller: object = get_ident() if greenlet is None else greenlet.getcurrent()
    return caller


class _Turn(dict[None, "_Turn"]):
    """A turn of an operation. The turn after it, once it is taken, is the value of its only key.

    Attributes:
        operation: returns the operation, or None if it was aborted.
    """

    __slots__ = ("operation",)

    operation: Callable[[], Operation | None]


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
        self._last_turn = _Turn()
        self._last_turn.operation = _no_operation
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
                return running.caller == operation.caller
            own_turn = _Turn()
            own_turn.operation = weakref.ref(operation)
            turn = turn.setdefault(None, own_turn)
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

    @property
    def is_held_here(self) -> bool:
        """Whether the running code is inside an operation."""
        running = self._last_turn.operation()
        return running is not None and not running.is_over and running.caller == running_caller()

    # --- between operations ----------------------------------------------------------------------

    def do_at_rest(self, chore: Callable[[], object]) -> None:
        """Does something with the session at once, or at the end of the operation that another thread runs."""
        if self.is_held_here:
            chore()
            return
        self._chores.append(chore)
        self._do_chores_in_turn()

    def _do_chores_in_turn(self) -> None:
        operation = Operation(self)
        if self._starts(operation):
            self.end(operation)

    def _do_chores(self) -> None:
        while self._chores:
            self._chores.popleft()()
