"""What ordering does, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from dynamo_bao import BatchContextRequiredError, Session, TenantContext
from shop.models import Customer, Product
from shop.orders import OutOfStock, order_page, place_order


def test_an_order_takes_from_the_shelf(ada: Customer, products: list[Product], bao_session: Session) -> None:
    """Three cups fewer, and one line on the customer's page."""
    cup = products[1]
    place_order(ada.customer_id, cup.product_id, 3)
    bao_session.clear()  # forget what the test holds: look at what is stored
    assert Product.find(cup.product_id).stock == 7
    assert order_page(ada.customer_id) == ["3 x cup"]


def test_what_is_not_there_cannot_be_ordered(
    ada: Customer, products: list[Product], bao_session: Session
) -> None:
    """No order, and the shelf as it was."""
    with pytest.raises(OutOfStock, match="10 of tea are left"):
        place_order(ada.customer_id, products[0].product_id, 11)
    assert order_page(ada.customer_id) == []


@pytest.mark.no_n_plus_one(threshold=2)
def test_the_page_costs_two_round_trips(
    ada: Customer,
    products: list[Product],
    assert_max_round_trips: Callable[[int], AbstractContextManager[object]],
) -> None:
    """One query for the orders, one batch for their products, however many there are."""
    for product in products:
        place_order(ada.customer_id, product.product_id, 1)
    with assert_max_round_trips(2):
        assert order_page(ada.customer_id) == ["1 x spoon", "1 x cup", "1 x tea"]


def test_another_tenant_sees_nothing(ada: Customer, products: list[Product]) -> None:
    """Shops share a table and no customer."""
    place_order(ada.customer_id, products[0].product_id, 1)
    with TenantContext.run_with_tenant("the-shop-next-door"):
        assert order_page(ada.customer_id) == []


def test_the_rules_of_production_hold() -> None:
    """Forgetting the batch context is found here, and not by the first customer."""
    with pytest.raises(BatchContextRequiredError):
        Customer.find("01ARZ3NDEKTSV4RRFFQ69G5FAV")
