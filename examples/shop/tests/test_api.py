"""The FastAPI application, by its test client."""

import pytest
from fastapi.testclient import TestClient

from shop.api import api


@pytest.fixture
def client(bao_tenant):
    return TestClient(api, headers={"X-Tenant": bao_tenant})


def test_an_order_shows_its_products(client, customers):
    ada = customers[0]
    reply = client.post(f"/customers/{ada.customer_id}/orders", json={"tea": 2, "pot": 1})
    assert reply.status_code == 201
    lines = reply.json()["lines"]
    assert {line["product"]["name"]: line["quantity"] for line in lines} == {"Tea": 2, "Teapot": 1}
    (order,) = client.get("/orders").json()
    assert order["customer"]["name"] == "Ada"


def test_nobody_orders_what_is_not_there(client, customers):
    reply = client.post(f"/customers/{customers[1].customer_id}/orders", json={"pot": 3})
    assert (reply.status_code, reply.json()) == (409, {"detail": "out of stock"})
    assert client.get("/orders").json() == []


def test_a_customer_needs_an_address(client, customers):
    reply = client.post("/customers", json={"name": "Cy", "email": "cy"})
    assert reply.status_code == 422
    reply = client.post("/customers", json={"name": "Cy", "email": "cy@example.com"})
    assert (reply.status_code, reply.json()["name"]) == (201, "Cy")
