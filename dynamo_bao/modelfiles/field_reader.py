"""Reads one field of a model file into its description."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from dynamo_bao.errors import suggestion
from dynamo_bao.fields.numeric import DecimalField
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.mapping.definition import argument_names, camel_case
from dynamo_bao.modelfiles.description import FieldDescription
from dynamo_bao.modelfiles.field_types import VALUE_DESCRIPTIONS, FieldType, is_flag, is_text
from dynamo_bao.modelfiles.naming import is_name, python_name, snake_case, stored_name
from dynamo_bao.modelfiles.section import Section
from dynamo_bao.models.registry import models as defined_models

EXAMPLE = "{type: StringField, required: true}"
_COMMON = ("type", "required", "defaultValue", "doc", "readOnly")
_NEEDS_A_CLASS = ("EnumField", "NestedField")


def field_of(
    section: Section,
    stored: str,
    *,
    kinds: Mapping[str, FieldType],
    models: Collection[str],
    reserved: Collection[str],
    default_type: str | None,
    in_key: bool,
) -> FieldDescription:
    """The description of one field.

    Args:
        section: the mapping of the field.
        stored: the name of the field in the file.
        kinds: the available field types by name.
        models: the names of all models.
        reserved: names that a field cannot have in Python.
        default_type: the type of a field without ``type``; None if each field needs one.
        in_key: whether the field is part of the primary key. Such a field is never None.

    Raises:
        ModelFileError: for an unknown type, an unknown option, or a wrong value of an option.
    """
    if not is_name(stored):
        raise section.fault("is not a valid Python name; use letters, digits and _, beginning with a letter.")
    kind = _kind(section, kinds, default_type)
    required = section.checked("required", is_flag, VALUE_DESCRIPTIONS[is_flag])
    options, target = _options(section, kind), None
    if issubclass(kind.field, RelatedField):
        target = section.text("model", "model: <the other model's name>")
        if target not in models:
            raise section.fault(_no_target(target, models), "model")
    is_optional = not in_key and _is_optional(kind, options, required)
    options.update(_emptiness(kind, options, required, is_optional))
    name = python_name(stored, {*reserved, *argument_names(kind.field)})
    options.update(_attribute(section, kind, stored_name(stored, name)))
    return FieldDescription(name, stored, kind, options, target, is_optional, section.node.line)


def _no_target(target: str, models: Collection[str]) -> str:
    """The text of the error about a relation to an unknown model."""
    if any(model.__bao_name__ == target for model in defined_models()):
        return (
            f"relates to {target!r}, which is a model of the program and not of these files; define it in these files, "
            f"or keep its id in a StringField."
        )
    return f"relates to {target!r}, which is not a model.{suggestion(target, models)}"


def _kind(section: Section, kinds: Mapping[str, FieldType], default_type: str | None) -> FieldType:
    if "type" not in section and default_type is not None:
        return kinds[default_type]
    name = section.text("type", "type: StringField, or another type")
    if name in kinds:
        return kinds[name]
    if name in _NEEDS_A_CLASS:
        raise section.fault(
            f"has the type {name}, which needs a class of your program; write your own field class, or use "
            f"a StringField with choices.",
            "type",
        )
    hint = "" if any(kind.file for kind in kinds.values()) else " Your own field classes need fields_dir."
    raise section.fault(f"has the unknown field type {name!r}.{suggestion(name, kinds)}{hint}", "type")


def _options(section: Section, kind: FieldType) -> dict[str, object]:
    """The options in the file, by the Python name of the argument."""
    argument_of = {camel_case(name): name for name in kind.options}
    common = [name for name in _COMMON if _takes(kind, name)]
    section.check_keys((*common, *argument_of), f"option of a {kind.name}")
    options: dict[str, Any] = {}
    for key, name in argument_of.items():
        if key in section and key != "model":
            check = kind.options[name]
            options[name] = section.checked(key, check, VALUE_DESCRIPTIONS[check])
    default = _default(section, kind) if "defaultValue" in section else None
    if default is not None:
        options["default"] = default
    if "doc" in section:
        options["doc"] = section.checked("doc", is_text, VALUE_DESCRIPTIONS[is_text])
    if "readOnly" in section:
        options["read_only"] = section.checked("readOnly", is_flag, VALUE_DESCRIPTIONS[is_flag])
    return options


def _takes(kind: FieldType, key: str) -> bool:
    if key == "defaultValue":
        return kind.has_default
    return key in ("type", "required") or snake_case(key) in kind.takes


def _default(section: Section, kind: FieldType) -> object:
    value = section.entries()["defaultValue"].plain()
    if issubclass(kind.field, DecimalField) and isinstance(value, (int, float, str)):
        try:
            return Decimal(str(value))
        except InvalidOperation:
            raise section.fault(f"has defaultValue: {value!r}; give a number.", "defaultValue") from None
    return value


def _is_optional(kind: FieldType, options: Mapping[str, object], required: bool | None) -> bool:
    """Whether a field may be None: JavaScript does not require it, and nothing else gives it a value."""
    if kind.fills_itself or kind.is_set or options.get("auto_assign"):
        return False
    return required is not True and not (kind.keeps_default and "default" in options)


def _emptiness(
    kind: FieldType, options: Mapping[str, object], required: bool | None, is_optional: bool
) -> dict[str, Any]:
    """The arguments of the declaration that decide about missing values."""
    arguments: dict[str, object] = {}
    if is_optional and "default" not in options and not kind.starts_empty:
        arguments["default"] = None
    if required is True and kind.starts_empty:
        arguments["required"] = True
    return {name: value for name, value in arguments.items() if name in kind.takes}


def _attribute(section: Section, kind: FieldType, attribute: str | None) -> dict[str, str]:
    if attribute is None:
        return {}
    if "attribute" not in kind.takes:
        raise section.fault(
            f"has different names in Python and in the table, so the constructor of {kind.name} must accept "
            f"attribute=; add **options to it and pass them to super().__init__()."
        )
    return {"attribute": attribute}
