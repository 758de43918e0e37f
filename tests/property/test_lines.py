"""Items as lines of JSON: whatever is stored comes back exactly, and nothing on a line makes reading it crash."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from dynamo_bao import CreateDateField, Model, PrimaryKey, StringField, ValidationError
from dynamo_bao.dynamodb.layout import DERIVED, PK, SK
from dynamo_bao.dynamodb.numbers import number_fault
from dynamo_bao.maintenance.json_lines import Number, field_json, field_typed, line_of, parse_line
from dynamo_bao.maintenance.line_reader import Text, read_line
from tests.property.test_stored_values import Everything
from tests.support.values import FIELDS, VALUES

SCHEMA: Any = Everything.__bao_schema__  # type: ignore[attr-defined]
KEY = "01JGFJJZ00ANN0000000000000"


def _texts_of(numbers: list[int]) -> list[str]:
    return [str(number) for number in sorted(numbers)]


TEXTS = st.text(max_size=8)
NAMES = st.one_of(TEXTS.filter(bool), st.sampled_from(["$S", "$SS", "$M", "$more", "$", "$N"]))
DIGITS = st.decimals(allow_nan=False, allow_infinity=False).filter(lambda n: number_fault(n) is None)
NUMBERS = (st.integers(-(10**38) + 1, 10**38 - 1) | DIGITS).map(str)
LEAVES = st.one_of(
    st.fixed_dictionaries({"S": TEXTS}),
    st.fixed_dictionaries({"N": NUMBERS}),
    st.fixed_dictionaries({"BOOL": st.booleans()}),
    st.just({"NULL": True}),
    st.fixed_dictionaries({"B": st.binary(max_size=8)}),
    st.fixed_dictionaries({"SS": st.lists(TEXTS, min_size=1, max_size=3, unique=True).map(sorted)}),
    st.fixed_dictionaries(
        {"BS": st.lists(st.binary(max_size=3), min_size=1, max_size=3, unique=True).map(sorted)}
    ),
    st.fixed_dictionaries(
        {"NS": st.lists(st.integers(-99, 99), min_size=1, max_size=3, unique=True).map(_texts_of)}
    ),
)
STORED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"L": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"M": st.dictionaries(NAMES, inner, max_size=3)}),
    ),
    max_leaves=6,
)


def text(content: bytes, number: int = 1) -> Text:
    """A line by itself."""
    return Text(number, content, len(content))


def reread(field: Any, stored: Any) -> Any:
    """A stored value, written as JSON and read back."""
    line = f'{{"f": {field_json(field, stored)}}}'.encode()
    return field_typed(field, parse_line(line)["f"])


@given(kind=st.sampled_from(sorted(FIELDS)), stored=STORED)
@settings(deadline=None)
def test_any_stored_value_comes_back(kind: str, stored: Any) -> None:
    """In a field of whatever kind, even one that cannot read it: code, digits, members and nesting are the same."""
    assert reread(FIELDS[kind], stored) == stored


STRANGE = TEXTS.filter(lambda name: name and name not in {*SCHEMA.attributes, *DERIVED, PK, SK})


@given(data=st.data(), more=st.dictionaries(STRANGE, STORED, max_size=2))
@settings(deadline=None)
def test_an_item_comes_back(data: st.DataObject, more: dict[str, Any]) -> None:
    """Values of every kind, as the library stores them, and attributes that the model does not have."""
    values: dict[str, Any] = dict.fromkeys(SCHEMA.fields)
    for name in data.draw(st.sets(st.sampled_from(sorted(VALUES)))):
        try:
            values[name] = SCHEMA.fields[name].accept(data.draw(VALUES[name]))
        except ValidationError:
            continue
    values["everything_id"] = KEY
    identity = SCHEMA.keys.from_values(None, values)
    item = {**SCHEMA.item(None, identity, values), **more}
    line = read_line(SCHEMA, None, text(line_of(SCHEMA, item)))
    assert line.item == item
    assert line.filled == "{}"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.sampled_from(sorted(SCHEMA.fields)), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.one_of(st.binary(max_size=30), JUNK.map(lambda junk: json.dumps(junk).encode())))
@settings(deadline=None, max_examples=300)
def test_junk_is_refused_in_words(content: bytes) -> None:
    """A line is an item or a ValidationError, never a crash."""
    with suppress(ValidationError):
        read_line(SCHEMA, None, text(content))


class City(Model, prefix="c"):
    code: str
    population: int | None = None
    motto: str | None = StringField(default=None, max_length=5)
    founded: datetime = CreateDateField()
    primary_key = PrimaryKey("code")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "is not JSON: Expecting property name enclosed in double quotes at column 2"),
        (b'"ber"', "is not a JSON object of fields"),
        (b"\xff{}", "is not UTF-8 text"),
        (b'{"code": "a", "code": "b"}', "has 'code' twice in one object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"code": "ber", "population": NaN}', "holds NaN, which DynamoDB cannot store"),
        (b'{"code": "ber", "populaton": 1}', "City has no field 'populaton'. Did you mean 'population'?"),
        (b'{"population": 1}', "City.code is required; give it a value"),
        (b'{"code": null}', "City.code is required and cannot be null; give it a value"),
        (
            b'{"code": "ber", "founded": null}',
            "City.founded is required and cannot be null; leave it out to have it",
        ),
        (b'{"code": "ber", "population": "many"}', "City.population takes int, not str"),
        (b'{"code": "ber", "population": 1.5}', "City.population takes int, not float"),
        (b'{"code": "ber", "population": 1e99999999999999999999}', "its exponent is out of all bounds"),
        (b'{"code": "ber", "population": {"$Q": 1}}', "has the unknown mark '$Q'"),
        (b'{"code": "ber", "population": {"$SS": "a"}}', "has under '$SS' what is no list of texts"),
        (b'{"code": "ber", "population": {"$B": "?"}}', "holds a binary that is not base64"),
        (b'{"code": "ber", "population": {"$NS": [1, 1.0]}}', "holds a set with a member twice"),
        (b'{"code": "ber", "$more": {"x": [{"$NS": []}]}}', "has an empty set under '$NS'"),
        (b'{"code": "ber", "$more": {"x": {"$BS": ["AA==", "AB=="]}}}', "holds a set with a member twice"),
        (
            b'{"code": "ber", "$more": {"x": ' + b"[" * 32 + b"1" + b"]" * 32 + b"}}",
            "it is nested deeper than DynamoDB's 32 levels",
        ),
        (b'{"code": ' + b"[" * 900 + b"]" * 900 + b"}", "nested too deeply"),
        (b'{"code": "ber", "motto": "longer"}', "City.motto"),
        (b'{"code": "\\ud800"}', "surrogate"),
        (b'{"code": "ber", "$more": {"x": "\\ud800"}}', "surrogate"),
        (b'{"code": "ber", "$more": {"code": "x"}}', "'code' does not belong under '$more'"),
        (b'{"code": "ber", "$more": {"_gsi1_pk": "x"}}', "'_gsi1_pk' does not belong under '$more'"),
        (b'{"code": "ber", "$more": 1}', "has under '$more' what is no object of attributes"),
        (b'{"code": "' + b"x" * 3000 + b'"}', "the key is 3002 bytes long"),
        (b'{"code": "ber", "$more": {"x": "' + b"x" * 500_000 + b'"}}', "DynamoDB's limit is 409600"),
        (b" " * (8 * 1024 * 1024 + 1), "is longer than any item"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said(line: bytes, why: str) -> None:
    """Each fault has its sentence, which names the field."""
    with pytest.raises(ValidationError) as caught:
        read_line(City.__bao_schema__, None, text(line))  # type: ignore[attr-defined]
    assert why in str(caught.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    """Every wrong field of a line is in its error."""
    with pytest.raises(ValidationError, match="4 fields are wrong") as caught:
        read_line(City.__bao_schema__, None, text(b'{"x": 1, "population": "1", "motto": 5}'))  # type: ignore[attr-defined]
    assert [error.field for error in caught.value.errors] == ["x", "code", "population", "motto"]


def test_lines_written_by_hand_may_say_what_fields_accept() -> None:
    """ISO dates, lists for sets, base64, JSON itself, and fields left out, which are filled in."""
    line = read_line(
        SCHEMA,
        None,
        text(
            b'{"moment": "2025-01-01T00:00:00Z", "texts": ["b", "a"], "binary": "AAE=", "json": {"a": [1]}}'
        ),
    )
    assert {name: line.item[name] for name in ("moment", "texts", "binary", "json", "counter")} == {
        "moment": {"N": "1735689600000"},
        "texts": {"SS": ["b", "a"]},
        "binary": {"B": b"\x00\x01"},
        "json": {"S": '{"a":[1]}'},
        "counter": {"N": "0"},
    }
    made = json.loads(line.filled)
    assert made["everything_id"] == line.identity.primary_id
    again = read_line(SCHEMA, None, text(b'{"texts": ["a"]}'), line.filled)
    assert again.identity == line.identity


def test_numbers_keep_their_text() -> None:
    """All 38 digits, and an exponent as it was written."""
    digits = "12345678901234567890123456789012345678"
    parsed = parse_line(f'{{"a": {digits}, "b": 1E+2}}'.encode())
    assert parsed == {"a": digits, "b": "1E+2"}
    assert all(isinstance(number, Number) for number in parsed.values())
