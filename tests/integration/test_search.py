"""Searchable models: the stored search text, conditions on it, and searches with their cursors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from dynamo_bao import (
    ConditionalError,
    ConfigurationError,
    Index,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    StringField,
    TenantContext,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.dynamodb.table_admin import create_table
from dynamo_bao.mapping.search_text import SearchConfig
from dynamo_bao.reads.iteration import iterate_all
from dynamo_bao.reads.search import SearchResult, search_all, search_bucket
from tests.support.wire import Wire


class Article(Model, prefix="ar", iterable=True, iteration_buckets=3, searchable=["title", "body"]):
    article_id: str = StringField()
    title: str | None = None
    body: str | None = None
    status: str = StringField(default="draft")

    primary_key = PrimaryKey("article_id")
    by_status = Index("status", "article_id", id="gsi1")


class Exact(
    Model,
    prefix="ex",
    iterable=True,
    iteration_buckets=1,
    searchable=SearchConfig(["text"], case_sensitive=True),
):
    exact_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("exact_id")


class Terse(
    Model,
    prefix="te",
    iterable=True,
    iteration_buckets=1,
    searchable={"fields": ["text"], "min_term_length": 3, "dedupe": True},
):
    terse_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("terse_id")


class Loose(Model, prefix="lo", searchable=["text"]):
    loose_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("loose_id")


class Plain(Model, prefix="pl", iterable=True):
    plain_id: str = StringField()

    primary_key = PrimaryKey("plain_id")


ALL = [Article, Exact, Terse, Loose, Plain]


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """The models of this page, connected to an empty table with a search index on the engine."""
    with init_models(models=ALL, table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture
def embedded(table_name: str) -> Iterator[Manager]:
    """The models of this page on the embedded engine."""
    with init_models(models=ALL, table_name=table_name, embedded=True) as manager:
        manager.client.delete_table(TableName=manager.table_name)
        create_table(manager.database, search=True)
        yield manager


def stored(manager: Manager, instance: Any) -> dict[str, Any]:
    """An instance's item as it is stored."""
    schema = manager.repository(type(instance)).schema
    key = schema.keys.from_key(None, instance.primary_id).key.as_item()
    item: dict[str, Any] = manager.client.get_item(TableName=manager.table_name, Key=key)["Item"]
    return item


def text_of(manager: Manager, instance: Any) -> str | None:
    """The search text of an instance's item."""
    text: str | None = stored(manager, instance).get("_searchText", {}).get("S")
    return text


def ids(result: Any) -> list[str]:
    """The primary ids found, sorted."""
    return sorted(item.primary_id for item in result)


def articles(manager: Manager, **texts: str) -> Any:
    """Stores articles by id and title; gives their repository."""
    for name, title in texts.items():
        Article.create(article_id=name, title=title)
    return manager.repository(Article)


# --- the stored text ------------------------------------------------------------------------------


def test_create_stores_the_text(manager: Manager) -> None:
    """The listed fields, normalised; nothing where they are empty."""
    one = Article.create(article_id="1", title="Hello,  Wörld!", body="苹果手机 iPhone 15")
    assert text_of(manager, one) == "hello wörld 苹果手机 iphone 15"
    assert text_of(manager, Article.create(article_id="2", status="x")) is None
    assert text_of(manager, Loose.create(loose_id="1", text="Some Text")) == "some text"
    assert "_iter_pk" not in stored(manager, Loose.find("1"))


def test_save_keeps_the_text_true(manager: Manager) -> None:
    """A changed search field makes the text anew, with the others; cleared ones take it away."""
    one = Article.create(article_id="1", title="old", body="rest")
    one.title = "new"
    one.save()
    assert text_of(manager, one) == "new rest"
    one.title = None
    one.save()
    assert text_of(manager, one) == "rest"
    one.body = None
    one.save()
    assert text_of(manager, one) is None


def test_other_fields_leave_the_text_alone(embedded: Manager) -> None:
    """A save of another field does not write the text, nor ask for the search fields."""
    one, wire = Article.create(article_id="1", title="a", body="b"), Wire(embedded.client)
    one.status = "live"
    one.save()
    assert wire.operations == ["UpdateItem"]
    assert "_searchText" not in wire.sent[0][1]["ExpressionAttributeNames"].values()


