"""Paths to fields and to parts of documents: tuples of steps, or texts if the names in them allow it.

They are apart from conditions and updates, because every program defines fields, and many compare none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from dynamo_bao.errors import QueryError, ValidationError
from dynamo_bao.runtime.patterns import late_pattern
from dynamo_bao.runtime.records import frozen

Steps = tuple[str | int, ...]
"""The steps to a part: the name of the field, then names of members and positions in lists."""
UserPath = str | Steps
"""A field path as users write it (``"address.city"``), or its steps."""

_PATH = late_pattern(r"[^.\[\]]+(\[\d+\])*(\.[^.\[\]]+(\[\d+\])*)*")
_STEP = late_pattern(r"[^.\[\]]+")


class PathLike:
    """A path whose names a text cannot express: ``User.fields.prefs["a.b"]``."""

    steps: Steps


@frozen
class Attribute:
    """A stored attribute, or a part of it, by its stored name. Its values are typed."""

    name: str
    steps: Steps = ()


attribute_of: Callable[[str], Attribute] = lru_cache(maxsize=4096)(Attribute)
"""Returns a whole attribute by its stored name. There are few names, and each save needs some of them."""

Path = UserPath | Attribute
"""A field path, or a stored attribute."""


class OperandError(ValidationError, QueryError):
    """A value that an operator does not accept."""

    def __init__(self, message: str, field: UserPath | None = None, value: object = None) -> None:
        ValidationError.__init__(self, message, None if field is None else path_text(field), value)
        self.index: str | None = None


def steps_of(path: object) -> Steps:
    """The steps of a path; in a text ``.`` separates names, and ``[n]`` is a position in a list.

    >>> steps_of("address.phones[0].number")
    ('address', 'phones', 0, 'number')

    Raises:
        QueryError: if it is not a path.
    """
    if isinstance(path, PathLike):
        return path.steps
    if isinstance(path, tuple):
        return path
    if not isinstance(path, str) or (path and not _PATH.fullmatch(path)):
        raise QueryError(f"{path!r} is not a path; write it like field.inner[0].name.", field=str(path))
    if not path or path.isidentifier():
        return (path,)
    return tuple(_step(step) for step in re.findall(r"[^.\[\]]+|\[\d+\]", path))


def _step(text: str) -> str | int:
    return int(text[1:-1]) if text.startswith("[") else text


def path_text(path: object) -> str:
    """A path as a text, for errors.

    >>> path_text(("address", "phones", 0)), path_text(("prefs", "a.b"))
    ('address.phones[0]', 'prefs["a.b"]')
    """
    if isinstance(path, str):
        return path
    first, *further_steps = steps_of(path)
    text = str(first)
    for step in further_steps:
        if isinstance(step, str):
            text += f".{step}" if _STEP.fullmatch(step) else f'["{step}"]'
        else:
            text += f"[{step}]"
    return text
