"""The text by which items are searched, and terms made to fit it."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from dynamo_bao import (
    ConfigurationError,
    CounterField,
    DateTimeField,
    IntegerField,
    Model,
    PrimaryKey,
    QueryError,
    StringField,
    StringSetField,
    VersionField,
)
from dynamo_bao.dynamodb.expressions.conditions import all_of
from dynamo_bao.dynamodb.expressions.parser import condition_from
from dynamo_bao.dynamodb.expressions.renderer import Placeholders, render_condition
from dynamo_bao.dynamodb.table_definition import table_definition
from dynamo_bao.mapping.search_text import SearchConfig, field_texts, folded, normalise_term, search_text
from dynamo_bao.reads.search_terms import terms_of, tokenize_search_query
from dynamo_bao.writes.plans import (
    ItemRef,
    StoredItem,
    needs_known,
    needs_search_sources,
    plan_create,
    plan_update,
)
from tests.support.search_hash import predicate_hash

BOTH = SearchConfig(["title", "body"])


class Article(Model, prefix="ar", iterable=True, iteration_buckets=5, searchable=["title", "body"]):
    art_id: str = StringField()
    title: str | None = None
    body: str | None = None
    pages: int | None = IntegerField(default=None)

    primary_key = PrimaryKey("art_id")


SCHEMA = Article.__bao_schema__
SUBJECT = ItemRef(SCHEMA, None, SCHEMA.keys.from_key(None, "art-1"))

# --- the text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, ""),
        ({"title": None, "body": None}, ""),
        ({"body": "second", "title": "first"}, "first second"),
        ({"title": "x", "other": "y"}, "x"),
        ({"title": "Hello,  Wörld!", "body": "苹果手机 iPhone 15"}, "hello wörld 苹果手机 iphone 15"),
        ({"title": "  a\t\nb  "}, "a b"),
        ({"title": "foo foo", "body": "foo"}, "foo foo foo"),
        ({"title": "ПРИВЕТ Мир", "body": "مرحبا"}, "привет мир مرحبا"),
        ({"title": "カタカナ ABC", "body": "你好，世界！"}, "カタカナ abc 你好 世界"),
        ({"title": 2024, "body": True}, "2024 true"),
        ({"title": "ΟΔΟΣ"}, "οδος"),
        ({"title": "a\u00a0b\u200bc\ufeffd\u0085e"}, "a b c d e"),
        ({"title": "ΟΔΟΣ\ufeffΑ", "body": "Α\ufeffΣ"}, "οδοσ α α ς"),
        ({"title": "cafe\u0301s"}, "cafe s"),
        ({"title": "İ"}, "i\u0307"),
        ({"title": "½ Ⅷ ²"}, "½ ⅷ ²"),
    ],
)
def test_search_text(values: dict[str, object], text: str) -> None:
    """Letters and numbers of the fields in order, lower case, single spaces."""
    assert search_text(values, BOTH) == text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"case_sensitive": True}, "A foo Foo 苹 baz foo"),
        ({"dedupe": True}, "a foo 苹 baz"),
        ({"min_term_length": 2}, "foo foo baz foo"),
        ({"min_term_length": 3, "dedupe": True}, "foo baz"),
        ({"min_term_length": 9}, ""),
    ],
)
def test_options(options: dict[str, Any], text: str) -> None:
    """Case is kept, repeated words and words that are short in characters are dropped, where asked."""
    assert search_text({"t": "A foo, Foo", "b": "苹 baz foo"}, SearchConfig(["t", "b"], **options)) == text


def test_normalise_term() -> None:
    """A term is treated like the text."""
    assert normalise_term("Hello, World!", BOTH) == "hello world"
    assert normalise_term("Hello!", SearchConfig(["t"], case_sensitive=True)) == "Hello"
    assert normalise_term("  \t", BOTH) == "" and normalise_term("苹果", BOTH) == "苹果"
    assert normalise_term(normalise_term("A, b", BOTH), BOTH) == "a b"


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("red  hats ", ["red", "hats"]),
        ("", []),
        ("  \t", []),
        ('red "new york" "big apple" x', ["red", "new york", "big apple", "x"]),
        ('"" x " "', ["x"]),
        ('red "new york', ["red", "new york"]),
        ('"你好 世界"', ["你好 世界"]),
        (None, []),
        (7, []),
    ],
)
def test_tokenize_search_query(text: object, terms: list[str]) -> None:
    """Words, and phrases in double quotes; an open quote takes the rest."""
    assert tokenize_search_query(text) == terms


def test_predicate_hash() -> None:
    """The hash is that of the other library, and differs with everything it is made from."""
    assert predicate_hash(["Foo", "bar"], "$and", SearchConfig(["x"])) == "f5ahq6"
    assert predicate_hash(["\u82f9"], "$or", SearchConfig(["x"], True, 2, True)) == "rn11x"
    base = predicate_hash(["a"], "$and", BOTH)
    assert base == predicate_hash(["A!"], "$and", BOTH)
    others = [
        predicate_hash(["b"], "$and", BOTH),
        predicate_hash(["a"], "$or", BOTH),
        predicate_hash(["a"], "$and", SearchConfig(["x"], case_sensitive=True)),
        predicate_hash(["a"], "$and", SearchConfig(["x"], min_term_length=2)),
    ]
    assert len({base, *others}) == 5


# --- terms ----------------------------------------------------------------------------------------


def asked(text: str, **options: Any) -> list[tuple[tuple[str, ...], ...]]:
    """What the index is asked for a term."""
    return [term.required_parts for term in terms_of([text], SearchConfig(["t"], **options))]


def test_terms() -> None:
    """The index is asked for what the stored text of a match must contain."""
    assert asked("New York!") == [(("new york",),)]
    assert asked("ab", min_term_length=3) == asked("!") == asked("a b c", min_term_length=2) == []
    assert asked("a fox of hats", min_term_length=3) == [(("fox hats",),)]
    assert asked("foo bar foo", dedupe=True) == [(("foo", "bar"),)]
    assert asked("cafe\u0301") == [(("cafe",), ("café",))]


@pytest.mark.parametrize("options", [{}, {"min_term_length": 3}, {"dedupe": True}])
def test_what_is_found_was_asked_for(options: dict[str, Any]) -> None:
    """A term found in a field is never missed by what the index is asked for."""
    config = SearchConfig(["t"], **options)
    values = {"t": "The quick brown fox, the lazy dog; a fox is a fox of 12 dogs"}
    stored, texts = search_text(values, config), field_texts(values, config)
    words = texts[0].split()
    phrases = [" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
    for phrase in phrases + [phrase[1:-1] for phrase in phrases]:
        for term in terms_of([phrase], config):
            assert term.found_in(texts)
            assert any(all(part in stored for part in parts) for parts in term.required_parts)
    assert not terms_of(["quick fox"], config)[0].found_in(texts)


# --- the option -----------------------------------------------------------------------------------


def test_forms_of_the_option() -> None:
    """Names, a mapping in both spellings, a configuration, or nothing."""
    assert SearchConfig.of(["title", "body"], "M") == BOTH == SearchConfig.of(("title", "body"), "M")
    assert SearchConfig.of({"fields": ["x"], "caseSensitive": True, "minTermLength": 2}, "M") == SearchConfig(
        ["x"], True, 2
    )
    assert SearchConfig.of(BOTH, "M") is BOTH
    assert SearchConfig.of(None, "M") is None and SearchConfig.of(False, "M") is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (True, "does not name the fields"),
        ("title", "does not name the fields"),
        (7, "does not name the fields"),
        ([], "fields is empty"),
        ({}, "fields is empty"),
        ({"fields": "title"}, "list of field names"),
        ({"fields": None}, "list of field names"),
        ([7], "give the names of fields as texts"),
        (["title", "title"], "twice"),
        ({"fields": ["title"], "dedup": True}, "Did you mean 'dedupe'"),
        ({"fields": ["title"], "dedupe": "yes"}, "dedupe='yes'"),
        ({"fields": ["title"], "min_term_length": 0}, "min_term_length=0"),
        ({"fields": ["title"], "min_term_length": 1.5}, "min_term_length=1.5"),
        (["titel"], "Did you mean 'title'"),
        (["tags"], "no text to search"),
        (["views"], "no text to search"),
        (["version"], "no text to search"),
    ],
)
def test_wrong_options(given: Any, message: str) -> None:
    """A wrong option is told with the model, what is wrong, and the mend."""
    with pytest.raises(ConfigurationError, match=message) as caught:

        class Wrong(Model, prefix="wr", searchable=given):
            wrong_id: str = StringField()
            title: str = StringField()
            tags: set[str] = StringSetField()
            views: int = CounterField()
            version: str = VersionField()
            primary_key = PrimaryKey("wrong_id")

    assert "Wrong" in str(caught.value)


def test_the_option_is_inherited() -> None:
    """A subclass is searchable like its base, unless it says otherwise."""

    class Base(Model, searchable=["title"]):
        title: str = StringField()

    class Child(Base, prefix="ch"):
        child_id: str = StringField()
        primary_key = PrimaryKey("child_id")

    class Mute(Base, prefix="mu", searchable=None):
        mute_id: str = StringField()
        primary_key = PrimaryKey("mute_id")

    assert Child.__bao_schema__.search == SearchConfig(["title"])
    assert Mute.__bao_schema__.search is None


def test_numbers_and_dates_are_searched_as_stored() -> None:
    """A number's text is its plain form, a date's its milliseconds, under any stored name."""

    class Event(Model, prefix="ev", searchable=["size", "at"], attribute_style="camel"):
        event_id: str = StringField()
        size: int = IntegerField(attribute="howLarge")
        at: Any = DateTimeField()
        primary_key = PrimaryKey("event_id")

    item = {"howLarge": {"N": "1E+2"}, "at": {"N": "1735689599999"}}
    assert Event.__bao_schema__.search_text(item) == "100 1735689599999"


# --- plans ------------------------------------------------------------------------------------------


def test_create_plan() -> None:
    """A new item has its search text, unless it is empty."""
    values = {"art_id": "art-1", "title": "A!", "body": None, "pages": 3}
    item = plan_create(SUBJECT, values, all_of(())).main_action.item
    assert item is not None and item["_searchText"] == {"S": "a"}
    item = plan_create(SUBJECT, {**values, "title": "!"}, all_of(())).main_action.item
    assert item is not None and "_searchText" not in item


def known(**texts: str) -> StoredItem:
    """An article as it was read."""
    item = {"art_id": {"S": "art-1"}, **{name: {"S": text} for name, text in texts.items()}}
    return StoredItem.read(SCHEMA, SCHEMA.keys.from_key(None, "art-1"), item)


@pytest.mark.parametrize(
    ("changes", "before", "text"),
    [
        ({"title": "New"}, known(title="old", body="rest"), {"S": "new rest"}),
        ({"title": "New"}, known(), {"S": "new"}),
        ({"title": None}, known(title="old", body="rest"), {"S": "rest"}),
        ({"title": None}, known(title="old"), None),
        ({"title": "a", "body": "b"}, None, {"S": "a b"}),
        ({"title": "a", "body": None, "pages": 3}, None, {"S": "a"}),
    ],
)
def test_update_plans(changes: dict[str, Any], before: StoredItem | None, text: Any) -> None:
    """The text is made anew from the changes and, on condition that they hold, the other fields as read."""
    action = plan_update(SUBJECT, changes, before, all_of(())).main_action
    assert action.update is not None
    assert action.update.set_.get("_searchText") == text
    assert ("_searchText" in action.update.remove) == (text is None)
    placeholders = Placeholders()
    condition = render_condition(action.condition, placeholders, SCHEMA)
    asked: dict[str, Any] = {}
    placeholders.into(asked)
    assert ("body" in asked["ExpressionAttributeNames"].values()) == (before is not None)
    assert "title" not in asked["ExpressionAttributeNames"].values() and condition


def test_reindex_and_untouched_plans() -> None:
    """A reindex makes the text anew on condition of all its fields; other changes leave it alone."""
    action = plan_update(SUBJECT, {}, known(title="a", body="b"), all_of(()), reindex=True).main_action
    assert action.update is not None and action.update.set_["_searchText"] == {"S": "a b"}
    other = plan_update(SUBJECT, {"pages": 3}, known(title="a"), all_of(())).main_action
    assert other.update is not None and "_searchText" not in {**other.update.set_, **other.update.remove}


def test_what_plans_need() -> None:
    """Changing some of the search fields needs the others; all of them, or none, does not."""
    for names, needed in ((["title"], True), (["title", "body"], False), (["pages"], False), ([], False)):
        assert needs_known(SCHEMA, names) is needs_search_sources(SCHEMA, names) is needed
    with pytest.raises(AssertionError, match="body"):
        plan_update(SUBJECT, {"title": "x"}, None, all_of(()))


# --- conditions -------------------------------------------------------------------------------------


def rendered(given: Any, schema: Any = SCHEMA) -> tuple[str, list[Any]]:
    """A condition's text and its values."""
    placeholders = Placeholders()
    text = render_condition(condition_from(given), placeholders, schema)
    return text, [value["S"] for value in placeholders.values.values()]


