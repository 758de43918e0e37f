"""Maps and lists, of anything or of what their annotation says, and values of one of several types."""

from __future__ import annotations

import copy
import typing
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import repeat
from typing import Any

from dynamo_bao._compat import Unpack
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import ConfigurationError
from dynamo_bao.fields.base import Field, FieldOptions, MemberFault, class_of_annotation
from dynamo_bao.fields.documents import AnythingField, DocumentField, check_depth, checked_name
from dynamo_bao.fields.inference import (
    CHOICES,
    KINDS,
    KINDS_INSIDE,
    field_inside,
    is_union,
    shown,
    union_refusal,
)
from dynamo_bao.fields.numeric import NUMBER_TYPES, IntegerField, NumberField
from dynamo_bao.fields.text import StringField


class TypedField(DocumentField):
    """What maps and lists have in common: their annotation may say what is inside.

    Attributes:
        kinds: the annotations that say such a container.
        element: the field of what is inside; None for anything.
    """

    needs_annotation = True
    kinds: tuple[Any, ...] = ()
    annotation: Any = None
    scope: Mapping[str, Any] | None = None
    element: Field | None = None

    def with_annotation(self, annotation: Any, scope: Mapping[str, Any] | None = None) -> Field:
        twin = copy.copy(self)
        twin.annotation, twin.scope = annotation, scope
        return twin

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> TypedField:
        twin: Any = super().bind(name, model, attribute, nullable=nullable)
        twin.take_types(twin.annotation, twin.scope or {})
        twin.scope = None
        if twin.parts():
            twin.decode_expr = twin.short_source()
            twin.is_bounded = all(part.is_bounded for part in twin.parts())
            twin.may_fill = any(part.may_fill for part in twin.parts())
        return twin  # type: ignore[no-any-return]

    def short_source(self) -> str | None:
        """`decode_expr` for parts that are all plain texts or whole numbers; None for others."""
        return None

    def take_types(self, annotation: Any, scope: Mapping[str, Any]) -> None:
        """Makes the fields of the parts that an annotation promises."""
        raise NotImplementedError

    def fits(self, annotation: Any) -> bool:
        return class_of_annotation(annotation) in (*self.kinds, Any, object)

    def part_field(self, annotation: Any, scope: Mapping[str, Any], what: str) -> Field:
        """The field of a part."""
        try:
            return field_inside(annotation, scope, self.numbers)
        except ConfigurationError as error:
            raise self.declaration_error(f"{what}: {str(error).removeprefix('.: ')}") from error

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
    """Whether the parts are of just this kind, and never None."""
    return type(element) is kind and not element.nullable


class MapField(TypedField):
    """A `dict` with `str` keys, stored as a native map; the annotation says of what: ``dict[str, Decimal]``.

    A save sends the members that changed, each by its path, and leaves all others as they are stored.

    Args:
        whole: whether the map is one unit: a save sends all of it, on condition that it is stored as it was loaded.
        numbers: ``"decimal"`` for numbers that are always `Decimal`; by default whole ones are `int`, fractions are
            `float` where that is exact, and `Decimal` elsewhere.
    """

    python_types: tuple[type, ...] = (dict,)
    kinds = (dict, abc.Mapping, abc.MutableMapping)
    code = "M"
    decode_expr = "_map({M})"
    key: Field | None = None

    def __init__(
        self, *, whole: bool = False, numbers: str = "auto", **options: Unpack[FieldOptions]
    ) -> None:
        super().__init__(numbers=numbers, **options)
        self.is_unit = whole

    def fits(self, annotation: Any) -> bool:
        return super().fits(annotation) or typing.is_typeddict(annotation)

    def take_types(self, annotation: Any, scope: Mapping[str, Any]) -> None:
        key, element = (typing.get_args(annotation) or (str, Any))[:2]
        if key not in (str, Any, object):
            self.key = self.part_field(key, scope, "its keys")
            if not isinstance(self.key, StringField) or self.key.nullable:
                raise self.declaration_error(
                    f"its keys must be texts; write dict[str, …], not {shown(annotation)}."
                )
        if self.key is not None or element not in (Any, object):
            self.element = self.part_field(element, scope, "its values")

    def short_source(self) -> str | None:
        return "_named_texts({M})" if _is_plainly(self.element, StringField) else None

    def normalise(self, value: Any) -> Any:
        if not isinstance(value, dict):
            self.refuse_class(value, "dict")
        if self.element is None:
            return super().normalise(value)
        accept, made = self.element.accept, {}
        for name, part in value.items():
            checked = checked_name(name if self.key is None else self.key.accept(name))
            try:
                made[checked] = accept(part)
            except ValueError as error:
                raise MemberFault.at(f".{checked}", error) from error
        return made

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        if self.element is None:
            return super().to_dynamo(value)
        store = self.element.store_part
        return {"M": {name: store(part) for name, part in value.items()}}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        content = stored["M"]
        if self.element is None:
            return super().from_dynamo(stored)
        read = self.element.read_part
        return {name: read(part) for name, part in content.items()}


