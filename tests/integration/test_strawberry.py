"""GraphQL with Strawberry: plain resolvers, one round for each level of a query."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from dynamo_bao import (
    LazyLoadError,
    Manager,
    RequireContext,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.testing import FaultInjectingTransport, embedded_transport, refused_connection
from tests.support import blog
from tests.support.blog import MODELS, Article, Author, Note
from tests.support.clocks import FakeTime
from tests.support.wire import Wire

strawberry = pytest.importorskip("strawberry")

from strawberry.schema.config import StrawberryConfig  # noqa: E402  # after the check that it is installed

from dynamo_bao.strawberry import BatchingExecutionContext  # noqa: E402

pytestmark = pytest.mark.quick_engines


@strawberry.interface(name="Named")
class NamedType:
    name: str

    @classmethod
    def resolve_type(cls, value: Any, *_: Any) -> str:
        """Tells the types apart by a field, which loads the instance if it is not loaded."""
        return "Writer" if value.name else "Nobody"


@strawberry.type(name="Writer")
class WriterType(NamedType):
    author_id: str

    @classmethod
    def is_type_of(cls, value: Any, info: Any) -> bool:
        return isinstance(value, Author) and bool(value.name)


@strawberry.type(name="Author")
class AuthorType:
    author_id: str
    name: str
    mentor: AuthorType | None

    @strawberry.field
    def strict_mentor(self) -> AuthorType:
        return self.mentor

    @strawberry.field
    def articles(self) -> list[ArticleType]:
        return self.articles

    @strawberry.field
    def short_pages(self) -> list[ArticleType]:
        return self.articles.where(page_size=1)

    @strawberry.field
    def article_page(self) -> ArticlePage:
        return self.articles

    @strawberry.field
    def short_page(self) -> ArticlePage:
        return self.articles.where(page_size=1)

    @strawberry.field
    async def later_name(self) -> str:
        if self.author_id == "a1":
            raise ValueError("no name yet")
        return self.name


@strawberry.type(name="ArticlePage")
class ArticlePage:
    @strawberry.field
    def titles(self) -> list[str]:
        return [article.title for article in self]

    @strawberry.field
    def first(self) -> ArticleType | None:
        return self.first()


@strawberry.type(name="Article")
class ArticleType:
    article_id: str
    title: str
    author: AuthorType | None

    @strawberry.field
    def strict_author(self) -> AuthorType:
        return self.author

    @strawberry.field
    def notes(self) -> list[NoteType]:
        return self.notes


@strawberry.type(name="Note")
class NoteType:
    text: str
    author: AuthorType


@strawberry.type(name="Ready")
class ReadyType:
    number: int
    author: AuthorType


@strawberry.type
class Query:
    @strawberry.field
    def articles(self, status: str) -> list[ArticleType]:
        return blog.articles(status)

    @strawberry.field
    def maybe_articles(self, status: str) -> list[ArticleType | None]:
        return blog.articles(status)

    @strawberry.field
    def drafts(self) -> list[ArticleType] | None:
        return blog.articles("draft")

    @strawberry.field
    def author(self, id: str) -> AuthorType | None:
        return Author.find(id)

    @strawberry.field
    def authors(self, ids: list[str]) -> list[AuthorType | None]:
        return [Author.find(id) for id in ids]

    @strawberry.field
    def named(self, ids: list[str]) -> list[NamedType | None]:
        return [Author.find(id) for id in ids]

    @strawberry.field
    async def later_author(self, id: str) -> AuthorType | None:
        return Author.find(id)

    @strawberry.field
    async def strict_later_author(self, id: str) -> AuthorType:
        return Author.find(id)


LOG: list[str] = []


@strawberry.type
class Mutation:
    @strawberry.mutation
    def rename(self, id: str, name: str) -> AuthorType:
        author = Author.find(id)
        LOG.append(f"{id} was {author.name}")
        author.name = name
        author.save()
        return author

    @strawberry.mutation
    def mentor_of(self, id: str) -> AuthorType | None:
        return Author.find(id).mentor

    @strawberry.mutation
    def remove(self, id: str) -> AuthorType | None:
        author = Author.find(id)
        author.delete()
        return author


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def updates(self) -> AsyncIterator[list[ArticleType]]:
        yield blog.articles("draft")
        yield blog.articles("review")


TYPES = [WriterType]
PLAIN = strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription, types=TYPES)
BATCHING = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=TYPES,
    execution_context_class=BatchingExecutionContext,
)


@pytest.fixture
def stored(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """The blog, stored on the engine."""
    options = {"on_event_loop": "allow", **connection}
    with init_models(models=MODELS, table_name=ready_table, **options) as manager:
        blog.write_blog()
        yield manager


@pytest.fixture
def sent(stored: Manager) -> Wire:
    """What is sent from now on."""
    return Wire(stored.client)


def plain_answer(query: str) -> Any:
    """The answer without the class."""
    with run_with_batch_context():
        return PLAIN.execute_sync(query)


def answer(query: str, rounds: int, **options: Any) -> Any:
    """The data of an answer that needs no more than some rounds."""
    with run_with_batch_context(**options) as session:
        result = BATCHING.execute_sync(query)
        assert result.errors is None
        assert session.stats.round_trips == rounds
    return result.data


def paths(result: Any) -> list[tuple[list[str | int], str]]:
    return sorted(((error.path, error.message) for error in result.errors or ()), key=repr)


# --- rounds -------------------------------------------------------------------------------------------------


def test_three_lists_with_authors_and_their_articles_are_three_rounds(sent: Wire) -> None:
    """The lists, their authors, the authors' articles: aliases and fragments share the rounds of their level."""
    query = """{
        drafts: articles(status: "draft") { ...byline }
        inReview: articles(status: "review") { title ...byline }
        published: articles(status: "published") { author { articles { title } } ... on Article { title } }
    }
    fragment byline on Article { author { name articles { title } } }"""
    data = answer(query, rounds=3)
    assert sent.operations == ["Query"] * 3 + ["BatchGetItem"] + ["Query"] * 4
    assert data["drafts"][0]["author"]["articles"] == [{"title": "Article 0"}, {"title": "Article 4"}]
    assert data["published"] == [
        {"author": {"articles": [{"title": "Article 2"}]}, "title": "Article 2"},
        {"author": None, "title": "Article 5"},
    ]


