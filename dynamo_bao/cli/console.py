"""The habits of every command: what goes where on the screen, exit codes, questions, progress, and Ctrl-C.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import functools
import json as json_format
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click
from attrs import define, frozen

from dynamo_bao.errors import BaoError

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED: Final = 130
TRACEBACK: Final = "BAO_TRACEBACK"
_WIDE: Final = 10_000


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Writes a text, without colours for whoever wants none: where ``NO_COLOR`` is set, or no terminal is there."""
    click.echo(text, err=err, nl=nl, color=False if os.environ.get("NO_COLOR") else None)


class Failure(click.ClickException):
    """A command that could not do its work: one sentence on stderr, exit code 1."""

    exit_code = 1


class Interrupted(click.ClickException):
    """Ctrl-C, with what was kept and how to go on: exit code 130."""

    exit_code = INTERRUPTED


@define
class Progress:
    """How far long work has come; made by `Terminal.progress`.

    Attributes:
        done: how much of it is done.
    """

    unit: str
    done: int = 0
    _bar: Any = None
    _task: Any = None

    def advance(self, count: int = 1) -> None:
        """Tells that `count` more are done."""
        self.done += count
        if self._bar is not None:
            speed = self._bar.tasks[0].speed
            rate = f"{speed:,.0f} {self.unit}/s" if speed else ""
            self._bar.update(self._task, completed=self.done, rate=rate)

    def describe(self, what: str) -> None:
        """Says what is being done now."""
        if self._bar is not None:
            self._bar.update(self._task, description=what)


@frozen
class Terminal:
    """Where a command speaks and asks. Commands get theirs from `terminal_options`.

    Attributes:
        json: whether stdout is for a machine: nothing but what `emit` writes.
        yes: whether every question is answered with yes.
        dry_run: whether nothing may be changed.
        answers: whether stdin is there for answers, and not for what the command reads.
    """

    json: bool = False
    yes: bool = False
    dry_run: bool = False
    answers: bool = True

    def say(self, text: str = "") -> None:
        """One line of the result, for people."""
        if not self.json:
            echo(text)

    def emit(self, value: object, **lists: Iterable[object]) -> None:
        """The result for machines: one JSON document on stdout, where ``--json`` asks for it.

        Args:
            value: the document.
            lists: members of it that are empty lists in `value`, and too long to be in memory.
        """
        if not self.json:
            return
        rest = json_format.dumps(value, ensure_ascii=False, indent=2, default=str)
        for name, members in lists.items():
            before, mark, rest = rest.partition(f'\n  "{name}": [')
            echo(before + mark, nl=False)
            number = 0
            for number, member in enumerate(members, 1):
                text = json_format.dumps(member, ensure_ascii=False, default=str)
                echo(f"{',' if number > 1 else ''}\n    {text}", nl=False)
            rest = f"\n  {rest}" if number else rest
        echo(rest)

    def note(self, text: str) -> None:
        """Something beside the result, on stderr."""
        echo(text, err=True)

    def warn(self, text: str) -> None:
        """Something that is not as it should be, on stderr."""
        self.note(f"{click.style('Warning:', fg='yellow', bold=True)} {text}")

    def show(self, renderable: Any) -> None:
        """A rich table or the like as part of the result, for people; lines end with their last character."""
        if self.json:
            return
        console = rich_console(sys.stdout)
        with console.capture() as captured:
            console.print(renderable)
        for line in captured.get().splitlines():
            echo(line.rstrip())

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
        """A plain table as part of the result, for people, without the columns that have nothing in any row.

        Args:
            columns: their headings; those with a leading ``#`` are numbers.
            rows: a cell for each column; texts of several lines are folded.
        """
        if self.json:
            return
        texts = [[f"{cell:,}" if type(cell) is int else str(cell) for cell in row] for row in rows]
        kept = [number for number in range(len(columns)) if not texts or any(row[number] for row in texts)]
        # Imported here, as everywhere in the command line: rich takes longer to load than `bao --help`.
        from rich.table import Table
        from rich.text import Text

        made = Table(box=None, title=title or None, title_justify="left", pad_edge=False, header_style="bold")
        for name in (columns[number] for number in kept):
            made.add_column(name.lstrip("#"), justify="right" if name.startswith("#") else "left")
        for row in texts:
            made.add_row(*(Text(row[number]) for number in kept))
        self.show(made)

    def confirm(self, question: str) -> None:
        """Asks whether to go on; returns if so.

        Raises:
            click.UsageError: where nobody is there to answer.
            Failure: if the answer is no.
        """
        if self.yes:
            return
        if not self._ask(lambda: click.confirm(question, err=True)):
            raise Failure("Nothing was done.")

    def confirm_by_name(self, name: str, warning: str) -> None:
        """Asks for `name` to be typed before something that cannot be undone; returns if it was.

        Raises:
            click.UsageError: where nobody is there to answer.
            Failure: if another name was typed.
        """
        if self.yes:
            return
        self.note(warning)
        typed = self._ask(
            lambda: click.prompt(f"Type {name} to go on", err=True, default="", show_default=False)
        )
        if typed.strip() != name:
            raise Failure(f"That is not {name}; nothing was done.")

    def ask(self, question: str, default: str) -> str:
        """Asks for a text; `default` is the answer where ``--yes`` or nobody gives another."""
        if self.yes:
            return default
        return str(self._ask(lambda: click.prompt(question, default=default, err=True))).strip()

    def _ask(self, question: Callable[[], Any]) -> Any:
        if not self.answers:
            raise click.UsageError(
                "Standard input has the items, so it cannot answer a question; give --yes."
            )
        try:
            return question()
        except click.Abort as aborted:
            if isinstance(aborted.__cause__, KeyboardInterrupt) or sys.stdin.isatty():
                raise
            self.note("")
            raise click.UsageError("Nobody is there to answer a question; give --yes.") from aborted

    @contextmanager
    def progress(
        self, what: str, total: int | None = None, unit: str = "items", done: int = 0
    ) -> Iterator[Progress]:
        """A progress bar on stderr with rate and time left, if that is a terminal; gone when the work ends.

        Args:
            what: what is being done, such as ``"Exporting"``.
            total: how many there are, if that is known; else the time spent is shown.
            unit: what is counted.
            done: how much was done before, by a run that was interrupted.

        Example:
            >>> with terminal.progress("Counting", unit="items") as progress:
            ...     for batch in Post.iterate_all():
            ...         progress.advance(len(batch))
        """
        if not sys.stderr.isatty():
            yield Progress(unit, done)
            return
        bar = _bar(total)
        with bar:
            yield Progress(unit, done, bar, bar.add_task(what, total=total, completed=done, rate=""))

    @contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str], object]]:
        """A spinner with the time spent, on stderr, while there is nothing to count.

        Yields:
            What says what is being done now; where stderr is no terminal each is a line of its own.

        Example:
            >>> with terminal.waiting("Updating table app") as step:
            ...     manager.update_table(on_step=step)
        """
        if not sys.stderr.isatty():
            yield self.note
            return
        bar = _spinner()
        with bar:
            task = bar.add_task(what)
            yield lambda step: bar.update(task, description=f"{what}: {step}")


