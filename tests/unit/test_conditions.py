"""Conditions as dicts and as expressions, their algebra, and their rendering with placeholders."""

from __future__ import annotations

import enum
from datetime import datetime, timezone
from typing import Any

import pytest

from dynamo_bao import (
    JsonField,
    Model,
    PrimaryKey,
    QueryError,
    RelatedField,
    StringField,
    StringSetField,
    UlidField,
    ValidationError,
)
from dynamo_bao.dynamodb.expressions.conditions import (
    EMPTY,
    AllOf,
    AnyOf,
    Attribute,
    Compare,
    Condition,
    Exists,
    Negation,
    all_of,
    any_of,
    is_empty,
)
from dynamo_bao.dynamodb.expressions.parser import condition_from
from dynamo_bao.dynamodb.expressions.renderer import Placeholders, render_condition


class Colour(enum.Enum):
    RED = "red"


def model() -> type[Any]:
    class Person(Model, prefix="p"):
        person_id: str
        name: str = StringField(attribute="n", min_length=2)
        age: int
        ok: bool
        born: datetime
        colour: Colour
        kind: str = StringField(choices=["a", "b"])
        code: str = UlidField()
        boss: str = RelatedField("Person")
        tags: set[str] = StringSetField()
        numbers: set[int]
        address: dict[str, Any]
        parts: list[Any]
        blob: bytes
        memo: Any = JsonField(default=None)
        primary_key = PrimaryKey("person_id")

    return Person


PERSON = model()
SCHEMA = PERSON.__bao_schema__
F = PERSON.fields