def test_update_of_all_search_fields_reads_nothing(embedded: Manager) -> None:
    """Where every search field is given, the text is known."""
    one, wire = Article.create(article_id="1", title="a", body="b"), Wire(embedded.client)
    Article.update("1", title="c", body="d")
    assert wire.operations == ["UpdateItem"]
    assert text_of(embedded, one) == "c d"


def test_a_pending_instance_is_read_first(manager: Manager) -> None:
    """Saving one search field of an instance that was never loaded reads it, for the others."""
    one = Article.create(article_id="1", title="a", body="b")
    with run_with_batch_context():
        pending = Article.find("1")
        pending.title = "c"
        pending.save()
    assert text_of(manager, one) == "c b"


def test_58_the_text_does_not_drift(manager: Manager) -> None:
    """Two objects that each change another search field give a text of both changes."""
    one = Article.create(article_id="1", title="title one", body="body one")
    other = Article.find("1")
    assert other.title == "title one"
    one.title = "title two"
    one.save()
    other.body = "body two"
    other.save()
    assert text_of(manager, one) == "title two body two"


def test_reindex_writes_the_text_anew(manager: Manager) -> None:
    """force_reindex gives items their text that were stored before the model was searchable."""
    one = Article.create(article_id="1", title="a", body="b")
    key = manager.repository(Article).schema.keys.from_key(None, "1").key.as_item()
    manager.client.update_item(
        TableName=manager.table_name,
        Key=key,
        UpdateExpression="REMOVE #t",
        ExpressionAttributeNames={"#t": "_searchText"},
    )
    one.save(force_reindex=True)
    assert text_of(manager, one) == "a b"


# --- conditions and filters --------------------------------------------------------------------------


def test_conditions_on_the_text(manager: Manager) -> None:
    """A condition's value is normalised like the text."""
    one = Article.create(article_id="1", title="Apple, Inc.")
    one.status = "live"
    one.save(condition={"_searchText": {"$contains": "APPLE, inc!"}})
    one.status = "gone"
    with pytest.raises(ConditionalError):
        one.save(condition={"_searchText": {"$contains": "pear"}})


def test_queries_filtered_by_the_text(manager: Manager) -> None:
    """A query of an index filters by the text, also beside other fields, and stays in its partition."""
    articles(manager, a="Apple pie", b="Pear", c="Apple")
    Article.update("c", status="live")
    query = manager.repository(Article).query_by_index
    assert ids(query("by_status", "draft", filter={"_searchText": {"$contains": "Apple!"}})) == ["a"]
    either = {"$or": [{"_searchText": {"$contains": "pear"}}, {"title": "Apple pie"}]}
    assert ids(query("by_status", "draft", filter=either)) == ["a", "b"]


def test_iteration_filtered_by_the_text(manager: Manager) -> None:
    """A condition on the text is evaluated by the search index."""
    repository = articles(manager, a="Apple pie", b="Pear", c="Apple")
    wire = Wire(manager.client)
    batches = list(iterate_all(repository, filter={"_searchText": {"$contains": "APPLE"}}))
    assert ids(item for batch in batches for item in batch) == ["a", "c"]
    assert {body["IndexName"] for operation, body in wire.sent if operation == "Query"} == {
        "iter_search_index"
    }


# --- searches ----------------------------------------------------------------------------------------


def test_terms(manager: Manager) -> None:
    """One term, all of several, any of several, parts of words, phrases, Chinese, nothing."""
    repository = articles(
        manager, a="Red apple pie", b="Green apple", c="Red bicycle", d="苹果手机", e="Apple, red"
    )
    assert ids(search_all(repository, ["APPLE"])) == ["a", "b", "e"]
    assert ids(search_all(repository, ["red", "apple"])) == ["a", "e"]
    assert ids(search_all(repository, ["bicycle", "green"], operator="$or")) == ["b", "c"]
    assert ids(search_all(repository, ["cycl"])) == ["c"]
    assert ids(search_all(repository, ["red apple"])) == ["a"]
    assert ids(search_all(repository, ["果手"])) == ["d"]
    nothing = search_all(repository, ["plum"])
    assert (nothing.items, nothing.cursor, len(nothing), bool(nothing)) == ([], None, 0, False)


