"""The comparison: ``python -m benchmarks``, which ``make bench`` runs.

It writes its figures to ``benchmarks/results/figures.json``, and the tables and the picture of
``docs/understand/performance.md``.
Parts of it (``--rows``, ``--contenders``) are only printed.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.contenders import BASELINE, NAMES, OURS
from benchmarks.dashboard import COUNTING, DELAYS, measure_dashboard
from benchmarks.figures import machine, store, versions
from benchmarks.measure import (
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
from benchmarks.server import canned_server

ROUNDS = 21
STARTS = 9
BOARDS = 11


def main() -> None:
    """Runs the measurements of the command line."""
    options = _arguments()
    names = [name for name in available() if name in options.contenders or name == BASELINE]
    figures = measure(names, options.rows, options.rounds, quick=options.quick)
    print(report(figures))
    print("\n" + goals(figures))
    if options.out is not None:
        _write(figures, options.out)
    elif not options.quick and set(options.rows) == set(ROWS) and set(options.contenders) == set(NAMES):
        store(figures, RESULTS)
        write_page(figures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
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
        figures: Figures = {"machine": machine(), "versions": versions(names), "rounds": rounds, "rows": {}}
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


def _write(figures: Figures, folder: Path) -> None:
    store(figures, folder / RESULTS.name)
    page = folder / PAGE.name
    page.write_text(f"{BEGIN}\n{END}\n")
    write_page(figures, page)


if __name__ == "__main__":
    main()
