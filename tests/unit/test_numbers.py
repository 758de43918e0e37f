"""Numbers as DynamoDB keeps them, and as key texts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dynamo_bao.dynamodb.numbers import (
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
    parse_number,
    plain_number,
)


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-0",
        "1" * 37,
        "1" * 38,
        "-" + "1" * 38,
        "1E-130",
        "-1E-130",
        "9.9999999999999999999999999999999999999E+125",
        "-9.9999999999999999999999999999999999999E+125",
        "1" * 38 + "0" * 80,
        "1.5000000000000000000000000000000000000000000000",
    ],
)
def test_a_number_within_the_limits_has_no_fault(text: str) -> None:
    """38 significant digits from 1E-130 to 9.99E+125 are kept; zeros at either end do not count."""
    assert number_fault(Decimal(text)) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1" * 39, "39 significant digits"),
        ("1." + "1" * 38, "39 significant digits"),
        ("9.99E-131", "magnitude"),
        ("-9.99E-131", "magnitude"),
        ("1E-131", "magnitude"),
        ("1E+126", "magnitude"),
        ("-1E+126", "magnitude"),
        ("NaN", "NaN"),
        ("sNaN", "NaN"),
        ("Infinity", "infinity"),
        ("-Infinity", "infinity"),
    ],
)
def test_a_number_beyond_the_limits_is_told_why(text: str, why: str) -> None:
    """What DynamoDB could not keep exactly has a reason, one digit or one exponent past the limit."""
    assert why in str(number_fault(Decimal(text)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "00000000000000000000"),
        (42, "00000000000000000042"),
        (-1, "-99999999999999999998"),
        (-5, "-99999999999999999994"),
        (10**20 - 1, "9" * 20),
        (-(10**20 - 1), "-" + "0" * 20),
    ],
)
def test_integers_have_20_digits_in_number_order(value: int, text: str) -> None:
    """Whole numbers are padded; negative ones are complemented behind a minus sign."""
    assert integer_key(value) == text
    assert parse_integer_key(text) == value


@pytest.mark.parametrize("value", [10**20, -(10**20), 10**30])
def test_more_than_20_digits_are_no_key(value: int) -> None:
    """An integer key has 20 digits; the last that fits is 10^20 - 1 on either side."""
    assert integer_key(value) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1",
        "+0000000000000000001",
        " 0000000000000000001",
        "0" * 19,
        "0" * 21,
        "-" + "9" * 20,
        "--" + "9" * 19,
        "٠" * 20,
        "0000000000_000000000",
        "1e0" + "0" * 17,
    ],
)
def test_what_is_no_integer_key_is_refused(text: str) -> None:
    """Only the one text that is written for a number is read as it; minus zero is not written."""
    with pytest.raises(ValueError):
        parse_integer_key(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "1"),
        ("-0.00", "1"),
        ("12.5", "1501125"),
        ("-12.5", "0498874~"),
        ("1", "15001"),
        ("100", "15021"),
        ("1E-130", "13701"),
        ("9E125", "16259"),
        ("0.10", "14991"),
    ],
)
def test_decimals_have_a_text_of_exponent_and_digits(value: str, text: str) -> None:
    """The text is that of the number, however it is written."""
    assert decimal_key(Decimal(value)) == text
    assert parse_decimal_key(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", "0", "2", "15", "150", "1500", "15010", "150001", "150010", "0498874", "1501x", "x501"]
)
def test_what_is_no_decimal_key_is_refused(text: str) -> None:
    """Unfinished, padded and foreign texts are no key."""
    with pytest.raises(ValueError):
        parse_decimal_key(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("-5", -5), ("1E+3", 1000), ("5.0", 5), ("1E100", 10**100), ("1.20E+1", 12), ("0E-20", 0)],
)
def test_a_stored_whole_number_is_read_in_any_notation(text: str, value: int) -> None:
    """DynamoDB may give back ``1E+3`` or ``1E100`` for a whole number."""
    assert parse_integer(text) == value
    assert type(parse_integer(text)) is int


@pytest.mark.parametrize("text", ["1.5", "1E-1", "-0.1"])
def test_a_fraction_is_no_whole_number(text: str) -> None:
    """A stored fraction is refused and not cut off."""
    with pytest.raises(ValueError, match="fraction"):
        parse_integer(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("1E+3", 1000),
        ("0.1", 0.1),
        ("-2.50", -2.5),
        ("0.1234567890123456789012345678", Decimal("0.1234567890123456789012345678")),
    ],
)
def test_a_number_of_a_document_has_the_plainest_exact_type(text: str, value: object) -> None:
    """`int` if whole, `float` where that says the same, `Decimal` for the rest."""
    found = parse_number(text)
    assert found == value
    assert type(found) is type(value)
    assert plain_number(Decimal(text)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(20.0, "20"), (0.1, "0.1"), (-0.0, "0"), (1e15, "1000000000000000"), (1e16, "1e+16"), (1e-7, "1e-07")],
)
def test_floats_are_written_short(value: float, text: str) -> None:
    """A float's text is the shortest that gives the same float."""
    assert float_text(value) == text
    assert float(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1.23450000000000000000e+3"),
        (0.1, "1.00000000000000005551e-1"),
        (0.0, "0.00000000000000000000e+0"),
        (-0.5, "-5.00000000000000000000e-1"),
        (2**-31, "4.65661287307739257813e-10"),
        (1e100, "1.00000000000000001590e+100"),
    ],
)
def test_the_shared_formats_float_text(value: float, text: str) -> None:
    """JavaScript's ``toExponential(20)``, its rounding of ties included."""
    assert javascript_exponential(value) == text


@pytest.mark.parametrize(
    ("value", "precision", "expected"),
    [
        (0.125, 2, 0.13),
        (1.005, 2, 1.0),
        (-1.255, 2, -1.25),
        (3.14159, 2, 3.14),
        (2.5, 0, 3.0),
        (-2.5, 0, -3.0),
        (9e124, 2, 9e124),
    ],
)
def test_precision_rounds_half_away_from_zero_on_the_exact_value(
    value: float, precision: int, expected: float
) -> None:
    """JavaScript's ``toFixed``: the float's exact binary value is what is rounded."""
    assert fixed(value, precision) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0E+5", "0"),
        ("-0", "0"),
        ("1E+2", "100"),
        ("0.10", "0.1"),
        ("-12.50", "-12.5"),
        ("1E+20", "100000000000000000000"),
        ("1E+21", "1e+21"),
        ("-1E+21", "-1e+21"),
        ("15E+20", "1.5e+21"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("-0.00000012", "-1.2e-7"),
        ("9.99E+125", "9.99e+125"),
    ],
)
def test_number_texts_are_those_of_javascript(value: str, text: str) -> None:
    """Plain from a millionth up to 21 digits, with an exponent beyond; one text for equal numbers."""
    assert number_text(Decimal(value)) == text
    assert number_text(Decimal(value + "000" if "." in value and "E" not in value else value)) == text
