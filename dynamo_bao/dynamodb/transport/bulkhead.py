"""How many calls of this process wait because a table or an index is throttled: a few, so that others have threads.

A call that waits holds its thread. Without a bound a single hot key would in the end hold all threads of a server,
and requests for everything else would wait for one. The pattern is called a bulkhead.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from weakref import WeakSet

from dynamo_bao._runtime import this_process

Place = tuple[str, "str | None"]
"""What is throttled: a table, and an index of it or None."""


class Bulkhead:
    """The calls that wait, for each table and index.

    They are referred to weakly: a call that an interrupt ends in the wrong moment does not count for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[Place, WeakSet[object]] = defaultdict(WeakSet)

    def enter(self, call: object, places: Iterable[Place], most: float) -> bool:
        """Counts a call as one that waits because of `places`; False, uncounted, if one of them has `most` already."""
        with self._lock:
            if any(len(self._waiting[place]) >= most for place in places):
                return False
            for place in places:
                self._waiting[place].add(call)
            return True

    def leave(self, call: object, places: Iterable[Place]) -> None:
        """Ends what `enter` began."""
        with self._lock:
            for place in places:
                self._waiting[place].discard(call)
                if not self._waiting[place]:
                    del self._waiting[place]

    def forget(self) -> None:
        """Begins from nothing, with a lock of its own: in a fork child none of the calls goes on."""
        self._lock = threading.Lock()
        self._waiting.clear()


throttled_calls = Bulkhead()
"""The calls of this process that wait."""

this_process.after_fork(throttled_calls.forget)
