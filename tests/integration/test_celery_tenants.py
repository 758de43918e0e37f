"""The tenant of a Celery task where Celery runs code around it, or runs it by a task of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("celery")

from celery import Celery, chord
from celery.app.task import Context

from dynamo_bao import TenantContext, TenantError
from dynamo_bao.celery import TENANT_HEADER, BaoTask
from tests.support.celery_worker import result_of, working

app = Celery("parts", broker="memory://", set_as_current=False)
app.conf.update(task_default_queue="parts", result_chord_retry_interval=0.01)
app.conf.broker_transport_options = {"polling_interval": 0.01}
HANDLED: list[tuple[str, str | None]] = []


def note(kind: str) -> None:
    """Notes a call of a handler, with the tenant it sees."""
    HANDLED.append((kind, TenantContext.get_current_tenant()))


def wait_for_handlers(count: int) -> None:
    """Waits for calls of handlers. Celery stores the result of a task before it calls the last ones."""
    while len(HANDLED) < count:
        result_of(app.send_task("celery.accumulate"))


class Noting(BaoTask):
    """Its handlers note their calls."""

    abstract = True

    def before_start(self, *_: Any) -> None:
        note("start")

    def on_retry(self, *_: Any) -> None:
        note("retry")

    def on_failure(self, *_: Any) -> None:
        note("failure")

    def on_success(self, *_: Any) -> None:
        note("success")

    def after_return(self, *_: Any) -> None:
        note("return")


@app.task(base=Noting)
def tenant(*earlier: Any) -> list[Any]:
    """The results before it, and the tenant it runs for."""
    return [*earlier, TenantContext.get_current_tenant()]


@app.task(base=Noting, bind=True, max_retries=1)
def doomed(self: Any) -> None:
    """Fails at the second attempt."""
    if self.request.retries == 0:
        raise self.retry(countdown=0.01)
    raise KeyError


@app.task(base=BaoTask)
def errback(request: Any, error: Exception, trace: Any) -> None:
    """Celery calls it after a failure."""
    note("errback")


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A worker whose results cannot end a chord, so that a task of Celery does that."""
    app.conf.result_backend = tmp_path_factory.mktemp("results").as_uri()
    with working(app, tenant):
        yield


@pytest.fixture(autouse=True)
def nothing_handled() -> None:
    """No handler was called yet."""
    HANDLED.clear()


def test_tasks_of_celery_itself_pass_the_tenant_on(worker: None) -> None:
    """A map, its relatives, and the end of a chord."""
    with TenantContext.run_with_tenant("acme"):
        each = tenant.map([1, 2]).delay()
        pairs = tenant.starmap([(1, 2), (3, 4)]).delay()
        pieces = tenant.chunks([(1,), (2,)], 1).delay()
        members = chord([tenant.s(), tenant.s()])(tenant.s())
    assert result_of(each) == [[1, "acme"], [2, "acme"]]
    assert result_of(pairs) == [[1, 2, "acme"], [3, 4, "acme"]]
    assert result_of(pieces) == [[[1, "acme"]], [[2, "acme"]]]
    assert result_of(members) == [[["acme"], ["acme"]], "acme"]
    assert result_of(tenant.map([1]).delay()) == [[1, None]]
    wait_for_handlers(3 * 3)  # of both members and the end of the chord; a map calls none


def test_handlers_and_errbacks_have_the_tenant_of_their_task(worker: None) -> None:
    """Before its runs, between them and after them. No later task has it."""
    with TenantContext.run_with_tenant("acme"):
        doomed.apply_async(link_error=errback.s())
    wait_for_handlers(6)  # the result is no sign: that of the first attempt may be stored after the second
    kinds = sorted(kind for kind, _ in HANDLED)
    assert kinds == ["errback", "failure", "retry", "return", "start", "start"]
    assert {tenant_id for _, tenant_id in HANDLED} == {"acme"}
    HANDLED.clear()
    assert [result_of(tenant.delay()) for _ in range(4)] == [[None]] * 4
    wait_for_handlers(4 * 3)
    assert {tenant_id for _, tenant_id in HANDLED} == {None}


def test_an_eager_task_leaves_the_tenant_of_its_caller() -> None:
    """Its handlers have its own, as in a worker."""
    with TenantContext.run_with_tenant("acme"):
        assert tenant.apply(headers={TENANT_HEADER: "other"}).get() == ["other"]
        assert TenantContext.get_current_tenant() == "acme"
    assert HANDLED == [("start", "other"), ("success", "other"), ("return", "other")]


def test_an_errback_has_the_tenant_where_no_task_runs() -> None:
    """Celery calls it in the main process, if the process of the task was ended."""
    errback(Context(headers={TENANT_HEADER: "acme"}), TimeoutError(), None)
    assert HANDLED == [("errback", "acme")]
    assert TenantContext.get_current_tenant() is None
    with pytest.raises(TenantError):
        errback(Context(headers={TENANT_HEADER: "a tenant]#"}), TimeoutError(), None)
