"""Conditions as dicts and as expressions, their algebra, and their rendering with placeholders."""

from __future__ import annotations

import enum
import re
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
    Value,
    where,
)
from dynamo_bao.dynamodb.expressions.conditions import (
    EMPTY,
    AllOf,
    AnyOf,
    BeginsWith,
    Compare,
    Condition,
    Contains,
    Exists,
    Negation,
    Size,
    all_of,
    any_of,
    is_empty,
)
from dynamo_bao.dynamodb.expressions.parser import condition_from
from dynamo_bao.dynamodb.expressions.paths import Attribute, path_text, steps_of
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
        (F.age.between(F.age, 9), "age"),
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
        {"address.city": {"$begins_with": 3}},
        {"address.city": {"$begins_with": ["a"]}},
        {"address.city": {"$gt": True}},
        {"address.city": {"$lte": {"a": 1}}},
        {"address.city": {"$between": [["a"], ["b"]]}},
        F.address["city"] > [1],
    ],
)
def test_operators_that_dynamodb_does_not_take_for_a_type_are_refused(given: Any) -> None:
    """DynamoDB orders texts, numbers and bytes only, and `begins_with` is for texts and bytes."""
    with pytest.raises(QueryError):
        rendered(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"age": {"$between": [10, 9]}}, "lower bound of 'age' is above"),
        ({"name": {"$between": ["bob", "ada"]}}, "lower bound of 'name' is above"),
        ({"blob": {"$between": [b"b", b"a"]}}, "lower bound of 'blob' is above"),
        ({"address.floor": {"$between": [2, 1.5]}}, "lower bound of 'address.floor' is above"),
        ({"address.floor": {"$between": [1, "a"]}}, "of the types N and S"),
    ],
)
def test_a_range_that_holds_nothing_is_refused(given: Any, message: str) -> None:
    """DynamoDB refuses it too."""
    with pytest.raises(QueryError, match=message):
        rendered(given)
    ((path, operands),) = given.items()
    equal_bounds = [operands["$between"][0]] * 2
    assert "BETWEEN" in rendered({path: {"$between": equal_bounds}})[0]


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
    assert rendered({"$or": parts[:150]})
    with pytest.raises(QueryError, match="longer than 4096 bytes"):
        rendered({"$or": parts})


@pytest.mark.parametrize(
    ("part", "count", "other"),
    [
        ({"age": 1}, 2, {"age": 2}),
        ({"name": {"$contains": "OR"}}, 2, {"age": 2}),
        ({"age": {"$gt": 1, "$lte": 5}}, 4, {"age": {"$in": [1, 2]}}),
        ({"age": {"$between": [1, 5]}}, 2, {"name": {"$begins_with": "AND"}}),
        ({"$not": {"age": 1}}, 3, {"name": {"$exists": True}}),
        ({"name": {"$size": {"$gt": 1}}}, 5, {"age": 2}),
        ({"name": {"$type": "S"}}, 2, {"age": 2}),
    ],
)
def test_a_condition_has_at_most_300_operators(
    part: dict[str, Any], count: int, other: dict[str, Any]
) -> None:
    """A part counts with the OR behind it. BETWEEN counts once, and what is inside values and names does not."""
    parts = [part] * 20
    parts += [{"age": 1}] * ((301 - count * len(parts)) // 2)
    rendered({"$or": parts})
    with pytest.raises(QueryError, match=r"has 30\d operators and functions. DynamoDB takes up to 300"):
        rendered({"$or": [*parts, other]})


def nested(depth: int) -> dict[str, Any]:
    """A dict of conditions of so many levels."""
    given: dict[str, Any] = {"age": 1}
    for _ in range(depth):
        given = {"$and": [given]}
    return given


def negated(depth: int) -> dict[str, Any]:
    """A negated operator of so many levels."""
    operand: dict[str, Any] = {"$gt": 1}
    for _ in range(depth):
        operand = {"$not": operand}
    return {"age": operand}


def grouped(depth: int) -> Condition:
    """An expression of so many groups."""
    condition: Condition = F.age == 1
    for number in range(depth):
        condition = condition & A if number % 2 else condition | A
    return condition


def test_a_hundred_levels_are_the_limit() -> None:
    """Of dicts, of operators and of expressions; a deeper one is told, and not sent."""
    assert read(nested(100)) == "age = '1'"
    assert read(negated(99)) == "NOT (age > '1')"
    assert is_empty(condition_from({}, depth=100))
    for given in (nested(101), {"$or": [{"age": 2}, nested(100)]}, negated(100), nested(3000), negated(3000)):
        with pytest.raises(QueryError, match="nested more than 100 levels deep"):
            rendered(given)
    groups = render_condition(grouped(99), Placeholders(), Stored())
    assert groups.count("(") == 98
    with pytest.raises(QueryError, match="nested more than 100 levels deep"):
        render_condition(grouped(100), Placeholders(), Stored())
    negation: Condition = A
    for _ in range(101):
        negation = Negation(negation)
    with pytest.raises(QueryError, match="nested more than 100 levels deep"):
        render_condition(negation, Placeholders(), Stored())
    side_by_side = any_of([A & B] * 60)
    assert render_condition(side_by_side, Placeholders(), Stored()).count("OR") == 59
    with pytest.raises(QueryError, match="nested more than 100 levels deep"):
        render_condition(any_of([*[Exists("a")] * 20, grouped(100)]), Placeholders(), Stored())


class Stored:
    """Resolves paths to attributes of the same name, and finds two spellings of whatever is searched."""

    def attribute(self, path: Any) -> Attribute:
        return Attribute(str(path))

    def operand(self, path: Any, value: object, operator: str) -> Any:
        return {"N": str(value)}

    def search_spellings(self, text: object) -> list[Any]:
        return [{"S": f"{text}"}, {"S": f"{text}!"}][: 1 if text == "one" else 2]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (Contains("_searchText", "one"), "contains(#n0, :v0)"),
        (Contains("_searchText", "two"), "contains(#n0, :v0) OR contains(#n0, :v1)"),
        (
            Contains("_searchText", "two") & Exists("a"),
            "(contains(#n0, :v0) OR contains(#n0, :v1)) AND attribute_exists(#n1)",
        ),
        (~Contains("_searchText", "two"), "NOT (contains(#n0, :v0) OR contains(#n0, :v1))"),
        (Contains("a", "two"), "contains(#n0, :v0)"),
        (BeginsWith("_searchText", "two"), "begins_with(#n0, :v0)"),
    ],
)
def test_a_search_looks_for_every_spelling(given: Condition, text: str) -> None:
    """The search text contains one of them; other conditions are as they are."""
    assert render_condition(given, Placeholders(), Stored()) == text


