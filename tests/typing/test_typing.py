"""The types that checkers see in user code, under mypy --strict and pyright."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RIGHT, WRONG = HERE / "right.py", HERE / "wrong.py"


def mypy(file: Path) -> dict[int, str]:
    """The lines of a file with errors."""
    arguments = ["--strict", "--config-file=", "--explicit-package-bases", "--python-version=3.10"]
    arguments += ["--ignore-missing-imports", "--disable-error-code=import-untyped"]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments, str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    name = re.escape(str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file))
    found = re.finditer(rf"^{name}:(\d+): error: (.*)$", result.stdout, re.MULTILINE)
    lines = {int(match[1]): match[2] for match in found}
    assert bool(lines) == (result.returncode == 1), result.stdout
    return lines


def pyright(file: Path) -> dict[int, str]:
    """The lines of a file with errors."""
    result = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    diagnostics = json.loads(result.stdout)["generalDiagnostics"]
    return {
        entry["range"]["start"]["line"] + 1: entry["message"]
        for entry in diagnostics
        if entry["severity"] == "error"
    }


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_right_code_is_accepted_with_the_right_types(checker: type) -> None:
    """Declarations, constructors, finds, queries and relations have the types they say."""
    assert checker(RIGHT) == {}


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_wrong_code_is_found(checker: type) -> None:
    """Misspelt and missing arguments, wrong types and misspelt attributes are errors; nothing else is."""
    marked = {
        number for number, line in enumerate(WRONG.read_text().splitlines(), 1) if line.endswith("# wrong")
    }
    found = checker(WRONG)
    assert set(found) == marked, found
