"""The options of a session."""

from __future__ import annotations

from typing import TypedDict

from dynamo_bao.dynamodb.table import Database, checked_throttled_calls
from dynamo_bao.errors import ConfigurationError

FETCH_MODES = ("peers", "one", "raise")


class SessionOptions(TypedDict, total=False):
    """The options of a session, as `run_with_batch_context` takes them."""

    deadline: float | None
    max_concurrency: int | None
    fetch: str
    peer_limit: int
    query_limit: int
    max_cached: int | None
    max_throttled_calls: float | str | None


class SessionSettings:
    """The options of a session, checked. Several sessions can share them.

    Attributes:
        deadline: seconds for which lookups are retried; None for the manager's setting.
        max_concurrency: how many requests of a round run at the same time; None for the manager's setting.
        fetch: ``"peers"``, ``"one"`` or ``"raise"``; see `run_with_batch_context`.
        peer_limit: how many keys of peers can join one round.
        query_limit: how many deferred queries can run in one round.
        max_cached: how many instances a session holds; None for all.
        max_throttled_calls: how many calls may wait because of throttling; None for the manager's setting.
    """

    __slots__ = (
        "deadline",
        "fetch",
        "max_cached",
        "max_concurrency",
        "max_throttled_calls",
        "peer_limit",
        "query_limit",
    )

    def __init__(
        self,
        *,
        deadline: float | None = None,
        max_concurrency: int | None = None,
        fetch: str = "peers",
        peer_limit: int = 1000,
        query_limit: int = 100,
        max_cached: int | None = None,
        max_throttled_calls: float | str | None = None,
    ) -> None:
        if fetch not in FETCH_MODES:
            raise ConfigurationError(f"fetch={fetch!r}; use one of {', '.join(map(repr, FETCH_MODES))}.")
        if max_concurrency is not None:
            require_count("max_concurrency", max_concurrency)
        if deadline is not None:
            require_seconds("deadline", deadline)
        require_count("peer_limit", peer_limit)
        require_count("query_limit", query_limit)
        if max_cached is not None:
            require_count("max_cached", max_cached)
        self.deadline: float | None = deadline
        self.max_concurrency: int | None = max_concurrency
        self.fetch = fetch
        self.peer_limit: int = peer_limit
        self.query_limit: int = query_limit
        self.max_cached: int | None = max_cached
        self.max_throttled_calls: float | None = (
            None
            if max_throttled_calls is None
            else checked_throttled_calls(max_throttled_calls, "max_throttled_calls")
        )

    def concurrency_at(self, database: Database) -> int:
        """How many requests of a round to a table run at the same time."""
        return self.max_concurrency or database.max_concurrency

    def deadline_at(self, database: Database) -> float:
        """The deadline of a call that starts now, in seconds of the transport's clock."""
        return database.deadline_from_now(self.deadline, self.max_throttled_calls)


def require_count(name: str, number: object) -> None:
    """Raises `ConfigurationError` if an option is not a whole number of at least 1."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ConfigurationError(f"{name}={number!r}; give a whole number of at least 1.", field=name)


def require_seconds(name: str, seconds: object) -> None:
    """Raises `ConfigurationError` if an option is not a positive number of seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise ConfigurationError(f"{name}={seconds!r}; give seconds, more than 0.", field=name)


DEFAULT_SETTINGS = SessionSettings()