def test_rounds_are_the_depth_of_the_query(sent: Wire) -> None:
    """Relations to one and to many, as deep as they go."""
    deep = "title author { name mentor { name articles { title notes { text author { name } } } } }"
    query = f'{{ articles(status: "draft") {{ {deep} }} two: articles(status: "review") {{ {deep} }} }}'
    data = answer(query, rounds=5)  # the notes' authors are in the session
    assert data == plain_answer(query).data


def test_a_list_of_lookups_is_one_round(sent: Wire) -> None:
    """Also in several fields, and with items that are not stored."""
    query = """{
        authors(ids: ["a0", "a9", "a1"]) { name }
        author(id: "a2") { name authorId }
        no: author(id: "b") { name }
    }"""
    data = answer(query, rounds=1)
    assert sent.operations == ["BatchGetItem"]
    assert data == {
        "authors": [{"name": "Author 0"}, None, {"name": "Author 1"}],
        "author": {"name": "Author 2", "authorId": "a2"},
        "no": None,
    }


def test_types_are_told_apart_after_loading(sent: Wire) -> None:
    """A type that is told by a field loads no instance alone."""
    data = answer('{ named(ids: ["a0", "a1", "a2", "zz"]) { __typename name } }', rounds=1)
    assert [item and item["__typename"] for item in data["named"]] == ["Writer"] * 3 + [None]


def test_further_pages_are_fetched_for_all_lists_together(sent: Wire) -> None:
    """Two pages of each author are two rounds after the authors; engines may need one more to see the end."""
    with run_with_batch_context() as session:
        for number in range(2, 4):
            article = Article(article_id=f"c{number}", title="-", author_id=f"a{number}", number=9)
            article.save()
        before = session.stats.round_trips
        result = BATCHING.execute_sync('{ authors(ids: ["a0", "a2", "a3"]) { shortPages { title } } }')
        assert session.stats.round_trips - before <= 1 + 3
    assert [len(author["shortPages"]) for author in result.data["authors"]] == [2, 2, 2]
    assert sent.operations.count("Query") >= 6


def test_a_result_as_an_object_is_read_by_its_resolvers(sent: Wire) -> None:
    """A type whose resolvers read a result of a query is one round for all objects of the level."""
    query = '{ authors(ids: ["a0", "a1", "a2"]) { articlePage { titles first { title } } } }'
    data = answer(query, rounds=2)
    assert data == plain_answer(query).data
    assert data["authors"][0]["articlePage"]["titles"] == ["Article 0", "Article 4"]


