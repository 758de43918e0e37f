"""Every code block of the documentation runs, in the order they stand, or is checked in another way."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from codeop import compile_command
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import boto3
import pytest
import yaml

from tests.support.engines import Engines
from tests.support.forked import forked_program
from tests.support.page_runner import IMPORTED, PROGRAM
from tests.support.pages import (
    ROOT,
    Block,
    all_pages,
    blocks,
    blocks_of,
    chain,
    needs,
    page_mark,
    runnable_pages,
)
from tests.support.plugin import ready_or_refused
from tests.support.programs import node

BAO = "from dynamo_bao.cli.main import main; main(prog_name='bao')"
SUITES = {"docs/how-to/testing.md": 9}
WIDEST = 88
"""How many columns of a program a page shows on a screen without moving it."""
TYPED = ("docs/start/", "docs/tutorial/")
"""The folders of the pages whose readers type the blocks into Python."""
RUN_ELSEWHERE = {"docs/how-to/shared-tables.md"}
"""The pages that a test of both languages runs, as JavaScript is on them."""


def output(code: str) -> str:
    """What a fresh interpreter prints for some code."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


# --- pages that run ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with ``python``, and with ``run-page`` and ``bao``, which fork a process with their imports."""
    folder = tmp_path_factory.mktemp("bin")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "python").chmod(0o755)
    with (
        forked_program(folder / "run-page", PROGRAM, IMPORTED, environment),
        forked_program(
            folder / "bao", BAO, ["dynamo_bao.cli.main", "boto3", "rich.progress", "rich.table"], environment
        ),
    ):
        yield folder


@pytest.fixture
def environment(programs: Path) -> dict[str, str]:
    """A shell's environment with these programs, where boto3 finds credentials and nothing of this computer's."""
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "80",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",
    }


def needs_engine(page: str) -> bool:
    """Whether a page works with a server."""
    return any(
        page_mark(part, "engine") is not None
        or any("bao " in block.code for block in blocks_of(part) if block.language == "console")
        for part in chain(page)
    )


@pytest.mark.parametrize("page", [page for page in runnable_pages() if page not in RUN_ELSEWHERE])
def test_the_blocks_of_a_page_run(
    page: str, environment: dict[str, str], engines: Engines, tmp_path: Path
) -> None:
    """A page's programs and commands run, and print what the page shows."""
    for library in needs(page):
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    with ExitStack() as stack:
        if needs_engine(page):
            endpoint = str(ready_or_refused(engines, "dynoxide").endpoint_url)
            environment["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
            stack.enter_context(without_new_tables(endpoint))
        result = subprocess.run(
            ["run-page", page], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
        )
    assert result.returncode == 0, result.stderr


@contextmanager
def without_new_tables(endpoint: str) -> Iterator[None]:
    """Deletes the tables that the block makes, as pages use the same names."""
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "eu-west-1"}
    client = boto3.client("dynamodb", endpoint_url=endpoint, **keys)
    earlier_tables = client.list_tables()["TableNames"]
    try:
        yield
    finally:
        for name in client.list_tables()["TableNames"]:
            if name not in earlier_tables:
                client.delete_table(TableName=name)


@pytest.mark.parametrize("page", [page for page in all_pages() if page_mark(page, "suite") is not None])
def test_a_page_that_is_a_suite_passes(page: str, tmp_path: Path) -> None:
    """The Python blocks of such a page, one after the other, are a file of tests that pass."""
    suite = tmp_path / "test_page.py"
    suite.write_text("\n".join(blocks(page, "python")))
    report = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "--strict-markers", "-p", "no:cacheprovider", suite],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    ).stdout
    assert f"{SUITES[page]} passed" in report, report


def test_the_readme_prints_what_it_says() -> None:
    """The README's program, and the seven lines after it, print the block the README shows."""
    seven, program = blocks("README.md", "python")
    (shown,) = blocks("README.md", "text")
    assert len(seven.splitlines()) == 7
    assert output(program + seven) == shown


# --- blocks that do not run --------------------------------------------------------------------------------


class CloudFormation(yaml.SafeLoader):
    """A loader that knows CloudFormation's short functions: ``!Ref``, ``!GetAtt``, ``!Sub``."""


CloudFormation.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix}")


def check_python(code: str) -> None:
    compile(code, "<page>", "exec")


