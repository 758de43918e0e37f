"""One table as the library sees it: how to reach it, and the rules that hold there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import Factory, define, field

from dynamo_bao.policy import Policy
from dynamo_bao.transport.messages import Transport

DEADLINE_SECONDS = 10.0
MAX_CONCURRENCY = 4


@define(eq=False)
class Observers:
    """Hooks for metrics.

    Attributes:
        on_request: called with every request that was sent, a `SentRequest`.
        on_flush: called with every round that answered pending lookups or queries, a `Round`.
    """

    on_request: list[Callable[[Any], object]] = Factory(list)
    on_flush: list[Callable[[Any], object]] = Factory(list)


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
        cursor_secret: the key that cursors are sealed with.
        observers: who is told of requests.
        requires_tenant: whether every operation needs a tenant now: where `tenancy` is on, and once a web application
            that names tenants is served with this table.
        is_closed: whether the manager was closed, so that nothing is sent any more.
    """

    table_name: str
    transport: Transport
    policy: Policy
    tenancy: bool = False
    deadline: float = DEADLINE_SECONDS
    max_concurrency: int = MAX_CONCURRENCY
    cursor_secret: bytes = b""
    observers: Observers = Factory(Observers)
    requires_tenant: bool = field(init=False)
    is_closed: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.requires_tenant = self.tenancy

    def deadline_from_now(self, seconds: float | None = None) -> float:
        """The deadline of a call that starts now, in the transport's clock."""
        now: float = self.transport.clock.now()
        return now + (self.deadline if seconds is None else seconds)
