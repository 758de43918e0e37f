"""Paths to fields and to parts of documents: tuples of steps, written as texts where their names allow it."""

from __future__ import annotations

import re

from dynamo_bao.errors import QueryError

Steps = tuple[str | int, ...]
"""The way to a part: the field's name, then names of members and positions in lists."""

_PATH = re.compile(r"[^.\[\]]+(\[\d+\])*(\.[^.\[\]]+(\[\d+\])*)*")
_STEP = re.compile(r"[^.\[\]]+")


class PathLike:
    """What stands for a path where a text cannot: ``User.fields.prefs["a.b"]``."""

    steps: Steps


def steps_of(path: object) -> Steps:
    """The steps of a path; in a text ``.`` separates names, and ``[n]`` is a position in a list.

    >>> steps_of("address.phones[0].number")
    ('address', 'phones', 0, 'number')

    Raises:
        QueryError: for what is no path.
    """
    if isinstance(path, PathLike):
        return path.steps
    if isinstance(path, tuple):
        return path
    if not isinstance(path, str) or (path and not _PATH.fullmatch(path)):
        raise QueryError(f"{path!r} is no path; write one as field.inner[0].name.", field=str(path))
    if not path or path.isidentifier():
        return (path,)
    return tuple(_step(found) for found in re.findall(r"[^.\[\]]+|\[\d+\]", path))


def _step(text: str) -> str | int:
    return int(text[1:-1]) if text.startswith("[") else text


def shown(path: object) -> str:
    """A path as a text, for errors.

    >>> shown(("address", "phones", 0)), shown(("prefs", "a.b"))
    ('address.phones[0]', 'prefs["a.b"]')
    """
    if isinstance(path, str):
        return path
    first, *rest = steps_of(path)
    text = str(first)
    for step in rest:
        if isinstance(step, str):
            text += f".{step}" if _STEP.fullmatch(step) else f'["{step}"]'
        else:
            text += f"[{step}]"
    return text
