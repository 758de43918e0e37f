"""The base of all fields: one value of a model, its rules, and its stored form.

A field object is a declaration. `bind` makes the copy that one model uses; the copy has a name.
"""

from __future__ import annotations

import copy
import enum
import types
import typing
import uuid
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, NoReturn, TypedDict, TypeVar

from dynamo_bao.dynamodb.expressions.paths import OperandError
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import ConfigurationError, QueryError, TenantMismatchError, ValidationError, message_of
from dynamo_bao.fields.json_forms import JsonForm, json_form
from dynamo_bao.fields.looks_like_any import LooksLikeAny
from dynamo_bao.fields.rules import Rule
from dynamo_bao.runtime.records import NOTHING

F = TypeVar("F", bound="Field")
_UNCHANGEABLE = (str, int, float, bytes, Decimal, NoneType, date, time, timedelta, uuid.UUID, enum.Enum)
"""The types of defaults that instances can share. A default of another type is copied for each instance."""
_COUNTS = ("max_length", "min_length", "max_member_count", "max_string_length", "precision")
_BOUNDS = ("minimum", "maximum")
_PLAIN_FACTORIES: tuple[object, ...] = (list, dict, set)


UNIONS = (typing.Union, types.UnionType)
"""Both kinds of union, ``Union[int, None]`` and ``int | None``."""
_TYPE_ALIAS: Any = getattr(typing, "TypeAliasType", ())
"""The class of aliases that a ``type`` statement makes; no class before Python 3.12."""


def plain_annotation(annotation: object) -> Any:
    """An annotation without what only readers and checkers need: ``Annotated[int, …]``, a `NewType` and an alias of
    `int` are `int`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return plain_annotation(typing.get_args(annotation)[0])
    if isinstance(annotation, typing.NewType):
        return plain_annotation(annotation.__supertype__)
    alias: Any = typing.get_origin(annotation) or annotation
    if isinstance(alias, _TYPE_ALIAS):
        parts = typing.get_args(annotation)
        return plain_annotation(alias.__value__[parts] if parts else alias.__value__)
    return annotation


def class_of_annotation(annotation: object) -> Any:
    """The class behind an annotation: ``set[str]`` is `set`, ``Annotated[int, …]`` is `int`."""
    annotation = plain_annotation(annotation)
    return typing.get_origin(annotation) or annotation


class MemberFault(ValueError):
    """An error about a part of a value.

    Attributes:
        path: the path from the field to the part, such as ``.lines[2].price``.
        why: the fault, as the end of a sentence about the part.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    @classmethod
    def at(cls, step: str, error: ValueError) -> MemberFault:
        """The fault for an error of the part at `step`."""
        if isinstance(error, MemberFault):
            return cls(step + error.path, error.why)
        return cls(step, message_of(error).strip())


class FieldOptions(TypedDict, total=False):
    """The options that every field has. `Field` documents them."""

    required: bool | None
    default: Any
    attribute: str | None
    doc: str | None
    read_only: bool | None


