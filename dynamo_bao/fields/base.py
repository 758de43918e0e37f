"""The base of all fields: one value of a model, its rules, and its stored form.

A field object is a declaration; `bind` makes the copy that one model uses, which knows its name. To a
type checker field classes look like `Any`, so that ``name: str = StringField()`` is what it says.
"""

from __future__ import annotations

import copy
import types
import typing
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict, TypeVar

from attrs import NOTHING

from dynamo_bao.dynamodb.expressions.parser import OperandError
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import ConfigurationError, QueryError, TenantMismatchError, ValidationError

if TYPE_CHECKING:
    _LooksLikeAny = Any
else:
    _LooksLikeAny = object

F = TypeVar("F", bound="Field")
_MUTABLE = (list, dict, set, bytearray)
_COUNTS = ("max_length", "min_length", "max_member_count", "max_string_length", "precision")
_BOUNDS = ("minimum", "maximum")
_PLAIN_FACTORIES: tuple[Any, ...] = (list, dict, set)


UNIONS = (typing.Union, types.UnionType)
"""Both kinds of union, ``Union[int, None]`` and ``int | None``."""


def class_of_annotation(annotation: Any) -> Any:
    """The class behind an annotation: ``set[str]`` is `set`, ``Annotated[int, …]`` is `int`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return class_of_annotation(typing.get_args(annotation)[0])
    return typing.get_origin(annotation) or getattr(annotation, "__supertype__", annotation)


class MemberFault(ValueError):
    """What is wrong with a part of a value, and where in the value it is.

    Attributes:
        path: from the field to the part, ``.lines[2].price``.
        why: what is wrong, as the end of a sentence about the part.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    @classmethod
    def at(cls, step: str, error: ValueError) -> MemberFault:
        """The fault for an error of the part behind one more `step`."""
        if isinstance(error, MemberFault):
            return cls(step + error.path, error.why)
        return cls(step, str(error).strip())


class FieldOptions(TypedDict, total=False):
    """What every field can be told; see `Field`."""

    required: bool | None
    default: Any
    attribute: str | None
    doc: str | None


