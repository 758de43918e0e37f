"""Two shops with customers, products and orders. The same ones are made each time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from random import Random

from dynamo_bao import Model, TenantContext, run_with_batch_context
from examples.orders.models import Customer, Line, Order, Product, Shop, Status

SHOPS = {"north": "North Sea Tea", "south": "South Street Books"}
"""The shops' names, by tenant."""

ORDERS = 60
"""The number of orders of a shop: more than its dashboard shows."""

NEWEST = datetime(2026, 3, 31, 18, tzinfo=timezone.utc)

_PRODUCTS = {
    "north": [
        ("Assam, 250 g", "9.80"), ("Darjeeling, 100 g", "12.50"), ("Earl Grey, 250 g", "8.90"),
        ("Lapsang Souchong, 100 g", "7.40"), ("Sencha, 100 g", "11.20"), ("Rooibos, 500 g", "13.00"),
        ("Peppermint, 100 g", "4.60"), ("Teapot, 1 l", "38.00"), ("Cup with saucer", "14.50"),
        ("Strainer", "6.90"), ("Rock sugar, 500 g", "3.80"), ("Tin for tea", "8.20"),
    ],
    "south": [
        ("Frankenstein", "9.99"), ("The Last Man", "14.00"), ("Middlemarch", "16.50"),
        ("Villette", "12.00"), ("Emma", "8.50"), ("Cranford", "10.90"),
        ("North and South", "11.50"), ("Reading lamp", "49.00"), ("Bookmarks, set of 10", "5.40"),
        ("Bookends, pair", "27.00"),
    ],
}  # fmt: skip
_CUSTOMERS = [
    ("Ada Kern", "Bremen"), ("Ben Ochs", "Graz"), ("Clara Wolf", "Zürich"), ("David Lund", "Aarhus"),
    ("Emilia Rossi", "Turin"), ("Farid Nasser", "Lyon"), ("Greta Holm", "Malmö"), ("Hugo Peeters", "Ghent"),
    ("Ines Duarte", "Porto"), ("Jakob Brandt", "Kiel"), ("Karolína Bartholomäus-Friedrichsen", "Brno"),
    ("Levi Cohen", "Basel"), ("Maud Byrne", "Cork"), ("Nils Aalto", "Turku"), ("Olga Zielińska", "Gdańsk"),
    ("Paul Moreau", "Nantes"),
]  # fmt: skip


def store_sample(orders: int = ORDERS) -> None:
    """Stores every shop under its own tenant, in batches.

    Args:
        orders: the number of orders of each shop.
    """
    for tenant in SHOPS:
        with TenantContext.run_with_tenant(tenant), run_with_batch_context() as session:
            session.add(*_items_of(tenant, orders, Random(tenant)))
            session.commit()


def _items_of(tenant: str, orders: int, random: Random) -> Iterator[Model]:
    """The items of one shop."""
    yield Shop(shop_id=tenant, name=SHOPS[tenant])
    customers = [Customer(name=name, city=city) for name, city in _CUSTOMERS]
    products = [
        Product(name=name, price=Decimal(price), stock=random.randint(0, 90))
        for name, price in _PRODUCTS[tenant]
    ]
    yield from customers
    yield from products
    for age in range(orders):
        yield from _order(age, random.choice(customers), products, random)


def _order(age: int, customer: Customer, products: list[Product], random: Random) -> Iterator[Model]:
    """An order with its lines. Old orders are sent, and the newest ones open."""
    status: Status = "open" if age < 8 else "paid" if age < 15 else "sent"
    placed_at = NEWEST - timedelta(hours=7 * age, minutes=random.randint(0, 300))
    order = Order(customer_id=customer.customer_id, status=status, placed_at=placed_at)
    yield order
    for number, product in enumerate(random.sample(products, random.randint(1, 5)), 1):
        yield Line(
            order_id=order.order_id,
            number=number,
            product_id=product.product_id,
            quantity=random.randint(1, 4),
            price=product.price,
        )
