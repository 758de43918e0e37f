"""Models in FastAPI: parameters that are bodies, and instances in answers without a response model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import encoders

from dynamo_bao.fields.json_forms import json_form
from dynamo_bao.models.model import Model
from dynamo_bao.reads.query_result import QueryResult
from dynamo_bao.reads.search import SearchResult


def take_models() -> None:
    """Makes FastAPI read a parameter that is annotated with a model from the body, as it does for pydantic's models.

    FastAPI knows its own kinds of bodies only, and takes any other class for a query parameter. There is no public way
    to add one, so this adds models to its function for that. Where a version of FastAPI has no such function,
    ``Annotated[User, Body()]`` says the same. A second call does nothing.

    `fastapi.encoders.jsonable_encoder`, which writes answers without a response model, gives instances the forms of
    `Model.to_json`.
    """
    encoders.encoders_by_class_tuples[json_form] = (Model, QueryResult, SearchResult)
    kinds = _kinds_of_bodies()
    own_check: Any = getattr(kinds, "_annotation_is_complex", None)
    if own_check is not None and not isinstance(own_check, _WithModels):
        kinds._annotation_is_complex = _WithModels(_is_body, own_check)


class _WithModels(partial[bool]):
    """FastAPI's check of whether a class is a kind of body, with models added."""


def _is_body(own_check: Callable[[object], bool], annotation: object) -> bool:
    return (isinstance(annotation, type) and issubclass(annotation, Model)) or own_check(annotation)


def _kinds_of_bodies() -> Any:
    """The module of FastAPI that tells bodies from other parameters; None if this version has none."""
    try:
        from fastapi._compat import shared
    except ImportError:
        return None
    return shared
