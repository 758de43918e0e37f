# shop/orders.py
from shop.models import Customer, Line, Order, Product


def place(customer: Customer, quantities: dict[str, int]) -> Order:
    """Stores an order with a line for each product."""
    order = Order.create(customer_id=customer.customer_id)
    for product_id, quantity in quantities.items():
        price = Product.find(product_id).price
        Line.create(
            order_id=order.order_id,
            product_id=product_id,
            quantity=quantity,
            price=price,
        )
    return order
