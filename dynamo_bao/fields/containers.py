"""Maps and lists with or without typed contents, and union types inside documents."""

from __future__ import annotations

import copy
import typing
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import repeat
from typing import Any, Unpack

from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import ConfigurationError, QueryError, message_of
from dynamo_bao.fields.base import Field, FieldOptions, MemberFault, class_of_annotation, part_from_json
from dynamo_bao.fields.documents import AnythingField, DocumentField, check_depth, checked_name
from dynamo_bao.fields.inference import (
    CHOICES,
    KINDS,
    KINDS_INSIDE,
    ambiguous_union_text,
    field_inside,
    is_union,
    type_text,
)
from dynamo_bao.fields.json_forms import JsonForm
from dynamo_bao.fields.numeric import NUMBER_TYPES, IntegerField, NumberField
from dynamo_bao.fields.text import StringField


class TypedField(DocumentField):
    """Base of maps and lists, whose annotation may type their contents.

    Attributes:
        kinds: the annotations of such a container.
        element: the field of its parts; None if they may be anything.
    """

    needs_annotation = True
    kinds: tuple[Any, ...] = ()
    annotation: object = None
    scope: Mapping[str, object] | None = None
    element: Field | None = None

    def with_annotation(self, annotation: object, scope: Mapping[str, object] | None = None) -> Field:
        twin = copy.copy(self)
        twin.annotation, twin.scope = annotation, scope
        return twin

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> TypedField:
        twin: Any = super().bind(name, model, attribute, nullable=nullable)
        twin.set_element_types(twin.annotation, twin.scope or {})
        twin.scope = None
        if twin.parts():
            twin.decode_expr = twin._fast_decode_expr()
            twin.is_bounded = all(part.is_bounded for part in twin.parts())
            twin.may_fill = any(part.may_fill for part in twin.parts())
        return twin  # type: ignore[no-any-return]

    def _fast_decode_expr(self) -> str | None:
        """`decode_expr` for a container of only strings or only whole numbers; None for others."""
        return None

    def set_element_types(self, annotation: object, scope: Mapping[str, object]) -> None:
        """Creates the fields of the parts from the annotation."""
        raise NotImplementedError

    def fits(self, annotation: object) -> bool:
        return class_of_annotation(annotation) in (*self.kinds, Any, object)

    def part_field(self, annotation: object, scope: Mapping[str, object], part_name: str) -> Field:
        """The field of a part."""
        try:
            return field_inside(annotation, scope, self.numbers)
        except ConfigurationError as error:
            raise self.declaration_error(f"{part_name}: {message_of(error).removeprefix('.: ')}") from error

    def parts(self) -> Iterable[Field]:
        return () if self.element is None else (self.element,)

    def inside(self, step: str | int) -> Field | None:
        return self.element

    def fills(self, stored: AttributeValue) -> bool:
        contents = stored.get("L") or stored.get("M", {}).values()
        return any(part.fills(content) for part in self.parts() for content in contents)

    def validate(self, value: Any) -> None:
        if self.element is not None and not self.is_bounded and not self.is_part:
            check_depth(self.to_dynamo(value) or {})


def _is_plainly(element: Field | None, kind: type[Field]) -> bool:
    """Whether the field of the parts is exactly of this class and not optional."""
    return element is not None and type(element) is kind and not element.nullable


