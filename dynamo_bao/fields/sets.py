"""Sets of strings, numbers, bytes and other hashable values."""

from __future__ import annotations

import copy
import typing
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Unpack

from dynamo_bao.dynamodb.numbers import parse_number
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import ConfigurationError, QueryError, message_of
from dynamo_bao.fields.base import (
    UNIONS,
    Field,
    FieldOptions,
    MemberFault,
    class_of_annotation,
    plain_annotation,
)
from dynamo_bao.fields.documents import check_depth, set_form, to_builtin
from dynamo_bao.fields.inference import CHOICES, field_inside, type_text
from dynamo_bao.fields.json_forms import JsonForm, decimal_of
from dynamo_bao.fields.numeric import DecimalField, IntegerField
from dynamo_bao.fields.rules import Rule, check_unicode, is_unicode
from dynamo_bao.runtime.records import NOTHING

SET_CODES: Final = ("SS", "NS", "BS")
_KINDS: Final = (set, frozenset, abc.Set, abc.MutableSet)


def are_texts(members: Any) -> bool:
    """Whether all members are exactly `str` and can be encoded as UTF-8."""
    for member in members:
        if type(member) is not str:
            return False
    text = "".join(members)
    return text.isascii() or is_unicode(text)


class SetField(Field):
    """A `set` or `frozenset`, typed by its annotation: ``set[UUID]``, ``frozenset[date]``.

    It is stored as one of DynamoDB's sets if its members are stored as strings, numbers or binaries, else as a list.
    The empty set is stored as no attribute, and inside a document as an empty list. As an attribute, None is the empty
    set too; inside a document ``set[date] | None`` keeps it.

    Args:
        max_member_count: the maximum number of members.

    Attributes:
        element: the field of a member.
        container: the class of the values, `set` or `frozenset`.

    Example:
        >>> days: set[date] = SetField()
    """

    python_types: tuple[type, ...] = (set, frozenset)
    can_be_key = False
    ordered = False
    is_hashable = False
    needs_annotation = True
    member_types: frozenset[Any] | None = None
    annotation: object = None
    scope: Mapping[str, object] | None = None
    element: Field | None = None
    container: type[Any] = set

    def __init__(self, *, max_member_count: int | None = None, **options: Unpack[FieldOptions]) -> None:
        super().__init__(**options)
        self.max_member_count = max_member_count

    # --- definition -----------------------------------------------------------------------------------

    def fits(self, annotation: object) -> bool:
        if class_of_annotation(annotation) not in (*_KINDS, Any, object):
            return False
        return self.member_types is None or _member_types(annotation) <= self.member_types

    def with_annotation(self, annotation: object, scope: Mapping[str, object] | None = None) -> Field:
        twin = copy.copy(self)
        twin.annotation, twin.scope = annotation, scope
        if class_of_annotation(annotation) is frozenset:
            twin.container, twin.is_hashable = frozenset, True
        return twin

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> SetField:
        twin = super().bind(name, model, attribute, nullable=nullable)
        twin.set_element_types(twin.annotation, twin.scope or {})
        twin.scope = None
        if twin.element is not None:
            twin.code = f"{twin.element.code}S" if f"{twin.element.code}S" in SET_CODES else "L"
            twin.is_bounded = twin.element.is_bounded
        return twin

    def set_element_types(self, annotation: object, scope: Mapping[str, object]) -> None:
        """Creates the field of the members from the annotation.

        Args:
            annotation: the type of the set, such as ``set[UUID]``.
            scope: the names around the class statement, to evaluate annotations that are strings.
        """
        (member,) = typing.get_args(annotation) or (Any,)
        try:
            element = field_inside(member, scope, self.numbers)
        except ConfigurationError as error:
            raise self.declaration_error(f"its members: {message_of(error).removeprefix('.: ')}") from error
        if (element.nullable and member is not Any) or not element.is_hashable:
            raise self.declaration_error(
                f"no field holds a {type_text(annotation)}, as a set cannot have {type_text(member)} as its "
                f"members; make it a list, or its members of a frozen class."
            )
        self.element = element

    @property
    def is_native(self) -> bool:
        """Whether it is stored as one of DynamoDB's sets, which can add and delete single members."""
        return self.code in SET_CODES

    def parts(self) -> Iterable[Field]:
        return () if self.element is None else (self.element,)

    # --- values -----------------------------------------------------------------------------------------

    def default_value(self) -> Any:
        if self.required is True and self.default is NOTHING:
            return NOTHING
        value = super().default_value()
        return self.container(() if value is NOTHING or value is None else value)

    def missing_value(self) -> Any:
        return self.container()

    def accept(self, value: Any) -> Any:
        stays_none = self.is_part and self.nullable  # in a document, None and the empty set have a form each
        return self.container() if value is None and not stays_none else super().accept(value)

    def normalise(self, value: Any) -> Any:
        if not isinstance(value, (set, frozenset, list, tuple)):
            self.refuse_class(value, "a set")
        return self.container(map(self.normalise_member, value))

    def from_json(self, form: JsonForm) -> Any:
        if not isinstance(form, list):
            return form
        try:
            return list(map(self._member_from_json, form))
        except ValueError as error:
            raise MemberFault.at(" (a member)", error) from error

    def _member_from_json(self, form: JsonForm) -> object:
        return form if self.element is None or form is None else self.element.from_json(form)

    def normalise_member(self, member: Any) -> Any:
        """One member in the form that the set holds.

        Args:
            member: the member as the program gives it.

        Returns:
            The member as the set holds it.

        Raises:
            MemberFault: a `ValueError` if a set cannot hold it.
        """
        assert self.element is not None
        try:
            accepted = self.element.accept(member)
            hash(accepted)
        except ValueError as error:
            raise MemberFault.at(" (a member)", error) from error
        except TypeError:
            raise MemberFault(" (a member)", "would be read back as a value that a set cannot hold") from None
        return accepted

    def rules(self) -> tuple[Rule, ...]:
        if self.max_member_count is None:
            return ()
        most = self.max_member_count
        return (
            Rule(
                lambda value: f"has {len(value)} members, at most {most} are allowed",
                expr=f"len({{v}}) <= {most}",
            ),
        )

    def validate(self, value: Any) -> None:
        super().validate(value)
        if not self.is_bounded and not self.is_part:
            check_depth(self.to_dynamo(value) or {})

    # --- stored forms -----------------------------------------------------------------------------------

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        assert self.element is not None
        if not value and not self.is_part:
            return None
        return set_form(map(self.element.store_part, value))

    def from_dynamo(self, stored: AttributeValue) -> Any:
        assert self.element is not None
        read_part = self.element.read_part
        (code,) = stored
        if code not in ((self.code,) if self.is_native and not self.is_part else ("L", *SET_CODES)):
            raise ValueError("is not a stored set of this type")
        return self.container(map(read_part, stored_members_of(stored)))

    @property
    def may_be_written_otherwise(self) -> bool:
        """Whether other programs may write a member otherwise than `to_dynamo`, so that it reads as the same value."""
        return not (
            self.element is None or self.code == "BS" or type(self.element) in (IntegerField, DecimalField)
        )

    def with_stored_members(self, form: AttributeValue, stored: AttributeValue) -> AttributeValue:
        """A set with the members that it shares with a stored set as these are stored.

        Other programs may write a member otherwise than `to_dynamo`: a UUID in upper case, a number with more digits.
        Only the stored form finds it, and only that keeps it as it is. See `may_be_written_otherwise`.

        Args:
            form: a stored form that `to_dynamo` returned.
            stored: a stored form that the field can read.

        Returns:
            The stored form of the same set.
        """
        if self.element is None or "NULL" in form:
            return form  # members of one stored form, or None
        read_part, stored_members = self.element.read_part, dict[object, list[AttributeValue]]()
        for member in stored_members_of(stored):
            stored_members.setdefault(read_part(member), []).append(member)
        members = {
            repr(as_stored): as_stored
            for member in stored_members_of(form)
            for as_stored in stored_members.get(read_part(member), [member])
        }
        return set_form(members.values())

    def member(self, value: Any) -> AttributeValue:
        try:
            accepted = self.normalise_member(value)
        except ValueError as error:
            raise QueryError(f"{self.model}.{self.name}: {message_of(error)}", field=self.name) from error
        return self._stored_member(accepted)

    def _stored_member(self, member: object) -> AttributeValue:
        assert self.element is not None
        return self.element.store_part(member)


