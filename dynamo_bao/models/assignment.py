"""Assignment to instances: which names can be assigned, and in which form a field holds what it is given."""

from __future__ import annotations

import inspect
from collections.abc import Container, Mapping
from typing import Any

from dynamo_bao.dynamodb.document_diff import is_alike
from dynamo_bao.errors import ValidationError, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.documents import DocumentField, JsonField
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.compiler import NAMES, compiled, normalized_expr_of
from dynamo_bao.models.class_builder import UNCHECKED, Checks, schema_of
from dynamo_bao.models.constructor import normalize_or_keep
from dynamo_bao.session.state import Status, state_of

_CONTAINERS = frozenset((dict, list))


def assign(instance: Any, name: str, value: Any, library: type[Any]) -> None:
    """Assigns what is not simply a field's value in the form the field holds it.

    Args:
        library: the base class of all models, whose names cannot be assigned.

    Raises:
        AttributeError: for a name that is no field, and that no class declares.
    """
    if name.startswith("_"):
        object.__setattr__(instance, name, value)
        return
    model = type(instance).__bao_model__
    schema = schema_of(model)
    if model.__bao_checks__ is UNCHECKED:
        model.__bao_checks__ = _checks_of(model, schema.changeable, schema.name)
    field = schema.fields.get(name)
    if field is not None:
        _assign_field(instance, field, held(field, value), schema.key_names)
    elif _is_declared(type(instance), name, library):
        object.__setattr__(instance, name, value)
    else:
        raise _refusal(schema.name, name, schema.fields, library)


def _assign_field(instance: Any, field: Field, value: Any, key_names: Container[str]) -> None:
    state = instance.__dict__.get(STATE)
    if state is not None:
        if field.name in key_names:
            check_key_assignment(instance, field.name, value)
        elif state.session is not None:
            state.session._pin(instance)
    object.__setattr__(instance, field.name, value)


def held(field: Field, value: Any) -> Any:
    """A value as a field holds it; the object itself if it is that already, as it may be changed in place.

    What cannot be converted stays as it is: the save refuses it.
    """
    own = normalize_or_keep(field, value)
    is_set = type(own) is set and type(value) is set
    same = own == value if is_set else is_alike(own, value)
    return value if same else own


def _checks_of(model: type[Any], fields: Mapping[str, Field], name: str) -> Checks:
    """By field name whether a value is held as it is, for fields that are plain attributes and in no key."""
    names, lines = {**NAMES, "_CONTAINERS": _CONTAINERS}, list[str]()
    plain = [field for field in fields.values() if not hasattr(getattr(model, field.name, None), "__set__")]
    for number, field in enumerate(plain):
        source = normalized_expr_of(field, "v")
        if source is None and _takes_anything(field):
            source = "type(v) in _CONTAINERS"  # held as it is, and converted by the save: it may be large
        lines.append(f"def holds{number}(v): return {source or False}")
    made = compiled("\n".join(lines), f"assignment of {name}", names)
    return {field.name: made[f"holds{number}"] for number, field in enumerate(plain)}


def _takes_anything(field: Field) -> bool:
    """Whether a field holds containers of anything, and not of what its annotation says."""
    return isinstance(field, JsonField) or (isinstance(field, DocumentField) and not list(field.parts()))


def _is_declared(cls: type[Any], name: str, library: type[Any]) -> bool:
    """Whether a class body binds or annotates a name, or it stands for a relation."""
    if _is_of(library, name):
        return False
    for base in cls.__mro__:
        bound = vars(base).get(name, _NOTHING)
        if bound is not _NOTHING:
            return hasattr(bound, "__set__") or not _is_made_here(bound)
        if base is not object and name in inspect.get_annotations(base):
            return True
    return False


def _is_of(library: type[Any], name: str) -> bool:
    return hasattr(library, name) or name in inspect.get_annotations(library)


def _is_made_here(bound: Any) -> bool:
    """Whether a name's value is a method that the library made for the model, as ``query_by_status``."""
    function = getattr(bound, "__func__", bound)
    return callable(function) and str(getattr(function, "__module__", "")).startswith("dynamo_bao.")


_NOTHING = object()


def _refusal(model: str, name: str, fields: Mapping[str, Field], library: type[Any]) -> AttributeError:
    if _is_of(library, name):
        return AttributeError(
            f"{model}.{name} is the library's; a class can have another, an instance cannot."
        )
    return AttributeError(
        f"{model} has no field {name!r}.{suggestion(name, fields)} For a value that is not stored, declare "
        f"{name} = None in the class."
    )


def refuse_deletion(model: str, name: str) -> AttributeError:
    """The error for ``del`` of a field."""
    return AttributeError(f"{model}.{name} is a field, which cannot be deleted; assign None.")


def check_key_assignment(instance: Any, name: str, value: Any) -> None:
    """Refuses to change a key field of an instance that is stored."""
    state = state_of(instance)
    if state.status is Status.TRANSIENT or instance.__dict__.get(name) == value:
        return
    schema = schema_of(type(instance))
    raise ValidationError(
        f"{schema.name}.{name} is part of the key of a stored item and cannot be changed; create() a new item "
        f"and delete() this one.",
        name,
        value,
    )
