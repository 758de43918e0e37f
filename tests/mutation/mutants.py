"""Mutants: small changes of the code, each of which some test has to notice."""

from __future__ import annotations

import ast
import difflib
import random
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code

from tests.mutation.operators import all_operators

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Room(NamedTuple):
    """Code that belongs together, and the tests that concern it."""

    name: str
    files: tuple[str, ...]
    tests: tuple[str, ...]


class Mutant(NamedTuple):
    """One change.

    Attributes:
        room: the room that is changed.
        file: the file, from the root.
        line: its line.
        operator, occurrence: what cosmic-ray makes it by.
    """

    room: str
    file: str
    line: int
    operator: str
    occurrence: int

    def source(self, original: str) -> str:
        """The file's text with the change."""
        made = mutate_code(original, all_operators()[self.operator], self.occurrence)
        assert made is not None, self
        return str(made)


def rooms() -> dict[str, Room]:
    """All rooms of ``rooms.toml``."""
    found = {}
    for name, options in tomllib.loads((HERE / "rooms.toml").read_text(encoding="utf-8")).items():
        files = [
            path.relative_to(ROOT).as_posix() for pattern in options["code"] for path in ROOT.glob(pattern)
        ]
        found[name] = Room(name, tuple(sorted(set(files))), tuple(options["tests"]))
        gone = [test for test in options["tests"] if not (ROOT / test).exists()]
        empty = [pattern for pattern in options["code"] if not list(ROOT.glob(pattern))]
        if gone or empty:
            raise SystemExit(f"rooms.toml, {name}: there is no {', '.join([*gone, *empty])}")
    return found


class _Positions(Visitor):  # type: ignore[misc]
    """Collects the lines that an operator changes, in the order of its occurrences."""

    def __init__(self, operator: Any) -> None:
        self.operator = operator
        self.lines: list[tuple[int, int]] = []

    def visit(self, node: Any) -> Any:
        self.lines += [begin for begin, _ in self.operator.mutation_positions(node)]
        return node


def mutants_of(room: Room) -> Iterator[Mutant]:
    """Every mutant of a room, but those of annotations, which nothing evaluates."""
    for file in room.files:
        source = (ROOT / file).read_text(encoding="utf-8")
        left_out, tree = list(_not_run(ast.parse(source))), get_ast(source)
        for name, operator in all_operators().items():
            positions = _Positions(operator)
            positions.walk(tree)
            for occurrence, position in enumerate(positions.lines):
                if not any(begin <= position < end for begin, end in left_out):
                    yield Mutant(room.name, file, position[0], name, occurrence)


def _not_run(tree: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations are, and what only checkers of types read."""
    for node in ast.walk(tree):
        parts: list[Any] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            parts.append(node)
        if isinstance(node, ast.FunctionDef) and any(
            getattr(one, "id", getattr(one, "attr", "")) in ("overload", "abstractmethod")
            for one in node.decorator_list
        ):
            parts += [*node.decorator_list, node]
        for part in filter(None, parts):
            begin = (part.lineno, part.col_offset - (part in getattr(node, "decorator_list", ())))
            yield begin, (part.end_lineno, part.end_col_offset)


def sample(chosen: Mapping[str, Room], number: int, seed: int) -> list[Mutant]:
    """As many mutants of each room as its share of all, drawn by a seed."""
    everything = {name: list(mutants_of(room)) for name, room in chosen.items()}
    total = sum(map(len, everything.values()))
    drawn = []
    for name, mutants in everything.items():
        share = max(1, round(number * len(mutants) / total))
        drawn += random.Random(f"{seed} {name}").sample(mutants, min(share, len(mutants)))
    return drawn


def changed_lines(before: str, after: str) -> tuple[str, str]:
    """The lines that a mutant takes away and brings, without the space around them."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))[2:]
    taken, brought = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return taken, brought


def flat(text: str) -> str:
    """A text as `changed_lines` gives lines."""
    return " ".join(line.strip() for line in text.splitlines())


def accepted() -> dict[tuple[str, str, str], str]:
    """The mutants that may live: file, line before, line after; and why."""
    listed = tomllib.loads((HERE / "accepted.toml").read_text(encoding="utf-8")).get("mutant", [])
    return {(one["file"], one["before"], one["after"]): one["why"] for one in listed}
