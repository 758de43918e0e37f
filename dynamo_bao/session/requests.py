"""Requests beside a session's own lookups: each is a round of the session, or of none."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.session.rounds import Round, start_round
from dynamo_bao.session.session import Session


def round_of(session: Session | None, database: Database, kind: str) -> Round:
    """A round of a session, for the requests in the block; of none where the session is None."""
    database.before_sending()
    return start_round(None if session is None else session._rounds, database, kind)


def deadline_of(session: Session | None, database: Database) -> float:
    """When a call that starts now stops being retried, in the transport's clock."""
    if session is None:
        return database.deadline_from_now()
    return database.deadline_from_now(session.deadline, session.max_throttled_calls)


def send(
    session: Session | None, database: Database, request: Request, kind: str, about: Sequence[str] = ()
) -> Reply:
    """Sends one request as a round of its own.

    Args:
        kind: what it is for the trace, such as ``"read"`` or ``"write"``.
        about: the models and keys it is about.
    """
    deadline = deadline_of(session, database)
    with round_of(session, database, kind) as opened:
        return opened.send(database, request, deadline, about)
