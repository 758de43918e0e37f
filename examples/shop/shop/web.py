# shop/web.py
from flask import Flask, request

from dynamo_bao import ConditionalError
from dynamo_bao.flask import Bao, tenant_from_header
from shop.checkout import place
from shop.models import Customer, Order

app = Flask(__name__)
Bao(app, tenant=tenant_from_header("X-Tenant"))


@app.get("/orders")
def list_orders():
    return [
        {
            "customer": order.customer.name,
            "lines": {line.product.name: line.quantity for line in order.lines},
        }
        for order in Order.by_status.query("open")
    ]


@app.get("/orders/<order_id>")
def show_order(order_id):
    return Bao.get_or_404(Order, order_id).to_dict()


@app.post("/customers/<customer_id>/orders")
def place_order(customer_id):
    customer = Bao.get_or_404(Customer, customer_id)
    quantities = {str(key): int(number) for key, number in request.get_json().items()}
    try:
        return place(customer, quantities).to_dict(), 201
    except ConditionalError:
        return {"error": "out of stock"}, 409
