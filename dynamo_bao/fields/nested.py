"""Instances of attrs classes and dataclasses inside items."""

from __future__ import annotations

import copy
import dataclasses
import threading
import typing
from base64 import b85decode
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

import attrs
from attrs import NOTHING, frozen

from dynamo_bao._compat import Unpack
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import ConfigurationError, QueryError, suggestion
from dynamo_bao.fields.base import Field, FieldOptions, MemberFault
from dynamo_bao.fields.documents import check_depth
from dynamo_bao.fields.inference import CHOICES, KINDS_INSIDE, field_inside
from dynamo_bao.fields.scalars import BinaryField
from dynamo_bao.fields.sets import SetField


@frozen
class Member:
    """A member of a nested class.

    Attributes:
        name: as the class has it, and as it is stored.
        argument: as the constructor has it.
        field: what it holds.
        is_needed: whether the constructor must be given it.
        is_made: whether its default is made each time.
    """

    name: str
    argument: str
    field: Field
    is_needed: bool
    is_made: bool = False


class NestedField(Field):
    """An instance of an attrs class or a dataclass, stored as a native map of its members.

    Each member is checked, stored and read by its annotation, at any depth. Members of the stored map that the class
    does not have are left as they are: a save sends the members that changed, each by its path.

    Args:
        cls: the class; left out, the annotation says it.
        whole: whether an object is one unit, as one of a frozen class is: a save sends all of it, on condition that it
            is stored as it was loaded. For classes with rules about several members.
        numbers: what numbers become where no annotation says it, as `MapField` has it.

    Example:
        >>> @attrs.define
        ... class Address:
        ...     city: str
        ...     since: date | None = None
        >>> class User(Model, prefix="u"):
        ...     address: Address
    """

    can_be_key = False
    ordered = False
    is_bounded = False
    code = "M"

    def __init__(
        self, cls: Any = None, *, whole: bool = False, numbers: str = "auto", **options: Unpack[FieldOptions]
    ) -> None:
        super().__init__(**options)
        self.cls = cls
        self.whole = whole
        self.numbers = numbers
        self.needs_annotation = cls is None
        self.scope: Mapping[str, Any] | None = None
        self.members: Mapping[str, Member] = {}

    def with_annotation(self, annotation: Any, scope: Mapping[str, Any] | None = None) -> Field:
        twin = copy.copy(self)
        twin.cls, twin.scope = annotation if self.cls is None else self.cls, scope
        return twin

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> NestedField:
        twin = super().bind(name, model, attribute, nullable=nullable)
        made = typing.get_origin(twin.cls) or twin.cls
        if not is_record(made):
            raise twin.declaration_error(
                "NestedField needs an attrs class or a dataclass: NestedField(Address) or `: Address`."
            )
        twin.made, twin.scope = made, None
        twin.is_unit = twin.whole or _is_frozen(made)
        twin.is_hashable = made.__hash__ is not None
        twin.checks_itself = _checks_itself(made)
        twin.members = _members_of(twin, self.scope or {})
        return twin

    made: Any = None
    checks_itself = False

    def fits(self, annotation: Any) -> bool:
        return self.cls is None or annotation in (self.cls, Any, object)

    def parts(self) -> Iterable[Field]:
        return [member.field for member in self.members.values()]

    def inside(self, step: str | int) -> Field | None:
        member = self.members.get(str(step))
        if member is None:
            hint = suggestion(str(step), self.members)
            raise QueryError(f"{self.made.__name__} has no member {step!r}.{hint}", field=self.name or None)
        return member.field

    def fills(self, stored: AttributeValue) -> bool:
        content = stored.get("M")
        return content is not None and any(
            member.field.fills(content[name]) if name in content else member.is_made
            for name, member in self.members.items()
        )

    # --- values -----------------------------------------------------------------------------------------

    def normalise(self, value: Any) -> Any:
        if type(value) is not self.made:
            self._refuse(value)
        changed = {}
        for name, member in self.members.items():
            try:
                part = getattr(value, name)
            except AttributeError:
                raise MemberFault(f".{name}", "has no value") from None
            try:
                held = member.field.accept(part)
            except ValueError as error:
                raise MemberFault.at(f".{name}", error) from error
            if held is not part and not _is_same(held, part):
                changed[name] = held
        if changed:
            value = copy.copy(value)
            for name, held in changed.items():
                object.__setattr__(value, name, held)
        if self.checks_itself:
            self._check_reading(value)
        return value

    def _refuse(self, value: Any) -> None:
        if isinstance(value, self.made):
            kind = type(value).__name__
            raise self.error(
                f"takes {self.made.__name__} itself, not {kind}, which would be read back as {self.made.__name__}",
                value,
            )
        self.refuse_class(value, self.made.__name__)

    def _check_reading(self, value: Any) -> None:
        """Refuses what the class itself would refuse when it is read: validators and the like see every reading."""
        try:
            self.from_dynamo(self.to_dynamo(value))
        except RecursionError:
            raise
        except Exception as error:
            detail = f": {error}" if isinstance(error, ValueError) else ""
            raise ValueError(
                f"is refused by {self.made.__name__} itself ({type(error).__name__}{detail})"
            ) from error

    def validate(self, value: Any) -> None:
        if not self.is_bounded and not self.is_part:
            check_depth(self.to_dynamo(value))

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
            elif member.is_needed:
                arguments[member.argument] = self._absent(member)
        return self.made(**arguments)

    def _absent(self, member: Member) -> Any:
        if isinstance(member.field, SetField):
            return member.field.missing_value()
        if member.field.nullable:
            return None
        raise ValueError(f"the stored map has no {member.name!r}, which {self.made.__name__} needs")


