"""Batch contexts as programs open them: sessions that read and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from dynamo_bao.dynamodb.table import DEADLINE_SECONDS
from dynamo_bao.models.persister import RepositoryPersister
from dynamo_bao.models.registry import managers
from dynamo_bao.session.bindings import require_whole_call
from dynamo_bao.session.context import BatchContext, in_session
from dynamo_bao.session.request_session import RequestSession
from dynamo_bao.session.session import SessionMaker
from dynamo_bao.session.settings import DEFAULT_SETTINGS, SessionOptions, SessionSettings

P = ParamSpec("P")
R = TypeVar("R")

_PERSISTER = RepositoryPersister()
SESSIONS = SessionMaker(DEFAULT_SETTINGS, _PERSISTER)
"""Makes sessions without options."""


def session_maker(options: Mapping[str, Any]) -> SessionMaker:
    """Makes sessions with some options.

    Raises:
        ConfigurationError: if an option has a wrong value.
    """
    return SessionMaker(SessionSettings(**options), _PERSISTER) if options else SESSIONS


def request_session(settings: SessionSettings) -> RequestSession:
    """A session for all code of one web request."""
    return RequestSession(settings, _PERSISTER, _longest_deadline)


def _longest_deadline() -> float:
    """The longest deadline of the open managers, in seconds."""
    return max((manager.database.deadline for manager in managers()), default=DEADLINE_SECONDS)


@overload
def run_with_batch_context(fn: None = None, **options: Unpack[SessionOptions]) -> BatchContext: ...


@overload
def run_with_batch_context(fn: Callable[[], R], **options: Unpack[SessionOptions]) -> R: ...


def run_with_batch_context(fn: Callable[[], object] | None = None, **options: object) -> Any:
    """Opens a new, isolated session: ``with run_with_batch_context() as session:``.

    Args:
        fn: a function to call inside the session.
        deadline: the seconds in which lookups are retried, before `BatchIncompleteError`. Default: that of the manager.
        max_concurrency: the greatest number of requests that a round sends at the same time. Default: that of the
            manager.
        fetch: with ``"peers"``, the first ``post.user`` in a loop loads the users of all posts that were loaded
            together, and the second ``user.posts`` runs that query for all users; with ``"one"``, each look loads
            only what it needs. ``"raise"`` raises `LazyLoadError` instead.
        peer_limit: the greatest number of peers' keys in one round.
        query_limit: the greatest number of queries in one round, pending ones and those of peers.
        max_cached: the greatest number of instances that the session holds. The oldest without local changes are
            dropped first. With None, it holds all that were found by key or changed.
        max_throttled_calls: the greatest number of calls of this process that wait because a table or an index is
            throttled; ``"unlimited"`` for a job that has time. Default: that of the manager.

    Returns:
        A context manager that yields the session and is also a decorator; with `fn`, the result of `fn`.

    Raises:
        ConfigurationError: if an option has a wrong value.
        TypeError: if `fn` is an async or a generator function. Its body would run after the session has ended.

    Example:
        >>> with run_with_batch_context() as session:
        ...     users = [User.find(id) for id in ids]
        ...     print(users[0].name, session.stats.round_trips)
    """
    context = BatchContext(session_maker(options))
    if fn is None:
        return context
    require_whole_call(fn, "run_with_batch_context(fn)")
    with context:
        return fn()


@overload
def batched(fn: Callable[P, R], *, isolated: bool = ...) -> Callable[P, R]: ...


@overload
def batched(fn: None = None, *, isolated: bool = ...) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def batched(fn: Callable[..., object] | None = None, *, isolated: bool = False) -> Any:
    """Runs a function inside the current session, or inside a new one if there is no current one.

    It works on functions, methods and generator functions. The session of a generator is in force only while the body
    of the generator runs.

    Args:
        fn: the function.
        isolated: whether every call has its own new session.

    Returns:
        The decorated function.

    Raises:
        TypeError: for ``async def``, because its body would run in pieces between other tasks.

    Example:
        >>> @batched
        ... def names(ids):
        ...     return [user.name for user in [User.find(id) for id in ids]]
    """
    if fn is None:
        return lambda function: in_session(function, SESSIONS, isolated)
    return in_session(fn, SESSIONS, isolated)
