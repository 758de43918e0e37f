"""W8: any accepted value, stored and loaded, is equal and of the same type."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from dynamo_bao import (
    Model,
    PrimaryKey,
    StringSetField,
    ValidationError,
)
from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.numbers import number_fault
from dynamo_bao.fields.base import Field
from dynamo_bao.models.class_builder import schema_of
from tests.support.values import DOCUMENTS, FIELDS, SCALARS, TEXTS, VALUES, Colour, types_of

QUICK = settings(max_examples=200, deadline=None)


def accepted(field: Field, value: Any) -> tuple[Any, ValidationError | None]:
    """What the field makes of a value: the value it holds, or the error."""
    try:
        return field.accept(value), None
    except ValidationError as error:
        return None, error


def canonical(stored: Any) -> Any:
    """A typed value as DynamoDB gives it back: text must be Unicode, numbers are normalised, sets unordered."""
    if stored is None:
        return None
    ((code, content),) = stored.items()
    if code == "S":
        content.encode()
        return {"S": content}
    if code == "N":
        assert number_fault(Decimal(content)) is None
        number = Decimal(content)
        text = format(number, "f") if number else "0"
        return {"N": text.rstrip("0").rstrip(".") if "." in text else text}
    if code == "NS":
        assert len({Decimal(n) for n in content}) == len(content)
        return {"NS": [canonical({"N": n})["N"] for n in reversed(content)]}
    if code == "SS":
        assert len(set(content)) == len(content)
        for member in content:
            member.encode()
        return {"SS": list(reversed(content))}
    if code == "L":
        return {"L": [canonical(part) for part in content]}
    if code == "M":
        for name in content:
            name.encode()
        return {"M": {name: canonical(part) for name, part in content.items()}}
    return stored


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
@pytest.mark.promise("W8")
def test_what_is_accepted_comes_back_equal_and_of_the_same_type(given_value: tuple[str, Any]) -> None:
    """Whatever `accept` takes can be stored, and is loaded as it is held; the rest is a `ValidationError`."""
    kind, value = given_value
    field = FIELDS[kind]
    held, error = accepted(field, value)
    if error is not None:
        assert error.field == field.name
        return
    assert field.accept(held) == held  # accepting again changes nothing
    stored = field.to_dynamo(held)
    returned = canonical(stored)
    assert same_stored(stored, returned)
    found = field.missing_value() if returned is None else field.from_dynamo(returned)
    assert found == held
    assert types_of(found) == types_of(held)


def model() -> Any:
    class Everything(Model, prefix="e"):
        key: str
        number: int | None = None
        price: Decimal | None = None
        ratio: float | None = None
        moment: datetime | None = None
        code: uuid.UUID | None = None
        colour: Colour | None = None
        blob: bytes | None = None
        ok: bool | None = None
        texts: set[str] = StringSetField()
        document: dict[str, Any] | None = None
        primary_key = PrimaryKey("key")

    return schema_of(Everything)


SCHEMA = model()
NAMES = {
    "number": VALUES["counter"],
    "price": VALUES["decimal"],
    "ratio": VALUES["float"],
    "moment": VALUES["moment"],
    "code": VALUES["uuid"],
    "colour": VALUES["colour"],
    "blob": VALUES["binary"],
    "ok": st.booleans(),
    "document": st.dictionaries(TEXTS, st.booleans() | TEXTS, max_size=3),
}


@settings(max_examples=120, deadline=None)
@given(st.fixed_dictionaries({"key": TEXTS}, optional=NAMES))
@pytest.mark.promise("W8")
def test_a_whole_item_comes_back_through_the_compiled_codec(given_values: dict[str, Any]) -> None:
    """The compiled encoder and decoder agree with each other, field by field."""
    try:
        values = SCHEMA.accept_all(given_values)
    except ValidationError:
        return
    item = {name: canonical(value) for name, value in SCHEMA.encode(values).items()}
    found = SCHEMA.values_of(item, {"key": values["key"]})
    assert found == values
    assert types_of(found) == types_of(values)


@QUICK
@given(st.sampled_from(sorted(FIELDS)), SCALARS | DOCUMENTS)
def test_any_value_at_all_is_accepted_or_refused_with_a_validation_error(kind: str, value: Any) -> None:
    """No value makes a field raise anything else."""
    field = FIELDS[kind]
    _, error = accepted(field, value)
    if error is not None:
        assert error.field == field.name
        str(error).encode()
