"""Requests that are not lookups of a session. Each is a round of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.session.ownership import Flushing
from dynamo_bao.session.rounds import Round, start_round
from dynamo_bao.session.session import Session

T = TypeVar("T")


def round_of(session: Session | None, database: Database, kind: str) -> Round:
    """A round for the requests in a block; it belongs to `session`, or to no session for None."""
    database.before_sending()
    return start_round(None if session is None else session._rounds, database, kind)


def deadline_of(session: Session | None, database: Database) -> float:
    """The deadline of a call that starts now, in seconds of the transport's clock."""
    if session is None:
        return database.deadline_from_now()
    return session.settings.deadline_at(database)


def send(
    session: Session | None,
    database: Database,
    kind: str,
    about: Sequence[str],
    request: Request,
    deadline: float | None = None,
    remedy: str = "",
) -> Reply:
    """Sends one request as a round of its own, and counts it.

    Args:
        kind: the kind of the round in the trace, such as ``"read"`` or ``"write"``.
        about: the models and keys in the request.
        deadline: in seconds of the transport's clock; None for a call that starts now.
        remedy: what would avoid such rounds, for the N+1 warning; empty for the usual advice.
    """
    if deadline is None:
        deadline = deadline_of(session, database)
    with round_of(session, database, kind) as current_round:
        current_round.remedy = remedy
        return current_round.send(database, request, deadline, about)


def run_at_once(session: Session, database: Database, calls: Sequence[Callable[[], T]]) -> list[T]:
    """Runs calls that each send requests, within the session's concurrency, and returns their results."""
    with Flushing(session._ownership):
        return database.pool.run(calls, session.settings.concurrency_at(database))
