"""The examples of the README and the documentation run, in the order they stand."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import Manager

ROOT = Path(__file__).parent.parent.parent
PAGES = ["docs/guide.md", "docs/testing.md"]


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


@contextmanager
def module(name: str) -> Iterator[dict[str, Any]]:
    """The names of a module that examples are run in; managers opened there are closed."""
    made = types.ModuleType(name)
    made.__dict__["__file__"] = f"{name}.py"
    try:
        yield made.__dict__
    finally:
        for value in list(vars(made).values()):
            if isinstance(value, Manager):
                value.close()


def run(code: str, names: dict[str, Any], page: str) -> None:
    exec(compile(code, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_the_documentation_run(page: str) -> None:
    """Every Python block of the page runs after those before it."""
    with module(f"example_{Path(page).stem}") as names:
        for code in blocks(page, "python"):
            run(code, names, page)


def test_the_readme_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """The README's program, and the seven lines after it, print the block the README shows."""
    seven, program = blocks("README.md", "python")
    (shown,) = blocks("README.md", "text")
    assert len(seven.splitlines()) == 7
    with module("example_readme") as names:
        run(program, names, "README.md")
        capsys.readouterr()
        run(seven, names, "README.md")
    assert capsys.readouterr().out == shown
