"""Instances of attrs classes and dataclasses inside items."""

from __future__ import annotations

import copy
import threading
import typing
from base64 import b85decode
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar, Unpack

from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import ConfigurationError, QueryError, message_of, suggestion
from dynamo_bao.fields.base import Field, FieldOptions, MemberFault
from dynamo_bao.fields.documents import check_depth
from dynamo_bao.fields.inference import CHOICES, KINDS_INSIDE, field_inside
from dynamo_bao.fields.json_forms import JsonForm
from dynamo_bao.fields.scalars import BinaryField
from dynamo_bao.fields.sets import SetField
from dynamo_bao.runtime.late_libraries import attrs, dataclasses
from dynamo_bao.runtime.records import frozen


@frozen
class Member:
    """A member of a nested class.

    Attributes:
        name: its name in the class and in the stored map.
        argument: its name in the constructor.
        field: its field.
        is_needed: whether the constructor requires it.
        has_factory: whether a function creates its default for each instance.
    """

    name: str
    argument: str
    field: Field
    is_needed: bool
    has_factory: bool = False

    @property
    def is_required(self) -> bool:
        """Whether an object must be given a value: the constructor requires one, and the field itself has none."""
        return self.is_needed and not self.field.nullable and not isinstance(self.field, SetField)


class NestedField(Field):
    """An instance of an attrs class or a dataclass, stored as a native map of its members.

    The annotation of each member decides how it is checked, stored and read, at any depth. A save sends only the
    changed members, each by its path. Members of the stored map that the class does not have stay unchanged.

    Args:
        cls: the class; by default the annotation.
        whole: True to treat an object as one unit, as objects of frozen classes are. A save then sends the whole
            object, on condition that the stored one is still the one that was loaded. Use it for classes with rules
            about several members.
        numbers: the type of numbers without an annotation, as in `MapField`.

    Example:
        >>> @attrs.define
        ... class Address:
        ...     city: str
        ...     since: date | None = None
        >>> class User(Model, prefix="u"):
        ...     user_id: str = UlidField(auto_assign=True)
        ...     address: Address
        ...     primary_key = PrimaryKey("user_id")
    """

    can_be_key = False
    ordered = False
    is_bounded = False
    code: str | None = "M"

    def __init__(
        self,
        cls: object = None,
        *,
        whole: bool = False,
        numbers: str = "auto",
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.cls = cls
        self.whole = whole
        self.numbers = numbers
        self.needs_annotation: bool = cls is None
        self.scope: Mapping[str, object] | None = None
        self.members: Mapping[str, Member] = {}

    def with_annotation(self, annotation: object, scope: Mapping[str, object] | None = None) -> Field:
        twin = copy.copy(self)
        twin.cls, twin.scope = annotation if self.cls is None else self.cls, scope
        return twin

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> NestedField:
        twin = super().bind(name, model, attribute, nullable=nullable)
        record = typing.get_origin(twin.cls) or twin.cls
        if not is_record(record):
            raise twin.declaration_error(
                "NestedField needs an attrs class or a dataclass: NestedField(Address) or `: Address`."
            )
        twin.record, twin.scope = record, None
        twin.is_unit = twin.whole or _is_frozen(record)
        twin.is_hashable = record.__hash__ is not None
        twin.runs_code = _runs_code(record)
        twin.members = _members_of(twin, self.scope or {})
        return twin

    record: Any = None
    runs_code = False

    def fits(self, annotation: object) -> bool:
        return self.cls is None or annotation in (self.cls, Any, object)

    def parts(self) -> Iterable[Field]:
        return [member.field for member in self.members.values()]

    def inside(self, step: str | int) -> Field | None:
        member = self.members.get(str(step))
        if member is None:
            hint = suggestion(str(step), self.members)
            raise QueryError(f"{self.record.__name__} has no member {step!r}.{hint}", field=self.name or None)
        return member.field

    def fills(self, stored: AttributeValue) -> bool:
        content = stored.get("M")
        return content is not None and any(
            member.field.fills(content[name]) if name in content else member.has_factory
            for name, member in self.members.items()
        )

    def has_own_literals(self, stored: AttributeValue) -> bool:
        content = stored.get("M", {})
        return all(
            member.field.has_own_literals(content[name])
            for name, member in self.members.items()
            if name in content
        )

    # --- values -----------------------------------------------------------------------------------------

    def normalise(self, value: Any) -> Any:
        if type(value) is not self.record:
            self._raise_class_error(value)
        changed = {}
        for name, member in self.members.items():
            try:
                part = getattr(value, name)
            except AttributeError:
                raise MemberFault(f".{name}", "has no value") from None
            try:
                accepted = member.field.accept(part)
            except ValueError as error:
                raise MemberFault.at(f".{name}", error) from error
            if accepted is not part and not _is_same(accepted, part):
                changed[name] = accepted
        if changed:
            value = copy.copy(value)
            for name, accepted in changed.items():
                object.__setattr__(value, name, accepted)
        if self.runs_code:
            self._check_reading(value)
        return value

    def _raise_class_error(self, value: Any) -> None:
        if isinstance(value, self.record):
            kind = type(value).__name__
            raise self.error(
                f"takes {self.record.__name__} itself, not {kind}, which would be read back as {self.record.__name__}",
                value,
            )
        self.refuse_class(value, self.record.__name__)

    def _check_reading(self, value: Any) -> None:
        """Raises ValueError if the class itself rejects the value on reading, for example by a validator."""
        try:
            self.from_dynamo(self.to_dynamo(value))
        except RecursionError:
            raise
        except Exception as error:
            detail = f": {message_of(error)}" if isinstance(error, ValueError) else ""
            raise ValueError(
                f"is refused by {self.record.__name__} itself ({type(error).__name__}{detail})"
            ) from error

    def validate(self, value: Any) -> None:
        if not self.is_bounded and not self.is_part:
            check_depth(self.to_dynamo(value))

    # --- JSON -------------------------------------------------------------------------------------------

    def from_json(self, form: JsonForm) -> Any:
        if not isinstance(form, dict):
            return form
        for name in form:
            if name not in self.members:
                hint = suggestion(str(name), self.members)
                raise MemberFault(f".{name}", f"is not a member of {self.record.__name__}.{hint}".rstrip("."))
        arguments = {}
        for name, member in self.members.items():
            if name in form:
                arguments[member.argument] = _accepted_from_json(member, form[name])
            elif member.is_required:
                raise MemberFault(f".{name}", "is required")
            elif member.is_needed:
                arguments[member.argument] = member.field.missing_value()
        try:
            return self.record(**arguments)
        except (ValueError, TypeError) as error:
            raise ValueError(f"is refused by {self.record.__name__} itself: {message_of(error)}") from error

    # --- stored forms -----------------------------------------------------------------------------------

    def to_dynamo(self, value: Any) -> AttributeValue:
        return {
            "M": {
                name: member.field.store_part(getattr(value, name)) for name, member in self.members.items()
            }
        }

    def from_dynamo(self, stored: AttributeValue) -> Any:
        content = stored["M"]
        arguments = {}
        for name, member in self.members.items():
            part = content.get(name)
            if part is not None:
                arguments[member.argument] = member.field.read_part(part)
            elif member.is_required:
                raise ValueError(f"the stored map has no {name!r}, which {self.record.__name__} needs")
            elif member.is_needed:
                arguments[member.argument] = member.field.missing_value()
        return self.record(**arguments)


def _accepted_from_json(member: Member, form: JsonForm) -> object:
    try:
        return member.field.accept(None if form is None else member.field.from_json(form))
    except ValueError as error:
        raise MemberFault.at(f".{member.name}", error) from error


class _BinaryMember(BinaryField):
    """Bytes of a nested class. It also reads base 85 strings, the former stored form."""

    def from_dynamo(self, stored: AttributeValue) -> object:
        return b85decode(stored["S"]) if "S" in stored else stored["B"]


def is_record(cls: object) -> bool:
    """Whether `cls` is an attrs class or a dataclass."""
    return isinstance(cls, type) and (attrs.has(cls) or dataclasses.is_dataclass(cls))


def _is_frozen(cls: object) -> bool:
    parameters = getattr(cls, "__dataclass_params__", None)
    if parameters is not None and "__dataclass_fields__" in vars(cls):
        return bool(parameters.frozen)
    return str(cls.__setattr__.__name__) == "_frozen_setattrs"


def _runs_code(cls: Any) -> bool:
    """Whether creating an instance runs code of the class, which may reject members."""
    if any(hasattr(cls, name) for name in ("__post_init__", "__attrs_post_init__", "__attrs_pre_init__")):
        return True
    if not attrs.has(cls):
        return "__init__" in vars(cls) and not _is_generated(cls.__init__)
    return any(field.validator or field.converter for field in attrs.fields(cls)) or not _is_generated(
        cls.__init__
    )


def _is_generated(function: Any) -> bool:
    return str(function.__code__.co_filename).startswith("<")


def _is_same(first_value: Any, second_value: Any) -> bool:
    """Whether two values are equal and have the same types at every level."""
    if type(first_value) is not type(second_value):
        return False
    if isinstance(first_value, (list, tuple)):
        return len(first_value) == len(second_value) and all(map(_is_same, first_value, second_value))
    if isinstance(first_value, dict):
        return first_value.keys() == second_value.keys() and all(
            _is_same(first_value[name], second_value[name]) for name in first_value
        )
    if isinstance(first_value, (set, frozenset)):
        return {(type(part), part) for part in first_value} == {(type(part), part) for part in second_value}
    return bool(first_value is second_value if is_record(type(first_value)) else first_value == second_value)


# --- members ----------------------------------------------------------------------------------------------


class _MembersInProgress(threading.local):
    """The members of the classes in progress, as a class may contain itself."""

    members: dict[object, dict[str, Member]] | None = None


_in_progress = _MembersInProgress()


def _members_of(owner: NestedField, scope: Mapping[str, object]) -> Mapping[str, Member]:
    """The members of an owner's class. The mapping may be filled later if the class contains itself."""
    outermost = _in_progress.members is None
    members_by_class = _in_progress.members = {} if _in_progress.members is None else _in_progress.members
    try:
        if owner.cls not in members_by_class:
            members_by_class[owner.cls] = members = {}
            for name, argument, annotation, *marks in _member_arguments(owner, scope):
                try:
                    field = field_inside(annotation, scope, owner.numbers)
                except ConfigurationError as error:
                    text = message_of(error).removeprefix(".: ")
                    raise owner.declaration_error(f"{owner.record.__name__}.{name}: {text}") from error
                members[name] = Member(name, argument, field, *marks)
            owner.is_bounded = all(member.field.is_bounded for member in members.values())
            owner.may_fill = any(member.has_factory or member.field.may_fill for member in members.values())
        return members_by_class[owner.cls]
    finally:
        if outermost:
            _in_progress.members = None


def _member_arguments(
    owner: NestedField, scope: Mapping[str, object]
) -> Iterable[tuple[str, str, object, bool, bool]]:
    """The arguments of `Member` for each constructor argument, with the annotation instead of the field."""
    cls, hints = owner.record, _hints(owner.record, scope)
    values = dict(zip(getattr(cls, "__parameters__", ()), typing.get_args(owner.cls), strict=False))
    for name, hint in hints.items():
        if isinstance(hint, dataclasses.InitVar) and not hasattr(cls, name):
            raise owner.declaration_error(
                f"{cls.__name__}.{name} is an InitVar, which is not stored but is required on reading; give it "
                f"a default."
            )
    if attrs.has(cls):
        for attribute in attrs.fields(cls):
            if attribute.init:
                hint = hints.get(attribute.name, attribute.type if attribute.type is not None else Any)
                hint, has_factory = (
                    _substituted(hint, values),
                    isinstance(attribute.default, _factory_class()),
                )
                yield (
                    attribute.name,
                    str(attribute.alias),
                    hint,
                    attribute.default is attrs.NOTHING,
                    has_factory,
                )
        return
    for member in dataclasses.fields(cls):
        if member.init:
            has_factory = member.default_factory is not dataclasses.MISSING
            is_needed = member.default is dataclasses.MISSING and not has_factory
            yield (
                member.name,
                member.name,
                _substituted(hints.get(member.name, Any), values),
                is_needed,
                has_factory,
            )


def _factory_class() -> Any:
    """`attrs.Factory`, which is a function for type checkers."""
    return attrs.Factory


def _hints(cls: object, scope: Mapping[str, object]) -> dict[str, object]:
    """The annotations of a class. Names of its module take precedence over `scope`."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except (
        NameError
    ):  # dataclasses.make_dataclass writes typing.Any even if the module does not import typing
        names = {"typing": typing, **scope}
        return typing.get_type_hints(cls, localns=names, include_extras=True)


def _substituted(annotation: Any, values: Mapping[Any, Any]) -> Any:
    """An annotation of a generic class with its type variables replaced."""
    if isinstance(annotation, TypeVar):
        return values.get(annotation, Any)
    names = getattr(annotation, "__parameters__", ())
    if not names or isinstance(annotation, type):
        return annotation
    return annotation[tuple(values.get(name, Any) for name in names)]


def _record(annotation: object, inside: bool) -> Callable[..., Field] | None:
    kind = typing.get_origin(annotation) or annotation
    return partial(NestedField, annotation) if is_record(kind) else None


KINDS_INSIDE[bytes] = _BinaryMember
CHOICES.append(_record)