def test_strict_filters_read_no_operators_from_dicts() -> None:
    """A dict compares fields with values; expressions, `where` and `Value` may say the rest."""
    assert condition_from({"age": 1, "ok": None}, strict=True) == condition_from({"age": 1, "ok": None})
    assert rendered(condition_from({F.age: 1}, strict=True)) == rendered(F.age == 1)
    assert condition_from(F.age > 1, strict=True) == (F.age > 1)
    assert condition_from({"address": Value({"$gt": 1})}, strict=True) == Compare("address", "=", {"$gt": 1})
    for given, field in (
        ({"age": {"$gt": 1}}, "age"),
        ({"age": {}}, "age"),
        ({F.age: {"$gt": 1}}, "age"),
        ({"$or": [{"age": 1}]}, "$or"),
        ({"$and": [{"age": 1}]}, "$and"),
        ({"$not": {"age": 1}}, "$not"),
    ):
        with pytest.raises(
            QueryError, match=rf"strict_filters is set.*'{re.escape(field)}' has one"
        ) as caught:
            condition_from(given, strict=True)
        assert isinstance(caught.value, ValidationError)
        assert caught.value.field == field


def test_where_compares_values_as_they_are() -> None:
    """By field, by path and by field path, together; None is absence, and no value is an operator."""
    assert where(age=1, ok=None) == (F.age == 1) & ~F.ok.exists()
    assert where({"address.city": "Rome", F.tags: {"a"}}, age=1) == all_of(
        [Compare("address.city", "=", "Rome"), Compare(("tags",), "=", {"a"}), Compare("age", "=", 1)]
    )
    assert where(address={"$gt": 1}) == Compare("address", "=", {"$gt": 1})
    assert where(address=Value({"$gt": 1})) == where(address={"$gt": 1})
    assert is_empty(where())
    for key in ("$or", "$gt", 5, None):
        with pytest.raises(QueryError, match=r"takes values by field, and .* is not a field"):
            where({key: 1})


