"""Measures pages, made in three ways: how often each waits for DynamoDB, as the library's own rounds tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Flask

from dynamo_bao import run_with_batch_context
from dynamo_bao.flask import Bao
from dynamo_bao.testing import RoundWatch, Trace


@dataclass(frozen=True)
class Way:
    """A way to run the code of a page. The code is the same.

    Attributes:
        context: opens what the code runs in.
        extension: does the same for each request of a Flask application.
    """

    title: str
    about: str
    context: Callable[[], AbstractContextManager[object]]
    extension: Callable[[Flask], object]


NAIVE = Way(
    "naive code",
    "No batch context: each step of each loop waits for a request of its own.",
    nullcontext,
    nullcontext,
)
ONE = Way(
    "one at a time",
    "A batch context with fetch='one': nothing is loaded twice, and nothing in advance.",
    partial(run_with_batch_context, fetch="one"),
    partial(Bao, fetch="one"),
)
NOW = Way(
    "now",
    "A batch context: what one instance of a loop needs is loaded for all of them, in one round.",
    run_with_batch_context,
    Bao,
)
WAYS = (NAIVE, ONE, NOW)


@contextmanager
def delayed(client: Any, seconds: float) -> Generator[None, None, None]:
    """Delays each request of a boto3 client in its block, as a network would.

    Args:
        client: the DynamoDB client.
        seconds: the delay of each request.
    """

    def sleep(**_: object) -> None:
        time.sleep(seconds)

    client.meta.events.register("before-call.dynamodb", sleep)
    try:
        yield
    finally:
        client.meta.events.unregister("before-call.dynamodb", sleep)


@dataclass(frozen=True)
class Visit:
    """One page: its content and its cost.

    Attributes:
        round_trips: the waits of the page for DynamoDB. Requests that the library sends together count once.
    """

    content: str
    requests: int
    round_trips: int
    seconds: float


def visit(app: Flask, address: str) -> Visit:
    """Makes one page with an application, and measures it."""
    started = time.perf_counter()
    with RoundWatch(this_thread=True) as watch:
        reply = app.test_client().get(address)
    seconds = time.perf_counter() - started
    if reply.status_code != 200:
        raise RuntimeError(f"{address} was answered with {reply.status}.")
    requests = sum(len(round_.requests) for round_ in watch.rounds)
    return Visit(main_part(reply.text), requests, watch.round_trips, seconds)


def main_part(page: str) -> str:
    """A page without its footer, whose figures differ from visit to visit."""
    return page.partition("<footer>")[0]


# --- beside a page ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """A round on a time axis.

    Attributes:
        left, width: its begin and its length, in percent of the axis.
        requests: how many requests it sent.
        text: its number, operations and line of code.
    """

    left: float
    width: float
    requests: int
    text: str


@dataclass(frozen=True)
class Cost:
    """What a page costs in one way, with its rounds."""

    way: Way
    trace: Trace

    @property
    def requests(self) -> int:
        """The requests of all rounds."""
        return sum(len(round_.requests) for round_ in self.trace)

    @property
    def seconds(self) -> float:
        """From the begin of the first round to the end of the last."""
        return max((round_.started + round_.seconds for round_ in self.trace), default=0.0) - self._start

    @property
    def _start(self) -> float:
        return min((round_.started for round_ in self.trace), default=0.0)

    def bars(self, seconds: float) -> Iterator[Bar]:
        """The rounds as bars on a time axis of some seconds."""
        for round_ in self.trace:
            operations = ", ".join(dict.fromkeys(request.operation for request in round_.requests))
            yield Bar(
                left=(round_.started - self._start) / seconds * 100,
                width=round_.seconds / seconds * 100,
                requests=len(round_.requests),
                text=f"{round_.number}: {operations} ({len(round_.requests)}), {round_.cause.relative}",
            )


def compare(build: Callable[[], object], trace: Trace) -> list[Cost]:
    """The costs of what a function builds, in all three ways.

    Args:
        trace: the rounds that it took now, in the batch context of the page.
    """
    return [*(_measure(way, build) for way in (NAIVE, ONE)), Cost(NOW, trace)]


def _measure(way: Way, build: Callable[[], object]) -> Cost:
    """Runs a function outside the batch context of the page: contexts are seen where they were opened only."""
    with RoundWatch(this_thread=True) as watch:
        Context().run(_run, way, build)
    return Cost(way, watch.trace())


def _run(way: Way, build: Callable[[], object]) -> None:
    with way.context():
        build()


def time_marks(seconds: float) -> Sequence[float]:
    """Round numbers of seconds along a time axis, from 0 on.

    >>> list(time_marks(1.3)), list(time_marks(0.009))
    ([0.0, 0.5, 1.0], [0.0, 0.002, 0.004, 0.006, 0.008])
    """
    step = next(
        factor * 10.0**power
        for power in range(-6, 6)
        for factor in (1, 2, 5)
        if factor * 10.0**power * 5 >= seconds
    )
    return [round(number * step, 9) for number in range(int(seconds / step) + 1)]
