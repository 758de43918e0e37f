"""Shows long work on a terminal: its progress bar, its findings, and the state that Ctrl-C leaves."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Final, TypeVar

import click

from dynamo_bao.cli.connection import complete_models, model_named
from dynamo_bao.cli.console import Failure, Terminal, interruptible
from dynamo_bao.cli.findings import MAX_SHOWN, Findings
from dynamo_bao.dynamodb.table_admin import existing_table
from dynamo_bao.errors import ServiceError, TenantRequiredError
from dynamo_bao.maintenance.limits import Limits
from dynamo_bao.maintenance.progress import JobProgress
from dynamo_bao.maintenance.scanners import Choice, Scanner, Size, table_size
from dynamo_bao.models.manager import Manager
from dynamo_bao.models.repository import Repository
from dynamo_bao.runtime.records import Factory, define
from dynamo_bao.session.tenancy import tenant_for

F = TypeVar("F", bound=Callable[..., Any])

_DENIED: Final = "AccessDeniedException"
COSTLY_READ_UNITS: Final = 10_000
"""A scan that takes at least this many read units needs a confirmation."""


@define
class JobResult:
    """The result of long work.

    Attributes:
        last_step: its last step.
        findings: its findings.
    """

    last_step: JobProgress = JobProgress()
    findings: Findings = Factory(Findings)

    def add(self, step: JobProgress) -> None:
        """Adds a step."""
        self.last_step = step
        self.findings.extend(step.found)


def follow(
    terminal: Terminal,
    steps: Iterable[JobProgress],
    title: str,
    interruption_text: Callable[[JobProgress], str],
    unit: str = "items",
    findings: Findings | None = None,
) -> JobResult:
    """Runs long work to its end, with a progress bar on the terminal.

    Args:
        terminal: the command's terminal.
        steps: the work; each step is one state of its progress.
        title: the work in words, such as ``"Exporting"``.
        interruption_text: a function of the last step. It returns a sentence about the state that Ctrl-C leaves, and
            how to continue.
        unit: the unit that the steps count.
        findings: gets the findings; by default, a new object does.

    Returns:
        The last step and the findings.
    """
    result, going = JobResult(findings=Findings(terminal.json) if findings is None else findings), iter(steps)
    try:
        with interruptible(lambda: interruption_text(result.last_step)):
            first_step = next(going, JobProgress())
            with terminal.progress(title, first_step.total, unit, first_step.done) as progress:
                for step in chain((first_step,), going):
                    result.add(step)
                    progress.advance(step.done - progress.done)
    except Exception as error:
        if result.last_step.done and not isinstance(error, (click.ClickException, BrokenPipeError)):
            terminal.note(f"Cut off: {interruption_text(result.last_step)}")
        raise
    return result


def show_findings(terminal: Terminal, findings: Findings) -> None:
    """Writes the first findings of each kind to stderr."""
    for kind, first_findings in findings.first_findings.items():
        for finding in first_findings:
            terminal.note(finding.text)
        if findings.counts[kind] > MAX_SHOWN:
            terminal.note(f"… and {findings.counts[kind] - MAX_SHOWN:,} more; --json shows all.")


# --- the beginning of commands on items -------------------------------------------------------------


def repository_named(manager: Manager, name: str, limits: Limits) -> Repository[Any]:
    """The repository of the model that an argument names. Checks first that the table has the library's keys.

    Args:
        manager: the manager of the table.
        name: the argument.
        limits: the limits of all requests through the result.

    Raises:
        Failure: if there is no such model.
        ConfigurationError: if the table does not exist, or has other keys.
    """
    repository = manager.repository(model_named(manager, name))
    try:
        existing_table(manager.database)
    except ServiceError as error:
        if error.code != _DENIED:  # who may not describe the table may still read and write it
            raise
    return limits.repository(repository)


def limit_options(*, writes: bool = True) -> Callable[[F], F]:
    """Gives a command its `Limits` as the argument `limits`, and the options that belong to them.

    Args:
        writes: whether the command writes, and so has ``--max-write-units``.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def command(
            *args: object,
            max_read_units: float | None,
            max_write_units: float | None = None,
            **options: object,
        ) -> Any:
            return function(*args, limits=Limits(max_read_units, max_write_units), **options)

        decorated: Any = _limit_option("read")(command)
        return _limit_option("write")(decorated) if writes else decorated  # type: ignore[no-any-return]

    return decorate


def _limit_option(kind: str) -> Callable[[Any], Any]:
    return click.option(
        f"--max-{kind}-units",
        type=click.FloatRange(min=0, min_open=True),
        callback=_finite,
        metavar="NUMBER",
        help=f"Consume at most this many {kind} units a second.",
    )


def _finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a number of units; give one such as 500, or leave it out.")
    return value


def tenant_of(manager: Manager) -> str | None:
    """The tenant to work for.

    Raises:
        Failure: if the table has tenants and none is given.
    """
    try:
        return tenant_for(manager.database, "this command")
    except TenantRequiredError:
        raise Failure(
            "Tenancy is enabled, and this command works for one tenant; give --tenant ID."
        ) from None


def confirm_cost(terminal: Terminal, manager: Manager, way: Scanner, reason: str) -> Size | None:
    """Says what a scan of the table costs, and asks before an expensive one.

    Args:
        terminal: the command's terminal.
        manager: the manager of the table.
        way: how items are read.
        reason: why there is no cheaper way.

    Returns:
        The size of the table. None if the items are not read by a scan.
    """
    if not way.scans:
        return None
    size = table_size(manager.database)
    terminal.note(f"{reason}, so the whole table is scanned: {size}.")
    if size.scan_units >= COSTLY_READ_UNITS and not terminal.dry_run:
        terminal.confirm(f"Go on with table {manager.table_name}?")
    return size


def confirm_choice(terminal: Terminal, manager: Manager, choice: Choice, reason: str) -> None:
    """Says what the chosen way costs, and what the other way would cost. Asks as `confirm_cost` does."""
    if choice.reason is None:
        confirm_cost(terminal, manager, choice.way, reason)
    elif choice.way.scans:
        confirm_cost(terminal, manager, choice.way, f"By the table's figures {choice.reason}")
    else:
        terminal.note(f"By the table's figures {choice.reason}.")


def scan_reason(mapper: Repository[Any], has_option: bool) -> str:
    """The reason for a scan."""
    return (
        "--scan is given"
        if has_option
        else f"{mapper.schema.name} is not iterable and no index holds all of it"
    )


def check_resume_options(resume: bool, restart: bool) -> None:
    """Raises `click.UsageError` if both options are given."""
    if resume and restart:
        raise click.UsageError("--resume continues and --restart starts again; give one of them.")


def model_argument(function: Any) -> Any:
    """Gives a command its argument ``MODEL``."""
    return click.argument("model", shell_complete=complete_models)(function)
