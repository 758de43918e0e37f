"""The example of orders: both applications by the test clients of their frameworks, with requests counted as sent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from flask.testing import FlaskClient

from dynamo_bao import (
    ConditionalError,
    Manager,
    TenantContext,
    TenantRequiredError,
    ValidationError,
    run_with_batch_context,
)
from dynamo_bao.testing import RoundWatch
from examples.orders import __main__ as command_line
from examples.orders.dashboard import (
    MAX_ROUND_TRIPS,
    MAX_ROUND_TRIPS_AHEAD,
    NEWEST,
    build_dashboard,
    measure_dashboard,
)
from examples.orders.fastapi_app import create_api
from examples.orders.flask_app import create_app, euros
from examples.orders.models import Customer, Line, Order, Product, connect
from examples.orders.placing import OutOfStockError, place_order
from examples.orders.sample import SHOPS, store_sample
from tests.support.models import NOBODY
from tests.support.wire import Wire

pytestmark = pytest.mark.one_engine

FEW = 6
NORTH = {"X-Tenant": "north"}
SOUTH = {"X-Tenant": "south"}


@pytest.fixture
def shops(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """Two shops with few orders each."""
    with connect(table_name=ready_table, **connection) as manager:
        store_sample(FEW)
        yield manager


@pytest.fixture
def full_shops(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """Two shops with more orders than a dashboard shows."""
    with connect(table_name=ready_table, **connection) as manager:
        store_sample()
        yield manager


@pytest.fixture
def api() -> Iterator[TestClient]:
    """A client of the FastAPI application, in the northern shop."""
    with TestClient(create_api(), headers=NORTH) as client:
        yield client


@pytest.fixture
def pages() -> FlaskClient:
    """A client of the Flask application. It names a shop in each request."""
    return create_app().test_client()


def order_id(api: TestClient) -> str:
    """The newest order of the northern shop."""
    return str(api.get("/orders", params={"limit": 1}).json()[0]["order_id"])


# --- round trips -------------------------------------------------------------------------------------------


def visits(pages: FlaskClient, api: TestClient) -> dict[str, Callable[[bool], str]]:
    """The dashboard of each application, with and without relations that are loaded ahead."""
    return {
        "Flask": lambda ahead: pages.get("/", headers=NORTH, query_string={"ahead": int(ahead)}).text,
        "FastAPI": lambda ahead: api.get("/dashboard", params={"ahead": ahead}).text,
    }


@pytest.mark.parametrize("framework", ["Flask", "FastAPI"])
def test_the_dashboard_takes_4_round_trips_ahead_and_8_by_looking(
    full_shops: Manager, pages: FlaskClient, api: TestClient, framework: str
) -> None:
    """At most, for 50 orders: each list of lines is a query, and customers and products are batches."""
    visit = visits(pages, api)[framework]
    wire = Wire(full_shops.client)
    with RoundWatch() as watch:
        visit(True)
    assert watch.round_trips <= MAX_ROUND_TRIPS_AHEAD
    assert Counter(wire.operations) == {"Query": 1 + NEWEST, "BatchGetItem": 3}
    wire.clear()
    with RoundWatch() as watch:
        visit(False)
    assert watch.round_trips <= MAX_ROUND_TRIPS
    assert wire.operations.count("Query") == 1 + NEWEST
    assert len(wire) <= NEWEST + MAX_ROUND_TRIPS


def test_both_ways_show_the_same(full_shops: Manager) -> None:
    """The loops see the same values, and each session's figures are its own."""
    wire = Wire(full_shops.client)
    with TenantContext.run_with_tenant("south"):
        looking, ahead = (measure_dashboard("south", way) for way in (False, True))
    assert looking.dashboard == ahead.dashboard
    assert looking.dashboard.shop == SHOPS["south"] and len(ahead.dashboard.orders) == NEWEST
    assert ahead.stats.round_trips < looking.stats.round_trips
    assert looking.stats.requests + ahead.stats.requests == len(wire)


def test_the_page_that_compares_shows_the_figures_of_both(full_shops: Manager, pages: FlaskClient) -> None:
    """They are those of the two sessions that made the dashboard."""
    wire = Wire(full_shops.client)
    with RoundWatch() as watch:
        text = pages.get("/compare", headers=NORTH).text
    rounds = [int(number) for number in re.findall(r"<strong>(\d+)</strong> round trips", text)]
    requests = [int(number) for number in re.findall(r"<dt>requests</dt><dd>(\d+)</dd>", text)]
    assert rounds[1] < rounds[0] and sum(rounds) == watch.round_trips
    assert len(requests) == 2 and sum(requests) == len(wire)
    assert "the same 50 orders" in re.sub(r"\s+", " ", text)


