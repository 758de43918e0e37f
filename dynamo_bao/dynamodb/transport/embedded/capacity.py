"""The capacity that operations consume, as DynamoDB reports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo_bao.dynamodb.transport.embedded.store import Record, Store, View
from dynamo_bao.dynamodb.transport.embedded.values import are_equal

Units = dict[str, float]
"""Units by index."""


def read_units(size: int, is_consistent: bool) -> float:
    """The units of reading some bytes.

    >>> read_units(5000, True), read_units(0, False)
    (2.0, 0.5)
    """
    units = float(max(1, -(-size // 4096)))
    return units if is_consistent else units / 2


def write_units(size: int) -> float:
    """The units of writing some bytes."""
    return float(max(1, -(-size // 1024)))


def table_write_units(old_record: Record | None, new_record: Record | None) -> float:
    """The units of a write to the table itself."""
    sizes = [record.size for record in (old_record, new_record) if record is not None]
    return write_units(max(sizes, default=0))


def index_write_units(
    store: Store, old_record: Record | None, new_record: Record | None
) -> tuple[Units, Units]:
    """The units of a write to the global and to the local indexes."""
    global_units: Units = {}
    local_units: Units = {}
    for name, view in store.indexes.items():
        units = _view_units(view, old_record, new_record)
        if units:
            (global_units if view.is_global else local_units)[name] = units
    return global_units, local_units


def _view_units(view: View, old_record: Record | None, new_record: Record | None) -> float:
    entries = [
        view.projected(record) if record is not None and view.holds(record.item) else None
        for record in (old_record, new_record)
    ]
    units = [0.0 if entry is None else write_units(entry.size) for entry in entries]
    old_entry, new_entry = entries
    if old_entry is None or new_entry is None:
        return sum(units)
    if any(old_entry.item[name] != new_entry.item[name] for name in view.own_names):
        return sum(units)
    return 0.0 if are_equal({"M": old_entry.item}, {"M": new_entry.item}) else max(units)


def consumed(
    table: str,
    table_units: float,
    mode: str | None,
    global_units: Mapping[str, float] | None = None,
    local_units: Mapping[str, float] | None = None,
    kind: str | None = None,
) -> dict[str, Any] | None:
    """The member ``ConsumedCapacity``; None if the request did not ask for it.

    Args:
        table: the table's name.
        table_units: the units of the table itself.
        mode: the request's ``ReturnConsumedCapacity``.
        global_units, local_units: the units of the indexes.
        kind: ``"Read"`` or ``"Write"`` for transactions, which report their units under that name too.
    """
    if mode not in ("TOTAL", "INDEXES"):
        return None
    indexes = {"GlobalSecondaryIndexes": global_units or {}, "LocalSecondaryIndexes": local_units or {}}
    total = table_units + sum(sum(units.values()) for units in indexes.values())
    answer: dict[str, Any] = {"TableName": table, **_figures(total, kind)}
    if mode == "INDEXES":
        answer["Table"] = _figures(table_units, kind)
        for member, units in indexes.items():
            if units:
                answer[member] = {name: _figures(figure, kind) for name, figure in units.items()}
    return answer


def _figures(units: float, kind: str | None) -> dict[str, float]:
    figures = {"CapacityUnits": units}
    return figures if kind is None else figures | {f"{kind}CapacityUnits": units}
