"""Tests wait long for what has to happen: a busy machine makes them slow, and never red."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo_bao.dynamodb.transport import botocore, direct
from tests.support.patience import PATIENCE

TESTS = Path(__file__).parents[1]
WAITS = {
    "wait",
    "join",
    "result",
    "get",
    "communicate",
    "Barrier",
    "run",
    "create_connection",
    "HTTPConnection",
}
FIRST_IS_SECONDS = {"wait", "join", "result"}


def short_waits(tree: ast.AST) -> Iterator[int]:
    """The lines that wait for a number of seconds of their own, by `WAITS` that have a time limit."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            limits = [word.value for word in call.keywords if word.arg == "timeout" and name in WAITS]
            limits += call.args[:1] if name in FIRST_IS_SECONDS else []
            if any(
                isinstance(limit, ast.Constant) and isinstance(limit.value, (int, float)) for limit in limits
            ):
                yield call.lineno


def test_waits_for_what_has_to_happen_are_long() -> None:
    """They take `PATIENCE`, which is one number for all tests."""
    short = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in sorted(TESTS.rglob("*.py"))
        for line in short_waits(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not short, f"wait for tests.support.patience.PATIENCE there: {', '.join(short)}"


@pytest.mark.parametrize(
    "code",
    ["e.wait(5)", "t.join(0.5)", "Barrier(2, timeout=10)", "run(c, timeout=60)", "f.result(timeout=3)"],
)
def test_a_short_wait_is_seen(code: str) -> None:
    """Whatever waits, by position or by name."""
    assert list(short_waits(ast.parse(code))) == [1]
    assert not list(short_waits(ast.parse(code.translate(str.maketrans("0123456789", "x" * 10)))))


def test_an_engine_may_be_slow() -> None:
    """No attempt of the library ends because an engine is slow; a test still ends before its own limit."""
    assert {botocore.CONNECT_SECONDS, botocore.READ_SECONDS, direct.CONNECT_SECONDS} == {PATIENCE}
    assert PATIENCE < 300
