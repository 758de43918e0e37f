"""The examples of the README and the documentation run, in the order they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = ["docs/guide.md", "docs/web.md", "docs/jobs.md", "docs/security.md"]
PRINTING_PAGES = ["docs/compiled-code.md"]
NEEDS = {"docs/jobs.md": ("celery", "aws_lambda_powertools"), "docs/web.md": ("strawberry",)}


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def output(code: str) -> str:
    """What a fresh interpreter prints for some code."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_the_documentation_run(page: str) -> None:
    """Every Python block of the page runs after those before it."""
    for library in NEEDS.get(page, ()):  # not imported here: some of them listen to boto3 from then on
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    output("\n".join(blocks(page, "python")))


@pytest.mark.parametrize("page", PRINTING_PAGES)
def test_pages_print_what_they_show(page: str) -> None:
    """The Python blocks of the page, one after the other, print its text blocks."""
    assert output("\n".join(blocks(page, "python"))).split() == "\n".join(blocks(page, "text")).split()


def test_the_page_on_testing_is_a_suite(tmp_path: Path) -> None:
    """The Python blocks of the page, one after the other, are a file of tests that pass."""
    suite = tmp_path / "test_page.py"
    suite.write_text("\n".join(blocks("docs/testing.md", "python")))
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "--strict-markers", "-p", "no:cacheprovider", suite],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    ).stdout
    assert "9 passed" in told, told


def test_the_readme_prints_what_it_says() -> None:
    """The README's program, and the seven lines after it, print the block the README shows."""
    seven, program = blocks("README.md", "python")
    (shown,) = blocks("README.md", "text")
    assert len(seven.splitlines()) == 7
    assert output(program + seven) == shown
