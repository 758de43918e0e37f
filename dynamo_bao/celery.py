"""Celery: a base class whose tasks each run in a batch context of their own, for the tenant of whoever sent them.

Needs the extra ``dynamo_bao[celery]``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from celery import Task, current_task
from celery.app.task import Context
from celery.signals import before_task_publish, task_postrun, task_prerun

from dynamo_bao.dynamodb.keys import checked_tenant
from dynamo_bao.errors import BatchContextError, TenantError
from dynamo_bao.models.batch_context import batched, run_with_batch_context
from dynamo_bao.session.bindings import SESSION, Entry, innermost, leave, set_top_link, unbound
from dynamo_bao.session.context import current_session
from dynamo_bao.session.session import Session
from dynamo_bao.session.settings import SessionSettings
from dynamo_bao.session.tenancy import TenantBlock, current_tenant, tenant_block

if TYPE_CHECKING:  # for checkers with stubs of Celery, where a task is generic
    _Task: TypeAlias = Task[Any, Any]
else:
    _Task = Task

log: logging.Logger = logging.getLogger("dynamo_bao.celery")

TENANT_HEADER = "dynamo_bao_tenant"
"""The message header in which a task's tenant travels."""
OWN_TASKS_OF_CELERY = "celery."
"""How the names of the tasks begin by which Celery runs ``map``, ``starmap``, ``chunks`` and the end of a chord."""


class BaoTask(_Task):  # type: ignore[misc]  # Celery has no types
    """The base of tasks that use models: ``@app.task(base=BaoTask)``, or ``Celery(task_cls=BaoTask)`` for all.

    Every run, also a retry, has its own session. The task does not see the caller's session or transaction, even if
    tasks run eagerly. Uncommitted work fails the task. The sender's current tenant is sent in a header, and passed on
    to the tasks of a chain, group, chord or map. Without this header, and without a resolver, the task has no tenant.

    Handlers of the task, such as ``on_failure``, and its errbacks have the tenant too. The session is over by then.

    A task that is called as a plain function runs in the session of its caller.

    Attributes:
        batch_context: options of the session, as `run_with_batch_context` takes them.

    Raises:
        BatchContextError: in the task, if a batch context was opened before it began.
        TenantError: for a header with an invalid tenant id, both at sending and at arrival.

    Example:
        >>> @app.task(base=BaoTask, bind=True, batch_context={"deadline": 30.0})
        ... def ship(self, order_id):
        ...     order = Order.find_or_raise(order_id)
    """

    abstract = True
    batch_context: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        SessionSettings(**cls.batch_context)  # raises for wrong options where the task is defined

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request
        if request.called_directly or request.get("bao_session") is not None:
            with _tenant_of_failed(args):
                return batched(super().__call__)(*args, **kwargs)
        with _run_of(str(self.name), request, self.batch_context) as session:
            request.bao_session = session
            return self.run(*args, **kwargs)  # as Celery itself does for a run

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Sends the task, with the current tenant in its headers."""
        options["headers"] = tenant_headers(options.get("headers"))
        return super().apply_async(args, kwargs, *rest, **options)


def tenant_headers(headers: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Message headers with the current tenant, for ``app.send_task``. A tenant in `headers` is kept.

    Args:
        headers: further headers of the message.

    Returns:
        The headers with the tenant; `headers` itself if no tenant is set.

    Raises:
        TenantError: for an invalid tenant id in `headers`.

    Example:
        >>> app.send_task("shop.ship", [order_id], headers=tenant_headers())
    """
    tenant = (headers or {}).get(TENANT_HEADER) or current_tenant() or _tenant_in(current_task)
    if tenant is None:
        return None if headers is None else dict(headers)
    return {**(headers or {}), TENANT_HEADER: checked_tenant(tenant)}


def _tenant_in(task: Any) -> str | None:
    """The tenant of the running task. It is in the headers only when Celery sends the tasks that follow."""
    return _tenant_of_request(task.request) if task else None


def _tenant_of_request(request: Any) -> str | None:
    """The tenant in the headers of a task's request, or None.

    Raises:
        TenantError: for an invalid tenant id.
    """
    tenant = (request.headers or {}).get(TENANT_HEADER)
    return None if tenant is None else checked_tenant(tenant)


def _tenant_of_failed(arguments: tuple[Any, ...]) -> AbstractContextManager[object]:
    """A block with the tenant of a failed task, whose request Celery passes to an errback when it calls that."""
    request = arguments[0] if arguments else None
    tenant = _tenant_of_request(request) if isinstance(request, Context) else None
    return nullcontext() if tenant is None else tenant_block(tenant)


def _send_tenant(sender: Any = None, headers: Any = None, **_: Any) -> None:
    """Sends the tenant with the tasks of Celery itself, which are no `BaoTask` and run or send such tasks."""
    if str(sender).startswith(OWN_TASKS_OF_CELERY):
        headers.update(tenant_headers(headers) or {})


def _start_from_nothing(sender: Any = None, **_: Any) -> None:
    """Removes bindings that an earlier task left in this thread, before other handlers of the signal run.

    Until the end of the task, the tenant of its message is in force for them and for the handlers of the task.
    """
    request = sender.request
    try:
        tenant = _tenant_of_request(request)
    except TenantError:  # the run raises it
        tenant = None
    if (isinstance(sender, BaoTask) or tenant is not None) and not request.is_eager:
        set_top_link(None)
    if tenant is not None:
        request.bao_tenant = block = TenantBlock(tenant)
        block.__enter__()


def _end_tenant(sender: Any = None, **_: Any) -> None:
    """Ends the tenant that was in force for a task."""
    block: TenantBlock | None = sender.request.get("bao_tenant")
    if block is not None:
        leave(block)


before_task_publish.connect(_send_tenant, weak=False)
task_prerun.connect(_start_from_nothing, weak=False)
task_postrun.connect(_end_tenant, weak=False)


@contextmanager
def _run_of(name: str, request: Any, options: Mapping[str, Any]) -> Iterator[Session]:
    """Binds the session and the tenant of one run, in place of all earlier bindings."""
    named = _tenant_of_request(request)
    if current_session() is not None and not request.is_eager:
        raise BatchContextError(
            f"Task {name} begins inside a batch context that was opened before it: by a task_prerun handler, or by "
            f"another base class. BaoTask opens one for each run; remove the other one."
        )
    tenant = current_tenant() if named is None and request.is_eager else named
    with unbound(), ExitStack() as blocks:
        if tenant is not None:
            blocks.enter_context(tenant_block(tenant))
        session = blocks.enter_context(run_with_batch_context(**options))
        try:
            yield session
        finally:
            _close_left_over(name, session)
            _log_run(name, request, session)


def _close_left_over(name: str, session: Session) -> None:
    """Closes batch contexts that the task opened and never left, so that the next one does not begin in them."""
    link = innermost(SESSION)
    while link is not None and link.value is not session:
        log.error(
            "%s: a batch context that was opened inside the task was never left.",
            name,
            extra=link.value._rounds.fields("task", task=name),
        )
        entry: Entry | None = link.entry()
        if entry is not None:
            entry.end()
        link.value._work.require_committed(BatchContextError("its block was never left"))
        link = innermost(SESSION)


def _log_run(name: str, request: Any, session: Session) -> None:
    """Logs the figures of a run: INFO if it sent requests, else DEBUG."""
    level = logging.INFO if session.stats.requests else logging.DEBUG
    fields = session._rounds.fields("task", task=name)
    log.log(level, "%s[%s]: %s", name, request.id, session.trace().summary, extra=fields)
