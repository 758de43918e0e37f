"""Lookups for views, which end a request with 404 where nothing is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from dynamo_bao.errors import UnknownFieldError, ValidationError

T = TypeVar("T")


def stored_or_none(model: type[T], key: object, parts: Mapping[str, object]) -> T | None:
    """The instance for a key, loaded at once; None if nothing is stored, or if no item can have the key.

    Args:
        key, parts: as `Model.find` takes them. Their values may come from outside.

    Raises:
        UnknownFieldError: for the name of a part that is not a key field.
    """
    loadable: Any = model
    try:
        return loadable.find_or_none(key, **parts)  # type: ignore[no-any-return]
    except ValidationError as error:
        if parts and isinstance(error, UnknownFieldError):  # the program wrote the names of parts
            raise
        return None


def first_or_none(results: Iterable[T]) -> T | None:
    """The first of some results, such as those of a query; None if they are empty."""
    return next(iter(results), None)
