"""The reference names everything that is public: classes, functions, settings, operators and commands."""

from __future__ import annotations

import importlib
import re
from configparser import ConfigParser

import pytest

from dynamo_bao.config import _ENVIRONMENT, SECTIONS
from dynamo_bao.dynamodb.expressions.parser import _BUILDERS, COMPARISONS
from dynamo_bao.models.batch_context import SessionOptions
from tests.support.docstrings import MODULES, exports
from tests.support.pages import ROOT, all_pages, text_of

DOCUMENTED = re.findall(
    r"^\.\. auto(?:class|function|data):: (\w+)$",
    "\n".join(
        text_of(page)
        for page in all_pages()
        if page.startswith(("docs/reference/", "docs/how-to/export-import"))
    ),
    re.MULTILINE,
)
"""The names whose docstrings the reference and the page on exports show."""
OF_THE_REPOSITORY = {"bench", "demo", "dev", "examples", "mutants", "release"}
"""The extras that `make` installs."""


@pytest.mark.parametrize("module", [name for name in MODULES if name != "dynamo_bao.errors"])
def test_every_public_name_is_in_the_reference(module: str) -> None:
    """Each name that a module exports has its docstring on a page. Those of `errors` are the package's too."""
    assert sorted(set(exports(importlib.import_module(module))) - set(DOCUMENTED)) == []


def test_every_extra_is_on_the_page_on_installing() -> None:
    """Each extra for users, with the packages that it brings."""
    extras = ConfigParser()
    extras.read(ROOT / "setup.cfg")
    needed = {
        name: [re.split(r"[\[ ]", line)[0] for line in text.split("\n") if line]
        for name, text in extras["options.extras_require"].items()
    }
    page = text_of("docs/reference/installing.md")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page, re.MULTILINE))
    assert {name: packages.split(", ") for name, packages in rows.items()} == {
        name: packages for name, packages in needed.items() if packages and name not in OF_THE_REPOSITORY
    }


def test_every_setting_is_in_its_table() -> None:
    """Each setting, environment variable and option of a context is on the page on settings."""
    page = text_of("docs/reference/settings.md")
    settings = {name for names in SECTIONS.values() for name in names}
    variables = {variable for variable, _, _ in _ENVIRONMENT}
    options = set(SessionOptions.__annotations__)
    assert [
        name for name in sorted({*settings, *variables, *options}) if not re.search(rf"\b{name}\b", page)
    ] == []


def test_every_operator_is_in_its_table() -> None:
    """Each operator of filters and conditions is on the page on operators."""
    page = text_of("docs/reference/operators.md")
    operators = {*COMPARISONS, *_BUILDERS, "$and", "$or", "$not"}
    assert [name for name in sorted(operators) if name not in page] == []


def test_the_page_on_guarantees_has_the_promises_that_tests_hold() -> None:
    """Each number on the page is the number of a test, and each that a test has is on the page."""
    numbers = set(re.findall(r"^\| ([RWSX]\d+) \|", text_of("docs/understand/guarantees.md"), re.MULTILINE))
    tests = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    assert numbers == set(re.findall(r'promise\("([RWSX]\d+)"\)', "".join(tests)))


def test_the_page_on_monitoring_has_every_logger() -> None:
    """Each logger that a running application uses is on the page."""
    sources = "".join(path.read_text() for path in (ROOT / "dynamo_bao").rglob("*.py"))
    loggers = set(re.findall(r'getLogger\("(dynamo_bao\.\w+)"\)', sources)) - {"dynamo_bao.codegen"}
    page = text_of("docs/production/monitoring.md")
    assert [name for name in sorted(loggers) if f"`{name}`" not in page] == []
