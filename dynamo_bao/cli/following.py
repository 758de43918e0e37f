"""Following long work on a terminal: its bar, what it finds, and what Ctrl-C leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Final

import click
from attrs import Factory, asdict, define

from dynamo_bao.cli.connection import complete_models, model_named
from dynamo_bao.cli.console import Failure, Terminal, interruptible
from dynamo_bao.errors import TenantRequiredError
from dynamo_bao.manager import Manager
from dynamo_bao.repository import Repository
from dynamo_bao.session.owner import current_owner
from dynamo_bao.tenancy import tenant_for
from dynamo_bao.upkeep.steps import Finding, Step
from dynamo_bao.upkeep.ways import Size, Way, table_size

SHOWN: Final = 20
KEPT: Final = 10_000
DEAR: Final = 10_000
"""From how many read units on a scan is asked about."""


@define
class Followed:
    """What long work came to.

    Attributes:
        last: its last step.
        found: what it found, the first ten thousand of it.
        number: how much it found.
    """

    last: Step = Step()
    found: list[Finding] = Factory(list)
    number: int = 0

    def add(self, step: Step) -> None:
        """Takes in a step."""
        self.last = step
        self.number += len(step.found)
        self.found += step.found[: KEPT - len(self.found)]


def follow(
    terminal: Terminal, steps: Iterable[Step], what: str, kept: Callable[[Step], str], unit: str = "items"
) -> Followed:
    """Runs long work to its end, with a bar on the terminal.

    Args:
        what: what is being done, such as ``"Exporting"``.
        kept: what Ctrl-C leaves and how to go on, from the last step.
        unit: what the steps count.
    """
    followed, going = Followed(), iter(steps)
    try:
        with interruptible(lambda: kept(followed.last)):
            first = next(going, Step())
            with terminal.progress(what, first.total, unit, first.done) as progress:
                for step in chain((first,), going):
                    followed.add(step)
                    progress.advance(step.done - progress.done)
    except Exception as error:
        if followed.last.done and not isinstance(error, (click.ClickException, BrokenPipeError)):
            terminal.note(f"Cut off: {kept(followed.last)}")
        raise
    return followed


def show(terminal: Terminal, findings: Sequence[Finding], number: int) -> None:
    """Findings on stderr, the first of them."""
    for finding in findings[:SHOWN]:
        terminal.note(finding.text)
    if number > SHOWN:
        terminal.note(f"… and {number - SHOWN:,} more; --json tells all.")


def plain(finding: Finding) -> dict[str, Any]:
    """A finding for machines: what it has."""
    return {name: value for name, value in asdict(finding).items() if value is not None}


# --- what commands on items begin with --------------------------------------------------------------


def repository_named(manager: Manager, name: str) -> Repository[Any]:
    """The repository of the model that an argument names."""
    return manager.repository(model_named(manager, name))


def tenant_of(manager: Manager) -> str | None:
    """The tenant to work for; `Failure` where one is needed and none is given."""
    try:
        return tenant_for(manager.database, current_owner(), "this command")
    except TenantRequiredError:
        raise Failure("Tenancy is enabled, so this is about one tenant's items; give --tenant ID.") from None


def tell_cost(terminal: Terminal, manager: Manager, way: Way, why: str) -> Size | None:
    """Says plainly what a scan of the table costs, and asks before a dear one; None for other ways.

    Args:
        why: why there is no cheaper way.
    """
    if not way.scans:
        return None
    size = table_size(manager.database)
    terminal.note(f"{why}, so the whole table is scanned: {size}.")
    if size.scan_units >= DEAR and not terminal.dry_run:
        terminal.confirm("Go on?")
    return size


def why_scanned(home: Repository[Any], asked: bool) -> str:
    """Why items of a model are found by a scan."""
    return "--scan is given" if asked else f"{home.schema.name} is not iterable and no index holds all of it"


def resuming(resume: bool, restart: bool) -> None:
    """Refuses both at once."""
    if resume and restart:
        raise click.UsageError("--resume goes on and --restart begins anew; give one of them.")


def model_argument(function: Any) -> Any:
    """Gives a command its argument ``MODEL``."""
    return click.argument("model", shell_complete=complete_models)(function)
