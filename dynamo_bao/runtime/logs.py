"""The library's loggers, and the fields of its log lines.

`logging` is imported when the first line is logged, because most programs log none. It takes longer to import than any
other module of the standard library that a read of one item needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from dynamo_bao.runtime.late_libraries import logging
from dynamo_bao.runtime.late_modules import Late


def late_logger(name: str) -> logging.Logger:
    """Stands for ``logging.getLogger(name)``.

    Args:
        name: the name of the logger.
    """
    logger: Any = Late(lambda: logging.getLogger(name))
    return logger  # type: ignore[no-any-return]


def shows_debug(logger: logging.Logger) -> bool:
    """Whether a logger shows lines of level DEBUG. None does if the program has not imported `logging`."""
    return "logging" in sys.modules and logger.isEnabledFor(logging.DEBUG)


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
