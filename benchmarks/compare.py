"""The time of each small operation, compared with an earlier version of the library.

``git worktree add ../base main && python -m benchmarks.compare --base ../base``

Both checkouts run the same operations in their own processes, in short alternating turns. So other work on the machine
affects both. The least of many turns is the time of an undisturbed operation. The median is shown beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measure import environment
from benchmarks.server import ROOT

TURN_SECONDS = 0.01
BAR = 1.03
_RUN = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"


class Checkout:
    """A process that measures the library of one checkout."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        command = [sys.executable, "-c", _RUN, str(ROOT / "benchmarks" / "canned.py")]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment() | {"PYTHONPATH": str(folder)},
            stdin=pipe,
            stdout=pipe,
            text=True,
        )
        stack.callback(self._end)
        self.rows: list[str] = self._answer()

    def take(self, row: str, count: int) -> float:
        """The mean seconds of CPU of one call, over `count` calls."""
        assert self._process.stdin is not None
        print(json.dumps({"row": row, "count": count}), file=self._process.stdin, flush=True)
        seconds: float = self._answer()
        return seconds

    def _answer(self):  # type: ignore[no-untyped-def]
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a process ended with {self._process.wait(10)}; its error is above")
        return json.loads(line)

    def _end(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


def compare(
    base: Path, rows: list[str] | None, rounds: int, lives: int
) -> dict[str, tuple[list[float], list[float]]]:
    """The seconds of all turns by operation: of the base, and of this checkout."""
    turns_by_row: dict[str, tuple[list[float], list[float]]] = {}
    for _ in range(lives):
        with ExitStack() as stack:
            pair = [Checkout(folder, stack) for folder in (base, ROOT)]
            for row in rows or pair[0].rows:
                turns = turns_by_row.setdefault(row, ([], []))
                counts = []
                for checkout in pair:
                    checkout.take(row, 20)
                    counts.append(max(1, round(TURN_SECONDS / checkout.take(row, 20))))
                for number in range(rounds):
                    for index in (0, 1) if number % 2 else (1, 0):
                        turns[index].append(pair[index].take(row, counts[index]))
    return turns_by_row


def table(turns_by_row: dict[str, tuple[list[float], list[float]]]) -> str:
    """The figures as a table."""
    lines = [f"{'operation':30}{'base µs':>10}{'now µs':>10}{'ratio':>8}{'of medians':>12}"]
    for row, (base, current) in turns_by_row.items():
        ratio = min(current) / min(base)
        median = statistics.median(current) / statistics.median(base)
        mark = "  slower" if ratio > BAR else ""
        lines.append(
            f"{row:30}{min(base) * 1e6:10.2f}{min(current) * 1e6:10.2f}{ratio:8.3f}{median:12.3f}{mark}"
        )
    return "\n".join(lines)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="a checkout of the earlier version")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each operation in each process")
    parser.add_argument(
        "--lives", type=int, default=3, help="processes of each checkout, one after the other"
    )
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="only these operations")
    options = parser.parse_args()
    print(table(compare(options.base.resolve(), options.rows, options.rounds, options.lives)))


if __name__ == "__main__":
    main()