def test_a_list_of_orders_is_as_cheap_by_pydantic(full_shops: Manager, api: TestClient) -> None:
    """Validating the answer looks at the relations one after the other, as a nested loop does."""
    wire = Wire(full_shops.client)
    with RoundWatch() as watch:
        orders = api.get("/orders").json()
    assert len(orders) == NEWEST and all(order["lines"] for order in orders)
    assert watch.round_trips <= MAX_ROUND_TRIPS and len(wire) <= NEWEST + MAX_ROUND_TRIPS


def test_an_order_as_json_is_three_round_trips(shops: Manager, pages: FlaskClient, api: TestClient) -> None:
    """The order, then its customer and lines, then their products."""
    key = order_id(api)
    with RoundWatch() as watch:
        order = pages.get(f"/api/orders/{key}", headers=NORTH).get_json()
    assert watch.round_trips == 3
    shown = api.get(f"/orders/{key}").json()
    assert order["customer"] == shown["customer"] and order["placed_at"] == shown["placed_at"]
    assert [line["product"] for line in order["lines"]] == [line["product"] for line in shown["lines"]]


# --- pages -------------------------------------------------------------------------------------------------


def test_pages_show_their_own_figures(shops: Manager, pages: FlaskClient) -> None:
    """In the footer, as the header of the response has them."""
    for path in ("/", "/?ahead=1"):
        reply = pages.get(path, headers=NORTH)
        (rounds,) = re.findall(r"<dt>round trips</dt><dd>(\d+)</dd>", reply.text)
        assert f"{rounds} round trips" in reply.headers["Server-Timing"]
        assert f"<strong>{rounds} round trips</strong>" in reply.text


def test_the_page_of_an_order_shows_its_lines(shops: Manager, pages: FlaskClient, api: TestClient) -> None:
    """With the amounts that the interface for programs answers."""
    order = api.get(f"/orders/{order_id(api)}").json()
    text = pages.get(f"/orders/{order['order_id']}", headers=NORTH).text
    assert order["customer"]["name"] in text
    for line in order["lines"]:
        assert re.fullmatch(r"\d+\.\d\d", line["price"])
        assert line["product"]["name"] in text and euros(line["quantity"] * Decimal(line["price"])) in text


def test_a_customer_has_orders(shops: Manager, pages: FlaskClient, api: TestClient) -> None:
    """By the relation, in both applications."""
    key = api.get("/orders").json()[0]["customer"]["customer_id"]
    orders = api.get(f"/customers/{key}/orders").json()
    assert orders and {order["customer_id"] for order in orders} == {key}
    customer = pages.get(f"/api/customers/{key}", headers=NORTH).get_json()
    assert customer["orders"] == orders


def test_names_cannot_bring_markup_into_the_pages(shops: Manager, pages: FlaskClient) -> None:
    """They are shown as they are."""
    with TenantContext.run_with_tenant("north"), run_with_batch_context():
        Order.create(customer_id=Customer.create(name="<b>Bo</b>", city="<i>").customer_id)
    text = pages.get("/", headers=NORTH).text
    assert "&lt;b&gt;Bo&lt;/b&gt;" in text and "<b>" not in text and "<i>" not in text


# --- tenants -----------------------------------------------------------------------------------------------


def test_shops_do_not_see_each_other(shops: Manager, pages: FlaskClient, api: TestClient) -> None:
    """Neither by lists nor by ids."""
    lists = [
        {order["order_id"] for order in api.get("/orders", headers=shop).json()} for shop in (NORTH, SOUTH)
    ]
    assert [len(ids) for ids in lists] == [FEW, FEW] and not lists[0] & lists[1]
    for key in lists[0]:
        assert api.get(f"/orders/{key}", headers=SOUTH).status_code == 404
        assert pages.get(f"/api/orders/{key}", headers=SOUTH).status_code == 404
    assert SHOPS["south"] in pages.get("/", headers=SOUTH).text
    assert SHOPS["north"] not in pages.get("/", headers=SOUTH).text


