"""What all commands share: output, exit codes, questions, progress, and Ctrl-C.

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
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeVar

import click

from dynamo_bao.errors import BaoError
from dynamo_bao.runtime.records import define, frozen

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED: Final = 130
TRACEBACK: Final = "BAO_TRACEBACK"
_WIDE: Final = 10_000


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Writes a text. It has no colours if ``NO_COLOR`` is set, or if the output is not a terminal."""
    click.echo(text, err=err, nl=nl, color=False if os.environ.get("NO_COLOR") else None)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Puts the null device in the place of standard streams that are closed, as those of a service may be."""
    with ExitStack() as stack:
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:
                setattr(sys, name, stack.enter_context(open(os.devnull, mode, encoding="utf-8")))
                stack.callback(setattr, sys, name, None)
        yield


class Failure(click.ClickException):
    """A command that could not do its work: one sentence on stderr, exit code 1."""

    exit_code = 1


class Interrupted(click.ClickException):
    """Ctrl-C. The text says what was kept and how to continue. The exit code is 130."""

    exit_code = INTERRUPTED


@define
class Progress:
    """The progress of long work. `Terminal.progress` makes it.

    Attributes:
        unit: the unit that is counted, such as ``"items"``.
        done: the number of units that are done.
    """

    unit: str
    done: int = 0
    _bar: Any = None
    _task: Any = None

    def advance(self, count: int = 1) -> None:
        """Adds `count` units to those that are done."""
        self.done += count
        if self._bar is not None:
            speed = self._bar.tasks[0].speed
            rate = f"{speed:,.0f} {self.unit}/s" if speed else ""
            self._bar.update(self._task, completed=self.done, rate=rate)

    def describe(self, description: str) -> None:
        """Changes the description of the work."""
        if self._bar is not None:
            self._bar.update(self._task, description=description)


@frozen
class Terminal:
    """The output and the questions of a command. Commands get theirs from `terminal_options`.

    Attributes:
        json: whether stdout is for a program. Then only `emit` writes to it.
        yes: whether the answer to every question is yes.
        dry_run: whether the command must not change anything.
        answers: whether stdin gives answers. It does not if the command reads items from it.
    """

    json: bool = False
    yes: bool = False
    dry_run: bool = False
    answers: bool = True

    def say(self, text: str = "") -> None:
        """Writes one line of the result, for people."""
        if not self.json:
            echo(text)

    def emit(self, value: object, **lists: Iterable[object]) -> None:
        """With ``--json``, writes the result to stdout as one JSON document.

        Args:
            value: the document.
            lists: members that are too long to be in memory. They are empty lists in `value`.
        """
        if not self.json:
            return
        remaining_text = json_format.dumps(value, ensure_ascii=False, indent=2, default=str)
        for name, members in lists.items():
            head, mark, remaining_text = remaining_text.partition(f'\n  "{name}": [')
            echo(head + mark, nl=False)
            number = 0
            for number, member in enumerate(members, 1):
                text = json_format.dumps(member, ensure_ascii=False, default=str)
                echo(f"{',' if number > 1 else ''}\n    {text}", nl=False)
            remaining_text = f"\n  {remaining_text}" if number else remaining_text
        echo(remaining_text)

    def note(self, text: str) -> None:
        """Writes a line to stderr that is not part of the result."""
        echo(text, err=True)

    def warn(self, text: str) -> None:
        """Writes a warning to stderr."""
        self.note(f"{click.style('Warning:', fg='yellow', bold=True)} {text}")

    def show(self, renderable: object) -> None:
        """Writes a rich table, or another object of rich, as part of the result for people. Lines have no spaces at
        their end."""
        if self.json:
            return
        console = rich_console(sys.stdout)
        with console.capture() as captured:
            console.print(renderable)
        for line in captured.get().splitlines():
            echo(line.rstrip())

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
        """Writes a plain table as part of the result for people. Empty columns are left out.

        Args:
            columns: the headings. A leading ``#`` marks a column of numbers.
            rows: a cell for each column. A cell may have several lines.
            title: the title above the table.
        """
        if self.json:
            return
        texts = [[f"{cell:,}" if type(cell) is int else str(cell) for cell in row] for row in rows]
        column_numbers = [
            number for number in range(len(columns)) if not texts or any(row[number] for row in texts)
        ]
        # Imported here, as everywhere in the command line: rich takes longer to load than `bao --help`.
        from rich.table import Table
        from rich.text import Text

        rich_table = Table(
            box=None, title=title or None, title_justify="left", pad_edge=False, header_style="bold"
        )
        for name in (columns[number] for number in column_numbers):
            rich_table.add_column(name.lstrip("#"), justify="right" if name.startswith("#") else "left")
        for row in texts:
            rich_table.add_row(*(Text(row[number]) for number in column_numbers))
        self.show(rich_table)

    def confirm(self, question: str) -> None:
        """Asks whether to continue, and returns if the answer is yes.

        Raises:
            click.UsageError: if nobody can answer.
            Failure: if the answer is no.
        """
        if self.yes:
            return
        if not self._ask(lambda: click.confirm(question, err=True)):
            raise Failure("Nothing was done.")

    def confirm_by_name(self, name: str, warning: str) -> None:
        """Asks the user to type `name` before an act that cannot be undone, and returns if the name is right.

        Raises:
            click.UsageError: if nobody can answer.
            Failure: if the user typed another name.
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
        """Asks for a text. With ``--yes``, or an empty answer, the result is `default`."""
        if self.yes:
            return default
        return str(self._ask(lambda: click.prompt(question, default=default, err=True))).strip()

    def _ask(self, question: Callable[[], object]) -> Any:
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
        self, title: str, total: int | None = None, unit: str = "items", done: int = 0
    ) -> Iterator[Progress]:
        """Shows a progress bar with rate and remaining time on stderr, if that is a terminal. It disappears at the end.

        Args:
            title: the work in words, such as ``"Exporting"``.
            total: the number of units, if it is known. Without it, the bar shows the elapsed time.
            unit: the unit that is counted.
            done: the number of units that an interrupted run has done already.

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
            yield Progress(unit, done, bar, bar.add_task(title, total=total, completed=done, rate=""))

    @contextmanager
    def waiting(self, title: str) -> Iterator[Callable[[str], object]]:
        """Shows a spinner with the elapsed time on stderr, for work without a count.

        Args:
            title: the work in words.

        Yields:
            A function that shows the current step. If stderr is not a terminal, it writes a line.

        Example:
            >>> with terminal.waiting("Updating table app") as step:
            ...     manager.update_table(on_step=step)
        """
        if not sys.stderr.isatty():
            yield self.note
            return
        bar = _spinner()
        with bar:
            task = bar.add_task(title)
            yield lambda step: bar.update(task, description=f"{title}: {step}")


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
    """A rich console on stdout or stderr. It wraps lines for a terminal, but not for a pipe."""
    from rich.console import Console

    return Console(file=file, width=None if file.isatty() else _WIDE, highlight=False, soft_wrap=False)


@contextmanager
def interruptible(hint: str | Callable[[], str]) -> Iterator[None]:
    """Makes Ctrl-C in the block end the command with a sentence that says what was kept and how to continue.

    Args:
        hint: the sentence, or a function that returns it.

    Example:
        >>> with interruptible(lambda: f"{done} items are written; run the command again to go on."):
        ...     write()
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(hint if isinstance(hint, str) else hint()) from None


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Shows Python's warnings in the block like those of the command line, without the line that caused them."""

    def show(message: Warning | str, *_: object) -> None:
        Terminal().warn(" ".join(str(message).split()))

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield


# --- options ---------------------------------------------------------------------------------------


def terminal_options(*, yes: bool = False, dry_run: bool = False) -> Callable[[F], F]:
    """Gives a command its `Terminal` as the argument `terminal`, and the options that belong to it.

    Args:
        yes: whether the command asks questions, and so has ``--yes``.
        dry_run: whether it has ``--dry-run``.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def command(
            *args: object, json: bool, yes: bool = False, dry_run: bool = False, **options: object
        ) -> Any:
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
    """The text of an error in one line."""
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
    """Writes one sentence about an error to stderr, and returns the exit code."""
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
