"""The figures as Markdown, which `docs/performance.md` shows between two markers.

``python -m benchmarks.report`` writes the page and its picture again from the figures of the last run.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

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
from benchmarks.operations import ROWS
from benchmarks.plot import draw

RESULTS = ROOT / "benchmarks" / "results" / "figures.json"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin (made by `make bench`) -->", "<!-- figures: end -->"
MAIN = ("batch_get", "get", "query", "put", "batch_write")
MORE = ("nested_batch_get", "nested_get", "nested_query", "nested_put", "lookups")


def report(found: Figures) -> str:
    """All tables of a run."""
    sections = {
        "CPU of the client process": _ratios(found, MAIN, starts=True),
        "With maps and lists in the items, and many lookups": _ratios(found, MORE, starts=False),
        "Function calls of one operation": _calls(found),
        "Memory of a loaded instance": _memory(found),
        "What a session costs for a lookup": _session(found),
        "The dashboard": _dashboard(found),
    }
    tables = (f"### {title}\n\n{table}" for title, table in sections.items() if table)
    return "\n\n".join([_about(found), *tables])


def _about(found: Figures) -> str:
    machine, rounds = found["machine"], found["rounds"]
    made = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, {machine['python']}; "
        f"{machine['made'][:10]}; {rounds} rounds; load average {machine['load']:.1f} when they began. {made}."
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# --- CPU ----------------------------------------------------------------------------------------------


def _ratios(found: Figures, rows: Iterable[str], *, starts: bool) -> str:
    rows = [row for row in rows if row in found["rows"]]
    starts = starts and bool(found.get("starts"))
    if not rows and not starts:
        return ""
    head = ["client CPU, ratio to the boto3 client", *(ROWS[row] for row in rows)]
    head += ["import + client + first call, ms (wall)"] if starts else []
    body = []
    for name in _measured(found):
        cells = [_ratio_cell(found["rows"][row], name) for row in rows]
        body.append([NAMES[name], *cells, *([_start_cell(found["starts"], name)] if starts else [])])
    goals = [_goal_cell(GOALS.get(row)) for row in rows]
    body.append(["goal for dynamo_bao", *goals, *([_goal_cell(START_GOALS)] if starts else [])])
    return table(head, body)


def _measured(found: Figures) -> list[str]:
    return [name for name in NAMES if any(name in row for row in found["rows"].values())]


def _ratio_cell(row: Figures, name: str) -> str:
    spread = ratio(row, name)
    if spread is None:
        return "–"
    if name == BASELINE:
        return f"1.00 ({_milliseconds(Spread(row[name]['cpu']).median)})"
    return f"{spread.median:.2f} ±{spread.half:.2f}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds >= 0.002 else f"{seconds * 1e3:.2f} ms"


def _start_cell(starts: Figures, name: str) -> str:
    if name not in starts:
        return "–"
    cpu, wall = Spread(starts[name]["cpu"]), Spread(starts[name]["wall"])
    return f"{cpu.median * 1e3:.0f} ±{cpu.half * 1e3:.0f} ({wall.median * 1e3:.0f})"


def _goal_cell(goal: tuple[float, float] | None) -> str:
    return "" if goal is None else f"{goal[0]:g}, better {goal[1]:g}"


def _calls(found: Figures) -> str:
    rows = [row for row in (*MAIN, *MORE) if row in found["rows"]]
    body = [
        [NAMES[name], *(_number(found["rows"][row].get(name, {}).get("calls")) for row in rows)]
        for name in _measured(found)
    ]
    return table(["calls of Python and C functions", *(ROWS[row] for row in rows)], body)


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


# --- the rest -----------------------------------------------------------------------------------------


def _memory(found: Figures) -> str:
    body = [
        [
            NAMES[name],
            f"{size['instance']:,.0f}",
            f"{size['raw']:,.0f}",
            f"{size['instance'] / size['raw']:.2f}",
        ]
        for name, size in found["memory"].items()
    ]
    body.append(["goal for dynamo_bao", "", "", f"{MEMORY_GOAL:g}"])
    return table(["bytes", "the object", "its item as parsed JSON", "ratio"], body)


def _session(found: Figures) -> str:
    took = {what: Spread(values) for what, values in found.get("session", {}).items()}
    if not took:
        return ""
    names = {"new": "a key that is new to the session", "known": "a key that it knows"}
    body = [[names[what], f"{spread.median:.2f} ±{spread.half:.2f}"] for what, spread in took.items()]
    return table(["µs of CPU for a lookup", ""], [*body, ["goal", f"{SESSION_GOAL:g}"]])


def _dashboard(found: Figures) -> str:
    board = found.get("dashboard")
    if not board:
        return ""
    head = ["", "requests", "rounds", *(f"wall time at {float(delay):g} ms" for delay in board["times"])]
    body = []
    for way, counted in board["counts"].items():
        times = [Spread(found[way]["wall"]) for found in board["times"].values()]
        cells = [f"{one.median * 1e3:.1f} ±{one.half * 1e3:.1f} ms" for one in times]
        body.append([WAYS[way], str(counted["requests"]), str(counted["rounds"]), *cells])
    return table(head, body)


def goals(found: Figures) -> str:
    """What dynamo_bao had to reach, and whether it did; for whoever runs this."""
    lines = []
    for row, (must, aim) in GOALS.items():
        spread = ratio(found["rows"].get(row, {}), OURS)
        if spread is not None:
            lines.append(_verdict(ROWS[row], spread.median, must, aim))
    if OURS in found.get("starts", {}):
        start = Spread(found["starts"][OURS]["cpu"]).median * 1e3
        lines.append(_verdict("import + client + first call, ms", start, *START_GOALS))
    if found.get("session"):
        new = Spread(found["session"]["new"]).median
        lines.append(_verdict("a new lookup in a session, µs", new, SESSION_GOAL, SESSION_GOAL))
    if OURS in found.get("memory", {}):
        size = found["memory"][OURS]
        lines.append(
            _verdict("memory against the item", size["instance"] / size["raw"], MEMORY_GOAL, MEMORY_GOAL)
        )
    return "\n".join([*lines, *_board_verdicts(found)])


def _board_verdicts(found: Figures) -> list[str]:
    board = found.get("dashboard")
    if not board:
        return []
    best = board["counts"]["by_hand"]["rounds"]
    lines = [_verdict("dashboard, rounds", board["counts"]["loops"]["rounds"], best, best - 1)]
    for delay, times in board["times"].items():
        ours, by_hand = (Spread(times[way]["wall"]).median for way in ("loops", "by_hand"))
        lines.append(_verdict(f"dashboard at {delay} ms, against by hand", ours / by_hand, 1.1, 1.0))
    return lines


def _verdict(what: str, value: float, must: float, aim: float) -> str:
    verdict = "at its aim" if value <= aim else "reached" if value <= must else "MISSED"
    return f"{what:42} {value:8.3f}   must {must:g}, aim {aim:g}   {verdict}"


# --- the page -----------------------------------------------------------------------------------------


def write_page(found: Figures, page: Path = PAGE) -> None:
    """Puts the tables between the markers of a page, and the picture beside it."""
    picture = f"![CPU of one operation as a ratio to boto3's client]({page.stem}.svg)"
    put_between(page, BEGIN, END, f"{picture}\n\n{report(found)}")
    draw(found, page.with_suffix(".svg"))


def put_between(page: Path, begin: str, end: str, text: str) -> None:
    """Puts a text in the place of what stands between two markers of a page."""
    before, rest = page.read_text().split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


if __name__ == "__main__":
    write_page(load(RESULTS))
