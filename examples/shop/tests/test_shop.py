# tests/test_shop.py
import pytest

from dynamo_bao import ConditionalError, run_with_batch_context
from shop.checkout import place
from shop.models import Order, Product
from shop.web import app


@pytest.fixture
def client(bao_tenant):
    client = app.test_client()
    client.environ_base["HTTP_X_TENANT"] = bao_tenant
    return client


@pytest.fixture
def orders(customers):
    """Eight orders, each placed in a batch context of its own."""
    for number in range(8):
        with run_with_batch_context():
            place(customers[number % 2], {"tea": 1})


def test_an_order_takes_from_the_stock(customers, bao_session):
    place(customers[0], {"cup": 3})
    bao_session.clear()                                   # look at what is stored
    assert Product.find("cup").stock == 2


def test_nobody_orders_what_is_not_there(customers, bao_session):
    with pytest.raises(ConditionalError):
        place(customers[0], {"tea": 1, "pot": 3})
    assert Product.find("tea").stock == 10
    assert len(Order.by_status.query("open")) == 0


def test_a_list_of_orders_needs_few_round_trips(client, orders, assert_max_round_trips):
    with assert_max_round_trips(5):
        reply = client.get("/orders")
    assert len(reply.json) == 8


@pytest.mark.no_n_plus_one(threshold=2)
def test_the_list_is_no_n_plus_one(client, orders):
    assert client.get("/orders").status_code == 200
