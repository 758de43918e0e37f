"""Celery tasks, run by a real worker over Celery's in-memory broker, and eagerly."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

pytest.importorskip("celery")

from celery import Celery, Task, chain, chord, group, signals

from dynamo_bao import (
    BatchContextError,
    ConfigurationError,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    TenantContext,
    TenantError,
    UncommittedChangesError,
    current_session,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.celery import TENANT_HEADER, BaoTask, tenant_headers
from tests.support.celery_worker import result_of, working
from tests.support.patience import PATIENCE


class Parcel(Model, prefix="pa"):
    parcel_id: str = StringField()
    state: str = StringField(default="packed")

    primary_key = PrimaryKey("parcel_id")


app = Celery("parcels", broker="memory://", backend="cache+memory://", task_cls=BaoTask, set_as_current=False)
app.conf.broker_transport_options = {"polling_interval": 0.01}
SEEN: list[Any] = []
LEFT: list[Any] = []


@app.task
def find(parcel_id: str) -> list[Any]:
    """Whether a parcel is there, for whom, and what the session cost so far."""
    session = current_session()
    assert session is not None
    SEEN.append(session)
    found = bool(Parcel.find(parcel_id)) and bool(Parcel.find(parcel_id))
    return [found, TenantContext.get_current_tenant(), session.stats.round_trips]


@app.task
def tenant(*_: Any) -> str | None:
    """The tenant it runs for."""
    return TenantContext.get_current_tenant()


@app.task
def tenants(found: list[str | None]) -> list[str | None]:
    """Those of the tasks before, and its own."""
    return [*found, TenantContext.get_current_tenant()]


@app.task(base=Task)
def leak_a_tenant() -> None:
    """A task of another base, which sets a tenant and leaves it."""
    TenantContext.set_current_tenant("leaked")


@app.task(bind=True, max_retries=2)
def stubborn(self: Any, parcel_id: str) -> list[Any]:
    """Succeeds at the third attempt, and leaves work uncommitted in the others."""
    session = current_session()
    assert session is not None
    SEEN.append(session)
    session.add(Parcel(parcel_id=f"{parcel_id}-{self.request.retries}"))
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    session.commit()
    return [self.request.retries, TenantContext.get_current_tenant()]


@app.task
def forgetful() -> None:
    """Adds a parcel and never commits it."""
    session = current_session()
    assert session is not None
    session.add(Parcel(parcel_id="forgotten"))


@app.task
def untidy() -> None:
    """Opens a context, keeps it, and never leaves it."""
    LEFT.append(run_with_batch_context())
    LEFT[-1].__enter__()


@app.task
def outer(parcel_id: str, again: bool = True) -> list[Any]:
    """Calls tasks as the functions they are: itself, and another one."""
    if again:
        return outer(parcel_id, again=False)
    session = current_session()
    return [find(parcel_id), SEEN[-1] is session]


@app.task
def store(parcel_id: str) -> None:
    """Creates a parcel."""
    Parcel.create(parcel_id=parcel_id)


@pytest.fixture(scope="module")
def worker() -> Iterator[None]:
    """A worker of the application."""
    with working(app, tenant):
        yield


@pytest.fixture(autouse=True)
def parcels() -> Iterator[Manager]:
    """An empty table, and nothing seen yet."""
    SEEN.clear()
    with init_models(models=[Parcel], embedded=True) as manager:
        yield manager


@pytest.fixture
def eager() -> Iterator[None]:
    """Tasks run where they are sent from."""
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


def test_eager_tasks_are_as_isolated(eager: None) -> None:
    """Neither the caller's session nor its transaction reaches in; retries, tenants and errors are as in a worker."""
    with TenantContext.run_with_tenant("acme"), run_with_batch_context() as session:
        with pytest.raises(KeyError), transaction():
            store.delay("p1").get()
            raise KeyError("the caller's transaction fails")
        assert find.delay("p1").get() == [True, "acme", 1]
        assert stubborn.delay("p").get() == [2, "acme"]
        with pytest.raises(UncommittedChangesError):
            forgetful.delay().get()
        assert current_session() is session and session not in SEEN
        assert TenantContext.get_current_tenant() == "acme"


def test_options_of_the_session(eager: None, caplog: pytest.LogCaptureFixture) -> None:
    """A task may set them, wrong ones are refused with the task, and the log tells what each run cost."""

    @app.task(batch_context={"fetch": "raise"}, name="options")
    def options() -> str:
        session = current_session()
        assert session is not None
        return session.settings.fetch

    assert options.delay().get() == "raise"
    with pytest.raises(ConfigurationError):
        type("Wrong", (BaoTask,), {"batch_context": {"fetch": "never"}})
    with caplog.at_level(logging.INFO, "dynamo_bao.celery"):
        store.delay("p1").get()
    assert "store[" in caplog.text and "1 round, 1 request," in caplog.text


