"""Locks that a fork child must find free, although a thread of its parent holds them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dynamo_bao import Model, PrimaryKey, StringField, init_models
from dynamo_bao.runtime.process import ForkSafeLock
from dynamo_bao.testing import embedded_transport

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@contextmanager
def held_by_another_thread(lock: ForkSafeLock) -> Iterator[None]:
    """A block in which another thread holds a lock."""
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            is_held.set()
            may_end.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    try:
        yield
    finally:
        may_end.set()
        thread.join()


def works_in_a_fork_child(action: Callable[[], object]) -> bool:
    """Whether an action ends without an error in a fork child. One that waits forever is ended by an alarm."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_a_lock_is_free_in_a_child() -> None:
    """It is not free in the parent, where the thread still holds it."""
    lock = ForkSafeLock()

    def take() -> None:
        with lock:
            pass

    with held_by_another_thread(lock):
        assert works_in_a_fork_child(take)
    take()


def test_a_child_uses_a_manager_that_a_thread_of_its_parent_was_using() -> None:
    """It makes a repository of a model that the manager does not have yet."""
    with init_models(transport=embedded_transport(), table_name="notes") as manager:

        class Note(Model, prefix="n"):
            note_id: str = StringField()

            primary_key = PrimaryKey("note_id")

        with held_by_another_thread(manager._lock):
            assert works_in_a_fork_child(lambda: manager.repository(Note))
