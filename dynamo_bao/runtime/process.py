"""The identity of this process, and whether an event loop or a notebook runs in it.

The identity is an object; a fork child gets another one. The operating system uses a process id again, but an object
that is still referred to stays unique.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable


class _Process:
    """The identity of one process, and a lock; a fork child gets new ones.

    The lock guards objects that are made once per process, such as clients. It is reentrant, because the handler of a
    signal may use the library while its thread holds the lock.
    """

    def __init__(self) -> None:
        self.token: object = object()
        self.lock: threading.RLock = threading.RLock()
        self.fork_safe_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()
        self._after_fork: list[Callable[[], None]] = []

    def renew(self) -> None:
        self.token = object()
        self.lock = threading.RLock()
        for lock in self.fork_safe_locks:
            lock.renew()
        for callback in self._after_fork:
            callback()

    def after_fork(self, callback: Callable[[], None]) -> None:
        """Calls `callback` in every fork child, before any other code runs there."""
        self._after_fork.append(callback)


class ForkSafeLock:
    """A reentrant lock that is free in every fork child. Use it as a context manager.

    A thread of the parent may hold it during the fork. That thread does not exist in the child, and would never release
    it there.

    >>> lock = ForkSafeLock()
    >>> with lock, lock:
    ...     print("held twice by one thread")
    held twice by one thread
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self.renew()
        this_process.fork_safe_locks.add(self)

    def renew(self) -> None:
        """Replaces the lock by a free one."""
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


this_process: _Process = _Process()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=this_process.renew)


def is_event_loop_running() -> bool:
    """Whether this code runs on an asyncio event loop of this thread."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


def current_task() -> object:
    """The running asyncio task; None in a callback of the event loop. An event loop must be running."""
    return sys.modules["asyncio.tasks"].current_task()


def is_in_notebook() -> bool:
    """Whether this process is an IPython kernel, as in Jupyter. It runs each cell in a separate task."""
    ipython = sys.modules.get("IPython")
    if ipython is None:
        return False
    shell = getattr(ipython, "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
