"""Records the round trips of code, in any session, thread and manager."""

from __future__ import annotations

import linecache
from collections import Counter
from collections.abc import Mapping
from threading import get_ident
from types import TracebackType
from typing import TypeVar

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.runtime.call_site import CallSite
from dynamo_bao.runtime.records import evolve
from dynamo_bao.session.rounds import Round, Rounds, round_observers
from dynamo_bao.session.trace import Trace

Watch = TypeVar("Watch", bound="RoundWatch")

SHOWN_ROUNDS = 30
"""The number of rounds that a failure lists. All rounds are counted by line."""


class RoundWatch:
    """Records every round that ends inside its block, of any thread and manager, also outside of sessions.

    Args:
        this_thread: whether only rounds of the thread that makes the watch count, for servers with several threads.

    Attributes:
        rounds: the rounds so far, oldest first.

    Example:
        >>> with RoundWatch() as watch:
        ...     client.get("/dashboard")
        >>> print(watch.trace())
    """

    def __init__(self, *, this_thread: bool = False) -> None:
        self.rounds: list[Round] = []
        self._thread = get_ident() if this_thread else None
        self._alone: Counter[tuple[Rounds | None, CallSite]] = Counter()

    def __enter__(self: Watch) -> Watch:
        round_observers.append(self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        round_observers.remove(self._note)

    def _note(self, round_: Round, rounds: Rounds | None) -> None:
        if self._thread not in (None, get_ident()):
            return
        self.rounds.append(round_)
        if round_.is_single_fetch:
            self._alone[rounds, round_.cause] += 1

    @property
    def round_trips(self) -> int:
        """The number of times that the block waited for DynamoDB."""
        return len(self.rounds)

    def trace(self) -> Trace:
        """The rounds so far, numbered in the order in which they ended.

        Returns:
            The trace; `print` shows it as a table.

        Example:
            >>> with RoundWatch() as watch:
            ...     page()
            >>> print(watch.trace())
        """
        return Trace(tuple(evolve(round_, number=number) for number, round_ in enumerate(self.rounds, 1)))

    def one_by_one(self, threshold: int) -> dict[CallSite, int]:
        """The lines that fetched one key or query at a time, `threshold` times or more in one session.

        Requests outside of sessions count as one session.

        Args:
            threshold: the smallest number of single fetches.

        Returns:
            The highest number of single fetches in one session, by line.

        Example:
            >>> assert not watch.one_by_one(5)
        """
        worst: dict[CallSite, int] = {}
        for (_, cause), times in self._alone.items():
            if times >= threshold:
                worst[cause] = max(times, worst.get(cause, 0))
        return worst

    def __str__(self) -> str:
        """The lines with the number of their rounds, then the rounds."""
        lines = described_lines(Counter(round_.cause for round_ in self.rounds))
        trace = self.trace()
        if len(trace) > SHOWN_ROUNDS:
            first_rounds = Trace(trace.rounds[:SHOWN_ROUNDS])
            return f"{lines}\n{first_rounds}\n  … and {len(trace) - SHOWN_ROUNDS} more"
        return f"{lines}\n{trace}" if self.rounds else str(trace)


def described_lines(times: Mapping[CallSite, int]) -> str:
    """Lines of the program with a number for each, the highest first, and their code."""
    texts = []
    for cause, number in sorted(times.items(), key=lambda pair: -pair[1]):
        code = linecache.getline(cause.file, cause.line).strip()
        texts.append(f"{number:>5} x {cause}" + (f"    {code}" if code else ""))
    return "\n".join(texts)


class MaxRoundTrips(RoundWatch):
    """What `assert_max_round_trips` returns."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise ConfigurationError(f"assert_max_round_trips({limit!r}): give a whole number, 0 or more.")
        self.limit = limit

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        __tracebackhide__ = True  # pytest then shows the test's own line
        super().__exit__(kind, error, trace)
        if error is None and self.round_trips > self.limit:
            raise AssertionError(
                f"{self.round_trips} round trips, and at most {self.limit} were allowed:\n{self}"
            )


def assert_max_round_trips(limit: int) -> MaxRoundTrips:
    """Fails if its block waits for DynamoDB more than `limit` times. It needs no pytest.

    All requests count: in sessions that the block opens or that are around it, outside of sessions, and in other
    threads. Each page and each write is a wait, and requests that are sent together are one wait. The repetition of
    a request does not count.

    Args:
        limit: the allowed number of round trips, 0 or more.

    Returns:
        A context manager that yields a `RoundWatch`.

    Raises:
        AssertionError: at the end of the block, with every round and the line that caused it.
        ConfigurationError: if `limit` is no whole number of 0 or more.

    Example:
        >>> with assert_max_round_trips(3) as watch:
        ...     render_dashboard(user_id)
        >>> watch.round_trips
        2
    """
    return MaxRoundTrips(limit)
