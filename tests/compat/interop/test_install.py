"""Where node is missing, the tests of shared tables say so; where all tests must run, that is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.interop import install
from tests.support import programs


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no node."""
    monkeypatch.setattr(install, "CACHE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "_in_package", lambda *_: None)
    return tmp_path


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_without_node_it_depends_on_who_asks(
    ci: str, status: int, nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A developer may go on without; continuous integration may not."""
    monkeypatch.setenv("CI", ci)
    assert install.main() == status
    told = capsys.readouterr()
    assert ("ARE SKIPPED" in told.err, "install Node.js" in told.err) == (status == 0, status == 1)
    assert "there is no Node.js; install Node.js 18 or newer, or run: " in str(install.missing())
    assert list(nowhere.iterdir()) == []


def test_the_folder_belongs_to_the_lock(tmp_path: Path) -> None:
    """Every package in it is pinned by its hash, and the folder's name changes with them."""
    lock = (install.HERE / "package-lock.json").read_text()
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/') == 8
    assert install.installed(tmp_path).parent == tmp_path
