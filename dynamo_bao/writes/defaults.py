"""The defaults that an upsert stores for fields that it does not name."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dynamo_bao.dynamodb.service import Item
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.runtime.records import NOTHING


def lacking(schema: Schema, item: Item, defaults: Mapping[str, object]) -> dict[str, object]:
    """The defaults for which a stored item has no attribute."""
    return {name: value for name, value in defaults.items() if schema.fields[name].attribute not in item}


def defaults_beside(schema: Schema, names: Collection[str]) -> dict[str, object]:
    """The defaults of the fields that an upsert does not name.

    Optional fields are left out, because a missing attribute is their value None. Fields that update themselves are
    left out too.
    """
    fields = [
        field
        for field in schema.fields.values()
        if field.name not in names
        and field.default is not NOTHING
        and not (field.nullable or field.auto_update)
    ]
    values = {field.name: field.accept(field.default_value()) for field in fields}
    return {name: value for name, value in values.items() if schema.fields[name].to_dynamo(value) is not None}
