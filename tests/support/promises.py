"""The markers of tests, and the numbered promises as a table: which tests hold each, with what figures.

``@pytest.mark.promise("R13")`` marks a test of a promise of reliability, ``rule(42)`` one of a rule of what sessions
and instances mean, ``defect(17)`` one of a defect that the JavaScript library has.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
    reports = [
        (promise, report)
        for outcome in ("passed", "failed", "skipped")
        for report in terminalreporter.stats.get(outcome, [])
        for name, promise in report.user_properties
        if name == _PROPERTY
    ]
    for promise, report in sorted(reports, key=lambda pair: (pair[0][0], int(pair[0][1:]), pair[1].nodeid)):
        for line in _lines(promise, report):
            terminalreporter.line(line)


def _lines(promise: str, report: pytest.TestReport) -> Iterator[str]:
    yield f"{promise:4} {report.outcome:8} {report.nodeid.rpartition('::')[2]}"
    for line in filter(None, map(str.strip, report.capstdout.splitlines())):
        yield f"              {line}"
