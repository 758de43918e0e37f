"""``flask bao``: the commands of ``bao`` for the models of a Flask application."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from dynamo_bao.flask import Bao
from tests.support.forked import forked_program


@pytest.fixture
def app() -> Flask:
    """An application with the extension."""
    app = Flask("shop")
    Bao(app)
    return app


FACTORY = """
    from flask import Flask
    from dynamo_bao import init_models
    from dynamo_bao.flask import Bao
    from shopmodels import Article

    app = Flask(__name__)
    Bao(app)
"""
MODELS = """
    from dynamo_bao import Model, PrimaryKey, StringField

    class Article(Model, prefix="ar"):
        number: str = StringField()
        primary_key = PrimaryKey("number")
"""
COMMAND = "from flask.cli import main; main()"
IMPORTED = ["flask.cli", "dynamo_bao.flask", "dynamo_bao.cli.main", "boto3", "moto.dynamodb.responses"]
HIDDEN = "import sys; sys.modules['rich'] = sys.modules['dynamo_bao.cli.console'] = None; "


def flask(
    folder: Path, *arguments: str, program: list[str] | None = None, before: str = "", source: str = FACTORY
) -> subprocess.CompletedProcess[str]:
    """Runs the command ``flask`` in a folder with an application."""
    (folder / "shop.py").write_text(textwrap.dedent(source))
    (folder / "shopmodels.py").write_text(textwrap.dedent(MODELS))
    root = Path(__file__).parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root), "FLASK_APP": "shop"}
    command = program or [sys.executable, "-c", before + COMMAND]
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )


def invoked(app: Flask, *arguments: str) -> Result:
    """Runs a command of the application in this process."""
    return app.test_cli_runner().invoke(args=["bao", *arguments])


def test_flask_bao_lists_the_commands_of_bao(app: Flask) -> None:
    """Each with its line, as `bao --help` does."""
    result = invoked(app, "--help")
    assert result.exit_code == 0 and "create-table" in result.output and "doctor" in result.output


def test_flask_bao_knows_the_models_of_the_application(tmp_path: Path) -> None:
    """They need not be named again."""
    result = flask(tmp_path, "bao", "models", "--json")
    assert result.returncode == 0, result.stderr
    assert '"Article"' in result.stdout


def test_flask_bao_suggests_the_command_that_was_meant(app: Flask) -> None:
    """Wrong use ends with 2."""
    result = invoked(app, "modles")
    assert result.exit_code == 2 and "Did you mean 'models'?" in result.output


def test_errors_of_commands_are_one_sentence(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback, and exit code 1, as with `bao`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dynamo_bao.toml").write_text("[dbs]\n")
    result = invoked(app, "models")
    assert result.exit_code == 1 and "Unknown section" in result.output
    assert "Traceback" not in result.output


def test_the_command_line_is_loaded_only_when_it_is_used(tmp_path: Path) -> None:
    """`flask --help` shows the group without it; using it where it lacks something says what to install."""
    shown = flask(tmp_path, "--help", before=HIDDEN)
    assert shown.returncode == 0 and "The table and the models of dynamo_bao" in shown.stdout
    used = flask(tmp_path, "bao", "models", before=HIDDEN)
    assert used.returncode == 1 and "pip install 'dynamo_bao[cli]'" in used.stderr
    assert "Traceback" not in used.stderr


OWN_TABLE = """
    from flask import Flask
    from dynamo_bao import init_models
    from dynamo_bao.flask import Bao
    from shopmodels import Article

    def create_app():
        app = Flask(__name__)
        init_models(table_name="theirs", embedded=True, policy=__import__("dynamo_bao").RequireContext())
        from dynamo_bao import run_with_batch_context
        with run_with_batch_context():
            Article.create(number="1")
        Bao(app)
        return app
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The command ``flask``, where it is run many times."""
    if not hasattr(os, "fork"):
        yield [sys.executable, "-c", COMMAND]
        return
    file = tmp_path_factory.mktemp("program") / "flask"
    root = Path(__file__).parent.parent.parent
    with forked_program(file, COMMAND, IMPORTED, {**os.environ, "PYTHONPATH": str(root)}):
        yield [str(file)]


Own = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def own(program: list[str], tmp_path: Path) -> Own:
    """Runs the command ``flask`` where the application's factory names the table and the engine."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        result = flask(tmp_path, *arguments, program=program, source=OWN_TABLE)
        assert "Traceback" not in result.stderr
        return result

    return run


def test_flask_bao_works_on_the_table_of_the_application(own: Own) -> None:
    """The manager that the factory opens is the one that commands use: its table, its engine, its items."""
    counted = own("bao", "count", "Article")
    assert (counted.returncode, counted.stdout) == (0, "1\n"), counted.stderr
    assert "No table is named" not in counted.stderr
    made = own("bao", "create-table")
    assert made.stdout == "Table theirs exists already.\n"
    looked = own("bao", "doctor", "--json")
    assert looked.returncode == 0 and '"table": "theirs"' in looked.stdout
    exported = own("bao", "export", "Article")
    assert '"number":"1"' in exported.stdout.replace(" ", "")
    asked = own("bao", "shell", "--session", "-c", "print(Article.find_or_none('1') is not None)")
    assert asked.stdout == "True\n", asked.stderr


def test_options_of_flask_bao_win_over_the_application(own: Own) -> None:
    """Another table is looked for where the application's is."""
    other = own("bao", "create-table", "other")
    assert other.stdout.startswith("Table other is created, with "), other.stderr
    missing = own("bao", "count", "Article", "--table", "nowhere")
    assert missing.returncode == 1 and "Table nowhere does not exist" in missing.stderr
