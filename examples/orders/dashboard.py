"""The dashboard: the newest orders of a shop with their lines, products and customers, made with plain nested loops.

The loops are the same in both ways. Without `load_related` the first looks at a relation load it for the whole loop;
with it, the relations of each level arrive together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dynamo_bao import Stats, run_with_batch_context
from examples.orders.models import Line, Order, Shop, Status

NEWEST = 50
"""The number of orders on a dashboard."""

RELATIONS = ["lines.product_id", "customer_id"]
"""The relations that the loops look at."""

ZERO = Decimal("0.00")

MAX_ROUND_TRIPS = 8
"""The most round trips of a dashboard whose relations are loaded when the loops look at them."""

MAX_ROUND_TRIPS_AHEAD = 4
"""The most round trips of a dashboard whose relations are loaded with the orders."""


@dataclass(frozen=True)
class LineView:
    """A line of an order. `total` is in euros."""

    product: str
    quantity: int
    total: Decimal


@dataclass(frozen=True)
class OrderView:
    """An order with everything that is shown of it. `total` is in euros."""

    order_id: str
    placed_at: datetime
    status: Status
    customer: str
    city: str
    lines: Sequence[LineView]
    total: Decimal


@dataclass(frozen=True)
class Dashboard:
    """The newest orders of a shop, newest first. `total` is in euros."""

    shop: str
    orders: Sequence[OrderView]
    total: Decimal


@dataclass(frozen=True)
class Measurement:
    """A dashboard with the figures of the session that made it."""

    dashboard: Dashboard
    stats: Stats


def build_dashboard(tenant: str, ahead: bool = False) -> Dashboard:
    """The dashboard of a shop.

    Args:
        tenant: the shop's tenant.
        ahead: whether the relations are loaded with the orders.
    """
    shop = Shop.find(tenant)
    newest = Order.by_date.query(
        None, direction="DESC", limit=NEWEST, load_related=RELATIONS if ahead else False
    )
    orders = [view_order(order) for order in newest]
    return Dashboard(shop.name, orders, sum((order.total for order in orders), ZERO))


def view_order(order: Order) -> OrderView:
    """What is shown of an order."""
    lines = [view_line(line) for line in order.lines]
    return OrderView(
        order_id=order.order_id,
        placed_at=order.placed_at,
        status=order.status,
        customer=order.customer.name,
        city=order.customer.city,
        lines=lines,
        total=sum((line.total for line in lines), ZERO),
    )


def view_line(line: Line) -> LineView:
    """What is shown of a line."""
    return LineView(line.product.name, line.quantity, round(line.quantity * line.price, 2))


def measure_dashboard(tenant: str, ahead: bool) -> Measurement:
    """Makes a dashboard in a session of its own, so that nothing is cached and all figures are its own."""
    with run_with_batch_context() as session:
        return Measurement(build_dashboard(tenant, ahead), session.stats)
