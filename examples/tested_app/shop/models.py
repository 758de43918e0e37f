"""What the shop stores."""

from __future__ import annotations

from datetime import datetime

from dynamo_bao import (
    CounterField,
    CreateDateField,
    HasMany,
    Index,
    IntegerField,
    Model,
    PrimaryKey,
    Related,
    RelatedField,
    StringField,
    UlidField,
    UniqueConstraint,
)


class Customer(Model, prefix="c"):
    customer_id: str = UlidField(auto_assign=True)
    email: str = StringField()

    primary_key = PrimaryKey("customer_id")
    unique_email = UniqueConstraint("email", id="uc1")
    orders = HasMany["Order"]("orders_for_customer")


class Product(Model, prefix="p"):
    product_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    stock: int = CounterField()

    primary_key = PrimaryKey("product_id")


class Order(Model, prefix="o"):
    order_id: str = UlidField(auto_assign=True)
    customer_id: str = RelatedField("Customer")
    product_id: str = RelatedField("Product")
    quantity: int = IntegerField(minimum=1)
    placed_at: datetime = CreateDateField()

    primary_key = PrimaryKey("order_id")
    orders_for_customer = Index("customer_id", "placed_at", id="gsi1")
    product = Related["Product"]("product_id")
