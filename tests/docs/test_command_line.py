"""The page on the command line: what it shows is what the commands write."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_examples import ROOT, blocks
from tests.support.engines import Engines
from tests.support.forked import forked_program
from tests.support.plugin import ready_or_refused

PAGE = "docs/command-line.md"
BAO = "from dynamo_bao.cli.main import main; main(prog_name='bao')"
IMPORTED = ["dynamo_bao.cli.main", "boto3", "rich.progress", "rich.table"]


def shown() -> list[tuple[str, str]]:
    """The commands of the page, each with what it is said to write."""
    found: list[tuple[str, str]] = []
    for line in "".join(blocks(PAGE, "console")).splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:].rstrip("\n"), ""))
        else:
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found


@pytest.fixture
def environment(engines: Engines, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A shell's environment with bao in its path, and DynamoDB where boto3 looks for it."""
    endpoint = ready_or_refused(engines, "dynoxide").endpoint_url
    program = tmp_path / "bin" / "bao"
    program.parent.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "80",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_DYNAMODB": str(endpoint),
    }
    with forked_program(program, BAO, IMPORTED, environment):
        yield environment


def test_every_command_of_the_page_writes_what_is_shown(environment: dict[str, str], tmp_path: Path) -> None:
    """The page's commands run one after the other in a new folder, and write what stands below them."""
    project = tmp_path / "project"
    project.mkdir()
    for command, told in shown():
        result = subprocess.run(
            ["/bin/sh", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=project,
            env=environment,
        )
        assert re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8000", result.stdout) == told, command


def test_the_drawing_on_the_page_is_what_bao_draws(tmp_path: Path) -> None:
    """docs/blog.svg is the drawing of docs/blog.py."""
    drawn = tmp_path / "blog.svg"
    code = "from dynamo_bao.cli.main import main; main()"
    arguments = ["models", "--models", "docs/blog.py", "-o", str(drawn)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, cwd=ROOT)
    assert drawn.read_text() == (ROOT / "docs/blog.svg").read_text()
