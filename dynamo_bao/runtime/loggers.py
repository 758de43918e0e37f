"""The library's loggers. `logging` is imported when the first line is logged, because most programs log none.

`logging` takes longer to import than any other module of the standard library that a read of one item needs.
"""

from __future__ import annotations

import sys
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
