"""One contender in a process of its own, which does what it is told, and says what it took."""

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
        """Checks that all is right; raises otherwise."""
        verify(self._contender, lambda: json.loads(ask(self._url, "BenchWritten")))

    def run(self, row: str, count: int) -> list[float]:
        """Seconds of CPU, of all threads, and of wall time that one call takes, over so many."""
        call = self._calls[row]
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            call()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return [cpu / count, wall / count]

    def calls(self, row: str) -> int:
        """How many functions, of Python and of C, one call calls in all threads: the lesser of two runs."""
        call = self._calls[row]
        call()
        return min(_call_count(call), _call_count(call))

    def memory(self, count: int = ITEMS) -> dict[str, float]:
        """Bytes that an instance keeps after all its fields were read, and those of its item parsed from JSON."""
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
        """Microseconds of CPU that a session takes to note a new lookup, and to answer one it knows."""
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
    return count - 1  # the call that takes the profiler away


def _allocated_bytes(make: Callable[[], Any]) -> int:
    """The bytes that what `make` returns keeps alive, with all that it refers to."""
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
    """Makes an object from the arguments of the command line, and has its methods answer what is asked, line by line.

    A request is a line of JSON such as ``{"do": "run", "row": "get", "count": 100}``, and so is its answer.
    """
    output, sys.stdout = sys.stdout, sys.stderr  # what is printed by others is no answer
    worker = make(*sys.argv[1:])
    print(json.dumps("ready"), file=output, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(worker, command.pop("do"))(**command)), file=output, flush=True)


if __name__ == "__main__":
    answer_lines(Worker)
