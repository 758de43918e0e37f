"""Answers level by level are the answers of graphql-core: random queries over a schema with all kinds of types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from dynamo_bao import Manager, init_models, run_with_batch_context
from tests.support import blog
from tests.support.blog import MODELS, STATUSES, Article, Author, Note
from tests.support.examples import many

graphql = pytest.importorskip("graphql")

from dynamo_bao.graphene import BatchingExecutionContext  # noqa: E402  # it needs graphql-core

SDL = """
interface Written { number: Int, author: Author, strictAuthor: Author! }
union Thing = Author | Article | Note
type Query {
    articles(status: String): [Article]
    strictArticles(status: String): [Article!]
    author(id: String): Author
    strictAuthor(id: String): Author!
    authors(ids: [String]): [Author]
    strictAuthors(ids: [String]): [Author!]!
    things(ids: [String]): [Thing]
    written(ids: [String]): [Written]
}
type Author {
    author_id: ID!
    name: String!
    broken: String
    strictBroken: String!
    mentor: Author
    strictMentor: Author!
    articles: [Article]
    paged: [Article]
    strictArticles: [Article!]!
    notes: [Note!]
    written: [Written]
    related: [Thing!]
}
type Article implements Written {
    article_id: ID!
    title: String
    number: Int
    broken: String
    author: Author
    strictAuthor: Author!
    notes: [Note!]!
}
type Note implements Written {
    text: String
    number: Int
    strictBroken: String!
    author: Author
    strictAuthor: Author!
    article: Article!
}
"""
IDS = ("a0", "a1", "a2", "a3", "nobody")


class Refused(Exception):
    """What the resolvers of broken fields raise."""


def kind(value: Any, info: Any, abstract: Any) -> str:
    """The type of a value; it looks at a field, as applications do."""
    return type(value).__name__ if value.number_or_name() else ""


for model, field in ((Author, "name"), (Article, "title"), (Note, "text")):
    model.number_or_name = lambda self, field=field: getattr(self, field)  # type: ignore[attr-defined]


def thing(id: str) -> Any:
    return (Author.find if id[0] in "an" else Article.find)(id)


def broken(source: Any, info: Any) -> str:
    if source.number_or_name()[-1] in "02468":
        raise Refused(f"{source.number_or_name()} is even")
    return "whole"


ROOT = {
    "articles": lambda _, info, status=None: blog.articles(status),
    "strictArticles": lambda _, info, status=None: blog.articles(status),
    "author": lambda _, info, id: Author.find(id),
    "strictAuthor": lambda _, info, id: Author.find(id),
    "authors": lambda _, info, ids: map(Author.find, ids),
    "strictAuthors": lambda _, info, ids: [Author.find(id) for id in ids],
    "things": lambda _, info, ids: [thing(id) for id in [*ids, "b1", "b9"]],
    "written": lambda _, info, ids: [Article.find(id.replace("a", "b")) for id in ids],
}
FIELDS = {
    "broken": broken,
    "strictBroken": broken,
    "strictMentor": lambda source, info: source.mentor,
    "strictAuthor": lambda source, info: source.author,
    "strictArticles": lambda source, info: source.articles,
    "paged": lambda source, info: source.articles.where(page_size=1),
    "written": lambda source, info: source.notes,
    "related": lambda source, info: (each for each in (source, source.mentor) if each is not None),
}


def build() -> Any:
    schema = graphql.build_schema(SDL)
    for name, type_ in schema.type_map.items():
        resolvers = ROOT if name == "Query" else FIELDS
        for field, definition in getattr(type_, "fields", {}).items():
            if field in resolvers and not name.startswith("__"):
                definition.resolve = resolvers[field]
        if name in ("Written", "Thing"):
            type_.resolve_type = kind
    return schema


SCHEMA = build()


def null_for_missing(resolve: Any, source: Any, info: Any, **arguments: Any) -> Any:
    """A missing item as null, which resolvers have to say without the class."""
    value = resolve(source, info, **arguments)
    if isinstance(value, tuple(MODELS)):
        return value if value else None
    if hasattr(value, "__iter__") and not isinstance(value, str):
        return [item if item else None for item in value]
    return value


def run(query: str, batching: bool) -> tuple[Any, int]:
    """The answer to a query, and the rounds it took."""
    options: dict[str, Any] = {"middleware": [null_for_missing]}
    if batching:
        name = "executor_class" if hasattr(graphql.execution, "Executor") else "execution_context_class"
        options = {name: BatchingExecutionContext}
    with run_with_batch_context() as session:
        return graphql.execute_sync(SCHEMA, graphql.parse(query), **options), session.stats.round_trips


def outcome(result: Any) -> Any:
    """The data, the errors of fields that are null themselves, and the places that errors below have made null.

    Of several errors that make the same object null, one is reported; which one depends on the order of execution.
    """
    exact, inner = set(), set()
    for error in result.errors or ():
        value, place = result.data, []
        for key in error.path:
            if value is None:
                break
            value = value[key]
            place.append(key)
        if place == error.path:
            exact.add((tuple(place), error.message))
        else:
            inner.add(tuple(place))
    return result.data, {error for error in exact if error[0] not in inner}, inner


# --- queries ------------------------------------------------------------------------------------------------

LEAVES = {
    "Author": ("author_id", "name", "broken", "strictBroken", "__typename"),
    "Article": ("article_id", "title", "broken", "__typename"),
    "Note": ("text", "number", "strictBroken"),
    "Written": ("number", "__typename"),
    "Thing": ("__typename",),
}
BRANCHES = {
    "Author": {
        "mentor": "Author",
        "strictMentor": "Author",
        "articles": "Article",
        "paged": "Article",
        "strictArticles": "Article",
        "notes": "Note",
        "written": "Written",
        "related": "Thing",
    },
    "Article": {"author": "Author", "strictAuthor": "Author", "notes": "Note"},
    "Note": {"author": "Author", "strictAuthor": "Author", "article": "Article"},
    "Written": {"author": "Author", "strictAuthor": "Author"},
    "Thing": {},
}
MEMBERS = {"Written": ("Article", "Note"), "Thing": ("Author", "Article", "Note")}


@st.composite
def selections(draw: st.DrawFn, of: str, depth: int) -> str:
    """What is selected of a type: leaves, relations under aliases, and fragments."""
    parts = list(draw(st.sets(st.sampled_from(LEAVES[of]), min_size=1, max_size=2)))
    if depth:
        branches = sorted(BRANCHES[of].items())
        chosen = draw(st.lists(st.sampled_from(branches), max_size=2)) if branches else []
        for number, (name, target) in enumerate(chosen):
            alias = f"x{depth}{number}{draw(st.integers(0, 999))}{name}"
            parts.append(f"{alias}: {name} {{ {draw(selections(target, depth - 1))} }}")
        for member in MEMBERS.get(of, ()) if draw(st.booleans()) else ():
            parts.append(f"... on {member} {{ {draw(selections(member, depth - 1))} }}")
    return " ".join(parts)


@st.composite
def queries(draw: st.DrawFn) -> str:
    """A query of one to four fields of the root."""
    fields = []
    for number in range(draw(st.integers(1, 4))):
        depth = draw(st.integers(0, 4))
        name = draw(st.sampled_from(sorted(ROOT)))
        if name.lower().endswith("articles"):
            argument, target = f'status: "{draw(st.sampled_from(STATUSES))}"', "Article"
        elif name.endswith("uthor"):
            argument, target = f'id: "{draw(st.sampled_from(IDS))}"', "Author"
        else:
            ids = ", ".join(f'"{id}"' for id in draw(st.lists(st.sampled_from(IDS), max_size=3)))
            argument, target = f"ids: [{ids}]", {"things": "Thing", "written": "Written"}.get(name, "Author")
        fields.append(f"f{number}: {name}({argument}) {{ {draw(selections(target, depth))} }}")
    return f"{{ {' '.join(fields)} }}"


def levels(node: Any) -> int:
    """The number of objects inside each other that a part of a query selects."""
    if getattr(node, "selection_set", None) is None:
        return 0
    is_object = isinstance(node, graphql.FieldNode)
    return is_object + max(levels(selection) for selection in node.selection_set.selections)


@pytest.fixture(scope="module")
def stored() -> Iterator[Manager]:
    """The blog, on the embedded engine, as no engine can change how answers are put together."""
    with init_models(models=MODELS, embedded=True) as manager:
        blog.write_blog()
        yield manager


@many(80)
@example(query='{ articles(status: "draft") { author { articles { title } paged: paged { title } } } }')
@given(query=queries())
def test_random_queries_have_the_answers_of_graphql_core(stored: Manager, query: str) -> None:
    """The same data, and errors at the same places, with at most one round for each level and each further page."""
    result, rounds = run(query, batching=True)
    # A page has one article, and the last page none. The last article has no author.
    further_pages = (blog.ARTICLES - 1) * query.count("paged:")
    assert rounds <= levels(graphql.parse(query).definitions[0]) + further_pages
    expected, _ = run(query, batching=False)
    assert outcome(result) == outcome(expected)