def rendered(given: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Text, names and values of a condition."""
    placeholders, request = Placeholders(), {}
    text = render_condition(condition_from(given), placeholders, SCHEMA)
    placeholders.into(request)
    return text, request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})


def read(given: Any) -> str:
    """The text with names and values put back, which reads as DynamoDB understands it."""
    text, names, values = rendered(given)
    for mark in sorted(names, key=len, reverse=True):
        text = text.replace(mark, names[mark])
    for mark in sorted(values, key=len, reverse=True):
        ((_, content),) = values[mark].items()
        text = text.replace(mark, repr(content))
    return text


# --- each operator -----------------------------------------------------------------------------------

BORN = datetime(2024, 12, 31, 23, 59, 59, 999000, tzinfo=timezone.utc)
BOTH_FORMS: list[tuple[Any, Any, str]] = [
    ({"age": 5}, F.age == 5, "age = '5'"),
    ({"age": {"$eq": 5}}, F.age == 5, "age = '5'"),
    ({"age": {"$ne": 5}}, F.age != 5, "age <> '5'"),
    ({"age": {"$gt": 5}}, F.age > 5, "age > '5'"),
    ({"age": {"$gte": 5}}, F.age >= 5, "age >= '5'"),
    ({"age": {"$lt": 5}}, F.age < 5, "age < '5'"),
    ({"age": {"$lte": 5}}, F.age <= 5, "age <= '5'"),
    ({"age": {"$in": [1, 2]}}, F.age.is_in([1, 2]), "age IN ('1', '2')"),
    ({"age": {"$in": (1,)}}, F.age.is_in(iter([1])), "age IN ('1')"),
    ({"age": {"$between": [1, 2]}}, F.age.between(1, 2), "age BETWEEN '1' AND '2'"),
    ({"name": {"$begins_with": "A"}}, F.name.begins_with("A"), "begins_with(n, 'A')"),
    ({"name": {"$contains": "x"}}, F.name.contains("x"), "contains(n, 'x')"),
    ({"tags": {"$contains": "x"}}, F.tags.contains("x"), "contains(tags, 'x')"),
    ({"numbers": {"$contains": 1}}, F.numbers.contains(1), "contains(numbers, '1')"),
    ({"tags": {"$not_contains": "x"}}, ~F.tags.contains("x"), "NOT (contains(tags, 'x'))"),
    ({"tags": {"$notContains": "x"}}, F.tags.not_contains("x"), "NOT (contains(tags, 'x'))"),
    ({"age": {"$type": "N"}}, F.age.has_type("N"), "attribute_type(age, 'N')"),
    ({"age": {"$exists": True}}, F.age.exists(), "attribute_exists(age)"),
    ({"age": {"$exists": False}}, ~F.age.exists(), "NOT (attribute_exists(age))"),
    ({"age": None}, F.age == None, "NOT (attribute_exists(age))"),  # noqa: E711
    ({"age": {"$eq": None}}, F.age == None, "NOT (attribute_exists(age))"),  # noqa: E711
    ({"age": {"$ne": None}}, F.age != None, "attribute_exists(age)"),  # noqa: E711
    ({"name": {"$size": 3}}, F.name.size(3), "attribute_exists(n) AND size(n) = '3'"),
    (
        {"tags": {"$size": {"$gt": 3}}},
        F.tags.size({"$gt": 3}),
        "attribute_exists(tags) AND size(tags) > '3'",
    ),
    ({"age": {"$gte": 1, "$lt": 5}}, (F.age >= 1) & (F.age < 5), "age >= '1' AND age < '5'"),
    ({"age": 1, "ok": True}, (F.age == 1) & (F.ok == True), "age = '1' AND ok = True"),  # noqa: E712
    ({"$or": [{"age": 1}, {"ok": False}]}, (F.age == 1) | (F.ok == False), "age = '1' OR ok = False"),  # noqa: E712
    ({"$and": [{"age": 1}, F.name == "xx"]}, (F.age == 1) & (F.name == "xx"), "age = '1' AND n = 'xx'"),
    ({"$not": {"age": 1}}, ~(F.age == 1), "NOT (age = '1')"),
    ({"age": {"$not": {"$gt": 1}}}, ~(F.age > 1), "NOT (age > '1')"),
    (
        {"$or": [{"age": {"$gte": 25}}, {"tags": {"$contains": "x"}, "ok": True}]},
        (F.age >= 25) | (F.tags.contains("x") & (F.ok == True)),  # noqa: E712
        "age >= '25' OR (contains(tags, 'x') AND ok = True)",
    ),
    ({"born": {"$gt": BORN}}, F.born > "2024-12-31T23:59:59.999Z", "born > '1735689599999'"),
    ({"colour": Colour.RED}, F.colour == "red", "colour = 'red'"),
    ({"address.city": "Rome"}, F.address["city"] == "Rome", "address.city = 'Rome'"),
    ({"parts[0].x": {"$gt": 1}}, F.parts[0]["x"] > 1, "parts[0].x > '1'"),
    ({"parts": {"$contains": {"a": 1}}}, F.parts.contains({"a": 1}), "contains(parts, {'a': {'N': '1'}})"),
    ({"blob": b"x"}, F.blob == bytearray(b"x"), "blob = b'x'"),
]


@pytest.mark.parametrize(("as_dict", "expression", "text"), BOTH_FORMS)
def test_dicts_and_expressions_say_the_same(as_dict: Any, expression: Condition, text: str) -> None:
    """Every operator, written either way, is one condition with one text."""
    assert rendered(as_dict) == rendered(expression)
    assert read(as_dict) == text


@pytest.mark.parametrize(
    ("camel", "snake"),
    [
        ({"name": {"$beginsWith": "A"}}, {"name": {"$begins_with": "A"}}),
        ({"tags": {"$notContains": "x"}}, {"tags": {"$not_contains": "x"}}),
    ],
)
def test_the_javascript_spellings_are_understood(camel: Any, snake: Any) -> None:
    """Operators of two words work in both spellings."""
    assert condition_from(camel) == condition_from(snake)


@pytest.mark.parametrize("code", ["S", "N", "B", "SS", "NS", "BS", "BOOL", "NULL", "M", "L"])
def test_types_are_asked_for_by_dynamodb_s_codes(code: str) -> None:
    """``$type`` takes each of DynamoDB's ten types."""
    text, names, values = rendered({"age": {"$type": code}})
    assert (text, names, values) == ("attribute_type(#n0, :v0)", {"#n0": "age"}, {":v0": {"S": code}})


@pytest.mark.parametrize("operator", ["=", "<>", "<", "<=", ">", ">="])
def test_sizes_are_compared_with_every_comparison(operator: str) -> None:
    """``$size`` takes a number, or a comparison with one."""
    name = {"=": "$eq", "<>": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}[operator]
    assert read({"tags": {"$size": {name: 2}}}) == f"attribute_exists(tags) AND size(tags) {operator} '2'"


def test_names_are_shared_and_values_are_not() -> None:
    """A name used twice has one placeholder; each value has its own, with its type."""
    text, names, values = rendered({"age": {"$gt": 1, "$lt": 9}})
    assert text == "#n0 > :v0 AND #n0 < :v1"
    assert names == {"#n0": "age"}
    assert values == {":v0": {"N": "1"}, ":v1": {"N": "9"}}


def test_a_part_of_a_text_need_not_be_a_valid_text_of_its_own() -> None:
    """Prefixes and parts of texts with rules can be looked for."""
    assert read({"code": {"$begins_with": "01J"}}) == "begins_with(code, '01J')"
    assert read({"name": {"$contains": "x"}}) == "contains(n, 'x')"
    assert read({"colour": {"$begins_with": "red"}}) == "begins_with(colour, 'red')"


def test_an_instance_stands_for_its_id() -> None:
    """A relation is compared with an instance of its target."""

    class Person(Model, prefix="q"):
        person_id: str
        primary_key = PrimaryKey("person_id")

    assert read({"boss": Person(person_id="x")}) == "boss = 'x'"


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"agee": 5}, r"Unknown field in filter: 'agee' of Person.*Did you mean 'age'"),
        ({"adress.city": 5}, r"'adress'.*Did you mean 'address'"),
        ({"n": "x"}, r"Unknown field in filter: 'n'"),
        ({"_pk": "x"}, r"Unknown field in filter: '_pk'"),
        ({"": "x"}, "Unknown field"),
        ({"age": {"$gtt": 5}}, r"Invalid operator '\$gtt' for field 'age'.*Did you mean '\$gt"),
        ({"age": {"$begins_wiht": 5}}, r"Did you mean '\$begins_with'"),
        ({"age": {"gt": 5}}, "Invalid operator 'gt'"),
        ({"$orr": [{"age": 5}]}, r"Invalid operator '\$orr'.*Did you mean '\$or'"),
        ({"$eq": 5}, r"Invalid operator '\$eq'"),
        ({"age": {}}, "Empty condition object for field 'age'"),
        ({"$and": []}, r"\$and requires an array"),
        ({"$or": []}, r"\$or requires an array"),
        ({"$or": {"age": 5}}, r"\$or requires an array"),
        ({"$not": {}}, r"\$not requires a condition"),
        ({"$not": {"$and": [{}]}}, r"\$not requires a condition"),
        ({"$not": [{"age": 1}]}, "A condition is a dict or an expression"),
        ({"age": {"$not": 5}}, r"\$not on 'age' takes an operator object"),
        ({"age": F.name == "xx"}, "maps to an expression"),
        (5, "A condition is a dict or an expression"),
        ("age = 5", "A condition is a dict or an expression"),
        ([{"age": 5}], "A condition is a dict or an expression"),
        ({"age": {"$gt": None}}, r"\$gt on 'age' needs a value"),
        ({"age": {"$between": [1]}}, r"\$between on 'age' requires an array with exactly 2"),
        ({"age": {"$between": [1, None]}}, r"\$between on 'age'"),
        ({"age": {"$between": "12"}}, r"\$between on 'age'"),
        ({"age": {"$in": []}}, r"\$in on 'age' has no values"),
        ({"age": {"$in": 5}}, r"\$in on 'age' requires an array, not int"),
        ({"name": {"$in": "abc"}}, r"\$in on 'name' requires an array, not str"),
        ({"age": {"$in": list(range(101))}}, r"\$in on 'age' has 101 values"),
        ({"age": {"$exists": 1}}, r"\$exists on 'age' takes True or False"),
        ({"age": {"$type": "X"}}, r"\$type on 'age' takes one of S, N"),
        ({"age": {"$type": ["S"]}}, r"\$type on 'age' takes one of"),
        ({"tags": {"$size": "3"}}, r"\$size on 'tags' compares with a whole number"),
        ({"tags": {"$size": True}}, r"\$size on 'tags' compares with a whole number"),
        ({"tags": {"$size": {"$in": [1]}}}, r"\$size on 'tags' takes a number or one of"),
        ({"tags": {"$size": {"$gt": 1, "$lt": 3}}}, r"\$size on 'tags' takes a number"),
        ({"age": "five"}, r"Person\.age"),
        ({"age": True}, r"Person\.age"),
        ({"age": {"$in": [1, None]}}, r"Person\.age"),
        ({"ok": 1}, r"Person\.ok"),
        ({"born": "yesterday"}, r"Person\.born"),
        ({"colour": "green"}, r"Person\.colour"),
        ({"name": {"$begins_with": None}}, r"Person\.name"),
        ({"name": {"$contains": 5}}, r"Person\.name"),
        ({"tags": {"$contains": 5}}, r"Person\.tags"),
        ({"tags": set()}, r"Person\.tags.*empty"),
        ({"address": {"$contains": object()}}, r"Person\.address"),
        ({"address.city": object()}, r"Person\.address"),
        ({"address.size": float("nan")}, r"Person\.address"),
        ({"address.size": 10**40 + 1}, r"Person\.address"),
        ({"name.first": "x"}, r"Person\.name has no inner path '\.first'"),
        ({"age[0]": 1}, r"Person\.age has no inner path"),
        ({"tags.x": 1}, r"Person\.tags has no inner path"),
        ({"blob[0]": b"x"}, r"Person\.blob has no inner path"),
        ({"memo.inside": 1}, r"Person\.memo has no inner path"),
        ({5: 3}, "5"),
    ],
)
def test_a_wrong_condition_is_a_query_error(given: Any, message: str) -> None:
    """Unknown names, unknown operators and wrong operands are told before any request, with a suggestion."""
    with pytest.raises(QueryError, match=message):
        rendered(given)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "c"}, "kind"),
        ({"kind": {"$in": ["a", "c"]}}, "kind"),
        ({"code": "not a ulid"}, "code"),
        ({"age": 10**38 + 1}, "age"),
        ({"person_id": "\ud800"}, "person_id"),
        ({"tags": {"$contains": "\ud800"}}, "tags"),
    ],
)
def test_values_are_validated_by_the_field(given: Any, field: str) -> None:
    """A value that the field could never hold cannot be compared with it."""
    with pytest.raises(QueryError, match=rf"Person\.{field}"):
        rendered(given)