class _BinaryMember(BinaryField):
    """Bytes of a nested class. Texts in base 85 are read too, as which they were once stored."""

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return b85decode(stored["S"]) if "S" in stored else stored["B"]


def is_record(cls: Any) -> bool:
    """Whether something is a class whose members are known: of attrs or a dataclass."""
    return isinstance(cls, type) and (attrs.has(cls) or dataclasses.is_dataclass(cls))


def _is_frozen(cls: Any) -> bool:
    parameters = getattr(cls, "__dataclass_params__", None)
    if parameters is not None and "__dataclass_fields__" in vars(cls):
        return bool(parameters.frozen)
    return str(cls.__setattr__.__name__) == "_frozen_setattrs"


def _checks_itself(cls: Any) -> bool:
    """Whether making an instance runs code of the class, which may refuse members."""
    if any(hasattr(cls, name) for name in ("__post_init__", "__attrs_post_init__", "__attrs_pre_init__")):
        return True
    if not attrs.has(cls):
        return "__init__" in vars(cls) and not _is_generated(cls.__init__)
    return any(field.validator or field.converter for field in attrs.fields(cls)) or not _is_generated(
        cls.__init__
    )


def _is_generated(function: Any) -> bool:
    return str(function.__code__.co_filename).startswith("<")


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types throughout."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_is_same(one[name], other[name]) for name in one)
    if isinstance(one, (set, frozenset)):
        return {(type(part), part) for part in one} == {(type(part), part) for part in other}
    return bool(one is other if is_record(type(one)) else one == other)


# --- members ----------------------------------------------------------------------------------------------


_Factory: Any = attrs.Factory


class _Building(threading.local):
    """The members of the classes that are being looked through, as a class may hold others of its own kind."""

    members: dict[Any, dict[str, Member]] | None = None


_building = _Building()


def _members_of(owner: NestedField, scope: Mapping[str, Any]) -> Mapping[str, Member]:
    """The members of an owner's class, which are filled in later where the class is inside itself."""
    outermost = _building.members is None
    known = _building.members = {} if _building.members is None else _building.members
    try:
        if owner.cls not in known:
            known[owner.cls] = members = {}
            for name, argument, annotation, *marks in _declared(owner, scope):
                try:
                    field = field_inside(annotation, scope, owner.numbers)
                except ConfigurationError as error:
                    text = str(error).removeprefix(".: ")
                    raise owner.declaration_error(f"{owner.made.__name__}.{name}: {text}") from error
                members[name] = Member(name, argument, field, *marks)
            owner.is_bounded = all(member.field.is_bounded for member in members.values())
            owner.may_fill = any(member.is_made or member.field.may_fill for member in members.values())
        return known[owner.cls]
    finally:
        if outermost:
            _building.members = None


def _declared(owner: NestedField, scope: Mapping[str, Any]) -> Iterable[tuple[str, str, Any, bool, bool]]:
    """Of every member that the constructor takes what `Member` says, with the annotation in the place of the field."""
    cls, hints = owner.made, _hints(owner.made, scope)
    values = dict(zip(getattr(cls, "__parameters__", ()), typing.get_args(owner.cls), strict=False))
    for name, hint in hints.items():
        if isinstance(hint, dataclasses.InitVar) and not hasattr(cls, name):
            raise owner.declaration_error(
                f"{cls.__name__}.{name} is an InitVar, which is not stored and is needed again when it is read; give "
                f"it a default."
            )
    if attrs.has(cls):
        for one in attrs.fields(cls):
            if one.init:
                hint = hints.get(one.name, one.type if one.type is not None else Any)
                hint, is_made = _substituted(hint, values), isinstance(one.default, _Factory)
                yield one.name, str(one.alias), hint, one.default is NOTHING, is_made
        return
    for each in dataclasses.fields(cls):
        if each.init:
            is_made = each.default_factory is not dataclasses.MISSING
            is_needed = each.default is dataclasses.MISSING and not is_made
            yield each.name, each.name, _substituted(hints.get(each.name, Any), values), is_needed, is_made


def _hints(cls: Any, scope: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations of a class; names of its own module go before those of `scope`."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError:  # dataclasses.make_dataclass writes typing.Any, whether the module knows typing or not
        names = {"typing": typing, **scope}
        return typing.get_type_hints(cls, localns=names, include_extras=True)


def _substituted(annotation: Any, values: Mapping[Any, Any]) -> Any:
    """An annotation of a generic class, its type variables replaced."""
    if isinstance(annotation, TypeVar):
        return values.get(annotation, Any)
    names = getattr(annotation, "__parameters__", ())
    if not names or isinstance(annotation, type):
        return annotation
    return annotation[tuple(values.get(name, Any) for name in names)]


def _record(annotation: Any, inside: bool) -> Callable[..., Field] | None:
    kind = typing.get_origin(annotation) or annotation
    return partial(NestedField, annotation) if is_record(kind) else None


KINDS_INSIDE[bytes] = _BinaryMember
CHOICES.append(_record)
