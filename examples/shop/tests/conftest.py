# tests/conftest.py
import pytest

from dynamo_bao import RequireContext, run_with_batch_context
from shop.sample import fill


@pytest.fixture(scope="session")
def bao_options():
    return {"policy": RequireContext(), "tenancy": {"enabled": True}}


@pytest.fixture
def customers(bao_embedded, bao_tenant):
    """Two customers, on a new table and for a new tenant."""
    with run_with_batch_context():
        return fill()
