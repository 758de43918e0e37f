"""Runs all contenders in turns and collects their times.

Every contender runs in its own processes. In each round of a row, each contender has a turn, and each round begins with
another contender. So other work on the machine affects all alike. Figures are compared within a round, and the median
of the rounds counts. Each contender has several processes, one after the other, because the memory layout of a process
makes it some percent faster or slower as long as it lives.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from benchmarks.contenders import NAMES, NEEDS, OURS
from benchmarks.items import ITEMS, PAGE
from benchmarks.operations import ROWS
from benchmarks.server import ROOT

LIVES = 3
"""The number of processes of a contender that take turns."""
TURN_SECONDS = 0.06
"""The seconds of CPU of a turn: enough for an exact clock, and few enough for many turns."""

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "PYTHONHASHSEED": "0",
}

Figures = dict[str, Any]


def environment() -> dict[str, str]:
    """The environment of the processes: this one, with the settings that all contenders share.

    Compiled modules are cached, as for installed libraries, so that a start does not measure the compiler.
    """
    shared = {**os.environ, **ENVIRONMENT}
    shared.pop("PYTHONDONTWRITEBYTECODE", None)
    return shared


def is_installed(name: str) -> bool:
    """Whether a contender's library is installed."""
    return all(importlib.util.find_spec(package) is not None for package in NEEDS.get(name, ()))


class Failed(Exception):
    """A contender's process ended before it answered."""


class Turn:
    """The processes of a contender, which take turns."""

    def __init__(self, name: str, processes: list[subprocess.Popen[str]]) -> None:
        self.name = name
        self.lives = len(processes)
        self._processes = itertools.cycle(processes)

    def do(self, **command: Any) -> Any:
        """Sends a command to the next process, and returns its answer."""
        process = next(self._processes)
        assert process.stdin is not None
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()
        return _answer(self.name, process)

    def do_all(self, **command: Any) -> list[Any]:
        """Sends a command to each process in turn, and returns their answers."""
        return [self.do(**command) for _ in range(self.lives)]


def _answer(name: str, process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise Failed(f"{name} ended with {process.wait(10)}; its error is above")
    return json.loads(line)


@contextmanager
def processes(commands: dict[str, list[str]], lives: int = 1) -> Iterator[list[Turn]]:
    """Starts processes from commands by name. They end with the block.

    Args:
        commands: by name, the module and its arguments.
        lives: the number of processes for each name.
    """
    with ExitStack() as stack:
        turns = []
        for name, command in commands.items():
            group = [_start_process(stack, command) for _ in range(lives)]
            turns.append(Turn(name, group))
            for process in group:
                _answer(name, process)
        yield turns


def _start_process(stack: ExitStack, command: list[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(_end, process)
    return process


def contenders(names: list[str], url: str, *, quick: bool = False) -> AbstractContextManager[list[Turn]]:
    """The processes of the contenders. With `quick`, there is only one for each."""
    return processes({name: ["benchmarks.worker", name, url] for name in names}, 1 if quick else LIVES)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.wait(30)


def in_turns(turns: list[Turn], rounds: int) -> Iterator[Turn]:
    """The turns of some rounds. Each round begins with another contender."""
    for number in range(rounds):
        begin = number % len(turns)
        yield from turns[begin:] + turns[:begin]


def gather(turns: list[Turn], rounds: int, run: Callable[[Turn], list[float]]) -> Figures:
    """By name, the seconds of CPU and of wall time that `run` returned in each round."""
    figures: Figures = {turn.name: {"cpu": [], "wall": []} for turn in turns}
    for turn in in_turns(turns, rounds):
        cpu, wall = run(turn)
        figures[turn.name]["cpu"].append(cpu)
        figures[turn.name]["wall"].append(wall)
    return figures


def measure_row(turns: list[Turn], row: str, rounds: int, *, quick: bool = False) -> Figures:
    """By contender, the seconds of one call in each round, and the number of functions that it calls.

    Args:
        quick: whether a turn is only one call, to test that it works.
    """
    say(f"{ROWS[row]}\n")
    calls = {turn.name: turn.do(do="calls", row=row) for turn in turns}
    counts = {turn.name: 1 if quick else _count_for(turn, row) for turn in turns}
    times_by_name = gather(turns, rounds, lambda turn: turn.do(do="run", row=row, count=counts[turn.name]))
    return {name: {**figures, "calls": calls[name]} for name, figures in times_by_name.items()}


def _count_for(turn: Turn, row: str) -> int:
    """The number of calls that fill a turn, by a short trial after a first one that warms up."""
    turn.do_all(do="run", row=row, count=2)
    cpu, _ = turn.do(do="run", row=row, count=3)
    return max(1, round(TURN_SECONDS / cpu)) if cpu else 1000


def measure_starts(names: list[str], url: str, rounds: int) -> Figures:
    """By contender, the seconds of CPU and of wall time of a first object, each time in a new process."""
    say("import + client + first call\n")
    figures: Figures = {name: {"cpu": [], "wall": []} for name in names}
    for _ in range(rounds):
        for name in names:
            cpu, wall = _start(name, url)
            figures[name]["cpu"].append(cpu)
            figures[name]["wall"].append(wall)
    return figures


def _start(name: str, url: str) -> tuple[float, float]:
    program = "from benchmarks.start import main; main()"
    command = [sys.executable, "-c", program, name, url]
    process = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise Failed(f"{name}: {process.stderr}")
    cpu, wall = map(float, process.stdout.split()[-2:])
    return cpu, wall


def measure_memory(turns: list[Turn], *, quick: bool = False) -> Figures:
    """By contender, the bytes of a loaded instance and of its item as parsed JSON."""
    return {turn.name: turn.do(do="memory", count=PAGE if quick else ITEMS) for turn in turns}


def measure_session(turns: list[Turn], rounds: int) -> Figures:
    """By round, the microseconds of a lookup that is new to a session, and of one that it knows."""
    (turn,) = (turn for turn in turns if turn.name == OURS)
    figures: Figures = {"new": [], "known": []}
    for _ in range(rounds):
        for name, microseconds in turn.do(do="session").items():
            figures[name].append(microseconds)
    return figures


def available() -> list[str]:
    """The contenders that are installed. Prints those that are not."""
    installed = [name for name in NAMES if is_installed(name)]
    for name in NAMES:
        if name not in installed:
            say(f"{NAMES[name]} is not installed, and left out: pip install -e '.[bench]'\n")
    return installed


def say(text: str) -> None:
    """Prints progress to stderr."""
    print(text, end="", file=sys.stderr, flush=True)