def test_options_of_the_model(manager: Manager) -> None:
    """Case, short words and repeated words are treated as the model says, at writing and at searching."""
    one = Exact.create(exact_id="1", text="Foo Bar")
    assert text_of(manager, one) == "Foo Bar"
    exact, terse = manager.repository(Exact), manager.repository(Terse)
    assert ids(search_all(exact, ["Foo"])) == ["1"] and ids(search_all(exact, ["foo"])) == []
    two = Terse.create(terse_id="2", text="a foo is foo, bar or foo baz")
    assert text_of(manager, two) == "foo bar baz"
    assert ids(search_all(terse, ["a", "bar"])) == ["2"]
    with pytest.raises(QueryError, match="at least one non-empty term"):
        search_all(terse, ["a", "is"])


def test_44_phrases_survive_short_and_repeated_words(manager: Manager) -> None:
    """A phrase with words that the stored text dropped is found, and only where it is one."""
    terse = manager.repository(Terse)
    Terse.create(terse_id="1", text="a fox runs foo bar foo baz")
    Terse.create(terse_id="2", text="the fox, foo; then the baz")
    assert ids(search_all(terse, ["a fox"])) == ["1"]
    assert ids(search_all(terse, ["foo baz"])) == ["1"]


def test_45_phrases_end_with_their_field(manager: Manager) -> None:
    """A phrase does not match across two fields."""
    Article.create(article_id="1", title="new york", body="hats")
    repository = manager.repository(Article)
    assert ids(search_all(repository, ["york hats"])) == []
    assert ids(search_all(repository, ["york", "hats"])) == ["1"]


@pytest.mark.parametrize("parallel", [1, 4])
def test_limits_and_cursors(manager: Manager, parallel: int) -> None:
    """Pages of seven give each match once, also where most index pages are empty."""
    repository = manager.repository(Article)
    for number in range(60):
        Article.create(article_id=f"{number:03d}", title="match" if number % 2 else "other")
    found: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        result = search_all(repository, ["match"], limit=7, cursor=cursor, batch_size=5, parallel=parallel)
        assert len(result) <= 7
        found += [item.primary_id for item in result]
        cursor, pages = result.cursor, pages + 1
    assert sorted(found) == [f"{number:03d}" for number in range(1, 60, 2)]
    assert ids(search_all(repository, ["match"], limit=None, batch_size=4)) == sorted(found)
    assert ids(search_all(repository, ["match"], limit=math.inf, parallel=parallel)) == sorted(found)
    each = [search_bucket(repository, bucket, ["match"]) for bucket in range(3)]
    assert sorted(name for bucket in each for name in ids(bucket)) == sorted(found)
    assert len(search_bucket(repository, 0, ["match"], limit=3)) == 3


def test_limit_and_cursor_by_position(embedded: Manager) -> None:
    """The model's own methods take terms, operator, limit and cursor in this order."""
    articles(embedded, **{f"n{number}": "match" for number in range(12)})
    first = Article.search_all(["match"], "$and", 5)
    rest = Article.search_all(["match"], "$and", 100, first.cursor)
    assert (len(first), len(ids(first) + ids(rest))) == (5, 12)
    assert len(Article.search_bucket(0, ["match"], "$or", 1, None)) == 1


def test_a_search_stops_at_its_limit(embedded: Manager) -> None:
    """One bucket at a time: a full result leaves the other buckets unread, and reads no item too many."""
    repository = articles(embedded, **{f"n{number}": "match" for number in range(12)})
    wire = Wire(embedded.client)
    result = search_all(repository, ["match"], limit=2, parallel=1)
    assert wire.operations == ["Query", "BatchGetItem"] and len(wire.keys()) == 2
    assert len(result) == 2 and result.cursor is not None


