"""A program loads what it needs, when it needs it."""

from __future__ import annotations

import subprocess
import sys


def run(program: str) -> str:
    """What a new process prints."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_import_loads_neither_writes_nor_searches() -> None:
    program = """
import sys, dynamo_bao
late = ("writes.interface", "writes.changes", "reads.search", "reads.iteration")
assert not [name for name in late if f"dynamo_bao.{name}" in sys.modules]
assert {*dynamo_bao.__all__} <= {*dir(dynamo_bao)}
from dynamo_bao import Iteration, SearchResult
assert Iteration is sys.modules["dynamo_bao.reads.iteration"].Iteration
assert SearchResult.__module__ == "dynamo_bao.reads.search"
try:
    dynamo_bao.Serch
except AttributeError as error:
    print(error)
"""
    assert run(program) == "module 'dynamo_bao' has no attribute 'Serch'"


def test_the_signatures_of_methods_can_be_resolved() -> None:
    program = """
import typing, dynamo_bao
hints = typing.get_type_hints(dynamo_bao.Repository.save)
print("condition" in hints, typing.get_type_hints(dynamo_bao.Model.iterate_all.__func__)["return"])
"""
    assert run(program) == "True dynamo_bao.reads.iteration.Iteration[typing.Any]"
