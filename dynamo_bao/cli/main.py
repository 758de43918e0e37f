"""The command ``bao``: its list of commands. Each is imported when it is used. Errors become exit codes here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

try:
    import click
except ModuleNotFoundError:  # pragma: no cover  # tested by hiding click from a subprocess
    sys.exit("The command line needs click and rich: pip install 'dynamo_bao[cli]'")

from click.shell_completion import CompletionItem

from dynamo_bao.cli.console import Failure, plain_warnings, report, standard_streams
from dynamo_bao.errors import suggestion
from dynamo_bao.runtime.records import frozen


@frozen
class Lazy:
    """A command that is imported when it is used: its section of the help, its module and function, and its help."""

    section: str
    target: str
    help: str


_TABLE, _MODELS, _DATA, _TOOLS = "The table", "Models", "Data", "Tools"

COMMANDS: Mapping[str, Lazy] = {
    "init": Lazy(_TABLE, "init:init", "Set up a project: table, settings, a first model."),
    "create-table": Lazy(_TABLE, "tables:create", "Create the table with its indexes and TTL."),
    "update-table": Lazy(_TABLE, "tables:update", "Add the indexes and TTL that an older table lacks."),
    "delete-table": Lazy(_TABLE, "tables:delete", "Delete the table with everything in it."),
    "doctor": Lazy(_TABLE, "doctor:doctor", "Find problems, and mend them with --fix."),
    "models": Lazy(_MODELS, "models:models", "Show the models, or draw them with --diagram."),
    "codegen": Lazy(_MODELS, "codegen:codegen", "Write Python modules from YAML model files."),
    "watch": Lazy(_MODELS, "codegen:watch", "Write them again whenever a model file changes."),
    "count": Lazy(_DATA, "data:count", "Count a model's items."),
    "export": Lazy(_DATA, "data:export", "Write a model's items as JSON lines."),
    "import": Lazy(_DATA, "data:import_", "Write JSON lines into the table."),
    "reindex": Lazy(_DATA, "data:reindex", "Rewrite the index keys of a model's items."),
    "rebuild-search-text": Lazy(_DATA, "data:rebuild_search_text", "Rewrite a model's search texts."),
    "guide": Lazy(_TOOLS, "guide:guide", "Print the essentials of the library."),
    "shell": Lazy(_TOOLS, "shell:shell", "Python with the models connected."),
    "local": Lazy(_TOOLS, "local:local", "A DynamoDB in memory behind HTTP, for other programs."),
    "completion": Lazy(_TOOLS, "completion:completion", "Print a script for completion in a shell."),
}


class Commands(click.Group):
    """A group that imports a command's module when the command is used, and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, attribute = entry.target.split(":")
        try:
            command: click.Command = getattr(import_module(f"dynamo_bao.cli.{module}"), attribute)
        except ModuleNotFoundError as missing:
            raise Failure(
                f"bao {cmd_name} needs {missing.name}, which is not installed: pip install 'dynamo_bao[cli]'"
            ) from missing
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0][:1] != "-" and args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise click.UsageError(f"No such command {args[0]!r}.{suggestion(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=COMMANDS[name].help) for name in names), *options]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for section in dict.fromkeys(lazy.section for lazy in COMMANDS.values()):
            rows = [(f"{n:{width}}", lazy.help) for n, lazy in COMMANDS.items() if lazy.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)

    def main(self, *args: object, standalone_mode: bool = True, **extra: object) -> Any:
        """Runs a command and exits with its code. Without `standalone_mode`, it raises errors instead."""
        run: Any = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        with standard_streams():
            try:
                with plain_warnings():
                    code = run(*args, standalone_mode=False, **extra)
            except KeyboardInterrupt:
                code = report(click.Abort())
            except Exception as error:
                code = report(error)
        sys.exit(code if isinstance(code, int) else 0)


@click.command(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="dynamo_bao", prog_name="bao")
def main() -> None:
    """DynamoDB tables and models of dynamo_bao.

    Commands find the table and the models in dynamo_bao.toml, in [tool.dynamo_bao] of pyproject.toml, or in
    their options; see 'bao COMMAND --help'.
    """
