"""A blog with relations in both directions, for tests of answers that go several relations deep."""

from __future__ import annotations

from dynamo_bao import (
    HasMany,
    Index,
    IntegerField,
    Model,
    PrimaryKey,
    QueryResult,
    Related,
    RelatedField,
    StringField,
    run_with_batch_context,
)


class Author(Model, prefix="ga"):
    author_id: str = StringField()
    name: str = StringField()
    topic: str = StringField(default="all")
    mentor_id: str | None = RelatedField("Author", default=None)

    primary_key = PrimaryKey("author_id")
    by_topic = Index("topic", "author_id", id="gsi1")
    mentor = Related["Author"]("mentor_id")
    articles = HasMany["Article"]("articles_for_author")
    notes = HasMany["Note"]("notes_for_author")


class Article(Model, prefix="gb"):
    article_id: str = StringField()
    title: str = StringField()
    status: str = StringField(default="draft")
    author_id: str | None = RelatedField("Author", default=None)
    number: int = IntegerField(default=0)

    primary_key = PrimaryKey("article_id")
    articles_for_author = Index("author_id", "number", id="gsi1")
    by_status = Index("status", "article_id", id="gsi2")
    author = Related["Author"]("author_id")
    notes = HasMany["Note"]("notes_for_article")


class Note(Model, prefix="gc"):
    article_id: str = RelatedField("Article")
    number: int = IntegerField()
    author_id: str = RelatedField("Author")
    text: str = StringField()

    primary_key = PrimaryKey("article_id", "number")
    notes_for_article = primary_key
    notes_for_author = Index("author_id", "number", id="gsi1")
    article = Related["Article"]("article_id")
    author = Related["Author"]("author_id")


MODELS = [Author, Article, Note]
STATUSES = ("draft", "review", "published")
AUTHORS = 4
ARTICLES = 6


def articles(status: str) -> QueryResult[Article]:
    """The articles with a status."""
    return Article.by_status.query(status)


def write_blog() -> None:
    """Stores four authors, six articles of which the last has an author who is not stored, and notes on the articles.

    Author ``a0`` has articles ``b0`` and ``b4``, and so on. ``b0`` and ``b3`` are drafts. Each author's mentor is the
    one before, and the first has none. Article ``b1`` has one note, ``b2`` has two.
    """
    with run_with_batch_context() as session:
        for number in range(AUTHORS):
            mentor = f"a{number - 1}" if number else None
            session.add(Author(author_id=f"a{number}", name=f"Author {number}", mentor_id=mentor))
        for number in range(ARTICLES):
            author = "nobody" if number == ARTICLES - 1 else f"a{number % AUTHORS}"
            status = STATUSES[number % len(STATUSES)]
            session.add(
                Article(
                    article_id=f"b{number}",
                    title=f"Article {number}",
                    author_id=author,
                    number=number,
                    status=status,
                )
            )
            session.add(
                *(
                    Note(
                        article_id=f"b{number}",
                        number=n,
                        author_id=f"a{(number + n) % AUTHORS}",
                        text=f"note {n}",
                    )
                    for n in range(number % 3)
                )
            )
        session.commit()