class MapField(TypedField):
    """A `dict` with `str` keys, stored as a native map. The annotation types its values: ``dict[str, Decimal]``.

    A save sends only the changed members, each by its path. Other stored members stay unchanged.

    Args:
        whole: True to treat the map as one unit. A save then sends the whole map, on condition that the stored map is
            still the one that was loaded.
        numbers: ``"decimal"`` to read all numbers as `Decimal`. By default whole numbers are `int`, and fractions are
            `float` if that is exact, else `Decimal`.

    Example:
        >>> fees: dict[str, Decimal] = MapField(default=dict)
    """

    python_types: tuple[type, ...] = (dict,)
    kinds: tuple[Any, ...] = (dict, abc.Mapping, abc.MutableMapping)
    code: str | None = "M"
    decode_expr: str | None = "_map({M})"
    key: Field | None = None

    def __init__(
        self, *, whole: bool = False, numbers: str = "auto", **options: Unpack[FieldOptions]
    ) -> None:
        super().__init__(numbers=numbers, **options)
        self.is_unit = whole

    def fits(self, annotation: object) -> bool:
        return super().fits(annotation) or typing.is_typeddict(annotation)

    def set_element_types(self, annotation: object, scope: Mapping[str, object]) -> None:
        key, element = (typing.get_args(annotation) or (str, Any))[:2]
        if key not in (str, Any, object):
            self.key = self.part_field(key, scope, "its keys")
            if not isinstance(self.key, StringField) or self.key.nullable:
                raise self.declaration_error(
                    f"its keys must be texts; write dict[str, …], not {type_text(annotation)}."
                )
        if self.key is not None or element not in (Any, object):
            self.element: Field | None = self.part_field(element, scope, "its values")

    def inside(self, step: str | int) -> Field | None:
        if self.key is not None:
            try:
                self.key.accept(step)
            except ValueError as error:
                raise QueryError(
                    f"{self.model}.{self.name} has no key {step!r}: {message_of(error)}", field=self.name
                ) from error
        return self.element

    def _fast_decode_expr(self) -> str | None:
        return "_named_texts({M})" if _is_plainly(self.element, StringField) else None

    def normalise(self, value: Any) -> Any:
        if not isinstance(value, dict):
            self.refuse_class(value, "dict")
        if self.element is None:
            return super().normalise(value)
        accept, accepted = self.element.accept, {}
        for name, part in tuple(value.items()):  # another thread may add members
            checked = checked_name(name if self.key is None else self.key.accept(name))
            try:
                accepted[checked] = accept(part)
            except ValueError as error:
                raise MemberFault.at(f".{checked}", error) from error
        return accepted

    def from_json(self, form: JsonForm) -> Any:
        if self.element is None or not isinstance(form, dict):
            return form
        return {name: part_from_json(self.element, f".{name}", part) for name, part in form.items()}

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        if self.element is None:
            return super().to_dynamo(value)
        store = self.element.store_part
        return {"M": {name: store(part) for name, part in value.items()}}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        content = stored["M"]
        if self.element is None:
            return super().from_dynamo(stored)
        read_part = self.element.read_part
        return {name: read_part(part) for name, part in content.items()}


