"""Source code as formatters lay it out: ruff is the judge."""

from __future__ import annotations

import ast
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao.modelfiles.codegen.formatter import (
    Group,
    assignment,
    call,
    flat,
    imported,
    lines_of,
    literal,
    quoted,
)

LONG = "a_rather_long_name_as_they_come_out_of_other_languages"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", '"plain"'),
        ("it's", '"it\'s"'),
        ('say "hi"', "'say \"hi\"'"),
        ("\"both\" 'kinds'", '"\\"both\\" \'kinds\'"'),
        ("back\\slash", '"back\\\\slash"'),
        ("new\nline", '"new\\nline"'),
        ("\u2028", '"\\u2028"'),
        ("苹果", '"苹果"'),
    ],
)
def test_texts_are_quoted(text: str, expected: str) -> None:
    """In the quotes that need fewer escapes; unprintable characters are escaped."""
    assert quoted(text) == expected
    assert ast.literal_eval(quoted(text)) == text


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -2.5, 1e100, "x", [], [1, [2, "x"]], {}, {"a": {"b": [None]}}],
)
def test_plain_values_come_back(value: Any) -> None:
    """What is written means the same."""
    assert ast.literal_eval(flat(literal(value))) == value


def test_decimals_are_calls() -> None:
    """Of a number where it is whole."""
    assert flat(literal(Decimal("1.50"))) == 'Decimal("1.50")'
    assert flat(literal(Decimal(7))) == "Decimal(7)"


STATEMENTS = [
    assignment("x", "y", indent=0),
    assignment(LONG, call("F", literal("a" * 30), id=literal("b")), indent=0),
    assignment(LONG * 2, call("F", "1"), indent=0),
    assignment(LONG, call("F", default=literal(["a" * 30, "b" * 30])), "str | None", indent=0),
    assignment(f"{LONG}_{LONG[:30]}", call("F", default="None"), "str | None", indent=0),
    assignment(f"{LONG}_and_{LONG[:25]}", call("F"), "set[int | float]", indent=0),
    assignment(LONG, call("SomeLongerKindOfField"), "dict[str, Any]", indent=0),
    assignment(LONG, call('Related["AnotherRatherLongNameOfAModel | None"]', quoted(LONG)), indent=0),
    imported("module", ["b", "A", "C_D", "E"]),
    imported("a.longer.module", [f"Name{number}" for number in range(12)]),
    [
        *lines_of("", call(f"class {LONG}", "Model", prefix=quoted("u"), a="1", b="2", c="3"), ":"),
        "    x = 1",
    ],
    [*lines_of("", Group("def f(", ("self", "a: int"), ") -> None", is_definition=True), ":"), "    x = 1"],
    [
        *lines_of("", Group(f"def {LONG}(", ("self",), f") -> {LONG}", is_definition=True), ":"),
        "    x = 1",
    ],
    [
        *lines_of("", Group(f"def {LONG}(", ("self", "a: int", "b"), ") -> X", is_definition=True), ":"),
        "    x = 1",
    ],
]


def test_statements_are_broken_as_ruff_breaks_them(tmp_path: Path) -> None:
    """Each of them in a file of its own."""
    for number, lines in enumerate(STATEMENTS):
        (tmp_path / f"{number}.py").write_text("\n".join(lines) + "\n")
    result = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout, result.returncode) == ("", 0), result.stderr