def test_the_most_queries_per_bucket(embedded: Manager) -> None:
    """A search that finds nothing for long returns, with a cursor that goes on."""
    repository = articles(embedded, **{f"n{number}": "other" for number in range(12)})
    wire = Wire(embedded.client)
    result = search_all(repository, ["match"], batch_size=1, max_queries_per_bucket=1)
    assert result.items == [] and result.cursor is not None and wire.operations == ["Query"] * 3
    rest = search_all(repository, ["match"], cursor=result.cursor)
    assert rest.items == [] and rest.cursor is None


def test_filters(manager: Manager) -> None:
    """A function filters what was read; a condition on another field is refused, naming it."""
    repository = articles(manager, a="Apple", b="Apple")
    Article.update("b", status="live")
    assert ids(search_all(repository, ["apple"], filter=lambda item: item.status == "live")) == ["b"]
    with pytest.raises(QueryError, match="status"):
        search_all(repository, ["apple"], filter={"status": "live"})


def test_what_a_filter_refuses_is_read_once(embedded: Manager) -> None:
    """Only an object that the context had before is read again, because it may be old."""
    repository = articles(embedded, a="Apple", b="Apple", c="Apple")
    wire = Wire(embedded.client)
    asked: list[str] = []
    for inside in (False, True):
        with run_with_batch_context() if inside else nullcontext():
            wire.clear()
            asked.clear()
            found = search_all(repository, ["apple"], filter=lambda item: bool(asked.append(item.article_id)))
            assert len(found) == 0
            assert sorted(asked) == ["a", "b", "c"]
            assert wire.operations.count("BatchGetItem") == 1
    with run_with_batch_context():
        assert Article.find("a").status == "draft"
        with run_with_batch_context():
            Article.update("a", status="live")
        wire.clear()
        assert ids(search_all(repository, ["apple"], filter=lambda item: item.status == "live")) == ["a"]
        assert wire.keys() == ["ar#a"]


# --- cursors of other searches --------------------------------------------------------------------------


def test_46_cursors_are_bound(embedded: Manager) -> None:
    """A cursor goes on with its own search only, and cannot be changed."""
    repository = articles(embedded, **{f"n{number}": "match" for number in range(12)})
    cursor = search_all(repository, ["match"], limit=2).cursor
    inside = search_bucket(repository, 0, ["match"], limit=1, batch_size=1).cursor
    assert cursor is not None and inside is not None
    wire = Wire(embedded.client)
    for terms, operator in ((["other"], "$and"), (["match"], "$or"), (["match", "x"], "$and")):
        with pytest.raises(QueryError, match="different query"):
            search_all(repository, terms, operator, cursor=cursor)
    with pytest.raises(QueryError, match="scope mismatch"):
        search_bucket(repository, 0, ["match"], cursor=cursor)
    for call in (
        lambda: search_all(repository, ["match"], cursor=inside),
        lambda: search_bucket(repository, 1, ["match"], cursor=inside),
    ):
        with pytest.raises(QueryError, match="scope mismatch"):
            call()
    with pytest.raises(QueryError, match="another tenant"), TenantContext.run_with_tenant("t"):
        search_all(repository, ["match"], cursor=cursor)
    with pytest.raises(QueryError, match="another model"):
        search_all(embedded.repository(Exact), ["match"], cursor=cursor)
    for text in ("", "nonsense", cursor[:-4], cursor[:-1] + "!", 7):
        with pytest.raises(QueryError, match="cursor"):
            search_all(repository, ["match"], cursor=text)  # type: ignore[arg-type]
    assert wire.operations == []


# --- in a session ---------------------------------------------------------------------------------------


def test_47_results_are_fresh(embedded: Manager) -> None:
    """An object loaded before somebody else's change is read again, and keeps its local changes."""
    repository = articles(embedded, a="old words", b="old words")
    with run_with_batch_context():
        first, second = Article.find("a"), Article.find("b")
        assert first.title == second.title == "old words"
        second.status = "mine"
        with run_with_batch_context():
            Article.update("a", title="new words", body=None)
            Article.update("b", title="new words", body=None)
        found = {item.primary_id: item for item in search_all(repository, ["new"])}
        assert found == {"a": first, "b": second}
        assert found["a"] is first and first.title == "new words"
        assert found["b"] is second and (second.title, second.status) == ("new words", "mine")
        assert ids(search_all(repository, ["old"])) == []


