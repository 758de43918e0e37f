"""Makes every dashboard twice, without and with a batch context, and shows both side by side."""

from __future__ import annotations

from contextlib import nullcontext

from rich.console import Console
from rich.table import Table

from dynamo_bao import AllowDirect, init_models
from examples.package_explorer.loading import load_with_progress
from examples.package_explorer.measuring import Tour, Wire, visit_all
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
        addresses = [f"/packages/{one.package_id}" for one in distributions]
        direct, batched = create_app(nullcontext), create_app()
        for app in (direct, batched):
            app.test_client().get(addresses[0])  # reads the templates, which shall not count
        wire = Wire(manager.client, latency)
        with console.status(f"Making {len(addresses)} dashboards without a batch context"):
            without = visit_all(direct, addresses, wire)
        with console.status(f"Making {len(addresses)} dashboards in batch contexts"):
            within = visit_all(batched, addresses, wire)
    show(without, within, console)


def show(without: Tour, within: Tour, console: Console) -> None:
    """Prints both tours side by side, and what one sees."""
    table = Table(title=f"{len(within.visits)} dashboards, each made by the same code", title_justify="left")
    table.add_column("")
    for heading in ("without a context", "in batch contexts", "ratio"):
        table.add_column(heading, justify="right")
    for title, figure in (("requests", "requests"), ("round trips", "round_trips")):
        for kind in ("total", "median", "most"):
            _add_row(
                table, _titled(title, kind), *(getattr(tour, kind)(figure) for tour in (without, within))
            )
    _add_row(table, "seconds", without.total("seconds"), within.total("seconds"), digits=1)
    console.print(table)
    console.print(sentence(without, within))


def _titled(title: str, kind: str) -> str:
    return {"total": f"{title}, in all", "median": "  median dashboard", "most": "  biggest dashboard"}[kind]


def _add_row(table: Table, title: str, one: float, other: float, digits: int = 0) -> None:
    ratio = f"{one / other:.1f} x" if other else ""
    table.add_row(title, _number(one, digits), _number(other, digits), ratio)


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if digits or value == int(value) else f"{value:,.1f}"


def sentence(without: Tour, within: Tour) -> str:
    """What one sees, in words; and whether both ways gave the same pages."""
    same = all(one.content == other.content for one, other in zip(without.visits, within.visits, strict=True))
    return (
        f"{'The same pages' if same else 'DIFFERENT pages'} came from "
        f"{within.total('requests'):,.0f} requests instead of {without.total('requests'):,.0f}: "
        f"the longer a dashboard's lists, the more it gains, for in a batch context it never waits more than "
        f"{within.most('round_trips'):,.0f} times."
    )
