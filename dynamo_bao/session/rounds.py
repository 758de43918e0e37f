"""Rounds: each time that a program waits for DynamoDB, with its cause and its cost. Budgets limit them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from math import ceil
from typing import Any, TypeVar

from dynamo_bao.dynamodb.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.dynamodb.keys import new_namedtuple
from dynamo_bao.dynamodb.table import Database, RepeatedWarning
from dynamo_bao.dynamodb.transport.batch_get import BatchAnswer
from dynamo_bao.dynamodb.transport.messages import Clock, FailedRequest, Reply, Request, Throttling, tables_of
from dynamo_bao.runtime.call_site import CallSite, calling_line
from dynamo_bao.runtime.foreign_errors import is_from_signal
from dynamo_bao.runtime.late_libraries import logging
from dynamo_bao.runtime.logs import late_logger, log_fields
from dynamo_bao.runtime.records import Factory, define, field
from dynamo_bao.session.bindings import BUDGET, bound_values
from dynamo_bao.session.budget import Budget
from dynamo_bao.session.error_subjects import about as naming
from dynamo_bao.session.query_kinds import PrefetchFigures
from dynamo_bao.session.stats import Stats

log: logging.Logger = late_logger("dynamo_bao.session")

MAX_HISTORY = 1000
"""How many rounds a session remembers for its trace."""
NAMED_KEYS = 10
"""How many keys of a request the trace names; further keys are only counted."""
N_PLUS_ONE = 5
"""After how many rounds for a single key or query, all caused by one line, a warning names that line."""


@define(eq=False)
class SentRequest:
    """One request of a round, without any values.

    Attributes:
        operation: the API operation, such as ``"BatchGetItem"``.
        tables: the names of its tables.
        count: the number of keys, queries or writes in it.
        about: the models and keys in it, such as ``"User 'ada'"``; only the first few.
        capacity: capacity units consumed.
        attempts: the number of HTTP requests; 1 without retries.
        started: when it was sent, in seconds of the transport's clock.
        seconds: its duration, with the waits between attempts.
        waited: the part of `seconds` that was spent in these waits.
        error: the name of the error class it ended with; None if it was answered.
        repeated: whether it was sent for keys or writes that an earlier reply left unprocessed.
        throttlings: the attempts that DynamoDB throttled, each with the table or index and the reasons.
        index: the queried index; None for the table.
        consumed: the ``ConsumedCapacity`` of the reply; None if the reply has none.
        error_code: DynamoDB's code of the error, such as ``ValidationException``; None without a code.
        status: the HTTP status; None without a reply.
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
    """One wait of the program for DynamoDB: requests that were sent together.

    Attributes:
        number: the 1-based position of the round within its session.
        kind: ``"lookups"``, ``"queries"``, ``"pages"`` (later pages of a query), ``"read"``, ``"write"``,
            ``"iteration"`` (with the reads of its items), ``"further"`` (lookups that an earlier round made
            necessary: the relations of a page, the owners of unique values) or ``"commit"``.
        cause: the line of code that caused it.
        started: when it began, in seconds of the transport's clock.
        seconds: its duration.
        requests: the requests that were sent.
        waves: the number of waits in turn; requests beyond `max_concurrency` wait for earlier ones.
        remedy: what would avoid such rounds of a single query; empty for the usual advice.
    """

    number: int
    kind: str
    cause: CallSite
    started: float
    _clock: Clock = field(repr=False)
    seconds: float = 0.0
    requests: list[SentRequest] = Factory(list)
    waves: int = 1
    remedy: str = field(default="", repr=False, kw_only=True)
    _rounds: Rounds | None = field(default=None, repr=False, alias="rounds")
    _budgets: Sequence[Budget] = field(default=(), repr=False, alias="budgets")
    warnings: dict[Hashable, RepeatedWarning] = field(factory=dict, repr=False)

    def __enter__(self) -> Round:
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = self._clock.now() - self.started
        if self._rounds is not None:
            self._rounds.stats.waves += self.waves
            self._rounds.record(self)
        if round_observers:
            for observer in tuple(round_observers):
                observer(self, self._rounds)
        self._rounds = None  # the history holds the round: a cycle would keep both until they are collected

    def sent_at_once(self, calls: int, at_once: int) -> None:
        """Sets the number of waves for `calls` calls, of which `at_once` run at the same time."""
        self.waves = max(1, ceil(calls / at_once))

    @property
    def is_single_fetch(self) -> bool:
        """Whether the program waited for a single key, query or further page, as an N+1 loop does."""
        requests = self.requests
        is_read = self.kind in ("lookups", "queries", "read") or (self.kind == "pages" and self.remedy != "")
        return is_read and len(requests) == 1 and requests[0].count == 1

    def add(
        self, database: Database, reply: Reply, about: Sequence[str] = (), count: int | None = None
    ) -> None:
        """Counts an answered request.

        Args:
            about: the models and keys in it; never values of other fields.
            count: the number of keys, queries or writes in it; the length of `about` by default.
        """
        capacity, observers = reply.capacity, database.observers.on_request
        if self._rounds is not None:
            self._rounds.stats.count(reply)
        elif not (observers or round_observers):
            return  # a request outside any session, which nobody sees
        for budget in self._budgets:
            budget.spend(capacity)
        request = reply.request
        record = SentRequest(
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
        self.requests.append(record)
        if observers:
            notify(observers, record)

    def add_outcome(
        self,
        database: Database,
        outcome: Reply | FailedRequest,
        about: Sequence[str] = (),
        count: int | None = None,
    ) -> None:
        """Counts a request that was answered or that failed; the arguments are those of `add`."""
        if isinstance(outcome, Reply):
            self.add(database, outcome, about, count)
        else:
            self.add_failure(database, outcome, about, count)

    def add_batch(self, database: Database, answer: BatchAnswer, about: Sequence[str], count: int) -> None:
        """Counts the requests for a batch of keys; the other arguments are those of `add`."""
        if self._rounds is not None:
            self._rounds.stats.batches += len(answer.replies)
        outcomes: list[Reply | FailedRequest] = [*answer.replies, *answer.failed_requests]
        for outcome in outcomes:
            self.add_outcome(database, outcome, about, count)

    def add_failure(
        self, database: Database, failure: FailedRequest, about: Sequence[str] = (), count: int | None = None
    ) -> None:
        """Counts a request that failed; the arguments are those of `add`."""
        if self._rounds is not None:
            self._rounds.stats.count_failure(failure)
        record = SentRequest(
            failure.request.operation,
            tables_of(failure.request),
            len(about) if count is None else count,
            tuple(about[:NAMED_KEYS]),
            NOTHING_CONSUMED,
            failure.attempts,
            failure.started,
            database.transport.clock.now() - failure.started,
            failure.waited,
            type(failure.error).__name__,
            failure.repeated,
            failure.throttlings,
            failure.request.written.get("IndexName"),
            None,
            *_refusal_of(failure.error),
        )
        self.requests.append(record)
        notify(database.observers.on_request, record)

    def send(self, database: Database, request: Request, deadline: float, about: Sequence[str] = ()) -> Reply:
        """Sends one request, counts it, and returns its reply."""
        start_time = database.transport.clock.now()
        try:
            reply = send_about(database, request, deadline, about)
        except Exception as error:
            self.add_failure(database, FailedRequest(request, error, start_time), about)
            raise
        self.add(database, reply, about)
        return reply


def send_about(database: Database, request: Request, deadline: float, about: Sequence[str]) -> Reply:
    """Sends one request, and counts it nowhere. Its error names the models and keys in it."""
    try:
        return database.transport.send(request, deadline=deadline)
    except Exception as error:
        error_with_keys = naming(error, ", ".join(about[:NAMED_KEYS])) if about else error
        if error_with_keys is error:
            raise
        raise error_with_keys from error_with_keys.__cause__


def _refusal_of(error: Exception) -> tuple[str | None, int | None]:
    """The code and the HTTP status of an error reply; None for both without a reply."""
    for exception in (error, error.__cause__):
        response: object = getattr(exception, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code")
            return code, response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return getattr(error, "code", None), None


R = TypeVar("R", "Round", "SentRequest")

round_observers: list[Callable[[Round, Rounds | None], object]] = []
"""Called with every round that ends in this process, and with the rounds of its session (None without a session)."""


def notify(hooks: Sequence[Callable[[R], object]], record: R) -> None:
    """Calls hooks for metrics. Their exceptions are logged, and otherwise ignored."""
    for hook in hooks:
        try:
            hook(record)
        except Exception as error:
            if is_from_signal(error):
                raise
            log.exception("a hook for metrics failed: %r", hook, extra=_fields_of(record))


def _fields_of(record: Round | SentRequest) -> dict[str, object]:
    """The fields of a log line about a request or a round."""
    if isinstance(record, Round):
        tables = [table for request in record.requests for table in request.tables]
        return log_fields(
            record.kind, tables, sum(request.count for request in record.requests), record.seconds
        )
    return log_fields(record.operation, record.tables, record.count, record.seconds)


@define(eq=False)
class Rounds:
    """The rounds of one session.

    Attributes:
        stats: the session's figures.
        history: the last rounds, oldest first.
    """

    stats: Stats
    history: list[Round] = Factory(list)
    _single_fetches: dict[CallSite, int] = Factory(dict)

    def fields(self, operation: str, **more: object) -> dict[str, object]:
        """The fields of a log line about all rounds."""
        stats = self.stats
        tables = [table for round_ in self.history for request in round_.requests for table in request.tables]
        duration = sum(round_.seconds for round_ in self.history)
        return log_fields(operation, tables, stats.keys_fetched, duration, requests=stats.requests, **more)

    @property
    def last_cause(self) -> CallSite:
        """The line of code that caused the last round."""
        return self.history[-1].cause

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The budgets in force around the running code, outermost first."""
        return tuple(bound_values(BUDGET))

    def warn_of_unused(self, figures: Mapping[CallSite, PrefetchFigures]) -> None:
        """Logs the lines for which most queries that were fetched in advance were never used, each once a minute."""
        last_round = self.history[-1]
        for line, counts in figures.items():
            if counts.unused * 2 <= counts.count:
                continue
            warning = last_round.warnings.setdefault((line, "prefetched"), RepeatedWarning())
            if warning.is_due(last_round.started):
                log.warning(
                    "%s: %d of the %d queries of %s that were fetched in advance for other instances were never "
                    "used. Open the context with fetch='one', or query by the id instead of through the instance.",
                    line,
                    counts.unused,
                    counts.count,
                    counts.about,
                    extra=self.fields("prefetch", count=counts.unused),
                )

    def record(self, round_: Round) -> None:
        """Remembers a round, and warns of a line that often fetches a single key or query."""
        self.history.append(round_)
        if len(self.history) > MAX_HISTORY:
            del self.history[0]
        if not round_.is_single_fetch:
            return
        times = self._single_fetches[round_.cause] = self._single_fetches.get(round_.cause, 0) + 1
        if times == N_PLUS_ONE:
            _warn_of_n_plus_one(round_)


def _warn_of_n_plus_one(round_: Round) -> None:
    """Logs an N+1 line at most once a minute, with the number of sessions since the last warning."""
    warnings, unit = round_.warnings, {"queries": "query", "pages": "page"}.get(round_.kind, "key")
    warning = warnings.setdefault((round_.cause, unit), RepeatedWarning())
    if not warning.is_due(round_.started):
        return
    times, warning.count = warning.count, 0
    request = round_.requests[0]
    log.warning(
        "N+1: %s has fetched one %s at a time, %d times so far%s. %s",
        round_.cause,
        unit,
        N_PLUS_ONE,
        f" (in {times} contexts since this was logged last)" if times > 1 else "",
        round_.remedy or (_REMEDY_OF_KEYS if unit == "key" else _REMEDY_OF_QUERIES),
        extra=log_fields(request.operation, request.tables, N_PLUS_ONE, round_.seconds, count=times),
    )


_REMEDY_OF_KEYS = (
    "Find them all before looking at the first, or load relations with load_related=True or by name."
)
_REMEDY_OF_QUERIES = (
    "Make all queries before reading the first, or read children by their relation, such as "
    "author.books.where(…): it is fetched for all authors at once."
)


UNSEEN = CallSite("", 0)
"""The cause of a round that nobody sees."""


def start_round(rounds: Rounds | None, database: Database, kind: str) -> Round:
    """A round for the requests in a block: ``with start_round(…) as round:``.

    Args:
        rounds: the rounds of the session; None outside any session.
        database: the table of the requests.
        kind: the kind of the round; see `Round`.

    Raises:
        BudgetExceededError: if a budget around the running code is used up.
    """
    budgets = () if rounds is None else rounds.budgets
    is_seen = rounds is not None or bool(round_observers)
    cause = new_namedtuple(CallSite, calling_line()) if is_seen else UNSEEN
    clock, warnings = database.transport.clock, database.observers.warnings
    if rounds is None:
        return Round(0, kind, cause, clock.now(), clock, warnings=warnings)
    for budget in budgets:
        budget.begin(cause, kind in ("write", "commit"))
    stats = rounds.stats
    stats.round_trips += 1
    return Round(stats.round_trips, kind, cause, clock.now(), clock, 0.0, [], 1, rounds, budgets, warnings)
