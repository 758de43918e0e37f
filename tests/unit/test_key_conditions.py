"""What a query's key condition says, and where it cannot be."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from dynamo_bao import Index, Model, PrimaryKey, QueryError, StringField, ValidationError, Value, init_models
from dynamo_bao.dynamodb.expressions.conditions import Condition, is_empty
from dynamo_bao.dynamodb.expressions.renderer import Placeholders, render_condition
from dynamo_bao.mapping.key_schema import MODEL_PREFIX
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.reads.key_conditions import key_condition, partition_text, split_condition


class Sheet(Model, prefix="ks", name="KeyConditionSheet"):
    number: str = StringField()
    shelf: str = StringField()
    page: int
    title: str = StringField(min_length=2)

    primary_key = PrimaryKey("number")
    by_shelf = Index("shelf", id="gsi1")
    by_page = Index("shelf", "page", id="gsi2")
    by_title = Index("shelf", "title", id="gsi3")
    all_sheets = Index(MODEL_PREFIX, "title", id="gsi4")


class Part(Model, prefix="kp", name="KeyConditionPart"):
    sheet: str = StringField()
    place: str = StringField()

    primary_key = PrimaryKey("sheet", "place")


SHEET = schema_of(Sheet)
F = Sheet.fields


def read(condition: Condition, schema: Any = SHEET) -> str:
    """A condition's text, with the names and values that it stands for."""
    placeholders, request = Placeholders(), dict[str, Any]()
    text = render_condition(condition, placeholders, schema)
    placeholders.into(request)
    for mark, name in request.get("ExpressionAttributeNames", {}).items():
        text = text.replace(mark, name)
    for mark, value in request.get("ExpressionAttributeValues", {}).items():
        text = text.replace(mark, "".join(value.values()))
    return text


def asked(index: str, given: Any, value: Any = "a", strict: bool = False) -> tuple[str, str]:
    """The key condition and the filter for a condition on the sort key of an index."""
    mapper: Any = SimpleNamespace(schema=SHEET, database=SimpleNamespace(strict_filters=strict))
    shape = SHEET.indexes[index]
    condition, extra = key_condition(mapper, shape, partition_text(mapper, shape, None, value), given)
    return read(condition), read(extra)


@pytest.mark.parametrize("name", ["by_shelf", "primary_key"])
def test_an_error_names_the_index_that_was_asked(name: str) -> None:
    """Its own name, and that of the primary key where that has no other."""
    with init_models(models=[Sheet], table_name="t", embedded=True):
        with pytest.raises(QueryError, match=f"^{re.escape(name)} has no sort key field") as caught:
            getattr(Sheet, name).query("a", "b")
        assert caught.value.index == name


SORT = "_gsi3_sk"
EVERY_FORM: list[tuple[Any, str, str]] = [
    (None, "", ""),
    ("bb", f"{SORT} = bb", ""),
    (Value("bb"), f"{SORT} = bb", ""),
    ({"title": "bb"}, f"{SORT} = bb", ""),
    (F.title == "bb", f"{SORT} = bb", ""),
    (F.title > "bb", f"{SORT} > bb", ""),
    (F.title >= "bb", f"{SORT} >= bb", ""),
    (F.title < "bb", f"{SORT} < bb", ""),
    (F.title <= "bb", f"{SORT} <= bb", ""),
    (F.title.between("bb", "cc"), f"{SORT} BETWEEN bb AND cc", ""),
    (F.title.begins_with("b"), f"begins_with({SORT}, b)", ""),
    ({"title": {"$gte": "bb", "$lte": "cc"}}, f"{SORT} BETWEEN bb AND cc", ""),
    ({"title": {"$gt": "bb", "$lte": "cc"}}, f"{SORT} BETWEEN bb AND cc", "title <> bb"),
    ({"title": {"$gte": "bb", "$lt": "cc"}}, f"{SORT} BETWEEN bb AND cc", "title <> cc"),
    ({"title": {"$lt": "cc", "$gt": "bb"}}, f"{SORT} BETWEEN bb AND cc", "title <> bb AND title <> cc"),
    ((F.title <= "cc") & (F.title >= "bb"), f"{SORT} BETWEEN bb AND cc", ""),
]


@pytest.mark.parametrize(("given", "range_", "extra"), EVERY_FORM)
def test_every_form_of_a_condition_on_the_sort_key(given: Any, range_: str, extra: str) -> None:
    """A range has both ends for DynamoDB; a filter takes out those that do not belong to it."""
    partition = "_gsi3_pk = ks#gsi3#a"
    assert asked("by_title", given) == (f"{partition} AND {range_}" if range_ else partition, extra)


def test_values_are_compared_as_key_texts() -> None:
    """A number has the digits that sort it, and a prefix is one of that text."""
    assert asked("by_page", 7)[0] == f"_gsi2_pk = ks#gsi2#a AND _gsi2_sk = {7:020d}"
    assert asked("by_page", {"page": {"$begins_with": 7}})[0].endswith(f"begins_with(_gsi2_sk, {7:020d})")
    assert asked("by_page", {"page": {"$begins_with": "0000"}})[0].endswith("begins_with(_gsi2_sk, 0000)")


