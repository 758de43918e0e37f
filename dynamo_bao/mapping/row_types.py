"""Into what rows replies with items of which models are parsed."""

from __future__ import annotations

from functools import lru_cache

from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.transport.messages import RowParser
from dynamo_bao.mapping.codec import row_attributes
from dynamo_bao.mapping.schema import Schema

MOST_SLOTS = 200
"""Of how many attributes a row is at most: each takes time, also where an item does not have it."""


@lru_cache(maxsize=256)
def row_type(*schemas: Schema) -> RowParser | None:
    """How replies with items of these models are parsed into rows; None where that would not do.

    That is where an attribute has several types, or there are so many of them that dicts take less time.
    """
    # Imported here: it takes a compiled module, needed only once something is asked for.
    from dynamo_bao.dynamodb.rows import RowType

    attributes: dict[str, str | None] = {PK: "S", SK: "S"}
    for schema in schemas:
        derived = dict.fromkeys(sorted(schema.derived_names), "S")
        for name, code in {**derived, **row_attributes(schema.fields.values())}.items():
            if attributes.setdefault(name, code) != code:
                return None
    return RowType(attributes) if len(attributes) <= MOST_SLOTS else None


def row_type_of_one(schema: Schema) -> RowParser | None:
    """How a reply with one item of a model is parsed into a row; None where that would not do.

    That is also so for the first one: a program that reads a single item does without the compiled module.
    """
    if schema.is_read_often:
        return row_type(schema)
    schema.is_read_often = True
    return None
