"""Serves the shop of the tutorial on a DynamoDB inside this process: ``python -m examples.shop``."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn
from werkzeug.serving import make_server

from dynamo_bao import RequireContext, TenantContext, init_models, run_with_batch_context

sys.path.insert(0, str(Path(__file__).parent))  # the tutorial imports its modules from this folder

from shop.api import api
from shop.orders_sample import fill_orders
from shop.web import app

HOST = "127.0.0.1"
TENANTS = ("north", "south")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves one application until Ctrl-C."""
    options = _parser().parse_args(arguments)
    with (
        init_models(embedded=True, policy=RequireContext(), tenancy={"enabled": True}),
        socket.create_server((HOST, options.port)) as listener,
        suppress(KeyboardInterrupt),
    ):
        customers = {tenant: _open_shop(tenant) for tenant in TENANTS}
        _show_requests(f"http://{HOST}:{listener.getsockname()[1]}", customers)
        _serve(listener, options.fastapi)
    print("Stopped.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.shop",
        description="The shop of the tutorial, kept in a DynamoDB inside this process.",
    )
    parser.add_argument(
        "--fastapi", action="store_true", help="serve the FastAPI application, and not the Flask application"
    )
    parser.add_argument("--port", type=int, default=5000, help="the port (5000), or 0 for one that is free")
    return parser


def _open_shop(tenant: str) -> str:
    """Stores two customers and five orders of a tenant, and returns the id of the first customer."""
    with TenantContext.run_with_tenant(tenant), run_with_batch_context():
        return fill_orders()[0].customer_id


def _show_requests(url: str, customers: dict[str, str]) -> None:
    print("Requests to send from another terminal (Ctrl-C stops the server):")
    for tenant, customer_id in customers.items():
        print(f"curl -i -H 'X-Tenant: {tenant}' {url}/orders")
        print(
            f"curl -i -H 'X-Tenant: {tenant}' --json '{{\"tea\": 2, \"cup\": 1}}' {url}/customers/{customer_id}/orders"
        )
    sys.stdout.flush()


def _serve(listener: socket.socket, fastapi: bool) -> None:
    if fastapi:
        uvicorn.Server(uvicorn.Config(api, log_level="warning")).run([listener])
    else:
        host, port = listener.getsockname()
        make_server(host, port, app, threaded=True, fd=listener.fileno()).serve_forever()


if __name__ == "__main__":
    main()
