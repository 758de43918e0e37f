"""bao init: a new project's table, settings and first models."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamo_bao.cli import init
from dynamo_bao.cli.connection import Connection
from dynamo_bao.config import load_settings
from tests.integration.cli.conftest import Project, run


def files(folder: Path) -> dict[str, str]:
    """What is in a folder, save what Python keeps of its modules."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_init_sets_up_a_project_that_works(bao: Project) -> None:
    """The table is made, settings and a model are written, and the other commands find them at once."""
    result = bao("init", "--table", "app", "--region", "eu-west-1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "Created table app.",
        "Wrote dynamo_bao.toml.",
        "Wrote models/__init__.py.",
        "Wrote models/user.py.",
        "Next: bao models, then bao shell.",
    ]
    assert bao.client.list_tables()["TableNames"] == ["app"]
    assert 'table_name = "app"' in (bao.folder / "dynamo_bao.toml").read_text()
    assert [model["name"] for model in bao.json("models")["models"]] == ["User"]
    code = (
        "User.create(name='Ada', email='ada@example.com'); print(User.find_by_email('ada@example.com').name)"
    )
    assert bao("shell", "-c", code).stdout == "Ada\n"
    assert bao("update-table").stdout == "Table app is up to date.\n"


def test_init_in_yaml_works_too(bao: Project) -> None:
    """--yaml writes models.yaml instead, which commands read as it is."""
    written = bao.json("init", "--yaml", "--table", "app")["written"]
    assert written == ["dynamo_bao.toml", "models.yaml"]
    code = "User.create(name='Ada', email='ada@example.com'); print(User.find_by_email('ada@example.com').status)"
    assert bao("shell", "-c", code).stdout == "active\n"


def test_init_asks_for_the_tables_name(bao: Project) -> None:
    """What is typed is the name; a bare return is the proposed one, and so is --yes."""
    asked = bao("init", "--dry-run", answers="mine\n")
    assert "Name of the table [dynamo-bao-dev]: " in asked.stderr
    assert asked.stdout.startswith("Would create table mine.\n")
    assert bao("init", "--dry-run", answers="\n").stdout.startswith("Would create table dynamo-bao-dev.\n")
    assert bao("init", "--dry-run", "--yes").stdout.startswith("Would create table dynamo-bao-dev.\n")
    nobody = bao("init")
    assert nobody.exit_code == 2
    assert "give --yes" in nobody.stderr


def test_init_dry_run_changes_nothing(bao: Project) -> None:
    """It names the files and the table, and makes none of them."""
    told = bao.json("init", "--table", "app", "--dry-run")
    assert told == {
        "table": "app",
        "created": True,
        "written": ["dynamo_bao.toml", "models/__init__.py", "models/user.py"],
        "kept": [],
        "dry_run": True,
    }
    assert files(bao.folder) == {}
    assert bao.client.list_tables()["TableNames"] == []


def test_init_never_overwrites(bao: Project) -> None:
    """A second run keeps what the first made and what was changed since, the table too."""
    bao("init", "--table", "app")
    bao.write("models/user.py", "# mine\n")
    before = files(bao.folder)
    again = bao("init")
    assert (again.exit_code, files(bao.folder)) == (0, before)
    assert again.stdout.splitlines() == [
        "Table app exists already.",
        "Kept models.",
        "Next: bao models, then bao shell.",
    ]
    (bao.folder / "dynamo_bao.toml").unlink()
    assert bao.json("init", "--table", "other")["written"] == ["dynamo_bao.toml"]
    assert (bao.folder / "models/user.py").read_text() == "# mine\n"


def test_init_never_writes_over_what_appears_meanwhile(bao: Project) -> None:
    """A file that somebody else made since it was looked for is an error, and stays as it is."""
    project = init.Project.of(Connection(), "app", yaml=True, configured=None)
    new = project.new_paths()
    bao.write("models.yaml", "# mine\n")
    with pytest.raises(FileExistsError):
        project.write(new)
    assert (bao.folder / "models.yaml").read_text() == "# mine\n"


def test_init_leaves_a_folder_of_models_alone(bao: Project) -> None:
    """A folder that has Python modules in it is somebody's; no second model is put beside them."""
    bao.write("models/shop.py", "# mine\n")
    told = bao.json("init", "--table", "app")
    assert (told["written"], told["kept"]) == (["dynamo_bao.toml"], ["models"])
    assert sorted(files(bao.folder)) == ["dynamo_bao.toml", "models/shop.py"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dynamo_bao.toml", '[db]\ntable_name = "mine"\n'),
        ("pyproject.toml", '[tool.dynamo_bao.db]\ntable_name = "mine"\n'),
    ],
)
def test_init_uses_the_settings_there_are(bao: Project, name: str, text: str) -> None:
    """Their table is made, no second file of settings is written, and what they lack is told."""
    bao.write(name, text)
    result = bao("init")
    assert result.stdout.startswith("Created table mine.\nWrote models/__init__.py.")
    assert result.stderr == (
        f'Add to {name}, so that commands find the models: [paths] models_dir = "models"\n'
    )
    assert (bao.folder / name).read_text() == text
    assert not (bao.folder / "dynamo_bao.toml").exists() or name == "dynamo_bao.toml"


def test_init_writes_nothing_without_credentials(tmp_path: Path) -> None:
    """The first request shows whether they are good; before that no file is written."""
    result = run("init", "--table", "app", "--region", "eu-west-1", folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: No usable AWS credentials: Unable to locate credentials. Log in")
    assert files(tmp_path) == {}


def test_init_writes_texts_that_toml_reads_back(bao: Project) -> None:
    """Whatever an option is given, the settings file holds it as it was."""
    address = 'http://localhost:8000/"\\\té'

    bao.write("dynamo_bao.toml", init._settings_text(Connection(endpoint_url=address), "app", yaml=True))
    settings = load_settings(None, {}, {})
    assert settings.get("aws", "endpoint_url") == address
    assert settings.get("paths", "models_definition_path") == "models.yaml"
