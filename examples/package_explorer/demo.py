"""Makes every dashboard twice, without and with a batch context, and shows both side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from flask import Flask
from rich.console import Console
from rich.table import Table

from dynamo_bao import AllowDirect, init_models
from examples.package_explorer.loading import load_with_progress
from examples.package_explorer.measuring import Tour, Wire, median_of, most, total, visit_all
from examples.package_explorer.metadata import read_distributions
from examples.package_explorer.models import MODELS
from examples.package_explorer.web import create_app


def run_demo(console: Console, latency: float = 0.0) -> None:
    """Loads the environment's packages into an embedded engine, makes all dashboards, and prints the figures.

    Args:
        latency: seconds by which each request of the dashboards is delayed.
    """
    distributions = read_distributions()
    with init_models(
        table_name="package-explorer", embedded=True, models=MODELS, policy=AllowDirect()
    ) as manager:
        load_with_progress(distributions, console)
        wire = Wire(manager.client, latency)
        addresses = ["/", *(f"/packages/{distribution.package_id}" for distribution in distributions)]
        without = _tour("without a batch context", create_app(nullcontext), addresses, wire, console)
        within = _tour("in batch contexts", create_app(), addresses, wire, console)
    show(without, within, console)
    if not latency:
        console.print("[dim]The engine is in this process; --latency 5 delays requests as a network would.")


def _tour(title: str, app: Flask, addresses: Sequence[str], wire: Wire, console: Console) -> Tour:
    """Makes every page with an application. Two pages are made before, so that reading templates does not count."""
    for address in addresses[:2]:
        app.test_client().get(address)
    with console.status(f"Making {len(addresses)} pages {title}"):
        return visit_all(app, addresses, wire)


def show(without: Tour, within: Tour, console: Console) -> None:
    """Prints both tours side by side, with a summary."""
    title = f"The dashboards of {len(within.dashboards)} packages, made twice by the same code"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for heading in ("without a context", "in batch contexts", "ratio"):
        table.add_column(heading, justify="right")
    for row in _rows(without, within):
        _add_row(table, *row)
    console.print(table)
    console.print(sentence(without, within))


def _rows(without: Tour, within: Tour) -> Iterator[tuple[str, float, float, int]]:
    """Title, both values and their decimals of each row."""
    dashboards, dashboards_within = without.dashboards, within.dashboards
    for title, figure in (("requests", "requests"), ("round trips", "round_trips")):
        yield title, total(dashboards, figure), total(dashboards_within, figure), 0
        yield "  median dashboard", median_of(dashboards, figure), median_of(dashboards_within, figure), 0
        yield "  biggest dashboard", most(dashboards, figure), most(dashboards_within, figure), 0
    yield "  list of all packages", without.index.round_trips, within.index.round_trips, 0
    yield "seconds", total(dashboards, "seconds"), total(dashboards_within, "seconds"), 1


def _add_row(table: Table, title: str, value: float, value_within: float, digits: int) -> None:
    ratio = f"{value / value_within:.1f} x" if value_within else ""
    table.add_row(title, _number(value, digits), _number(value_within, digits), ratio)


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if digits or value == int(value) else f"{value:,.1f}"


def sentence(without: Tour, within: Tour) -> str:
    """The summary in words, and whether both ways gave the same pages."""
    is_same = without.contents == within.contents
    return (
        f"{'The same pages' if is_same else 'DIFFERENT pages'} from {total(within.dashboards, 'requests'):,.0f} "
        f"requests instead of {total(without.dashboards, 'requests'):,.0f}: without a batch context a page waits "
        f"for every package and person it mentions; in one, once for all of a kind, so that no dashboard waits "
        f"more than {most(within.dashboards, 'round_trips'):,.0f} times."
    )