@pytest.mark.parametrize(
    ("given", "text", "values"),
    [
        ({"$contains": "Hello, World!"}, "contains(#n0, :v0)", ["hello world"]),
        ({"$contains": "苹果"}, "contains(#n0, :v0)", ["苹果"]),
        ({"$in": ["A!", "b"]}, "#n0 IN (:v0, :v1)", ["a", "b"]),
        ({"$in": ["A!"]}, "#n0 IN (:v0)", ["a"]),
        ({"$beginsWith": "A b!"}, "begins_with(#n0, :v0)", ["a b"]),
        ({"$eq": "A!"}, "#n0 = :v0", ["a"]),
        ({"$ne": "A!"}, "#n0 <> :v0", ["a"]),
        ("A!", "#n0 = :v0", ["a"]),
        ({"$exists": True}, "attribute_exists(#n0)", []),
        ({"$exists": False}, "NOT (attribute_exists(#n0))", []),
        ({"$contains": 42}, "contains(#n0, :v0)", ["42"]),
    ],
)
def test_conditions_on_the_search_text(given: Any, text: str, values: list[str]) -> None:
    """The system field is allowed, its values normalised like the text."""
    assert rendered({"_searchText": given}) == (text, values)


def test_conditions_beside_it() -> None:
    """It combines with fields; other system names stay unknown; a value without letters is refused."""
    assert rendered({"_searchText": {"$contains": "A"}, "title": "T"}) == (
        "contains(#n0, :v0) AND #n1 = :v1",
        ["a", "T"],
    )
    assert rendered({"$or": [{"_searchText": "A"}, {"title": "T"}]})[0] == "#n0 = :v0 OR #n1 = :v1"
    with pytest.raises(QueryError, match="Unknown field in filter"):
        rendered({"_secret": "x"})
    with pytest.raises(QueryError, match="without letters and digits"):
        rendered({"_searchText": {"$contains": "!?"}})


