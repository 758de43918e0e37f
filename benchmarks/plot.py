"""The picture of a run: a bar for each contender and operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contenders import BASELINE, NAMES, OURS
from benchmarks.figures import GOALS, START_GOALS, Spread, ratio
from benchmarks.measure import Figures, say
from benchmarks.operations import ROWS

ROWS_OF_PICTURE = ("batch_get", "get", "query", "put", "batch_write")
_COLOURS = {OURS: "#d1495b", BASELINE: "#30638e", "floor_http": "#9aa5b1", "floor_socket": "#9aa5b1"}
_OTHER_COLOUR = "#8fb8de"

Bars = list[tuple[str, Spread]]


def draw(figures: Figures, path: Path) -> None:
    """Draws the main rows and the start as an SVG, the same bytes for the same figures."""
    try:
        import matplotlib
    except ImportError:
        say("matplotlib is not installed: no picture; pip install -e '.[bench]'\n")
        return
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "dynamo_bao", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    panels = _panels(figures)
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(4.1 * columns, 0.9 + 2.5 * lines), sharey=True, squeeze=False
    )
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, bars, goal, form) in zip(axes.flat, panels, strict=False):
        _panel(axis, title, bars, goal, form)
    figure.suptitle(
        "CPU of the client process for one operation, as a ratio to boto3's client: less is better; dotted is our goal"
    )
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    pyplot.close(figure)


def _panels(figures: Figures) -> list[tuple[str, Bars, float, str]]:
    panels = []
    for row in ROWS_OF_PICTURE:
        if row in figures["rows"]:
            spreads = {name: ratio(figures["rows"][row], name) for name in NAMES}
            bars = [(name, spread) for name, spread in spreads.items() if spread is not None]
            panels.append((ROWS[row], bars, GOALS[row][0], "{:.2f}"))
    starts = figures.get("starts")
    if starts:
        bars = [
            (name, Spread([seconds * 1e3 for seconds in starts[name]["cpu"]]))
            for name in NAMES
            if name in starts
        ]
        panels.append(("import + client + first call, ms", bars, START_GOALS[0], "{:.0f}"))
    return panels


def _panel(axis: Any, title: str, bars: Bars, goal: float, form: str) -> None:
    names = [_short_name(name) for name, _ in bars]
    medians = [spread.median for _, spread in bars]
    spans = [
        [max(0.0, spread.median - spread.low) for _, spread in bars],
        [max(0.0, spread.high - spread.median) for _, spread in bars],
    ]
    colours = [_COLOURS.get(name, _OTHER_COLOUR) for name, _ in bars]
    axis.barh(names, medians, xerr=spans, color=colours, error_kw={"elinewidth": 0.8, "ecolor": "#555"})
    axis.axvline(goal, color=_COLOURS[OURS], linestyle=":", linewidth=1)
    for place, (_, spread) in enumerate(bars):
        text, end = form.format(spread.median), (max(spread.median, spread.high), place)
        axis.annotate(text, end, (5, 0), textcoords="offset points", va="center")
    axis.set_xlim(0, max(spread.high for _, spread in bars) * 1.2)
    axis.set_title(title, fontsize=9)
    axis.invert_yaxis() if not axis.yaxis_inverted() else None
    axis.spines[["top", "right"]].set_visible(False)


def _short_name(name: str) -> str:
    return NAMES[name].strip("*").split(":")[0] + (
        {"floor_http": ", http.client", "floor_socket": ", raw socket"}.get(name, "")
    )
