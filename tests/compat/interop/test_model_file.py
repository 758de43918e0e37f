"""One model file for both sides, and the same models written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import NOTHING

from dynamo_bao.models.class_builder import schema_of
from tests.compat.interop import models
from tests.compat.interop.javascript import JavaScript
from tests.compat.interop.python import Python
from tests.compat.interop.raw import differences, items_of
from tests.compat.interop.scenarios import NOW, SCENARIOS, WITHOUT_TENANT, carry_out
from tests.support.patience import PATIENCE

BY_HAND = {model.__name__: model for model in models.ALL}


def described(model: type[Any]) -> dict[str, Any]:
    """Everything of a model that tells how its items are stored, found and checked."""
    schema = schema_of(model)
    return {
        "name": schema.name,
        "prefix": schema.prefix,
        "format": schema.key_format,
        "iterable": (schema.iterable, schema.buckets),
        "type": model.__bao_options__.table_type,
        "primary": [part_of(part) for part in (schema.primary.partition, schema.primary.sort)],
        "query": schema.primary.name,
        "indexes": {name: (i.id, *map(part_of, i.parts)) for name, i in schema.indexes.items()},
        "constraints": {name: (c.id, c.field.name) for name, c in schema.constraints.items()},
        "fields": {name: field_of(field) for name, field in schema.fields.items()},
    }


def part_of(part: Any) -> str | None:
    return None if part.field is None else str(part.field.name)


def field_of(field: Any) -> dict[str, Any]:
    names = ("attribute", "nullable", "auto_assign", "precision", "max_string_length", "max_member_count")
    told = {name: getattr(field, name, None) for name in names}
    default = "its own" if callable(field.default) else field.missing_value()
    needed = field.default_value() is NOTHING
    return {
        **told,
        "kind": type(field).__name__,
        "default": default,
        "needed": needed,
        "target": target_of(field),
    }


def target_of(field: Any) -> str | None:
    return str(field.target_name) if hasattr(field, "target_name") else None


@pytest.mark.parametrize("name", BY_HAND)
def test_the_file_says_what_the_classes_say(name: str, loaded_models: dict[str, type[Any]]) -> None:
    """Fields with their kinds, names and defaults, keys, indexes, unique values, and how they are gone through."""
    assert loaded_models.keys() == BY_HAND.keys()
    assert described(loaded_models[name]) == described(BY_HAND[name])


def test_models_written_by_hand_leave_the_same_items(
    new_table: Callable[[], str], javascript: JavaScript, client: Any
) -> None:
    """All scenarios, each in a tenant of its own; read and deleted again by the other side."""
    by_hand, left = Python(models.ALL, client=client, deadline=PATIENCE), {}
    tables = {side.name: (side, new_table()) for side in (javascript, by_hand)}
    wanted = [name for name in SCENARIOS if name not in WITHOUT_TENANT]
    for side, table in tables.values():
        side.open(table)
        side.stop_clock(NOW)
        for number, name in enumerate(wanted):
            carry_out(side, SCENARIOS[name], f"t{number}")
        left[side.name] = items_of(client, table, blind=("version",))
    assert differences(left["Python"], left["JavaScript"]) == []
    assert len(left["Python"]) > 25
    by_hand.close()
