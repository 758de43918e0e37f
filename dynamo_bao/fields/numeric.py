"""Numbers."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, Unpack

from dynamo_bao.dynamodb.numbers import (
    JAVASCRIPT_SAFE,
    decimal_key,
    fixed,
    float_text,
    integer_key,
    javascript_exponential,
    number_fault,
    number_text,
    parse_decimal_key,
    parse_integer,
    parse_integer_key,
    plain_number,
)
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.fields.base import Field, FieldOptions
from dynamo_bao.fields.json_forms import JsonForm, decimal_of
from dynamo_bao.fields.rules import NO_JAVASCRIPT_KEY, NOT_FOR_JAVASCRIPT, Rule

_SAFE = 10**38
NUMBER_TYPES: Final = frozenset((int, float, Decimal))


def _fault_of(number: Decimal) -> str:
    return f"cannot be stored: {number_fault(number)}"


_JAVASCRIPT_INTEGER = Rule(
    NOT_FOR_JAVASCRIPT,
    expr=f"-{JAVASCRIPT_SAFE} <= {{v}} <= {JAVASCRIPT_SAFE}",
)
_STORABLE_INTEGER = Rule(
    lambda value: _fault_of(Decimal(value)),
    expr=f"-{_SAFE} < {{v}} < {_SAFE}",
    test=lambda value: -_SAFE < value < _SAFE or not number_fault(Decimal(value)),
)
_STORABLE_FLOAT = Rule(
    lambda value: _fault_of(Decimal(repr(value))),
    expr="(1e-129 < {v} < 1e125 or -1e125 < {v} < -1e-129 or {v} == 0.0)",
    test=lambda value: not number_fault(Decimal(repr(value))),
)
_STORABLE_DECIMAL = Rule(_fault_of, test=lambda value: not number_fault(value))


class IntegerField(Field):
    """An `int` of up to 38 digits.

    Args:
        minimum, maximum: bounds, inclusive.
        choices: the allowed numbers.

    Example:
        >>> stars: int = IntegerField(minimum=1, maximum=5)
    """

    python_types: tuple[type, ...] = (int,)
    code: str | None = "N"
    decode_expr: str | None = "_int({N})"
    encode_expr: str | None = '{{"N": str({v})}}'
    max_length_expr: str | None = "64"

    def __init__(
        self,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
        choices: Iterable[int] | None = None,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.minimum = minimum
        self.maximum = maximum
        self.choices: tuple[int, ...] | None = tuple(choices) if choices is not None else None

    def rules(self) -> tuple[Rule, ...]:
        rules = [_JAVASCRIPT_INTEGER if self.javascript_safe else _STORABLE_INTEGER]
        if self.minimum is not None:
            rules.append(Rule(f"is less than {self.minimum}", expr=f"{{v}} >= {self.minimum}"))
        if self.maximum is not None:
            rules.append(Rule(f"is more than {self.maximum}", expr=f"{{v}} <= {self.maximum}"))
        if self.choices is not None:
            fault = f"is not one of {', '.join(map(str, self.choices))}"
            rules.append(Rule(fault, test=self.choices.__contains__))
        return tuple(rules)

    def has_own_literals(self, stored: AttributeValue) -> bool:
        return self.choices is None or "NULL" in stored or self.from_dynamo(stored) in self.choices

    def normalized_expr(self) -> str | None:
        return "type({v}) is int"

    def normalise(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse_class(value, "int")
        return int(value)

    def to_dynamo(self, value: int) -> AttributeValue | None:
        return {"N": str(value)}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return parse_integer(stored["N"])

    def to_key(self, value: int) -> str:
        text = integer_key(value)
        if text is None:
            raise self.error("has more than 20 digits, which a key cannot hold", value)
        return text

    def from_key(self, text: str) -> int:
        return parse_integer_key(text)

    def to_javascript_key(self, value: int) -> str:
        if not 0 <= value <= JAVASCRIPT_SAFE:
            raise self.error(NO_JAVASCRIPT_KEY, value)
        return self.to_key(value)


class CounterField(IntegerField):
    """An `int` that is changed by atomic additions: a save of ``post.views += 1`` sends ``ADD 1``.

    Args:
        default: the start value, 0 by default.
        exact: True to send each change as its own transaction. A lost reply can then be retried safely, at twice the
            write units.

    Example:
        >>> views: int = CounterField()
    """

    def __init__(
        self,
        *,
        default: int = 0,
        exact: bool = False,
        attribute: str | None = None,
        doc: str | None = None,
        read_only: bool | None = None,
    ) -> None:
        super().__init__(default=default, attribute=attribute, doc=doc, read_only=read_only)
        self.exact = exact


class FloatField(Field):
    """A `float`. It accepts an `int`, but not NaN and infinity.

    Args:
        precision: the number of decimal places. Values are rounded half away from zero.

    Example:
        >>> latitude: float = FloatField(precision=6)
    """

    python_types: tuple[type, ...] = (float,)
    code: str | None = "N"
    decode_expr: str | None = "float({N})"
    encode_expr: str | None = '{{"N": _float_text({v}) if {v}.is_integer() else repr({v})}}'
    max_length_expr: str | None = "64"

    def __init__(
        self,
        *,
        precision: int | None = None,
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.precision = precision

    def rules(self) -> tuple[Rule, ...]:
        return (_STORABLE_FLOAT,) if self.precision is None else ()  # a rounded value was checked before

    def normalized_expr(self) -> str | None:
        return "type({v}) is float" if self.precision is None else None

    def normalise(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse_class(value, "float")
        try:
            number = float(value)
        except OverflowError:
            raise self.error("is too large for a float", value) from None
        if self.precision is None:
            return number
        if not _STORABLE_FLOAT.test(number):
            raise self.error(_STORABLE_FLOAT.fault_of(number), value)
        return fixed(number, self.precision)

    def to_dynamo(self, value: float) -> AttributeValue | None:
        return {"N": float_text(value)}

    def from_dynamo(self, stored: AttributeValue) -> float:
        return float(stored["N"])

    def to_key(self, value: float) -> str:
        return decimal_key(Decimal(repr(value)))

    def from_key(self, text: str) -> float:
        return float(parse_decimal_key(text))

    def to_javascript_key(self, value: float) -> str:
        return javascript_exponential(value)

    def from_javascript_key(self, text: str) -> float:
        return float(text)


class DecimalField(Field):
    """A `decimal.Decimal` of up to 38 significant digits. It accepts an `int`.

    Example:
        >>> price: Decimal = DecimalField()
    """

    python_types: tuple[type, ...] = (Decimal,)
    code: str | None = "N"
    decode_expr: str | None = "_Decimal({N})"
    encode_expr: str | None = '{{"N": _number_text({v})}}'
    max_length_expr: str | None = "64"

    def rules(self) -> tuple[Rule, ...]:
        return (_STORABLE_DECIMAL,)

    def normalized_expr(self) -> str | None:
        return "type({v}) is _Decimal"

    def normalise(self, value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, (Decimal, int)):
            self.refuse_class(value, "Decimal")
        return Decimal(value)

    def from_json(self, form: JsonForm) -> Any:
        return decimal_of(form)

    def to_dynamo(self, value: Decimal) -> AttributeValue | None:
        return {"N": number_text(value)}

    def from_dynamo(self, stored: AttributeValue) -> Decimal:
        return Decimal(stored["N"])

    def to_key(self, value: Decimal) -> str:
        return decimal_key(value)

    def from_key(self, text: str) -> Decimal:
        return parse_decimal_key(text)


class NumberField(Field):
    """A part of a document that is a whole number or a fraction: ``int | float``, ``int | Decimal`` or all three.

    A whole number is held as an `int`. A fraction is held as a `float` or a `Decimal`, whichever is in the union. If
    both are, it is a `float` if that is exact.
    """

    can_be_key = False
    code: str | None = "N"

    def __init__(self, annotation: object, **options: Unpack[FieldOptions]) -> None:
        super().__init__(**options)
        self.types: tuple[Any, ...] = typing.get_args(annotation)

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> NumberField:
        twin = super().bind(name, model, attribute, nullable=nullable)
        if int not in twin.types:
            raise twin.declaration_error(
                "float and Decimal cannot be told apart when they are read; use one of them."
            )
        return twin

    def normalise(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, self.types):
            self.refuse_class(value, " or ".join(kind.__name__ for kind in self.types))
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        fault = number_fault(number)
        if fault:
            raise self.error(f"cannot be stored: {fault}", value)
        return self._with_union_type(number)

    def from_json(self, form: JsonForm) -> Any:
        has_decimals = Decimal in self.types and not (isinstance(form, float) and float in self.types)
        return decimal_of(form) if has_decimals else form

    def _with_union_type(self, number: Decimal) -> object:
        plain = plain_number(number)
        if isinstance(plain, float) and float not in self.types:
            return number
        return plain

    def to_dynamo(self, value: Any) -> AttributeValue | None:
        return {"N": float_text(value) if isinstance(value, float) else number_text(Decimal(value))}

    def from_dynamo(self, stored: AttributeValue) -> Any:
        return self._with_union_type(Decimal(stored["N"]))
