"""Locks that a fork child must find free, although a thread of its parent holds them."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dynamo_bao.dynamodb.rows import RowType
from dynamo_bao.dynamodb.service import GET_ITEM
from dynamo_bao.dynamodb.transport.embedded.engine import EmbeddedEngine
from dynamo_bao.runtime.process import ForkSafeLock

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
            traceback.print_exc()
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


def test_a_child_reads_rows_while_a_thread_of_its_parent_was_compiling_them() -> None:
    """It compiles the parser itself."""
    rows = RowType({"_pk": "S", "_sk": "S"})
    body = b'{"Item": {"_pk": {"S": "n#1"}, "_sk": {"S": "n"}}}'
    with held_by_another_thread(rows._lock):
        assert works_in_a_fork_child(lambda: rows.parsed(body, GET_ITEM))
    assert rows.parsed(body, GET_ITEM) is not None


def test_a_child_uses_the_embedded_engine_while_a_thread_of_its_parent_was_using_it() -> None:
    """It has a copy of the engine."""
    engine = EmbeddedEngine()

    def list_tables() -> None:
        assert engine.answer_to("DynamoDB_20120810.ListTables", b"{}")[0] == 200

    with held_by_another_thread(engine._lock):
        assert works_in_a_fork_child(list_tables)
    list_tables()
