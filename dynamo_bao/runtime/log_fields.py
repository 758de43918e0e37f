"""The fields of the library's log lines, beside their text: for logs that are stored as JSON."""

from __future__ import annotations

from collections.abc import Iterable


def log_fields(
    operation: str, tables: Iterable[str] = (), keys: int = 0, duration: float = 0.0, **more: object
) -> dict[str, object]:
    """The ``extra`` of a log line. It never holds values of model fields.

    Args:
        operation: the operation, such as ``"Query"`` or ``"session"``.
        tables: the names of its tables.
        keys: the number of its keys, items or entries.
        duration: its duration in seconds; 0 if it was not measured.
        more: further fields.
    """
    table = ", ".join(sorted(set(tables)))
    return {"operation": operation, "table": table, "keys": keys, "duration": duration, **more}
