"""Which process this is, as an object: a fork child gets another one; and what runs in it, event loop or notebook.

Numbers such as a process id are used again by the operating system; an object held by reference is not.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any


class _Process:
    """The identity of one process, and a lock of its own; both are renewed in a fork child.

    The lock guards what is made once per process, such as clients.
    """

    def __init__(self) -> None:
        self.token = object()
        self.lock = threading.Lock()
        self._after_fork: list[Callable[[], None]] = []

    def renew(self) -> None:
        self.token = object()
        self.lock = threading.Lock()
        for callback in self._after_fork:
            callback()

    def after_fork(self, callback: Callable[[], None]) -> None:
        """Calls `callback` in every fork child, before any other code runs there."""
        self._after_fork.append(callback)


this_process = _Process()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=this_process.renew)


def is_event_loop_running() -> bool:
    """Whether an asyncio event loop runs in this thread, and waits for this code."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


def current_task() -> Any:
    """The asyncio task that runs, where an event loop does; None in a callback of the loop."""
    return sys.modules["asyncio.tasks"].current_task()


def is_in_notebook() -> bool:
    """Whether this process is a kernel of IPython, as Jupyter's are, which runs each cell in a task of its own."""
    ipython = sys.modules.get("IPython")
    if ipython is None:
        return False
    shell = getattr(ipython, "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
