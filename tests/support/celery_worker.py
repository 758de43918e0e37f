"""Workers of Celery inside the process of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery, signals
from celery.contrib.testing.worker import start_worker
from celery.worker import state

from tests.support.patience import PATIENCE


@contextmanager
def working(app: Celery, last_task: Any) -> Iterator[None]:
    """A worker with two threads for tasks, which leaves logging as it is.

    Args:
        app: the application whose tasks it runs. A process can have one worker at a time.
        last_task: any task without arguments.
    """

    def leave_logging(**_: Any) -> None:
        """Celery sets up no logging where somebody listens to this signal."""

    signals.setup_logging.connect(leave_logging)
    with start_worker(
        app, pool="threads", concurrency=2, perform_ping_check=False, shutdown_timeout=PATIENCE
    ):
        yield
        state.should_terminate = 0
        last_task.delay()  # at a message the worker looks whether it is to end, else after seconds only
    signals.setup_logging.disconnect(leave_logging)


def result_of(sent: Any) -> Any:
    """What a task that was sent came to."""
    return sent.get(timeout=PATIENCE, interval=0.01)
