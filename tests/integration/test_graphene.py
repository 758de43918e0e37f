"""GraphQL with Graphene: plain resolvers, one round for each level of a query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_bao import init_models, run_with_batch_context
from tests.support import blog
from tests.support.blog import MODELS, Author
from tests.support.wire import Wire

graphene = pytest.importorskip("graphene")

from dynamo_bao.graphene import BatchingExecutionContext  # noqa: E402  # it needs graphql-core

pytestmark = pytest.mark.quick_engines


class AuthorType(graphene.ObjectType):
    author_id = graphene.String()
    name = graphene.String()
    mentor = graphene.Field(lambda: AuthorType)
    articles = graphene.List(lambda: ArticleType)


class ArticleType(graphene.ObjectType):
    title = graphene.String()
    author = graphene.Field(AuthorType)
    strict_author = graphene.Field(AuthorType, required=True)

    @staticmethod
    def resolve_strict_author(parent: Any, info: Any) -> Any:
        return parent.author


class Query(graphene.ObjectType):
    articles = graphene.List(ArticleType, status=graphene.String())
    author = graphene.Field(AuthorType, id=graphene.String())

    @staticmethod
    def resolve_articles(parent: Any, info: Any, status: str) -> Any:
        return blog.articles(status)

    @staticmethod
    def resolve_author(parent: Any, info: Any, id: str) -> Any:
        return Author.find(id)


class Rename(graphene.Mutation):
    class Arguments:
        name = graphene.String()

    author = graphene.Field(AuthorType)

    @staticmethod
    def mutate(parent: Any, info: Any, name: str) -> Any:
        author = Author.find("a0")
        former_name, author.name = author.name, f"{name} ({author.name})"
        author.save()
        return Rename(author=Author.find("a1") if former_name == "Author 0" else author)


class Mutation(graphene.ObjectType):
    rename = Rename.Field()


SCHEMA = graphene.Schema(query=Query, mutation=Mutation)


@pytest.fixture
def sent(connection: dict[str, Any], ready_table: str) -> Iterator[Wire]:
    """What is sent after the blog was stored."""
    with init_models(models=MODELS, table_name=ready_table, **connection) as manager:
        blog.write_blog()
        yield Wire(manager.client)


def execute(query: str) -> Any:
    return SCHEMA.execute(query, execution_context_class=BatchingExecutionContext)


def test_three_lists_with_authors_and_their_articles_are_three_rounds(sent: Wire) -> None:
    """The lists, their authors, the authors' articles: aliases and fragments share the rounds of their level."""
    query = """{
        drafts: articles(status: "draft") { ...byline }
        inReview: articles(status: "review") { title ...byline }
        published: articles(status: "published") { title author { articles { title } } }
    }
    fragment byline on ArticleType { author { name articles { title } } }"""
    with run_with_batch_context() as session:
        result = execute(query)
        assert session.stats.round_trips == 3
    assert result.errors is None
    assert sent.operations == ["Query"] * 3 + ["BatchGetItem"] + ["Query"] * 4
    assert result.data["published"][1] == {"title": "Article 5", "author": None}
    assert result.data["drafts"][0]["author"]["articles"] == [{"title": "Article 0"}, {"title": "Article 4"}]


def test_errors_make_the_nearest_object_null_that_may_be(sent: Wire) -> None:
    """At the same path as without the class."""
    with run_with_batch_context():
        result = execute('{ articles(status: "published") { title strictAuthor { name } } }')
    assert [item and item["title"] for item in result.data["articles"]] == ["Article 2", None]
    assert [error.path for error in result.errors] == [["articles", 1, "strictAuthor"]]


def test_fields_of_a_mutation_run_one_after_the_other(sent: Wire) -> None:
    """Each with its whole selection."""
    with run_with_batch_context():
        result = execute(
            """mutation {
                one: rename(name: "x") { author { mentor { name } } }
                two: rename(name: "y") { author { name } }
            }"""
        )
    assert result.errors is None
    assert result.data == {
        "one": {"author": {"mentor": {"name": "x (Author 0)"}}},
        "two": {"author": {"name": "y (x (Author 0))"}},
    }
