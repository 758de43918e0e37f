"""The figures as Markdown, which `docs/understand/performance.md` shows between two markers.

``python -m benchmarks.report`` writes the page and its picture again from the figures of the last run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import embedded, writes
from benchmarks.contenders import BASELINE, NAMES, OURS
from benchmarks.dashboard import WAYS
from benchmarks.figures import (
    GOALS,
    MEMORY_GOAL,
    ROOT,
    SESSION_GOAL,
    START_GOALS,
    Spread,
    load,
    ratio,
)
from benchmarks.measure import Figures
from benchmarks.operations import ROWS, START
from benchmarks.plot import MAIN, MORE, draw, pictures
from tests.support.pages import put_between

RESULTS = ROOT / "benchmarks" / "results" / "figures.json"
PAGE = ROOT / "docs" / "understand" / "performance.md"
BEGIN, END = "<!-- figures: begin (made by `make bench`) -->", "<!-- figures: end -->"


def report(figures: Figures, stem: str | None = None) -> str:
    """All tables of a run.

    Args:
        stem: the beginning of the names of the pictures; None without pictures.
    """
    drawn = {} if stem is None else pictures(figures)
    sections = {
        ("", "CPU of the client process"): _ratios(figures, MAIN, starts=True),
        ("-nested", "With maps and lists in the items, and many lookups"): _ratios(
            figures, MORE, starts=False
        ),
        ("-calls", "Function calls of one operation"): _calls(figures),
        ("-memory", "Memory of a loaded instance"): _memory(figures),
        ("-session", "What a session costs for a lookup"): _session(figures),
        ("-dashboard", "The dashboard"): _dashboard(figures),
        ("-threads", "Threads"): _threads(figures),
        ("-writes", "Writes of loaded objects"): _writes(figures),
        ("-jobs", "Jobs over many items"): _jobs(figures),
        ("-embedded", "Without a network"): _embedded(figures),
    }
    parts = [_about(figures), _missed(figures)]
    for (end, title), cells in sections.items():
        if cells:
            picture = f"![{drawn[end].title}]({stem}{end}.svg)\n\n" if end in drawn else ""
            parts.append(f"### {title}\n\n{picture}{cells}")
            parts += [_NOTES[end]] if end in _NOTES else []
    return "\n\n".join(parts)


_NOTES = {
    "-threads": (
        "Gets a second of one process whose threads each get objects in a loop. Each request takes 2 ms longer. The "
        "server that answers is one process in Python, on the same cores."
    ),
    "-writes": (
        "A DynamoDB engine answers on loopback, in a process of its own. A ratio is the median over 45 rounds, in "
        "three processes."
    ),
    "-jobs": (
        "Client and engine share the cores. An import of new items overwrites nothing, so it sends a conditional put "
        "for each. An import with unique values needs transactions: 50 actions in one request, and twice the write "
        "units. A figure is the best of three rounds."
    ),
    "-embedded": (
        "The time of a call, library and engine together: the least of seven turns. A dash is a wrong answer: the "
        "`MemoryBackend` finds nothing by an index. It also refuses new items on condition that they do not exist, so "
        "pydynox creates without a condition."
    ),
}
"""What has to be known beside some tables."""


def _about(figures: Figures) -> str:
    parts = figures["parts"]
    machine = next(iter(parts.values()))
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, {machine['python']}.",
        *(f"{part}: {about['made'][:10]}, load {about['load']:.1f} before." for part, about in parts.items()),
    ]
    if "versions" in figures:
        lines.append(f"{figures['rounds']} rounds of the comparison.")
        lines.append(", ".join(f"{name} {number}" for name, number in figures["versions"].items()) + ".")
    return " ".join(lines)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# --- CPU ----------------------------------------------------------------------------------------------


def _ratios(figures: Figures, rows: Iterable[str], *, starts: bool) -> str:
    rows = [row for row in rows if row in figures.get("rows", {})]
    starts = starts and bool(figures.get("starts"))
    if not rows and not starts:
        return ""
    head = ["client CPU, ratio to the boto3 client", *(ROWS[row] for row in rows)]
    head += [START] if starts else []
    body = []
    for name in _names_in(figures):
        cells = [_ratio_cell(figures["rows"][row], name) for row in rows]
        body.append([NAMES[name], *cells, *([_ratio_cell(figures["starts"], name)] if starts else [])])
    goals = [_goal_cell(GOALS.get(row)) for row in rows]
    body.append(["goal for dynamo_bao", *goals, *([_goal_cell(START_GOALS)] if starts else [])])
    return table(head, body)


def _names_in(figures: Figures) -> list[str]:
    return [name for name in NAMES if any(name in row for row in figures.get("rows", {}).values())]


def _ratio_cell(row: Figures, name: str) -> str:
    spread = ratio(row, name)
    if spread is None:
        return "–"
    if name == BASELINE:
        return f"1.00 ({_milliseconds(Spread(row[name]['cpu']).median)})"
    return f"{spread.median:.2f} ±{spread.half:.2f}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= 0.002 else f"{seconds * 1e3:.2f} ms"


def _goal_cell(goal: tuple[float, float] | None) -> str:
    return "" if goal is None else f"{goal[0]:g}, better {goal[1]:g}"


def _calls(figures: Figures) -> str:
    rows = [row for row in (*MAIN, *MORE) if row in figures.get("rows", {})]
    if not rows:
        return ""
    body = [
        [NAMES[name], *(_number(figures["rows"][row].get(name, {}).get("calls")) for row in rows)]
        for name in _names_in(figures)
    ]
    return table(["calls of Python and C functions", *(ROWS[row] for row in rows)], body)


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


# --- the rest -----------------------------------------------------------------------------------------


def _memory(figures: Figures) -> str:
    body = [
        [
            NAMES[name],
            f"{size['instance']:,.0f}",
            f"{size['raw']:,.0f}",
            f"{size['instance'] / size['raw']:.2f}",
        ]
        for name, size in figures.get("memory", {}).items()
    ]
    if not body:
        return ""
    body.append(["goal for dynamo_bao", "", "", f"{MEMORY_GOAL:g}"])
    return table(["bytes", "the object", "its item as parsed JSON", "ratio"], body)


def _session(figures: Figures) -> str:
    spreads = {name: Spread(values) for name, values in figures.get("session", {}).items()}
    if not spreads:
        return ""
    names = {"new": "a key that is new to the session", "known": "a key that it knows"}
    body = [[names[name], f"{spread.median:.2f} ±{spread.half:.2f}"] for name, spread in spreads.items()]
    return table(["µs of CPU for a lookup", ""], [*body, ["goal", f"{SESSION_GOAL:g}"]])


def _dashboard(figures: Figures) -> str:
    board = figures.get("dashboard")
    if not board:
        return ""
    head = ["", "requests", "rounds", *(f"wall time at {float(delay):g} ms" for delay in board["times"])]
    body = []
    for way, counts in board["counts"].items():
        times = [Spread(figures[way]["wall"]) for figures in board["times"].values()]
        cells = [f"{spread.median * 1e3:.1f} ±{spread.half * 1e3:.1f} ms" for spread in times]
        body.append([WAYS[way], str(counts["requests"]), str(counts["rounds"]), *cells])
    return table(head, body)


def _threads(figures: Figures) -> str:
    rates = figures.get("threads", {})
    if not rates:
        return ""
    counts = list(next(iter(rates.values())))
    body = [
        [
            NAMES[name],
            *(f"{spread.median:,.0f} ±{spread.half:,.0f}" for spread in map(Spread, by_count.values())),
        ]
        for name, by_count in rates.items()
    ]
    return table(["gets a second", *(f"{count} thread{'s' * (count != '1')}" for count in counts)], body)


def _writes(figures: Figures) -> str:
    head = ["operation", "boto3 client, ms of CPU", "dynamo_bao, ms", "ratio", "goal"]
    body = [
        [
            row,
            f"{times['boto3'] * 1e3:.2f}",
            f"{times['bao'] * 1e3:.2f}",
            f"{times['ratio']:.2f}",
            f"{writes.GOALS[writes.ROWS[row]]:.2f}",
        ]
        for row, times in figures.get("writes", {}).items()
    ]
    return table(head, body) if body else ""


def _jobs(figures: Figures) -> str:
    body = [
        [name, f"{job['rate']:,.0f}", f"{job['cpu']:.0f}"] for name, job in figures.get("jobs", {}).items()
    ]
    head = ["job", "items a second", "µs of the client's CPU for an item"]
    return table(head, body) if body else ""


def _embedded(figures: Figures) -> str:
    results = figures.get("embedded", {})
    body = [
        [embedded.NAMES[name], *("–" if time is None else f"{time:.2f}" for time in times.values())]
        for name, times in results.items()
    ]
    return table(["ms of a call", *embedded.OPERATIONS], body) if body else ""


class Goal(NamedTuple):
    """A figure of a run beside what it must reach, and what would be better still. Less is better."""

    title: str
    value: float
    must: float
    aim: float

    def __str__(self) -> str:
        verdict = (
            "at its aim" if self.value <= self.aim else "reached" if self.value <= self.must else "MISSED"
        )
        return f"{self.title:42} {self.value:8.3f}   must {self.must:g}, aim {self.aim:g}   {verdict}"


def goals(figures: Figures) -> str:
    """The goals of dynamo_bao, and whether it reached them, for the person who runs this."""
    return "\n".join(map(str, _goals_of(figures)))


def _missed(figures: Figures) -> str:
    """The goals that a run has missed, as a sentence of the page."""
    missed = [
        f"{goal.title} ({goal.value:.3f}, goal {goal.must:g})"
        for goal in _goals_of(figures)
        if goal.value > goal.must
    ]
    return (
        f"Not reached in this run: {'; '.join(missed)}." if missed else "All goals were reached in this run."
    )


def _goals_of(figures: Figures) -> Iterator[Goal]:
    for row, (must, aim) in GOALS.items():
        spread = ratio(figures.get("rows", {}).get(row, {}), OURS)
        if spread is not None:
            yield Goal(ROWS[row], spread.median, must, aim)
    start = ratio(figures.get("starts", {}), OURS)
    if start is not None:
        yield Goal(START, start.median, *START_GOALS)
    if figures.get("session"):
        new_lookup = Spread(figures["session"]["new"]).median
        yield Goal("a new lookup in a session, µs", new_lookup, SESSION_GOAL, SESSION_GOAL)
    if OURS in figures.get("memory", {}):
        size = figures["memory"][OURS]
        yield Goal("memory against the item", size["instance"] / size["raw"], MEMORY_GOAL, MEMORY_GOAL)
    for row, times in figures.get("writes", {}).items():
        must = writes.GOALS[writes.ROWS[row]]
        yield Goal(row, times["ratio"], must, must)
    yield from _board_goals(figures)


def _board_goals(figures: Figures) -> Iterator[Goal]:
    board = figures.get("dashboard")
    if not board:
        return
    best = board["counts"]["by_hand"]["rounds"]
    yield Goal("dashboard, rounds", board["counts"]["loops"]["rounds"], best, best - 1)
    for delay, times in board["times"].items():
        loops, by_hand = (Spread(times[way]["wall"]).median for way in ("loops", "by_hand"))
        yield Goal(f"dashboard at {delay} ms, against by hand", loops / by_hand, 1.1, 1.0)


# --- the page -----------------------------------------------------------------------------------------


def write_page(figures: Figures, page: Path = PAGE) -> None:
    """Puts the tables between the markers of a page, and the pictures beside it."""
    put_between(page, BEGIN, END, report(figures, page.stem))
    draw(figures, page)


if __name__ == "__main__":
    write_page(load(RESULTS))
