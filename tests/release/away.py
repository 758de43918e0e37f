"""Copies everything that the tests need, but not the package: ``away.py PROJECT FOLDER``.

Tests that run in such a folder import the installed package, and not its source.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

FOLDERS = ("tests", "docs", "examples", "benchmarks")
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")
FILES = ("pyproject.toml", "setup.cfg", "Makefile", *PAGES)


def copy_all(project: Path, folder: Path) -> None:
    """Copies the folders and files. Older copies are replaced."""
    caches = shutil.ignore_patterns("__pycache__", "_build", "node_modules")
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(project / name, folder / name, ignore=caches)
    for name in FILES:
        shutil.copy(project / name, folder)
    engines = folder / ".engines"
    if not engines.exists() and (project / ".engines").exists():
        engines.symlink_to(project / ".engines")


if __name__ == "__main__":
    copy_all(Path(sys.argv[1]), Path(sys.argv[2]))
