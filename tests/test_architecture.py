"""The architecture holds: rooms import in one direction, files and functions are small, boto3 is in one module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import dynamo_bao

ROOT = Path(dynamo_bao.__file__).parent
LONGEST_FUNCTION = 45
LONGEST_FILE = 700
LOADED_LATE = {
    "dynamodb.expressions.conditions",
    "dynamodb.expressions.parser",
    "dynamodb.rows",
    "dynamodb.table_admin",
    "dynamodb.transport.embedded.account",
    "dynamodb.transport.embedded.engine",
    "dynamodb.transport.embedded.sender",
    "dynamodb.transport.key_ranges",
    "mapping.json_encoder",
    "models.pydantic_schema",
    "reads.interface",
    "reads.iteration",
    "reads.search",
    "reads.search_terms",
    "writes.interface",
}
"""The modules for which no program should wait before it needs them. Rows, the engine and pydantic's schema need
compiled modules; the others are for queries, writes and tables, which a program that reads by key never uses."""

# Every room, lowest first. A room imports only from itself and from rooms above it in this list. A room is a folder,
# or some modules at the top of the package.
ROOMS: dict[str, tuple[str, ...]] = {
    "runtime": ("runtime",),
    "ground": ("errors", "config", "policy"),
    "dynamodb": ("dynamodb",),
    "fields": ("fields",),
    "mapping": ("mapping",),
    "session": ("session",),
    "reads": ("reads",),
    "writes": ("writes",),
    "models": ("models",),
    "modelfiles": ("modelfiles",),
    "maintenance": ("maintenance",),
    "web": ("web",),
    "integrations": (
        "wsgi",
        "asgi",
        "flask",
        "fastapi",
        "django",
        "celery",
        "otel",
        "strawberry",
        "graphene",
    ),
    "testing": ("testing",),
    "cli": ("cli", "__main__"),
    "public names": ("", "codegen", "diagrams", "upkeep"),
}
ORDER = {room: number for number, room in enumerate(ROOMS)}
STRANGERS = [
    ("reads", "writes"),  # a model brings them together
    ("modelfiles", "maintenance"),
    ("modelfiles", "web"),
    ("maintenance", "web"),
    ("testing", "integrations"),
]
"""Pairs of rooms that do not import each other, though one of them stands above the other."""

# Inside a room the order matters where a part has to be usable without the others.
INSIDE = {
    "dynamodb": (
        "dynamodb.service",
        "dynamodb.expressions",
        "dynamodb.transport",
        "dynamodb.table",
        "dynamodb.table_admin",
    ),
    "session": ("session.state", "session.session", "session.context", "session.scope"),
    "modelfiles": ("modelfiles.reader", "modelfiles.codegen"),
}
"""Modules or folders of which each imports none of those that follow it."""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield (
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").rstrip("."),
            path,
        )


MODULES = dict(modules())
TREES = {module: ast.parse(path.read_text()) for module, path in MODULES.items()}


def room_of(module: str) -> str:
    top = module.split(".")[0]
    return next(room for room, parts in ROOMS.items() if top in parts)


def own_imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """The package's own modules that a tree imports, a module by its own name also where it is taken from a folder."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "dynamo_bao":
            base = node.module.removeprefix("dynamo_bao").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                yield (inner if inner in MODULES else base), node
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "dynamo_bao":
                    yield alias.name.removeprefix("dynamo_bao").lstrip("."), node


def test_every_module_is_in_a_room() -> None:
    """Each module at the top belongs to one room, and no room names what does not exist."""
    tops = {module.split(".")[0] for module in MODULES}
    assert tops == {part for parts in ROOMS.values() for part in parts}


@pytest.mark.parametrize("module", MODULES)
def test_rooms_import_only_rooms_before_them(module: str) -> None:
    """The arrows between rooms run one way."""
    room = room_of(module)
    upward = {
        imported for imported, _ in own_imports(TREES[module]) if ORDER[room_of(imported)] > ORDER[room]
    }
    assert upward == set()


@pytest.mark.parametrize(("one", "other"), STRANGERS, ids=str)
def test_some_rooms_do_not_know_each_other(one: str, other: str) -> None:
    """A read works without the code of writes, and so on."""
    between = {
        (module, imported)
        for module, tree in TREES.items()
        for imported, _ in own_imports(tree)
        if {room_of(module), room_of(imported)} == {one, other}
    }
    assert between == set()


@pytest.mark.parametrize(("room", "parts"), INSIDE.items(), ids=INSIDE)
def test_parts_of_a_room_are_in_order(room: str, parts: tuple[str, ...]) -> None:
    """Where the inside of a room has an order, its lower parts do not import higher ones."""

    def number_of(module: str) -> int | None:
        steps = module.split(".")
        names = {".".join(steps[:count]) for count in range(1, len(steps) + 1)}
        return next((number for number, part in enumerate(parts) if part in names), None)

    upward = {
        (module, imported)
        for module, tree in TREES.items()
        for imported, _ in own_imports(tree)
        if (lower := number_of(module)) is not None
        and (higher := number_of(imported)) is not None
        and higher > lower
    }
    assert upward == set()


