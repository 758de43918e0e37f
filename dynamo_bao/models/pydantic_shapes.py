"""The shapes of fields for pydantic: the JSON forms of their values, with the rules of each field.

A shape only describes. pydantic makes JSON schemas of it, while fields check and convert the values themselves.
Bodies ("validation") and answers ("serialization") have the same shapes; where their JSON schemas differ, the mode
decides. This module needs pydantic; `pydantic_schema` imports it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from pydantic_core import core_schema

from dynamo_bao.fields.base import Field
from dynamo_bao.fields.calendar import DateField, DurationField, TimeField
from dynamo_bao.fields.containers import ListField, MapField, UnionField
from dynamo_bao.fields.datetimes import BaseDateTimeField
from dynamo_bao.fields.inference import type_text
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.fields.numeric import DecimalField, FloatField, IntegerField, NumberField
from dynamo_bao.fields.scalars import BinaryField, BooleanField, EnumField
from dynamo_bao.fields.sets import NumberSetField, SetField, StringSetField
from dynamo_bao.fields.text import StringField, UlidField, UuidField
from dynamo_bao.runtime.records import NOTHING

CoreSchema = core_schema.CoreSchema
JsonSchema = dict[str, Any]
_ULID_PATTERN: Final = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_ONLY_IN_PYTHON: Final = re.compile(r"\(\?(?![:=!]|<[=!])|\\[AZ]")
_DECIMAL: Final[JsonSchema] = {"type": "string", "format": "decimal"}
_NUMBER: Final[JsonSchema] = {"anyOf": [{"type": "number"}, _DECIMAL]}


def needs_value(field: Field) -> bool:
    """Whether a new instance has no value of the field unless it is given one."""
    return not callable(field.default) and field.default_value() is NOTHING


def noted(schema: CoreSchema, notes: JsonSchema, of_body: JsonSchema | None = None) -> CoreSchema:
    """A schema with further members in its JSON schema.

    Args:
        notes: the members.
        of_body: members that only the schema of a body has.
    """

    def json_schema(inner_schema: Any, handler: Any) -> JsonSchema:
        return {**handler(inner_schema), **notes, **((of_body or {}) if _is_body(handler) else {})}

    return _changed(schema, json_schema)


def _is_body(handler: Any) -> bool:
    return bool(handler.mode == "validation")


def _changed(schema: CoreSchema, json_schema: Callable[[Any, Any], JsonSchema]) -> CoreSchema:
    """A schema whose JSON schema is made by a function, from that of the schema itself."""
    metadata: dict[str, Any] = schema.get("metadata") or {}
    functions = [*metadata.get("pydantic_js_functions", ()), json_schema]
    changed: Any = {**schema, "metadata": {**metadata, "pydantic_js_functions": functions}}
    return changed  # type: ignore[no-any-return]


def with_required(schema: CoreSchema, needed: Sequence[str]) -> CoreSchema:
    """The schema of an object: a body has to give some members and no unknown ones, an answer has them all."""

    def json_schema(inner_schema: Any, handler: Any) -> JsonSchema:
        reference = handler(inner_schema)
        body: JsonSchema = handler.resolve_ref_schema(reference)
        required = needed if _is_body(handler) else list(body.get("properties", ()))
        for name in ("required", "additionalProperties"):
            body.pop(name, None)
        if required:
            body["required"] = list(required)
        if _is_body(handler):
            body["additionalProperties"] = False
        return reference  # type: ignore[no-any-return]

    return _changed(schema, json_schema)


def title_and_doc(name: str, cls: type[object]) -> JsonSchema:
    """The name of a class, and what its docstring says. The docstring that a dataclass writes itself says nothing."""
    doc: str = vars(cls).get("__doc__") or ""
    is_written = doc and not doc.startswith(f"{cls.__name__}(")
    return {"title": name, **({"description": inspect.cleandoc(doc)} if is_written else {})}


class Shapes:
    """Makes the shapes of the fields of one model.

    Attributes:
        definitions: the shapes of nested classes by reference.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, CoreSchema] = {}

    def of_member(self, field: Field) -> CoreSchema:
        """The shape of a field of the model, with its meaning, its default, and whether it is read-only."""
        notes: JsonSchema = {"description": field.doc} if field.doc else {}
        default: JsonSchema = {}
        if field.is_read_only:
            notes["readOnly"] = True
        elif field.default is not NOTHING and not callable(field.default):
            default["default"] = None if field.default is None else field.to_json(field.default)
        return noted(self.of(field), notes, default) if notes or default else self.of(field)

    def of(self, field: Field) -> CoreSchema:
        """The shape of the values of a field."""
        make = next((_SHAPES[base] for base in type(field).__mro__ if base in _SHAPES), None)
        if make is None:
            return core_schema.any_schema()
        shape = make(self, field)
        return core_schema.nullable_schema(shape) if field.nullable else shape

    def text(self, field: StringField) -> CoreSchema:
        """A text with its rules."""
        pattern = None if field.pattern is None else _json_pattern(field.pattern)
        choices = None if field.choices is None else list(field.choices)
        return _text(minLength=field.min_length, maxLength=field.max_length, pattern=pattern, enum=choices)

    def integer(self, field: IntegerField) -> CoreSchema:
        """A whole number with its bounds."""
        choices = None if field.choices is None else list(field.choices)
        return _described(type="integer", minimum=field.minimum, maximum=field.maximum, enum=choices)

    def decimal(self, field: Field) -> CoreSchema:
        """A `Decimal`: a text, or in a body also a number."""

        def json_schema(_: object, handler: object) -> JsonSchema:
            return _NUMBER if _is_body(handler) else _DECIMAL

        return _changed(core_schema.any_schema(), json_schema)

    def number(self, field: NumberField) -> CoreSchema:
        """A number of a union of types."""
        return _described(**_NUMBER) if Decimal in field.types else _described(type="number")

    def enum(self, field: EnumField) -> CoreSchema:
        """One of the values of an enumeration."""
        assert field.enum_type is not None
        values = [member.value for member in field.enum_type]
        return _described(type="integer" if field.numeric else "string", enum=values)

    def set(self, field: SetField) -> CoreSchema:
        """A list of distinct members."""
        if isinstance(field, StringSetField):
            member = _text(maxLength=field.max_string_length)
        elif isinstance(field, NumberSetField) and field.element is None:
            member = _described(**_NUMBER)
        else:
            assert field.element is not None
            member = self.of(field.element)
        notes = _present(uniqueItems=True, maxItems=field.max_member_count)
        return noted(core_schema.list_schema(member), notes)

    def list(self, field: ListField) -> CoreSchema:
        """A list, with the shapes of its elements."""
        if field.positions is not None:
            return core_schema.tuple_schema(list(map(self.of, field.positions)))
        return core_schema.list_schema(None if field.element is None else self.of(field.element))

    def map(self, field: MapField) -> CoreSchema:
        """An object with any names."""
        if field.element is None:
            return _described(type="object", additionalProperties=True)
        return core_schema.dict_schema(core_schema.str_schema(), self.of(field.element))

    def union(self, field: UnionField) -> CoreSchema:
        """One of several shapes."""
        return core_schema.union_schema(list(map(self.of, field.options)))

    def nested(self, field: NestedField) -> CoreSchema:
        """A reference to the shape of a nested class, which may contain itself."""
        record, name = field.record, type_text(field.cls)
        ref = f"{record.__module__}.{name}:{id(record)}"
        if ref not in self.definitions:
            self.definitions[ref] = core_schema.any_schema()  # while its members are described
            self.definitions[ref] = self._record(field, name, ref)
        return core_schema.definition_reference_schema(ref)

    def _record(self, field: NestedField, name: str, ref: str) -> CoreSchema:
        members = {
            member_name: core_schema.typed_dict_field(self.of(member.field))
            for member_name, member in field.members.items()
        }
        needed = [member_name for member_name, member in field.members.items() if member.is_required]
        shape = with_required(core_schema.typed_dict_schema(members, ref=ref), needed)
        return noted(shape, title_and_doc(name, field.record))


