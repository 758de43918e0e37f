"""What all commands have in common: help, errors, exit codes, questions, progress and Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import click
import pytest
from botocore.exceptions import NoRegionError, ProfileNotFound
from click.testing import CliRunner

from dynamo_bao.cli.console import Failure, Terminal, interruptible, report, sentence
from dynamo_bao.cli.main import COMMANDS, main
from dynamo_bao.errors import ConfigurationError
from tests.integration.cli.conftest import Project, run

ROOT = Path(__file__).parents[3]


def test_help_names_every_command_and_loads_nothing_heavy(tmp_path: Path) -> None:
    """bao --help is quick: it reads no command's module, and none of the libraries that they need."""
    before = """
        import atexit, sys
        heavy = ("boto3", "botocore", "moto", "rich", "yaml", "watchfiles", "asyncio", "dynamo_bao.cli.tables")
        atexit.register(lambda: print([name for name in heavy if name in sys.modules], file=sys.stderr))
    """
    result = run("--help", folder=tmp_path, before=before)
    assert (result.returncode, result.stderr) == (0, "[]\n")
    shown = " ".join(result.stdout.split())
    for name, lazy in COMMANDS.items():
        assert f"{name} {lazy.help}" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    """bao COMMAND --help tells what it does and its options, and -h does too."""
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("Usage: ")
    assert result.stdout == CliRunner().invoke(main, [command, "-h"]).stdout


