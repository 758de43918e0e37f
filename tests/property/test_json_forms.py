"""Values as JSON: every value that a field accepts has a form, and the field reads its own form back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from hypothesis import assume, given, settings, strategies as st

from dynamo_bao import ValidationError
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.json_forms import json_text
from tests.support.values import FIELDS, VALUES, Line, types_of

UNTYPED = {"map", "list", "exact"}
"""Kinds of fields whose annotation does not say what a text or a list stands for."""


def accepted_value(field: Field, value: Any) -> Any:
    """The value as the field accepts it. A `Line` has a member without a type, which is left out."""
    try:
        accepted = field.accept(value)
    except ValidationError:
        assume(False)
    return without_rest(accepted) if isinstance(accepted, Line) else accepted


def without_rest(line: Line) -> Line:
    return dataclasses.replace(line, rest=None, lines=[without_rest(inner) for inner in line.lines])


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_a_field_reads_its_own_json_and_the_value_itself(example: tuple[str, Any]) -> None:
    """Through the text of JSON, equal and of the same type; documents of anything only become JSON.

    Programs can give pydantic the value itself, in the place of its JSON.
    """
    kind, value = example
    field = FIELDS[kind]
    original = accepted_value(field, value)
    form = field.to_json(original)
    text = json_text(form)
    assert json.loads(text) == form
    if kind not in UNTYPED:
        again = field.accept(field.from_json(json.loads(text)))
        assert again == original and types_of(again) == types_of(original)
    assert field.accept(field.from_json(original)) == original


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(sorted(FIELDS)), JSONS)
def test_any_json_is_accepted_or_refused(kind: str, form: Any) -> None:
    """A form that no value has is a `ValueError`, and nothing else, whatever a body holds."""
    field = FIELDS[kind]
    try:
        accepted = field.accept(None if form is None else field.from_json(form))
    except ValueError:
        return
    assert field.accept(accepted) == accepted
