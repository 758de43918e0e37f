"""``bao codegen`` and ``bao watch``: Python modules from YAML model files."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dynamo_bao.cli.console import Failure, Terminal, sentence, terminal_options
from dynamo_bao.config import load_settings
from dynamo_bao.errors import BaoError
from dynamo_bao.mapping.definition import KEY_FORMATS
from dynamo_bao.modelfiles.codegen.package_writer import Generated, generate
from dynamo_bao.modelfiles.codegen.watcher import watch as watch_files
from dynamo_bao.runtime.records import frozen

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.argument("definitions", required=False, metavar="[DEFINITIONS]"),
    click.argument("out", required=False, metavar="[OUT]"),
    click.option("--fields-dir", metavar="FOLDER", help="Python modules with field classes of your own."),
    click.option(
        "--fields-package",
        metavar="NAME",
        help="The import name of that folder. Default: worked out from its place.",
    ),
    click.option(
        "--key-format",
        type=click.Choice(KEY_FORMATS),
        default="dynamo-bao",
        help="Use native for a table that is not shared with JavaScript.",
    ),
    click.option(
        "--iterable-default",
        is_flag=True,
        help="Standard models are iterable unless they say otherwise, as in DynamoBao 0.4.",
    ),
    click.option("--config", metavar="FILE", help="Read settings from FILE instead of dynamo_bao.toml."),
)


@frozen
class Sources:
    """The arguments and options of both commands."""

    definitions: str
    out: str
    options: dict[str, Any]


def _with_sources(function: F) -> F:
    """Gives a command the arguments and options that both commands have. The settings give the defaults."""

    @functools.wraps(function)
    def command(
        definitions: str | None,
        out: str | None,
        fields_dir: str | None,
        config: str | None,
        fields_package: str | None,
        key_format: str,
        iterable_default: bool,
        **command_options: object,
    ) -> Any:
        settings = load_settings(config, os.environ, {})
        options = {
            "fields_dir": fields_dir or settings.get("paths", "fields_dir"),
            "fields_package": fields_package,
            "key_format": key_format,
            "iterable_default": iterable_default,
        }
        sources = Sources(
            definitions or settings.get("paths", "models_definition_path", "models.yaml"),
            out or settings.get("paths", "models_dir", "models"),
            options,
        )
        return function(sources=sources, **command_options)

    decorated: Any = command
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


@click.command()
@_with_sources
@click.option("--check", is_flag=True, help="Write nothing, and fail if a file is not up to date.")
@terminal_options(dry_run=True)
def codegen(sources: Sources, check: bool, terminal: Terminal) -> None:
    """Write Python modules from YAML model files.

    DEFINITIONS is a YAML file with DynamoBao's keys, or a folder of such files. OUT is the folder of the
    package to write. Their defaults are models_definition_path and models_dir under [paths] of the settings,
    else models.yaml and models.

    The command never overwrites a file that it did not write.
    """
    result = generate(sources.definitions, sources.out, check=check or terminal.dry_run, **sources.options)
    for warning in result.warnings:
        terminal.warn(warning)
    _print_result(result, terminal, would=check or terminal.dry_run)
    if check and not result.is_current:
        files = ", ".join(str(path) for path in (*result.written, *result.removed))
        raise Failure(
            f"Not up to date with {sources.definitions}: {files}. Run bao codegen and commit the files."
        )


def _print_result(result: Generated, terminal: Terminal, *, would: bool) -> None:
    terminal.emit(
        {
            "written": list(map(str, result.written)),
            "removed": list(map(str, result.removed)),
            "unchanged": list(map(str, result.unchanged)),
            "dry_run": would,
        }
    )
    for paths, word in ((result.written, "write"), (result.removed, "remove")):
        past = {"write": "Wrote", "remove": "Removed"}[word]
        for path in paths:
            terminal.say(f"{f'Would {word}' if would else past} {path}")
    if result.is_current:
        terminal.say(f"All {len(result.unchanged)} files are up to date.")


@click.command()
@_with_sources
@terminal_options()
def watch(sources: Sources, terminal: Terminal) -> None:
    """Write Python modules from YAML model files, and again whenever one changes.

    If a model file is wrong, the command prints the fault and waits for the next change. End it with Ctrl-C.
    """

    def tell(outcome: Generated | BaoError) -> None:
        if isinstance(outcome, BaoError):
            terminal.warn(sentence(outcome))
            terminal.emit({"error": sentence(outcome)})
            return
        for warning in outcome.warnings:
            terminal.warn(warning)
        _print_result(outcome, terminal, would=False)

    terminal.note(f"Watching {_description(sources.definitions)}; end with Ctrl-C.")
    try:
        watch_files(sources.definitions, sources.out, on_change=tell, **sources.options)
    except KeyboardInterrupt:
        terminal.note("Ended.")


def _description(path: str) -> str:
    return f"{path} and the files in it" if Path(path).is_dir() else path
