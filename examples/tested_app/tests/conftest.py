"""Each test gets an empty table, a tenant of its own, and the rules that hold in production."""

from __future__ import annotations

import pytest

from dynamo_bao import Manager, RequireContext, run_with_batch_context
from shop.models import Customer, Product


@pytest.fixture(scope="session")
def bao_options() -> dict[str, object]:
    """As in production: no request outside a batch context, and none without a tenant."""
    return {"policy": RequireContext(), "tenancy": {"enabled": True}}


@pytest.fixture(autouse=True)
def shop(bao_embedded: Manager, bao_tenant: str) -> None:
    """A table and a tenant, without a test having to ask."""


@pytest.fixture
def ada() -> Customer:
    """A customer, stored in a context that is over when the test begins."""
    with run_with_batch_context():
        return Customer.create(email="ada@example.com")


@pytest.fixture
def products() -> list[Product]:
    """Three products, ten of each."""
    with run_with_batch_context():
        return [Product.create(name=name, stock=10) for name in ("tea", "cup", "spoon")]
