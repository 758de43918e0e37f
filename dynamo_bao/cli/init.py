"""``bao init``: a new project's table, settings and first models."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click
from attrs import evolve, frozen

from dynamo_bao.cli.connection import Connection, connection_options
from dynamo_bao.cli.console import Terminal, interruptible, terminal_options
from dynamo_bao.cli.tables import CREATION_KEPT
from dynamo_bao.config import DEFAULT_TABLE, FILE_NAME, Settings, settings_file
from dynamo_bao.dynamodb.table_admin import create_table, describe_table, require_keys

_MODELS = ("models_dir", "models_definition_path")
_PYTHON_MODELS = '''"""The first model: users, found by id, by email, and by status."""

from __future__ import annotations

from datetime import datetime

from dynamo_bao import (
    CreateDateField,
    Index,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    UniqueConstraint,
)


# To search users, add searchable={"fields": ["name"], "normalise": "nfkc-casefold"}, then bao update-table.
class User(Model, prefix="u", iterable=True):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str = StringField()
    status: str = StringField(default="active")
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("user_id")
    by_status = Index("status", "created_at", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")
'''
_PYTHON_PACKAGE = '''"""The models of this project; import them from here."""

from .user import User

__all__ = ["User"]
'''
_YAML_MODELS = """# The first model: users, found by id, by email, and by status.
# 'bao codegen' writes Python modules from this file; load_models() reads it at run time.
models:
  User:
    modelPrefix: u
    iterable: true
    fields:
      userId: { type: UlidField, autoAssign: true, required: true }
      name: { type: StringField, required: true }
      email: { type: StringField, required: true }
      status: { type: StringField, defaultValue: active }
      createdAt: { type: CreateDateField }
    primaryKey: { partitionKey: userId }
    indexes:
      byStatus: { partitionKey: status, sortKey: createdAt, indexId: gsi1 }
    uniqueConstraints:
      uniqueEmail: { field: email, uniqueConstraintId: uc1 }
"""


@frozen
class Project:
    """What is written for a new project: files by path, never over one that is there."""

    files: dict[str, str]

    @classmethod
    def of(cls, connection: Connection, table: str, yaml: bool, configured: Path | None) -> Project:
        """The files of a project; none for the settings where those are in a file already."""
        settings = {} if configured is not None else {FILE_NAME: _settings_text(connection, table, yaml)}
        if yaml:
            return cls({**settings, "models.yaml": _YAML_MODELS})
        return cls({**settings, "models/__init__.py": _PYTHON_PACKAGE, "models/user.py": _PYTHON_MODELS})

    def kept(self) -> list[str]:
        """What is there already and stays as it is; a folder with Python modules in it is left alone as a whole."""
        there = [path for path in self.files if Path(path).exists()]
        taken = any(Path("models").glob("*.py")) and any(path.startswith("models/") for path in self.files)
        return [path for path in there if not path.startswith("models/")] + ["models"] * taken

    def new(self) -> list[str]:
        """The paths that are written."""
        kept = self.kept()
        return [path for path in self.files if path not in kept and path.split("/")[0] not in kept]

    def write(self, paths: list[str]) -> None:
        """Writes these paths; one that somebody made meanwhile is an error, and left as it is."""
        for path in paths:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with open(path, "x", encoding="utf-8") as file:
                file.write(self.files[path])


@click.command("init")
@click.option("--yaml", is_flag=True, help="Models in YAML, for tables shared with JavaScript.")
@connection_options(models=False)
@terminal_options(yes=True, dry_run=True)
def init(yaml: bool, connection: Connection, terminal: Terminal) -> None:
    """Set up a project in this folder: the table, dynamo_bao.toml, and a first model.

    Asks for the table's name unless --table or the settings give it. What is there already is kept: a table,
    settings, models; so it may be run again.
    """
    settings, configured = connection.settings(), settings_file(connection.config, os.environ)
    table = _table_name(settings, terminal)
    other = _other_table(connection, table)
    if other is not None and not terminal.dry_run:
        terminal.confirm(f"{other} Set up table {table} beside it?")
    connection = connection.for_table(table)
    project = Project.of(connection, table, yaml, configured)
    made, kept, new = _make_table(connection, terminal), project.kept(), project.new()
    if not terminal.dry_run:
        project.write(new)
    terminal.emit(
        {"table": table, "created": made, "written": new, "kept": kept, "dry_run": terminal.dry_run}
    )
    for line in _report(table, made, new, kept, terminal.dry_run):
        terminal.say(line)
    if other is not None:
        terminal.note(f"{other} Write table_name = {_quoted(table)} there to change that.")
    if configured is not None and not any(settings.get("paths", name) for name in _MODELS):
        name, place = _MODELS[yaml], "models.yaml" if yaml else "models"
        terminal.note(f'Add to {configured}, so that commands find the models: [paths] {name} = "{place}"')


def _other_table(connection: Connection, table: str) -> str | None:
    """The table of the settings if it is not the one of the command, else None."""
    settings = evolve(connection, table=None).settings()
    named = settings.get("db", "table_name")
    if named in (None, table):
        return None
    return f"{settings.source('db', 'table_name')} is {named}, which commands go on using without --table {table}."


def _table_name(settings: Settings, terminal: Terminal) -> str:
    named = settings.get("db", "table_name")
    return str(named) if named is not None else terminal.ask("Name of the table", DEFAULT_TABLE)


def _make_table(connection: Connection, terminal: Terminal) -> bool:
    """Makes the table; its first request is what shows whether the credentials are good."""
    with connection.open(with_models=False) as manager:
        there = describe_table(manager.database)
        if there is not None:
            require_keys(there)
            return False
        if not terminal.dry_run:
            kept = f"{CREATION_KEPT} Then run 'bao init' again for the files."
            with interruptible(kept), terminal.waiting(f"Creating table {manager.table_name}"):
                create_table(manager.database)
        return True


def _report(table: str, made: bool, new: list[str], kept: list[str], dry_run: bool) -> list[str]:
    would = "Would create" if dry_run else "Created"
    lines = [f"{would} table {table}." if made else f"Table {table} exists already."]
    lines.extend(f"{'Would write' if dry_run else 'Wrote'} {path}." for path in new)
    lines.extend(f"Kept {path}." for path in kept)
    return lines if dry_run else [*lines, "Next: bao models, then bao shell."]


def _settings_text(connection: Connection, table: str, yaml: bool) -> str:
    """The settings file: the table, where it is as far as it was said, and where models are."""
    secret = (
        f'cursor_secret = "{secrets.token_urlsafe(32)}"  # in production set DYNAMO_BAO_CURSOR_SECRET instead'
    )
    lines = ["[db]", f"table_name = {_quoted(table)}", secret, ""]
    aws = {"region": connection.region, "endpoint_url": connection.endpoint_url}
    given = [f"{name} = {_quoted(value)}" for name, value in aws.items() if value is not None]
    if given:
        lines += ["[aws]", *given, ""]
    lines += ["[paths]", 'models_dir = "models"']
    if yaml:
        lines.append('models_definition_path = "models.yaml"')
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    escaped = "".join(
        f"\\{mark}" if mark in '"\\' else mark if mark.isprintable() else f"\\u{ord(mark):04x}"
        for mark in text
    )
    return f'"{escaped}"'
