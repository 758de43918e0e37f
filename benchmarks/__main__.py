"""All measurements of ``docs/understand/performance.md``: ``python -m benchmarks``, which ``make bench`` runs.

There are five parts: the comparison, threads, writes, jobs and the embedded engine. When a part is finished, its
figures go to ``benchmarks/results/figures.json``, and the tables and pictures of the page are written. So it can be
interrupted, and ``python -m benchmarks --parts jobs embedded`` goes on with parts that are left. A comparison of some
rows or contenders (``--rows``, ``--contenders``) is only printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import embedded, writes
from benchmarks.contenders import BASELINE, NAMES, OURS
from benchmarks.dashboard import COUNTING, DELAYS, measure_dashboard
from benchmarks.figures import load, machine, store, versions
from benchmarks.measure import (
    LIVES,
    Figures,
    Turn,
    available,
    contenders,
    measure_memory,
    measure_row,
    measure_session,
    measure_starts,
    say,
)
from benchmarks.operations import ROWS
from benchmarks.report import BEGIN, END, PAGE, RESULTS, goals, report, write_page
from benchmarks.server import ROOT, canned_server
from benchmarks.threads import DELAY, ROUNDS as THREAD_ROUNDS, measure_threads
from tests.support.engines import Engines, EngineUnavailable

PARTS = ("comparison", "threads", "writes", "jobs", "embedded")
"""The parts, in the order in which they run."""
ROUNDS = 21
STARTS = 9
BOARDS = 11


ITEMS_OF_JOBS = 20_000
ROUNDS_OF_WRITES = 15
ROUNDS_OF_JOBS = 3


def main() -> None:
    """Runs the measurements of the command line."""
    options = _arguments()
    names = [name for name in available() if name in options.contenders or name == BASELINE]
    is_whole = set(options.rows) == set(ROWS) and set(options.contenders) == set(NAMES)
    results = None if options.out is None else options.out / RESULTS.name
    if results is None and is_whole and not options.quick:
        results = RESULTS
    parts: dict[str, Callable[[], Figures]] = {
        "comparison": lambda: measure(names, options.rows, options.rounds, quick=options.quick),
        "threads": lambda: _threads(names, quick=options.quick),
        "writes": lambda: _writes(quick=options.quick),
        "jobs": lambda: _jobs(quick=options.quick),
        "embedded": lambda: _embedded(quick=options.quick),
    }
    figures = load(results) if results is not None and results.exists() else {}
    for name in options.parts or (PARTS if is_whole or options.out else PARTS[:1]):
        begin = machine()
        try:
            part = parts[name]()
        except KeyboardInterrupt:
            sys.exit(f"\n{name} was interrupted; the parts before it are stored. Go on with --parts {name} …")
        except EngineUnavailable as error:
            say(f"{name}: left out, because {error}\n")
            continue
        figures = {**figures, **part, "parts": {**figures.get("parts", {}), name: begin}}
        if results is not None:
            _write(figures, results)
    print(report(figures))
    print("\n" + goals(figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    rounds = int(os.environ.get("BENCH_ROUNDS", ROUNDS))
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of each contender (BENCH_ROUNDS)")
    parser.add_argument(
        "--quick", action="store_true", help="only test that everything works: 2 rounds, no slow parts"
    )
    parser.add_argument(
        "--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS)
    )
    parser.add_argument("--contenders", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME")
    parser.add_argument(
        "--out", type=Path, help="a folder for figures.json, performance.md and performance.svg"
    )
    return parser.parse_args()


def measure(names: list[str], rows: list[str], rounds: int, *, quick: bool = False) -> Figures:
    """Verifies the contenders, and measures them."""
    rounds = 2 if quick else rounds
    with canned_server(0.0, *DELAYS, COUNTING) as urls:
        url = urls[0.0]
        figures: Figures = {"versions": versions(names), "rounds": rounds, "rows": {}}
        with contenders(names, url, quick=quick) as turns:
            _verify(turns)
            for row in rows:
                figures["rows"][row] = measure_row(turns, row, rounds, quick=quick)
            figures["memory"] = measure_memory(turns, quick=quick)
            if OURS in names:
                figures["session"] = measure_session(turns, rounds)
        figures["starts"] = measure_starts(names, url, 1 if quick else min(rounds, STARTS))
        if OURS in names:
            figures["dashboard"] = measure_dashboard(urls, min(rounds, BOARDS), quick=quick)
    return figures


def _verify(turns: list[Turn]) -> None:
    for turn in turns:
        turn.do_all(do="verify")
        say(f"{NAMES[turn.name]}: reads and writes what it should\n")


def _threads(names: list[str], *, quick: bool) -> Figures:
    with canned_server(DELAY) as urls:
        return {"threads": measure_threads(names, urls[DELAY], THREAD_ROUNDS, quick=quick)}


@contextmanager
def _dynoxide() -> Iterator[str]:
    """The URL of dynoxide, with credentials for it in the environment."""
    os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "dummy"))
    engines = Engines()
    try:
        yield str(engines.get("dynoxide").endpoint_url)
    finally:
        engines.stop()


def _in_new_process(module: str, *arguments: object) -> Figures:
    """What ``figures`` of a module of the benchmark returns in a process that has loaded nothing else.

    In this process asyncio is loaded, for instance, and so each operation would look for a running task.
    """
    call = f"{module}.figures(*json.loads(sys.argv[1]))"
    code = f"import json, sys; from benchmarks import {module}; print(json.dumps({call}))"
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    process = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    figures: Figures = json.loads(process.stdout)
    return figures


def _writes(*, quick: bool) -> Figures:
    lives, rounds = (1, 1) if quick else (LIVES, ROUNDS_OF_WRITES)
    joined: dict[str, writes.Rounds] = {}
    for _ in range(lives):
        with _dynoxide() as url:
            for row, further_rounds in _in_new_process("writes", url, rounds).items():
                joined.setdefault(row, []).extend(further_rounds)
    return {"writes": {row: writes.medians(joined[row]) for row in joined}}


def _jobs(*, quick: bool) -> Figures:
    count, rounds = (200, 1) if quick else (ITEMS_OF_JOBS, ROUNDS_OF_JOBS)
    with _dynoxide() as url:
        return {"jobs": _in_new_process("bulk", url, count, rounds)}


def _embedded(*, quick: bool) -> Figures:
    try:
        with _dynoxide() as url:
            return {"embedded": embedded.figures(url, quick=quick)}
    except EngineUnavailable:
        return {"embedded": embedded.figures(None, quick=quick)}


def _write(figures: Figures, results: Path) -> None:
    store(figures, results)
    page = PAGE if results == RESULTS else results.with_name(PAGE.name)
    if page is not PAGE:
        page.write_text(f"{BEGIN}\n{END}\n")
    write_page(figures, page)


if __name__ == "__main__":
    main()
