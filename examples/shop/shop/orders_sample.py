# shop/orders_sample.py
from shop.models import Order
from shop.orders import place
from shop.sample import fill

BASKETS = [{"tea": 2, "cup": 2}, {"pot": 1}, {"tea": 1}, {"cup": 1}, {"tea": 3}]


def fill_orders() -> list[Order]:
    """Stores five orders: the first, third and fifth are Ada's, the others Bob's."""
    ada, bob = fill()
    return [
        place((ada, bob)[number % 2], basket) for number, basket in enumerate(BASKETS)
    ]
