"""Where the CPU of an operation goes, by room and by function: ``python -m benchmarks.profile [ROW …]``.

With ``--write``, what each part of the work takes of each operation is put on the page of figures.

Samples are taken on the process's CPU clock, so that functions cost what they cost unwatched; time in C, such as
parsing or sending, counts for the Python function that called it, of which the busiest line is shown. A figure
in µs is a share of the CPU that the operation takes when nobody samples.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import linecache
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import dynamo_bao
from benchmarks.contenders import NAMES, OURS
from benchmarks.measure import ENVIRONMENT
from benchmarks.operations import ROWS, operations
from benchmarks.report import PAGE, put_between, table
from benchmarks.server import canned_server

BEGIN, END = "<!-- profile: begin (made by `make profile`) -->", "<!-- profile: end -->"
PROFILED = ("batch_get", "get", "query", "put", "batch_write")
PARTS = {
    "parsing of the reply, checks of it": (
        "dynamo_bao.dynamodb.transport.integrity",
        "dynamo_bao.dynamodb.rows",
    ),
    "sending, signing, receiving (the kernel too)": ("dynamo_bao.dynamodb.transport", "http and sockets"),
    "items to values and back": (
        "made code",
        "dynamo_bao.mapping.codec",
        "dynamo_bao.mapping.compiler",
        "dynamo_bao.fields",
        "dynamo_bao.dynamodb.numbers",
    ),
    "sessions: lookups, rounds, figures, plans": (
        "dynamo_bao.session",
        "dynamo_bao.policy",
        "dynamo_bao.runtime.call_site",
    ),
    "reading the fields, and the loop of the benchmark": ("the benchmark",),
}
REST = "models, repositories, instances, writes"
INTERVAL = 0.001
SHOWN = 15
_STANDARD = Path(os.__file__).parent
_LIBRARY = Path(dynamo_bao.__file__).parent
_WIRE = ("http", "socket", "ssl", "selectors", "email", "_strptime")
_WAITS = ("threading", "queue", "concurrent")
_THREADS = "threads"


class Samples:
    """What was running, by function and by line."""

    def __init__(self) -> None:
        self.functions: Counter[CodeType] = Counter()
        self.lines: Counter[tuple[CodeType, int]] = Counter()

    def take(self, signum: int, frame: FrameType | None) -> None:
        """Notes the running function; of threads, where the main one waits, one that does not."""
        if frame is not None and _room(frame.f_code.co_filename) == _THREADS:
            others = sys._current_frames().values()
            frame = next((one for one in others if _room(one.f_code.co_filename) != _THREADS), frame)
        if frame is not None:
            self.functions[frame.f_code] += 1
            self.lines[frame.f_code, frame.f_lineno] += 1

    def parts(self) -> dict[str, float]:
        """The share that each part of the work has."""
        shares = dict.fromkeys((*PARTS, REST), 0.0)
        for code, count in self.functions.items():
            room = _room(code.co_filename)
            part = next((part for part, rooms in PARTS.items() if room.startswith(rooms)), REST)
            shares[part] += count / self.functions.total()
        return shares

    def busiest(self, code: CodeType) -> str:
        """The line of a function that most samples fell on."""
        number = max((count, line) for (one, line), count in self.lines.items() if one is code)[1]
        return linecache.getline(code.co_filename, number).strip()


@functools.cache
def _room(filename: str) -> str:
    """What a source file belongs to: a room of the library, another library, or a part of the standard library."""
    if filename.startswith("<"):
        first, *rest = filename.strip("<>").split()
        return f"standard library: {rest[0]}" if first == "frozen" else f"made code: {first}"
    path = Path(filename)
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1].removesuffix(".py")
    if path.is_relative_to(_LIBRARY):
        return ".".join(("dynamo_bao", *path.relative_to(_LIBRARY).with_suffix("").parts))
    if not path.is_relative_to(_STANDARD):
        return "the benchmark: keys, and reading fields"
    module = path.relative_to(_STANDARD).parts[0].removesuffix(".py")
    if module in _WAITS:
        return _THREADS
    return "http and sockets" if module in _WIRE else f"standard library: {module}"


def profile(call: Callable[[], Any], seconds: float) -> str:
    """What one operation spends its CPU on, as Markdown."""
    took, user, system = _unwatched(call, seconds / 3)
    samples, calls = _sampled(call, seconds), _called(call)
    whole = sum(samples.functions.values())
    lines = [
        f"{took * 1e6:,.0f} µs of CPU ({user * 1e6:,.0f} user, {system * 1e6:,.0f} system), "
        f"{sum(calls.values()):,} calls of Python functions; {whole:,} samples\n",
        *_rooms(samples, whole, took),
        "",
        *_functions(samples, whole, took, calls),
    ]
    return "\n".join(lines)


def parts_of(calls: Mapping[str, Callable[[], Any]], seconds: float) -> str:
    """What each part of the work takes of some operations, as a table in Markdown."""
    took = {row: _unwatched(call, seconds / 3)[0] for row, call in calls.items()}
    shares = {row: _sampled(call, seconds).parts() for row, call in calls.items()}
    body = [
        [part, *(f"{shares[row][part] * took[row] * 1e6:,.0f}" for row in calls)] for part in (*PARTS, REST)
    ]
    whole = ["all of it", *(f"{took[row] * 1e6:,.0f}" for row in calls)]
    return table(["µs of CPU", *(ROWS[row] for row in calls)], [*body, whole])


def _unwatched(call: Callable[[], Any], seconds: float) -> tuple[float, float, float]:
    """Seconds of CPU of one call, and those in and outside the kernel."""
    for _ in range(20):
        call()
    gc.collect()
    count, before, end = 0, os.times(), time.process_time() + seconds
    begun = time.process_time()
    while time.process_time() < end:
        call()
        count += 1
    took, after = time.process_time() - begun, os.times()
    user, system = after.user - before.user, after.system - before.system
    share = took / ((user + system) or took)  # the finer clock says how much, the coarser how it splits
    return took / count, user * share / count, system * share / count


def _sampled(call: Callable[[], Any], seconds: float) -> Samples:
    samples, end = Samples(), time.process_time() + seconds
    earlier = signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        while time.process_time() < end:
            call()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, earlier)
    for code in list(samples.functions):
        if code.co_filename == __file__:
            del samples.functions[code]
    return samples


def _called(call: Callable[[], Any]) -> Counter[CodeType]:
    """How often one call of the operation calls each Python function, in this thread."""
    calls: Counter[CodeType] = Counter()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return calls


def _rooms(samples: Samples, whole: int, took: float) -> list[str]:
    rooms: Counter[str] = Counter()
    for code, count in samples.functions.items():
        rooms[_room(code.co_filename)] += count
    shown = [(room, count) for room, count in rooms.most_common() if count * 100 >= whole]
    return [
        "| room | share | µs |",
        "| --- | --: | --: |",
        *(f"| {room} | {count / whole:.1%} | {count / whole * took * 1e6:,.1f} |" for room, count in shown),
    ]


def _functions(samples: Samples, whole: int, took: float, calls: Counter[CodeType]) -> list[str]:
    return [
        "| function | share | µs | calls | its busiest line |",
        "| --- | --: | --: | --: | --- |",
        *(
            f"| {_title(code)} | {count / whole:.1%} | {count / whole * took * 1e6:,.1f} | {calls[code] or ''} "
            f"| `{samples.busiest(code)[:70].replace('|', '¦')}` |"
            for code, count in samples.functions.most_common(SHOWN)
        ),
    ]


def _title(code: CodeType) -> str:
    return f"{_room(code.co_filename)}: `{getattr(code, 'co_qualname', code.co_name)}`"


def main() -> None:
    """Prints the profile of each operation asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the table of parts on {PAGE.name}")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--contender", choices=NAMES, default=OURS)
    parser.add_argument("--seconds", type=float, default=6.0, help="of CPU, for each operation")
    asked = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    with canned_server() as urls:
        module = importlib.import_module(f"benchmarks.contenders.{asked.contender}")
        made = operations(module.Contender(urls[0.0]))
        if asked.write:
            put_between(PAGE, BEGIN, END, parts_of({row: made[row] for row in PROFILED}, asked.seconds))
            return
        for row in asked.rows or PROFILED:
            print(f"### {ROWS[row]}\n\n{profile(made[row], asked.seconds)}\n", flush=True)


if __name__ == "__main__":
    main()