def test_a_new_object_stands_for_the_item_of_its_key(embedded: Manager) -> None:
    """An object that was added and not committed is found by the stored text, as in the result of a query."""
    for number in range(2):
        Article.create(article_id=f"a{number}", title="fox")
    with run_with_batch_context() as session:
        new = Article(article_id="a1", title="wolf", status="live")
        session.add(new, overwrite=True)
        found = {article.article_id: article for article in Article.search_all(["fox"])}
        assert found.keys() == {"a0", "a1"}
        assert found["a1"] is new
        assert len(Article.search_all(["fox"], filter=lambda article: article.status == "draft")) == 1
        assert (new.title, new.status) == ("wolf", "live")
        session.commit()
    assert Article.find("a1").title == "wolf"


def test_what_a_transaction_has_saved_stays_as_it_is(embedded: Manager) -> None:
    """The object is found by the stored text until the block ends, and keeps what the block has saved."""
    Article.create(article_id="a", title="fox")
    with run_with_batch_context():
        article = Article.find("a")
        with transaction():
            article.title = "wolf"
            article.save()
            assert [found is article for found in Article.search_all(["fox"])] == [True]
            assert ids(Article.search_all(["fox"], filter=lambda found: found.title == "fox")) == []
            assert article.title == "wolf"
        assert (article.title, ids(Article.search_all(["wolf"]))) == ("wolf", ["a"])
        article.title = "fox"
        article.save()
    assert Article.find("a").title == "fox"


def test_results_are_held_weakly(embedded: Manager) -> None:
    """A search leaves nothing in the session that nobody holds, and gives objects that it knows."""
    repository = articles(embedded, a="apple", b="apple")
    with run_with_batch_context() as session:
        known = Article.find("a")
        result: SearchResult[Any] | None = search_all(repository, ["apple"])
        assert result is not None and any(item is known for item in result)
        assert len(result) == 2 and result[0] in result.items and len(result[:1]) == 1
        result = None
        assert "1 known" in repr(session)


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", ["fox", None, 7, {"fox"}, ["fox", 7], [], ["", "  "], ["!?"]])
def test_wrong_terms(embedded: Manager, terms: Any) -> None:
    """Terms are a list of texts with something to search for."""
    with pytest.raises(QueryError, match="term"):
        search_all(embedded.repository(Article), terms)


@pytest.mark.parametrize(
    "options",
    [
        *({"limit": limit} for limit in (0, -1, 1.5, math.nan, "10", -math.inf, True)),
        *({"max_queries_per_bucket": number} for number in (0, -1, 1.5)),
        *({"batch_size": number} for number in (0, None)),
        {"parallel": 0},
        {"operator": "$not"},
    ],
)
def test_wrong_options(embedded: Manager, options: dict[str, Any]) -> None:
    """Wrong numbers and operators are refused before any request."""
    wire = Wire(embedded.client)
    with pytest.raises(QueryError, match=next(iter(options))):
        search_all(embedded.repository(Article), ["fox"], **options)
    assert wire.operations == []


def test_models_that_cannot_be_searched(embedded: Manager) -> None:
    """Models must be searchable and iterable, and buckets exist."""
    with pytest.raises(
        ConfigurationError, match=r"Plain is not configured as searchable.* 'bao reindex Plain'"
    ):
        search_all(embedded.repository(Plain), ["fox"])
    with pytest.raises(ConfigurationError, match="Loose is not configured as iterable"):
        search_all(embedded.repository(Loose), ["fox"])
    for bucket in (-1, 99):
        with pytest.raises(QueryError, match="Invalid bucket number"):
            search_bucket(embedded.repository(Article), bucket, ["fox"])


def test_a_table_without_the_search_index(connection: dict[str, Any], table_name: str) -> None:
    """The error says which index is missing, and what to run."""
    with init_models(models=ALL, table_name=f"{table_name}x", **connection) as manager:
        if "embedded" in connection:
            manager.client.delete_table(TableName=manager.table_name)
        create_table(manager.database)
        with pytest.raises(
            ConfigurationError, match=r"'iter_search_index' is missing on table .*bao update-table"
        ):
            search_all(manager.repository(Article), ["fox"])
