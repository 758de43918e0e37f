"""The pictures of a run: one for each table, with a bar for each contender."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import embedded, writes
from benchmarks.contenders import BASELINE, NAMES, OURS
from benchmarks.dashboard import WAYS
from benchmarks.figures import GOALS, MEMORY_GOAL, SESSION_GOAL, START_GOALS, Spread, ratio
from benchmarks.measure import Figures, say
from benchmarks.operations import ROWS, START

MAIN: Final = ("batch_get", "get", "query", "put", "batch_write")
MORE: Final = ("nested_batch_get", "nested_get", "nested_query", "nested_put", "lookups")
OUR_COLOUR: Final = "#d1495b"
_COLOURS = {OURS: OUR_COLOUR, BASELINE: "#30638e", "floor_http": "#9aa5b1", "floor_socket": "#9aa5b1"}
_OTHER_COLOUR = "#8fb8de"
LESS: Final = "less is better; ours is red, a dotted line is our goal"
MORE_IS_BETTER: Final = "more is better; ours is red"


class Bar(NamedTuple):
    """One bar.

    Attributes:
        label: its label.
        value: its length; None for a wrong answer.
        low, high: the quartiles around it.
        colour: its colour.
        goal: where its mark is; None without one.
    """

    label: str
    value: float | None
    low: float
    high: float
    colour: str
    goal: float | None = None

    @classmethod
    def of(cls, label: str, value: float | Spread | None, colour: str, goal: float | None = None) -> Bar:
        """A bar for a value, or for the median of a spread."""
        if value is None:
            return cls(label, None, 0.0, 0.0, colour)
        spread = value if isinstance(value, Spread) else Spread([value])
        return cls(label, spread.median, spread.low, spread.high, colour, goal)


class Panel(NamedTuple):
    """Bars that share a scale.

    Attributes:
        title: what was measured, with its unit.
        bars: the bars, from the top.
        goal: where the dotted line is; None without one.
        form: the format of the numbers.
    """

    title: str
    bars: list[Bar]
    goal: float | None = None
    form: str = "{:.2f}"


class Picture(NamedTuple):
    """A picture: its title, and its panels with their number in a line."""

    title: str
    panels: list[Panel]
    columns: int = 3


def pictures(figures: Figures) -> dict[str, Picture]:
    """The pictures of all measured parts, by the ends of their file names."""
    makers = {
        "": _comparison,
        "-nested": _nested,
        "-calls": _calls,
        "-memory": _memory,
        "-session": _session,
        "-dashboard": _dashboard,
        "-threads": _threads,
        "-writes": _writes,
        "-jobs": _jobs,
        "-embedded": _embedded,
    }
    made = {end: make(figures) for end, make in makers.items()}
    return {end: picture for end, picture in made.items() if picture.panels}


def draw(figures: Figures, page: Path) -> None:
    """Draws all pictures as SVG beside a page, the same bytes for the same figures."""
    try:
        import matplotlib
    except ImportError:
        say("matplotlib is not installed: no pictures; pip install -e '.[bench]'\n")
        return
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "dynamo_bao", "svg.fonttype": "none", "font.size": 9})
    page.parent.mkdir(parents=True, exist_ok=True)
    for end, picture in pictures(figures).items():
        _save(picture, page.with_name(f"{page.stem}{end}.svg"))


def _save(picture: Picture, path: Path) -> None:
    from matplotlib import pyplot

    columns = min(picture.columns, len(picture.panels))
    lines = -(-len(picture.panels) // columns)
    most_bars = max(len(panel.bars) for panel in picture.panels)
    labels = {tuple(bar.label for bar in panel.bars) for panel in picture.panels}
    size = (max(7.0, 1.6 + 3.6 * columns), 0.7 + lines * (0.6 + 0.22 * most_bars))
    figure, axes = pyplot.subplots(lines, columns, figsize=size, sharey=len(labels) == 1, squeeze=False)
    for axis in axes.flat[len(picture.panels) :]:
        axis.set_visible(False)
    for axis, panel in zip(axes.flat, picture.panels, strict=False):
        _fill(axis, panel)
    figure.suptitle(picture.title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    pyplot.close(figure)


def _fill(axis: Any, panel: Panel) -> None:
    bars = panel.bars
    values = [bar.value or 0.0 for bar in bars]
    spans = [
        [max(0.0, value - bar.low) for bar, value in zip(bars, values, strict=True)],
        [max(0.0, bar.high - value) for bar, value in zip(bars, values, strict=True)],
    ]
    axis.barh(
        [bar.label for bar in bars],
        values,
        xerr=spans,
        color=[bar.colour for bar in bars],
        error_kw={"elinewidth": 0.8, "ecolor": "#555"},
    )
    if panel.goal is not None:
        axis.axvline(panel.goal, color="black", linestyle=":", linewidth=1)
    for place, bar in enumerate(bars):
        if bar.goal is not None:
            axis.plot([bar.goal] * 2, [place - 0.4, place + 0.4], color="black", linewidth=1.5)
        end = max(bar.value or 0.0, bar.high, bar.goal or 0.0), place
        text = "wrong answer" if bar.value is None else panel.form.format(bar.value)
        axis.annotate(text, end, (5, 0), textcoords="offset points", va="center")
    axis.set_xlim(0, max([panel.goal or 0.0, *(bar.high for bar in bars)]) * 1.25)
    axis.set_title(panel.title, fontsize=9)
    axis.invert_yaxis() if not axis.yaxis_inverted() else None
    axis.spines[["top", "right"]].set_visible(False)


# --- the comparison -------------------------------------------------------------------------------------


def short_name(name: str) -> str:
    """The title of a contender without marks, for labels."""
    return NAMES[name].strip("*").split(":")[0] + (
        {"floor_http": ", http.client", "floor_socket": ", raw socket"}.get(name, "")
    )


def _bar(name: str, value: float | Spread) -> Bar:
    return Bar.of(short_name(name), value, _COLOURS.get(name, _OTHER_COLOUR))


def _ratio_panels(figures: Figures, rows: Iterable[str]) -> list[Panel]:
    panels = []
    for row in rows:
        if row in figures.get("rows", {}):
            panels.append(_ratio_panel(ROWS[row], figures["rows"][row], GOALS.get(row, (None,))[0]))
    return panels


def _ratio_panel(title: str, row: Figures, goal: float | None) -> Panel:
    spreads = {name: ratio(row, name) for name in NAMES}
    return Panel(title, [_bar(name, spread) for name, spread in spreads.items() if spread is not None], goal)


_RATIO_TITLE = f"CPU of the client process, as a ratio to boto3's client: {LESS}"


def _comparison(figures: Figures) -> Picture:
    panels, starts = _ratio_panels(figures, MAIN), figures.get("starts")
    if starts:
        panels.append(_ratio_panel(START, starts, START_GOALS[0]))
    return Picture(_RATIO_TITLE, panels)


def _nested(figures: Figures) -> Picture:
    return Picture(_RATIO_TITLE, _ratio_panels(figures, MORE))


def _calls(figures: Figures) -> Picture:
    panels = []
    for row in MAIN:
        results = figures.get("rows", {}).get(row, {})
        bars = [_bar(name, results[name]["calls"]) for name in NAMES if name in results]
        if bars:
            panels.append(Panel(ROWS[row], bars, form="{:,.0f}"))
    return Picture("Calls of Python and C functions: fewer are better; ours is red", panels)


def _memory(figures: Figures) -> Picture:
    bars = [_bar(name, size["instance"] / size["raw"]) for name, size in figures.get("memory", {}).items()]
    panels = [Panel("size of an object / size of its item as parsed JSON", bars, MEMORY_GOAL)]
    return Picture(f"Memory of a loaded object: {LESS}", panels if bars else [])


def _session(figures: Figures) -> Picture:
    names = {"new": "a new key", "known": "a known key"}
    bars = [
        Bar.of(names[name], Spread(values), OUR_COLOUR) for name, values in figures.get("session", {}).items()
    ]
    panels = [Panel("µs of CPU", bars, SESSION_GOAL)]
    return Picture("What a session costs for a lookup: the dotted line is our goal", panels if bars else [])


def _dashboard(figures: Figures) -> Picture:
    board = figures.get("dashboard") or {"times": {}}
    panels = []
    for delay, times in board["times"].items():
        bars = [
            Bar.of(
                WAYS[way].replace("`", ""),
                Spread([seconds * 1e3 for seconds in times[way]["wall"]]),
                OUR_COLOUR if WAYS[way].startswith("dynamo_bao") else _COLOURS[BASELINE],
            )
            for way in times
        ]
        panels.append(Panel(f"ms, with {float(delay):g} ms a request", bars, form="{:,.0f}"))
    return Picture("A page with 100 posts, their authors and tags: less is better; ours is red", panels)


# --- the other parts ------------------------------------------------------------------------------------


def _threads(figures: Figures) -> Picture:
    rates = figures.get("threads", {})
    counts = list(next(iter(rates.values()), {}))
    panels = [
        Panel(
            f"{count} thread{'s' * (count != '1')}",
            [_bar(name, Spread(rates[name][count])) for name in rates],
            form="{:,.0f}",
        )
        for count in counts
    ]
    return Picture(f"Gets a second of one process, each of 2 ms or more: {MORE_IS_BETTER}", panels)


def _writes(figures: Figures) -> Picture:
    rows = figures.get("writes", {})
    ours = [
        Bar.of(row, times["ratio"], OUR_COLOUR, writes.GOALS[writes.ROWS[row]]) for row, times in rows.items()
    ]
    bars = [Bar.of("boto3 client, each of them", 1.0, _COLOURS[BASELINE]), *ours]
    panels = [Panel("dynamo_bao in red; a black mark is our goal", bars)]
    return Picture("CPU of writes, as a ratio to boto3's client: less is better", panels if ours else [])


def _jobs(figures: Figures) -> Picture:
    jobs = figures.get("jobs", {})
    panels = [
        Panel(
            title,
            [
                Bar.of(
                    name, jobs[name]["rate"], _COLOURS[BASELINE] if name.startswith("boto3") else OUR_COLOUR
                )
                for name in names
                if name in jobs
            ],
            form="{:,.0f}",
        )
        for title, names in _JOBS.items()
    ]
    return Picture("Items a second: more is better; ours are red, boto3's are blue", panels if jobs else [])


_JOBS: Final = {
    "writing": [
        "import of new items",
        "import with a unique value",
        "import --overwrite",
        "boto3 batch writer",
    ],
    "reading": [
        "export",
        "iterate_all",
        "doctor, of entries and members",
        "reindex, nothing to mend",
        "boto3 scan of all",
    ],
}
"""The jobs in the picture. A count transfers no items."""


def _embedded(figures: Figures) -> Picture:
    times, colours = figures.get("embedded", {}), {"bao": OUR_COLOUR, "moto": _COLOURS[BASELINE]}
    panels = [
        Panel(
            f"{operation}, ms",
            [
                Bar.of(_plain(embedded.NAMES[name]), results[operation], colours.get(name, _OTHER_COLOUR))
                for name, results in times.items()
            ],
        )
        for operation in embedded.OPERATIONS
        if times
    ]
    return Picture("A call without a network: less is better; ours is red", panels, 2)


def _plain(title: str) -> str:
    return title.replace("*", "").replace("`", "")
