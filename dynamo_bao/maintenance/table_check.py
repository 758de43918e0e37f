"""Checks the table against the models: keys, indexes, time to live, prefixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dynamo_bao.dynamodb.layout import DERIVED, ITER_INDEX, ITER_SEARCH_INDEX, PK, SK
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.table_admin import describe_table, describe_ttl
from dynamo_bao.dynamodb.table_definition import (
    TableDescription,
    TtlDescription,
    busy,
    index_faults,
    key_fault,
    lacks_ttl,
    missing_indexes,
    ttl_fault,
)
from dynamo_bao.fields.datetimes import TtlField
from dynamo_bao.maintenance.progress import Finding
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.registry import source_file
from dynamo_bao.session.state import Instance

UPDATE = "Run 'bao update-table'."


def prefix_findings(models: Iterable[type[Instance]]) -> list[Finding]:
    """Prefixes that several models share. Their items could not be told apart."""
    owners: dict[str, list[type[Instance]]] = {}
    for model in dict.fromkeys(models):
        owners.setdefault(schema_of(model).prefix, []).append(model)
    return [_shared(prefix, sharing) for prefix, sharing in owners.items() if len(sharing) > 1]


def _shared(prefix: str, models: Sequence[type[Instance]]) -> Finding:
    places = " and ".join(f"{schema_of(model).name} in {source_file(model)}" for model in models)
    return Finding(
        "prefix",
        f"The prefix {prefix!r} belongs to several models: {places}.",
        "Give each a prefix of its own.",
        schema_of(models[0]).name,
    )


def table_findings(database: Database, schemas: Sequence[Schema]) -> list[Finding]:
    """The faults of the table: whether it exists, its keys, indexes and time to live.

    Missing parts that no model needs are reported too, as harmless.
    """
    table = describe_table(database)
    if table is None:
        return [
            Finding(
                "table",
                f"Table {database.table_name} does not exist at this region and endpoint.",
                "Run 'bao create-table', or correct the table's name, the region or the endpoint.",
            )
        ]
    fault = key_fault(table)
    if fault is not None:
        return [Finding("table", fault)]
    return [
        *_types(table),
        *_indexes(table, schemas),
        *_busy(table),
        *_ttl(database, describe_ttl(database), schemas),
    ]


def _types(table: TableDescription) -> Iterator[Finding]:
    layout_names = {PK, SK, *DERIVED}
    for definition in table.get("AttributeDefinitions", ()):
        if definition["AttributeName"] in layout_names and definition["AttributeType"] != "S":
            text = f"The key attribute {definition['AttributeName']} of the table is no text."
            yield Finding("layout", text, "Use another table.")


def _indexes(table: TableDescription, schemas: Sequence[Schema]) -> Iterator[Finding]:
    search = any(schema.search is not None and schema.iterable for schema in schemas)
    users = _users(schemas)
    for index in missing_indexes(table, search):
        names = users.get(index.name, [])
        users_text = f", which {', '.join(names)} needs" if names else ", which no model here needs"
        text = f"Table {table['TableName']} has no index {index.name}{users_text}."
        yield Finding("layout", text, UPDATE, names[0] if names else None, harmless=not names)
    for fault in index_faults(table, search):
        yield Finding("layout", fault)


def _users(schemas: Sequence[Schema]) -> dict[str, list[str]]:
    """The names of the models that need an index, by the index's name."""
    names_by_index: dict[str, list[str]] = {}
    for schema in schemas:
        for index in schema.indexes.values():
            names_by_index.setdefault(index.id, []).append(schema.name)
        if schema.iterable:
            names_by_index.setdefault(ITER_INDEX, []).append(schema.name)
            if schema.search is not None:
                names_by_index.setdefault(ITER_SEARCH_INDEX, []).append(schema.name)
    return names_by_index


def _busy(table: TableDescription) -> Iterator[Finding]:
    occupation = busy(table)
    if occupation is not None:
        text = f"Table {table['TableName']} is busy: {occupation}."
        yield Finding("layout", text, "Wait, and run this again.")


def _ttl(database: Database, ttl: TtlDescription, schemas: Sequence[Schema]) -> Iterator[Finding]:
    needing = [s.name for s in schemas if any(isinstance(f, TtlField) for f in s.fields.values())]
    fault = ttl_fault(database.table_name, ttl)
    if fault is not None:
        yield Finding("ttl", fault, harmless=not needing)
    elif lacks_ttl(ttl):
        consequence = f", so that no {needing[0]} expires" if needing else ""
        text = f"The TTL of table {database.table_name} is off{consequence}."
        yield Finding("ttl", text, UPDATE, needing[0] if needing else None, harmless=not needing)
