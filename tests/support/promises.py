"""The numbered promises of reliability as a table: the tests of each, their engines, and their figures."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

_NUMBERED = re.compile(r"test_([RWSX])(\d+)_", re.IGNORECASE)


def promise_of(name: str) -> tuple[str, int] | None:
    """The promise that a test's name carries, in an order in which they can be listed.

    >>> promise_of("tests/unit/test_x.py::test_r12_no_value_is_invented[moto]"), promise_of("test_reads")
    (('R', 12), None)
    """
    match = _NUMBERED.search(name)
    return (match[1].upper(), int(match[2])) if match else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--promises", action="store_true", help="only the tests of numbered promises, with a table of them"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--promises"):
        unnumbered = [item for item in items if promise_of(item.name) is None]
        config.hook.pytest_deselected(items=unnumbered)
        items[:] = [item for item in items if promise_of(item.name) is not None]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not terminalreporter.config.getoption("--promises"):
        return
    terminalreporter.section("promises")
    reports = [
        report
        for outcome in ("passed", "failed", "skipped")
        for report in terminalreporter.stats.get(outcome, [])
        if promise_of(report.nodeid) is not None
    ]
    for report in sorted(reports, key=lambda report: (promise_of(report.nodeid), report.nodeid)):
        for line in _lines(report):
            terminalreporter.line(line)


def _lines(report: pytest.TestReport) -> Iterator[str]:
    kind, number = promise_of(report.nodeid) or ("", 0)
    name = report.nodeid.rpartition("::")[2]
    yield f"{kind}{number:<3} {report.outcome:8} {name}"
    for line in filter(None, map(str.strip, report.capstdout.splitlines())):
        yield f"              {line}"
