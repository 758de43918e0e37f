"""Every rule of the contract, and every defect that the library must not have, has a test that is marked with it."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def marked(kind: str) -> set[int]:
    """The numbers that tests are marked with."""
    pattern = re.compile(rf"^ *@pytest\.mark\.{kind}\((\d+)\)", re.MULTILINE)
    sources = (file.read_text(encoding="utf-8") for file in TESTS.rglob("test_*.py"))
    return {int(number) for source in sources for number in pattern.findall(source)}


def test_every_rule_has_a_test() -> None:
    """The first 39 rules have tests that name them; so have some of the later ones."""
    assert set(range(1, 40)) <= marked("rule") <= set(range(1, 48))


def test_every_defect_has_a_test() -> None:
    """Each of the 59 defects of the JavaScript library that must not be here is named by a test."""
    assert marked("defect") == set(range(1, 60))