def _json_pattern(pattern: re.Pattern[str]) -> str | None:
    """The pattern in the dialect of JSON schemas; None if it has what that has not."""
    return None if _ONLY_IN_PYTHON.search(pattern.pattern) else f"^(?:{pattern.pattern})$"


def _present(**members: object) -> JsonSchema:
    return {name: value for name, value in members.items() if value is not None}


def _described(**members: object) -> CoreSchema:
    return noted(core_schema.any_schema(), _present(**members))


def _text(**members: object) -> CoreSchema:
    return _described(type="string", **members)


def _fixed(**members: object) -> Callable[[Shapes, Any], CoreSchema]:
    """A shape that is the same for every field of a kind."""
    return lambda shapes, field: _described(**members)


_SHAPES: Final[dict[type[object], Callable[[Shapes, Any], CoreSchema]]] = {
    StringField: Shapes.text,
    UlidField: _fixed(type="string", pattern=_ULID_PATTERN),
    UuidField: _fixed(type="string", format="uuid"),
    IntegerField: Shapes.integer,
    FloatField: _fixed(type="number"),
    DecimalField: Shapes.decimal,
    NumberField: Shapes.number,
    BooleanField: _fixed(type="boolean"),
    BinaryField: _fixed(type="string", contentEncoding="base64"),
    BaseDateTimeField: _fixed(type="string", format="date-time"),
    DateField: _fixed(type="string", format="date"),
    TimeField: _fixed(type="string", format="time"),
    DurationField: _fixed(type="string", format="duration"),
    EnumField: Shapes.enum,
    SetField: Shapes.set,
    ListField: Shapes.list,
    MapField: Shapes.map,
    UnionField: Shapes.union,
    NestedField: Shapes.nested,
}
"""The shape of each kind of field. A subclass has that of its nearest base here; any other field can be anything."""
