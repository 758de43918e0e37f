"""What sentences say about speed is what the last run has measured."""

from __future__ import annotations

import re

import pytest

from benchmarks.contenders import OURS
from benchmarks.figures import load, ratio
from benchmarks.report import RESULTS
from tests.support.pages import text_of

PERFORMANCE, COMPARISON = "docs/understand/performance.md", "docs/understand/comparison.md"
FRACTIONS = [
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
"""The words for 1/3 to 1/20."""


@pytest.mark.parametrize(
    ("page", "sentence", "row"),
    [
        (PERFORMANCE, r"A get takes an? (\w+) of the CPU", "get"),
        (PERFORMANCE, r"and a put an? (\w+)\.", "put"),
        (PERFORMANCE, r"A page of 100 items takes an? (\w+)\.", "query"),
        (PERFORMANCE, r"A batch of 100 keys and a batch write of 25 items take an? (\w+)\.", "batch_get"),
        (PERFORMANCE, r"A batch of 100 keys and a batch write of 25 items take an? (\w+)\.", "batch_write"),
        (PERFORMANCE, r"A start takes an? (\w+)\*\*", "starts"),
        (COMPARISON, r"It takes an? (\w+) of boto3's CPU", "put"),
    ],
)
def test_a_sentence_has_the_fraction_that_was_measured(page: str, sentence: str, row: str) -> None:
    """A new run changes the tables by itself, and these sentences by hand."""
    figures = load(RESULTS)
    spread = ratio(figures["starts"] if row == "starts" else figures["rows"][row], OURS)
    match = re.search(sentence, text_of(page))
    assert spread is not None and match is not None
    assert match[1] == FRACTIONS[round(1 / spread.median) - 3]
