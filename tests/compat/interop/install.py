"""Install the JavaScript library that the tests of shared tables run: `python -m tests.compat.interop.install`.

The folder it goes to is named by what the lock file says, so that a new pin never meets old files, and it is
either absent or complete: npm works in a temporary folder beside it, which one rename puts into place.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import programs
from tests.support.fetch_engines import NPM_TIMEOUT, FetchError, npm_complaint
from tests.support.packages import CACHE

HERE = Path(__file__).parent
LOCKED = ("package.json", "package-lock.json")
COMMAND = "python -m tests.compat.interop.install"


def installed(cache: Path = CACHE) -> Path:
    """The folder with ``node_modules`` that belongs to the lock file, there or not yet."""
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    return cache / f"javascript-{digest[:12]}"


def missing() -> str | None:
    """Why the JavaScript library cannot be run here and what to do, or None where it can."""
    if programs.node() is None:
        return f"there is no Node.js; {programs.install_hint('Node.js 18 or newer')}"
    if not installed().is_dir():
        return f"the JavaScript library has not been installed; run: {COMMAND}"
    return None


def install(cache: Path) -> None:
    """Makes sure the locked packages are in the cache, each checked by npm against its pinned hash."""
    folder = installed(cache)
    if folder.is_dir():
        print("dynamo-bao for JavaScript: already there")
        return
    npm = programs.npm()
    if npm is None:
        raise FetchError(f"there is no npm; {programs.install_hint('Node.js 18 or newer')}")
    cache.mkdir(exist_ok=True)
    (cache / ".gitignore").write_text("*\n")
    print("dynamo-bao for JavaScript: installing")
    with tempfile.TemporaryDirectory(prefix="installing-", dir=cache) as temporary:
        work = Path(temporary) / "work"
        work.mkdir()
        for name in LOCKED:
            shutil.copy(HERE / name, work)
        run_npm(npm, work)
        move(work, folder)
    print("dynamo-bao for JavaScript: ready")


def run_npm(npm: list[str], work: Path) -> None:
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            command, cwd=work, capture_output=True, text=True, timeout=NPM_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"npm did not install dynamo-bao within {NPM_TIMEOUT} s.") from None
    if done.returncode != 0:
        raise FetchError(f"npm could not install dynamo-bao: {npm_complaint(done.stderr)}")


def move(work: Path, folder: Path) -> None:
    """Into place, unless another process was first."""
    try:
        work.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def main() -> int:
    """Where node is missing the tests are skipped, so that is an error only where all must run."""
    if programs.node() is None and os.environ.get("CI") != "true":
        told = "WARNING: dynamo-bao for JavaScript: there is no Node.js. TESTS OF SHARED TABLES ARE SKIPPED."
        print(told, file=sys.stderr)
        return 0
    try:
        install(CACHE)
    except (FetchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
