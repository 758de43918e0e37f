"""Writes the page ``docs/reference/parity.md`` from ``features.csv``: ``python -m tests.compat.parity.features``.

Each line of the table has a feature of the JavaScript library, its name here, and the test that proves it; or,
without a name, why it has none.
"""

from __future__ import annotations

import ast
import csv
import sys
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[3]
TABLE = Path(__file__).with_name("features.csv")
PAGE = ROOT / "docs" / "reference" / "parity.md"

SECTIONS = {
    1: "Batch context and caching",
    15: "Strict and permissive mode",
    19: "Configuration and environment",
    39: "Models and model files",
    60: "Fields",
    81: "Keys and ids",
    90: "Indexes",
    97: "Unique constraints",
    104: "Writes",
    123: "Queries",
    140: "Sort conditions",
    148: "Filters and conditions",
    167: "Pages and counts",
    172: "Iteration",
    183: "Search",
    202: "Relations",
    211: "Many items at once",
    217: "Capacity",
    223: "Hooks and plugins",
    230: "Tenants",
    241: "Managers and models",
    249: "Exports and errors",
    260: "What is not there",
    264: "Command line and generator",
    280: "Logging and retries",
}
"""The number of each section's first feature, and its title."""

INTRODUCTION = """# What DynamoBao does, and where it is here

[DynamoBao](https://www.npmjs.com/package/dynamo-bao) is the JavaScript library in whose spirit this one is made. The
{all} features of its versions 0.4 to 0.6 are listed here: {there} with their Python name and the test that
proves each, {coming} that are to come, and {without} that have no counterpart, with the reason. How many of its own
test cases hold here is what `make parity` prints.

This page is generated: `python -m tests.compat.parity.features`.
"""


@frozen
class Feature:
    """One line of the table.

    Attributes:
        python: its name here; empty where there is none.
        proof: the test that proves it, as pytest names it; or why there is none.
    """

    number: int
    name: str
    python: str
    proof: str

    @property
    def is_to_come(self) -> bool:
        """Whether it is missing so far."""
        return self.proof.startswith("to come")

    def row(self) -> str:
        """The line of the page."""
        if not self.python:
            return f"| {self.number} | {self.name} | – | {self.proof} |"
        file, _, test = self.proof.partition("::")
        return f"| {self.number} | {self.name} | {self.python} | `{test}` in `{file}` |"


def features() -> list[Feature]:
    """All of them, in order."""
    with TABLE.open(newline="") as lines:
        rows = csv.DictReader(lines)
        return [Feature(int(row["number"]), row["feature"], row["python"], row["proof"]) for row in rows]


def unproved(found: Iterable[Feature]) -> list[str]:
    """Those whose test does not exist."""
    tests: dict[str, set[str]] = {}
    missing = []
    for feature in found:
        if not feature.python:
            continue
        file, _, test = feature.proof.partition("::")
        if file not in tests:
            tree = ast.parse((ROOT / file).read_text())
            tests[file] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        if test not in tests[file]:
            missing.append(f"{feature.number}: {feature.proof}")
    return missing


def page(found: list[Feature]) -> str:
    """The text of the page."""
    there = sum(bool(feature.python) for feature in found)
    coming = sum(feature.is_to_come for feature in found)
    numbers = {"all": len(found), "there": there, "coming": coming, "without": len(found) - there - coming}
    lines = [INTRODUCTION.format(**numbers)]
    for feature in found:
        if feature.number in SECTIONS:
            lines += [
                f"\n## {SECTIONS[feature.number]}\n",
                "| # | DynamoBao | here | proof |",
                "|--:|---|---|---|",
            ]
        lines.append(feature.row())
    return "\n".join(lines) + "\n"


def main() -> int:
    """Writes the page; an exit code of 1 where a test is not there."""
    found = features()
    missing = unproved(found)
    if missing:
        print("These tests do not exist:", *missing, sep="\n  ")
        return 1
    PAGE.write_text(page(found))
    print(f"{PAGE.relative_to(ROOT)}: {len(found)} features")
    return 0


if __name__ == "__main__":
    sys.exit(main())
