"""Gets of several threads of one process: ``python -m benchmarks --parts threads``.

Each thread gets objects in a loop, and reads all their fields. The server answers each request after two milliseconds,
as a service in the same region does, so that threads have something to wait for. What counts is gets a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from benchmarks.contenders import BASELINE, OURS
from benchmarks.measure import Figures, contenders, in_turns, say
from benchmarks.operations import ROWS

COUNTS: Final = (1, 4, 16)
"""The numbers of threads."""
DELAY: Final = 2.0
"""The milliseconds that a request takes longer."""
CONTENDERS: Final = (BASELINE, "pynamodb_models", "pydynox_models", OURS)
TURN_SECONDS: Final = 0.4
ROUNDS: Final = 9


def calls_a_second(call: Callable[[], object], threads: int, seconds: float) -> float:
    """How often threads together do a call in a second; each of them repeats it for some seconds."""
    ready, counts = threading.Barrier(threads + 1), [0] * threads

    def repeat(number: int) -> None:
        for _ in range(3):  # which opens the thread's connection
            call()
        ready.wait()
        end_time = time.perf_counter() + seconds
        while time.perf_counter() < end_time:
            call()
            counts[number] += 1

    workers = [threading.Thread(target=repeat, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    start_time = time.perf_counter()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - start_time)


def measure_threads(names: list[str], url: str, rounds: int, *, quick: bool = False) -> Figures:
    """By contender and number of threads, the gets a second in each round."""
    say(f"{ROWS['get']}, by threads\n")
    chosen = [name for name in CONTENDERS if name in names]
    figures: Figures = {name: {str(count): [] for count in COUNTS} for name in chosen}
    seconds = 0.02 if quick else TURN_SECONDS
    with contenders(chosen, url, quick=True) as turns:
        for count in COUNTS:
            for turn in in_turns(turns, 1 if quick else rounds):
                rate = turn.do(do="threads", row="get", threads=count, seconds=seconds)
                figures[turn.name][str(count)].append(rate)
    return figures
