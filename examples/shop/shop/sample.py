# shop/sample.py
from decimal import Decimal

from dynamo_bao import Manager, init_models
from shop.models import Customer, Product

PRODUCTS = [
    ("tea", "Tea", "4.50", 10),
    ("cup", "Cup", "7.00", 5),
    ("pot", "Teapot", "21.00", 2),
]


def open_shop() -> Manager:
    """A manager on an empty table of its own."""
    return init_models(embedded=True)


def fill() -> list[Customer]:
    """Stores three products and two customers."""
    for product_id, name, price, stock in PRODUCTS:
        Product.create(
            product_id=product_id, name=name, price=Decimal(price), stock=stock
        )
    return [
        Customer.create(name=name, email=f"{name.lower()}@example.com")
        for name in ("Ada", "Bob")
    ]
