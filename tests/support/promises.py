"""The markers of tests, and the numbered promises as a table: which tests hold each, with what figures.

``@pytest.mark.promise("R13")`` marks a test of a promise of reliability, ``rule(42)`` one of a rule of what sessions
and instances mean, ``defect(17)`` one of a defect that the JavaScript library has.

``--promises`` runs the tests of promises only, and prints the table. ``--promises-to FILE`` also writes it to a file,
of which `tests.support.promise_page` makes the page of guarantees.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import pytest


class Report(TypedDict):
    """What one test of a promise reports.

    Attributes:
        test: its name, as pytest names it.
        lines: what it printed.
    """

    promise: str
    test: str
    outcome: str
    lines: list[str]


_PROPERTY = "promise"
"""The property of a test report with the promise that the test holds; it travels from an xdist worker."""


def promise_of(item: pytest.Item) -> str | None:
    """The promise that a test is marked with, such as ``"R13"``; None without one."""
    marker = item.get_closest_marker("promise")
    return None if marker is None else str(marker.args[0])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--promises", action="store_true", help="only the tests of numbered promises, with a table of them"
    )
    parser.addoption(
        "--promises-to", type=Path, metavar="FILE", help="the file to write the table to, as JSON"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "promise(number): holds a promise of reliability, such as 'R13'")
    config.addinivalue_line("markers", "rule(number): holds a rule of what sessions and instances mean")
    config.addinivalue_line(
        "markers", "defect(number): holds that the library lacks a defect of the JavaScript one"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--promises"):
        return
    for item in items:
        promise = promise_of(item)
        if promise is not None:
            item.user_properties.append((_PROPERTY, promise))
    config.hook.pytest_deselected(items=[item for item in items if promise_of(item) is None])
    items[:] = [item for item in items if promise_of(item) is not None]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not terminalreporter.config.getoption("--promises"):
        return
    terminalreporter.section("promises")
    reports = _reports(terminalreporter)
    for report in reports:
        terminalreporter.line(
            f"{report['promise']:4} {report['outcome']:8} {report['test'].rpartition('::')[2]}"
        )
        for line in report["lines"]:
            terminalreporter.line(f"              {line}")
    file: Path | None = terminalreporter.config.getoption("--promises-to")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(reports), encoding="utf-8")


def _reports(terminalreporter: pytest.TerminalReporter) -> list[Report]:
    """The reports of all tests of promises, in the order of these. A file that was skipped as a whole has none."""
    reports: list[Report] = [
        {
            "promise": promise,
            "test": report.nodeid,
            "outcome": outcome,
            "lines": list(filter(None, map(str.strip, report.capstdout.splitlines()))),
        }
        for outcome in ("passed", "failed", "skipped")
        for report in terminalreporter.stats.get(outcome, [])
        for name, promise in getattr(report, "user_properties", ())
        if name == _PROPERTY
    ]
    return sorted(reports, key=lambda one: (one["promise"][0], int(one["promise"][1:]), one["test"]))
