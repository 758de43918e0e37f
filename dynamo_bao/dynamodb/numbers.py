"""Numbers in DynamoDB's form, and as key texts whose byte order is the order of the numbers."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

from dynamo_bao.dynamodb.service import MAX_NUMBER_DIGITS, MAX_NUMBER_EXPONENT, MIN_NUMBER_EXPONENT

KEY_DIGITS = 20
JAVASCRIPT_SAFE = 2**53 - 1
"""The largest whole number up to which JavaScript has all of them."""
_CEILING = 10**KEY_DIGITS
_EXPONENT_SHIFT = 500
_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_EXACT = Context(prec=400)


def number_fault(value: Decimal) -> str | None:
    """Why DynamoDB cannot store `value`; None if it can. It takes 38 significant digits, 1E-130 to 9.99…E+125."""
    if not value.is_finite():
        return "NaN and infinity cannot be stored"
    if not value:
        return None
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")
    if len(digits) > MAX_NUMBER_DIGITS:
        return f"it has {len(digits)} significant digits, DynamoDB keeps {MAX_NUMBER_DIGITS}"
    if not MIN_NUMBER_EXPONENT <= value.adjusted() <= MAX_NUMBER_EXPONENT:
        return "its magnitude is outside DynamoDB's 1E-130 to 9.99E+125"
    return None


def exact_sum(text: str, other: str) -> Decimal:
    """The sum of two stored numbers, whatever the decimal context of the program is.

    >>> exact_sum("1E+30", "1")
    Decimal('1000000000000000000000000000001')
    """
    return _EXACT.add(Decimal(text), Decimal(other))


def parse_integer(text: str) -> int:
    """The whole number of a stored ``N``, also one such as ``1E+3``; `ValueError` for a fraction."""
    try:
        return int(text)
    except ValueError:
        number = Decimal(text)
        if number != number.to_integral_value(context=_EXACT):
            raise ValueError("a fraction where a whole number belongs") from None
        return int(number)


def parse_number(text: str) -> int | float | Decimal:
    """A number of a map or list: `int` if it is whole, `float` if that is exact, else `Decimal`."""
    try:
        return int(text)
    except ValueError:
        return plain_number(Decimal(text))


def plain_number(value: Decimal) -> int | float | Decimal:
    """`value` as an `int` if it is whole, as a `float` if the shortest text of a float has the same value."""
    if value == value.to_integral_value(context=_EXACT):
        return int(value)
    nearest = float(value)
    return nearest if Decimal(repr(nearest)) == value else value


def number_text(value: Decimal) -> str:
    """A number as JavaScript prints it: plain up to 21 digits, else with an exponent. Equal numbers give one text.

    >>> number_text(Decimal("1E+2")), number_text(Decimal("0.10")), number_text(Decimal("15E+20"))
    ('100', '0.1', '1.5e+21')
    """
    if not value:
        return "0"
    value = value.normalize(_EXACT)
    if -7 < value.adjusted() < 21:
        return format(value, "f")
    digits = "".join(map(str, value.as_tuple().digits))
    mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
    return f"{'-' if value < 0 else ''}{mantissa}e{value.adjusted():+d}"


def float_text(value: float) -> str:
    """The shortest text that gives the same float; ``20`` for 20.0."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)


def integer_key(value: int) -> str | None:
    """20 digits in number order: padded, and for negatives ``-`` and the complement; None beyond 20 digits.

    >>> integer_key(42), integer_key(-5)
    ('00000000000000000042', '-99999999999999999994')
    """
    if abs(value) >= _CEILING:
        return None
    return f"{value:020d}" if value >= 0 else f"-{_CEILING - 1 + value:020d}"


def parse_integer_key(text: str) -> int:
    """The number of an `integer_key`; `ValueError` if `text` is not such a key."""
    digits = text[1:] if text.startswith("-") else text
    if len(digits) != KEY_DIGITS or not (digits.isascii() and digits.isdigit()):
        raise ValueError("not 20 digits")
    value = int(digits)
    if text.startswith("-"):
        value -= _CEILING - 1
        if not value:
            raise ValueError("minus zero")
    return value


def decimal_key(value: Decimal) -> str:
    """Any number of DynamoDB as an exact text; the order of the texts is the order of the numbers.

    Zero is ``1``. A positive number is ``1``, its exponent plus 500 as three digits, then its digits
    without trailing zeros. A negative one is ``0`` and the same with every digit complemented to nine,
    closed by ``~`` so that more digits sort lower.

    >>> decimal_key(Decimal("12.5")), decimal_key(Decimal("-12.5")), decimal_key(Decimal(0))
    ('1501125', '0498874~', '1')
    """
    if not value:
        return "1"
    digits = "".join(map(str, value.as_tuple().digits)).lstrip("0").rstrip("0")
    text = f"{value.adjusted() + _EXPONENT_SHIFT:03d}{digits}"
    return f"1{text}" if value > 0 else f"0{text.translate(_COMPLEMENT)}~"


def parse_decimal_key(text: str) -> Decimal:
    """The number of a `decimal_key`; `ValueError` if `text` is not such a key."""
    if text == "1":
        return Decimal(0)
    sign, body = text[:1], text[1:]
    if sign == "0" and body.endswith("~"):
        body = body[:-1].translate(_COMPLEMENT)
    elif sign != "1":
        raise ValueError("not a number key")
    exponent, digits = body[:3], body[3:]
    if not (body.isascii() and body.isdigit()) or not digits or digits[0] == "0" or digits[-1] == "0":
        raise ValueError("not a number key")
    number = Decimal(f"{digits[0]}.{digits[1:] or '0'}E{int(exponent) - _EXPONENT_SHIFT}")
    return number.copy_negate() if sign == "0" else number  # a minus sign would round to the current context


def javascript_exponential(value: float) -> str:
    """The text of JavaScript's ``toExponential(20)``, which is a float's key in the shared table format."""
    if value == 0:
        return "0." + "0" * 20 + "e+0"
    rounded = Context(prec=21, rounding=ROUND_HALF_UP).create_decimal(Decimal(value))
    mantissa, exponent = format(rounded, ".20e").split("e")
    return f"{mantissa}e{int(exponent):+d}"


def fixed(value: float, precision: int) -> float:
    """`value` rounded to `precision` decimals by its exact binary value; a half is rounded away from zero."""
    return float(Decimal(value).quantize(Decimal(1).scaleb(-precision), ROUND_HALF_UP, context=_EXACT))
