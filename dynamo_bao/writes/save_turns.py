"""One save of an object at a time, in whichever threads it is saved.

A save sends what has changed since the object was loaded. Two saves at the same time would both send it: a counter
would be counted twice, and members of a list would be appended twice.

As in `session.operation_lock`, no instruction leaves a state that needs repair. A turn is found by a weak reference, so
a turn that was aborted in any way is over.
"""

from __future__ import annotations

import threading
import weakref
from time import monotonic

from dynamo_bao.errors import ConcurrencyError
from dynamo_bao.runtime.process import is_event_loop_running, this_process
from dynamo_bao.session.operation_lock import CHECK_SECONDS, running_caller
from dynamo_bao.session.requests import deadline_of
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import State

_turns: dict[int, weakref.ref[SaveTurn]] = {}
"""The running turns, by the id of the state that their block refers to."""
this_process.after_fork(_turns.clear)


class SaveTurn:
    """A block in which one object is saved that does not belong to the running session.

    Args:
        state: the state of the object.
        session: the running session.

    Raises:
        ConcurrencyError: at the start, if the save of another thread takes too long; at once on an event loop, and
            inside another block for the object.
    """

    __slots__ = ("__weakref__", "_ended", "_session", "_state", "caller")

    def __init__(self, state: State, session: Session | None) -> None:
        self._state = state
        self._session = session
        self._ended = threading.Lock()
        self.caller: object = running_caller()

    def __enter__(self) -> None:
        self._ended.acquire()
        if _turns.setdefault(id(self._state), weakref.ref(self))() is not self:
            self._wait()

    def __exit__(self, *_: object) -> None:
        key = id(self._state)
        turn = _turns.get(key)
        if turn is not None and turn() is self:
            del _turns[key]
            self._ended.release()

    def _wait(self) -> None:
        """Waits for the end of the running turn."""
        key, end_time = id(self._state), monotonic() + self._patience()
        while True:
            turn = _turns.setdefault(key, weakref.ref(self))
            running = turn()
            if running is self:
                return
            if running is None:  # it was aborted
                with this_process.lock:
                    if _turns.get(key) is turn:
                        del _turns[key]
                continue
            if running.caller == self.caller:
                raise ConcurrencyError(
                    f"{self._state.label} is being saved, and this code runs inside that save, as a hook of its "
                    f"request does. Save it afterwards."
                )
            if is_event_loop_running():
                raise ConcurrencyError(
                    f"{self._state.label}: another thread is saving it, and an event loop cannot wait for that. Call "
                    f"save() in a worker thread (asyncio.to_thread)."
                )
            seconds = end_time - monotonic()
            if seconds <= 0:
                raise ConcurrencyError(
                    f"{self._state.label}: another thread has not ended its save in time; nothing was sent. Save it "
                    f"again, or give each thread an object of its own."
                )
            ended = running._ended
            del running
            if ended.acquire(timeout=min(seconds, CHECK_SECONDS)):
                ended.release()

    def _patience(self) -> float:
        """The most seconds to wait: those of a call."""
        assert self._state.mapper is not None
        database = self._state.mapper.database
        return deadline_of(self._session, database) - database.transport.clock.now()
