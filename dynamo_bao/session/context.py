"""The batch context: a block, or a decorated function, with its own session. Here is the current session too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.runtime.late_libraries import inspect
from dynamo_bao.session.bindings import SESSION, TENANT, Block, Entry, Steps, innermost, innermost_value
from dynamo_bao.session.execution_context import current_execution_context
from dynamo_bao.session.session import READING, Session, SessionMaker
from dynamo_bao.session.tenancy import (
    EXEMPT,
    current_tenant,
    lost_tenant,
    needs_no_tenant,
    resolvers,
    tenant_if_known,
)

P = ParamSpec("P")
R = TypeVar("R")


def current_session() -> Session | None:
    """The innermost session of the running thread, greenlet or asyncio task, or None.

    Returns:
        The session, or None outside any batch context.

    Example:
        >>> with run_with_batch_context() as session:
        ...     assert current_session() is session
    """
    session: Session | None = innermost_value(SESSION)
    return session


def is_inside_batch_context() -> bool:
    """Whether the running code is inside a batch context.

    Returns:
        True inside a batch context.

    Example:
        >>> with run_with_batch_context():
        ...     assert is_inside_batch_context()
    """
    return innermost(SESSION) is not None


def get_batch_context_capacity() -> Capacity:
    """The capacity units that the current session has consumed.

    Returns:
        The read and write capacity units; zero without a session.

    Example:
        >>> with run_with_batch_context():
        ...     User.find("42").name
        ...     print(get_batch_context_capacity().read)
    """
    session = current_session()
    return session.capacity if session is not None else Capacity()


class BatchContext(Block[Session]):
    """The result of `run_with_batch_context`: a context manager that is also a decorator.

    Args:
        subject: the `SessionMaker` of its sessions; None for `READING`.
    """

    __slots__ = ()

    def _begin(self) -> Session:
        session = self._make_session()
        self.value: Any = session
        ownership = session._ownership
        link = ownership.bind(session, self)
        if link.tenant is not None or resolvers:
            ownership.tenant = tenant = tenant_if_known()
            ownership.needs_no_tenant = tenant is None and needs_no_tenant()
        return session

    @property
    def _make_session(self) -> SessionMaker:
        return self._subject or READING

    def _release(self) -> None:
        if self.value is not None:
            self.value.close()

    def _if_dropped(self) -> Callable[[object], object]:
        end: Callable[[object], object] = self.value._end_without_block
        return end

    def _finish(self, error: BaseException | None) -> None:
        self.value._work.require_committed(error)

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        """A function that runs `fn` in a new session at each call."""
        return in_session(fn, self._make_session, isolated=True)


class _OwnSession(Entry):
    """The entry of a session that belongs to code in steps."""

    __slots__ = ()

    def _release(self) -> None:
        self.value.close()

    def _if_dropped(self) -> Callable[[object], object]:
        return partial(_close_dropped, self.value)


def _close_dropped(session: Session, _: object) -> None:
    session.close()


def in_session(fn: Callable[P, R], make_session: SessionMaker, isolated: bool) -> Callable[P, R]:
    """A function that runs `fn` inside the current session, or inside a new one.

    Args:
        make_session: makes the new sessions.
        isolated: whether every call has its own new session.
    """
    if not callable(fn):
        raise TypeError(f"@batched decorates functions and methods, not {type(fn).__name__}.")
    if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):  # its body runs between other tasks
        raise TypeError(
            f"@batched is for synchronous functions; {getattr(fn, '__qualname__', fn)} is async. "
            f"Call a synchronous function from it, in a worker thread."
        )
    if inspect.isgeneratorfunction(fn):

        @wraps(fn)
        def generate(*args: P.args, **kwargs: P.kwargs) -> Any:
            # It is a generator function too, because some callers check that, as pytest does for a fixture.
            return (yield from _run_generator(fn(*args, **kwargs), make_session, isolated))

        return generate

    @wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if current_session() is not None and not isolated:
            return fn(*args, **kwargs)
        with BatchContext(make_session):
            return fn(*args, **kwargs)

    return call


class _Resumption:
    """The bindings of a generator's body at each step. They are those of its first resumption.

    Args:
        make_session: makes its own session, if it needs one.
        isolated: whether it always has its own session.
    """

    def __init__(self, make_session: SessionMaker, isolated: bool) -> None:
        self._callers_session = None if isolated else current_session()
        self.own_session = make_session() if self._callers_session is None else None
        self._steps = Steps(None if self.own_session is None else _OwnSession(self.own_session))
        self._steps.capture()
        tenant = current_tenant()
        is_exempt = tenant is None and needs_no_tenant()
        if tenant is not None or lost_tenant() is None:
            self._steps.bind(TENANT, EXEMPT if is_exempt else tenant)
        if self.own_session is not None:
            self.own_session._ownership.assign(self._steps.owner, tenant, needs_no_tenant=is_exempt)
            self._steps.bind(SESSION, self.own_session)

    def run(self, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs a step of the body, and returns its result.

        Raises:
            ConcurrencyError: if the session of the generator's caller cannot be handed over to this code.
        """
        callers_session, owner = self._callers_session, current_execution_context()
        ownership = None if callers_session is None else callers_session._ownership
        if (
            ownership is None
            or ownership.is_closed
            or ownership.owner is None
            or ownership.owner.is_now(owner)
        ):
            return self._steps.run(step, *args, **kwargs)
        loan = Entry()
        ownership.lend(loan, owner)
        try:
            return self._steps.run(step, *args, **kwargs)
        finally:
            ownership.give_back(loan)

    def end(self, error: BaseException | None) -> None:
        """Ends the bindings. Raises or warns if its own session has changes that were never committed."""
        self._steps.end()
        if self.own_session is not None:
            self.own_session._work.require_committed(error)


def _run_generator(
    generator: Generator[Any, Any, Any], make_session: SessionMaker, isolated: bool
) -> Generator[Any, Any, Any]:
    """Runs `generator` with the bindings of its first resumption. They are in force only while its body runs."""
    resumption = _Resumption(make_session, isolated)
    step: Callable[..., Any] = next
    arguments: tuple[Any, ...] = (generator,)
    try:
        while True:
            try:
                yielded_value = resumption.run(step, *arguments)
            except StopIteration as stop:
                return stop.value
            try:
                sent_value = yield yielded_value
            except GeneratorExit:
                resumption.run(generator.close)
                raise
            except BaseException as error:
                step, arguments = generator.throw, (error,)
            else:
                step, arguments = generator.send, (sent_value,)
    finally:
        resumption.end(sys.exc_info()[1])
