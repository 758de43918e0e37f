"""An editable install is found by type checkers, wherever they run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    find_spec("setuptools") is None, reason="needs setuptools, to install without the network"
)
def test_an_editable_install_is_a_path(tmp_path: Path) -> None:
    """A line with the project's folder, which mypy and pyright follow; an import hook they could not."""
    project, prefix = tmp_path / "project", tmp_path / "prefix"
    shutil.copytree(ROOT / "dynamo_bao", project / "dynamo_bao", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    for other in ("tests", "examples"):  # as in the real one, which is why an import hook was chosen
        (project / other).mkdir()
        (project / other / "__init__.py").touch()
    command = [
        "install",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--ignore-installed",
        "--prefix",
        str(prefix),
        "-e",
        str(project),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (linked,) = prefix.rglob("*dynamo_bao*.pth")
    assert linked.read_text().strip() == str(project)
    assert not list(prefix.rglob("*finder*"))
    assert (project / "dynamo_bao" / "py.typed").is_file()