@pytest.mark.parametrize("headers", [{"X-Tenant": ""}, {"X-Tenant": "a/b"}])
def test_a_request_without_a_shop_is_refused(
    shops: Manager, pages: FlaskClient, api: TestClient, headers: dict[str, str]
) -> None:
    """With 400, before any request to DynamoDB."""
    wire = Wire(shops.client)
    assert pages.get("/", headers=headers).status_code == 400
    assert api.get("/orders", headers=headers).status_code == 400
    assert len(wire) == 0


def test_code_without_a_tenant_fails(shops: Manager) -> None:
    """A job that forgets the tenant cannot write the items of no shop."""
    with run_with_batch_context(), pytest.raises(TenantRequiredError):
        build_dashboard("north")


@pytest.mark.parametrize(
    ("host", "shop"), [("south.localhost:5000", "south"), ("127.0.0.1:5000", "north"), ("localhost", "north")]
)
def test_the_host_names_the_shop_of_a_browser_on_this_machine(shops: Manager, host: str, shop: str) -> None:
    """Its pages lead to the other shop, and to the traces of the last requests."""
    client = create_app(local=True).test_client()
    text = client.get("/", headers={"Host": host}).text
    assert f"<h1>{SHOPS[shop]}</h1>" in text
    port = host.partition(":")[2]
    assert f'href="http://south.localhost{port and ":" + port}/"' in text
    assert "GET /" in client.get("/_bao", headers={"Host": host}).text


# --- what is not there, and what is refused ----------------------------------------------------------------


@pytest.mark.parametrize("key", [NOBODY, "nope", "x" * 3000, "%00"])
def test_what_is_not_there_is_not_found(
    shops: Manager, pages: FlaskClient, api: TestClient, key: str
) -> None:
    """A missing item and an id that no item can have, in pages and in JSON."""
    for path in (f"/api/orders/{key}", f"/api/customers/{key}", f"/api/products/{key}"):
        reply = pages.get(path, headers=NORTH)
        assert reply.status_code == 404 and reply.get_json()["error"].startswith("There is no such ")
    page = pages.get(f"/orders/{key}", headers=NORTH)
    assert page.status_code == 404 and "Not found" in page.text
    for path in (f"/orders/{key}", f"/customers/{key}/orders", f"/products/{key}"):
        answer = api.get(path)
        assert answer.status_code == 404 and answer.json()["detail"].startswith("There is no such ")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": "Tea", "price": "3.50", "colour": "green"}, ["body", "colour"]),
        ({"name": "", "price": "3.50"}, ["body", "name"]),
        ({"name": "Tea", "price": "3.505"}, ["body", "price"]),
        ({"name": "Tea", "price": "-1"}, ["body", "price"]),
        ({"name": "Tea", "price": "NaN"}, ["body", "price"]),
        ({"name": "Tea", "price": "1e99"}, ["body", "price"]),
        ({"name": "Tea", "price": "1", "stock": -1}, ["body", "stock"]),
        ({"name": "Tea"}, ["body", "price"]),
    ],
)
def test_a_product_that_is_none_is_422(
    shops: Manager, api: TestClient, body: dict[str, Any], place: list[str]
) -> None:
    """With the place of the fault, before any request to DynamoDB."""
    wire = Wire(shops.client)
    reply = api.post("/products", json=body)
    assert reply.status_code == 422 and len(wire) == 0
    assert [fault["loc"] for fault in reply.json()["detail"]] == [place]


def test_a_product_is_stored(shops: Manager, pages: FlaskClient, api: TestClient) -> None:
    """Its id is not the client's to choose; an import stores many."""
    reply = api.post("/products", json={"name": "Tea", "price": "3.50", "product_id": NOBODY})
    assert reply.status_code == 201
    product = reply.json()
    assert product["product_id"] != NOBODY and product["price"] == "3.50" and product["stock"] == 0
    assert api.get(f"/products/{product['product_id']}").json() == product
    assert pages.get(f"/api/products/{product['product_id']}", headers=NORTH).get_json() == product
    reply = api.post("/products/import", json=[{"name": f"Tea {n}", "price": n} for n in range(30)])
    assert reply.status_code == 201
    with TenantContext.run_with_tenant("north"), run_with_batch_context() as session:
        products = [Product.find(one["product_id"]) for one in reply.json()]
        assert [product.name for product in products] == [f"Tea {n}" for n in range(30)]
        assert session.stats.round_trips == 1


