"""search-error-paths.test.js: what is told where an index or a configuration is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from botocore.exceptions import ClientError

from dynamo_bao import (
    ConfigurationError,
    Model,
    PrimaryKey,
    QueryError,
    ServiceError,
    StringField,
    init_models,
)
from tests.support.raw_server import http, raw_server
from tests.support.wire import Wire

NOT_CARRIED = {
    9: "an internal list of what the index holds; cases 6 to 8 are its behaviour",
    10: "the same list for the index without search text; a text filter always takes the search index",
    11: "there is no choice of the index of a search, so none can be the wrong one",
}


class Note(Model, prefix="sen", name="SeNote", iterable=True, iteration_buckets=2, searchable=["title"]):
    note_id: str = StringField()
    title: str = StringField()
    status: str = StringField(default="draft")
    author: str = StringField(default="ada")

    primary_key = PrimaryKey("note_id")


MODELS = [Note]

pytestmark = pytest.mark.usefixtures("manager")


NO_INDEX = "The table does not have the specified index: iter_index"
TRANSLATED = "missing on table 'app'. Run 'bao update-table'"

Refusing = Callable[[str, str], None]


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Refusing]:
    """Has the models talk to a server that answers everything with an error's code and message."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "dummy")
    with ExitStack() as stack:

        def start(code: str, message: str) -> None:
            body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message})
            answer = http(body.encode(), status="400 Bad Request")
            url, _ = stack.enter_context(raw_server(lambda operation, _: answer))
            stack.enter_context(
                init_models(models=MODELS, table_name="app", endpoint_url=url, region="us-east-1")
            )

        yield start


def test_01_a_missing_index(refusing: Refusing) -> None:
    """What DynamoDB says of a missing index becomes the command that makes it."""
    refusing("ValidationException", NO_INDEX)
    with pytest.raises(ConfigurationError) as caught:
        next(Note.iterate_all())
    assert TRANSLATED in str(caught.value)
    assert isinstance(caught.value.__cause__, ClientError)


def test_02_not_found_of_an_index(refusing: Refusing) -> None:
    """So does a ResourceNotFoundException that speaks of an index."""
    refusing("ResourceNotFoundException", "Requested resource not found: Index: iter_index not found")
    with pytest.raises(ConfigurationError) as caught:
        next(Note.iterate_all())
    assert TRANSLATED in str(caught.value)


def test_03_not_found_of_the_table(refusing: Refusing) -> None:
    """One that does not is about the table, and says so."""
    refusing("ResourceNotFoundException", "Requested resource not found")
    with pytest.raises(ConfigurationError) as caught:
        next(Note.iterate_all())
    assert TRANSLATED not in str(caught.value)
    assert "create_table()" in str(caught.value)


def test_04_while_searching(refusing: Refusing) -> None:
    """A search is told the same."""
    refusing("ValidationException", NO_INDEX.replace("iter_index", "iter_search_index"))
    with pytest.raises(ConfigurationError) as caught:
        Note.search_all(["foo"])
    assert TRANSLATED in str(caught.value)


def test_05_another_error(refusing: Refusing) -> None:
    """Other errors stay what they are."""
    refusing("ValidationException", "Something else is wrong")
    with pytest.raises(ServiceError, match="Something else") as caught:
        next(Note.iterate_all())
    assert not isinstance(caught.value, ConfigurationError)


def test_06_iterate_all(wire: Wire) -> None:
    """iterate_all by a field that the index lacks is refused before any request."""
    with pytest.raises(QueryError, match="status"):
        Note.iterate_all(filter={"status": "draft"})
    assert len(wire) == 0


def test_07_search_all(wire: Wire) -> None:
    """So is search_all."""
    with pytest.raises(QueryError, match="status"):
        Note.search_all(["foo"], filter={"status": "draft"})
    assert len(wire) == 0


def test_08_every_field(wire: Wire) -> None:
    """The error names every such field, inside of $or too."""
    with pytest.raises(QueryError, match="author, status"):
        Note.iterate_all(filter={"_searchText": "x", "$or": [{"status": "draft"}, {"author": "ada"}]})
    assert len(wire) == 0


def test_12_searchable_without_fields() -> None:
    """searchable=True does not say which fields, and is refused."""
    with pytest.raises(ConfigurationError, match="searchable"):

        class Bad(Model, prefix="sex1", searchable=True):
            bad_id: str = StringField()
            primary_key = PrimaryKey("bad_id")


def test_13_no_fields() -> None:
    """An empty list of fields is refused."""
    with pytest.raises(ConfigurationError, match="fields is empty"):

        class Bad(Model, prefix="sex2", searchable={"fields": []}):
            bad_id: str = StringField()
            primary_key = PrimaryKey("bad_id")


def test_14_an_unknown_field() -> None:
    """A field that the model lacks is refused."""
    with pytest.raises(ConfigurationError, match="titel"):

        class Bad(Model, prefix="sex3", searchable=["titel"]):
            bad_id: str = StringField()
            title: str = StringField()
            primary_key = PrimaryKey("bad_id")


def test_15_not_searchable() -> None:
    """searchable=False needs no fields."""

    class Good(Model, prefix="sex4", searchable=False):
        good_id: str = StringField()
        primary_key = PrimaryKey("good_id")

    assert Good(good_id="1").good_id == "1"