def stored_members_of(stored: AttributeValue) -> list[AttributeValue]:
    """The members of a stored set, in typed form. NULL stands for the empty set."""
    ((code, content),) = stored.items()
    if code == "L":
        members: list[AttributeValue] = content
        return members
    return [] if code == "NULL" else [{code[0]: member} for member in content]


def _member_types(annotation: object) -> set[object]:
    """The classes of the members by an annotation."""
    (member,) = map(plain_annotation, typing.get_args(annotation) or (Any,))
    members = typing.get_args(member) if typing.get_origin(member) in UNIONS else (member,)
    return set(map(class_of_annotation, members))


class StringSetField(SetField):
    """A `set` of strings. The empty set is stored as no attribute.

    Args:
        max_string_length: the maximum number of characters of a member.
        max_member_count: the maximum number of members.

    Example:
        >>> tags: set[str] = StringSetField(max_member_count=20)
    """

    needs_annotation = False
    member_types: frozenset[Any] | None = frozenset((str, Any))
    code: str | None = "SS"
    decode_expr: str | None = "set({SS})"
    encode_expr: str | None = '{{"SS": sorted({v})}}'
    empty_expr: str | None = "not {v}"
    max_length_expr: str | None = 'len("".join({v}))'
    copy_expr = "{v}.copy()"

    def __init__(
        self,
        *,
        max_string_length: int | None = None,
        max_member_count: int | None = None,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(max_member_count=max_member_count, **options)
        self.max_string_length = max_string_length

    def set_element_types(self, annotation: object, scope: Mapping[str, object]) -> None:
        if self.container is frozenset:
            self.decode_expr = "frozenset({SS})"

    @property
    def _has_plain_members(self) -> bool:
        return type(self).normalise_member is StringSetField.normalise_member

    def rules(self) -> tuple[Rule, ...]:
        rules = super().rules()
        if self.max_string_length is None:
            return rules
        most = self.max_string_length
        fault = f"has a member longer than {most} characters"
        return (*rules, Rule(fault, test=lambda value: all(len(member) <= most for member in value)))

    def valid_expr(self) -> str | None:
        return self._set_expr(" and _are_texts({v})")

    def normalized_expr(self) -> str | None:
        kind = self.container.__name__
        plain_texts = f"type({{v}}) is {kind} and set(map(type, {{v}})) <= _TEXT"
        return plain_texts if self._has_plain_members else None

    def valid_text_expr(self) -> str | None:
        return self._set_expr("")

    def _set_expr(self, members_expr: str) -> str | None:
        if not self._has_plain_members:
            return None
        return self._with_rules(f"type({{v}}) is {self.container.__name__}{members_expr}", self.rules())

    def normalise(self, value: Any) -> Any:
        if isinstance(value, (set, frozenset, list, tuple)) and self._has_plain_members and are_texts(value):
            return self.container(value)  # normalise_member would return each member unchanged
        return super().normalise(value)

    def normalise_member(self, member: Any) -> Any:
        if not isinstance(member, str):
            self.refuse_class(member, "members that are str")
        check_unicode(member)
        return str.__str__(member)

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        return {"SS": sorted(value)} if value else None

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return self.container(stored["SS"])

    def _stored_member(self, member: object) -> AttributeValue:
        return {"S": member}


class NumberSetField(SetField):
    """A `set` of numbers (`int`, `float` or `Decimal`). The empty set is stored as no attribute.

    ``set[int]``, ``set[float]`` and ``set[Decimal]`` hold members of that class. Without such an annotation, whole
    numbers are `int`, and fractions are `float` if that is exact, else `Decimal`.

    Example:
        >>> ratings: set[int] = NumberSetField()
    """

    needs_annotation = False
    code: str | None = "NS"
    member_types: frozenset[Any] | None = frozenset((int, float, Decimal, Any))

    def set_element_types(self, annotation: object, scope: Mapping[str, object]) -> None:
        if len(typing.get_args(annotation)) == 1 and _member_types(annotation) & {int, float, Decimal}:
            super().set_element_types(annotation, scope)

    def normalise_member(self, member: Any) -> Any:
        if isinstance(member, bool) or not isinstance(member, (int, float, Decimal)):
            self.refuse_class(member, "members that are numbers")
        return to_builtin(member) if self.element is None else super().normalise_member(member)

    def _member_from_json(self, form: JsonForm) -> object:
        is_decimal = self.element is None and isinstance(form, str)
        return decimal_of(form) if is_decimal else super()._member_from_json(form)

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        if self.element is not None:
            return super().to_dynamo(value)
        texts = [repr(n) if isinstance(n, float) else str(n) for n in value]
        # Not sorted as numbers: a program may forbid to compare floats with decimals.
        return {"NS": sorted(texts, key=Decimal)} if texts else None

    def from_dynamo(self, stored: AttributeValue) -> Any:
        if self.element is not None:
            return super().from_dynamo(stored)
        return self.container(map(parse_number, stored["NS"]))

    def _stored_member(self, member: object) -> AttributeValue:
        ((_, members),) = (self.to_dynamo({member}) or {}).items()
        return {"N": members[0]}


class BinarySetField(SetField):
    """A `set` of `bytes`. The empty set is stored as no attribute.

    Example:
        >>> checksums: set[bytes] = BinarySetField()
    """

    needs_annotation = False
    code: str | None = "BS"
    member_types: frozenset[Any] | None = frozenset((bytes, Any))

    def set_element_types(self, annotation: object, scope: Mapping[str, object]) -> None:
        super().set_element_types(set[bytes], scope)


def _set(annotation: object, inside: bool) -> Callable[..., Field] | None:
    if class_of_annotation(annotation) not in _KINDS:
        return None
    if inside:
        return SetField
    set_class = next((set_class for set_class in _NATIVE_SETS if set_class().fits(annotation)), SetField)
    return lambda **options: set_class(**(options or _REQUIRED))


_REQUIRED: Final[dict[str, Any]] = {"required": True}
_NATIVE_SETS: Final = (StringSetField, NumberSetField, BinarySetField)
CHOICES.append(_set)
