"""The batch context: opening sessions, and finding the one that an operation belongs to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from dynamo_bao.capacity import Capacity
from dynamo_bao.session.owner import Owner, current_owner
from dynamo_bao.session.session import Session
from dynamo_bao.tenancy import current_tenant

P = ParamSpec("P")
R = TypeVar("R")


def current_session() -> Session | None:
    """The innermost session of the running thread (greenlet, asyncio task), or None."""
    stack = current_owner().stack
    return stack[-1] if stack else None


def is_inside_batch_context() -> bool:
    """Whether the running code is inside a batch context."""
    return bool(current_owner().stack)


def get_batch_context_capacity() -> Capacity:
    """The capacity units that the current session has consumed; zeros outside any."""
    session = current_session()
    return session.capacity if session is not None else Capacity()


class BatchContext:
    """What `run_with_batch_context` returns: a context manager, and a decorator."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._open: list[Session] = []
        self._made = [Session(**options)]  # now, so that wrong options are told at the call

    def __enter__(self) -> Session:
        try:
            session = self._made.pop()
        except IndexError:  # entered again
            session = Session(**self._options)
        session.bind()
        self._open.append(session)
        return session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session = self._open.pop()
        try:
            session.unbind()
        finally:
            session.close()
        session.require_committed(error)

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        """`fn`, run in a new session at each call."""
        return _wrapped(fn, self._options, isolated=True)


@overload
def run_with_batch_context(
    fn: None = None,
    *,
    deadline: float | None = ...,
    max_concurrency: int | None = ...,
    fetch: str = ...,
    peer_limit: int = ...,
    query_limit: int = ...,
    max_cached: int | None = ...,
    max_throttled_calls: float | str | None = ...,
) -> BatchContext: ...


@overload
def run_with_batch_context(
    fn: Callable[[], R],
    *,
    deadline: float | None = ...,
    max_concurrency: int | None = ...,
    fetch: str = ...,
    peer_limit: int = ...,
    query_limit: int = ...,
    max_cached: int | None = ...,
    max_throttled_calls: float | str | None = ...,
) -> R: ...


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
    context = BatchContext(**options)
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
    """Runs a function inside the current session, or in one of its own where there is none.

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


def _wrapped(fn: Callable[P, R], options: dict[str, Any], isolated: bool) -> Callable[P, R]:
    # Imported here: see above.
    import inspect

    _refuse_coroutine(fn, "@batched")
    if inspect.isgeneratorfunction(fn):

        @wraps(fn)
        def generate(*args: P.args, **kwargs: P.kwargs) -> Any:
            # A generator function itself, for those who ask whether it is one, as pytest does of a fixture.
            return (yield from _resumed(fn(*args, **kwargs), options, isolated))

        return generate

    @wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if current_session() is not None and not isolated:
            return fn(*args, **kwargs)
        with BatchContext(**options):
            return fn(*args, **kwargs)

    return call


class _Surroundings:
    """What the code of an owner is inside of: sessions, with the transaction and budgets of each, and tenants."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.note()

    def note(self) -> None:
        """Remembers what the owner's code is inside of now."""
        self._stack, self.tenants = list(self._owner.stack), list(self._owner.tenants)
        self._inside = [(session, session.transaction, session.rounds.budgets) for session in self._stack]

    def put_back(self) -> None:
        """Has the owner's code be inside of what was remembered."""
        self._owner.stack[:], self._owner.tenants[:] = self._stack, self.tenants
        for session, transaction, budgets in self._inside:
            session.transaction, session.rounds.budgets = transaction, budgets

    @contextmanager
    def bound(self) -> Iterator[None]:
        """A block inside of what was remembered, which may open and leave contexts of its own."""
        others = _Surroundings(self._owner)
        self.put_back()
        try:
            yield
        finally:
            self.note()
            others.put_back()


def _surroundings(session: Session) -> _Surroundings:
    """The present surroundings and tenant, with a session on top that may be a new one."""
    owner, tenant = current_owner(), current_tenant()
    before = _Surroundings(owner)
    if current_session() is not session:
        session.bind()
    found = _Surroundings(owner)
    found.tenants = [tenant]
    before.put_back()
    return found


def _resumed(
    generator: Generator[Any, Any, Any], options: dict[str, Any], isolated: bool
) -> Generator[Any, Any, Any]:
    """Runs `generator` inside what its first resumption was inside of, which is bound while its body runs only."""
    outer = None if isolated else current_session()
    session = outer or Session(**options)
    inside = _surroundings(session)
    resume: Callable[[], Any] = lambda: next(generator)  # noqa: E731
    try:
        while True:
            session.require_owner()
            with inside.bound():
                try:
                    produced = resume()
                except StopIteration as stop:
                    return stop.value
            try:
                sent = yield produced
            except GeneratorExit:
                session.require_owner()
                with inside.bound():
                    generator.close()
                raise
            except BaseException as error:
                thrown = error
                resume = lambda: generator.throw(thrown)  # noqa: E731, B023
            else:
                resume = lambda: generator.send(sent)  # noqa: E731, B023
    finally:
        if session is not outer:
            session.close()
            session.require_committed(sys.exc_info()[1])
