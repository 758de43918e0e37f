"""A session shows what it has written itself: under handles from before, in lists, and after failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    BatchIncompleteError,
    HasMany,
    Index,
    IntegerField,
    ItemNotFoundError,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    RelatedField,
    Session,
    StringField,
    TransactionError,
    VersionField,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.dynamodb.transport.factory import embedded_transport
from dynamo_bao.testing import FaultInjectingTransport, throttled, unprocessed
from tests.support.other_program import elsewhere


class Author(Model, prefix="oa"):
    author_id: str
    status: str = StringField(default="on")
    primary_key = PrimaryKey("author_id")


class Article(Model, prefix="ob"):
    article_id: str
    author_id: str | None = RelatedField("Author", default=None)
    rank: int = IntegerField(default=0)
    primary_key = PrimaryKey("article_id")
    by_author = Index("author_id", "rank", id="gsi1")


class Topic(Model, prefix="oc"):
    topic_id: str
    primary_key = PrimaryKey("topic_id")
    articles = HasMany["Article"]("articles_of_topic", through="Tagging")


class Tagging(Model, prefix="od", table_type="mapping"):
    article_id: str = RelatedField("Article")
    topic_id: str = RelatedField("Topic")
    primary_key = PrimaryKey("article_id", "topic_id")
    articles_of_topic = Index("topic_id", "article_id", id="gsi1")


class Player(Model, prefix="oe"):
    key: str
    score: int | None = IntegerField(default=None)
    version: str = VersionField()
    primary_key = PrimaryKey("key")
    ranking = Index(MODEL_PREFIX, "score", id="gsi1")


class Note(Model, prefix="of", iterable=True):
    note_id: str
    text: str = StringField(default="old")
    kind: str | None = StringField(default=None)
    primary_key = PrimaryKey("note_id")
    by_kind = Index("kind", "note_id", id="gsi1")


MODELS = [Author, Article, Topic, Tagging, Player, Note]


class Stop(Exception):
    pass


@pytest.fixture
def table(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=MODELS, table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture
def faults(table_name: str) -> Iterator[FaultInjectingTransport]:
    """The transport of an embedded table."""
    transport = FaultInjectingTransport(embedded_transport().wire, operations=["BatchGetItem"])
    with init_models(models=MODELS, table_name=table_name, transport=transport, deadline=0.2) as manager:
        manager.create_table()
        yield transport


# --- items that were missing --------------------------------------------------------------------------------


def upsert(session: Session) -> None:
    Author.upsert(author_id="a")


def commit(session: Session) -> None:
    session.add(Author(author_id="a"))
    session.commit()


def create_after_rollback(session: Session) -> None:
    session.add(Author(author_id="a"))
    session.rollback()
    Author.create(author_id="a")


def create_after_a_failed_update(session: Session) -> None:
    with suppress(ItemNotFoundError):
        Author.update("a", status="x")
    Author.create(author_id="a")


@pytest.mark.parametrize("write", [upsert, commit, create_after_rollback, create_after_a_failed_update])
def test_a_handle_of_a_missing_item_shows_the_item_that_is_stored(
    table: Manager, write: Callable[[Session], None]
) -> None:
    """By its own name, and through relations."""
    Article.create(article_id="1", author_id="a")
    with run_with_batch_context() as session:
        article, author = Article.find("1"), Author.find("a")
        assert not author and not article.author
        write(session)
        assert Author.find("a") and author and article.author
        assert article.author.status == author.status == "on"


def test_items_that_an_update_has_missed_are_read_again_in_one_request(table: Manager) -> None:
    keys = [f"{number}" for number in range(5)]
    with run_with_batch_context() as session:
        assert not any(list(map(Author.find, keys)))
        for key in keys:
            with suppress(ItemNotFoundError):
                Author.update(key, status="x")
        batches = session.stats.batches
        authors = list(map(Author.find, keys))
        assert not any(authors)
        assert session.stats.batches == batches + 1


def saved(session: Session, author: Author) -> None:
    author.save()


def committed(session: Session, author: Author) -> None:
    session.add(author)
    session.commit()


def saved_in_transaction(session: Session, author: Author) -> None:
    with transaction():
        author.save()


@pytest.mark.parametrize("write", [saved, committed, saved_in_transaction])
def test_an_object_that_the_context_had_taken_for_missing(
    table: Manager, write: Callable[[Session, Author], None]
) -> None:
    """Its save shows that the item is there again, for every lookup."""
    Author.create(author_id="a")
    with run_with_batch_context() as session:
        author = Author.find("a")
        assert author.status == "on"
        elsewhere(lambda: Author.delete("a"))
        with suppress(ItemNotFoundError):
            Author.update("a", status="x")
        assert not Author.find("a")
        elsewhere(lambda: Author.create(author_id="a"))
        author.status = "new"
        write(session, author)
        assert Author.find("a").status == "new"


# --- targets that could not be read -------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [unprocessed(1.0), throttled()], ids=["unprocessed", "throttled"])
@pytest.mark.parametrize("explicit", [True, False])
def test_a_target_that_could_not_be_read_is_not_missing(
    faults: FaultInjectingTransport, fault: Any, explicit: bool
) -> None:
    """The list raises, and is complete when DynamoDB answers again."""
    Topic.create(topic_id="t")
    for number in range(3):
        Article.create(article_id=f"{number}")
        Tagging.create(article_id=f"{number}", topic_id="t")
    with run_with_batch_context():
        topic = Topic.find("t", bypass_cache=True)
        faults.inject(fault)
        if explicit:
            topic.load_related_data(["articles"])
        with pytest.raises(Exception, match=r"unprocessed|throttl") as caught:
            list(topic.articles)
        assert not isinstance(caught.value, ItemNotFoundError)
        faults.inject(())
        assert [article.article_id for article in topic.articles] == ["0", "1", "2"]


def test_an_explicit_load_asks_again_for_a_target_that_failed(faults: FaultInjectingTransport) -> None:
    Author.create(author_id="a")
    Article.create(article_id="1", author_id="a")
    with run_with_batch_context():
        article = Article.find("1")
        assert article.rank == 0
        faults.inject(unprocessed(1.0))
        with pytest.raises(BatchIncompleteError):
            assert article.author.status
        faults.inject(())
        article.load_related_data(["author_id"])
        assert article.author.status == "on"


# --- transactions that fail ---------------------------------------------------------------------------------


def save_in_a_failed_block(player: Player) -> None:
    """Saves a new score in a transaction that is rolled back."""
    with suppress(Stop), transaction():
        player.score = 9
        player.save()
        raise Stop


def test_after_a_failed_block_an_object_can_be_deleted(table: Manager) -> None:
    """Its version is the stored one, and not the one that was never stored."""
    Player.create(key="k", score=1)
    with run_with_batch_context():
        player = Player.find("k")
        assert player.score == 1
        save_in_a_failed_block(player)
        player.delete()
    assert not Player.find("k")


def test_two_failed_blocks_leave_the_stored_values(table: Manager) -> None:
    Player.create(key="k", score=1)
    with run_with_batch_context():
        player = Player.find("k")
        assert player.score == 1
        save_in_a_failed_block(player)
        with suppress(Stop), transaction():
            player.delete()
            raise Stop
        assert (player.score, player.changes()) == (1, {})


# --- the same key in two tables of one name -----------------------------------------------------------------


def test_the_copy_of_a_table_in_another_region_has_its_own_items() -> None:
    """A transaction goes to one of them."""
    one = init_models(models=[Author], table_name="app", embedded=True, only_active=True)
    two = init_models(models=[Author], table_name="app", embedded=True, only_active=True)
    with one, two:
        one.create_table()
        two.create_table()
        here, there = one.repository(Author), two.repository(Author)
        here.create(author_id="a", status="1")
        there.create(author_id="a", status="2")
        with pytest.raises(TransactionError, match="One transaction goes to one client"), transaction():
            here.update("a", status="x")
            there.update("a", status="y")
        assert (here.find("a").status, there.find("a").status) == ("1", "2")


# --- queries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["save", "commit", "transaction"])
def test_an_item_that_comes_into_the_index_of_a_model_is_in_its_list(table: Manager, way: str) -> None:
    """The index has one partition, which a change of the sort key brings the item into."""
    Player.create(key="k")
    with run_with_batch_context() as session:
        player = Player.find("k")
        assert player.score is None
        assert len(Player.ranking.query()) == 0
        player.score = 3
        if way == "save":
            player.save()
        elif way == "commit":
            session.add(player)
            session.commit()
        else:
            with transaction():
                player.save()
        assert list(Player.ranking.query()) == [player]


def test_a_small_session_reads_each_target_of_a_page_once(table: Manager) -> None:
    """It looks up no more targets at once than it holds, first those that come next."""
    count = 60
    with run_with_batch_context() as session:
        for number in range(count):
            session.add(Author(author_id=f"{number:03}"))
            session.add(Article(article_id=f"{number:03}", author_id=f"{number:03}"))
            session.add(Tagging(article_id=f"{number:03}", topic_id="t"))
        session.commit()
    with run_with_batch_context(max_cached=10) as session:
        ranks = [tagging.article.rank for tagging in list(Tagging.articles_of_topic.query("t"))]
        assert (len(ranks), session.stats.keys_fetched) == (count, count)


@pytest.mark.parametrize("bounds", [{"$gt": 5, "$lt": 3}, {"$between": [5, 3]}])
def test_an_empty_range_is_refused(table: Manager, bounds: dict[str, Any]) -> None:
    with pytest.raises(QueryError, match="The lower bound of 'rank' is above its upper bound"):
        Article.by_author.query("a", {"rank": bounds}).all()


def test_a_limited_count_has_no_cursor(table: Manager) -> None:
    """It does not read the keys of its matches."""
    for number in range(3):
        Article.create(article_id=f"{number}", author_id="a", rank=number)
    result = Article.by_author.query("a", limit=2, count_only=True)
    assert result.count == 2
    with pytest.raises(QueryError, match="count_only with a limit has no cursor"):
        assert result.last_evaluated_key


@pytest.mark.parametrize("most", [None, 5])
def test_new_objects_can_be_withdrawn_one_by_one(table: Manager, most: int | None) -> None:
    """Also those whose key has changed since they were added."""
    with run_with_batch_context(max_cached=most) as session:
        articles = [Article(article_id=f"{number}") for number in range(20)]
        session.add(*articles)
        articles[3].article_id = "other"
        for article in articles:
            session.delete(article)
        assert not any(Article.find(f"{number}") for number in range(20))
        session.commit()
    assert not Article.find("3")


# --- items that were deleted and created again -----------------------------------------------------------------


def created_elsewhere() -> None:
    elsewhere(lambda: Note.create(note_id="n", kind="k"))


def created_inside() -> None:
    with run_with_batch_context():
        Note.create(note_id="n", kind="k")


def places_of_note() -> tuple[bool, int, int]:
    """Whether the note is found, and how often it is in a list and in an iteration."""
    return (
        Note.find("n").exists(),
        len(Note.by_kind.query("k", bypass_cache=True)),
        sum(map(len, Note.iterate_all())),
    )


@pytest.mark.rule(12)
@pytest.mark.parametrize("most", [None, 2])
@pytest.mark.parametrize("created_again", [created_elsewhere, created_inside])
def test_a_context_keeps_to_what_it_has_deleted(
    table: Manager, most: int | None, created_again: Callable[[], None]
) -> None:
    """It shows the item nowhere, also if it holds few instances. After a refresh it shows it everywhere."""
    Note.create(note_id="n", kind="k")
    with run_with_batch_context(max_cached=most):
        note = Note.find("n")
        note.delete()
        assert not any(Note.find(f"{number}").exists() for number in range(5))
        created_again()
        assert places_of_note() == places_of_note() == (False, 0, 0)
        assert not any(Note.find(f"{number}").exists() for number in range(5))
        assert places_of_note() == (False, 0, 0)
        note.refresh()
        assert places_of_note() == places_of_note() == (True, 1, 1)


@pytest.mark.parametrize("most", [None, 2])
def test_a_context_that_changes_an_item_which_it_had_deleted(table: Manager, most: int | None) -> None:
    """The change shows that the item is there again, so it is found and in all lists."""
    Note.create(note_id="n", kind="k")
    with run_with_batch_context(max_cached=most):
        Note.find("n").delete()
        assert not any(Note.find(f"{number}").exists() for number in range(5))
        created_elsewhere()
        Note.update("n", text="new")
        assert places_of_note() == places_of_note() == (True, 1, 1)


# --- lists and pages ------------------------------------------------------------------------------------------


def test_an_object_that_was_added_in_the_place_of_an_item_is_iterated(table: Manager) -> None:
    Note.create(note_id="n")
    with run_with_batch_context() as session:
        note = Note(note_id="n", text="new")
        session.add(note, overwrite=True)
        assert [found for page in Note.iterate_all() for found in page] == [note]
        session.commit()


def test_paging_by_cursors_is_no_n_plus_1(table: Manager, caplog: pytest.LogCaptureFixture) -> None:
    """A page cannot be asked for before the cursor of the one before it is known."""
    for number in range(8):
        Article.create(article_id=f"{number}", author_id="a", rank=number)
    with run_with_batch_context():
        cursor, count = None, 0
        while count == 0 or cursor is not None:
            page = Article.by_author.query("a", limit=1, start_key=cursor)
            count += len(page)
            cursor = page.last_evaluated_key
    assert count == 8
    assert "N+1" not in caplog.text
