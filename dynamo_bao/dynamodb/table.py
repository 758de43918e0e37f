"""One table as the library sees it: how to reach it, and the rules that hold there."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from attrs import Factory, define, field

from dynamo_bao.dynamodb.thread_pool import ThreadPool
from dynamo_bao.dynamodb.transport.messages import MAX_THROTTLED_CALLS, Deadline, Transport
from dynamo_bao.errors import ConfigurationError
from dynamo_bao.policy import OnEventLoop, Policy

DEADLINE_SECONDS = 10.0
MAX_CONCURRENCY = 4


WARNED_SECONDS = 60.0
"""How often the same warning of the same line is logged at most."""


@define
class RepeatedWarning:
    """A warning that was logged.

    Attributes:
        said: when it was logged last, in seconds of the transport's clock.
        count: how often there was reason for it since.
    """

    said: float | None = None
    count: int = 0

    def is_due(self, now: float) -> bool:
        """Counts one more reason; whether it is to be logged now."""
        self.count += 1
        if self.said is not None and now - self.said < WARNED_SECONDS:
            return False
        self.said = now
        return True


@define(eq=False)
class Observers:
    """Hooks for metrics.

    Attributes:
        on_request: called with every request that was sent, a `SentRequest`.
        on_flush: called with every round that answered pending lookups or queries, a `Round`.
        warnings: what was warned of in the log, by what and where, so that it is said once a minute.
    """

    on_request: list[Callable[[Any], object]] = Factory(list)
    on_flush: list[Callable[[Any], object]] = Factory(list)
    warnings: dict[Any, RepeatedWarning] = Factory(dict)


@define(eq=False)
class Database:
    """A table behind a transport, with the settings of the manager it belongs to.

    Attributes:
        table_name: the table.
        transport: carries requests to it.
        policy: what happens outside a batch context.
        tenancy: whether every operation needs a tenant.
        deadline: seconds after which lookups stop being retried.
        max_concurrency: how many requests of one flush travel at once.
        max_throttled_calls: how many calls of this process may wait because of throttling, for each table and
            index; infinite for any number.
        pool: the threads that carry requests beside the callers' own.
        cursor_secret: the key that cursors are sealed with.
        strict_filters: whether dicts are never read as operators.
        observers: who is told of requests.
        requires_tenant: whether every operation needs a tenant now: where `tenancy` is on, and once a web application
            that names tenants is served with this table.
        is_closed: whether the manager was closed, so that nothing is sent any more.
        on_event_loop: what happens where code that an event loop waits for is about to send something.
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

    def before_sending(self) -> None:
        """Raises, or warns, where nothing should be sent now.

        Raises:
            ConfigurationError: once the manager is closed.
            ConcurrencyError: on an event loop, where that is not allowed.
        """
        if self.is_closed:
            self.require_open()
        if "asyncio.events" in sys.modules:  # else no event loop can be running
            self.on_event_loop.check()

    def deadline_from_now(
        self, seconds: float | None = None, max_throttled_calls: float | None = None
    ) -> float:
        """The deadline of a call that starts now, in the transport's clock; a `Deadline` where it says more.

        Args:
            seconds, max_throttled_calls: a session's own; None for those of the manager.
        """
        at = self.transport.clock.now() + (self.deadline if seconds is None else seconds)
        calls = self.max_throttled_calls if max_throttled_calls is None else max_throttled_calls
        return at if calls == MAX_THROTTLED_CALLS else Deadline(at, calls)


def checked_throttled_calls(value: object, source: str) -> float:
    """The number that a ``max_throttled_calls`` setting stands for: infinite for ``"unlimited"``.

    Args:
        value: the setting's value, also as text of the environment.
        source: where it was set, for the error.

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