# --- orders ------------------------------------------------------------------------------------------------


@pytest.fixture
def tea(shops: Manager, api: TestClient) -> dict[str, Any]:
    """A product of which five pieces are left."""
    product: dict[str, Any] = api.post("/products", json={"name": "Tea", "price": "3.50", "stock": 5}).json()
    return product


def body(api: TestClient, *lines: tuple[str, int]) -> dict[str, Any]:
    """An order of the customer of the newest order."""
    customer_id = api.get("/orders", params={"limit": 1}).json()[0]["customer"]["customer_id"]
    return {
        "customer_id": customer_id,
        "lines": [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines],
    }


def test_an_order_takes_its_products_from_the_store(
    shops: Manager, api: TestClient, tea: dict[str, Any]
) -> None:
    """Its customer and products are one request, and all that it writes is another."""
    order = body(api, (tea["product_id"], 2), (tea["product_id"], 1))
    wire = Wire(shops.client)
    reply = api.post("/orders", json=order)
    assert reply.status_code == 201 and wire.operations == ["BatchGetItem", "TransactWriteItems"]
    lines = api.get(f"/orders/{reply.json()['order_id']}").json()["lines"]
    assert [(line["number"], line["quantity"], line["price"]) for line in lines] == [
        (1, 2, "3.50"),
        (2, 1, "3.50"),
    ]
    assert api.get(f"/products/{tea['product_id']}").json()["stock"] == 2


def test_an_order_of_more_than_is_left_stores_nothing(
    shops: Manager, api: TestClient, tea: dict[str, Any]
) -> None:
    """Not even the lines that could be delivered."""
    order = body(api, (tea["product_id"], 3), (tea["product_id"], 3))
    wire = Wire(shops.client)
    reply = api.post("/orders", json=order)
    assert (
        reply.status_code == 409 and reply.json()["detail"] == "Tea: 3 pieces were ordered, and 2 are left."
    )
    assert wire.operations == ["BatchGetItem"]
    assert api.get(f"/products/{tea['product_id']}").json()["stock"] == 5


def test_two_orders_do_not_sell_one_piece_twice(shops: Manager, api: TestClient, tea: dict[str, Any]) -> None:
    """The second one fails, because the store is not as it was read."""
    with TenantContext.run_with_tenant("north"), run_with_batch_context():
        product, customer = Product.find(tea["product_id"]), Customer.create(name="Bo", city="Ystad")
        assert product.stock == 5
        with run_with_batch_context():
            place_order(Customer.find(customer.customer_id), [(Product.find(tea["product_id"]), 4)])
        with pytest.raises(ConditionalError):
            place_order(customer, [(product, 4)])
        with run_with_batch_context():
            assert len(Customer.find(customer.customer_id).orders) == 1
            with pytest.raises(OutOfStockError):
                place_order(customer, [(Product.find(tea["product_id"]), 4)])


@pytest.mark.parametrize(
    ("change", "status", "place"),
    [
        ({"lines": []}, 422, ["body", "lines"]),
        ({"note": "quickly"}, 422, ["body", "note"]),
        ({"customer_id": "nope"}, 422, ["body", "customer_id"]),
        ({"lines": [{"product_id": NOBODY, "quantity": 0}]}, 422, ["body", "lines", 0, "quantity"]),
        (
            {"lines": [{"product_id": NOBODY, "quantity": 1, "price": "0"}]},
            422,
            ["body", "lines", 0, "price"],
        ),
        ({"customer_id": NOBODY}, 404, "There is no such customer."),
        ({"lines": [{"product_id": NOBODY, "quantity": 1}]}, 404, "There is no such product."),
    ],
)
def test_an_order_that_is_none_is_refused(
    shops: Manager, api: TestClient, tea: dict[str, Any], change: dict[str, Any], status: int, place: object
) -> None:
    """Bodies of another form with 422, and ids of nothing with 404."""
    reply = api.post("/orders", json={**body(api, (tea["product_id"], 1)), **change})
    detail = reply.json()["detail"]
    assert reply.status_code == status
    assert (detail if status == 404 else [fault["loc"] for fault in detail]) == (
        place if status == 404 else [place]
    )


