"""The models: customers, their orders, the lines of an order, and products. Every shop is a tenant."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from dynamo_bao import (
    MODEL_PREFIX,
    CreateDateField,
    DecimalField,
    HasMany,
    Index,
    IntegerField,
    Manager,
    Model,
    PrimaryKey,
    Related,
    RelatedField,
    RequireContext,
    StringField,
    UlidField,
    init_models,
)

Status = Literal["open", "paid", "sent"]
MILLION = 1_000_000


class Money(DecimalField):
    """An amount in euros, less than a million. Answers show two decimal places."""

    def validate(self, value: Decimal) -> None:
        """Refuses what is no amount of money."""
        if value.is_nan() or not 0 <= value < MILLION or value != round(value, 2):
            raise ValueError("takes an amount from 0.00 to 999999.99, with at most two decimal places")

    def to_json(self, value: Decimal) -> str:
        """``"12.50"`` for what DynamoDB stores as 12.5."""
        return f"{value:.2f}"


class Shop(Model, prefix="shop"):
    """What a tenant calls itself. Its id is that of the tenant."""

    shop_id: str = StringField()
    name: str = StringField()

    primary_key = PrimaryKey("shop_id")


class Customer(Model, prefix="cust"):
    """Somebody who orders."""

    customer_id: str = UlidField(auto_assign=True)
    name: str = StringField(min_length=1, max_length=100, doc="As it stands on parcels.")
    city: str = StringField(max_length=100)

    primary_key = PrimaryKey("customer_id")
    orders = HasMany["Order"]("orders_for_customer")


class Product(Model, prefix="prod"):
    """Something that a shop sells."""

    product_id: str = UlidField(auto_assign=True)
    name: str = StringField(min_length=1, max_length=100)
    price: Decimal = Money(doc="For one piece, in euros.")
    stock: int = IntegerField(minimum=0, default=0, doc="The number of pieces in the store.")

    primary_key = PrimaryKey("product_id")


class Order(Model, prefix="ord"):
    """An order. Its lines are items of their own, see `Line`."""

    order_id: str = UlidField(auto_assign=True)
    customer_id: str = RelatedField("Customer")
    status: Status = "open"
    placed_at: datetime = CreateDateField()

    primary_key = PrimaryKey("order_id")
    by_date = Index(MODEL_PREFIX, "placed_at", id="gsi1")
    orders_for_customer = Index("customer_id", "placed_at", id="gsi2")
    customer = Related["Customer"]("customer_id")
    lines = HasMany["Line"]("lines_for_order")


class Line(Model, prefix="line"):
    """A line of an order, stored beside the other lines of the order.

    Attributes:
        price: for one piece, when it was ordered. The price of the product may change later.
    """

    order_id: str = RelatedField("Order")
    number: int = IntegerField(minimum=1)
    product_id: str = RelatedField("Product")
    quantity: int = IntegerField(minimum=1)
    price: Decimal = Money()

    primary_key = PrimaryKey("order_id", "number")
    lines_for_order = primary_key
    product = Related["Product"]("product_id")


MODELS = (Shop, Customer, Product, Order, Line)


def connect(**connection: Any) -> Manager:
    """Connects the models in strict mode: code that forgot its batch context or its tenant fails.

    Args:
        connection: the table and how to reach it, as `init_models` takes them.
    """
    return init_models(models=MODELS, policy=RequireContext(), tenancy={"enabled": True}, **connection)
