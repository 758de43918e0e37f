"""``bao create-table``, ``update-table`` and ``delete-table``."""

from __future__ import annotations

from typing import Final

import click

from dynamo_bao.cli.connection import Connection, connection_options
from dynamo_bao.cli.console import Failure, Terminal, interruptible, terminal_options
from dynamo_bao.cli.table_as_code import LANGUAGES, table_as_code
from dynamo_bao.dynamodb.table_admin import (
    TableUpdate,
    create_table,
    describe_table,
    pending_update,
    require_keys,
    update_table,
)
from dynamo_bao.dynamodb.table_definition import TableDescription, wanted_indexes
from dynamo_bao.models.manager import Manager
from dynamo_bao.runtime.records import asdict

CREATION_HINT: Final = "DynamoDB may still be creating the table; 'bao update-table' completes it."
_SEARCH = click.option("--search", is_flag=True, help="Add the search index, even if no model here needs it.")


@click.command("create-table")
@click.argument("name", required=False)
@_SEARCH
@click.option(
    "--as",
    "language",
    type=click.Choice(list(LANGUAGES)),
    help="Print the table's definition, and create nothing.",
)
@connection_options()
@terminal_options(yes=True, dry_run=True)
def create(
    name: str | None, search: bool, language: str | None, connection: Connection, terminal: Terminal
) -> None:
    """Create the table NAME with its indexes and TTL.

    Without NAME, the settings name the table. A table that exists is not changed. The search index is
    created if one of the models is searchable and iterable, or with --search. With --as, the definition is
    printed for CloudFormation or Terraform.
    """
    connection = connection.for_table(name)
    if language is not None:
        with connection.open(needs_models=False) as manager:
            code = table_as_code(language, manager.table_name, search or manager._needs_search_index())
        click.echo(code, nl=False)
        return
    connection.confirm_default_table(terminal)
    with connection.open(needs_models=False) as manager:
        table, search = manager.table_name, search or manager._needs_search_index()
        indexes = [index.name for index in wanted_indexes(search)]
        if terminal.dry_run:
            is_new = (description := describe_table(manager.database)) is None
            if description is not None:
                require_keys(description)
        else:
            with (
                interruptible(CREATION_HINT),
                terminal.waiting(f"Creating table {table}"),
            ):
                is_new = create_table(manager.database, search=search)
    terminal.emit({"table": table, "created": is_new, "indexes": indexes, "dry_run": terminal.dry_run})
    if not is_new:
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

    Without NAME, the settings name the table. The command waits until each index is ACTIVE, which takes hours
    for a large table. It may be interrupted and run again. Exits with 1 if the table has a fault that an update
    cannot correct.
    """
    connection = connection.for_table(name)
    connection.confirm_default_table(terminal)
    with connection.open(needs_models=False) as manager:
        unknown = not manager.models and not search
        update = _update(manager, search or manager._needs_search_index(), terminal)
    terminal.emit({**asdict(update), "dry_run": terminal.dry_run})
    terminal.say(_update_text(update, terminal.dry_run))
    if unknown:
        terminal.note(
            "No models are named, so the command did not check whether searches need an index; see --models."
        )
    for fault in update.faults:
        terminal.warn(fault)
    if update.faults:
        ctx.exit(1)


def _update(manager: Manager, search: bool, terminal: Terminal) -> TableUpdate:
    if terminal.dry_run:
        return pending_update(manager.database, search=search)
    hint = "DynamoDB continues with the current index; run the command again for the others."
    with interruptible(hint), terminal.waiting(f"Updating table {manager.table_name}") as step:
        return update_table(manager.database, search=search, on_step=step)


def _update_text(update: TableUpdate, dry_run: bool) -> str:
    """A sentence about an update."""
    if not update.indexes and not update.ttl:
        otherwise = " otherwise" if update.faults else ""
        return f"Table {update.table} is{otherwise} up to date."
    steps = [f"index {name}" for name in update.indexes] + ["TTL"] * update.ttl
    return f"Table {update.table} {'would get' if dry_run else 'got'} {', '.join(steps)}."


@click.command("delete-table")
@click.argument("name", required=False)
@connection_options(models=False)
@terminal_options(yes=True, dry_run=True)
def delete(name: str | None, connection: Connection, terminal: Terminal) -> None:
    """Delete the table NAME with everything in it, after asking for its name to be typed.

    Without NAME, the settings name the table; with --yes, NAME or --table is required.
    """
    if terminal.yes and not (name or connection.table):
        raise click.UsageError("With --yes, name the table to delete.", click.get_current_context())
    with connection.for_table(name).open(with_models=False) as manager:
        table = describe_table(manager.database)
        if table is None:
            raise Failure(f"Table {manager.table_name} does not exist at this region and endpoint.")
        if table.get("DeletionProtectionEnabled"):
            raise Failure(
                f"Table {manager.table_name} is protected from deletion; switch off its deletion protection first."
            )
        if not terminal.dry_run:
            terminal.confirm_by_name(
                manager.table_name, f"Deleting {_table_size_text(table)} cannot be undone."
            )
            hint = "DynamoDB continues to delete the table."
            with interruptible(hint), terminal.waiting(f"Deleting table {manager.table_name}"):
                manager.delete_table()
    terminal.emit({"table": manager.table_name, "deleted": not terminal.dry_run, "dry_run": terminal.dry_run})
    if terminal.dry_run:
        terminal.say(f"Would delete {_table_size_text(table)}.")
    else:
        terminal.say(f"Table {manager.table_name} is deleted.")


def _table_size_text(table: TableDescription) -> str:
    """A table and its size. DynamoDB updates these figures every six hours."""
    count, size = table.get("ItemCount", 0), table.get("TableSizeBytes", 0) / 1_000_000
    return f"table {table['TableName']} with about {count:,} items ({size:,.1f} MB)"