def test_bao_runs_as_a_module_too() -> None:
    """python -m dynamo_bao is the same command line."""
    result = subprocess.run(
        [sys.executable, "-m", "dynamo_bao", "--version"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("bao, version ")


def test_without_its_libraries_bao_says_what_to_install(tmp_path: Path) -> None:
    """The command line is an extra; without it there is a sentence instead of a traceback."""
    result = run("--help", folder=tmp_path, before="import sys; sys.modules['click'] = None")
    assert result.returncode == 1
    assert result.stderr == "The command line needs click and rich: pip install 'dynamo_bao[cli]'\n"


# --- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create-tabel"], "No such command 'create-tabel'. Did you mean 'create-table'? See 'bao --help'."),
        (
            ["models", "--fromat", "svg"],
            "No such option '--fromat'. Did you mean '--format'? See 'bao models",
        ),
        (
            ["models", "--format", "gif"],
            "'gif' is not one of 'text', 'mermaid', 'svg'. See 'bao models --help'.",
        ),
        (["create-table", "a", "b"], "Got unexpected extra argument (b). See 'bao create-table --help'."),
        (["create-table", "a", "--table", "b"], "Two tables are named, a and --table b; give one."),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(bao: Project, arguments: list[str], told: str) -> None:
    """What the command line does not understand is told on stderr, with the help to look at."""
    result = bao(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_program_that_runs_a_command_gets_its_errors(bao: Project) -> None:
    """As with any command of click: without standalone mode, the process does not end."""
    with pytest.raises(Failure, match="No models are named"):
        main(["models"], standalone_mode=False)


def test_bao_alone_shows_its_help(bao: Project) -> None:
    """Without a command the help is shown, and it is wrong use all the same."""
    result = bao()
    assert result.exit_code == 2
    assert "create-table" in result.stderr
    assert "Error" not in result.stderr


def test_an_error_of_the_library_is_one_sentence_and_exit_code_1(bao: Project) -> None:
    """BaoErrors say what to do already; they are shown as they are."""
    bao.write("dynamo_bao.toml", "[db]\ntable_nam = 'x'\n")
    result = bao("create-table")
    assert (result.exit_code, result.stdout) == (1, "")
    absent = bao("create-table", "--config", "no.toml")
    assert absent.stderr == "Error: The configuration file 'no.toml' does not exist. [BAO-1001]\n"
    assert result.stderr == (
        "Error: Unknown setting in dynamo_bao.toml, section db: 'table_nam'. Did you mean 'table_name'? [BAO-1001]\n"
    )


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("AWS_DEFAULT_REGION", "No AWS region: give --region, set AWS_DEFAULT_REGION, or write region"),
        ("AWS_ACCESS_KEY_ID", "No usable AWS credentials: Unable to locate credentials. Log in"),
    ],
)
def test_what_boto3_lacks_is_told_with_the_mend(tmp_path: Path, missing: str, told: str) -> None:
    """No credentials, no region: the sentence says where each is looked for."""
    environment = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    del environment[missing]
    result = run("create-table", "app", folder=tmp_path, **environment)
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {told}")
    assert len(result.stderr.splitlines()) == 1


def test_an_endpoint_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A local engine that does not run is the usual cause; the endpoint is named."""
    environment = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    result = run(
        "create-table", "app", "--endpoint-url", "http://127.0.0.1:9", folder=tmp_path, **environment
    )
    assert result.returncode == 1
    assert result.stderr.count("Error: DynamoDB could not be reached:") == 1
    assert "http://127.0.0.1:9" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_nobody_expected_says_how_to_see_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of ours is one sentence too, and a whole traceback with BAO_TRACEBACK=1."""
    assert report(KeyError("x")) == 1
    assert capsys.readouterr().err == (
        "Error: Unexpected KeyError: 'x'. Run it again with BAO_TRACEBACK=1 to see where it comes from.\n"
    )
    monkeypatch.setenv("BAO_TRACEBACK", "1")
    assert report(KeyError("x")) == 1
    assert "KeyError: 'x'\nError: Unexpected KeyError" in capsys.readouterr().err


def test_sentences_of_errors_are_one_line(tmp_path: Path) -> None:
    """Whatever an error's text, it is one line; files are named."""
    assert sentence(ConfigurationError("one\n  two")) == "one two [BAO-1001]"
    assert sentence(FileNotFoundError(2, "No such file or directory", "x.txt")) == (
        "No such file or directory: x.txt"
    )
    assert sentence(NoRegionError()) == "You must specify a region."
    assert sentence(ProfileNotFound(profile="work")) == "The config profile (work) could not be found."


def test_a_closed_pipe_ends_a_command_quietly(bao: Project) -> None:
    """bao … | head is no error to talk about."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "dynamo_bao", "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=ROOT,
    )
    os.close(write)
    assert "Traceback" not in process.stderr
    assert "Error" not in process.stderr


@pytest.mark.parametrize(
    ("closed", "command", "code"),
    [
        ("stderr", ["doctor"], 0),
        ("stdout", ["models"], 0),
        ("stdout", ["export", "Customer"], 0),
        ("stdin", ["shell"], 0),
        ("stdin", ["delete-table", "shop"], 2),
    ],
)
def test_a_closed_stream_is_an_empty_one(
    shop: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    closed: str,
    command: list[str],
    code: int,
) -> None:
    """A service may start without any: what is written is lost, and nobody answers a question."""
    shop("create-table", "--search")
    monkeypatch.setattr(sys, closed, None)
    with pytest.raises(SystemExit) as ended:
        main(command, prog_name="bao")
    assert ended.value.code == code
    assert "Unexpected" not in capsys.readouterr().err


def test_warnings_of_python_look_like_those_of_the_command_line(bao: Project) -> None:
    """A warning of the library or of the models says what it has to, without the line of code it came from."""
    bao.write("noisy.py", "import warnings\nwarnings.warn('old\\nways')\n")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = bao("models", "--models", "noisy.py")
    assert result.stderr.splitlines()[0] == "Warning: old ways"


# --- questions -------------------------------------------------------------------------------------


def test_a_question_is_answered_or_needs_yes(bao: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Yes goes on, no is a failure that says nothing was done, and nobody to answer is wrong use."""

    @click.command()
    def ask() -> None:
        Terminal().confirm("Go on?")
        Terminal().say("gone on")

    def answered(text: str) -> click.testing.Result:
        return CliRunner().invoke(ask, input=text, standalone_mode=False)

    assert answered("y\n").stdout == "gone on\n"
    no, nobody = answered("n\n").exception, answered("").exception
    assert isinstance(no, Failure)
    assert str(no.format_message()) == "Nothing was done."
    assert isinstance(nobody, click.UsageError)
    assert "give --yes" in nobody.format_message()
    Terminal(yes=True).confirm("Go on?")
    assert Terminal(yes=True).ask("Name", "app") == "app"


# --- interruptions and progress --------------------------------------------------------------------


def test_ctrl_c_ends_a_command_with_130(tmp_path: Path) -> None:
    """A process that is interrupted says so in a word and exits as shells expect."""
    result = run(
        "shell", "--table", "t", "-c", "import signal; signal.raise_signal(signal.SIGINT)", folder=tmp_path
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "\nInterrupted.\n")


def test_an_interruption_says_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence is made when Ctrl-C comes, so that it can tell how far the work was."""
    done = 0
    with pytest.raises(click.ClickException) as caught, interruptible(lambda: f"{done} are written."):
        done = 3
        raise KeyboardInterrupt
    assert report(caught.value) == 130
    assert capsys.readouterr().err == "\nInterrupted: 3 are written.\n"


PROGRESS = """
    from dynamo_bao.cli.console import Terminal
    terminal = Terminal()
    with terminal.progress("Counting", total={total}, unit="rows") as progress:
        for _ in range(3):
            progress.advance(1000)
        progress.describe("Nearly done")
    with terminal.waiting("Waiting") as step:
        step("for gsi1")
    print(progress.done)
"""


@pytest.mark.parametrize("total", [None, 5000])
def test_progress_is_shown_on_a_terminal_only(total: int | None) -> None:
    """On a terminal long work has a bar on stderr, gone at the end; elsewhere steps are lines and counts are silent."""
    code = textwrap.dedent(PROGRESS.format(total=total))
    piped = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (piped.stdout, piped.stderr) == ("3000\n", "for gsi1\n")
    ours, theirs = pty.openpty()
    shown = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    screen = _read(ours)
    assert shown.stdout == "3000\n"
    assert "Nearly done" in screen
    assert "Waiting: for gsi1" in screen
    assert ("3000/5000" if total else "3,000") in screen
    assert (" left" in screen) is (total is not None)


def _read(terminal: int) -> str:
    """Everything that was written to a terminal whose other end is closed."""
    parts = []
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # how Linux tells the end
            part = b""
        if not part:
            os.close(terminal)
            return b"".join(parts).decode()
        parts.append(part)


def test_json_is_all_there_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json people's words are left out; notes and warnings go to stderr as ever."""
    terminal = Terminal(json=True)
    terminal.say("for people")
    terminal.table(["Name"], [["x"]])
    terminal.show("a drawing")
    terminal.emit({"name": "Zoë", "number": 1})
    terminal.note("beside")
    terminal.warn("careful")
    told = capsys.readouterr()
    assert json.loads(told.out) == {"name": "Zoë", "number": 1}
    assert told.err == "beside\nWarning: careful\n"


def test_a_table_has_only_columns_that_say_something(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns without any value are left out; numbers stand at the right, with their thousands apart."""
    Terminal().table(["Model", "#Items", "Note"], [["User", 12_345, ""], ["Post", 7, ""]])
    assert capsys.readouterr().out.splitlines() == ["Model   Items", "User   12,345", "Post        7"]
    Terminal().emit({"not": "asked for"})
    assert capsys.readouterr().out == ""
