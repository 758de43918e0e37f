"""The row types for replies that hold items of given models."""

from __future__ import annotations

from functools import lru_cache

from dynamo_bao.dynamodb.items import needs_escapes
from dynamo_bao.dynamodb.layout import ITER_PK, ITER_SK, PK, SEARCH_TEXT, SK
from dynamo_bao.dynamodb.transport.messages import RowParser
from dynamo_bao.mapping.codec import row_attributes
from dynamo_bao.mapping.schema import Schema

MAX_SLOTS = 200
"""The greatest number of attributes of a row type. Each takes time, even if an item does not have it."""


@lru_cache(maxsize=256)
def row_type(*schemas: Schema) -> RowParser | None:
    """The row parser for replies that hold items of these models, or None.

    It is None if an attribute has several types, if JSON writes its name with an escape sequence, or if there are so
    many attributes that dicts are faster.
    """
    # Imported here: it takes a compiled module, needed only once there is a reply.
    from dynamo_bao.dynamodb.rows import RowType

    attributes: dict[str, str | None] = {PK: "S", SK: "S"}
    for schema in schemas:
        derived = dict.fromkeys(sorted(schema.derived_names), "S")
        for name, code in {**derived, **row_attributes(schema.fields.values())}.items():
            if attributes.setdefault(name, code) != code or needs_escapes(name):
                return None
    return RowType(attributes) if len(attributes) <= MAX_SLOTS else None


def row_type_of_one(schema: Schema) -> RowParser | None:
    """The row parser for a reply that holds one item of a model, or None.

    It is None for the first reply too, so that a program that reads one item does not load the compiled module.
    """
    if schema.is_read_often:
        return row_type(schema)
    schema.is_read_often = True
    return None


@lru_cache(maxsize=1)
def iteration_row_type() -> RowParser:
    """The row parser for replies that hold entries of an iteration index."""
    # Imported here: see above.
    from dynamo_bao.dynamodb.rows import RowType

    return RowType(dict.fromkeys((PK, SK, ITER_PK, ITER_SK, SEARCH_TEXT), "S"))
