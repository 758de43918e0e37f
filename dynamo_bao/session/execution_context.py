"""The process, thread, greenlet or asyncio task in which code runs, as one object.

The same thread, greenlet or task always has the same object. It owns the sessions that it opens.
"""

from __future__ import annotations

import sys
import threading
import weakref
from typing import Any

from dynamo_bao.runtime.process import current_task, is_in_notebook, this_process


class ExecutionContext:
    """A thread, greenlet or task; or code in steps, whose steps may run in different ones.

    Attributes:
        requests: the web requests that began in it and have not ended, oldest first.
        runs_as: for code in steps, the owner that ran its last step; otherwise None.
        cell: in a notebook, the innermost binding after the last cell, and the task of that cell.
    """

    __slots__ = ("__weakref__", "cell", "requests", "runs_as")

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.runs_as: ExecutionContext | None = None
        self.cell: tuple[Any, Any] = (None, None)

    def is_now(self, running_owner: ExecutionContext) -> bool:
        """Whether code of `running_owner` belongs to this owner."""
        return self is running_owner or self.runs_as is running_owner


threads: threading.local = threading.local()
"""Of the running thread: its `owner`, and the owners `by_task` of the tasks and greenlets that ran in it."""


def _forget_owners() -> None:
    threads.__dict__.clear()  # of the one thread that a fork child has


this_process.after_fork(_forget_owners)


def current_execution_context() -> ExecutionContext:
    """The owner of the code that runs now.

    Neither asyncio nor greenlet is imported here: if no other code imported one, no task or greenlet can run.
    """
    modules = sys.modules
    if "asyncio.events" in modules or "greenlet" in modules:
        task_or_greenlet = _current_task_or_greenlet()
        if task_or_greenlet is not None:
            return _owner_inside(task_or_greenlet)
    try:
        owner: ExecutionContext = threads.owner
    except AttributeError:  # the first use in this thread
        owner = threads.owner = ExecutionContext()
    return owner


def _owner_inside(task_or_greenlet: object) -> ExecutionContext:
    """The owner of a task or greenlet that runs in this thread."""
    try:
        by_task: weakref.WeakKeyDictionary[object, ExecutionContext] = threads.by_task
    except AttributeError:
        by_task = threads.by_task = weakref.WeakKeyDictionary()
    owner = by_task.get(task_or_greenlet)
    if owner is None:
        owner = by_task[task_or_greenlet] = ExecutionContext()
    return owner


def _current_task_or_greenlet() -> object:
    """The task or greenlet that runs in this thread; None if neither does."""
    events = sys.modules.get("asyncio.events")
    if events is not None and events._get_running_loop() is not None:
        task = current_task()
        if task is not None and not is_in_notebook():
            return task
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None:
        current = greenlet.getcurrent()
        if current.parent is not None:
            return current
    return None