def test_a_result_as_an_object_is_read_as_far_as_its_resolvers_need(sent: Wire) -> None:
    """The first of several pages is enough for its first match."""
    with run_with_batch_context():
        Article(article_id="c1", title="-", author_id="a1", number=9).save()
        sent.clear()
        result = BATCHING.execute_sync('{ authors(ids: ["a0", "a1"]) { shortPage { first { title } } } }')
    assert [author["shortPage"]["first"] for author in result.data["authors"]] == [
        {"title": "Article 0"},
        {"title": "Article 1"},
    ]
    assert sorted(sent.operations) == ["BatchGetItem", "Query", "Query"]


def test_the_rest_of_results_is_fetched_together(sent: Wire) -> None:
    """Where the program has used their first pages already."""
    ids = ["a0", "a1", "a2", "a3"]
    with run_with_batch_context() as session:
        for number in ids[1:]:
            Article(article_id=f"c{number}", title="-", author_id=number, number=9).save()
        results = [author.articles.where(page_size=1) for author in map(Author.find, ids)]
        assert all(result.first() for result in results)
        before = session.stats.round_trips
        result = BATCHING.execute_sync(f"{{ authors(ids: {json.dumps(ids)}) {{ shortPages {{ title }} }} }}")
        assert session.stats.round_trips - before <= 2
    assert [len(author["shortPages"]) for author in result.data["authors"]] == [2] * 4


def test_a_list_under_two_names_is_fetched_once(sent: Wire) -> None:
    """Also where it has several pages; engines may need one more request to see the end."""
    query = '{ author(id: "a0") { one: shortPages { title } two: shortPages { title } } }'
    with run_with_batch_context():
        author = BATCHING.execute_sync(query).data["author"]
    assert author["one"] == author["two"] == [{"title": "Article 0"}, {"title": "Article 4"}]
    assert 2 <= sent.operations.count("Query") <= 3


def test_what_is_loaded_is_not_asked_for_again(sent: Wire) -> None:
    """The session's instances are used; a second query of the same session sends nothing."""
    query = '{ articles(status: "draft") { author { name } } }'
    with run_with_batch_context():
        first = BATCHING.execute_sync(query)
        sent.clear()
        assert BATCHING.execute_sync(query).data == first.data
    assert len(sent) == 0


# --- nothing, and errors ------------------------------------------------------------------------------------


def test_a_missing_item_is_null(stored: Manager) -> None:
    """An author who is not stored is null, whether it was looked at before or not."""
    query = '{ maybeArticles(status: "published") { title author { name } } }'
    assert answer(query, rounds=2)["maybeArticles"][1] == {"title": "Article 5", "author": None}
    with run_with_batch_context():
        assert not Article.find("b5").author
        assert BATCHING.execute_sync(query).data["maybeArticles"][1]["author"] is None


def test_a_missing_item_of_a_type_that_is_not_null_is_an_error(stored: Manager) -> None:
    """The nearest object that may be null becomes null, and the rest of the answer stays."""
    query = """{
        maybeArticles(status: "published") { title strictAuthor { name articles { notes { author { name } } } } }
        author(id: "a1") { name }
    }"""
    with run_with_batch_context():
        result = BATCHING.execute_sync(query)
    assert [item and item["title"] for item in result.data["maybeArticles"]] == ["Article 2", None]
    assert result.data["author"] == {"name": "Author 1"}
    expected = "Cannot return null for non-nullable field Article.strictAuthor."
    assert paths(result) == [(["maybeArticles", 1, "strictAuthor"], expected)]


def test_an_error_that_nothing_stops_makes_the_answer_null(stored: Manager) -> None:
    """As without the class."""
    query = '{ articles(status: "published") { strictAuthor { name } } author(id: "a1") { name } }'
    with run_with_batch_context():
        result = BATCHING.execute_sync(query)
    assert result.data is None
    assert [path for path, _ in paths(result)] == [["articles", 1, "strictAuthor"]]


def test_nothing_is_fetched_for_an_object_that_is_null_by_then(sent: Wire) -> None:
    """An error of one field makes the object null, and its other fields need no request."""
    with run_with_batch_context():
        result = BATCHING.execute_sync('{ author(id: "a0") { articles { title } strictMentor { name } } }')
    assert result.data == {"author": None}
    assert sent.operations == ["BatchGetItem"]


def test_errors_of_resolvers_have_the_same_paths(stored: Manager) -> None:
    """Deep below values that waited, beside fields that are answered."""
    query = '{ authors(ids: ["a0", "a1", "a2"]) { name strictMentor { name strictMentor { name } } } }'
    with run_with_batch_context():
        result = BATCHING.execute_sync(query)
    expected = plain_answer(query)
    assert result.data == expected.data
    assert paths(result) == paths(expected) != []
    assert result.data["authors"][:2] == [None, None] != result.data["authors"][2]


