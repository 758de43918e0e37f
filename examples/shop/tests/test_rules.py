"""The rules of production, which hold in every test because `bao_options` names them."""

import pytest

from dynamo_bao import BatchContextRequiredError, TenantContext, run_with_batch_context
from shop.checkout import place
from shop.models import Order, Product
from shop.web import app


def test_another_tenant_sees_nothing(customers):
    with run_with_batch_context():
        place(customers[0], {"tea": 1})
        assert len(Order.by_status.query("open")) == 1
    with TenantContext.run_with_tenant("next-door"), run_with_batch_context():
        assert len(Order.by_status.query("open")) == 0
        assert Product.find_or_none("tea") is None


def test_a_forgotten_batch_context_is_an_error(customers):
    with pytest.raises(BatchContextRequiredError):
        Product.find("tea")


def test_a_request_without_a_tenant_is_refused(customers):
    assert app.test_client().get("/orders").status_code == 400
