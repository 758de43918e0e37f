"""Rounds: each time a program waits for DynamoDB, with what caused it and what it cost; budgets stop the next one."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

from attrs import Factory, define, field

from dynamo_bao._call_site import CallSite, calling_line
from dynamo_bao._foreign_errors import is_from_signal
from dynamo_bao._log_fields import log_fields
from dynamo_bao.dynamodb.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.dynamodb.keys import new_namedtuple
from dynamo_bao.dynamodb.table import Database, RepeatedWarning
from dynamo_bao.dynamodb.transport.messages import Clock, FailedRequest, Reply, Request, Throttling, tables_of
from dynamo_bao.errors import about as naming
from dynamo_bao.session.bindings import BUDGET, seen
from dynamo_bao.session.budget import Budget
from dynamo_bao.session.stats import Stats

log = logging.getLogger("dynamo_bao.session")

MAX_HISTORY = 1000
"""How many rounds a session remembers for its trace."""
NAMED_KEYS = 10
"""How many keys of a request the trace names; the others are only counted."""
N_PLUS_ONE = 5
"""From how many rounds for a single key or query on, all caused by one line, that line is warned of."""


@define(eq=False)
class SentRequest:
    """One request of a round, without any values.

    Attributes:
        operation: the API operation, such as ``"BatchGetItem"``.
        tables: the tables it was about.
        count: how many keys, queries or writes it carried.
        about: what it was about, such as ``"User 'ada'"``; the first few of them.
        capacity: capacity units consumed.
        attempts: how many requests went over the wire, 1 without retries.
        started: when it was sent, in seconds of the transport's clock.
        seconds: how long it took, waits between attempts included.
        waited: how many of these seconds were waits.
        error: the class of the error it ended with; None where it was answered.
        repeated: whether it was sent for what an earlier reply left unprocessed.
        throttlings: the attempts that DynamoDB refused because of throughput, each with what was throttled and why.
        index: the index that was asked; None for the table.
        consumed: the ``ConsumedCapacity`` of the reply as it came, by table; None where there is none.
        error_code: DynamoDB's code for the error, such as ``ValidationException``; None where it gave none.
        status: the HTTP status; None where no reply came.
    """

    operation: str
    tables: tuple[str, ...]
    count: int
    about: tuple[str, ...]
    capacity: Capacity
    attempts: int
    started: float
    seconds: float
    waited: float
    error: str | None = None
    repeated: bool = False
    throttlings: tuple[Throttling, ...] = ()
    index: str | None = None
    consumed: Any = None
    error_code: str | None = None
    status: int | None = None


@define(eq=False)
class Round:
    """One time the program waited: requests that travelled together.

    Attributes:
        number: the how manieth of its session, from 1.
        kind: ``"lookups"``, ``"queries"``, ``"pages"`` (further ones of a query), ``"read"``, ``"write"``,
            ``"iteration"`` (its items too), ``"further"`` (lookups that an earlier round made necessary: the
            relations of a page, the owners of unique values) or ``"commit"``.
        cause: the line that made it necessary.
        started: when it began, in seconds of the transport's clock.
        seconds: how long it took.
        requests: what was sent.
        waves: how many waits it took; requests beyond `max_concurrency` wait for those before them.
    """

    number: int
    kind: str
    cause: CallSite
    started: float
    _clock: Clock = field(repr=False)
    seconds: float = 0.0
    requests: list[SentRequest] = Factory(list)
    waves: int = 1
    _rounds: Rounds | None = field(default=None, repr=False, alias="rounds")
    _budgets: Sequence[Budget] = field(default=(), repr=False, alias="budgets")
    warnings: dict[Any, RepeatedWarning] = field(factory=dict, repr=False)

    def __enter__(self) -> Round:
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = self._clock.now() - self.started
        if self._rounds is not None:
            self._rounds.stats.waves += self.waves
            self._rounds.record(self)
        if round_observers:
            for watcher in tuple(round_observers):
                watcher(self, self._rounds)

    def sent_at_once(self, calls: int, at_once: int) -> None:
        """Counts the waves of a round: how often so many calls waited in turn, where `at_once` travel together."""
        self.waves = max(1, ceil(calls / at_once))

    @property
    def is_single_fetch(self) -> bool:
        """Whether the program waited for a single key or query, as a loop does that is N+1."""
        requests = self.requests
        reads = self.kind in ("lookups", "queries", "read")
        return reads and len(requests) == 1 and requests[0].count == 1

    def add(
        self, database: Database, reply: Reply, about: Sequence[str] = (), count: int | None = None
    ) -> None:
        """Counts an answered request.

        Args:
            about: the models and keys it was about; never values of other fields.
            count: how many keys, queries or writes it carried; as many as `about` names by default.
        """
        capacity = reply.capacity
        if self._rounds is not None:
            self._rounds.stats.count(reply)
        for budget in self._budgets:
            budget.spend(capacity)
        request = reply.request
        figures = (
            request.operation,
            tables_of(request),
            len(about) if count is None else count,
            tuple(about[:NAMED_KEYS]),
            capacity,
            reply.attempts,
            reply.started,
            reply.seconds,
            reply.waited,
            None,
            reply.repeated,
            reply.throttlings,
            request.written.get("IndexName"),
            reply.parsed.get("ConsumedCapacity"),
            None,
            200,
        )
        sent = SentRequest(*figures)
        self.requests.append(sent)
        if database.observers.on_request:
            notify(database.observers.on_request, sent)

    def add_outcome(
        self,
        database: Database,
        outcome: Reply | FailedRequest,
        about: Sequence[str] = (),
        count: int | None = None,
    ) -> None:
        """Counts a request that was answered or that ended with an error; see `add`."""
        if isinstance(outcome, Reply):
            self.add(database, outcome, about, count)
        else:
            self.add_failure(database, outcome, about, count)

    def add_failure(
        self, database: Database, failed: FailedRequest, about: Sequence[str] = (), count: int | None = None
    ) -> None:
        """Counts a request that ended with an error; see `add`."""
        if self._rounds is not None:
            self._rounds.stats.count_failure(failed)
        sent = SentRequest(
            failed.request.operation,
            tables_of(failed.request),
            len(about) if count is None else count,
            tuple(about[:NAMED_KEYS]),
            NOTHING_CONSUMED,
            failed.attempts,
            failed.started,
            database.transport.clock.now() - failed.started,
            failed.waited,
            type(failed.error).__name__,
            failed.repeated,
            failed.throttlings,
            failed.request.written.get("IndexName"),
            None,
            *_refusal_of(failed.error),
        )
        self.requests.append(sent)
        notify(database.observers.on_request, sent)

    def send(self, database: Database, request: Request, deadline: float, about: Sequence[str] = ()) -> Reply:
        """Sends one request and counts it."""
        started = database.transport.clock.now()
        try:
            reply = database.transport.send(request, deadline=deadline)
        except Exception as error:
            self.add_failure(database, FailedRequest(request, error, started), about)
            named = naming(error, ", ".join(about[:NAMED_KEYS])) if about else error
            if named is error:
                raise
            raise named from named.__cause__
        self.add(database, reply, about)
        return reply


def _refusal_of(error: Exception) -> tuple[str | None, int | None]:
    """The code and the HTTP status of an error reply; None for both where no reply came."""
    for one in (error, error.__cause__):
        response: Any = getattr(one, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code")
            return code, response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return getattr(error, "code", None), None


round_observers: list[Callable[[Round, Rounds | None], object]] = []
"""Called with every round that ends in this process, and with the rounds of its session, None outside any."""


def notify(hooks: Sequence[Callable[[Any], object]], record: Any) -> None:
    """Calls hooks for metrics; what they raise is logged and stops nothing."""
    for hook in hooks:
        try:
            hook(record)
        except Exception as error:
            if is_from_signal(error):
                raise
            log.exception("a hook for metrics failed: %r", hook, extra=_fields_of(record))


def _fields_of(record: Any) -> dict[str, Any]:
    """What a log line says in fields of the request, or round, that a hook was called with."""
    if isinstance(record, Round):
        tables = [table for sent in record.requests for table in sent.tables]
        return log_fields(record.kind, tables, sum(sent.count for sent in record.requests), record.seconds)
    return log_fields(record.operation, record.tables, record.count, record.seconds)


@define(eq=False)
class Rounds:
    """The rounds of one session.

    Attributes:
        stats: the session's figures.
        history: the last rounds, oldest first.
    """

    stats: Stats
    history: deque[Round] = field(factory=lambda: deque(maxlen=MAX_HISTORY))
    _alone: dict[CallSite, int] = Factory(dict)

    def fields(self, operation: str, **more: Any) -> dict[str, Any]:
        """What a log line about all of them says in fields."""
        stats = self.stats
        tables = [table for done in self.history for sent in done.requests for table in sent.tables]
        duration = sum(done.seconds for done in self.history)
        return log_fields(operation, tables, stats.keys_fetched, duration, requests=stats.requests, **more)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The budgets in force around the running code, outermost first."""
        return tuple(seen(BUDGET))

    def record(self, done: Round) -> None:
        """Remembers a round, and warns of a line that keeps asking for one thing at a time."""
        self.history.append(done)
        if not done.is_single_fetch:
            return
        times = self._alone[done.cause] = self._alone.get(done.cause, 0) + 1
        if times == N_PLUS_ONE:
            _warn_of_n_plus_one(done)


