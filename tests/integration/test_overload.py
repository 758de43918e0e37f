"""One hot key at twice its limit, simulated on a clock of its own: what the process still gets done beside it."""

from __future__ import annotations

import pytest

from benchmarks.overload import closed_loop, open_loop


@pytest.mark.promise("S13")
def test_a_hot_key_leaves_other_traffic_alone() -> None:
    """Calls for other keys are answered in time, a success costs few attempts, and nothing is left afterwards."""
    figures = open_loop(seconds=8.0)
    print(
        f"\nS13: a hot key at twice its limit: other traffic {figures.other:.1%}, {figures.attempts:.1f} attempts "
        f"per success, {figures.recovery:.1f} s to recover"
    )
    assert figures.other >= 0.998
    assert figures.attempts <= 3.6
    assert figures.recovery <= 1.0


@pytest.mark.promise("S13")
def test_200_clients_of_one_hot_key() -> None:
    """They ask little more than is answered, and most of them are told at once."""
    figures = closed_loop(seconds=8.0)
    print(f"\nS13: 200 clients of a hot key: {figures.attempts:.1f} attempts per success")
    assert figures.attempts <= 6
    assert figures.held <= 0.1
