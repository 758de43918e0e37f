"""Rules of fields: the check of a value, its source for compiled functions, and the text of the error."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dynamo_bao import FloatField, IntegerField, StringField, StringSetField, UlidField, ValidationError
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.numeric import DecimalField
from dynamo_bao.fields.rules import Rule, predicate


def test_a_rule_by_its_expression() -> None:
    """The expression is the check too."""
    rule = Rule("is odd", expr="{v} % 2 == 0")
    assert [bool(rule.test(number)) for number in (1, 2, 3, 4)] == [False, True, False, True]
    assert rule.fault_of(3) == "is odd"


def test_a_rule_with_a_test_of_its_own() -> None:
    """The test decides, also where the expression is false."""
    rule = Rule(
        lambda value: f"is {value}",
        expr="{v} == 1",
        test=lambda value: value in (1, 2),
    )
    assert rule.test(1) and rule.test(2) and not rule.test(3)
    assert rule.fault_of(3) == "is 3"


@pytest.mark.parametrize(
    ("field", "valid", "invalid"),
    [
        (StringField(max_length=2, min_length=1), ["a", "ab", "é"], ["", "abc", "\ud800"]),
        (StringField(pattern="a+", choices=["a", "b"]), ["a"], ["b", "aa", "c"]),
        (UlidField(), ["01ARZ3NDEKTSV4RRFFQ69G5FAV"], ["01arz3ndektsv4rrffq69g5fav", ""]),
        (IntegerField(minimum=-1, maximum=10**39), [-1, 0, 10**38, 10**39], [-2, 10**39 + 1, 10**38 + 1]),
        (IntegerField(choices=[1, 2]), [1, 2], [3]),
        (FloatField(), [0.0, -1.5, 1e-130, 9e125], [float("nan"), float("inf"), 1e-131, 1e126]),
        (DecimalField(), [Decimal("1.5")], [Decimal("NaN"), Decimal("1e200")]),
        (StringSetField(max_member_count=1, max_string_length=2), [{"ab"}, set()], [{"a", "b"}, {"abc"}]),
    ],
    ids=["length", "pattern", "ulid", "bounds", "choices", "float", "decimal", "set"],
)
def test_the_source_of_rules_is_true_for_valid_values_only(
    field: Field, valid: list[Any], invalid: list[Any]
) -> None:
    """The compiled check may be false for valid values, which then take the slower path; it is never wrongly true."""
    source = field.valid_expr()
    for value in valid:
        assert field.accept(value) == value
    for value in invalid:
        with pytest.raises(ValidationError):
            field.accept(value)
        if source is not None:
            assert not predicate(source)(value)
