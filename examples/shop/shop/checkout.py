# shop/checkout.py
from dynamo_bao import batched, transaction
from shop.models import Customer, Line, Order, Product


@batched
def place(customer: Customer, quantities: dict[str, int]) -> Order:
    """Stores an order with a line for each product, and takes them out of the stock.

    Raises:
        ConditionalError: if there is not enough of a product. Nothing is stored then.
    """
    products = {key: Product.find(key) for key in quantities}
    with transaction():
        order = Order.create(customer_id=customer.customer_id)
        for key, quantity in quantities.items():
            price = products[key].price            # the first look loads all products
            Line.create(
                order_id=order.order_id, product_id=key, quantity=quantity, price=price
            )
            in_stock = Product.fields.stock >= quantity
            Product.increment(key, stock=-quantity, condition=in_stock)
    return order
