"""Tries mutants: `python -m tests.mutation --number 200 --seed 1 --room keys`.

Each is a change of one place, made in a copy of the project, and is killed where a test of its room fails, or takes
far longer than it should. What lives shows what no test holds. The mutants are cosmic-ray's: it changes the files
themselves. mutmut is faster, but runs functions through its own frames, and this library looks at frames to say which
line of a program asked for a request. Sampling, time limits and the choice of tests are here, so that a run can be as
short as one likes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.mutation.mutants import ROOT, Room, rooms, sample
from tests.mutation.running import Tree, Trial, run_all

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".engines", "__pycache__", ".*_cache", ".hypothesis", "build"
)


def main() -> int:
    """Runs a sample and reports it; the status says whether enough were killed."""
    options = arguments()
    chosen = {name: room for name, room in rooms().items() if not options.room or name in options.room}
    drawn = sample(chosen, options.number, options.seed)
    print(
        f"{len(drawn)} mutants of {len(chosen)} rooms, seed {options.seed}, {options.jobs} at once",
        flush=True,
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees = [Tree(copied(Path(folder) / str(number))) for number in range(options.jobs)]
        trials = run_all(trees, chosen, drawn, ends=began + 60 * options.minutes)
    report(chosen, trials, len(drawn), options.report)
    print(f"{(time.monotonic() - began) / 60:.0f} minutes")
    return int(score(trials) < options.least)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--number", type=int, default=200, help="how many mutants (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default: 1)")
    parser.add_argument("--room", action="append", default=[], choices=sorted(rooms()), help="default: all")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: 2)")
    parser.add_argument(
        "--minutes", type=float, default=120, help="begin no more after so long (default: 120)"
    )
    parser.add_argument("--least", type=float, default=90, help="per cent that must be killed (default: 90)")
    parser.add_argument(
        "--report", type=Path, default=ROOT / "build" / "mutants.txt", help="where survivors go"
    )
    return parser.parse_args()


def copied(target: Path) -> Path:
    """A copy of the working tree; its engines are the tree's own."""
    shutil.copytree(ROOT, target, ignore=LEFT_OUT)
    if (ROOT / ".engines").is_dir():
        (target / ".engines").symlink_to(ROOT / ".engines")
    return target


def score(trials: list[Trial]) -> float:
    """How many per cent were killed, of those that are not accepted."""
    counted = [trial for trial in trials if not trial.reason]
    return 100 * sum(trial.killed for trial in counted) / max(1, len(counted))


def report(chosen: dict[str, Room], trials: list[Trial], drawn: int, file: Path) -> None:
    """Prints the score by room, and writes what lives to a file."""
    print(f"{'room':12} {'tried':>6} {'killed':>7} {'of them by time':>16} {'accepted':>9} {'score':>7}")
    for name in [*chosen, "all"]:
        own = [trial for trial in trials if name in (trial.mutant.room, "all")]
        late, reasons = sum(trial.late for trial in own), sum(bool(trial.reason) for trial in own)
        print(
            f"{name:12} {len(own):6} {sum(trial.killed for trial in own):7} {late:16} {reasons:9} {score(own):6.0f}%"
        )
    if len(trials) < drawn:
        print(f"{drawn - len(trials)} were not tried for lack of time")
    living = [trial for trial in trials if not trial.killed and not trial.reason]
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(map(shown, living)), encoding="utf-8")
    by_file = Counter(trial.mutant.file for trial in living)
    print(
        f"{len(living)} live, see {file}: {', '.join(f'{name} {count}' for name, count in by_file.items())}"
    )


def shown(trial: Trial) -> str:
    """One survivor, for a person who looks for the test that is missing."""
    mutant = trial.mutant
    return f"{mutant.file}:{mutant.line} ({mutant.room}, {mutant.operator})\n  - {trial.before}\n  + {trial.after}\n\n"


if __name__ == "__main__":
    sys.exit(main())
