"""The group ``flask bao``: the commands of ``bao`` for the models of a Flask application."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click
from flask.cli import NoAppException, ScriptInfo

from dynamo_bao.models.registry import managers, models as all_models


class _Commands(click.Group):
    """The commands of ``bao``, imported at their first use, for the models of the Flask application."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return _bao("main").main.list_commands(ctx)  # type: ignore[no-any-return]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _bao("main").main.get_command(ctx, cmd_name)  # type: ignore[no-any-return]

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        return _bao("main").main.resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _bao("main").main.format_commands(ctx, formatter)

    def invoke(self, ctx: click.Context) -> object:
        sources = _models_of_the_app(ctx)
        ctx.meta[_bao("connection").HOST] = next(iter(managers()), None)
        ctx.default_map = {name: {"model_sources": sources} for name in self.list_commands(ctx) if sources}
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            ctx.exit(_bao("console").report(error))


def _bao(module: str) -> Any:
    """Imports a module of the command line. The error names the extra to install."""
    try:
        return import_module(f"dynamo_bao.cli.{module}")
    except (ImportError, SystemExit) as error:
        raise click.ClickException(
            f"flask bao needs packages that are not installed: pip install 'dynamo_bao[cli]' ({error})"
        ) from None


def _models_of_the_app(ctx: click.Context) -> list[str]:
    """The modules that define models after the application is loaded; empty without an application."""
    try:
        ctx.ensure_object(ScriptInfo).load_app()
    except NoAppException as error:
        click.echo(f"Without an application: {error.format_message()}", err=True)
    return sorted({model.__module__ for model in all_models()})


commands: _Commands = _Commands(
    "bao",
    help="The table and the models of dynamo_bao, as the command bao.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
