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
from benchmarks.figures import machine
from benchmarks.measure import ENVIRONMENT
from benchmarks.operations import ROWS, operations
from benchmarks.report import PAGE, table
from benchmarks.server import canned_server
from tests.support.pages import put_between

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
OTHER_PART = "models, repositories, instances, writes"
INTERVAL = 0.001
MAX_FUNCTIONS = 15
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
            frames = sys._current_frames().values()
            frame = next(
                (other_frame for other_frame in frames if _room(other_frame.f_code.co_filename) != _THREADS),
                frame,
            )
        if frame is not None:
            self.functions[frame.f_code] += 1
            self.lines[frame.f_code, frame.f_lineno or 0] += (
                1  # compiled code has instructions without a line
            )

    def parts(self) -> dict[str, float]:
        """The share that each part of the work has."""
        shares = dict.fromkeys((*PARTS, OTHER_PART), 0.0)
        for code, count in self.functions.items():
            room = _room(code.co_filename)
            part = next((part for part, rooms in PARTS.items() if room.startswith(rooms)), OTHER_PART)
            shares[part] += count / self.functions.total()
        return shares

    def busiest(self, code: CodeType) -> str:
        """The line of a function that most samples fell on."""
        number = max((count, line) for (function, line), count in self.lines.items() if function is code)[1]
        return linecache.getline(code.co_filename, number).strip()


@functools.cache
def _room(filename: str) -> str:
    """What a source file belongs to: a room of the library, another library, or a part of the standard library."""
    if filename.startswith("<"):
        kind, *names = filename.strip("<>").split()
        return f"standard library: {names[0]}" if kind == "frozen" else f"made code: {kind}"
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
    seconds_of_call, user, system = _cpu_times(call, seconds / 3)
    samples, calls = _samples_of(call, seconds), _call_counts(call)
    total = sum(samples.functions.values())
    lines = [
        f"{seconds_of_call * 1e6:,.0f} µs of CPU ({user * 1e6:,.0f} user, {system * 1e6:,.0f} system), "
        f"{sum(calls.values()):,} calls of Python functions; {total:,} samples\n",
        *_rooms(samples, total, seconds_of_call),
        "",
        *_functions(samples, total, seconds_of_call, calls),
    ]
    return "\n".join(lines)


def parts_of(calls: Mapping[str, Callable[[], Any]], seconds: float) -> str:
    """What each part of the work takes of some operations, as a table in Markdown."""
    seconds_by_row = {row: _cpu_times(call, seconds / 3)[0] for row, call in calls.items()}
    shares = {row: _samples_of(call, seconds).parts() for row, call in calls.items()}
    body = [
        [part, *(f"{shares[row][part] * seconds_by_row[row] * 1e6:,.0f}" for row in calls)]
        for part in (*PARTS, OTHER_PART)
    ]
    totals = ["all of it", *(f"{seconds_by_row[row] * 1e6:,.0f}" for row in calls)]
    return table(["µs of CPU", *(ROWS[row] for row in calls)], [*body, totals])


def _cpu_times(call: Callable[[], Any], seconds: float) -> tuple[float, float, float]:
    """Seconds of CPU of one call, and those in and outside the kernel."""
    for _ in range(20):
        call()
    gc.collect()
    count, start_times, end = 0, os.times(), time.process_time() + seconds
    start_time = time.process_time()
    while time.process_time() < end:
        call()
        count += 1
    cpu_seconds, end_times = time.process_time() - start_time, os.times()
    user, system = end_times.user - start_times.user, end_times.system - start_times.system
    share = cpu_seconds / (
        (user + system) or cpu_seconds
    )  # the finer clock says how much, the coarser how it splits
    return cpu_seconds / count, user * share / count, system * share / count


def _samples_of(call: Callable[[], Any], seconds: float) -> Samples:
    samples, end = Samples(), time.process_time() + seconds
    earlier_handler = signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        while time.process_time() < end:
            call()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, earlier_handler)
    for code in list(samples.functions):
        if code.co_filename == __file__:
            del samples.functions[code]
    return samples


def _call_counts(call: Callable[[], Any]) -> Counter[CodeType]:
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


def _rooms(samples: Samples, total: int, seconds: float) -> list[str]:
    rooms: Counter[str] = Counter()
    for code, count in samples.functions.items():
        rooms[_room(code.co_filename)] += count
    busy_rooms = [(room, count) for room, count in rooms.most_common() if count * 100 >= total]
    return [
        "| room | share | µs |",
        "| --- | --: | --: |",
        *(
            f"| {room} | {count / total:.1%} | {count / total * seconds * 1e6:,.1f} |"
            for room, count in busy_rooms
        ),
    ]


def _functions(samples: Samples, total: int, seconds: float, calls: Counter[CodeType]) -> list[str]:
    return [
        "| function | share | µs | calls | its busiest line |",
        "| --- | --: | --: | --: | --- |",
        *(
            f"| {_title(code)} | {count / total:.1%} | {count / total * seconds * 1e6:,.1f} | {calls[code] or ''} "
            f"| `{samples.busiest(code)[:70].replace('|', '¦')}` |"
            for code, count in samples.functions.most_common(MAX_FUNCTIONS)
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
    options = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    with canned_server() as urls:
        module = importlib.import_module(f"benchmarks.contenders.{options.contender}")
        calls = operations(module.Contender(urls[0.0]))
        if options.write:
            about = machine()
            parts = parts_of({row: calls[row] for row in PROFILED}, options.seconds)
            put_between(
                PAGE, BEGIN, END, f"Made {about['made'][:10]}, load {about['load']:.1f} before.\n\n{parts}"
            )
            return
        for row in options.rows or PROFILED:
            print(f"### {ROWS[row]}\n\n{profile(calls[row], options.seconds)}\n", flush=True)


if __name__ == "__main__":
    main()
