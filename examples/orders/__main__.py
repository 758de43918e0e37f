"""The command line of the example."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import uvicorn
from werkzeug.serving import run_simple

from examples.orders.fastapi_app import create_api
from examples.orders.flask_app import create_app
from examples.orders.models import connect
from examples.orders.sample import SHOPS, store_sample

HOST = "127.0.0.1"
INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _serve(options.fastapi, options.port)
    except KeyboardInterrupt:
        print("Interrupted.")
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.orders",
        description="The orders of two shops, kept in a DynamoDB inside this process.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    serve = commands.add_parser(
        "serve",
        help="serve the pages, or the interface for programs",
        description=f"Stores two shops with orders, then serves them on {HOST}.",
    )
    serve.add_argument(
        "--fastapi",
        action="store_true",
        help="serve the FastAPI application with its page /docs, and not the pages of the Flask application",
    )
    serve.add_argument("--port", type=int, default=5000, help="the port (5000)")
    return parser


def _serve(fastapi: bool, port: int) -> None:
    with connect(table_name="orders", embedded=True):
        store_sample()
        if fastapi:
            print(
                f"http://{HOST}:{port}/docs\nThe tenant is the header X-Tenant: {' or '.join(SHOPS)}.",
                flush=True,
            )
            uvicorn.run(create_api(), host=HOST, port=port, log_level="warning")
        else:
            print(*(f"http://{tenant}.localhost:{port}/" for tenant in SHOPS), sep="\n", flush=True)
            run_simple(HOST, port, create_app(local=True), threaded=True)


if __name__ == "__main__":
    sys.exit(main())
