"""One object that several threads save at the same time: nothing is lost, and nothing is counted twice."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

from dynamo_bao import (
    ConcurrencyError,
    CounterField,
    ListField,
    Manager,
    MapField,
    Model,
    PrimaryKey,
    StringField,
    init_models,
    run_with_batch_context,
)
from tests.support.interrupts import FOREIGN, Instructions, signals_raise
from tests.support.patience import PATIENCE


class Job(Model, prefix="sao", name="SaoJob"):
    job_id: str = StringField()
    step: str = StringField(default="none")
    done: int = CounterField()
    lines: list[str] = ListField(default=list)
    figures: dict[str, str] = MapField(default=dict)

    primary_key = PrimaryKey("job_id")


class Watched(Job, prefix="saw", name="SaoWatched"):
    """Saves itself again after its first save."""

    def after_save(self) -> None:
        if self.step == "first":
            self.step = "second"
            self.save()


@pytest.fixture
def jobs(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """A table for jobs."""
    with init_models(models=[Job, Watched], table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads that take turns after a few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def run_at_once(*works: Callable[[], object]) -> None:
    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(work) for work in works]:
            future.result(PATIENCE)


def repeated(times: int, change: Callable[[int], object], job: Job, block: Any) -> Callable[[], None]:
    """Work that changes and saves an object a number of times."""

    def work() -> None:
        for number in range(times):
            with block():
                change(number)
                job.save()

    return work


@pytest.mark.parametrize("block", [nullcontext, run_with_batch_context])
@pytest.mark.usefixtures("quick_switches")
def test_each_thread_changes_a_field_of_its_own(
    jobs: Manager, block: Callable[[], AbstractContextManager[object]]
) -> None:
    job = Job.create(job_id="j")
    changes: list[Callable[[int], object]] = [
        lambda number: setattr(job, "step", f"step {number}"),
        lambda number: setattr(job, "done", job.done + 1),
        lambda number: job.lines.append(f"line {number}"),
        lambda number: job.figures.update({f"figure {number}": "x"}),
    ]
    run_at_once(*[repeated(25, change, job, block) for change in changes])
    job.save()
    stored = Job.find("j")
    assert (stored.step, stored.done) == ("step 24", 25)
    assert stored.lines == [f"line {number}" for number in range(25)] and len(stored.figures) == 25
    assert job.figures == stored.figures and job.lines == stored.lines and job.done == 25


@pytest.mark.usefixtures("quick_switches")
def test_threads_count_in_one_object(jobs: Manager) -> None:
    """As a pool of workers that report their progress does."""
    job, lock = Job.create(job_id="j"), threading.Lock()

    def count(number: int) -> None:
        with lock:
            job.done += 1

    run_at_once(*[repeated(20, count, job, nullcontext)] * 4)
    assert job.done == Job.find("j").done == 80 and not job.has_changes()


@contextmanager
def saving(manager: Manager, job: Job) -> Iterator[None]:
    """A block during which another thread saves an object. The save ends with the block."""
    has_begun, may_end = threading.Event(), threading.Event()
    pauses = [1]

    @manager.on_request
    def pause(sent: Any) -> None:
        if pauses:
            pauses.pop()
            has_begun.set()
            assert may_end.wait(PATIENCE)

    with ThreadPoolExecutor(1) as pool:
        saved: Future[Any] = pool.submit(job.save)
        try:
            assert has_begun.wait(PATIENCE)
            yield
        finally:
            may_end.set()
        saved.result(PATIENCE)


def test_a_save_waits_no_longer_than_a_call(jobs: Manager) -> None:
    job = Job.create(job_id="j")
    job.done += 1
    with saving(jobs, job), run_with_batch_context(deadline=0.01):
        job.done += 1
        with pytest.raises(
            ConcurrencyError, match=r"SaoJob 'j': another thread has not ended its save in time"
        ):
            job.save()
    assert job.changes() == {"done": 2}
    job.save()
    assert Job.find("j").done == 2


def test_an_event_loop_does_not_wait(jobs: Manager) -> None:
    job = Job.create(job_id="j")
    job.step = "first"

    async def save() -> None:
        job.save()

    with saving(jobs, job), pytest.raises(ConcurrencyError, match="an event loop cannot wait"):
        asyncio.run(save())


def test_other_objects_can_be_saved_meanwhile(jobs: Manager) -> None:
    """Also another object for the same item."""
    job, other = Job.create(job_id="j"), Job.find("j")
    job.done, other.done = 1, 2
    with saving(jobs, job):
        other.save()
    assert Job.find("j").done == 3


def test_code_inside_a_save_cannot_save_the_object(jobs: Manager) -> None:
    """A hook of its request, for example: the changes would be sent twice."""
    job, errors = Job.create(job_id="j"), []

    @jobs.on_request
    def save_inside(sent: Any) -> None:
        if sent.operation == "UpdateItem" and not errors:
            try:
                job.save()
            except ConcurrencyError as error:
                errors.append(str(error))

    job.done += 1
    job.save()
    assert [error.partition(" is being saved")[0] for error in errors] == ["SaoJob 'j'"]
    assert Job.find("j").done == job.done == 1


def test_a_hook_after_a_save_can_save_again(jobs: Manager) -> None:
    job = Watched.create(job_id="w")
    job.step = "first"
    job.save()
    assert job.step == Watched.find("w").step == "second"


def test_after_an_exception_at_any_instruction_the_object_can_be_saved(jobs: Manager) -> None:
    job = Job.create(job_id="j")
    instructions, number = Instructions("writes/save_turns"), 0
    while True:
        job.step = f"step {number}"
        error = FOREIGN[number % len(FOREIGN)]()
        try:
            with signals_raise(error):
                instructions.run(job.save, number)
                if instructions.counted <= number:
                    break
        except BaseException as raised:
            if raised is not error:
                raise
            raised.__traceback__ = None
        job.step = f"again {number}"
        run_at_once(job.save)
        assert Job.find("j").step == f"again {number}"
        number += 1
    assert number > 50
