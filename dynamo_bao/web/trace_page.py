"""The development page: the figures of the last requests, and the trace of each."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from html import escape
from itertools import count
from typing import Any
from urllib.parse import parse_qs

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.runtime.logs import log_fields
from dynamo_bao.web.request_log import RequestSummary

log: logging.Logger = logging.getLogger("dynamo_bao.web")

KEPT_VISITS = 50
"""How many requests the page shows."""


class RecentTraces:
    """The last requests of this process, with their traces, and the page that shows them.

    Args:
        path: the path of the page below the application's root, such as ``"/_bao"``.
    """

    def __init__(self, path: str) -> None:
        if not isinstance(path, str) or not path.startswith("/") or path == "/":
            raise ConfigurationError(
                f"traces={path!r}: give the path of the development page, such as '/_bao'."
            )
        self.path = path
        self._numbers = count(1)
        self._visits: deque[tuple[int, RequestSummary]] = deque(maxlen=KEPT_VISITS)

    def add(self, visit: RequestSummary) -> None:
        """Adds a request, in place of the oldest. The first one logs a warning about the content of the page."""
        number = next(self._numbers)
        if number == 1:
            log.warning(
                "The traces of the last requests, with keys and lines of code, are open to everyone who can reach %s.",
                self.path,
                extra=log_fields("traces"),
            )
        self._visits.append((number, visit))

    def page(self, environ: Mapping[str, Any]) -> str | None:
        """The HTML for a request: the list, or one trace; None if the request is for another path."""
        if environ.get("PATH_INFO") != self.path or environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return None
        number_text = parse_qs(environ.get("QUERY_STRING", "")).get("request", [""])[0]
        for number, visit in tuple(self._visits):  # other threads add to it
            if str(number) == number_text:
                return visit.trace.html(back="?")
        return self.html()

    def html(self) -> str:
        """The list of requests, newest first."""
        rows = "\n".join(_row(number, visit) for number, visit in reversed(tuple(self._visits)))
        return _PAGE.format(rows=rows or _NONE, kept=KEPT_VISITS)


def _row(number: int, visit: RequestSummary) -> str:
    stats = visit.stats
    waited = sum(round_.seconds for round_ in visit.trace)
    cells = (
        f"{stats.round_trips:,}",
        f"{stats.requests:,}",
        f"{stats.keys_fetched:,}",
        f"{stats.cache_hits:,}",
        f"{stats.read_capacity:g}",
        f"{stats.write_capacity:g}",
        f"{waited * 1000:,.1f}",
        f"{visit.seconds * 1000:,.1f}",
    )
    status = (visit.status or "none").partition(" ")
    return _ROW.format(
        number=number,
        at=f"{visit.at:%H:%M:%S}",
        name=escape(visit.name),
        kind="good" if "100" <= status[0] < "400" else "bad",
        status=escape(status[0]),
        reason=escape(status[2]),
        tenant=escape(visit.tenant or ""),
        figures="".join(f"<td>{cell}</td>" for cell in cells),
    )


_NONE = '<tr><td colspan="12" class="none">No request has ended yet.</td></tr>'
_ROW = """<tr>
<td>{at}</td><th scope="row"><a href="?request={number}">{name}</a></th>\
<td class="{kind}" title="{reason}">{status}</td><td class="tenant">{tenant}</td>{figures}
</tr>"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Last requests</title>
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; --line: #8884; --bad: #c8372d; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }}
h1 {{ font-size: 1.3rem; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .35rem .6rem; text-align: right; border-top: 1px solid var(--line); white-space: nowrap; }}
thead th {{ border: 0; font-weight: 600; vertical-align: bottom; white-space: normal; }}
tbody th {{ font-weight: 400; white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }}
tbody th, td.good, td.bad, td.tenant, td.none {{ text-align: left; }}
thead th:nth-child(-n+4) {{ text-align: left; }}
tr > td:first-child {{ text-align: left; }}
td.bad {{ color: var(--bad); }}
@media (prefers-color-scheme: dark) {{ :root {{ --bad: #f08a80; }} }}
</style>
</head>
<body>
<h1>Last requests</h1>
<p>The last {kept} requests that ended in this process, newest first; times are UTC. A request's name leads to
its rounds. A round trip is one wait for DynamoDB, however many requests are sent together; RCU and WCU are capacity
units of reads and writes.</p>
<div class="scroll"><table>
<thead><tr><th scope="col">at</th><th scope="col">request</th><th scope="col">status</th><th scope="col">tenant</th>\
<th scope="col">round trips</th><th scope="col">requests</th><th scope="col">keys</th><th scope="col">cache hits</th>\
<th scope="col">RCU</th><th scope="col">WCU</th><th scope="col">ms in DynamoDB</th><th scope="col">ms in all</th>
</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
</body>
</html>
"""
