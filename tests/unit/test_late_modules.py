"""A program loads what it needs, when it needs it."""

from __future__ import annotations

import subprocess
import sys


def run(program: str) -> str:
    """What a new process prints."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_import_loads_neither_queries_nor_writes_nor_searches() -> None:
    program = """
import sys, dynamo_bao
late = (
    "dynamodb.expressions.parser", "dynamodb.table_admin", "dynamodb.transport.key_ranges", "models.transaction",
    "modelfiles", "reads.interface", "reads.query", "reads.search", "reads.iteration", "writes.interface",
    "writes.changes",
)
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


def test_every_public_name_can_be_imported() -> None:
    program = """
import dynamo_bao
from dynamo_bao import *
print({name for name in dynamo_bao.__all__ if globals()[name] is not getattr(dynamo_bao, name)})
"""
    assert run(program) == "set()"


def test_the_program_decides_which_lines_are_logged() -> None:
    """The library's loggers are those of `logging`, whoever imports it first."""
    program = """
import dynamo_bao, logging
from dynamo_bao import run_with_batch_context
with run_with_batch_context():
    pass
logging.basicConfig(format="%(name)s %(levelname)s %(module)s %(message)s", stream=__import__("sys").stdout)
logging.getLogger("dynamo_bao").setLevel("DEBUG")
with run_with_batch_context():
    pass
"""
    assert run(program) == "dynamo_bao.session DEBUG session session closed: 0 round trips, 0 keys"


def test_the_signatures_of_methods_can_be_resolved() -> None:
    program = """
import typing, dynamo_bao
hints = typing.get_type_hints(dynamo_bao.Repository.save)
print("condition" in hints, typing.get_type_hints(dynamo_bao.Model.iterate_all.__func__)["return"])
"""
    assert run(program) == "True dynamo_bao.reads.iteration.Iteration[typing.Any]"
