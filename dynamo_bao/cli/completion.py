"""``bao completion``: the script that lets a shell complete the commands, options and models of ``bao``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete the commands and options of bao, and names of models.

    \b
    bash:  bao completion bash > ~/.local/share/bash-completion/completions/bao
    zsh:   eval "$(bao completion zsh)"    in ~/.zshrc
    fish:  bao completion fish > ~/.config/fish/completions/bao.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "bao", "_BAO_COMPLETE").source())
