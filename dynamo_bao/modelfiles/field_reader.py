"""From a mapping of a file to the description of one field."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from dynamo_bao.errors import suggestion
from dynamo_bao.fields.numeric import DecimalField
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.mapping.definition import argument_names, camel_case
from dynamo_bao.modelfiles.description import FieldDescription
from dynamo_bao.modelfiles.field_types import WANTED, FieldType, is_flag, is_text
from dynamo_bao.modelfiles.naming import is_name, python_name, stored_name
from dynamo_bao.modelfiles.section import Section
from dynamo_bao.models.registry import models as defined_models

EXAMPLE = "{type: StringField, required: true}"
_COMMON = ("type", "required", "defaultValue", "doc")
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
        section: its mapping.
        stored: its name in the file.
        kinds: the kinds there are, by name.
        models: the models there are, by name.
        reserved: names that fields of models cannot have in Python.
        default_type: the type where none is given.
        in_key: whether it is part of the primary key, so that it is never None.

    Raises:
        ModelFileError: for an unknown type or option, or a wrong value of one.
    """
    if not is_name(stored):
        raise section.fault(
            "has a name that is none in Python; letters, digits and _ are, with a letter first."
        )
    kind = _kind(section, kinds, default_type)
    required = section.checked("required", is_flag, WANTED[is_flag])
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
    """Why a relation leads nowhere, and the way out."""
    if any(model.__bao_name__ == target for model in defined_models()):
        return (
            f"relates to {target!r}, which is a model of the program, and none of these files; define it in them, or "
            f"keep its id in a StringField."
        )
    return f"relates to {target!r}, which is no model.{suggestion(target, models)}"


def _kind(section: Section, kinds: Mapping[str, FieldType], default_type: str | None) -> FieldType:
    if "type" not in section and default_type is not None:
        return kinds[default_type]
    name = section.text("type", "type: StringField, or another type")
    if name in kinds:
        return kinds[name]
    if name in _NEEDS_A_CLASS:
        raise section.fault(
            f"has the type {name}, which needs a class of your program; make a field class of your own, or "
            f"a StringField with choices.",
            "type",
        )
    own = "" if any(kind.file for kind in kinds.values()) else " Field classes of your own need fields_dir."
    raise section.fault(f"has the type {name!r}, which there is not.{suggestion(name, kinds)}{own}", "type")


def _options(section: Section, kind: FieldType) -> dict[str, Any]:
    """The arguments that the file gives, by Python name."""
    own = {camel_case(name): name for name in kind.options}
    common = [name for name in _COMMON if name not in ("defaultValue", "doc") or _takes(kind, name)]
    section.know((*common, *own), f"option of a {kind.name}")
    options: dict[str, Any] = {}
    for key, name in own.items():
        if key in section and key != "model":
            check = kind.options[name]
            options[name] = section.checked(key, check, WANTED[check])
    default = _default(section, kind) if "defaultValue" in section else None
    if default is not None:
        options["default"] = default
    if "doc" in section:
        options["doc"] = section.checked("doc", is_text, WANTED[is_text])
    return options


def _takes(kind: FieldType, key: str) -> bool:
    return kind.has_default if key == "defaultValue" else key in kind.takes


def _default(section: Section, kind: FieldType) -> Any:
    value = section.entries()["defaultValue"].plain()
    if issubclass(kind.field, DecimalField) and isinstance(value, (int, float, str)):
        try:
            return Decimal(str(value))
        except InvalidOperation:
            raise section.fault(f"has defaultValue: {value!r}; give a number.", "defaultValue") from None
    return value


def _is_optional(kind: FieldType, options: Mapping[str, Any], required: bool | None) -> bool:
    """Whether a field may be None: those that JavaScript does not require, unless they have a value anyway."""
    if kind.fills_itself or kind.is_set or options.get("auto_assign"):
        return False
    return required is not True and not (kind.keeps_default and "default" in options)


def _emptiness(
    kind: FieldType, options: Mapping[str, Any], required: bool | None, is_optional: bool
) -> dict[str, Any]:
    """What the declaration has to say about missing values."""
    said: dict[str, Any] = {}
    if is_optional and "default" not in options and not kind.starts_empty:
        said["default"] = None
    if required is True and kind.starts_empty:
        said["required"] = True
    return {name: value for name, value in said.items() if name in kind.takes}


def _attribute(section: Section, kind: FieldType, attribute: str | None) -> dict[str, str]:
    if attribute is None:
        return {}
    if "attribute" not in kind.takes:
        raise section.fault(
            f"needs another name in Python than in the table, so the constructor of {kind.name} has to take "
            f"attribute=; give it **options and hand them on."
        )
    return {"attribute": attribute}
