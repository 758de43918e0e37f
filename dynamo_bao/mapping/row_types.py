"""The row types for replies that hold items of given models."""

from __future__ import annotations

from functools import lru_cache

from dynamo_bao.dynamodb.items import needs_escapes
from dynamo_bao.dynamodb.layout import ITER_PK, ITER_SK, PK, SEARCH_TEXT, SK
from dynamo_bao.dynamodb.transport.messages import RowParser
from dynamo_bao.mapping.codec import row_attributes
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.runtime.late_modules import Postponement

MAX_SLOTS = 200
"""The greatest number of attributes of a row type. Each takes time, even if an item does not have it."""

_dicts = Postponement(1000, "msgspec")
"""The items that are read as dicts: so many take as long as the import of msgspec, which rows need."""


def row_type_for(count: int, *schemas: Schema) -> RowParser | None:
    """The row parser for a reply with about `count` items of these models, or None for dicts.

    A program that reads few items gets dicts, so that it does not import msgspec.
    """
    return None if _dicts.allows(count) else row_type(*schemas)


@lru_cache(maxsize=256)
def row_type(*schemas: Schema) -> RowParser | None:
    """The row parser for replies that hold items of these models, or None.

    It is None if an attribute has several types, if JSON writes its name with an escape sequence, or if there are so
    many attributes that dicts are faster.
    """
    # Imported here: it needs msgspec.
    from dynamo_bao.dynamodb.rows import RowType

    attributes: dict[str, str | None] = {PK: "S", SK: "S"}
    for schema in schemas:
        derived = dict.fromkeys(sorted(schema.derived_names), "S")
        for name, code in {**derived, **row_attributes(schema.fields.values())}.items():
            if attributes.setdefault(name, code) != code or needs_escapes(name):
                return None
    return RowType(attributes) if len(attributes) <= MAX_SLOTS else None


@lru_cache(maxsize=1)
def iteration_row_type() -> RowParser:
    """The row parser for replies that hold entries of an iteration index."""
    # Imported here: see above.
    from dynamo_bao.dynamodb.rows import RowType

    return RowType(dict.fromkeys((PK, SK, ITER_PK, ITER_SK, SEARCH_TEXT), "S"))