def _warn_of_n_plus_one(done: Round) -> None:
    """Logs that a line fetches one thing at a time: once a minute, with how many sessions it was since."""
    warnings, what = done.warnings, "query" if done.kind == "queries" else "key"
    warning = warnings.setdefault((done.cause, what), RepeatedWarning())
    if not warning.is_due(done.started):
        return
    times, warning.count = warning.count, 0
    sent = done.requests[0]
    log.warning(
        "N+1: %s has fetched one %s at a time, %d times so far%s. Find them all before looking at the first, "
        "or load relations with load_related=True.",
        done.cause,
        what,
        N_PLUS_ONE,
        f" (in {times} contexts since this was logged last)" if times > 1 else "",
        extra=log_fields(sent.operation, sent.tables, N_PLUS_ONE, done.seconds, count=times),
    )


def start_round(rounds: Rounds | None, database: Database, kind: str) -> Round:
    """A round of a session, or one outside any, for the requests in the block: ``with start_round(…) as round:``.

    Raises:
        BudgetExceededError: where a budget of this session or of one around it allows no more.
    """
    cause, clock = new_namedtuple(CallSite, calling_line()), database.transport.clock
    warnings = database.observers.warnings
    if rounds is None:
        return Round(0, kind, cause, clock.now(), clock, warnings=warnings)
    budgets = rounds.budgets
    for budget in budgets:
        budget.begin(cause, kind in ("write", "commit"))
    stats = rounds.stats
    stats.round_trips += 1
    return Round(stats.round_trips, kind, cause, clock.now(), clock, 0.0, [], 1, rounds, budgets, warnings)
