"""Who code runs as: a process, thread, greenlet (where there are any) and asyncio task (where one runs).

An owner is an object, never a number, and is found again in the same place.
"""

from __future__ import annotations

import sys
import threading
import weakref
from typing import Any

from dynamo_bao._runtime import current_task, is_event_loop_running, is_in_notebook, this_process


class ExecutionContext:
    """One place that code runs in, or code that runs in steps, now in one place and then in another.

    Attributes:
        requests: the web requests that were begun there and have not ended, oldest first.
        runs_as: of code in steps, the owner that ran its last step; None otherwise.
        cell: in a notebook, the chain of bindings that its last cell left, and the task of that cell.
    """

    __slots__ = ("__weakref__", "cell", "requests", "runs_as")

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.runs_as: ExecutionContext | None = None
        self.cell: tuple[Any, Any] = (None, None)

    def is_now(self, running: ExecutionContext) -> bool:
        """Whether the code that runs now, whose owner is `running`, is this one's."""
        return self is running or self.runs_as is running


class _Local(threading.local):
    """A thread's own owner, and those of the greenlets and tasks that ran in it."""

    def __init__(self) -> None:
        self.thread = ExecutionContext()
        self.others: weakref.WeakKeyDictionary[Any, ExecutionContext] = weakref.WeakKeyDictionary()


_local = _Local()


def _forget_threads() -> None:
    global _local
    _local = _Local()


this_process.after_fork(_forget_threads)


def current_execution_context() -> ExecutionContext:
    """The owner of the code that is running now.

    Neither asyncio nor greenlet is imported here: where nobody has imported one, nothing of its kind can be running.
    """
    local, loaded = _local, sys.modules
    if "asyncio.events" not in loaded and "greenlet" not in loaded:
        return local.thread
    running = _running_inside()
    if running is None:
        return local.thread
    owner = local.others.get(running)
    if owner is None:
        owner = local.others[running] = ExecutionContext()
    return owner


def _running_inside() -> Any:
    """The task or the greenlet of this thread that runs; None for a thread's plain code."""
    if is_event_loop_running():
        task = current_task()
        if task is not None and not is_in_notebook():
            return task
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None:
        current = greenlet.getcurrent()
        if current.parent is not None:
            return current
    return None