def test_conditions_of_other_models() -> None:
    """A model that is not searchable takes the text as it is, one with case keeps it."""

    class Plain(Model, prefix="pl"):
        plain_id: str = StringField()
        primary_key = PrimaryKey("plain_id")

    class Exact(Model, prefix="ex", searchable=SearchConfig(["exact_id"], case_sensitive=True)):
        exact_id: str = StringField()
        primary_key = PrimaryKey("exact_id")

    given = {"_searchText": {"$contains": "Hello, World!"}}
    assert rendered(given, Plain.__bao_schema__)[1] == ["Hello, World!"]
    assert rendered(given, Exact.__bao_schema__)[1] == ["Hello World"]


# --- the table ----------------------------------------------------------------------------------------


def test_the_search_index() -> None:
    """A table for searches has one index more, of the text; the usual one does not."""
    usual, search = table_definition("t"), table_definition("t", search=True)
    *same, added = search["GlobalSecondaryIndexes"]
    assert same == usual["GlobalSecondaryIndexes"]
    assert {**search, "GlobalSecondaryIndexes": same} == usual
    assert added["IndexName"] == "iter_search_index"
    assert added["KeySchema"] == same[-1]["KeySchema"]
    assert added["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["_searchText"]}


# --- composed and folded letters ----------------------------------------------------------------------

LETTERS = st.text(st.sampled_from("aeiouéèÅåßẞſσςΣİıŉǰΐﬁ①½㎏ﾊﾞばé e\u0301A\u030a\u0345ͅ,-  "), max_size=12)
"""Letters that fold, compose or come apart."""


def matches(text: str, stored: SearchConfig, term: str, asked: SearchConfig) -> bool:
    """Whether a search by one configuration finds a text that was stored by another."""
    values = {"title": text}
    kept = search_text(values, stored)
    return any(
        any(all(part in kept for part in parts) for parts in one.required_parts)
        and one.found_in(field_texts(values, asked))
        for one in terms_of([term], asked)
    )


@settings(max_examples=500, deadline=None)
@given(text=LETTERS, term=LETTERS, dedupe=st.booleans(), shortest=st.integers(1, 3))
def test_what_was_found_before_folding_is_still_found(
    text: str, term: str, dedupe: bool, shortest: int
) -> None:
    """In texts that are stored as they were; in those written anew the folded term is found where it is."""
    before = SearchConfig(["title"], dedupe=dedupe, min_term_length=shortest)
    now = evolve(before, normalise="nfkc-casefold")
    if matches(text, before, term, before):
        assert matches(text, before, term, now)
    if shortest == 1 and not dedupe and normalise_term(term, now):
        assert matches(text, now, term, now) >= (
            normalise_term(term, now) in search_text({"title": text}, now)
        )


@settings(max_examples=500, deadline=None)
@given(text=st.text(max_size=20))
def test_folding_once_is_folding_twice(text: str) -> None:
    """So that a text and a term meet in one form, composed or not, in any case."""
    assert folded(folded(text)) == folded(text)
    assert folded(unicodedata.normalize("NFD", text)) == folded(text)
    assert folded(text.casefold()) == folded(text)


def test_filters_on_the_search_text_ask_for_both_texts() -> None:
    """By themselves, in groups and negated; once where both are one."""

    class Folded(
        Model, prefix="fo", iterable=True, searchable={"fields": ["name"], "normalise": "nfkc-casefold"}
    ):
        name: str = StringField()
        primary_key = PrimaryKey("name")

    schema = Folded.__bao_schema__
    text = "contains(#n0, :v0) OR contains(#n0, :v1)"
    assert rendered({"_searchText": {"$contains": "Straße"}}, schema) == (text, ["strasse", "straße"])
    assert rendered({"$not": {"_searchText": {"$contains": "Straße"}}}, schema)[0] == f"NOT ({text})"
    both = rendered({"name": "x", "_searchText": {"$contains": "Straße"}}, schema)[0]
    assert both == "#n0 = :v0 AND (contains(#n1, :v1) OR contains(#n1, :v2))"
    assert rendered({"_searchText": {"$contains": "plain"}}, schema) == ("contains(#n0, :v0)", ["plain"])
    with pytest.raises(QueryError, match="without letters and digits"):
        rendered({"_searchText": {"$contains": "--"}}, schema)
