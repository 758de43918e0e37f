"""Regular expressions that are compiled at their first use, because a program needs few of the library's."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from dynamo_bao.runtime.late_modules import Late


def late_pattern(expression: str, flags: int = 0) -> re.Pattern[str]:
    """Stands for ``re.compile(expression, flags)``.

    Args:
        expression: the regular expression.
        flags: flags of `re`.

    >>> late_pattern("[a-z]+").findall("to 1 be")
    ['to', 'be']
    """
    pattern: Any = Late(partial(re.compile, expression, flags))
    return pattern  # type: ignore[no-any-return]
