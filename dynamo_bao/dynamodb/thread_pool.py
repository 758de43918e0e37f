"""Threads that run the calls of one round at the same time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from dynamo_bao.runtime.foreign_errors import is_from_signal
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

        number_of_helpers = min(len(calls), at_once, MAX_THREADS) - 1
        futures: Sequence[Future[None]] = ()
        try:
            futures = self._started(work, number_of_helpers)
            work()
            for future in futures:
                if not future.cancel():  # else no helper was free, and all calls have run
                    future.result()
        finally:
            pending_calls.clear()
            for future in futures:
                future.cancel()
        return [results[number] for number in range(len(calls))]

    def start(self, call: Callable[[], T]) -> Callable[[], T]:
        """Starts a call in another thread, and returns a function that waits for its result.

        If no thread is free, that function makes the call.
        """
        futures = self._started(call, 1)

        def result() -> T:
            for future in futures:
                if not future.cancel():
                    return future.result()
            return call()

        return result

    def _started(self, call: Callable[[], T], times: int) -> Sequence[Future[T]]:
        """Starts a call in several helper threads; in none if one of them cannot be started.

        No thread can be started while the interpreter ends, as for handlers of `atexit` and for threads that go on
        after the main one, in a pool that another thread closes, and if the system has no further thread.
        """
        gate, are_all_started = threading.Lock(), False

        def helped() -> T:
            with gate:  # until it is known whether all of them can be started
                if not are_all_started:
                    raise RuntimeError("a helper thread could not be started")  # which nobody waits for
            return call()

        with gate:
            try:
                futures = [self._current_executor().submit(helped) for _ in range(times)]
            except RuntimeError as error:
                if is_from_signal(error):
                    raise
                return ()
            are_all_started = True
            return futures

    def _current_executor(self) -> ThreadPoolExecutor:
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
