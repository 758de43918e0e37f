# shop/api.py
from decimal import Decimal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict

from dynamo_bao import ConditionalError
from dynamo_bao.fastapi import BatchContextMiddleware, get_or_404, tenant_from_header
from shop.checkout import place
from shop.models import Customer, Order, Product

api = FastAPI()
api.add_middleware(
    BatchContextMiddleware, tenant=tenant_from_header("X-Tenant"), server_timing=True
)


class LineOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    product: Product
    quantity: int
    price: Decimal


class OrderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    order_id: str
    customer: Customer
    lines: list[LineOut]


@api.get("/orders", response_model=list[OrderOut])
def list_orders():
    return list(Order.by_status.query("open"))


@api.post("/customers", status_code=201)
def add_customer(customer: Customer) -> Customer:
    return customer.save()


@api.post("/customers/{customer_id}/orders", status_code=201, response_model=OrderOut)
def place_order(customer_id: str, quantities: dict[str, int]):
    try:
        return place(get_or_404(Customer, customer_id), quantities)
    except ConditionalError:
        raise HTTPException(409, "out of stock") from None
