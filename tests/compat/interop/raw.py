"""The items of a table as DynamoDB hands them out, to hold those of one writer against those of the other."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from dynamo_bao.dynamodb.numbers import number_text
from dynamo_bao.fields.ulids import is_ulid

Items = dict[tuple[str, str], dict[str, Any]]


def items_of(client: Any, table: str, *, blind: Collection[str] = ()) -> Items:
    """Every item of a table by its key; sets, which have no order, are sorted, and numbers written in one way.

    DynamoDB keeps a number and not its text; what it hands out differs from engine to engine.

    Args:
        blind: attributes that hold a ULID that each writer makes for itself; that it is one is all that is told.
    """
    items: Items = {}
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        for item in page["Items"]:
            key = (item["_pk"]["S"], item["_sk"]["S"])
            items[key] = {name: settled(name, value, blind) for name, value in sorted(item.items())}
    return items


def settled(name: str, value: Any, blind: Collection[str]) -> Any:
    ((code, content),) = value.items()
    if name in blind:
        assert code == "S" and is_ulid(content), (name, value)
        return "a ULID"
    if code == "N":
        return {code: number_text(Decimal(content))}
    return {code: sorted(content)} if code in ("SS", "NS", "BS") else value


def differences(ours: Items, theirs: Items) -> list[str]:
    """Where two tables differ, one line for each attribute."""
    nothing: dict[str, Any] = {}
    return [
        f"{key[0]}|{key[1]} {name}: {ours.get(key, nothing).get(name)} and not {theirs.get(key, nothing).get(name)}"
        for key in sorted({*ours, *theirs})
        for name in sorted({*ours.get(key, nothing), *theirs.get(key, nothing)})
        if ours.get(key, nothing).get(name) != theirs.get(key, nothing).get(name)
    ]