@pytest.mark.parametrize(
    "given",
    [
        {"age": {"$begins_with": 3}},
        {"ok": {"$begins_with": True}},
        {"ok": {"$gt": True}},
        {"ok": {"$between": [False, True]}},
        {"tags": {"$lt": {"a"}}},
        {"address": {"$gte": {}}},
        {"parts": {"$between": [[], []]}},
    ],
)
def test_operators_that_dynamodb_does_not_take_for_a_type_are_refused(given: Any) -> None:
    """DynamoDB orders texts, numbers and bytes only, and `begins_with` is for texts and bytes."""
    with pytest.raises(QueryError):
        rendered(given)


def test_a_wrong_operand_is_a_validation_error_too() -> None:
    """Code that catches either kind gets it, with the field."""
    with pytest.raises(ValidationError) as caught:
        rendered({"age": {"$between": [1]}})
    assert isinstance(caught.value, QueryError)
    assert caught.value.field == "age"


def test_one_hundred_values_are_the_limit_of_in() -> None:
    """100 operands are DynamoDB's limit, and the last number accepted."""
    assert len(rendered({"age": {"$in": list(range(100))}})[2]) == 100


def test_a_condition_over_four_kilobytes_is_refused() -> None:
    """DynamoDB's limit on the text of an expression is checked before sending."""
    parts = [{"age": number} for number in range(300)]
    assert rendered({"$or": parts[:200]})
    with pytest.raises(QueryError, match="longer than 4096 bytes"):
        rendered({"$or": parts})