def test_a_value_is_compared_as_it_is() -> None:
    """Wherever a dict may have an operator, and inside operators."""
    assert condition_from({"address": Value(None)}) == condition_from({"address": None})
    assert condition_from({"age": {"$gt": Value(1)}}) == (F.age > 1)
    assert condition_from({"age": {"$in": [Value(1), 2]}}) == F.age.is_in([1, 2])
    assert condition_from({"age": {"$between": [Value(1), Value(2)]}}) == F.age.between(1, 2)
    assert condition_from({"tags": {"$size": {"$gt": Value(1)}}}) == (F.tags.size() > 1)
    assert condition_from({"tags": {"$size": Value(1)}}) == (F.tags.size() == 1)


def test_sets_of_values_are_taken_by_in() -> None:
    """Sets, frozen sets and tuples as well as lists."""
    for values in ({1}, frozenset([1]), (1,), [1]):
        assert condition_from({"age": {"$in": values}}) == F.age.is_in([1])


@pytest.mark.parametrize("values", ["ab", b"ab", {"a": 1}])
def test_is_in_takes_several_values(values: Any) -> None:
    """One text is not its letters."""
    with pytest.raises(
        QueryError, match=rf"'name'.is_in\(\) takes several values, not {type(values).__name__}"
    ):
        F.name.is_in(values)


def test_sizes_are_compared_by_operators() -> None:
    """Of Python's, all six."""
    size = F.tags.size()
    for operator, condition in {
        "$eq": size == 3,
        "$ne": size != 3,
        "$lt": size < 3,
        "$lte": size <= 3,
        "$gt": size > 3,
        "$gte": size >= 3,
    }.items():
        assert condition == condition_from({"tags": {"$size": {operator: 3}}})
    assert (F.address["a"].size() > 1) == Size(("address", "a"), ">", 1)
    with pytest.raises(TypeError):
        hash(size)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a", ("a",)),
        ("", ("",)),
        ("a.b", ("a", "b")),
        ("a[0]", ("a", 0)),
        ("a[10][2].b c.d[3]", ("a", 10, 2, "b c", "d", 3)),
        (("a", 1, "b.c"), ("a", 1, "b.c")),
        (F.address["a.b"][2], ("address", "a.b", 2)),
    ],
)
def test_steps_of_paths(text: Any, steps: Any) -> None:
    """Names and positions, of a text, of steps and of a field path."""
    assert steps_of(text) == steps


@pytest.mark.parametrize(
    "path", ["a.", ".a", "a..b", "a[", "a[x]", "a[1", "a]", "a[-1]", "[0]", "a[0]b", 5, None]
)
def test_what_is_no_path(path: Any) -> None:
    """Unbalanced brackets, positions that are no numbers, names that are empty; the error says it."""
    with pytest.raises(QueryError, match=rf"^{re.escape(repr(path))} is not a path; write it like") as caught:
        steps_of(path)
    assert caught.value.field == str(path)


def test_paths_in_errors_read_as_they_are_written() -> None:
    """A name that a text cannot express is quoted."""
    assert path_text("a.b[0]") == "a.b[0]"
    assert path_text(("a", "b", 0, "c")) == "a.b[0].c"
    assert path_text(("a", "b.c", 1, "", "d]")) == 'a["b.c"][1][""]["d]"]'
    assert path_text(F.address["a.b"]) == 'address["a.b"]'
    assert repr(F.address["x"][1]) == "<FieldPath address.x[1]>"
    assert str(F.address["x"][1]).startswith("<FieldPath")


def test_errors_name_the_field() -> None:
    """For code that tells users which of their fields is wrong."""
    for given, field in (
        ({"agee": 1}, "agee"),
        ({"age": {"$gtt": 1}}, "age"),
        ({"age": {}}, "age"),
        ({"address.city": {"$gt": None}}, "address.city"),
        ({F.address["a"]: {"$type": "X"}}, "address.a"),
    ):
        with pytest.raises(QueryError) as caught:
            rendered(given)
        assert caught.value.field == field


def test_the_longest_condition() -> None:
    """4,096 bytes are sent, one more is not; letters beyond ASCII count as the bytes they take."""

    def length(*operators: str) -> int:
        condition = any_of(Compare("a", operator, 0) for operator in operators)
        return len(render_condition(condition, Placeholders(), Stored()).encode())

    usual = ["="] * 100
    room = 4096 - length(*usual, "")
    for longest, too_long in (("=" * room, "=" * (room + 1)), ("ä" * (room // 2), "ä" * (room // 2 + 1))):
        assert length(*usual, longest) > 4094
        with pytest.raises(QueryError, match="longer than 4096 bytes"):
            length(*usual, too_long)


def test_a_negated_empty_condition_says_why() -> None:
    """As it would find nothing."""
    with pytest.raises(QueryError, match="holds for every item"):
        ~EMPTY


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
