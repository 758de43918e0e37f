"""ULIDs: 26 characters that sort by time, strictly increasing within a process.

A ULID has 48 bits of milliseconds and 80 random ones (github.com/ulid/spec). Within one millisecond, or
where the clock went back, the next one is the last plus one.

The random ones are the operating system's: a generator inside the process would go on from the same state in
every fork child, and in every copy that is thawed from one snapshot of the process.
"""

from __future__ import annotations

import os
import re
import threading
import time

from dynamo_bao._runtime import this_process

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")


class _Source:
    """The process's source of ULIDs; a fork child starts anew, with a lock of its own."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> str:
        # Imported here: the library is a compiled module, needed only where ids are made.
        from ulid_transform import bytes_to_ulid

        fresh = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
        with self._lock:
            last = self._last
            # A later millisecond wins even over a random part that counted up; else count on.
            self._last = fresh if fresh >> 80 > last >> 80 else last + 1
            return bytes_to_ulid(self._last.to_bytes(16, "big"))


_source = _Source()
this_process.after_fork(_source.restart)


def new_ulid() -> str:
    """A new ULID, greater than every earlier one of this process."""
    return _source.next()


def is_ulid(text: object) -> bool:
    """Whether `text` is a ULID as it is written: upper case, Crockford's alphabet, 48 bits of time."""
    return isinstance(text, str) and _ULID.match(text) is not None