def test_each_run_has_a_session_of_its_own(worker: None) -> None:
    """Finds are cached within one run, never across two, and the session is closed when the task is over."""
    Parcel.create(parcel_id="p1")
    sent = [find.delay("p1"), find.delay("p1"), find.delay("p2")]
    assert [result_of(one) for one in sent] == [[True, None, 1], [True, None, 1], [False, None, 1]]
    assert len({id(session) for session in SEEN}) == 3
    assert not any(session.is_open for session in SEEN)


def test_retries_begin_anew(worker: None, caplog: pytest.LogCaptureFixture) -> None:
    """Every attempt has a session and the tenant of the first; what a failed one left uncommitted is dropped."""
    with TenantContext.run_with_tenant("acme"):
        assert result_of(stubborn.delay("p")) == [2, "acme"]
        assert [bool(Parcel.find(f"p-{attempt}")) for attempt in range(3)] == [False, False, True]
    assert len({id(session) for session in SEEN}) == 3
    assert "never committed" in caplog.text


def test_uncommitted_work_fails_the_task(worker: None) -> None:
    """The caller learns of it, nothing is stored, and the next task in the thread is fine."""
    for _ in range(3):
        with pytest.raises(UncommittedChangesError, match="never committed"):
            result_of(forgetful.delay())
    assert result_of(find.delay("forgotten"))[0] is False


def test_a_context_left_open_is_closed(worker: None, caplog: pytest.LogCaptureFixture) -> None:
    """The log tells, and later tasks in the thread begin outside it."""
    for _ in range(3):
        result_of(untidy.delay())
    assert result_of(find.delay("p1"))[0] is False
    assert "untidy: a batch context that was opened inside the task was never left" in caplog.text


def test_the_tenant_travels(worker: None) -> None:
    """To a task, the parts and the end of a chord, and every link of a chain, and to no other task."""
    with TenantContext.run_with_tenant("acme"):
        sent = find.delay("p1")
        Parcel.create(parcel_id="p1")
        members = chord([tenant.s(), tenant.s()])(tenants.s())
        links = chain(tenant.s(), tenant.s(), tenant.s())()
        parts = group(tenant.s(), tenant.s())()
        by_name = app.send_task(tenant.name, headers=tenant_headers({"trace": "1"}))
    assert result_of(sent)[1] == "acme"
    assert result_of(members) == ["acme"] * 3
    assert result_of(links) == result_of(by_name) == "acme"
    assert result_of(parts) == ["acme", "acme"]
    assert result_of(tenant.delay()) is None


def test_a_tenant_of_the_thread_is_nobodys(worker: None) -> None:
    """What another task has left in the thread does not reach the next one."""
    for _ in range(4):
        result_of(leak_a_tenant.delay())
    assert [result_of(tenant.delay()) for _ in range(4)] == [None] * 4


def test_what_is_no_tenant_is_refused(worker: None) -> None:
    """By the one who sends it, and, as messages come from elsewhere too, by the one who gets it."""
    with pytest.raises(TenantError):
        tenant.apply_async(headers={TENANT_HEADER: "a tenant]#"})
    with pytest.raises(TenantError):
        result_of(app.send_task(tenant.name, headers={TENANT_HEADER: "a tenant]#"}))
    with pytest.raises(TenantError):
        result_of(app.send_task(tenant.name, headers={TENANT_HEADER: ["acme"]}))


def test_a_second_binding_is_refused(worker: None) -> None:
    """A handler that opens a context for each task has no say any more, and is told."""
    opened = []
    has_left = Event()

    def open_one(**_: Any) -> None:
        opened.append(run_with_batch_context())
        opened[-1].__enter__()

    def leave_it(**_: Any) -> None:
        opened.pop().__exit__(None, None, None)
        has_left.set()

    signals.task_prerun.connect(open_one, weak=False)
    signals.task_postrun.connect(leave_it, weak=False)
    try:
        with pytest.raises(BatchContextError, match="task_prerun handler"):
            result_of(find.delay("p1"))
        assert has_left.wait(PATIENCE)  # Celery stores the result first, then it calls the handlers
    finally:
        signals.task_prerun.disconnect(open_one)
        signals.task_postrun.disconnect(leave_it)


def test_a_call_is_a_call(worker: None) -> None:
    """A task that is called as a function runs in its caller's session, in a worker and elsewhere."""
    assert result_of(outer.delay("p1")) == [[False, None, 1], True]
    with run_with_batch_context() as session:
        find("p1")
        assert SEEN[-1] is session
    find("p1")
    assert not SEEN[-1].is_open
