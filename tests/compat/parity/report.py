"""How much of the JavaScript library's tests holds here: ``python -m tests.compat.parity.report [pytest options]``.

Each ``test_<file>.py`` has a function ``test_<number>_…`` for each case of the file of that name; ``NOT_CARRIED``
and ``AWAITED`` say why a case has no counterpart, or waits for one.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from attrs import define, field

FOLDER = Path(__file__).parent

CASES = {
    "async_local_storage": 8,
    "batch_context_capacity": 27,
    "batch_delay": 9,
    "batch_loading": 6,
    "binary": 8,
    "bulk_find": 7,
    "capacity": 5,
    "cloudflare_workers_manifest": 5,
    "codegen_searchable": 26,
    "codegen_custom_fields": 7,
    "codegen_generator": 8,
    "codegen_related_fields": 7,
    "codegen_tag_generator": 5,
    "codegen_unique_constraint": 2,
    "comment": 12,
    "conditional_delete": 6,
    "conditional_update": 10,
    "count": 10,
    "counter": 9,
    "delete": 5,
    "env": 1,
    "esm_generator": 14,
    "filter_system_fields": 17,
    "filter": 15,
    "instance": 21,
    "invalid_lookups": 4,
    "iteration": 19,
    "key_condition": 11,
    "model_validation": 7,
    "nested_batch_context": 4,
    "pagination": 4,
    "performance": 3,
    "plugin_methods": 4,
    "plugin": 6,
    "post": 8,
    "related_capacity": 9,
    "related_data": 8,
    "related_queries": 8,
    "require_batch_context": 8,
    "search_cursor": 32,
    "search_error_paths": 15,
    "search_limit": 17,
    "search_predicate": 18,
    "search_text_update": 17,
    "search_text": 40,
    "search": 49,
    "string_set": 27,
    "tagged_post": 6,
    "tenant_context": 26,
    "tenant_isolation": 4,
    "test_js": 9,
    "ttl": 7,
    "unique": 7,
    "user_unique_lookups": 6,
    "version": 7,
}
"""The JavaScript library's test files, and how many cases each has."""

COLUMNS = ("area", "cases", "carried", "passing", "awaited", "failing", "not carried", "open")


@define
class Area:
    """What became of the cases of one file, by number."""

    carried: set[int] = field(factory=set)
    awaited: set[int] = field(factory=set)
    failing: set[int] = field(factory=set)
    not_carried: set[int] = field(factory=set)

    def row(self, name: str) -> tuple[str, ...]:
        """One line of the table."""
        passing = self.carried - self.awaited - self.failing
        left = set(range(1, CASES[name] + 1)) - self.carried - self.not_carried
        counts = (self.carried, passing, self.awaited, self.failing, self.not_carried, left)
        return name, str(CASES[name]), *(str(len(numbers)) for numbers in counts)


class Collector:
    """A pytest plugin that notes the outcome of each case; one of several parameters that fails fails it."""

    def __init__(self) -> None:
        self.areas: dict[str, Area] = defaultdict(Area)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = re.search(r"parity/test_(\w+)\.py::test_(\d\d)_", report.nodeid)
        if not found:
            return
        area, number = self.areas[found[1]], int(found[2])
        area.carried.add(number)
        if report.failed or hasattr(report, "wasxfail"):
            area.failing.add(number)
        elif report.skipped:
            area.awaited.add(number)


def declared(name: str, file: Path) -> set[int]:
    """The numbers that a file's ``NOT_CARRIED`` or ``AWAITED`` lists."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return set(ast.literal_eval(node.value))
    return set()


def table(areas: dict[str, Area]) -> str:
    """The rows of the files there are, those that are missing in one row, and the sum."""
    rows = [areas[name].row(name) for name in CASES if name in areas]
    missing = [name for name in CASES if name not in areas]
    if missing:
        cases = str(sum(CASES[name] for name in missing))
        rows.append((f"{len(missing)} files to come", cases, *["0"] * 5, cases))
    rows.append(("all", *(str(sum(int(row[column]) for row in rows)) for column in range(1, len(COLUMNS)))))
    width = max(len(row[0]) for row in rows)
    lines = [
        row[0].ljust(width)
        + "".join(cell.rjust(len(head) + 2) for cell, head in zip(row[1:], COLUMNS[1:], strict=True))
        for row in (COLUMNS, *rows)
    ]
    return "\n".join(lines)


def main(options: list[str]) -> int:
    """Runs the parity tests, prints the table, and returns pytest's exit code."""
    collector, output = Collector(), StringIO()
    with redirect_stdout(output):
        code = pytest.main([str(FOLDER), *options], plugins=[collector])
    for file in FOLDER.glob("test_*.py"):
        area = collector.areas[file.stem.removeprefix("test_")]
        area.not_carried |= declared("NOT_CARRIED", file)
        unsaid = area.awaited ^ declared("AWAITED", file)
        if unsaid:
            print(f"{file.name}: AWAITED and what is skipped differ in {sorted(unsaid)}")
    if code:
        print(output.getvalue())
    print(table(collector.areas))
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
