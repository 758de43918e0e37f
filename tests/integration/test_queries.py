"""Queries: what they find, in which order, page by page; relations and mapping tables through them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    ConfigurationError,
    DataFormatError,
    DateTimeField,
    Index,
    IntegerField,
    ItemNotFoundError,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    RelatedField,
    TenantContext,
    ValidationError,
    init_models,
    run_with_batch_context,
)
from tests.support.models import Comment, Org, Post, User
from tests.support.wire import Wire

EARLY = datetime(2025, 1, 1, tzinfo=timezone.utc)


class Tag(Model, prefix="t"):
    tag_id: str
    primary_key = PrimaryKey("tag_id")


class Article(Model, prefix="ar"):
    article_id: str
    author_id: str | None = RelatedField("Author", default=None)
    primary_key = PrimaryKey("article_id")
    all_articles = Index(MODEL_PREFIX, "article_id", id="gsi1")


class Author(Model, prefix="au"):
    author_id: str
    agency_id: str = RelatedField("Agency")
    primary_key = PrimaryKey("author_id")


class Agency(Model, prefix="ag"):
    agency_id: str
    primary_key = PrimaryKey("agency_id")


class TaggedArticle(Model, prefix="ta", table_type="mapping"):
    tag_id: str = RelatedField("Tag")
    article_id: str = RelatedField("Article")
    at: datetime = DateTimeField()

    primary_key = PrimaryKey("tag_id", "article_id")
    articles_for_tag = primary_key
    tags_for_article = Index("article_id", "tag_id", id="gsi1")
    recent_articles_for_tag = Index("tag_id", "at", id="gsi2")


class Reading(Model, prefix="r"):
    sensor: int = IntegerField()
    at: int = IntegerField()
    value: int = IntegerField(default=0)
    primary_key = PrimaryKey("sensor", "at")
    readings_for_sensor = primary_key


PRESS = [Tag, Article, Author, Agency, TaggedArticle, Reading]


@pytest.fixture
def press(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=PRESS, table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture
def readings(press: Manager) -> list[int]:
    """Ten readings of one sensor, at -20, -10, … 70."""
    moments = list(range(-20, 80, 10))
    for moment in moments:
        Reading.create(sensor=7, at=moment, value=moment % 3)
    return moments


def moments(result: Any) -> list[int]:
    return [reading.at for reading in result]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (10, [10]),
        ({"at": 10}, [10]),
        ({"at": {"$eq": -10}}, [-10]),
        ({"at": {"$gt": 50}}, [60, 70]),
        ({"at": {"$lte": -10}}, [-20, -10]),
        ({"at": {"$between": [-10, 10]}}, [-10, 0, 10]),
        ({"at": {"$gte": 0, "$lte": 20}}, [0, 10, 20]),
        ({"at": {"$gt": 0, "$lt": 30}}, [10, 20]),
        ({"at": {"$gt": -20, "$lte": 0}}, [-10, 0]),
    ],
)
def test_sort_conditions(readings: list[int], condition: Any, expected: list[int]) -> None:
    """Every operator on the sort key, negatives in order, excluded ends left out."""
    assert moments(Reading.readings_for_sensor.query(7, condition)) == expected
    backwards = Reading.query_by_index("readings_for_sensor", 7, condition, direction="DESC")
    assert moments(backwards) == expected[::-1]


def test_filters_limits_and_pages(readings: list[int]) -> None:
    """A limit bounds matches, a page size what is looked at; empty filtered pages are not the end."""
    everything = Reading.query_by_index("readings_for_sensor", 7, page_size=3)
    assert [len(page) for page in everything.pages()] == [3, 3, 3, 1]
    filtered = Reading.query_by_index("readings_for_sensor", 7, filter={"value": 1}, page_size=1)
    expected = [moment for moment in readings if moment % 3 == 1]
    assert moments(filtered) == expected
    assert filtered.scanned_count == 10
    limited = Reading.query_by_index("readings_for_sensor", 7, filter=Reading.fields.value == 1, limit=2)
    assert moments(limited) == expected[:2]
    assert limited.count == 2


def test_counting_goes_over_all_pages(readings: list[int], press: Manager) -> None:
    """count_only counts matches, brings none, and adds the pages up."""
    sent = Wire(press.client)
    counted = Reading.query_by_index("readings_for_sensor", 7, count_only=True, page_size=4)
    assert counted.count == 10
    assert counted.items == []
    assert len(sent) == 3
    assert Reading.query_by_index("readings_for_sensor", 7, filter={"value": 99}, count_only=True).count == 0


@pytest.mark.parametrize("limit", [1, 3, 4, 9, 10, 11])
@pytest.mark.parametrize("filter_", [None, {"value": {"$ne": 0}}])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.promise("R12")
def test_cursors_go_on_exactly_where_a_page_ended(
    readings: list[int], limit: int, filter_: Any, direction: str
) -> None:
    """Page after page gives every match once and in order, whatever the limit, filter and page size."""
    options: dict[str, Any] = {"filter": filter_, "direction": direction, "page_size": 2}
    expected = [moment for moment in readings if filter_ is None or moment % 3 != 0]
    if direction == "DESC":
        expected.reverse()
    found: list[int] = []
    start_key = None
    for _ in range(12):
        page = Reading.query_by_index("readings_for_sensor", 7, limit=limit, start_key=start_key, **options)
        assert len(page) <= limit
        found += moments(page)
        start_key = page.last_evaluated_key
        if start_key is None:
            break
    print(f"\nR12: {len(found)} of {len(expected)} matches, page after page of {limit}")
    assert found == expected


def test_cursors_are_bound_to_their_query(readings: list[int], press: Manager) -> None:
    """A cursor that was changed, or is used with another query or tenant, is refused before any request."""
    cursor = Reading.query_by_index("readings_for_sensor", 7, limit=2).last_evaluated_key
    assert cursor is not None
    assert cursor.replace("-", "").replace("_", "").isalnum()
    sent = Wire(press.client)
    wrong: list[dict[str, Any]] = [
        {"value": 8},
        {"direction": "DESC"},
        {"filter": {"value": 1}},
        {"sort_condition": {"at": {"$gt": 0}}},
        {"start_key": cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")},
        {"start_key": "nonsense"},
        {"start_key": 7},
        {"start_key": "é"},
    ]
    for options in wrong:
        given = {"value": 7, "sort_condition": None, "start_key": cursor, **options}
        with pytest.raises(QueryError, match="cursor"):
            Reading.query_by_index("readings_for_sensor", **given)
    with TenantContext.run_with_tenant("other"), pytest.raises(QueryError, match="cursor"):
        Reading.query_by_index("readings_for_sensor", 7, start_key=cursor)
    assert len(sent) == 0


def test_wrong_queries_are_told_before_any_request(readings: list[int], press: Manager) -> None:
    """Wrong indexes, values, fields, operators and options: each a clear QueryError."""
    sent = Wire(press.client)
    wrong: list[tuple[Any, str]] = [
        (lambda: Reading.query_by_index("readings", 7), "readings_for_sensor"),
        (lambda: Reading.readings_for_sensor.query("7"), "takes int"),
        (lambda: Reading.readings_for_sensor.query(None), "needs a value"),
        (lambda: Reading.readings_for_sensor.query(7, {"value": 3}), "not the sort key"),
        (lambda: Reading.readings_for_sensor.query(7, {"at": {"$contains": 3}}), "Unsupported"),
        (lambda: Reading.readings_for_sensor.query(7, {"at": {"$gt": 1, "$gte": 2}}), "Unsupported"),
        (lambda: Reading.readings_for_sensor.query(7, {"at": "x"}), "takes int"),
        (lambda: Reading.readings_for_sensor.query(7, limit=0), "at least 1"),
        (lambda: Reading.readings_for_sensor.query(7, direction="UP"), "'ASC' or 'DESC'"),
        (lambda: Article.all_articles.query("x"), "leave the value out"),
        (lambda: TaggedArticle.tags_for_article.query("a", consistent_read=True), "consistently"),
    ]
    for call, says in wrong:
        with pytest.raises(QueryError, match=says):
            call()
    assert len(sent) == 0


def test_first_one_and_truth(readings: list[int]) -> None:
    """first, one, bool, len, indexing."""
    result = Reading.readings_for_sensor.query(7)
    assert result
    assert result[0].at == -20
    assert result[-1].at == 70
    assert [reading.at for reading in result[2:4]] == [0, 10]
    assert Reading.readings_for_sensor.query(7, 10).one().at == 10
    assert Reading.readings_for_sensor.query(8).first() is None
    assert not Reading.readings_for_sensor.query(8)
    with pytest.raises(QueryError, match="several matches"):
        result.one()
    with pytest.raises(ItemNotFoundError, match="Reading: the query has no match"):
        Reading.readings_for_sensor.query(8).one()


def test_a_look_at_one_match_fetches_no_further_than_it(readings: list[int], press: Manager) -> None:
    """Indexing and slicing from the front, and one(), stop at the page that has what is asked for."""
    with run_with_batch_context() as session:
        rows = Reading.query_by_index("readings_for_sensor", 7, page_size=2)
        for look, pages in (
            (lambda: rows[1].at, 1),
            (lambda: moments(rows[1:3]), 2),
            (lambda: moments(rows[:1]), 2),
            (lambda: rows[-1].at, 6),
        ):
            before = session.stats.round_trips
            look()
            assert session.stats.round_trips - before <= pages
        assert moments(rows[::2]) == readings[::2]
        assert moments(rows[-3:]) == readings[-3:]
        assert moments(rows[2:2]) == []
        with pytest.raises(IndexError):
            _ = rows[10]
    with run_with_batch_context() as session:
        with pytest.raises(QueryError, match="several matches"):
            Reading.query_by_index("readings_for_sensor", 7, page_size=2).one()
        assert session.stats.round_trips == 1


def test_all_items_of_a_model_by_its_prefix(press: Manager) -> None:
    """An index on MODEL_PREFIX needs no value."""
    for name in ("b", "a"):
        Article.create(article_id=name)
    assert [article.article_id for article in Article.all_articles.query()] == ["a", "b"]


@pytest.fixture
def tagged(press: Manager) -> Manager:
    """Three articles of two authors of one agency under two tags, one of the articles being gone."""
    Agency.create(agency_id="wire")
    for author in ("ann", "ben"):
        Author.create(author_id=author, agency_id="wire")
    for number, article in enumerate(("one", "two", "gone")):
        Article.create(article_id=article, author_id=("ann", "ben")[number % 2])
        for tag in ("red", "blue"):
            TaggedArticle.create(tag_id=tag, article_id=article, at=EARLY - timedelta(days=number))
    for tag in ("red", "blue"):
        Tag.create(tag_id=tag)
    Article.delete("gone")
    return press


def test_mapping_tables_cost_one_query_and_one_batch(tagged: Manager) -> None:
    """tag.get_articles() and article.get_tags() give the other ends, without those that are gone."""
    sent = Wire(tagged.client)
    with run_with_batch_context():
        red: Any = Tag.find("red")
        assert red.exists()
        sent.clear()
        assert [article.article_id for article in red.get_articles()] == ["one", "two"]
        assert sent.operations == ["Query", "BatchGetItem"]
        assert [article.article_id for article in red.get_recent_articles()] == ["two", "one"]
        assert [article.article_id for article in red.get_recent_articles(direction="DESC", limit=1)] == [
            "one"
        ]
        article: Any = Article.find("one")
        assert {tag.tag_id for tag in article.get_tags()} == {"red", "blue"}
        assert article is red.get_articles()[0]
        page = red.get_articles(limit=1)
        following = red.get_articles(start_key=page.last_evaluated_key)
        assert [a.article_id for a in (*page, *following)] == ["one", "two"]
    outside: Any = Tag.find("blue")
    sent.clear()
    assert [article.article_id for article in outside.get_articles()] == ["one", "two"]
    assert sent.operations == ["Query", "BatchGetItem"]


def test_load_related_of_a_query_in_one_batch_per_level(tagged: Manager) -> None:
    """load_related=True loads all relations with each page; nested paths cost one batch a level."""
    sent = Wire(tagged.client)
    path = "author_id.agency_id"
    spellings: list[dict[str, Any]] = [
        {"load_related": True, "related_fields": [path]},
        {"load_related": [path]},
    ]
    for inside, options in itertools.product((True, False), spellings):
        sent.clear()
        if inside:
            with run_with_batch_context(fetch="raise"):
                names = nested_names(**options)
        else:
            names = nested_names(**options)
        assert names == [("one", "ann", "wire"), ("two", "ben", "wire")]
        assert sent.operations == ["Query", "BatchGetItem", "BatchGetItem"]


def test_related_fields_are_checked_at_the_call(tagged: Manager) -> None:
    """A relation that does not exist, also deeper in a path, is told at the call; nothing is sent."""
    sent = Wire(tagged.client)
    for wrong in ("authr_id", "author_id.agncy_id", "title"):
        with pytest.raises(ConfigurationError, match="not a valid relation field"):
            Article.all_articles.query(load_related=[wrong])
    for no_list in ("author_id", 7):
        with pytest.raises(QueryError, match="a list of relations"):
            Article.all_articles.query(load_related=no_list)  # type: ignore[arg-type]
    assert len(sent) == 0


def nested_names(**options: Any) -> list[tuple[str, str, str]]:
    result = Article.all_articles.query(**options)
    rows: list[Any] = list(result)
    return [(row.article_id, row.author.author_id, row.author.agency.agency_id) for row in rows]


def test_relations_of_an_instance_that_is_not_stored(manager: Manager) -> None:
    """`load_related_data` loads what the ids that it holds lead to: all relations, or the named ones."""
    author = User.create(name="Ada")
    for names in (None, ["user_id"]):
        post = Post(title="new", user_id=author.user_id)
        post.load_related_data(names)
        assert post.user.name == "Ada"


def test_get_related_and_its_kin(tagged: Manager) -> None:
    """get_related asks nobody; get_or_load_related_field and get_author load; the target is remembered."""
    sent = Wire(tagged.client)
    for inside in (True, False):
        if inside:
            with run_with_batch_context():
                look_at_relations(sent)
        else:
            look_at_relations(sent)


def look_at_relations(sent: Wire) -> None:
    article: Any = Article.find("one")
    assert article.exists()
    sent.clear()
    assert article.get_related("author_id") is None
    assert len(sent) == 0
    author = article.get_author()
    assert len(sent) == 1
    assert author.author_id == "ann"
    assert article.get_author() is author
    assert article.author is author
    assert article.get_related("author_id") is author
    assert article.get_or_load_related_field("author_id") is author
    assert len(sent) == 1
    article.author = Author.find("ben")
    assert article.author_id == "ben"
    assert article.get_related("author_id") is None
    assert article.author.author_id == "ben"
    article.author_id = None
    assert article.author is None
    assert article.get_author() is None
    article.author = article  # the save refuses an instance of another model, as for the field
    with pytest.raises(ValidationError, match=r"author_id takes a Author or its primary id, not Article"):
        article.save()
    article.author_id = "nobody"
    assert not article.get_author()
    with pytest.raises(ValueError, match="not a valid relation field"):
        article.get_related("article_id")


def test_queries_go_through_the_identity_map(manager: Manager, wire: Wire) -> None:
    """A row never replaces what the session read or changed; a deleted item is left out; a miss is mended."""
    ada = User.create(name="Ada")
    with run_with_batch_context():
        mine = User.find(ada.user_id)
        mine.name = "Countess"
        User.update(ada.user_id, age=36)
        assert list(User.by_status.query("active")) == [mine]
        assert (mine.name, mine.age) == ("Countess", 36)
        other = User.create(name="Bob")
        other.delete()
        assert list(User.by_status.query("active")) == [mine]
    with run_with_batch_context():
        late = Org(org_id="late", name="Late")
        post = Post(user_id=ada.user_id)
        missing = Post.find(post.post_id)
        assert not missing
        with run_with_batch_context():
            post.save()
            late.save()
        rows = list(ada.query_posts())  # type: ignore[attr-defined]
        assert rows == [missing]
        assert rows[0] is missing
        assert missing.title == "untitled"
    assert isinstance(Comment.comments_for_post.query(post).all(), list)


def test_a_field_of_a_row_that_cannot_be_read_is_named_by_the_row_s_id(press: Manager) -> None:
    """The error says which item it is as find() would be asked for it, without tenant and prefix."""
    with TenantContext.run_with_tenant("red"):
        Reading.create(sensor=7, at=3)
        press.client.update_item(
            TableName=press.table_name,
            Key={"_pk": {"S": "[red]#r#00000000000000000007"}, "_sk": {"S": "00000000000000000003"}},
            UpdateExpression="SET #v = :v",
            ExpressionAttributeNames={"#v": "value"},
            ExpressionAttributeValues={":v": {"S": "much"}},
        )
        (reading,) = Reading.readings_for_sensor.query(7).all()
        assert (reading.sensor, reading.at) == (7, 3)
        with pytest.raises(DataFormatError) as caught:
            _ = reading.value
        assert (caught.value.model, caught.value.field) == ("Reading", "value")
        assert caught.value.key == Reading.make_primary_id(7, 3)