def check_shell(code: str) -> None:
    subprocess.run(["/bin/sh", "-n"], input=code, text=True, check=True)


def check_console(code: str) -> None:
    assert code.startswith("$ ")


def check_hcl(code: str) -> None:
    """Brackets and quotes are closed, and each attribute has a value."""
    plain = re.sub(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*', "0", code)
    assert '"' not in plain
    stack: list[str] = []
    for sign in re.findall(r"[{}()\[\]]", plain):
        if sign in "{([":
            stack.append(sign)
        else:
            assert stack and stack.pop() + sign in ("{}", "()", "[]")
    assert not stack
    for line in filter(None, map(str.strip, plain.splitlines())):
        assert re.fullmatch(r"[\w. ]+ \{( .* \})?|[\w-]+ += .+|[\w.]+,?|[\]})]+,?|\{|0,?|\}.*", line), line


def check_javascript(code: str) -> None:
    """Node.js reads it, if there is one."""
    if (program := node()) is not None:
        subprocess.run([program, "--check", "-"], input=code, text=True, check=True)


CHECKS = {
    "python": check_python,
    "sh": check_shell,
    "console": check_console,
    "yaml": lambda code: yaml.load(code, CloudFormation),
    "js": check_javascript,
    "json": json.loads,
    "toml": tomllib.loads,
    "hcl": check_hcl,
    "text": lambda code: None,
    "mermaid": lambda code: None,
}
"""What is checked of a block in a language, whether it runs or not."""


@pytest.mark.parametrize("page", all_pages())
def test_every_block_is_well_formed(page: str) -> None:
    """Each block names a language, and is written in it."""
    for block in blocks_of(page):
        assert block.language in CHECKS, f"{block.place} has the language {block.language!r}"
        CHECKS[block.language](block.code)


@pytest.mark.parametrize("page", [page for page in all_pages() if page.startswith("docs/")])
def test_programs_are_not_wider_than_their_page(page: str) -> None:
    """No line of a Python block is cut at the right."""
    for block in blocks_of(page):
        for number, line in enumerate(block.code.splitlines(), block.line + 1):
            assert block.language != "python" or len(line) <= WIDEST, (
                f"{page}:{number} has {len(line)} columns"
            )


@pytest.mark.defect(56)
@pytest.mark.parametrize("page", all_pages())
def test_a_block_that_does_not_run_says_why(page: str) -> None:
    """A mark is one that the tests know, and one that keeps a block from running has a reason."""
    for block in blocks_of(page):
        if block.mark:
            assert re.match(r"not run: \w+|new program$|generated", block.mark), block.place
        if block.language == "text" and block.runs and page not in RUN_ELSEWHERE:
            assert follows_python(block), f"{block.place} is the output of no block"


@pytest.mark.parametrize("page", [page for page in all_pages() if page.startswith(TYPED)])
def test_the_blocks_of_a_first_page_can_be_typed(page: str) -> None:
    """Python's prompt takes them line by line: an empty line ends each indented part, and nothing else does."""
    for block in blocks_of(page):
        if block.language == "python" and block.runs and block.file is None:
            check_typed(block)


def check_typed(block: Block) -> None:
    """Compiles a block as Python's prompt does, up to each line that makes a statement complete."""
    statement: list[str] = []
    for number, line in enumerate([*block.code.splitlines(), ""], block.line + 1):
        statement.append(line)
        try:
            if compile_command("\n".join(statement), block.page, "single") is not None:
                statement = []
        except SyntaxError as error:
            raise AssertionError(f"{block.page}:{number} cannot be typed after what is before it") from error
    assert not statement, f"{block.place} ends within a statement"


def follows_python(block: Block) -> bool:
    """Whether a block stands after one whose output it can be."""
    page = blocks_of(block.page)
    earlier = [one for one in page[: page.index(block)] if one.runs and one.language != "console"]
    return bool(earlier) and earlier[-1].language in ("python", "text")


# --- links -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_links_of_pages_outside_the_site_lead_somewhere(page: str) -> None:
    """Links to files of the repository, with their headings. Sphinx checks those of the site."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / page).read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", prose):
        name, _, anchor = target.partition("#")
        file = ROOT / name if name else ROOT / page
        assert file.exists(), target
        headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {
            re.sub(r"[^\w\- ]", "", one).lower().replace(" ", "-") for one in headings
        }
