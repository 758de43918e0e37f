"""``bao codegen`` and ``bao watch``, run as commands, and the watch they are made of."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dynamo_bao import ConfigurationError, ModelFileError
from dynamo_bao.cli.main import main
from dynamo_bao.codegen import Generated, watch
from tests.support.model_files import forget_loaded
from tests.support.patience import PATIENCE

__all__ = ["forget_loaded"]

ROOT = Path(__file__).parents[2]
"""Seconds after which a test gives up waiting; reached only where something is broken."""

MODELS = """\
models:
  User:
    modelPrefix: u
    fields:
      userId: {type: UlidField, autoAssign: true}
      name: {type: StringField, required: true}
    primaryKey: {partitionKey: userId}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a model file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.yaml").write_text(MODELS)
    return tmp_path


def bao(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


# --- codegen -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_codegen_writes_modules() -> None:
    """From models.yaml into models, unless it is told otherwise; a second run has nothing to do."""
    done = bao("codegen")
    assert (done.exit_code, done.stdout) == (0, "Wrote models/__init__.py\nWrote models/user.py\n")
    again = bao("codegen")
    assert (again.exit_code, again.stdout) == (0, "All 2 files are up to date.\n")
    other = bao("codegen", "models.yaml", "app/models")
    assert (other.exit_code, Path("app/models/user.py").exists()) == (0, True)


def test_codegen_takes_its_paths_from_the_settings(folder: Path) -> None:
    """Where they are not given; relative to the settings file."""
    (folder / "deploy").mkdir()
    (folder / "deploy" / "bao.toml").write_text(
        '[paths]\nmodels_definition_path = "../models.yaml"\nmodels_dir = "generated"\n'
    )
    done = bao("codegen", "--config", "deploy/bao.toml")
    assert done.exit_code == 0, done.stderr
    assert (folder / "deploy" / "generated" / "user.py").exists()


@pytest.mark.usefixtures("folder")
def test_codegen_check_is_for_continuous_integration() -> None:
    """It writes nothing, and exits with 1 where something would be written, 0 where not."""
    failed = bao("codegen", "--check")
    assert failed.exit_code == 1
    assert failed.stderr == (
        "Error: Not up to date with models.yaml: models/__init__.py, models/user.py. "
        "Run bao codegen and commit the files.\n"
    )
    assert not Path("models").exists()
    assert bao("codegen").exit_code == 0
    assert bao("codegen", "--check").exit_code == 0


@pytest.mark.usefixtures("folder")
def test_codegen_dry_run_and_json() -> None:
    """What would be done, for people and for machines."""
    done = bao("codegen", "--dry-run")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "Would write models/__init__.py")
    assert not Path("models").exists()
    told = json.loads(bao("codegen", "--json").stdout)
    assert told == {
        "written": ["models/__init__.py", "models/user.py"],
        "removed": [],
        "unchanged": [],
        "dry_run": False,
    }
    Path("models.yaml").write_text(MODELS.replace("User", "Member"))
    assert "Removed models/user.py" in bao("codegen").stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("UlidField", "UlidFeild"),
            "Error: models.yaml:5: User.fields.userId has the unknown field type 'UlidFeild'.",
        ),
        (("models:", "models: ["), "Error: models.yaml:"),
    ],
)
def test_codegen_says_what_is_wrong_in_one_line(folder: Path, change: tuple[str, str], said: str) -> None:
    """With file and line, on stderr, and exit code 1."""
    (folder / "models.yaml").write_text(MODELS.replace(*change))
    failed = bao("codegen")
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr.startswith(said)
    assert failed.stderr.count("\n") == 1


def test_codegen_warns_on_stderr(folder: Path) -> None:
    """And writes all the same."""
    (folder / "models.yaml").write_text(
        MODELS.replace("modelPrefix: u", "modelPrefix: u\n    iterationBuckets: 3")
    )
    done = bao("codegen")
    assert done.exit_code == 0
    assert done.stderr.startswith("Warning: models.yaml:4: User sets iterationBuckets")


def test_codegen_with_field_classes_and_options(folder: Path) -> None:
    """All of `generate` can be asked for."""
    (folder / "own").mkdir()
    (folder / "own" / "slug_field.py").write_text(
        "from dynamo_bao import StringField\n\n\nclass SlugField(StringField):\n    pass\n"
    )
    (folder / "models.yaml").write_text(MODELS.replace("StringField", "SlugField"))
    options = (
        "--fields-dir",
        "own",
        "--fields-package",
        "app.own",
        "--key-format",
        "native",
        "--iterable-default",
    )
    done = bao("codegen", *options)
    assert done.exit_code == 0, done.stderr
    text = Path("models/user.py").read_text()
    for part in ("from app.own.slug_field import SlugField", 'key_format="native"', "iterable=True"):
        assert part in text


# --- watch -------------------------------------------------------------------------------------------


