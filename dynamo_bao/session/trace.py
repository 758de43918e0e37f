"""The rounds of a session: as text, and as one page of HTML without other files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dynamo_bao.dynamodb.transport.messages import Throttling
from dynamo_bao.runtime.records import frozen
from dynamo_bao.session.rounds import Round, SentRequest

if TYPE_CHECKING:
    from pathlib import Path

_UNITS = {"Query": "query", "BatchWriteItem": "write", "TransactWriteItems": "write"}


@frozen(eq=False)
class Trace:
    """The rounds of a session so far. It can be iterated, printed, and saved as a page.

    Attributes:
        rounds: the last 1,000 rounds, oldest first.
        prefetched, prefetched_unused: how many queries were fetched in advance for peers, and how many of them were
            not used so far.

    Example:
        >>> print(session.trace())
        >>> session.trace().save("trace.html")
    """

    rounds: tuple[Round, ...]
    prefetched: int = 0
    prefetched_unused: int = 0

    def __iter__(self) -> Iterator[Round]:
        return iter(self.rounds)

    def __len__(self) -> int:
        return len(self.rounds)

    @property
    def summary(self) -> str:
        """One line: the numbers of rounds and requests, the time, and the capacity."""
        requests = [request for round_ in self.rounds for request in round_.requests]
        read_units = sum(request.capacity.read for request in requests)
        write_units = sum(request.capacity.write for request in requests)
        seconds = sum(round_.seconds for round_ in self.rounds)
        prefetched = (
            f", {count_text(self.prefetched, 'query')} fetched in advance ({self.prefetched_unused} not used)"
            if self.prefetched
            else ""
        )
        return (
            f"{count_text(len(self.rounds), 'round')}, {count_text(len(requests), 'request')}, {_time(seconds)} of "
            f"waiting, {read_units:g} read and {write_units:g} write units{prefetched}"
        )

    def __str__(self) -> str:
        lines = [self.summary]
        for round_ in self.rounds:
            lines.append(
                f"{round_.number:>4}  {round_.kind:<9} {_time(round_.seconds):>9}  {round_.cause.relative}"
            )
            lines += [f"      {request_text(request)}" for request in round_.requests]
        return "\n".join(lines)

    def html(self, back: str | None = None) -> str:
        """A page of HTML. It shows the rounds as bars on a time axis, and the requests of each.

        Args:
            back: the address of the page that a link above the rounds leads to; None for no link.

        Returns:
            The page. It needs no other files.

        Example:
            >>> page = session.trace().html(back="/orders/7")
        """
        link = "" if back is None else _BACK.format(back=_escape(back))
        return _PAGE.format(back=link, summary=_escape(self.summary), body="\n".join(self._body()))

    def save(self, path: str | Path) -> Path:
        """Writes the page to a file.

        Args:
            path: the path of the file. It is overwritten.

        Returns:
            The path of the file.

        Example:
            >>> session.trace().save("trace.html")
        """
        # Imported here, as `_escape` does: most programs save no page.
        from pathlib import Path

        target = Path(path)
        target.write_text(self.html(), encoding="utf-8")
        return target

    def _body(self) -> Iterator[str]:
        if not self.rounds:
            yield '<p class="none">No request was sent to DynamoDB.</p>'
            return
        begin = min(round_.started for round_ in self.rounds)
        end = max(round_.started + round_.seconds for round_ in self.rounds)
        span = (end - begin) or 1e-6
        kinds = dict.fromkeys(round_.kind for round_ in self.rounds)
        entries = "".join(_KIND.format(kind=_escape(kind), text=KINDS.get(kind, "")) for kind in kinds)
        step = tick_step(span)
        yield _LEGEND.format(kinds=entries)
        yield _scale(span, step)
        yield f'<div style="--step:{step / span * 100:.4f}%">'
        yield from (_row(round_, begin, 100 / span) for round_ in self.rounds)
        yield "</div>"


KINDS = {
    "lookups": "items by their keys",
    "queries": "queries, with the items that were pending",
    "pages": "further pages of a query",
    "read": "reads that were asked for",
    "write": "a write",
    "iteration": "a part of an iteration, with its items",
    "further": "a relation, for all instances that arrived together",
    "commit": "changes that were written together",
}
"""What a round of each kind asks for."""


def tick_step(seconds: float) -> float:
    """The seconds between two marks of a time axis of some seconds: 1, 2 or 5 times a power of ten, for 4 to 10 marks.

    >>> tick_step(0.009), tick_step(0.05), tick_step(4.0)
    (0.001, 0.01, 0.5)
    """
    power = 1e-7
    while True:
        for factor in (1, 2, 5):
            if factor * power * 10 >= seconds:
                return factor * power
        power *= 10


def round_text(round_: Round) -> str:
    """The requests of a round in a few words: what of each kind, of which models and indexes."""
    counts: dict[tuple[str, str], list[int]] = {}
    for request in round_.requests:
        models = dict.fromkeys(about.partition(" ")[0] for about in request.about)
        counts.setdefault((request.operation, ", ".join(models)), []).append(request.count)
    texts = []
    for (operation, names), numbers in counts.items():
        unit = _UNITS.get(operation, "key")
        times = f"{len(numbers)} x " if len(numbers) > 1 else ""
        amount = "" if unit == "query" else f" of {count_text(sum(numbers), unit)}"
        texts.append(f"{times}{operation}{amount}" + (f": {names}" if names else ""))
    return " · ".join(texts)


def request_text(request: SentRequest) -> str:
    """One request in words, with keys, but without values of fields."""
    parts = [
        request.operation,
        count_text(request.count, _UNITS.get(request.operation, "key")),
        _time(request.seconds),
    ]
    if request.capacity.read or request.capacity.write:
        parts.append(f"{request.capacity.read:g} RCU {request.capacity.write:g} WCU")
    if request.attempts > 1:
        parts.append(f"{request.attempts} attempts, {_time(request.waited)} between them")
    if request.throttlings:
        parts.append(_throttling_text(request.throttlings))
    if request.repeated:
        parts.append(f"repeated for unprocessed keys or items, after {_time(request.waited)}")
    if request.error is not None:
        parts.append(f"ended with {request.error}")
    further_count = request.count - len(request.about)
    names = ", ".join(request.about) + (
        f" and {further_count} more" if further_count > 0 and request.about else ""
    )
    return " · ".join(parts) + (f" · {names}" if names else "")


def _throttling_text(throttlings: Sequence[Throttling]) -> str:
    throttling = throttlings[-1]
    place = throttling.table if throttling.index is None else f"{throttling.table}, index {throttling.index}"
    retry_text = "" if throttling.retry_after is None else f", retry after {_time(throttling.retry_after)}"
    reasons = f" ({', '.join(throttling.reasons)})" if throttling.reasons else ""
    return f"throttled {len(throttlings)} times by {place}{reasons}{retry_text}"


def count_text(number: int, noun: str) -> str:
    """A number of things in words.

    >>> count_text(1, "query"), count_text(2, "query"), count_text(0, "key")
    ('1 query', '2 queries', '0 keys')
    """
    plural = {"query": "queries"}.get(noun, f"{noun}s")
    return f"{number} {noun if number == 1 else plural}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _escape(text: str) -> str:
    # Imported here: most programs make no page.
    from html import escape

    return escape(text)


def _row(round_: Round, begin: float, scale: float) -> str:
    bars = "".join(
        _BAR.format(
            kind="failed"
            if request.error
            else "retried"
            if request.attempts > 1 or request.repeated
            else "sent",
            left=(request.started - begin) * scale,
            width=max(request.seconds * scale, 0.15),
            top=0.3 + number % _LANES * _LANE_REM,
            title=_escape(request_text(request)),
        )
        for number, request in enumerate(round_.requests)
    )
    lanes = max(1, min(len(round_.requests), _LANES))
    items = "".join(f"<li>{_escape(request_text(request))}</li>" for request in round_.requests)
    return _ROW.format(
        number=round_.number,
        kind=_escape(round_.kind),
        cause=_escape(round_.cause.relative),
        place=_escape(str(round_.cause)),
        content=_escape(round_text(round_)),
        time=_time(round_.seconds),
        left=(round_.started - begin) * scale,
        width=max(round_.seconds * scale, 0.15),
        height=lanes * _LANE_REM + 0.4,
        bars=bars,
        items=items,
    )


def _scale(span: float, step: float) -> str:
    """The time axis above the rounds."""
    marks = "".join(
        f'<span style="left:{number * step / span * 100:.3f}%">{_mark(number * step, step)}</span>'
        for number in range(int(span / step + 1e-9) + 1)
    )
    return f'<div class="axis scale" role="img" aria-label="Time since the first round">{marks}</div>'


def _mark(seconds: float, step: float) -> str:
    """A time on the axis, as exact as the distance between its marks."""
    if step >= 0.1:
        return f"{seconds:g} s" if step >= 1 else f"{seconds:.1f} s"
    return f"{seconds * 1000:.0f} ms" if step >= 0.001 else f"{seconds * 1000:.2f} ms"


_LANES = 8
"""The number of lanes for the requests of a round. Further requests share them."""
_LANE_REM = 0.7
_BAR = '<i class="{kind}" style="left:{left:.3f}%;width:{width:.3f}%;top:{top:.1f}rem" title="{title}"></i>'
_BACK = '<p><a href="{back}">&larr; Back</a></p>'
_KIND = "<dt>{kind}</dt><dd>{text}</dd>"
_LEGEND = """<div class="legend">
<p>Each row is a <b>round</b>: the program waited once, for requests that were sent together, because of the line of
code that is named. Time runs from left to right. Open a row to see its requests with their keys.</p>
<p><i class="swatch round"></i> the wait <i class="swatch sent"></i> one request
<i class="swatch retried"></i> one that had to be repeated
<i class="swatch failed"></i> one that failed. Where there is nothing, the program itself ran.</p>
<dl>{kinds}</dl>
</div>"""
_ROW = """<details>
<summary><b>{number}</b> <span>{kind}</span> <span>{content}<br>\
<code title="{place}">{cause}</code></span> <em>{time}</em>
<div class="axis" style="height:{height:.1f}rem"><i class="round" style="left:{left:.3f}%;width:{width:.3f}%"></i>\
{bars}</div></summary>
<ul>{items}</ul>
</details>"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rounds of a batch context</title>
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; --line: #8884; --grid: #8882; --round: #8883; --paper: #fff; }}
:root {{ --sent: #2a78c4; --retried: #c98a1b; --failed: #c8372d; }}
@media (prefers-color-scheme: dark) {{ :root {{ --paper: #1b1b1b; }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}
body {{ background: var(--paper); }}
h1 {{ font-size: 1.3rem; }}
details {{ border-top: 1px solid var(--line); padding: .4rem 0; }}
summary {{ cursor: pointer; display: grid; grid-template-columns: 3rem 6rem 1fr auto; gap: .2rem .5rem; }}
summary {{ list-style: none; }}
summary span {{ overflow-wrap: anywhere; }}
code {{ font-size: .85em; opacity: .75; }}
summary em {{ font-style: normal; font-variant-numeric: tabular-nums; }}
.axis {{ grid-column: 1 / -1; position: relative; }}
summary .axis {{ background: repeating-linear-gradient(to right, var(--grid) 0 1px, transparent 1px var(--step)); }}
.axis i {{ position: absolute; border-radius: 2px; height: .5rem; min-width: 2px; }}
.axis i.round {{ top: 0; height: 100%; }}
i.sent {{ background: var(--sent); }}
i.round {{ background: var(--round); }}
i.retried {{ background: var(--retried); }}
i.failed {{ background: var(--failed); }}
.scale {{ height: 1.6rem; position: sticky; top: 0; background: var(--paper); z-index: 1; overflow: hidden; }}
.scale span {{ position: absolute; border-left: 1px solid var(--line); padding-left: .25rem; font-size: .8rem; }}
.legend {{ font-size: .9rem; }}
.legend i {{ display: inline-block; width: 1.4rem; height: .6rem; border-radius: 2px; margin: 0 .2rem 0 .8rem; }}
.legend i:first-child {{ margin-left: 0; }}
.legend dl {{ display: grid; grid-template-columns: 6rem 1fr; margin: .6rem 0 1.2rem; }}
.legend dd {{ margin: 0; }}
ul {{ margin: .4rem 0; padding-left: 3.5rem; overflow-wrap: anywhere; font-size: .9rem; }}
</style>
</head>
<body>
{back}
<h1>Rounds of a batch context</h1>
<p>{summary}</p>
{body}
</body>
</html>
"""