@pytest.mark.parametrize("operation", ["BatchGetItem", "Query"])
def test_a_failed_request_is_an_error_where_it_is_without_the_class(operation: str) -> None:
    """The fields that needed its answer, and only those, are null."""
    query = '{ author(id: "a1") { authorId name } drafts { title } }'
    transport = FaultInjectingTransport(
        embedded_transport().wire, operations=[operation], clock=FakeTime().clock
    )
    with init_models(models=MODELS, transport=transport) as manager:
        manager.create_table()
        blog.write_blog()
        transport.inject(refused_connection())
        answers = []
        for schema in (PLAIN, BATCHING):
            with run_with_batch_context():
                result = schema.execute_sync(query)
            answers.append((result.data, [path for path, _ in paths(result)]))
    assert answers[0] == answers[1]
    assert len(answers[0][1]) == 1


def test_rounds_do_not_need_peers(sent: Wire) -> None:
    """Also where the context loads nothing in advance."""
    query = '{ articles(status: "draft") { author { name articles { title } } } }'
    answer(query, rounds=3, fetch="one")


def test_a_refused_load_is_an_error_where_it_is_without_the_class(stored: Manager) -> None:
    """Under `fetch="raise"`, relations are errors, and lookups by key are not."""
    query = '{ author(id: "a1") { name mentor { name } articles { title } } two: author(id: "a2") { name } }'
    with run_with_batch_context(fetch="raise"):
        result = BATCHING.execute_sync(query)
    with run_with_batch_context(fetch="raise"):
        expected = PLAIN.execute_sync(query)
    assert (result.data, paths(result)) == (expected.data, paths(expected))
    assert {type(error.original_error) for error in result.errors} == {LazyLoadError}


# --- around queries -----------------------------------------------------------------------------------------


def test_fields_of_a_mutation_run_one_after_the_other(stored: Manager) -> None:
    """Each with its whole selection, before the next one changes anything."""
    LOG.clear()
    with run_with_batch_context():
        result = BATCHING.execute_sync(
            """mutation {
                first: rename(id: "a0", name: "Ada") { name }
                before: mentorOf(id: "a1") { name articles { title } }
                second: rename(id: "a0", name: "Eve") { name }
                after: mentorOf(id: "a1") { name }
                gone: remove(id: "a3") { name }
            }"""
        )
    assert result.errors is None and LOG == ["a0 was Author 0", "a0 was Ada"]
    assert [value and value["name"] for value in result.data.values()] == ["Ada", "Ada", "Eve", "Eve", None]
    assert list(result.data) == ["first", "before", "second", "after", "gone"]


def test_outside_a_context_the_policy_decides(connection: dict[str, Any], ready_table: str) -> None:
    """The answer is the same, with a request for each look; a policy that refuses is an error of the field."""
    query = (
        '{ articles(status: "draft") { title author { name articles { title } } } author(id: "no") { name } }'
    )
    with init_models(models=MODELS, table_name=ready_table, **connection):
        blog.write_blog()
        with run_with_batch_context():
            expected = BATCHING.execute_sync(query)
        assert BATCHING.execute_sync(query).data == expected.data
    with init_models(models=MODELS, table_name=ready_table, policy=RequireContext(), **connection):
        result = BATCHING.execute_sync('{ author(id: "a0") { name } }')
    assert result.data == {"author": None}
    assert [path for path, _ in paths(result)] == [["author"]]


def test_asynchronous_resolvers_are_awaited(stored: Manager) -> None:
    """They can stand beside plain ones; executed synchronously, they are the usual error."""
    query = """{
        a: laterAuthor(id: "a1") { name mentor { name } }
        articles(status: "draft") { author { name articles { title } } }
        b: laterAuthor(id: "no") { name }
    }"""

    async def run() -> Any:
        with run_with_batch_context():
            return await BATCHING.execute(query)

    result = asyncio.run(run())
    assert result.errors is None
    assert result.data["a"] == {"name": "Author 1", "mentor": {"name": "Author 0"}}
    assert result.data["articles"][0]["author"]["articles"][1] == {"title": "Article 4"}
    assert result.data["b"] is None


def test_an_asynchronous_resolver_of_the_root_runs_in_the_session(stored: Manager) -> None:
    """A single one needs no task of its own, which would not see an ordinary session."""
    pytest.importorskip("graphql.execution.incremental", reason="graphql-core 3.2 makes a task for each")

    async def run() -> int:
        with run_with_batch_context() as session:
            result = await BATCHING.execute(
                '{ laterAuthor(id: "a2") { mentor { laterName articles { title } } } }'
            )
            assert [error.message for error in result.errors] == ["no name yet"]
            return session.stats.round_trips

    assert asyncio.run(run()) == 2


