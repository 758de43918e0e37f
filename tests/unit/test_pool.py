"""Calls of one round: in order, as many at once as they may, and none left to wait for."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from dynamo_bao.dynamodb.thread_pool import MAX_THREADS, ThreadPool
from tests.support.patience import PATIENCE


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    pool = ThreadPool()
    yield pool
    pool.close()


def test_results_are_in_the_order_of_the_calls(pool: ThreadPool) -> None:
    """Whichever thread carried them."""
    assert pool.run([lambda number=number: number * number for number in range(50)], 4) == [
        number * number for number in range(50)
    ]


@pytest.mark.parametrize(("calls", "at_once"), [(1, 4), (5, 1)])
def test_one_at_a_time_is_the_callers_own_thread(pool: ThreadPool, calls: int, at_once: int) -> None:
    """Of it no thread is started."""
    here = threading.current_thread()
    assert pool.run([threading.current_thread] * calls, at_once) == [here] * calls


def test_as_many_run_at_once_as_may(pool: ThreadPool) -> None:
    """Three meet, and so does the caller with two helpers."""
    together = threading.Barrier(3, timeout=PATIENCE)
    pool.run([lambda: together.wait() and None] * 9, 3)
    assert not together.broken


def test_an_exception_keeps_the_rest_from_starting(pool: ThreadPool) -> None:
    """What waits is not begun, by the caller or any helper."""
    begun = []

    def call(number: int) -> None:
        begun.append(number)
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run([lambda number=number: call(number) for number in range(100)], 1)
    assert begun == [0, 1, 2]


def test_an_exception_of_a_helper_is_the_callers(pool: ThreadPool) -> None:
    """Also where the caller's own calls went well."""
    caller, together = threading.current_thread(), threading.Barrier(2, timeout=PATIENCE)

    def call() -> None:
        together.wait()
        if threading.current_thread() is not caller:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pool.run([call, call], 2)


def test_a_pool_may_be_closed_twice_and_before_it_was_used() -> None:
    """There is nothing left to end then."""
    pool = ThreadPool()
    pool.close()
    together = threading.Barrier(2, timeout=PATIENCE)
    pool.run([together.wait, together.wait], 2)
    pool.close()
    pool.close()


def test_closing_ends_the_helper_threads() -> None:
    """None of them stays behind, also while something still refers to the executor, whose end would end them too."""
    pool, together = ThreadPool(), threading.Barrier(3, timeout=PATIENCE)

    def call() -> threading.Thread:
        together.wait()
        return threading.current_thread()

    helpers = set(pool.run([call] * 3, 3)) - {threading.current_thread()}
    assert len(helpers) == 2
    executor = pool._current_executor()
    pool.close()
    assert executor is not None
    for helper in helpers:
        helper.join(PATIENCE)
        assert not helper.is_alive()


def test_closing_waits_for_nobody() -> None:
    """A helper whose reply does not come ends by itself; whoever closes goes on at once."""
    pool, started, release, ended = ThreadPool(), threading.Event(), threading.Event(), threading.Event()

    def helped() -> None:
        if threading.current_thread() is not owner:
            started.set()
            release.wait(PATIENCE)
            ended.set()
        else:
            started.wait(PATIENCE)

    def run() -> None:
        nonlocal owner
        owner = threading.current_thread()
        pool.run([helped, helped], 2)

    owner = threading.current_thread()
    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(PATIENCE)
    pool.close()
    assert not ended.is_set()  # closing came back while the helper was still at it
    release.set()
    thread.join(PATIENCE)
    assert ended.wait(PATIENCE)
    assert pool.run([lambda: 1, lambda: 2], 2) == [1, 2]  # and the pool can be used again
    pool.close()


@pytest.mark.parametrize("startable", [0, 1])
def test_without_further_threads_the_caller_works_alone(
    pool: ThreadPool, monkeypatch: pytest.MonkeyPatch, startable: int
) -> None:
    """Each call is made once, and a helper that could be started makes none."""
    start, started = threading.Thread.start, []

    def limited(thread: threading.Thread) -> None:
        if len(started) == startable:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", limited)
        assert pool.run([threading.current_thread] * 9, 4) == [threading.current_thread()] * 9
        assert len(started) == startable
    together = threading.Barrier(2, timeout=PATIENCE)
    pool.run([together.wait] * 2, 2)  # later one can be started again


def test_in_a_pool_that_is_being_closed_the_caller_works_alone(pool: ThreadPool) -> None:
    """Another thread closes it after this one has looked for its threads."""
    pool._current_executor().shutdown()
    assert pool.run([threading.current_thread] * 3, 3) == [threading.current_thread()] * 3
    assert pool.start(threading.current_thread)() is threading.current_thread()


def test_what_was_started_and_not_begun_is_done_by_who_waits_for_it(pool: ThreadPool) -> None:
    """Closing the pool takes it away from the helpers."""
    release = threading.Event()
    busy = [pool.start(partial(release.wait, PATIENCE)) for _ in range(MAX_THREADS)]
    result = pool.start(threading.current_thread)
    pool.close()
    assert result() is threading.current_thread()
    release.set()
    assert all(waited() for waited in busy)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_starts_threads_of_its_own(pool: ThreadPool) -> None:
    """Those of its parent are not there."""

    def meet() -> None:
        together = threading.Barrier(2, timeout=PATIENCE)
        pool.run([together.wait, together.wait], 2)

    meet()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            meet()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    meet()
