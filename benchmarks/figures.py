"""The figures of a run as JSON, and their medians and ratios."""

from __future__ import annotations

import json
import os
import platform
import statistics
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.contenders import BASELINE, NEEDS
from benchmarks.measure import Figures

GOALS: dict[str, tuple[float, float]] = {
    "batch_get": (0.13, 0.10),
    "get": (0.25, 0.15),
    "query": (0.16, 0.11),
    "put": (0.16, 0.15),
    "batch_write": (0.12, 0.09),
    "nested_batch_get": (0.15, 0.10),
    "nested_query": (0.16, 0.11),
    "nested_put": (0.25, 0.15),
}
"""The ratios to boto3's client that dynamo_bao must reach, and those it aims at."""
START_GOALS = (0.38, 0.25)
"""The same for a first object: import, client and first call."""
SESSION_GOAL = 3.0
"""Microseconds that a session may take for a lookup."""
MEMORY_GOAL = 1.5
"""The size of an instance, as a ratio to its item as parsed JSON, that is allowed."""

ROOT = Path(__file__).parent.parent


def machine() -> dict[str, Any]:
    """The machine of the run, and its load."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()}",
        "load": os.getloadavg()[0],
        "made": datetime.now(timezone.utc).isoformat(timespec="minutes"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def versions(names: list[str]) -> dict[str, str]:
    """The versions of the contenders' libraries."""
    installed = {}
    for package in sorted({requirement for name in names for requirement in NEEDS.get(name, ())}):
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


class Spread:
    """A median with the quartiles around it."""

    def __init__(self, values: list[float]) -> None:
        self.median = statistics.median(values)
        quarters = (
            statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [self.median] * 3
        )
        self.low, self.high = quarters[0], quarters[2]

    @property
    def half(self) -> float:
        """Half the distance between the quartiles."""
        return (self.high - self.low) / 2


def ratio(row: Figures, name: str) -> Spread | None:
    """A contender's CPU as a ratio to boto3's client in the same round. None if one of them did not run."""
    if name not in row or BASELINE not in row:
        return None
    return Spread(
        [
            seconds / baseline_seconds
            for seconds, baseline_seconds in zip(row[name]["cpu"], row[BASELINE]["cpu"], strict=True)
        ]
    )


def store(figures: Figures, path: Path) -> None:
    """Writes the figures as JSON, with five digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(figures), indent=1) + "\n")


def load(path: Path) -> Figures:
    """The figures of a run."""
    figures: Figures = json.loads(path.read_text())
    return figures


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
