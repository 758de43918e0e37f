"""Checks the files of a built wheel and sdist: ``contents.py PROJECT DIST``."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from pathlib import Path

IN_WHEEL = {"dynamo_bao/py.typed"}
IN_SDIST = {"README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "setup.cfg", "pyproject.toml"}


def source_files(project: Path) -> set[str]:
    """The files of the package that its source has: modules, and what lies beside them."""
    package = project / "dynamo_bao"
    files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(project).as_posix() for path in files}


def version_of(project: Path) -> str:
    """The version, from the one place that has it."""
    text = (project / "dynamo_bao/__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(version)


def faults_of(project: Path, dist: Path) -> list[str]:
    """What is wrong with the built files; empty if nothing is."""
    version = version_of(project)
    (wheel,), (sdist,) = dist.glob(f"*-{version}-*.whl"), dist.glob(f"*-{version}.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    files = source_files(project) | IN_WHEEL
    faults = [f"The wheel lacks {name}." for name in sorted(files - in_wheel)]
    faults += [f"The wheel has {name}, which is no file of the package." for name in sorted(in_wheel - files)]
    faults += [f"The sdist lacks {name}." for name in sorted((files | IN_SDIST) - in_sdist)]
    changes = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    if ".dev" not in version and f"## [{version}]" not in changes:
        faults.append(f"CHANGELOG.md has no section for {version}.")
    return faults


if __name__ == "__main__":
    problems = faults_of(Path(sys.argv[1]), Path(sys.argv[2]))
    print("\n".join(problems) or "The wheel and the sdist have all files of the package, and no others.")
    sys.exit(bool(problems))
