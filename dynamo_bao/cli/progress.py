"""Following long work on a terminal: its bar, what it finds, and what Ctrl-C leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Final

import click
from attrs import Factory, define

from dynamo_bao.cli.connection import complete_models, model_named
from dynamo_bao.cli.console import Failure, Terminal, interruptible
from dynamo_bao.cli.findings import MAX_SHOWN, Findings
from dynamo_bao.dynamodb.table_admin import existing_table
from dynamo_bao.errors import ServiceError, TenantRequiredError
from dynamo_bao.maintenance.progress import JobProgress
from dynamo_bao.maintenance.scanners import Choice, Scanner, Size, table_size
from dynamo_bao.models.manager import Manager
from dynamo_bao.models.repository import Repository
from dynamo_bao.session.tenancy import tenant_for

_DENIED: Final = "AccessDeniedException"
COSTLY_READ_UNITS: Final = 10_000
"""From how many read units on a scan is asked about."""


@define
class JobResult:
    """What long work came to.

    Attributes:
        last: its last step.
        found: what it found.
    """

    last: JobProgress = JobProgress()
    found: Findings = Factory(Findings)

    def add(self, step: JobProgress) -> None:
        """Takes in a step."""
        self.last = step
        self.found.extend(step.found)


def follow(
    terminal: Terminal,
    steps: Iterable[JobProgress],
    what: str,
    kept: Callable[[JobProgress], str],
    unit: str = "items",
    found: Findings | None = None,
) -> JobResult:
    """Runs long work to its end, with a bar on the terminal.

    Args:
        what: what is being done, such as ``"Exporting"``.
        kept: what Ctrl-C leaves and how to go on, from the last step.
        unit: what the steps count.
        found: where what it finds is put; new ones by default.
    """
    followed, going = JobResult(found=Findings(terminal.json) if found is None else found), iter(steps)
    try:
        with interruptible(lambda: kept(followed.last)):
            first = next(going, JobProgress())
            with terminal.progress(what, first.total, unit, first.done) as progress:
                for step in chain((first,), going):
                    followed.add(step)
                    progress.advance(step.done - progress.done)
    except Exception as error:
        if followed.last.done and not isinstance(error, (click.ClickException, BrokenPipeError)):
            terminal.note(f"Cut off: {kept(followed.last)}")
        raise
    return followed


def show(terminal: Terminal, found: Findings) -> None:
    """Findings on stderr, the first of each kind."""
    for kind, findings in found.first.items():
        for finding in findings:
            terminal.note(finding.text)
        if found.counts[kind] > MAX_SHOWN:
            terminal.note(f"… and {found.counts[kind] - MAX_SHOWN:,} more; --json tells all.")


# --- what commands on items begin with --------------------------------------------------------------


def repository_named(manager: Manager, name: str) -> Repository[Any]:
    """The repository of the model that an argument names, once the table is known to be one for models.

    Raises:
        ConfigurationError: if the table does not exist, or has other keys.
    """
    repository = manager.repository(model_named(manager, name))
    try:
        existing_table(manager.database)
    except ServiceError as error:
        if (
            error.code != _DENIED
        ):  # whoever may not describe the table may still be allowed to read and write it
            raise
    return repository


def tenant_of(manager: Manager) -> str | None:
    """The tenant to work for; `Failure` where one is needed and none is given."""
    try:
        return tenant_for(manager.database, "this command")
    except TenantRequiredError:
        raise Failure("Tenancy is enabled, so this is about one tenant's items; give --tenant ID.") from None


def tell_cost(terminal: Terminal, manager: Manager, way: Scanner, why: str) -> Size | None:
    """Says plainly what a scan of the table costs, and asks before a dear one; None for other ways.

    Args:
        why: why there is no cheaper way.
    """
    if not way.scans:
        return None
    size = table_size(manager.database)
    terminal.note(f"{why}, so the whole table is scanned: {size}.")
    if size.scan_units >= COSTLY_READ_UNITS and not terminal.dry_run:
        terminal.confirm(f"Go on with table {manager.table_name}?")
    return size


def tell_choice(terminal: Terminal, manager: Manager, choice: Choice, why: str) -> None:
    """Says what the way costs that was chosen, and what the other one would; asks as `tell_cost` does."""
    if choice.reason is None:
        tell_cost(terminal, manager, choice.way, why)
    elif choice.way.scans:
        tell_cost(terminal, manager, choice.way, f"By the table's figures {choice.reason}")
    else:
        terminal.note(f"By the table's figures {choice.reason}.")


def why_scanned(mapper: Repository[Any], asked: bool) -> str:
    """Why items of a model are found by a scan."""
    return (
        "--scan is given" if asked else f"{mapper.schema.name} is not iterable and no index holds all of it"
    )


def resuming(resume: bool, restart: bool) -> None:
    """Refuses both at once."""
    if resume and restart:
        raise click.UsageError("--resume goes on and --restart starts again; give one of them.")


def model_argument(function: Any) -> Any:
    """Gives a command its argument ``MODEL``."""
    return click.argument("model", shell_complete=complete_models)(function)
