"""What the shop does."""

from __future__ import annotations

from dynamo_bao import batched, transaction
from shop.models import Customer, Order, Product


class OutOfStock(Exception):
    """There is less of a product than was ordered."""


@batched
def place_order(customer_id: str, product_id: str, quantity: int) -> Order:
    """Takes a product off the shelf for a customer: both is written, or neither."""
    product = Product.find_or_raise(product_id)
    if product.stock < quantity:
        raise OutOfStock(f"{product.stock} of {product.name} are left")
    with transaction():
        product.stock -= quantity
        product.save(condition=Product.fields.stock >= quantity)
        return Order.create(customer_id=customer_id, product_id=product_id, quantity=quantity)


@batched
def order_page(customer_id: str) -> list[str]:
    """A customer's orders as lines of text, the newest first."""
    orders = Customer.find(customer_id).orders.where(direction="DESC")
    return [f"{order.quantity} x {order.product.name}" for order in orders]
