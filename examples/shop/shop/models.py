# shop/models.py
from datetime import datetime
from decimal import Decimal

from dynamo_bao import (
    CounterField, CreateDateField, HasMany, Index, IntegerField, Model, PrimaryKey,
    Related, RelatedField, StringField, UlidField, UniqueConstraint,
)


class Product(Model, prefix="p", iterable=True):
    product_id: str
    name: str
    price: Decimal
    stock: int = CounterField()

    primary_key = PrimaryKey("product_id")


class Customer(Model, prefix="c"):
    customer_id: str = UlidField(auto_assign=True)
    name: str
    email: str = StringField(pattern=r"[^@]+@[^@]+")

    primary_key = PrimaryKey("customer_id")
    unique_email = UniqueConstraint("email", id="uc1")
    orders = HasMany["Order"]("orders_for_customer")       # an index of Order


class Order(Model, prefix="o"):
    order_id: str = UlidField(auto_assign=True)
    customer_id: str = RelatedField("Customer")
    status: str = StringField(default="open", choices=["open", "paid", "sent"])
    placed_at: datetime = CreateDateField()

    primary_key = PrimaryKey("order_id")
    orders_for_customer = Index("customer_id", "order_id", id="gsi1")
    by_status = Index("status", "placed_at", id="gsi2")
    customer = Related["Customer"]("customer_id")
    lines = HasMany["Line"]("lines_of_order")


class Line(Model, prefix="l"):
    order_id: str = RelatedField("Order")
    product_id: str = RelatedField("Product")
    quantity: int = IntegerField(minimum=1)
    price: Decimal                                         # when it was ordered

    primary_key = PrimaryKey("order_id", "product_id")     # one line for each product
    lines_of_order = primary_key
    product = Related["Product"]("product_id")
