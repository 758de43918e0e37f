"""Exceptions in the middle of the library's work: from a signal's handler, at any instruction."""

from __future__ import annotations

import dis
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import dynamo_bao

PACKAGE = str(Path(dynamo_bao.__file__).parent)
SIGNAL = signal.SIGUSR1


class SoftTimeLimitExceeded(Exception):
    """The exception that Celery's worker raises in a task that runs for too long."""


FOREIGN: tuple[Callable[[], BaseException], ...] = (
    lambda: SoftTimeLimitExceeded("soft limit"),
    lambda: TimeoutError("alarm"),
    lambda: OSError("of the application"),
    lambda: RuntimeError("of the application"),
    lambda: KeyboardInterrupt(),
)


@contextmanager
def signals_raise(error: BaseException) -> Iterator[None]:
    """Makes the handler of `SIGNAL` raise an exception."""

    def handler(signum: int, frame: FrameType | None) -> None:
        raise error

    before = signal.signal(SIGNAL, handler)
    try:
        yield
    finally:
        signal.signal(SIGNAL, before)


@cache
def _ends_of_blocks(code: CodeType) -> frozenset[int]:
    """The instructions that leave a ``with`` block: from the end of the block to the call of ``__exit__``.

    CPython handles no signal there, so that a lock which is held is always released.
    """
    instructions = [one for one in dis.get_instructions(code) if one.opname != "PRECALL"]
    ends = set[int]()
    for before, *nones, call in zip(*(instructions[start:] for start in range(5)), strict=False):
        if call.opname == "CALL" and all((one.opname, one.argval) == ("LOAD_CONST", None) for one in nones):
            first = before if before.opname == "SWAP" else nones[0]  # the block returns a value
            ends |= set(range(first.offset, call.offset + 1))
    return frozenset(ends)


class Instructions:
    """Runs calls, and interrupts them at an instruction of the library's code.

    It does so at every instruction, also where CPython handles no signals, except at the ends of ``with`` blocks.

    Args:
        modules: parts of the file names of the modules whose instructions count; all of the library's by default.
        without: parts of the file names of modules whose instructions do not count.

    Raises:
        ValueError: if a part is in no file name, as after a module got another name.
    """

    def __init__(self, *modules: str, without: tuple[str, ...] = ()) -> None:
        files = [str(path) for path in Path(PACKAGE).rglob("*.py")]
        for part in (*modules, *without):
            if not any(part in file for file in files):
                raise ValueError(f"no module of the library has {part!r} in the name of its file")
        self._modules = modules
        self._without = without
        self._countdown = -1
        self.counted = 0

    def run(self, call: Callable[[], Any], number: int = -1) -> Any:
        """Calls a function, and raises `SIGNAL` at an instruction by its number (from 0); never if it is negative."""
        self.counted, self._countdown = 0, number
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            return next(_apart(call))
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith((PACKAGE, "<dynamo_bao")):
            return None
        if self._modules and not any(part in file for part in self._modules):
            return None
        if any(part in file for part in self._without):
            return None
        frame.f_trace = self._step  # set already, because CPython 3.13 ignores the next line without it
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode" and frame.f_lasti not in _ends_of_blocks(frame.f_code):
            if self.counted == self._countdown:
                signal.raise_signal(SIGNAL)
            self.counted += 1
        return self._step


def _apart(call: Callable[[], Any]) -> Iterator[Any]:
    """Calls a function in a generator, because a generator has the exception that it handles for itself.

    After an interrupt at the first instruction of an ``except`` clause, CPython takes its exception for handled still.
    It would be in the context of all later exceptions of the thread.
    """
    yield call()
