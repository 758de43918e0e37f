"""Threads that run the calls of one round at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from dynamo_bao.runtime.process import this_process

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")

MAX_THREADS = 64
"""The most helper threads of a manager. They bound the requests beside those that the callers' threads send."""


class ThreadPool:
    """The helper threads of one manager, started when a round first needs them.

    The caller's thread also sends requests. So a single request starts no thread, and a round goes on if all
    helpers are busy.
    """

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._process: object = None

    def run(self, calls: Sequence[Callable[[], T]], at_once: int) -> list[T]:
        """Runs all calls and returns their results, in the order of the calls.

        After an exception, also one that interrupts the caller, no further call starts.

        Args:
            calls: what to run.
            at_once: the most calls that run at the same time.
        """
        if len(calls) == 1:
            return [calls[0]()]
        pending_calls = deque(enumerate(calls))
        results: dict[int, T] = {}

        def work() -> None:
            while pending_calls:
                try:
                    number, call = pending_calls.popleft()
                except IndexError:  # another thread was faster
                    return
                results[number] = call()

        helpers = min(len(calls), at_once, MAX_THREADS) - 1
        futures = [self._started().submit(work) for _ in range(helpers)]
        try:
            work()
            for future in futures:
                if not future.cancel():  # else no helper was free, and all calls have run
                    future.result()
        finally:
            pending_calls.clear()
            for future in futures:
                future.cancel()
        return [results[number] for number in range(len(calls))]

    def start(self, call: Callable[[], T]) -> Future[T]:
        """Starts a call in another thread, and returns its future."""
        return self._started().submit(call)

    def _started(self) -> ThreadPoolExecutor:
        executor = self._executor
        if executor is not None and self._process is this_process.token:
            return executor
        # Imported here: many programs never send two requests at once.
        from concurrent.futures import ThreadPoolExecutor

        with this_process.lock:
            if self._executor is None or self._process is not this_process.token:
                self._executor = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="dynamo_bao")
                self._process = this_process.token
            return self._executor

    def close(self) -> None:
        """Lets the threads end. A thread that waits for a reply ends when the reply arrives."""
        executor, self._executor = self._executor, None
        if executor is not None and self._process is this_process.token:
            executor.shutdown(wait=False, cancel_futures=True)
