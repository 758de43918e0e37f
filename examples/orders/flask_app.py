"""The pages of a shop, and its orders as JSON: a Flask application whose requests have a session and a tenant each."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from flask import Flask, Request, jsonify, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from dynamo_bao import Model, TenantContext, current_session
from dynamo_bao.flask import Bao, tenant_from_header, tenant_from_host
from examples.orders.dashboard import RELATIONS, build_dashboard, measure_dashboard, view_order
from examples.orders.models import Customer, Order, Product
from examples.orders.sample import SHOPS

BY_HEADER = tenant_from_header("X-Tenant")
BY_HOST = tenant_from_host("localhost")

TRACES = "/_bao"
"""The path of the page with the traces of the last requests."""


def create_app(local: bool = False) -> Flask:
    """The application.

    Args:
        local: whether the only users are browsers on this machine. They send no header ``X-Tenant``, so the host
            names the shop too. The pages then link to each other's shops and to the traces of their requests.
    """
    app = Flask(__name__)
    Bao(app, tenant=tenant_of_browser if local else BY_HEADER, traces=TRACES if local else None)
    app.config["SHOPS"] = SHOPS if local else {}
    app.context_processor(shown_everywhere)
    app.template_filter("euros")(euros)
    app.get("/")(dashboard_page)
    app.get("/compare")(compare_page)
    app.get("/orders/<order_id>")(order_page)
    app.get("/api/orders/<order_id>")(order)
    app.get("/api/customers/<customer_id>")(customer)
    app.get("/api/products/<product_id>")(product)
    app.register_error_handler(NotFound, not_found)
    return app


def tenant_of_browser(request: Request) -> str:
    """The shop of a request: by the header, or as in ``north.localhost:5000``, or else the first one."""
    return BY_HEADER(request.environ) or BY_HOST(request.environ) or next(iter(SHOPS))


def shown_everywhere() -> dict[str, object]:
    """What every page shows: the figures of its request, and where else to go."""
    session = current_session()
    assert session is not None  # each request has one
    _, colon, port = request.host.partition(":")
    return {
        "stats": session.stats,
        "tenant": TenantContext.get_current_tenant(),
        "pages": {
            "Orders": url_for("dashboard_page"),
            "Loaded ahead": url_for("dashboard_page", ahead=1),
            "Compare": url_for("compare_page"),
        },
        "here": request.full_path.rstrip("?"),
        "port": colon + port,
        "traces": TRACES,
    }


# --- pages ---------------------------------------------------------------------------------------------------


def dashboard_page() -> str:
    """The newest orders; with ``?ahead=1`` from relations that are loaded with the orders."""
    ahead = request.args.get("ahead") == "1"
    return render_template("dashboard.html", page=build_dashboard(_tenant(), ahead), ahead=ahead)


def compare_page() -> str:
    """The figures of the dashboard in both ways."""
    ways = [measure_dashboard(_tenant(), ahead) for ahead in (False, True)]
    is_same = ways[0].dashboard == ways[1].dashboard
    return render_template("compare.html", ways=ways, is_same=is_same, relations=RELATIONS)


def order_page(order_id: str) -> str:
    """One order."""
    return render_template("order.html", order=view_order(Bao.get_or_404(Order, order_id)))


def not_found(error: NotFound) -> tuple[Response | str, int]:
    """The answer where nothing is stored: JSON for programs, else a page."""
    if request.path.startswith("/api/"):
        return jsonify(error=error.description), 404
    return render_template("not_found.html"), 404


def euros(amount: Decimal) -> str:
    """An amount as people read it.

    >>> euros(Decimal("1234.5"))
    '1,234.50\xa0€'
    """
    return f"{amount:,.2f}\u00a0€"


# --- JSON ----------------------------------------------------------------------------------------------------


def order(order_id: str) -> Response:
    """One order with its customer and its lines, and with their products."""
    return _json(
        Bao.get_or_404(Order, order_id, description="There is no such order."), ["customer", "lines.product"]
    )


def customer(customer_id: str) -> Response:
    """One customer with all orders."""
    return _json(Bao.get_or_404(Customer, customer_id, description="There is no such customer."), ["orders"])


def product(product_id: str) -> Response:
    """One product."""
    return jsonify(Bao.get_or_404(Product, product_id, description="There is no such product."))


def _json(instance: Model, relations: Sequence[str]) -> Response:
    """An instance with relations. They are loaded in one round a level."""
    return Response(instance.to_json(related=relations), mimetype="application/json")


def _tenant() -> str:
    """The tenant of the request. Requests without one are refused before their view."""
    tenant = TenantContext.get_current_tenant()
    assert tenant is not None
    return tenant
