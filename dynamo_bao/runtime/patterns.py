"""Regular expressions that are compiled at their first use, because a program needs few of the library's."""

from __future__ import annotations

import re
from typing import Any


def late_pattern(expression: str, flags: int = 0) -> re.Pattern[str]:
    """Stands for ``re.compile(expression, flags)``.

    Args:
        expression: the regular expression.
        flags: flags of `re`.

    >>> late_pattern("[a-z]+").findall("to 1 be")
    ['to', 'be']
    """
    pattern: Any = _LatePattern(expression, flags)
    return pattern  # type: ignore[no-any-return]


class _LatePattern:
    def __init__(self, expression: str, flags: int) -> None:
        self._arguments = (expression, flags)

    def __getattr__(self, member: str) -> Any:
        value = getattr(re.compile(*self._arguments), member)
        setattr(self, member, value)  # so that this method is not called again for it
        return value
