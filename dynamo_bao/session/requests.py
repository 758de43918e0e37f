"""Requests that are not lookups of a session. Each is a round of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.dynamodb.transport.multiplex import answered, starter_of
from dynamo_bao.session.ownership import Flushing
from dynamo_bao.session.rounds import Round, round_observers, send_about, start_round
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
    if session is None and not (round_observers or database.observers.on_request):
        database.before_sending()  # nobody would see a round
        return send_about(database, request, deadline, about)
    with round_of(session, database, kind) as current_round:
        current_round.remedy = remedy
        return current_round.send(database, request, deadline, about)


def run_at_once(
    session: Session,
    database: Database,
    calls: Sequence[Callable[[], T]],
    first_requests: Sequence[Request] = (),
    on_start: Callable[[int], object] = int,
) -> list[T]:
    """Runs calls that each send requests, within the session's concurrency, and returns their results.

    Args:
        calls: what to run.
        first_requests: the first request of each call, if they are known. Those are sent without threads if possible.
        on_start: called with the number of a call before its first request is sent.
    """
    at_once = session.settings.concurrency_at(database)
    with Flushing(session._ownership):
        start = None
        if len(first_requests) > 1:
            start = starter_of(database.transport, min(at_once, len(calls)))
        if start is None:
            return database.pool.run(calls, at_once)
        deadline = partial(session.settings.deadline_at, database)  # of each call, from when it starts
        results = answered(start, first_requests, calls, at_once, deadline, on_start)
        rest = [number for number in range(len(calls)) if number not in results]
        if rest:
            further_results = database.pool.run([calls[number] for number in rest], at_once)
            results.update(zip(rest, further_results, strict=True))
        return [results[number] for number in range(len(calls))]
