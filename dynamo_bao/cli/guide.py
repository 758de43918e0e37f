"""``bao guide``: the essentials of the library, as Markdown."""

from __future__ import annotations

from importlib.resources import files

import click


@click.command()
def guide() -> None:
    """Print the essentials of the library, as Markdown, for people and for programs that write code."""
    click.echo(files("dynamo_bao.cli").joinpath("guide.md").read_text(encoding="utf-8"), nl=False)