class Field(_LooksLikeAny):  # type: ignore[misc]  # looking like Any to checkers is the purpose
    """One value of a model. Subclass a field to make a kind of your own.

    Override what differs: `validate` (raise `ValueError` for a wrong value), `to_dynamo` and `from_dynamo`
    (the stored form, as DynamoDB's typed JSON), `to_key` (its text as part of a key) and `from_key`.

    Args:
        required: restates that a value is needed (``True``) or lets it be None (``False``). Without it, a
            field is required unless it has a default or fills itself.
        default: the value where none is given, or a callable that makes it.
        attribute: the stored attribute's name, if it is not the field's.
        doc: what the field means, for `bao models` and generated code.

    Example:
        >>> class Slug(StringField):
        ...     def validate(self, value):
        ...         super().validate(value)
        ...         if " " in value:
        ...             raise ValueError("a slug has no spaces")
    """

    python_types: tuple[type, ...] = (object,)
    """What annotations this kind fits."""
    can_be_key = True
    ordered = True
    """Whether DynamoDB orders the stored form: texts, numbers and bytes."""
    supports_begins_with = False
    """Whether DynamoDB knows what the stored form begins with: texts and bytes."""
    needs_annotation = False
    """Whether the declaration is complete only with what its annotation says."""
    whole_in_key = True
    """Whether the text that it has as part of a key says all of its value."""
    auto_update = False
    """Whether every save gives it a new value."""
    may_fill = False
    """Whether reading a stored form may make up a part of the value: by a default that is made each time."""
    is_unit = True
    """Whether a value is stored as one; False where a save may send single members of it."""
    is_part = False
    """Whether it is the field of a part of a document."""
    is_hashable = True
    """Whether a set can have its values as members."""
    is_bounded = True
    """Whether its annotation bounds how deep its values are nested."""
    numbers = "auto"
    """What numbers inside become where no annotation says it: see `fields.documents.DocumentField`."""
    code: str | None = None
    """The type of its stored form, ``"S"``; None where that is not always the same."""
    javascript_safe = False
    """Whether JavaScript services read it too: ``key_format="dynamo-bao"``."""
    decode_expr: str | None = None
    """`from_dynamo` as an expression of what is stored, by its type: ``float({N})``. For the compiled decoders."""
    encode_expr: str | None = None
    """`to_dynamo` as an expression of ``{v}``, for the compiled encoder."""
    copy_expr = "{v}"
    """What a new instance keeps of a value that `valid_expr` is true of, as an expression of ``{v}``."""
    empty_expr: str | None = None
    """An expression of ``{v}`` that is true where `to_dynamo` stores nothing, beside `encode_expr`."""
    max_length_expr: str | None = None
    """An expression of ``{v}`` for how many characters its stored form has at most, beside `encode_expr`."""

    def valid_expr(self) -> str | None:
        """An expression of ``{v}`` that is true where `accept` would return the value or its equal; None for none.

        It may be false for values that are accepted too; they only take longer.
        """
        return None

    def normalized_expr(self) -> str | None:
        """An expression of ``{v}`` that is true where `normalise` would return the value or its equal; None for none.

        What `validate` says of the value does not matter.
        """
        return None

    def valid_text_expr(self) -> str | None:
        """`valid_expr` where others see to it that members of a set are texts, and that UTF-8 can say all texts."""
        return self.valid_expr()

    def __init__(
        self,
        *,
        required: bool | None = None,
        default: Any = NOTHING,
        attribute: str | None = None,
        doc: str | None = None,
    ) -> None:
        self.required = required
        self.default = default
        self.attribute = attribute
        self.doc = doc
        self.name = ""
        self.model = ""
        self.nullable = required is False or default is None

    def bind(self: F, name: str, model: str, attribute: str, *, nullable: bool = False) -> F:
        """This field as the field `name` of `model`, stored as `attribute`."""
        twin = copy.copy(self)
        twin.name, twin.model, twin.attribute = name, model, attribute
        twin.nullable = (self.nullable or nullable) and self.required is not True
        twin._check_options()
        return twin

    def _check_options(self) -> None:
        """Has options be what their kinds say, as some of them become source that is compiled."""
        if not isinstance(self.attribute, str):
            raise self.declaration_error(f"attribute={self.attribute!r} is no text.")
        self.attribute = str.__str__(self.attribute)
        for name in (*_COUNTS, *_BOUNDS):
            number = getattr(self, name, None)
            if number is None:
                continue
            if isinstance(number, bool) or not isinstance(number, int) or (name in _COUNTS and number < 0):
                wanted = "a whole number of at least 0" if name in _COUNTS else "a whole number"
                raise self.declaration_error(f"{name}={number!r:.100}; give {wanted}.")
            setattr(self, name, int.__add__(number, 0))  # of a subclass the plain number

    # --- values -----------------------------------------------------------------------------------

    def default_value(self) -> Any:
        """The value where none is given; `attrs.NOTHING` if one must be."""
        if callable(self.default):
            return self.default()
        if isinstance(self.default, _MUTABLE):
            return copy.deepcopy(self.default)
        if self.default is NOTHING and self.nullable:
            return None
        return self.default

    def missing_value(self) -> Any:
        """The value of a stored item that has no such attribute: the default if it is a value, a list, dict or set.

        A function that makes a default is for new items: an item that is stored already has none of its making. An
        optional field is None, as None is stored as no attribute.
        """
        if self.nullable or self.default is NOTHING:
            return None
        if callable(self.default) and self.default not in _PLAIN_FACTORIES:
            return None
        return self.default_value()

    def next_value(self) -> Any:
        """The value that a save gives a field that `auto_update`."""
        raise NotImplementedError

    def normalise(self, value: Any) -> Any:
        """`value` as the field holds it; other accepted forms (texts of dates, …) are converted."""
        return value

    def validate(self, value: Any) -> None:
        """Raises `ValueError` (or `ValidationError`) if `value`, already normalised, breaks a rule."""

    def accept(self, value: Any) -> Any:
        """`value` normalised and validated.

        Raises:
            ValidationError: naming model and field, never the value.
            TenantMismatchError: for an instance, which stands for its id, of another tenant.
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
                raise self.error(str(error), value) from error
            raise
        except TenantMismatchError:
            raise
        except RecursionError:
            raise self.error("is nested too deeply to be stored", value) from None
        except ValueError as error:
            raise self.error(str(error), value) from error
        return value

    # --- stored forms -------------------------------------------------------------------------------

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        """The stored form of a value that is not None; None where nothing is to be stored."""
        raise NotImplementedError

    def from_dynamo(self, stored: AttributeValue) -> Any:
        """The value of a stored form."""
        raise NotImplementedError

    def fills(self, stored: AttributeValue) -> bool:
        """Whether reading this stored form makes up a part of the value, which another reading may make differently."""
        return False

    def store_part(self, value: Any) -> AttributeValue:
        """The stored form of a part of a document, which may be None."""
        stored = None if value is None else self.to_dynamo(value)
        return {"NULL": True} if stored is None else stored

    def read_part(self, stored: AttributeValue) -> Any:
        """The value of a part of a document."""
        return None if self.nullable and "NULL" in stored else self.from_dynamo(stored)

    def to_key(self, value: Any) -> str:
        """The value's text as part of a key, in the value's order."""
        return str(value)

    def from_key(self, text: str) -> Any:
        """The value of a key text; `ValueError` where it is not one."""
        return text

    def to_javascript_key(self, value: Any) -> str:
        """`to_key` as the JavaScript library writes it (``key_format="dynamo-bao"``)."""
        return self.to_key(value)

    def from_javascript_key(self, text: str) -> Any:
        """The value of a key text that `to_javascript_key` made."""
        return self.from_key(text)

    def operand(self, value: Any) -> AttributeValue:
        """The stored form of a value that a condition compares this field with."""
        if value is None:
            raise QueryError(
                f"{self.model}.{self.name} cannot be compared with None; ask $exists.", field=self.name
            )
        try:
            stored = self.to_dynamo(self.accept(value))
        except ValidationError as error:
            raise OperandError(str(error), self.name, value) from error
        if stored is None:
            raise QueryError(
                f"{self.model}.{self.name}: an empty value cannot be compared with.", field=self.name
            )
        return stored

    def member(self, value: Any) -> AttributeValue:
        """The stored form of what a condition looks for inside this field."""
        return self.operand(value)

    # --- definition -----------------------------------------------------------------------------------

    def fits(self, annotation: Any) -> bool:
        """Whether values of this kind are what `annotation` (without None) says."""
        kind = class_of_annotation(annotation)
        if kind in (Any, object):
            return True
        if not isinstance(kind, type) or (kind is bool and bool not in self.python_types):
            return False
        return any(issubclass(known, kind) or issubclass(kind, known) for known in self.python_types)

    def with_annotation(self, annotation: Any, scope: Mapping[str, Any] | None = None) -> Field:
        """This declaration, completed by what its annotation says.

        Args:
            annotation: without its ``| None``.
            scope: names around the class statement, for annotations that are texts.
        """
        return self

    def inside(self, step: str | int) -> Field | None:
        """The field of what is under a name or at a position in this one's values; None where that may be anything.

        Raises:
            QueryError: where nothing can be there.
        """
        raise QueryError(f"{self.model}.{self.name} has no inner path; it is not a map.", field=self.name)

    def parts(self) -> Iterable[Field]:
        """The fields of what is inside this one's values."""
        return ()

    # --- errors ------------------------------------------------------------------------------------

    def error(self, why: str, value: object) -> ValidationError:
        """A `ValidationError` that names this field."""
        return ValidationError(f"{self.model}.{self.name} {why}".lstrip("."), self.name or None, value)

    def refuse_class(self, value: object, wanted: str) -> NoReturn:
        """Raises the error for a value of a wrong type."""
        raise self.error(f"takes {wanted}, not {type(value).__name__}", value)

    def declaration_error(self, why: str) -> ConfigurationError:
        """A `ConfigurationError` about this field."""
        return ConfigurationError(f"{self.model}.{self.name}: {why}", model=self.model, field=self.name)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.model}.{self.name}>" if self.name else f"<{type(self).__name__}>"
        )
