"""What a session asked of DynamoDB, round by round: as text, and as a page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from dynamo_bao.dynamodb.transport.messages import Throttling
from dynamo_bao.session.rounds import Round, SentRequest

if TYPE_CHECKING:
    from pathlib import Path

_UNITS = {"Query": "query", "BatchWriteItem": "write", "TransactWriteItems": "write"}


@frozen(eq=False)
class Trace:
    """The rounds of a session so far: iterable, printable, and a page to look at.

    Attributes:
        rounds: oldest first; the last 1,000.

    Example:
        >>> print(session.trace())
        >>> session.trace().save("trace.html")
    """

    rounds: tuple[Round, ...]

    def __iter__(self) -> Iterator[Round]:
        return iter(self.rounds)

    def __len__(self) -> int:
        return len(self.rounds)

    @property
    def summary(self) -> str:
        """One line: how many rounds and requests, how long, and what they consumed."""
        requests = [sent for done in self.rounds for sent in done.requests]
        read = sum(sent.capacity.read for sent in requests)
        write = sum(sent.capacity.write for sent in requests)
        waited = sum(done.seconds for done in self.rounds)
        return (
            f"{counted(len(self.rounds), 'round')}, {counted(len(requests), 'request')}, {_time(waited)} of waiting, "
            f"{read:g} read and {write:g} write units"
        )

    def __str__(self) -> str:
        lines = [self.summary]
        for done in self.rounds:
            lines.append(f"{done.number:>4}  {done.kind:<9} {_time(done.seconds):>9}  {done.cause}")
            lines += [f"      {described(sent)}" for sent in done.requests]
        return "\n".join(lines)

    def html(self) -> str:
        """A page with the rounds as bars on one axis of time, and the requests of each."""
        return _PAGE.format(summary=_escape(self.summary), rows="\n".join(self._rows()))

    def save(self, path: str | Path) -> Path:
        """Writes the page to a file, and returns its path."""
        # Imported here, as `_escape` does: most programs save no page.
        from pathlib import Path

        target = Path(path)
        target.write_text(self.html(), encoding="utf-8")
        return target

    def _rows(self) -> Iterable[str]:
        if not self.rounds:
            return ['<p class="none">Nothing was asked of DynamoDB.</p>']
        begin = min(done.started for done in self.rounds)
        end = max(done.started + done.seconds for done in self.rounds)
        scale = 100 / ((end - begin) or 1)
        return [_row(done, begin, scale) for done in self.rounds]


def described(sent: SentRequest) -> str:
    """One request in words; keys, never values of fields."""
    parts = [sent.operation, counted(sent.count, _UNITS.get(sent.operation, "key")), _time(sent.seconds)]
    if sent.capacity.read or sent.capacity.write:
        parts.append(f"{sent.capacity.read:g} RCU {sent.capacity.write:g} WCU")
    if sent.attempts > 1:
        parts.append(f"{sent.attempts} attempts, {_time(sent.waited)} between them")
    if sent.throttlings:
        parts.append(_throttled(sent.throttlings))
    if sent.repeated:
        parts.append(f"again for what was left unprocessed, after {_time(sent.waited)}")
    if sent.error is not None:
        parts.append(f"ended with {sent.error}")
    more = sent.count - len(sent.about)
    named = ", ".join(sent.about) + (f" and {more} more" if more > 0 and sent.about else "")
    return " · ".join(parts) + (f" · {named}" if named else "")


def _throttled(throttlings: Sequence[Throttling]) -> str:
    last = throttlings[-1]
    place = last.table if last.index is None else f"{last.table}, index {last.index}"
    asked = "" if last.retry_after is None else f", to be asked again after {_time(last.retry_after)}"
    reasons = f" ({', '.join(last.reasons)})" if last.reasons else ""
    return f"throttled {len(throttlings)} times by {place}{reasons}{asked}"


def counted(number: int, what: str) -> str:
    """A number of things in words.

    >>> counted(1, "query"), counted(2, "query"), counted(0, "key")
    ('1 query', '2 queries', '0 keys')
    """
    plural = {"query": "queries"}.get(what, f"{what}s")
    return f"{number} {what if number == 1 else plural}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _escape(text: str) -> str:
    # Imported here: most programs make no page.
    from html import escape

    return escape(text)


def _row(done: Round, begin: float, scale: float) -> str:
    bars = "".join(
        _BAR.format(
            kind="failed" if sent.error else "retried" if sent.attempts > 1 or sent.repeated else "sent",
            left=(sent.started - begin) * scale,
            width=max(sent.seconds * scale, 0.15),
            top=0.3 + number % _LANES * _LANE_REM,
            title=_escape(described(sent)),
        )
        for number, sent in enumerate(done.requests)
    )
    lanes = max(1, min(len(done.requests), _LANES))
    told = "".join(f"<li>{_escape(described(sent))}</li>" for sent in done.requests)
    return _ROW.format(
        number=done.number,
        kind=_escape(done.kind),
        cause=_escape(str(done.cause)),
        time=_time(done.seconds),
        left=(done.started - begin) * scale,
        width=max(done.seconds * scale, 0.15),
        height=lanes * _LANE_REM + 0.4,
        bars=bars,
        told=told,
    )


_LANES = 8
"""In how many lanes the requests of a round are drawn; further ones share them."""
_LANE_REM = 0.7
_BAR = '<i class="{kind}" style="left:{left:.3f}%;width:{width:.3f}%;top:{top:.1f}rem" title="{title}"></i>'
_ROW = """<details>
<summary><b>{number}</b> <span>{kind}</span> <code>{cause}</code> <em>{time}</em>
<div class="axis" style="height:{height:.1f}rem"><i class="round" style="left:{left:.3f}%;width:{width:.3f}%"></i>\
{bars}</div></summary>
<ul>{told}</ul>
</details>"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rounds of a batch context</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --round: #8882; }}
:root {{ --sent: #2a78c4; --retried: #c98a1b; --failed: #c8372d; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}
h1 {{ font-size: 1.3rem; }}
details {{ border-top: 1px solid var(--line); padding: .4rem 0; }}
summary {{ cursor: pointer; display: grid; grid-template-columns: 3rem 6rem 1fr auto; gap: .5rem; list-style: none; }}
summary code {{ overflow-wrap: anywhere; }}
summary em {{ font-style: normal; font-variant-numeric: tabular-nums; }}
.axis {{ grid-column: 1 / -1; position: relative; }}
.axis i {{ position: absolute; border-radius: 2px; height: .5rem; min-width: 2px; }}
.axis i.sent {{ background: var(--sent); }}
.axis i.round {{ top: 0; height: 100%; background: var(--round); }}
.axis i.retried {{ background: var(--retried); }}
.axis i.failed {{ background: var(--failed); }}
ul {{ margin: .4rem 0; padding-left: 3.5rem; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>Rounds of a batch context</h1>
<p>{summary}</p>
{rows}
</body>
</html>
"""
