"""The house holds: import arrows run one way, rooms are small, and boto3 is in one of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dynamo_bao

ROOT = Path(dynamo_bao.__file__).parent
LONGEST_FUNCTION = 45
LONGEST_ROOM = 700
LOADED_LATE = "dynamodb.rows"
"""The module that is made of a compiled one, for which nobody should wait before there are replies."""

# Every module, lowest first. A module imports only from modules above it in this list.
LEVELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "words and facts",
        (
            "_compat",
            "errors",
            "_log_fields",
            "_foreign_errors",
            "dynamodb",
            "dynamodb.service",
            "_runtime",
            "dynamodb.capacity",
            "dynamodb.numbers",
            "fields.ulids",
            "dynamodb.document_diff",
            "dynamodb.rows",
            "dynamodb.items",
        ),
    ),
    ("settings", ("config", "policy", "reads", "reads.cursors", "mapping", "mapping.search_text")),
    (
        "expressions as values",
        (
            "dynamodb.expressions",
            "dynamodb.expressions.paths",
            "dynamodb.expressions.conditions",
            "dynamodb.expressions.update_values",
            "dynamodb.expressions.parser",
            "dynamodb.expressions.renderer",
            "dynamodb.expressions.updates",
        ),
    ),
    (
        "keys and fields",
        (
            "dynamodb.keys",
            "fields.base",
            "fields.text",
            "fields.numeric",
            "fields.datetimes",
            "fields.calendar",
            "fields.inference",
            "fields.documents",
            "fields.sets",
            "fields.containers",
            "fields.nested",
            "fields",
        ),
    ),
    (
        "requests",
        (
            "dynamodb.transport",
            "dynamodb.transport.messages",
            "dynamodb.transport.error_mapping",
            "dynamodb.transport.integrity",
            "dynamodb.transport.bulkhead",
            "dynamodb.transport.key_ranges",
            "dynamodb.transport.reply_check",
            "dynamodb.transport.backoff",
            "dynamodb.transport.retry",
            "dynamodb.transport.embedded_comparisons",
            "dynamodb.transport.embedded",
            "dynamodb.transport.http",
            "dynamodb.transport.sigv4",
            "dynamodb.transport.tls",
            "dynamodb.transport.botocore_http",
            "dynamodb.transport.botocore",
            "dynamodb.transport.event_hooks",
            "dynamodb.transport.static_endpoint",
            "dynamodb.transport.direct",
            "dynamodb.transport.factory",
            "dynamodb.transport.batch_get",
            "dynamodb.transport.batch_write",
        ),
    ),
    (
        "a model, compiled",
        (
            "dynamodb.thread_pool",
            "dynamodb.table",
            "mapping.codec",
            "mapping.json_encoder",
            "mapping.identity",
            "mapping.key_schema",
            "mapping.schema",
            "mapping.snapshots",
            "mapping.row_types",
            "mapping.declarations",
            "mapping.definition",
            "mapping.field_paths",
            "session.peer_groups",
            "session.state",
            "session.hydration",
            "session.peers",
            "writes.shared_state",
            "session.lazy",
        ),
    ),
    (
        "writes, planned",
        (
            "writes",
            "writes.actions",
            "writes.document_changes",
            "writes.plans",
            "writes.executor",
            "writes.transaction_errors",
            "writes.transaction_plan",
            "writes.transact",
        ),
    ),
    (
        "unit of work",
        (
            "session",
            "session.execution_context",
            "session.bindings",
            "session.ownership",
            "session.identity_map",
            "session.unit_of_work",
            "session.pending_lookups",
            "session.stats",
            "session.partitions",
            "session.instances",
            "session.pending_queries",
            "session.rounds",
            "session.trace",
            "session.flush",
            "session.session",
        ),
    ),
    ("where code runs", ("session.tenancy", "session.context", "session.requests", "session.scope")),
    (
        "what is asked of a model",
        (
            "reads.get_item",
            "reads.eager_loading",
            "reads.key_conditions",
            "reads.query",
            "reads.query_result",
            "writes.hooks",
            "writes.changes",
            "writes.update_by_key",
            "writes.partial_changes",
            "writes.invalidation",
            "writes.change_factory",
            "writes.merge",
            "writes.bulk_insert",
            "writes.commit",
            "models",
            "models.repository_writes",
            "models.unique_constraints",
            "reads.bucket_reader",
            "reads.iteration",
            "reads.search_cost",
            "reads.search",
            "models.all_items",
            "models.repository",
            "models.registry",
            "models.relationships",
            "models.indexes",
            "models.transaction",
        ),
    ),
    (
        "models",
        (
            "models.class_builder",
            "models.copying",
            "models.constructor",
            "models.assignment",
            "models.descriptors",
            "models.model",
        ),
    ),
    (
        "connecting",
        (
            "models.manager_options",
            "dynamodb.table_definition",
            "dynamodb.table_admin",
            "models.relation_checks",
            "models.manager",
            "otel",
        ),
    ),
    (
        "maintenance",
        (
            "maintenance",
            "maintenance.progress",
            "maintenance.scanners",
            "maintenance.count",
            "maintenance.progress_file",
            "maintenance.json_lines",
            "maintenance.export",
            "maintenance.line_reader",
            "maintenance.import_items",
            "maintenance.item_check",
            "maintenance.repair",
            "maintenance.attribute_check",
            "maintenance.check",
            "maintenance.reindex",
            "maintenance.table_check",
        ),
    ),
    (
        "model files",
        (
            "modelfiles",
            "modelfiles.naming",
            "modelfiles.yaml_nodes",
            "modelfiles.field_types",
            "modelfiles.custom_fields",
            "modelfiles.description",
            "modelfiles.section",
            "modelfiles.field_reader",
            "modelfiles.model_reader",
            "modelfiles.members",
            "modelfiles.reader",
            "modelfiles.loader",
            "modelfiles.codegen.formatter",
            "modelfiles.codegen.imports",
            "modelfiles.codegen.source",
            "modelfiles.codegen.package_writer",
            "modelfiles.codegen.watcher",
            "modelfiles.codegen",
        ),
    ),
    (
        "where programs run",
        (
            "web",
            "web.request_session",
            "web.tenants",
            "web.request_log",
            "web.trace_page",
            "web.service",
            "wsgi",
            "web.flask_cli",
            "flask",
            "django",
            "celery",
        ),
    ),
    (
        "the rim",
        (
            "testing.recording",
            "testing.faults",
            "testing.round_trips",
            "testing.engines",
            "testing",
            "testing.pytest_plugin",
            "",
        ),
    ),
    (
        "maintenance",
        (
            "cli.diagrams.outline",
            "cli.diagrams.text",
            "cli.diagrams.mermaid",
            "cli.diagrams.placement",
            "cli.diagrams.svg",
            "cli.diagrams",
        ),
    ),
    (
        "command line",
        (
            "cli",
            "cli.console",
            "cli.model_sources",
            "cli.connection",
            "cli.tables",
            "cli.init",
            "cli.models",
            "cli.shell",
            "cli.completion",
            "cli.codegen",
            "cli.input_files",
            "cli.findings",
            "cli.progress",
            "cli.data",
            "cli.doctor",
            "cli.main",
            "codegen",
            "upkeep",
            "diagrams",
            "__main__",
        ),
    ),
)
ORDER = {module: place for place, module in enumerate(m for _, modules in LEVELS for m in modules)}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield (
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").rstrip("."),
            path,
        )


MODULES = dict(modules())
TREES = {module: ast.parse(path.read_text()) for module, path in MODULES.items()}


def own_imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "dynamo_bao":
            yield node.module.removeprefix("dynamo_bao").lstrip("."), node
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "dynamo_bao":
                    yield alias.name.removeprefix("dynamo_bao").lstrip("."), node


def test_the_table_lists_every_module() -> None:
    """No module is missing from the table, and none is in it that does not exist."""
    assert set(ORDER) == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    """Each module imports only what stands before it in the table."""
    upward = [imported for imported, _ in own_imports(TREES[module]) if ORDER[imported] >= ORDER[module]]
    assert upward == []


@pytest.mark.parametrize("module", MODULES)
def test_own_imports_stand_at_the_top(module: str) -> None:
    """None of our own modules is imported inside a function or under TYPE_CHECKING, but one with a compiled module."""
    top = set(TREES[module].body)
    hidden = {imported for imported, node in own_imports(TREES[module]) if node not in top}
    assert hidden <= {LOADED_LATE}


def test_nothing_inside_imports_the_facade() -> None:
    """The package's own front is for its users."""
    inside = [
        module
        for module, tree in TREES.items()
        if module and any(name == "" for name, _ in own_imports(tree))
    ]
    assert inside == []


def test_boto3_and_botocore_are_in_one_room() -> None:
    """Only the wire over boto3 imports it, and only inside functions."""
    found = set()
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] in ("boto3", "botocore") for name in names):
                found.add(module)
                assert node not in tree.body
    assert found == {"dynamodb.transport.botocore"}


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


def test_rooms_stay_small() -> None:
    """A file has one reason to exist, and fits it."""
    large = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: lines for module, lines in large.items() if lines > LONGEST_ROOM} == {}


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
        for node in TREES[""].body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
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