@pytest.fixture
def watched(folder: Path) -> Iterator[Callable[[], Any]]:
    """A running watch of the folder's model file; gives what it says next."""
    said: queue.Queue[Any] = queue.Queue()
    stop = threading.Event()
    thread = threading.Thread(
        target=watch, args=("models.yaml", "models"), kwargs={"on_change": said.put, "stop": stop}
    )
    thread.start()
    yield lambda: said.get(timeout=PATIENCE)
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_watch_generates_at_once_and_after_each_change(folder: Path, watched: Callable[[], Any]) -> None:
    """Whether the file is written in place, or replaced as editors do."""
    first = watched()
    assert [path.name for path in first.written] == ["__init__.py", "user.py"]
    (folder / "models.yaml").write_text(MODELS.replace("name:", "nick:"))
    assert [path.name for path in watched().written] == ["user.py"]
    (folder / "new").write_text(MODELS.replace("name:", "label:"))
    (folder / "new").replace(folder / "models.yaml")
    assert [path.name for path in watched().written] == ["user.py"]
    assert "label: str" in Path("models/user.py").read_text()


def test_watch_survives_a_wrong_file(folder: Path, watched: Callable[[], Any]) -> None:
    """The error is told, with its line, and the modules stay; the next change mends it."""
    watched()
    (folder / "models.yaml").write_text(MODELS.replace("UlidField", "UlidFeild"))
    error = watched()
    assert isinstance(error, ModelFileError)
    assert str(error).startswith("models.yaml:5: ")
    assert "UlidField" in Path("models/user.py").read_text()
    (folder / "models.yaml").unlink()
    assert "does not exist" in str(watched())
    (folder / "models.yaml").write_text(MODELS)
    assert isinstance(watched(), Generated)


def test_watch_looks_at_a_folder_and_at_field_classes(folder: Path) -> None:
    """A file that comes, and a class that changes, are changes too; other files are none."""
    (folder / "definitions").mkdir()
    (folder / "definitions" / "a.yaml").write_text(MODELS.replace("StringField", "SlugField"))
    (folder / "own").mkdir()
    (folder / "own" / "slug_field.py").write_text("from dynamo_bao import StringField as SlugField\n")
    slug = "from dynamo_bao import {0}\n\n\nclass SlugField({0}):\n    pass\n"
    said: queue.Queue[Any] = queue.Queue()
    stop = threading.Event()
    thread = threading.Thread(
        target=watch,
        args=("definitions", "models"),
        kwargs={"on_change": said.put, "fields_dir": "own", "fields_package": "own", "stop": stop},
    )
    thread.start()
    try:
        assert "unknown field type 'SlugField'" in str(said.get(timeout=PATIENCE))
        (folder / "own" / "slug_field.py").write_text(slug.format("StringField"))
        assert len(said.get(timeout=PATIENCE).written) == 2
        (folder / "definitions" / "notes.txt").write_text("nothing")
        (folder / "definitions" / "b.yml").write_text(
            MODELS.replace("User", "Member").replace("modelPrefix: u", "modelPrefix: m")
        )
        assert [path.name for path in said.get(timeout=PATIENCE).written] == ["__init__.py", "member.py"]
        (folder / "own" / "slug_field.py").write_text(slug.format("IntegerField"))
        assert [path.name for path in said.get(timeout=PATIENCE).written] == ["user.py"]
    finally:
        stop.set()
        thread.join(PATIENCE)


def test_watch_tells_the_log_where_nobody_else_listens(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was written, and what is wrong."""
    caplog.set_level("INFO", "dynamo_bao.codegen")
    stop = threading.Event()
    stop.set()
    watch("models.yaml", "models", stop=stop)
    (folder / "models.yaml").write_text("models: {}")
    watch("models.yaml", "models", stop=stop)
    wrote, wrong = (record.getMessage() for record in caplog.records if record.name == "dynamo_bao.codegen")
    assert wrote == "wrote 2 files, removed 0"
    assert wrong.startswith("models.yaml: describes no models")


@pytest.mark.usefixtures("folder")
def test_watch_needs_a_folder_to_watch() -> None:
    """One that is not there cannot be watched."""
    with pytest.raises(ConfigurationError, match=r"'.*/missing' does not exist"):
        watch("missing/models.yaml", "models", on_change=print)


@pytest.mark.usefixtures("folder")
def test_without_watchfiles_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a bare ModuleNotFoundError."""
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigurationError, match=r"dynamo_bao\[cli\]"):
        watch("models.yaml", "models", on_change=print)


def test_bao_watch_ends_with_ctrl_c(folder: Path) -> None:
    """It says what it wrote, what is wrong, and ends with 0."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "dynamo_bao", "watch"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stderr.readline() == "Watching models.yaml; end with Ctrl-C.\n"
    assert [process.stdout.readline() for _ in range(2)] == [
        "Wrote models/__init__.py\n",
        "Wrote models/user.py\n",
    ]
    (folder / "models.yaml").write_text(MODELS.replace("UlidField", "UlidFeild"))
    assert process.stderr.readline().startswith("Warning: models.yaml:5: ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "", "Ended.\n")
