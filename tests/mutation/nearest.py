"""Which tests run a line: these are tried on its mutants first, so that most trials take seconds.

What runs a line while modules are imported (class statements of models do) may be noticed by any test, and so may what
only one test runs, for it may be done once for the process. Then all are tried, those that run it themselves first.
"""

from __future__ import annotations

import ast
import gc
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

SLOW_SECONDS = 0.5
"""Tests that take longer run after the other ones of the same line."""
FEW_TESTS = 20
"""If fewer tests run a line, the other tests of their files follow."""
IMPORTED_ONCE = ("hypothesis", "boto3", "botocore.client", "moto", "moto.dynamodb.responses")
"""What all tests import, and takes long to: it is imported before the processes of the mutants are forked."""

Lines = Mapping[str, Mapping[int, Sequence[str]]]
"""By file and line, the tests that run the line, quick ones first; `IMPORT` among them where no test does it."""
IMPORT = ""
"""What stands for running a line outside of any test."""


def import_once() -> None:
    """Imports what every process needs, and keeps the garbage collector from looking at it in each of them."""
    for name in IMPORTED_ONCE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


class Recorder:
    """A plugin of pytest that notes which lines each test runs.

    Args:
        folder: where the project is.
        files: the files whose lines are of interest, from there.
    """

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        import coverage

        self._files = {file: str(folder / file) for file in files}
        self._coverage = coverage.Coverage(
            data_file=None, config_file=False, include=list(self._files.values())
        )
        self._seconds: dict[str, float] = {}
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._coverage.switch_context(IMPORT)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration

    def write(self, file: Path) -> None:
        """Writes what was noted; see `read_lines`."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {name: self._tests_of(data, path) for name, path in self._files.items()}
        file.write_text(json.dumps(lines), encoding="utf-8")

    def _tests_of(self, data: Any, path: str) -> dict[int, list[str]]:
        by_line: Mapping[int, list[str]] = data.contexts_by_lineno(path)
        order = {
            test: (seconds > SLOW_SECONDS, place)
            for place, (test, seconds) in enumerate(self._seconds.items())
        }
        order[IMPORT] = (True, len(order))
        return {
            line: sorted(order.keys() & set(tests), key=order.__getitem__) for line, tests in by_line.items()
        }


def read_lines(file: Path) -> Lines:
    """What a `Recorder` wrote."""
    data = json.loads(file.read_text(encoding="utf-8"))
    return {name: {int(line): tests for line, tests in lines.items()} for name, lines in data.items()}


def nearest_to(lines: Lines, file: str, source: str, line: int) -> list[str]:
    """The tests that run the statement at a line; `IMPORT` among them where it is run outside of tests.

    So it is where only one test runs it: what it makes may be kept for the process, and other tests notice.
    """
    tests: dict[str, None] = {}
    for number in _statement(ast.parse(source), line):
        tests.update(dict.fromkeys(lines.get(file, {}).get(number, ())))
    return [*tests, IMPORT] if len(tests) == 1 and IMPORT not in tests else list(tests)


def _statement(tree: ast.AST, line: int) -> range:
    """The lines of the innermost statement at a line, without those of the statements in it."""
    found = range(line, line + 1)
    for node in ast.walk(tree):  # outer ones come first
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            body = getattr(node, "body", None)
            ends = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            found = range(node.lineno, max(ends, line, node.lineno) + 1)
    return found


class NearestFirst:
    """A plugin of pytest that runs the tests that run the line of a mutant, and then the other tests of their files.

    Those follow if few tests run the line, because it may make what is kept for later tests, such as the compiled
    functions of a model: one test of a file makes them, and another one notices what they do.

    Args:
        tests: which, in this order; with `IMPORT` among them those of all other files follow too.
    """

    def __init__(self, tests: Sequence[str]) -> None:
        self._places = {test: place for place, test in enumerate(tests)}
        self._files = {file_of(test) for test in tests} if len(tests) < FEW_TESTS else set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        places, last = self._places, len(self._places)
        chosen = [
            item
            for item in items
            if IMPORT in places or item.nodeid in places or file_of(item.nodeid) in self._files
        ]
        if chosen:  # a mutant may change the names of tests
            items[:] = sorted(chosen, key=lambda item: places.get(item.nodeid, last))


def file_of(test: str) -> str:
    """The file of a test."""
    return test.partition("::")[0]