@pytest.mark.parametrize(
    "query",
    [
        '{ authors(ids: ["a0", "a1", "a2"]) { name laterName } author(id: "a1") { laterName } }',
        '{ author(id: "a1") { articles { title author { laterName } } } }',
        '{ author(id: "a0") { laterName } strictLaterAuthor(id: "a1") { laterName } }',
    ],
)
def test_errors_of_asynchronous_resolvers_have_the_same_paths(stored: Manager, query: str) -> None:
    """Below values that waited, and up to the root."""

    async def run(schema: Any) -> Any:
        with run_with_batch_context():
            for number in "012":  # tasks do not see this session, so its instances are loaded before
                assert Author.find(f"a{number}").name
            return await schema.execute(query)

    result, expected = asyncio.run(run(BATCHING)), asyncio.run(run(PLAIN))
    assert result.data == expected.data
    assert paths(result) == paths(expected) != []


def test_events_of_a_subscription_are_complete(stored: Manager) -> None:
    """Each event is answered like a query."""

    async def run() -> list[Any]:
        with run_with_batch_context():
            events = await BATCHING.subscribe("subscription { updates { author { name } } }")
            return [event async for event in events]

    drafts, reviews = asyncio.run(run())
    assert drafts.data == {"updates": [{"author": {"name": "Author 0"}}, {"author": {"name": "Author 3"}}]}
    assert reviews.errors is None and len(reviews.data["updates"]) == 2


def test_parts_that_come_later_are_complete(stored: Manager) -> None:
    """`@defer` and `@stream` answer as without the class."""
    pytest.importorskip("graphql.execution.incremental", reason="graphql-core 3.2 has no @defer")
    query = """{
        author(id: "a0") { name articles { title ... @defer { author { name articles { title } } } } }
        drafts @stream(initialCount: 1) { title author { name } }
    }"""

    async def run(**options: Any) -> list[Any]:
        config = StrawberryConfig(enable_experimental_incremental_execution=True)
        result = await strawberry.Schema(query=Query, config=config, types=TYPES, **options).execute(query)
        parts = [result.initial_result.formatted]
        return parts + [part.formatted async for part in result.subsequent_results]

    parts = asyncio.run(run(execution_context_class=BatchingExecutionContext))
    assert parts == asyncio.run(run())
    assert len(parts) > 1 and "errors" not in repr(parts)
    query = '{ maybeArticles(status: "published") { title ... @defer { author { name } } } }'
    parts = asyncio.run(run(execution_context_class=BatchingExecutionContext))
    assert "'author': None" in repr(parts) and "errors" not in repr(parts)


def test_a_router_of_fastapi_answers_in_the_session_of_the_request(stored: Manager) -> None:
    """Asynchronous resolvers see it too."""
    fastapi = pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient
    from strawberry.fastapi import GraphQLRouter

    from dynamo_bao.fastapi import BatchContextMiddleware

    app = fastapi.FastAPI()
    app.include_router(GraphQLRouter(BATCHING), prefix="/graphql")
    app.add_middleware(BatchContextMiddleware, server_timing=True)
    query = """{
        one: laterAuthor(id: "a1") { name mentor { name } }
        two: laterAuthor(id: "no") { name }
        three: author(id: "a2") { name mentor { name } }
    }"""
    reply = TestClient(app).post("/graphql", json={"query": query})
    assert reply.json()["data"] == {
        "one": {"name": "Author 1", "mentor": {"name": "Author 0"}},
        "two": None,
        "three": {"name": "Author 2", "mentor": {"name": "Author 1"}},
    }
    assert "2 round trips" in reply.headers["Server-Timing"]


def test_other_values_are_completed_as_they_are(stored: Manager) -> None:
    """New instances, whose relations wait as usual, and objects that are no models."""

    @strawberry.type
    class Root:
        @strawberry.field
        def fresh(self) -> NoteType:
            return Note(article_id="b0", number=9, author_id="a0", text="new")

        @strawberry.field
        def ready(self) -> ReadyType:
            return ReadyType(number=3, author=Author.find("a1"))

    schema = strawberry.Schema(query=Root, execution_context_class=BatchingExecutionContext)
    with run_with_batch_context() as session:
        result = schema.execute_sync("{ fresh { text author { name } } ready { number author { name } } }")
        assert session.stats.round_trips == 1
    assert result.data == {
        "fresh": {"text": "new", "author": {"name": "Author 0"}},
        "ready": {"number": 3, "author": {"name": "Author 1"}},
    }
