"""What every log line of the library says in fields, beside its text: for logs that are kept as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def log_fields(
    operation: str, tables: Iterable[str] = (), keys: int = 0, duration: float = 0.0, **more: Any
) -> dict[str, Any]:
    """The ``extra`` of a log line; never values of fields.

    Args:
        operation: what was done, such as ``"Query"`` or ``"session"``.
        tables: the tables it was about.
        keys: how many keys, items or entries it was about.
        duration: how many seconds it took, as far as that was measured.
        more: further fields.
    """
    table = ", ".join(sorted(set(tables)))
    return {"operation": operation, "table": table, "keys": keys, "duration": duration, **more}
