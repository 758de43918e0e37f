"""Placing an order: the order, its lines and the store change together or not at all."""

from __future__ import annotations

from collections.abc import Iterable

from dynamo_bao import transaction
from examples.orders.models import Customer, Line, Order, Product


class OutOfStockError(Exception):
    """Fewer pieces of a product are in the store than were ordered."""


def place_order(customer: Customer, quantities: Iterable[tuple[Product, int]]) -> Order:
    """Stores an order and takes its products from the store.

    Args:
        customer: who orders.
        quantities: the products, each with its number of pieces.

    Returns:
        The order.

    Raises:
        OutOfStockError: if the store has too few pieces. Nothing is stored then.
        ConditionalError: if other orders changed the store in the meantime. Nothing is stored then.
    """
    with transaction():
        order = Order.create(customer_id=customer.customer_id)
        for number, (product, quantity) in enumerate(quantities, 1):
            _take(product, quantity)
            Line.create(
                order_id=order.order_id,
                number=number,
                product_id=product.product_id,
                quantity=quantity,
                price=product.price,
            )
    return order


def _take(product: Product, quantity: int) -> None:
    if product.stock < quantity:
        raise OutOfStockError(
            f"{product.name}: {quantity} pieces were ordered, and {product.stock} are left."
        )
    product.stock -= quantity
    product.save()
