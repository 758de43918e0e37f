"""Bounds the calls of this process that wait because a table or an index is throttled, so that others have threads.

A call that waits holds its thread. Without a bound, a single hot key would soon hold all threads of a server, and all
other requests would wait for a thread. The pattern is called a bulkhead.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from weakref import WeakSet

from dynamo_bao.runtime.process import this_process

Place = tuple[str, "str | None"]
"""A table, and one of its indexes or None: the part of a table that is throttled."""


class Bulkhead:
    """The calls that wait, for each table and index.

    The references are weak, so a call that an interrupt ends at any moment does not count forever.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._calls: defaultdict[Place, WeakSet[object]] = defaultdict(WeakSet)

    def enter(self, call: object, places: Iterable[Place], most: float) -> bool:
        """Counts a waiting call, unless one of `places` has `most` waiting calls already.

        Returns:
            Whether the call was counted, so that it may wait.
        """
        with self._lock:
            if any(len(self._calls[place]) >= most for place in places):
                return False
            for place in places:
                self._calls[place].add(call)
            return True

    def leave(self, call: object, places: Iterable[Place]) -> None:
        """Ends the count of a call that `enter` began."""
        with self._lock:
            for place in places:
                self._calls[place].discard(call)
                if not self._calls[place]:
                    del self._calls[place]

    def forget(self) -> None:
        """Forgets all calls and makes a new lock, for a fork child, in which none of the calls goes on."""
        self._lock = threading.RLock()
        self._calls.clear()


throttled_calls: Bulkhead = Bulkhead()
"""The waiting calls of this process."""

this_process.after_fork(throttled_calls.forget)
