"""One round of requests: the planned batches, several of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Pool:
    """A session's own few threads, started when a round first needs them.

    The caller's thread always carries one request itself, so that a single request starts no thread.
    """

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None

    def run(self, calls: Sequence[Callable[[], T]], max_concurrency: int) -> Iterator[T]:
        """The results of all `calls`, in their order; at most `max_concurrency` run at once.

        Leaving the iterator early, by an exception too, drops calls that have not started.
        """
        if not calls:
            return
        others = [self._submit(call, max_concurrency) for call in calls[1:]] if max_concurrency > 1 else []
        try:
            yield calls[0]()
            for call in calls[1:] if not others else ():
                yield call()
            for other in others:
                yield other.result()
        finally:
            for other in others:
                other.cancel()

    def _submit(self, call: Callable[[], T], max_concurrency: int) -> Future[T]:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_concurrency - 1, thread_name_prefix="dynamo_bao")
        return self._executor.submit(call)

    def close(self) -> None:
        """Lets the threads end; those still waiting for a reply end by themselves."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
