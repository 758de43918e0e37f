"""Invalidation: a write makes the sessions around it forget what they have fetched from the partitions it touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from dynamo_bao.session.bindings import SESSION, bound_values, chain, top_link
from dynamo_bao.session.partitions import Touched
from dynamo_bao.session.session import Session


class Write(Protocol):
    """A write of one item."""

    def touched(self) -> Touched:
        """The results of queries that it may have changed."""
        ...


def sessions_to_tell(session: Session | None) -> Sequence[Session]:
    """The sessions that have fetched something by a query: the one of a write, and those around the running code."""
    top = chain.get() or top_link()
    link = top if top is None or top.kind is SESSION else top.session
    if link is None or (link.value is session and link.session is None):
        return () if session is None or not session._partitions.queries else (session,)
    sessions: list[Session] = bound_values(SESSION)
    if session is not None and session not in sessions:
        sessions.append(session)
    return [listening_session for listening_session in sessions if listening_session._partitions.queries]


def invalidate(session: Session | None, writes: Iterable[Write]) -> None:
    """Has sessions ask again for what some writes can have changed, whatever became of the writes.

    Args:
        session: the session of the writes.
    """
    sessions = sessions_to_tell(session)
    if not sessions:
        return
    for write in writes:
        touched = write.touched()
        for listening_session in sessions:
            listening_session._partitions.touch(touched)


@contextmanager
def all_invalidated() -> Iterator[None]:
    """Has the sessions around a block ask again for everything after it. For jobs that write many items."""
    try:
        yield
    finally:
        for listening_session in sessions_to_tell(None):
            listening_session._partitions.clear()
