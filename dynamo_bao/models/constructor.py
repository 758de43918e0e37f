"""The constructor of a model, compiled from its fields, with one keyword argument for each.

A value that fails the fast check is converted by its field. Unknown and missing arguments raise the error of
`constructor_error`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Container, Iterable
from types import CodeType
from typing import Any

from attrs import NOTHING

from dynamo_bao.errors import UnknownFieldError, ValidationError, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.codec import IMMUTABLE, STATE
from dynamo_bao.mapping.compiler import NAMES, compiled, normalized_expr_of
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.session.state import Status, new_state, set_instance_dict
from dynamo_bao.session.tenancy import current_tenant

Constructor = Callable[..., None]
_COMPILED = "__bao_constructor__"


def constructor_of(model: Any) -> Constructor:
    """The constructor of exactly this class, compiled at its first use.

    It is the class's own ``__init__`` from then on, unless the class has another by its definition.
    """
    known: Constructor | None = model.__dict__.get(_COMPILED)
    if known is None:
        known = _compile(model, schema_of(model))
        setattr(model, _COMPILED, known)
        if getattr(model.__init__, "__bao_compiled__", False):
            model.__init__ = known
    return known


def _compile(model: type[Any], schema: Schema) -> Constructor:
    fields = list(schema.fields.values())
    names: dict[str, Any] = {
        **NAMES,
        "_NOTHING": NOTHING,
        "_model": model,
        "_slow_path": _slow_path,
        "_new_state": new_state,
        "_TRANSIENT": Status.TRANSIENT,
        "_tenant": current_tenant,
        "_give_values": set_instance_dict,
        "_converted": normalize_or_keep,
    }
    given = [f"v{number}" for number in range(len(fields))]
    unusual = f"return _slow_path(_model, self, ({', '.join(given)},), others)"
    lines = [f"def __init__(self, /, *, {', '.join(_parameters(fields, names))}, **others):"]
    lines += [f"    if others or type(self) is not _model: {unusual}"]
    lines += ["    state = _new_state(None, _TRANSIENT, _tenant(), None, None, None)"]
    for number, field in enumerate(fields):
        lines += _default_lines(field, number, schema, names, unusual)
        lines += _acceptance_lines(field, number, names, unusual)
    place = {name: number for number, name in enumerate(schema.key_names)}
    order = sorted(range(len(fields)), key=lambda number: place.get(fields[number].name, len(place)))
    values = ", ".join(f"{fields[number].name!r}: v{number}" for number in order)
    lines += [f"    _give_values(self, {{{STATE!r}: state, {values}}})"]
    if hasattr(model, "__attrs_post_init__"):  # attrs' own name for it, where a model has one
        lines += ["    self.__attrs_post_init__()"]
    made: Any = compiled("\n".join(lines), f"constructor of {schema.name}", names)["__init__"]
    made.__code__ = _rename_parameters(made.__code__, [field.name for field in fields])
    made.__kwdefaults__ = {fields[int(v[1:])].name: value for v, value in made.__kwdefaults__.items()}
    made.__qualname__, made.__module__ = f"{model.__qualname__}.__init__", model.__module__
    made.__bao_compiled__ = True
    constructor: Constructor = made
    return constructor


def _rename_parameters(code: CodeType, names: list[str]) -> CodeType:
    """The code with these names for its keyword arguments, which may be those of anything that it uses, as ``type``."""
    positional, rest = code.co_varnames[:1], code.co_varnames[1 + len(names) :]  # self; others, state
    (itself, *local) = [_free(name, names) for name in (*positional, *rest)]
    return code.replace(co_varnames=(itself, *names, *local))


def _free(name: str, taken: Container[str]) -> str:
    return _free(name + "_", taken) if name in taken else name


def _is_required(field: Field) -> bool:
    """Whether a value must be given, as far as that is known without asking for the first one."""
    return (
        type(field).default_value is Field.default_value and field.default is NOTHING and not field.nullable
    )


def _parameters(fields: Iterable[Field], names: dict[str, Any]) -> Iterable[str]:
    """The parameters: those whose first value is the same for every instance have it as their default."""
    for number, field in enumerate(fields):
        default = "_NOTHING"
        if type(field).default_value is Field.default_value and not _is_required(field):
            first = None if field.default is NOTHING else field.default
            if isinstance(first, (*IMMUTABLE, enum.Enum)) and not callable(first):
                names[f"first{number}"] = first
                default = f"first{number}"
        yield f"v{number}={default}"


def _default_lines(
    field: Field, number: int, schema: Schema, names: dict[str, Any], unusual: str
) -> list[str]:
    """Lines that give a field without a value the one it begins with."""
    if _is_required(field) or f"first{number}" in names:
        return []
    names[f"initial{number}"] = field.default_value
    lines = [f"        v{number} = initial{number}()", f"        if v{number} is _NOTHING: {unusual}"]
    if field.name in schema.key_names and getattr(field, "auto_assign", False):
        lines += [
            f"        state.generated_keys = {{**(state.generated_keys or {{}}), {field.name!r}: v{number}}}"
        ]
    return [f"    if v{number} is _NOTHING:", *lines]


def _acceptance_lines(field: Field, number: int, names: dict[str, Any], unusual: str) -> list[str]:
    """Lines that accept a value by a fast check, or let the field convert it. A missing value takes the slow path."""
    v = f"v{number}"
    names[f"field{number}"] = field
    convert, fine = [f"        {v} = _converted(field{number}, {v})"], normalized_expr_of(field, v)
    if _is_required(field):
        convert.insert(0, f"        if {v} is _NOTHING: {unusual}")
    if fine is None:
        return ["    if True:", *convert]
    if field.copy_expr == "{v}":
        return [f"    if not ({fine}):", *convert]
    own = field.copy_expr.format(v=v)
    if field.nullable:
        own = f"None if {v} is None else {own}"
    return [f"    if {fine}: {v} = {own}", "    else:", *convert]


def normalize_or_keep(field: Field, value: Any) -> Any:
    """A value in the form the field holds it; what cannot be is left for the save to refuse."""
    if value is None:
        return None
    try:
        return field.normalise(value)
    except ValueError:
        return value


def _slow_path(model: type[Any], instance: Any, values: tuple[Any, ...], others: dict[str, Any]) -> None:
    """Goes on where the constructor of `model` was called for a class below it, or with wrong arguments."""
    fields = schema_of(model).fields
    given = {name: value for name, value in zip(fields, values, strict=True) if value is not NOTHING}
    if type(instance) is model:
        raise constructor_error(schema_of(model), {**given, **others})
    constructor_of(type(instance))(instance, **given, **others)


def constructor_error(schema: Schema, given: dict[str, Any]) -> ValidationError:
    """The error for a constructor's arguments: a name that is no field, else every required field without a value."""
    for name, value in given.items():
        if name not in schema.fields:
            hint = suggestion(name, schema.fields)
            return UnknownFieldError(f"{schema.name} has no field {name!r}.{hint}", name, value)
    missing = [field for name, field in schema.fields.items() if name not in given]
    told = [
        field.error("is required; give it a value", None)
        for field in missing
        if field.default_value() is NOTHING
    ]
    return ValidationError.of(schema.name, told)
