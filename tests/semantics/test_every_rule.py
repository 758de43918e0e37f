"""No rule is without a test."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_rule_has_a_test() -> None:
    """Each of the 39 rules is named by a test in this folder."""
    sources = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert {int(number) for number in re.findall(r"def test_rule_(\d\d)_", sources)} == set(range(1, 40))
