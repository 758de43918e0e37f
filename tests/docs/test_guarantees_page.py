"""The page of guarantees has each promise that a test holds, and what the last run of these tests has counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.promise_page import (
    FIGURES,
    PAGE,
    SECTIONS,
    MissingFigureError,
    figures_of,
    marked_tests,
    summary,
    words,
    write_page,
)
from tests.support.promises import Report


def test_every_promise_has_words_tests_and_a_figure() -> None:
    """A marker of a test names a promise of the page, and each promise of the page has a test."""
    promises = words()
    assert set(marked_tests()) == set(promises) == set(json.loads(FIGURES.read_text())["promises"])
    assert {name[0] for name in promises} == set(SECTIONS)


def test_the_page_is_current(tmp_path: Path) -> None:
    """The page is the one that ``python -m tests.support.promise_page`` writes."""
    page = tmp_path / "guarantees.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write_page(json.loads(FIGURES.read_text(encoding="utf-8")), page)
    assert page.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_figures_are_sums_or_the_greatest() -> None:
    """Of all lines that match; others do not count."""
    lines = ["W1: 2 rounds, 1.5 s", "W1: 1,000 rounds, 0.25 s", "W2: 9 rounds"]
    pattern = r"W1: (?P<rounds>\S+) rounds, (?P<seconds_max>\S+) s"
    assert (
        summary(lines, pattern, "{rounds} in {runs} runs, at most {seconds_max} s")
        == "1,002 in 2 runs, at most 1.5 s"
    )


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_a_promise_without_a_figure_is_an_error(outcome: str) -> None:
    """Its tests print something else than they did, or none has passed: the page says nothing that was not run."""
    promise = {"fault": "f", "promise": "p", "lines": r"(?P<lost>\d+) lost", "figure": "{lost} lost"}
    printed = "3 lost" if outcome == "failed" else "nothing lost"
    report: Report = {"promise": "R1", "test": "t.py::test", "outcome": outcome, "lines": [printed]}
    with pytest.raises(MissingFigureError, match="R1"):
        figures_of([report], {"R1": promise})
