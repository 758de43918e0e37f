"""The batch context: opening sessions, and finding the one that an operation belongs to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping
from functools import partial, wraps
from typing import Any, ParamSpec, TypedDict, TypeVar, overload

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.runtime.compat import Unpack
from dynamo_bao.session.bindings import SESSION, TENANT, Block, Entry, Steps, innermost
from dynamo_bao.session.execution_context import current_execution_context
from dynamo_bao.session.session import Session
from dynamo_bao.session.tenancy import current_tenant, resolvers, tenant_if_known

P = ParamSpec("P")
R = TypeVar("R")


NO_OPTIONS: Mapping[str, Any] = {}


def current_session() -> Session | None:
    """The innermost session of the running thread (greenlet, asyncio task), or None."""
    link = innermost(SESSION)
    session: Session | None = None if link is None else link.what
    return session


def is_inside_batch_context() -> bool:
    """Whether the running code is inside a batch context."""
    return innermost(SESSION) is not None


def get_batch_context_capacity() -> Capacity:
    """The capacity units that the current session has consumed; zeros outside any."""
    session = current_session()
    return session.capacity if session is not None else Capacity()


class SessionOptions(TypedDict, total=False):
    """The options of a session, as `run_with_batch_context` explains them."""

    deadline: float | None
    max_concurrency: int | None
    fetch: str
    peer_limit: int
    query_limit: int
    max_cached: int | None
    max_throttled_calls: float | str | None


class BatchContext(Block[Session]):
    """What `run_with_batch_context` returns: a context manager, and a decorator."""

    __slots__ = ("_made",)

    def __init__(self, options: Mapping[str, Any] = NO_OPTIONS) -> None:
        super().__init__(options)
        self._made: Session | None = Session(**options)  # now, so that wrong options raise at the call

    def _begin(self) -> Session:
        session = self.what = self._made or Session(**self._subject)  # new where it is entered again
        self._made = None
        link = session._open_in(self)
        if link.tenant is not None or resolvers:
            session.tenant = tenant_if_known()
        return session

    def _release(self) -> None:
        if self.what is not None:
            self.what.close()

    def _if_dropped(self) -> Callable[[Any], object]:
        end: Callable[[Any], object] = self.what._end_without_block
        return end

    def _finish(self, error: BaseException | None) -> None:
        self.what._require_committed(error)

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        """`fn`, run in a new session at each call."""
        return _wrapped(fn, self._subject, isolated=True)


class _OwnSession(Entry):
    """What the own session of code in steps lasts as long as."""

    __slots__ = ()

    def _release(self) -> None:
        self.what.close()

    def _if_dropped(self) -> Callable[[Any], object]:
        return partial(_close_dropped, self.what)


def _close_dropped(session: Session, _: Any) -> None:
    session.close()


@overload
def run_with_batch_context(fn: None = None, **options: Unpack[SessionOptions]) -> BatchContext: ...


@overload
def run_with_batch_context(fn: Callable[[], R], **options: Unpack[SessionOptions]) -> R: ...


def run_with_batch_context(fn: Callable[[], Any] | None = None, **options: Any) -> Any:
    """Opens a new, isolated session: ``with run_with_batch_context() as session:``.

    Args:
        fn: called inside a session; its result is returned. Left out, the result is a context manager that
            is a decorator too.
        deadline: seconds that lookups are retried before `BatchIncompleteError`; the manager's by default.
        max_concurrency: how many requests of a round travel at once; the manager's by default.
        fetch: ``"peers"`` lets the first ``post.user`` of a loop load that of all posts that came together;
            ``"one"`` only its own; ``"raise"`` raises `LazyLoadError` instead.
        peer_limit: how many keys of peers join one round.
        query_limit: how many pending queries run in one round.
        max_cached: how many instances the session holds at most; the oldest without local changes are let
            go first. None holds all that were found by key or changed.
        max_throttled_calls: how many calls of this process may wait because a table or an index is throttled;
            ``"unlimited"`` for a job that has time. The manager's by default.

    Example:
        >>> with run_with_batch_context() as session:
        ...     users = [User.find(id) for id in ids]
        ...     print(users[0].name, session.stats.round_trips)
    """
    context = BatchContext(options)
    if fn is None:
        return context
    _refuse_coroutine(fn, "run_with_batch_context(fn)")
    with context:
        return fn()


@overload
def batched(fn: Callable[P, R], *, isolated: bool = ...) -> Callable[P, R]: ...


@overload
def batched(fn: None = None, *, isolated: bool = ...) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def batched(fn: Callable[..., Any] | None = None, *, isolated: bool = False) -> Any:
    """Runs a function inside the current session, or inside a new one if there is no current one.

    Works on functions, methods and generator functions; a generator's session is bound only while the
    generator's own body runs.

    Args:
        isolated: whether every call gets a session of its own in any case.

    Raises:
        TypeError: for ``async def``, whose body would run in pieces among other tasks.
    """
    if fn is None:
        return lambda function: _wrapped(function, {}, isolated)
    return _wrapped(fn, {}, isolated)


def _refuse_coroutine(fn: Callable[..., Any], what: str) -> None:
    # Imported here: it takes six milliseconds, and programs that decorate nothing do without.
    import inspect

    if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(
            f"{what} is for synchronous functions; {getattr(fn, '__qualname__', fn)} is async. "
            f"Call a synchronous function from it, in a worker thread."
        )


def _wrapped(fn: Callable[P, R], options: Mapping[str, Any], isolated: bool) -> Callable[P, R]:
    # Imported here: see above.
    import inspect

    _refuse_coroutine(fn, "@batched")
    if inspect.isgeneratorfunction(fn):

        @wraps(fn)
        def generate(*args: P.args, **kwargs: P.kwargs) -> Any:
            # A generator function itself, for those who ask whether it is one, as pytest does of a fixture.
            return (yield from _run_generator(fn(*args, **kwargs), options, isolated))

        return generate

    @wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if current_session() is not None and not isolated:
            return fn(*args, **kwargs)
        with BatchContext(options):
            return fn(*args, **kwargs)

    return call


class _Resumption:
    """What a generator's body is bound to at each step: what its first resumption was inside of.

    Args:
        options: those of a session of its own.
        isolated: whether it has a session of its own in any case.
    """

    def __init__(self, options: Mapping[str, Any], isolated: bool) -> None:
        self._borrowed = None if isolated else current_session()
        self.own = Session(**options) if self._borrowed is None else None
        self._steps = Steps(None if self.own is None else _OwnSession(self.own))
        self._steps.capture()
        self._steps.bind(TENANT, current_tenant())
        if self.own is not None:
            self.own._owner, self.own.tenant = self._steps.owner, tenant_if_known()
            self._steps.bind(SESSION, self.own)

    def run(self, step: Callable[..., Any], *args: Any) -> Any:
        """The result of a step of the body.

        Raises:
            ConcurrencyError: where the session of the generator's caller cannot be handed over to this code.
        """
        borrowed, owner = self._borrowed, current_execution_context()
        if borrowed is None or borrowed.is_closed or borrowed._owner is None or borrowed._owner.is_now(owner):
            return self._steps.run(step, *args)
        loan = Entry()
        borrowed._lend(loan, owner)
        try:
            return self._steps.run(step, *args)
        finally:
            borrowed._give_back(loan)

    def end(self, error: BaseException | None) -> None:
        """Ends what was bound; tells of work in a session of its own that was never committed."""
        self._steps.end()
        if self.own is not None:
            self.own._require_committed(error)


def _run_generator(
    generator: Generator[Any, Any, Any], options: Mapping[str, Any], isolated: bool
) -> Generator[Any, Any, Any]:
    """Runs `generator` inside what its first resumption was inside of, which is bound while its body runs only."""
    resumption = _Resumption(options, isolated)
    step: Callable[..., Any] = next
    arguments: tuple[Any, ...] = (generator,)
    try:
        while True:
            try:
                produced = resumption.run(step, *arguments)
            except StopIteration as stop:
                return stop.value
            try:
                sent = yield produced
            except GeneratorExit:
                resumption.run(generator.close)
                raise
            except BaseException as error:
                step, arguments = generator.throw, (error,)
            else:
                step, arguments = generator.send, (sent,)
    finally:
        resumption.end(sys.exc_info()[1])
