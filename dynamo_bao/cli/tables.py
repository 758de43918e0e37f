"""``bao create-table``, ``update-table`` and ``delete-table``."""

from __future__ import annotations

from typing import Any, Final

import click
from attrs import asdict

from dynamo_bao.cli.connection import Connection, connection_options
from dynamo_bao.cli.console import Failure, Terminal, interruptible, terminal_options
from dynamo_bao.dynamodb.table_admin import (
    TableUpdate,
    create_table,
    describe_table,
    pending_update,
    require_keys,
    update_table,
)
from dynamo_bao.dynamodb.table_definition import wanted_indexes
from dynamo_bao.models.manager import Manager

CREATION_KEPT: Final = "the table may be on its way; 'bao update-table' completes it."
_SEARCH = click.option(
    "--search", is_flag=True, help="With the search index, whether or not a model here needs it."
)


@click.command("create-table")
@click.argument("name", required=False)
@_SEARCH
@connection_options()
@terminal_options(yes=True, dry_run=True)
def create(name: str | None, search: bool, connection: Connection, terminal: Terminal) -> None:
    """Create the table NAME with its indexes and TTL.

    NAME is that of the settings if it is left out. A table that exists is left as it is. The index that
    searches read is made where one of the models is searchable and iterable, or with --search.
    """
    connection = connection.for_table(name)
    connection.confirm_default_table(terminal)
    with connection.open(needs_models=False) as manager:
        table, search = manager.table_name, search or manager._needs_search_index()
        indexes = [index.name for index in wanted_indexes(search)]
        if terminal.dry_run:
            made = (there := describe_table(manager.database)) is None
            if there is not None:
                require_keys(there)
        else:
            with (
                interruptible(CREATION_KEPT),
                terminal.waiting(f"Creating table {table}"),
            ):
                made = create_table(manager.database, search=search)
    terminal.emit({"table": table, "created": made, "indexes": indexes, "dry_run": terminal.dry_run})
    if not made:
        terminal.say(f"Table {table} exists already.")
    elif terminal.dry_run:
        terminal.say(f"Table {table} would be created, with {', '.join(indexes)} and TTL.")
    else:
        terminal.say(f"Table {table} is created, with {', '.join(indexes)} and TTL.")


@click.command("update-table")
@click.argument("name", required=False)
@_SEARCH
@connection_options()
@terminal_options(yes=True, dry_run=True)
@click.pass_context
def update(
    ctx: click.Context, name: str | None, search: bool, connection: Connection, terminal: Terminal
) -> None:
    """Add the indexes that the table NAME lacks, one by one, and enable TTL.

    NAME is that of the settings if it is left out. Each index is waited for until it is ACTIVE, which takes
    hours for a large table; it is safe to interrupt, and to run again. Exits with 1 where something is left that
    cannot be mended this way.
    """
    connection = connection.for_table(name)
    connection.confirm_default_table(terminal)
    with connection.open(needs_models=False) as manager:
        unknown = not manager.models and not search
        done = _updated(manager, search or manager._needs_search_index(), terminal)
    terminal.emit({**asdict(done), "dry_run": terminal.dry_run})
    terminal.say(_told(done, terminal.dry_run))
    if unknown:
        terminal.note(
            "No models are named, so whether searches need an index was not looked at; see --models."
        )
    for fault in done.faults:
        terminal.warn(fault)
    if done.faults:
        ctx.exit(1)


def _updated(manager: Manager, search: bool, terminal: Terminal) -> TableUpdate:
    if terminal.dry_run:
        return pending_update(manager.database, search=search)
    kept = "DynamoDB goes on building the index it is at; run the command again for the rest."
    with interruptible(kept), terminal.waiting(f"Updating table {manager.table_name}") as step:
        return update_table(manager.database, search=search, on_step=step)


def _told(done: TableUpdate, dry_run: bool) -> str:
    """An update in a sentence."""
    if not done.indexes and not done.ttl:
        left = " otherwise" if done.faults else ""
        return f"Table {done.table} is{left} up to date."
    steps = [f"index {name}" for name in done.indexes] + ["TTL"] * done.ttl
    return f"Table {done.table} {'would get' if dry_run else 'got'} {', '.join(steps)}."


@click.command("delete-table")
@click.argument("name", required=False)
@connection_options(models=False)
@terminal_options(yes=True, dry_run=True)
def delete(name: str | None, connection: Connection, terminal: Terminal) -> None:
    """Delete the table NAME with everything in it, after asking for its name to be typed.

    NAME is that of the settings if it is left out; with --yes it has to be given here.
    """
    if terminal.yes and not (name or connection.table):
        raise click.UsageError(
            "With --yes, name the table that is to be deleted.", click.get_current_context()
        )
    with connection.for_table(name).open(with_models=False) as manager:
        table = describe_table(manager.database)
        if table is None:
            raise Failure(f"Table {manager.table_name} does not exist at this region and endpoint.")
        if table.get("DeletionProtectionEnabled"):
            raise Failure(
                f"Table {manager.table_name} is protected from deletion; switch its protection off first."
            )
        if not terminal.dry_run:
            terminal.confirm_by_name(manager.table_name, f"Deleting {_held(table)} cannot be undone.")
            kept = "once asked, DynamoDB goes on deleting the table."
            with interruptible(kept), terminal.waiting(f"Deleting table {manager.table_name}"):
                manager.delete_table()
    terminal.emit({"table": manager.table_name, "deleted": not terminal.dry_run, "dry_run": terminal.dry_run})
    if terminal.dry_run:
        terminal.say(f"Would delete {_held(table)}.")
    else:
        terminal.say(f"Table {manager.table_name} is deleted.")


def _held(table: dict[str, Any]) -> str:
    """A table and how much it holds, as far as DynamoDB knows: it counts every six hours."""
    count, size = table.get("ItemCount", 0), table.get("TableSizeBytes", 0) / 1_000_000
    return f"table {table['TableName']} with about {count:,} items ({size:,.1f} MB)"
