"""ULIDs: 26 characters that sort by time, strictly increasing within a process.

A ULID has 48 bits of milliseconds and 80 random bits (github.com/ulid/spec). Within one millisecond, or if
the clock went back, the next ULID is the last one plus 1.

The random bits come from the operating system. A generator inside the process would continue from the same state in
every forked child and in every copy of one process snapshot.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from dynamo_bao.runtime.patterns import late_pattern
from dynamo_bao.runtime.process import this_process

_ULID = late_pattern(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")


class _Source:
    """The process's source of ULIDs. A forked child restarts it, with a new lock."""

    def __init__(self) -> None:
        self._encode: Callable[[bytes], str] | None = None
        self.restart()

    def restart(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may need an id while its thread makes one
        self._last = 0

    def next(self) -> str:
        encode = self._encode or self._encoder()
        fresh = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
        with self._lock:
            # No signal is handled in these two lines, as they call nothing.
            previous = self._last
            # Use the new value in a later millisecond. Otherwise add 1 to the last value.
            self._last = number = fresh if fresh >> 80 > previous >> 80 else previous + 1
        return encode(number.to_bytes(16, "big"))

    def _encoder(self) -> Callable[[bytes], str]:
        # Imported here: the compiled module is needed only to create ids.
        from ulid_transform import bytes_to_ulid

        self._encode = bytes_to_ulid
        return bytes_to_ulid


_source = _Source()
this_process.after_fork(_source.restart)


def new_ulid() -> str:
    """A new ULID, greater than every earlier one of this process."""
    return _source.next()


def is_ulid(text: object) -> bool:
    """Whether `text` is a ULID in its canonical form: upper case, Crockford's alphabet, 48 bits of time."""
    return isinstance(text, str) and _ULID.match(text) is not None