def test_no_modules_import_each_other() -> None:
    """There is no cycle of modules, inside rooms either."""
    graph = {
        module: {imported for imported, _ in own_imports(tree)} - {module} for module, tree in TREES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_folders_hold_no_code() -> None:
    """A folder is imported with each of its modules, so what it costs, every program pays."""
    public = {"", "fields", "testing", "modelfiles", "modelfiles.codegen", "cli.diagrams"}
    heavy = {
        module
        for module, path in MODULES.items()
        if path.name == "__init__.py" and module not in public and len(TREES[module].body) > 1
    }
    assert heavy == set()


@pytest.mark.parametrize("module", MODULES)
def test_own_imports_stand_at_the_top(module: str) -> None:
    """None of our own modules is imported inside a function or under TYPE_CHECKING, but those that are loaded late.

    The package's front loads more of them late: it imports nothing that a program may never name.
    """
    top = set(TREES[module].body)
    hidden = {imported for imported, node in own_imports(TREES[module]) if node not in top}
    assert not module or hidden <= LOADED_LATE


def test_nothing_inside_imports_the_facade() -> None:
    """The package's own front is for its users."""
    inside = [module for module, tree in TREES.items() if any(name == "" for name, _ in own_imports(tree))]
    assert inside == []


def test_boto3_and_botocore_are_in_one_room() -> None:
    """Only the wire over boto3 imports it, and only inside functions."""
    importers = set()
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] in ("boto3", "botocore") for name in names):
                importers.add(module)
                assert node not in tree.body
    assert importers == {"dynamodb.transport.botocore"}


def test_one_module_chooses_what_reads_and_writes_json() -> None:
    """No other module imports orjson. msgspec makes rows, and is the embedded engine's own."""
    users: dict[str, set[str]] = {"orjson": set(), "msgspec": set()}
    for path in sorted(ROOT.rglob("*.py")):
        module = path.relative_to(ROOT).as_posix()
        for name in users:
            if re.search(rf"^ *(import|from) {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE):
                users[name].add(module)
    assert users["orjson"] == {"runtime/json.py"}
    others = {module for module in users["msgspec"] if "transport/embedded/" not in module}
    assert others == {"runtime/json.py", "dynamodb/rows.py"}


def test_only_the_transports_clock_sleeps() -> None:
    """Every wait goes through an injected clock."""
    sleepers = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "sleep"
        and isinstance(node.value, ast.Name)
        and node.value.id == "time"
    }
    assert sleepers == {"dynamodb.transport.messages"}


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def length(function: ast.FunctionDef) -> int:
    """Lines of a function without its docstring and signature."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_the_longest_function_fits_a_screen() -> None:
    """Bodies stay under a screenful."""
    long = {
        f"{module}.{function.name}": length(function)
        for module, tree in TREES.items()
        for function in functions(tree)
        if length(function) > LONGEST_FUNCTION
    }
    assert long == {}


def test_files_stay_small() -> None:
    """A file has one reason to exist, and fits it."""
    large = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: lines for module, lines in large.items() if lines > LONGEST_FILE} == {}


def test_no_lumber_rooms() -> None:
    """Every helper lives where its word is spoken."""
    lumber = {"utils", "util", "helpers", "common", "types", "constants", "misc"}
    assert {module for module in MODULES if lumber & set(module.split("."))} == set()


def test_the_front_is_sorted_and_whole() -> None:
    """__all__ is sorted, every name of it exists and is documented, and it names what is imported."""
    names = dynamo_bao.__all__
    assert names == sorted(names)
    assert [name for name in names if not getattr(dynamo_bao, name).__doc__ and name != "MODEL_PREFIX"] == []
    imported = {
        alias.asname or alias.name
        for node in ast.walk(TREES[""])
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("dynamo_bao.")
        for alias in node.names
        if alias.asname is None
    }
    assert set(names) == imported


def test_public_functions_say_what_they_do() -> None:
    """Every public class, function and method has a docstring, save overrides of a documented one."""
    bare = []
    for module, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                overload = any(
                    isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list
                )
                if ast.get_docstring(node) is None and not overload:
                    bare.append(f"{module}.{node.name}")
    assert bare == []


VAGUE_NAMES = re.compile(
    "asked|done|drawn|either|found|given|gone|got|had|held|here|its?|kept|known|left|made|mine|neither|nothing|one|"
    "others|ours|own|seen|sent|shown|sought|taken|that|theirs|them|there|these|this|those|told|used|wanted|what|which|who"
)
"""Participles and pronouns: they do not say what a variable holds."""
PUBLIC_NAMES = {
    "cli.console": {"done"},
    "cli.diagrams.outline": {"drawn"},
    "errors": {"done"},
    "maintenance.progress": {"done", "found"},
    "runtime.records": {"NOTHING"},
    "session.budget": {"used"},
    "session.unit_of_work": {"done"},
    "writes.commit": {"done"},
}
"""Names that users know, and variables for them."""


def variables(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The variables, parameters and attributes that a tree binds, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs)) and node.name is not None:
            yield node.lineno, node.name


@pytest.mark.parametrize("module", MODULES)
def test_a_variable_is_a_noun(module: str) -> None:
    """The name of a variable says what it holds, and not only what happened to it."""
    vague = {
        (line, name)
        for line, name in variables(TREES[module])
        if VAGUE_NAMES.fullmatch(name.strip("_").lower())
    }
    assert {(line, name) for line, name in vague if name not in PUBLIC_NAMES.get(module, ())} == set()