class Field(LooksLikeAny):  # type: ignore[misc]  # mypy sees the base Any
    """One value of a model. Extend a field class to write your own.

    Override the methods that differ: `validate` (raise `ValueError` for a wrong value), `to_dynamo` and
    `from_dynamo` (the stored form, as DynamoDB's typed JSON), `to_key` (the text as part of a key) and `from_key`.

    Args:
        required: ``True`` if a value is required, ``False`` if it may be None. By default, a field is required
            unless it has a default or fills itself.
        default: the default value, or a function that creates it.
        attribute: the name of the stored attribute, if it differs from the field's name.
        doc: the meaning of the field, for `bao models`, generated code and JSON schemas.
        read_only: whether the body of a request cannot set the field. By default this holds for ids that the
            constructor creates, versions, and the dates of creation and change. Programs can always set it.

    Example:
        >>> class Slug(StringField):
        ...     def validate(self, value):
        ...         super().validate(value)
        ...         if " " in value:
        ...             raise ValueError("a slug has no spaces")
    """

    python_types: tuple[type, ...] = (object,)
    """The classes that an annotation may name."""
    can_be_key: bool = True
    ordered: bool = True
    """Whether DynamoDB can order the stored form: strings, numbers and bytes."""
    supports_begins_with: bool = False
    """Whether ``begins_with`` works on the stored form: strings and bytes."""
    needs_annotation: bool = False
    """Whether the declaration needs its annotation to be complete."""
    whole_in_key: bool = True
    """Whether its key text holds the whole value."""
    auto_update: bool = False
    """Whether every save sets a new value."""
    fills_itself: bool = False
    """Whether new instances create the value themselves: an id, a version, or the current time."""
    may_fill: bool = False
    """Whether reading a stored form may create a part of the value: by the function of a default."""
    is_unit: bool = True
    """Whether a save sends the value as a whole; False if it may send single members."""
    is_part: bool = False
    """Whether the field describes a part of a document."""
    is_hashable: bool = True
    """Whether its values can be members of a set."""
    is_bounded: bool = True
    """Whether its annotation limits the nesting of its values."""
    numbers: str = "auto"
    """The type of numbers inside that have no annotation, as in `fields.documents.DocumentField`."""
    code: str | None = None
    """The type code of its stored form, such as ``"S"``; None if the type varies."""
    javascript_safe: bool = False
    """Whether JavaScript programs read it too: ``key_format="dynamo-bao"``."""
    decode_expr: str | None = None
    """`from_dynamo` as an expression of the stored value by its type code: ``float({N})``. For compiled decoders."""
    encode_expr: str | None = None
    """`to_dynamo` as an expression of ``{v}``, for the compiled encoder."""
    copy_expr: str = "{v}"
    """An expression of ``{v}`` for the value that a new instance holds, if `valid_expr` is true."""
    empty_expr: str | None = None
    """An expression of ``{v}`` that is true if `to_dynamo` stores nothing. It belongs to `encode_expr`."""
    _rules: tuple[Rule, ...] | None = None
    max_length_expr: str | None = None
    """An expression of ``{v}`` for the maximum characters of the stored form. It belongs to `encode_expr`."""

    def rules(self) -> tuple[Rule, ...]:
        """What `validate` checks, in that order. Compiled functions have the same rules as source.

        Returns:
            The rules, in the order in which they are checked.
        """
        return ()

    def normalized_expr(self) -> str | None:
        """An expression of ``{v}`` that is true if `normalise` would return an equal value; None if there is no such
        expression.

        The result of `validate` does not matter.

        Returns:
            The source of the expression, or None.
        """
        return None

    def valid_expr(self) -> str | None:
        """An expression of ``{v}`` that is true if `accept` would return an equal value; None if there is no such
        expression.

        It may be false for valid values; these take the slower path.

        Returns:
            The source of the expression, or None.
        """
        return self._with_rules(self.normalized_expr(), self.rules())

    def valid_text_expr(self) -> str | None:
        """`valid_expr` without the UTF-8 and set-member checks. The caller makes these checks for all fields.

        Returns:
            The source of the expression, or None.
        """
        return self._with_rules(
            self.normalized_expr(), [rule for rule in self.rules() if not rule.is_of_texts]
        )

    def _with_rules(self, expr: str | None, rules: Iterable[Rule]) -> str | None:
        """An expression that is true if another one is, and if the value meets some rules."""
        exprs = [expr, *(rule.expr for rule in rules)]
        return None if None in exprs else " and ".join(map(str, exprs))

    def __init__(
        self,
        *,
        required: bool | None = None,
        default: object = NOTHING,
        attribute: str | None = None,
        doc: str | None = None,
        read_only: bool | None = None,
    ) -> None:
        self.required = required
        self.default = default
        self.attribute: str = "" if attribute is None else attribute
        self.doc = doc
        self.read_only = read_only
        self.name = ""
        self.model = ""
        self.nullable: bool = required is False or default is None

    def __copy__(self: F) -> F:
        """A field like this one. Each model copies its fields, and `copy.copy` takes twice as long without it."""
        copied: Any = object.__new__(type(self))
        copied.__dict__.update(vars(self))
        twin: F = copied
        return twin

    def bind(self: F, name: str, model: str, attribute: str, *, nullable: bool = False) -> F:
        """A copy of this field for the field `name` of `model`, stored as `attribute`.

        Args:
            name: the field's name in the model.
            model: the model's stored name.
            attribute: the name of the stored attribute.
            nullable: whether the annotation allows None.

        Returns:
            The copy.

        Raises:
            ConfigurationError: if an option of the field has a wrong value.
        """
        twin = copy.copy(self)
        twin.name, twin.model, twin.attribute = name, model, attribute
        twin._rules = None
        twin.nullable = (self.nullable or nullable) and self.required is not True
        twin._check_options()
        return twin

    def _check_options(self) -> None:
        """Checks the types of options. Some options become compiled source, so they must be exact."""
        if not isinstance(self.attribute, str):
            raise self.declaration_error(f"attribute={self.attribute!r} is not a string.")
        self.attribute = str.__str__(self.attribute)
        if self.read_only not in (None, True, False):
            raise self.declaration_error(f"read_only={self.read_only!r:.100}; give True or False.")
        for name in (*_COUNTS, *_BOUNDS):
            number = getattr(self, name, None)
            if number is None:
                continue
            if isinstance(number, bool) or not isinstance(number, int) or (name in _COUNTS and number < 0):
                expected = "a whole number of at least 0" if name in _COUNTS else "a whole number"
                raise self.declaration_error(f"{name}={number!r:.100}; give {expected}.")
            setattr(self, name, int.__add__(number, 0))  # an exact int, even for a subclass

    # --- values -----------------------------------------------------------------------------------

    def default_value(self) -> Any:
        """The default value; `NOTHING` if the field has no default.

        Returns:
            The value, a new one for each call if it can be changed.
        """
        if callable(self.default):
            return self.default()
        if self.default is NOTHING:
            return None if self.nullable else NOTHING
        return self.default if isinstance(self.default, _UNCHANGEABLE) else copy.deepcopy(self.default)

    def missing_value(self) -> Any:
        """The value for a stored item without the attribute: the default if it is a constant, a list, dict or set.

        Other default functions apply only to new items, so the value is None. An optional field is None too, as
        None is stored as no attribute.

        Returns:
            The value, or None.
        """
        if self.nullable or self.default is NOTHING:
            return None
        if callable(self.default) and self.default not in _PLAIN_FACTORIES:
            return None
        return self.default_value()

    @property
    def is_read_only(self) -> bool:
        """Whether the body of a request cannot set the field."""
        return self.fills_itself if self.read_only is None else self.read_only

    def next_value(self) -> Any:
        """The value that a save sets, for fields with `auto_update`.

        Returns:
            The new value.
        """
        raise NotImplementedError

    def normalise(self, value: Any) -> Any:
        """`value` in the form that instances hold. Converts other accepted forms, such as texts of dates.

        Args:
            value: a value as a program gives it. It is not None.

        Returns:
            The value as instances hold it.

        Raises:
            ValueError: if it cannot be converted. The text is the end of a sentence about the field.
        """
        return value

    def validate(self, value: Any) -> None:
        """Raises `ValueError` or `ValidationError` if the normalised `value` breaks a rule.

        Args:
            value: a value that `normalise` returned.

        Raises:
            ValueError: if it breaks a rule.
        """
        rules = self._rules
        if rules is None:
            rules = self._rules = self.rules()
        for rule in rules:
            if not rule.test(value):
                raise self.error(rule.fault_of(value), value)

    def accept(self, value: Any) -> Any:
        """`value` normalised and validated.

        Args:
            value: a value as a program gives it, or None.

        Returns:
            The value as instances hold it.

        Raises:
            ValidationError: if the value is not valid. The text names model and field, never the value.
            TenantMismatchError: for an instance of another tenant.
        """
        if value is None:
            if self.nullable:
                return None
            raise self.error("is required and cannot be None; give a value, or declare it `| None`", None)
        try:
            value = self.normalise(value)
            self.validate(value)
        except MemberFault as fault:
            if self.is_part:
                raise
            raise self.error(f"cannot be kept: {self.name}{fault.path} {fault.why}", value) from fault
        except ValidationError as error:
            if error.field is None:
                raise self.error(message_of(error), value) from error
            raise
        except TenantMismatchError:
            raise
        except RecursionError:
            raise self.error("is nested too deeply to be stored", value) from None
        except ValueError as error:
            raise self.error(message_of(error), value) from error
        return value

    # --- stored forms -------------------------------------------------------------------------------

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        """The stored form of a value that is not None; None to store no attribute.

        Args:
            value: a value as instances hold it.

        Returns:
            The stored form in DynamoDB's typed JSON, such as ``{"S": "Ada"}``, or None.
        """
        raise NotImplementedError

    def from_dynamo(self, stored: AttributeValue) -> Any:
        """The value of a stored form.

        Args:
            stored: the stored form in DynamoDB's typed JSON.

        Returns:
            The value as instances hold it.

        Raises:
            ValueError: if no value has this form.
        """
        raise NotImplementedError

    def fills(self, stored: AttributeValue) -> bool:
        """Whether reading this stored form creates a part of the value, which may differ between two reads.

        Args:
            stored: the stored form in DynamoDB's typed JSON.

        Returns:
            True if two reads may return different values.
        """
        return False

    def has_own_literals(self, stored: AttributeValue) -> bool:
        """Whether a part of a document that is typed by a `Literal` has one of its values. It tells classes apart.

        Args:
            stored: a stored form that the field can read.

        Returns:
            False if a `Literal` in it has another value.
        """
        return True

    def store_part(self, value: Any) -> AttributeValue:
        """The stored form of a part of a document, which may be None.

        Args:
            value: the value of the part, or None.

        Returns:
            The stored form in DynamoDB's typed JSON.
        """
        stored = None if value is None else self.to_dynamo(value)
        return {"NULL": True} if stored is None else stored

    def read_part(self, stored: AttributeValue) -> Any:
        """The value of a part of a document.

        Args:
            stored: the stored form in DynamoDB's typed JSON.

        Returns:
            The value of the part, or None.
        """
        return None if self.nullable and "NULL" in stored else self.from_dynamo(stored)

    def to_json(self, value: Any) -> JsonForm:
        """The JSON form of a value that is not None.

        Args:
            value: a value as instances hold it.

        Returns:
            A value that JSON has: texts, numbers, lists, dicts.
        """
        return json_form(value)

    def from_json(self, form: JsonForm) -> Any:
        """The value of a JSON form that is not None. `accept` then checks it. A value itself is returned as it is.

        Args:
            form: the value as JSON has it.

        Returns:
            The value, for `accept`.

        Raises:
            ValueError: for a form that no value has.
        """
        return form

    def to_key(self, value: Any) -> str:
        """The value's text as part of a key, in the value's order.

        Args:
            value: a value as instances hold it.

        Returns:
            The text.
        """
        return str(value)

    def from_key(self, text: str) -> Any:
        """The value of a key text. Raises `ValueError` if the text is not valid.

        Args:
            text: a text from `to_key`.

        Returns:
            The value as instances hold it.
        """
        return text

    def to_javascript_key(self, value: Any) -> str:
        """`to_key` in the format of the JavaScript library (``key_format="dynamo-bao"``).

        Args:
            value: a value as instances hold it.

        Returns:
            The text.
        """
        return self.to_key(value)

    def from_javascript_key(self, text: str) -> Any:
        """The value of a key text from `to_javascript_key`.

        Args:
            text: a text from `to_javascript_key`.

        Returns:
            The value as instances hold it.
        """
        return self.from_key(text)

    def operand(self, value: Any) -> AttributeValue:
        """The stored form of a value that a condition compares with this field.

        Args:
            value: the value as a program gives it.

        Returns:
            The stored form in DynamoDB's typed JSON.

        Raises:
            QueryError: if conditions cannot compare with this value.
        """
        if value is None:
            raise QueryError(
                f"{self.model}.{self.name} cannot be compared with None; use $exists.", field=self.name
            )
        try:
            stored = self.to_dynamo(self.accept(value))
        except ValidationError as error:
            raise OperandError(message_of(error), self.name, value) from error
        if stored is None:
            raise QueryError(
                f"{self.model}.{self.name}: an empty value cannot be compared with.", field=self.name
            )
        return stored

    def member(self, value: Any) -> AttributeValue:
        """The stored form of a value that a condition searches inside this field.

        Args:
            value: the value as a program gives it.

        Returns:
            The stored form in DynamoDB's typed JSON.

        Raises:
            QueryError: if conditions cannot search for this value.
        """
        return self.operand(value)

    # --- definition -----------------------------------------------------------------------------------

    def fits(self, annotation: object) -> bool:
        """Whether values of this field match `annotation` (without None).

        Args:
            annotation: the annotation without ``| None``.

        Returns:
            True if it can be the annotation of this field.
        """
        kind = class_of_annotation(annotation)
        if kind in (Any, object):
            return True
        if not isinstance(kind, type) or (kind is bool and bool not in self.python_types):
            return False
        return any(
            issubclass(python_type, kind) or issubclass(kind, python_type)
            for python_type in self.python_types
        )

    def with_annotation(self, annotation: object, scope: Mapping[str, object] | None = None) -> Field:
        """This declaration, completed by its annotation.

        Args:
            annotation: the annotation without ``| None``.
            scope: the names around the class statement, to evaluate annotations that are strings.

        Returns:
            The declaration: this one, or a copy.
        """
        return self

    def inside(self, step: str | int) -> Field | None:
        """The field of the part at a name or position inside the values; None if the part may be anything.

        Args:
            step: a name in a map, or a position in a list.

        Returns:
            The field, or None.

        Raises:
            QueryError: if there can be no such part.
        """
        raise QueryError(f"{self.model}.{self.name} has no inner path; it is not a map.", field=self.name)

    def parts(self) -> Iterable[Field]:
        """The fields of the parts of the values.

        Returns:
            The fields; none if the values have no parts with types.
        """
        return ()

    # --- errors ------------------------------------------------------------------------------------

    def error(self, why: str, value: object) -> ValidationError:
        """A `ValidationError` that names this field.

        Args:
            why: the fault, as the end of a sentence about the field.
            value: the value, for the error's attribute. The text does not contain it.

        Returns:
            The error, to be raised.
        """
        return ValidationError(f"{self.model}.{self.name} {why}".lstrip("."), self.name or None, value)

    def refuse_class(self, value: object, expected: str) -> NoReturn:
        """Raises the error for a value of a wrong type.

        Args:
            value: the value.
            expected: what the field takes instead, such as ``"int"``.

        Raises:
            ValidationError: always.
        """
        raise self.error(f"takes {expected}, not {type(value).__name__}", value)

    def declaration_error(self, why: str) -> ConfigurationError:
        """A `ConfigurationError` about this field.

        Args:
            why: the fault, as one or two sentences.

        Returns:
            The error, to be raised.
        """
        return ConfigurationError(f"{self.model}.{self.name}: {why}", model=self.model, field=self.name)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.model}.{self.name}>" if self.name else f"<{type(self).__name__}>"
        )


def part_from_json(field: Field, step: str, form: JsonForm) -> Any:
    """The value of the JSON form of a part of a document, which may be None.

    Raises:
        MemberFault: for a form that no value has. It names the part by `step`.
    """
    try:
        return None if form is None else field.from_json(form)
    except ValueError as error:
        raise MemberFault.at(step, error) from error