def test_an_amount_of_money_is_checked_by_its_field(shops: Manager) -> None:
    """In the program as in bodies, before any request."""
    wire = Wire(shops.client)
    with TenantContext.run_with_tenant("north"), run_with_batch_context():
        for price in (Decimal(-1), Decimal(10**6)):
            with pytest.raises(ValidationError, match=r"Line\.price takes an amount"):
                Line.create(order_id=NOBODY, number=1, product_id=NOBODY, quantity=1, price=price)
    assert len(wire) == 0


# --- the description of the interface ----------------------------------------------------------------------


def schema_of(document: dict[str, Any], path: str, method: str, status: str | None = None) -> Any:
    """The schema of a body, or of the response with a status."""
    operation = document["paths"][path][method]
    part = operation["requestBody"] if status is None else operation["responses"][status]
    schema = part["content"]["application/json"]["schema"]
    return {name: value for name, value in schema.items() if name != "title"}


def test_the_openapi_document(api: TestClient) -> None:
    """Bodies and answers of each endpoint are named definitions, and the header of the shop is known."""
    document = api.get("/openapi.json", headers={"X-Tenant": ""}).json()

    def named(name: str) -> dict[str, str]:
        return {"$ref": f"#/components/schemas/{name}"}

    assert schema_of(document, "/dashboard", "get", "200") == named("Dashboard")
    assert schema_of(document, "/orders", "get", "200") == {"type": "array", "items": named("OrderOut")}
    assert schema_of(document, "/orders", "post") == named("NewOrder")
    assert schema_of(document, "/orders", "post", "201") == named("Order")
    assert schema_of(document, "/products", "post") == named("Product-Input")
    assert schema_of(document, "/products", "post", "201") == named("Product-Output")
    assert schema_of(document, "/products/import", "post") == {
        "type": "array",
        "items": named("Product-Input"),
    }
    assert schema_of(document, "/customers/{customer_id}/orders", "get", "200") == {
        "type": "array",
        "items": named("Order"),
    }
    assert document["components"]["securitySchemes"] == {
        "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "X-Tenant"}
    }
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["security"] == [{"APIKeyHeader": []}] and "400" in operation["responses"]


def test_the_schemas_of_models_say_what_their_fields_take(api: TestClient) -> None:
    """What a body may hold, and what every answer has."""
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    given, answer = schemas["Product-Input"], schemas["Product-Output"]
    assert given["required"] == ["name", "price"] and given["additionalProperties"] is False
    assert answer["required"] == ["product_id", "name", "price", "stock"]
    assert given["properties"]["product_id"]["readOnly"] is True
    assert given["properties"]["stock"] == {
        "type": "integer",
        "minimum": 0,
        "default": 0,
        "title": "Stock",
        "description": "The number of pieces in the store.",
    }
    assert schemas["Order"]["properties"]["status"]["enum"] == ["open", "paid", "sent"]
    assert schemas["OrderOut"]["properties"]["customer"] == {"$ref": "#/components/schemas/Customer"}
    assert schemas["OrderOut"]["properties"]["lines"]["items"] == {"$ref": "#/components/schemas/LineOut"}
    assert schemas["NewOrder"]["additionalProperties"] is False


def test_the_documentation_needs_no_shop(api: TestClient) -> None:
    """It is the page in which a reader says which shop is meant."""
    assert api.get("/docs", headers={"X-Tenant": ""}).status_code == 200


# --- command line ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "server"), [([], "run_simple"), (["--fastapi"], "run")])
def test_serve_starts_an_application_with_stored_shops(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], server: str
) -> None:
    """On the port that was asked for; Ctrl-C ends it cleanly."""

    def interrupted(*values: Any, **_: Any) -> None:
        with TenantContext.run_with_tenant("south"), run_with_batch_context():
            assert len(build_dashboard("south").orders) == NEWEST
        raise KeyboardInterrupt

    owner: Any = command_line if server == "run_simple" else uvicorn
    monkeypatch.setattr(owner, server, interrupted)
    assert command_line.main(["serve", "--port", "5077", *arguments]) == command_line.INTERRUPTED
    printed = capsys.readouterr().out
    assert ":5077/" in printed and "Interrupted" in printed


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"]])
def test_every_command_has_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the name that starts it."""
    with pytest.raises(SystemExit) as ended:
        command_line.main(arguments)
    assert ended.value.code == 0
    assert "usage: python -m examples.orders" in capsys.readouterr().out