def test_errors_do_not_show_values() -> None:
    """The value that a field refuses is not in the text."""
    with pytest.raises(QueryError) as caught:
        rendered({"age": "s3cr3t"})
    assert "s3cr3t" not in str(caught.value)


# --- algebra ----------------------------------------------------------------------------------------

A, B, C = (Compare(name, "=", 1) for name in "abc")


def test_a_condition_has_no_truth_value() -> None:
    """``if``, ``and``, ``or``, ``not`` and chained comparisons raise, and say what to use."""
    for use in (
        lambda: bool(A),
        lambda: A and B,
        lambda: not A,
        lambda: 1 < F.age < 5,
        lambda: bool(EMPTY),
    ):
        with pytest.raises(TypeError, match=r"no truth value.*&, \| and ~"):
            use()


def test_the_empty_condition_is_neutral() -> None:
    """``&`` with the empty condition changes nothing, ``|`` with it holds always; it renders as nothing."""
    assert EMPTY & A == A & EMPTY == A
    assert is_empty(EMPTY & EMPTY)
    assert is_empty(EMPTY | A)
    assert is_empty(A | EMPTY)
    assert is_empty(condition_from(None))
    assert is_empty(condition_from({}))
    assert is_empty(condition_from({"$and": [{}, {}]}))
    assert is_empty(condition_from({"$or": [{"age": 1}, {}]}))
    assert rendered({}) == ("", {}, {})


