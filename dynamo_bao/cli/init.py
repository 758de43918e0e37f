"""``bao init``: a new project's table, settings and first models."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from dynamo_bao.cli.connection import Connection, connection_options
from dynamo_bao.cli.console import Terminal, interruptible, terminal_options
from dynamo_bao.cli.tables import CREATION_HINT
from dynamo_bao.config import DEFAULT_TABLE, FILE_NAME, Settings, settings_file
from dynamo_bao.dynamodb.table_admin import create_table, describe_table, require_keys
from dynamo_bao.runtime.records import evolve, frozen

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


# To search users, add searchable={"fields": ["name"], "normalise": "nfkc-casefold"}. Then run bao update-table, and
# bao reindex User if there are users.
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
    """The files of a new project, by path. A file that exists is never overwritten."""

    files: dict[str, str]

    @classmethod
    def of(cls, connection: Connection, table: str, yaml: bool, configured: Path | None) -> Project:
        """The files of a project. The settings are not among them if a settings file exists."""
        settings = {} if configured is not None else {FILE_NAME: _settings_text(connection, table, yaml)}
        if yaml:
            return cls({**settings, "models.yaml": _YAML_MODELS})
        return cls({**settings, "models/__init__.py": _PYTHON_PACKAGE, "models/user.py": _PYTHON_MODELS})

    def existing_paths(self) -> list[str]:
        """The files that exist and are not changed. If ``models`` has Python modules, nothing in it is changed."""
        existing_files = [path for path in self.files if Path(path).exists()]
        has_models = any(Path("models").glob("*.py")) and any(
            path.startswith("models/") for path in self.files
        )
        return [path for path in existing_files if not path.startswith("models/")] + ["models"] * has_models

    def new_paths(self) -> list[str]:
        """The paths of the files to write."""
        existing_paths = self.existing_paths()
        return [
            path
            for path in self.files
            if path not in existing_paths and path.split("/")[0] not in existing_paths
        ]

    def write(self, paths: list[str]) -> None:
        """Writes the files with these paths.

        Raises:
            FileExistsError: if a file was made in the meantime. It is not changed.
        """
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

    Asks for the table's name unless --table or the settings give it. A table, settings or models that exist
    are not changed, so the command may be run again.
    """
    settings, configured = connection.settings(), settings_file(connection.config, os.environ)
    table = _table_name(settings, terminal)
    other_table = _other_table_note(connection, table)
    if other_table is not None and not terminal.dry_run:
        terminal.confirm(f"{other_table} Set up table {table} beside it?")
    connection = connection.for_table(table)
    project = Project.of(connection, table, yaml, configured)
    is_new, existing_paths, new_paths = (
        _make_table(connection, terminal),
        project.existing_paths(),
        project.new_paths(),
    )
    if not terminal.dry_run:
        project.write(new_paths)
    terminal.emit(
        {
            "table": table,
            "created": is_new,
            "written": new_paths,
            "kept": existing_paths,
            "dry_run": terminal.dry_run,
        }
    )
    for line in _report(table, is_new, new_paths, existing_paths, terminal.dry_run):
        terminal.say(line)
    if other_table is not None:
        terminal.note(f"{other_table} Write table_name = {_quoted(table)} there to change that.")
    if configured is not None and not any(settings.get("paths", name) for name in _MODELS):
        name, place = _MODELS[yaml], "models.yaml" if yaml else "models"
        terminal.note(f'Add to {configured}, so that commands find the models: [paths] {name} = "{place}"')


def _other_table_note(connection: Connection, table: str) -> str | None:
    """A sentence about the table of the settings, if it is not the table of the command; else None."""
    settings = evolve(connection, table=None).settings()
    other_name = settings.get("db", "table_name")
    if other_name in (None, table):
        return None
    return f"{settings.source('db', 'table_name')} is {other_name}, which commands go on using without --table {table}."


def _table_name(settings: Settings, terminal: Terminal) -> str:
    name = settings.get("db", "table_name")
    return str(name) if name is not None else terminal.ask("Name of the table", DEFAULT_TABLE)


def _make_table(connection: Connection, terminal: Terminal) -> bool:
    """Creates the table, and returns whether it was new. The first request shows whether the credentials work."""
    with connection.open(with_models=False) as manager:
        description = describe_table(manager.database)
        if description is not None:
            require_keys(description)
            return False
        if not terminal.dry_run:
            hint = f"{CREATION_HINT} Then run 'bao init' again for the files."
            with interruptible(hint), terminal.waiting(f"Creating table {manager.table_name}"):
                create_table(manager.database)
        return True


def _report(
    table: str, is_new: bool, new_paths: list[str], existing_paths: list[str], dry_run: bool
) -> list[str]:
    would = "Would create" if dry_run else "Created"
    lines = [f"{would} table {table}." if is_new else f"Table {table} exists already."]
    lines.extend(f"{'Would write' if dry_run else 'Wrote'} {path}." for path in new_paths)
    lines.extend(f"Kept {path}." for path in existing_paths)
    return lines if dry_run else [*lines, "Next: bao models, then bao shell."]


def _settings_text(connection: Connection, table: str, yaml: bool) -> str:
    """The text of the settings file: the table, its region and endpoint if they are given, and the models' folder."""
    secret = (
        f'cursor_secret = "{secrets.token_urlsafe(32)}"  # in production set DYNAMO_BAO_CURSOR_SECRET instead'
    )
    lines = ["[db]", f"table_name = {_quoted(table)}", secret, ""]
    aws = {"region": connection.region, "endpoint_url": connection.endpoint_url}
    aws_lines = [f"{name} = {_quoted(value)}" for name, value in aws.items() if value is not None]
    if aws_lines:
        lines += ["[aws]", *aws_lines, ""]
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
