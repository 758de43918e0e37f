"""Which process this is, as an object: a fork child gets another one.

Numbers such as a process id are used again by the operating system; an object held by reference is not.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


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
