"""Instances among other values that become JSON, in frameworks with their own rules for those."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dynamo_bao.fields.json_forms import json_form

__all__ = ["is_answer", "json_form", "json_or_else", "with_forms"]


def is_answer(value: object) -> bool:
    """Whether a value is a model instance, or the result of a query or search."""
    return hasattr(type(value), "__bao_json_form__")


def json_or_else(own_form: Callable[[Any], object], value: object) -> Any:
    """The form that the application gives a value; ours if it has none.

    Raises:
        TypeError: the application's, if neither has a form for it.
    """
    try:
        return own_form(value)
    except TypeError:
        try:
            return json_form(value)
        except TypeError:
            pass
        raise


def with_forms(value: Any, is_refused: Callable[[Any], bool] | None = None) -> Any:
    """A value whose dicts and lists hold JSON forms in the place of instances. Everything else stays as it is.

    Args:
        is_refused: whether the application has no form for a value; such a value gets ours too.
    """
    if isinstance(value, dict):
        parts = [with_forms(part, is_refused) for part in value.values()]
        is_same = type(value) is not dict and _are_same(value.values(), parts)
        return value if is_same else dict(zip(value, parts, strict=True))
    if isinstance(value, (list, tuple)):
        parts = [with_forms(part, is_refused) for part in value]
        is_same = type(value) not in (list, tuple) and _are_same(value, parts)
        return value if is_same else parts
    if is_answer(value):
        return json_form(value)
    return value if is_refused is None or not is_refused(value) else _form_or_same(value)


def _are_same(values: Iterable[object], parts: Iterable[object]) -> bool:
    return all(value is part for value, part in zip(values, parts, strict=True))


def _form_or_same(value: object) -> object:
    try:
        return json_form(value)
    except TypeError:
        return value
