"""The constructor of a model, compiled from its fields, with one keyword argument for each.

A value that fails the fast check is converted by its field. Unknown and missing arguments raise the error of
`constructor_error`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Container, Iterable, Mapping
from types import CodeType
from typing import Any

from dynamo_bao.errors import UnknownFieldError, ValidationError, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.codec import IMMUTABLE, STATE
from dynamo_bao.mapping.compiler import NAMES, compiled, normalized_expr_of
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.runtime.records import NOTHING
from dynamo_bao.session.state import Instance, Status, new_state, set_instance_dict
from dynamo_bao.session.tenancy import current_tenant

Constructor = Callable[..., None]
_COMPILED = "__bao_constructor__"


def constructor_of(model: Any) -> Constructor:
    """The constructor of exactly this class, compiled at its first use.

    From then on, it is the ``__init__`` of the class, unless the class defines one itself.
    """
    constructor: Constructor | None = model.__dict__.get(_COMPILED)
    if constructor is None:
        constructor = _compile(model, schema_of(model))
        setattr(model, _COMPILED, constructor)
        if getattr(model.__init__, "__bao_compiled__", False):
            model.__init__ = constructor
    return constructor


def _compile(model: type[Instance], schema: Schema) -> Constructor:
    fields = list(schema.fields.values())
    names: dict[str, object] = {
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
    variables = [f"v{number}" for number in range(len(fields))]
    slow_path_line = f"return _slow_path(_model, self, ({', '.join(variables)},), others)"
    lines = [f"def __init__(self, /, *, {', '.join(_parameters(fields, names))}, **others):"]
    lines += [f"    if others or type(self) is not _model: {slow_path_line}"]
    lines += ["    state = _new_state(None, _TRANSIENT, _tenant(), None, None, None)"]
    for number, field in enumerate(fields):
        lines += _default_lines(field, number, schema, names, slow_path_line)
        lines += _acceptance_lines(field, number, names, slow_path_line)
    positions = {name: number for number, name in enumerate(schema.key_names)}
    order = sorted(range(len(fields)), key=lambda number: positions.get(fields[number].name, len(positions)))
    values = ", ".join(f"{fields[number].name!r}: v{number}" for number in order)
    lines += [f"    _give_values(self, {{{STATE!r}: state, {values}}})"]
    if hasattr(model, "__attrs_post_init__"):  # a model may define it, as in attrs
        lines += ["    self.__attrs_post_init__()"]
    function: Any = compiled("\n".join(lines), f"constructor of {schema.name}", names)["__init__"]
    function.__code__ = _rename_parameters(function.__code__, [field.name for field in fields])
    function.__kwdefaults__ = {fields[int(v[1:])].name: value for v, value in function.__kwdefaults__.items()}
    function.__qualname__, function.__module__ = f"{model.__qualname__}.__init__", model.__module__
    function.__bao_compiled__ = True
    constructor: Constructor = function
    return constructor


def _rename_parameters(code: CodeType, names: list[str]) -> CodeType:
    """The code with these names for its keyword arguments. A name may be one that the code uses, such as ``type``."""
    positional, other_names = code.co_varnames[:1], code.co_varnames[1 + len(names) :]  # self; others, state
    (self_name, *local_names) = [_unused_name(name, names) for name in (*positional, *other_names)]
    return code.replace(co_varnames=(self_name, *names, *local_names))


def _unused_name(name: str, names: Container[str]) -> str:
    return _unused_name(name + "_", names) if name in names else name


def _is_required(field: Field) -> bool:
    """Whether a value is required, without a call of the default's function."""
    return (
        type(field).default_value is Field.default_value and field.default is NOTHING and not field.nullable
    )


def _parameters(fields: Iterable[Field], names: dict[str, object]) -> Iterable[str]:
    """The parameters. A parameter has a default if that is the same for every instance."""
    for number, field in enumerate(fields):
        default = "_NOTHING"
        if type(field).default_value is Field.default_value and not _is_required(field):
            default_value = None if field.default is NOTHING else field.default
            if isinstance(default_value, (*IMMUTABLE, enum.Enum)) and not callable(default_value):
                names[f"first{number}"] = default_value
                default = f"first{number}"
        yield f"v{number}={default}"


def _default_lines(
    field: Field, number: int, schema: Schema, names: dict[str, object], slow_path_line: str
) -> list[str]:
    """Lines that give a field its default if it has no value."""
    if _is_required(field) or f"first{number}" in names:
        return []
    names[f"initial{number}"] = field.default_value
    lines = [f"        v{number} = initial{number}()", f"        if v{number} is _NOTHING: {slow_path_line}"]
    if field.name in schema.key_names and getattr(field, "auto_assign", False):
        lines += [
            f"        state.generated_keys = {{**(state.generated_keys or {{}}), {field.name!r}: v{number}}}"
        ]
    return [f"    if v{number} is _NOTHING:", *lines]


def _acceptance_lines(field: Field, number: int, names: dict[str, object], slow_path_line: str) -> list[str]:
    """Lines that accept a value by a fast check, or let the field convert it. A missing value takes the slow path."""
    v = f"v{number}"
    names[f"field{number}"] = field
    convert, check = [f"        {v} = _converted(field{number}, {v})"], normalized_expr_of(field, v)
    if _is_required(field):
        convert.insert(0, f"        if {v} is _NOTHING: {slow_path_line}")
    if check is None:
        return ["    if True:", *convert]
    if field.copy_expr == "{v}":
        return [f"    if not ({check}):", *convert]
    copy = field.copy_expr.format(v=v)
    if field.nullable:
        copy = f"None if {v} is None else {copy}"
    return [f"    if {check}: {v} = {copy}", "    else:", *convert]


def normalize_or_keep(field: Field, value: object) -> Any:
    """A value in the form of its field. If it cannot be converted, it stays as it is, and the save refuses it.

    None is a form of an optional field. Other fields may have a value for it: a set takes it as the empty set.
    """
    if value is None and field.nullable:
        return None
    try:
        return field.accept(None) if value is None else field.normalise(value)
    except ValueError:
        return value


def _slow_path(
    model: type[Instance], instance: Any, values: tuple[object, ...], further_values: Mapping[str, object]
) -> None:
    """Continues a constructor that was called for a subclass of `model`, or with wrong arguments."""
    fields = schema_of(model).fields
    all_values = {name: value for name, value in zip(fields, values, strict=True) if value is not NOTHING}
    if type(instance) is model:
        raise constructor_error(schema_of(model), {**all_values, **further_values})
    constructor_of(type(instance))(instance, **all_values, **further_values)


def constructor_error(schema: Schema, arguments: Mapping[str, object]) -> ValidationError:
    """The error for wrong arguments: a name that is not a field, else all required fields without a value."""
    for name, value in arguments.items():
        if name not in schema.fields:
            hint = suggestion(name, schema.fields)
            return UnknownFieldError(f"{schema.name} has no field {name!r}.{hint}", name, value)
    missing_fields = [field for name, field in schema.fields.items() if name not in arguments]
    errors = [
        field.error("is required; give it a value", None)
        for field in missing_fields
        if field.default_value() is NOTHING
    ]
    return ValidationError.of(schema.name, errors)
