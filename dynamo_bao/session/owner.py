"""Who owns a session: a process, thread, greenlet (where there are any) and asyncio task (where one runs).

An owner is an object, never a number, and is found again in the same place. It holds the stack of the
sessions that are open there, so that two tasks of one thread never see each other's.
"""

from __future__ import annotations

import sys
import threading
import weakref
from typing import Any

from dynamo_bao.process import this_process


class Owner:
    """One place that code runs in.

    Attributes:
        stack: the sessions open there, innermost last.
        tenants: the tenants set there, innermost last; None stands for "no tenant".
        requests: the web requests that were begun there and have not ended, oldest first.
    """

    __slots__ = ("__weakref__", "requests", "stack", "tenants")

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.tenants: list[str | None] = []
        self.requests: list[Any] = []


class _Local(threading.local):
    """A thread's own owner, and those of the greenlets and tasks that ran in it."""

    def __init__(self) -> None:
        self.thread = Owner()
        self.others: weakref.WeakKeyDictionary[Any, Owner] = weakref.WeakKeyDictionary()


_local = _Local()


def _start_anew() -> None:
    global _local
    _local = _Local()


this_process.after_fork(_start_anew)


def current_owner() -> Owner:
    """The owner of the code that is running now."""
    local, loaded = _local, sys.modules
    if "greenlet" not in loaded and "asyncio.events" not in loaded:
        return local.thread
    running = _running_inside()
    if running is None:
        return local.thread
    owner = local.others.get(running)
    if owner is None:
        owner = local.others[running] = Owner()
    return owner


def _running_inside() -> Any:
    """The asyncio task or the greenlet that is running; None for a thread's plain code.

    Neither module is imported here: where nobody has imported one, nothing of its kind can be running.
    """
    events = sys.modules.get("asyncio.events")
    if events is not None and events._get_running_loop() is not None:
        task = sys.modules["asyncio.tasks"].current_task()
        if task is not None:
            return task
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None:
        current = greenlet.getcurrent()
        if current.parent is not None:
            return current
    return None
