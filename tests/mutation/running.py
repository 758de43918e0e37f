"""Runs the tests of mutants, each in a process of its own that is forked from one that has pytest imported."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.mutation.mutants import Mutant, Room, accepted, changed_lines
from tests.mutation.nearest import (
    IMPORT,
    Lines,
    NearestFirst,
    Recorder,
    file_of,
    import_once,
    nearest_to,
    read_lines,
)

OPTIONS = (
    *("-x", "-q", "--engine", "moto", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0"),
    *("--timeout", "60"),  # seconds of one test, so that one that hangs fails soon
    *(
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ),  # of what is imported before the processes are forked
)
COVERED = "covered.json"
"""Where in a tree it is noted which tests run which lines."""
POLL_SECONDS = 0.05
LEAST_SECONDS = 120.0
PATIENCE = 6
"""How many times as long as the unchanged code a mutant may take."""


class Trial(NamedTuple):
    """What came of one mutant.

    Attributes:
        before, after: the lines it changes.
        killed: whether a test failed, or it took too long.
        late: whether it took too long.
        reason: why it may live, if it does; empty otherwise.
    """

    mutant: Mutant
    before: str
    after: str
    killed: bool
    late: bool
    reason: str


class Tree:
    """A copy of the project in which one mutant at a time is tried.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._child = 0
        self._ends = 0.0
        self._begun = 0.0

    def begin(
        self, room: Room, seconds: float, *, first: Sequence[str] = (), unchanged: bool = False
    ) -> None:
        """Starts the tests of a room in a process of their own.

        Args:
            first: which of them, in this order; the other tests of their files follow. All by default.
            unchanged: whether there is no mutant, so that compiled files are kept, and the lines of tests noted.
        """
        self._begun = time.monotonic()
        self._ends = self._begun + seconds
        sys.stdout.flush()
        self._child = os.fork()
        if self._child == 0:
            os.setsid()
            status = 70
            try:
                status = _run(self.folder, room, first, unchanged)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)

    def ended(self) -> tuple[int | None, float] | None:
        """The status of pytest and the seconds it took; no status where the time was up, None while it runs."""
        child, status = os.waitpid(self._child, os.WNOHANG)
        took = time.monotonic() - self._begun
        if child:
            self._kill()
            return os.waitstatus_to_exitcode(status), took
        if time.monotonic() < self._ends:
            return None
        self._kill()
        os.waitpid(self._child, 0)
        return None, took

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child, signal.SIGKILL)

    def wait(self) -> tuple[int | None, float]:
        """The same, when it has ended."""
        while (ended := self.ended()) is None:
            time.sleep(POLL_SECONDS)
        return ended

    @contextlib.contextmanager
    def changed(self, file: str, source: str) -> Iterator[None]:
        """Within, a file is another, and nothing is left of it compiled."""
        path = self.folder / file
        original = path.read_bytes()
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            compiled.unlink()
        path.write_text(source, encoding="utf-8")
        try:
            yield
        finally:
            path.write_bytes(original)


def _run(folder: Path, room: Room, first: Sequence[str], unchanged: bool) -> int:
    os.chdir(folder)
    log = os.open(folder / "mutant.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "dynamo_bao", "examples")]:
        del sys.modules[name]
    sys.path[:] = [str(folder), *(entry for entry in sys.path if entry not in ("", os.environ["PYTHONPATH"]))]
    os.environ["PYTHONPATH"] = str(folder)
    if not unchanged:
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = not unchanged
    if not unchanged:
        files = room.tests if not first or IMPORT in first else {file_of(test): None for test in first}
        return int(pytest.main([*OPTIONS, *files], plugins=[NearestFirst(first)]))
    recorder = Recorder(folder, room.files)
    status = int(pytest.main([*OPTIONS, *room.tests], plugins=[recorder]))
    recorder.write(folder / COVERED)
    return status


def run_all(
    trees: list[Tree], rooms: Mapping[str, Room], mutants: Sequence[Mutant], ends: float
) -> list[Trial]:
    """Tries mutants, as many at once as there are trees.

    Args:
        ends: when none is begun any more, by `time.monotonic`.
    """
    os.environ.setdefault("PYTHONPATH", "")
    import_once()
    limits: dict[str, float] = {}
    lines: dict[str, Lines] = {}
    for name in {mutant.room: None for mutant in mutants}:
        seconds, lines[name] = _unchanged(trees, rooms[name])
        limits[name] = max(LEAST_SECONDS, PATIENCE * seconds)
    waiting, free = list(reversed(mutants)), list(trees)
    under_way: dict[Tree, tuple[Mutant, tuple[str, str], contextlib.ExitStack]] = {}
    trials: list[Trial] = []
    reasons = accepted()
    while under_way or (waiting and time.monotonic() < ends):
        while waiting and free and time.monotonic() < ends:
            mutant, tree = waiting.pop(), free.pop()
            original = (tree.folder / mutant.file).read_text(encoding="utf-8")
            source = mutant.source(original)
            stack = contextlib.ExitStack()
            stack.enter_context(tree.changed(mutant.file, source))
            under_way[tree] = mutant, changed_lines(original, source), stack
            nearest = nearest_to(lines[mutant.room], mutant.file, original, mutant.line)
            tree.begin(rooms[mutant.room], limits[mutant.room], first=nearest)
        for tree, (mutant, change, stack) in list(under_way.items()):
            ended = tree.ended()
            if ended is not None:
                stack.close()
                del under_way[tree]
                free.append(tree)
                killed = ended[0] != 0
                reason = "" if killed else reasons.get((mutant.file, *change), "")
                trials.append(Trial(mutant, *change, killed, ended[0] is None, reason))
                _tell(trials[-1], ended[1], len(trials), len(mutants))
        time.sleep(POLL_SECONDS)
    return trials


def _unchanged(trees: list[Tree], room: Room) -> tuple[float, Lines]:
    """How many seconds the tests of a room take, in the tree that takes longest, and what lines they run.

    They must pass.
    """
    for tree in trees:
        tree.begin(room, 3600, unchanged=True)
    longest = 0.0
    for tree in trees:
        status, took = tree.wait()
        if status != 0:
            log = (tree.folder / "mutant.log").read_text(encoding="utf-8", errors="replace")
            raise SystemExit(f"the tests of {room.name} fail without any mutant:\n{log[-4000:]}")
        longest = max(longest, took)
    print(f"{room.name}: {len(room.files)} files, its tests take {longest:.0f} s", flush=True)
    return longest, read_lines(trees[0].folder / COVERED)


def _tell(trial: Trial, seconds: float, number: int, total: int) -> None:
    outcome = (
        "killed by time"
        if trial.late
        else "killed"
        if trial.killed
        else "accepted"
        if trial.reason
        else "LIVES"
    )
    mutant = trial.mutant
    print(
        f"[{number}/{total}] {outcome} in {seconds:.0f} s: {mutant.file}:{mutant.line} {mutant.operator}",
        flush=True,
    )
    if outcome == "LIVES":
        print(f"    - {trial.before}\n    + {trial.after}", flush=True)