class ListField(TypedField):
    """A `list`, stored as a native list. The annotation types its elements: ``list[Line]``, or ``tuple[int, …]``.

    A save sends the whole list, or only the new elements if elements were only appended.

    Example:
        >>> lines: list[Line] = ListField(default=list)
    """

    python_types: tuple[type, ...] = (list, tuple)
    kinds: tuple[Any, ...] = (list, tuple, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable)
    code: str | None = "L"
    decode_expr: str | None = "_list({L})"
    container: type[Any] = list
    positions: tuple[Field, ...] | None = None

    def set_element_types(self, annotation: object, scope: Mapping[str, object]) -> None:
        elements, kind = typing.get_args(annotation), class_of_annotation(annotation)
        if kind is tuple:
            self.container, self.decode_expr = tuple, None
            self.is_hashable: bool = True
            if elements and elements[-1] is not Ellipsis:
                self.positions = tuple(
                    self.part_field(element, scope, f"its element {number}")
                    for number, element in enumerate(elements)
                    if element != ()
                )
                return
        element = elements[0] if elements else Any
        if kind is tuple or element not in (Any, object):
            self.element: Field | None = self.part_field(element, scope, "its elements")

    def parts(self) -> Iterable[Field]:
        return super().parts() if self.positions is None else self.positions

    def inside(self, step: str | int) -> Field | None:
        if self.positions is None or not isinstance(step, int):
            return super().inside(step)
        if step >= len(self.positions):
            raise QueryError(
                f"{self.model}.{self.name} has {len(self.positions)} elements, so there is no position {step}.",
                field=self.name,
            )
        return self.positions[step]

    def _fast_decode_expr(self) -> str | None:
        if self.container is not list:
            return None
        if _is_plainly(self.element, StringField):
            return "_texts({L})"
        return "_integers({L})" if _is_plainly(self.element, IntegerField) else None

    def normalise(self, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            self.refuse_class(value, "tuple" if self.container is tuple else "list")
        if self.element is None and self.positions is None:
            return super().normalise(value)
        accepted: list[object] = []
        fields = self._fields(len(value))
        try:
            for field, part in zip(fields, value, strict=False):
                accepted.append(field.accept(part))
        except ValueError as error:
            raise MemberFault.at(f"[{len(accepted)}]", error) from error
        return accepted if self.container is list else tuple(accepted)

    def from_json(self, form: JsonForm) -> Any:
        if not isinstance(form, list) or (self.element is None and self.positions is None):
            return form
        fields = self._fields(len(form))
        return [
            part_from_json(field, f"[{number}]", part)
            for number, (field, part) in enumerate(zip(fields, form, strict=False))
        ]

    def _fields(self, length: int) -> Iterable[Field]:
        if self.positions is None:
            assert self.element is not None
            return repeat(self.element, length)
        if len(self.positions) != length:
            raise ValueError(f"has {length} elements, not {len(self.positions)}")
        return self.positions

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        if self.element is not None:
            store = self.element.store_part
            return {"L": [store(part) for part in value]}
        if self.positions is None:
            return super().to_dynamo(value)
        return {"L": [field.store_part(part) for field, part in zip(self.positions, value, strict=True)]}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        content = stored["L"]
        if self.element is not None:
            read_part = self.element.read_part
            values = [read_part(part) for part in content]
            return values if self.container is list else tuple(values)
        if self.positions is None:
            return super().from_dynamo(stored)
        fields = self._fields(len(content))
        return tuple(field.read_part(part) for field, part in zip(fields, content, strict=True))


def has_fixed_length(field: Field | None) -> bool:
    """Whether a field is a tuple of a fixed number of elements, such as ``tuple[int, str]``."""
    return isinstance(field, ListField) and field.positions is not None


class UnionField(Field):
    """A part of a document with a union type. The stored form decides which type is read."""

    can_be_key = False
    ordered = False
    is_bounded = False

    def __init__(self, annotation: object, **options: Unpack[FieldOptions]) -> None:
        super().__init__(**options)
        self.annotation = annotation
        self.scope: Mapping[str, object] = {}
        self.options: tuple[Field, ...] = ()

    def with_annotation(self, annotation: object, scope: Mapping[str, object] | None = None) -> Field:
        twin = copy.copy(self)
        twin.scope = scope or {}
        return twin

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> UnionField:
        twin = super().bind(name, model, attribute, nullable=nullable)
        types = list(typing.get_args(twin.annotation))
        if len(numbers := [option for option in types if option in NUMBER_TYPES]) > 1:
            types = [*(option for option in types if option not in numbers), typing.Union[tuple(numbers)]]
        twin.options = tuple(field_inside(option, twin.scope, twin.numbers) for option in types)
        twin.scope = {}
        twin.may_fill = any(option.may_fill for option in twin.options)
        codes = [option.code for option in twin.options]
        if any(code is None or (code != "M" and codes.count(code) > 1) for code in codes):
            raise twin.declaration_error(ambiguous_union_text(twin.annotation))
        return twin

    def parts(self) -> Iterable[Field]:
        return self.options

    def inside(self, step: str | int) -> Field | None:
        parts: list[Field | None] = []
        for option in self.options:
            with suppress(QueryError):  # of an option without such a part
                parts.append(option.inside(step))
        if not parts:
            raise QueryError(f"{type_text(self.annotation)} has no part {step!r}.", field=self.name or None)
        return parts[0] if len(parts) == 1 else None

    def fills(self, stored: AttributeValue) -> bool:
        return any(option.fills(stored) for option in self.options)

    def normalise(self, value: Any) -> Any:
        option, accepted = self._option_of(value)
        stored = option.store_part(accepted)
        if self.reader_of(stored) is not option:
            raise ValueError(
                "would be read back as another of its types; give each class its own Literal member"
            )
        return accepted

    def _option_of(self, value: Any) -> tuple[Field, object]:
        """The option that accepts a value, preferably unchanged, and the accepted value."""
        matches, faults = [], []
        for option in self.options:
            try:
                matches.append((option, option.accept(value)))
            except ValueError as error:
                faults.append(error)
        if not matches:
            raise faults[0] if len(faults) == 1 else ValueError(f"is no {type_text(self.annotation)}")
        return next(
            ((option, accepted) for option, accepted in matches if type(accepted) is type(value)), matches[0]
        )

    def from_json(self, form: JsonForm) -> Any:
        faults = []
        for option in self.options:
            try:
                return option.accept(option.from_json(form))
            except ValueError as error:
                faults.append(error)
        raise faults[0] if len(faults) == 1 else ValueError(f"is no {type_text(self.annotation)}")

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        option, accepted = self._option_of(value)
        return option.to_dynamo(accepted)

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return self.reader_of(stored).from_dynamo(stored)

    def reader_of(self, stored: AttributeValue) -> Field:
        """The field of the type that a stored form is read as.

        Args:
            stored: the stored form in DynamoDB's typed JSON.

        Returns:
            One of the `options`.

        Raises:
            ValueError: if it is of none of the types.
        """
        readers = []
        # A set that is empty or has mixed members is stored with another code than its usual one.
        for option in sorted(self.options, key=lambda option: option.code not in stored):
            try:
                option.from_dynamo(stored)
            except Exception:  # noqa: S112  # try the next option
                continue
            if option.has_own_literals(stored):
                return option
            readers.append(option)
        if not readers:
            raise ValueError(f"does not hold a {type_text(self.annotation)}")
        return readers[0]


def _container(annotation: object, inside: bool) -> Callable[..., Field] | None:
    kind = class_of_annotation(annotation)
    if is_union(annotation) and inside:
        types = typing.get_args(annotation)
        return partial(NumberField if set(types) <= NUMBER_TYPES else UnionField, annotation)
    return next((field for field in (MapField, ListField) if kind in field.kinds), None)


KINDS.update({dict: MapField, list: ListField})
KINDS_INSIDE.update({Any: AnythingField, object: AnythingField})
CHOICES.append(_container)