def _spinner() -> Any:
    from rich.progress import Progress as Bar, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    return Bar(*columns, console=rich_console(sys.stderr), transient=True)


def _bar(total: int | None) -> Any:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress as Bar,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    times = (TimeElapsedColumn(),) if total is None else (TimeRemainingColumn(), TextColumn("left"))
    counted = TextColumn("{task.completed:,.0f}") if total is None else MofNCompleteColumn()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        counted,
        TextColumn("{task.fields[rate]}"),
    )
    return Bar(*columns, *times, console=rich_console(sys.stderr), transient=True)


def rich_console(file: Any) -> Any:
    """A rich console on stdout or stderr, which folds lines for a terminal and never for a pipe."""
    from rich.console import Console

    return Console(file=file, width=None if file.isatty() else _WIDE, highlight=False, soft_wrap=False)


@contextmanager
def interruptible(kept: str | Callable[[], str]) -> Iterator[None]:
    """Makes Ctrl-C in the block end the command with a sentence on what was kept and how to go on.

    Args:
        kept: the sentence, or what makes it at that moment.

    Example:
        >>> with interruptible(lambda: f"{done} items are written; run the command again to go on."):
        ...     write()
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(kept if isinstance(kept, str) else kept()) from None


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Shows Python's warnings in the block as the command line shows its own, without the line they come from."""

    def show(message: Warning | str, *_: object) -> None:
        Terminal().warn(" ".join(str(message).split()))

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield


# --- options ---------------------------------------------------------------------------------------


def terminal_options(*, yes: bool = False, dry_run: bool = False) -> Callable[[F], F]:
    """Gives a command its `Terminal` as the argument `terminal`, and the options that belong to it.

    Args:
        yes: whether it asks, and so has ``--yes``.
        dry_run: whether it has ``--dry-run``.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def command(*args: Any, json: bool, yes: bool = False, dry_run: bool = False, **options: Any) -> Any:
            return function(*args, terminal=Terminal(json, yes, dry_run), **options)

        decorated: Any = command
        if dry_run:
            decorated = click.option(
                "--dry-run", is_flag=True, help="Say what would be done, and do nothing."
            )(decorated)
        if yes:
            decorated = click.option("--yes", "-y", is_flag=True, help="Ask nothing; the answer is yes.")(
                decorated
            )
        return click.option("--json", is_flag=True, help="Write the result as JSON to stdout.")(decorated)  # type: ignore[no-any-return]

    return decorate


# --- errors ----------------------------------------------------------------------------------------


def sentence(error: BaseException) -> str:
    """What went wrong and what to do, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, BaoError):
        return text
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if type(error).__module__.split(".")[0] in ("botocore", "boto3"):
        return text if text.endswith(".") else f"{text}."
    return (
        f"Unexpected {type(error).__name__}: {text or 'no message'}. "
        f"Run it again with {TRACEBACK}=1 to see where it comes from."
    )


def report(error: BaseException) -> int:
    """Writes one sentence on an error to stderr; returns the exit code."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    if type(error).__name__ == "NoArgsIsHelpError":  # click 8.2 and later raise the help itself
        echo(str(error), err=True)
        return 2
    if isinstance(error, click.UsageError):
        text = error.format_message()
        _print_error(f"{text if text.endswith(('.', '?', '!')) else f'{text}.'}{_help_hint(error)}")
        return 2
    if isinstance(error, Interrupted):
        echo(f"\nInterrupted: {error.format_message()}", err=True)
        return INTERRUPTED
    if isinstance(error, click.Abort):
        echo("Interrupted.", err=True)  # click has ended the line already
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        _print_error(error.format_message())
        return error.exit_code
    _print_error(sentence(error))
    return 1


def _print_error(text: str) -> None:
    echo(f"{click.style('Error:', fg='red', bold=True)} {text}", err=True)


def _help_hint(error: click.UsageError) -> str:
    return f" See '{error.ctx.command_path} --help'." if error.ctx is not None else ""