def test_equal_nestings_are_flat() -> None:
    """However conditions are grouped, a chain of one operator is one list."""
    assert (A & B) & C == A & (B & C) == AllOf((A, B, C))
    assert (A | B) | C == A | (B | C) == AnyOf((A, B, C))
    assert AnyOf((AllOf((A, B)), C)) == (A & B) | C
    assert all_of([A]) == any_of([A]) == A


def test_negating_twice_gives_the_condition_back() -> None:
    """``~~`` is nothing."""
    assert Negation(A) == ~A
    assert ~~A == A


def test_the_neutral_condition_cannot_be_negated_into_a_broken_text() -> None:
    """There is no expression that never holds; it is refused rather than sent as ``NOT ()``."""
    with pytest.raises((QueryError, TypeError, ValueError)):
        render_condition(~EMPTY, Placeholders(), SCHEMA)


def test_conditions_are_values() -> None:
    """Equal conditions are equal and hash alike; they cannot be changed."""
    assert hash(Compare("a", "=", 1)) == hash(A)
    assert len({A, Compare("a", "=", 1), B}) == 2
    with pytest.raises(AttributeError):
        A.value = 2  # type: ignore[misc]


def test_mixed_groups_are_told_apart_by_parentheses() -> None:
    """AND inside OR and OR inside AND keep their meaning."""
    assert read((F.age == 1) & ((F.age == 2) | (F.age == 3))) == "age = '1' AND (age = '2' OR age = '3')"
    assert read(((F.age == 1) & (F.age == 2)) | (F.age == 3)) == "(age = '1' AND age = '2') OR age = '3'"
    assert read(~((F.age == 1) | (F.age == 2))) == "NOT (age = '1' OR age = '2')"


def test_the_library_s_own_conditions_name_stored_attributes() -> None:
    """`Attribute` names what is stored, with typed values, whatever fields there are."""
    placeholders = Placeholders()
    condition = Exists(Attribute("_pk")) & Compare(Attribute("a.b"), "=", {"S": "x"})
    assert render_condition(condition, placeholders, SCHEMA) == "attribute_exists(#n0) AND #n1 = :v0"
    request: dict[str, Any] = {}
    placeholders.into(request)
    assert request["ExpressionAttributeNames"] == {"#n0": "_pk", "#n1": "a.b"}


def test_paths_have_a_placeholder_for_each_name() -> None:
    """Every name of a nested path travels as a placeholder; only positions are written."""
    text, names, _ = rendered({"address.a b.size[3][0].x": 1})
    assert text == "#n0.#n1.#n2[3][0].#n3 = :v0"
    assert names == {"#n0": "address", "#n1": "a b", "#n2": "size", "#n3": "x"}


# --- field paths -------------------------------------------------------------------------------------


def test_a_misspelt_field_of_an_expression_brings_a_suggestion() -> None:
    """The error comes when the field is named."""
    with pytest.raises(QueryError, match=r"Person has no field 'agee'.*Did you mean 'age'"):
        F.agee


def test_field_paths_list_their_fields() -> None:
    """`dir` shows the fields, for completion, and special names are no fields."""
    assert "age" in dir(F)
    assert not hasattr(F, "__wrapped__")
