"""Makes every page in three ways, and shows how often each waits for DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask import Flask
from rich.console import Console
from rich.table import Table

from dynamo_bao import AllowDirect, init_models
from examples.package_explorer.loading import load_with_progress
from examples.package_explorer.measuring import NAIVE, NOW, WAYS, Visit, Way, delayed, visit
from examples.package_explorer.metadata import read_distributions
from examples.package_explorer.models import MODELS
from examples.package_explorer.web import create_app

SUMS = (("all pages", "round_trips", 0), ("their requests", "requests", 0), ("their seconds", "seconds", 1))
"""The sums below the table: title, figure and decimals."""


@dataclass(frozen=True)
class Page:
    """One page, with a visit in each way."""

    name: str
    address: str
    visits: dict[Way, Visit]

    def round_trips(self, way: Way) -> int:
        """How often the page waits for DynamoDB."""
        return self.visits[way].round_trips

    @property
    def ratio(self) -> float:
        """How many times as often naive code waits."""
        return self.round_trips(NAIVE) / self.round_trips(NOW)


def run_demo(console: Console, latency: float) -> None:
    """Loads the environment's packages into an embedded engine, makes all pages, and prints the figures.

    Args:
        latency: seconds by which each request is delayed when the costliest page is made once more.
    """
    distributions = read_distributions()
    with init_models(
        table_name="package-explorer", embedded=True, models=MODELS, policy=AllowDirect()
    ) as manager:
        load_with_progress(distributions, console)
        names = {"/": "list of all packages"}
        names.update((f"/packages/{item.package_id}", item.name) for item in distributions)
        apps = {way: create_app(way.extension) for way in WAYS}
        pages = list(_visited(apps, names, console))
        show(pages, console)
        if latency:
            with delayed(manager.client, latency):
                console.print(_delayed_page(apps, pages[0], latency))


def _visited(apps: dict[Way, Flask], names: dict[str, str], console: Console) -> Iterator[Page]:
    """The pages, first those that cost naive code most."""
    visits: dict[str, dict[Way, Visit]] = {address: {} for address in names}
    for way, app in apps.items():
        with console.status(f"Making {len(names)} pages: {way.title}"):
            for address in list(names)[:2]:  # so that reading templates does not count
                app.test_client().get(address)
            for address in names:
                visits[address][way] = visit(app, address)
    pages = [Page(name, address, visits[address]) for address, name in names.items()]
    yield from sorted(pages, key=lambda page: page.round_trips(NAIVE), reverse=True)


def show(pages: Sequence[Page], console: Console) -> None:
    """Prints what each page costs in each way, and the sums.

    Args:
        pages: at least one page, the costliest first.
    """
    console.print(headline(pages[0]))
    table = Table(title="How often each page waits for DynamoDB", title_justify="left", title_style="bold")
    table.add_column("page")
    for way in WAYS:
        table.add_column(way.title, justify="right")
    table.add_column("ratio", justify="right")
    for page in pages:
        table.add_row(page.name, *(f"{page.round_trips(way):,}" for way in WAYS), f"{page.ratio:.1f} x")
    table.add_section()
    for title, figure, digits in SUMS:
        sums = [sum(getattr(page.visits[way], figure) for page in pages) for way in WAYS]
        table.add_row(title, *(f"{total:,.{digits}f}" for total in sums), f"{sums[0] / sums[-1]:.1f} x")
    console.print(table)
    is_same = all(len({visit.content for visit in page.visits.values()}) == 1 for page in pages)
    console.print(
        f"{'The same pages' if is_same else 'DIFFERENT pages'}, by the same loops in all three ways:"
    )
    ways = Table.grid(padding=(0, 2))
    for way in WAYS:
        ways.add_row(f"[bold]{way.title}", way.about)
    console.print(ways)


def headline(page: Page) -> str:
    """What the library does for a page, in a sentence."""
    return (
        f"[bold]The page of {page.name} waits for DynamoDB {page.round_trips(NOW)} times. Naive code waits "
        f"{page.round_trips(NAIVE)} times for the same page: {page.ratio:.0f} times as often.[/]"
    )


def _delayed_page(apps: dict[Way, Flask], page: Page, latency: float) -> str:
    """The seconds that a page takes in each way if requests take time, as they do in a network."""
    texts = (f"{way.title} {visit(app, page.address).seconds:.2f} s" for way, app in apps.items())
    return (
        f"The engine is in this process. If each request takes {latency * 1000:g} ms longer, as over a network, "
        f"the page of {page.name} takes: {', '.join(texts)}."
    )
