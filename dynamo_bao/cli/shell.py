"""``bao shell``: Python with the models connected, or a piece of code run that way."""

from __future__ import annotations

import code
import sys
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import click

from dynamo_bao.cli.connection import Connection, connection_options
from dynamo_bao.models.batch_context import run_with_batch_context
from dynamo_bao.models.manager import Manager


@click.command("shell")
@click.option("--code", "-c", "source", metavar="CODE", help="Run CODE instead of a prompt.")
@click.option("--session", is_flag=True, help="Work inside one batch context, named session.")
@click.option("--embedded", is_flag=True, help="Use a new, empty DynamoDB inside this process.")
@click.option("--plain", is_flag=True, help="Use Python's own prompt, even if IPython is installed.")
@connection_options(tenant=True)
def shell(source: str | None, session: bool, embedded: bool, plain: bool, connection: Connection) -> None:
    """Python with the models connected. Each model is there under its name, and so is the manager.

    Code may also come from stdin. If IPython is installed, the shell uses it.
    """
    with connection.open(needs_models=False, embedded=embedded) as manager:
        context: Any = run_with_batch_context() if session else nullcontext()
        with context as batch_session:
            names = _names(manager, batch_session)
            if source is None and not sys.stdin.isatty():
                source = sys.stdin.read()
            if source is not None:
                _run(source, names)
            else:
                _converse(_greeting(manager, session), names, plain)


def _run(source: str, names: dict[str, object]) -> None:
    """Runs code. If it raises an exception, prints Python's traceback and exits with 1."""
    try:
        exec(compile(source, "<bao shell>", "exec", dont_inherit=True), names)  # noqa: S102  # what it is for
    except Exception as error:
        user_traceback = error.__traceback__.tb_next if error.__traceback__ else None
        traceback.print_exception(type(error), error, user_traceback)
        sys.exit(1)


def _names(manager: Manager, session: object) -> dict[str, Any]:
    names: dict[str, Any] = dict(manager.model_classes())
    names.update(manager=manager, run_with_batch_context=run_with_batch_context, __name__="__console__")
    if session is not None:
        names["session"] = session
    return names


def _greeting(manager: Manager, session: bool) -> str:
    models = ", ".join(manager.model_classes()) or "none; see --models"
    lines = [f"Table {manager.table_name}. Models: {models}.", "Also here: manager, run_with_batch_context."]
    if session:
        lines.append(
            "Everything runs in one batch context, session; print(session.stats) shows what it cost."
        )
    return "\n".join(lines)


def _converse(greeting: str, names: dict[str, object], plain: bool) -> None:
    if not plain and _with_ipython(greeting, names):
        return
    _complete_with_tab(names)
    code.interact(greeting, local=names, exitmsg="")


def _with_ipython(greeting: str, names: Mapping[str, object]) -> bool:
    try:
        from IPython import start_ipython
        from traitlets.config import Config
    except ImportError:
        return False
    config = Config()
    config.TerminalInteractiveShell.banner1 = f"{greeting}\n"
    start_ipython(argv=[], user_ns=names, config=config)
    return True


def _complete_with_tab(names: dict[str, object]) -> None:
    try:
        import readline
        import rlcompleter
    except ImportError:  # not on Windows
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")
