"""The figures of a request: one line in the log, and one in the response's ``Server-Timing`` header."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from urllib.parse import quote

from dynamo_bao.runtime.records import Factory, frozen
from dynamo_bao.session.session import Session
from dynamo_bao.session.stats import Stats
from dynamo_bao.session.trace import Trace, count_text
from dynamo_bao.web.request_session import Request

log: logging.Logger = logging.getLogger("dynamo_bao.web")


def name_of(environ: Mapping[str, object]) -> str:
    """Method and path of a request, without its query, in characters that cannot break a line of a log."""
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}" or "/"
    try:
        raw = path.encode("latin-1")  # the encoding of PEP 3333
    except UnicodeEncodeError:
        raw = path.encode()
    return f"{quote(str(environ.get('REQUEST_METHOD', '')))} {quote(raw, safe='/:@!$&()*+,;=~')}"


def figures(session: Session) -> str:
    """The requests of a session so far, in a few words."""
    stats = session.stats
    return (
        f"{count_text(stats.round_trips, 'round trip')}, {count_text(stats.requests, 'request')}, "
        f"{count_text(stats.keys_fetched, 'key')}, "
        f"{stats.read_capacity:g} RCU, {stats.write_capacity:g} WCU"
    )


def milliseconds_waited(session: Session) -> float:
    """The milliseconds that a session waited for DynamoDB."""
    return sum(round_.seconds for round_ in session._rounds.history) * 1000


def server_timing(session: Session) -> str:
    """The value of a ``Server-Timing`` header, which browsers show beside the request.

    See https://www.w3.org/TR/server-timing/.
    """
    return f'dynamodb;dur={milliseconds_waited(session):.1f};desc="{figures(session)}"'


@frozen
class RequestSummary:
    """A request that has ended.

    Attributes:
        name: its method and path.
        status: the status line of its response; None if there was none.
        tenant: its tenant, or None.
        at: the time of its end.
        seconds: the seconds from its beginning to the end of its response.
        stats: its session's figures.
        trace: its session's rounds.
    """

    name: str
    status: str | None
    tenant: str | None
    seconds: float
    stats: Stats
    trace: Trace
    at: datetime = Factory(lambda: datetime.now(timezone.utc))


def log_request(request: Request, started: float) -> None:
    """Logs a request that has ended: at INFO if it sent requests to DynamoDB, else at DEBUG.

    Args:
        started: its beginning, by `time.perf_counter`.
    """
    has_requests = request.session.stats.requests > 0
    seconds = time.perf_counter() - started
    fields = request.session._rounds.fields("request", request=request.name, status=request.status)
    log.log(
        logging.INFO if has_requests else logging.DEBUG,
        "%s: %s, %s, %.1f of %.1f ms in DynamoDB%s",
        request.name,
        request.status or "no answer",
        figures(request.session),
        milliseconds_waited(request.session),
        seconds * 1000,
        f", tenant {request.tenant}" if request.tenant is not None else "",
        extra={**fields, "waited": fields["duration"], "duration": seconds},
    )


def summary_of(request: Request, started: float) -> RequestSummary:
    """The record of a request that has ended."""
    return RequestSummary(
        request.name,
        request.status,
        request.tenant,
        time.perf_counter() - started,
        request.session.stats,
        request.session.trace(),
    )
