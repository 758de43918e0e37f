"""bao shell, and what makes shells complete bao's commands."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from dynamo_bao.cli.main import COMMANDS
from tests.integration.cli.conftest import SHOP, Project, run

ROOT = Path(__file__).parents[3]
ADD = "Customer.create(name='Ada', email='ada@example.com')"


# --- shell -----------------------------------------------------------------------------------------


def test_code_runs_with_the_models_at_hand(shop: Project) -> None:
    """Each model is there under its name, and so is the manager; what the code prints is all there is."""
    shop("create-table")
    result = shop("shell", "-c", f"{ADD}; print(Customer.count(), manager.table_name)")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "1 shop\n", "")


def test_code_may_come_from_stdin(shop: Project) -> None:
    """A script is run as a whole, in a table that it creates."""
    loop = "for name in 'ab':\n    Customer.create(name=name, email=name)\n"
    script = f"manager.create_table()\n{loop}print(Customer.count())\n"
    assert shop("shell", answers=script).stdout == "2\n"


def test_a_session_may_be_open(shop: Project) -> None:
    """--session runs the code inside one batch context."""
    shop("create-table")
    code = f"a = {ADD}; print(Customer.find(a.customer_id) is a, session.stats.lookups)"
    assert shop("shell", "--session", "-c", code).stdout == "True 1\n"
    assert shop("shell", "-c", "print('session' in globals())").stdout == "False\n"


def test_a_tenant_may_be_set(shop: Project) -> None:
    """--tenant works for that tenant, and no tenant is left afterwards."""
    shop("create-table")
    shop("shell", "--tenant", "t1", "-c", ADD)
    assert shop("shell", "--tenant", "t1", "-c", "print(Customer.count())").stdout == "1\n"
    assert shop("shell", "-c", "print(Customer.count())").stdout == "0\n"
    refused = shop("shell", "--tenant", "a b", "-c", "pass")
    assert refused.exit_code == 1
    assert "tenant" in refused.stderr


def test_code_that_fails_is_shown_as_python_shows_it(shop: Project) -> None:
    """A traceback of the code alone, and exit code 1; sys.exit passes its own."""
    result = shop("shell", "-c", "x = 1\nx / 0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        'Traceback (most recent call last):\n  File "<bao shell>", line 2, in <module>\n'
        "ZeroDivisionError: division by zero\n"
    )
    assert "SyntaxError" in shop("shell", "-c", "def (").stderr
    assert shop("shell", "-c", "import sys; sys.exit(3)").exit_code == 3


def test_annotations_of_code_mean_what_they_say(shop: Project) -> None:
    """No ``from __future__`` of the command's own module holds for the code."""
    script = (
        "import dataclasses\n@dataclasses.dataclass\nclass Row:\n    number: int\n"
        "print(Row(1), Row.__annotations__['number'] is int)\n"
    )
    assert shop("shell", answers=script).stdout == "Row(number=1) True\n"


def test_embedded_needs_neither_a_server_nor_credentials(tmp_path: Path) -> None:
    """--embedded is a DynamoDB of its own with the table made, for trying things out."""
    (tmp_path / "shop.py").write_text("\n".join(line[4:] for line in SHOP.splitlines()))
    code = f"{ADD}; print(Customer.find_by_email('ada@example.com').name)"
    result = run("shell", "--embedded", "--models", "shop", "-c", code, folder=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "Ada\n", "")


def test_a_person_gets_pythons_prompt(tmp_path: Path) -> None:
    """On a terminal there is a greeting that names the models, and a prompt."""
    (tmp_path / "shop.py").write_text("\n".join(line[4:] for line in SHOP.splitlines()))
    ours, theirs = pty.openpty()
    os.write(ours, b"print('the sum is', 20 + 22)\nexit()\n")
    result = subprocess.run(
        [sys.executable, "-m", "dynamo_bao", "shell", "--plain", "--models", "shop.py"],
        stdin=theirs,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(theirs)
    os.close(ours)
    assert result.returncode == 0, result.stderr
    assert "Table dynamo-bao-dev. Models: Customer, Order." in result.stderr
    assert "the sum is 42" in result.stdout


# --- completion ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(bao: Project, shell: str) -> None:
    """Each shell gets a script that asks bao itself, and that the shell accepts where it is installed."""
    result = bao("completion", shell)
    assert result.exit_code == 0, result.stderr
    assert "_BAO_COMPLETE" in result.stdout
    if shutil.which(shell):
        checked = subprocess.run(
            [shell, "-n"], input=result.stdout, text=True, capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


def test_an_unknown_shell_is_told(bao: Project) -> None:
    """Only these three can be completed."""
    result = bao("completion", "tcsh")
    assert result.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in result.stderr


def completed(folder: Path, words: str, at: int) -> list[str]:
    """What a shell proposes for the word `at` of a line."""
    result = run(
        folder=folder, _BAO_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(at), PYTHONWARNINGS=""
    )
    assert result.stderr == ""
    return [line.split(",", 1)[1] for line in result.stdout.splitlines() if line]


def test_commands_options_and_models_are_completed(tmp_path: Path) -> None:
    """Commands without loading them all, the options of one, and the models that its options name."""
    (tmp_path / "shop.py").write_text("\n".join(line[4:] for line in SHOP.splitlines()))
    assert completed(tmp_path, "bao ", 1)[: len(COMMANDS)] == list(COMMANDS)
    assert completed(tmp_path, "bao up", 1) == ["update-table"]
    assert completed(tmp_path, "bao update-table --d", 2) == ["--dry-run"]
    assert completed(tmp_path, "bao models --models shop.py C", 4) == ["Customer"]
    assert completed(tmp_path, "bao models --models broken C", 4) == []
    assert completed(tmp_path, "bao nosuch x", 2) == []


# --- guide -----------------------------------------------------------------------------------------


def test_guide_prints_the_essentials(bao: Project) -> None:
    """The page of the package, which needs no settings, no table and no models."""
    result = bao("guide")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("# dynamo_bao: the essentials\n")
    assert result.stdout == files("dynamo_bao.cli").joinpath("guide.md").read_text(encoding="utf-8")
