"""Orders for programs: a FastAPI application whose requests have a session and a tenant each.

Models are bodies and answers as they are. What an answer shows of relations is said by models of pydantic.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Security
from fastapi.security import APIKeyHeader
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dynamo_bao import ConditionalError, QueryResult
from dynamo_bao.asgi import BatchContextMiddleware
from dynamo_bao.fastapi import BatchSession, CurrentTenant, get_or_404, tenant_from_header
from examples.orders.dashboard import Dashboard, build_dashboard
from examples.orders.models import Customer, Order, Product, Status
from examples.orders.placing import OutOfStockError, place_order

HEADER = "X-Tenant"


def _with_cents(amount: Decimal) -> Decimal:
    return round(amount, 2)


Euros = Annotated[Decimal, AfterValidator(_with_cents)]


class LineOut(BaseModel):
    """A line of an order, with its product."""

    model_config = ConfigDict(from_attributes=True)
    number: int
    product: Product
    quantity: int
    price: Euros


class OrderOut(BaseModel):
    """An order with its customer and its lines."""

    model_config = ConfigDict(from_attributes=True)
    order_id: str
    status: Status
    placed_at: datetime
    customer: Customer
    lines: list[LineOut]


Id = Annotated[str, Field(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
"""The id of an item, a ULID. A body with another text is refused before anything is read."""


class NewLine(BaseModel):
    """A line of a new order. Its price is that of the product."""

    model_config = ConfigDict(extra="forbid")
    product_id: Id
    quantity: int = Field(ge=1)


class NewOrder(BaseModel):
    """A new order."""

    model_config = ConfigDict(extra="forbid")
    customer_id: Id
    lines: list[NewLine] = Field(min_length=1, max_length=40)


def require_tenant(
    tenant: CurrentTenant,
    header: Annotated[str | None, Security(APIKeyHeader(name=HEADER, auto_error=False))],
) -> None:
    """Refuses a request without a tenant, and lets the OpenAPI document say where it is named."""


Responses = dict[int | str, dict[str, object]]

NO_TENANT: Responses = {400: {"description": "The request names no tenant, or not a valid one."}}
NOT_FOUND: Responses = {404: {"description": "The shop has no such item."}}
OUT_OF_STOCK: Responses = {409: {"description": "The store has too few pieces of a product."}}

router = APIRouter(dependencies=[Depends(require_tenant)], responses=NO_TENANT)


def create_api() -> FastAPI:
    """The application. Its own pages, such as ``/docs``, need no tenant."""
    api = FastAPI(title="Orders", description=f"The orders of one shop, which the header {HEADER} names.")
    api.add_middleware(
        BatchContextMiddleware, tenant=tenant_from_header(HEADER), tenant_required=False, server_timing=True
    )
    api.include_router(router)
    return api


@router.get("/dashboard", tags=["orders"])
def show_dashboard(tenant: CurrentTenant, ahead: bool = False) -> Dashboard:
    """The newest orders; with `ahead`, relations are loaded with the orders."""
    return build_dashboard(tenant, ahead)


@router.get("/orders", tags=["orders"], response_model=list[OrderOut])
def list_orders(limit: Annotated[int, Query(ge=1, le=100)] = 50) -> QueryResult[Order]:
    """The newest orders with their customers, lines and products."""
    return Order.by_date.query(None, direction="DESC", limit=limit)


@router.get("/orders/{order_id}", tags=["orders"], responses=NOT_FOUND, response_model=OrderOut)
def show_order(order_id: str) -> Order:
    """One order."""
    return get_or_404(Order, order_id, detail="There is no such order.")


@router.post("/orders", tags=["orders"], responses={**NOT_FOUND, **OUT_OF_STOCK}, status_code=201)
def add_order(order: NewOrder) -> Order:
    """Stores an order with its lines, and takes its products from the store."""
    customer = Customer.find(order.customer_id)
    quantities = [(Product.find(line.product_id), line.quantity) for line in order.lines]
    for instance in (customer, *(product for product, _ in quantities)):
        if not instance.exists():  # the first of these loads the customer and all products
            raise HTTPException(404, f"There is no such {type(instance).__name__.lower()}.")
    try:
        return place_order(customer, quantities)
    except OutOfStockError as error:
        raise HTTPException(409, str(error)) from error
    except ConditionalError as error:
        raise HTTPException(409, "Others ordered the same products at this moment. Try again.") from error


@router.get("/customers/{customer_id}/orders", tags=["orders"], responses=NOT_FOUND)
def list_orders_of_customer(customer_id: str) -> QueryResult[Order]:
    """All orders of one customer, oldest first."""
    return get_or_404(Customer, customer_id, detail="There is no such customer.").orders


@router.post("/products", tags=["products"], status_code=201)
def add_product(product: Product) -> Product:
    """Stores a new product."""
    return product.save()


@router.post("/products/import", tags=["products"], status_code=201)
def import_products(products: list[Product], session: BatchSession) -> list[Product]:
    """Stores many new products, in batches."""
    session.add(*products)
    session.commit()
    return products


@router.get("/products/{product_id}", tags=["products"], responses=NOT_FOUND)
def show_product(product_id: str) -> Product:
    """One product."""
    return get_or_404(Product, product_id, detail="There is no such product.")
