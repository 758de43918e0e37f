"""``bao count``, ``export``, ``import``, ``reindex`` and ``rebuild-search-text``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from dynamo_bao.cli.connection import Connection, connection_options
from dynamo_bao.cli.console import Failure, Terminal, terminal_options
from dynamo_bao.cli.input_files import STANDARD, is_stream, regular_file, stream_to, takes_a_stream
from dynamo_bao.cli.progress import (
    JobResult,
    check_resume_options,
    confirm_choice,
    confirm_cost,
    follow,
    limit_options,
    model_argument,
    repository_named,
    scan_reason,
    show_findings,
    tenant_of,
)
from dynamo_bao.maintenance.count import count_items
from dynamo_bao.maintenance.export import PART, export_items, export_to, way_of_interrupted
from dynamo_bao.maintenance.import_items import check_lines, import_items
from dynamo_bao.maintenance.limits import Limits
from dynamo_bao.maintenance.progress import JobProgress
from dynamo_bao.maintenance.reindex import rebuild_search_texts, reindex_items
from dynamo_bao.maintenance.scanners import ANY_TENANT, cheapest_way, scanner_for
from dynamo_bao.models.manager import Manager
from dynamo_bao.runtime.records import evolve

F = TypeVar("F", bound=Callable[..., Any])

_SCAN = click.option(
    "--scan", is_flag=True, help="Scan the whole table, which also finds items that are in no index."
)


def _resumable(function: F) -> F:
    """Gives a command the options to continue an interrupted run."""
    for option in (
        click.option("--restart", is_flag=True, help="Start again, though an earlier run was interrupted."),
        click.option("--resume", is_flag=True, help="Continue an interrupted run, if there is one."),
    ):
        function = option(function)
    return function


_PROGRESS_FILE = click.option(
    "--progress-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file that records progress, for --resume.",
)


def _items(number: int) -> str:
    return f"{number:,} item{'' if number == 1 else 's'}"


_REFUSED_LINES = ("line was refused", "lines were refused")
_UNMENDED_ITEMS = (
    "item has faults that this command cannot mend",
    "items have faults that this command cannot mend",
)
_UNREADABLE_ITEMS = ("item could not be read", "items could not be read")


# --- count ------------------------------------------------------------------------------------------


@click.command()
@model_argument
@_SCAN
@limit_options(writes=False)
@connection_options(tenant=True)
@terminal_options(yes=True, dry_run=True)
def count(model: str, scan: bool, limits: Limits, connection: Connection, terminal: Terminal) -> None:
    """Count the items of MODEL.

    The items of an iterable model are counted in its iteration index. Other items are counted in an index that holds
    all of them, or by a scan of the whole table. The command shows the cost of a scan first.
    """
    with connection.open() as manager:
        mapper, tenant = repository_named(manager, model, limits), tenant_of(manager)
        choice = cheapest_way(mapper, tenant, stored=scan, counting=True)
        way = choice.way
        confirm_choice(terminal, manager, choice, scan_reason(mapper, scan))
        facts = {"model": model, "tenant": tenant, "way": way.about}
        if terminal.dry_run:
            terminal.say(f"Would count {model} {way.about}.")
            terminal.emit({**facts, "dry_run": True})
            return
        result = follow(
            terminal, count_items(way), f"Counting {model}", _count_interruption, _unit(scan or way.scans)
        )
    terminal.say(str(result.last_step.count))
    terminal.emit({**facts, "count": result.last_step.count})


def _count_interruption(step: JobProgress) -> str:
    return f"{_items(step.count)} were counted so far; the count is not kept."


def _unit(scans: bool) -> str:
    return "rows" if scans else "items"


# --- export -----------------------------------------------------------------------------------------


@click.command()
@model_argument
@click.option("-o", "--output", metavar="FILE", default="-", help="The file. Default: stdout.")
@_SCAN
@_resumable
@limit_options(writes=False)
@connection_options(tenant=True)
@terminal_options(yes=True, dry_run=True)
def export(
    model: str,
    output: str,
    scan: bool,
    resume: bool,
    restart: bool,
    limits: Limits,
    connection: Connection,
    terminal: Terminal,
) -> None:
    """Write the items of MODEL as JSON lines, one for each item, exactly as they are stored.

    FILE appears when it is complete. Until then the lines are in FILE.part, and after Ctrl-C, --resume continues with
    them. If FILE is a named pipe or a device, the lines go there directly. Hooks do not run.
    """
    check_resume_options(resume, restart)
    target = Path(output)
    is_streamed, to_stdout = takes_a_stream(target), target == STANDARD
    if (is_streamed and (resume or restart)) or (to_stdout and terminal.json):
        raise click.UsageError("--resume, --restart and --json are for an export to a file; give -o FILE.")
    with connection.open() as manager:
        mapper, tenant = repository_named(manager, model, limits), tenant_of(manager)
        earlier_way = way_of_interrupted(target) if resume else None
        choice = cheapest_way(mapper, tenant, stored=scan, earlier=earlier_way)
        way = choice.way
        confirm_choice(terminal, manager, choice, scan_reason(mapper, scan))
        facts = {"model": model, "tenant": tenant, "way": way.about, "file": None if to_stdout else output}
        place = "stdout" if to_stdout else output
        if terminal.dry_run:
            terminal.note(f"Would export {model} {way.about} to {place}.")
            terminal.emit({**facts, "dry_run": True})
            return
        title, unit = f"Exporting {model}", _unit(way.scans)
        if is_streamed:
            hint = f"{{}} were written to {place}."
            with stream_to(target) as write:
                steps = export_to(mapper, way, write)
                result = follow(terminal, steps, title, lambda step: hint.format(_items(step.count)), unit)
        else:
            _check_target(terminal, target)
            steps = export_items(mapper, tenant, way, target, resume=resume, restart=restart)
            hint = f"{{}} are in {target}{PART}; continue with --resume."
            result = follow(terminal, steps, title, lambda step: hint.format(_items(step.count)), unit)
    terminal.emit({**facts, "count": result.last_step.count})
    terminal.note(
        f"Exported {_items(result.last_step.count)} of {model}{'' if to_stdout else f' to {output}'}."
    )


def _check_target(terminal: Terminal, target: Path) -> None:
    if not target.parent.is_dir():
        raise Failure(f"The folder {target.parent} does not exist.")
    if target.is_dir():
        raise Failure(f"{target} is a folder; name a file.")
    if target.exists():
        terminal.confirm(f"{target} exists; replace it when the export is complete?")


# --- import -----------------------------------------------------------------------------------------


@click.command("import")
@model_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--overwrite", is_flag=True, help="Replace items that exist; without it, their lines are refused."
)
@_resumable
@_PROGRESS_FILE
@limit_options()
@connection_options(tenant=True)
@terminal_options(yes=True, dry_run=True)
@click.pass_context
def import_(
    ctx: click.Context,
    model: str,
    file: Path,
    overwrite: bool,
    resume: bool,
    restart: bool,
    progress_file: Path | None,
    limits: Limits,
    connection: Connection,
    terminal: Terminal,
) -> None:
    """Store the items of FILE: JSON lines in the form that 'bao export' writes.

    FILE may be - for standard input. All lines are checked before the first is stored. Unique values stay unique. After
    Ctrl-C, --resume continues, and no line is lost or stored twice; for standard input this needs --progress-file.
    Hooks do not run. Exits with 1 if lines were refused.
    """
    check_resume_options(resume, restart)
    streamed = is_stream(file)
    if streamed and resume and progress_file is None:
        raise click.UsageError(
            "An import that does not read a file can continue only with --progress-file FILE."
        )
    terminal = evolve(terminal, answers=not streamed)
    connection.confirm_default_table(terminal)
    with connection.open() as manager, regular_file(file) as source:
        mapper, tenant = repository_named(manager, model, limits), tenant_of(manager)
        facts = {"model": model, "tenant": tenant, "file": str(file), "overwrite": overwrite}
        steps = check_lines(mapper, tenant, source)
        check_result = follow(terminal, steps, f"Checking {file}", lambda _: "nothing was stored.", "lines")
        _refuse_wrong_lines(terminal, file, check_result, facts)
        if terminal.dry_run:
            count = check_result.last_step.count
            terminal.say(f"Would import {_items(count)} into {model} of table {manager.table_name}.")
            terminal.emit({**facts, "count": count, "dry_run": True})
            return
        if overwrite:
            terminal.confirm(f"Replace items of {model} in table {manager.table_name} where they exist?")
        steps = import_items(
            mapper,
            tenant,
            source,
            overwrite=overwrite,
            resume=resume,
            restart=restart,
            journal=progress_file,
            total=check_result.last_step.done,
        )
        stored_text = _import_interruption(can_continue=not streamed or progress_file is not None)
        result = follow(terminal, steps, f"Importing {model}", stored_text, "lines")
    _finish(
        ctx,
        terminal,
        result,
        facts,
        f"Imported {_items(result.last_step.count)} into {model}.",
        _REFUSED_LINES,
    )


def _import_interruption(*, can_continue: bool) -> Callable[[JobProgress], str]:
    hint = "continue with --resume" if can_continue else "without --progress-file, the import cannot continue"
    return lambda step: f"{_items(step.count)} are stored; {hint}."


def _refuse_wrong_lines(
    terminal: Terminal, file: Path, check_result: JobResult, facts: Mapping[str, object]
) -> None:
    number = len(check_result.findings)
    if not number:
        return
    show_findings(terminal, check_result.findings)
    terminal.emit({**facts, "count": 0, "findings": []}, findings=check_result.findings)
    verb = "is" if number == 1 else "are"
    raise Failure(
        f"{number:,} of {check_result.last_step.done:,} lines of {file} {verb} wrong; nothing was stored."
    )


def _finish(
    ctx: click.Context,
    terminal: Terminal,
    result: JobResult,
    facts: Mapping[str, object],
    text: str,
    fault_texts: tuple[str, str],
) -> None:
    """Prints the result and the findings, and exits with 1 if there are findings."""
    number = len(result.findings)
    show_findings(terminal, result.findings)
    terminal.say(text)
    terminal.emit(
        {**facts, "count": result.last_step.count, "findings": [], "dry_run": terminal.dry_run},
        findings=result.findings,
    )
    if number:
        terminal.warn(f"{number:,} {fault_texts[number != 1]}.")
        ctx.exit(1)


# --- reindex ----------------------------------------------------------------------------------------


@click.command()
@model_argument
@_resumable
@click.option(
    "--fill-defaults", is_flag=True, help="Write the default of a field into items that lack its attribute."
)
@_PROGRESS_FILE
@limit_options()
@connection_options(tenant=True)
@terminal_options(yes=True, dry_run=True)
@click.pass_context
def reindex(
    ctx: click.Context,
    model: str,
    resume: bool,
    restart: bool,
    fill_defaults: bool,
    progress_file: Path | None,
    limits: Limits,
    connection: Connection,
    terminal: Terminal,
) -> None:
    """Rewrite the wrong index keys, iteration keys, search texts and guards of MODEL's items.

    Scans the table itself, so that it also finds items that are in no index: those of all tenants, or of one with
    --tenant. Without --fill-defaults, nothing else in an item changes. Hooks do not run. If a field cannot read its
    attribute, the item is printed and not changed. Exits with 1 if a fault cannot be mended.
    """
    check_resume_options(resume, restart)
    connection.confirm_default_table(terminal)
    with connection.open() as manager:
        mapper = repository_named(manager, model, limits)
        tenant = connection.tenant if connection.tenant is not None else ANY_TENANT
        confirm_cost(
            terminal,
            manager,
            scanner_for(mapper, tenant, stored=True),
            "Items must be found whatever their keys are",
        )
        steps = reindex_items(
            mapper,
            tenant,
            dry_run=terminal.dry_run,
            resume=resume,
            restart=restart,
            journal=progress_file,
            fill_defaults=fill_defaults,
        )
        result = _rewrite(terminal, steps, f"Reindexing {model}", "rows")
    _finish_rewrite(ctx, terminal, manager, model, result, _UNMENDED_ITEMS)


@click.command("rebuild-search-text")
@model_argument
@_resumable
@_PROGRESS_FILE
@limit_options()
@connection_options(tenant=True)
@terminal_options(yes=True, dry_run=True)
@click.pass_context
def rebuild_search_text(
    ctx: click.Context,
    model: str,
    resume: bool,
    restart: bool,
    progress_file: Path | None,
    limits: Limits,
    connection: Connection,
    terminal: Terminal,
) -> None:
    """Rewrite the search texts of MODEL's items that do not agree with their fields.

    Use it after other fields became searchable, or after a program without search texts wrote items.
    """
    check_resume_options(resume, restart)
    connection.confirm_default_table(terminal)
    with connection.open() as manager:
        steps = rebuild_search_texts(
            repository_named(manager, model, limits),
            tenant_of(manager),
            dry_run=terminal.dry_run,
            resume=resume,
            restart=restart,
            journal=progress_file,
        )
        result = _rewrite(terminal, steps, f"Rebuilding search texts of {model}", "items")
    _finish_rewrite(ctx, terminal, manager, model, result, _UNREADABLE_ITEMS)


def _rewrite(terminal: Terminal, steps: Any, title: str, unit: str) -> JobResult:
    return follow(terminal, steps, title, lambda step: _rewrite_interruption(step, terminal.dry_run), unit)


def _rewrite_interruption(step: JobProgress, dry_run: bool) -> str:
    if dry_run:
        return "nothing was written."
    return f"{_items(step.count)} were written, of {step.done:,} read; continue with --resume."


def _finish_rewrite(
    ctx: click.Context,
    terminal: Terminal,
    manager: Manager,
    model: str,
    result: JobResult,
    fault_texts: tuple[str, str],
) -> None:
    verb = "Would rewrite" if terminal.dry_run else "Rewrote"
    text = f"{verb} {_items(result.last_step.count)} of {model}, of {result.last_step.done:,} read."
    _finish(
        ctx,
        terminal,
        result,
        {"model": model, "table": manager.table_name, "seen": result.last_step.done},
        text,
        fault_texts,
    )
