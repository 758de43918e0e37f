"""Calls of one round, several of them at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from dynamo_bao._runtime import this_process

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

MOST_THREADS = 64
"""How many helper threads a manager has at most, whoever they help: the bound of requests beside the callers' own."""


class ThreadPool:
    """The helper threads of one manager, started when a round first needs them.

    The caller's thread always carries requests itself, so that a single one starts no thread, and calls go on
    where all helpers are busy.
    """

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._process: object = None

    def run(self, calls: Sequence[Callable[[], T]], at_once: int) -> list[T]:
        """The results of all `calls`, in their order; at most `at_once` run at the same time.

        An exception, one that interrupts the caller too, keeps those that have not started from starting.
        """
        if len(calls) == 1:
            return [calls[0]()]
        waiting = deque(enumerate(calls))
        results: dict[int, T] = {}

        def work() -> None:
            while waiting:
                try:
                    number, call = waiting.popleft()
                except IndexError:  # another thread was faster
                    return
                results[number] = call()

        helpers = min(len(calls), at_once, MOST_THREADS) - 1
        others = [self._started().submit(work) for _ in range(helpers)]
        try:
            work()
            for other in others:
                if not other.cancel():  # else no helper was free, and there is nothing left to do
                    other.result()
        finally:
            waiting.clear()
            for other in others:
                other.cancel()
        return [results[number] for number in range(len(calls))]

    def _started(self) -> ThreadPoolExecutor:
        executor = self._executor
        if executor is not None and self._process is this_process.token:
            return executor
        # Imported here: many programs never send two requests at once.
        from concurrent.futures import ThreadPoolExecutor

        with this_process.lock:
            if self._executor is None or self._process is not this_process.token:
                self._executor = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="dynamo_bao")
                self._process = this_process.token
            return self._executor

    def close(self) -> None:
        """Lets the threads end; those still waiting for a reply end by themselves."""
        executor, self._executor = self._executor, None
        if executor is not None and self._process is this_process.token:
            executor.shutdown(wait=False, cancel_futures=True)
