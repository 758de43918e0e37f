"""``bao count``, ``export``, ``import``, ``reindex`` and ``rebuild-search-text``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import evolve

from dynamo_bao.cli.connection import Connection, connection_options
from dynamo_bao.cli.console import Failure, Terminal, terminal_options
from dynamo_bao.cli.input_files import is_stream, regular_file
from dynamo_bao.cli.progress import (
    JobResult,
    follow,
    model_argument,
    repository_named,
    resuming,
    show,
    tell_choice,
    tell_cost,
    tenant_of,
    why_scanned,
)
from dynamo_bao.maintenance.count import count_items
from dynamo_bao.maintenance.export import PART, export_items, export_to, way_of_interrupted
from dynamo_bao.maintenance.import_items import check_lines, import_items
from dynamo_bao.maintenance.progress import JobProgress
from dynamo_bao.maintenance.reindex import rebuild_search_texts, reindex_items
from dynamo_bao.maintenance.scanners import ANY_TENANT, cheapest_way, scanner_for
from dynamo_bao.models.manager import Manager

F = TypeVar("F", bound=Callable[..., Any])

_SCAN = click.option(
    "--scan", is_flag=True, help="Go through the whole table, which also finds items that no index knows."
)


def _resumable(function: F) -> F:
    """Gives a command what an interrupted run is gone on with."""
    for option in (
        click.option("--restart", is_flag=True, help="Start again, though an earlier run was interrupted."),
        click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped, if one was."),
    ):
        function = option(function)
    return function


_PROGRESS_FILE = click.option(
    "--progress-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to keep how far it has come.",
)


def _items(number: int) -> str:
    return f"{number:,} item{'' if number == 1 else 's'}"


_WERE_REFUSED = ("line was refused", "lines were refused")
_ARE_LEFT = ("item has what cannot be mended this way", "items have what cannot be mended this way")
_UNREADABLE = ("item could not be read", "items could not be read")


# --- count ------------------------------------------------------------------------------------------


@click.command()
@model_argument
@_SCAN
@connection_options(tenant=True)
@terminal_options(yes=True, dry_run=True)
def count(model: str, scan: bool, connection: Connection, terminal: Terminal) -> None:
    """Count the items of MODEL.

    An iterable model is counted by its iteration index, another by an index that holds all of its items, or
    else by a scan of the whole table. The command shows its cost first.
    """
    with connection.open() as manager:
        mapper, tenant = repository_named(manager, model), tenant_of(manager)
        choice = cheapest_way(mapper, tenant, stored=scan, counting=True)
        way = choice.way
        tell_choice(terminal, manager, choice, why_scanned(mapper, scan))
        told = {"model": model, "tenant": tenant, "way": way.about}
        if terminal.dry_run:
            terminal.say(f"Would count {model} {way.about}.")
            terminal.emit({**told, "dry_run": True})
            return
        done = follow(
            terminal, count_items(way), f"Counting {model}", _nothing_kept, _unit(scan or way.scans)
        )
    terminal.say(str(done.last.count))
    terminal.emit({**told, "count": done.last.count})


def _nothing_kept(last: JobProgress) -> str:
    return f"{_items(last.count)} were counted so far; nothing is kept of that."


def _unit(scans: bool) -> str:
    return "rows" if scans else "items"


# --- export -----------------------------------------------------------------------------------------


@click.command()
@model_argument
@click.option("-o", "--output", metavar="FILE", default="-", help="The file; left out, stdout.")
@_SCAN
@_resumable
@connection_options(tenant=True)
@terminal_options(yes=True, dry_run=True)
def export(
    model: str,
    output: str,
    scan: bool,
    resume: bool,
    restart: bool,
    connection: Connection,
    terminal: Terminal,
) -> None:
    """Write the items of MODEL as JSON lines, one for each item, exactly as they are stored.

    A file appears when it is whole. Until then the lines are in FILE.part, and after Ctrl-C --resume goes on with
    them. Hooks do not run.
    """
    resuming(resume, restart)
    to_stdout = output == "-"
    if to_stdout and (resume or restart or terminal.json):
        raise click.UsageError("--resume, --restart and --json are for an export to a file; give -o FILE.")
    with connection.open() as manager:
        mapper, tenant = repository_named(manager, model), tenant_of(manager)
        earlier = way_of_interrupted(Path(output)) if resume else None
        choice = cheapest_way(mapper, tenant, stored=scan, earlier=earlier)
        way = choice.way
        tell_choice(terminal, manager, choice, why_scanned(mapper, scan))
        told = {"model": model, "tenant": tenant, "way": way.about, "file": None if to_stdout else output}
        if terminal.dry_run:
            terminal.note(f"Would export {model} {way.about} to {'stdout' if to_stdout else output}.")
            terminal.emit({**told, "dry_run": True})
            return
        what, unit = f"Exporting {model}", _unit(way.scans)
        if to_stdout:
            done = follow(terminal, export_to(mapper, way, _to_stdout), what, _cut_off, unit)
        else:
            target = Path(output)
            _check_target(terminal, target)
            steps = export_items(mapper, tenant, way, target, resume=resume, restart=restart)
            kept = f"{{}} are in {target}{PART}; go on with --resume."
            done = follow(terminal, steps, what, lambda last: kept.format(_items(last.count)), unit)
    terminal.emit({**told, "count": done.last.count})
    terminal.note(f"Exported {_items(done.last.count)} of {model}{'' if to_stdout else f' to {output}'}.")


def _to_stdout(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


def _cut_off(last: JobProgress) -> str:
    return f"{_items(last.count)} were written to stdout."


def _check_target(terminal: Terminal, target: Path) -> None:
    if not target.parent.is_dir():
        raise Failure(f"The folder {target.parent} does not exist.")
    if target.is_dir():
        raise Failure(f"{target} is a folder; name a file.")
    if target.exists():
        terminal.confirm(f"{target} exists; replace it when the export is whole?")


# --- import -----------------------------------------------------------------------------------------


@click.command("import")
@model_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--overwrite", is_flag=True, help="Replace items that exist; without it, their lines are refused."
)
@_resumable
@_PROGRESS_FILE
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
    connection: Connection,
    terminal: Terminal,
) -> None:
    """Store the items of FILE, JSON lines as 'bao export' writes them, or written by hand.

    FILE may be - for standard input. Every line is checked before the first is stored. Unique values stay unique. After
    Ctrl-C --resume goes on, with no line lost or stored twice; without a file that needs --progress-file. Hooks do not
    run. Exits with 1 where lines were refused.
    """
    resuming(resume, restart)
    streamed = is_stream(file)
    if streamed and resume and progress_file is None:
        raise click.UsageError(
            "What is no file can be gone on with only where --progress-file FILE is given."
        )
    terminal = evolve(terminal, answers=not streamed)
    connection.confirm_default_table(terminal)
    with connection.open() as manager, regular_file(file) as source:
        mapper, tenant = repository_named(manager, model), tenant_of(manager)
        told = {"model": model, "tenant": tenant, "file": str(file), "overwrite": overwrite}
        checked = follow(
            terminal,
            check_lines(mapper, tenant, source),
            f"Checking {file}",
            lambda _: "nothing was stored.",
            "lines",
        )
        _refuse_wrong_lines(terminal, file, checked, told)
        if terminal.dry_run:
            terminal.say(
                f"Would import {_items(checked.last.count)} into {model} of table {manager.table_name}."
            )
            terminal.emit({**told, "count": checked.last.count, "dry_run": True})
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
            total=checked.last.done,
        )
        hint = "which ones is not kept" if streamed and progress_file is None else "go on with --resume"
        kept = f"{{}} are stored; {hint}."
        done = follow(
            terminal, steps, f"Importing {model}", lambda last: kept.format(_items(last.count)), "lines"
        )
    _end(ctx, terminal, done, told, f"Imported {_items(done.last.count)} into {model}.", _WERE_REFUSED)


def _refuse_wrong_lines(terminal: Terminal, file: Path, checked: JobResult, told: dict[str, Any]) -> None:
    number = len(checked.found)
    if not number:
        return
    show(terminal, checked.found)
    terminal.emit({**told, "count": 0, "findings": []}, findings=checked.found)
    verb = "is" if number == 1 else "are"
    raise Failure(f"{number:,} of {checked.last.done:,} lines of {file} {verb} wrong; nothing was stored.")


def _end(
    ctx: click.Context,
    terminal: Terminal,
    done: JobResult,
    told: dict[str, Any],
    result: str,
    left: tuple[str, str],
) -> None:
    """Tells what was done and what was not, and exits with 1 in the second case."""
    number = len(done.found)
    show(terminal, done.found)
    terminal.say(result)
    terminal.emit(
        {**told, "count": done.last.count, "findings": [], "dry_run": terminal.dry_run}, findings=done.found
    )
    if number:
        terminal.warn(f"{number:,} {left[number != 1]}.")
        ctx.exit(1)


# --- reindex ----------------------------------------------------------------------------------------


@click.command()
@model_argument
@_resumable
@click.option(
    "--fill-defaults", is_flag=True, help="Write the defaults that items read where they have no attribute."
)
@_PROGRESS_FILE
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
    connection: Connection,
    terminal: Terminal,
) -> None:
    """Rewrite the wrong index keys, iteration keys, search texts and guards of MODEL's items.

    Goes through the table itself, so that it finds items that no index knows: all tenants', or one's with --tenant.
    Nothing else of an item changes without --fill-defaults, and hooks do not run. Items with attributes that their
    fields cannot read are printed and left alone. Exits with 1 if something cannot be mended.
    """
    resuming(resume, restart)
    connection.confirm_default_table(terminal)
    with connection.open() as manager:
        mapper = repository_named(manager, model)
        tenant = connection.tenant if connection.tenant is not None else ANY_TENANT
        tell_cost(
            terminal,
            manager,
            scanner_for(mapper, tenant, stored=True),
            "Items are found whatever their keys are",
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
        done = _rewrite(terminal, steps, f"Reindexing {model}", "rows")
    _tell_rewritten(ctx, terminal, manager, model, done, _ARE_LEFT)


@click.command("rebuild-search-text")
@model_argument
@_resumable
@_PROGRESS_FILE
@connection_options(tenant=True)
@terminal_options(yes=True, dry_run=True)
@click.pass_context
def rebuild_search_text(
    ctx: click.Context,
    model: str,
    resume: bool,
    restart: bool,
    progress_file: Path | None,
    connection: Connection,
    terminal: Terminal,
) -> None:
    """Rewrite the search text of MODEL's items if it differs from what their fields say.

    For when other fields became searchable, or items were written by what does not know of search texts.
    """
    resuming(resume, restart)
    connection.confirm_default_table(terminal)
    with connection.open() as manager:
        steps = rebuild_search_texts(
            repository_named(manager, model),
            tenant_of(manager),
            dry_run=terminal.dry_run,
            resume=resume,
            restart=restart,
            journal=progress_file,
        )
        done = _rewrite(terminal, steps, f"Rebuilding search texts of {model}", "items")
    _tell_rewritten(ctx, terminal, manager, model, done, _UNREADABLE)


def _rewrite(terminal: Terminal, steps: Any, what: str, unit: str) -> JobResult:
    return follow(terminal, steps, what, lambda last: _rewritten_so_far(last, terminal.dry_run), unit)


def _rewritten_so_far(last: JobProgress, dry_run: bool) -> str:
    if dry_run:
        return "nothing was written."
    return f"{_items(last.count)} were written, of {last.done:,} gone through; go on with --resume."


def _tell_rewritten(
    ctx: click.Context,
    terminal: Terminal,
    manager: Manager,
    model: str,
    done: JobResult,
    left: tuple[str, str],
) -> None:
    verb = "Would rewrite" if terminal.dry_run else "Rewrote"
    result = f"{verb} {_items(done.last.count)} of {model}, of {done.last.done:,} read."
    _end(
        ctx,
        terminal,
        done,
        {"model": model, "table": manager.table_name, "seen": done.last.done},
        result,
        left,
    )
