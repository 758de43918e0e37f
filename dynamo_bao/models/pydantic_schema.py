"""Models as types of pydantic: instances are answers, and the bodies of requests become new instances.

This module needs pydantic, so a model imports it when pydantic asks for its schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import (
    PydanticCustomError,
    PydanticKnownError,
    PydanticSerializationUnexpectedValue,
    core_schema,
)

from dynamo_bao.errors import BaoError, ValidationError, message_of
from dynamo_bao.fields.base import Field, MemberFault
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.answers import answer, json_answer, load_answer
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.pydantic_shapes import (
    CoreSchema,
    Shapes,
    needs_value,
    noted,
    title_and_doc,
    with_required,
)
from dynamo_bao.session.state import Instance, instance_dict, state_of

_SERIALIZER: Final = "__bao_pydantic_serializer__"
_WRONG_VALUE: Final = "bao_value"
"""The type of errors of values that a field refuses."""


def model_schema(model: type[Instance]) -> CoreSchema:
    """The schema of a model.

    An instance is loaded, together with everything that is pending, and stays the same object: serialising reads
    nothing. A dict of values becomes a new, unsaved instance.

    Raises:
        ConfigurationError: if the model is a base without a prefix, or names types that are not defined.
    """
    schema = schema_of(model)
    shapes = Shapes()
    own_schema = core_schema.no_info_wrap_validator_function(
        _named(schema.name, partial(_validated, model, schema)),
        _body_schema(schema, shapes),
        ref=f"{model.__module__}.{model.__qualname__}:{id(model)}",
        serialization=core_schema.wrap_serializer_function_ser_schema(
            _named(schema.name, partial(_serialised, model)), info_arg=True, schema=_answer_schema(schema)
        ),
    )
    notes = title_and_doc(model.__name__, model)
    described_schema = noted(with_required(own_schema, _needed_names(schema)), notes)
    return core_schema.definitions_schema(described_schema, list(shapes.definitions.values()))


def serializer_of(model: type[Instance]) -> Any:
    """How pydantic writes instances of a model where the type does not say what they are.

    Raises:
        ConfigurationError: if the model is a base without a prefix, or names types that are not defined.
    """
    serializer = vars(model).get(_SERIALIZER)
    if serializer is None:
        serializer = TypeAdapter(model).serializer
        setattr(model, _SERIALIZER, serializer)
    return serializer


def _named(name: str, function: Any) -> Any:
    """A function with a name. pydantic shows it in its errors, and in the places of errors of a union."""
    function.__name__ = name
    return function


# --- answers ----------------------------------------------------------------------------------------------


def _validated(model: type[Instance], schema: Schema, value: Any, read_body: Callable[[Any], Any]) -> object:
    if isinstance(value, model):
        try:
            load_answer(value)
        except BaoError as error:
            raise PydanticKnownError(
                "get_attribute_error", {"error": f"{type(error).__name__}: {message_of(error)}"}
            ) from error
        return value
    return _new_instance(model, schema, read_body(value))


def _serialised(model: type[Instance], value: Any, write: Callable[[Any], Any], info: Any) -> object:
    if not isinstance(value, model):
        raise PydanticSerializationUnexpectedValue(f"Expected {model.__name__}, not {type(value).__name__}")
    return write(json_answer(value) if info.mode == "json" else answer(value))


# --- bodies -----------------------------------------------------------------------------------------------


def _new_instance(model: type[Instance], schema: Schema, values: Mapping[str, object]) -> object:
    """A new instance with the values of a body. A read-only field without a default is None until it is assigned."""
    writable = {name: value for name, value in values.items() if not schema.fields[name].is_read_only}
    unset = {name: None for name, field in schema.fields.items() if field.is_read_only and needs_value(field)}
    try:
        instance = model(**writable, **unset)
        _check_key(schema, instance)
    except ValidationError as error:
        raise _wrong_value(message_of(error)) from error
    return instance


def _check_key(schema: Schema, instance: Instance) -> None:
    """Raises `ValidationError` if no item can have the key of a new instance."""
    values = instance_dict(instance)
    if all(values.get(name) is not None for name in schema.key_names):
        schema.keys.from_values(state_of(instance).tenant, values)


def _accepted(field: Field, form: object, read: object) -> object:
    """The value of a field in a body.

    Raises:
        PydanticCustomError: if the field refuses it. The text names model and field, and never the value.
    """
    try:
        return field.accept(None if form is None else field.from_json(form))
    except MemberFault as fault:
        raise _wrong_value(f"{field.model}.{field.name}{fault.path} {fault.why}") from fault
    except ValidationError as error:
        raise _wrong_value(message_of(error)) from error
    except RecursionError:
        raise _wrong_value(f"{field.model}.{field.name} is nested too deeply to be stored") from None
    except ValueError as error:
        raise _wrong_value(f"{field.model}.{field.name} {message_of(error)}") from error


def _wrong_value(reason: str) -> PydanticCustomError:
    template: Any = reason  # without a context it is the text itself
    return PydanticCustomError(_WRONG_VALUE, template)


# --- schemas ----------------------------------------------------------------------------------------------


def _needed_names(schema: Schema) -> list[str]:
    """The fields that a body has to give."""
    return [name for name, field in schema.fields.items() if needs_value(field) and not field.is_read_only]


def _body_schema(schema: Schema, shapes: Shapes) -> CoreSchema:
    """The values that a body may have. Read-only ones may be there, and are not looked at."""
    needed = _needed_names(schema)
    members = {}
    for name, field in schema.fields.items():
        read: Any = _ignored if field.is_read_only else _named(name, partial(_accepted, field))
        member = core_schema.no_info_wrap_validator_function(read, shapes.of_member(field))
        members[name] = core_schema.typed_dict_field(member, required=name in needed)
    return core_schema.typed_dict_schema(members, extra_behavior="forbid")


def _ignored(value: object, read: object) -> None:
    return None


def _answer_schema(schema: Schema) -> CoreSchema:
    """The values of an instance, of which an answer may show some only."""
    any_value = core_schema.typed_dict_field(core_schema.any_schema(), required=False)
    return core_schema.typed_dict_schema(dict.fromkeys(schema.fields, any_value))
