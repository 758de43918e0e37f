"""Writes what the tests of the numbered promises report to `docs/understand/guarantees.md`.

``python -m tests.support.promise_page REPORTS`` keeps the figures of a run of pytest with ``--promises-to REPORTS``,
and writes the page. Without an argument it writes the page again, from the last figures and the tests as they are.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.figures import machine
from tests.support.pages import ROOT, put_between
from tests.support.promises import Report

PAGE = ROOT / "docs" / "understand" / "guarantees.md"
WORDS = ROOT / "tests" / "data" / "promises.toml"
FIGURES = ROOT / "tests" / "data" / "promise_figures.json"
MADE_BY = "(made by `make reliability`)"
NUMBER = re.compile(r"[-+]?[\d,]+(?:\.\d+)?")
SECTIONS = {"R": "reads", "W": "writes", "S": "sessions", "X": "security"}
"""The sections of the page, by the letters of their promises."""

Words = Mapping[str, Mapping[str, str]]
Figures = Mapping[str, Any]


class MissingFigureError(Exception):
    """The tests of a promise print nothing that its figure is made of."""


def words() -> Words:
    """The promises in words, in the order of the page."""
    return tomllib.loads(WORDS.read_text(encoding="utf-8"))


# --- figures -------------------------------------------------------------------------------------------------


def figures_of(reports: Iterable[Report], promises: Words) -> dict[str, Any]:
    """The figures of a run.

    Raises:
        MissingFigureError: if a promise has no figure.
    """
    reports_by_promise = defaultdict[str, list[Report]](list)
    for report in reports:
        reports_by_promise[report["promise"]].append(report)
    figures = {name: _figure(name, reports_by_promise[name], promises[name]) for name in promises}
    outcomes = Counter(report["outcome"] for of_one in reports_by_promise.values() for report in of_one)
    return {"machine": machine(), "outcomes": dict(outcomes), "promises": figures}


def _figure(name: str, reports: list[Report], promise: Mapping[str, str]) -> str:
    passed = sum(report["outcome"] == "passed" for report in reports)
    text = f"{passed} tests passed" if passed > 1 else "1 test passed"
    if "lines" in promise:
        lines = [line for report in reports for line in report["lines"]]
        text = summary(lines, promise["lines"], promise["figure"])
    if passed == 0 or not text:
        raise MissingFigureError(f"{name}: no test has passed, or none prints {promise.get('lines')!r}")
    return text


def summary(lines: Iterable[str], pattern: str, form: str) -> str:
    """A figure of printed lines; empty if none matches.

    >>> summary(["3 of 5, after 1.5 s", "1 of 5, after 0.5 s"], r"(?P<n>\\d) of (?P<of>\\d), after (?P<t_max>\\S+)",
    ...         "{n} of {of} in {runs} runs, after {t_max} s")
    '4 of 10 in 2 runs, after 1.5 s'
    """
    matches = [match for line in lines if (match := re.search(pattern, line))]
    if not matches:
        return ""
    numbers = defaultdict[str, list[float]](list)
    for match in matches:
        for name, text in match.groupdict().items():
            if text is not None:
                numbers[name].append(_number(text))
    values = {name: (max if name.endswith("_max") else sum)(found) for name, found in numbers.items()}
    return form.format(runs=len(matches), **{name: _shown(value) for name, value in values.items()})


def _shown(value: float) -> str:
    return f"{int(value) if value == int(value) else round(value, 3):,}"


def _number(text: str) -> float:
    match = NUMBER.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no number")
    digits = match[0].replace(",", "")
    return float(digits) if "." in digits else int(digits)


# --- the page ------------------------------------------------------------------------------------------------


def parts(figures: Figures, promises: Words) -> dict[str, str]:
    """The generated parts of the page by their names in its markers."""
    return {
        "run": _run(figures),
        **{name: _section(letter, figures, promises) for letter, name in SECTIONS.items()},
        "tests": _tests(promises),
    }


def _run(figures: Figures) -> str:
    of_run, outcomes = figures["machine"], figures["outcomes"]
    counts = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(outcomes.items()))
    return (
        f"The last run: {of_run['made'][:10]}, tests of promises: {counts}. {of_run['python']} on {of_run['system']}, "
        f"{of_run['cores']} cores; the engines moto and dynoxide."
    )


def _section(letter: str, figures: Figures, promises: Words) -> str:
    rows = [
        (name, promise["fault"], promise["promise"], figures["promises"][name])
        for name, promise in promises.items()
        if name[0] == letter
    ]
    return _table(("", "if …", "then …", "the last run"), rows)


@cache
def marked_tests() -> dict[str, dict[str, list[str]]]:
    """The names of the marked tests by promise and file."""
    tests: dict[str, dict[str, list[str]]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for promise in filter(None, map(_promise_of, node.decorator_list)):
                    of_file = tests.setdefault(promise, {}).setdefault(str(path.relative_to(ROOT)), [])
                    of_file.append(node.name)
    return tests


def _promise_of(decorator: ast.expr) -> str | None:
    match = re.fullmatch(r"pytest\.mark\.promise\('(\w+)'\)", ast.unparse(decorator))
    return match[1] if match else None


def _tests(promises: Words) -> str:
    tests = marked_tests()
    rows = [
        (name, "<br>".join(f"`{file}`: {_quoted(tests[name][file])}" for file in tests[name]))
        for name in promises
        if name in tests
    ]
    return _table(("", "held by"), rows)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def write_page(figures: Figures, page: Path = PAGE) -> None:
    """Puts the tables between the markers of the page."""
    for name, text in parts(figures, words()).items():
        put_between(page, f"<!-- {name}: begin {MADE_BY} -->", f"<!-- {name}: end -->", text)


def main(arguments: list[str]) -> None:
    """Keeps the figures of the reports that the argument names, and writes the page."""
    if arguments:
        reports = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        FIGURES.write_text(json.dumps(figures_of(reports, words()), indent=1) + "\n", encoding="utf-8")
    write_page(json.loads(FIGURES.read_text(encoding="utf-8")))
    print(f"{PAGE.relative_to(ROOT)} is written.")


if __name__ == "__main__":
    main(sys.argv[1:])
