"""One contender in its own process. It runs commands, and reports the time that each took."""

from __future__ import annotations

import gc
import importlib
import json
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import orjson

from benchmarks.contenders.base import Contender, hundreds, reader
from benchmarks.items import ITEMS, item_id
from benchmarks.operations import operations, verify
from benchmarks.server import ask


class Worker:
    """A contender and its operations."""

    def __init__(self, name: str, url: str) -> None:
        module = importlib.import_module(f"benchmarks.contenders.{name}")
        self._url = url
        self._contender: Contender = module.Contender(url)
        self._calls = operations(self._contender)

    def verify(self) -> None:
        """Raises an error if the contender reads or writes a wrong value."""
        verify(self._contender, lambda: json.loads(ask(self._url, "BenchWritten")))

    def run(self, row: str, count: int) -> list[float]:
        """The mean seconds of CPU (over all threads) and of wall time of one call, over `count` calls."""
        call = self._calls[row]
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            call()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return [cpu / count, wall / count]

    def threads(self, row: str, threads: int, seconds: float) -> float:
        """How many calls a second threads together make."""
        from benchmarks.threads import calls_a_second

        return calls_a_second(self._calls[row], threads, seconds)

    def calls(self, row: str) -> int:
        """The number of Python and C functions that one call calls in all threads; the smaller of two runs."""
        call = self._calls[row]
        call()
        return min(_call_count(call), _call_count(call))

    def memory(self, count: int = ITEMS) -> dict[str, float]:
        """The bytes of an instance after all its fields were read, and of its item parsed from JSON."""
        read = reader("plain", self._contender.attributes)
        keys = [item_id(number) for number in range(count)]
        replies = [
            ask(self._url, "BatchGetItem", self._contender.batch_get_body(part)) for part in hundreds(keys)
        ]
        self._contender.batch_get("plain", keys, read)
        return {
            "instance": _allocated_bytes(lambda: self._contender.batch_get("plain", keys, read)) / count,
            "raw": _allocated_bytes(lambda: [orjson.loads(reply) for reply in replies]) / count,
        }

    def session(self, count: int = ITEMS) -> dict[str, float]:
        """The microseconds of CPU that a session takes for a new lookup, and for one that it knows."""
        from benchmarks.session import lookups

        return lookups([item_id(number) for number in range(count)])


def _call_count(call: Callable[[], Any]) -> int:
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return count - 1  # without the call that removes the profiler


def _allocated_bytes(make: Callable[[], Any]) -> int:
    """The bytes of the result of `make`, with everything that it refers to."""
    gc.collect()
    tracemalloc.start()
    try:
        result = make()
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        del result
    finally:
        tracemalloc.stop()
    return size


def answer_lines(make: Callable[..., Any]) -> None:
    """Makes an object from the arguments of the command line. Its methods answer the commands, line by line.

    A command is a line of JSON such as ``{"do": "run", "row": "get", "count": 100}``, and so is its answer.
    """
    output, sys.stdout = sys.stdout, sys.stderr  # other output is not an answer
    worker = make(*sys.argv[1:])
    print(json.dumps("ready"), file=output, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(worker, command.pop("do"))(**command)), file=output, flush=True)


if __name__ == "__main__":
    answer_lines(Worker)
