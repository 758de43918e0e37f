"""``bao models``: the models as a table, as JSON, or as a diagram."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from dynamo_bao.cli.connection import NO_MODELS, Connection, complete_models, connection_options
from dynamo_bao.cli.console import Failure, Terminal, terminal_options
from dynamo_bao.cli.diagrams import Outline, as_mermaid, as_svg, as_text, outline_of
from dynamo_bao.cli.diagrams.outline import ModelOutline
from dynamo_bao.cli.diagrams.text import remark, shown_kind
from dynamo_bao.errors import suggestion
from dynamo_bao.runtime.records import asdict

DRAWINGS: Mapping[str, Callable[[Outline], str]] = {"text": as_text, "mermaid": as_mermaid, "svg": as_svg}
_ENDINGS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}


@click.command("models")
@click.argument("names", nargs=-1, metavar="[MODEL]...", shell_complete=complete_models)
@click.option("--diagram", is_flag=True, help="Draw the models, their relations and access patterns.")
@click.option(
    "--format", "form", type=click.Choice(list(DRAWINGS)), help="How to draw them; implies --diagram."
)
@click.option(
    "--output", "-o", metavar="FILE", help="Draw into FILE. The endings .svg and .mmd select the format."
)
@connection_options(table=False)
@terminal_options()
def models(
    names: tuple[str, ...],
    diagram: bool,
    form: str | None,
    output: str | None,
    connection: Connection,
    terminal: Terminal,
) -> None:
    """Show the models: keys, indexes, constraints, and the ways to find their items.

    With names, the command shows only those models, with their fields. It makes no request.
    """
    if terminal.json and (diagram or form or output):
        raise click.UsageError("A drawing is not JSON; leave out --json.", click.get_current_context())
    outline = outline_of(_models_named(connection, names))
    if diagram or form or output:
        _draw(outline, form, output, terminal)
        return
    terminal.emit(asdict(outline))
    if names:
        _details(outline, terminal)
    else:
        _overview(outline, terminal)


def _models_named(connection: Connection, names: tuple[str, ...]) -> list[type]:
    models_by_name = {model.__bao_name__: model for model in connection.models()}
    if not models_by_name:
        raise Failure(NO_MODELS)
    for name in names:
        if name not in models_by_name:
            raise Failure(f"There is no model {name!r}.{suggestion(name, models_by_name)}")
    return [models_by_name[name] for name in names or models_by_name]


# --- diagrams --------------------------------------------------------------------------------------


def _draw(outline: Outline, form: str | None, output: str | None, terminal: Terminal) -> None:
    ending = None if output is None else _ENDINGS.get(Path(output).suffix.lower())
    drawing = DRAWINGS[form or ending or "text"](outline)
    if output is None:
        terminal.say(drawing)
        return
    Path(output).write_text(drawing + "\n", encoding="utf-8")
    terminal.note(f"Written to {output}.")


# --- tables ----------------------------------------------------------------------------------------


def _overview(outline: Outline, terminal: Terminal) -> None:
    columns = ("Model", "Prefix", "Key", "Indexes", "Unique", "Iterable", "Searched")
    terminal.table(columns, [_row(model) for model in outline.models])
    for model in outline.models:
        terminal.say()
        _patterns(model, terminal)


def _row(model: ModelOutline) -> list[str]:
    indexes = [f"{index.id} {index.name} ({index.parts})" for index in model.indexes]
    constraints = [f"{constraint.id} {constraint.field}" for constraint in model.constraints]
    buckets = "" if model.buckets is None else f"{model.buckets} buckets"
    return [
        model.name,
        model.prefix,
        model.key.parts,
        "\n".join(indexes),
        "\n".join(constraints),
        buckets,
        ", ".join(model.searched),
    ]


def _details(outline: Outline, terminal: Terminal) -> None:
    for number, model in enumerate(outline.models):
        if number:
            terminal.say()
        terminal.say(f"{click.style(model.name, bold=True)}, prefix {model.prefix}")
        rows = [(f.name, shown_kind(f), ", ".join(f.marks), f.attribute, f.doc or "") for f in model.fields]
        terminal.table(("Field", "Kind", "Used for", "Stored as", "Meaning"), rows)
        terminal.say()
        _patterns(model, terminal)


def _patterns(model: ModelOutline, terminal: Terminal) -> None:
    rows = [(pattern.call, pattern.by, remark(pattern)) for pattern in model.patterns]
    terminal.table((f"Asking for {model.name}", "By", ""), rows)