def test_the_partition_of_a_primary_key_and_of_the_model_s_prefix() -> None:
    """A primary key's partition begins with the model's prefix; an index of all items needs no value."""
    schema = schema_of(Part)
    mapper: Any = SimpleNamespace(schema=schema, database=SimpleNamespace(strict_filters=False))
    partition = partition_text(mapper, schema.primary, "acme", "s1")
    condition, extra = key_condition(mapper, schema.primary, partition, Part.fields.place > "p")
    assert read(condition) == "_pk = [acme]#kp#s1 AND _sk > p"
    assert is_empty(extra)
    for value in (None, MODEL_PREFIX, "ks", Value("ks")):
        assert asked("all_sheets", "bb", value)[0] == "_gsi4_pk = ks#gsi4#ks AND _gsi4_sk = bb"


@pytest.mark.parametrize(
    ("index", "given", "value", "message", "field"),
    [
        ("by_title", "bb", None, "by_title needs a value for 'shelf', not None", "shelf"),
        ("by_title", "bb", 5, "shelf", "shelf"),
        ("by_title", "b", "a", r"title", "title"),
        ("by_title", {"title": {"$gt": "b"}}, "a", r"title", "title"),
        ("by_title", {"title": {"$gt": "bb", "$lt": "c"}}, "a", r"title", "title"),
        (
            "by_title",
            {"title": {"$begins_with": ""}},
            "a",
            "'title' of by_title is compared with an empty",
            "title",
        ),
        (
            "by_title",
            {"page": 1},
            "a",
            "'page' is not the sort key for index 'by_title'; that is 'title'",
            None,
        ),
        ("by_title", (F.title > "bb") & (F.page < 1), "a", "'page' is not the sort key", None),
        ("by_title", F.title != "bb", "a", "Unsupported sort key operator on 'title'", "title"),
        ("by_title", F.title.is_in(["bb"]), "a", "Unsupported sort key operator on 'title'", "title"),
        ("by_title", F.title.contains("b"), "a", "Unsupported", "title"),
        ("by_title", ~(F.title == "bb"), "a", "Unsupported", "title"),
        ("by_title", (F.title > "bb") | (F.title < "aa"), "a", "Unsupported", "title"),
        ("by_title", {"title": {"$gt": "bb", "$gte": "cc"}}, "a", "Unsupported", "title"),
        ("by_title", {"title": {"$lt": "bb", "$lte": "cc"}}, "a", "Unsupported", "title"),
        ("by_title", {"title": {"$gt": "bb", "$begins_with": "c"}}, "a", "Unsupported", "title"),
        ("by_title", {"title": {"$gt": "bb", "$lt": "dd", "$gte": "cc"}}, "a", "Unsupported", "title"),
        ("by_title", {}, "a", "Unsupported", "title"),
        ("all_sheets", "bb", "other", "all_sheets has the model's prefix as its partition key", None),
        ("by_shelf", "bb", "a", "by_shelf has no sort key field; leave the sort condition out", None),
    ],
)
def test_what_a_key_condition_cannot_be(index: str, given: Any, value: Any, message: str, field: Any) -> None:
    """An error before any request, with the names of the index and of the field."""
    with pytest.raises(QueryError, match=message) as caught:
        asked(index, given, value)
    assert (caught.value.index, caught.value.field) == (index, field)


@pytest.mark.parametrize("given", [{"$gt": "bb"}, {"$or": [{"title": "bb"}]}, {5: "bb"}, {F.title: "bb"}])
def test_a_dict_names_the_sort_key_first(given: Any) -> None:
    """One that begins with an operator may be what somebody else sent as a value."""
    with pytest.raises(QueryError, match=r"A condition on the sort key 'title' is a value") as caught:
        asked("by_title", given)
    assert isinstance(caught.value, ValidationError)
    assert caught.value.field == "title"


def test_strict_filters_hold_for_sort_keys() -> None:
    """Values and expressions are taken, dicts with operators are not."""
    assert asked("by_title", {"title": "bb"}, strict=True) == asked("by_title", "bb")
    assert asked("by_title", F.title > "bb", strict=True) == asked("by_title", F.title > "bb")
    with pytest.raises(QueryError, match="strict_filters is set"):
        asked("by_title", {"title": {"$gt": "bb"}}, strict=True)


@pytest.mark.parametrize(
    ("condition", "key", "rest"),
    [
        (F.page > 3, "page > 3", ""),
        ((F.page > 3) & (F.page <= 9), "page > 3 AND page <= 9", ""),
        ((F.page > 3) & (F.title == "ab"), "page > 3", "title = ab"),
        ((F.page > 3) & (F.page > 5), "page > 3", "page > 5"),
        ((F.page == 3) & (F.page > 1), "page = 3", "page > 1"),
        (F.page.between(1, 2) & (F.page > 1), "page BETWEEN 1 AND 2", "page > 1"),
        (F.page != 3, "", "page <> 3"),
        ((F.page > 3) | (F.title == "ab"), "", "page > 3 OR title = ab"),
        (~(F.page > 3), "", "NOT (page > 3)"),
        (F.title == "ab", "", "title = ab"),
    ],
)
def test_a_condition_is_split_into_that_of_the_key_and_the_rest(
    condition: Condition, key: str, rest: str
) -> None:
    """At most one lower and one upper bound, or one exact condition, limit what is read; everything else filters."""
    sort_condition, further = split_condition(SHEET.indexes["by_page"], condition)
    assert (read(sort_condition) if sort_condition is not None else "") == key
    assert read(further) == rest
    assert split_condition(SHEET.indexes["by_shelf"], condition)[0] is None
