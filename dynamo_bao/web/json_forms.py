"""Instances among other values that become JSON, in frameworks with their own rules for those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamo_bao.fields.json_forms import JsonForm, json_form

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


def with_forms(value: Any) -> JsonForm:
    """A value whose dicts and lists hold JSON forms in the place of instances. Everything else stays as it is."""
    if type(value) is dict:
        return {name: with_forms(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return list(map(with_forms, value))
    return json_form(value) if is_answer(value) else value
