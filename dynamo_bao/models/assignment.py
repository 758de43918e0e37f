"""Assignment to instances: the names that can be assigned, and the form in which a field holds its value."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from dynamo_bao.errors import ValidationError, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.documents import DocumentField, JsonField
from dynamo_bao.mapping.codec import STATE, is_converted
from dynamo_bao.mapping.compiler import NAMES, compiled, normalized_expr_of
from dynamo_bao.models.class_builder import UNCHECKED, Checks, schema_of
from dynamo_bao.models.constructor import normalize_or_keep
from dynamo_bao.runtime.late_libraries import inspect
from dynamo_bao.session.state import Instance, Status, state_of

_CONTAINERS = frozenset((dict, list))


def assign(instance: Any, name: str, value: object, library: type[Instance]) -> None:
    """Assigns a value that the fast check did not accept.

    Args:
        instance: the instance.
        name: the name of the attribute.
        value: the value.
        library: the base class of all models. Its names cannot be assigned.

    Raises:
        AttributeError: if the name is not a field, and no class declares it.
        ValidationError: if the field is part of the key of a stored item.
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
        _assign_field(instance, field, held_form(field, value), schema.key_names)
    elif _is_declared(type(instance), name, library):
        object.__setattr__(instance, name, value)
    else:
        raise _assignment_error(schema.name, name, schema.fields, library)


def _assign_field(instance: Instance, field: Field, value: object, key_names: Container[str]) -> None:
    state = instance.__dict__.get(STATE)
    if state is not None:
        if field.name in key_names:
            check_key_assignment(instance, field.name, value)
        elif state.session is not None:
            state.session._instances.pin(instance)
    object.__setattr__(instance, field.name, value)


def held_form(field: Field, value: object) -> Any:
    """A value in the form of its field.

    If it has that form already, it is the same object, so that the program can change it in place. If it cannot be
    converted, it stays as it is, and the save refuses it.
    """
    converted = normalize_or_keep(field, value)
    return converted if is_converted(value, converted) else value


def _checks_of(model: type[Instance], fields: Mapping[str, Field], name: str) -> Checks:
    """By field name, functions that return whether a value already has the form of its field. Only for fields that are
    plain attributes and not part of a key."""
    names, lines = {**NAMES, "_CONTAINERS": _CONTAINERS}, list[str]()
    plain_fields = [
        field for field in fields.values() if not hasattr(getattr(model, field.name, None), "__set__")
    ]
    for number, field in enumerate(plain_fields):
        source = normalized_expr_of(field, "v")
        if source is None and _takes_anything(field):
            source = "type(v) in _CONTAINERS"  # the save converts it, because it may be large
        lines.append(f"def holds{number}(v): return {source or False}")
    functions = compiled("\n".join(lines), f"assignment of {name}", names)
    return {field.name: functions[f"holds{number}"] for number, field in enumerate(plain_fields)}


def _takes_anything(field: Field) -> bool:
    """Whether the containers of a field may hold anything, because its annotation does not limit them."""
    return isinstance(field, JsonField) or (isinstance(field, DocumentField) and not list(field.parts()))


def _is_declared(cls: type[Instance], name: str, library: type[Instance]) -> bool:
    """Whether a class body assigns or annotates a name, or the name is a relation."""
    if _is_of(library, name):
        return False
    for base in cls.__mro__:
        member = vars(base).get(name, _ABSENT)
        if member is not _ABSENT:
            return hasattr(member, "__set__") or not _is_generated(member)
        if base is not object and name in inspect.get_annotations(base):
            return True
    return False


def _is_of(library: type[Instance], name: str) -> bool:
    return hasattr(library, name) or name in inspect.get_annotations(library)


def _is_generated(member: object) -> bool:
    """Whether a member of a class is a method that the library generated, such as ``query_by_status``."""
    function = getattr(member, "__func__", member)
    return callable(function) and str(getattr(function, "__module__", "")).startswith("dynamo_bao.")


_ABSENT = object()


def _assignment_error(
    model: str, name: str, fields: Mapping[str, Field], library: type[Instance]
) -> AttributeError:
    if _is_of(library, name):
        return AttributeError(
            f"{model}.{name} belongs to the library. A class can replace it, an instance cannot."
        )
    return AttributeError(
        f"{model} has no field {name!r}.{suggestion(name, fields)} For a value that is not stored, declare "
        f"{name} = None in the class."
    )


def deletion_error(model: str, name: str) -> AttributeError:
    """The error for ``del`` of a field."""
    return AttributeError(f"{model}.{name} is a field and cannot be deleted; assign None.")


def check_key_assignment(instance: Instance, name: str, value: object) -> None:
    """Raises `ValidationError` for a new value of a key field of a stored instance."""
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
