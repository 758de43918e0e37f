"""One table: its transport, and the settings for requests to it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Hashable
from copy import copy
from typing import Any

from dynamo_bao.dynamodb.thread_pool import ThreadPool
from dynamo_bao.dynamodb.transport.messages import MAX_THROTTLED_CALLS, Deadline, Transport
from dynamo_bao.errors import ConfigurationError
from dynamo_bao.policy import OnEventLoop, Policy
from dynamo_bao.runtime.records import Factory, define, field

DEADLINE_SECONDS = 10.0
MAX_CONCURRENCY = 4


WARNED_SECONDS = 60.0
"""For how many seconds a warning is not logged again for the same line."""


@define
class RepeatedWarning:
    """A warning that may be logged repeatedly.

    Attributes:
        logged_at: the time of the last log line, in seconds of the transport's clock; None before the first.
        count: how many times there was a reason for the warning.
    """

    logged_at: float | None = None
    count: int = 0

    def is_due(self, now: float) -> bool:
        """Counts one more reason, and returns whether to log the warning now."""
        self.count += 1
        if self.logged_at is not None and now - self.logged_at < WARNED_SECONDS:
            return False
        self.logged_at = now
        return True


@define(eq=False)
class Observers:
    """Hooks for metrics.

    Attributes:
        on_request: called with a `SentRequest` for every request that was sent.
        on_flush: called with a `Round` for every round that answered pending lookups or queries.
        warnings: the logged warnings, by kind and calling line; each is logged at most once a minute.
    """

    on_request: list[Callable[[Any], object]] = Factory(list)
    on_flush: list[Callable[[Any], object]] = Factory(list)
    warnings: dict[Hashable, RepeatedWarning] = Factory(dict)


@define(eq=False)
class Database:
    """A table behind a transport, with the settings of its manager.

    Attributes:
        table_name: the name of the table.
        transport: sends the requests.
        policy: the rule for operations outside a batch context.
        tenancy: whether the settings demand a tenant for every operation.
        deadline: the seconds after which a call is not retried.
        max_concurrency: the most requests of one flush that are sent at the same time.
        max_throttled_calls: the most calls of this process that wait because of throttling, for each table and
            index; infinite for no limit.
        pool: the threads that send requests beside the callers' threads.
        cursor_secret: the key that signs cursors.
        strict_filters: whether dicts in filters are plain values and never operators.
        observers: the hooks for metrics.
        requires_tenant: whether every operation needs a tenant now: if `tenancy` is on, or once a web application
            that names tenants uses this table.
        is_closed: whether the manager was closed; nothing is sent after that.
        on_event_loop: the rule for requests from code on an event loop.
    """

    table_name: str
    transport: Transport
    policy: Policy
    tenancy: bool = False
    deadline: float = DEADLINE_SECONDS
    max_concurrency: int = MAX_CONCURRENCY
    cursor_secret: bytes = b""
    strict_filters: bool = False
    observers: Observers = Factory(Observers)
    max_throttled_calls: float = MAX_THROTTLED_CALLS
    pool: ThreadPool = Factory(ThreadPool)
    requires_tenant: bool = field(init=False)
    is_closed: bool = field(init=False, default=False)
    on_event_loop: OnEventLoop = Factory(OnEventLoop)

    def __attrs_post_init__(self) -> None:
        self.requires_tenant = self.tenancy

    def require_open(self) -> None:
        """Raises `ConfigurationError` once the manager is closed."""
        if self.is_closed:
            raise ConfigurationError(
                f"The manager of table {self.table_name!r} is closed; open another one with init_models(…)."
            )

    def through(self, transport: Transport) -> Database:
        """The same table, with the same settings, through another transport."""
        database = copy(self)
        database.transport = transport
        return database

    def before_sending(self) -> None:
        """Raises or warns if no request should be sent now.

        Raises:
            ConfigurationError: if the manager is closed.
            ConcurrencyError: on an event loop, if the rule `on_event_loop` does not allow it.
        """
        if self.is_closed:
            self.require_open()
        if "asyncio.events" in sys.modules:  # else no event loop can be running
            self.on_event_loop.check()

    def deadline_from_now(
        self, seconds: float | None = None, max_throttled_calls: float | None = None
    ) -> float:
        """The deadline of a call that starts now, in seconds of the transport's clock.

        Args:
            seconds, max_throttled_calls: the settings of a session; None for those of the manager.

        Returns:
            A `Deadline` if `max_throttled_calls` is not the default, else a plain number.
        """
        at = self.transport.clock.now() + (self.deadline if seconds is None else seconds)
        calls = self.max_throttled_calls if max_throttled_calls is None else max_throttled_calls
        return at if calls == MAX_THROTTLED_CALLS else Deadline(at, calls)


def checked_throttled_calls(value: object, source: str) -> float:
    """The number of a ``max_throttled_calls`` setting; infinite for ``"unlimited"``.

    Args:
        value: the setting's value, a number or a text.
        source: where the setting was made, for the error.

    Raises:
        ConfigurationError: for anything but a whole number of at least 0 and ``"unlimited"``.
    """
    word = value.strip().lower() if isinstance(value, str) else value
    if word in ("unlimited", math.inf):
        return math.inf
    number = int(word) if isinstance(word, str) and word.isascii() and word.isdigit() else word
    if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
        return number
    raise ConfigurationError(
        f"{source} is {value!r}; give a whole number of at least 0, or 'unlimited'.",
        field="max_throttled_calls",
    )
