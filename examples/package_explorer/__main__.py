"""The explorer's command line."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from rich.console import Console
from werkzeug.serving import run_simple

from dynamo_bao import AllowDirect, init_models
from examples.package_explorer.demo import run_demo
from examples.package_explorer.loading import load_with_progress
from examples.package_explorer.measuring import delayed
from examples.package_explorer.metadata import read_distributions
from examples.package_explorer.models import MODELS
from examples.package_explorer.web import create_app

HOST = "127.0.0.1"
INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console()
    logging.getLogger("dynamo_bao").setLevel(logging.ERROR)  # two of the three ways are N+1 on purpose
    try:
        options.run(console, options)
    except KeyboardInterrupt:
        console.print("Interrupted.")
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.package_explorer",
        description="Explores the Python packages installed here, kept in a DynamoDB inside this process.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser(
        "demo",
        help="make every page in three ways, and compare how often each waits for DynamoDB",
        description="Makes every page in three ways, and compares how often each waits for DynamoDB.",
    )
    _add_latency(
        demo, 5, "delay of each request when the costliest page is made once more; 0: leave that out"
    )
    demo.set_defaults(run=_demo)
    serve = commands.add_parser(
        "serve",
        help="serve the pages",
        description=f"Loads the packages, then serves the pages on {HOST}. Each shows what it costs in three ways.",
    )
    _add_latency(serve, 2, "delay of each request, as a network would delay it")
    serve.add_argument("--port", type=int, default=5000, help="the port (5000)")
    serve.set_defaults(run=_serve)
    return parser


def _add_latency(parser: argparse.ArgumentParser, default: int, purpose: str) -> None:
    parser.add_argument(
        "--latency",
        type=_milliseconds,
        default=default / 1000,
        metavar="MS",
        help=f"milliseconds of {purpose} ({default})",
    )


def _milliseconds(text: str) -> float:
    """Seconds, from a number of milliseconds that is not negative."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds, such as 5 or 0.5")
    return value / 1000


def _demo(console: Console, options: argparse.Namespace) -> None:
    run_demo(console, options.latency)


def _serve(console: Console, options: argparse.Namespace) -> None:
    """Serves the pages. Use outside of batch contexts is allowed, because the pages show what it costs."""
    with init_models(
        table_name="package-explorer", embedded=True, models=MODELS, policy=AllowDirect()
    ) as manager:
        load_with_progress(read_distributions(), console)
        with delayed(manager.client, options.latency):
            run_simple(HOST, options.port, create_app(has_costs=True), threaded=True)


if __name__ == "__main__":
    sys.exit(main())