class ListField(TypedField):
    """A `list`, stored as a native list; the annotation says of what: ``list[Line]``, also ``tuple[int, …]``.

    A save sends all of it; of one that was only appended to, the new members.
    """

    python_types = (list, tuple)
    kinds = (list, tuple, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable)
    code = "L"
    decode_expr: str | None = "_list({L})"
    container: type[Any] = list
    places: tuple[Field, ...] | None = None

    def take_types(self, annotation: Any, scope: Mapping[str, Any]) -> None:
        elements, kind = typing.get_args(annotation), class_of_annotation(annotation)
        if kind is tuple:
            self.container, self.decode_expr, self.is_hashable = tuple, None, True
            if elements and elements[-1] is not Ellipsis:
                self.places = tuple(
                    self.part_field(element, scope, f"its element {number}")
                    for number, element in enumerate(elements)
                    if element != ()
                )
                return
        element = elements[0] if elements else Any
        if kind is tuple or element not in (Any, object):
            self.element = self.part_field(element, scope, "its elements")

    def parts(self) -> Iterable[Field]:
        return super().parts() if self.places is None else self.places

    def inside(self, step: str | int) -> Field | None:
        if self.places is None or not isinstance(step, int) or step >= len(self.places):
            return super().inside(step)
        return self.places[step]

    def short_source(self) -> str | None:
        if self.container is not list:
            return None
        if _is_plainly(self.element, StringField):
            return "_texts({L})"
        return "_integers({L})" if _is_plainly(self.element, IntegerField) else None

    def normalise(self, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            self.refuse_class(value, "tuple" if self.container is tuple else "list")
        if self.element is None and self.places is None:
            return super().normalise(value)
        made: list[Any] = []
        fields = self._fields(len(value))
        try:
            for field, part in zip(fields, value, strict=False):
                made.append(field.accept(part))
        except ValueError as error:
            raise MemberFault.at(f"[{len(made)}]", error) from error
        return made if self.container is list else tuple(made)

    def _fields(self, length: int) -> Iterable[Field]:
        if self.places is None:
            assert self.element is not None
            return repeat(self.element, length)
        if len(self.places) != length:
            raise ValueError(f"has {length} elements, not {len(self.places)}")
        return self.places

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        if self.element is not None:
            store = self.element.store_part
            return {"L": [store(part) for part in value]}
        if self.places is None:
            return super().to_dynamo(value)
        return {"L": [field.store_part(part) for field, part in zip(self.places, value, strict=True)]}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        content = stored["L"]
        if self.element is not None:
            read = self.element.read_part
            made = [read(part) for part in content]
            return made if self.container is list else tuple(made)
        if self.places is None:
            return super().from_dynamo(stored)
        return tuple(field.read_part(part) for field, part in zip(self.places, content, strict=True))


class UnionField(Field):
    """A part of a document that has one of several types, which are told apart by what is stored."""

    can_be_key = False
    ordered = False
    is_bounded = False

    def __init__(self, annotation: Any, **options: Unpack[FieldOptions]) -> None:
        super().__init__(**options)
        self.annotation = annotation
        self.scope: Mapping[str, Any] = {}
        self.options: tuple[Field, ...] = ()

    def with_annotation(self, annotation: Any, scope: Mapping[str, Any] | None = None) -> Field:
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
            raise twin.declaration_error(union_refusal(twin.annotation))
        return twin

    def parts(self) -> Iterable[Field]:
        return self.options

    def inside(self, step: str | int) -> Field | None:
        return None

    def fills(self, stored: AttributeValue) -> bool:
        return any(option.fills(stored) for option in self.options)

    def normalise(self, value: Any) -> Any:
        option, held = self._option_of(value)
        stored = option.store_part(held)
        if self._reader_of(stored) is not option:
            raise ValueError(
                "is read back as another of its types; give each class a Literal member of its own"
            )
        return held

    def _option_of(self, value: Any) -> tuple[Field, Any]:
        """The option that takes a value, if possible as it is, and the value as that one holds it."""
        taken, faults = [], []
        for option in self.options:
            try:
                taken.append((option, option.accept(value)))
            except ValueError as error:
                faults.append(error)
        if not taken:
            raise faults[0] if len(faults) == 1 else ValueError(f"is no {shown(self.annotation)}")
        return next(((option, held) for option, held in taken if type(held) is type(value)), taken[0])

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        option, held = self._option_of(value)
        return option.to_dynamo(held)

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return self._reader_of(stored).from_dynamo(stored)

    def _reader_of(self, stored: AttributeValue) -> Field:
        for option in self.options:
            if option.code in stored:
                try:
                    option.from_dynamo(stored)
                except Exception:  # noqa: S112  # another one's then
                    continue
                return option
        raise ValueError(f"holds no {shown(self.annotation)}")


def _container(annotation: Any, inside: bool) -> Callable[..., Field] | None:
    kind = class_of_annotation(annotation)
    if is_union(annotation) and inside:
        types = typing.get_args(annotation)
        return partial(NumberField if set(types) <= NUMBER_TYPES else UnionField, annotation)
    return next((field for field in (MapField, ListField) if kind in field.kinds), None)


KINDS.update({dict: MapField, list: ListField})
KINDS_INSIDE.update({Any: AnythingField, object: AnythingField})
CHOICES.append(_container)
